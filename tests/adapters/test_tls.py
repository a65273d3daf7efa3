"""TLS on the streams of each adapter, on socket pairs and on loopback."""

import contextlib
import hashlib
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapting import Adapter
from certificates import (
    AUTHORITY,
    CLIENT,
    NAME,
    SERVER,
    client_context,
    der,
    server_context,
)
from loopback import read_all, reset
from pairs import ends, ends_inside, inside, pair, shake_hands, tcp_pair
from smtp_pop_adapters._tls import client_context as usual_context
from smtp_pop_adapters._tls import first_certificate, nonce, shared_context, timestamp
from smtp_pop_core import Flow, Handshake, Negotiated, Stopping, Tls

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
SERVER_END_POINT = hashlib.sha256(der(SERVER)).digest()  # signed with ECDSA and SHA-256
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


# What a handshake comes to


@pytest.mark.parametrize(
    ("most", "version", "unique"),
    [(TLS_1_2, "TLSv1.2", True), (TLS_1_3, "TLSv1.3", False)],
)
async def test_both_sides_negotiate_the_same(
    adapter: Adapter, most: ssl.TLSVersion, version: str, unique: bool
) -> None:
    """tls-unique has no meaning above TLS 1.2.  RFC 8446 appendix C.5."""
    context = client_context(most=most)
    async with ends(adapter) as both:
        server, client = await shake_hands(
            adapter, both, server_context(), context, der(SERVER)
        )
    assert server.version == client.version == version
    assert server.cipher == client.cipher != ""
    assert client.certificate == der(SERVER)
    assert server.certificate is None
    assert server.bindings == client.bindings
    assert client.bindings["tls-server-end-point"] == SERVER_END_POINT
    assert ("tls-unique" in client.bindings) is unique


async def test_without_its_own_certificate_a_server_cannot_be_bound_to_it(
    adapter: Adapter,
) -> None:
    async with ends(adapter) as both:
        server, client = await shake_hands(
            adapter, both, server_context(), client_context()
        )
    assert server.bindings == {}
    assert client.bindings == {"tls-server-end-point": SERVER_END_POINT}


async def test_a_server_sees_the_certificate_that_a_client_shows(
    adapter: Adapter,
) -> None:
    asking = server_context(verify=ssl.CERT_REQUIRED)
    async with ends(adapter) as both:
        server, client = await shake_hands(
            adapter, both, asking, client_context(CLIENT), der(SERVER)
        )
    assert server.certificate == der(CLIENT)
    assert server.bindings == client.bindings
    assert server.bindings == {"tls-server-end-point": SERVER_END_POINT}


async def test_a_flow_begins_tls(adapter: Adapter) -> None:
    def flow(server_hostname: str | None) -> Flow[Negotiated]:
        negotiated: Negotiated = yield Handshake(server_hostname)
        return negotiated

    async with ends(adapter) as (server, client), adapter.tasks() as start:
        options = {"tls": server_context(), "certificate": der(SERVER)}
        serving = adapter.driver(server, **options)
        served = start(lambda: serving.run(flow(None)))
        negotiated = await adapter.driver(client, tls=client_context()).run(flow(NAME))
        assert negotiated.bindings == (await served.result()).bindings


async def test_without_a_context_there_is_no_tls(adapter: Adapter) -> None:
    def flow() -> Flow[None]:
        yield Handshake()

    async with pair(adapter) as (stream, _):
        with pytest.raises(ValueError, match="no context for TLS"):
            await adapter.driver(stream).run(flow())


# Handshakes that fail


