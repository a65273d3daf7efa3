"""One command and its reply: what every conversation of a client is made of."""

import pytest

from driving import (
    MAIL_RCPT_DATA,
    Close,
    Deaf,
    Driver,
    Expect,
    Peer,
    Say,
    Wait,
    answer,
    opened,
    play,
)
from smtp_pop_core import (
    ConnectionLost,
    LocalProtocolError,
    Read,
    RemoteProtocolError,
    Timeouts,
    smtp,
)
from smtp_pop_core.smtp import State
from smtp_pop_core.smtp._exchange import seconds

NOOP = Expect(b"NOOP\r\n")


@pytest.mark.parametrize("code", [250, 450, 550])
def test_a_reply_is_returned_whatever_it_is(code: int) -> None:
    conn = opened()
    reply = play(smtp.exchange(conn, smtp.Noop()), NOOP, Say(b"%d x\r\n" % code))
    assert reply == smtp.Reply(code, ("x",))
    assert reply.command == smtp.Noop()
    assert conn.state is State.READY


def test_a_command_out_of_order_changes_nothing() -> None:
    conn = opened()
    with pytest.raises(LocalProtocolError):
        play(smtp.exchange(conn, smtp.Data()))
    assert conn.state is State.READY
    play(smtp.noop(conn), NOOP, Say(b"250 ok\r\n"))


def test_a_command_waits_for_those_before_it() -> None:
    conn = opened("PIPELINING")
    conn.send(smtp.Rset())
    with pytest.raises(LocalProtocolError, match="must be answered first"):
        play(smtp.exchange(conn, smtp.Noop()))
    assert conn.unanswered == (smtp.Rset(),)


@pytest.mark.parametrize(
    ("answered", "command", "seconds"),
    [
        (0, smtp.Noop(), 300),
        (0, smtp.Mail("a@example.com"), 300),
        (1, smtp.Rcpt("b@example.com"), 300),
        (2, smtp.Data(), 120),
        (3, smtp.EndOfMessage(), 600),
    ],
)
def test_each_command_has_its_deadline(
    answered: int, command: smtp.Command, seconds: float
) -> None:
    """RFC 5321 section 4.5.3.2."""
    conn, peer = answer(opened(), MAIL_RCPT_DATA[:answered]), Peer(Wait(7))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.exchange(conn, command))
    assert peer.now == seconds
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("command", "wait"),
    [
        (smtp.Connect(), 1),
        (smtp.Mail(""), 2),
        (smtp.Rcpt("b@example.com"), 3),
        (smtp.Data(), 4),
        (smtp.EndOfMessage(), 5),
        (smtp.Quit(), 6),
    ],
)
def test_each_deadline_is_a_limit(command: smtp.Command, wait: float) -> None:
    timeouts = Timeouts(greeting=1, mail=2, rcpt=3, data=4, end=5, other=6)
    assert seconds(timeouts, command) == wait


def test_single_octets_do_not_push_a_deadline_back() -> None:
    conn = opened()
    peer = Peer(NOOP, *[step for _ in range(99) for step in (Wait(60), Say(b"2"))])
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.noop(conn))
    assert peer.now == 300


def test_a_server_that_takes_nothing_is_given_up() -> None:
    conn, peer = opened(), Peer(Deaf())
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.noop(conn))
    assert peer.now == 180
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_a_flow_that_is_closed_leaves_the_connection_closed(wanted: int) -> None:
    """It is out of step: the reply to what was sent will still come."""
    conn = opened()
    flow = smtp.exchange(conn, smtp.Noop())
    requests = [flow.send(None) for _ in range(wanted + 1)]
    flow.close()
    assert conn.state is State.CLOSED
    assert isinstance(requests[-1], Read) is (wanted == 3)


def test_a_flow_that_was_not_begun_changes_nothing() -> None:
    conn = opened()
    smtp.exchange(conn, smtp.Noop()).close()
    assert conn.state is State.READY


@pytest.mark.parametrize("extra", [b"250 ok\r\n", b"550 no\r\n", b"250-x\r\n250 y\r\n"])
def test_a_second_reply_to_one_command_is_no_answer_to_the_next(extra: bytes) -> None:
    conn = opened()
    assert play(smtp.noop(conn), NOOP, Say(b"250 ok\r\n" + extra)).code == 250
    with pytest.raises(RemoteProtocolError):
        play(smtp.reset(conn))
    assert conn.state is State.CLOSED


def test_the_beginning_of_a_second_reply_is_heard_to_its_end() -> None:
    conn = opened()
    play(smtp.noop(conn), NOOP, Say(b"250 ok\r\n25"))
    with pytest.raises(RemoteProtocolError):
        play(smtp.reset(conn), Say(b"0 ok\r\n"))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_421_that_came_early_is_told(cut: int) -> None:
    conn = opened()
    last = b"421 bye\r\n"
    play(smtp.noop(conn), NOOP, Say(b"250 ok\r\n" + last[:cut]))
    with pytest.raises(ConnectionLost) as caught:
        play(smtp.noop(conn), *[Say(last[cut:])] * (cut < 9))
    assert caught.value.last_reply == smtp.Reply(421, ("bye",))
    assert conn.state is State.CLOSED


def test_a_connection_that_ended_early_is_lost() -> None:
    conn = opened()
    with pytest.raises(ConnectionLost):
        play(smtp.noop(conn), Close())
    assert conn.state is State.CLOSED


def test_what_was_left_by_a_closed_connection_is_not_read() -> None:
    conn = opened()
    play(smtp.noop(conn), NOOP, Say(b"250 ok\r\n250 ok\r\n"))
    conn.close()
    with pytest.raises(LocalProtocolError):
        play(smtp.noop(conn))
