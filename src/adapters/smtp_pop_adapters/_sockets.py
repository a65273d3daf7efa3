"""Sockets of the blocking adapter: a deadline on each, and a way to wake who waits."""

import contextlib
import errno
import math
import os
import select
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

from smtp_pop_core import Negotiated, Stopping

from ._deadline import Deadline
from ._tls import negotiated

_CHUNK: Final = 65_536  # octets of one read
_LINGER: Final = 2.0  # seconds that a peer has to take our last words
_BACKLOG: Final = 512
_PATIENCE: Final = 1.0  # seconds to find out whether a Unix socket has a server
_ATTEMPTS: Final = 20  # to find a port that is free on all addresses of a name
PASSIVE: Final = socket.AI_PASSIVE
_End: TypeAlias = tuple[int, Any]  # of which family, where
_NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_RECORD: Final = 16_384  # octets of a record of TLS, at most.  RFC 8446 section 5.1
_BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE


class Stop:
    """Told once, heard by all who wait: the server is about to end."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.waker, self._end = socket.socketpair()

    def tell(self) -> None:
        """Wake all who wait, now and later."""
        self.told.set()
        self._end.close()  # which makes the waker readable, and leaves it so

    def close(self) -> None:
        """Give the descriptors back.  Nobody may wait any more."""
        self._end.close()
        self.waker.close()


class Stream:
    """A socket with a deadline.

    Args:
        sock: The socket.  It is owned from now on.
        stop: What interrupts waiting for the peer, once, with Stopping.
    """

    def __init__(self, sock: socket.socket, stop: Stop | None = None) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._stop = stop
        self._hearing = self._watch(_READ)
        self._deadline = Deadline(time.monotonic)
        self._early: bytes | None = None  # received, but not asked for yet
        self._begun = b""  # of a record of TLS that is half sent
        self._rest = threading.Lock()
        self._resting = False  # in a wait that can be interrupted

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
        """Let the deadline pass of who waits for the peer in another thread.

        Returns:
            Whether somebody has waited; else nothing has happened.
        """
        with self._rest:
            if not self._resting:
                return False
            self._deadline.pass_now()
            with contextlib.suppress(OSError):  # what wakes who waits in select
                socket.socket.shutdown(self.sock, socket.SHUT_RD)
            return True

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Let all that is waited for in the context take so many seconds together."""
        return self._deadline.within(seconds)

    def receive(self, most: int | None = None) -> bytes:
        """Return what the peer says next, b"" at its end or when it is gone.

        Args:
            most: How many octets at most; None: as many as there are.

        Raises:
            TimeoutError: The deadline has passed.
            Stopping: Once, when the server is about to end.
        """
        while True:
            if self._stop is not None:
                self._heed_stop()
            self._deadline.check()  # also a peer that never pauses has to be in time
            if self._early is not None:
                return self._take_early(most)
            try:
                return self.sock.recv(most or _CHUNK)
            except _BLOCKED as blocked:
                self._wait_out(blocked, _READ, heed_stop=True)
            except OSError:  # reset, unreachable, or a timeout of the system
                return b""

    def transmit(self, data: bytes, *, heed: bool = False) -> bool:
        """Send it all, or with heed as much as can be before the peer speaks.

        With heed and no data it only looks whether the peer has spoken.

        Returns:
            Whether the peer has spoken, or closed, before all was sent.

        Raises:
            TimeoutError: The deadline has passed.
        """
        if heed and not data:
            return self._has_spoken()
        left: bytes | memoryview = self._begun + data
        if self._tls:
            left = memoryview(left)  # which is sent in pieces
        while left:
            if heed and self._has_spoken():
                return True
            self._deadline.check()
            piece = left[:_RECORD] if self._tls else left
            try:
                sent = self.sock.send(piece)
            except _BLOCKED as blocked:
                if self._tls:  # this record has to be sent to its end, come what may
                    self._begun = bytes(piece)
                read = _READ if heed else 0
                self._wait_out(blocked, _WRITE, also=read)
            except OSError:  # the peer is gone: the next read says so
                return False
            else:
                self._begun = b""
                if sent == len(left):
                    return False
                left = memoryview(left)[sent:]
        return False

    def handshake(
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
        if self._early is not None:  # said in clear, and not to be read inside TLS
            raise ssl.SSLError("the peer has spoken before the handshake")
        self.sock.getpeername()  # wrap_socket would lose the socket of a peer that left
        tls = context.wrap_socket(
            self.sock,
            server_side=server_hostname is None,
            server_hostname=server_hostname or None,
            do_handshake_on_connect=False,
        )
        self.sock, self._tls = tls, True
        self._hearing = self._watch(_READ)
        while True:
            try:
                tls.do_handshake()
                return negotiated(tls, certificate)
            except _BLOCKED as blocked:
                self._wait_out(blocked, _READ, heed_stop=True)
                self._heed_stop()
                self._deadline.check()

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection of a listening socket, and where it comes from.

        Raises:
            OSError: There is no room for another one.
            Stopping: The server is about to end.
        """
        while True:
            self._heed_stop()
            try:
                return self.sock.accept()
            except BlockingIOError:
                self._wait(_READ, heed_stop=True)
            except ConnectionError:  # it was closed again before we came to it
                continue

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            Stopping: Once, when the server is about to end.
        """
        if self._stop is None:
            time.sleep(seconds)
        else:
            self._stop.told.wait(seconds)
            self._heed_stop()

    def linger(self, seconds: float = _LINGER) -> None:
        """Let the peer read our last words, before the socket is closed.

        A socket that is closed with unread octets resets the connection, and takes
        what was sent last with it.

        Args:
            seconds: How long that may take.
        """
        self._forget_stop()
        self.set_deadline(seconds)
        with contextlib.suppress(OSError):
            self._end_tls(wait=True)
            self.sock.shutdown(socket.SHUT_WR)  # what comes now is read as it is
            while self.receive():
                pass

    def cut(self) -> None:
        """End the connection under whoever waits for it in another thread."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close at once; inside TLS the peer is told so."""
        self._end_tls(wait=False)
        self.sock.close()

    def _end_tls(self, *, wait: bool) -> None:
        """Tell the peer that TLS ends, if it can be told; its answer is not awaited.

        Args:
            wait: Whether to wait until it can be.

        Raises:
            TimeoutError: The deadline has passed.
        """
        while isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.unwrap()
            except ssl.SSLWantWriteError as blocked:
                if not wait:
                    return
                self._wait_out(blocked, _WRITE)
            except (OSError, ValueError):  # told, or there is nothing to be ended
                return
            else:
                return

    def _heed_stop(self) -> None:
        if self._stop is not None and self._stop.told.is_set():
            self._forget_stop()
            raise Stopping

    def _forget_stop(self) -> None:
        self._stop = None
        self._hearing = self._watch(_READ)  # which would be ready from now on

    def _take_early(self, most: int | None) -> bytes:
        early = self._early or b""
        data = early[:most]
        self._early = early[len(data) :] or None
        return data

    def _has_spoken(self) -> bool:
        """Whether the peer has said something, or closed, that is not received yet.

        What TLS says for itself is nothing of the kind: a ticket, or new keys.
        """
        if self._early is None:
            # To ask takes a third of the time of a read in vain.  Inside TLS the rest
            # of a record may have been read before.
            rest = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
            if not rest and not self._hearing.wait(0):
                return False
            try:
                self._early = self.sock.recv(_CHUNK)
            except _BLOCKED:
                return False
            except OSError:
                self._early = b""
        return True

    def _wait_out(
        self,
        blocked: Exception,
        events: int,
        *,
        also: int = 0,
        heed_stop: bool = False,
    ) -> None:
        """Wait until what would have blocked can go on.

        Args:
            blocked: What it has raised.  TLS may have to read in order to write.
            events: What to wait for where that does not say it.
            also: What to wait for beside.
            heed_stop: Whether the end of the server ends the wait as well.
        """
        match blocked:
            case ssl.SSLWantReadError():
                events = _READ
            case ssl.SSLWantWriteError():
                events = _WRITE
        self._wait(events | also, heed_stop=heed_stop)

    def _wait(self, events: int, *, heed_stop: bool = False) -> None:
        left = self._deadline.left()
        if not heed_stop:
            _Watch({self.sock: events}).wait(left)
            return
        watch = self._hearing if events == _READ else self._watch(events)
        if self._stop is None:
            watch.wait(left)
            return
        with self._rest:
            self._resting = True
        try:
            watch.wait(left)
        finally:
            with self._rest:  # who is dismissed until now finds no time left
                self._resting = False

    def _watch(self, events: int) -> "_Watch":
        """Return what waits for the socket, and for the end of the server."""
        wanted = {self.sock: events}
        if self._stop is not None:
            wanted[self._stop.waker] = _READ
        return _Watch(wanted)


class _Watch:
    """Waits for sockets.

    poll knows no largest descriptor, and costs less than a selector; Windows lacks it.

    Args:
        wanted: What is wanted of each.
    """

    __slots__ = ("_poll", "_wanted")

    def __init__(self, wanted: Mapping[socket.socket, int]) -> None:
        self._wanted = wanted
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            for sock, events in wanted.items():
                reads = select.POLLIN if events & _READ else 0
                writes = select.POLLOUT if events & _WRITE else 0
                self._poll.register(sock, reads | writes)

    def wait(self, seconds: float | None) -> bool:
        """Wait until one is ready, or for so many seconds; return whether one is."""
        if self._poll is not None:
            most = None if seconds is None else math.ceil(seconds * 1000)
            return bool(self._poll.poll(most))
        with selectors.SelectSelector() as selector:
            for sock, events in self._wanted.items():
                selector.register(sock, events)
            return bool(selector.select(seconds))


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to a port of a host, or to a Unix socket if host holds a "/".

    Raises:
        OSError: There is no connection to be had.
        TimeoutError: It takes longer than so many seconds.
    """
    try:
        if "/" not in host:
            return socket.create_connection((host, port), timeout)
        return _connect_locally(host, timeout)
    except BlockingIOError as error:  # there was no time at all
        raise TimeoutError("timed out") from error


def _connect_locally(host: str, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(host)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_locally(path: str) -> socket.socket:
    """Listen on a Unix socket; one whose server has gone is put aside.

    Raises:
        OSError: It cannot be had, because a server listens there for one.
    """
    if os.path.exists(path):
        try:
            connect(path, 0, _PATIENCE).close()
        except ConnectionRefusedError:
            os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def listen(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Listen on every address of a name, on the same port of each.

    Args:
        host: A name or an address; "" is every address of this host; what holds a "/"
            is the path of a Unix socket.
        port: The port, or 0 for any that is free.
        reuse_port: Whether others that want so may listen on the same port: then each
            gets some of the connections.  It is nothing to a Unix socket.

    Raises:
        OSError: An address cannot be had.  Of a name with several addresses, those that
            this host does not have are left out.
        ValueError: This system has no ports that are shared.
    """
    if "/" in host:
        return [_listen_locally(host)]
    found = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=PASSIVE
    )
    return listen_on_all(
        list(dict.fromkeys((family, end) for family, _, _, _, end in found)),
        port,
        reuse_port=reuse_port,
    )


