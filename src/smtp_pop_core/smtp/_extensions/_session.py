"""Extensions about the session: pipelining, status codes, help, TLS, authentication."""

from dataclasses import dataclass

from ._extension import Extension


@dataclass(frozen=True, slots=True)
class Pipelining(Extension):
    """PIPELINING: commands need not wait for replies.  RFC 2920."""

    keyword = "PIPELINING"


@dataclass(frozen=True, slots=True)
class EnhancedStatusCodes(Extension):
    """ENHANCEDSTATUSCODES: replies begin with a status code.  RFC 2034."""

    keyword = "ENHANCEDSTATUSCODES"


@dataclass(frozen=True, slots=True)
class Help(Extension):
    """HELP: the server has the command.  RFC 5321 section 4.1.1.1."""

    keyword = "HELP"


@dataclass(frozen=True, slots=True)
class StartTls(Extension):
    """STARTTLS: TLS can begin on this connection.  RFC 3207."""

    keyword = "STARTTLS"

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """It is not offered inside TLS."""
        return not tls


@dataclass(frozen=True, slots=True)
class Auth(Extension):
    """AUTH: the client can authenticate.  RFC 4954.

    Attributes:
        mechanisms: The names of the mechanisms, in upper case.
    """

    keyword = "AUTH"

    mechanisms: tuple[str, ...] = ()

    def arguments(self) -> str:
        """The mechanisms."""
        return " ".join(self.mechanisms)

    def read(self, arguments: str) -> "Auth":
        """Return the extension with the mechanisms that the server has."""
        return Auth(tuple(arguments.upper().split()))
