"""Sending one message: the envelope, and what became of it."""

from collections.abc import Iterable

import pytest

from driving import (
    MAIL_RCPT_DATA,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    answer,
    opened,
    play,
)
from smtp_pop_core import Limits, smtp
from smtp_pop_core.smtp import Connection, Outcome, State

MAIL = b"MAIL FROM:<a@example.com>\r\n"
DATA = b"DATA\r\n"
CONTENT = Expect(b"hello\r\n.\r\n")
EMPTY = Expect(b".\r\n")
OK = Say(b"250 ok\r\n")
NO = Say(b"550 no\r\n")
GO = Say(b"354 go\r\n")
DONE = Say(b"250 done\r\n")


def rcpt(*names: str) -> bytes:
    return b"".join(f"RCPT TO:<{name}@example.com>\r\n".encode() for name in names)


def send(
    conn: Connection,
    *steps: Step,
    recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt = "b@example.com",
    sender: str | smtp.Mail = "a@example.com",
) -> smtp.MailResult:
    return play(smtp.send_mail(conn, sender, recipients, b"hello\r\n"), *steps)


# What is sent when.


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    conn = opened()
    result = send(
        conn,
        Expect(MAIL),
        OK,
        Expect(rcpt("b")),
        Say(b"250 b ok\r\n"),
        Expect(rcpt("c")),
        Say(b"251 c moved\r\n"),
        Expect(DATA),
        GO,
        CONTENT,
        DONE,
        recipients=["b@example.com", "c@example.com"],
    )
    result.check()
    assert result.outcome is Outcome.ACCEPTED
    assert result.accepted == ["b@example.com", "c@example.com"]
    assert result.reply == smtp.Reply(250, ("done",))
    assert [each.reply for each in result.recipients] == [result.reply, result.reply]
    assert conn.state is State.READY


def test_with_pipelining_the_envelope_is_one_write() -> None:
    conn = opened("PIPELINING")
    peer = Peer(
        Expect(MAIL + rcpt("b", "c") + DATA),
        Say(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        CONTENT,
        DONE,
    )
    recipients = ["b@example.com", "c@example.com"]
    flow = smtp.send_mail(conn, "a@example.com", recipients, b"hello\r\n")
    assert Driver(peer).run(flow).outcome is Outcome.ACCEPTED
    assert peer.writes == [MAIL + rcpt("b", "c") + DATA, b"hello\r\n.\r\n"]
    assert conn.state is State.READY


@pytest.mark.parametrize("size", [1, 2, 7])
def test_replies_may_be_cut_in_any_way(size: int) -> None:
    replies = b"250-a\r\n250 b\r\n550-c\r\n550 d\r\n250 e\r\n354 f\r\n"
    cut = [Say(replies[at : at + size]) for at in range(0, len(replies), size)]
    result = send(
        opened("PIPELINING"),
        Expect(MAIL + rcpt("b", "c") + DATA),
        *cut,
        CONTENT,
        *map(Say, [b"250-x", b"\r\n", b"250 y", b"\r", b"\n"]),
        recipients=["b@example.com", "c@example.com"],
    )
    assert result.refused == ["b@example.com"]
    assert result.accepted == ["c@example.com"]
    assert result.reply == smtp.Reply(250, ("x", "y"))


@pytest.mark.parametrize("code", [250, 251, 252, 299])
def test_any_2xx_accepts_a_recipient(code: int) -> None:
    answer_to_rcpt = Say(b"%d ok\r\n" % code)
    result = send(
        opened(),
        *[Expect(MAIL), OK, Expect(rcpt("b")), answer_to_rcpt],
        *[Expect(DATA), GO, CONTENT, DONE],
    )
    assert result.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("limits", "groups"),
    [
        (Limits(pipelined_commands=3), ["bc", "def", "g"]),
        (Limits(pipelined_octets=60), ["bc", "def", "g"]),
        (Limits(pipelined_commands=4), ["bcd", "efg", ""]),
        (Limits(pipelined_commands=7), ["bcdefg", ""]),
        (Limits(pipelined_commands=8), ["bcdefg"]),
    ],
)
def test_what_is_pipelined_is_bounded(limits: Limits, groups: list[str]) -> None:
    """RFC 2920 section 3.1: two peers must never wait in a write for each other."""
    steps: list[Step] = []
    for index, names in enumerate(groups):
        last = index == len(groups) - 1
        written = MAIL * (index == 0) + rcpt(*names) + DATA * last
        replies = b"250 ok\r\n" * (len(names) + (index == 0)) + b"354 go\r\n" * last
        steps += [Expect(written), Say(replies)]
    result = send(
        opened("PIPELINING", limits=limits),
        *[*steps, CONTENT, DONE],
        recipients=[f"{name}@example.com" for name in "bcdefg"],
    )
    assert len(result.accepted) == 6


