"""Servers of SMTP in memory: each is asked what a client asks, one command a read.

All of them call an application that takes every message and drops it.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, Final

from smtp_pop_core import NEED_DATA, SERVER, Blocks, MessageData, smtp

from ._contents import encoded, pieces, stuffed, text
from ._in_memory import Session
from ._measure import OURS, Contender, Group, Outcome

DOMAIN: Final = "mx.example"
EHLO: Final = b"EHLO client.example\r\n"
_MAIL: Final = b"MAIL FROM:<alice@a.example>\r\n"
_RCPT: Final = b"RCPT TO:<bob@b.example>\r\n"


def transaction(content: bytes, recipients: int = 1) -> list[bytes]:
    """Return what a client says to send a message, read by read."""
    commands = [_MAIL, *[_RCPT] * recipients, b"DATA\r\n"]
    return [*commands, *pieces(stuffed(content))]


def session(content: bytes) -> list[bytes]:
    """Return what a client says in a session with one message."""
    return [EHLO, *transaction(content, 3), b"QUIT\r\n"]


class Sink(smtp.Application):
    """Takes every message and drops it."""

    _TAKEN: Final = smtp.Reply(250, ("Taken",))

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply:
        for _ in content:
            pass
        return self._TAKEN


class Ours:
    """The flow `smtp.serve` with an application."""

    name = OURS

    def sessions(self, said: Sequence[bytes], count: int) -> None:
        for _ in repeat(None, count):
            one = Session(smtp.serve(smtp.Connection(SERVER, domain=DOMAIN), Sink))
            one.hear(said)
            assert one.written.startswith(b"221"), one.written

    def transactions(self, said: Sequence[bytes], count: int) -> None:
        one = Session(smtp.serve(smtp.Connection(SERVER, domain=DOMAIN), Sink))
        one.hear([EHLO])
        for _ in repeat(None, count):
            one.hear(said)
        assert one.written.startswith(b"250"), one.written
        assert not one.ended


class OurConnection:
    """`smtp.Connection` alone, without an application."""

    name = "our Connection"

    def sessions(self, said: Sequence[bytes], count: int) -> None:
        for _ in repeat(None, count):
            last = _answer(smtp.Connection(SERVER, domain=DOMAIN), said)
            assert last.startswith(b"221"), last

    def transactions(self, said: Sequence[bytes], count: int) -> None:
        conn = smtp.Connection(SERVER, domain=DOMAIN)
        _answer(conn, [EHLO])
        last = _answer(conn, chain.from_iterable(repeat(said, count)))
        assert last.startswith(b"250"), last


TAKEN: Final = smtp.Reply(250, ("Taken",))
_REPLIES: Final[dict[type, smtp.Reply]] = {
    smtp.Mail: smtp.Reply(250, ("Sender OK",)),
    smtp.Rcpt: smtp.Reply(250, ("Recipient OK",)),
    smtp.Data: smtp.Reply(354, ("Go on, and end with a dot",)),
    smtp.EndOfMessage: TAKEN,
}
"""What a server that takes every message has to say, made once."""


def _answer(conn: smtp.Connection, reads: Any) -> bytes:
    """Say to each command what is due, and return the last of it."""
    last = b""
    for data in reads:
        conn.receive_data(data)
        while (event := conn.next_event()) is not NEED_DATA:
            reply = _REPLIES.get(type(event))
            if reply is not None:
                last = conn.send(reply)
            elif isinstance(event, smtp.Command):
                last = conn.send(conn.default_reply(event))
            elif type(event) is not MessageData:
                return last
    return last


class _Transport(asyncio.Transport):
    """Takes what is written, and tells when a reply is complete."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = b""
        self.paused = False
        self.closing = False
        self.replied: asyncio.Future[None] = asyncio.Future()

    def write(self, data: Any) -> None:
        self.written = bytes(data)
        last = self.written[self.written.rfind(b"\n", 0, -1) + 1 :]
        if last[3:4] == b" " and not self.replied.done():
            self.replied.set_result(None)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Aiosmtpd:
    """`aiosmtpd.smtp.SMTP`, on an event loop without sockets."""

    name = "aiosmtpd"

    def __init__(self) -> None:
        import aiosmtpd.smtp

        self._module = aiosmtpd.smtp

    def sessions(self, said: Sequence[bytes], count: int) -> None:
        async def run() -> None:
            for _ in repeat(None, count):
                transport = await self._speak(chain(said))
                assert transport.written.startswith(b"221"), transport.written

        asyncio.run(run())

    def transactions(self, said: Sequence[bytes], count: int) -> None:
        async def run() -> None:
            reads = chain([EHLO], chain.from_iterable(repeat(said, count)))
            transport = await self._speak(reads)
            assert transport.written.startswith(b"250"), transport.written

        asyncio.run(run())

    async def _speak(self, reads: chain[bytes]) -> _Transport:
        class Handler:
            async def handle_DATA(  # noqa: N802
                self, server: object, session: object, envelope: object
            ) -> str:
                return "250 Taken"

        transport, loop = _Transport(), asyncio.get_running_loop()
        protocol = self._module.SMTP(Handler(), hostname=DOMAIN, loop=loop)
        protocol.connection_made(transport)
        await transport.replied
        in_content = False
        for data in reads:
            transport.replied = loop.create_future()
            protocol.data_received(data)
            if not in_content or data.endswith(b"\r\n.\r\n"):
                await transport.replied
                in_content = transport.written.startswith(b"354")
            while transport.paused:
                await asyncio.sleep(0)
        transport.close()
        protocol.connection_lost(None)
        task = protocol._handler_coroutine
        assert task is not None
        task.cancel()
        await asyncio.wait([task])
        return transport


