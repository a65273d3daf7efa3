"""Clients on streams that others have opened."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio

from asynchronous import AsyncioKit, Kit
from certificates import NAME, client_context, server_context
from maildrops import ALICE, LOGINS
from maildrops import Store as Mailbox
from receiving import Store
from smtp_pop_core import Limits, Timeouts, smtp

MESSAGE: Final = b"Subject: hello\r\n\r\nOne line.\r\n"
LONG: Final = b"a line of content\r\n" * 300_000  # more than any buffer holds
SOON: Final = 0.01  # seconds, where time itself is tested


async def opened(kit: Kit, address: Any, tls: ssl.SSLContext | None = None) -> Any:
    """Open a stream as users of asyncio and trio do."""
    if isinstance(kit, AsyncioKit):
        name = None if tls is None else NAME
        return await asyncio.open_connection(*address, ssl=tls, server_hostname=name)
    stream = await trio.open_tcp_stream(*address)
    return stream if tls is None else trio.SSLStream(stream, tls, server_hostname=NAME)


@asynccontextmanager
async def client_of(kit: Kit, server: Any, **options: Any) -> AsyncIterator[Any]:
    stream = await opened(kit, server.addresses[0])
    async with kit.connect_smtp(stream=stream, **options) as client:
        yield client
    await let_close(kit)


async def let_close(kit: Kit) -> None:
    for _ in range(10):
        await kit.checkpoint()
    gc.collect()


@pytest.mark.parametrize("content", [MESSAGE, LONG], ids=["short", "long"])
async def test_a_message_goes_over_a_stream(kit: Kit, content: bytes) -> None:
    store = Store()
    async with kit.serve_smtp(store) as server, client_of(kit, server) as client:
        (await client.send_mail("a@b", "c@d", content)).check()
    assert store.kept.contents == [content]
    assert store.kept.endings == [smtp.Ending.QUIT]


async def test_tls_begins_on_a_stream(kit: Kit) -> None:
    store = Store()
    options = {"tls": "require", "context": client_context(), "server_hostname": NAME}
    async with (
        kit.serve_smtp(store, tls=server_context(), logins=LOGINS) as server,
        client_of(kit, server, auth=ALICE, **options) as client,
    ):
        (await client.send_mail("a@b", "c@d", LONG)).check()
    assert store.kept.contents == [LONG]


async def test_a_stream_may_be_inside_tls_already(kit: Kit) -> None:
    options = {"tls": server_context(), "implicit_tls": True, "logins": LOGINS}
    async with kit.serve_pop3(Mailbox(MESSAGE, LONG), **options) as server:
        stream = await opened(kit, server.addresses[0], client_context())
        async with kit.connect_pop3(
            stream=stream, auth=ALICE, tls="none", allow_insecure_auth=True
        ) as client:
            assert await client.fetch(1) == MESSAGE
            assert await client.fetch(2) == LONG
        await let_close(kit)


async def test_a_deadline_holds_on_a_stream(kit: Kit) -> None:
    with new_listener() as listener:
        stream = await opened(kit, listener.getsockname())
        limits = Limits(timeouts=Timeouts(greeting=SOON))
        with pytest.raises(TimeoutError, match="too slow"):
            await kit.connect_smtp(stream=stream, limits=limits)
        await let_close(kit)


REFUSING: Final = [
    *[b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go", b"552 too much"],
]


async def test_a_refusal_in_the_middle_of_content_is_heard_on_a_stream(
    kit: Kit,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"a line of content\r\n" * 1_000

    def session() -> None:
        sock, _ = listener.accept()
        sock.settimeout(30)
        with sock, sock.makefile("rwb") as file:
            for reply in REFUSING:
                file.write(reply + b"\r\n")
                file.flush()
                file.readline()
            while file.read(65_536):
                pass

    with new_listener() as listener:
        async with kit.tasks() as start:
            start(lambda: kit.thread(session))
            stream = await opened(kit, listener.getsockname())
            client = await kit.connect_smtp(stream=stream)
            result = await client.send_mail("a@b", "c@d", endless())
            client.close()
        await let_close(kit)
    assert str(result.reply) == "552 too much"
    assert client.closed


async def test_a_client_on_a_stream_can_be_cancelled_at_any_await(kit: Kit) -> None:
    store = Store()
    async with kit.serve_smtp(store) as server:

        async def send() -> None:
            async with client_of(kit, server) as client:
                (await client.send_mail("a@b", "c@d", MESSAGE)).check()

        number = 1
        while await kit.cancelled_at(number, send):
            await kit.checkpoint()
            number += 1
        assert number > 10
        await let_close(kit)
    assert store.kept.contents[-1] == MESSAGE


async def test_the_callers_own_deadline_loses_no_octet_of_a_stream(kit: Kit) -> None:
    def answer() -> None:
        listener.settimeout(30)
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as file:
            sock.sendall(b"220 hi\r\n")
            for line in file:
                sock.sendall(b"250 " + line)

    with new_listener() as listener:
        async with kit.tasks() as start:
            answering = start(lambda: kit.thread(answer))
            stream = await opened(kit, listener.getsockname())
            client = await kit.connect_smtp(stream=stream, domain="x")
            with pytest.raises(TimeoutError):
                async with kit.soon():
                    await client._stream.receive()
            await client._stream.transmit(b"late\r\n")
            assert await client._stream.receive() == b"250 late\r\n"
            client.close()
            assert await answering.result() is None
        await let_close(kit)


def new_listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))
