"""Serving: how sessions end, and how they are brought to an end."""

import pytest

from driving import Close, Driver, Expect, Peer, Say, Silence, Step, Stop, Wait
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
    STEPS,
    Served,
    Taking,
    answering,
    told,
)
from smtp_pop_core import SERVER, Limits, smtp
from smtp_pop_core.smtp import Ending, Reply, State

LIMITS = Limits(bad_commands=2, messages=1)
STOPPED = Expect(b"421 4.3.2 Shutting down\r\n")
TOO_MANY = Expect(b"421 4.7.0 Too many messages in one session\r\n")
MESSAGE: list[Step] = [*BEGUN, Say(b"hello\r\n.\r\n"), ACCEPTED]
ENDINGS: list[tuple[Ending, list[Step]]] = [
    (Ending.QUIT, [*HELLO, *QUIT]),
    (Ending.QUIT, [*MESSAGE, *QUIT, Say(b"NOOP\r\n")]),
    (Ending.LOST, [Close()]),
    (Ending.LOST, [GREETING, Close()]),
    (Ending.LOST, [*HELLO, Say(b"QUIT\r"), Close()]),
    (Ending.LOST, [*BEGUN, Say(b"hello\r\n.\r"), Close()]),
    (Ending.LOST, [*MESSAGE, Close()]),
    (Ending.TIMEOUT, [*HELLO, Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")]),
    (Ending.STOPPING, [GREETING, Stop(), Expect(b"421 4.3.2 Shutting down\r\n")]),
    (Ending.STOPPING, [*HELLO, Stop(), STOPPED]),
    (Ending.STOPPING, [*MESSAGE, Stop(), STOPPED]),
    (Ending.STOPPING, [*HELLO, Say(b"NO"), Stop(), STOPPED]),
    (
        Ending.REFUSED,
        [
            *HELLO,
            Say(b"WHAT\r\n" * 3 + b"NOOP\r\n"),
            Expect(b"500 5.5.1 Command not recognized\r\n" * 2),
            Expect(b"421 4.7.0 Too many bad commands\r\n"),
        ],
    ),
    (Ending.REFUSED, [*MESSAGE, Say(b"MAIL FROM:<>\r\n"), TOO_MANY]),
]


@pytest.mark.parametrize(("ending", "steps"), ENDINGS)
def test_the_application_is_told_once_why_the_session_has_ended(
    ending: Ending, steps: list[Step]
) -> None:
    served = Served(Taking, *steps, limits=LIMITS)
    assert served.ending is ending
    assert [each for each in told if isinstance(each, Ending)] == [ending]
    assert served.conn.state is State.CLOSED
    assert served.driver.reports == []


@pytest.mark.parametrize("method", STEPS)
def test_a_session_ends_at_421_by_the_application(method: str) -> None:
    bye = Reply(421, ("bye",))
    *before, last = STEPS[method]
    assert isinstance(last, Expect)
    said = last.data.replace(FAILED.data, b"421 4.0.0 bye\r\n")
    said = said.replace(b"451 Local error in processing", b"421 bye")
    served = Served(answering(method, bye), *before, Expect(said))
    assert served.ending is Ending.REFUSED
    assert served.conn.state is State.CLOSED


def test_a_greeting_may_be_a_no() -> None:
    answer = Reply(554, ("go away",), smtp.EnhancedCode(5, 7, 1))
    served = Served(
        answering("connect", answer),
        Expect(b"554 go away\r\n"),
        Say(b"EHLO me\r\n"),
        Expect(b"503 5.5.1 Bad sequence of commands\r\n"),
        *QUIT,
    )
    assert served.ending is Ending.QUIT


def test_a_flow_that_is_closed_asks_nothing_more() -> None:
    flow = smtp.serve(smtp.Connection(SERVER), Taking)
    driver = Driver(Peer())
    request = next(flow)
    for _ in range(3):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert driver.asked == ["Taking"]
    assert told == []


# Shutting down.


@pytest.mark.parametrize(
    "steps",
    [
        [
            Say(b"MAIL FROM:<>\r\n"),
            Expect(SENDER_OK),
            Stop(),
            Wait(9),
            Say(b"RSET\r\n"),
        ],
        [
            Say(b"MAIL FROM:<>\r\n"),
            *[Expect(SENDER_OK), Say(b"RCPT TO:<b@example.com>\r\n")],
            *[Expect(RECIPIENT_OK), Stop(), Say(b"RSET\r\n")],
        ],
    ],
)
def test_a_transaction_ends_before_the_session_does(steps: list[Step]) -> None:
    last = Expect(b"250 2.0.0 OK\r\n" + STOPPED.data)
    assert Served(Taking, *HELLO, *steps, last).ending is Ending.STOPPING


def test_a_message_is_taken_before_the_session_ends() -> None:
    served = Served(
        Taking,
        *[*BEGUN, Say(b"hel"), Stop(), Wait(100), Say(b"lo\r\n"), Wait(70)],
        *[Say(b".\r\nMAIL FROM:<>\r\n"), ACCEPTED, STOPPED],
    )
    assert served.ending is Ending.STOPPING
    assert told == [b"hello\r\n", Ending.STOPPING]


def test_what_was_pipelined_behind_a_message_is_not_begun_when_stopping() -> None:
    served = Served(
        Taking,
        *[*HELLO, Say(b"MAIL FROM:<>\r\n"), Expect(SENDER_OK), Stop()],
        Say(b"RCPT TO:<b@example.com>\r\nDATA\r\n.\r\n" + ENVELOPE + b".\r\n"),
        *[Expect(RECIPIENT_OK + GO), ACCEPTED, STOPPED],
    )
    assert told == [b"", Ending.STOPPING]
    assert served.ending is Ending.STOPPING


def test_a_client_that_only_waits_cannot_hold_a_shutdown_up() -> None:
    served = Served(
        Taking,
        *[*HELLO, Say(b"MAIL FROM:<>\r\n"), Expect(SENDER_OK), Wait(200), Stop()],
        Silence(),
        Expect(b"421 4.4.2 Timeout, closing\r\n"),
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 300