class Twisted:
    """`twisted.mail.smtp.ESMTP`, with a transport in memory."""

    name = "twisted"

    def __init__(self) -> None:
        from twisted.internet import defer, task
        from twisted.internet.testing import StringTransport
        from twisted.mail import smtp as module
        from zope.interface import implementer

        @implementer(module.IMessage)
        class Message:
            def lineReceived(self, line: bytes) -> None:  # noqa: N802
                pass

            def eomReceived(self) -> Any:  # noqa: N802
                return defer.succeed(None)

            def connectionLost(self) -> None:  # noqa: N802
                pass

        @implementer(module.IMessageDelivery)
        class Delivery:
            def receivedHeader(self, helo: Any, origin: Any, to: Any) -> bytes:  # noqa: N802
                return b""

            def validateFrom(self, helo: Any, origin: Any) -> Any:  # noqa: N802
                return origin

            def validateTo(self, user: Any) -> Any:  # noqa: N802
                return Message

        module_: Any = module
        clock: Any = task.Clock()
        transport: Any = StringTransport

        def begin() -> Any:
            protocol = module_.ESMTP()
            protocol.delivery = Delivery()
            protocol.callLater = clock.callLater
            protocol.host = DOMAIN.encode()
            protocol.makeConnection(transport())
            return protocol

        self._begin = begin

    def sessions(self, said: Sequence[bytes], count: int) -> None:
        for _ in repeat(None, count):
            protocol = self._begin()
            for data in said:
                protocol.dataReceived(data)
            last = protocol.transport.value().splitlines()[-1]
            assert last.startswith(b"221"), last
            protocol.setTimeout(None)

    def transactions(self, said: Sequence[bytes], count: int) -> None:
        protocol = self._begin()
        protocol.dataReceived(EHLO)
        for _ in repeat(None, count):
            protocol.transport.clear()
            for data in said:
                protocol.dataReceived(data)
        last = protocol.transport.value().splitlines()[-1]
        assert last.startswith(b"250"), last
        protocol.setTimeout(None)


class H11:
    """`h11.Connection`: a GET and its response of 1 KB; what a cycle costs there."""

    name = "h11"

    def __init__(self) -> None:
        import h11

        self._h11 = h11
        self._body = text(1024)
        self._get = (
            b"GET /message/1 HTTP/1.1\r\nHost: mx.example\r\n"
            b"User-Agent: bench\r\nAccept: */*\r\n\r\n"
        )

    def transactions(self, said: Sequence[bytes], count: int) -> None:
        h11 = self._h11
        conn = h11.Connection(h11.SERVER)
        headers = [("Content-Length", "1024"), ("Content-Type", "text/plain")]
        for _ in repeat(None, count):
            conn.receive_data(self._get)
            assert type(conn.next_event()) is h11.Request
            assert type(conn.next_event()) is h11.EndOfMessage
            conn.send(h11.Response(status_code=200, headers=headers))
            conn.send(h11.Data(data=self._body))
            conn.send(h11.EndOfMessage())
            conn.start_next_cycle()


def available(kinds: Sequence[type[Any]], outcome: Outcome) -> list[Any]:
    """Return one of each kind whose package is installed, and note the others."""
    found = []
    for kind in kinds:
        try:
            found.append(kind())
        except ImportError as error:
            outcome.missing.append(f"{kind.name}: {error}")
    return found


def contenders(
    them: Sequence[Any], does: str, said: Sequence[bytes]
) -> list[Contender]:
    """Let each of them do the same."""

    def bound(one: Any) -> Contender:
        method = getattr(one, does)
        return Contender(one.name, lambda count: partial(method, said, count))

    return [bound(each) for each in them]


def groups(octets: int, outcome: Outcome) -> list[Group]:
    """Return what is measured, with large messages of so many octets."""
    them = available([Ours, OurConnection, Aiosmtpd, Twisted], outcome)
    short = text(1024)
    contents = {"base64": encoded(octets), "text": text(octets)}
    said = transaction(short)
    return [
        Group("SMTP server: session", contenders(them, "sessions", session(short))),
        Group(
            "SMTP server: 1 KB",
            [
                *contenders(them, "transactions", said),
                *contenders(available([H11], outcome), "transactions", said),
            ],
        ),
        *(
            Group(
                f"SMTP server: 1 MB {kind}",
                contenders(them, "transactions", transaction(content)),
                len(content),
            )
            for kind, content in contents.items()
        ),
    ]
