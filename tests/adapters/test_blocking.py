"""Streams, drivers and threads of the blocking adapter, on socket pairs."""

import contextlib
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from certificates import NAME, client_context, server_context
from loopback import Background, read_all
from receiving import Store
from smtp_pop_adapters._admission import Terms
from smtp_pop_adapters._options import Service
from smtp_pop_adapters._sockets import Stop
from smtp_pop_adapters.blocking import (
    Driver,
    Server,
    Stream,
    connect_smtp,
    serve_smtp,
)
from smtp_pop_core import (
    Ask,
    Deadline,
    Flow,
    Gate,
    On,
    Read,
    Refusal,
    Sleep,
    Stopping,
    Write,
)

SOON = 0.01  # seconds, where time itself is tested


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the peer at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    with contextlib.closing(Stream(ours)) as stream, theirs:
        yield stream, theirs


# Reading and writing


def test_a_socket_that_was_closed_meanwhile_is_a_peer_that_has_gone(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, _ = pair
    stream.close()
    assert stream.receive() == b""
    assert stream.transmit(b"hello", heed=False) is False


# Stopping


@pytest.fixture
def stop() -> Iterator[Stop]:
    with contextlib.closing(Stop()) as stop:
        yield stop


def test_stop_interrupts_accept(stop: Stop) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(Stream(listener, stop)) as stream:
        interrupted = Background(stream.accept)
        stop.tell()
        assert isinstance(interrupted.result(), Stopping)


class Aborted(socket.socket):
    """A connection is closed before it is accepted, where the system says so."""

    aborted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.aborted += 1
        if self.aborted == 1:
            raise ConnectionAbortedError
        return super().accept()


def test_a_connection_that_was_closed_at_once_is_passed_over() -> None:
    listener = Aborted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    with contextlib.closing(Stream(listener)) as stream:
        with socket.create_connection(listener.getsockname()) as client:
            sock, address = stream.accept()
            assert address == client.getsockname()
        sock.close()


class Counted(socket.socket):
    """Counts how often it is read from."""

    reads = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self.reads += 1
        return super().recv(size, flags)


@pytest.fixture
def counted(stop: Stop) -> Iterator[tuple[Stream, Counted]]:
    """A stream that stop interrupts, and its socket, whose peer says nothing."""
    ours, theirs = socket.socketpair()
    sock = Counted(fileno=ours.detach())
    with contextlib.closing(Stream(sock, stop)) as stream, theirs:
        yield stream, sock


def test_after_stop_has_interrupted_once_the_peer_is_waited_for(
    counted: tuple[Stream, Counted], stop: Stop
) -> None:
    stream, sock = counted
    stop.tell()
    with pytest.raises(Stopping):
        stream.receive()
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError):
        stream.receive()
    assert sock.reads == 1  # and not again and again


def test_who_lingers_while_the_server_stops_waits_for_the_peer(
    counted: tuple[Stream, Counted], stop: Stop
) -> None:
    stream, sock = counted
    stop.tell()
    stream.linger(SOON)
    assert sock.reads == 1


def test_a_server_that_stops_is_not_taken_for_a_peer_that_speaks(
    counted: tuple[Stream, Counted], stop: Stop
) -> None:
    stream, _ = counted
    stop.tell()
    assert not stream.transmit(b"", heed=True)
    assert not stream.transmit(b"hello", heed=True)


# The end of TLS where the socket is full


@contextlib.contextmanager
def with_peer() -> Iterator[tuple[Stream, ssl.SSLSocket]]:
    """The stream of a client inside TLS, and a server that is nothing of ours."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)

    def serve() -> ssl.SSLSocket:
        return server_context().wrap_socket(
            theirs, server_side=True, suppress_ragged_eofs=False
        )

    with contextlib.closing(Stream(ours)) as stream:
        serving = Background(serve)
        stream.handshake(client_context(), NAME)
        with serving.result() as server:
            yield stream, server


@pytest.fixture
def full() -> Iterator[tuple[Stream, ssl.SSLSocket, int]]:
    """The socket has no room for one octet more, and no record is half sent."""
    octets = 0
    with with_peer() as (stream, _), contextlib.suppress(ssl.SSLWantWriteError):
        while True:
            octets += stream.sock.send(b"x")
    with with_peer() as (stream, server):
        for _ in range(octets):
            stream.sock.send(b"x")
        yield stream, server, octets


def test_who_closes_does_not_wait_for_room(
    full: tuple[Stream, ssl.SSLSocket, int],
) -> None:
    stream, server, octets = full
    stream.close()
    # nothing is there that ends TLS; the system may have dropped what was unread
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        all(iter(lambda: server.recv(octets), b""))


def test_who_lingers_waits_for_room(full: tuple[Stream, ssl.SSLSocket, int]) -> None:
    stream, server, octets = full
    lingering = Background(stream.linger)
    received = b"".join(iter(lambda: server.recv(octets), b""))
    assert received == b"x" * octets
    server.close()
    assert lingering.result() is None


def test_who_lingers_does_not_wait_for_ever(
    full: tuple[Stream, ssl.SSLSocket, int],
) -> None:
    stream, _, _ = full
    stream.linger(SOON)
    with pytest.raises(TimeoutError):
        stream.receive()


# The driver


def test_a_flow_ends_with_its_result(pair: tuple[Stream, socket.socket]) -> None:
    def flow() -> Flow[list[object]]:
        return [
            (yield Deadline(30)),
            (yield Write(b"hello")),
            (yield Read()),
            (yield Ask(divmod, (7, 2))),
            (yield Sleep(0)),
            (yield On("", Write(b"!", heed=True))),
            (yield On("", Read())),
        ]

    stream, peer = pair
    peer.sendall(b"hi")
    peer.shutdown(socket.SHUT_WR)
    assert Driver(stream).run(flow()) == [
        *(None, False, b"hi"),
        *((3, 1), None),
        *(True, b""),
    ]
    stream.close()
    assert read_all(peer) == b"hello"


def test_a_flow_is_closed_also_if_the_program_ends(
    pair: tuple[Stream, socket.socket],
) -> None:
    closed = []

    def leave() -> None:
        raise KeyboardInterrupt

    def flow() -> Flow[None]:
        try:
            yield Ask(leave)
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        Driver(pair[0]).run(flow())
    assert closed == [True]


# Servers in threads


def test_a_flow_that_fails_is_reported() -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()

    def session(
        own_address: str, peer: tuple[str, int], name: str, gate: Gate
    ) -> Flow[None]:
        yield Write(b"hello")
        raise AssertionError("a bug of ours")

    listener = socket.create_server(("127.0.0.1", 0))
    service = Service(session, None, None, Terms(sessions=1))
    with Server([listener], service, report=mistakes.put) as server:
        assert read_all(socket.create_connection(server.addresses[0])) == b"hello"
        mistake = mistakes.get(timeout=30)
    assert str(mistake) == "a bug of ours"
    assert re.fullmatch("session [0-9a-f]{16}", mistake.__notes__[0])


def test_a_server_without_threads_says_that_it_is_busy() -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()
    with serve_smtp(Store(), "127.0.0.1", report=mistakes.put) as server:
        size = threading.stack_size(1 << 47)  # more than there is
        try:
            sock = socket.create_connection(server.addresses[0])
            assert read_all(sock) == b"421 Too many sessions, try again later\r\n"
        finally:
            threading.stack_size(size)
        assert "start new thread" in str(mistakes.get(timeout=30))
        assert server.refused[Refusal.BUSY] == 1
        with connect_smtp(*server.addresses[0]) as client:
            assert client.noop().code == 250
