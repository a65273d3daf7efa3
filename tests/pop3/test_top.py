"""What TOP sends, against a reference that is slow and plain."""

from collections.abc import Iterable
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, pieces
from smtp_pop_core.pop3._top import Head

CONTENTS: Final = [
    *(b"", b"a", b"a\n", b"a\r\n", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\n\r\n"),
    *(b"a\n\nb", b"a\r\n\r\nb\r\n", b"a\nb\n\nc\nd\n\ne", b"a\r\n\nb\n\r\n\r\nc\n"),
    *(
        b"\nb\nc",
        b"\n\n\n\n",
        b"a\nb\nc",
        b"a\r\n.\r\n\r\n.\r\n..\r\n",
        b"a: b\n \n\nc",
    ),
]


def slow(content: bytes, lines: int) -> bytes:
    """Return the header, the empty line, and so many lines more."""
    text = content.replace(b"\r\n", b"\n").removesuffix(b"\n")
    whole = [line + b"\r\n" for line in text.split(b"\n")] if content else []
    header = whole.index(b"\r\n") + 1 if b"\r\n" in whole else len(whole)
    return b"".join(whole[: header + lines])


def passed(head: Head, blocks: Iterable[bytes]) -> tuple[bytes, int]:
    """Return what passes, and how many blocks were taken for it."""
    out, taken = b"", 0
    for block in (*blocks, b""):
        if not head.ended:
            out += head.feed(block)
            taken += 1
    assert head.ended
    return out, taken


@pytest.mark.parametrize("content", CONTENTS)
def test_top_is_the_same_for_every_cut(content: bytes) -> None:
    for lines, blocks in product(range(8), every_cut(content)):
        assert passed(Head(lines), blocks)[0] == slow(content, lines)


LINES: Final = st.sampled_from([b"", b"", b"a", b"b c", b".", b"x: y"])
ENDS: Final = st.sampled_from([b"\n", b"\r\n"])


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    whole = draw(st.lists(st.tuples(LINES, ENDS), max_size=12))
    return b"".join(line + end for line, end in whole) + draw(LINES)


@given(st.data(), contents(), st.integers(0, 14))
def test_top_is_the_same_for_any_content(
    data: st.DataObject, content: bytes, lines: int
) -> None:
    blocks = data.draw(pieces(content))
    assert passed(Head(lines), blocks)[0] == slow(content, lines)


@pytest.mark.parametrize(
    ("blocks", "lines", "taken"),
    [
        ([b"a\n\n", b"b\n"], 0, 1),
        ([b"a\n\nb", b"c\n"], 0, 1),
        ([b"a\n", b"\n", b"b\n", b"c\n", b"d\n"], 1, 3),
        ([b"a\n\nb\nc\nd\n", b"e\n"], 3, 1),
        ([b"a\n\nb\nc\nd", b"\n", b"e\n"], 3, 2),
        ([b"\n", b"a"], 0, 1),
        ([b"a\n", b"b\n"], 0, 3),
        ([b"a\n\nb\n", b"c\n"], 9, 3),
    ],
)
def test_no_more_is_read_than_is_wanted(
    blocks: list[bytes], lines: int, taken: int
) -> None:
    assert passed(Head(lines), blocks)[1] == taken


def test_a_number_of_lines_may_be_huge() -> None:
    """Nothing is allocated by it."""
    assert passed(Head(10**20 - 1), [b"a\n\nb\n"])[0] == b"a\r\n\r\nb\r\n"


@pytest.mark.parametrize("blocks", [[b"a\rb"], [b"a\r", b"b"], [b"a\n\nb\r", b""]])
def test_a_bare_cr_does_not_pass(blocks: list[bytes]) -> None:
    head = Head(9)
    *before, last = blocks
    for block in before:
        head.feed(block)
    with pytest.raises(ValueError, match="bare CR"):
        head.feed(last)


def test_a_header_of_many_blocks_takes_linear_time() -> None:
    head = Head(0)
    for _ in range(20_000):
        assert head.feed(b"x: y\n") == b"x: y\r\n"
    assert head.feed(b"\n") == b"\r\n"
    assert head.ended
