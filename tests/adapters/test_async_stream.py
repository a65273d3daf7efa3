"""What only drivers of asyncio and trio do: threads, tasks and cancellation."""

import contextlib
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from asynchronous import Kit
from certificates import NAME, client_context, server_context
from pairs import pair
from smtp_pop_adapters._async_driver import Driver
from smtp_pop_adapters._async_server import open_stream
from smtp_pop_adapters._async_stream import Stream
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
    Report,
    Sleep,
    Write,
    read,
)

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds


# Streams


async def test_the_callers_own_deadline_loses_no_octet(kit: Kit) -> None:
    async with pair(kit) as (stream, peer):
        with pytest.raises(TimeoutError):
            async with kit.soon():
                await stream.receive()
        peer.sendall(b"late")
        assert await stream.receive() == b"late"


async def test_who_takes_nothing_of_what_tls_says_for_itself_is_gone(kit: Kit) -> None:
    one, other = socket.socketpair()
    one.setblocking(False)
    wire = await kit.runtime.wire(one)
    with (
        contextlib.closing(Stream(kit.runtime, wire)) as stream,
        contextlib.closing(await open_stream(kit.runtime, other)) as client,
    ):
        async with kit.tasks() as start:
            start(lambda: stream.handshake(server_context(), None))
            await client.handshake(client_context(), NAME)
        await client.transmit(b"hello")
        wire.put(LONG)
        assert await stream.receive() == b""
    await kit.checkpoint()


async def test_others_run_while_a_stream_does_nothing_but_write(kit: Kit) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("here")

    async with pair(kit) as (stream, _), kit.tasks() as start:
        start(note)
        for _ in range(3):
            await stream.transmit(b"x")
        assert ran == ["here"]


# The driver


async def double(number: int) -> int:
    return 2 * number


async def test_a_flow_ends_with_its_result(kit: Kit) -> None:
    def flow() -> Flow[list[object]]:
        return [
            (yield Deadline(30)),
            (yield Write(b"hello")),
            (yield Read()),
            (yield Ask(divmod, (7, 2))),
            (yield Ask(double, (7,))),
            (yield Ask(double, (8,), shield=True)),
            (yield Sleep(0)),
            (yield On("", Write(b"!", heed=True))),
            (yield On("", Read())),
        ]

    async with pair(kit) as (stream, peer):
        peer.sendall(b"hi")
        driver = Driver(kit.runtime, stream)
        async with kit.tasks() as start:
            outcome = start(lambda: driver.run(flow()))
            assert await kit.thread(lambda: peer.recv(5)) == b"hello"
            await kit.checkpoint()
            peer.shutdown(socket.SHUT_WR)
            *answers, heard, end = await outcome.result()
        assert answers == [None, False, b"hi", (3, 1), 14, 16, None]
        assert heard in (False, True)  # the end may have come before
        assert end == b""


async def test_what_goes_wrong_is_thrown_into_the_flow(kit: Kit) -> None:
    async def fail() -> None:
        await kit.checkpoint()
        raise ValueError("a mistake")

    def flow(function: Callable[..., object]) -> Flow[str]:
        try:
            yield Ask(function)
        except ValueError as error:
            return str(error)
        return "nothing was thrown"

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await driver.run(flow(fail)) == "a mistake"
        assert "invalid literal" in await driver.run(flow(lambda: int("x")))


async def test_what_a_flow_raises_when_the_peer_speaks_is_raised(kit: Kit) -> None:
    def flow() -> Flow[None]:
        raise ValueError((yield Read()))

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        outcome = start(lambda: Driver(kit.runtime, stream).run(flow()))
        await kit.checkpoint()
        peer.sendall(b"nonsense")
        assert str(await outcome.result()) == "b'nonsense'"


async def test_a_write_that_need_not_wait_has_a_deadline_too(kit: Kit) -> None:
    def flow() -> Flow[bool]:
        try:
            yield Write(b"hello")
        except TimeoutError:
            return False
        return True

    async with pair(kit) as (stream, peer):
        driver = Driver(kit.runtime, stream)
        with stream.within(0):
            assert await driver.run(flow()) is False
        assert await driver.run(flow()) is True
        assert peer.recv(100) == b"hello"


