"""What POP3 says in a line, each against a second, slower way to read it.

Unique ids, time-stamps, languages, status lines, listings in every cut, the file of
unique ids, and what TOP sends.
"""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from string import ascii_letters, digits
from typing import Final, TypeVar

from fuzz.cuts import Input, take_apart
from smtp_pop_core import Limits, pop3
from smtp_pop_core._base64 import decode_base64
from smtp_pop_core._errors import ParseError
from smtp_pop_core._lines import LineBuffer
from smtp_pop_core.pop3 import ERR, MORE, OK, Command, Response
from smtp_pop_core.pop3._grammar import (
    are_unique_ids,
    find_timestamp,
    is_language,
    is_timestamp,
    is_unique_id,
)
from smtp_pop_core.pop3._response_codec import ResponseReader
from smtp_pop_core.pop3._top import Head

V = TypeVar("V")

_LIMITS: Final = Limits(listing=300, block=50)
_BARE_CR: Final = re.compile(rb"\r(?!\n)")
_FIRST_LINE: Final = b"smtp-pop-core unique ids 1\n"
_VISIBLE: Final = frozenset(map(chr, range(33, 127)))
_LISTED: Final = (
    *(pop3.List(), pop3.Uidl(), pop3.Capa(), pop3.AuthList(), pop3.Lang()),
)
_ONE_LINE: Final = (
    *(pop3.Stat(), pop3.List(1), pop3.Uidl(1), pop3.Lang("de"), pop3.Noop(), None),
)


class _Wrong(Exception):
    """What is no sound thing for a server to say."""


def one_input(data: bytes) -> None:
    given = take_apart(data)
    CHECKS[given.choice % 16 % len(CHECKS)](given)


def _text(given: Input) -> str:
    try:
        return given.body.decode("utf-8")
    except UnicodeDecodeError:
        return given.body.decode("latin-1")


def _unique_id(given: Input) -> None:
    text = _text(given)
    assert is_unique_id(text) == _slow_unique_id(text, any_id=False)
    assert is_unique_id(text, any_id=True) == _slow_unique_id(text, any_id=True)
    words = text.split(" ")
    for any_id in (False, True):
        expected = all(_slow_unique_id(each, any_id=any_id) for each in words)
        assert are_unique_ids(words, any_id=any_id) == expected


def _slow_unique_id(text: str, *, any_id: bool) -> bool:
    if any_id:
        return bool(text) and all(each > " " and each != "\x7f" for each in text)
    return 1 <= len(text) <= 70 and _VISIBLE.issuperset(text)


def _timestamp(given: Input) -> None:
    text = _text(given)
    found = find_timestamp(text)
    assert found == _slow_timestamp(text)
    assert not found or is_timestamp(found)
    assert is_timestamp(text) == (bool(text) and _slow_timestamp(text) == text)


def _slow_timestamp(text: str) -> str:
    """Return what stands in the first angle brackets, if it looks like a msg-id."""
    begin = None
    for at, each in enumerate(text):
        if each == "<":
            begin = at
        elif each == ">" and begin is not None:
            left, _, right = text[begin + 1 : at].partition("@")
            sound = left and right and (_VISIBLE - {"@"}).issuperset(left + right)
            return text[begin : at + 1] if sound else ""
    return ""


def _language(given: Input) -> None:
    text = _text(given)
    assert is_language(text) == _slow_language(text)


def _slow_language(text: str) -> bool:
    first, *more = text.split("-")
    return text == "*" or (
        len(text) <= 100
        and 1 <= len(first) <= 8
        and set(ascii_letters).issuperset(first)
        and all(
            1 <= len(each) <= 8 and set(ascii_letters + digits).issuperset(each)
            for each in more
        )
    )


