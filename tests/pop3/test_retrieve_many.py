"""Fetching and deleting many messages, one after the other or pipelined."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pytest

from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    Stop,
    Unforeseen,
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
    Limits,
    LocalProtocolError,
    MessageAborted,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Stopping,
    pop3,
)
from smtp_pop_core.pop3 import ERR, Connection, Listed, Response, State

ANSWERS: Final = b"+OK\r\na\r\n.\r\n-ERR no\r\n+OK\r\n.\r\n"
PIPELINED: Final[list[Step]] = [
    Expect(b"RETR 1\r\nRETR 2\r\nRETR 3\r\n"),
    Say(ANSWERS),
]
LOCK_STEP: Final[list[Step]] = [
    *ask("RETR 1", "+OK", "a", "."),
    *ask("RETR 2", "-ERR no"),
    *ask("RETR 3", "+OK", "."),
]
DIALOGUES = pytest.mark.parametrize(
    ("offers", "steps"), [(["PIPELINING"], PIPELINED), ([], LOCK_STEP)]
)
EVERY_OCTET = pytest.mark.parametrize(
    ("offers", "steps", "octets"),
    [
        pytest.param(offers, steps, octets, id=f"{len(steps)}-{octets}")
        for offers, steps in ((["PIPELINING"], PIPELINED), ([], LOCK_STEP))
        for octets in range(octets_said(steps))
    ],
)


class Sink:
    """Takes messages in one way or another."""

    def __init__(self) -> None:
        self.got: list[tuple[int, bytes]] = []
        self.kept: list[Blocks] = []

    def read(self, number: int, content: Blocks) -> None:
        self.got.append((number, content.read()))

    async def iterate(self, number: int, content: AsyncBlocks) -> None:
        self.got.append((number, b"".join([block async for block in content])))

    def begin(self, number: int, content: Blocks) -> None:
        self.got.append((number, next(iter(content), b"")))

    def ignore(self, number: int, content: Blocks) -> None:
        self.kept.append(content)


def fetch(
    conn: Connection,
    sink: Callable[[int, Blocks], object] | Callable[[int, AsyncBlocks], object],
    *steps: Step,
    messages: Iterable[int | Listed] = (1, 2, 3),
) -> dict[int, Response]:
    return play(pop3.retrieve_many(conn, messages, sink), *steps)


# What is sent when.


@DIALOGUES
def test_messages_are_handed_over_in_their_order(
    offers: list[str], steps: list[Step]
) -> None:
    conn, sink = logged_in(*offers), Sink()
    refused = fetch(conn, sink.read, *steps)
    assert refused == {2: Response(ERR, "no")}
    assert refused[2].command == pop3.Retr(2)
    assert sink.got == [(1, b"a\r\n"), (3, b"")]
    assert conn.state is State.TRANSACTION
    assert conn.idle


@DIALOGUES
def test_messages_may_be_taken_in_async_code(
    offers: list[str], steps: list[Step]
) -> None:
    sink = Sink()
    fetch(logged_in(*offers), sink.iterate, *steps)
    assert sink.got == [(1, b"a\r\n"), (3, b"")]


@DIALOGUES
def test_messages_may_be_named_by_what_was_listed(
    offers: list[str], steps: list[Step]
) -> None:
    sink = Sink()
    listed = [Listed(1, 3, "a"), Listed(2, 5, "b"), Listed(3, 0)]
    fetch(logged_in(*offers), sink.read, *steps, messages=listed)
    assert [number for number, _ in sink.got] == [1, 3]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_answers_may_be_cut_in_any_way(size: int) -> None:
    sink = Sink()
    cut = [Say(ANSWERS[at : at + size]) for at in range(0, len(ANSWERS), size)]
    refused = fetch(logged_in("PIPELINING"), sink.read, PIPELINED[0], *cut)
    assert list(refused) == [2]
    assert sink.got == [(1, b"a\r\n"), (3, b"")]


@DIALOGUES
def test_what_a_sink_leaves_unread_is_dropped(
    offers: list[str], steps: list[Step]
) -> None:
    for limits in (Limits(), Limits(block=1)):
        conn, sink = logged_in(*offers, limits=limits), Sink()
        fetch(conn, sink.begin, *steps)
        assert [number for number, _ in sink.got] == [1, 3]
        fetch(conn, sink.ignore, *steps)
        assert len(sink.kept) == 2
        assert conn.idle


def test_content_that_was_kept_is_no_way_to_the_next_message() -> None:
    conn, sink = logged_in("PIPELINING"), Sink()
    fetch(conn, sink.ignore, *PIPELINED)
    content = play(pop3.retrieve(conn, 4), *ask("RETR 4", "+OK", "d", "."))
    assert [blocks.read() for blocks in sink.kept] == [b"", b""]
    assert play(content.read()) == b"d\r\n"


@pytest.mark.parametrize("offers", [["PIPELINING"], []])
def test_nothing_is_asked_where_there_is_nothing_to_ask(offers: list[str]) -> None:
    conn = logged_in(*offers)
    assert fetch(conn, Sink().read, messages=()) == {}
    assert play(pop3.delete(conn, [])) == {}
    assert conn.idle


def test_messages_are_taken_from_a_source_when_there_is_room() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1, 6):
            taken.append(number)
            yield number

    conn = logged_in("PIPELINING", limits=Limits(pipelined_commands=2))
    flow = pop3.retrieve_many(conn, numbers(), Sink().read)
    with pytest.raises(ConnectionLost):
        play(flow, Expect(b"RETR 1\r\nRETR 2\r\n"), Close())
    assert taken == [1, 2]


class Counting:
    """A server that answers one command a read, and counts what waits for that.

    Attributes:
        commands: The most that were unanswered.
        octets: The most octets of them.
        writes: How many writes there were.
    """

    def __init__(self, answer: bytes) -> None:
        self.commands = 0
        self.octets = 0
        self.writes = 0
        self._answer = answer
        self._waiting: list[bytes] = []

    def read(self) -> bytes:
        del self._waiting[0]
        return self._answer

    def write(self, data: bytes, *, heed: bool) -> bool:
        self.writes += 1
        self._waiting += data.splitlines(keepends=True)
        self.commands = max(self.commands, len(self._waiting))
        self.octets = max(self.octets, len(b"".join(self._waiting)))
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        return NEGOTIATED


@pytest.mark.parametrize("first", [1, 10**19])
@pytest.mark.parametrize(
    ("commands", "octets"),
    [(100, 8_192), (1, 8_192), (2, 8_192), (7, 8_192), (10**6, 8_192), (10**6, 300)],
)
def test_what_is_unanswered_is_bounded(commands: int, octets: int, first: int) -> None:
    """RFC 2920 section 3.1: else both wait in a write for each other."""
    limits = Limits(pipelined_commands=commands, pipelined_octets=octets)
    retrieving, deleting = Counting(b"+OK\r\n.\r\n"), Counting(b"+OK\r\n")
    numbers = range(first, first + 2_000)
    conn = logged_in("PIPELINING", limits=limits)
    Driver(retrieving).run(pop3.retrieve_many(conn, numbers, Sink().read))
    Driver(deleting).run(pop3.delete(conn, numbers))
    for server in (retrieving, deleting):
        assert server.commands <= commands
        assert server.octets <= octets
    assert conn.idle


def test_a_bound_below_the_length_of_a_line_leaves_one_command_at_a_time() -> None:
    limits = Limits(pipelined_octets=1)
    server = Counting(b"+OK\r\n")
    Driver(server).run(pop3.delete(logged_in("PIPELINING", limits=limits), range(1, 9)))
    assert server.commands == 1


@pytest.mark.parametrize(("offers", "writes"), [(["PIPELINING"], 39), ([], 2_000)])
def test_a_write_brings_many_commands(offers: list[str], writes: int) -> None:
    """A hundred first, and fifty more whenever fifty are left."""
    server = Counting(b"+OK\r\n")
    Driver(server).run(pop3.delete(logged_in(*offers), range(1, 2_001)))
    assert server.writes == writes


def test_a_bound_in_octets_leaves_many_commands_to_a_write() -> None:
    """293 of 27 octets first, and 142 or more whenever half the octets are left."""
    limits = Limits(pipelined_commands=10**6)
    server = Counting(b"+OK\r\n")
    conn = logged_in("PIPELINING", limits=limits)
    Driver(server).run(pop3.delete(conn, range(10**19, 10**19 + 2_000)))
    assert server.writes <= 2 + (2_000 - 293) // 142


# A sink that fails.


def failing(sink: Sink, at: int, how: str) -> Callable[[int, Blocks], None]:
    """Give a sink that raises when it has done this with that message."""

    def take(number: int, content: Blocks) -> None:
        getattr(sink, how)(number, content)
        if number == at:
            raise OSError("disk full")

    return take


@pytest.mark.parametrize("how", ["ignore", "begin", "read"])
@pytest.mark.parametrize("at", [1, 3])
@DIALOGUES
def test_a_sink_that_fails_ends_the_connection(
    offers: list[str], steps: list[Step], at: int, how: str
) -> None:
    """Also with the last message, when all is answered: nothing is deleted then."""
    conn, peer = logged_in(*offers), Peer(*steps)
    flow = pop3.retrieve_many(conn, (1, 2, 3), failing(Sink(), at, how))
    with pytest.raises(OSError, match="disk full"):
        Driver(peer).run(flow)
    assert conn.state is State.CLOSED
    assert all(data.startswith(b"RETR") for data in peer.writes)


def test_a_sink_that_fails_in_async_code_ends_the_connection() -> None:
    async def take(number: int, content: AsyncBlocks) -> None:
        await content.read()
        raise OSError("disk full")

    conn = logged_in()
    with pytest.raises(OSError, match="disk full"):
        fetch(conn, take, *ask("RETR 1", "+OK", "a", "."), messages=[1])
    assert conn.state is State.CLOSED


def test_a_message_that_is_too_long_in_one_piece_ends_the_connection() -> None:
    conn = logged_in(limits=Limits(content=2))
    with pytest.raises(PolicyError, match="3 octets, more than 2"):
        fetch(conn, Sink().read, *LOCK_STEP[:2])
    assert conn.state is State.CLOSED


def test_a_program_that_dies_in_a_sink_leaves_the_connection_closed() -> None:
    def die(number: int, content: Blocks) -> None:
        raise Unforeseen("out of memory")

    conn = logged_in("PIPELINING")
    with pytest.raises(Unforeseen, match="out of memory"):
        fetch(conn, die, *PIPELINED)
    assert conn.state is State.CLOSED


@DIALOGUES
def test_a_sink_cannot_hide_that_the_connection_was_lost(
    offers: list[str], steps: list[Step]
) -> None:
    def hide(number: int, content: Blocks) -> None:
        with pytest.raises(MessageAborted):
            content.read()

    conn = logged_in(*offers)
    with pytest.raises(MessageAborted):
        fetch(conn, hide, *cut_short(steps, len(b"+OK\r\na"), Close()))
    assert conn.state is State.CLOSED


def test_a_sink_cannot_hide_that_the_server_is_too_slow() -> None:
    def hide(number: int, content: Blocks) -> None:
        with pytest.raises(TimeoutError):
            content.read()

    conn, peer = logged_in(), Peer(*ask("RETR 1", "+OK", "a"))
    with pytest.raises(MessageAborted):
        Driver(peer).run(pop3.retrieve_many(conn, [1], hide))
    assert peer.now == 180
    assert conn.state is State.CLOSED


# A source that fails.


@pytest.mark.parametrize("offers", [["PIPELINING"], []])
def test_a_number_that_is_none_is_found_before_it_is_sent(offers: list[str]) -> None:
    conn = logged_in(*offers)
    with pytest.raises(ValueError, match="number must be"):
        fetch(conn, Sink().read, messages=[0])
    with pytest.raises(ValueError, match="number must be"):
        play(pop3.delete(conn, [0]))
    assert conn.state is State.TRANSACTION
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


def test_a_source_that_fails_between_two_messages_leaves_the_session_as_it_is() -> None:
    conn = logged_in()
    with pytest.raises(ValueError, match="number must be"):
        fetch(conn, Sink().read, *ask("RETR 1", "+OK", "."), messages=[1, 0])
    assert conn.state is State.TRANSACTION


def test_a_source_that_fails_in_a_group_ends_the_connection() -> None:
    """What was gathered before it has no response."""
    conn = logged_in("PIPELINING")
    with pytest.raises(ValueError, match="number must be"):
        fetch(conn, Sink().read, messages=[1, 0])
    assert conn.state is State.CLOSED


def test_nothing_is_fetched_before_the_login_or_in_the_middle() -> None:
    conn = logged_in("PIPELINING")
    play(pop3.retrieve(conn, 1), *ask("RETR 1", "+OK"))
    for flow in (
        pop3.retrieve_many(conn, [2], Sink().read),
        pop3.delete(conn, [2]),
    ):
        with pytest.raises(LocalProtocolError):
            play(flow)
    assert conn.in_content


# A server that breaks the protocol, goes away or falls silent.


@EVERY_OCTET
def test_a_server_may_go_away_at_any_octet(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn, sink = logged_in(*offers), Sink()
    with pytest.raises((ConnectionLost, MessageAborted)):
        fetch(conn, sink.read, *cut_short(steps, octets, Close()))
    assert sink.got == [(1, b"a\r\n")] * (octets >= len(b"+OK\r\na\r\n.\r\n"))
    assert conn.state is State.CLOSED


@EVERY_OCTET
def test_a_server_may_fall_silent_at_any_octet(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn, sink, peer = logged_in(*offers), Sink(), Peer(*cut_short(steps, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.retrieve_many(conn, (1, 2, 3), sink.read))
    assert peer.now == peer.deadlines[-1]
    assert peer.now in (180, 300)
    assert sink.got == [(1, b"a\r\n")] * (octets >= len(b"+OK\r\na\r\n.\r\n"))
    assert conn.state is State.CLOSED


@EVERY_OCTET
def test_a_program_may_end_at_any_octet(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn = logged_in(*offers)
    with pytest.raises(Stopping):
        fetch(conn, Sink().read, *cut_short(steps, octets, Stop()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "answers",
    [
        b"+ \r\n",
        b"hm\r\n",
        b"+OK\r\na\r\n.\r\na\r\n.\r\n",
        b"+OK\r\n.\r\n.\r\n",
        b"-ERR no\r\n.\r\n",
        b"-ERR\r\n-ERR\r\n-ERR\r\n+OK\r\n",
        b"+" * 100_000,
    ],
)
def test_answers_that_are_none_end_the_connection(answers: bytes) -> None:
    conn = logged_in("PIPELINING")
    fetching = pop3.retrieve_many(conn, (1, 2, 3), Sink().ignore)
    steps = [PIPELINED[0], Say(answers)]
    with pytest.raises(RemoteProtocolError):
        play(then_noop(conn, fetching), *steps)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"+OK\r\nx\r\n.\r\n", b"x\r\n", b"+"])
@pytest.mark.parametrize(
    ("flow", "step"),
    [
        (lambda conn: pop3.retrieve_many(conn, (1, 2), Sink().read), LOCK_STEP[1]),
        (lambda conn: pop3.delete(conn, (1, 2)), Say(b"+OK\r\n")),
    ],
)
def test_an_answer_that_comes_early_is_none_to_the_next_command(
    flow: Callable[[Connection], Flow[object]], step: Say, extra: bytes
) -> None:
    conn, peer = logged_in(), Peer(Say(step.data + extra), Say(b"OK\r\n"))
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(flow(conn))
    assert len(peer.writes) == 1
    assert conn.state is State.CLOSED


def test_a_goodbye_behind_the_last_answer_takes_nothing_back() -> None:
    conn = logged_in()
    refused = play(pop3.delete(conn, [1]), Expect(b"DELE 1\r\n"), Say(b"+OK\r\n-ERR"))
    assert refused == {}
    assert play(pop3.quit(conn), Close()) is None


def then_noop(conn: Connection, flow: Flow[object]) -> Flow[None]:
    """Run a flow, and see whether the server is still in step."""
    yield from flow
    yield from pop3.noop(conn)


# Deleting.


def test_messages_are_marked_one_after_the_other() -> None:
    conn = logged_in()
    steps = [*ask("DELE 2", "+OK"), *ask("DELE 1", "-ERR gone"), *ask("DELE 7", "+OK")]
    refused = play(pop3.delete(conn, [Listed(2, 9), 1, 7]), *steps)
    assert refused == {1: Response(ERR, "gone")}
    assert refused[1].command == pop3.Dele(1)
    play(pop3.quit(conn), *QUIT)


def test_messages_are_marked_in_one_write() -> None:
    conn = logged_in("PIPELINING")
    wire = Expect(b"DELE 2\r\nDELE 1\r\nDELE 7\r\n")
    answers = Say(b"+OK\r\n-ERR gone\r\n+OK\r\n")
    refused = play(pop3.delete(conn, [2, Listed(1, 9, "a"), 7]), wire, answers)
    assert list(refused) == [1]


@pytest.mark.parametrize("octets", range(15))
def test_marks_that_are_not_confirmed_end_the_connection(octets: int) -> None:
    """Without QUIT nothing is removed.  RFC 1939 section 6."""
    conn = logged_in("PIPELINING")
    steps = [Expect(b"DELE 1\r\nDELE 2\r\nDELE 3\r\n"), Say(b"+OK\r\n" * 3)]
    with pytest.raises(ConnectionLost):
        play(pop3.delete(conn, [1, 2, 3]), *cut_short(steps, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("count", range(1, 7))
def test_a_flow_that_is_closed_leaves_no_way_on(count: int) -> None:
    conn, driver = logged_in("PIPELINING"), Driver(Peer(*PIPELINED))
    flow = pop3.retrieve_many(conn, (1, 2, 3), Sink().read)
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED
