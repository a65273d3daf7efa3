"""Sending to a server that is slow, breaks the protocol, or goes away."""

import pytest

from driving import (
    Close,
    Deaf,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    Wait,
    cut_short,
    octets_said,
    opened,
    play,
)
from smtp_pop_core import ConnectionLost, Flow, Limits, RemoteProtocolError, smtp
from smtp_pop_core.smtp import Connection, Outcome, State

ENVELOPE = Expect(
    b"MAIL FROM:<a@example.com>\r\n"
    b"RCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n"
)
OKS = b"250 ok\r\n250 ok\r\n250 ok\r\n"
BEGUN: list[Step] = [ENVELOPE, Say(OKS + b"354 go\r\n")]
END = Expect(b"hello\r\n.\r\n")
DONE = Say(b"250 2.0.0 done\r\n")
PIPELINED: list[Step] = [*BEGUN, END, DONE]
LOCK_STEP: list[Step] = [
    *[Expect(b"MAIL FROM:<a@example.com>\r\n"), Say(b"250 ok\r\n")],
    *[Expect(b"RCPT TO:<b@example.com>\r\n"), Say(b"250-ok\r\n250 ok\r\n")],
    *[Expect(b"RCPT TO:<c@example.com>\r\n"), Say(b"550 no\r\n")],
    *[Expect(b"DATA\r\n"), Say(b"354 go\r\n"), END, DONE],
]
DIALOGUES = [(["PIPELINING"], PIPELINED), ([], LOCK_STEP)]
BEFORE_THE_END = [
    pytest.param(offers, steps, octets, id=f"{len(steps)}-{octets}")
    for offers, steps in DIALOGUES
    for octets in range(octets_said(steps) - len(DONE.data))
]
IN_THE_LAST_REPLY = [
    pytest.param(offers, steps, octets_said(steps) - left, id=f"{len(steps)}-{left}")
    for offers, steps in DIALOGUES
    for left in range(1, len(DONE.data) + 1)
]


def sending(conn: Connection, content: bytes = b"hello\r\n") -> Flow[smtp.MailResult]:
    recipients = ["b@example.com", "c@example.com"]
    return smtp.send_mail(conn, "a@example.com", recipients, content)


# The server goes away, or falls silent.


