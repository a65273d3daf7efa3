"""Octets to responses, and back.

A response has one line; behind +OK to some commands a listing follows, which is
understood as a whole, because a look at each line costs ten times as much.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from .._abnf import upper
from .._base64 import decode_base64, encode_base64
from .._dots import Stuffer, Unstuffer
from .._errors import ParseError
from .._expressions import expression
from .._limits import Limits
from .._lines import LineBuffer
from ._commands import AuthList, Capa, Connect, Lang, List, Stat, Uidl
from ._grammar import ANY_UNIQUE_ID, UNIQUE_ID, are_unique_ids, is_language
from ._responses import (
    CODE,
    ERR,
    MORE,
    OK,
    STATUS,
    CapabilityLines,
    Challenge,
    Command,
    Data,
    Language,
    Languages,
    Mechanisms,
    Response,
    ResponseCode,
    Sizes,
    Totals,
    UniqueIds,
    checked_response,
    checked_totals,
)

_STATUS_LINE: Final = expression(rb"(\+OK|-ERR)(?: ([^\r\n\0]*))?")
_CHALLENGE: Final = expression(rb"\+(?: ([^\r\n\0]*))?")
# text = resp-code *CHAR; of the CHARs the first is usually a space  RFC 2449 section 3
_CODE: Final = expression(rf"\[({CODE.pattern})\] ?")
_LONGEST: Final = 512  # octets of a line of a response.  RFC 1939 section 3

# stat = number SP octets [anything]; scan = number SP octets [anything]
_NUMBER: Final = "[0-9]{1,20}"
_STAT: Final = expression(rf"({_NUMBER}) ({_NUMBER})(?: .*)?", re.DOTALL)
_SCAN: Final = expression(rf"^({_NUMBER}) ({_NUMBER})(?: [^\r\n]*)?\r\n", re.MULTILINE)
_UIDL: Final = expression(rf"^({_NUMBER}) ({UNIQUE_ID})\r\n", re.MULTILINE)
_ANY_UIDL: Final = expression(rf"^({_NUMBER}) ({ANY_UNIQUE_ID})\r\n", re.MULTILINE)
_WORD: Final = expression("[!-~]+")
_CAPABILITY: Final = expression(r"([!-~]+)((?: +[!-~]+)*) *")

_LISTING: Final = frozenset({List, Uidl, Capa, AuthList, Lang})
_RECOGNIZED: Final = frozenset({ResponseCode.IN_USE, ResponseCode.LOGIN_DELAY})


_Written: TypeAlias = (
    Totals | Sizes | UniqueIds | CapabilityLines | Languages | Mechanisms
)

_NOTHING: Final = type(None)
# What +OK to a command has to bring; to all others, nothing.
_BRINGS: Final[Mapping[type, type[Data]]] = {
    Stat: Totals,
    List: Sizes,
    Uidl: UniqueIds,
    Capa: CapabilityLines,
    AuthList: Mechanisms,
    Lang: Languages,
}


def has_listing(command: Command | None) -> bool:
    """Whether +OK to a command is followed by lines that belong to the response."""
    if type(command) not in _LISTING:
        return False
    match command:
        case List() | Uidl():
            return command.number is None
        case Lang():
            return command.tag is None
        case _:
            return True


class ResponseReader:
    """Puts the status line and the lines behind it together.

    Args:
        limits: They bound a listing, and how much of it is taken in one go.
        any_unique_id: Whether every word serves as a unique id.

    Attributes:
        in_listing: Whether the lines of a listing are due.
        listing: The lines of the last listing, b"" before.
    """

    __slots__ = (
        "_any_unique_id",
        "_blocks",
        "_limits",
        "_size",
        "_status",
        "_unstuffer",
        "in_listing",
        "listing",
    )

    def __init__(self, limits: Limits, *, any_unique_id: bool) -> None:
        self._limits: Final = limits
        self._any_unique_id: Final = any_unique_id
        self._status: Response  # of the listing that is due
        self._unstuffer = Unstuffer()
        self._blocks: list[bytes] = []
        self.in_listing = False
        self.listing = b""
        self._size = 0

    def add_status(
        self, line: bytes, command: Command | None, *, codes: bool
    ) -> Response | None:
        """Understand a status line; return the response, or None: a listing follows.

        Args:
            line: Without its CRLF.
            command: What it answers.
            codes: Whether what stands in brackets is a code.  IN-USE and LOGIN-DELAY
                are known in any case.  RFC 2449 section 6.4.

        Raises:
            ParseError: It is no status line, or does not say what it should.
        """
        found = _STATUS_LINE.fullmatch(line)
        if found is None:
            return self._challenge(line, command)
        status, octets = found.groups(b"")
        cls = OK if status == b"+OK" else ERR
        text = decode_text(octets) if octets else ""
        code = None
        if text[:1] == "[" and (bracketed := _CODE.match(text)):
            name = bracketed[1].upper()
            if codes or name in _RECOGNIZED:
                code, text = name, text[bracketed.end() :]
        if cls is ERR or type(command) not in _BRINGS:
            return checked_response(cls, text, code, None, command)
        if has_listing(command):
            self._status = checked_response(cls, text, code, None, command)
            self._unstuffer = Unstuffer()
            self._blocks.clear()
            self._size = 0
            self.in_listing = True
            return None
        data = self._brought(command, text)
        _check_about(command, data)
        return checked_response(cls, "", code, data, command)

    def _challenge(self, line: bytes, command: Command | None) -> Response:
        found = _CHALLENGE.fullmatch(line)
        if found is None:
            raise ParseError("not a line of a response")
        try:
            data = decode_base64(found[1] or b"")
        except ParseError:
            data = None
        return Response(MORE, "", None, Challenge(data), command)

    def _brought(self, command: Command | None, text: str) -> Data:
        """What a response of one line brings."""
        match command:
            case Stat():
                found = _STAT.fullmatch(text)
                if found is None:
                    raise ParseError("STAT is answered without two numbers")
                return checked_totals(int(found[1]), int(found[2]))
            case List():
                return self._sizes(f"{text}\r\n")
            case Uidl():
                return self._unique_ids(f"{text}\r\n")
            case _:
                return _languages(text)

    def add_listing(self, buffer: LineBuffer) -> Response | None:
        """Take the lines of a listing; return the response once it has ended.

        Raises:
            ParseError: It is too long, or a line is malformed.
        """
        unstuffer, most = self._unstuffer, self._limits.listing
        while len(buffer) and not unstuffer.ended:
            block = unstuffer.feed(buffer.take(self._limits.block))
            buffer.put_back(unstuffer.rest)
            self._size += len(block)
            if self._size > most:
                raise ParseError(f"the listing is longer than {most} octets")
            self._blocks.append(block)
        if not unstuffer.ended:
            return None
        if unstuffer.bare:
            raise ParseError("a bare CR or LF in a listing")
        status, self.in_listing = self._status, False
        self.listing = b"".join(self._blocks)
        listed = self._listed(status.command, decode_text(self.listing))
        text, code = status.text, status.code
        return checked_response(OK, text, code, listed, status.command)

    def _listed(self, command: Command | None, text: str) -> Data:
        match command:
            case List():
                return self._sizes(text)
            case Uidl():
                return self._unique_ids(text)
            case Capa():
                return _capability_lines(text)
            case AuthList():
                return _mechanisms(text)
            case _:
                return _languages(text)

    def _sizes(self, text: str) -> Sizes:
        return Sizes.checked(
            {number: int(size) for number, size in _by_number(_SCAN, text).items()}
        )

    def _unique_ids(self, text: str) -> UniqueIds:
        standard = not self._any_unique_id
        pattern = _UIDL if standard else _ANY_UIDL
        return UniqueIds.checked(_by_number(pattern, text), standard=standard)


def _by_number(pattern: re.Pattern[str], text: str) -> dict[int, str]:
    """Take the lines of a listing apart; each begins with the number of a message.

    Raises:
        ParseError: A line is malformed, or a number comes twice.
    """
    found = pattern.findall(text)
    if len(found) != text.count("\n"):
        raise ParseError("a malformed line in a listing")
    items = {int(number): value for number, value in found}
    if len(items) != len(found):
        raise ParseError("a listing names a message twice")
    if 0 in items:
        raise ParseError("a listing names a message 0")
    return items


def _check_about(command: Command | None, data: Data | None) -> None:
    """See that what is said about one message is said about the one that was asked for.

    Raises:
        ParseError: It is about another one.
    """
    if (
        isinstance(data, (Sizes, UniqueIds))
        and isinstance(command, (List, Uidl))
        and command.number not in data.by_number
    ):
        raise ParseError("the answer is about another message")


def decode_text(line: bytes) -> str:
    """Deviation: text is ASCII or UTF-8 by the standards; what is neither is kept."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _lines(text: str) -> list[str]:
    return text.removesuffix("\r\n").split("\r\n") if text else []


