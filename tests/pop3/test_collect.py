"""Collecting what is new and deleting what is stored: one session."""

from collections.abc import Callable
from typing import Final

import pytest

from driving import (
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Silence,
    Step,
    Stop,
    cut_short,
    octets_said,
    play,
)
from fetching import QUIT, ask, logged_in
from smtp_pop_core import (
    AsyncBlocks,
    Blocks,
    ConnectionLost,
    Flow,
    MessageAborted,
    PolicyError,
    RemoteProtocolError,
    Stopping,
    pop3,
)
from smtp_pop_core.pop3 import (
    ERR,
    OK,
    Collected,
    Connection,
    Listed,
    Response,
    Seen,
    State,
)

A, B, C = Listed(1, 3, "a"), Listed(2, 3, "b"), Listed(3, 3, "c")
LISTINGS: Final = [
    *ask("LIST", "+OK", "1 3", "2 3", "3 3", "."),
    *ask("UIDL", "+OK", "1 a", "2 b", "3 c", "."),
]
TWINS: Final = [
    *ask("LIST", "+OK", "1 3", "2 3", "3 3", "."),
    *ask("UIDL", "+OK", "1 a", "2 b", "3 a", "."),
]
BYE: Final = Response(OK, "bye")


def retr(*numbers: int) -> list[Step]:
    """Expect RETR of each message, and give it."""
    return [
        step for each in numbers for step in ask(f"RETR {each}", "+OK", f"{each}", ".")
    ]


def dele(*numbers: int) -> list[Step]:
    """Expect DELE of each message, and mark it."""
    return [step for each in numbers for step in ask(f"DELE {each}", "+OK")]


def grouped(steps: list[Step]) -> list[Step]:
    """Give the same with all commands in one write, and all answers in one read."""
    asked = b"".join(step.data for step in steps if isinstance(step, Expect))
    said = b"".join(step.data for step in steps if isinstance(step, Say))
    return [Expect(asked), Say(said)]


def removed(peer: Peer) -> list[bytes]:
    """Give the commands that a server has got by which messages are removed."""
    lines = b"".join(peer.writes).splitlines()
    return [line for line in lines if line.startswith((b"DELE", b"QUIT"))]


DIALOGUES = pytest.mark.parametrize(
    ("offers", "arranged"), [([], list), (["PIPELINING"], grouped)]
)


class Disk:
    """Takes messages and ids.

    Attributes:
        told: What was stored and noted, in its order.
    """

    def __init__(self) -> None:
        self.told: list[object] = []

    def store(self, message: Listed, content: Blocks) -> None:
        self.told.append((message.number, content.read()))

    def note(self, unique_id: str) -> None:
        self.told.append(unique_id)

    async def store_async(self, message: Listed, content: AsyncBlocks) -> None:
        self.told.append((message.number, await content.read()))

    async def note_async(self, unique_id: str) -> None:
        self.told.append(unique_id)

    def look(self, message: Listed, content: Blocks) -> None:
        self.told.append(message.number)

    def store_but(self, number: int) -> Callable[[Listed, Blocks], None]:
        """Give a store that fails with a message it has read."""

        def store(message: Listed, content: Blocks) -> None:
            self.store(message, content)
            if message.number == number:
                raise OSError("disk full")

        return store

    def note_but(self, failing: str) -> Callable[[str], None]:
        """Give a note that fails with an id."""

        def note(unique_id: str) -> None:
            if unique_id == failing:
                raise OSError("disk full")
            self.note(unique_id)

        return note


# What is fetched, noted and deleted.


def test_everything_is_new_to_who_has_seen_nothing() -> None:
    conn, disk = logged_in(), Disk()
    result = play(pop3.collect(conn, disk.store), *LISTINGS, *retr(1, 2, 3), *QUIT)
    assert disk.told == [(1, b"1\r\n"), (2, b"2\r\n"), (3, b"3\r\n")]
    assert result == Collected((A, B, C), (), {}, (), (), BYE)
    result.check()
    assert conn.state is State.CLOSED


