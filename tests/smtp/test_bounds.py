"""LIMITS: what a server bounds, said beforehand.  RFC 9422."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driving import Expect, Say, Step, play
from smtp_pop_core import CLIENT, SERVER, Limits, PolicyError, smtp
from smtp_pop_core.smtp import extensions
from smtp_talk import feed, ready_server

OK = Say(b"250 ok\r\n")
GO = Say(b"354 go\r\n")


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        ("MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1", extensions.Limits(5, 20, 1)),
        ("rcptmax=20", extensions.Limits(rcptmax=20)),
        ("", extensions.Limits()),
        ("RCPTMAX=20 RCPTMAX=30", extensions.Limits(rcptmax=20)),
        # a bad or unknown limit is passed over: section 3.7
        ("RCPTMAX=0 MAILMAX=5", extensions.Limits(mailmax=5)),
        ("RCPTMAX=1000000 MAILMAX=x FOO=1 BAR", extensions.Limits()),
        ("RCPTMAX=05 MAILMAX=-5 RCPTDOMAINMAX", extensions.Limits()),
        ("BAR_BAZ-1 RCPTMAX=3 QUX=a:b FOO=1=2", extensions.Limits(rcptmax=3)),
        ("MAILMAX=0 MAILMAX=999999", extensions.Limits(mailmax=999_999)),
    ],
)
def test_limits_are_read(words: str, limits: extensions.Limits) -> None:
    assert extensions.Limits().read(words) == limits


@pytest.mark.parametrize("words", ["RCPTMAX=", "=5", "RCPTMAX=5;MAILMAX=6", "a.b=1"])
def test_a_syntax_error_makes_the_whole_offer_void(words: str) -> None:
    """Section 3.7."""
    client = smtp.Connection(CLIENT)
    feed(client, b"220 mx.example\r\n")
    client.send(smtp.Ehlo("me.example"))
    feed(client, b"250-mx.example\r\n250 LIMITS " + words.encode() + b"\r\n")
    assert "LIMITS" not in client.extensions


@pytest.mark.parametrize("value", [0, 1_000_000, -1])
def test_a_limit_is_1_to_999_999(value: int) -> None:
    with pytest.raises(ValueError, match="not a limit"):
        extensions.Limits(mailmax=value)


def test_what_is_written_is_read() -> None:
    limits = extensions.Limits(mailmax=3, rcptdomainmax=4)
    assert limits.arguments() == "MAILMAX=3 RCPTDOMAINMAX=4"
    assert extensions.Limits().read(limits.arguments()) == limits


def test_a_server_offers_what_it_bounds() -> None:
    server = ready_server(limits=Limits(recipients=7, messages=9))
    assert server.extensions["LIMITS"] == extensions.Limits(9, 7)


def greeted(limits: str) -> smtp.Connection:
    conn = smtp.Connection(CLIENT, domain="me.example")
    hello = Say(f"250-mx.example\r\n250-PIPELINING\r\n250 LIMITS {limits}\r\n".encode())
    play(
        smtp.open(conn),
        Say(b"220 mx.example\r\n"),
        Expect(b"EHLO me.example\r\n"),
        hello,
    )
    return conn


def envelope(*recipients: str) -> Expect:
    rcpts = "".join(f"RCPT TO:<{each}>\r\n" for each in recipients)
    return Expect(f"MAIL FROM:<>\r\n{rcpts}DATA\r\n".encode())


def test_recipients_beyond_the_limit_are_left_for_another_transaction() -> None:
    """Section 4.2."""
    conn = greeted("RCPTMAX=2")
    recipients = [f"{name}@example.com" for name in "abc"]
    flow = smtp.send_mail(conn, "", recipients, b"x")
    replies = Say(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    end = Expect(b"x\r\n.\r\n")
    result = play(flow, envelope(*recipients[:2]), replies, end, OK)
    assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
    assert result.accepted == recipients[:2]
    assert result.retry == recipients[2:]
    assert result.advice == smtp.Retry(0, smtp.Reason.RECIPIENTS, other_host=False)


def test_domains_beyond_the_limit_are_left_as_well() -> None:
    """Section 4.3."""
    conn = greeted("RCPTDOMAINMAX=1")
    recipients = ["a@one.example", "b@two.example", "c@ONE.example"]
    flow = smtp.send_mail(conn, "", recipients, b"x")
    replies = Say(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    sent = envelope("a@one.example", "c@ONE.example")
    result = play(flow, sent, replies, Expect(b"x\r\n.\r\n"), OK)
    assert result.retry == ["b@two.example"]


def test_no_more_messages_than_the_server_takes() -> None:
    """Section 4.1."""
    conn = greeted("MAILMAX=1")
    flow = smtp.send_mail(conn, "", ["a@example.com"], b"x")
    replies = Say(b"550 no\r\n503 no\r\n503 no\r\n")
    result = play(flow, envelope("a@example.com"), replies)
    assert result.outcome is smtp.Outcome.REFUSED
    with pytest.raises(PolicyError, match="no more messages in this session"):
        play(smtp.send_mail(conn, "", ["a@example.com"], b"x"))


NUMBERS = st.none() | st.integers(1, 999_999)


@given(mailmax=NUMBERS, rcptmax=NUMBERS, rcptdomainmax=NUMBERS)
def test_any_limits_that_are_written_are_read(
    mailmax: int | None, rcptmax: int | None, rcptdomainmax: int | None
) -> None:
    limits = extensions.Limits(mailmax, rcptmax, rcptdomainmax)
    assert extensions.Limits().read(limits.arguments()) == limits


@pytest.mark.parametrize(
    ("limits", "offer", "line"),
    [
        (Limits(), extensions.Limits(), "LIMITS RCPTMAX=1000"),
        (Limits(recipients=999_999), extensions.Limits(), "LIMITS RCPTMAX=999999"),
        # More than LIMITS can say is no limit.
        (Limits(recipients=1_000_000), extensions.Limits(), "LIMITS"),
        (
            Limits(messages=10**9),
            extensions.Limits(2),
            "LIMITS MAILMAX=2 RCPTMAX=1000",
        ),
        # The smaller of the two.
        (Limits(recipients=5), extensions.Limits(rcptmax=9), "LIMITS RCPTMAX=5"),
        (Limits(recipients=9), extensions.Limits(rcptmax=5), "LIMITS RCPTMAX=5"),
        (Limits(messages=2), extensions.Limits(9, 9), "LIMITS MAILMAX=2 RCPTMAX=9"),
        (
            Limits(),
            extensions.Limits(rcptdomainmax=1),
            "LIMITS RCPTMAX=1000 RCPTDOMAINMAX=1",
        ),
    ],
)
def test_a_server_offers_the_smaller_of_what_it_says_and_does(
    limits: Limits, offer: extensions.Limits, line: str
) -> None:
    conn = smtp.Connection(SERVER, limits=limits, extensions=[offer])
    assert conn.default_reply(smtp.Ehlo("x")).lines[1:] == (line,)


def test_who_does_not_know_it_keeps_it_as_text() -> None:
    conn = smtp.Connection(CLIENT, extensions=[])
    feed(conn, b"220 mx.example\r\n")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250-mx.example\r\n250 LIMITS MAILMAX=1\r\n")
    unknown = extensions.Unknown("LIMITS", "MAILMAX=1")
    assert conn.extensions["LIMITS"] == unknown


def sending(conn: smtp.Connection, *names: str) -> smtp.MailResult:
    """Send to these, of whom those with an "x" in front are not named."""
    named = [name for name in names if not name.startswith("x")]
    steps: list[Step] = [
        *[envelope(*named), Say(b"250 ok\r\n" * (1 + len(named)) + GO.data)],
        *[Expect(b"x\r\n.\r\n"), OK],
    ]
    return play(smtp.send_mail(conn, "", names, b"x"), *steps)


def test_the_domains_of_earlier_messages_count() -> None:
    """Section 4.3: it is a limit of the session."""
    conn = greeted("RCPTDOMAINMAX=1")
    assert sending(conn, "a@one.example").retry == []
    assert conn.rcpt_domains == {"ONE.EXAMPLE"}
    result = sending(conn, "x@two.example", "b@One.example")
    assert result.accepted == ["b@One.example"]
    assert result.retry == ["x@two.example"]


@pytest.mark.parametrize("chunking", [False, True])
def test_nothing_is_said_if_no_recipient_is_left(chunking: bool) -> None:
    conn = greeted("RCPTDOMAINMAX=1")
    sending(conn, "a@one.example")
    names = ["a@two.example", "b@three.example"]
    result = play(smtp.send_mail(conn, "", names, b"x", chunking=chunking))
    assert result.outcome is smtp.Outcome.REFUSED
    assert result.retry == names
    assert result.reply is not None
    assert result.reply.code == 452
    assert (conn.state, conn.mails) == (smtp.State.READY, 1)


def test_recipients_that_are_refused_count_too() -> None:
    """Section 4.2."""
    names = ["a@b.example", "b@b.example", "c@b.example"]
    result = play(
        smtp.send_mail(greeted("RCPTMAX=2"), "", names, b"x"),
        *[envelope(*names[:2]), Say(b"250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")],
        *[Expect(b"x\r\n.\r\n"), OK],
    )
    assert (result.accepted, result.retry) == (names[1:2], names[2:])


def test_a_new_ehlo_says_what_holds() -> None:
    """Section 3.6: what was said before is forgotten."""
    conn = greeted("MAILMAX=1 RCPTMAX=1")
    sending(conn, "a@b.example")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250-mx.example\r\n250 PIPELINING\r\n")
    assert conn.extensions.find(extensions.Limits) is None
    assert sending(conn, "a@b.example", "c@d.example").retry == []