def _capability_lines(text: str) -> CapabilityLines:
    """Read what CAPA lists; a line that is no capability is passed over."""
    found = map(_CAPABILITY.fullmatch, _lines(text))
    return CapabilityLines(
        tuple((upper(line[1]), " ".join(line[2].split())) for line in found if line)
    )


def _mechanisms(text: str) -> Mechanisms:
    """Read the names of mechanisms; a word that cannot be one is passed over."""
    return Mechanisms(tuple(filter(_WORD.fullmatch, text.split())))


def _languages(text: str) -> Languages:
    """Read lines of a tag and a description; other lines are passed over."""
    parts = [line.partition(" ") for line in _lines(text)]
    return Languages(
        tuple(
            Language(tag, about)
            for tag, _, about in parts
            if is_language(tag) and "\0" not in about
        )
    )


def write_response(
    response: Response, command: Command | None, limits: Limits, *, codes: bool
) -> bytes:
    """Write a response with all its lines.

    Args:
        response: The response.
        command: What it answers.
        limits: They bound challenges, which may be longer than other lines.
        codes: Whether the server offers RESP-CODES.

    Raises:
        ParseError: A line is too long, or it does not bring what the command asks for.
    """
    text, data, listing = response.text, response.data, b""
    if isinstance(data, Challenge):
        return _write_challenge(data, limits.auth_line)
    brings = _BRINGS.get(type(command)) if response.cls is OK else None
    if type(data) is not (brings or _NOTHING):
        name = "nothing" if brings is None else brings.__name__
        raise ParseError(
            f"{response.cls.name} to {type(command).__name__} brings {name}"
        )
    if data is not None:
        if has_listing(command):
            listing = _write_listing(data)
        else:
            lines = _data_lines(data)
            if text or response.code is not None or len(lines) != 1:
                name = type(command).__name__
                raise ParseError(f"{name} is answered with one line and nothing else")
            (text,) = lines
            _check_about(command, data)
    if response.code is not None and codes:
        code = f"[{response.code}]"
        text = f"{code} {text}" if text else code
    elif codes and text[:1] == "[" and not isinstance(command, Connect):
        # RFC 2449 section 6.4.  Whoever is greeted does not know of RESP-CODES yet.
        raise ParseError("the text would be taken for a code")
    status = STATUS[response.cls]
    line = (f"{status} {text}\r\n" if text else f"{status}\r\n").encode()
    if len(line) > _LONGEST:
        raise _too_long(_LONGEST)
    return line + listing