def test_what_was_seen_is_not_fetched() -> None:
    disk, seen = Disk(), Seen("bx")
    flow = pop3.collect(logged_in(), disk.store, seen=seen, note=disk.note)
    result = play(flow, *LISTINGS, *retr(1, 3), *QUIT)
    assert disk.told == [(1, b"1\r\n"), "a", (3, b"3\r\n"), "c"]
    assert result == Collected((A, C), (B,), {}, (), (), BYE)
    assert seen == Seen("abc")


def test_what_was_stored_now_or_before_is_deleted() -> None:
    disk, seen = Disk(), Seen("b")
    flow = pop3.collect(
        logged_in(), disk.store, seen=seen, note=disk.note, delete_stored=True
    )
    result = play(flow, *LISTINGS, *retr(1, 3), *dele(2, 1, 3), *QUIT)
    assert result == Collected((A, C), (B,), {}, (B, A, C), (), BYE)
    assert seen == Seen("abc")
    result.check()


def test_with_pipelining_all_is_asked_in_one_go() -> None:
    disk = Disk()
    flow = pop3.collect(logged_in("PIPELINING"), disk.store, delete_stored=True)
    result = play(
        flow,
        *LISTINGS,
        Expect(b"RETR 1\r\nRETR 2\r\nRETR 3\r\n"),
        Say(b"+OK\r\n1\r\n.\r\n+OK\r\n2\r\n.\r\n+OK\r\n3\r\n.\r\n"),
        Expect(b"DELE 1\r\nDELE 2\r\nDELE 3\r\n"),
        Say(b"+OK\r\n+OK\r\n+OK\r\n"),
        *QUIT,
    )
    assert result.deleted == result.stored == (A, B, C)
    assert disk.told == [(1, b"1\r\n"), (2, b"2\r\n"), (3, b"3\r\n")]


def test_nothing_is_deleted_before_all_is_noted() -> None:
    peer = Peer(*LISTINGS, *retr(1, 2, 3), *dele(1, 2, 3), *QUIT)
    at: list[int] = []
    flow = pop3.collect(
        logged_in(),
        lambda message, content: at.append(len(peer.writes)),
        note=lambda unique_id: at.append(len(peer.writes)),
        delete_stored=True,
    )
    assert Driver(peer).run(flow).deleted == (A, B, C)
    assert at == [3, 3, 4, 4, 5, 5]
    assert peer.writes[5] == b"DELE 1\r\n"


def test_ids_are_noted_without_those_of_before() -> None:
    disk = Disk()
    flow = pop3.collect(logged_in(), disk.look, note=disk.note)
    play(flow, *LISTINGS, *retr(1, 2, 3), *QUIT)
    assert disk.told == [1, "a", 2, "b", 3, "c"]


def test_what_a_store_leaves_unread_is_dropped() -> None:
    disk, seen = Disk(), Seen()
    play(
        pop3.collect(logged_in(), disk.look, seen=seen),
        *[*LISTINGS, *retr(1, 2, 3), *QUIT],
    )
    assert disk.told == [1, 2, 3]
    assert seen == Seen("abc")


def test_messages_are_stored_and_noted_in_async_code() -> None:
    disk = Disk()
    flow = pop3.collect(
        logged_in(), disk.store_async, seen=Seen("ab"), note=disk.note_async
    )
    play(flow, *LISTINGS, *retr(3), *QUIT)
    assert disk.told == [(3, b"3\r\n"), "c"]


def test_a_maildrop_may_be_empty_and_then_nothing_is_forgotten() -> None:
    seen = Seen("abc")
    flow = pop3.collect(logged_in(), Disk().store, seen=seen, delete_stored=True)
    result = play(flow, *ask("LIST", "+OK", "."), *ask("UIDL", "+OK", "."), *QUIT)
    assert result == Collected((), (), {}, (), (), BYE)
    assert seen == Seen("abc")


def test_ids_that_are_no_longer_there_are_forgotten() -> None:
    seen = Seen("abcxyz")
    play(pop3.collect(logged_in(), Disk().store, seen=seen), *LISTINGS, *QUIT)
    assert seen == Seen("abc")


