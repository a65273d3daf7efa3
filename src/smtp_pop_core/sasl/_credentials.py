"""What a client has to show.  Secrets are in no repr and in no message."""

from dataclasses import dataclass, field
from typing import Final

from .._expressions import expression

# No control characters: no name has them, and NUL and U+0001 part messages.  No
# surrogates: they have no UTF-8.
_NAME: Final = expression(r"[^\0-\x1f\x7f-\x9f\ud800-\udfff]*")
_PASSWORD: Final = expression(r"[^\0\r\n\ud800-\udfff]+")
_TOKEN: Final = expression("[!-~]+")  # RFC 6749 appendix A.12


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client has to show.  A mechanism of your own may want its own kind.

    An attribute `authzid`, where a kind has one, says as whom the user wants to act.
    """


@dataclass(frozen=True, slots=True)
class Password(Credentials):
    """A user's password.

    Attributes:
        user: The name, as it was typed.
        password: The password, as it was typed.
        authzid: As whom the user wants to act, or "" for as itself.

    Raises:
        ValueError: A field is empty where it must not be, or holds what no mechanism
            can send: control characters in a name; NUL, CR or LF in a password.
    """

    user: str
    password: str = field(repr=False)
    authzid: str = ""

    def __post_init__(self) -> None:
        _check_user(self.user)
        _require_str("password", self.password)
        if not _PASSWORD.fullmatch(self.password):
            raise ValueError("a password cannot be empty or hold NUL, CR or LF")
        _check_name("authzid", self.authzid)


@dataclass(frozen=True, slots=True)
class Token(Credentials):
    """A token that stands for a user: OAuth 2.0.

    Attributes:
        user: The name.
        token: The token: printable ASCII without spaces.
        authzid: As whom the user wants to act, or "" for as itself.

    Raises:
        ValueError: A field cannot be sent.
    """

    user: str
    token: str = field(repr=False)
    authzid: str = ""

    def __post_init__(self) -> None:
        _check_user(self.user)
        _require_str("token", self.token)
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("a token is printable ASCII without spaces")
        _check_name("authzid", self.authzid)


@dataclass(frozen=True, slots=True)
class External(Credentials):
    """A proof outside the protocol: a client certificate.

    Attributes:
        authzid: As whom the client wants to act, or "": as the certificate says.

    Raises:
        ValueError: The name holds control characters.
    """

    authzid: str = ""

    def __post_init__(self) -> None:
        _check_name("authzid", self.authzid)


@dataclass(frozen=True, slots=True)
class Anonymous(Credentials):
    """No proof.

    Attributes:
        trace: An e-mail address, or a text without "@", of 255 characters at most, or
            "".  It is for the server's log.

    Raises:
        ValueError: It is none of these.
    """

    trace: str = ""

    def __post_init__(self) -> None:
        from ._prepare import is_trace  # its tables take 1 ms

        _require_str("trace", self.trace)
        if not is_trace(self.trace):
            raise ValueError(f"not an e-mail address or a short text: {self.trace!r}")


def _check_user(user: str) -> None:
    _check_name("user", user)
    if not user:
        raise ValueError("the name of the user is empty")


def _check_name(name: str, value: str) -> None:
    _require_str(name, value)
    if not _NAME.fullmatch(value):
        raise ValueError(f"{name} holds a control character: {value!r}")


def _require_str(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
