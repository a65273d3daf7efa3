"""Streams of each adapter, and the peers at their other ends."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from adapting import Adapter
from certificates import NAME, client_context, server_context


@asynccontextmanager
async def pair(
    adapter: Adapter, stop: Any = None
) -> AsyncIterator[tuple[Any, socket.socket]]:
    """A stream, and the peer at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    with theirs:
        with closing(await adapter.stream(ours, stop)) as stream:
            yield stream, theirs
        await adapter.checkpoint()  # in which asyncio closes its sockets


@asynccontextmanager
async def tcp_pair(adapter: Adapter) -> AsyncIterator[tuple[Any, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 30)
        ours, _ = listener.accept()
    with theirs:
        with closing(await adapter.stream(ours)) as stream:
            yield stream, theirs
        await adapter.checkpoint()


@asynccontextmanager
async def ends(adapter: Adapter) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of a server and of a client; there is no TLS yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with (
        closing(await adapter.stream(ours)) as server,
        closing(await adapter.stream(theirs)) as client,
    ):
        yield server, client
    await adapter.checkpoint()


async def shake_hands(
    adapter: Adapter,
    both: tuple[Any, Any],
    of_server: ssl.SSLContext,
    of_client: ssl.SSLContext,
    certificate: bytes | None = None,
) -> tuple[Any, Any]:
    """Begin TLS between two streams; return what both have negotiated."""
    server, client = both
    async with adapter.tasks() as start:
        served = start(lambda: server.handshake(of_server, None, certificate))
        negotiated = await client.handshake(of_client, NAME)
        return await served.result(), negotiated


@asynccontextmanager
async def ends_inside(adapter: Adapter) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of a server and of a client, inside TLS 1.3."""
    async with ends(adapter) as both:
        await shake_hands(adapter, both, server_context(), client_context())
        yield both


@asynccontextmanager
async def inside(
    adapter: Adapter, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[tuple[Any, ssl.SSLSocket]]:
    """The stream of a client inside TLS, and a server that is nothing of ours."""
    async with pair(adapter) as (stream, theirs):

        def serve() -> ssl.SSLSocket:
            return server_context(most=most).wrap_socket(
                theirs, server_side=True, suppress_ragged_eofs=False
            )

        async with adapter.tasks() as start:
            serving = start(lambda: adapter.thread(serve))
            await stream.handshake(client_context(), NAME)
            server: ssl.SSLSocket = await serving.result()
        with server:
            yield stream, server
