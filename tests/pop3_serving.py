"""Serving a scripted client from memory: what it says, and what a server answers."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from typing import Any, Final

from driving import NEGOTIATED, Driver, Expect, Peer, Say, Step
from smtp_pop_core import (
    SERVER,
    Flow,
    Limits,
    Logins,
    Negotiated,
    Read,
    Request,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import Ending

told: Final[list[object]] = []
"""What applications and maildrops have noted; forgotten when another is served."""

KEY: Final = b"a key of the server"
USERS: Final = sasl.Users({"joe": "secret", "ann": "a b  c"}, key=KEY)
CONTENTS: Final = (
    b"Subject: one\n\nfirst\n",
    b"Subject: two\r\n\r\n.dots\r\n..more\r\n",
)
ON_THE_WIRE: Final = (
    b"Subject: one\r\n\r\nfirst\r\n.\r\n",
    b"Subject: two\r\n\r\n..dots\r\n...more\r\n.\r\n",
)

GREETING: Final = Expect(b"+OK pop.example POP3\r\n")
NAMED: Final = b"+OK Password please\r\n"
OPENED: Final = b"+OK 2 messages, 54 octets\r\n"
DENIED: Final = b"-ERR [AUTH] Login failed\r\n"
FAILED: Final = b"-ERR [SYS/TEMP] Local error in processing\r\n"
UNSENDABLE: Final = b"-ERR [SYS/PERM] The message cannot be sent\r\n"
NO_SUCH_MESSAGE: Final = b"-ERR No such message\r\n"
MARKED: Final = b"+OK Marked as deleted\r\n"
GOODBYE: Final = b"+OK Goodbye\r\n"
CAPA: Final = (
    b"+OK Capabilities follow\r\nTOP\r\nUIDL\r\nUSER\r\nRESP-CODES\r\n"
    b"AUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nIMPLEMENTATION smtp-pop-core\r\n"
    b".\r\n"
)
PRELUDES: Final = {
    "authorization": (),
    "transaction": (b"USER joe\r\nPASS secret\r\n",),
}
"""What leads into each state."""

LOGIN: Final[list[Step]] = [
    GREETING,
    Say(b"USER joe\r\nPASS secret\r\n"),
    Expect(NAMED + OPENED),
]
QUIT: Final[list[Step]] = [Say(b"QUIT\r\n"), Expect(GOODBYE)]


class Memory(pop3.Maildrop):
    """Messages in memory, read in blocks, and a note of what is done with them."""

    def __init__(self, *contents: bytes, block: int = 5) -> None:
        self.contents = contents
        self.block = block
        self.messages: list[pop3.Message] = described(contents)

    def read(self, number: int) -> Iterable[bytes]:
        return blocks(self.contents[number - 1], self.block)

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        told.append(sorted(deleted))
        return ()

    def close(self) -> None:
        told.append("closed")


class AsyncMemory(pop3.AsyncMaildrop):
    """The same in async code."""

    def __init__(self, *contents: bytes, block: int = 5) -> None:
        self.contents = contents
        self.block = block
        self.messages: list[pop3.Message] = described(contents)

    async def read(self, number: int) -> AsyncIterator[bytes]:
        for block in blocks(self.contents[number - 1], self.block):
            yield block

    async def commit(self, deleted: Collection[int]) -> Collection[int]:
        told.append(sorted(deleted))
        return ()

    async def close(self) -> None:
        told.append("closed")


class Plain(pop3.Application):
    """Lets users in, and notes whose maildrop it opens and why the session ends."""

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    def open(self, identity: str) -> pop3.Maildrop:
        told.append(identity)
        return Memory(*CONTENTS)

    def close(self, reason: Ending) -> None:
        told.append(reason)


class Asynchronous(pop3.AsyncApplication):
    """The same in async code."""

    async def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    async def open(self, identity: str) -> pop3.AsyncMaildrop:
        told.append(identity)
        return AsyncMemory(*CONTENTS)

    async def close(self, reason: Ending) -> None:
        told.append(reason)


KINDS: Final[list[pop3.ApplicationFactory]] = [Plain, Asynchronous]

_talks: Final[list["Talk"]] = []


def described(contents: Iterable[bytes]) -> list[pop3.Message]:
    return [
        pop3.Message(pop3.size_of(content), f"id-{number}")
        for number, content in enumerate(contents, 1)
    ]


def blocks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def opening(maildrop: Any) -> pop3.ApplicationFactory:
    """Make an application that opens one maildrop for everybody."""

    class Opening(Plain):
        def open(self, identity: str) -> pop3.Maildrop:
            opened: pop3.Maildrop = maildrop
            return opened

    return Opening


def answering(method: str, answer: object) -> pop3.ApplicationFactory:
    """Make an application one method of which returns or raises what is given."""

    def plain(self: pop3.Application, *_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made: Any = type("Answering", (Plain,), {method: plain})
    factory: pop3.ApplicationFactory = made
    return factory


def awaiting(method: str, answer: object) -> pop3.ApplicationFactory:
    """Make the same in async code."""

    async def asynchronous(self: pop3.AsyncApplication, *_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made: Any = type("Awaiting", (Asynchronous,), {method: asynchronous})
    factory: pop3.ApplicationFactory = made
    return factory


def logins(
    *stored: sasl.Stored,
    nonce: str = "servernonce",
    mechanisms: Iterable[sasl.Mechanism] = sasl.STANDARD,
    allow_insecure: bool = True,
    delay: float = 3,
) -> Logins:
    """Say what can be checked; without a word, what there is for a clear password."""
    return Logins(
        stored=stored or USERS.stored,
        fake_salt_key=KEY,
        nonce=lambda: nonce,
        mechanisms=tuple(mechanisms),
        allow_insecure=allow_insecure,
        delay=delay,
        iterations=sasl.LEAST_ITERATIONS,
    )


def connection(
    *,
    limits: Limits | None = None,
    capabilities: Iterable[pop3.Capability] | None = None,
    timestamp: str = "",
    tls: bool = False,
    domain: str = "pop.example",
    tolerances: pop3.Tolerances | None = None,
    trace: Callable[[str], None] | None = None,
) -> pop3.Connection:
    """Give the connection of a server."""
    return pop3.Connection(
        SERVER,
        domain=domain,
        timestamp=timestamp,
        capabilities=capabilities,
        limits=limits or Limits(),
        tolerances=tolerances or pop3.Tolerances(),
        tls=tls,
        trace=trace,
    )


class Served:
    """A session from its beginning to its end.

    Attributes:
        peer: The client.
        driver: What ran the server.
        conn: The connection of the server.
        ending: Why the session has ended.
    """

    def __init__(
        self,
        application: pop3.ApplicationFactory,
        *steps: Step,
        conn: pop3.Connection | None = None,
        logins: Logins | None = None,
        peer: Peer | None = None,
        session: str = "",
    ) -> None:
        told.clear()
        self.peer = peer or Peer(*steps)
        self.driver = Driver(self.peer)
        self.conn = conn or connection()
        self.ending = self.driver.run(
            pop3.serve(
                self.conn,
                application,
                "192.0.2.1",
                1100,
                logins=logins,
                session=session,
            )
        )
        self.peer.finish()


class Talk:
    """A session that a test leads step by step.

    Attributes:
        driver: What runs the server.
        conn: The connection of the server.
        writes: What each Write has brought.
        slept: The seconds of each Sleep.
        negotiated: What the next handshakes come to.
        ending: Why the session has ended, or None: it has not.
    """

    def __init__(
        self,
        application: pop3.ApplicationFactory,
        *,
        conn: pop3.Connection | None = None,
        logins: Logins | None = None,
        negotiated: Negotiated = NEGOTIATED,
    ) -> None:
        told.clear()
        self.conn = conn or connection()
        self.driver = Driver(self)
        self.writes: list[bytes] = []
        self.slept: list[float] = []
        self.negotiated = negotiated
        self.ending: Ending | None = None
        self._said: deque[bytes | Exception] = deque()
        self._flow: Flow[Ending] = pop3.serve(self.conn, application, logins=logins)
        self._request: Request = next(self._flow)
        _talks.append(self)
        self.greeting = self.hear()

    def hear(self, *said: bytes | Exception) -> bytes:
        """Let the client say this, and return what it hears until the server waits."""
        before = len(self.writes)
        self._said.extend(said)
        while self.ending is None and (
            self._said or not isinstance(self._request, Read)
        ):
            self._carry_out()
        return b"".join(self.writes[before:])

    def log_in(self, name: str = "joe", password: str = "secret") -> bytes:
        """Let the client log in, and return what it hears at last."""
        line = f"USER {name}\r\nPASS {password}\r\n"
        return self.hear(line.encode()).removeprefix(NAMED)

    def close(self) -> None:
        """Leave the session without a word."""
        self._flow.close()

    def _carry_out(self) -> None:
        step: Callable[..., Request] = self._flow.send
        try:
            outcome = self.driver.carry_out(self._request, "")
        except Exception as error:
            step, outcome = self._flow.throw, error
        try:
            self._request = step(outcome)
        except StopIteration as end:
            self.ending = end.value

    def read(self) -> bytes:
        said = self._said.popleft()
        if isinstance(said, Exception):
            raise said
        return said

    def write(self, data: bytes, *, heed: bool) -> bool:
        self.writes.append(data)
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def handshake(self, server_hostname: str | None) -> Negotiated:
        return self.negotiated


def leave_all() -> None:
    """Leave the sessions that tests have not led to their end."""
    while _talks:
        _talks.pop().close()
