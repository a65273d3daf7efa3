"""The commands of Postfix by which a proxy tells what it knows of a client.

XCLIENT and XFORWARD carry attributes.  Each is a field: None where nothing is said of
it, and a member of `Unavailable` where the proxy says that it does not know.
"""

from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from .._abnf import require_str, upper
from .._expressions import expression
from ._replies import Command

_LONGEST: Final = 255
_LONGEST_PROTO: Final = 64
_HIGHEST_PORT: Final = 65535
_IPV6: Final = "IPV6:"
# No controls, no white space, and nothing that is special in the header of a message.
_WORD: Final = expression(r"[!#-'*+\-./0-9:=?A-Z\[\]^-~]+")


class Unavailable(Enum):
    """What stands for a value that is not known."""

    UNAVAILABLE = "[UNAVAILABLE]"
    TEMPUNAVAIL = "[TEMPUNAVAIL]"  # of a name: its look-up failed for now


class Source(Enum):
    """Where a message came from, as the host that forwards it sees it."""

    LOCAL = "LOCAL"  # the host itself, or what is local to it
    REMOTE = "REMOTE"


@dataclass(frozen=True, slots=True)
class Attributes(Command):
    """A command whose fields are attributes."""

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the attributes that it carries, in upper case."""
        return tuple(
            field.name.upper()
            for field in fields(self)
            if getattr(self, field.name) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Xclient(Attributes):
    """XCLIENT: speak for another client from now on.  Postfix XCLIENT_README.

    At least one field is not None.

    Attributes:
        name: The client's host name, 1 to 255 printable ASCII characters.
        addr: Its IP address, IPv6 without a prefix or a zone.
        port: Its TCP port, 0 to 65535.
        proto: "SMTP" or "ESMTP".
        helo: What it has said in HELO or EHLO, as a name.
        login: Who has logged in there, up to 255 octets of UTF-8 that can be printed;
            UNAVAILABLE takes it back.
        destaddr: The IP address to which it has connected.
        destport: The port there.

    Raises:
        ValueError: A field cannot be written, or all are None.
    """

    name: str | Unavailable | None = None
    addr: str | Unavailable | None = None
    port: int | Unavailable | None = None
    proto: str | None = None
    helo: str | Unavailable | None = None
    login: str | Unavailable | None = None
    destaddr: str | Unavailable | None = None
    destport: int | Unavailable | None = None

    def __post_init__(self) -> None:
        _check_given(self)
        _check_word("name", self.name, temporary=True)
        _check_ip("addr", self.addr)
        _check_port("port", self.port)
        if self.proto not in (None, "SMTP", "ESMTP"):
            raise ValueError(f"not SMTP or ESMTP: {self.proto!r}")
        _check_word("helo", self.helo)
        if _is_said("login", self.login):
            _check_login(self.login)
        _check_ip("destaddr", self.destaddr)
        _check_port("destport", self.destport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Xforward(Attributes):
    """XFORWARD: tell where the next message came from, for logs.

    Postfix XFORWARD_README.  At least one field is not None.

    Attributes:
        name: The host name of the upstream client, 1 to 255 printable ASCII characters
            without those that are special in a header, as all words here.
        addr: Its address, IPv6 without a prefix; it may be another word.
        port: Its port, 0 to 65535.
        proto: How the message came, as "ESMTP", up to 64 characters.
        helo: How the client called itself.
        ident: What the message is called in the upstream host's queue.
        source: Where it came from.

    Raises:
        ValueError: A field cannot be written, or all are None.
    """

    name: str | Unavailable | None = None
    addr: str | Unavailable | None = None
    port: int | Unavailable | None = None
    proto: str | Unavailable | None = None
    helo: str | Unavailable | None = None
    ident: str | Unavailable | None = None
    source: Source | Unavailable | None = None

    def __post_init__(self) -> None:
        _check_given(self)
        _check_word("name", self.name, temporary=True)
        _check_word("addr", self.addr)
        if isinstance(self.addr, str) and upper(self.addr).startswith(_IPV6):
            raise ValueError(f"an address has no prefix here: {self.addr!r}")
        _check_port("port", self.port)
        _check_word("proto", self.proto, _LONGEST_PROTO)
        _check_word("helo", self.helo)
        _check_word("ident", self.ident)
        if _is_said("source", self.source) and not isinstance(self.source, Source):
            raise ValueError(f"not a source: {self.source!r}")


def read_address(text: str) -> str:
    """Read an address: IPv6 has "IPV6:" in front of it.

    Returns:
        The address without it, or the text where it is of another kind.

    Raises:
        ValueError: What has the prefix is no IPv6 address.
    """
    if upper(text[: len(_IPV6)]) != _IPV6:
        return text
    address = text[len(_IPV6) :]
    if not _is_ipv6(address):
        raise ValueError(f"not an IPv6 address: {text!r}")
    return address


def write_address(address: str) -> str:
    """Write an address as `read_address` reads it."""
    return f"{_IPV6}{address}" if _is_ipv6(address) else address


def _check_given(command: Attributes) -> None:
    if not command.given:
        raise ValueError("no attribute is given")


def _is_said(name: str, value: object, *, temporary: bool = False) -> bool:
    """Whether there is a value to be checked.

    Raises:
        ValueError: It is unavailable in a way that it cannot be.
    """
    if value is Unavailable.TEMPUNAVAIL and not temporary:
        raise ValueError(f"{name} is known or not, but not for now")
    return value is not None and not isinstance(value, Unavailable)


def _check_word(
    name: str, value: object, longest: int = _LONGEST, *, temporary: bool = False
) -> None:
    if not _is_said(name, value, temporary=temporary):
        return
    word = _text(name, value)
    if not _WORD.fullmatch(word) or len(word) > longest:
        raise ValueError(f"not a word of 1 to {longest} characters: {word!r}")


def _check_login(value: object) -> None:
    login = _text("login", value)
    if not login.isprintable() or not 0 < len(login.encode()) <= _LONGEST:
        raise ValueError(f"not a login: {login!r}")


def _text(name: str, value: object) -> str:
    require_str(name, value)
    text = str(value)
    if any(upper(text) == each.value for each in Unavailable):
        raise ValueError(f"{name} is Unavailable.UNAVAILABLE, not {text!r}")
    return text


def _check_ip(name: str, value: object) -> None:
    from ipaddress import ip_address  # only here, and it takes 1 ms

    if not _is_said(name, value):
        return
    require_str(name, value)
    if "%" in str(value):
        raise ValueError(f"an address has no zone here: {value!r}")
    ip_address(str(value))


def _check_port(name: str, value: object) -> None:
    if not _is_said(name, value):
        return
    if type(value) is not int:
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not 0 <= value <= _HIGHEST_PORT:
        raise ValueError(f"not a port: {value!r}")


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address, ip_address

    try:
        return isinstance(ip_address(text), IPv6Address) and "%" not in text
    except ValueError:
        return False