def test_many_recipients_are_sent_in_groups() -> None:
    conn, names = opened("PIPELINING"), [f"user{index:03}" for index in range(250)]
    steps = [
        *[Expect(MAIL + rcpt(*names[:99])), Say(b"250 ok\r\n" * 100)],
        *[Expect(rcpt(*names[99:199])), Say(b"250 ok\r\n" * 99 + b"452 many\r\n")],
        *[Expect(rcpt(*names[199:]) + DATA), Say(b"452 x\r\n" * 51 + b"354 go\r\n")],
        *[CONTENT, DONE],
    ]
    result = send(conn, *steps, recipients=[f"{name}@example.com" for name in names])
    assert result.outcome is Outcome.PARTLY_ACCEPTED
    assert result.accepted == [f"{name}@example.com" for name in names[:198]]
    assert result.retry == [f"{name}@example.com" for name in names[198:]]


def test_a_recipient_may_be_given_alone() -> None:
    for recipients in ("b@example.com", smtp.Rcpt("b@example.com")):
        result = send(
            opened("PIPELINING"),
            Expect(MAIL + rcpt("b") + DATA),
            Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
            CONTENT,
            DONE,
            recipients=recipients,
        )
        assert result.accepted == ["b@example.com"]


def test_a_bounce_and_the_postmaster_are_addresses() -> None:
    result = send(
        opened("PIPELINING"),
        Expect(b"MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n"),
        Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
        CONTENT,
        DONE,
        sender="",
        recipients=["Postmaster"],
    )
    assert result.accepted == ["Postmaster"]


# Refusals.


def test_a_refused_recipient_does_not_stop_the_others() -> None:
    for offers, steps in [
        (
            ["PIPELINING"],
            [
                Expect(MAIL + rcpt("b", "c", "d") + DATA),
                Say(b"250 ok\r\n550 no\r\n250 ok\r\n450 later\r\n354 go\r\n"),
            ],
        ),
        (
            [],
            [
                *[Expect(MAIL), OK, Expect(rcpt("b")), NO],
                *[Expect(rcpt("c")), OK, Expect(rcpt("d")), Say(b"450 later\r\n")],
                *[Expect(DATA), GO],
            ],
        ),
    ]:
        conn = opened(*offers)
        recipients = [f"{name}@example.com" for name in "bcd"]
        result = send(conn, *steps, CONTENT, DONE, recipients=recipients)
        assert result.outcome is Outcome.PARTLY_ACCEPTED
        assert result.reply == smtp.Reply(250, ("done",))
        assert result.accepted == ["c@example.com"]
        assert result.refused == ["b@example.com", "d@example.com"]
        assert result.retry == ["d@example.com"]
        with pytest.raises(smtp.Rejected, match="Rcpt: 550 no"):
            result.check()
        assert conn.state is State.READY


def test_without_a_recipient_there_is_no_data() -> None:
    conn = opened()
    recipients = ["b@example.com", "c@example.com"]
    steps = [Expect(MAIL), OK, Expect(rcpt("b")), NO, Expect(rcpt("c")), NO]
    result = send(conn, *steps, recipients=recipients)
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(550, ("no",))
    assert conn.state is State.MAIL


def test_data_without_a_recipient_may_be_refused_as_well() -> None:
    conn = opened("PIPELINING")
    replies = Say(b"250 ok\r\n550 no b\r\n550 no c\r\n554 no one\r\n")
    recipients = ["b@example.com", "c@example.com"]
    steps = [Expect(MAIL + rcpt("b", "c") + DATA), replies]
    result = send(conn, *steps, recipients=recipients)
    assert [each.reply.text for each in result.recipients if each.reply] == [
        "no b",
        "no c",
    ]
    assert result.reply == smtp.Reply(550, ("no c",))
    assert conn.state is State.MAIL


@pytest.mark.parametrize("code", [250, 354, 554, 451])
def test_data_accepted_without_a_recipient_is_ended_empty(code: int) -> None:
    """RFC 2920 section 3.1.  Nobody can have got the message, whatever is said."""
    conn = opened("PIPELINING")
    steps = [
        Expect(MAIL + rcpt("b", "c") + DATA),
        Say(b"250 ok\r\n550 no\r\n550 never\r\n354 go\r\n"),
        EMPTY,
        Say(b"%d x\r\n" % code),
    ]
    result = send(conn, *steps, recipients=["b@example.com", "c@example.com"])
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(550, ("never",))
    assert result.refused == ["b@example.com", "c@example.com"]
    assert conn.state is (State.READY if code != 354 else State.CLOSED)


