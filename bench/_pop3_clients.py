"""Clients of POP3 in memory, after the login, which hear the same responses.

LIST and UIDL end with a number and a value for each message: who only splits lines has
them parsed here, as the program around it would.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, Final

from smtp_pop_core import CLIENT, NEED_DATA, MessageData, pop3

from ._contents import encoded, pieces, stuffed, text
from ._in_memory import Socket, Talk
from ._measure import OURS, Contender, Group, Outcome
from ._pop3_servers import MANY
from ._smtp_servers import available

_GREETING: Final = b"+OK ready\r\n"
_LOGIN: Final = [b"+OK name\r\n", b"+OK logged in\r\n"]
_SIZES: Final = (
    b"+OK sizes follow\r\n"
    + b"".join(b"%d %d\r\n" % (number, 1000 + number) for number in range(1, MANY + 1))
    + b".\r\n"
)
_IDS: Final = (
    b"+OK ids follow\r\n"
    + b"".join(b"%d unique-id-%d\r\n" % (n, n) for n in range(1, MANY + 1))
    + b".\r\n"
)

STAT: Final = ([b"+OK 10 10240\r\n"], 10)
LIST: Final = ([_SIZES], MANY)
UIDL: Final = ([_IDS], MANY)
"""What is heard, and how many messages that tells of."""


def retr(content: bytes) -> tuple[list[bytes], int]:
    """Return what is heard, read by read, and the octets of the message."""
    return [*pieces(b"+OK\r\n" + stuffed(content))], len(content)


class Ours:
    """The flows of `pop3`: `status`, `sizes`, `unique_ids`, `fetch`."""

    name = OURS

    def stat(self, reads: list[bytes], size: int, times: int) -> None:
        conn, talk = self._open()
        for _ in repeat(None, times):
            assert talk.run(pop3.status(conn), reads).messages == size

    def sizes(self, reads: list[bytes], size: int, times: int) -> None:
        conn, talk = self._open()
        for _ in repeat(None, times):
            assert len(talk.run(pop3.sizes(conn), reads)) == size

    def uidl(self, reads: list[bytes], size: int, times: int) -> None:
        conn, talk = self._open()
        for _ in repeat(None, times):
            assert len(talk.run(pop3.unique_ids(conn), reads)) == size

    def retr(self, reads: list[bytes], size: int, times: int) -> None:
        conn, talk = self._open()
        for _ in repeat(None, times):
            assert len(talk.run(pop3.fetch(conn, 1), reads)) == size

    def _open(self) -> tuple[pop3.Connection, Talk]:
        return _logged_in(), Talk()


class OurConnection:
    """`pop3.Connection` alone."""

    name = "our Connection"

    def stat(self, reads: list[bytes], size: int, times: int) -> None:
        conn = _logged_in()
        for _ in repeat(None, times):
            totals = self._ask(conn, pop3.Stat(), reads).data
            assert isinstance(totals, pop3.Totals)
            assert totals.messages == size

    def sizes(self, reads: list[bytes], size: int, times: int) -> None:
        conn = _logged_in()
        for _ in repeat(None, times):
            sizes = self._ask(conn, pop3.List(), reads).data
            assert isinstance(sizes, pop3.Sizes)
            assert len(sizes.by_number) == size

    def uidl(self, reads: list[bytes], size: int, times: int) -> None:
        conn = _logged_in()
        for _ in repeat(None, times):
            ids = self._ask(conn, pop3.Uidl(), reads).data
            assert isinstance(ids, pop3.UniqueIds)
            assert len(ids.by_number) == size

    def retr(self, reads: list[bytes], size: int, times: int) -> None:
        conn = _logged_in()
        for _ in repeat(None, times):
            conn.send(pop3.Retr(1))
            blocks = []
            for data in reads:
                conn.receive_data(data)
                while (event := conn.next_event()) is not NEED_DATA:
                    if type(event) is MessageData:
                        blocks.append(event.data)
                    elif type(event) is pop3.EndOfMessage:
                        break
            assert len(b"".join(blocks)) == size

    def _ask(
        self, conn: pop3.Connection, command: pop3.Command, reads: list[bytes]
    ) -> pop3.Response:
        conn.send(command)
        for data in reads:
            conn.receive_data(data)
        event = conn.next_event()
        assert isinstance(event, pop3.Response)
        return event


def _logged_in() -> pop3.Connection:
    conn = pop3.Connection(CLIENT)
    conn.receive_data(_GREETING)
    conn.next_event()
    for command, response in zip(
        (pop3.User("joe"), pop3.Pass("secret")), _LOGIN, strict=True
    ):
        conn.send(command)
        conn.receive_data(response)
        conn.next_event()
    return conn


class Poplib:
    """`poplib.POP3`, with something like a socket."""

    name = "poplib"

    def __init__(self) -> None:
        import poplib

        class Client(poplib.POP3):
            def __init__(self, replies: Iterator[bytes]) -> None:
                self.replies = replies
                super().__init__("pop.example")

            def _create_socket(self, timeout: Any) -> Any:
                return Socket(self.replies)

        self._client = Client

    def stat(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open(reads)
        for _ in repeat(None, times):
            assert client.stat()[0] == size

    def sizes(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open(reads)
        for _ in repeat(None, times):
            _, lines, _ = client.list()
            sizes = {}
            for line in lines:
                number, octets = line.split()
                sizes[int(number)] = int(octets)
            assert len(sizes) == size

    def uidl(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open(reads)
        for _ in repeat(None, times):
            _, lines, _ = client.uidl()
            ids = {}
            for line in lines:
                number, unique_id = line.split()
                ids[int(number)] = unique_id.decode("ascii")
            assert len(ids) == size

    def retr(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open(reads)
        for _ in repeat(None, times):
            _, lines, _ = client.retr(1)
            assert lines

    def _open(self, reads: list[bytes]) -> Any:
        client = self._client(
            chain([_GREETING, *_LOGIN], chain.from_iterable(repeat(reads)))
        )
        client.user("joe")
        client.pass_("secret")
        return client


class Twisted:
    """`twisted.mail.pop3.AdvancedPOP3Client`, with a transport in memory."""

    name = "twisted"

    def __init__(self) -> None:
        from twisted.internet.testing import StringTransport
        from twisted.mail.pop3 import AdvancedPOP3Client

        self._client: Any = AdvancedPOP3Client
        self._transport: Any = StringTransport

    def stat(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open()
        for _ in repeat(None, times):
            assert self._ask(client, client.stat(), reads)[0] == size

    def sizes(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open()
        for _ in repeat(None, times):
            assert len(self._ask(client, client.listSize(), reads)) == size

    def uidl(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open()
        for _ in repeat(None, times):
            assert len(self._ask(client, client.listUID(), reads)) == size

    def retr(self, reads: list[bytes], size: int, times: int) -> None:
        client = self._open()
        for _ in repeat(None, times):
            assert self._ask(client, client.retrieve(0), reads)

    def _ask(self, client: Any, deferred: Any, reads: list[bytes]) -> Any:
        client.transport.clear()
        for data in reads:
            client.dataReceived(data)
        return deferred.result

    def _open(self) -> Any:
        client = self._client()
        client.allowInsecureLogin = True
        client.makeConnection(self._transport())
        client.dataReceived(_GREETING)
        deferred = client.login(b"joe", b"secret")
        client.dataReceived(b"+OK\r\n.\r\n")  # to CAPA
        for response in _LOGIN:
            client.dataReceived(response)
        assert deferred.result
        return client


def _contenders(
    them: Sequence[Any], does: str, reads: list[bytes], size: int
) -> list[Contender]:
    def bound(one: Any) -> Contender:
        method = getattr(one, does)
        return Contender(one.name, lambda times: partial(method, reads, size, times))

    return [bound(each) for each in them]


def groups(octets: int, outcome: Outcome) -> list[Group]:
    """Return what is measured, with large messages of so many octets."""
    them = available([Ours, OurConnection, Poplib, Twisted], outcome)
    short, content = text(1024), encoded(octets)
    works = {
        "STAT": ("stat", *STAT),
        "LIST 1,000": ("sizes", *LIST),
        "UIDL 1,000": ("uidl", *UIDL),
        "RETR 1 KB": ("retr", *retr(short)),
        "RETR 1 MB": ("retr", *retr(content)),
    }
    return [
        Group(
            f"POP3 client: {name}",
            _contenders(them, *work),
            len(content) if name == "RETR 1 MB" else 0,
        )
        for name, work in works.items()
    ]
