"""Servers of each adapter, and those who come to their doors."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from adapting import Adapter
from certificates import NAME
from loopback import Raw
from maildrops import OPEN_LOGINS, Store
from smtp_pop_core import Blocks, sasl, smtp


class Receiver(smtp.Application):
    """Takes all messages, and knows nobody."""

    def authenticate(self, question: sasl.Question) -> object:
        return None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        content.read()


class Door:
    """A server while it runs, and those who connect to it.

    Attributes:
        server: The server.
    """

    def __init__(self, server: Any, clients: contextlib.ExitStack) -> None:
        self.server = server
        self._clients = clients

    def knock(self, number: int = 0) -> Raw:
        """Connect to an address of the server."""
        host, port = self.server.addresses[number]
        sock = socket.socket(socket.AF_UNIX if "/" in host else socket.AF_INET)
        client = self._clients.enter_context(contextlib.closing(Raw(sock)))
        sock.connect(host if "/" in host else (host, port))
        return client

    def handshake(self, context: ssl.SSLContext) -> Raw:
        """Connect, and begin TLS; the peer has to say that it ends."""
        sock = context.wrap_socket(
            socket.create_connection(self.server.addresses[0], 30),
            server_hostname=NAME,
            suppress_ragged_eofs=False,
        )
        return self._clients.enter_context(contextlib.closing(Raw(sock)))

    def enter(self) -> Raw:
        """Connect until there is room, and hear the greeting."""
        while not (client := self.knock()).hear().startswith(("220 ", "+OK ")):
            pass
        return client

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that the server does."""
        while not happened():
            time.sleep(0)  # nothing but a chance for others


class Serving:
    """Runs a server of one adapter, and a function that meets it at its door."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __call__(
        self,
        protocol: str,
        meet: Callable[[Door], Callable[[], object] | None],
        **options: Any,
    ) -> Any:
        """Serve while a function is called; what it returns is called at the stop.

        The server is returned.
        """
        adapter = self._adapter
        application: Any = options.pop("application", None)
        if application is None:
            application = {"smtp": Receiver, "pop3": Store()}[protocol]
        options = {"domain": "mx.example", "logins": OPEN_LOGINS} | options

        async def run() -> None:
            with contextlib.ExitStack() as clients:
                async with adapter.serve(protocol, application, **options) as server:
                    last = await adapter.thread(lambda: meet(Door(server, clients)))
                    async with adapter.tasks() as start:
                        stopping = [start(server.stop) for _ in range(2)]
                        await adapter.thread(last or _nothing)
                        clients.close()
                    assert [await each.result() for each in stopping] == [None] * 2

            servers.append(server)

        servers: list[Any] = []
        adapter.run(run)
        return servers[0]


def _nothing() -> None:
    pass
