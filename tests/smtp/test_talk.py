"""A client flow and a server flow, face to face."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversing import converse
from smtp_pop_core import (
    CLIENT,
    SERVER,
    AsyncBlocks,
    Blocks,
    Flow,
    Limits,
    PolicyError,
    smtp,
)
from smtp_pop_core.smtp import Connection, Ending, Outcome, Reply

EXTENSIONS = smtp.usual(size=100_000)


@dataclass
class Store:
    """What the server has got."""

    messages: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def plain(self, peer: smtp.Peer) -> smtp.Application:
        store = self

        class Storing(smtp.Application):
            def rcpt(self, command: smtp.Rcpt) -> Reply | None:
                return Reply(550) if command.recipient.startswith("no") else None

            def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
                whole = b"".join(content)
                store.messages.append((envelope.sender, envelope.recipients, whole))
                return None

            def close(self, reason: Ending) -> None:
                store.endings.append(reason)

        return Storing(peer)

    def asynchronous(self, peer: smtp.Peer) -> smtp.AsyncApplication:
        store = self

        class Storing(smtp.AsyncApplication):
            async def rcpt(self, command: smtp.Rcpt) -> Reply | None:
                return Reply(550) if command.recipient.startswith("no") else None

            async def message(
                self, envelope: smtp.Envelope, content: AsyncBlocks
            ) -> Reply | None:
                whole = b"".join([block async for block in content])
                store.messages.append((envelope.sender, envelope.recipients, whole))
                return None

            async def close(self, reason: Ending) -> None:
                store.endings.append(reason)

        return Storing(peer)


NAMES = st.sampled_from(["a", "b.c", '"d e"', "nobody", "no.one", "jürgen", "f-g"])
ADDRESSES = NAMES.map(lambda name: f"{name}@example.com")
LINES = st.lists(
    st.sampled_from(
        [b"", b".", b"..", b"text", b".dot", b"\xe9", "ä".encode(), b"QUIT"]
    ),
    max_size=12,
)
MESSAGES = st.tuples(
    ADDRESSES | st.just(""),
    st.lists(ADDRESSES, min_size=1, max_size=8),
    st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans()).map(
        lambda drawn: drawn[1].join(drawn[0]) + drawn[1] * drawn[2]
    ),
)
WRAPS: list[Callable[[bytes], Any]] = [
    bytes,
    lambda content: [content[at : at + 3] for at in range(0, len(content), 3)],
]
Message = tuple[str, list[str], bytes]


def with_crlf(content: bytes) -> bytes:
    """Give content as it must arrive."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return lines + b"\r\n" * bool(lines and not lines.endswith(b"\r\n"))


@given(
    messages=st.lists(MESSAGES, max_size=3),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    offered=st.sets(st.sampled_from(["PIPELINING", "SIZE", "ENHANCEDSTATUSCODES"])),
    block=st.integers(1, 50),
    commands=st.integers(1, 5),
    wrap=st.sampled_from(WRAPS),
    asynchronous=st.booleans(),
)
def test_what_is_sent_arrives(
    messages: list[Message],
    sizes: list[int],
    offered: set[str],
    block: int,
    commands: int,
    wrap: Callable[[bytes], Any],
    asynchronous: bool,
) -> None:
    always = {"8BITMIME", "SMTPUTF8"}
    extensions = [each for each in EXTENSIONS if each.keyword in offered | always]
    limits = Limits(block=block, pipelined_commands=commands)
    store = Store()

    def talk() -> Flow[list[smtp.MailResult]]:
        conn = Connection(CLIENT, limits=limits)
        yield from smtp.open(conn)
        results = []
        for sender, recipients, content in messages:
            flow = smtp.send_mail(conn, sender, recipients, wrap(content))
            results.append((yield from flow))
        yield from smtp.quit(conn)
        return results

    results, ending, reports = converse(
        talk(),
        smtp.serve(
            Connection(SERVER, limits=limits, extensions=extensions),
            store.asynchronous if asynchronous else store.plain,
        ),
        sizes,
    )
    assert ending is Ending.QUIT
    assert store.endings == [Ending.QUIT]
    assert reports == []
    arrived = [
        (sender, tuple(accepted), with_crlf(content))
        for sender, recipients, content in messages
        if (accepted := [each for each in recipients if not each.startswith("no")])
    ]
    assert store.messages == arrived
    assert [tuple(each.accepted) for each in results if each.accepted] == [
        recipients for _, recipients, _ in arrived
    ]


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_much_content_arrives(size: int) -> None:
    store, content = Store(), b"a line of content.\r\n" * 200

    def talk() -> Flow[smtp.MailResult]:
        conn = Connection(CLIENT)
        yield from smtp.open(conn)
        return (yield from smtp.send_mail(conn, "", "a@example.com", content))

    server = smtp.serve(Connection(SERVER), store.plain)
    result, ending, _ = converse(talk(), server, [size])
    assert result.outcome is Outcome.ACCEPTED
    assert store.messages == [("", ("a@example.com",), content)]
    assert ending is Ending.LOST  # QUIT was not said


def test_a_refusal_is_told_by_both_sides() -> None:
    store = Store()

    def talk(content: Any) -> Flow[smtp.MailResult]:
        conn = Connection(CLIENT)
        yield from smtp.open(conn)
        result = yield from smtp.send_mail(conn, "", "a@example.com", content)
        yield from smtp.quit(conn)
        return result

    def server() -> Flow[Ending]:
        conn = Connection(SERVER, extensions=smtp.usual(size=100))
        return smtp.serve(conn, store.plain)

    result, ending, reports = converse(talk([b"x\r\n"] * 50), server())
    assert result.outcome is Outcome.REFUSED
    assert result.reply is not None
    assert result.reply.enhanced == smtp.EnhancedCode(5, 3, 4)
    assert (ending, reports, store.messages) == (Ending.QUIT, [], [])
    with pytest.raises(PolicyError):
        converse(talk(b"x\r\n" * 50), server())
