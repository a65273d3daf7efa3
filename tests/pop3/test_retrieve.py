"""Fetching one message, in constant memory."""

import tracemalloc
from collections.abc import Iterator

import pytest

from cutting import every_cut
from driving import (
    NEGOTIATED,
    Close,
    Deaf,
    Driver,
    Expect,
    Peer,
    Say,
    Stop,
    Wait,
    cut_short,
    octets_said,
    play,
)
from fetching import ask, logged_in
from smtp_pop_core import (
    Blocks,
    Content,
    Flow,
    Limits,
    LocalProtocolError,
    MessageAborted,
    Negotiated,
    PolicyError,
    Stopping,
    pop3,
)
from smtp_pop_core.pop3 import Connection, Listed, State

RETR = Expect(b"RETR 1\r\n")
MESSAGE = [RETR, Say(b"+OK 14 octets\r\n"), Say(b"Subject: a\r\n\r\n"), Say(b".\r\n")]


def content_after(conn: Connection, begun: bytes) -> Content:
    """Give the content of a message whose beginning has come with +OK."""
    return play(pop3.retrieve(conn, 1), RETR, Say(b"+OK\r\n" + begun))


def blocks_of(content: Content) -> Flow[list[bytes]]:
    """Take a content piece by piece."""
    blocks = []
    while block := (yield from content.piece()):
        blocks.append(block)
    return blocks


# What a message holds.


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"Subject: a\r\n.\r\n", b"Subject: a\r\n"),
        (b"Subject: a\r\n\r\n.\r\n", b"Subject: a\r\n\r\n"),
        (b"a\r\n\r\n..\r\n...b\r\n.c\r\n.\r\n", b"a\r\n\r\n.\r\n..b\r\nc\r\n"),
        (b"..b\r\n.\r\n", b".b\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
        (b"a\r.\r\r\n.\r\n", b"a\r.\r\r\n"),
        (b"a\n.\r\n.\rb\r\n.\r\n", b"a\n.\r\n\rb\r\n"),
        (b"x\r\n+OK deleted\r\n-ERR\r\n.\r\n", b"x\r\n+OK deleted\r\n-ERR\r\n"),
        (b"\xe9\0\x1b\x80\r\n.\r\n", b"\xe9\0\x1b\x80\r\n"),
    ],
)
def test_a_message_is_what_stands_before_the_dot(wire: bytes, content: bytes) -> None:
    """SEC-POP-DOT: only CRLF . CRLF ends it; bare CR and LF are kept."""
    for cut in every_cut(b"+OK\r\n" + wire):
        conn = logged_in()
        assert play(pop3.fetch(conn, 1), RETR, *map(Say, cut)) == content
        assert conn.state is State.TRANSACTION
        assert conn.idle


def test_a_line_inside_a_message_is_no_answer_to_the_next_command() -> None:
    """SEC-POP-DOT-e."""
    conn = logged_in()
    answers = b"+OK\r\nx\r\n+OK deleted\r\n.\r\n-ERR no\r\n"
    play(pop3.fetch(conn, 1), RETR, Say(answers[: -len("-ERR no\r\n")]))
    refused = play(pop3.delete(conn, [1]), *ask("DELE 1", "-ERR no"))
    assert list(refused) == [1]


@pytest.mark.parametrize("size", [0, 5, 10**20 - 1])
def test_the_size_that_a_server_tells_is_no_bound(size: int) -> None:
    """RFC 1939 section 5: the message ends with its dot."""
    flow = pop3.fetch(logged_in(), Listed(1, size, "id"))
    lines = ["x" * 70] * 7
    content = play(flow, *ask("RETR 1", f"+OK {size} octets", *lines, "."))
    assert len(content) == 504


def test_the_header_and_some_lines_are_fetched() -> None:
    conn = logged_in("TOP")
    content = play(pop3.top(conn, Listed(3, 99), 2), *ask("TOP 3 2", "+OK", "a:", ""))
    assert play(content.read(), Say(b"..x\r\n.\r\n")) == b"a:\r\n\r\n.x\r\n"
    assert conn.idle


