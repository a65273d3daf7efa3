"""Streams, drivers and threads of the blocking adapter, on socket pairs."""

import contextlib
import logging
import queue
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from loopback import Background, read_all, reset
from receiving import Store
from smtp_pop_adapters._admission import Terms
from smtp_pop_adapters._options import Service
from smtp_pop_adapters._sockets import (
    Stop,
    _listen,
    end_of,
    listen,
    listen_on_all,
    own_address,
)
from smtp_pop_adapters.blocking import (
    Driver,
    Server,
    Stream,
    connect_smtp,
    serve_smtp,
)
from smtp_pop_core import (
    CLIENT,
    Ask,
    Blocks,
    Content,
    Deadline,
    Flow,
    Gate,
    On,
    Read,
    Refusal,
    Report,
    Sleep,
    Stopping,
    Write,
    on,
    read,
    smtp,
)

T = TypeVar("T")

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
MESSAGE = b"Subject: hello\r\n\r\nOne line.\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the peer at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    with contextlib.closing(Stream(ours)) as stream, theirs:
        yield stream, theirs


@pytest.fixture
def tcp_pair() -> Iterator[tuple[Stream, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with contextlib.closing(Stream(ours)) as stream, theirs:
        yield stream, theirs


# Reading and writing


def test_what_one_end_sends_the_other_receives(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    assert stream.transmit(b"220 hello\r\n") is False
    assert peer.recv(100) == b"220 hello\r\n"
    peer.sendall(b"QUIT\r\n")
    assert stream.receive() == b"QUIT\r\n"


def test_the_end_of_the_peer_is_received_again_and_again(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"last words")
    peer.close()
    assert [stream.receive() for _ in range(3)] == [b"last words", b"", b""]


def test_no_more_is_taken_than_was_asked_for(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"PROXY EHLO x\r\n")
    peer.close()
    assert [stream.receive(most) for most in (1, 5)] == [b"P", b"ROXY "]
    assert stream.receive(100) == b"EHLO x\r\n"
    assert [stream.receive(1), stream.receive()] == [b"", b""]


def test_what_was_heard_early_is_given_in_pieces_too(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"552 too large\r\n")
    assert stream.transmit(b"content", heed=True) is True
    assert [stream.receive(3), stream.receive()] == [b"552", b" too large\r\n"]
    peer.close()
    assert stream.transmit(b"content", heed=True) is True
    assert [stream.receive(3), stream.receive()] == [b"", b""]


def test_without_data_a_stream_only_looks_whether_the_peer_has_spoken(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    assert stream.transmit(b"", heed=True) is False
    peer.sendall(b"EHLO x\r\n")
    assert [stream.transmit(b"", heed=heed) for heed in (True, False)] == [True, False]
    assert stream.receive() == b"EHLO x\r\n"
    assert stream.transmit(b"", heed=True) is False
    peer.close()
    assert stream.transmit(b"", heed=True) is True
    assert stream.receive() == b""


def test_a_flow_reads_as_many_octets_as_it_wants(
    pair: tuple[Stream, socket.socket],
) -> None:
    def flow() -> Flow[list[bytes]]:
        return [(yield Read(2)), (yield Read(most=3)), (yield Read())]

    stream, peer = pair
    peer.sendall(b"abcdefgh")
    assert Driver(stream).run(flow()) == [b"ab", b"cde", b"fgh"]


def test_more_than_the_socket_takes_is_sent_in_parts(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    received = Background(lambda: read_all(peer))
    assert stream.transmit(LONG) is False
    stream.close()
    assert received.result() == LONG


def test_a_write_to_a_peer_that_has_gone_is_dropped(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"552 too large\r\n")
    peer.close()
    assert stream.transmit(LONG) is False
    assert [stream.receive(), stream.receive()] == [b"552 too large\r\n", b""]


def test_a_peer_that_resets_is_gone(tcp_pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = tcp_pair
    reset(peer)
    assert stream.receive() == b""
    assert stream.transmit(b"hello") is False
    assert stream.transmit(b"hello") is False
    assert stream.receive() == b""


def test_a_socket_that_was_closed_meanwhile_is_a_peer_that_has_gone(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, _ = pair
    stream.close()
    assert stream.receive() == b""
    assert stream.transmit(b"hello", heed=False) is False


def test_with_heed_nothing_is_sent_once_the_peer_has_spoken(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"421")
    assert stream.transmit(b"more content", heed=True) is True
    assert stream.receive() == b"421"
    stream.close()
    assert peer.recv(100) == b""


def test_with_heed_nothing_is_sent_once_the_peer_has_closed(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.close()
    assert stream.transmit(b"more content", heed=True) is True
    assert stream.transmit(b"even more of it", heed=True) is True
    assert stream.receive() == b""


def test_with_heed_nothing_is_sent_once_the_peer_has_reset(
    tcp_pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = tcp_pair
    reset(peer)
    assert stream.transmit(b"more content", heed=True) is True
    assert stream.receive() == b""


def test_with_heed_all_is_sent_to_a_peer_that_is_silent(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    received = Background(lambda: read_all(peer))
    assert stream.transmit(LONG, heed=True) is False
    stream.close()
    assert received.result() == LONG


def test_with_heed_a_full_socket_is_not_waited_for_once_the_peer_speaks(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    heard = Background(lambda: stream.transmit(LONG, heed=True))
    assert peer.recv(1)
    peer.sendall(b"552 too large\r\n")
    assert heard.result() is True
    assert stream.receive() == b"552 too large\r\n"


# Deadlines


def test_a_silent_peer_is_too_slow(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.receive()


def test_a_deaf_peer_is_too_slow(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.transmit(LONG)


def test_a_deadline_holds_for_a_peer_that_never_pauses(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"x" * 100)
    stream.set_deadline(1e-9)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.receive()
    with pytest.raises(TimeoutError, match="too slow"):
        stream.transmit(b"hello")


def test_a_new_deadline_takes_the_place_of_the_old_one(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"late")
    stream.set_deadline(1e-9)
    stream.set_deadline(None)
    assert stream.receive() == b"late"
    stream.set_deadline(30)
    assert stream.transmit(b"in time") is False


# Stopping


@contextlib.contextmanager
def stoppable(stop: Stop) -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    with contextlib.closing(Stream(ours, stop)) as stream, theirs:
        yield stream, theirs


@pytest.fixture
def stop() -> Iterator[Stop]:
    with contextlib.closing(Stop()) as stop:
        yield stop


def test_stop_interrupts_a_read_once(stop: Stop) -> None:
    with stoppable(stop) as (stream, peer):
        interrupted = Background(stream.receive)
        stop.tell()
        assert isinstance(interrupted.result(), Stopping)
        peer.sendall(b"the rest")
        assert stream.receive() == b"the rest"


def test_stop_comes_before_what_the_peer_says(stop: Stop) -> None:
    with stoppable(stop) as (stream, peer):
        peer.sendall(b"MAIL")
        stop.tell()
        with pytest.raises(Stopping):
            stream.receive()
        assert stream.receive() == b"MAIL"


def test_who_does_not_wait_cannot_be_dismissed(stop: Stop) -> None:
    near, far = socket.socketpair()
    stream = Stream(near, stop)
    with contextlib.closing(stream), far:
        stream.set_deadline(30, idle=True)
        assert not stream.dismiss()
        far.sendall(b"hello")
        assert stream.receive() == b"hello"


def test_who_waits_for_the_peer_can_be_dismissed(stop: Stop) -> None:
    near, far = socket.socketpair()
    stream = Stream(near, stop)
    with contextlib.closing(stream), far:
        stream.set_deadline(3600, idle=True)
        reading = Background(stream.receive)
        while not stream.dismiss():
            pass
        assert isinstance(reading.result(), TimeoutError)
        stream.set_deadline(30)
        assert not stream.transmit(b"bye")
        assert far.recv(3) == b"bye"


def test_stop_does_not_interrupt_a_write(stop: Stop) -> None:
    with stoppable(stop) as (stream, peer):
        stop.tell()
        received = Background(lambda: read_all(peer))
        assert stream.transmit(LONG) is False
        stream.close()
        assert received.result() == LONG


def test_stop_ends_a_sleep(stop: Stop) -> None:
    with stoppable(stop) as (stream, _):
        interrupted = Background(lambda: stream.sleep(3600))
        stop.tell()
        assert isinstance(interrupted.result(), Stopping)
        stream.sleep(0)


def test_a_sleep_passes(stop: Stop) -> None:
    with stoppable(stop) as (stream, _):
        stream.sleep(SOON)


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


# The last words


def test_who_lingers_reads_until_the_peer_closes(
    tcp_pair: tuple[Stream, socket.socket],
) -> None:
    """Closing with unread octets would reset the connection, and the reply be lost."""
    stream, peer = tcp_pair
    peer.sendall(b"octets that nobody wants")
    stream.transmit(b"421 closing\r\n")
    lingering = Background(stream.linger)
    assert read_all(peer) == b"421 closing\r\n"
    assert lingering.result() is None


def test_to_linger_for_a_peer_that_has_gone_is_no_error(
    tcp_pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = tcp_pair
    reset(peer)
    assert stream.receive() == b""
    stream.linger()


# Ends of sockets

ENDS = [
    (("192.0.2.1", 25), ("192.0.2.1", 25)),
    (("2001:db8::1", 25, 0, 0), ("2001:db8::1", 25)),
    ("/run/lmtp", ("/run/lmtp", 0)),
    ("", ("", 0)),
    (b"\0abstract", ("\0abstract", 0)),
    ("run/lmtp", ("run/lmtp", 0)),
    ("lmtp", ("./lmtp", 0)),
    ("127.0.0.1", ("./127.0.0.1", 0)),  # the name of a file is no IP address
    (None, ("", 0)),
]


@pytest.mark.parametrize(("address", "expected"), ENDS)
def test_an_end_of_a_socket_has_an_address_and_a_port(
    address: object, expected: tuple[str, int]
) -> None:
    assert end_of(address) == expected


def test_only_internet_sockets_have_an_address_of_their_own() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert own_address(ours) == ""
    assert own_address(ours) == ""  # also once it is closed
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert own_address(listener) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("::1", {"::1"}),
        ("", {"0.0.0.0", "::"}),
    ],
)
def test_a_server_listens_on_every_address_of_a_name(
    host: str, expected: set[str]
) -> None:
    with contextlib.ExitStack() as stack:
        ends = [
            end_of(stack.enter_context(each).getsockname()) for each in listen(host, 0)
        ]
    assert {address for address, _ in ends} == expected
    assert len({port for _, port in ends}) == 1


def test_an_address_of_others_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        listen("192.0.2.1", 0)


def test_a_port_that_is_in_use_cannot_be_listened_on() -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
        pytest.raises(OSError, match="in use"),
    ):
        listen("::1", other.getsockname()[1])


def test_addresses_that_this_host_lacks_are_left_out() -> None:
    ends = [(socket.AF_INET, (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]
    (listener,) = _listen(ends, 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_if_one_address_cannot_be_had_none_is_listened_on() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        ends = [
            (socket.AF_INET, ("127.0.0.1", port)),
            (socket.AF_INET6, ("::1", port, 0, 0)),
        ]
        with pytest.raises(OSError, match="in use"):
            _listen(ends, port)
        socket.create_server(("127.0.0.1", port)).close()


def test_if_no_port_is_free_on_all_addresses_that_is_said() -> None:
    ends = [(socket.AF_INET, (host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
    with pytest.raises(OSError, match="in use"):
        listen_on_all(ends, 0)


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


def test_what_goes_wrong_is_thrown_into_the_flow(
    pair: tuple[Stream, socket.socket],
) -> None:
    def flow() -> Flow[str]:
        try:
            yield Ask(int, ("x",))
        except ValueError as error:
            return str(error)
        return "nothing was thrown"

    assert "invalid literal" in Driver(pair[0]).run(flow())


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


def test_content_is_handed_over_as_blocks(pair: tuple[Stream, socket.socket]) -> None:
    def flow() -> Flow[list[bytes]]:
        blocks: list[bytes] = yield Ask(list, (Content(read),))
        return blocks

    stream, peer = pair
    peer.sendall(b"some octets")
    peer.close()
    assert Driver(stream).run(flow()) == [b"some octets"]


def test_content_can_be_read_whole(pair: tuple[Stream, socket.socket]) -> None:
    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(Blocks.read, (Content(read),))
        return octets

    stream, peer = pair
    received = Background(lambda: Driver(stream).run(flow()))
    peer.sendall(LONG)
    peer.close()
    assert received.result() == LONG


def test_mistakes_are_reported(pair: tuple[Stream, socket.socket]) -> None:
    mistakes: list[Exception] = []
    mistake = ValueError("a mistake")

    def flow() -> Flow[None]:
        yield Report(mistake)

    Driver(pair[0], report=mistakes.append).run(flow())
    assert mistakes == [mistake]


def test_mistakes_are_logged_by_default(
    pair: tuple[Stream, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    def flow() -> Flow[None]:
        yield Report(ValueError("a mistake"))

    with caplog.at_level(logging.ERROR):
        Driver(pair[0]).run(flow())
    assert [each.getMessage() for each in caplog.records] == ["ValueError('a mistake')"]


def test_a_stream_without_the_label_is_an_error_for_the_flow(
    pair: tuple[Stream, socket.socket],
) -> None:
    with pytest.raises(KeyError):
        Driver(pair[0]).run(on("elsewhere", read()))


def test_a_flow_that_reads_one_stream_and_sends_on_another_is_a_relay(
    pair: tuple[Stream, socket.socket],
) -> None:
    front, peer = pair
    store = Store()
    with serve_smtp(store, "127.0.0.1") as server:
        sock = socket.create_connection(server.addresses[0])
        with contextlib.closing(Stream(sock)) as back:
            conn = smtp.Connection(CLIENT)

            def flow() -> Flow[smtp.MailResult]:
                yield from on("back", smtp.open(conn))
                result: smtp.MailResult = yield from on(
                    "back",
                    smtp.send_mail(conn, "a@b", ["c@d"], lambda: on("", read())),
                )
                yield from on("back", smtp.quit(conn))
                return result

            driver = Driver(front, others={"back": back})
            result = Background(lambda: driver.run(flow()))
            peer.sendall(LONG)
            peer.close()
            assert result.result().outcome is smtp.Outcome.ACCEPTED
    assert store.kept.contents == [LONG]


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
