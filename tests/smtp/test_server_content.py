"""Serving: content on its way to the application."""

from typing import Any

import pytest

from cutting import every_cut
from driving import Close, Deaf, Driver, Expect, Peer, Say, Silence, Step, Wait
from serving import (
    ACCEPTED,
    BEGUN,
    ENVELOPE,
    GO,
    HELLO,
    QUIT,
    RECIPIENT_OK,
    SENDER_OK,
    Served,
    told,
)
from smtp_pop_core import SERVER, AsyncBlocks, Blocks, Limits, MessageAborted, smtp
from smtp_pop_core.smtp import Ending, Reply

BARE = Expect(b"550 5.6.0 Bare CR or LF in the message\r\n")
TOO_LARGE = Expect(b"552 5.3.4 Message too large\r\n")
TIMEOUT = Expect(b"421 4.4.2 Timeout, closing\r\n")


class Noting(smtp.Application):
    def close(self, reason: Ending) -> None:
        told.append(reason)


class Iterating(Noting):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        for block in content:
            told.append(block)
        told.append("committed")
        return Reply(250, ("stored",))


class Reading(Noting):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        told.append(content.read())
        told.append("committed")
        return Reply(250, ("stored",))


class Stopping(Noting):
    """Takes the first block, and has seen enough."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        told.append(next(iter(content)))
        return Reply(250, ("stored",))


class Ignoring(Noting):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        return Reply(250, ("stored",))


class Swallowing(Noting):
    """Commits whatever happens, as it should not."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        for _ in range(2):
            try:
                told.append(content.read())
            except MessageAborted as error:
                told.append(str(error))
        return Reply(250, ("stored",))


class AsyncNoting(smtp.AsyncApplication):
    async def close(self, reason: Ending) -> None:
        told.append(reason)


class AsyncIterating(AsyncNoting):
    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> Reply | None:
        async for block in content:
            told.append(block)
        told.append("committed")
        return Reply(250, ("stored",))


class AsyncReading(AsyncNoting):
    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> Reply | None:
        told.append(await content.read())
        told.append("committed")
        return Reply(250, ("stored",))


TAKING: list[Any] = [Iterating, Reading, AsyncIterating, AsyncReading]
DROPPING: list[Any] = [Stopping, Ignoring, Swallowing]
STORED = Expect(b"250 2.0.0 stored\r\n")


def octets_told() -> bytes:
    return b"".join(each for each in told if isinstance(each, bytes))


# Content that is complete.


@pytest.mark.parametrize("kind", TAKING)
@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"hello\r\n.\r\n", b"hello\r\n"),
        (b"..\r\n...a\r\n.b\r\n.\r\n", b".\r\n..a\r\nb\r\n"),
        (b"\0\xe9\r\n.\r\n", b"\0\xe9\r\n"),
    ],
)
def test_content_is_given_without_the_dots_of_the_wire(
    wire: bytes, content: bytes, kind: smtp.ApplicationFactory
) -> None:
    for cut in every_cut(wire):
        served = Served(kind, *BEGUN, *map(Say, cut), STORED, *QUIT)
        assert octets_told() == content
        assert told[-2:] == ["committed", Ending.QUIT]
        assert served.driver.reports == []


@pytest.mark.parametrize("size", [1, 3, 5, 64])
def test_blocks_are_full_but_for_the_last(size: int) -> None:
    wire = b"x" * 62 + b"\r\n.\r\n"
    cut = [Say(wire[at : at + size]) for at in range(0, len(wire), size)]
    Served(Iterating, *BEGUN, *cut, STORED, *QUIT, limits=Limits(block=10))
    blocks = [each for each in told if isinstance(each, bytes)]
    assert all(10 <= len(block) < 10 + size for block in blocks[:-1])
    assert b"".join(blocks) == b"x" * 62 + b"\r\n"


@pytest.mark.parametrize("kind", DROPPING)
@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_what_an_application_leaves_unread_is_dropped(
    kind: smtp.ApplicationFactory, size: int
) -> None:
    wire = b"one\r\n" * 30 + b".\r\nRSET\r\n"
    cut = [Say(wire[at : at + size]) for at in range(0, len(wire), size)]
    ok = Expect(b"250 2.0.0 OK\r\n")
    served = Served(kind, *BEGUN, *cut, STORED, ok, *QUIT, limits=Limits(block=10))
    assert served.driver.reports == []