@pytest.mark.parametrize(
    ("certificate", "name", "message"),
    [
        (trustme.CA().issue_cert(NAME), NAME, "unable to get local issuer"),
        (SERVER, "other.example", "Hostname mismatch"),
        (SERVER, "192.0.2.1", "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_good_ends_the_handshake(
    adapter: Adapter, certificate: trustme.LeafCert, name: str, message: str
) -> None:
    async with ends(adapter) as (server, client), adapter.tasks() as start:
        context = server_context(certificate, most=TLS_1_2)
        served = start(lambda: server.handshake(context, None))
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            await client.handshake(client_context(), name)
        error = await served.result()
        assert isinstance(error, ssl.SSLError)
        assert "alert" in str(error)  # it was told why


async def test_a_certificate_for_no_name_cannot_be_checked(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        with pytest.raises(ValueError, match="requires server_hostname"):
            await stream.handshake(client_context(), "")
        stream.close()
        await adapter.checkpoint()
        assert peer.recv(100) == b""


async def test_without_a_check_a_server_needs_no_name(adapter: Adapter) -> None:
    async with ends(adapter) as (server, client), adapter.tasks() as start:
        served = start(lambda: server.handshake(server_context(), None))
        await client.handshake(usual_context(Tls.OPPORTUNISTIC), "")
        assert (await served.result()).version == "TLSv1.3"


async def test_what_was_said_in_clear_is_not_read_inside_tls(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"250 AUTH PLAIN\r\n")
        assert await stream.transmit(b"STARTTLS\r\n", heed=True) is True
        with pytest.raises(ssl.SSLError, match="spoken before the handshake"):
            await stream.handshake(client_context(), NAME)
        assert await stream.receive() == b"250 AUTH PLAIN\r\n"


async def test_tls_begins_behind_the_octets_that_were_read(adapter: Adapter) -> None:
    def greet(peer: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        peer.sendall(b"PROXY" + outgoing.read())  # in one segment
        incoming.write(peer.recv(65_536))
        tls.do_handshake()
        tls.write(b"EHLO x\r\n")
        peer.sendall(outgoing.read())

    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        greeted = start(lambda: adapter.thread(lambda: greet(peer)))
        assert await stream.receive(5) == b"PROXY"
        await stream.handshake(server_context(), None)
        assert await greeted.result() is None
        assert await stream.receive(4) == b"EHLO"
        assert await stream.receive() == b" x\r\n"


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
async def test_a_silent_peer_is_too_slow(adapter: Adapter, name: str | None) -> None:
    async with pair(adapter) as (stream, _):
        context = server_context() if name is None else client_context()
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.handshake(context, name)


async def test_a_peer_that_falls_silent_in_a_handshake_is_too_slow(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(client_hello())
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.handshake(server_context(), None)


async def test_a_peer_that_takes_nothing_of_a_handshake_is_too_slow(
    adapter: Adapter,
) -> None:
    names = [f"{number}.mx.example" for number in range(5_000)]
    context = server_context(AUTHORITY.issue_cert(*names))
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    theirs.sendall(client_hello())
    with theirs:
        with contextlib.closing(await adapter.stream(ours)) as stream:
            stream.set_deadline(SOON)
            with pytest.raises(TimeoutError, match="too slow"):
                await stream.handshake(context, None)
        await adapter.checkpoint()


@pytest.mark.parametrize("octets", [0, 1, 100, -1])
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_a_client_that_leaves_in_a_handshake_has_gone(
    adapter: Adapter, octets: int, leave: Callable[[socket.socket], None]
) -> None:
    async with tcp_pair(adapter) as (stream, peer):
        peer.sendall(client_hello()[:octets])
        leave(peer)
        with pytest.raises(OSError, match=r".") as caught:
            await stream.handshake(server_context(), None)
        assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("octets", [0, 1, 100, -1])
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_a_server_that_leaves_in_a_handshake_has_gone(
    adapter: Adapter, octets: int, leave: Callable[[socket.socket], None]
) -> None:
    def serve(peer: socket.socket) -> None:
        peer.sendall(server_hello(peer.recv(65_536))[:octets])
        leave(peer)

    async with tcp_pair(adapter) as (stream, peer), adapter.tasks() as start:
        trying = start(lambda: stream.handshake(client_context(), NAME))
        await adapter.thread(lambda: serve(peer))
        error = await trying.result()
        assert isinstance(error, OSError)
        assert not isinstance(error, TimeoutError)


async def test_stop_interrupts_a_handshake_once(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, _), adapter.tasks() as start:
            interrupted = start(lambda: stream.handshake(server_context(), None))
            await adapter.checkpoint()
            await adapter.checkpoint()
            stop.tell()
            assert isinstance(await interrupted.result(), Stopping)
            stream.set_deadline(SOON)
            with pytest.raises(TimeoutError):
                await stream.receive()


async def test_after_a_handshake_that_failed_nothing_is_said_in_clear(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError):
            await stream.handshake(server_context(), None)
        stream.set_deadline(SOON)
        with contextlib.suppress(TimeoutError):  # the handshake may still be waited for
            assert await stream.transmit(b"a secret") is False
        stream.close()
        await adapter.checkpoint()
        assert b"a secret" not in read_all(peer)


async def test_who_cannot_agree_hears_an_alert(adapter: Adapter) -> None:
    """What is unread must not take the alert away with a reset.  RFC 8446 section 6."""
    finished = b"\x16\x03\x01\x00\x04\x14\x00\x00\x00"  # nobody begins with it
    async with tcp_pair(adapter) as (stream, peer), adapter.tasks() as start:
        peer.sendall(finished + b"octets that nobody wants" * 10_000)
        with pytest.raises(ssl.SSLError, match="unexpected message"):
            await stream.handshake(server_context(), None)
        lingering = start(stream.linger)
        heard = await adapter.thread(lambda: read_all(peer))
        assert heard[5:] == b"\x02\x0a"  # fatal: unexpected_message
        assert await lingering.result() is None


# Octets inside TLS


async def test_what_one_end_sends_the_other_receives(adapter: Adapter) -> None:
    async with ends_inside(adapter) as (server, client):
        assert await server.transmit(b"220 hello\r\n") is False
        assert await client.receive() == b"220 hello\r\n"
        assert await client.transmit(b"QUIT\r\n") is False
        assert await server.receive() == b"QUIT\r\n"


async def receive_all(stream: Any) -> bytes:
    blocks = []
    while block := await stream.receive():
        blocks.append(block)
    return b"".join(blocks)


@pytest.mark.parametrize("heed", [False, True])
@pytest.mark.parametrize("from_server", [False, True])
async def test_more_than_the_socket_takes_is_sent_in_parts(
    adapter: Adapter, heed: bool, from_server: bool
) -> None:
    async with ends_inside(adapter) as both, adapter.tasks() as start:
        sender, receiver = both if from_server else both[::-1]
        received = start(lambda: receive_all(receiver))
        assert await sender.transmit(LONG, heed=heed) is False
        lingering = start(sender.linger)  # unread tickets would reset the connection
        assert await received.result() == LONG
        receiver.close()
        assert await lingering.result() is None


async def test_octets_that_are_no_tls_end_the_connection(adapter: Adapter) -> None:
    async with inside(adapter) as (stream, server):
        sock = socket.socket(fileno=server.detach())
        sock.sendall(b"220 this is no record\r\n")
        assert await stream.receive() == b""
        assert await stream.transmit(b"hello") is False
        sock.close()


@pytest.mark.parametrize("heed", [False, True])
async def test_a_deaf_peer_is_too_slow(adapter: Adapter, heed: bool) -> None:
    async with inside(adapter) as (stream, _):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.transmit(LONG, heed=heed)


async def test_the_peer_is_told_that_tls_ends(adapter: Adapter) -> None:
    """A peer that insists on close_notify is no exception.  RFC 8446 section 6.1."""
    async with inside(adapter) as (stream, server):
        await stream.transmit(b"last words")
        stream.close()
        stream.close()
        heard = await adapter.thread(lambda: [server.recv(100), server.recv(100)])
        assert heard == [b"last words", b""]


async def test_who_lingers_tells_the_peer_that_tls_ends(adapter: Adapter) -> None:
    async with inside(adapter) as (stream, server), adapter.tasks() as start:
        server.sendall(b"octets that nobody wants")
        await stream.transmit(b"last words")
        lingering = start(stream.linger)
        heard = await adapter.thread(lambda: [server.recv(100), server.recv(100)])
        assert heard == [b"last words", b""]
        server.close()
        assert await lingering.result() is None


@pytest.mark.parametrize("most", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize(
    "leave", [lambda server: server.unwrap().close(), socket.socket.close]
)
async def test_the_end_of_the_peer_is_an_end_with_close_notify_or_without(
    adapter: Adapter, leave: Callable[[ssl.SSLSocket], None], most: ssl.TLSVersion
) -> None:
    async with inside(adapter, most) as (stream, server), adapter.tasks() as start:
        server.sendall(b"last words")
        start(lambda: adapter.thread(lambda: leave(server)))
        heard = [await stream.receive() for _ in range(3)]
        assert heard == [b"last words", b"", b""]
        stream.close()


async def test_who_lingers_inside_tls_lets_the_peer_read_the_last_words(
    adapter: Adapter,
) -> None:
    """Octets that nobody wants must not take them away with a reset."""
    async with ends_inside(adapter) as (server, client), adapter.tasks() as start:
        await client.transmit(b"octets that nobody wants" * 1_000)
        await server.transmit(b"421 closing\r\n")
        lingering = start(server.linger)
        await client.transmit(b"more of them" * 1_000)
        assert await receive_all(client) == b"421 closing\r\n"
        client.close()
        assert await lingering.result() is None


async def test_who_is_cut_off_receives_no_more(adapter: Adapter) -> None:
    async with ends_inside(adapter) as (server, client), adapter.tasks() as start:
        waiting = start(server.receive)
        await adapter.checkpoint()
        server.cut()
        assert await waiting.result() == b""
        assert await client.receive() == b""
        server.close()
        server.cut()


# A peer that speaks while we do


async def test_with_heed_nothing_is_sent_once_the_peer_has_spoken(
    adapter: Adapter,
) -> None:
    async with ends_inside(adapter) as (server, client):
        await server.transmit(b"421")
        assert await client.transmit(b"more content", heed=True) is True
        assert await client.receive() == b"421"
        client.close()
        assert await server.receive() == b""


async def test_the_rest_of_a_record_that_was_begun_to_be_read_is_heeded(
    adapter: Adapter,
) -> None:
    """The socket itself has nothing more to say."""
    async with ends_inside(adapter) as (server, client):
        await server.transmit(b"354421")
        assert await client.receive(3) == b"354"
        assert await client.transmit(b"content", heed=True) is True
        assert await client.receive() == b"421"


@pytest.mark.parametrize("close", ["close", "cut"])
async def test_with_heed_nothing_is_sent_once_the_peer_has_closed(
    adapter: Adapter, close: str
) -> None:
    async with ends_inside(adapter) as (server, client):
        getattr(server, close)()
        assert await client.transmit(b"more content", heed=True) is True
        assert [await client.receive(), await client.receive()] == [b"", b""]


async def test_what_tls_says_for_itself_is_no_word_of_the_peer(
    adapter: Adapter,
) -> None:
    """A server sends tickets after the handshake.  RFC 8446 section 4.6.1."""
    async with ends_inside(adapter) as (server, client):
        assert await client.transmit(b"content", heed=True) is False
        assert await server.receive() == b"content"
    async with inside(adapter) as (stream, peer), adapter.tasks() as start:
        received = start(lambda: adapter.thread(lambda: read_all(peer)))
        assert await stream.transmit(LONG, heed=True) is False
        await stream.linger()  # there may be no room yet for the end of TLS
        assert await received.result() == LONG


async def test_without_data_only_what_was_said_inside_tls_counts(
    adapter: Adapter,
) -> None:
    """Tickets come first.  RFC 8446 section 4.6.1."""
    async with ends_inside(adapter) as (server, client):
        assert await client.transmit(b"", heed=True) is False
        await server.transmit(b"220 mx.example\r\n")
        assert await client.transmit(b"", heed=True) is True
        assert await client.receive() == b"220 mx.example\r\n"


async def test_after_what_was_heeded_other_things_can_be_sent(adapter: Adapter) -> None:
    """A record that was begun is sent to its end, or TLS would be out of step."""
    async with inside(adapter) as (stream, server), adapter.tasks() as start:
        heard = start(lambda: stream.transmit(LONG, heed=True))
        begun = await adapter.thread(lambda: server.recv(1))
        server.sendall(b"552 too large\r\n")
        assert await heard.result() is True
        assert await stream.receive() == b"552 too large\r\n"
        received = start(lambda: adapter.thread(lambda: read_all(server)))
        assert await stream.transmit(b"QUIT\r\n") is False
        await stream.linger()
        content, quit, rest = (begun + await received.result()).partition(b"QUIT\r\n")
        assert LONG.startswith(content)
        assert (quit, rest) == (b"QUIT\r\n", b"")


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


@pytest.mark.parametrize("policy", [Tls.REQUIRE, Tls.IMPLICIT, Tls.OPPORTUNISTIC])
def test_clients_share_a_context_for_each_policy(policy: Tls) -> None:
    context, usual = shared_context(policy), usual_context(policy)
    assert context is shared_context(policy)
    assert context.check_hostname == usual.check_hostname
    assert context.verify_mode is usual.verify_mode


def test_certificates_are_read_again_when_the_system_trusts_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = AUTHORITY.cert_pem.bytes(), trustme.CA().cert_pem.bytes()
    file, another = tmp_path / "one.pem", tmp_path / "another.pem"
    file.write_bytes(one)
    another.write_bytes(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    before = shared_context(Tls.REQUIRE)
    file.write_bytes(one + other)
    after = shared_context(Tls.REQUIRE)
    monkeypatch.setenv("SSL_CERT_FILE", str(another))
    elsewhere = shared_context(Tls.REQUIRE)
    counts = [len(each.get_ca_certs()) for each in (before, after, elsewhere)]
    assert counts == [1, 2, 1]
    assert elsewhere.get_ca_certs() != before.get_ca_certs()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    assert shared_context(Tls.REQUIRE).get_ca_certs() == []


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
