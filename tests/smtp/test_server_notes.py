"""What a server tells the operator of a session."""

import pytest

from driving import Close, Expect, Say, Shake, Silence, Step
from serving import (
    ACCEPTED,
    BEGUN,
    ENVELOPE,
    FAILED,
    GO,
    GREETING,
    HELLO,
    QUIT,
    RECIPIENT_OK,
    SENDER_OK,
    Served,
    Taking,
    answering,
)
from smtp_logins import PLAIN, Knowing, hello, logins
from smtp_pop_core import Limits, Negotiated, Note, sasl, smtp
from smtp_pop_core.smtp import Reply

CONNECTED = Note("connected", {"address": "192.0.2.1", "port": 2525})
TOLD = {"sender": "a@example.com", "recipients": 1, "octets": 7}
FULL = Reply(452, ("Full",))


def ended(reason: str, commands: dict[str, int], **fields: object) -> Note:
    """Say how a session ended; what is not named was not there."""
    none = {"refused": {}, "bad_commands": 0, "messages": 0, "octets": 0}
    return Note("ended", {"reason": reason, "commands": commands, **none, **fields})


def test_a_session_has_a_beginning_and_an_end() -> None:
    served = Served(Taking, *HELLO, *QUIT)
    assert served.driver.notes == [CONNECTED, ended("quit", {"HELO": 1, "QUIT": 1})]