@pytest.mark.parametrize("heed", [False, True])
async def test_a_flow_whose_peer_has_gone_writes_to_nobody_and_reads_the_end(
    kit: Kit, heed: bool
) -> None:
    def flow() -> Flow[list[object]]:
        answers: list[object] = []
        for _ in range(3):
            answers += [(yield Write(b"hello", heed)), (yield Read())]
        return answers

    async with pair(kit) as (stream, peer):
        peer.sendall(b"bye")
        peer.close()
        answers = await Driver(kit.runtime, stream).run(flow())
        assert answers == [heed, b"bye", heed, b"", heed, b""]


@pytest.mark.parametrize("early", [0, 30, 60])
async def test_others_run_while_a_flow_does_nothing_but_read(
    kit: Kit, early: int
) -> None:
    ran: list[str] = []

    async def note() -> None:
        await kit.checkpoint()
        ran.append("here")

    def flow() -> Flow[list[str]]:
        yield Deadline(30)
        for _ in range(60):
            assert (yield Read(1)) == b"x"
        return list(ran)

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        peer.sendall(b"x" * early)
        outcome = start(lambda: Driver(kit.runtime, stream).run(flow()))
        await kit.checkpoint()
        peer.sendall(b"x" * (60 - early))
        start(note)
        assert await outcome.result() == ["here"]


async def test_a_flow_finds_the_context_of_who_runs_it(kit: Kit) -> None:
    name = ContextVar("name", default="nobody")

    def flow() -> Flow[list[str]]:
        names = [name.get()]
        for _ in range(2):
            yield Read()
            names.append(name.get())
        return names

    async def run(stream: Stream) -> list[str]:
        name.set("alice")
        return await Driver(kit.runtime, stream).run(flow())

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        outcome = start(lambda: run(stream))
        await kit.checkpoint()
        peer.sendall(b"x")
        peer.shutdown(socket.SHUT_WR)
        assert await outcome.result() == ["alice"] * 3


async def test_a_deadline_that_is_said_when_the_peer_speaks_holds(kit: Kit) -> None:
    def flow() -> Flow[None]:
        yield Deadline(3600)
        yield Read()
        yield Deadline(SOON)
        yield Read()

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        outcome = start(lambda: Driver(kit.runtime, stream).run(flow()))
        await kit.checkpoint()
        peer.sendall(b"x")
        assert isinstance(await outcome.result(), TimeoutError)


@pytest.mark.parametrize("heed", [False, True])
@pytest.mark.parametrize("words", [b"", b"552 no\r\n"])
async def test_what_a_socket_does_not_take_at_once_is_waited_for(
    kit: Kit, heed: bool, words: bytes
) -> None:
    data = b"x" * 60_000

    def flow() -> Flow[bool]:
        yield Read()
        heard: bool = yield Write(data, heed)
        return heard

    one, other = socket.socketpair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    with contextlib.closing(await open_stream(kit.runtime, one)) as stream, other:
        async with kit.tasks() as start:
            outcome = start(lambda: Driver(kit.runtime, stream).run(flow()))
            await kit.checkpoint()
            other.sendall(b"354 go on\r\n")
            received = await kit.thread(lambda: other.recv(1))
            other.sendall(words)
            stops = heed and words != b""
            rest = 0 if stops else len(data) - 1
            received += await kit.thread(lambda: other.recv(rest, socket.MSG_WAITALL))
            assert await outcome.result() is stops
            assert data.startswith(received)
    await kit.checkpoint()


async def test_what_a_flow_owes_is_done_also_if_it_is_cancelled_as_the_peer_speaks(
    kit: Kit,
) -> None:
    told: list[str] = []

    async def tell(what: str) -> None:
        await kit.checkpoint()
        told.append(what)

    def flow(cancel: Callable[[], object]) -> Flow[None]:
        yield Read()
        cancel()
        yield Ask(tell, ("owed",), shield=True)
        yield Note("this too")
        yield Read()
        told.append("never")

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        driver = Driver(kit.runtime, stream)
        outcome = start(
            lambda: kit.until_cancelled(lambda cancel: driver.run(flow(cancel)))
        )
        await kit.checkpoint()
        peer.sendall(b"x")
        assert await outcome.result() is None
        assert told == ["owed"]


