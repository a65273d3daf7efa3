"""One command and its response: what every conversation of a client is made of."""

import pytest

from driving import Close, Deaf, Driver, Expect, Peer, Say, Stop, Wait, play
from fetching import ask, client, greeted, logged_in
from smtp_pop_core import (
    ConnectionLost,
    LocalProtocolError,
    Read,
    RemoteProtocolError,
    Stopping,
    Timeouts,
    pop3,
)
from smtp_pop_core.pop3 import ERR, OK, Response, State
from smtp_pop_core.pop3._exchange import insist, learn, seconds

NOOP = Expect(b"NOOP\r\n")


@pytest.mark.parametrize(
    ("line", "response"),
    [("+OK done", Response(OK, "done")), ("-ERR no", Response(ERR, "no"))],
)
def test_a_response_is_returned_whatever_it_is(line: str, response: Response) -> None:
    conn = logged_in()
    got = play(pop3.exchange(conn, pop3.Noop()), *ask("NOOP", line))
    assert got == response
    assert got.command == pop3.Noop()
    assert conn.state is State.TRANSACTION


@pytest.mark.parametrize("line", ["-ERR", "-ERR [IN-USE] locked"])
def test_a_no_where_a_yes_is_due_is_rejected(line: str) -> None:
    conn = logged_in()
    with pytest.raises(pop3.Rejected) as caught:
        play(insist(conn, pop3.Rset()), *ask("RSET", line))
    assert caught.value.command == pop3.Rset()
    assert str(caught.value.response) == line
    assert caught.value.temporary is ("IN-USE" in line)
    assert conn.state is State.TRANSACTION


def test_what_a_response_brings_is_learnt() -> None:
    flow = learn(logged_in(), pop3.Stat(), pop3.Totals)
    assert play(flow, *ask("STAT", "+OK 2 320")) == pop3.Totals(2, 320)


@pytest.mark.parametrize(
    "command",
    [pop3.Pass("secret"), pop3.Stls(), pop3.User("a"), pop3.AuthResponse(b"")],
)
def test_a_command_out_of_order_changes_nothing(command: pop3.Command) -> None:
    conn = logged_in()
    with pytest.raises(LocalProtocolError):
        play(pop3.exchange(conn, command))
    assert conn.state is State.TRANSACTION
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


def test_a_command_waits_for_those_before_it() -> None:
    conn = logged_in("PIPELINING")
    conn.send(pop3.Rset())
    with pytest.raises(LocalProtocolError, match="must be answered first"):
        play(pop3.exchange(conn, pop3.Noop()))
    assert conn.unanswered == (pop3.Rset(),)


def test_a_command_waits_for_the_end_of_a_message() -> None:
    conn = logged_in("PIPELINING")
    play(pop3.retrieve(conn, 1), *ask("RETR 1", "+OK"))
    with pytest.raises(LocalProtocolError, match="must be answered first"):
        play(pop3.exchange(conn, pop3.Dele(1)))
    assert conn.in_content


def test_a_line_of_255_octets_is_sent_and_no_longer_one() -> None:
    """RFC 2449 section 4."""
    conn = greeted()
    with pytest.raises(LocalProtocolError, match="longer than a line may be"):
        play(pop3.exchange(conn, pop3.User("x" * 249)))
    play(pop3.exchange(conn, pop3.User("x" * 248)), *ask(f"USER {'x' * 248}", "+OK"))


@pytest.mark.parametrize(
    ("command", "seconds"),
    [(pop3.Noop(), 300), (pop3.Retr(1), 300), (pop3.Stat(), 300), (pop3.Quit(), 600)],
)
def test_each_command_has_its_deadline(command: pop3.Command, seconds: float) -> None:
    conn, peer = logged_in(), Peer(Wait(7))
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.exchange(conn, command))
    assert peer.now == seconds
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("command", "wait"), [(pop3.Connect(), 1), (pop3.Quit(), 2), (pop3.Capa(), 3)]
)
def test_each_deadline_is_a_limit(command: pop3.Command, wait: float) -> None:
    assert seconds(Timeouts(greeting=1, end=2, other=3), command) == wait


