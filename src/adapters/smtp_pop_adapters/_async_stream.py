"""Streams of the asyncio and trio adapters: what both do in the same way.

What they do not do in the same way is a `Runtime`, and a `Wire` for each connection,
which never blocks: who finds nothing to read or no room to write calls its `wait`.
"""

import contextlib
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from smtp_pop_core import Negotiated, Stopping

from ._async_tls import Tls
from ._deadline import Deadline

T = TypeVar("T")
End: TypeAlias = tuple[int, Any]  # of which family, where
Heard: TypeAlias = Callable[[], bool]
"""Takes what has arrived; returns whether there is nothing to wake up for."""

_PIECE: Final = 65_536  # octets that are handed to the wire in one go
_LINGER: Final = 2.0  # seconds that a peer has to take our last words
_IN_A_ROW: Final = 16  # reads and writes that need not wait, before others run
_UNTAKEN: Final = 1_048_576  # octets of TLS itself that a peer may leave untaken


class Bell:
    """Wakes all who wait for it."""

    __slots__ = ("_wakers",)

    def __init__(self) -> None:
        self._wakers: list[Callable[[], None]] = []  # they are few

    def ring(self) -> None:
        """Wake all who wait now."""
        for wake in tuple(self._wakers):
            wake()

    def add(self, wake: Callable[[], None]) -> None:
        """Call a function at each ring, until it is removed."""
        self._wakers.append(wake)

    def remove(self, wake: Callable[[], None]) -> None:
        """Call a function no more."""
        self._wakers.remove(wake)


class Stop(Bell):
    """Told once, heard by all who wait: the server is about to end.

    Attributes:
        told: Whether it was told.
    """

    __slots__ = ("told",)

    def __init__(self) -> None:
        super().__init__()
        self.told = False

    def tell(self) -> None:
        """Wake all who wait now; who comes later asks `told`."""
        self.told = True
        self.ring()


