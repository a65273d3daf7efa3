"""Streams and drivers of the asyncio and trio adapters, on socket pairs."""

import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from asynchronous import Kit
from certificates import NAME, SERVER, client_context, der, server_context
from loopback import read_all, reset
from smtp_pop_adapters._async_driver import Driver
from smtp_pop_adapters._async_server import open_stream
from smtp_pop_adapters._async_stream import Stop, Stream
from smtp_pop_core import (
    Ask,
    AsyncBlocks,
    Blocks,
    Content,
    Deadline,
    Flow,
    Handshake,
    MessageAborted,
    Negotiated,
    On,
    Read,
    Report,
    Sleep,
    Stopping,
    Write,
    read,
)

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@asynccontextmanager
async def pair(
    kit: Kit, stop: Stop | None = None
) -> AsyncIterator[tuple[Stream, socket.socket]]:
    """A stream, and the peer at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    with theirs:
        with contextlib.closing(await open_stream(kit.runtime, ours, stop)) as stream:
            yield stream, theirs
        await kit.checkpoint()  # in which asyncio closes its sockets


@asynccontextmanager
async def tcp_pair(kit: Kit) -> AsyncIterator[tuple[Stream, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with theirs:
        with contextlib.closing(await open_stream(kit.runtime, ours)) as stream:
            yield stream, theirs
        await kit.checkpoint()


@asynccontextmanager
async def ends(kit: Kit) -> AsyncIterator[tuple[Stream, Stream]]:
    """The streams of a server and of a client; there is no TLS yet."""
    one, other = socket.socketpair()
    with (
        contextlib.closing(await open_stream(kit.runtime, one)) as server,
        contextlib.closing(await open_stream(kit.runtime, other)) as client,
    ):
        yield server, client
    await kit.checkpoint()


@asynccontextmanager
async def inside(
    kit: Kit, most: ssl.TLSVersion = TLS_1_3
) -> AsyncIterator[tuple[Stream, ssl.SSLSocket]]:
    """The stream of a client inside TLS, and a server that is nothing of ours."""

    async with pair(kit) as (stream, theirs):

        def serve() -> ssl.SSLSocket:
            return server_context(most=most).wrap_socket(
                theirs, server_side=True, suppress_ragged_eofs=False
            )

        async with kit.tasks() as start:
            serving = start(lambda: kit.thread(serve))
            await stream.handshake(client_context(), NAME)
            server: ssl.SSLSocket = await serving.result()
        with server:
            yield stream, server


# Reading and writing


# A peer that speaks while we do


async def test_what_tls_says_for_itself_is_no_word_of_the_peer(kit: Kit) -> None:
    """A server of TLS 1.3 sends tickets after the handshake."""
    async with inside(kit) as (stream, server), kit.tasks() as start:
        received = start(lambda: kit.thread(lambda: read_all(server)))
        assert await stream.transmit(LONG, heed=True) is False
        await stream.linger()  # there may be no room yet for the end of TLS
        assert await received.result() == LONG


async def test_inside_tls_the_peer_is_heard_while_we_send(kit: Kit) -> None:
    async with inside(kit) as (stream, server), kit.tasks() as start:
        heard = start(lambda: stream.transmit(LONG, heed=True))
        assert await kit.thread(lambda: server.recv(1))
        server.sendall(b"552 too large\r\n")
        assert await heard.result() is True
        assert await stream.receive() == b"552 too large\r\n"
        rest = start(lambda: kit.thread(lambda: read_all(server)))
        await stream.transmit(b"QUIT\r\n")  # after the record that was begun
        await stream.linger()
        assert (await rest.result()).endswith(b"QUIT\r\n")


# Deadlines


async def test_a_deaf_peer_inside_tls_is_too_slow(kit: Kit) -> None:
    async with inside(kit) as (stream, _):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.transmit(LONG, heed=True)


async def test_the_callers_own_deadline_loses_no_octet(kit: Kit) -> None:
    async with pair(kit) as (stream, peer):
        with pytest.raises(TimeoutError):
            async with kit.soon():
                await stream.receive()
        peer.sendall(b"late")
        assert await stream.receive() == b"late"


# Stopping


async def test_stop_interrupts_a_handshake(kit: Kit) -> None:
    stop = Stop()
    async with pair(kit, stop) as (stream, _), kit.tasks() as start:
        interrupted = start(lambda: stream.handshake(server_context(), None))
        await kit.checkpoint()
        await kit.checkpoint()
        stop.tell()
        assert isinstance(await interrupted.result(), Stopping)


# The last words


async def test_who_lingers_inside_tls_tells_the_peer_that_it_ends(kit: Kit) -> None:
    async with inside(kit) as (stream, server), kit.tasks() as start:
        server.sendall(b"octets that nobody wants")
        await stream.transmit(b"last words")
        lingering = start(stream.linger)
        heard = await kit.thread(lambda: [server.recv(100), server.recv(100)])
        assert heard == [b"last words", b""]
        server.close()
        assert await lingering.result() is None


async def test_who_closes_inside_tls_tells_the_peer_that_it_ends(kit: Kit) -> None:
    async with inside(kit) as (stream, server):
        await stream.transmit(b"last words")
        stream.close()
        stream.close()
        heard = await kit.thread(lambda: [server.recv(100), server.recv(100)])
        assert heard == [b"last words", b""]


# Handshakes


@pytest.mark.parametrize("most", [TLS_1_2, TLS_1_3])
async def test_both_sides_negotiate_the_same(kit: Kit, most: ssl.TLSVersion) -> None:
    def flow(server_hostname: str | None) -> Flow[Negotiated]:
        negotiated: Negotiated = yield Handshake(server_hostname)
        return negotiated

    async with ends(kit) as (server, client), kit.tasks() as start:
        context = server_context(most=most)
        serving = Driver(kit.runtime, server, tls=context, certificate=der(SERVER))
        served = start(lambda: serving.run(flow(None)))
        driver = Driver(kit.runtime, client, tls=client_context())
        one, other = await driver.run(flow(NAME)), await served.result()
        assert one.bindings == other.bindings
        assert one.version == other.version
        assert one.certificate == der(SERVER)


@pytest.mark.parametrize("most", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("clean", [True, False])
async def test_the_end_of_the_peer_is_an_end_with_close_notify_or_without(
    kit: Kit, most: ssl.TLSVersion, clean: bool
) -> None:
    async with inside(kit, most) as (stream, server), kit.tasks() as start:
        server.sendall(b"last words")
        leave = {True: server.unwrap, False: server.close}[clean]
        start(lambda: kit.thread(leave))
        heard = [await stream.receive() for _ in range(3)]
        assert heard == [b"last words", b"", b""]
        stream.close()


async def test_tls_begins_behind_the_octets_that_were_read(kit: Kit) -> None:
    async with pair(kit) as (stream, peer), kit.tasks() as start:

        def greet() -> bytes:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            peer.sendall(b"PROXY" + outgoing.read())  # in one segment
            incoming.write(peer.recv(65_536))
            tls.do_handshake()
            tls.write(b"EHLO x\r\n")
            peer.sendall(outgoing.read())
            return b"done"

        greeted = start(lambda: kit.thread(greet))
        assert await stream.receive(5) == b"PROXY"
        await stream.handshake(server_context(), None)
        assert await greeted.result() == b"done"
        assert await stream.receive(4) == b"EHLO"
        assert await stream.receive() == b" x\r\n"


async def test_what_was_said_in_clear_is_not_read_inside_tls(kit: Kit) -> None:
    async with pair(kit) as (stream, peer):
        peer.sendall(b"250 AUTH PLAIN\r\n")
        assert await stream.transmit(b"STARTTLS\r\n", heed=True) is True
        with pytest.raises(ssl.SSLError, match="spoken before the handshake"):
            await stream.handshake(client_context(), NAME)
        assert await stream.receive() == b"250 AUTH PLAIN\r\n"


async def test_content_comes_through_tls(kit: Kit) -> None:
    async with inside(kit) as (stream, server), kit.tasks() as start:

        def send() -> None:
            server.sendall(LONG)
            server.close()

        start(lambda: kit.thread(send))
        blocks = []
        while block := await stream.receive():
            blocks.append(block)
        assert b"".join(blocks) == LONG


async def test_octets_that_are_no_tls_end_the_connection(kit: Kit) -> None:
    async with inside(kit) as (stream, server):
        sock = socket.socket(fileno=server.detach())
        sock.sendall(b"220 this is no record\r\n")
        assert await stream.receive() == b""
        assert await stream.transmit(b"hello") is False
        sock.close()


@pytest.mark.parametrize(
    ("certificate", "name", "message"),
    [
        (trustme.CA().issue_cert(NAME), NAME, "unable to get local issuer"),
        (SERVER, "other.example", "Hostname mismatch"),
    ],
)
async def test_a_certificate_that_is_not_good_ends_the_handshake(
    kit: Kit, certificate: trustme.LeafCert, name: str, message: str
) -> None:
    async with ends(kit) as (server, client), kit.tasks() as start:
        context = server_context(certificate, most=TLS_1_2)
        served = start(lambda: server.handshake(context, None))
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            await client.handshake(client_context(), name)
        error = await served.result()
        assert isinstance(error, ssl.SSLError)
        assert "alert" in str(error)  # it was told why


async def test_a_certificate_for_no_name_cannot_be_checked(kit: Kit) -> None:
    async with pair(kit) as (stream, _):
        with pytest.raises(ValueError, match="requires server_hostname"):
            await stream.handshake(client_context(), "")


@pytest.mark.parametrize("name", [None, NAME])
async def test_a_silent_peer_is_too_slow_for_a_handshake(
    kit: Kit, name: str | None
) -> None:
    async with pair(kit) as (stream, _):
        context = server_context() if name is None else client_context()
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.handshake(context, name)


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
@pytest.mark.parametrize("name", [None, NAME])
async def test_a_peer_that_leaves_in_a_handshake_has_gone(
    kit: Kit, name: str | None, leave: Callable[[socket.socket], None]
) -> None:
    async with tcp_pair(kit) as (stream, peer):
        context = server_context() if name is None else client_context()
        leave(peer)
        with pytest.raises(OSError, match=r".") as caught:
            await stream.handshake(context, name)
        assert not isinstance(caught.value, TimeoutError)


async def test_after_a_handshake_that_failed_nothing_is_said_in_clear(
    kit: Kit,
) -> None:
    async with pair(kit) as (stream, peer):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError):
            await stream.handshake(server_context(), None)
        stream.set_deadline(30)
        assert await stream.transmit(b"a secret") is False
        stream.close()
        await kit.checkpoint()
        assert b"a secret" not in read_all(peer)


async def test_who_takes_nothing_of_what_tls_says_for_itself_is_gone(kit: Kit) -> None:
    one, other = socket.socketpair()
    one.setblocking(False)
    wire = await kit.runtime.wire(one)
    with (
        contextlib.closing(Stream(kit.runtime, wire)) as stream,
        contextlib.closing(await open_stream(kit.runtime, other)) as client,
    ):
        async with kit.tasks() as start:
            start(lambda: stream.handshake(server_context(), None))
            await client.handshake(client_context(), NAME)
        await client.transmit(b"hello")
        wire.put(LONG)
        assert await stream.receive() == b""
    await kit.checkpoint()


async def test_without_a_context_there_is_no_tls(kit: Kit) -> None:
    def flow() -> Flow[None]:
        yield Handshake()

    async with pair(kit) as (stream, _):
        with pytest.raises(ValueError, match="no context for TLS"):
            await Driver(kit.runtime, stream).run(flow())


# The driver


async def double(number: int) -> int:
    return 2 * number


async def test_a_flow_ends_with_its_result(kit: Kit) -> None:
    def flow() -> Flow[list[object]]:
        return [
            (yield Deadline(30)),
            (yield Write(b"hello")),
            (yield Read()),
            (yield Ask(divmod, (7, 2))),
            (yield Ask(double, (7,))),
            (yield Ask(double, (8,), shield=True)),
            (yield Sleep(0)),
            (yield On("", Write(b"!", heed=True))),
            (yield On("", Read())),
        ]

    async with pair(kit) as (stream, peer):
        peer.sendall(b"hi")
        driver = Driver(kit.runtime, stream)
        async with kit.tasks() as start:
            outcome = start(lambda: driver.run(flow()))
            assert await kit.thread(lambda: peer.recv(5)) == b"hello"
            await kit.checkpoint()
            peer.shutdown(socket.SHUT_WR)
            *answers, heard, end = await outcome.result()
        assert answers == [None, False, b"hi", (3, 1), 14, 16, None]
        assert heard in (False, True)  # the end may have come before
        assert end == b""


async def test_what_goes_wrong_is_thrown_into_the_flow(kit: Kit) -> None:
    async def fail() -> None:
        await kit.checkpoint()
        raise ValueError("a mistake")

    def flow(function: Callable[..., object]) -> Flow[str]:
        try:
            yield Ask(function)
        except ValueError as error:
            return str(error)
        return "nothing was thrown"

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await driver.run(flow(fail)) == "a mistake"
        assert "invalid literal" in await driver.run(flow(lambda: int("x")))


class Keeper:
    """An object that is called, and keeps the blocks that it gets."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def __call__(self, blocks: AsyncBlocks) -> None:
        async for block in blocks:
            self.blocks.append(block)


