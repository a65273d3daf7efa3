"""Streams of each adapter, and what runs flows on them; on socket pairs."""

import contextlib
import logging
import socket
from typing import Final

import pytest

from adapting import Adapter
from loopback import read_all, reset
from pairs import pair, tcp_pair
from receiving import Store
from smtp_pop_core import (
    CLIENT,
    Ask,
    Blocks,
    Content,
    Flow,
    Read,
    Report,
    Stopping,
    on,
    read,
    smtp,
)

SOON: Final = 0.01  # seconds, where time itself is tested
LONG: Final = b"a line of content\r\n" * 300_000  # more than any socket buffer holds


# Reading and writing


async def test_what_one_end_sends_the_other_receives(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        assert await stream.transmit(b"220 hello\r\n") is False
        assert peer.recv(100) == b"220 hello\r\n"
        peer.sendall(b"QUIT\r\n")
        assert await stream.receive() == b"QUIT\r\n"


async def test_the_end_of_the_peer_is_received_again_and_again(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"last words")
        peer.close()
        heard = [await stream.receive() for _ in range(3)]
        assert heard == [b"last words", b"", b""]


async def test_no_more_is_taken_than_was_asked_for(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"PROXY EHLO x\r\n")
        peer.close()
        assert await stream.receive(1) == b"P"
        assert await stream.receive(5) == b"ROXY "
        assert await stream.receive(100) == b"EHLO x\r\n"
        assert await stream.receive(1) == b""
        assert await stream.receive() == b""


async def test_what_was_heard_early_is_given_in_pieces_too(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"552 too large\r\n")
        assert await stream.transmit(b"content", heed=True) is True
        assert await stream.receive(3) == b"552"
        assert await stream.receive() == b" too large\r\n"
        peer.close()
        assert await stream.transmit(b"content", heed=True) is True
        assert [await stream.receive(3), await stream.receive()] == [b"", b""]


async def test_without_data_a_stream_only_looks_whether_the_peer_has_spoken(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        assert await stream.transmit(b"", heed=True) is False
        peer.sendall(b"EHLO x\r\n")
        assert await stream.transmit(b"", heed=True) is True
        assert await stream.transmit(b"") is False
        assert await stream.receive() == b"EHLO x\r\n"
        assert await stream.transmit(b"", heed=True) is False
        peer.close()
        assert await stream.transmit(b"", heed=True) is True
        assert await stream.receive() == b""


async def test_a_peer_says_much_while_little_is_taken(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        said = start(lambda: adapter.thread(lambda: peer.sendall(LONG)))
        first = [await stream.receive(1) for _ in range(1_000)]
        left = len(LONG) - 1_000
        while left:
            left -= len(await stream.receive())
        assert b"".join(first) == LONG[:1_000]
        assert await said.result() is None


async def test_who_has_said_all_can_still_be_answered(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.shutdown(socket.SHUT_WR)
        assert await stream.receive() == b""
        await stream.transmit(b"221 bye\r\n")
        assert peer.recv(100) == b"221 bye\r\n"


@pytest.mark.parametrize("heed", [False, True])
async def test_more_than_the_socket_takes_is_sent_in_parts(
    adapter: Adapter, heed: bool
) -> None:
    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        received = start(lambda: adapter.thread(lambda: read_all(peer)))
        assert await stream.transmit(LONG, heed=heed) is False
        stream.close()
        assert await received.result() == LONG


async def test_a_peer_is_not_read_as_long_as_nobody_asks(adapter: Adapter) -> None:
    """So it feels an application that does not read."""
    async with pair(adapter) as (stream, peer):
        peer.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < len(LONG):
                sent += peer.send(LONG[sent:])
                for _ in range(10):
                    await adapter.checkpoint()
        assert sent < len(LONG)
        received = 0
        while received < sent:
            received += len(await stream.receive())
        assert received == sent


async def test_a_write_to_a_peer_that_has_gone_is_dropped(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"552 too large\r\n")
        peer.close()
        assert await stream.transmit(LONG) is False
        heard = [await stream.receive(), await stream.receive()]
        assert heard == [b"552 too large\r\n", b""]
        assert await stream.transmit(LONG) is False


async def test_a_peer_that_resets_is_gone(adapter: Adapter) -> None:
    async with tcp_pair(adapter) as (stream, peer):
        reset(peer)
        assert await stream.receive() == b""
        assert await stream.transmit(b"hello") is False
        assert await stream.transmit(b"hello") is False
        assert await stream.receive() == b""


async def test_who_is_cut_off_receives_no_more(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        waiting = start(stream.receive)
        await adapter.checkpoint()
        stream.cut()
        assert await waiting.result() == b""
        assert await adapter.thread(lambda: peer.recv(1)) == b""
        assert await stream.transmit(b"hello") is False


# A peer that speaks while we do


async def test_with_heed_nothing_is_sent_once_the_peer_has_spoken(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"421")
        assert await stream.transmit(b"more content", heed=True) is True
        assert await stream.receive() == b"421"
        stream.close()
        await adapter.checkpoint()
        assert peer.recv(100) == b""


async def test_with_heed_nothing_is_sent_once_the_peer_has_closed(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer):
        peer.close()
        assert await stream.transmit(b"more content", heed=True) is True
        assert await stream.transmit(b"even more of it", heed=True) is True
        assert await stream.receive() == b""


async def test_with_heed_nothing_is_sent_once_the_peer_has_reset(
    adapter: Adapter,
) -> None:
    async with tcp_pair(adapter) as (stream, peer):
        reset(peer)
        assert await stream.transmit(b"more content", heed=True) is True
        assert await stream.receive() == b""


async def test_with_heed_a_full_socket_is_not_waited_for_once_the_peer_speaks(
    adapter: Adapter,
) -> None:
    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        heard = start(lambda: stream.transmit(LONG, heed=True))
        assert await adapter.thread(lambda: peer.recv(1))
        peer.sendall(b"552 too large\r\n")
        assert await heard.result() is True
        assert await stream.receive() == b"552 too large\r\n"


# Deadlines


async def test_a_silent_peer_is_too_slow(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, _):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.receive()


async def test_a_deaf_peer_is_too_slow(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, _):
        stream.set_deadline(SOON)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.transmit(LONG)


async def test_a_deadline_holds_for_a_peer_that_never_pauses(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"x" * 100)
        stream.set_deadline(0)
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.receive()
        with pytest.raises(TimeoutError, match="too slow"):
            await stream.transmit(b"hello")


async def test_a_new_deadline_takes_the_place_of_the_old_one(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        peer.sendall(b"late")
        stream.set_deadline(0)
        stream.set_deadline(None)
        assert await stream.receive() == b"late"
        stream.set_deadline(30)
        assert await stream.transmit(b"in time") is False


async def test_who_does_not_wait_cannot_be_dismissed(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        stream.set_deadline(30, idle=True)
        assert not stream.dismiss()
        peer.sendall(b"hello")
        assert await stream.receive() == b"hello"


async def test_who_waits_for_the_peer_can_be_dismissed(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, peer), adapter.tasks() as start:
            stream.set_deadline(3600, idle=True)
            reading = start(stream.receive)
            await adapter.until(stream.dismiss)
            assert isinstance(await reading.result(), TimeoutError)
            stream.set_deadline(30)
            assert not await stream.transmit(b"bye")
            assert peer.recv(3) == b"bye"


# Stopping


async def test_stop_interrupts_a_read_once(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, peer), adapter.tasks() as start:
            interrupted = start(stream.receive)
            await adapter.checkpoint()
            await adapter.checkpoint()
            stop.tell()
            assert isinstance(await interrupted.result(), Stopping)
            peer.sendall(b"the rest")
            assert await stream.receive() == b"the rest"


async def test_stop_comes_before_what_the_peer_says(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, peer):
            peer.sendall(b"MAIL")
            stop.tell()
            with pytest.raises(Stopping):
                await stream.receive()
            assert await stream.receive() == b"MAIL"


async def test_stop_does_not_interrupt_a_write(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, peer), adapter.tasks() as start:
            writing = start(lambda: stream.transmit(LONG))
            assert await adapter.thread(lambda: peer.recv(1)) == LONG[:1]
            stop.tell()
            received = start(lambda: adapter.thread(lambda: read_all(peer)))
            assert await writing.result() is False
            stream.close()
            assert await received.result() == LONG[1:]


async def test_stop_ends_a_sleep_once(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, _), adapter.tasks() as start:
            interrupted = start(lambda: stream.sleep(3600))
            await adapter.checkpoint()
            stop.tell()
            assert isinstance(await interrupted.result(), Stopping)
            await stream.sleep(0)


async def test_a_sleep_passes(adapter: Adapter) -> None:
    with adapter.stop() as stop:
        async with pair(adapter, stop) as (stream, _):
            await stream.sleep(SOON)


# The last words


async def test_who_lingers_reads_until_the_peer_closes(adapter: Adapter) -> None:
    """Closing with unread octets would reset the connection, and the reply be lost."""
    async with tcp_pair(adapter) as (stream, peer), adapter.tasks() as start:
        peer.sendall(b"octets that nobody wants")
        await stream.transmit(b"421 closing\r\n")
        lingering = start(stream.linger)
        assert await adapter.thread(lambda: read_all(peer)) == b"421 closing\r\n"
        assert await lingering.result() is None


async def test_to_linger_for_a_peer_that_has_gone_is_no_error(adapter: Adapter) -> None:
    async with tcp_pair(adapter) as (stream, peer):
        reset(peer)
        assert await stream.receive() == b""
        await stream.linger()


async def test_who_lingers_does_not_wait_for_ever(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, peer):
        await stream.linger(SOON)
        stream.close()
        assert peer.recv(1) == b""


# The driver


async def test_a_flow_reads_as_many_octets_as_it_wants(adapter: Adapter) -> None:
    def flow() -> Flow[list[bytes]]:
        return [(yield Read(2)), (yield Read(most=3)), (yield Read())]

    async with pair(adapter) as (stream, peer):
        peer.sendall(b"abcdefgh")
        assert await adapter.driver(stream).run(flow()) == [b"ab", b"cde", b"fgh"]


async def test_plain_functions_can_read_content_whole(adapter: Adapter) -> None:
    def flow() -> Flow[bytes]:
        octets: bytes = yield Ask(Blocks.read, (Content(read),))
        return octets

    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        received = start(lambda: adapter.driver(stream).run(flow()))
        await adapter.thread(lambda: peer.sendall(LONG))
        peer.close()
        assert await received.result() == LONG


async def test_plain_functions_get_content_as_it_comes(adapter: Adapter) -> None:
    kept: list[bytes] = []

    def keep(blocks: Blocks) -> None:
        kept.extend(blocks)

    def keeping() -> Flow[None]:
        yield Ask(keep, (Content(read),))

    async with pair(adapter) as (stream, peer), adapter.tasks() as start:
        running = start(lambda: adapter.driver(stream).run(keeping()))
        peer.sendall(b"one")
        while kept != [b"one"]:
            await adapter.checkpoint()
        peer.sendall(b"two")
        peer.close()
        assert await running.result() is None
        assert b"".join(kept) == b"onetwo"


async def test_mistakes_are_reported_or_logged(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    mistakes: list[Exception] = []
    mistake = ValueError("a mistake")

    def flow() -> Flow[None]:
        yield Report(mistake)

    async with pair(adapter) as (stream, _):
        await adapter.driver(stream, report=mistakes.append).run(flow())
        assert mistakes == [mistake]
        with caplog.at_level(logging.ERROR):
            await adapter.driver(stream).run(flow())
        logged = [each.getMessage() for each in caplog.records]
        assert logged == ["ValueError('a mistake')"]


async def test_a_flow_can_use_another_stream(adapter: Adapter) -> None:
    async with pair(adapter) as (stream, _), pair(adapter) as (back, peer):
        driver = adapter.driver(stream, others={"back": back})
        peer.sendall(b"from the back")
        assert await driver.run(on("back", read())) == b"from the back"
        with pytest.raises(KeyError):
            await driver.run(on("elsewhere", read()))


async def test_what_goes_wrong_is_thrown_into_the_flow(adapter: Adapter) -> None:
    def flow() -> Flow[str]:
        try:
            yield Ask(int, ("x",))
        except ValueError as error:
            return str(error)
        return "nothing was thrown"

    async with pair(adapter) as (stream, _):
        assert "invalid literal" in await adapter.driver(stream).run(flow())


async def test_a_flow_that_reads_one_stream_and_sends_on_another_is_a_relay(
    adapter: Adapter,
) -> None:
    conn = smtp.Connection(CLIENT)

    def flow() -> Flow[smtp.MailResult]:
        yield from on("back", smtp.open(conn))
        result: smtp.MailResult = yield from on(
            "back",
            smtp.send_mail(conn, "a@b", ["c@d"], lambda: on("", read())),
        )
        yield from on("back", smtp.quit(conn))
        return result

    def say(peer: socket.socket) -> None:
        peer.sendall(LONG)
        peer.close()

    store = Store()
    async with adapter.serve_smtp(store) as server, pair(adapter) as (front, peer):
        sock = socket.create_connection(server.addresses[0])
        with contextlib.closing(await adapter.stream(sock)) as back:
            driver = adapter.driver(front, others={"back": back})
            async with adapter.tasks() as start:
                result = start(lambda: driver.run(flow()))
                await adapter.thread(lambda: say(peer))
                assert (await result.result()).outcome is smtp.Outcome.ACCEPTED
    assert store.kept.contents == [LONG]
