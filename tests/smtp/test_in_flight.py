"""A bound on the content that all sessions hold at once."""

from contextlib import closing
from typing import Any, Final

import pytest

from driving import Close, Driver, Expect, Peer, Say, Silence, Step
from serving import (
    ACCEPTED,
    BEGUN,
    GREETING,
    HELLO,
    QUIT,
    RECIPIENT_OK,
    SENDER_OK,
    Served,
    Taking,
    awaiting,
    told,
)
from smtp_pop_core import (
    SERVER,
    Blocks,
    Flow,
    Limits,
    MessageAborted,
    Note,
    Read,
    Request,
    smtp,
)
from smtp_pop_core.smtp import Ending, InFlight, Reply

MAIL: Final = Say(b"MAIL FROM:<a@example.com>\r\n")
FULL: Final = Expect(b"452 4.3.1 Too much mail at once\r\n")
OTHER: Final = "another session"


def room(limit: int = 10, held: int = 0) -> InFlight:
    """Give a bound of which others hold something already."""
    made = InFlight(limit)
    made.hold(OTHER, held)
    return made


# The bound itself


def test_what_all_hold_is_counted_together() -> None:
    bound = InFlight(10)
    assert [bound.hold("a", 4), bound.hold("b", 6), bound.octets] == [True, True, 10]
    assert bound.hold("a", 1) is False
    bound.release("a")
    assert bound.octets == 6
    bound.release("a")
    bound.release("c")
    assert bound.octets == 6


@pytest.mark.parametrize(
    ("held", "more", "fits"),
    [(0, 10, True), (0, 11, False), (9, 1, True), (9, 0, True), (10, 0, False)],
)
def test_what_fits_is_known_beforehand(held: int, more: int, fits: bool) -> None:
    assert room(10, held).fits(more) is fits


