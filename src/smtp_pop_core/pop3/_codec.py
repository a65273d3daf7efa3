"""Octets to commands, and back: each reader beside its writer.

Text is decoded and encoded here, and for responses in `_response_codec`, and nowhere
else.  A reader raises BadLine, which holds the response that is due.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, TypeAlias

from .._abnf import number, upper
from .._base64 import decode_base64, encode_base64
from .._errors import OutOfOrder, ParseError
from .._limits import Limits
from .._values import unchecked
from ._capabilities import Capability, Verb
from ._commands import (
    Apop,
    Auth,
    AuthList,
    AuthResponse,
    Capa,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from ._responses import ERR, Command, Response


class BadLine(ParseError):
    """A command line that cannot be accepted.

    Attributes:
        response: The response that is due.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.response: Final = Response(ERR, text)


def _no_argument(command: Command) -> Callable[[str], Command]:
    def read(arguments: str) -> Command:
        if arguments:
            raise BadLine("No argument allowed")
        return command

    return read


def _write_nothing(_: Command) -> str:
    return ""


def _one_number(kind: Callable[[int], Command]) -> Callable[[str], Command]:
    make = unchecked(kind)

    # Each session begins with the same numbers: 0.1 in place of 0.6 us.
    @lru_cache(maxsize=256)
    def read(arguments: str) -> Command:
        which = number(arguments)
        if not which:
            raise BadLine("Syntax error in arguments")
        return make(which)

    return read


def _optional_number(kind: Callable[[int | None], Command]) -> Callable[[str], Command]:
    all_of_them, one = kind(None), _one_number(kind)

    def read(arguments: str) -> Command:
        return one(arguments) if arguments else all_of_them

    return read


def _write_optional_number(command: List | Uidl) -> str:
    return "" if command.number is None else str(command.number)


def _write_number(command: Retr | Dele) -> str:
    return str(command.number)


def _read_top(arguments: str) -> Top:
    which, _, lines = arguments.partition(" ")
    return Top(number(which), number(lines))


def _write_top(command: Top) -> str:
    return f"{command.number} {command.lines}"


def _read_apop(arguments: str) -> Apop:
    name, _, digest = arguments.rpartition(" ")
    return Apop(name, digest)


def _write_apop(command: Apop) -> str:
    return f"{command.name} {command.digest}"


def _read_auth(arguments: str) -> Command:
    if not arguments:
        return AuthList()
    mechanism, _, initial = arguments.partition(" ")
    mechanism = upper(mechanism)
    if not initial:
        return Auth(mechanism)
    return Auth(mechanism, b"" if initial == "=" else _decode(initial.encode()))


def _write_auth(command: Auth) -> str:
    if command.initial is None:
        return command.mechanism
    initial = encode_base64(command.initial) or b"="
    return f"{command.mechanism} {initial.decode('ascii')}"


def _decode(text: bytes) -> bytes:
    try:
        return decode_base64(text)
    except ParseError as error:
        raise BadLine("Cannot decode base64") from error


def _read_lang(arguments: str) -> Lang:
    return Lang(arguments or None)


def _write_lang(command: Lang) -> str:
    return command.tag or ""


_VERBS: Final = (
    Verb("USER", User, User, attrgetter("name")),
    Verb("PASS", Pass, Pass, attrgetter("password")),
    Verb("APOP", Apop, _read_apop, _write_apop),
    Verb("AUTH", Auth, _read_auth, _write_auth),
    Verb("STLS", Stls, _no_argument(Stls()), _write_nothing),
    Verb("CAPA", Capa, _no_argument(Capa()), _write_nothing),
    Verb("STAT", Stat, _no_argument(Stat()), _write_nothing),
    Verb("LIST", List, _optional_number(List), _write_optional_number),
    Verb("UIDL", Uidl, _optional_number(Uidl), _write_optional_number),
    Verb("RETR", Retr, _one_number(Retr), _write_number),
    Verb("TOP", Top, _read_top, _write_top),
    Verb("DELE", Dele, _one_number(Dele), _write_number),
    Verb("RSET", Rset, _no_argument(Rset()), _write_nothing),
    Verb("NOOP", Noop, _no_argument(Noop()), _write_nothing),
    Verb("QUIT", Quit, _no_argument(Quit()), _write_nothing),
    Verb("UTF8", Utf8, _no_argument(Utf8()), _write_nothing),
    Verb("LANG", Lang, _read_lang, _write_lang),
)
_Readers: TypeAlias = Mapping[bytes, tuple[type[Command], Callable[[str], Command]]]
_Writers: TypeAlias = Mapping[type[Command], tuple[str, Callable[[Any], str]]]


