"""TLS on the streams of the blocking adapter, on socket pairs and on loopback."""

import contextlib
import hashlib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
import trustme

from certificates import (
    AUTHORITY,
    CLIENT,
    NAME,
    SERVER,
    client_context,
    der,
    server_context,
)
from loopback import Background, read_all, reset
from smtp_pop_adapters._sockets import Stop, Stream
from smtp_pop_adapters._tls import client_context as usual_context
from smtp_pop_adapters._tls import first_certificate, nonce, timestamp
from smtp_pop_adapters.blocking import Driver
from smtp_pop_core import Flow, Handshake, Negotiated, Stopping, Tls

Ends: TypeAlias = tuple[Stream, Stream]

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
SERVER_END_POINT = hashlib.sha256(der(SERVER)).digest()  # signed with ECDSA and SHA-256
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the peer at its other end; there is no TLS yet."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    with contextlib.closing(Stream(ours)) as stream, theirs:
        yield stream, theirs


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The streams of a server and of a client; there is no TLS yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = Stream(socket.create_connection(listener.getsockname()))
        other = Stream(listener.accept()[0])
    with contextlib.closing(one), contextlib.closing(other):
        yield other, one


def shake_hands(
    ends: Ends,
    of_server: ssl.SSLContext,
    of_client: ssl.SSLContext,
    certificate: bytes | None = None,
) -> tuple[Negotiated, Negotiated]:
    server, client = ends
    served = Background(lambda: server.handshake(of_server, None, certificate))
    negotiated = client.handshake(of_client, NAME)
    return served.result(), negotiated


@pytest.fixture
def inside(ends: Ends) -> Ends:
    """The streams of a server and of a client, inside TLS 1.3."""
    shake_hands(ends, server_context(), client_context())
    return ends


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
def peer() -> Iterator[tuple[Stream, ssl.SSLSocket]]:
    with with_peer() as it:
        yield it


# What a handshake comes to


@pytest.mark.parametrize(
    ("most", "version", "unique"),
    [(TLS_1_2, "TLSv1.2", True), (TLS_1_3, "TLSv1.3", False)],
)
def test_both_sides_negotiate_the_same(
    ends: Ends, most: ssl.TLSVersion, version: str, unique: bool
) -> None:
    """tls-unique has no meaning above TLS 1.2.  RFC 8446 appendix C.5."""
    context = client_context(most=most)
    server, client = shake_hands(ends, server_context(), context, der(SERVER))
    assert server.version == client.version == version
    assert server.cipher == client.cipher != ""
    assert client.certificate == der(SERVER)
    assert server.certificate is None
    assert server.bindings == client.bindings
    assert client.bindings["tls-server-end-point"] == SERVER_END_POINT
    assert ("tls-unique" in client.bindings) is unique


def test_without_its_own_certificate_a_server_cannot_be_bound_to_it(ends: Ends) -> None:
    server, client = shake_hands(ends, server_context(), client_context())
    assert server.bindings == {}
    assert client.bindings == {"tls-server-end-point": SERVER_END_POINT}


def test_a_server_sees_the_certificate_that_a_client_shows(ends: Ends) -> None:
    asking = server_context(verify=ssl.CERT_REQUIRED)
    server, client = shake_hands(ends, asking, client_context(CLIENT), der(SERVER))
    assert server.certificate == der(CLIENT)
    assert server.bindings == client.bindings
    assert server.bindings == {"tls-server-end-point": SERVER_END_POINT}


def test_a_flow_begins_tls(ends: Ends) -> None:
    def flow(server_hostname: str | None) -> Flow[Negotiated]:
        negotiated: Negotiated = yield Handshake(server_hostname)
        return negotiated

    server, client = ends
    driver = Driver(server, tls=server_context(), certificate=der(SERVER))
    served = Background(lambda: driver.run(flow(None)))
    negotiated = Driver(client, tls=client_context()).run(flow(NAME))
    assert negotiated.bindings == served.result().bindings


def test_without_a_context_there_is_no_tls(pair: tuple[Stream, socket.socket]) -> None:
    def flow() -> Flow[None]:
        yield Handshake()

    with pytest.raises(ValueError, match="no context for TLS"):
        Driver(pair[0]).run(flow())


