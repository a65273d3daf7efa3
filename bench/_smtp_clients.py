"""Clients of SMTP in memory: each sends the same messages, and hears the same replies.

The server offers PIPELINING: a client that uses it hears several replies in one read.
"""

import asyncio
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from functools import partial
from io import BytesIO
from itertools import chain, repeat
from typing import Any, Final

from smtp_pop_core import CLIENT, MessageData, smtp

from ._contents import encoded, text
from ._in_memory import REPLIES, Socket, Talk
from ._measure import OURS, Contender, Group, Outcome
from ._smtp_servers import available

SENDER: Final = "alice@a.example"
RECIPIENT: Final = "bob@b.example"
DOMAIN: Final = "client.example"
_OPENING: Final = [REPLIES["greeting"], REPLIES["ehlo"]]
_OK: Final = REPLIES["ok"]


def _lock_step(recipients: int) -> list[bytes]:
    """Return the replies to one message, a read each."""
    return [_OK, *[_OK] * recipients, REPLIES["go"], _OK]


def _pipelined(recipients: int) -> list[bytes]:
    """Return the replies to one message whose commands are pipelined."""
    return [_OK * (recipients + 1) + REPLIES["go"], _OK]


class Ours:
    """The flows `smtp.open`, `smtp.send_mail` and `smtp.quit`."""

    name = OURS

    def sessions(self, content: bytes, count: int) -> None:
        to = [RECIPIENT] * 3
        for _ in repeat(None, count):
            conn, talk = smtp.Connection(CLIENT, domain=DOMAIN), Talk()
            talk.run(smtp.open(conn), _OPENING)
            result = talk.run(smtp.send_mail(conn, SENDER, to, content), _pipelined(3))
            assert result.outcome is smtp.Outcome.ACCEPTED
            reply = talk.run(smtp.quit(conn), [REPLIES["bye"]])
            assert reply is not None

    def transactions(self, content: bytes, count: int) -> None:
        conn, talk = smtp.Connection(CLIENT, domain=DOMAIN), Talk()
        talk.run(smtp.open(conn), _OPENING)
        heard = _pipelined(1)
        for _ in repeat(None, count):
            result = talk.run(smtp.send_mail(conn, SENDER, [RECIPIENT], content), heard)
            assert result.outcome is smtp.Outcome.ACCEPTED


class OurConnection:
    """`smtp.Connection` alone, one command after the other."""

    name = "our Connection"

    def sessions(self, content: bytes, count: int) -> None:
        for _ in repeat(None, count):
            conn = self._open()
            self._send(conn, content, 3)
            self._exchange(conn, smtp.Quit(), REPLIES["bye"])

    def transactions(self, content: bytes, count: int) -> None:
        conn = self._open()
        for _ in repeat(None, count):
            self._send(conn, content, 1)

    def _open(self) -> smtp.Connection:
        conn = smtp.Connection(CLIENT, domain=DOMAIN)
        conn.receive_data(REPLIES["greeting"])
        conn.next_event()
        self._exchange(conn, smtp.Ehlo(DOMAIN), REPLIES["ehlo"])
        return conn

    def _send(self, conn: smtp.Connection, content: bytes, recipients: int) -> None:
        self._exchange(conn, smtp.Mail(SENDER), _OK)
        for _ in range(recipients):
            self._exchange(conn, smtp.Rcpt(RECIPIENT), _OK)
        self._exchange(conn, smtp.Data(), REPLIES["go"])
        conn.send(MessageData(content, lf_ends_lines=True))
        self._exchange(conn, smtp.EndOfMessage(), _OK)

    def _exchange(
        self, conn: smtp.Connection, command: smtp.Command, heard: bytes
    ) -> None:
        conn.send(command)
        conn.receive_data(heard)
        assert type(conn.next_event()) is smtp.Reply