async def test_async_functions_get_content_as_it_comes(kit: Kit) -> None:
    def flow() -> Flow[None]:
        yield Ask(keeper, (Content(read),))

    keeper = Keeper()
    async with pair(kit) as (stream, peer), kit.tasks() as start:
        kept = start(lambda: Driver(kit.runtime, stream).run(flow()))
        peer.sendall(b"one")
        while keeper.blocks != [b"one"]:
            await kit.checkpoint()
        peer.sendall(b"two")
        peer.close()
        assert await kept.result() is None
        assert b"".join(keeper.blocks) == b"onetwo"


async def test_async_functions_can_read_content_whole(kit: Kit) -> None:
    async def whole(blocks: AsyncBlocks) -> bytes:
        return await blocks.read()

    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(whole, (Content(read),))
        return octets

    async with pair(kit) as (stream, peer), kit.tasks() as start:
        received = start(lambda: Driver(kit.runtime, stream).run(flow()))
        await kit.thread(lambda: peer.sendall(LONG))
        peer.close()
        assert await received.result() == LONG


async def test_only_what_may_block_is_called_in_a_thread(kit: Kit) -> None:
    def flow() -> Flow[list[int]]:
        return [
            (yield Ask(threading.get_ident, quick=True)),
            (yield Ask(ident)),
            (yield Ask(threading.get_ident)),
        ]

    async def ident() -> int:
        return threading.get_ident()

    async with pair(kit) as (stream, _):
        quick, awaited, plain = await Driver(kit.runtime, stream).run(flow())
    assert quick == awaited == threading.get_ident()
    assert plain != quick


