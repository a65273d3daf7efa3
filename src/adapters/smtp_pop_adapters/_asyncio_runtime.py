"""What asyncio does in its own way: connections as protocols, tasks, timers."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from ._async_stream import Bell, End, Heard, Runtime
from ._async_stream import Wire as AbstractWire

T = TypeVar("T")

_FULL: Final = 65_536  # octets that have arrived and are not taken; then we pause


class Wire(asyncio.Protocol, AbstractWire):
    """A connection, whose octets come whether they are asked for or not.

    Args:
        sock: Its socket, which is given to the transport.
    """

    __slots__ = (
        "_arrived",
        "_behind",
        "_due",
        "_end",
        "_ended",
        "_heard",
        "_loop",
        "_sock",
        "_timer",
        "_transport",
        "_waiter",
        "gone",
    )

    at_once: ClassVar[bool] = sys.platform != "win32"  # there, octets are on their way

    def __init__(self, sock: socket.socket) -> None:
        self.gone = False
        self._sock = sock
        self._transport: asyncio.Transport | None = None
        self._arrived: bytes | bytearray = b""
        self._ended = False
        self._behind = False  # the transport may have unsent octets
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._heard: Heard | None = None
        self._end: float | None = None  # of the last wait, by the clock of the loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer rings

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # what create_connection makes is a Transport, though uvloop's does not say so
        stream: asyncio.Transport = transport  # type: ignore[assignment]
        stream.set_write_buffer_limits(0)  # so that no unsent octet goes unnoticed
        self._transport = stream

    def data_received(self, data: bytes) -> None:
        """Keep what has arrived; if nobody takes it, let the peer feel it."""
        self._keep(data)
        if len(self._arrived) >= _FULL and self._transport is not None:
            self._transport.pause_reading()
        self._tell()

    def _keep(self, data: bytes) -> None:
        if not self._arrived:
            self._arrived = data
            return
        if not isinstance(self._arrived, bytearray):
            self._arrived = bytearray(self._arrived)
        self._arrived += data

    def eof_received(self) -> bool:
        """Take note of the end; our side stays open."""
        self._ended = True
        self._tell()
        return True

    def _tell(self) -> None:
        """Let who waits know that something has arrived.

        A task that wakes up for it takes a turn of the loop, and `heard` does not.
        """
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._heard is None or not self._heard():
            _ring(waiter)

    def resume_writing(self) -> None:
        """Take note that all is sent."""
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that nothing more will come."""
        self._lose()
        self._tell()

    def _lose(self) -> None:
        """Take what the peer has said before it went: a failed write comes first."""
        if not (self._ended or self.gone):
            with contextlib.suppress(OSError):
                while data := self._sock.recv(_FULL):
                    self._keep(data)
        self._ended = self.gone = True

    # what a stream calls

    @property
    def unsent(self) -> int:
        """Octets that were put and are not sent yet."""
        if self._transport is None or self.gone or not self._behind:
            return 0
        size = self._transport.get_write_buffer_size()
        self._behind = size > 0
        return size

    def take(self, most: int | None = None) -> bytes | None:
        """Return what has arrived, b"" at the end, None if there is nothing yet."""
        if not self._arrived:
            self._look()
        arrived = self._arrived
        if not arrived:
            return b"" if self._ended else None
        data = bytes(arrived if most is None else arrived[:most])
        self._arrived = arrived[len(data) :]
        was_full = len(arrived) >= _FULL > len(self._arrived)
        if was_full and self._transport is not None and not self.gone:
            self._transport.resume_reading()
        return data

    def _look(self) -> None:
        """Find what has arrived by now, with no turn of the loop."""
        if self._ended:
            return
        try:
            if self.at_once:
                self._arrived = self._sock.recv(_FULL)
                self._ended = not self._arrived
                return
        except BlockingIOError:
            pass
        except OSError:  # a reset is told once, and now the loop will not hear of it
            self._ended = self.gone = True
        if self._transport is not None and self._transport.is_closing():
            self._lose()  # we are told of it a turn later

    def put(self, data: bytes | memoryview) -> None:
        """Send what can be sent now, and the rest later.

        What goes at once costs the transport three times as much as the socket.
        """
        if self._transport is None or self.gone or not data:
            return
        if self.at_once and not self._behind:
            try:
                sent = self._sock.send(data)
            except OSError:  # there is no room, or what the transport will find out
                sent = 0
            data = data[sent:]
            if not data:
                return
        self._behind = True
        self._transport.write(data)

    def drop(self) -> None:
        """Drop nothing: what the transport has taken it sends."""

    def wait(
        self,
        *,
        read: bool,
        write: bool,
        until: float | None,
        heard: Heard | None = None,
    ) -> Awaitable[None]:
        """Wait until something has happened; what, the caller has to see."""
        self._waiter = self._loop.create_future()
        self._heard = heard
        self.wait_on(until)
        return self._waiter

    def wait_on(self, until: float | None) -> None:
        """Let the wait end then."""
        self._end = until
        self._set_timer()

    def _set_timer(self) -> None:
        """Have a timer that rings at the end of the wait, or before.

        One that was set for an earlier wait stays, and is set anew when it has rung: a
        timer that is cancelled stays in memory until its time has come.
        """
        if self._end is None:
            return
        if self._timer is not None:
            if self._due <= self._end:
                return
            self._timer.cancel()
        self._due = self._end
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._end is None or self._waiter is None or self._waiter.done():
            return
        if self._due < self._end:
            self._set_timer()
        else:
            self.wake()

    def wake(self) -> None:
        """End the wait of another task, if there is one."""
        if self._waiter is not None:
            _ring(self._waiter)

    def end(self) -> None:
        """Say that nothing more will be sent."""
        if self._transport is not None and not self.gone:
            self._transport.write_eof()

    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""
        self._arrived = b""
        self._ended = True
        self.close()
        self.wake()

    def close(self) -> None:
        """Close at once."""
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        with contextlib.suppress(OSError):  # the loop closes it only later
            self._sock.shutdown(socket.SHUT_RDWR)