class Wire(ABC):
    """An open connection, without TLS.

    Attributes:
        gone: Whether what is put is dropped, because the peer is gone.
        at_once: Whether `take` finds what has arrived by now; else that takes two turns
            of the loop.
    """

    __slots__ = ()

    gone: bool
    at_once: ClassVar[bool] = True

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Octets that were put and are not sent yet."""

    @abstractmethod
    def take(self, most: int | None = None) -> bytes | None:
        """Return what has arrived, b"" at the end, None if there is nothing yet.

        Args:
            most: How many octets at most; None: as many as there are.
        """

    async def hear(self) -> None:  # noqa: B027 - what most have heard by then
        """Do so where it takes turns of the loop, after two of them."""

    @abstractmethod
    def put(self, data: bytes | memoryview) -> None:
        """Send what can be sent now, and the rest in `wait`."""

    @abstractmethod
    def drop(self) -> None:
        """Drop what is unsent, if it can be taken back."""

    @abstractmethod
    def wait(
        self,
        *,
        read: bool,
        write: bool,
        until: float | None,
        heard: Heard | None = None,
    ) -> Awaitable[None]:
        """Wait until something may have arrived, or has been sent, or for `wake`.

        Args:
            read: Whether to wait for the peer.
            write: Whether to wait for room.
            until: Till when at most, by the clock of the runtime.
            heard: What may be called when something has arrived, in place of our waking
                up for it, by a wire that is told of it.
        """

    def wait_on(self, until: float | None) -> None:  # noqa: B027 - few are told
        """Let the wait that `heard` has prolonged end then."""

    @abstractmethod
    def wake(self) -> None:
        """End the wait of another task, if there is one."""

    @abstractmethod
    def end(self) -> None:
        """Say that nothing more will be sent.

        Raises:
            OSError: The peer is gone.
        """

    @abstractmethod
    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""

    @abstractmethod
    def close(self) -> None:
        """Close at once."""


class Runtime(ABC):
    """What asyncio and trio do each in their own way."""

    @abstractmethod
    def clock(self) -> Callable[[], float]:
        """Return the clock that deadlines are measured by, in seconds."""

    @abstractmethod
    async def checkpoint(self) -> None:
        """Let others run, and be cancelled if that is wanted."""

    @abstractmethod
    async def heed_cancel(self) -> None:
        """Be cancelled if that is wanted; others need not run."""

    @abstractmethod
    async def pause(self, seconds: float | None, bell: Bell | None) -> None:
        """Let so many seconds pass, or wait for the bell."""

    @abstractmethod
    async def within(
        self, seconds: float, function: Callable[..., Awaitable[T]], *arguments: object
    ) -> T:
        """Call a function that may take so long.

        Raises:
            TimeoutError: It took longer.
        """

    @abstractmethod
    async def shielded(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function that is carried out to its end, whoever is cancelled."""

    @abstractmethod
    def post(self) -> Callable[..., object]:
        """Return what lets the loop call a function, given with its arguments.

        It is called in any thread.
        """

    @abstractmethod
    async def resolve(self, host: str | None, port: int, flags: int = 0) -> list[End]:
        """Find the addresses of a name, with the flags of `getaddrinfo`."""

    @abstractmethod
    async def connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket."""

    @abstractmethod
    async def arrival(self, listener: socket.socket, bell: Bell) -> None:
        """Wait until somebody may have connected, or for the bell."""

    @abstractmethod
    async def wire(self, sock: socket.socket) -> Wire:
        """Take a connected socket over, which is closed if that fails."""


class Stream:
    """A connection with a deadline.

    Args:
        runtime: What runs us.
        wire: The connection.  It is owned from now on.
        stop: What interrupts waiting for the peer, once, with Stopping.
    """

    __slots__ = (
        "_deadline",
        "_early",
        "_in_a_row",
        "_resting",
        "_runtime",
        "_stop",
        "_tls",
        "_wire",
    )

    def __init__(self, runtime: Runtime, wire: Wire, stop: Stop | None = None) -> None:
        self._runtime = runtime
        self._wire = wire
        self._stop = stop
        self._deadline = Deadline(runtime.clock())
        self._early: bytes | None = None  # received, but not asked for yet
        self._resting = False  # in a wait that can be interrupted
        self._in_a_row = 0  # reads and writes since others have run
        self._tls: Tls | None = None
        if stop is not None:
            stop.add(wire.wake)

    def set_deadline(self, seconds: float | None, *, idle: bool = False) -> None:
        """Let reads and writes together take so many seconds from now.

        Args:
            seconds: How many; None: there is no bound.
            idle: Whether nothing would be lost if the peer had to go.
        """
        self._deadline.set(seconds, idle=idle)

    @property
    def idle_since(self) -> float | None:
        """When the wait has begun in which nothing would be lost, or None."""
        return self._deadline.idle_since

    def dismiss(self) -> bool:
        """Let the deadline pass of who waits for the peer.

        Returns:
            Whether somebody has waited; else nothing has happened.
        """
        if self._stop is None or not self._resting:
            return False
        self._deadline.pass_now()
        self._wire.wake()
        return True

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Let all that is waited for in the context take so many seconds together."""
        return self._deadline.within(seconds)

    async def receive(self, most: int | None = None) -> bytes:
        """Return what the peer says next, b"" at its end or when it is gone.

        Args:
            most: How many octets at most; None: as many as there are.

        Raises:
            TimeoutError: The deadline has passed.
            Stopping: Once, when the server is about to end.
        """
        waited = False
        while not self.has_spoken(most):
            waited = True
            await self.arrival()
        if not waited:  # others must run even if there is always something
            await self.give_way()
        return self.take(most)

    def has_spoken(self, most: int | None = None) -> bool:
        """Return whether the peer has said something, or closed, that is not received.

        Args:
            most: How many octets to ask for at most, to find out.

        Raises:
            TimeoutError: The deadline has passed.
            Stopping: Once, when the server is about to end.
        """
        self._resting = False
        self._heed_stop()
        self._deadline.check()  # also a peer that never pauses has one
        return self._has_spoken(most)

    def take(self, most: int | None = None) -> bytes:
        """Return what the peer has said, after `has_spoken`."""
        early = self._early or b""
        data = early[:most]
        self._early = early[len(data) :] or None
        return data

    def arrival(self, heard: Heard | None = None) -> Awaitable[None]:
        """Wait until the peer may have spoken; whether it has, `has_spoken` says.

        Args:
            heard: As for `Wire.wait`.
        """
        self._in_a_row = 0
        self._resting = self._stop is not None
        # not awaited here, in a frame that each idle session would keep
        return self._wire.wait(
            read=True, write=False, until=self._deadline.until, heard=heard
        )

    def wait_on(self) -> None:
        """Prolong the wait for the peer."""
        self._in_a_row = 0
        self._resting = self._stop is not None
        self._wire.wait_on(self._deadline.until)

    async def give_way(self) -> None:
        """Let others run."""
        self._in_a_row = 0
        await self._runtime.checkpoint()

    def must_give_way(self) -> bool:
        """Count what need not wait; return whether others have to run before it."""
        self._in_a_row += 1
        return self._in_a_row > _IN_A_ROW

    async def heed_cancel(self) -> None:
        """Be cancelled if that is wanted; others need not run."""
        await self._runtime.heed_cancel()

    def transmit_at_once(self, data: bytes, *, heed: bool = False) -> bool | bytes:
        """Do what `transmit` does, as far as nothing has to be waited for.

        Returns:
            Its answer, or what is left to transmit; b"" is what the wire has not sent.

        Raises:
            TimeoutError: The deadline has passed.
        """
        wire = self._wire
        blind = heed and not wire.at_once
        if blind or len(data) > _PIECE or self.must_give_way():
            return data
        if not data:
            return self._has_spoken() if heed else data
        if heed and not wire.gone and self._has_spoken():
            return True
        if not wire.gone:
            self._deadline.check()
            octets = data if self._tls is None else self._tls.seal(memoryview(data))
            if octets is None:  # as to a peer that is gone
                return False
            wire.put(octets)
            if wire.unsent:
                return b""
        return heed and wire.gone and self._has_spoken()

    async def transmit(self, data: bytes, *, heed: bool = False) -> bool:
        """Send it all, or with heed as much as can be before the peer speaks.

        With heed and no data it only looks whether the peer has spoken.

        Returns:
            Whether the peer has spoken, or closed, before all was sent.

        Raises:
            TimeoutError: The deadline has passed.
        """
        wire = self._wire
        blind = heed and not wire.at_once
        if self._in_a_row or blind:
            await self.give_way()
            if blind:  # what has arrived by now is known after one more
                await self._runtime.checkpoint()
                if self._early is None:
                    await wire.hear()
        else:
            await self._runtime.heed_cancel()
        self._in_a_row += 1
        if heed and not (data or wire.unsent):
            return self._has_spoken()
        left = memoryview(data)
        while (left or wire.unsent) and not wire.gone:
            if heed and self._has_spoken():
                if self._tls is None:  # else what was begun has to be sent to its end
                    wire.drop()
                return True
            if wire.unsent:
                await self._wait(write=True, read=heed)
                continue
            self._deadline.check()
            piece, left = left[:_PIECE], left[_PIECE:]
            octets = piece if self._tls is None else self._tls.seal(piece)
            if octets is None:  # as to a peer that is gone
                return False
            wire.put(octets)
        return heed and wire.gone and self._has_spoken()

    async def handshake(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        certificate: bytes | None = None,
    ) -> Negotiated:
        """Begin TLS.

        Args:
            context: How.
            server_hostname: For a client, whose certificate is expected; None for a
                server.
            certificate: For a server, its own certificate in DER, or None.

        Raises:
            ssl.SSLError: There is no agreement, the certificate is not good, or the
                peer has spoken before.
            OSError: The peer is gone.
            TimeoutError: The deadline has passed.
            Stopping: Once, when the server is about to end.
        """
        await self._runtime.checkpoint()
        if self._early is not None:  # said in clear, and not to be read inside TLS
            raise ssl.SSLError("the peer has spoken before the handshake")
        self._tls = tls = Tls(context, server_hostname)
        while True:
            try:
                negotiated = tls.shake_hands(certificate)
            finally:
                self._wire.put(tls.to_send())
            if negotiated is not None:
                break
            while (octets := self._wire.take()) is None:
                await self._wait(read=True, heed_stop=True)
                self._heed_stop()
            tls.feed(octets)
        while self._wire.unsent and not self._wire.gone:
            await self._wait(write=True)
        return negotiated

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            Stopping: Once, when the server is about to end.
        """
        self._heed_stop()
        await self._runtime.pause(seconds, self._stop)
        self._heed_stop()

    async def linger(self, seconds: float = _LINGER) -> None:
        """Let the peer read our last words, before the connection is closed.

        A socket that is closed with unread octets resets the connection, and takes
        what was sent last with it.

        Args:
            seconds: How long that may take.
        """
        self._stop = None
        self.set_deadline(seconds)
        with contextlib.suppress(OSError):
            self._end_tls()
            await self.transmit(b"")
            self._wire.end()
            while await self.receive():
                pass

    def cut(self) -> None:
        """End the connection under whoever waits for it in another task."""
        self._wire.cut()

    def close(self) -> None:
        """Close at once; inside TLS the peer is told so."""
        self._end_tls()
        self._wire.close()

    def _end_tls(self) -> None:
        """Tell the peer that TLS ends; what comes now is read as it is."""
        if self._tls is not None:
            tls, self._tls = self._tls, None
            self._wire.put(tls.end())

    def _heed_stop(self) -> None:
        if self._stop is not None and self._stop.told:
            self._stop = None
            raise Stopping

    def _has_spoken(self, most: int | None = None) -> bool:
        """What `has_spoken` does, whether there is time for it or not.

        What TLS says for itself is nothing that the peer has said: a ticket, for one.
        """
        if self._early is None:
            take = self._wire.take if self._tls is None else self._open
            self._early = take(most)
        return self._early is not None

    def _open(self, most: int | None) -> bytes | None:
        """Return what has arrived inside TLS, as `Wire.take` does without."""
        wire, tls = self._wire, self._tls
        if tls is None:
            raise AssertionError("there is no TLS")
        if wire.unsent > _UNTAKEN:
            return b""
        while (data := tls.open(most)) is None and (octets := wire.take()) is not None:
            tls.feed(octets)
        wire.put(tls.to_send())  # an alert, or the answer to new keys
        return data

    async def _wait(
        self, *, read: bool = False, write: bool = False, heed_stop: bool = False
    ) -> None:
        if heed_stop:  # it may have been told while we did other things
            self._heed_stop()
        self._deadline.check()
        self._resting = heed_stop and self._stop is not None
        try:
            await self._wire.wait(read=read, write=write, until=self._deadline.until)
        finally:
            self._resting = False


async def connect(
    runtime: Runtime, host: str, port: int, timeout: float
) -> socket.socket:
    """Connect to a port of a host, or to a Unix socket if host holds a "/".

    Raises:
        OSError: There is no connection to be had.
    """

    async def first() -> socket.socket:
        ends: list[End] = (
            [(socket.AF_UNIX, host)]
            if "/" in host
            else await runtime.resolve(host, port)
        )
        error = OSError("the name has no address")
        for family, address in ends:
            sock = socket.socket(family)
            sock.setblocking(False)
            try:
                await runtime.connect(sock, address)
            except OSError as failed:
                sock.close()
                error = failed
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise error

    return await runtime.within(timeout, first)