def test_commands_are_counted_by_verb_and_those_refused_beside_them() -> None:
    served = Served(
        answering("rcpt", Reply(550, ("No",))),
        *HELLO,
        *[Say(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n" + b"RCPT TO:<c@d>\r\nNOOP\r\n")],
        Expect(SENDER_OK + b"550 5.0.0 No\r\n" * 2 + b"250 2.0.0 OK\r\n"),
        *[Say(b"X\r\nRSET\r\n"), Expect(b"500 5.5.1 Command not recognized\r\n")],
        *[Expect(b"250 2.0.0 OK\r\n"), Close()],
    )
    commands = {"HELO": 1, "MAIL": 1, "RCPT": 2, "NOOP": 1, "RSET": 1}
    assert served.driver.notes[-1] == ended(
        "lost", commands, refused={"RCPT": 2}, bad_commands=1
    )


def test_another_protocol_is_noted() -> None:
    served = Served(
        Taking,
        *[GREETING, Say(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<>\r\n")],
        Expect(b"421 4.7.0 Another protocol is spoken here\r\n"),
    )
    assert served.driver.notes[1:] == [
        Note("foreign_protocol", {"protocol": "HTTP"}),
        ended("refused", {}, bad_commands=1),
    ]


def test_an_application_knows_the_name_of_its_session() -> None:
    names = []

    class Named(smtp.Application):
        def connect(self) -> None:
            names.append(self.peer.session)

    Served(Named, *HELLO, Close(), session="0123456789abcdef")
    Served(Named, *HELLO, Close())
    assert names == ["0123456789abcdef", ""]


def test_a_session_without_an_application_is_noted_as_well() -> None:
    def broken(peer: smtp.Peer) -> smtp.Application:
        raise ValueError("none today")

    served = Served(broken, Expect(b"421 Not available now\r\n"))
    assert served.driver.notes == [CONNECTED, Note("ended", {"reason": "refused"})]


# TLS and logins.


def test_what_tls_has_come_to_is_noted() -> None:
    outcome = Negotiated("TLSv1.3", "TLS_AES_128_GCM_SHA256", b"a certificate")
    served = Served(Taking, Shake(outcome), *HELLO, Close(), tls=True)
    fields = {"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256"}
    assert served.driver.notes[:2] == [CONNECTED, Note("tls_begun", fields)]


def test_a_handshake_that_failed_is_no_tls() -> None:
    served = Served(Taking, Shake(OSError("no shared cipher")), tls=True)
    assert served.driver.notes == [CONNECTED, ended("lost", {})]


@pytest.mark.parametrize(
    ("line", "answer", "event", "fields"),
    [
        (
            PLAIN,
            b"235 2.7.0 Authentication succeeded\r\n",
            "logged_in",
            {"mechanism": "PLAIN", "identity": "tim"},
        ),
        (
            b"AUTH PLAIN AHRpbQB3cm9uZw==\r\n",  # tim, wrong
            b"535 5.7.8 Authentication failed\r\n",
            "login_refused",
            {"mechanism": "PLAIN", "user": "tim", "reason": "denied"},
        ),
        (
            b"AUTH PLAIN eA==\r\n",  # "x"
            b"501 5.7.0 The exchange was given up\r\n",
            "login_refused",
            {"mechanism": "PLAIN", "user": "", "reason": "malformed"},
        ),
    ],
)
def test_logins_are_noted(
    line: bytes, answer: bytes, event: str, fields: dict[str, object]
) -> None:
    served = Served(
        Knowing,
        *hello(b"PLAIN"),
        *[Say(line), Expect(answer), Close()],
        extensions=[smtp.extensions.EnhancedStatusCodes()],
        logins=logins(allow_insecure=True, mechanisms=[sasl.PLAIN]),
    )
    assert served.driver.notes[1] == Note(event, fields)


# Messages.


@pytest.mark.parametrize(
    ("answer", "expected", "event", "code"),
    [
        (None, ACCEPTED, "message_taken", 250),
        (FULL, Expect(b"452 4.0.0 Full\r\n"), "message_refused", 452),
        (ValueError("a mistake"), FAILED, "message_refused", 451),
        ("no reply", FAILED, "message_refused", 451),
        (Reply(354), FAILED, "message_refused", 451),
    ],
)
def test_what_became_of_a_message_is_noted(
    answer: object, expected: Step, event: str, code: int
) -> None:
    served = Served(
        answering("message", answer),
        *[*BEGUN, Say(b"hello\r\n.\r\n"), expected, *QUIT],
    )
    _, message, end = served.driver.notes
    assert message == Note(event, {**TOLD, "code": code})
    assert end.fields["messages"] == (event == "message_taken")
    assert end.fields["octets"] == 7


def test_a_message_that_is_too_large_is_noted_with_what_was_handed_on() -> None:
    served = Served(
        Taking,
        *[*BEGUN, Say(b"hello, hello\r\n.\r\n")],
        *[Expect(b"552 5.3.4 Message too large\r\n"), *QUIT],
        limits=Limits(content=7),
    )
    fields = {**TOLD, "octets": 7, "code": 552}
    assert served.driver.notes[1] == Note("message_refused", fields)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ([Close()], "the connection was lost"),
        (
            [Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")],
            "the peer was too slow",
        ),
    ],
)
def test_a_message_that_breaks_off_is_noted(then: list[Step], reason: str) -> None:
    served = Served(Taking, *BEGUN, Say(b"hello\r\n"), *then)
    _, aborted, end = served.driver.notes
    assert aborted.event == "message_aborted"
    assert aborted.fields["reason"] == reason
    assert (end.fields["messages"], end.fields["octets"]) == (
        0,
        aborted.fields["octets"],
    )


def test_each_message_is_counted_for_itself() -> None:
    again = [Say(ENVELOPE), Expect(SENDER_OK + RECIPIENT_OK + GO)]
    served = Served(
        Taking,
        *[*BEGUN, Say(b"hello\r\n.\r\n"), ACCEPTED],
        *[*again, Say(b"hello again\r\n.\r\n"), ACCEPTED, *QUIT],
    )
    _, first, second, end = served.driver.notes
    assert [each.fields["octets"] for each in (first, second)] == [7, 13]
    assert (end.fields["messages"], end.fields["octets"]) == (2, 20)


def test_chunks_are_counted_as_commands() -> None:
    served = Served(
        Taking,
        GREETING,
        *[Say(b"EHLO me.example\r\n"), Expect(b"250-mx.example\r\n250 CHUNKING\r\n")],
        *[Say(b"MAIL FROM:<a@example.com>\r\n"), Expect(b"250 Sender OK\r\n")],
        *[Say(b"RCPT TO:<b@example.com>\r\n"), Expect(b"250 Recipient OK\r\n")],
        *[Say(b"BDAT 4\r\nhell"), Expect(b"250 Chunk accepted\r\n")],
        *[Say(b"BDAT 3 LAST\r\no\r\n"), Expect(b"250 Message accepted\r\n"), Close()],
        extensions=[smtp.extensions.Chunking()],
    )
    _, message, end = served.driver.notes
    assert message == Note("message_taken", {**TOLD, "code": 250})
    assert end.fields["commands"] == {"EHLO": 1, "MAIL": 1, "RCPT": 1, "BDAT": 2}


def test_in_lmtp_the_codes_are_counted() -> None:
    served = Served(
        answering("message", (Reply(250), FULL, Reply(250))),
        Expect(b"220 mx.example LMTP\r\n"),
        *[Say(b"LHLO me.example\r\n"), Expect(b"250 mx.example\r\n")],
        *[Say(b"MAIL FROM:<a@example.com>\r\n"), Expect(b"250 Sender OK\r\n")],
        *[Say(b"RCPT TO:<b@c>\r\n"), Expect(b"250 Recipient OK\r\n")] * 3,
        *[Say(b"DATA\r\n"), Expect(GO), Say(b"hello\r\n.\r\n")],
        *[Expect(b"250 \r\n452 Full\r\n250 \r\n"), Close()],
        extensions=[],
        lmtp=True,
    )
    fields = {**TOLD, "recipients": 3, "codes": {250: 2, 452: 1}}
    assert served.driver.notes[1] == Note("message_taken", fields)


def test_what_a_peer_wrote_is_escaped() -> None:
    """SEC: nothing that comes from the peer begins a line of the log."""
    served = Served(
        Taking,
        *HELLO,
        *[Say(b'MAIL FROM:<"a\\\x22 =b"@example.com>\r\n'), Expect(SENDER_OK)],
        *[Say(b"RCPT TO:<b@c>\r\nDATA\r\n"), Expect(RECIPIENT_OK + GO)],
        *[Say(b"hello\r\n.\r\n"), ACCEPTED, *QUIT],
    )
    line = r'message_taken sender="\"a\\\" =b\"@example.com" recipients=1 '
    assert str(served.driver.notes[1]) == line + "octets=7 code=250"
