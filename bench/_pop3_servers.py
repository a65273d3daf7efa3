"""Servers of POP3 in memory, after the login, with maildrops in memory."""

from collections.abc import Iterable, Sequence
from functools import cache, partial
from io import BytesIO
from itertools import repeat
from typing import Any, Final

from smtp_pop_core import SERVER, Limits, MessageData, pop3, sasl

from ._contents import encoded, pieces, text
from ._in_memory import Session
from ._measure import OURS, Contender, Group, Outcome
from ._smtp_servers import available

MANY: Final = 1_000
_END: Final = pop3.EndOfMessage()
_LIMITS: Final = Limits(idle_commands=1 << 30)  # a session asks the same very often


class Memory(pop3.Maildrop):
    """So many messages of the same content, held in blocks of 64 KiB."""

    def __init__(self, content: bytes, count: int) -> None:
        self._blocks = list(pieces(content))
        self.messages = _messages(content, count)

    def read(self, number: int) -> Iterable[bytes]:
        return self._blocks


@cache
def _messages(content: bytes, count: int) -> tuple[pop3.Message, ...]:
    """Return so many messages; to make them is not what is measured."""
    size = pop3.size_of(content)
    return tuple(pop3.Message(size, f"unique-id-{number}") for number in range(count))


class Ours:
    """The flow `pop3.serve` with an application."""

    name = OURS

    def commands(self, content: bytes, count: int, line: bytes, times: int) -> None:
        maildrop = Memory(content, count)

        class Application(pop3.Application):
            def authenticate(self, question: sasl.Question) -> object:
                return "joe"

            def open(self, identity: str) -> pop3.Maildrop:
                return maildrop

        conn = pop3.Connection(SERVER, limits=_LIMITS)
        one = Session(pop3.serve(conn, Application))
        one.hear([b"USER joe\r\n", b"PASS secret\r\n"])
        assert one.written.startswith(b"+OK"), one.written
        said = [line]
        for _ in repeat(None, times):
            one.hear(said)
        assert not one.ended


class OurConnection:
    """`pop3.Connection` alone, and what a server around it has to say.

    It has the same of the maildrop as the mailbox of twisted: sizes, unique ids and
    what a message is read from.  Both add up for STAT, put a listing together for LIST
    and UIDL, and say the size before a message.
    """

    name = "our Connection"

    def commands(self, content: bytes, count: int, line: bytes, times: int) -> None:
        conn = pop3.Connection(SERVER, limits=_LIMITS)
        for said in (b"", b"USER joe\r\n", b"PASS secret\r\n"):
            if said:
                conn.receive_data(said)
            conn.next_event()
            conn.send(pop3.Response(pop3.OK))
        store = _Store(conn, content, count)
        for _ in repeat(None, times):
            conn.receive_data(line)
            written = store.answer(conn.next_event())
        assert written.startswith(b"+OK"), written
        assert written.endswith(b"\r\n"), written
        assert not conn.closed


class _Store:
    def __init__(self, conn: pop3.Connection, content: bytes, count: int) -> None:
        self._conn = conn
        self._blocks = list(pieces(content))
        self._sizes = [pop3.size_of(content)] * count
        self._ids = [f"unique-id-{number}" for number in range(count)]

    def answer(self, event: object) -> bytes:
        """Return what is written."""
        match event:
            case pop3.Retr(number=number):
                return self._message(number)
            case pop3.Stat():
                data: pop3.Data = pop3.Totals(len(self._sizes), sum(self._sizes))
            case pop3.List():
                data = pop3.Sizes.checked(dict(enumerate(self._sizes, 1)))
            case pop3.Uidl():
                ids = dict(enumerate(self._ids, 1))
                data = pop3.UniqueIds.checked(ids, standard=True)
            case _:
                raise AssertionError(event)
        return self._conn.send(pop3.Response(pop3.OK, data=data))

    def _message(self, number: int) -> bytes:
        send = self._conn.send
        size = self._sizes[number - 1]
        said = [send(pop3.Response(pop3.OK, f"{size} octets"))]
        said += [send(MessageData(block)) for block in self._blocks]
        said.append(send(_END))
        return b"".join(said)


class Twisted:
    """`twisted.mail.pop3.POP3`, with a transport in memory."""

    name = "twisted"

    def __init__(self) -> None:
        from twisted.internet import defer, task
        from twisted.internet.testing import StringTransport
        from twisted.mail import pop3 as module
        from zope.interface import implementer

        @implementer(module.IMailbox)
        class Mailbox:
            def __init__(self, content: bytes, count: int) -> None:
                self.content = content.replace(b"\r\n", b"\n")
                self.sizes = [len(content)] * count
                self.ids = [b"unique-id-%d" % number for number in range(count)]

            def listMessages(self, index: int | None = None) -> Any:  # noqa: N802
                return self.sizes if index is None else self.sizes[index]

            def getMessage(self, index: int) -> BytesIO:  # noqa: N802
                return BytesIO(self.content)

            def getUidl(self, index: int) -> bytes:  # noqa: N802
                return self.ids[index]

        module_: Any = module
        clock: Any = task.Clock()
        transport: Any = StringTransport

        def at_once(iterator: Any) -> Any:
            for _ in iterator:
                pass
            return defer.succeed(None)

        def begin(content: bytes, count: int) -> Any:
            protocol = module_.POP3()
            protocol.callLater = clock.callLater
            protocol.schedule = at_once
            protocol.makeConnection(transport())
            protocol.mbox = Mailbox(content, count)
            return protocol

        self._begin = begin

    def commands(self, content: bytes, count: int, line: bytes, times: int) -> None:
        protocol = self._begin(content, count)
        transport = protocol.transport
        for _ in repeat(None, times):
            transport.clear()
            protocol.dataReceived(line)
            while (producer := transport.producer) is not None:
                producer.resumeProducing()
        assert transport.value().startswith(b"+OK"), transport.value()
        assert transport.value().endswith(b"\r\n"), transport.value()
        protocol.setTimeout(None)


def _contenders(
    them: Sequence[Any], content: bytes, count: int, line: bytes
) -> list[Contender]:
    def bound(one: Any) -> Contender:
        return Contender(
            one.name, lambda times: partial(one.commands, content, count, line, times)
        )

    return [bound(each) for each in them]


def groups(octets: int, outcome: Outcome) -> list[Group]:
    """Return what is measured, with large messages of so many octets."""
    them = available([Ours, OurConnection, Twisted], outcome)
    short, content = text(1024), encoded(octets)
    works = {  # content, how many messages, command
        "STAT": (short, MANY, b"STAT\r\n"),
        "LIST 1,000": (short, MANY, b"LIST\r\n"),
        "UIDL 1,000": (short, MANY, b"UIDL\r\n"),
        "RETR 1 KB": (short, 10, b"RETR 5\r\n"),
        "RETR 1 MB": (content, 1, b"RETR 1\r\n"),
    }
    return [
        Group(
            f"POP3 server: {name}",
            _contenders(them, *work),
            len(content) if name == "RETR 1 MB" else 0,
        )
        for name, work in works.items()
    ]