# Handshakes that fail


@pytest.mark.parametrize(
    ("certificate", "name", "message"),
    [
        (trustme.CA().issue_cert(NAME), NAME, "unable to get local issuer"),
        (SERVER, "other.example", "Hostname mismatch"),
        (SERVER, "192.0.2.1", "IP address mismatch"),
    ],
)
def test_a_certificate_that_is_not_good_ends_the_handshake(
    ends: Ends, certificate: trustme.LeafCert, name: str, message: str
) -> None:
    server, client = ends
    context = server_context(certificate, most=TLS_1_2)
    served = Background(lambda: server.handshake(context, None))
    with pytest.raises(ssl.SSLCertVerificationError, match=message):
        client.handshake(client_context(), name)
    client.close()
    assert isinstance(served.result(), OSError)


def test_a_certificate_for_no_name_cannot_be_checked(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    with pytest.raises(ValueError, match="requires server_hostname"):
        stream.handshake(client_context(), "")
    stream.close()
    assert read_all(peer) == b""


def test_without_a_check_a_server_needs_no_name(ends: Ends) -> None:
    server, client = ends
    served = Background(lambda: server.handshake(server_context(), None))
    client.handshake(usual_context(Tls.OPPORTUNISTIC), "")
    assert served.result().version == "TLSv1.3"


def test_what_was_said_in_clear_is_not_read_inside_tls(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(b"250 AUTH PLAIN\r\n")
    assert stream.transmit(b"STARTTLS\r\n", heed=True) is True
    with pytest.raises(ssl.SSLError, match="spoken before the handshake"):
        stream.handshake(client_context(), NAME)
    assert stream.receive() == b"250 AUTH PLAIN\r\n"


def client_hello() -> bytes:
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def server_hello(said: bytes) -> bytes:
    """What a server says to the first words of a client, up to its Finished."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(said)
    tls = server_context().wrap_bio(incoming, outgoing, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("name", [None, NAME])
def test_a_silent_peer_is_too_slow(
    pair: tuple[Stream, socket.socket], name: str | None
) -> None:
    stream, _ = pair
    context = server_context() if name is None else client_context()
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.handshake(context, name)


def test_a_peer_that_falls_silent_in_a_handshake_is_too_slow(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.sendall(client_hello())
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.handshake(server_context(), None)


def test_a_peer_that_takes_nothing_of_a_handshake_is_too_slow(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    names = [f"{number}.mx.example" for number in range(5_000)]
    peer.sendall(client_hello())
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.handshake(server_context(AUTHORITY.issue_cert(*names)), None)


@pytest.mark.parametrize("octets", [0, 1, 100, -1])
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_a_client_that_leaves_in_a_handshake_has_gone(
    ends: Ends, octets: int, leave: Callable[[socket.socket], None]
) -> None:
    server, client = ends
    client.sock.sendall(client_hello()[:octets])
    leave(client.sock)
    with pytest.raises(OSError, match=r".") as caught:
        server.handshake(server_context(), None)
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("octets", [0, 1, 100, -1])
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_a_server_that_leaves_in_a_handshake_has_gone(
    ends: Ends, octets: int, leave: Callable[[socket.socket], None]
) -> None:
    server, client = ends
    trying = Background(lambda: client.handshake(client_context(), NAME))
    said = server_hello(server.receive())
    server.sock.sendall(said[:octets])
    leave(server.sock)
    error = trying.result()
    assert isinstance(error, OSError)
    assert not isinstance(error, TimeoutError)


def test_stop_interrupts_a_handshake_once() -> None:
    ours, theirs = socket.socketpair()
    with (
        contextlib.closing(Stop()) as stop,
        contextlib.closing(Stream(ours, stop)) as stream,
        theirs,
    ):
        context = server_context()
        interrupted = Background(lambda: stream.handshake(context, None))
        stop.tell()
        assert isinstance(interrupted.result(), Stopping)
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError):
            stream.receive()


def test_who_cannot_agree_hears_an_alert(ends: Ends) -> None:
    """What is unread must not take the alert away with a reset.  RFC 8446 section 6."""
    server, client = ends
    finished = b"\x16\x03\x01\x00\x04\x14\x00\x00\x00"  # nobody begins with it
    client.sock.sendall(finished + b"octets that nobody wants" * 10_000)
    with pytest.raises(ssl.SSLError, match="unexpected message"):
        server.handshake(server_context(), None)
    lingering = Background(server.linger)
    assert client.receive()[5:] == b"\x02\x0a"  # fatal: unexpected_message
    assert client.receive() == b""
    client.close()
    assert lingering.result() is None


# Octets inside TLS


def test_what_one_end_sends_the_other_receives(inside: Ends) -> None:
    server, client = inside
    assert server.transmit(b"220 hello\r\n") is False
    assert client.receive() == b"220 hello\r\n"
    assert client.transmit(b"QUIT\r\n") is False
    assert server.receive() == b"QUIT\r\n"


def receive_all(stream: Stream) -> bytes:
    return b"".join(iter(stream.receive, b""))


@pytest.mark.parametrize("heed", [False, True])
@pytest.mark.parametrize("from_server", [False, True])
def test_more_than_the_socket_takes_is_sent_in_parts(
    inside: Ends, heed: bool, from_server: bool
) -> None:
    sender, receiver = inside if from_server else inside[::-1]
    received = Background(lambda: receive_all(receiver))
    assert sender.transmit(LONG, heed=heed) is False
    sender.close()
    assert received.result() == LONG


def test_a_deaf_peer_is_too_slow(peer: tuple[Stream, ssl.SSLSocket]) -> None:
    stream, _ = peer
    stream.set_deadline(SOON)
    with pytest.raises(TimeoutError, match="too slow"):
        stream.transmit(LONG)


def test_the_peer_is_told_that_tls_ends(peer: tuple[Stream, ssl.SSLSocket]) -> None:
    """A peer that insists on close_notify is no exception.  RFC 8446 section 6.1."""
    stream, server = peer
    stream.transmit(b"last words")
    stream.close()
    assert [server.recv(100), server.recv(100)] == [b"last words", b""]


def test_who_lingers_tells_the_peer_that_tls_ends(
    peer: tuple[Stream, ssl.SSLSocket],
) -> None:
    stream, server = peer
    stream.transmit(b"last words")
    lingering = Background(stream.linger)
    assert [server.recv(100), server.recv(100)] == [b"last words", b""]
    server.close()
    assert lingering.result() is None


@pytest.mark.parametrize(
    "leave", [lambda server: server.unwrap().close(), socket.socket.close]
)
def test_the_end_of_the_peer_is_an_end_with_close_notify_or_without(
    peer: tuple[Stream, ssl.SSLSocket], leave: Callable[[ssl.SSLSocket], None]
) -> None:
    stream, server = peer
    server.sendall(b"last words")
    leaving = Background(lambda: leave(server))
    assert [stream.receive(), stream.receive()] == [b"last words", b""]
    stream.close()
    leaving.result()


def test_who_lingers_inside_tls_lets_the_peer_read_the_last_words(inside: Ends) -> None:
    """Octets that nobody wants must not take them away with a reset."""
    server, client = inside
    client.transmit(b"octets that nobody wants" * 1_000)
    server.transmit(b"421 closing\r\n")
    lingering = Background(server.linger)
    client.transmit(b"more of them" * 1_000)
    assert receive_all(client) == b"421 closing\r\n"
    client.close()
    assert lingering.result() is None


def test_who_is_cut_off_receives_no_more(inside: Ends) -> None:
    server, client = inside
    waiting = Background(server.receive)
    server.cut()
    assert waiting.result() == b""
    assert client.receive() == b""
    server.close()
    server.cut()


# A peer that speaks while we do


def test_with_heed_nothing_is_sent_once_the_peer_has_spoken(inside: Ends) -> None:
    server, client = inside
    server.transmit(b"421")
    assert client.transmit(b"more content", heed=True) is True
    assert client.receive() == b"421"
    client.close()
    assert server.receive() == b""


@pytest.mark.parametrize("close", [Stream.close, Stream.cut])
def test_with_heed_nothing_is_sent_once_the_peer_has_closed(
    inside: Ends, close: Callable[[Stream], None]
) -> None:
    server, client = inside
    close(server)
    assert client.transmit(b"more content", heed=True) is True
    assert [client.receive(), client.receive()] == [b"", b""]


def test_what_tls_says_for_itself_is_no_word_of_the_peer(inside: Ends) -> None:
    """A server sends tickets after the handshake.  RFC 8446 section 4.6.1."""
    server, client = inside
    assert client.transmit(b"content", heed=True) is False
    assert server.receive() == b"content"


def test_without_data_only_what_was_said_inside_tls_counts(inside: Ends) -> None:
    """Tickets come first.  RFC 8446 section 4.6.1."""
    server, client = inside
    assert client.transmit(b"", heed=True) is False
    server.transmit(b"220 mx.example\r\n")
    assert client.transmit(b"", heed=True) is True
    assert client.receive() == b"220 mx.example\r\n"


def test_after_what_was_heeded_other_things_can_be_sent(inside: Ends) -> None:
    """A record that was begun is sent to its end, or TLS would be out of step."""
    server, client = inside
    heard = Background(lambda: client.transmit(LONG, heed=True))
    begun = server.receive()
    server.transmit(b"552 too large\r\n")
    assert heard.result() is True
    assert client.receive() == b"552 too large\r\n"
    received = Background(lambda: begun + receive_all(server))
    assert client.transmit(b"QUIT\r\n") is False
    client.close()
    content, quit, rest = received.result().partition(b"QUIT\r\n")
    assert LONG.startswith(content)
    assert (quit, rest) == (b"QUIT\r\n", b"")


# The end where the socket is full


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


# Contexts, certificates and names


@pytest.mark.parametrize("policy", [Tls.REQUIRE, Tls.IMPLICIT])
def test_a_client_checks_certificates_unless_told_otherwise(policy: Tls) -> None:
    context = usual_context(policy)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_an_opportunistic_client_takes_any_certificate() -> None:
    """RFC 7435 section 3: better than to go on without TLS."""
    context = usual_context(Tls.OPPORTUNISTIC)
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_NONE


def pem(certificate: trustme.LeafCert) -> str:
    return "".join(each.bytes().decode() for each in certificate.cert_chain_pems)


KEY = SERVER.private_key_pem.bytes().decode()
CHAIN = AUTHORITY.create_child_ca().issue_cert(NAME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(pem(SERVER), der(SERVER), id="one"),
        pytest.param(pem(CHAIN), der(CHAIN), id="a chain"),
        pytest.param(KEY + pem(SERVER), der(SERVER), id="after its key"),
        pytest.param("subject: mx\n" + pem(SERVER), der(SERVER), id="after a text"),
        pytest.param(pem(SERVER) + KEY, der(SERVER), id="before its key"),
        pytest.param(pem(SERVER).strip(), der(SERVER), id="without a line end"),
    ],
)
def test_the_first_certificate_of_a_file_is_the_servers_own(
    text: str, expected: bytes
) -> None:
    assert first_certificate(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY,
        ssl.PEM_HEADER,
        ssl.PEM_FOOTER,
        f"{ssl.PEM_FOOTER}\n{ssl.PEM_HEADER}",
        f"{ssl.PEM_HEADER}\nA\n{ssl.PEM_FOOTER}",
    ],
)
def test_without_a_certificate_there_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no certificate|base64"):
        first_certificate(text)


def test_a_chain_has_more_than_one_certificate() -> None:
    assert pem(CHAIN).count(ssl.PEM_HEADER) == 2


def test_nonces_and_timestamps_are_never_the_same() -> None:
    """RFC 1939 section 7, RFC 5802 section 5.1: printable, and without commas."""
    nonces = {nonce() for _ in range(1_000)}
    timestamps = {timestamp("mx.example") for _ in range(1_000)}
    assert len(nonces) == len(timestamps) == 1_000
    assert all(re.fullmatch(r"[!-+\--~]{24,}", each) for each in nonces)
    assert all(re.fullmatch(r"<[0-9a-f]+@mx\.example>", each) for each in timestamps)
