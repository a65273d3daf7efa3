"""A POP3 store in memory, for servers that run in threads."""

import queue
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from smtp_pop_core import Logins, pop3, sasl

ALICE: Final = sasl.Password("alice", "secret")
KEY: Final = b"a key of the server"
USERS: Final = sasl.Users({ALICE.user: ALICE.password}, key=KEY)
LOGINS: Final = Logins(stored=USERS.stored, fake_salt_key=KEY, delay=0)
OPEN_LOGINS: Final = Logins(
    stored=USERS.stored, fake_salt_key=KEY, delay=0, allow_insecure=True
)
_BLOCK: Final = 65_536


class Store(pop3.Application):
    """Gives the same messages in each session; it is its own factory.

    Attributes:
        contents: The messages.
        maildrop: What is opened.
        removed: The numbers that each QUIT has removed.
        closed: How often a maildrop was closed.
        endings: Why sessions have ended.
    """

    def __init__(self, *contents: bytes) -> None:
        self.contents = contents
        self.maildrop = Maildrop
        self.removed: list[set[int]] = []
        self.closed = 0
        self.endings: queue.Queue[pop3.Ending] = queue.Queue()

    def __call__(self, peer: pop3.Peer) -> "Store":
        self.peer = peer
        return self

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    def open(self, identity: str) -> pop3.Maildrop:
        return self.maildrop(self)

    def close(self, reason: pop3.Ending) -> None:
        self.endings.put(reason)

    def ending(self) -> pop3.Ending:
        return self.endings.get(timeout=30)


class Maildrop(pop3.Maildrop):
    """The messages of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.messages = [
            pop3.Message(pop3.size_of(content), f"id-{number}")
            for number, content in enumerate(store.contents, 1)
        ]

    def read(self, number: int) -> Iterable[bytes]:
        return blocks(self.store.contents[number - 1])

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        self.store.removed.append(set(deleted))
        return ()

    def close(self) -> None:
        self.store.closed += 1


def blocks(content: bytes) -> Iterator[bytes]:
    for offset in range(0, len(content), _BLOCK):
        yield content[offset : offset + _BLOCK]
