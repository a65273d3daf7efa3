"""Line ends of content that is counted and not stuffed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, octets, pieces
from smtp_pop_core._dots import LineEnds, Stuffer, Unstuffer
from smtp_pop_core._errors import ParseError

TEXTS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b".", b"a", b"\xe9", b"\0", b"\n.\n"]), max_size=20
).map(b"".join)


def with_crlf(blocks: list[bytes] | tuple[bytes, ...]) -> bytes:
    """Give a text in blocks with CRLF for every line end, also the last."""
    line_ends = LineEnds()
    return b"".join([*map(line_ends.feed, blocks), line_ends.end()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b"a\n", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"\n", b"\r\n"),
        (b"\r\n", b"\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"\n\r\n", b"\r\n\r\n"),
        (b"\r\n\n", b"\r\n\r\n"),
        (b"a\nb\r\nc", b"a\r\nb\r\nc\r\n"),
        (b".\n..\n", b".\r\n..\r\n"),
        (b"\0\xff\n", b"\0\xff\r\n"),
    ],
)
def test_every_line_end_becomes_crlf(text: bytes, expected: bytes) -> None:
    for cut in every_cut(text):
        assert with_crlf(cut) == expected


@pytest.mark.parametrize("text", [b"\ra", b"a\rb\n", b"\r\r\n", b"a\n\rb", b"\r\r"])
def test_a_bare_cr_is_an_error(text: bytes) -> None:
    for cut in every_cut(text):
        with pytest.raises(ParseError, match="bare CR"):
            with_crlf(cut)


@pytest.mark.parametrize("text", [b"\r", b"a\r", b"a\n\r", b"a\r\n\r"])
def test_a_cr_at_the_end_is_an_error(text: bytes) -> None:
    for cut in every_cut(text):
        with pytest.raises(ParseError, match="ends with a bare CR"):
            with_crlf(cut)


def test_a_block_with_a_bare_cr_changes_nothing() -> None:
    line_ends = LineEnds()
    assert line_ends.feed(b"a\r") == b"a"
    with pytest.raises(ParseError):
        line_ends.feed(b"b")
    assert line_ends.feed(b"\nb") == b"\r\nb"
    assert line_ends.end() == b"\r\n"


def test_empty_blocks_are_nothing() -> None:
    line_ends = LineEnds()
    assert [line_ends.feed(b""), line_ends.end()] == [b"", b""]
    assert [line_ends.feed(b"a"), line_ends.feed(b""), line_ends.end()] == [
        *(b"a", b"", b"\r\n")
    ]


@given(text=TEXTS, data=st.data())
def test_how_the_text_is_cut_changes_nothing(text: bytes, data: st.DataObject) -> None:
    expected = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    expected += b"\r\n" * bool(text and not text.endswith(b"\n"))
    assert with_crlf(data.draw(pieces(text))) == expected
    assert with_crlf(octets(text)) == expected


@given(TEXTS)
def test_the_same_arrives_as_with_dots(text: bytes) -> None:
    stuffer, unstuffer = Stuffer(), Unstuffer()
    wire = stuffer.feed(text, lf_ends_lines=True) + stuffer.end()
    assert unstuffer.feed(wire) == with_crlf([text])