# Messages that have one id.


def test_messages_with_one_id_are_noted_when_all_of_them_are_stored() -> None:
    """Else a crash between two would make the second one known."""
    disk, seen = Disk(), Seen()
    flow = pop3.collect(
        logged_in(), disk.store, seen=seen, note=disk.note, delete_stored=True
    )
    result = play(flow, *TWINS, *retr(1, 2, 3), *dele(1, 2, 3), *QUIT)
    assert disk.told == [(1, b"1\r\n"), (2, b"2\r\n"), "b", (3, b"3\r\n"), "a", "a"]
    assert seen == Seen("aba")
    assert len(result.deleted) == 3


def test_as_many_are_noted_as_are_there() -> None:
    """Else another one with the id would be taken for known."""
    disk, seen = Disk(), Seen("ab")
    flow = pop3.collect(logged_in(), disk.store, seen=seen, note=disk.note)
    play(flow, *TWINS, *retr(1, 3), *QUIT)
    assert disk.told == [(1, b"1\r\n"), (3, b"3\r\n"), "a"]
    assert seen == Seen("aab")


@pytest.mark.parametrize("before", ["", "a"])
def test_none_is_noted_or_deleted_where_one_is_missing(before: str) -> None:
    """Who looks again cannot tell which of them it has."""
    disk, seen = Disk(), Seen(before + "b")
    flow = pop3.collect(
        logged_in(), disk.store, seen=seen, note=disk.note, delete_stored=True
    )
    no = ask("RETR 3", "-ERR no")
    result = play(flow, *TWINS, *retr(1), *no, *dele(2), *QUIT)
    first, second, third = Listed(1, 3, "a"), Listed(2, 3, "b"), Listed(3, 3, "a")
    assert disk.told == [(1, b"1\r\n")]
    assert seen == Seen(before + "b")
    assert result.stored == (first,)
    assert result.deleted == (second,)
    assert result.refused == {third: Response(ERR, "no")}


# A server without unique ids.


NO_IDS: Final = [*LISTINGS[:2], *ask("UIDL", "-ERR unknown")]


def test_without_ids_nothing_can_be_compared() -> None:
    conn, disk = logged_in(), Disk()
    flows = [
        pop3.collect(conn, disk.store, seen=Seen("a"), delete_stored=True),
        pop3.collect(conn, disk.store, note=disk.note, delete_stored=True),
    ]
    for flow in flows:
        with pytest.raises(PolicyError, match="no unique ids"):
            play(flow, *NO_IDS)
    assert disk.told == []
    assert conn.state is State.TRANSACTION


def test_an_empty_maildrop_needs_no_ids() -> None:
    seen = Seen("a")
    flow = pop3.collect(logged_in(), Disk().store, seen=seen)
    play(flow, *ask("LIST", "+OK", "."), *ask("UIDL", "-ERR unknown"), *QUIT)
    assert seen == Seen("a")


def test_without_ids_everything_is_collected() -> None:
    flow = pop3.collect(logged_in(), Disk().store, delete_stored=True)
    result = play(flow, *NO_IDS, *retr(1, 2, 3), *dele(1, 2, 3), *QUIT)
    assert result.deleted == (Listed(1, 3), Listed(2, 3), Listed(3, 3))


# A server that says no.


@DIALOGUES
def test_a_message_that_is_not_given_is_neither_noted_nor_deleted(
    offers: list[str], arranged: Callable[[list[Step]], list[Step]]
) -> None:
    disk, seen = Disk(), Seen()
    conn = logged_in("RESP-CODES", *offers)
    flow = pop3.collect(conn, disk.store, seen=seen, note=disk.note, delete_stored=True)
    asked = arranged([*retr(1), *ask("RETR 2", "-ERR [SYS/TEMP] no"), *retr(3)])
    result = play(flow, *LISTINGS, *asked, *arranged(dele(1, 3)), *QUIT)
    no = Response(ERR, "no", "SYS/TEMP")
    assert result == Collected((A, C), (), {B: no}, (A, C), (), BYE)
    assert disk.told == [(1, b"1\r\n"), "a", (3, b"3\r\n"), "c"]
    assert seen == Seen("ac")
    with pytest.raises(pop3.Rejected, match=r"Retr: -ERR \[SYS/TEMP\] no"):
        result.check()