async def test_a_block_is_not_lost_if_its_reader_is_cancelled_as_it_comes(
    kit: Kit,
) -> None:
    got: list[bytes] = []

    def piece(cancel: Callable[[], object]) -> Flow[bytes]:
        block = yield from read()
        cancel()
        return block

    async def take(blocks: AsyncBlocks) -> None:
        async for block in blocks:
            got.append(block)
            break

    def flow(cancel: Callable[[], object]) -> Flow[None]:
        yield Ask(take, (Content(lambda: piece(cancel)),))

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        driver = Driver(kit.runtime, stream)
        outcome = start(
            lambda: kit.until_cancelled(lambda cancel: driver.run(flow(cancel)))
        )
        await kit.checkpoint()
        peer.sendall(b"a block")
        assert await outcome.result() is None
        assert got == [b"a block"]


class Keeper:
    """An object that is called, and keeps the blocks that it gets."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def __call__(self, blocks: AsyncBlocks) -> None:
        async for block in blocks:
            self.blocks.append(block)


async def test_async_functions_get_content_as_it_comes(kit: Kit) -> None:
    def flow() -> Flow[None]:
        yield Ask(keeper, (Content(read),))

    keeper = Keeper()
    async with pair(kit) as (stream, peer), kit.tasks() as start:
        kept = start(lambda: Driver(kit.runtime, stream).run(flow()))
        peer.sendall(b"one")
        while keeper.blocks != [b"one"]:
            await kit.checkpoint()
        peer.sendall(b"two")
        peer.close()
        assert await kept.result() is None
        assert b"".join(keeper.blocks) == b"onetwo"


async def test_async_functions_can_read_content_whole(kit: Kit) -> None:
    async def whole(blocks: AsyncBlocks) -> bytes:
        return await blocks.read()

    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(whole, (Content(read),))
        return octets

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        received = start(lambda: Driver(kit.runtime, stream).run(flow()))
        await kit.thread(lambda: peer.sendall(LONG))
        peer.close()
        assert await received.result() == LONG


async def test_only_what_may_block_is_called_in_a_thread(kit: Kit) -> None:
    def flow() -> Flow[list[int]]:
        return [
            (yield Ask(threading.get_ident, quick=True)),
            (yield Ask(ident)),
            (yield Ask(threading.get_ident)),
        ]

    async def ident() -> int:
        return threading.get_ident()

    async with pair(kit) as (stream, _):
        quick, awaited, plain = await Driver(kit.runtime, stream).run(flow())
    assert quick == awaited == threading.get_ident()
    assert plain != quick


async def test_a_plain_function_may_return_what_is_awaited(kit: Kit) -> None:
    def flow() -> Flow[int]:
        number: int = yield Ask(lambda: double(4))
        return number

    async with pair(kit) as (stream, _):
        assert await Driver(kit.runtime, stream).run(flow()) == 8
        assert await kit.cancelled_at(
            1, lambda: Driver(kit.runtime, stream).run(flow())
        )


async def test_who_is_cancelled_waits_for_the_thread_and_has_its_answer(
    kit: Kit,
) -> None:
    told: list[object] = []

    def fail() -> None:
        raise ValueError("a mistake")

    def flow(function: Callable[..., object]) -> Flow[None]:
        try:
            told.append((yield Ask(function)))
        except ValueError as error:
            yield Report(error)
        yield Ask(told.append, ("owed",), shield=True)
        try:
            yield Sleep(3600)
        finally:
            told.append("ended")

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream, report=told.append)
        assert await kit.cancelled_at(1, lambda: driver.run(flow(lambda: 7)))
        assert told == [7, "owed", "ended"]
        told.clear()
        assert await kit.cancelled_at(1, lambda: driver.run(flow(fail)))
        assert str(told.pop(0)) == "a mistake"
        assert told == ["owed", "ended"]


async def test_a_thread_that_waits_for_content_is_told_of_the_cancellation(
    kit: Kit,
) -> None:
    told: list[object] = []

    def take(blocks: Blocks) -> None:
        for again in (True, True, False):
            try:
                blocks.read()
            except MessageAborted as error:
                told.append(str(error))
                if not again:
                    raise

    def flow() -> Flow[None]:
        yield Ask(take, (Content(read),))

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        for number in range(1, 3):
            told.clear()
            assert await kit.cancelled_at(number, lambda: driver.run(flow()))
            assert told == ["the session was cancelled"] * 3


async def test_what_is_asked_for_content_while_a_thread_waits_has_its_own(
    kit: Kit,
) -> None:
    def piece() -> Flow[bytes]:
        block: bytes = yield Ask(next, (blocks, b""))
        return block

    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(Blocks.read, (Content(piece),))
        return octets

    blocks = iter([b"one", b"two"])
    async with pair(kit) as (stream, _):
        assert await Driver(kit.runtime, stream).run(flow()) == b"onetwo"


async def test_plain_functions_meet_the_break_where_it_is(kit: Kit) -> None:
    pieces = iter([b"one", b"two"])

    def piece() -> Flow[bytes]:
        yield Sleep(0)
        for each in pieces:
            return each
        raise MessageAborted("the connection was lost")

    taken: list[bytes] = []

    def keep(blocks: Blocks) -> None:
        taken.extend(blocks)

    def flow() -> Flow[None]:
        yield Ask(keep, (Content(piece),))

    async with pair(kit) as (stream, _):
        with pytest.raises(MessageAborted):
            await Driver(kit.runtime, stream).run(flow())
        assert taken == [b"one", b"two"]


async def test_a_flow_is_closed_when_it_is_cancelled(kit: Kit) -> None:
    closed = []

    def flow() -> Flow[None]:
        try:
            yield Sleep(3600)
        finally:
            closed.append(True)

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await kit.cancelled_at(1, lambda: driver.run(flow()))
        assert closed == [True]


async def test_a_flow_that_is_cancelled_may_ask_and_report_but_nothing_else(
    kit: Kit,
) -> None:
    told: list[object] = []
    mistakes: list[Exception] = []

    async def tell(what: str) -> None:
        await kit.checkpoint()
        told.append(what)

    async def fail() -> None:
        await kit.checkpoint()
        raise ValueError("a mistake")

    def flow() -> Flow[None]:
        try:
            yield Sleep(3600)
        except BaseException:
            yield Ask(tell, ("first",), shield=True)
            try:
                yield Ask(fail)
            except ValueError as error:
                yield Report(error)
            yield Write(b"never")
            told.append("never")
            raise

    async with pair(kit) as (stream, peer):
        driver = Driver(kit.runtime, stream, report=mistakes.append)
        assert await kit.cancelled_at(1, lambda: driver.run(flow()))
        assert told == ["first"]
        assert [str(each) for each in mistakes] == ["a mistake"]
        stream.close()
        await kit.checkpoint()
        assert peer.recv(100) == b""


@pytest.mark.parametrize("number", [1, 2])
async def test_what_is_shielded_is_carried_out_to_its_end(
    kit: Kit, number: int
) -> None:
    told = []

    async def slow(fails: bool) -> None:
        for _ in range(5):
            await kit.checkpoint()
        told.append(fails)
        if fails:
            raise ValueError("a mistake")

    def flow(fails: bool) -> Flow[None]:
        yield Ask(slow, (fails,), shield=True)
        yield Sleep(3600)

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await kit.cancelled_at(number, lambda: driver.run(flow(False)))
        with contextlib.suppress(ValueError):
            assert await kit.cancelled_at(number, lambda: driver.run(flow(True)))
        assert told == [False, True]


async def test_content_that_was_kept_has_nothing_more_to_give(kit: Kit) -> None:
    def flow(function: Callable[..., object], content: Content) -> Flow[Blocks]:
        blocks: Blocks = yield Ask(function, (content,))
        return blocks

    def keep(blocks: Blocks) -> Blocks:
        return blocks

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        content = Content(read)
        blocks = await driver.run(flow(keep, content))
        with pytest.raises(MessageAborted):
            blocks.read()
        content.ended = True
        assert blocks.read() == b""