@pytest.mark.parametrize(("offers", "steps", "octets"), BEFORE_THE_END)
def test_a_server_that_goes_before_the_content_is_lost(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn = opened(*offers)
    with pytest.raises(ConnectionLost):
        play(sending(conn), *cut_short(steps, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(("offers", "steps", "octets"), IN_THE_LAST_REPLY)
def test_a_server_that_goes_after_the_content_leaves_doubt(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn = opened(*offers)
    result = play(sending(conn), *cut_short(steps, octets, Close()))
    assert result.outcome is Outcome.IN_DOUBT
    assert result.reply is None
    assert "b@example.com" in result.in_doubt
    assert result.accepted == []
    assert conn.state is State.CLOSED


def test_what_was_refused_is_not_in_doubt() -> None:
    result = play(sending(opened()), *LOCK_STEP[:-1], Close())
    assert result.outcome is Outcome.IN_DOUBT
    assert result.in_doubt == ["b@example.com"]
    assert result.refused == ["c@example.com"]


@pytest.mark.parametrize(("offers", "steps", "octets"), BEFORE_THE_END)
def test_a_server_that_falls_silent_before_the_content_is_given_up(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn, peer = opened(*offers), Peer(*cut_short(steps, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(sending(conn))
    assert conn.state is State.CLOSED
    assert peer.now == peer.deadlines[-1]
    assert peer.now in (300, 120)


@pytest.mark.parametrize(("offers", "steps", "octets"), IN_THE_LAST_REPLY)
def test_a_server_that_falls_silent_after_the_content_leaves_doubt(
    offers: list[str], steps: list[Step], octets: int
) -> None:
    conn, peer = opened(*offers), Peer(*cut_short(steps, octets))
    assert Driver(peer).run(sending(conn)).outcome is Outcome.IN_DOUBT
    assert conn.state is State.CLOSED
    assert peer.now == 600


def test_each_reply_has_a_deadline_of_its_own() -> None:
    turns = zip(LOCK_STEP[::2], LOCK_STEP[1::2], strict=True)
    peer = Peer(*[step for ask, tell in turns for step in (ask, Wait(100), tell)])
    result = Driver(peer).run(sending(opened()))
    assert result.outcome is Outcome.PARTLY_ACCEPTED
    waits = [300, 300, 300, 120, 600]
    assert peer.deadlines == [each for wait in waits for each in (180, wait)]


def test_single_octets_do_not_push_the_deadline_of_the_last_reply_back() -> None:
    drip = [step for _ in range(99) for step in (Wait(50), Say(b"2"))]
    conn, peer = opened("PIPELINING"), Peer(*BEGUN, END, *drip)
    assert Driver(peer).run(sending(conn)).outcome is Outcome.IN_DOUBT
    assert peer.now == 600


@pytest.mark.parametrize("begun", [0, 2])
def test_a_server_that_takes_nothing_more_is_given_up(begun: int) -> None:
    conn, peer = opened("PIPELINING"), Peer(*BEGUN[:begun], Deaf())
    with pytest.raises(TimeoutError):
        Driver(peer).run(sending(conn))
    assert peer.now == 180
    assert conn.state is State.CLOSED


def test_the_deadline_of_the_content_is_for_a_block() -> None:
    conn = opened("PIPELINING", limits=Limits(block=7))
    blocks: list[Step] = [Expect(b"hello\r\n"), Wait(100)] * 5
    peer = Peer(*BEGUN, *blocks, Expect(b".\r\n"), DONE)
    result = Driver(peer).run(sending(conn, b"hello\r\n" * 5))
    assert result.outcome is Outcome.ACCEPTED
    assert peer.deadlines[2:] == [*[180] * 5, 600]


def test_421_because_of_idleness_refuses_for_now() -> None:
    conn = opened("PIPELINING")
    result = play(sending(conn), Say(b"421 4.4.2 idle\r\n"), Close())
    assert result.outcome is Outcome.REFUSED
    assert result.retry == ["b@example.com", "c@example.com"]
    assert conn.state is State.CLOSED


# The server breaks the protocol.


@pytest.mark.parametrize(
    "replies",
    [
        b"354 go\r\n250 ok\r\n250 ok\r\n250 ok\r\n",
        b"250 ok\r\n354 go\r\n",
        OKS + b"250 ok\r\n",
        b"235 ok\r\n334 \r\n",
        b"hm\r\n",
        b"250 ok\r\nhm\r\n",
        b"250-ok\r\n251 ok\r\n",
        b"250 ok\n250 ok\n250 ok\n354 go\n" * 200,
        b"2" * 100_000,
        b"250-x\r\n" * 1_001,
        OKS + b"354 go\r\n250 done\r\n",
        OKS + b"354 go\r\n354 go\r\n",
        OKS + b"354 go\r\nhm\r\n",
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(replies: bytes) -> None:
    conn = opened("PIPELINING")
    with pytest.raises(RemoteProtocolError):
        play(sending(conn), ENVELOPE, Say(replies))
    assert conn.state is State.CLOSED


def test_two_replies_to_mail_are_not_one_to_rcpt() -> None:
    conn = opened()
    with pytest.raises(RemoteProtocolError):
        play(sending(conn), LOCK_STEP[0], Say(b"250 ok\r\n250 ok\r\n"))
    assert conn.state is State.CLOSED


def test_too_few_replies_never_lead_to_content() -> None:
    conn, peer = opened("PIPELINING"), Peer(ENVELOPE, Say(b"250 ok\r\n250 ok\r\n"))
    with pytest.raises(TimeoutError):
        Driver(peer).run(sending(conn))
    peer.finish()


@pytest.mark.parametrize(
    "reply",
    [b"hm\r\n", b"354 go\r\n", b"250-a\r\n251 b\r\n", b"2" * 9_999, b"199 x\r\n"],
)
def test_garbage_in_place_of_the_last_reply_leaves_doubt(reply: bytes) -> None:
    conn = opened("PIPELINING")
    result = play(sending(conn), *BEGUN, END, Say(reply))
    assert result.outcome is Outcome.IN_DOUBT
    assert conn.state is State.CLOSED


def test_a_second_last_reply_is_found_out_by_the_next_message() -> None:
    conn = opened("PIPELINING")
    result = play(sending(conn), *BEGUN, END, Say(b"250 done\r\n250 done\r\n"))
    assert result.outcome is Outcome.ACCEPTED
    with pytest.raises(RemoteProtocolError):
        play(sending(conn))
    assert conn.state is State.CLOSED


# The server speaks before the content has ended.

# How many blocks there are, and after how many of them the server speaks.
EARLY = [(1, 0), (2, 0), (2, 1), (5, 0), (5, 1), (5, 3), (5, 4)]


def early(blocks: int, taken: int, *then: Step) -> tuple[Connection, Peer]:
    """Bring a server to speak when it has taken some of the blocks."""
    conn = opened("PIPELINING", limits=Limits(block=7))
    written = [Expect(b"hello\r\n" * taken)] * bool(taken)
    return conn, Peer(*BEGUN, *written, *then)


@pytest.mark.parametrize("code", [421, 452, 550, 552])
@pytest.mark.parametrize(("blocks", "taken"), EARLY)
def test_an_early_no_is_heeded(blocks: int, taken: int, code: int) -> None:
    conn, peer = early(blocks, taken, Say(b"%d n" % code), Say(b"o\r\n"))
    result = Driver(peer).run(sending(conn, b"hello\r\n" * blocks))
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(code, ("no",))
    assert result.refused == ["b@example.com", "c@example.com"]
    assert conn.state is State.CLOSED
    peer.finish()


@pytest.mark.parametrize("reply", [b"250 done\r\n", b"354 more\r\n", b"hm\r\n"])
@pytest.mark.parametrize(("blocks", "taken"), EARLY)
def test_nothing_early_is_an_acceptance(blocks: int, taken: int, reply: bytes) -> None:
    conn, peer = early(blocks, taken, Say(reply))
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(sending(conn, b"hello\r\n" * blocks))
    assert conn.state is State.CLOSED
    peer.finish()


@pytest.mark.parametrize("then", [[Close()], [Say(b"5"), Close()]])
@pytest.mark.parametrize(("blocks", "taken"), EARLY)
def test_content_that_breaks_off_leaves_no_doubt(
    blocks: int, taken: int, then: list[Step]
) -> None:
    conn, peer = early(blocks, taken, *then)
    with pytest.raises(ConnectionLost):
        Driver(peer).run(sending(conn, b"hello\r\n" * blocks))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(("blocks", "taken"), EARLY)
def test_half_an_early_reply_is_waited_for(blocks: int, taken: int) -> None:
    conn, peer = early(blocks, taken, Say(b"5"))
    with pytest.raises(TimeoutError):
        Driver(peer).run(sending(conn, b"hello\r\n" * blocks))
    assert peer.now == 600
    assert conn.state is State.CLOSED


def test_a_no_in_the_same_read_as_354_is_heeded() -> None:
    conn = opened("PIPELINING")
    replies = Say(OKS + b"354 go\r\n552 too large\r\n")
    result = play(sending(conn), ENVELOPE, replies)
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(552, ("too large",))
    assert conn.state is State.CLOSED


def test_a_no_while_the_server_takes_nothing_is_heeded() -> None:
    conn = opened("PIPELINING")
    result = play(sending(conn), *BEGUN, Deaf(), Wait(9), Say(b"552 too large\r\n"))
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(552, ("too large",))


# The flow is given up.


@pytest.mark.parametrize("count", range(1, 9))
def test_a_flow_that_is_closed_leaves_no_way_on(count: int) -> None:
    """Whatever it was about to do: the server is in the middle of something."""
    conn, driver = opened("PIPELINING"), Driver(Peer(*PIPELINED))
    flow = sending(conn)
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED


def test_a_flow_that_was_not_begun_changes_nothing() -> None:
    conn = opened("PIPELINING")
    sending(conn).close()
    assert conn.state is State.READY