def test_content_that_nobody_wants_is_read_to_its_end() -> None:
    no_store = Expect(b"550 5.3.2 This server does not take messages\r\n")
    Served(Noting, *BEGUN, Say(b"QUIT\r\n"), Say(b".\r\n"), no_store, *QUIT)
    assert told == [Ending.QUIT]


@pytest.mark.parametrize("kind", TAKING)
def test_many_messages_are_told_apart(kind: smtp.ApplicationFactory) -> None:
    again = [Say(ENVELOPE), Expect(SENDER_OK + RECIPIENT_OK + GO)]
    Served(
        kind,
        *[*BEGUN, Say(b"one\r\n.\r\n"), STORED],
        *[*again, Say(b"two\r\n.\r\n" + ENVELOPE + b"three\r\n.\r\n"), STORED],
        *[Expect(SENDER_OK + RECIPIENT_OK + GO), STORED, *QUIT],
    )
    one, two, three = b"one\r\n", b"two\r\n", b"three\r\n"
    done = "committed"
    assert told == [one, done, two, done, three, done, Ending.QUIT]


# Content that cannot be accepted.

REFUSED = [
    (b"a\nb\r\n.\r\n", BARE),
    (b"a\rb\r\n.\r\n", BARE),
    (b"a\n.\nMAIL FROM:<evil@example.com>\r\n.\r\n", BARE),
    (b"a\r\n.\rRSET\r\n.\r\n", BARE),
    (b"a" * 99 + b"\r\n.\r\n", TOO_LARGE),
    (b"a\n" * 50 + b"\r\n.\r\n", TOO_LARGE),
]


@pytest.mark.parametrize("kind", TAKING)
@pytest.mark.parametrize(("wire", "refusal"), REFUSED)
def test_content_that_cannot_be_accepted_is_never_committed(
    wire: bytes, refusal: Step, kind: smtp.ApplicationFactory
) -> None:
    for cut in every_cut(wire):
        served = Served(
            kind, *BEGUN, *map(Say, cut), refusal, *QUIT, limits=Limits(content=99)
        )
        assert "committed" not in told
        assert told[-1] is Ending.QUIT
        assert served.driver.reports == []


@pytest.mark.parametrize("kind", DROPPING)
@pytest.mark.parametrize(("wire", "refusal"), REFUSED)
def test_content_that_cannot_be_accepted_is_refused_whatever_is_answered(
    wire: bytes, refusal: Step, kind: smtp.ApplicationFactory
) -> None:
    limits = Limits(content=99, block=1)
    Served(kind, *BEGUN, *map(Say, [wire]), refusal, *QUIT, limits=limits)
    assert told[-1] is Ending.QUIT


def test_why_the_content_is_refused_is_told_each_time() -> None:
    Served(Swallowing, *BEGUN, Say(b"a\nb\r\n.\r\n"), BARE, *QUIT)
    reason = "550 5.6.0 Bare CR or LF in the message"
    assert told == [reason, reason, Ending.QUIT]


def test_no_more_than_the_limit_reaches_the_application() -> None:
    limits = Limits(content=10, block=4)
    wire = Say(b"0123456789abcdef\r\n.\r\n")
    Served(Iterating, *BEGUN, wire, TOO_LARGE, *QUIT, limits=limits)
    assert len(octets_told()) <= 10


# Content that breaks off.

CONTENT = b"hello\r\n.x\r\n.\r\n"


@pytest.mark.parametrize("kind", [*TAKING, *DROPPING])
@pytest.mark.parametrize("octets", range(len(CONTENT)))
def test_content_that_breaks_off_is_never_acknowledged(
    octets: int, kind: smtp.ApplicationFactory
) -> None:
    begun = [Say(CONTENT[:octets])] * bool(octets)
    served = Served(kind, *BEGUN, *begun, Close())
    assert served.ending is Ending.LOST
    assert "committed" not in told
    assert told[-1] is Ending.LOST
    assert served.driver.reports == []