def _status(given: Input) -> None:
    line = given.body
    codes = bool(given.choice & 16)
    command = _ONE_LINE[(given.choice >> 5) % len(_ONE_LINE)]
    reader = ResponseReader(_LIMITS, any_unique_id=False)
    try:
        got = reader.add_status(line, command, codes=codes)
    except ParseError:
        got = None
    try:
        expected = _slow_status(line, command, codes=codes)
    except _Wrong:
        expected = None
    assert got == expected


def _slow_status(line: bytes, command: Command | None, *, codes: bool) -> Response:
    word, _, octets = line.partition(b" ")
    if {*b"\r\n\0"} & {*octets}:
        raise _Wrong
    if word == b"+":
        data = None
        with suppress(ParseError):
            data = decode_base64(octets)
        return Response(MORE, data=pop3.Challenge(data))
    if word not in (b"+OK", b"-ERR"):
        raise _Wrong
    code, text = _slow_code(_decoded(octets), codes=codes)
    if word == b"-ERR":
        return Response(ERR, text, code)
    match command:
        case pop3.Stat():
            messages, octets_of_all = _slow_numbers(text)
            return Response(OK, code=code, data=pop3.Totals(messages, octets_of_all))
        case pop3.List(number) | pop3.Uidl(number):
            listed = _slow_listed(command, [text], any_id=False)
            assert isinstance(listed, pop3.Sizes | pop3.UniqueIds)
            if number not in listed.by_number:
                raise _Wrong
            return Response(OK, "", code, listed)
        case pop3.Lang():
            listed = _slow_listed(command, [text], any_id=False)
            return Response(OK, "", code, listed)
        case _:
            return Response(OK, text, code)


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _slow_code(text: str, *, codes: bool) -> tuple[str | None, str]:
    inner, bracket, rest = text[1:].partition("]")
    if not (text.startswith("[") and bracket):
        return None, text
    if not all(level and _VISIBLE.issuperset(level) for level in inner.split("/")):
        return None, text
    code = inner.upper()
    if not codes and code not in ("IN-USE", "LOGIN-DELAY"):
        return None, text
    return code, rest.removeprefix(" ")


def _slow_numbers(text: str) -> tuple[int, int]:
    """Read two numbers; what follows a space behind them does not matter."""
    words = text.split(" ", 2)
    if len(words) < 2:
        raise _Wrong
    return _slow_number(words[0]), _slow_number(words[1])


def _slow_number(text: str) -> int:
    if not (1 <= len(text) <= 20 and set(digits).issuperset(text)):
        raise _Wrong
    return int(text)


def _listing(given: Input) -> None:
    command = _LISTED[(given.choice >> 5) % len(_LISTED)]
    any_id = bool(given.choice & 16)
    try:
        expected = _slow_listing(given.body, command, any_id=any_id)
    except _Wrong:
        expected = None
    for cut in given.cuts:
        assert _read_listing(cut, command, any_id=any_id) == expected


def _read_listing(
    cut: tuple[bytes, ...], command: Command, *, any_id: bool
) -> tuple[Response, bytes] | None:
    """Read a listing; return it and what stands behind it, or None if it is no good."""
    reader = ResponseReader(_LIMITS, any_unique_id=any_id)
    assert reader.add_status(b"+OK", command, codes=False) is None
    buffer = LineBuffer()
    for count, piece in enumerate(cut, 1):
        buffer.feed(piece)
        try:
            got = reader.add_listing(buffer)
        except ParseError:
            return None
        if got is not None:
            return got, buffer.peek() + b"".join(cut[count:])
    assert reader.in_listing
    return None


def _slow_listing(
    body: bytes, command: Command, *, any_id: bool
) -> tuple[Response, bytes]:
    lines: list[bytes] = []
    left = body
    while True:
        line, end, left = left.partition(b"\r\n")
        if not end:
            raise _Wrong
        if line == b".":
            break
        lines.append(line.removeprefix(b"."))
    if any({*b"\r\n"} & {*line} for line in lines):
        raise _Wrong
    if sum(len(line) + 2 for line in lines) > _LIMITS.listing:
        raise _Wrong
    text = _decoded(b"\r\n".join(lines))
    listed = _slow_listed(command, text.split("\r\n") if lines else [], any_id=any_id)
    return Response(OK, data=listed), left