async def test_a_plain_function_may_return_what_is_awaited(kit: Kit) -> None:
    def flow() -> Flow[int]:
        number: int = yield Ask(lambda: double(4))
        return number

    async with pair(kit) as (stream, _):
        assert await Driver(kit.runtime, stream).run(flow()) == 8
        assert await kit.cancelled_at(
            1, lambda: Driver(kit.runtime, stream).run(flow())
        )


async def test_who_is_cancelled_waits_for_the_thread_and_has_its_answer(
    kit: Kit,
) -> None:
    told: list[object] = []

    def fail() -> None:
        raise ValueError("a mistake")

    def flow(function: Callable[..., object]) -> Flow[None]:
        try:
            told.append((yield Ask(function)))
        except ValueError as error:
            yield Report(error)
        yield Ask(told.append, ("owed",), shield=True)
        try:
            yield Sleep(3600)
        finally:
            told.append("ended")

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream, report=told.append)
        assert await kit.cancelled_at(1, lambda: driver.run(flow(lambda: 7)))
        assert told == [7, "owed", "ended"]
        told.clear()
        assert await kit.cancelled_at(1, lambda: driver.run(flow(fail)))
        assert str(told.pop(0)) == "a mistake"
        assert told == ["owed", "ended"]


async def test_a_thread_that_waits_for_content_is_told_of_the_cancellation(
    kit: Kit,
) -> None:
    told: list[object] = []

    def take(blocks: Blocks) -> None:
        for again in (True, True, False):
            try:
                blocks.read()
            except MessageAborted as error:
                told.append(str(error))
                if not again:
                    raise

    def flow() -> Flow[None]:
        yield Ask(take, (Content(read),))

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        for number in range(1, 4):
            told.clear()
            assert await kit.cancelled_at(number, lambda: driver.run(flow()))
            assert told == ["the session was cancelled"] * 3


