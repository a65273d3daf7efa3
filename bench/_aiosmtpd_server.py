"""A server of aiosmtpd as a process: takes every message and drops it."""

import asyncio
import socket


class Sink:
    async def handle_DATA(  # noqa: N802
        self, server: object, session: object, envelope: object
    ) -> str:
        return "250 Taken"


class _Prompt:
    """Sends what it has at once, as our servers do."""

    def __init__(self) -> None:
        from aiosmtpd.smtp import SMTP

        class Server(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)

        self._server = Server

    def __call__(self) -> asyncio.BaseProtocol:
        return self._server(Sink(), hostname="mx.example", data_size_limit=None)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Prompt(), "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    print(f"listening smtp 127.0.0.1:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
