"""When and where to send a message again, by what servers are known to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core import (
    ConnectionLost,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Outcome, Reason, RecipientResult, Reply, Retry

RCPT = smtp.Rcpt("bob@example.com")
HALF_AN_HOUR = 1800
GREY, BUSY, MANY = Reason.GREYLISTED, Reason.BUSY, Reason.RECIPIENTS
GONE, OTHER = Reason.UNAVAILABLE, Reason.OTHER

# What comes after a refused RCPT, DATA or content: line, reason, seconds, other host.
SAID: list[tuple[str, Reason, int, bool]] = [
    # Greylisting, by its name
    ("450 4.2.0 <b@c>: Recipient address rejected: Greylisted", GREY, 300, False),
    ("450 4.7.1 Greylisted for 300 seconds", GREY, 300, False),
    ("450 4.2.0 Greylisted, see http://grey.example/help/c.html", GREY, 300, False),
    ("451 4.7.1 Greylisting in action, please come back later", GREY, 300, False),
    ("451 4.7.1 Greylisting in action, come back in 00:05:00", GREY, 300, False),
    ("451 4.7.1 Greylisting in action, come back in 01:10:00", GREY, 4200, False),
    ("451 4.7.1 greylisting, please try again in 600 seconds", GREY, 600, False),
    ("451 4.7.1 Graylisted, try again in 10 minutes", GREY, 600, False),
    ("450 Greylisted, see https://x.example or wait 360 seconds", GREY, 360, False),
    ("422 4.2.2 Greylisted, please try again in a few moments.", GREY, 300, False),
    ("451 <b@c>: temporarily grey-listed, retry in 4 hours", GREY, 10_800, False),
    ("451 grey listed: try again in 1 second", GREY, 60, False),
    ("421 Greylisted for 5 minutes", GREY, 300, False),
    ("451 4.3.0 gray listed", GREY, 300, False),
    # Greylisting, by its codes and by asking to come again
    ("451 4.7.1 Try again later", GREY, 300, False),
    ("451 4.7.0 Temporary rejection, please retry", GREY, 300, False),
    ("450 4.2.0 Resend the message later", GREY, 300, False),
    ("450 4.7.1 Please try again in 15 min", GREY, 900, False),
    ("450 4.7.1 Not known yet: wait 90s", GREY, 90, False),
    # The same codes without that, and other codes with it
    ("450 4.7.1 Client host rejected: cannot find your hostname", OTHER, 1800, False),
    ("450 4.2.0 Mailbox is being moved", OTHER, 1800, False),
    ("451 Temporary failure, please try again later.", OTHER, 1800, True),
    ("451 Temporary local problem - please try later", OTHER, 1800, True),
    ("450 Mailbox busy? No: locked, try again later", BUSY, 1800, False),
    ("452 4.7.1 Try again later", OTHER, 1800, False),
    # Refused for now
    ("450 4.1.8 <a@b>: Sender address rejected: Domain not found", OTHER, 1800, False),
    ("450 4.1.1 <b@c>: Recipient address unverified", OTHER, 1800, False),
    ("451 4.3.0 <b@c>: Temporary lookup failure", OTHER, 1800, True),
    ("451 4.3.5 Server configuration problem", OTHER, 1800, True),
    ("451 4.4.1 No answer from host", OTHER, 1800, True),
    ("452 4.3.1 Insufficient system storage", OTHER, 1800, True),
    ("452 4.2.2 The mailbox is over quota", OTHER, 1800, False),
    ("452 Requested action not taken", OTHER, 1800, True),
    ("450 no", OTHER, 1800, False),
    ("450 4.2.1 Locked. Please wait 2 hours", OTHER, 7200, False),
    # Too much
    ("450 4.2.1 The user is receiving mail too quickly", BUSY, 1800, False),
    ("450 4.7.1 Error: too many recipients from mx.example", BUSY, 1800, False),
    ("450 4.7.1 Rate limit exceeded, retry after 5 minutes", BUSY, 300, False),
    (
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1].",
        BUSY,
        1800,
        False,
    ),
    ("451 4.4.5 Congestion", BUSY, 1800, True),
    ("451 4.7.28 Mail flood", BUSY, 1800, False),
    ("453 4.3.2 System not accepting messages", GONE, 1800, True),
    ("421 4.7.0 Too many connections, try again in 2 hours", BUSY, 7200, True),
    ("421 4.7.28 Our system has detected an unusual rate of mail", BUSY, 1800, True),
    # Too many for one message
    ("452 4.5.3 Error: too many recipients", MANY, 0, False),
    ("451 4.5.3 No more", MANY, 0, False),
    ("452 Too many recipients", MANY, 0, False),
    ("452 too many SMTP recipients, try again in 5 minutes", MANY, 0, False),
    ("552 Too many recipients", MANY, 0, False),
    # The server ends
    ("421 4.3.2 Service shutting down", GONE, 1800, True),
    ("421 mx.example Service not available, closing", GONE, 1800, True),
    ("421 4.7.0 Try again later, closing connection.", GONE, 1800, True),
    ("421 4.4.2 mx.example Error: timeout exceeded", GONE, 1800, True),
]


def reply_to(line: str, command: smtp.Command | None, *, offered: bool) -> Reply:
    """Read a line as from a server that offers ENHANCEDSTATUSCODES, or does not."""
    code, _, text = line.partition(" ")
    word, _, rest = text.partition(" ")
    if offered and word.count(".") == 2 and word.replace(".", "").isdigit():
        return Reply(int(code), (rest,), smtp.EnhancedCode.parse(word), command)
    return Reply(int(code), (text,), None, command)


@pytest.mark.parametrize("offered", [False, True])
@pytest.mark.parametrize(("line", "reason", "after", "other_host"), SAID)
def test_a_reply_says_when_and_where_to_try_again(
    line: str, reason: Reason, after: int, other_host: bool, offered: bool
) -> None:
    expected = Retry(after, reason, other_host=other_host)
    assert smtp.advise(reply_to(line, RCPT, offered=offered)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "250 2.1.5 OK",
        "250 Greylisted before, try again in 5 minutes",
        "354 go",
        "550 5.1.1 No such user",
        "550 5.7.1 Greylisted? No, refused. Do not try again later",
        "554 5.7.1 Rate limit",
        "552 5.2.2 Over quota",
        "556 5.1.10 Null MX",
    ],
)
def test_nothing_else_is_tried_again(line: str) -> None:
    assert smtp.advise(reply_to(line, RCPT, offered=True)) is None


def test_552_to_the_content_is_refused_for_good() -> None:
    """Only to RCPT it stands for 452.  RFC 5321 section 4.5.3.1.10."""
    assert smtp.advise(Reply(552, command=smtp.EndOfMessage())) is None
    assert smtp.advise(Reply(552, command=RCPT)) == Retry(0, MANY, other_host=False)


@pytest.mark.parametrize(
    "command",
    [smtp.Connect(), smtp.Ehlo("me"), smtp.Helo("me"), smtp.Lhlo("me")],
)
def test_who_refuses_all_mail_for_now_leaves_the_other_hosts(
    command: smtp.Command,
) -> None:
    reply = Reply(450, ("4.7.1 not now",), command=command)
    assert smtp.advise(reply) == Retry(HALF_AN_HOUR, OTHER, other_host=True)


CONNECTION = Retry(HALF_AN_HOUR, GONE, other_host=True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), CONNECTION),
        (TimeoutError(), CONNECTION),
        (ConnectionLost("lost"), CONNECTION),
        (ConnectionLost("lost", last_reply=Reply(250)), CONNECTION),
        (ConnectionLost("lost", last_reply=Reply(550)), CONNECTION),
        (
            ConnectionLost("lost", last_reply=Reply(421, ("Come back in 2 hours",))),
            Retry(7200, GONE, other_host=True),
        ),
        (RemoteProtocolError("no SMTP"), CONNECTION),
        (smtp.Rejected(smtp.Connect(), Reply(421)), CONNECTION),
        (
            smtp.Rejected(smtp.Mail("a@b"), Reply(451, ("Greylisted",))),
            Retry(300, GREY, other_host=False),
        ),
        (smtp.Rejected(smtp.Connect(), Reply(554)), None),
        (smtp.AuthenticationFailed(smtp.Auth("PLAIN"), Reply(535)), None),
        (smtp.InDoubt("lost"), None),
        (PolicyError("no TLS"), None),
        (LocalProtocolError("not now"), None),
        (ValueError("no address"), None),
    ],
)
def test_an_error_says_whether_to_try_again(
    error: Exception, expected: Retry | None
) -> None:
    assert smtp.advise(error) == expected


WORDS = st.sampled_from(
    [
        "try",
        "retry",
        "again",
        "later",
        "greylist",
        "wait",
        "4.7.1",
        "5",
        "01:00:00",
        "s",
    ]
)


@given(
    st.sampled_from([250, 354, 421, 450, 451, 452, 454, 550, 552]),
    st.none() | st.just(RCPT),
    st.lists(WORDS, max_size=8).map(" ".join) | st.text("\t !~\x7fé٣:.5", max_size=40),
)
def test_advice_has_bounds_whatever_the_server_says(
    code: int, command: smtp.Command | None, text: str
) -> None:
    reply = Reply(code, (text,), command=command)
    found = smtp.advise(reply)
    assert found is None or found.after == 0 or 60 <= found.after <= 10_800
    outcome = Outcome.REFUSED if code >= 400 else Outcome.ACCEPTED
    recipient = RecipientResult("b@c", outcome, reply)
    assert recipient.advice == found
    assert recipient.temporary is (found is not None)


@given(
    st.integers(0, 10**6 - 1), st.sampled_from(["s", "seconds", "min", "h", "HOURS"])
)
def test_a_time_that_is_named_is_bounded(count: int, unit: str) -> None:
    seconds = count * {"s": 1, "m": 60, "h": 3600}[unit[0].lower()]
    reply = Reply(450, (f"greylisted, try again in {count} {unit}",), command=RCPT)
    expected = min(max(seconds, 60), 10_800)
    assert smtp.advise(reply) == Retry(expected, GREY, other_host=False)


@pytest.mark.parametrize(
    "text",
    [
        "retry" * 20_000,
        "greylist" * 20_000,
        "try " * 20_000,
        "4." * 40_000,
        "1" * 90_000,
    ],
)
def test_a_long_text_is_searched_in_linear_time(text: str) -> None:
    assert smtp.advise(Reply(450, (text,))) is not None
