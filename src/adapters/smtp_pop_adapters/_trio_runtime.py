"""What trio does in its own way: sockets that are waited for in cancel scopes."""

import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, Final, TypeVar

import trio

from ._async_stream import Bell, End, Heard, Runtime
from ._async_stream import Wire as AbstractWire

T = TypeVar("T")

_CHUNK: Final = 65_536  # octets of one read
_STEPS: Final = 3  # in which a stream gives what it has


class Wire(AbstractWire):
    """A connection on a socket that never blocks.

    Args:
        sock: The socket.
    """

    __slots__ = ("_sock", "_unsent", "_waiting", "gone")

    def __init__(self, sock: socket.socket) -> None:
        self.gone = False
        self._sock = sock
        self._unsent = bytearray()
        self._waiting: trio.CancelScope | None = None  # the last one

    @property
    def unsent(self) -> int:
        """Octets that were put and are not sent yet."""
        return len(self._unsent)

    def take(self, most: int | None = None) -> bytes | None:
        """Return what has arrived, b"" at the end, None if there is nothing yet."""
        try:
            return self._sock.recv(_CHUNK if most is None else most)
        except BlockingIOError:
            return None
        except OSError:  # reset, unreachable, or a timeout of the system
            return b""

    def put(self, data: bytes | memoryview) -> None:
        """Send what can be sent now, and the rest in `wait`."""
        self._unsent += data
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # the peer is gone: the next read says so
            self.gone = True
            self._unsent.clear()

    def drop(self) -> None:
        """Drop what is unsent."""
        self._unsent.clear()

    async def wait(
        self,
        *,
        read: bool,
        write: bool,
        until: float | None,
        heard: Heard | None = None,
    ) -> None:
        """Wait until the socket is ready, and send what is unsent."""
        write = write or bool(self._unsent)
        with _scope(until) as self._waiting:
            if read and write:
                await self._wait_for_either(self._waiting)
            elif read:
                await trio.lowlevel.wait_readable(self._sock)
            else:
                await trio.lowlevel.wait_writable(self._sock)
        self._send()

    def wake(self) -> None:
        """End the wait of another task, if there is one."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait_for_either(self, scope: trio.CancelScope) -> None:
        async def first(
            wait: Callable[[socket.socket], Awaitable[None]],
        ) -> None:
            await wait(self._sock)
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first, trio.lowlevel.wait_readable)
            nursery.start_soon(first, trio.lowlevel.wait_writable)

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self._sock.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close at once."""
        self.gone = True
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
        self._sock.close()


class GivenWire(AbstractWire):
    """A connection that was opened by others, and is owned from now on.

    It is gone when it could not be waited for until something was sent: nobody knows
    how much of it was.

    Args:
        stream: The connection.
    """

    at_once: ClassVar[bool] = False

    __slots__ = ("_arrived", "_ended", "_stream", "_unsent", "_waiting", "gone")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.gone = False
        self._stream = stream
        self._arrived = b""
        self._ended = False
        self._unsent = bytearray()
        self._waiting: trio.CancelScope | None = None  # the last one

    @property
    def unsent(self) -> int:
        """Octets that were put and are not sent yet."""
        return len(self._unsent)

    def take(self, most: int | None = None) -> bytes | None:
        """Return what has arrived, b"" at the end, None if there is nothing yet."""
        if not self._arrived:
            return b"" if self._ended else None
        data = self._arrived[:most]
        self._arrived = self._arrived[len(data) :]
        return data

    async def hear(self) -> None:
        """Find out what has arrived by now."""
        if not (self._arrived or self._ended):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                for _ in range(_STEPS):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()

    async def _read(self) -> None:
        try:
            data = bytes(await self._stream.receive_some())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        self._arrived += data
        self._ended = not data

    def put(self, data: bytes | memoryview) -> None:
        """Keep it until `wait` sends it."""
        if not self.gone:
            self._unsent += data

    async def _send(self) -> None:
        data, sent = bytes(self._unsent), False
        self._unsent.clear()
        try:
            await self._stream.send_all(data)
            sent = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone: the next read says so
        finally:
            self.gone = self.gone or not sent

    def drop(self) -> None:
        """Drop what is unsent."""
        self._unsent.clear()

    async def wait(
        self,
        *,
        read: bool,
        write: bool,
        until: float | None,
        heard: Heard | None = None,
    ) -> None:
        """Wait until something has arrived, or all that was put is sent."""

        async def first(function: Callable[[], Awaitable[None]]) -> None:
            await function()
            scope.cancel()

        with _scope(until) as scope:
            self._waiting = scope
            if not self._unsent:
                await self._read()
            elif not read:
                await self._send()
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(first, self._send)
                    nursery.start_soon(first, self._read)

    def wake(self) -> None:
        """End the wait of another task, if there is one."""
        if self._waiting is not None:
            self._waiting.cancel()

    def end(self) -> None:
        """Say nothing: only the close of a stream does."""

    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""
        self._arrived = b""
        self._ended = True
        self.close()

    def close(self) -> None:
        """Close at once, which trio does in a task."""
        self.gone = True
        self._unsent.clear()
        trio.lowlevel.spawn_system_task(_close, self._stream)


