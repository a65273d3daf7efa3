"""A server for asyncio and trio, and how clients of both begin."""

import contextlib
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias

from smtp_pop_core import Refusal

from ._admission import Admission, Seat, Troubles
from ._async_clients import Pop3Client, SmtpClient
from ._async_driver import Driver
from ._async_stream import Bell, Runtime, Stop, Stream, Wire, connect
from ._async_workers import Workers
from ._log import log_mistake, new_session, report_mistake
from ._options import (
    Pop3ClientOptions,
    Service,
    SmtpClientOptions,
    pop3_client,
    smtp_client,
)
from ._sockets import (
    PASSIVE,
    File,
    end_of,
    given_or_new,
    listen_on_all,
    own_address,
    turn_all_away,
    turn_away,
)

_PAUSE: Final = 1.0  # seconds before a server that is short of something tries again
_LAST: Final = 2.0  # seconds for sessions to end that were cut off

Spawn: TypeAlias = Callable[..., object]
"""Starts an async function, given with its arguments, as a task of its own."""


class _Session:
    """A session that runs.

    Attributes:
        sock: Its socket.
        stop: What interrupts it.
        stream: Its stream, once it is open.
    """

    __slots__ = ("sock", "stop", "stream")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.stop = Stop()
        self.stream: Stream | None = None


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
        files: Iterable[File] = (),
        report: Callable[[Exception], None] | None,
    ) -> None:
        self._listeners = list(listeners)
        self.addresses = [end_of(each.getsockname()) for each in self._listeners]
        self._runtime = runtime
        self._service = service
        self._files = list(files)
        self._report = report or log_mistake
        self._troubles = Troubles(partial(report_mistake, self._report, session=""))
        self._now = runtime.clock()
        self._admission = Admission(service.terms, self._now)
        # a session may ask while it answers: a command between two chunks
        self._workers = Workers(runtime, 2 * service.terms.sessions)
        self._stop = Stop()
        self._changed = Bell()
        self._accepting = len(self._listeners)
        self._running: dict[Seat, _Session] = {}
        self._cancel: Callable[[], object] = self.close

    @property
    def sessions(self) -> int:
        """How many sessions are served now, without those that are about to end."""
        return self._admission.sessions

    @property
    def refused(self) -> Mapping[Refusal, int]:
        """How many clients were refused, by the reason."""
        return self._admission.refused

    @property
    def dismissed(self) -> int:
        """How many sessions were ended to make room for others."""
        return self._admission.dismissed

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
                    self._troubles.meet(error)
                    await self._runtime.pause(_PAUSE, self._changed)
                else:
                    self._troubles.over()
                    self._start(sock, end_of(address), spawn)
                    await self._runtime.checkpoint()
            told = self._service.refusal(Refusal.STOPPING)
            self._admission.refuse(Refusal.STOPPING, turn_all_away(listener, told))
        self._accepting -= 1
        if not self._accepting:
            self._remove_files()
        self._changed.ring()

    def _start(self, sock: socket.socket, peer: tuple[str, int], spawn: Spawn) -> None:
        seat = self._admission.let_in(self._service.origin(peer))
        if isinstance(seat, Refusal):
            turn_away(sock, self._service.refusal(seat))
            return
        self._running[seat] = session = _Session(sock)
        spawn(self._serve, session, seat, peer)

    async def _serve(
        self, session: _Session, seat: Seat, peer: tuple[str, int]
    ) -> None:
        name = new_session()
        try:
            flow = self._service.session(own_address(session.sock), peer, name, seat)
            stream = await open_stream(self._runtime, session.sock, session.stop)
            session.stream = seat.guest = stream
            driver = Driver(
                self._runtime,
                stream,
                report=self._report,
                tls=self._service.tls,
                certificate=self._service.certificate,
                session=name,
                workers=self._workers,
            )
            await driver.run(flow)
            seat.retire()
            await stream.linger()
        except Exception as error:
            report_mistake(self._report, error, name)
        finally:
            self._end(seat)

    def _end(self, seat: Seat) -> None:
        session = self._running.pop(seat)
        seat.leave()
        if session.stream is None:
            session.sock.close()
        else:
            session.stream.close()
        self._changed.ring()

    def _remove_files(self) -> None:
        for each in self._files:
            each.remove()

    def drain(self) -> None:
        """Begin to stop, without waiting: take no new sessions, end idle ones."""
        self._admission.close()
        self._stop.tell()
        for each in tuple(self._running.values()):
            each.stop.tell()
        self._changed.ring()

    async def stop(self, timeout: float = 30) -> None:
        """Take no new sessions, end idle ones with 421, and let transactions end.

        Args:
            timeout: Seconds after which what still runs is cut off.
        """
        self.drain()
        await self._until_idle(timeout)
        for each in self._running.values():
            if each.stream is not None:
                each.stream.cut()
        await self._until_idle(_LAST)
        if not self._idle:
            self._cancel()

    async def _until_idle(self, timeout: float) -> None:
        end = self._now() + timeout
        while not self._idle and (left := end - self._now()) > 0:
            await self._runtime.pause(left, self._changed)

    @property
    def _idle(self) -> bool:
        return not (self._accepting or self._running)

    def close(self) -> None:
        """Close what no task has closed, because it was cancelled before it began."""
        for each in self._listeners:
            each.close()
        self._remove_files()
        for seat in tuple(self._running):
            self._end(seat)
        self._workers.close()


async def listening(
    runtime: Runtime,
    sock: socket.socket | Iterable[socket.socket] | None,
    host: str,
    port: int,
) -> tuple[list[socket.socket], list[File]]:
    """Do what `given_or_new` does, while others run as long as a name is looked up."""
    if sock is not None or "/" in host:
        return given_or_new(sock, host, port)
    ends = await runtime.resolve(host or None, port, PASSIVE)
    return listen_on_all(list(dict.fromkeys(ends)), port), []


async def open_stream(
    runtime: Runtime, sock: socket.socket, stop: Stop | None = None
) -> Stream:
    """Take a connected socket over, which is closed if that fails."""
    sock.setblocking(False)
    with contextlib.suppress(OSError):  # a Unix socket has no such option
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Stream(runtime, await runtime.wire(sock), stop)


async def _reached(
    runtime: Runtime,
    host: str,
    port: int,
    given: socket.socket | Wire | None,
    timeout: float,
) -> tuple[Stream, str]:
    """Return the stream to a server, and the address of its end that is ours, or ""."""
    if isinstance(given, Wire):
        return Stream(runtime, given), ""
    sock = given or await connect(runtime, host, port, timeout)
    own = own_address(sock)
    return await open_stream(runtime, sock), own


async def open_smtp(
    runtime: Runtime,
    host: str,
    port: int,
    given: socket.socket | Wire | None,
    timeout: float,
    options: SmtpClientOptions,
) -> SmtpClient:
    """Connect to an SMTP server, and begin."""
    stream, own = await _reached(runtime, host, port, given, timeout)
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
    given: socket.socket | Wire | None,
    timeout: float,
    options: Pop3ClientOptions,
) -> Pop3Client:
    """Connect to a POP3 server, and begin."""
    stream, _ = await _reached(runtime, host, port, given, timeout)
    try:
        start = pop3_client(host, port, options)
        driver = Driver(runtime, stream, tls=start.tls)
        client = Pop3Client(stream, driver, start.connection)
        await client.run(start.opening)
    except BaseException:
        stream.close()
        raise
    return client
