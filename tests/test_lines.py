import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, octets, pieces
from smtp_pop_core._errors import LineTooLong
from smtp_pop_core._lines import LineBuffer

LIMIT = 6
TOO_LONG = None  # stands for a line that was refused

STREAMS = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"aaaa", b"aaaaaaaa"])
).map(b"".join)

CASES = [
    # stream, its lines, what is left of it
    (b"", [], b""),
    (b"\r\n", [b""], b""),
    (b"abcd\r\n", [b"abcd"], b""),  # exactly the limit
    (b"abcde\r\n", [TOO_LONG], b""),  # one more
    (b"abcde", [], b"abcde"),
    (b"abcd\r", [], b"abcd\r"),
    (b"abcde\r", [TOO_LONG], b""),
    (b"abcdef", [TOO_LONG], b""),
    (b"abcdefghijklm\r\nok\r\n", [TOO_LONG, b"ok"], b""),
    (b"abcdefgh\r\n\r\nijklmnop\r\nok\r\nx", [TOO_LONG, b"", TOO_LONG, b"ok"], b"x"),
    (b"abcdef\rgh\nij\r\nok\r\n", [TOO_LONG, b"ok"], b""),
    (b"abcdef\r\r\nok\r\n", [TOO_LONG, b"ok"], b""),
    (b"a\nb\r\n", [b"a\nb"], b""),
    (b"a\rb\r\n", [b"a\rb"], b""),
    (b"a\r\r\n", [b"a\r"], b""),
    (b"\n\r\n\r", [b"\n"], b"\r"),
]


def drain(buffer: LineBuffer, limit: int = LIMIT) -> list[bytes | None]:
    lines: list[bytes | None] = []
    while True:
        try:
            line = buffer.take_line(limit)
        except LineTooLong:
            lines.append(TOO_LONG)
        else:
            if line is None:
                return lines
            lines.append(line)


def lines_of(cut: tuple[bytes, ...] | list[bytes]) -> tuple[list[bytes | None], bytes]:
    buffer = LineBuffer()
    lines = drain(buffer)
    for piece in cut:
        buffer.feed(piece)
        lines += drain(buffer)
    return lines, buffer.peek()


def reference(stream: bytes) -> tuple[list[bytes | None], bytes]:
    """Say the same an octet at a time."""
    lines: list[bytes | None] = []
    line = b""
    for octet in octets(stream):
        line += octet
        if line.endswith(b"\r\n"):
            lines.append(line[:-2] if len(line) <= LIMIT else TOO_LONG)
            line = b""
    if len(line) >= LIMIT:
        return [*lines, TOO_LONG], b""
    return lines, line


@pytest.mark.parametrize(("stream", "lines", "left"), CASES)
def test_every_cut_gives_the_same_lines(
    stream: bytes, lines: list[bytes | None], left: bytes
) -> None:
    assert reference(stream) == (lines, left)
    for cut in every_cut(stream):
        assert lines_of(cut) == (lines, left)


@given(st.data(), STREAMS)
def test_any_stream_gives_the_lines_of_the_reference(
    data: st.DataObject, stream: bytes
) -> None:
    assert lines_of(data.draw(pieces(stream))) == reference(stream)


def test_a_line_is_too_long_as_soon_as_no_end_can_save_it() -> None:
    buffer = LineBuffer()
    buffer.feed(b"abcde")
    assert buffer.take_line(6) is None
    buffer.feed(b"\r")
    with pytest.raises(LineTooLong, match="line is longer than 6 octets"):
        buffer.take_line(6)


def test_the_limit_may_differ_from_line_to_line() -> None:
    buffer = LineBuffer()
    buffer.feed(b"abcdefgh\r\nabcdefgh\r\n")
    assert buffer.take_line(10) == b"abcdefgh"
    with pytest.raises(LineTooLong):
        buffer.take_line(9)
    assert len(buffer) == 0


def test_nothing_of_a_line_that_is_too_long_is_kept() -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * 1_000)
    with pytest.raises(LineTooLong):
        buffer.take_line(512)
    assert len(buffer) == 0
    for octet in octets(b"xx\rxx\nxx\r" * 1_000):
        buffer.feed(octet)
        assert len(buffer) == 0
    assert buffer.take_line(512) is None
    buffer.feed(b"\nQUIT\r\n")
    assert buffer.take_line(512) == b"QUIT"


def test_dropping_everything_does_not_end_a_line_that_is_too_long() -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * 512)
    with pytest.raises(LineTooLong):
        buffer.take_line(512)
    buffer.feed(b"xx\r")
    buffer.drop(len(buffer))
    buffer.feed(b"\nQUIT\r\n")
    assert buffer.take_line(512) == b"QUIT"


def test_len_counts_the_octets_that_are_left() -> None:
    buffer = LineBuffer()
    buffer.feed(b"DATA\r\nfirst\r\n")
    buffer.feed(b"")
    assert buffer.take_line(512) == b"DATA"
    assert len(buffer) == 7
    assert buffer.peek(5) == b"first"
    buffer.drop(5)
    assert buffer.peek() == b"\r\n"
    assert len(buffer) == 2


def test_peeking_leaves_everything_where_it_is() -> None:
    buffer = LineBuffer()
    buffer.feed(b"QUIT\r")
    assert buffer.take_line(512) is None
    assert buffer.peek() == b"QUIT\r"
    buffer.feed(b"\n")
    assert buffer.take_line(512) == b"QUIT"


def test_after_octets_were_dropped_the_search_begins_anew() -> None:
    buffer = LineBuffer()
    buffer.feed(b"a long line without its end")
    assert buffer.take_line(512) is None
    buffer.drop(len(buffer))
    buffer.feed(b"\r\n")
    assert buffer.take_line(512) == b""


def test_octets_are_taken_up_to_a_limit() -> None:
    buffer = LineBuffer()
    assert buffer.take(5) == b""
    buffer.feed(b"firstsecond")
    assert buffer.take(5) == b"first"
    assert buffer.take(6) == b"second"
    assert buffer.take(6) == b""
    buffer.feed(b"third")
    assert buffer.take(6) == b"third"
    assert len(buffer) == 0


@given(
    st.data(),
    STREAMS,
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=8),
)
def test_what_is_put_back_is_taken_again(
    data: st.DataObject, stream: bytes, steps: list[tuple[int, int]]
) -> None:
    buffer = LineBuffer()
    for piece in data.draw(pieces(stream)):
        buffer.feed(piece)
    left = stream
    for limit, kept in steps:
        assert buffer.take(limit) == left[:limit]
        back = left[:limit][kept:]
        buffer.put_back(back)
        left = back + left[limit:]
        assert (len(buffer), buffer.peek()) == (len(left), left)
    assert drain(buffer) == reference(left)[0]


def test_a_line_that_was_searched_in_vain_may_be_put_back() -> None:
    buffer = LineBuffer()
    buffer.feed(b"QUIT\r")
    assert buffer.take_line(512) is None
    buffer.put_back(buffer.take(512))
    buffer.feed(b"\n")
    assert buffer.take_line(512) == b"QUIT"


def test_what_is_taken_after_a_search_in_vain_does_not_count_in_the_next_one() -> None:
    buffer = LineBuffer()
    buffer.feed(b"content")
    assert buffer.take_line(512) is None
    assert buffer.take(512) == b"content"
    buffer.feed(b"\r\nQUIT\r\n")
    assert buffer.take_line(512) == b""
    assert buffer.take_line(512) == b"QUIT"