class Smtplib:
    """`smtplib.SMTP`, with something like a socket."""

    name = "smtplib"

    def __init__(self) -> None:
        import smtplib

        self._smtplib = smtplib

    def sessions(self, content: bytes, count: int) -> None:
        replies = chain.from_iterable(
            repeat([*_OPENING, *_lock_step(3), REPLIES["bye"]])
        )
        for _ in repeat(None, count):
            client = self._open(replies)
            refused = client.sendmail(SENDER, [RECIPIENT] * 3, content)
            assert refused == {}
            client.quit()

    def transactions(self, content: bytes, count: int) -> None:
        client = self._open(chain(_OPENING, chain.from_iterable(repeat(_lock_step(1)))))
        for _ in repeat(None, count):
            assert client.sendmail(SENDER, [RECIPIENT], content) == {}

    def _open(self, replies: Iterator[bytes]) -> Any:
        client: Any = self._smtplib.SMTP(local_hostname=DOMAIN)
        client.sock = Socket(replies)
        assert client.getreply()[0] == 220
        client.ehlo()
        return client


class Smtpproto:
    """`smtpproto.protocol.SMTPClientProtocol`, a state machine as well."""

    name = "smtpproto"

    def __init__(self) -> None:
        from smtpproto.protocol import SMTPClientProtocol

        self._protocol = SMTPClientProtocol

    def sessions(self, content: bytes, count: int) -> None:
        message = _message(content)
        for _ in repeat(None, count):
            client = self._open()
            self._send(client, message, 3)
            client.quit()
            self._hear(client, REPLIES["bye"])

    def transactions(self, content: bytes, count: int) -> None:
        message = _message(content)
        client = self._open()
        for _ in repeat(None, count):
            self._send(client, message, 1)

    def _open(self) -> Any:
        client = self._protocol()
        assert client.feed_bytes(REPLIES["greeting"])
        client.send_greeting(DOMAIN)
        self._hear(client, REPLIES["ehlo"])
        return client

    def _send(self, client: Any, message: Any, recipients: int) -> None:
        client.mail(SENDER, smtputf8=False)
        self._hear(client, _OK)
        for _ in range(recipients):
            client.recipient(RECIPIENT)
            self._hear(client, _OK)
        client.start_data()
        self._hear(client, REPLIES["go"])
        client.data(message)
        self._hear(client, _OK)

    def _hear(self, client: Any, reply: bytes) -> None:
        assert client.get_outgoing_data()
        assert client.feed_bytes(reply) is not None


def _message(content: bytes) -> Any:
    """Return the same message as an object, which is all that smtpproto takes."""
    return message_from_bytes(content)  # with this policy it is written fastest


class _Server(asyncio.Transport):
    """Answers each write with the next reply, at once: no turn of the loop is paid."""

    def __init__(self, protocol: Any, replies: Iterator[bytes]) -> None:
        super().__init__()
        self._protocol = protocol
        self._replies = replies

    def write(self, data: Any) -> None:
        self.say()

    def say(self) -> None:
        self._protocol.data_received(next(self._replies))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Aiosmtplib:
    """`aiosmtplib.SMTP`, on an event loop without sockets."""

    name = "aiosmtplib"

    def __init__(self) -> None:
        import aiosmtplib
        import aiosmtplib.protocol

        self._module: Any = aiosmtplib

    def sessions(self, content: bytes, count: int) -> None:
        replies = [*_OPENING, *_lock_step(3), REPLIES["bye"]]

        async def run() -> None:
            for _ in repeat(None, count):
                client = await self._open(iter(replies))
                refused, _ = await client.sendmail(SENDER, [RECIPIENT] * 3, content)
                assert refused == {}
                await client.quit()

        asyncio.run(run())

    def transactions(self, content: bytes, count: int) -> None:
        async def run() -> None:
            replies = chain(_OPENING, chain.from_iterable(repeat(_lock_step(1))))
            client = await self._open(replies)
            for _ in repeat(None, count):
                refused, _ = await client.sendmail(SENDER, [RECIPIENT], content)
                assert refused == {}

        asyncio.run(run())

    async def _open(self, replies: Iterator[bytes]) -> Any:
        client = self._module.SMTP(hostname="mx.example", local_hostname=DOMAIN)
        protocol = self._module.protocol.SMTPProtocol()
        server = _Server(protocol, replies)
        protocol.connection_made(server)
        client.protocol, client.transport = protocol, server
        server.say()
        await protocol.read_response()
        await client.ehlo()
        return client