def test_a_message_that_is_not_marked_is_told() -> None:
    flow = pop3.collect(logged_in(), Disk().store, seen=Seen("b"), delete_stored=True)
    marks = [*ask("DELE 2", "-ERR no"), *dele(1), *ask("DELE 3", "-ERR locked")]
    result = play(flow, *LISTINGS, *retr(1, 3), *marks, *QUIT)
    refused = {B: Response(ERR, "no"), C: Response(ERR, "locked")}
    assert result == Collected((A, C), (B,), refused, (A,), (), BYE)
    with pytest.raises(pop3.Rejected, match="Dele: -ERR no"):
        result.check()


def test_a_server_that_does_not_list_its_messages_is_told() -> None:
    conn = logged_in()
    with pytest.raises(pop3.Rejected):
        play(pop3.collect(conn, Disk().store), *ask("LIST", "-ERR no"))
    assert conn.state is State.TRANSACTION


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ([Say(b"-ERR some left\r\n")], Response(ERR, "some left")),
        ([Close()], None),
        ([Silence()], None),
        ([Say(b"+O"), Close()], None),
        ([Say(b"hm\r\n")], None),
    ],
)
def test_what_was_removed_is_in_doubt_without_a_yes_to_quit(
    answer: list[Step], reply: Response | None
) -> None:
    """RFC 1939 section 6."""
    seen = Seen("b")
    flow = pop3.collect(logged_in(), Disk().store, seen=seen, delete_stored=True)
    steps = [*LISTINGS, *retr(1, 3), *dele(2, 1, 3), QUIT[0], *answer]
    result = play(flow, *steps)
    assert result == Collected((A, C), (B,), {}, (), (B, A, C), reply)
    assert seen == Seen("bac")
    with pytest.raises(ConnectionLost if reply is None else pop3.Rejected):
        result.check()


@pytest.mark.parametrize("answer", [Close(), Say(b"-ERR what\r\n")])
def test_where_nothing_was_marked_nothing_is_in_doubt(answer: Step) -> None:
    flow = pop3.collect(logged_in(), Disk().store)
    result = play(flow, *LISTINGS, *retr(1, 2, 3), QUIT[0], answer)
    assert result.in_doubt == ()
    result.check()


# A disk that fails.


@DIALOGUES
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_store_that_fails_ends_the_connection(
    number: int, offers: list[str], arranged: Callable[[list[Step]], list[Step]]
) -> None:
    conn, disk, seen = logged_in(*offers), Disk(), Seen()
    store = disk.store_but(number)
    flow = pop3.collect(conn, store, seen=seen, note=disk.note, delete_stored=True)
    peer = Peer(*LISTINGS, *arranged(retr(1, 2, 3)))
    with pytest.raises(OSError, match="disk full"):
        Driver(peer).run(flow)
    assert conn.state is State.CLOSED
    assert seen == Seen("abc"[: number - 1])
    assert disk.told[-1] == (number, b"%d\r\n" % number)
    assert not removed(peer)


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_a_note_that_fails_ends_the_connection(failing: str) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen()
    note = disk.note_but(failing)
    flow = pop3.collect(conn, disk.store, seen=seen, note=note, delete_stored=True)
    peer = Peer(*LISTINGS, *retr(1, 2, 3))
    with pytest.raises(OSError, match="disk full"):
        Driver(peer).run(flow)
    assert conn.state is State.CLOSED
    assert failing not in seen
    assert not removed(peer)


# A server that goes away, falls silent, or breaks the protocol.


WHOLE: Final = [*LISTINGS, *retr(1, 3), *dele(2, 1, 3), *QUIT]
AT_QUIT: Final = octets_said(WHOLE[:-1])
BEFORE_QUIT = pytest.mark.parametrize("octets", range(AT_QUIT))
WHILE_QUITTING = pytest.mark.parametrize("octets", range(AT_QUIT, octets_said(WHOLE)))