@pytest.mark.parametrize("piece", [b"+", b".", b"1 1\r\n"])
def test_what_drips_does_not_push_a_deadline_back(piece: bytes) -> None:
    conn = logged_in()
    drip = [step for _ in range(99) for step in (Wait(60), Say(piece))]
    peer = Peer(Expect(b"LIST\r\n"), Say(b"+OK\r\n"), *drip)
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.sizes(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_a_server_that_takes_nothing_is_given_up() -> None:
    conn, peer = logged_in(), Peer(Deaf())
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.noop(conn))
    assert peer.now == 180
    assert conn.state is State.CLOSED


def test_a_program_that_ends_leaves_the_connection_closed() -> None:
    conn = logged_in()
    with pytest.raises(Stopping):
        play(pop3.noop(conn), NOOP, Stop())
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_a_flow_that_is_closed_leaves_the_connection_closed(wanted: int) -> None:
    """It is out of step: the response to what was sent will still come."""
    conn = logged_in()
    flow = pop3.exchange(conn, pop3.Noop())
    requests = [flow.send(None) for _ in range(wanted + 1)]
    flow.close()
    assert conn.state is State.CLOSED
    assert isinstance(requests[-1], Read) is (wanted == 3)


def test_a_flow_that_was_not_begun_changes_nothing() -> None:
    conn = logged_in()
    pop3.exchange(conn, pop3.Noop()).close()
    assert conn.state is State.TRANSACTION


@pytest.mark.parametrize("extra", [b"+OK evil\r\n", b"+ \r\n", b"220 x\r\n", b".\r\n"])
def test_a_response_that_comes_early_is_no_answer_to_a_command(extra: bytes) -> None:
    """SEC-POP-UNSOL-a."""
    conn = logged_in()
    play(pop3.noop(conn), NOOP, Say(b"+OK\r\n" + extra))
    with pytest.raises(RemoteProtocolError):
        play(pop3.reset(conn))
    assert conn.state is State.CLOSED


def test_the_beginning_of_an_early_response_is_heard_to_its_end() -> None:
    conn = logged_in()
    play(pop3.noop(conn), NOOP, Say(b"+OK\r\n+O"))
    with pytest.raises(RemoteProtocolError):
        play(pop3.reset(conn), Say(b"K\r\n"))
    assert conn.state is State.CLOSED


def test_half_an_early_response_is_waited_for_within_a_deadline() -> None:
    conn = logged_in()
    play(pop3.noop(conn), NOOP, Say(b"+OK\r\n-"))
    peer = Peer()
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.reset(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_goodbye_that_came_early_is_told(cut: int) -> None:
    conn = logged_in()
    last = b"-ERR idle\r\n"
    play(pop3.noop(conn), NOOP, Say(b"+OK\r\n" + last[:cut]))
    with pytest.raises(ConnectionLost) as caught:
        play(pop3.noop(conn), *[Say(last[cut:])] * (cut < 11))
    assert caught.value.last_reply == Response(ERR, "idle")
    assert conn.state is State.CLOSED


def test_a_lost_connection_tells_the_last_response() -> None:
    conn = logged_in()
    play(pop3.noop(conn), *ask("NOOP", "+OK there"))
    with pytest.raises(ConnectionLost) as caught:
        play(pop3.noop(conn), Say(b"-ERR autologout"), Close())
    assert caught.value.last_reply == Response(OK, "there")
    assert conn.state is State.CLOSED


def test_what_was_left_by_a_closed_connection_is_not_read() -> None:
    conn = logged_in()
    play(pop3.noop(conn), NOOP, Say(b"+OK\r\n+OK\r\n"))
    conn.close()
    with pytest.raises(LocalProtocolError):
        play(pop3.noop(conn))


def test_no_command_comes_before_the_greeting() -> None:
    conn = client()
    with pytest.raises(LocalProtocolError):
        play(pop3.exchange(conn, pop3.Capa()))
    assert conn.state is State.CONNECTING
