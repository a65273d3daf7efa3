"""Sending an EmailMessage: the envelope from its header, and what the server lacks."""

from email.message import EmailMessage

import pytest

from driving import Driver, Expect, Peer, Say, opened, play
from smtp_pop_core import PolicyError, smtp
from smtp_pop_core.smtp import Outcome, State

ALL = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8")
GO = Say(b"250 ok\r\n250 ok\r\n354 go\r\n")
DONE = Say(b"250 done\r\n")


def message(
    *, sender: str = "a@example.com", to: str = "b@example.com", text: str = "hello\n"
) -> EmailMessage:
    made = EmailMessage()
    made["From"] = sender
    made["To"] = to
    made["Subject"] = "Grüße"
    made.set_content(text, cte="8bit")
    return made


def written(made: EmailMessage, *offers: str) -> bytes:
    """Send a message, and return what was written."""
    peer = Peer()
    flow = smtp.send_message(opened(*offers), made)
    with pytest.raises(TimeoutError):  # nobody answers
        Driver(peer).run(flow)
    return b"".join(peer.writes)


def content_of(made: EmailMessage, *offers: str) -> bytes:
    """Send a message, and return the content that was written."""
    peer = Peer(GO)
    Driver(peer).run(smtp.send_message(opened(*offers), made))
    return peer.writes[-1]


def test_the_envelope_comes_from_the_header() -> None:
    made = message(sender="A <a@example.com>", to="B <b@example.com>, b@example.com")
    made["Bcc"] = "c@example.com"
    conn = opened("PIPELINING")
    peer = Peer(
        Expect(
            b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"
            b"RCPT TO:<c@example.com>\r\nDATA\r\n"
        ),
        Say(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        Expect(smtp.octets_of(made, eight_bit=False) + b".\r\n"),
        DONE,
    )
    result = Driver(peer).run(smtp.send_message(conn, made))
    peer.finish()
    assert result.outcome is Outcome.ACCEPTED
    assert b"c@example.com" not in peer.writes[1]
    assert conn.state is State.READY


def test_an_envelope_that_is_given_replaces_that_of_the_header() -> None:
    flow = smtp.send_message(
        opened("PIPELINING"),
        EmailMessage(),
        smtp.Mail(""),
        [smtp.Rcpt("x@example.com")],
    )
    envelope = Expect(b"MAIL FROM:<>\r\nRCPT TO:<x@example.com>\r\nDATA\r\n")
    assert play(flow, envelope, GO, Expect(b"\r\n.\r\n"), DONE).accepted


def test_an_envelope_that_is_given_empty_is_not_replaced() -> None:
    conn = opened("PIPELINING")
    with pytest.raises(ValueError, match="a message needs a recipient"):
        play(smtp.send_message(conn, message(), recipients=[]))
    assert written(message()).startswith(b"MAIL FROM:<a@example.com>")


def test_a_message_without_an_envelope_is_refused_before_anything_is_sent() -> None:
    conn = opened()
    with pytest.raises(ValueError, match="the message names no sender"):
        play(smtp.send_message(conn, EmailMessage()))
    with pytest.raises(ValueError, match="the message names no recipient"):
        play(smtp.send_message(conn, EmailMessage(), "a@example.com"))
    assert conn.state is State.READY


def test_a_body_is_sent_as_it_is_where_8bitmime_is_offered() -> None:
    made = message(text="é\n")
    size = len(smtp.octets_of(made))
    line = f"MAIL FROM:<a@example.com> SIZE={size} BODY=8BITMIME\r\n".encode()
    assert written(made, *ALL).startswith(line)
    assert content_of(made, *ALL).endswith("\r\n\r\né\r\n.\r\n".encode())


def test_a_body_is_encoded_where_8bitmime_is_not_offered() -> None:
    made = message(text="é\n")
    line = b"MAIL FROM:<a@example.com>\r\nRCPT"
    assert written(made, "PIPELINING", "SMTPUTF8").startswith(line)
    content = content_of(made, "PIPELINING", "SMTPUTF8")
    assert content.isascii()
    assert content.endswith(b"\r\n\r\n=C3=A9\r\n.\r\n")


def test_a_message_in_ascii_declares_nothing() -> None:
    made = message()
    del made["Subject"]
    size = len(smtp.octets_of(made))
    line = f"MAIL FROM:<a@example.com> SIZE={size}\r\nRCPT".encode()
    assert written(made, *ALL).startswith(line)


def test_utf8_in_the_header_is_not_worth_smtputf8_unless_in_an_address() -> None:
    made = message(sender="Jürgen <a@example.com>")
    assert b"SMTPUTF8" not in written(made, *ALL)
    assert b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" in content_of(made, *ALL)


@pytest.mark.parametrize(
    ("sender", "to"),
    [("jürgen@example.com", "b@example.com"), ("a@example.com", "b@bücher.example")],
)
def test_an_address_beyond_ascii_needs_smtputf8(sender: str, to: str) -> None:
    made = message(sender=sender, to=to)
    line = written(made, *ALL).partition(b"\r\n")[0]
    assert line.endswith(b" BODY=8BITMIME SMTPUTF8")
    assert "Subject: Grüße\r\n".encode() in content_of(made, *ALL)
    conn = opened("PIPELINING", "8BITMIME")
    with pytest.raises(PolicyError, match="SMTPUTF8"):
        play(smtp.send_message(conn, made))
    assert conn.state is State.READY


def test_the_same_message_can_be_sent_twice() -> None:
    made = message(text="é\n")
    assert content_of(made, "PIPELINING") == content_of(made, "PIPELINING")
    assert content_of(made, *ALL) == smtp.octets_of(made) + b".\r\n"