def test_a_client_that_goes_is_not_read_for_ever() -> None:
    """The end of the octets was met in the content already."""
    reads = []

    class Counting(Peer):
        def read(self) -> bytes:
            reads.append(self.now)
            return super().read()

    peer = Counting(*BEGUN, Say(b"hello"), Close())
    conn = smtp.Connection(SERVER, domain="mx.example")
    assert Driver(peer).run(smtp.serve(conn, Iterating)) is Ending.LOST
    assert len(reads) == 4


@pytest.mark.parametrize("kind", [*TAKING, *DROPPING])
@pytest.mark.parametrize("octets", range(len(CONTENT)))
def test_a_client_that_falls_silent_in_its_content_gets_421(
    octets: int, kind: smtp.ApplicationFactory
) -> None:
    begun = [Say(CONTENT[:octets])] * bool(octets)
    served = Served(kind, *BEGUN, *begun, Silence(), TIMEOUT)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180
    assert "committed" not in told
    assert told[-1] is Ending.TIMEOUT
    assert served.driver.reports == []


# Clients that are slow.


def drip(data: bytes, seconds: float) -> list[Step]:
    """Say an octet after each of so many seconds."""
    return [
        step
        for at in range(len(data))
        for step in (Wait(seconds), Say(data[at : at + 1]))
    ]


@pytest.mark.parametrize("kind", [Iterating, AsyncReading, Ignoring])
def test_single_octets_do_not_push_the_deadline_of_a_block_back(
    kind: smtp.ApplicationFactory,
) -> None:
    drops = drip(b"x" * 17, 10)
    served = Served(kind, *BEGUN, *drops, Silence(), TIMEOUT)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180


@pytest.mark.parametrize("kind", [Iterating, AsyncReading, Ignoring])
def test_a_client_that_is_slow_and_steady_is_heard(
    kind: smtp.ApplicationFactory,
) -> None:
    steps = [*BEGUN, *drip(b"x" * 99 + b"\r\n.\r\n", 17), STORED, *QUIT]
    served = Served(kind, *steps, limits=Limits(block=10))
    assert served.peer.now == 104 * 17


def test_single_octets_do_not_push_the_deadline_of_a_command_back() -> None:
    drops = drip(b"NOOP NOOP", 33)
    served = Served(Noting, *HELLO, *drops, Silence(), TIMEOUT)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 300


def test_each_command_has_a_deadline_of_its_own() -> None:
    noop = [Wait(299), Say(b"NOOP\r\n"), Expect(b"250 2.0.0 OK\r\n")]
    served = Served(Noting, *HELLO, *noop * 5, Silence(), TIMEOUT)
    assert served.peer.now == 5 * 299 + 300


@pytest.mark.parametrize("before", [[], HELLO, [*HELLO, Say(b"NOOP\r\n")]])
def test_a_client_that_takes_no_replies_is_given_up(before: list[Step]) -> None:
    said = [Say(b"NOOP\r\n")]
    served = Served(Noting, *before[:3], Deaf(), *said)
    assert served.ending is Ending.TIMEOUT
    assert told == [Ending.TIMEOUT]
    assert served.peer.now == 180


def test_a_client_that_takes_no_replies_is_given_up_after_a_timeout_too() -> None:
    steps = [*HELLO, Wait(10), Deaf()]
    served = Served(Noting, *steps)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 300 + 180
    assert told == [Ending.TIMEOUT]


def test_a_client_that_takes_nothing_at_all_gets_no_application() -> None:
    def factory(_: smtp.Peer) -> smtp.Application:
        raise ValueError

    served = Served(factory, Deaf())
    assert served.ending is Ending.REFUSED
    assert served.peer.now == 180


def test_replies_to_a_client_that_has_gone_are_dropped() -> None:
    peer = Peer(*HELLO, Say(ENVELOPE + b"hello\r\n.\r\nQUIT\r\n"), Close())
    conn = smtp.Connection(SERVER, domain="mx.example")
    assert Driver(peer).run(smtp.serve(conn, Reading)) is Ending.QUIT
    assert peer.writes == [b"220 mx.example ESMTP\r\n", b"250 mx.example\r\n"]


def test_a_default_is_the_answer_to_a_message() -> None:
    class Quiet(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            return None

    Served(Quiet, *BEGUN, Say(b"hello\r\n.\r\n"), ACCEPTED, *QUIT)