class GivenWire(AbstractWire):
    """A connection that was opened by others, and is owned from now on.

    Args:
        reader: What is read.
        writer: What is written.
    """

    at_once: ClassVar[bool] = False

    __slots__ = ("_arrived", "_ended", "_reader", "_waiting", "_writer", "gone")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.transport.set_write_buffer_limits(0)
        self.gone = False
        self._reader = reader
        self._writer = writer
        self._arrived = b""
        self._ended = False
        self._waiting: asyncio.Timeout | None = None

    @property
    def unsent(self) -> int:
        """Octets that were put and are not sent yet."""
        if self.gone or self._writer.is_closing():
            return 0
        return self._writer.transport.get_write_buffer_size()

    def take(self, most: int | None = None) -> bytes | None:
        """Return what has arrived, b"" at the end, None if there is nothing yet."""
        if not (self._arrived or self._ended):
            self._read_at_once()
        if not self._arrived:
            return b"" if self._ended else None
        data = self._arrived[:most]
        self._arrived = self._arrived[len(data) :]
        return data

    def _read_at_once(self) -> None:
        """Read what the reader holds: it ends, or waits, with its first step."""
        reading = self._read()
        with contextlib.suppress(StopIteration):
            reading.send(None)
        reading.close()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(_FULL)
        except OSError:  # reset, unreachable, or a timeout of the system
            data = b""
        self._arrived += data
        self._ended = not data

    def put(self, data: bytes | memoryview) -> None:
        """Send what can be sent now, and the rest later."""
        self.gone = self.gone or self._writer.is_closing()
        if data and not self.gone:
            self._writer.write(data)

    def drop(self) -> None:
        """Drop nothing: what the writer has taken it sends."""

    async def wait(
        self,
        *,
        read: bool,
        write: bool,
        until: float | None,
        heard: Heard | None = None,
    ) -> None:
        """Wait until something has arrived, or all is sent; what, the caller sees."""
        try:
            async with asyncio.timeout_at(until) as self._waiting:
                if not write:
                    await self._read()
                elif not read:
                    await self._drain()
                else:
                    await self._drain_unless_read()
        except TimeoutError:
            pass  # the caller sees
        finally:
            self._waiting = None

    def wake(self) -> None:
        """End the wait of another task, if there is one."""
        waiting = self._waiting
        if waiting is not None and not waiting.expired():
            waiting.reschedule(asyncio.get_running_loop().time())

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:  # the peer is gone: the next read says so
            self.gone = True
        await asyncio.sleep(0)  # if there was nothing to wait for

    async def _drain_unless_read(self) -> None:
        async def read() -> None:
            await self._read()
            self.wake()

        reading = asyncio.ensure_future(read())
        try:
            await self._drain()
        finally:
            reading.cancel()  # what it has not returned stays in the reader
            await asyncio.wait({reading})

    def end(self) -> None:
        """Say that nothing more will be sent, where that is not to close."""
        if not self._writer.is_closing() and self._writer.can_write_eof():
            self._writer.write_eof()

    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""
        self._arrived = b""
        self._ended = self.gone = True
        self._writer.transport.abort()

    def close(self) -> None:
        """Close at once, or as soon as the writer has ended TLS of its own."""
        if self.unsent:
            self._writer.transport.abort()
        self.gone = True
        self._writer.close()


