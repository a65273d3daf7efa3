"""Octets to replies and back, and the extensions in the EHLO response.

Text is decoded and encoded here, and for commands in `_codec`, and nowhere else.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from .._errors import ParseError
from .._limits import Limits
from .._values import unchecked
from ._commands import Connect, Ehlo, Helo, Lhlo
from ._extensions import Extension, Extensions, Unknown
from ._forwarding import Xclient
from ._replies import Command, EnhancedCode, Reply

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n\0]*))?")
_STATUS: Final = re.compile(
    r"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})(?![^ ])"
)
_UNCODED: Final = frozenset({Connect, Ehlo, Helo, Lhlo})  # RFC 2034 section 4


# A server has few of them: 0.1 in place of 2 us.
_parse_status: Final = lru_cache(maxsize=128)(EnhancedCode.parse)
_reply: Final = unchecked(Reply)


class ReplyReader:
    """Puts the lines of a reply together."""

    __slots__ = ("_code", "_lines")

    def __init__(self) -> None:
        self._code = b""
        self._lines: list[bytes] = []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> bool:
        """Add a line without its CRLF; return whether it was the last.

        Raises:
            ParseError: It is no line of a reply, or of another one.
        """
        found = _REPLY_LINE.fullmatch(line)
        if found is None:
            raise ParseError("not a line of a reply")
        code, separator, text = found.groups()
        if self._lines and code != self._code:
            raise ParseError(f"a line of {code!r} in a reply of {self._code!r}")
        self._code = code
        self._lines.append(text or b"")
        return separator != b"-"

    def take(self, command: Command | None, *, enhanced: bool) -> Reply:
        """Return the reply, once its last line was added.

        Args:
            command: What it answers.
            enhanced: Whether ENHANCEDSTATUSCODES was offered.
        """
        code = int(self._code)
        lines = tuple(map(_decode_text, self._lines))
        self._lines.clear()
        status = None
        if enhanced and type(command) not in _UNCODED:
            status = _status(code, lines[0])
        if status is not None:
            word = lines[0].partition(" ")[0]
            lines = tuple(_without(line, word) for line in lines)
        return _reply(code, lines, status, command)


def _decode_text(line: bytes) -> str:
    """Deviation: text is ASCII or UTF-8 by the standards; what is neither is kept."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _status(code: int, line: str) -> EnhancedCode | None:
    found = _STATUS.match(line)
    if found is None or int(line[0]) != code // 100:
        return None
    return _parse_status(found[0])


def _without(line: str, word: str) -> str:
    first, _, rest = line.partition(" ")
    return rest if first == word else line


def write_reply(
    reply: Reply, command: Command | None, limits: Limits, *, enhanced: bool
) -> bytes:
    """Write a reply, a line each with its CRLF.

    Args:
        reply: The reply.
        command: What it answers.
        limits: They bound challenges, which may be longer than other lines.
        enhanced: Whether the server offers ENHANCEDSTATUSCODES.

    Raises:
        ParseError: A line is longer than the standard allows.
    """
    kind = type(command)
    if reply.code == 334:  # a challenge, which is not kept
        data, longest = _write_plain(reply), limits.auth_line
    elif (
        enhanced
        and kind not in _UNCODED
        and not (kind is Xclient and reply.code == 220 and reply.enhanced is None)
    ):
        data, longest = _coded(reply), 512
    else:
        data, longest = _plain(reply), 512
    if len(data) > longest and max(map(len, data.split(b"\r\n"))) + 2 > longest:
        raise ParseError(f"a line of the reply is longer than {longest} octets")
    return data


def _write_coded(reply: Reply) -> bytes:
    """Write a reply with its enhanced code in front of each line."""
    code, lines, status = reply.code, reply.lines, reply.enhanced
    if code // 100 == 3:
        return _write_lines(code, lines)
    if status is None:
        if all(_status(code, line) for line in lines):
            return _write_lines(code, lines)
        status = EnhancedCode(code // 100, 0, 0)
    return _write_lines(code, [f"{status} {line}" for line in lines])


def _write_plain(reply: Reply) -> bytes:
    return _write_lines(reply.code, reply.lines)


def _write_lines(code: int, lines: Sequence[str]) -> bytes:
    *head, last = lines
    text = "".join(f"{code}-{line}\r\n" for line in head)
    return f"{text}{code} {last}\r\n".encode()


# A server says the same again and again: 0.3 in place of 2 us.
_coded: Final = lru_cache(maxsize=128)(_write_coded)
_plain: Final = lru_cache(maxsize=128)(_write_plain)


_KEYWORD_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)((?: +[!-~]+)*) *")


def read_offers(reply: Reply, known: Mapping[str, Extension]) -> Extensions:
    """Read the extensions from an EHLO response.  RFC 5321 section 4.1.1.1.

    The first line is never a keyword.  A line that is none, and one whose arguments are
    malformed, is passed over; of a keyword that comes twice the first counts.
    """
    offers: dict[str, Extension] = {}
    for line in reply.lines[1:]:
        found = _KEYWORD_LINE.fullmatch(line)
        if found is None:
            continue
        keyword, words = found[1].upper(), " ".join(found[2].split())
        try:
            offer = (
                known[keyword].read(words)
                if keyword in known
                else Unknown(keyword, words)
            )
        except ValueError:
            continue
        offers.setdefault(keyword, offer)
    return Extensions(offers)


def write_offers(domain: str, offers: Extensions) -> Reply:
    """Write the EHLO response: the domain, then a line for each extension."""
    return Reply(
        250,
        (
            domain,
            *(
                f"{keyword} {offer.arguments()}".rstrip()
                for keyword, offer in offers.items()
            ),
        ),
    )
