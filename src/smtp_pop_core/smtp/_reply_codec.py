"""Octets to replies and back, and the extensions in the EHLO response.

Text is decoded and encoded here, and for commands in `_codec`, and nowhere else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, TypeAlias

from .._errors import ParseError
from .._limits import Limits
from .._values import unchecked
from ._commands import (
    Connect,
    Data,
    Ehlo,
    EndOfMessage,
    Helo,
    Lhlo,
    Mail,
    Quit,
    Rcpt,
    Rset,
)
from ._extensions import Extension, Extensions, Unknown
from ._forwarding import Xclient
from ._replies import Command, EnhancedCode, Reply

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n\0]*))?")
_STATUS: Final = re.compile(
    r"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})(?![^ ])"
)
_UNCODED: Final = frozenset({Connect, Ehlo, Helo, Lhlo})  # RFC 2034 section 4
_ALIKE: Final = frozenset({Mail, Rcpt, Data, EndOfMessage, Rset, Quit})
"""Whose answers are mostly the same, no secret, and may have an enhanced code."""
_SHORT: Final = 64  # octets of a line that is worth to be remembered


# A server has few of them: 0.1 in place of 2 us.
_parse_status: Final = lru_cache(maxsize=128)(EnhancedCode.parse)
_reply: Final = unchecked(Reply)


class ReplyReader:
    """Puts the lines of a reply together.

    Args:
        most: How many lines a reply may have.
        enhanced: Whether ENHANCEDSTATUSCODES was offered.

    Attributes:
        enhanced: The same, from now on.
    """

    __slots__ = ("_code", "_most", "_texts", "enhanced")

    def __init__(self, most: int, *, enhanced: bool = False) -> None:
        self._most = most
        self._code = b""
        self._texts: list[bytes] = []
        self.enhanced = enhanced

    def read(self, line: bytes, command: Command | None) -> Reply | None:
        """Read a line; return the reply if it was the last.

        Args:
            line: The line without its CRLF.
            command: What the reply answers.

        Raises:
            ParseError: It is no line of a reply, or of another one, or one too many.
        """
        kind = type(command)
        understood = None
        if kind in _ALIKE and len(line) <= _SHORT and not self._texts:
            understood = _coded_again(line) if self.enhanced else _plain_again(line)
        if understood is None:
            understood = self._add(line, kind)
            if understood is None:
                return None
        code, lines, status = understood
        return _reply(code, lines, status, command)

    def _add(self, line: bytes, kind: type[Command | None]) -> "_Understood | None":
        uncoded = kind in _UNCODED
        split = _split_again if uncoded and len(line) <= _SHORT else _split
        code, last, text = split(line)
        texts = self._texts
        if texts and code != self._code:
            raise ParseError(f"a line of {code!r} in a reply of {self._code!r}")
        if len(texts) == self._most:
            raise ParseError("the reply has too many lines")
        self._code = code
        texts.append(text)
        if not last:
            return None
        self._texts = []
        return _understand(code, texts, coded=self.enhanced and not uncoded)


_Understood: TypeAlias = tuple[int, tuple[str, ...], EnhancedCode | None]


def _split(line: bytes) -> tuple[bytes, bool, bytes]:
    """Return the code of a line, whether it is the last of a reply, and its text."""
    found = _REPLY_LINE.fullmatch(line)
    if found is None:
        raise ParseError("not a line of a reply")
    code, separator, text = found.groups(b"")
    return code, separator != b"-", text


def _understand(code: bytes, texts: list[bytes], *, coded: bool) -> _Understood:
    """Return the code of a reply, its lines, and its enhanced code if it may have one.

    The enhanced code is taken off each line that begins with it.
    """
    number = int(code)
    lines = tuple(map(_decode_text, texts))
    status = _status(number, lines[0]) if coded else None
    if status is not None:
        word = lines[0].partition(" ")[0]
        lines = tuple(_without(line, word) for line in lines)
    return number, lines, status


def _understand_single(line: bytes, *, coded: bool) -> _Understood | None:
    """Understand the only line of a reply, or return None: there are more."""
    code, last, text = _split(line)
    return _understand(code, [text], coded=coded) if last else None


# A server says the same again and again: 0.1 in place of 1 us for a line, of 3 for a
# reply.
_split_again: Final = lru_cache(maxsize=128)(_split)
_coded_again: Final = lru_cache(maxsize=128)(partial(_understand_single, coded=True))
_plain_again: Final = lru_cache(maxsize=128)(partial(_understand_single, coded=False))


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
    code, kind = reply.code, type(command)
    if code == 334:  # a challenge, which is not kept
        return _write_lines(code, reply.lines, limits.auth_line)
    if (
        enhanced
        and kind not in _UNCODED
        and (kind is not Xclient or code != 220 or reply.enhanced is not None)
    ):
        return _coded(reply)
    return _plain(reply)


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


def _write_lines(code: int, lines: Sequence[str], longest: int = 512) -> bytes:
    *head, last = lines
    text = "".join(f"{code}-{line}\r\n" for line in head)
    data = f"{text}{code} {last}\r\n".encode()
    if len(data) > longest and max(map(len, data.split(b"\r\n"))) + 2 > longest:
        raise ParseError(f"a line of the reply is longer than {longest} octets")
    return data


# A server says the same again and again: 0.3 in place of 2 us.
_coded: Final = lru_cache(maxsize=128)(_write_coded)
_plain: Final = lru_cache(maxsize=128)(_write_plain)


_KEYWORD_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)((?: +[!-~]+)*) *")


def read_offers(lines: Iterable[str], known: Mapping[str, Extension]) -> Extensions:
    """Read the extensions from an EHLO response.  RFC 5321 section 4.1.1.1.

    A line that is no keyword, and one whose arguments are malformed, is passed over; of
    a keyword that comes twice the first counts.

    Args:
        lines: The lines behind the first, which is never a keyword.
        known: The extensions that can be used, by their keyword.
    """
    offers: dict[str, Extension] = {}
    for line in lines:
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
