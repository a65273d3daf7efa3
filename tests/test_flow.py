"""Flows themselves: reading, labels, and content that arrives."""

from collections.abc import Generator

import pytest

from driving import Close, Driver, Expect, Peer, Say, finished, play
from smtp_pop_core import (
    Ask,
    AsyncBlocks,
    Blocks,
    Content,
    Deadline,
    Flow,
    MessageAborted,
    Note,
    On,
    Read,
    Sleep,
    Write,
    on,
    read,
)


def parts(*given: bytes | Exception) -> Content:
    """Give content that arrives in these parts."""
    left = list(given)

    def piece() -> Flow[bytes]:
        yield Sleep(1)
        part = left.pop(0)
        if isinstance(part, Exception):
            raise part
        return part

    return Content(piece)


def echo() -> Flow[bytes]:
    """Say twice what is read, whatever happens to the reading."""
    try:
        data = yield from read()
    except TimeoutError:
        data = b"late"
    yield Write(data)
    yield Write(data)
    return data


# Reading.


def test_a_read_gives_what_the_peer_says_and_then_its_end() -> None:
    def both() -> Flow[tuple[bytes, bytes]]:
        first = yield from read()
        return first, (yield from read())

    assert play(both(), Say(b"a"), Close()) == (b"a", b"")


# Notes.


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "ended"),
        ({"port": 25, "address": "192.0.2.1"}, "ended port=25 address=192.0.2.1"),
        ({"sender": ""}, 'ended sender=""'),
        ({"user": "a b"}, 'ended user="a b"'),
        ({"user": "a=b"}, 'ended user="a=b"'),
        ({"user": 'a"b'}, r'ended user="a\"b"'),
        ({"commands": {"EHLO": 1, "MAIL": 2}}, "ended commands=EHLO:1,MAIL:2"),
        ({"commands": {}}, "ended commands=-"),
        ({"codes": {250: 3}}, "ended codes=250:3"),
    ],
)
def test_a_note_is_one_line(fields: dict[str, object], line: str) -> None:
    assert str(Note("ended", fields)) == line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("joe", "joe"),
        ("jörg", "jörg"),
        ("", ""),
        ("a\r\nconnected address=x", r"a\r\nconnected address=x"),
        ("\0\x1b[31m\x7f\x85", r"\x00\x1b[31m\x7f\x85"),
        ("\u2028\u202e\u200b", r"\u2028\u202e\u200b"),
        ("\ud800\U000e0001", r"\ud800\U000e0001"),
        (r"a\nb", r"a\\nb"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 256 + "..."),
        ("\n" * 300, r"\n" * 256 + "..."),
    ],
)
def test_what_a_peer_wrote_does_not_break_out_of_a_note(
    text: str, escaped: str
) -> None:
    """No second line, no colours, no text that runs backwards: log injection."""
    assert Note("ended", {"user": text}).fields == {"user": escaped}


# Labels.


def test_each_request_is_labelled() -> None:
    flow = on("back", echo())
    assert next(flow) == On("back", Read())
    assert flow.send(b"x") == On("back", Write(b"x"))
    assert flow.send(False) == On("back", Write(b"x"))
    with pytest.raises(StopIteration) as caught:
        flow.send(False)
    assert caught.value.value == b"x"


def test_a_label_stays_as_it_is() -> None:
    assert next(on("outer", on("inner", echo()))) == On("inner", Read())


def test_a_flow_that_asks_for_nothing_returns() -> None:
    def nothing() -> Flow[int]:
        yield from ()
        return 7

    assert play(on("back", nothing())) == 7


def test_two_streams_are_driven_by_one_flow() -> None:
    def relay() -> Flow[bytes]:
        data = yield from read()
        yield On("back", Write(data))
        return (yield from on("back", read()))

    front, back = Peer(Say(b"question")), Peer(Expect(b"question"), Say(b"answer"))
    assert Driver(front, back=back).run(relay()) == b"answer"


def test_an_error_is_thrown_into_the_flow_behind_the_label() -> None:
    flow = on("back", echo())
    next(flow)
    assert flow.throw(TimeoutError()) == On("back", Write(b"late"))
    assert flow.send(False) == On("back", Write(b"late"))


def test_an_error_that_the_flow_does_not_catch_comes_out() -> None:
    flow = on("back", echo())
    next(flow)
    with pytest.raises(KeyError):
        flow.throw(KeyError())


def test_to_close_the_label_closes_the_flow() -> None:
    closed = []

    def noting() -> Generator[Deadline, object, None]:
        try:
            yield Deadline(None)
        finally:
            closed.append(True)

    flow = on("back", noting())
    next(flow)
    flow.close()
    assert closed == [True]


# Content.


def test_content_is_given_piece_by_piece_until_its_end() -> None:
    driver, content = Driver(Peer()), parts(b"a", b"b", b"")
    assert driver.run(content.piece()) == b"a"
    assert not content.ended
    assert driver.run(content.piece()) == b"b"
    assert driver.run(content.piece()) == b""
    assert content.ended
    assert driver.run(content.piece()) == b""


def test_who_gives_up_reading_content_may_read_it_again() -> None:
    driver, content = Driver(Peer()), parts(b"a", b"b", b"c", b"d", b"")
    for steps in (3, 1, 2):  # to "b", to what was read, to "c"
        reading = content.read()
        for _ in range(steps):
            reading.send(None)
        reading.close()
    assert driver.run(content.piece()) == b"abc"
    assert driver.run(content.read()) == b"d"


def test_content_is_read_whole() -> None:
    content = parts(b"a", b"b", b"c", b"")
    driver = Driver(Peer())
    driver.run(content.piece())
    assert driver.run(content.read()) == b"bc"
    assert driver.run(content.read()) == b""


def test_blocks_are_iterated_or_read() -> None:
    driver = Driver(Peer())
    assert list(Blocks(driver.run, parts(b"a", b"b", b""))) == [b"a", b"b"]
    assert Blocks(driver.run, parts(b"a", b"b", b"")).read() == b"ab"
    blocks = Blocks(driver.run, parts(b"a", b"b", b"c", b""))
    assert next(iter(blocks)) == b"a"
    assert list(blocks) == [b"b", b"c"]
    assert blocks.read() == b""


def test_async_blocks_are_iterated_or_read() -> None:
    driver = Driver(Peer())

    async def run(flow: Flow[bytes]) -> bytes:
        return driver.run(flow)

    async def iterated(blocks: AsyncBlocks) -> list[bytes]:
        return [block async for block in blocks]

    blocks = AsyncBlocks(run, parts(b"a", b"b", b""))
    assert finished(iterated(blocks)) == [b"a", b"b"]
    assert finished(blocks.read()) == b""
    assert finished(AsyncBlocks(run, parts(b"a", b"b", b"")).read()) == b"ab"


def test_content_that_is_not_to_be_had_is_never_ended() -> None:
    driver = Driver(Peer())
    content = parts(b"a", MessageAborted("gone"), MessageAborted("gone"))
    blocks = Blocks(driver.run, content)
    got: list[bytes] = []
    with pytest.raises(MessageAborted):
        got.extend(blocks)
    with pytest.raises(MessageAborted):
        blocks.read()
    assert not content.ended


def test_content_among_the_arguments_is_handed_over_as_blocks() -> None:
    def asking() -> Flow[bytes]:
        data: bytes = yield Ask(lambda blocks: blocks.read(), (parts(b"a", b""),))
        return data

    assert play(asking()) == b"a"
