"""SMTP applications that keep what they get, in memory."""

from dataclasses import dataclass, field
from typing import Any

from maildrops import USERS
from smtp_pop_core import AsyncBlocks, Blocks, sasl, smtp


@dataclass
class Kept:
    """What applications have got, and why their sessions have ended."""

    contents: list[bytes] = field(default_factory=list)
    endings: list[object] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def report(self, error: Exception) -> None:
        self.mistakes.append(str(error))


class Store(smtp.Application):
    """Keeps all but what is for "no@d"; it is its own factory."""

    def __init__(self) -> None:
        self.kept = Kept()

    def __call__(self, peer: smtp.Peer) -> "Store":
        self.peer = peer
        return self

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        return smtp.Reply(550, ("no",)) if command.recipient == "no@d" else None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        self.kept.contents.append(b"".join(content))
        return None

    def close(self, reason: smtp.Ending) -> None:
        self.kept.endings.append(reason)


class AsyncStore(smtp.AsyncApplication):
    """The same in methods that are awaited.

    Args:
        adapter: Whose methods await something.
    """

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.kept = Kept()

    def __call__(self, peer: smtp.Peer) -> "AsyncStore":
        self.peer = peer
        return self

    async def authenticate(self, question: sasl.Question) -> object:
        await self.adapter.checkpoint()
        return USERS.answer(question)

    async def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        await self.adapter.checkpoint()
        return smtp.Reply(550, ("no",)) if command.recipient == "no@d" else None

    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> smtp.Reply | None:
        self.kept.contents.append(b"".join([block async for block in content]))
        return None

    async def close(self, reason: smtp.Ending) -> None:
        await self.adapter.checkpoint()
        self.kept.endings.append(reason)