def collecting(conn: Connection, disk: Disk, seen: Seen) -> Flow[Collected]:
    return pop3.collect(conn, disk.store, seen=seen, note=disk.note, delete_stored=True)


def check(conn: Connection, disk: Disk, seen: Seen, octets: int) -> None:
    """See that only what has come to its end was stored and noted."""
    ends = [octets_said([*LISTINGS, *retr(*range(count))]) for count in (1, 2)]
    whole = sum(octets >= end for end in ends)
    told = [(1, b"1\r\n"), "a", (3, b"3\r\n"), "c"]
    assert disk.told == told[: 2 * whole]
    assert seen == Seen("b" + "ac"[:whole])
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("then", "error"),
    [
        (Close(), (ConnectionLost, MessageAborted)),
        (Silence(), TimeoutError),
        (Stop(), Stopping),
    ],
)
@BEFORE_QUIT
def test_a_session_that_breaks_off_removes_nothing(
    octets: int, then: Step, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    peer = Peer(*cut_short(WHOLE, octets, then))
    with pytest.raises(error):
        Driver(peer).run(collecting(conn, disk, seen))
    assert b"QUIT" not in removed(peer)
    check(conn, disk, seen, octets)


@pytest.mark.parametrize("then", [Close(), Silence()])
@WHILE_QUITTING
def test_a_session_that_breaks_off_at_its_end_leaves_doubt(
    octets: int, then: Step
) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    result = play(collecting(conn, disk, seen), *cut_short(WHOLE, octets, then))
    assert result.in_doubt == (B, A, C)
    assert result.deleted == ()
    check(conn, disk, seen, octets)


@WHILE_QUITTING
def test_a_program_that_ends_while_it_quits_is_told(octets: int) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    with pytest.raises(Stopping):
        play(collecting(conn, disk, seen), *cut_short(WHOLE, octets, Stop()))
    check(conn, disk, seen, octets)


@pytest.mark.parametrize("garbage", [b"hm\r\n", b"+ \r\n", b"250 ok\r\n", b"\r\n"])
@pytest.mark.parametrize("at", range(1, len(WHOLE) - 1, 2))
def test_garbage_in_place_of_a_response_removes_nothing(
    at: int, garbage: bytes
) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    peer = Peer(*WHOLE[:at], Say(garbage))
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(collecting(conn, disk, seen))
    assert b"QUIT" not in removed(peer)
    check(conn, disk, seen, octets_said(WHOLE[:at]))


def followed(steps: list[Step], extra: bytes) -> list[Step]:
    """Give the same with more octets in its last read."""
    last = steps[-1]
    assert isinstance(last, Say)
    return [*steps[:-1], Say(last.data + extra)]


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"+OK\r\nx\r\n.\r\n", b"x\r\n", b"+O"])
@pytest.mark.parametrize("at", range(1, len(WHOLE) - 3, 2))
def test_a_response_too_many_removes_nothing(at: int, extra: bytes) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    peer = Peer(*followed(WHOLE[: at + 1], extra), Say(b"K\r\n"))
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(collecting(conn, disk, seen))
    assert b"QUIT" not in removed(peer)
    check(conn, disk, seen, octets_said(WHOLE[: at + 1]))


def test_a_response_too_many_before_quit_leaves_doubt() -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    peer = Peer(*followed(WHOLE[:-2], b"+OK bye\r\n"))
    result = Driver(peer).run(collecting(conn, disk, seen))
    assert result.in_doubt == (B, A, C)
    assert b"QUIT" not in removed(peer)
    check(conn, disk, seen, AT_QUIT)


@pytest.mark.parametrize("count", range(1, 37))
def test_a_flow_that_is_closed_leaves_no_way_on(count: int) -> None:
    conn, disk, seen = logged_in(), Disk(), Seen("b")
    peer = Peer(*WHOLE)
    driver, flow = Driver(peer), collecting(conn, disk, seen)
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED
