"""Extensions of Postfix for proxies and filters: XCLIENT and XFORWARD."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from ..._abnf import decode_xtext, encode_xtext, is_esmtp_keyword, number, upper
from ..._errors import ParseError
from .._forwarding import Attributes, Source, Unavailable, read_address, write_address
from .._forwarding import Xclient as XclientCommand
from .._forwarding import Xforward as XforwardCommand
from .._replies import EnhancedCode, Reply
from ._extension import Extension, Verb

A = TypeVar("A", bound=Attributes)

_NOT_TRUSTED: Final = Reply(550, ("Not authorized",), EnhancedCode(5, 7, 0))
_NOT_OFFERED: Final = Reply(501, ("Attribute not offered",), EnhancedCode(5, 5, 4))
_UNAVAILABLE: Final = {each.value: each for each in Unavailable}


def _read_text(text: str) -> str:
    return text


def _read_proto(text: str) -> str:
    return upper(text)


def _read_port(text: str) -> int:
    return number(text, 5)


def _read_ip(text: str) -> str:
    address = read_address(text)
    if ":" in text and address == text:
        raise ValueError(f"an IPv6 address has a prefix: {text!r}")
    return address


def _read_login(text: str) -> str:
    return text.encode("latin-1").decode("utf-8")


def _write_login(login: str) -> str:
    return login.encode("utf-8").decode("latin-1")


def _read_source(text: str) -> Source:
    return Source(upper(text))


def _write_source(source: Source) -> str:
    return source.value


_Value = tuple[Callable[[str], object], Callable[[Any], str]]
_TEXT: Final[_Value] = _read_text, str
_PORT: Final[_Value] = _read_port, str
_IP: Final[_Value] = _read_ip, write_address
_XCLIENT: Final[Mapping[str, _Value]] = {
    "NAME": _TEXT,
    "ADDR": _IP,
    "PORT": _PORT,
    "PROTO": (_read_proto, str),
    "HELO": _TEXT,
    "LOGIN": (_read_login, _write_login),
    "DESTADDR": _IP,
    "DESTPORT": _PORT,
}
_STAYING: Final = frozenset({"NAME", "DESTADDR", "DESTPORT"})
_XFORWARD: Final[Mapping[str, _Value]] = {
    "NAME": _TEXT,
    "ADDR": (read_address, write_address),
    "PORT": _PORT,
    "PROTO": _TEXT,
    "HELO": _TEXT,
    "IDENT": _TEXT,
    "SOURCE": (_read_source, _write_source),
}


def _decoded(value: str) -> str:
    """Read xtext.

    Deviation: what is none is taken as it is written, for proxies that do not know of
    xtext and have a login with "+" or "=" in it.
    """
    try:
        return decode_xtext(value)
    except ParseError:
        return value


def _reader(kind: type[A], values: Mapping[str, _Value]) -> Callable[[str], A]:
    def read(arguments: str) -> A:
        given: dict[str, Any] = {}
        for word in filter(None, arguments.split(" ")):
            name, _, value = word.partition("=")
            field = upper(name).lower()
            if upper(name) not in values or field in given or not value:
                raise ValueError(f"not an attribute, or given twice: {word!r}")
            text = _decoded(value)
            unavailable = _UNAVAILABLE.get(upper(text))
            read_value, _ = values[upper(name)]
            given[field] = unavailable or read_value(text)
        return kind(**given)

    return read


def _writer(values: Mapping[str, _Value]) -> Callable[[Attributes], str]:
    def write(command: Attributes) -> str:
        words = []
        for name in command.given:
            value = getattr(command, name.lower())
            _, write_value = values[name]
            text = value.value if isinstance(value, Unavailable) else write_value(value)
            words.append(f"{name}={encode_xtext(text)}")
        return " ".join(words)

    return write


def _only(command: A, names: Iterable[str]) -> A:
    """Return a command with some of its attributes."""
    return type(command)(
        **{name.lower(): getattr(command, name.lower()) for name in names}
    )


@dataclass(frozen=True, slots=True)
class _Forwarding(Extension):
    attributes: tuple[str, ...] = ()
    trusted: bool = True

    def __post_init__(self) -> None:
        for name in self.attributes:
            if not is_esmtp_keyword(name) or name != upper(name):
                raise ValueError(f"not the name of an attribute: {name!r}")

    def arguments(self) -> str:
        """The names of the attributes."""
        return " ".join(self.attributes)

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """It is offered only to those who are trusted."""
        return self.trusted

    def refusal(self, command: Attributes) -> Reply | None:
        """Return what a server says to a command that it cannot take, else None."""
        if not self.trusted:
            return _NOT_TRUSTED
        return _NOT_OFFERED if self.missing(command) else None

    def missing(self, command: Attributes) -> list[str]:
        """Return the names of attributes that a command has and the offer has not."""
        return [name for name in command.given if name not in self.attributes]

    def _fits(self, command: Attributes, octets: int) -> bool:
        verb = self.verbs[0]
        return len(f"{verb.name} {verb.write(command)}\r\n") <= octets


@dataclass(frozen=True, slots=True)
class Xclient(_Forwarding):
    """XCLIENT: a proxy can speak for its clients.  Postfix XCLIENT_README.

    Who may use it decides who anybody is: offer it to your own proxies and to no one
    else.  With `smtp.serve` nobody is trusted unless it is said who is.

    Attributes:
        attributes: The names of the attributes that can be given, in upper case.
        trusted: Whether this client may use it.  Otherwise it is not offered, and the
            command is answered 550 5.7.0.
    """

    keyword = "XCLIENT"
    verbs: ClassVar = (
        Verb(
            "XCLIENT",
            XclientCommand,
            _reader(XclientCommand, _XCLIENT),
            _writer(_XCLIENT),
            anytime=True,
        ),
    )

    attributes: tuple[str, ...] = tuple(_XCLIENT)

    def read(self, arguments: str) -> "Xclient":
        """Return the extension with the attributes that the server takes."""
        return Xclient(_names(arguments))

    def parts(self, command: XclientCommand, octets: int) -> tuple[XclientCommand, ...]:
        """Return the commands that say the same in lines of so many octets.

        The address is in the last, because the server may trust us no more after it,
        and so is what the server forgets if another command follows.
        """
        early = [name for name in command.given if name in _STAYING]
        late = [name for name in command.given if name not in _STAYING]
        if self._fits(command, octets) or not (early and late):
            return (command,)
        return _only(command, early), _only(command, late)


@dataclass(frozen=True, slots=True)
class Xforward(_Forwarding):
    """XFORWARD: a filter can tell where a message came from.  Postfix XFORWARD_README.

    Attributes:
        attributes: The names of the attributes that can be given, in upper case.
        trusted: Whether this client may use it, as for `Xclient`.
    """

    keyword = "XFORWARD"
    verbs: ClassVar = (
        Verb(
            "XFORWARD",
            XforwardCommand,
            _reader(XforwardCommand, _XFORWARD),
            _writer(_XFORWARD),
            anytime=True,
        ),
    )

    attributes: tuple[str, ...] = tuple(_XFORWARD)

    def read(self, arguments: str) -> "Xforward":
        """Return the extension with the attributes that the server takes."""
        return Xforward(_names(arguments))

    def parts(
        self, command: XforwardCommand, octets: int
    ) -> tuple[XforwardCommand, ...]:
        """Return the commands that say the same in lines of so many octets."""
        groups: list[list[str]] = [[]]
        for name in command.given:
            group = [*groups[-1], name]
            if groups[-1] and not self._fits(_only(command, group), octets):
                groups.append([name])
            else:
                groups[-1] = group
        return tuple(_only(command, group) for group in groups)


def _names(arguments: str) -> tuple[str, ...]:
    return tuple(word for word in upper(arguments).split() if is_esmtp_keyword(word))