@pytest.mark.parametrize("code", [421, 450, 550, 552])
def test_a_refused_sender_is_refused_for_all(code: int) -> None:
    conn = opened()
    refusal = Say(b"%d no\r\n" % code)
    recipients = ["b@example.com", "c@example.com"]
    result = send(conn, Expect(MAIL), refusal, recipients=recipients)
    assert result.outcome is Outcome.REFUSED
    assert result.refused == recipients
    assert result.retry == recipients * (code < 500)
    assert result.reply == smtp.Reply(code, ("no",))
    with pytest.raises(smtp.Rejected, match="Mail"):
        result.check()


def test_a_refused_sender_is_refused_though_the_server_goes_on() -> None:
    conn = opened("PIPELINING")
    result = send(
        conn,
        Expect(MAIL + rcpt("b") + DATA),
        Say(b"550 no\r\n250 ok\r\n354 go\r\n"),
        EMPTY,
        Say(b"250 done\r\n"),
    )
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(550, ("no",))
    assert conn.state is State.READY


def test_a_refused_sender_and_what_follows_from_it() -> None:
    conn = opened("PIPELINING")
    replies = Say(b"550 no\r\n503 first\r\n503 first\r\n")
    result = send(conn, Expect(MAIL + rcpt("b") + DATA), replies)
    assert result.outcome is Outcome.REFUSED
    assert result.reply == smtp.Reply(550, ("no",))
    assert conn.state is State.READY


@pytest.mark.parametrize("code", [421, 451, 554])
def test_refused_data_is_refused_for_all(code: int) -> None:
    for offers in ([], ["PIPELINING"]):
        conn = opened(*offers)
        steps = {
            0: [Expect(MAIL), OK, Expect(rcpt("b")), OK, Expect(rcpt("c")), NO],
            1: [
                Expect(MAIL + rcpt("b", "c") + DATA),
                Say(b"250 ok\r\n250 ok\r\n550 no\r\n"),
            ],
        }[len(offers)]
        end = [Expect(DATA)] * (not offers)
        result = send(
            conn,
            *[*steps, *end, Say(b"%d no data\r\n" % code)],
            recipients=["b@example.com", "c@example.com"],
        )
        assert result.outcome is Outcome.REFUSED
        assert result.reply == smtp.Reply(code, ("no data",))
        assert result.retry == ["b@example.com"] * (code < 500)


def test_421_to_one_recipient_is_for_all() -> None:
    conn = opened("PIPELINING")
    recipients = [f"{name}@example.com" for name in "bcd"]
    replies = Say(b"250 ok\r\n250 ok\r\n421 bye\r\n")
    result = send(
        conn, Expect(MAIL + rcpt("b", "c", "d") + DATA), replies, recipients=recipients
    )
    assert result.outcome is Outcome.REFUSED
    assert result.retry == recipients
    assert result.reply == smtp.Reply(421, ("bye",))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("code", [450, 452, 550, 552, 554])
def test_refused_content_is_refused_for_all(code: int) -> None:
    conn = opened("PIPELINING")
    result = send(
        conn,
        Expect(MAIL + rcpt("b", "c") + DATA),
        Say(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        CONTENT,
        Say(b"%d no\r\n" % code),
        recipients=["b@example.com", "c@example.com"],
    )
    assert result.outcome is Outcome.REFUSED
    assert len(result.retry) == 2 * (code < 500)
    assert conn.state is State.READY


# Many messages over one connection.


def test_the_next_message_begins_where_the_last_has_ended() -> None:
    conn = opened("PIPELINING")
    for _ in range(3):
        result = send(
            conn,
            Expect(MAIL + rcpt("b") + DATA),
            Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
            CONTENT,
            DONE,
        )
        assert result.outcome is Outcome.ACCEPTED
    assert conn.state is State.READY


@pytest.mark.parametrize("offers", [[], ["PIPELINING"]])
@pytest.mark.parametrize("answered", [1, 2])
def test_a_transaction_left_open_is_reset_first(
    answered: int, offers: list[str]
) -> None:
    conn = answer(opened(*offers), MAIL_RCPT_DATA[:answered])
    written = [b"RSET\r\n", MAIL, rcpt("b"), DATA]
    said = [b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    alternating = [
        step
        for line, reply in zip(written, said, strict=True)
        for step in (Expect(line), Say(reply))
    ]
    together = [Expect(b"".join(written)), Say(b"".join(said))]
    result = send(conn, *(together if offers else alternating), CONTENT, DONE)
    assert result.outcome is Outcome.ACCEPTED


def test_what_was_accepted_before_a_reset_does_not_count() -> None:
    conn = answer(opened("PIPELINING"), MAIL_RCPT_DATA[:2])
    result = send(
        conn,
        Expect(b"RSET\r\n" + MAIL + rcpt("b") + DATA),
        Say(b"250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n"),
        EMPTY,
        Say(b"554 no one\r\n"),
    )
    assert result.outcome is Outcome.REFUSED
