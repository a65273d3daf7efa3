"""A plain application that does not read, and a peer that feels it."""

import socket
import threading
from typing import Final

from asynchronous import Kit
from loopback import Raw
from smtp_pop_core import Blocks, smtp

BLOCK: Final = b"a line of content\r\n" * 3_450  # nearly 64 KiB
MOST: Final = 500  # blocks, which together no buffers of a system hold


async def test_a_peer_is_not_read_while_a_plain_application_waits(kit: Kit) -> None:
    go_on = threading.Event()
    received: list[int] = []

    class Waiting(smtp.Application):
        def message(
            self, envelope: smtp.Envelope, content: Blocks
        ) -> smtp.Reply | None:
            go_on.wait(30)
            received.append(sum(map(len, content)))
            return None

    def begin() -> Raw:
        client = Raw(socket.create_connection(server.addresses[0]))
        client.hear()
        for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"):
            assert client.say(line)[0] in "23"
        client.sock.setblocking(False)
        return client

    def end() -> str:
        client.sock.settimeout(30)
        client.sock.sendall((BLOCK * MOST)[sent:])
        said = client.say(".")
        client.close()
        return said[:3]

    async with kit.serve_smtp(Waiting) as server:
        client = await kit.thread(begin)
        sent, stuck = 0, 0
        while stuck < 100 and sent < len(BLOCK) * MOST:
            try:
                sent += client.sock.send(BLOCK[sent % len(BLOCK) :])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                await kit.checkpoint()
        assert sent < len(BLOCK) * MOST
        assert received == []
        go_on.set()
        assert await kit.thread(end) == "250"
    assert received == [len(BLOCK) * MOST]