def _slow_listed(command: Command, lines: list[str], *, any_id: bool) -> pop3.Data:
    match command:
        case pop3.List():
            sizes: dict[int, int] = {}
            for line in lines:
                number, size = _slow_numbers(line)
                _add(sizes, number, size)
            return pop3.Sizes(sizes)
        case pop3.Uidl():
            ids: dict[int, str] = {}
            for line in lines:
                word, _, unique_id = line.partition(" ")
                if not _slow_unique_id(unique_id, any_id=any_id):
                    raise _Wrong
                _add(ids, _slow_number(word), unique_id)
            return pop3.UniqueIds(ids)
        case pop3.Capa():
            offers = [_slow_capability(line) for line in lines]
            return pop3.CapabilityLines(tuple(each for each in offers if each))
        case pop3.AuthList():
            words = [word for line in lines for word in line.split()]
            return pop3.Mechanisms(tuple(filter(_VISIBLE.issuperset, words)))
        case _:
            parts = [line.split(" ", 1) for line in lines]
            return pop3.Languages(
                tuple(
                    pop3.Language(*part)
                    for part in parts
                    if _slow_language(part[0]) and "\0" not in part[-1]
                )
            )


def _add(listing: dict[int, V], number: int, value: V) -> None:
    if number in listing or number == 0:
        raise _Wrong
    listing[number] = value


def _slow_capability(line: str) -> tuple[str, str] | None:
    tag, *words = line.split(" ")
    words = [word for word in words if word]
    if not tag or not _VISIBLE.issuperset("".join([tag, *words])):
        return None
    return tag.upper(), " ".join(words)


def _seen(given: Input) -> None:
    data = _FIRST_LINE + given.body if given.choice & 16 else given.body
    try:
        seen = pop3.Seen.parse(data)
    except ValueError:
        seen = None
    try:
        expected = _slow_seen(data)
    except (_Wrong, UnicodeDecodeError):
        expected = None
    assert (seen is None) == (expected is None)
    if seen is None or expected is None:
        return
    assert len(seen) == expected.total()
    assert all(seen.count(each) == count for each, count in expected.items())
    assert pop3.Seen.parse(bytes(seen)) == seen
    assert bytes(seen).count(b"\n") == 1 + len(seen)


def _slow_seen(data: bytes) -> Counter[str]:
    if len(data) < len(_FIRST_LINE):
        if _FIRST_LINE[: len(data)] != data:
            raise _Wrong
        return Counter()
    first, *lines = data.split(b"\n")
    if first + b"\n" != _FIRST_LINE:
        raise _Wrong
    ids = Counter(line.decode("utf-8") for line in lines[:-1])  # the last has no end
    if not all(_slow_unique_id(each, any_id=True) for each in ids):
        raise _Wrong
    return ids


def _head(given: Input) -> None:
    """Header, empty line and some lines of the body."""
    wanted = given.choice >> 5
    expected = None if _BARE_CR.search(given.body) else _slow_head(given.body, wanted)
    for cut in given.cuts:
        head = Head(wanted)
        got = b""
        with suppress(ParseError):
            for piece in (*cut, b""):
                got += head.feed(piece)
                if head.ended:
                    break
            assert expected is None or got == expected
            continue
        assert expected is None


def _slow_head(body: bytes, wanted: int) -> bytes:
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if b"" in lines:
        lines = lines[: lines.index(b"") + 1 + wanted]
    return b"".join([line + b"\r\n" for line in lines])


CHECKS: Final[tuple[Callable[[Input], None], ...]] = (
    _unique_id,
    _timestamp,
    _language,
    _status,
    _listing,
    _seen,
    _head,
)
