"""Whatever a caller has, as a flow of blocks."""

import io
from collections.abc import AsyncIterator

import pytest

from driving import Driver, Peer
from smtp_pop_core import Content, Flow, Sendable
from smtp_pop_core._source import Source


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


class Half:
    """It can be read, and only half of what it takes to go back is there."""

    def read(self, size: int, /) -> bytes:
        return b""

    def tell(self) -> int:
        return 0


def flow_of(*blocks: bytes) -> "Flow[bytes]":
    yield from ()
    return blocks[0]


def blocks_of(source: Source) -> list[bytes]:
    """Take what a source gives, up to and with its end."""
    driver = Driver(Peer())
    blocks = [driver.run(source.piece())]
    while blocks[-1]:
        blocks.append(driver.run(source.piece()))
    return blocks


async def awaited(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        (b"", [b""]),
        (b"abcdefg", [b"abc", b"def", b"g", b""]),
        (b"abcdef", [b"abc", b"def", b""]),
        (io.BytesIO(b"abcdefg"), [b"abc", b"def", b"g", b""]),
        ([], [b""]),
        ([b"", b"abcdefg", b"", b"h"], [b"abcdefg", b"h", b""]),
        (iter([b"a", b"b"]), [b"a", b"b", b""]),
        (awaited(b"a", b"", b"b"), [b"a", b"b", b""]),
        (lambda: flow_of(b""), [b""]),
        (Content(lambda: flow_of(b"")), [b""]),
    ],
)
def test_a_source_gives_block_after_block(
    content: Sendable, blocks: list[bytes]
) -> None:
    assert blocks_of(Source(content, 3)) == blocks


@pytest.mark.parametrize("content", [b"ab", io.BytesIO(b"ab"), [b"ab"], awaited(b"ab")])
def test_the_end_of_a_source_stays_the_end(content: Sendable) -> None:
    source = Source(content, 3)
    assert blocks_of(source) == [b"ab", b""]
    assert blocks_of(source) == [b""]


@pytest.mark.parametrize(
    ("content", "size", "eight_bit"),
    [(b"", 0, False), (b"a\nb", 6, False), (b"a\r\n.\r\n\xe9", 9, True)],
)
def test_what_can_be_read_twice_is_surveyed(
    content: bytes, size: int, eight_bit: bool
) -> None:
    for sendable in (content, io.BytesIO(content)):
        source = Source(sendable, 2)
        survey = Driver(Peer()).run(source.survey())
        assert survey is not None
        assert (survey.size, survey.eight_bit) == (size, eight_bit)
        assert b"".join(blocks_of(source)) == content


@pytest.mark.parametrize(
    ("content", "only_crlf"),
    [
        (b"a\r\nb", True),
        (b"a\r\nb\nc", False),
        (io.BytesIO(b"a\r\nb"), False),  # somebody else may write to a file
        ([b"a\r\nb"], False),
    ],
)
def test_only_octets_that_nobody_changes_are_known_to_have_no_bare_line_end(
    content: Sendable, only_crlf: bool
) -> None:
    source = Source(content, 3)
    Driver(Peer()).run(source.survey())
    assert source.only_crlf is only_crlf


@pytest.mark.parametrize(
    "content",
    [
        [b"a\r"],
        iter([b"a"]),
        awaited(b"a"),
        Unseekable(b"a"),
        Half(),
        flow_of,
    ],
)
def test_what_can_be_read_once_is_not_surveyed(content: Sendable) -> None:
    assert Driver(Peer()).run(Source(content, 2).survey()) is None


@pytest.mark.parametrize("content", [b"a\rb", io.BytesIO(b"a\r"), b"\r\r\n"])
def test_a_survey_finds_a_bare_cr(content: Sendable) -> None:
    with pytest.raises(ValueError, match="the content holds a bare CR"):
        Driver(Peer()).run(Source(content, 2).survey())


def test_a_file_is_only_touched_by_asking() -> None:
    driver = Driver(Peer())
    driver.run(Source(io.BytesIO(b"abc"), 2).survey())
    assert driver.asked == ["seekable", "tell", "read", "read", "read", "seek"]


@pytest.mark.parametrize("content", [b"abc", [b"abc"], (b"ab", b"", b"c"), []])
def test_nobody_is_asked_for_blocks_that_are_there(content: Sendable) -> None:
    driver = Driver(Peer())
    source = Source(content, 2)
    while driver.run(source.piece()):
        pass
    assert driver.asked == []


@pytest.mark.parametrize("content", ["a", bytearray(b"a"), None, 1, object()])
def test_what_cannot_be_sent_is_no_source(content: Sendable) -> None:
    with pytest.raises(TypeError, match=r"^(the content must be bytes|cannot send)"):
        Source(content, 1)


@pytest.mark.parametrize("content", [io.StringIO("a"), ["a"], [None], [5]])
def test_what_gives_no_octets_is_found_out(content: Sendable) -> None:
    with pytest.raises(TypeError, match="content must be bytes, not"):
        blocks_of(Source(content, 1))


class Handing:
    """Hands all on to a file, as the files of `tempfile` do."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_a_file_that_is_handed_on_can_be_read_twice() -> None:
    source = Source(Handing(io.BytesIO(b"abc\r\n")), 3)  # type: ignore[arg-type]
    survey = Driver(Peer()).run(source.survey())
    assert survey is not None
    assert survey.size == 5
    assert blocks_of(source) == [b"abc", b"\r\n", b""]
