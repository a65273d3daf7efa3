"""Extensions about the session: pipelining, status codes, help, TLS, authentication."""

from dataclasses import dataclass
from typing import ClassVar

from ..._abnf import decode_xtext, encode_xtext, upper
from ...sasl import is_mechanism_name
from ._extension import Extension, Parameter


def _read_auth(value: str | None) -> str:
    if not value:
        raise ValueError("AUTH has a value")
    return "" if value == "<>" else decode_xtext(value)


def _write_auth(address: str) -> str:
    return encode_xtext(address) or "<>"


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
    mail: ClassVar = {"AUTH": Parameter(_read_auth, "auth", _write_auth)}
    mail_octets: ClassVar[int] = 500

    mechanisms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.mechanisms:
            if not is_mechanism_name(name):
                raise ValueError(f"not the name of a mechanism: {name!r}")

    def arguments(self) -> str:
        """The mechanisms."""
        return " ".join(self.mechanisms)

    def read(self, arguments: str) -> "Auth":
        """Return the extension with the mechanisms that the server has."""
        words = upper(arguments).split()
        return Auth(tuple(word for word in words if is_mechanism_name(word)))
