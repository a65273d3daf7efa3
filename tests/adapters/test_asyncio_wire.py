"""Waits of the asyncio adapter: one timer is kept for many of them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from smtp_pop_adapters._async_driver import Driver
from smtp_pop_adapters._async_stream import Stream
from smtp_pop_adapters._asyncio_runtime import AsyncioRuntime, Wire
from smtp_pop_core import Deadline, Flow, Read


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    forward = 0.0

    def time(self) -> float:
        return super().time() + self.forward

    async def let_pass(self, seconds: float) -> None:
        self.forward += seconds
        for _ in range(5):
            await asyncio.sleep(0)


def run(talk: Callable[[Loop, Wire], Awaitable[None]]) -> None:
    async def connected() -> None:
        one, other = socket.socketpair()
        one.setblocking(False)
        with other:
            wire = await AsyncioRuntime().wire(one)
            try:
                await talk(loop, wire)
            finally:
                wire.close()
                await loop.let_pass(0)

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(connected())


def begin(wire: Wire, seconds: float | None) -> asyncio.Future[None]:
    now = asyncio.get_running_loop().time()
    until = None if seconds is None else now + seconds
    return asyncio.ensure_future(wire.wait(read=True, write=False, until=until))


@pytest.mark.parametrize("earlier", [None, 10, 30, 50])
def test_a_wait_ends_in_its_time_whatever_was_waited_for_before(
    earlier: float | None,
) -> None:
    async def talk(loop: Loop, wire: Wire) -> None:
        before = begin(wire, earlier)
        wire.wake()
        await before
        waiting = begin(wire, 30)
        await loop.let_pass(29)
        assert not waiting.done()
        await loop.let_pass(2)
        assert waiting.done()

    run(talk)


def test_an_earlier_bound_does_not_end_a_wait_without_one() -> None:
    async def talk(loop: Loop, wire: Wire) -> None:
        before = begin(wire, 10)
        wire.wake()
        await before
        waiting = begin(wire, None)
        await loop.let_pass(1_000)
        assert not waiting.done()
        wire.wake()
        await waiting

    run(talk)


@pytest.mark.parametrize("seconds", [5, 10, 50])
def test_a_wait_that_goes_on_ends_in_its_new_time(seconds: float) -> None:
    async def talk(loop: Loop, wire: Wire) -> None:
        waiting = begin(wire, 10)
        wire.wait_on(loop.time() + seconds)
        await loop.let_pass(seconds - 1)
        assert not waiting.done()
        await loop.let_pass(2)
        assert waiting.done()

    run(talk)


def test_who_speaks_when_the_time_is_over_is_too_slow_and_heard_in_the_next() -> None:
    def flow() -> Flow[bytes]:
        yield Deadline(10)
        with pytest.raises(TimeoutError):
            yield Read()
        yield Deadline(10)
        words: bytes = yield Read()
        end: bytes = yield Read()
        return words + end

    async def talk(loop: Loop, wire: Wire) -> None:
        runtime = AsyncioRuntime()
        driver = Driver(runtime, Stream(runtime, wire))
        running = asyncio.ensure_future(driver.run(flow()))
        await asyncio.sleep(0)
        loop.forward += 11
        wire.data_received(b"late")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wire.eof_received()
        assert await running == b"late"

    run(talk)


def test_a_time_that_passes_while_nobody_waits_ends_nothing() -> None:
    async def talk(loop: Loop, wire: Wire) -> None:
        before = begin(wire, 10)
        wire.wake()
        await before
        await loop.let_pass(20)
        waiting = begin(wire, 10)
        await loop.let_pass(9)
        assert not waiting.done()
        await loop.let_pass(2)
        assert waiting.done()

    run(talk)