@pytest.mark.parametrize("limit", [0, -1])
def test_a_bound_is_above_zero(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        InFlight(limit)


# MAIL


@pytest.mark.parametrize(("size", "room_for_it"), [(3, True), (4, False)])
def test_a_message_that_does_not_fit_any_more_is_refused_for_now(
    size: int, room_for_it: bool
) -> None:
    """RFC 1870 section 6.1 has 452 for it."""
    line = f"MAIL FROM:<a@example.com> SIZE={size}\r\n".encode()
    Served(
        Taking,
        *[GREETING, Say(b"EHLO me.example\r\n")],
        Expect(b"250-mx.example\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 10\r\n"),
        *[Say(line), Expect(SENDER_OK) if room_for_it else FULL, *QUIT],
        extensions=[
            smtp.extensions.EnhancedStatusCodes(),
            smtp.extensions.Size(10),
        ],
        in_flight=room(held=7),
    )


@pytest.mark.parametrize(("held", "answer"), [(9, Expect(SENDER_OK)), (10, FULL)])
def test_when_the_bound_is_reached_there_is_no_mail(held: int, answer: Step) -> None:
    Served(Taking, *HELLO, MAIL, answer, *QUIT, in_flight=room(held=held))


def test_the_application_is_not_asked_about_it() -> None:
    class Asked(Taking):
        def mail(self, command: smtp.Mail) -> None:
            told.append(command)

    Served(Asked, *HELLO, MAIL, FULL, *QUIT, in_flight=room(held=10))
    assert told == [Ending.QUIT]


# Content


def test_content_that_fits_is_taken_and_held_until_its_reply() -> None:
    bound = room(held=3)

    class Looking(Taking):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            super().message(envelope, content)
            told.append(bound.octets)
            return None

    served = Served(
        Looking, *BEGUN, Say(b"hello\r\n.\r\n"), ACCEPTED, *QUIT, in_flight=bound
    )
    assert told == [b"hello\r\n", 10, Ending.QUIT]
    assert bound.octets == 3
    assert served.driver.reports == []


class Noting(smtp.Application):
    """Notes how reading ends, and what it then answers."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        try:
            told.append(content.read())
        except MessageAborted as error:
            told.append(str(error))
        return None  # it takes the message all the same


def test_content_that_grows_beyond_is_refused_at_its_end() -> None:
    bound = room(held=4)
    served = Served(
        Noting,
        *[*BEGUN, Say(b"hello\r\n"), Say(b"again\r\n"), Say(b".\r\n"), FULL],
        *[MAIL, Expect(SENDER_OK), *QUIT],
        in_flight=bound,
    )
    assert told == ["452 4.3.1 Too much mail at once"]
    assert bound.octets == 4
    fields = {"sender": "a@example.com", "recipients": 1, "octets": 14, "code": 452}
    assert served.driver.notes[1] == Note("message_refused", fields)


def test_content_that_is_too_large_anyhow_is_told_so() -> None:
    Served(
        Noting,
        *[*BEGUN, Say(b"hello, hello, hello\r\n.\r\n")],
        *[Expect(b"552 5.3.4 Message too large\r\n"), *QUIT],
        limits=Limits(content=7),
        in_flight=room(held=4),
    )


def test_content_in_chunks_is_refused_at_the_end_of_the_chunk() -> None:
    bound = room(held=4)
    Served(
        Noting,
        *[GREETING, Say(b"EHLO me.example\r\n")],
        Expect(b"250-mx.example\r\n250 CHUNKING\r\n"),
        *[MAIL, Expect(b"250 Sender OK\r\n"), Say(b"RCPT TO:<b@example.com>\r\n")],
        *[Expect(b"250 Recipient OK\r\n"), Say(b"BDAT 7\r\nhello\r\n")],
        *[Expect(b"452 Too much mail at once\r\n"), Say(b"QUIT\r\n")],
        Expect(b"221 mx.example closing\r\n"),
        extensions=[smtp.extensions.Chunking()],
        in_flight=bound,
    )
    assert bound.octets == 4


def test_in_lmtp_each_recipient_is_told() -> None:
    Served(
        Noting,
        *[Expect(b"220 mx.example LMTP\r\n"), Say(b"LHLO me.example\r\n")],
        *[Expect(b"250 mx.example\r\n"), MAIL, Expect(b"250 Sender OK\r\n")],
        *[Say(b"RCPT TO:<b@c>\r\n"), Expect(b"250 Recipient OK\r\n")] * 2,
        *[Say(b"DATA\r\n"), Expect(b"354 End data with <CR><LF>.<CR><LF>\r\n")],
        *[Say(b"hello\r\n.\r\n"), Expect(b"452 Too much mail at once\r\n" * 2)],
        Close(),
        extensions=[],
        lmtp=True,
        in_flight=room(held=4),
    )


def test_what_the_application_leaves_unread_is_not_held() -> None:
    no = Reply(550, ("No",))
    Served(
        awaiting("message", no),
        *[*BEGUN, Say(b"hello, hello\r\n.\r\n"), Expect(b"550 5.0.0 No\r\n"), *QUIT],
        in_flight=room(held=4),
    )


# However it ends, nothing stays


@pytest.mark.parametrize(
    "then",
    [
        [Close()],
        [Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")],
        [Say(b".\r\n"), ACCEPTED, Close()],
    ],
)
def test_content_is_let_go_at_the_end_of_a_session(then: list[Step]) -> None:
    bound = room()
    Served(Taking, *BEGUN, Say(b"hello\r\n"), *then, in_flight=bound)
    assert bound.octets == 0


def test_content_is_let_go_where_the_application_fails() -> None:
    bound = room()

    class Failing(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            content.read()
            raise ValueError("a mistake")

    Served(
        Failing,
        *[*BEGUN, Say(b"hello\r\n.\r\n")],
        *[Expect(b"451 4.3.0 Local error in processing\r\n"), *QUIT],
        in_flight=bound,
    )
    assert bound.octets == 0


class Cancelled(BaseException):
    """What a driver throws in when it is cancelled."""


@pytest.mark.parametrize("closes", [True, False])
def test_content_is_let_go_when_the_flow_is_closed_or_cancelled(closes: bool) -> None:
    bound = room()
    peer = Peer(*BEGUN, Say(b"hello\r\n"))
    driver = Driver(peer)
    held: list[int] = []

    class Waiting(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            raise AssertionError("it is not called")

    def leave(flow: Flow[Ending]) -> None:
        if closes:
            flow.close()
        else:
            with pytest.raises(Cancelled):
                flow.throw(Cancelled())

    conn = smtp.Connection(SERVER, domain="mx.example")
    with closing(smtp.serve(conn, Waiting, in_flight=bound)) as flow:
        request: Any = next(flow)
        while "message" not in str(request):
            request = flow.send(driver.carry_out(request, ""))
        piece = request.arguments[1].piece()
        inner: Request = next(piece)
        while bound.octets == 0:
            inner = piece.send(driver.carry_out(inner, ""))
        held.append(bound.octets)
        piece.close()
        leave(flow)
    assert held == [7]
    assert bound.octets == 0
    assert isinstance(inner, Read)


def test_the_recipients_of_a_refused_message_were_heard() -> None:
    """The envelope is answered as ever: only content takes room."""
    steps = [*HELLO, MAIL, Expect(SENDER_OK), Say(b"RCPT TO:<b@c>\r\n")]
    Served(Taking, *steps, Expect(RECIPIENT_OK), *QUIT, in_flight=room(held=9))