async def test_what_is_asked_for_content_while_a_thread_waits_has_its_own(
    kit: Kit,
) -> None:
    def piece() -> Flow[bytes]:
        block: bytes = yield Ask(next, (blocks, b""))
        return block

    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(Blocks.read, (Content(piece),))
        return octets

    blocks = iter([b"one", b"two"])
    async with pair(kit) as (stream, _):
        assert await Driver(kit.runtime, stream).run(flow()) == b"onetwo"


async def test_plain_functions_meet_the_break_where_it_is(kit: Kit) -> None:
    pieces = iter([b"one", b"two"])

    def piece() -> Flow[bytes]:
        yield Sleep(0)
        for each in pieces:
            return each
        raise MessageAborted("the connection was lost")

    taken: list[bytes] = []

    def keep(blocks: Blocks) -> None:
        taken.extend(blocks)

    def flow() -> Flow[None]:
        yield Ask(keep, (Content(piece),))

    async with pair(kit) as (stream, _):
        with pytest.raises(MessageAborted):
            await Driver(kit.runtime, stream).run(flow())
        assert taken == [b"one", b"two"]


async def test_a_flow_is_closed_when_it_is_cancelled(kit: Kit) -> None:
    closed = []

    def flow() -> Flow[None]:
        try:
            yield Sleep(3600)
        finally:
            closed.append(True)

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await kit.cancelled_at(1, lambda: driver.run(flow()))
        assert closed == [True]