@pytest.mark.parametrize("number", [0, -1, 10**20])
def test_a_number_is_that_of_a_message(number: int) -> None:
    conn = logged_in()
    flows = [pop3.fetch(conn, number), pop3.retrieve(conn, number)]
    for flow in (*flows, pop3.top(conn, number, 0), pop3.top(conn, 1, -1)):
        with pytest.raises(ValueError, match=r"must be \d to"):
            play(flow)
    assert conn.state is State.TRANSACTION


def test_a_number_is_no_text() -> None:
    """SEC-CRLF-API-x."""
    flow = pop3.fetch(logged_in(), "1\r\nDELE 1")  # type: ignore[arg-type]  # a mistake
    with pytest.raises(TypeError, match="number must be int"):
        play(flow)


# Piece by piece.


def test_the_pieces_of_a_message_are_full_blocks() -> None:
    content = content_after(logged_in(limits=Limits(block=4)), b"")
    said = [Say(each) for each in (b"a", b"bc", b"defg\r", b"\n.", b".\r\n.", b"\r\n")]
    assert play(blocks_of(content), *said) == [b"abcdefg", b"\r\n.\r\n"]
    assert content.ended


def test_after_the_end_there_is_nothing_more() -> None:
    conn = logged_in()
    content = content_after(conn, b"a\r\n.\r\n")
    assert play(content.piece()) == b"a\r\n"
    assert play(content.piece()) == b""
    conn.close()
    assert play(content.piece()) == b""
    assert play(content.read()) == b""


def test_a_message_whose_end_has_not_come_is_lost() -> None:
    conn = logged_in(limits=Limits(block=3))
    content = content_after(conn, b"a\r\n.\r\n")
    assert play(content.piece()) == b"a\r\n"
    assert not content.ended
    conn.close()
    with pytest.raises(MessageAborted):
        play(content.piece())


def test_a_message_whose_end_has_come_is_whole_whatever_comes_then() -> None:
    conn = logged_in()
    content = content_after(conn, b"a\r\n.\r\n")
    assert play(content.piece()) == b"a\r\n"
    assert content.ended
    conn.close()
    assert play(content.piece()) == b""


def test_what_is_left_of_a_message_is_dropped() -> None:
    conn = logged_in(limits=Limits(block=2))
    content = content_after(conn, b"ab")
    assert play(content.piece()) == b"ab"
    play(pop3.drop(content), Say(b"cdefg\r\n"), Say(b"h\r\n.\r\n"))
    assert content.ended
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


def test_a_message_is_read_before_another_command() -> None:
    conn = logged_in()
    content = content_after(conn, b"a\r\n")
    for flow in (pop3.fetch(conn, 2), pop3.noop(conn), pop3.delete(conn, [1])):
        with pytest.raises(LocalProtocolError):
            play(flow)
    assert play(content.read(), Say(b".\r\n")) == b"a\r\n"