class AsyncioRuntime(Runtime):
    """Asyncio, with any event loop."""

    def clock(self) -> Callable[[], float]:
        """Return the clock of the loop."""
        return asyncio.get_running_loop().time

    async def checkpoint(self) -> None:
        """Let others run."""
        await asyncio.sleep(0)

    async def heed_cancel(self) -> None:
        """Be cancelled if that is wanted."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            await asyncio.sleep(0)

    async def pause(self, seconds: float | None, bell: Bell | None) -> None:
        """Let so many seconds pass, or wait for the bell."""
        await _rest(asyncio.get_running_loop().create_future(), seconds, bell)

    async def within(
        self, seconds: float, function: Callable[..., Awaitable[T]], *arguments: object
    ) -> T:
        """Call a function that may take so long."""
        async with asyncio.timeout(seconds):
            return await function(*arguments)

    async def shielded(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function that is carried out to its end, whoever is cancelled."""
        return await ended(asyncio.ensure_future(function()))

    def post(self) -> Callable[..., object]:
        """Return what lets the loop call a function."""
        return asyncio.get_running_loop().call_soon_threadsafe

    async def resolve(self, host: str | None, port: int, flags: int = 0) -> list[End]:
        """Find the addresses of a name, with the flags of `getaddrinfo`."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        return [(family, address) for family, _, _, _, address in found]

    async def connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket."""
        await asyncio.get_running_loop().sock_connect(sock, address)

    async def arrival(self, listener: socket.socket, bell: Bell) -> None:
        """Wait until somebody may have connected, or for the bell.

        A loop that cannot watch a socket, as on Windows, looks ten times a second.
        """
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        try:
            loop.add_reader(listener, _ring, arrived)
        except NotImplementedError:
            await _rest(arrived, 0.1, bell)
            return
        try:
            await _rest(arrived, None, bell)
        finally:
            loop.remove_reader(listener)

    async def wire(self, sock: socket.socket) -> Wire:
        """Take a connected socket over, which is closed if that fails."""
        wire = Wire(sock)
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: wire, sock=sock)
        except BaseException:
            wire.close()
            sock.close()
            raise
        return wire


async def _rest(
    waiter: asyncio.Future[None], seconds: float | None, bell: Bell | None
) -> None:
    """Wait for a future, a bell, or for so many seconds."""
    wake = partial(_ring, waiter)
    timer = None
    if seconds is not None:
        timer = asyncio.get_running_loop().call_later(seconds, wake)
    if bell is not None:
        bell.add(wake)
    try:
        await waiter
    finally:
        if bell is not None:
            bell.remove(wake)
        if timer is not None:
            timer.cancel()


def _ring(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def ended(task: asyncio.Future[T]) -> T:
    """Wait for the end of a task, even if we are cancelled meanwhile; say so then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # else it would be logged as never retrieved
        raise cancelled
    return task.result()