async def test_a_flow_that_is_cancelled_may_ask_and_report_but_nothing_else(
    kit: Kit,
) -> None:
    told: list[object] = []
    mistakes: list[Exception] = []

    async def tell(what: str) -> None:
        await kit.checkpoint()
        told.append(what)

    async def fail() -> None:
        await kit.checkpoint()
        raise ValueError("a mistake")

    def flow() -> Flow[None]:
        try:
            yield Sleep(3600)
        except BaseException:
            yield Ask(tell, ("first",), shield=True)
            try:
                yield Ask(fail)
            except ValueError as error:
                yield Report(error)
            yield Write(b"never")
            told.append("never")
            raise

    async with pair(kit) as (stream, peer):
        driver = Driver(kit.runtime, stream, report=mistakes.append)
        assert await kit.cancelled_at(1, lambda: driver.run(flow()))
        assert told == ["first"]
        assert [str(each) for each in mistakes] == ["a mistake"]
        stream.close()
        await kit.checkpoint()
        assert peer.recv(100) == b""


@pytest.mark.parametrize("number", [1, 2])
async def test_what_is_shielded_is_carried_out_to_its_end(
    kit: Kit, number: int
) -> None:
    told = []

    async def slow(fails: bool) -> None:
        for _ in range(5):
            await kit.checkpoint()
        told.append(fails)
        if fails:
            raise ValueError("a mistake")

    def flow(fails: bool) -> Flow[None]:
        yield Ask(slow, (fails,), shield=True)
        yield Sleep(3600)

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        assert await kit.cancelled_at(number, lambda: driver.run(flow(False)))
        with contextlib.suppress(ValueError):
            assert await kit.cancelled_at(number, lambda: driver.run(flow(True)))
        assert told == [False, True]


async def test_content_that_was_kept_has_nothing_more_to_give(kit: Kit) -> None:
    def flow(function: Callable[..., object], content: Content) -> Flow[Blocks]:
        blocks: Blocks = yield Ask(function, (content,))
        return blocks

    def keep(blocks: Blocks) -> Blocks:
        return blocks

    async with pair(kit) as (stream, _):
        driver = Driver(kit.runtime, stream)
        content = Content(read)
        blocks = await driver.run(flow(keep, content))
        with pytest.raises(MessageAborted):
            blocks.read()
        content.ended = True
        assert blocks.read() == b""