def listen_again(listener: socket.socket) -> socket.socket:
    """Listen once more where a socket listens whose port can be shared.

    Raises:
        OSError: It cannot be shared.
    """
    return socket.create_server(
        listener.getsockname(),
        family=listener.family,
        backlog=_BACKLOG,
        reuse_port=True,
    )


def listen_on_all(
    ends: Iterable[_End], port: int, *, reuse_port: bool = False
) -> list[socket.socket]:
    """Listen on the same port of each; where any will do, several are tried."""
    attempts = 1 if port else _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return _listen(ends, port, reuse_port=reuse_port)
        except OSError as error:
            # a port that is free on one address may be in use on the next
            if error.errno != errno.EADDRINUSE or not attempts:
                raise


def _listen(
    ends: Iterable[_End], port: int, *, reuse_port: bool = False
) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    missing = OSError("the name has no address")
    try:
        for family, (address, _, *rest) in ends:
            try:
                sock = socket.create_server(
                    (address, port, *rest),
                    family=family,
                    backlog=_BACKLOG,
                    reuse_port=reuse_port,
                )
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                missing = error
                continue
            listeners.append(sock)
            port = sock.getsockname()[1]
    except BaseException:
        for each in listeners:
            each.close()
        raise
    if not listeners:
        raise missing
    return listeners


