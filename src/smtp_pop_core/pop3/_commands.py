"""The commands of POP3 as values.

A command that exists can be written: its fields are checked when it is made, so nothing
that came from outside, or from the caller, becomes a second line or another argument.
"""

from dataclasses import dataclass, field
from typing import Final

from .._abnf import require_str
from .._expressions import expression
from ..sasl import is_mechanism_name
from ._grammar import is_language
from ._responses import Command, Response, check_number

# A name or a digest: no space, no control; beyond ASCII only with UTF8.
_WORD: Final = expression("[^\0- \x7f-\xa0\ud800-\udfff\u2028\u2029]+")
_PASSWORD: Final = expression("[^\0\r\n\ud800-\udfff]+")
_DIGEST: Final = expression("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Connect(Command):
    """The connection itself, which the greeting answers.  It is never sent."""


@dataclass(frozen=True, slots=True)
class User(Command):
    """USER: say whose maildrop is wanted; PASS has to follow.  RFC 1939 section 7.

    Attributes:
        name: The name, without spaces.  Beyond ASCII it needs UTF8.

    Raises:
        ValueError: It cannot be written in a command line.
    """

    name: str

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Pass(Command):
    """PASS: give the password, right after USER.  RFC 1939 section 7.

    Attributes:
        password: It may hold spaces, but not CR, LF and NUL.  It is not in the repr.

    Raises:
        ValueError: It cannot be written in a command line.
    """

    password: str = field(repr=False)

    def __post_init__(self) -> None:
        require_str("password", self.password)
        if not _PASSWORD.fullmatch(self.password):
            raise ValueError("not a password for a command line")


@dataclass(frozen=True, slots=True)
class Apop(Command):
    """APOP: log in without showing the password.  RFC 1939 section 7.

    Attributes:
        name: The name, without spaces.
        digest: 32 hexadecimal digits in lower case.  It is not in the repr.

    Raises:
        ValueError: A field cannot be written in a command line.
    """

    name: str
    digest: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        require_str("digest", self.digest)
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError("not a digest of 32 hexadecimal digits in lower case")


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """AUTH: begin an authentication exchange.  RFC 5034.

    Attributes:
        mechanism: The name of the mechanism, in upper case.
        initial: The initial response, b"" for an empty one, or None for none.

    Raises:
        ValueError: The name is not that of a mechanism.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_str("mechanism", self.mechanism)
        if not is_mechanism_name(self.mechanism):
            raise ValueError(f"not the name of a mechanism: {self.mechanism!r}")
        _check_octets("initial", self.initial)


@dataclass(frozen=True, slots=True)
class AuthList(Command):
    """AUTH without an argument: ask for the mechanisms, as old clients do.

    Deviation: RFC 5034 has no such command; CAPA says the same.
    """


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """The answer to a challenge of the server.  RFC 5034 section 4.

    Attributes:
        data: The response, or None to cancel the exchange.
    """

    data: bytes | None = field(repr=False)

    def __post_init__(self) -> None:
        _check_octets("data", self.data)


@dataclass(frozen=True, slots=True)
class Stls(Command):
    """STLS: begin TLS once the server has said +OK.  RFC 2595 section 4."""


@dataclass(frozen=True, slots=True)
class Capa(Command):
    """CAPA: ask what the server can do.  RFC 2449 section 5."""


@dataclass(frozen=True, slots=True)
class Stat(Command):
    """STAT: ask how many messages there are, and their size.  RFC 1939 section 5."""


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST: ask for the sizes of messages.  RFC 1939 section 5.

    Attributes:
        number: Of one message, from 1; or None for all.

    Raises:
        ValueError: It is no such number.
    """

    number: int | None = None

    def __post_init__(self) -> None:
        if self.number is not None:
            check_number("number", self.number, least=1)


@dataclass(frozen=True, slots=True)
class Uidl(Command):
    """UIDL: ask for the unique ids of messages.  RFC 1939 section 7.

    Attributes:
        number: Of one message, from 1; or None for all.

    Raises:
        ValueError: It is no such number.
    """

    number: int | None = None

    def __post_init__(self) -> None:
        if self.number is not None:
            check_number("number", self.number, least=1)


@dataclass(frozen=True, slots=True)
class Retr(Command):
    """RETR: ask for a message.  RFC 1939 section 5.

    Attributes:
        number: Of the message, from 1.

    Raises:
        ValueError: It is no such number.
    """

    number: int

    def __post_init__(self) -> None:
        check_number("number", self.number, least=1)


@dataclass(frozen=True, slots=True)
class Top(Command):
    """TOP: ask for the header of a message and some lines more.  RFC 1939 section 7.

    Attributes:
        number: Of the message, from 1.
        lines: How many lines of the body, from 0.

    Raises:
        ValueError: It is no such number.
    """

    number: int
    lines: int

    def __post_init__(self) -> None:
        check_number("number", self.number, least=1)
        check_number("lines", self.lines)


@dataclass(frozen=True, slots=True)
class Dele(Command):
    """DELE: mark a message as deleted; QUIT removes it.  RFC 1939 section 5.

    Attributes:
        number: Of the message, from 1.

    Raises:
        ValueError: It is no such number.
    """

    number: int

    def __post_init__(self) -> None:
        check_number("number", self.number, least=1)


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RSET: take all marks back.  RFC 1939 section 5."""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP: do nothing.  RFC 1939 section 5."""


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """QUIT: end the session; what is marked as deleted is removed.  RFC 1939."""


@dataclass(frozen=True, slots=True)
class Utf8(Command):
    """UTF8: say that we understand UTF-8 in all that is sent.  RFC 6856 section 2."""


@dataclass(frozen=True, slots=True)
class Lang(Command):
    """LANG: choose the language of texts, or ask which there are.  RFC 6856 section 3.

    Attributes:
        tag: As "de"; "*" for what the server prefers; or None to ask.

    Raises:
        ValueError: It is no such tag.
    """

    tag: str | None = None

    def __post_init__(self) -> None:
        if self.tag is not None and not is_language(self.tag):
            raise ValueError(f"not the tag of a language: {self.tag!r}")


@dataclass(frozen=True, slots=True)
class BadCommand(Command):
    """What a client sent and a server cannot accept.  Only a server meets it.

    Attributes:
        line: The line as received without its CRLF, b"" where it was too long.  It may
            hold a secret and is not in the repr.
        response: The response that is due.
        last: Whether the session ends with it: there were too many, or another protocol
            is spoken.
    """

    line: bytes = field(repr=False)
    response: Response
    last: bool = False


def _check_name(name: str) -> None:
    require_str("name", name)
    if not _WORD.fullmatch(name):
        raise ValueError(f"not a name for a command line: {name!r}")


def _check_octets(name: str, value: object) -> None:
    if value is not None and type(value) is not bytes:
        raise TypeError(f"{name} must be bytes, not {type(value).__name__}")