async def _close(stream: trio.abc.Stream) -> None:
    with contextlib.suppress(Exception):  # a system task must not fail
        await trio.aclose_forcefully(stream)


class TrioRuntime(Runtime):
    """Trio."""

    def clock(self) -> Callable[[], float]:
        """Return trio's clock."""
        return trio.lowlevel.current_clock().current_time

    async def checkpoint(self) -> None:
        """Let others run, and be cancelled if that is wanted."""
        await trio.lowlevel.checkpoint()

    async def heed_cancel(self) -> None:
        """Be cancelled if that is wanted."""
        await trio.lowlevel.checkpoint_if_cancelled()

    async def pause(self, seconds: float | None, bell: Bell | None) -> None:
        """Let so many seconds pass, or wait for the bell."""
        with _rest(seconds, bell):
            await trio.sleep_forever()

    async def within(
        self, seconds: float, function: Callable[..., Awaitable[T]], *arguments: object
    ) -> T:
        """Call a function that may take so long."""
        with trio.move_on_after(seconds):
            return await function(*arguments)
        raise TimeoutError("the peer was too slow")

    async def shielded(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function that is carried out to its end, whoever is cancelled."""
        with trio.CancelScope(shield=True):
            return await function()
        raise AssertionError("nobody cancels this scope")

    def post(self) -> Callable[..., object]:
        """Return what lets trio call a function."""
        return trio.lowlevel.current_trio_token().run_sync_soon

    async def resolve(self, host: str | None, port: int, flags: int = 0) -> list[End]:
        """Find the addresses of a name, with the flags of `getaddrinfo`."""
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=flags
        )
        return [(family, address) for family, _, _, _, address in found]

    async def connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket."""
        await trio.socket.from_stdlib_socket(sock).connect(address)

    async def arrival(self, listener: socket.socket, bell: Bell) -> None:
        """Wait until somebody may have connected, or for the bell."""
        with _rest(None, bell):
            await trio.lowlevel.wait_readable(listener)

    async def wire(self, sock: socket.socket) -> Wire:
        """Take a connected socket over."""
        return Wire(sock)


@contextlib.contextmanager
def _rest(seconds: float | None, bell: Bell | None) -> Iterator[trio.CancelScope]:
    """What is awaited in this context ends after so many seconds, or with a bell."""
    scope = _scope(None if seconds is None else trio.current_time() + seconds)
    if bell is not None:
        bell.add(scope.cancel)
    try:
        with scope:
            yield scope
    finally:
        if bell is not None:
            bell.remove(scope.cancel)


def _scope(until: float | None) -> trio.CancelScope:
    """Return a scope that ends then."""
    return trio.CancelScope(deadline=math.inf if until is None else until)