class File:
    """The file of a Unix socket that we listen on.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = self._found()

    def _found(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            status = os.stat(self._path)
            return status.st_dev, status.st_ino
        return None

    def remove(self) -> None:
        """Remove it, once, and if no other has taken its place."""
        identity, self._identity = self._identity, None
        if identity is not None and identity == self._found():
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def given_or_new(
    sock: socket.socket | Iterable[socket.socket] | None, host: str, port: int
) -> tuple[list[socket.socket], list[File]]:
    """Return the listening sockets that were given, or else new ones.

    Returns:
        The sockets, and what has to be removed when they are closed.

    Raises:
        OSError: An address cannot be had.
    """
    if sock is None:
        return listen(host, port), [File(host)] if "/" in host else []
    return [sock] if isinstance(sock, socket.socket) else list(sock), []


def turn_away(sock: socket.socket, data: bytes) -> None:
    """Say something to somebody who is not served, and close, without waiting.

    Args:
        sock: Its socket.
        data: What it is told, if that can be sent at once; b"" for nothing.
    """
    with contextlib.closing(sock), contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_CHUNK)  # what has come already would make the end a reset


def turn_all_away(listener: socket.socket, data: bytes) -> int:
    """Do so to all who wait to be accepted, and return how many there were."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(OSError):  # there are no more
        while count < _BACKLOG:  # or others might come all the time
            sock, _ = listener.accept()
            turn_away(sock, data)
            count += 1
    return count


def own_address(sock: socket.socket) -> str:
    """Return the address of our end of a connection, "" where it has none."""
    try:
        address, _ = end_of(sock.getsockname())
    except OSError:
        return ""
    return address if sock.family != getattr(socket, "AF_UNIX", None) else ""


def end_of(address: object) -> tuple[str, int]:
    """Return the address and port of an end of a socket.

    The port of a Unix socket is 0, and its address a path, "" where it has no name.  A
    path that is the name of a file begins with "./": it cannot pass for an IP address.
    """
    match address:
        case (str() as host, int() as port, *_):
            return host, port
        case bytes() | str():
            path = os.fsdecode(address)
            named = path and "/" not in path and not path.startswith("\0")
            return f"./{path}" if named else path, 0
        case _:
            return "", 0
