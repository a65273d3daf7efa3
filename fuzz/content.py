"""Content as it travels, in every cut, and its coders against each other.

A second, slower way to the same result stands beside each of them, line by line.
"""

import re
from collections.abc import Iterable
from typing import Final

from fuzz.cuts import take_apart
from smtp_pop_core._dots import LineEnds, Stuffer, Survey, Unstuffer
from smtp_pop_core._errors import ParseError

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_BARE_CR: Final = re.compile(rb"\r(?!\n)")


def one_input(data: bytes) -> None:
    given = take_apart(data)
    _unstuff(given.body, given.cuts)
    _survey(given.body, given.cuts)
    for lf_ends_lines in (False, True):
        _stuff(given.body, given.cuts, lf_ends_lines=lf_ends_lines)
    _line_ends(given.body, given.cuts)


def _unstuff(body: bytes, cuts: Iterable[tuple[bytes, ...]]) -> None:
    content, found, rest = _up_to_end(body)
    for cut in cuts:
        unstuffer = Unstuffer()
        got = b"".join([unstuffer.feed(piece) for piece in cut])
        assert unstuffer.ended == found
        assert unstuffer.rest == rest
        if found:
            assert got == content
            assert unstuffer.bare == _has_bare(content)
        else:
            assert content.startswith(got)
            assert len(content) - len(got) <= 3  # CRLF, dot, CR may wait for more
    if found and not _has_bare(content):
        assert _unstuffed(_stuffed((content,), lf_ends_lines=False)) == content


def _up_to_end(body: bytes) -> tuple[bytes, bool, bytes]:
    r"""Return the content, whether it has an end, and what stands behind the end.

    Content begins with a line; only CRLF ends one.
    """
    lines: list[bytes] = []
    left = body
    while left:
        line, end, behind = left.partition(b"\r\n")
        if line == b"." and end:
            return b"".join(lines), True, behind
        lines.append(line.removeprefix(b".") + end)
        left = behind
    return b"".join(lines), False, b""


def _has_bare(content: bytes) -> bool:
    return bool(_BARE_CR.search(content) or _BARE_LF.search(content))


def _survey(body: bytes, cuts: Iterable[tuple[bytes, ...]]) -> None:
    bare_cr, bare_lf = bool(_BARE_CR.search(body)), bool(_BARE_LF.search(body))
    for cut in cuts:
        survey = Survey()
        for piece in cut:
            survey.feed(piece)
        survey.finish()
        assert survey.bare_cr == bare_cr
        assert survey.bare_lf == bare_lf
        assert survey.eight_bit == (not body.isascii())
        assert survey.size == len(_whole_lines(body))


def _whole_lines(body: bytes) -> bytes:
    """Return content in which CRLF ends every line, also the last."""
    lines = _BARE_LF.sub(b"\r\n", body)
    return lines if not lines or lines.endswith(b"\n") else lines + b"\r\n"


def _stuff(
    body: bytes, cuts: Iterable[tuple[bytes, ...]], *, lf_ends_lines: bool
) -> None:
    fails = bool(_BARE_CR.search(body)) or (
        not lf_ends_lines and bool(_BARE_LF.search(body))
    )
    content = _whole_lines(body)
    for cut in cuts:
        try:
            wire = _stuffed(cut, lf_ends_lines=lf_ends_lines)
        except ParseError:
            assert fails
            continue
        assert not fails
        assert not _has_bare(wire)
        assert _unstuffed(wire) == content
        assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3


def _stuffed(cut: Iterable[bytes], *, lf_ends_lines: bool) -> bytes:
    stuffer = Stuffer()
    wire = b"".join([stuffer.feed(each, lf_ends_lines=lf_ends_lines) for each in cut])
    end = stuffer.end()
    assert end in (b".\r\n", b"\r\n.\r\n")
    content = _unstuffed(wire + end)
    assert stuffer.octets == len(content)
    return wire + end


def _unstuffed(wire: bytes) -> bytes:
    unstuffer = Unstuffer()
    content = unstuffer.feed(wire)
    assert unstuffer.ended
    assert not unstuffer.rest
    return content


def _line_ends(body: bytes, cuts: Iterable[tuple[bytes, ...]]) -> None:
    for cut in cuts:
        ends = LineEnds()
        try:
            got = b"".join([*[ends.feed(piece) for piece in cut], ends.end()])
        except ParseError:
            assert _BARE_CR.search(body)
        else:
            assert not _BARE_CR.search(body)
            assert got == _whole_lines(body)