def _write_challenge(challenge: Challenge, longest: int) -> bytes:
    if challenge.data is None:
        raise ParseError("a challenge that is no base64 cannot be sent")
    line = b"+ %b\r\n" % encode_base64(challenge.data)
    if len(line) > longest:
        raise _too_long(longest)
    return line


def _too_long(longest: int) -> ParseError:
    return ParseError(f"a line of the response is longer than {longest} octets")


def _write_listing(data: _Written) -> bytes:
    # Lines that begin with a number are not long, and do not begin with a dot.
    if isinstance(data, Sizes):
        sizes = data.by_number
        return b"%d %d\r\n" * len(sizes) % _by_turns(sizes) + b".\r\n"
    if isinstance(data, UniqueIds):
        ids = _standard_ids(data)
        return ("%d %s\r\n" * len(ids) % _by_turns(ids) + ".\r\n").encode()
    lines = [f"{line}\r\n".encode() for line in _data_lines(data)]
    if max(map(len, lines), default=0) > _LONGEST:
        raise _too_long(_LONGEST)
    stuffer = Stuffer()
    return stuffer.feed(b"".join(lines)) + stuffer.end()


def _by_turns(by_number: Mapping[int, object]) -> tuple[object, ...]:
    """Return each number and what it has, by turns, for one format.

    That takes 0.8 of the time that a line each takes.  To put the items one behind the
    other with `chain` would cost what it saves.
    """
    both: list[object] = [None] * (2 * len(by_number))
    both[::2] = by_number
    both[1::2] = by_number.values()
    return tuple(both)


def _standard_ids(data: UniqueIds) -> Mapping[int, str]:
    """Return what a server may send.

    Raises:
        ParseError: An id is not as the standard has them.
    """
    if not data.standard and not are_unique_ids(data.by_number.values()):
        raise ParseError("only a client bears ids that are no unique ids")
    return data.by_number


def _data_lines(data: _Written) -> list[str]:
    """What is written for it, a line each."""
    match data:
        case Totals(messages=messages, octets=octets):
            return [f"{messages} {octets}"]
        case Sizes(by_number=by_number):
            return [f"{number} {size}" for number, size in by_number.items()]
        case UniqueIds():
            ids = _standard_ids(data)
            return [f"{number} {each}" for number, each in ids.items()]
        case CapabilityLines(lines=lines):
            return [f"{tag} {arguments}".rstrip(" ") for tag, arguments in lines]
        case Languages(items=items):
            return [
                f"{each.tag} {each.description}" if each.description else each.tag
                for each in items
            ]
        case _:
            return list(data.names)