class Twisted:
    """`twisted.mail.smtp.ESMTPClient`, with a transport in memory."""

    name = "twisted"

    def __init__(self) -> None:
        from twisted.internet.testing import StringTransport
        from twisted.mail.smtp import ESMTPClient

        base: Any = ESMTPClient
        self._transport: Any = StringTransport

        class Client(base):  # type: ignore[misc]  # its types are not known
            def __init__(self, content: bytes, recipients: int, count: int) -> None:
                super().__init__(None, None, DOMAIN)
                self.content = content
                self.recipients = recipients
                self.left = count
                self.taken = 0

            def getMailFrom(self) -> str | None:  # noqa: N802
                self.left -= 1
                return None if self.left < 0 else SENDER

            def getMailTo(self) -> list[str]:  # noqa: N802
                return [RECIPIENT] * self.recipients

            def getMailData(self) -> BytesIO:  # noqa: N802
                return BytesIO(self.content)

            def sentMail(self, *result: object) -> None:  # noqa: N802
                self.taken += 1

        self._client: Any = Client

    def sessions(self, content: bytes, count: int) -> None:
        lines = content.replace(b"\r\n", b"\n")
        for _ in repeat(None, count):
            client = self._open(lines, 3, 1)
            self._send(client, 3)
            client.dataReceived(REPLIES["bye"])
            assert client.taken == 1

    def transactions(self, content: bytes, count: int) -> None:
        client = self._open(content.replace(b"\r\n", b"\n"), 1, count)
        for _ in repeat(None, count):
            self._send(client, 1)
        assert client.taken == count
        assert len(client.transport.value()) > len(content)

    def _open(self, lines: bytes, recipients: int, count: int) -> Any:
        client = self._client(lines, recipients, count)
        client.makeConnection(self._transport())
        client.dataReceived(REPLIES["greeting"])
        client.dataReceived(REPLIES["ehlo"])
        return client

    def _send(self, client: Any, recipients: int) -> None:
        client.transport.clear()
        for _ in range(recipients + 1):
            client.dataReceived(_OK)
        client.dataReceived(REPLIES["go"])
        while (producer := client.transport.producer) is not None:
            producer.resumeProducing()
        client.dataReceived(_OK)
        client.dataReceived(_OK)  # to the RSET that follows each message


class H11:
    """`h11.Connection`: the same cycle as the client sees it."""

    name = "h11"

    def __init__(self) -> None:
        import h11

        self._h11 = h11
        self._said = (
            b"HTTP/1.1 200 \r\nContent-Length: 1024\r\nContent-Type: text/plain\r\n\r\n"
        ) + text(1024)

    def transactions(self, content: bytes, count: int) -> None:
        h11 = self._h11
        conn = h11.Connection(h11.CLIENT)
        headers = [("Host", "mx.example"), ("User-Agent", "bench"), ("Accept", "*/*")]
        for _ in repeat(None, count):
            conn.send(h11.Request(method="GET", target="/message/1", headers=headers))
            conn.send(h11.EndOfMessage())
            conn.receive_data(self._said)
            while type(conn.next_event()) is not h11.EndOfMessage:
                pass
            conn.start_next_cycle()


def contenders(them: Sequence[Any], does: str, content: bytes) -> list[Contender]:
    """Let each of them do the same."""

    def bound(one: Any) -> Contender:
        method = getattr(one, does)
        return Contender(one.name, lambda count: partial(method, content, count))

    return [bound(each) for each in them]


def groups(octets: int, outcome: Outcome) -> list[Group]:
    """Return what is measured, with large messages of so many octets."""
    kinds = [Ours, OurConnection, Smtplib, Smtpproto, Aiosmtplib, Twisted]
    them = available(kinds, outcome)
    short = text(1024)
    contents = {"base64": encoded(octets), "text": text(octets)}
    once = [*contenders(them, "transactions", short)]
    once += contenders(available([H11], outcome), "transactions", short)
    return [
        Group("SMTP client: session", contenders(them, "sessions", short)),
        Group("SMTP client: 1 KB", once),
        *(
            Group(
                f"SMTP client: 1 MB {kind}",
                contenders(them, "transactions", content),
                len(content),
            )
            for kind, content in contents.items()
        ),
    ]
