"""Waits of the asyncio adapter: one timer is kept for many of them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from smtp_pop_adapters._asyncio_runtime import AsyncioRuntime, Wire


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
    return asyncio.ensure_future(wire.wait(read=True, write=False, seconds=seconds))


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
