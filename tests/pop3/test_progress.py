"""How far a message is on its way, told while it is fetched."""

import pytest

from driving import Step, play
from fetching import QUIT, ask, logged_in
from smtp_pop_core import AsyncBlocks, Blocks, Flow, Limits, pop3
from smtp_pop_core.pop3 import Listed, State

SMALL = Limits(block=4)
MESSAGE = ask("RETR 1", "+OK", "ab", "cd", ".")


class Progress:
    """Keeps what it is told, and raises at so many octets."""

    def __init__(self, fatal: int | None = None) -> None:
        self.told: list[tuple[int, int | None]] = []
        self._fatal = fatal

    def __call__(self, octets: int, total: int | None) -> None:
        self.told.append((octets, total))
        if octets == self._fatal:
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("message", "total"), [(1, None), (Listed(1, 8), 8), (Listed(1, 5), 5)]
)
def test_what_has_come_is_told_with_the_listed_size(
    message: int | Listed, total: int | None
) -> None:
    progress, conn = Progress(), logged_in(limits=SMALL)
    flow = pop3.fetch(conn, message, progress=progress)
    assert play(flow, *MESSAGE) == b"ab\r\ncd\r\n"
    assert progress.told[-1] == (8, total)
    assert {each[1] for each in progress.told} == {total}
    assert sorted(progress.told) == progress.told


def test_nothing_is_told_of_an_empty_message() -> None:
    progress = Progress()
    flow = pop3.fetch(logged_in(), 1, progress=progress)
    assert play(flow, *ask("RETR 1", "+OK", ".")) == b""
    assert progress.told == []


def test_the_connection_is_closed_if_telling_raises() -> None:
    conn = logged_in()
    with pytest.raises(ZeroDivisionError):
        play(pop3.fetch(conn, 1, progress=Progress(8)), *MESSAGE)
    assert conn.state is State.CLOSED


LISTINGS: list[Step] = [
    *ask("LIST", "+OK", "1 4", "2 3", "3 4", "."),
    *ask("UIDL", "+OK", "1 a", "2 b", "3 c", "."),
]


def collecting(progress: Progress, *, asynchronous: bool) -> Flow[pop3.Collected]:
    def plain(message: Listed, blocks: Blocks) -> None:
        blocks.read()

    async def other(message: Listed, blocks: AsyncBlocks) -> None:
        """Leave it unread; it is dropped."""

    store = other if asynchronous else plain
    seen = pop3.Seen(["b"])
    return pop3.collect(logged_in(), store, seen=seen, progress=progress)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_of_all_messages_that_are_fetched_is_told_together(asynchronous: bool) -> None:
    progress = Progress()
    retr = [*ask("RETR 1", "+OK", "ab", "."), *ask("RETR 3", "+OK", "cd", ".")]
    flow = collecting(progress, asynchronous=asynchronous)
    assert len(play(flow, *LISTINGS, *retr, *QUIT).stored) == 2
    assert progress.told == [(4, 8), (8, 8)]


def test_nothing_is_deleted_if_telling_raises() -> None:
    flow = collecting(Progress(8), asynchronous=False)
    retr = [*ask("RETR 1", "+OK", "ab", "."), *ask("RETR 3", "+OK", "cd", ".")]
    with pytest.raises(ZeroDivisionError):
        play(flow, *LISTINGS, *retr)