def _tables(more: tuple[Verb, ...]) -> tuple[_Readers, _Writers]:
    """Return the readers and writers of all verbs, and of these."""
    verbs = (*_VERBS, *more)
    readers = {each.name.encode("ascii"): (each.command, each.read) for each in verbs}
    writers = {each.command: (each.name, each.write) for each in verbs}
    return readers, {AuthList: ("AUTH", _write_nothing), **writers}


_shared: Final = lru_cache(maxsize=32)(_tables)


_LOGIN: Final = frozenset({User, Pass, Apop})  # their arguments may be UTF-8


class Codec:
    """The commands of one connection: what may be read and written depends on it.

    Attributes:
        utf8: Whether names and passwords may hold UTF-8.
    """

    __slots__ = (
        "_by_kind",
        "_by_verb",
        "_longest",
        "utf8",
    )

    def __init__(self, capabilities: Iterable[Capability], limits: Limits) -> None:
        self.utf8 = False
        self._longest = limits.pop3_command_line
        more = tuple(verb for each in capabilities for verb in each.verbs)
        try:
            self._by_verb, self._by_kind = _shared(more)
        except TypeError:  # one of them cannot be hashed
            self._by_verb, self._by_kind = _tables(more)

    def read_command(
        self, line: bytes, check: Callable[[type[Command]], None]
    ) -> Command:
        """Read a command line.  Its order is looked at before its arguments.

        Args:
            line: The line without its CRLF.
            check: Raises OutOfOrder if a command of the class may not come now.

        Raises:
            BadLine: The line is not a command, or malformed.
            OutOfOrder: It may not come now.
        """
        name, space, arguments = line.partition(b" ")
        found = self._by_verb.get(name) or self._by_verb.get(name.upper())
        if found is None:
            raise BadLine("Command not recognized")
        kind, read = found
        check(AuthList if kind is Auth and not arguments else kind)
        if space and not arguments:
            raise BadLine("An argument is missing")
        try:
            if arguments.isascii():
                return read(arguments.decode("ascii"))
            return read(self._text(kind, arguments))
        except BadLine:
            raise
        except ValueError as error:
            raise BadLine("Syntax error in arguments") from error

    def _text(self, kind: type[Command], arguments: bytes) -> str:
        """Return arguments beyond ASCII."""
        if not (self.utf8 and kind in _LOGIN):
            raise BadLine("Only ASCII is allowed here")
        return arguments.decode("utf-8")

    def write_command(self, command: Command) -> bytes:
        """Write a command line with its CRLF.

        Raises:
            OutOfOrder: It is no command of this connection, holds UTF-8 that the server
                does not take, or is too long.
        """
        kind = type(command)
        if kind not in self._by_kind:
            raise OutOfOrder(f"{kind.__name__} is not a command here")
        name, write = self._by_kind[kind]
        arguments = write(command)
        line = f"{name} {arguments}\r\n" if arguments else f"{name}\r\n"
        data = line.encode("utf-8")
        if len(data) > self._longest:
            raise OutOfOrder(f"{kind.__name__} is longer than a line may be")
        if not self.utf8 and not data.isascii():
            raise OutOfOrder(f"{kind.__name__} beyond ASCII needs UTF8 with USER")
        return data


def read_auth_response(line: bytes) -> AuthResponse:
    """Read a line of an authentication exchange.  RFC 5034 section 4."""
    if line == b"*":
        return AuthResponse(None)
    return AuthResponse(_decode(line))


def write_auth_response(command: AuthResponse) -> bytes:
    """Write a line of an authentication exchange."""
    return (b"*" if command.data is None else encode_base64(command.data)) + b"\r\n"
