"""Sending one message: what an envelope may hold, and when it may be sent."""

from collections.abc import Iterable

import pytest

from driving import MAIL_RCPT_DATA, Expect, Say, Step, answer, opened, play
from smtp_pop_core import CLIENT, LocalProtocolError, smtp
from smtp_pop_core.smtp import Connection, Outcome, State

MAIL = b"MAIL FROM:<a@example.com>\r\n"
RCPT_DATA = b"RCPT TO:<b@example.com>\r\nDATA\r\n"
OK = Say(b"250 ok\r\n")


def send(
    conn: Connection,
    *steps: Step,
    recipients: Iterable[str | smtp.Rcpt] = ("b@example.com",),
    sender: str | smtp.Mail = "a@example.com",
) -> smtp.MailResult:
    return play(smtp.send_mail(conn, sender, recipients, b"hello\r\n"), *steps)


# What cannot be sent.


@pytest.mark.parametrize("recipients", [[], (), iter(())])
def test_a_message_needs_a_recipient(recipients: Iterable[str]) -> None:
    conn = opened()
    with pytest.raises(ValueError, match="a message needs a recipient"):
        send(conn, recipients=recipients)
    assert conn.state is State.READY


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com>\r\nRCPT TO:<evil@example.com",
        "a@example.com\nRSET",
        "a@example.com> SIZE=1 FOO=<",
        "b@example.com> NOTIFY=NEVER",
        "b@example.com>,<c@example.com",
        "no at sign",
        "<a@example.com>",
        "a@example.com\0",
        "\udce9@example.com",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(address: str) -> None:
    conn = opened("PIPELINING", "SMTPUTF8", "8BITMIME")
    with pytest.raises(ValueError, match="not a"):
        send(conn, sender=address)
    with pytest.raises(ValueError, match="not a"):
        send(conn, recipients=["b@example.com", address])
    assert conn.state is State.READY


def test_a_message_is_sent_only_between_messages() -> None:
    greeted = Connection(CLIENT)
    greeted.receive_data(b"220 mx\r\n")
    greeted.next_event()
    closed = opened()
    closed.close()
    data = answer(opened(), MAIL_RCPT_DATA)
    for conn in (Connection(CLIENT), greeted, closed, data):
        state = conn.state
        with pytest.raises(LocalProtocolError, match="no message can be sent in"):
            send(conn)
        assert conn.state is state


def test_a_message_waits_for_what_is_unanswered() -> None:
    conn = opened("PIPELINING")
    conn.send(smtp.Rset())
    with pytest.raises(LocalProtocolError, match="must be answered first"):
        send(conn)
    assert conn.unanswered == (smtp.Rset(),)


# Parameters.


def test_parameters_are_sent_as_given() -> None:
    conn = opened("PIPELINING", "SIZE", "8BITMIME")
    result = send(
        conn,
        Expect(b"MAIL FROM:<a@example.com> SIZE=99 BODY=7BIT\r\n" + RCPT_DATA),
        Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
        Expect(b"hello\r\n.\r\n"),
        Say(b"250 done\r\n"),
        sender=smtp.Mail("a@example.com", size=99, body=smtp.Body.SEVEN_BIT),
        recipients=[smtp.Rcpt("b@example.com")],
    )
    assert result.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("offers", [[], ["PIPELINING"]])
@pytest.mark.parametrize(
    "mail",
    [
        smtp.Mail("a@example.com", size=1),
        smtp.Mail("a@example.com", body=smtp.Body.SEVEN_BIT),
        smtp.Mail("a@example.com", extra=(("X-RET", "HDRS"),)),
    ],
)
def test_a_parameter_of_mail_must_be_offered(
    mail: smtp.Mail, offers: list[str]
) -> None:
    conn = opened(*offers)
    with pytest.raises(LocalProtocolError, match="no extension that was offered"):
        send(conn, sender=mail)
    assert conn.state is State.READY


@pytest.mark.parametrize("offers", [[], ["PIPELINING"]])
def test_a_parameter_of_rcpt_must_be_offered(offers: list[str]) -> None:
    conn = opened(*offers)
    recipient = smtp.Rcpt("b@example.com", extra=(("X-NOTIFY", "NEVER"),))
    with pytest.raises(LocalProtocolError, match="no extension that was offered"):
        send(conn, Expect(MAIL), OK, recipients=[recipient])
    assert conn.state is State.MAIL
    play(smtp.reset(conn), Expect(b"RSET\r\n"), OK)


def test_a_refusal_comes_before_a_parameter_that_was_not_offered() -> None:
    conn = opened("PIPELINING")
    recipient = smtp.Rcpt("b@example.com", extra=(("X-NOTIFY", "NEVER"),))
    result = send(conn, Expect(MAIL), Say(b"421 bye\r\n"), recipients=[recipient])
    assert result.outcome is Outcome.REFUSED