class Flood:
    """A server that answers RETR with one message of many blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self) -> bytes:
        return next(self._blocks)

    def write(self, data: bytes, *, heed: bool) -> bool:
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        return NEGOTIATED


LINE = b".." + b"x" * 76 + b"\r\n"  # 80 octets, and 79 of content


def flood(octets: int) -> Iterator[bytes]:
    yield b"+OK\r\n"
    for _ in range(octets // 80_000):
        yield LINE * 1_000
    yield b".\r\n"


def taken(conn: Connection) -> Flow[int]:
    """Take a message, and count its octets."""
    content = yield from pop3.retrieve(conn, 1)
    octets = 0
    while block := (yield from content.piece()):
        octets += len(block)
    return octets


def test_a_message_of_any_length_is_taken_in_constant_memory() -> None:
    conn, driver = logged_in(), Driver(Flood(flood(50_000_000)))
    tracemalloc.start()
    octets = driver.run(taken(conn))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert octets == 50_000_000 // 80 * 79
    assert peak < 1_500_000


def test_a_message_that_is_too_long_is_not_kept() -> None:
    conn = logged_in(limits=Limits(content=1_000_000))
    driver = Driver(Flood(flood(10_000_000)))
    tracemalloc.start()
    with pytest.raises(PolicyError, match="9875000 octets, more than 1000000"):
        driver.run(pop3.fetch(conn, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
    assert conn.idle
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


@pytest.mark.parametrize("limit", [None, 6, 7])
def test_a_message_that_fits_is_returned_in_one_piece(limit: int | None) -> None:
    conn = logged_in(limits=Limits(content=limit))
    assert play(pop3.fetch(conn, 1), RETR, Say(b"+OK\r\nabcd\r\n.\r\n")) == b"abcd\r\n"
    content = content_after(conn, b"abcd\r\n.\r\n")
    assert play(content.read()) == b"abcd\r\n"


@pytest.mark.parametrize("limit", [1, 5])
def test_no_longer_message_is_returned_in_one_piece(limit: int) -> None:
    """It is read to its end, and the session goes on."""
    conn = logged_in(limits=Limits(content=limit))
    with pytest.raises(PolicyError, match=f"6 octets, more than {limit}"):
        play(pop3.fetch(conn, 1), RETR, Say(b"+OK\r\nabcd\r\n.\r\n"))
    content = content_after(conn, b"abcd\r\n")
    with pytest.raises(PolicyError, match=f"6 octets, more than {limit}"):
        play(content.read(), Say(b".\r\n"))
    assert content.ended
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


def test_what_is_left_of_a_message_is_bounded_as_well() -> None:
    """Whoever has taken the beginning has it no longer."""
    conn = logged_in(limits=Limits(content=5, block=4))
    content = content_after(conn, b"abcd")
    assert play(content.piece()) == b"abcd"
    assert play(content.read(), Say(b"efg\r\n.\r\n")) == b"efg\r\n"


# A server that is slow, or goes away.


def test_the_deadline_is_for_a_block() -> None:
    conn = logged_in(limits=Limits(block=7))
    blocks = [step for _ in range(5) for step in (Wait(100), Say(b"hello\r\n"))]
    peer = Peer(RETR, Say(b"+OK\r\n"), *blocks, Say(b".\r\n"))
    assert Driver(peer).run(pop3.fetch(conn, 1)) == b"hello\r\n" * 5
    assert peer.deadlines == [180, 300, *[180] * 6]
    assert peer.now == 500


@pytest.mark.parametrize("piece", [b"x", b".", b"\r\n", b"\r\n.."])
def test_single_octets_do_not_push_the_deadline_of_a_block_back(piece: bytes) -> None:
    conn = logged_in()
    drip = [step for _ in range(99) for step in (Wait(50), Say(piece))]
    peer = Peer(RETR, Say(b"+OK\r\n"), *drip)
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.fetch(conn, 1))
    assert peer.now == 180
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(15, octets_said(MESSAGE)))
def test_a_message_that_breaks_off_is_aborted(octets: int) -> None:
    conn = logged_in()
    with pytest.raises(MessageAborted, match="the connection was lost"):
        play(pop3.fetch(conn, 1), *cut_short(MESSAGE, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(octets_said(MESSAGE)))
def test_a_server_that_falls_silent_is_given_up(octets: int) -> None:
    conn, peer = logged_in(), Peer(*cut_short(MESSAGE, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.fetch(conn, 1))
    assert peer.now == peer.deadlines[-1] == (300 if octets < 15 else 180)
    assert conn.state is State.CLOSED


def test_a_message_that_was_lost_stays_lost() -> None:
    conn = logged_in()
    content = content_after(conn, b"a\r\n")
    for flow in (content.piece(), content.read(), pop3.drop(content), content.piece()):
        with pytest.raises(MessageAborted):
            play(flow, Close())
    assert not content.ended
    assert conn.state is State.CLOSED


def test_a_program_that_ends_in_the_middle_of_a_message_closes() -> None:
    conn = logged_in()
    with pytest.raises(Stopping):
        play(pop3.fetch(conn, 1), RETR, Say(b"+OK\r\na"), Stop())
    assert conn.state is State.CLOSED


def test_a_server_that_takes_nothing_is_given_up() -> None:
    conn, peer = logged_in(), Peer(Deaf())
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.fetch(conn, 1))
    assert peer.now == 180
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("count", range(1, 6))
def test_a_flow_that_is_closed_leaves_no_way_on(count: int) -> None:
    conn, driver = logged_in(), Driver(Peer(*MESSAGE))
    flow = pop3.fetch(conn, 1)
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED


def test_blocks_run_the_flow_of_the_content() -> None:
    conn = logged_in(limits=Limits(block=4))
    blocks = Blocks(play, content_after(conn, b"abcdef\r\n.\r\n"))
    assert list(blocks) == [b"abcd", b"ef\r\n"]
