"""A server for asyncio and trio, and how clients of both begin."""

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from ._async_clients import Pop3Client, SmtpClient
from ._async_driver import Driver
from ._async_stream import Bell, Runtime, Stop, Stream, connect
from ._driver import log_mistake
from ._log import new_session, report_mistake
from ._options import (
    Pop3ClientOptions,
    Service,
    SmtpClientOptions,
    pop3_client,
    smtp_client,
)
from ._sockets import end_of, own_address

_PAUSE: Final = 1.0  # seconds before a server that is short of something tries again
_LAST: Final = 2.0  # seconds for sessions to end that were cut off

Spawn: TypeAlias = Callable[..., object]
"""Starts an async function, given with its arguments, as a task of its own."""


class Server:
    """A running server.

    Attributes:
        addresses: What it listens on: address and port; for a Unix socket path and 0.
    """

    def __init__(
        self,
        runtime: Runtime,
        listeners: Iterable[socket.socket],
        service: Service,
        *,
        sessions: int,
        report: Callable[[Exception], None] | None,
    ) -> None:
        self._listeners = list(listeners)
        self.addresses = [end_of(each.getsockname()) for each in self._listeners]
        self._runtime = runtime
        self._service = service
        self._report = report or log_mistake
        self._most = sessions
        self._stop = Stop()
        self._changed = Bell()
        self._accepting = len(self._listeners)
        self._running: dict[socket.socket, Stream | None] = {}
        self._cancel: Callable[[], object] = self.close

    def begin(self, spawn: Spawn, cancel: Callable[[], object]) -> None:
        """Begin to accept.

        Args:
            spawn: Starts a task.
            cancel: Cancels all tasks that were started.
        """
        self._cancel = cancel
        for each in self._listeners:
            each.setblocking(False)
            spawn(self._accept, each, spawn)

    async def _accept(self, listener: socket.socket, spawn: Spawn) -> None:
        with contextlib.closing(listener):
            while not self._stop.told:
                try:
                    sock, address = listener.accept()
                except BlockingIOError:
                    await self._runtime.arrival(listener, self._stop)
                except ConnectionError:  # it was closed again before we came to it
                    continue
                except OSError as error:  # too many descriptors, for example
                    self._report(error)
                    await self._runtime.pause(_PAUSE, self._stop)
                else:
                    await self._start(sock, address, spawn)
        self._accepting -= 1
        self._changed.ring()

    async def _start(self, sock: socket.socket, address: object, spawn: Spawn) -> None:
        try:
            with self._stop.waking(self._changed.ring):
                while len(self._running) >= self._most and not self._stop.told:
                    await self._runtime.pause(None, self._changed)
            await self._runtime.checkpoint()
        except BaseException:
            sock.close()
            raise
        self._running[sock] = None
        spawn(self._serve, sock, end_of(address))

    async def _serve(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        session = new_session()
        try:
            flow = self._service.session(own_address(sock), peer, session)
            stream = await open_stream(self._runtime, sock, self._stop)
            self._running[sock] = stream
            driver = Driver(
                self._runtime,
                stream,
                report=self._report,
                tls=self._service.tls,
                certificate=self._service.certificate,
                session=session,
            )
            await driver.run(flow)
            await stream.linger()
        except Exception as error:
            report_mistake(self._report, error, session)
        finally:
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        stream = self._running.pop(sock)
        if stream is None:
            sock.close()
        else:
            stream.close()
        self._changed.ring()

    def drain(self) -> None:
        """Begin to stop, without waiting: take no new sessions, end idle ones."""
        self._stop.tell()

    async def stop(self, timeout: float = 30) -> None:
        """Take no new sessions, end idle ones with 421, and let transactions end.

        Args:
            timeout: Seconds after which what still runs is cut off.
        """
        self.drain()
        await self._until_idle(timeout)
        for stream in self._running.values():
            if stream is not None:
                stream.cut()
        await self._until_idle(_LAST)
        if not self._idle:
            self._cancel()

    async def _until_idle(self, timeout: float) -> None:
        end = self._runtime.now() + timeout
        while not self._idle and (left := end - self._runtime.now()) > 0:
            await self._runtime.pause(left, self._changed)

    @property
    def _idle(self) -> bool:
        return not (self._accepting or self._running)

    def close(self) -> None:
        """Close what no task has closed, because it was cancelled before it began."""
        for each in self._listeners:
            each.close()
        for sock in tuple(self._running):
            self._end(sock)


async def open_stream(
    runtime: Runtime, sock: socket.socket, stop: Stop | None = None
) -> Stream:
    """Take a connected socket over, which is closed if that fails."""
    sock.setblocking(False)
    with contextlib.suppress(OSError):  # a Unix socket has no such option
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Stream(runtime, await runtime.wire(sock), stop)


async def open_smtp(
    runtime: Runtime,
    host: str,
    port: int,
    sock: socket.socket | None,
    timeout: float,
    options: SmtpClientOptions,
) -> SmtpClient:
    """Connect to an SMTP server, and begin."""
    sock = sock or await connect(runtime, host, port, timeout)
    own = own_address(sock)
    stream = await open_stream(runtime, sock)
    try:
        start = smtp_client(host, port, own, options)
        driver = Driver(runtime, stream, tls=start.tls)
        client = SmtpClient(stream, driver, start.connection)
        await client.run(start.opening)
    except BaseException:
        stream.close()
        raise
    return client


async def open_pop3(
    runtime: Runtime,
    host: str,
    port: int,
    sock: socket.socket | None,
    timeout: float,
    options: Pop3ClientOptions,
) -> Pop3Client:
    """Connect to a POP3 server, and begin."""
    sock = sock or await connect(runtime, host, port, timeout)
    stream = await open_stream(runtime, sock)
    try:
        start = pop3_client(host, port, options)
        driver = Driver(runtime, stream, tls=start.tls)
        client = Pop3Client(stream, driver, start.connection)
        await client.run(start.opening)
    except BaseException:
        stream.close()
        raise
    return client
