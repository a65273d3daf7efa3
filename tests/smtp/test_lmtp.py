"""LMTP: SMTP with LHLO, and with a reply for each recipient.  RFC 2033."""

from typing import Any

import pytest

from conversing import converse
from cutting import every_cut
from driving import (
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Silence,
    Step,
    cut_short,
    octets_said,
    play,
)
from serving import told
from smtp_pop_core import (
    CLIENT,
    SERVER,
    Blocks,
    ConnectionLost,
    Flow,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Connection, Ending, Outcome, Reply, State
from smtp_pop_core.smtp._state import Session
from smtp_talk import codes, feed, said_by_server

ALL = frozenset({"PIPELINING", "CHUNKING"})
MAIL = smtp.Mail("a@b.example")
RCPT = smtp.Rcpt("c@d.example")
END = smtp.EndOfMessage()
OFFERED = [
    each for each in smtp.usual() if each.keyword in (*ALL, "ENHANCEDSTATUSCODES")
]
LHLO_OK = (
    b"250-mx.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n"
)


def opened(*offers: str, limits: Limits | None = None) -> Connection:
    """Give the connection of a client whose server offers these extensions."""
    conn = Connection(CLIENT, domain="me.example", lmtp=True, limits=limits or Limits())
    lines = "".join(f"250-{line}\r\n" for line in ["mx.example", *offers])
    play(
        smtp.open(conn),
        Say(b"220 mx.example LMTP\r\n"),
        Expect(b"LHLO me.example\r\n"),
        Say(lines.encode() + b"250 HELP\r\n"),
    )
    return conn


def server(**options: Any) -> Connection:
    return Connection(
        SERVER, domain="mx.example", lmtp=True, **{"extensions": OFFERED} | options
    )


def greeted(**options: Any) -> Connection:
    """Give a server that has answered LHLO."""
    conn = server(**options)
    said_by_server(conn, [b"LHLO me.example\r\n"])
    return conn


# LHLO


def test_a_session_begins_with_lhlo() -> None:
    conn = server()
    events, replies = said_by_server(conn, [b"LHLO me.example\r\n"])
    assert events == [smtp.Connect(), smtp.Lhlo("me.example")]
    assert replies[0] == Reply(220, ("mx.example LMTP",))
    assert replies[1].lines == (
        *("mx.example", "PIPELINING", "ENHANCEDSTATUSCODES", "CHUNKING"),
    )
    assert conn.state is State.READY
    assert list(conn.extensions) == [each.keyword for each in OFFERED]


def test_lhlo_is_read_like_ehlo() -> None:
    lines = b"lhlo [192.0.2.1]\r\nLHLO\r\nLHLO a b\r\nLHLO -\r\n"
    _, replies = said_by_server(server(), [lines])
    assert codes(replies) == [220, 250, 501, 501, 501]


@pytest.mark.parametrize("verb", ["EHLO", "HELO", "ehlo"])
def test_lmtp_knows_neither_ehlo_nor_helo(verb: str) -> None:
    """RFC 2033 section 4.1."""
    conn = server()
    _, replies = said_by_server(conn, [f"{verb} me.example\r\n".encode()])
    assert codes(replies) == [220, 500]
    assert conn.state is State.GREETED


def test_smtp_does_not_know_lhlo() -> None:
    _, replies = said_by_server(Connection(SERVER), [b"LHLO me.example\r\n"])
    assert codes(replies) == [220, 500]


@pytest.mark.parametrize("kind", [smtp.Ehlo, smtp.Helo])
def test_a_client_of_lmtp_says_neither(kind: type[smtp.Ehlo | smtp.Helo]) -> None:
    conn = Connection(CLIENT, lmtp=True)
    feed(conn, b"220 mx.example\r\n")
    with pytest.raises(LocalProtocolError, match="is not a command here"):
        conn.send(kind("me.example"))
    assert (conn.state, conn.unanswered) == (State.GREETED, ())
    assert conn.send(smtp.Lhlo("me.example")) == b"LHLO me.example\r\n"


def test_a_client_of_smtp_does_not_say_lhlo() -> None:
    conn = Connection(CLIENT)
    feed(conn, b"220 mx.example\r\n")
    with pytest.raises(LocalProtocolError, match="Lhlo is not a command here"):
        conn.send(smtp.Lhlo("me.example"))
    assert conn.unanswered == ()


@pytest.mark.parametrize("domain", ["", "a b", "a\r\nQUIT", "-a", "[1.2.3]"])
def test_lhlo_has_a_domain(domain: str) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        smtp.Lhlo(domain)


def test_which_protocol_it_is_can_be_seen() -> None:
    assert server().lmtp
    assert not Connection(CLIENT).lmtp


@pytest.mark.parametrize("code", [500, 502, 550, 451])
def test_there_is_no_way_back_from_lhlo(code: int) -> None:
    conn = Connection(CLIENT, domain="me.example", lmtp=True)
    with pytest.raises(smtp.Rejected) as caught:
        play(
            smtp.open(conn),
            Say(b"220 mx.example\r\n"),
            *[Expect(b"LHLO me.example\r\n"), Say(b"%d no\r\n" % code)],
        )
    assert caught.value.command == smtp.Lhlo("me.example")
    assert conn.state is State.GREETED


def test_a_new_lhlo_forgets_the_transaction() -> None:
    conn = greeted()
    lines = b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nLHLO me.example\r\nDATA\r\n"
    _, replies = said_by_server(conn, [lines])
    assert codes(replies) == [250, 250, 250, 503]
    assert conn.recipients == 0


# The replies to the content, by hand


def session(state: State = State.READY) -> Session:
    session = Session(lmtp=True)
    session.unanswered = ()
    session.offered = ALL
    session.state = state
    return session


def test_of_three_recipients_two_are_accepted_and_have_a_reply() -> None:
    conn = session()
    for command in (MAIL, RCPT, RCPT, RCPT, smtp.Data()):
        conn.command(command)
    for code in (250, 250, 550, 250, 354):
        conn.reply(Reply(code))
    assert (conn.state, conn.recipients) == (State.DATA, 2)
    conn.command(END)
    assert conn.replies_due == 2
    assert conn.reply(Reply(250)) == END
    assert (conn.state, conn.replies_due) == (State.DATA, 1)
    assert conn.reply(Reply(452)) == END
    assert (conn.state, conn.replies_due) == (State.READY, 0)
    with pytest.raises(ValueError, match="250 answers nothing"):
        conn.reply(Reply(250))


@pytest.mark.parametrize("code", [250, 452, 550])
def test_the_state_does_not_depend_on_what_the_replies_say(code: int) -> None:
    conn = session(State.RCPT)
    conn.recipients = 3
    conn.command(smtp.BdatLast(0))
    conn.command(END)
    for other in (250, 552, code):
        conn.reply(Reply(other))
    assert (conn.state, conn.recipients, conn.messages) == (State.READY, 0, 1)


def test_without_recipients_the_last_chunk_has_no_reply_at_all() -> None:
    conn = session(State.RCPT)
    conn.command(smtp.BdatLast(0))
    conn.command(END)
    assert (conn.state, conn.replies_due, conn.messages) == (State.READY, 0, 1)
    conn.command(MAIL)
    assert conn.reply(Reply(250)) == MAIL


def test_if_all_recipients_are_refused_the_end_takes_its_turn_without_a_reply() -> None:
    conn = session()
    for command in (MAIL, RCPT, smtp.BdatLast(0), END):
        conn.take(command)
    conn.reply(Reply(250))
    conn.reply(Reply(550))
    assert not conn.unanswered
    assert conn.state is conn.ahead is State.MAIL


def test_an_empty_message_without_recipients_has_no_reply() -> None:
    conn = session()
    for command in (MAIL, RCPT, smtp.Data()):
        conn.command(command)
    for code in (250, 550, 354):
        conn.reply(Reply(code))
    conn.command(END)
    assert (conn.state, conn.replies_due) == (State.READY, 0)


def test_a_chunk_that_is_not_the_last_has_one_reply() -> None:
    """RFC 2033 section 4.3."""
    conn = session(State.RCPT)
    conn.recipients = 3
    conn.command(smtp.Bdat(0))
    conn.command(smtp.EndOfChunk())
    assert conn.replies_due == 1
    conn.reply(Reply(250))
    assert conn.state is State.BDAT


def test_a_last_chunk_after_one_that_failed_has_one_reply() -> None:
    """It is out of order for the server, which has no content to answer."""
    conn = session(State.RCPT)
    conn.recipients = 3
    for command in (smtp.Bdat(0), smtp.EndOfChunk(), smtp.BdatLast(0), END):
        conn.command(command)
    conn.reply(Reply(452))
    conn.reply(Reply(503))
    assert not conn.unanswered
    assert conn.state is State.FAILED


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_421_is_for_all_that_are_left(heard: int) -> None:
    conn = session(State.RCPT)
    conn.recipients = 3
    conn.command(smtp.BdatLast(0))
    conn.command(END)
    for code in [250] * heard + [421]:
        assert conn.reply(Reply(code)) == END
    assert conn.state is State.CLOSED


def test_the_same_path_twice_has_two_replies() -> None:
    conn = greeted()
    said_by_server(conn, [b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<c@d>\r\n"])
    said_by_server(conn, [b"DATA\r\n"])
    *_, end = feed(conn, b"hello\r\n.\r\n")
    assert isinstance(end, smtp.EndOfMessage)
    assert conn.replies_due == 2
    assert conn.send(conn.default_reply(end)) == b"250 2.0.0 Message accepted\r\n"
    assert (conn.state, conn.replies_due) == (State.DATA, 1)
    conn.send(Reply(452))
    assert conn.state is State.READY
    with pytest.raises(LocalProtocolError, match="250 answers nothing"):
        conn.send(Reply(250))


def test_content_that_must_be_refused_is_so_for_each_recipient() -> None:
    conn = greeted(limits=Limits(content=3))
    said_by_server(conn, [b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"])
    feed(conn, b"BDAT 4 LAST\r\nabcd")
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="must be refused"):
            conn.send(Reply(250))
        conn.send(Reply(552))
    assert conn.state is State.READY


def test_data_without_a_recipient_is_out_of_order() -> None:
    """RFC 2033 section 4.2."""
    _, replies = said_by_server(greeted(), [b"MAIL FROM:<>\r\nDATA\r\n"])
    assert codes(replies) == [250, 503]


# Sending


OK = b"250 ok\r\n"


def envelope(*names: str, data: bool = True) -> Expect:
    rcpts = "".join(f"RCPT TO:<{name}@b.example>\r\n" for name in names)
    return Expect(f"MAIL FROM:<>\r\n{rcpts}".encode() + b"DATA\r\n" * data)


def sending(conn: Connection, *names: str, chunking: bool = False) -> Any:
    recipients = [f"{name}@b.example" for name in names]
    return smtp.send_mail(conn, "", recipients, b"hello\r\n", chunking=chunking)


def replies_of(result: smtp.MailResult) -> list[int | None]:
    replies = [each.reply for each in result.recipients]
    return [None if reply is None else reply.code for reply in replies]


@pytest.mark.parametrize("cut", ["250-a\r\n250 b\r\n|452 c\r\n|550 d\r\n", "|"])
def test_each_recipient_has_its_own_reply(cut: str) -> None:
    """RFC 2033 section 4.2."""
    whole = b"250-a\r\n250 b\r\n452 c\r\n550 d\r\n"
    pieces = [piece.encode() for piece in cut.split("|") if piece] or [whole]
    conn = opened("PIPELINING")
    result = play(
        sending(conn, "a", "b", "c"),
        *[envelope("a", "b", "c"), Say(OK * 4 + b"354 go\r\n")],
        *[Expect(b"hello\r\n.\r\n"), *map(Say, pieces)],
    )
    assert result.outcome is Outcome.PARTLY_ACCEPTED
    assert replies_of(result) == [250, 452, 550]
    assert result.accepted == ["a@b.example"]
    assert result.retry == ["b@b.example"]
    assert result.refused == ["b@b.example", "c@b.example"]
    assert result.reply == Reply(250, ("a", "b"))
    assert conn.state is State.READY


def test_a_refused_recipient_has_no_reply_to_the_content() -> None:
    conn = opened("PIPELINING")
    result = play(
        sending(conn, "a", "b", "c"),
        *[envelope("a", "b", "c"), Say(OK * 2 + b"551 x\r\n" + OK + b"354 go\r\n")],
        *[Expect(b"hello\r\n.\r\n"), Say(OK), Say(b"452 full\r\n")],
    )
    assert replies_of(result) == [250, 551, 452]
    assert (conn.state, conn.unanswered) == (State.READY, ())


def test_the_same_recipient_twice_has_two_replies() -> None:
    result = play(
        sending(opened("PIPELINING"), "a", "a"),
        *[envelope("a", "a"), Say(OK * 3 + b"354 go\r\n")],
        *[Expect(b"hello\r\n.\r\n"), Say(b"250 one\r\n550 two\r\n")],
    )
    assert replies_of(result) == [250, 550]


def test_content_in_chunks_is_answered_for_each_recipient() -> None:
    conn = opened("PIPELINING", "CHUNKING", limits=Limits(block=5))
    result = play(
        sending(conn, "a", "b", chunking=True),
        *[envelope("a", "b", data=False), Say(OK * 3)],
        *[Expect(b"BDAT 5\r\nhello"), Say(OK), Expect(b"BDAT 2 LAST\r\n\r\n")],
        *[Say(b"250 ok\r\n"), Say(b"452 full\r\n")],
    )
    assert replies_of(result) == [250, 452]
    assert conn.state is State.READY


def test_a_refused_chunk_is_so_for_all_recipients() -> None:
    conn = opened("PIPELINING", "CHUNKING", limits=Limits(block=5))
    result = play(
        sending(conn, "a", "b", chunking=True),
        *[envelope("a", "b", data=False), Say(OK * 3)],
        *[Expect(b"BDAT 5\r\nhello"), Say(b"552 no\r\n")],
    )
    assert replies_of(result) == [552, 552]
    assert conn.state is State.FAILED


def test_without_an_accepted_recipient_nothing_is_awaited() -> None:
    conn = opened("PIPELINING")
    result = play(
        sending(conn, "a", "b"),
        *[envelope("a", "b"), Say(OK + b"550 x\r\n550 y\r\n354 go\r\n")],
        Expect(b".\r\n"),
    )
    assert replies_of(result) == [550, 550]
    assert (conn.state, conn.unanswered) == (State.READY, ())


DIALOGUE: list[Step] = [
    *[envelope("a", "b", "c"), Say(OK * 4 + b"354 go\r\n")],
    *[Expect(b"hello\r\n.\r\n"), Say(b"250 one\r\n452 two\r\n550 three\r\n")],
]
SENT = octets_said(DIALOGUE[:2])


@pytest.mark.parametrize("then", [Close(), Silence()])
@pytest.mark.parametrize("octets", range(SENT, octets_said(DIALOGUE)))
def test_if_the_connection_is_lost_the_replies_that_came_count(
    octets: int, then: Step
) -> None:
    """RFC 2033 section 5."""
    conn = opened("PIPELINING")
    peer = Peer(*cut_short(DIALOGUE, octets, then))
    result = Driver(peer).run(sending(conn, "a", "b", "c"))
    heard = (octets >= SENT + 9) + (octets >= SENT + 18)
    assert replies_of(result) == [250, 452, None][:heard] + [None] * (3 - heard)
    assert result.outcome is Outcome.IN_DOUBT
    assert len(result.in_doubt) == 3 - heard
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(SENT))
def test_a_connection_lost_before_the_end_is_an_error(octets: int) -> None:
    with pytest.raises(ConnectionLost):
        Driver(Peer(*cut_short(DIALOGUE, octets, Close()))).run(
            sending(opened("PIPELINING"), "a", "b", "c")
        )


def test_421_between_the_replies_is_for_all_that_are_left() -> None:
    conn = opened("PIPELINING")
    result = play(
        sending(conn, "a", "b", "c"),
        *[*DIALOGUE[:3], Say(b"250 one\r\n421 bye\r\n"), Close()],
    )
    assert replies_of(result) == [250, 421, 421]
    assert result.retry == ["b@b.example", "c@b.example"]
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("then", [b"", b"552 y\r\n552 z\r\n"])
def test_a_no_before_the_end_is_for_all_recipients(then: bytes) -> None:
    """Some servers say it for each recipient, and some once."""
    conn = opened("PIPELINING")

    def content() -> Any:
        yield b"hello\r\n"
        yield b"world\r\n"

    recipients = ["a@b.example", "b@b.example", "c@b.example"]
    result = play(
        smtp.send_mail(conn, "", recipients, content()),
        *[*DIALOGUE[:2], Expect(b"hello\r\n"), Say(b"552 x\r\n" + then), Close()],
    )
    assert replies_of(result) == [552] * 3
    assert conn.state is State.CLOSED


def test_a_yes_before_the_end_is_an_error() -> None:
    conn = opened("PIPELINING")

    def content() -> Any:
        yield b"hello\r\n"
        yield b"world\r\n"

    flow = smtp.send_mail(conn, "", ["a@b.example", "b@b.example"], content())
    with pytest.raises(RemoteProtocolError):
        play(
            flow,
            *[envelope("a", "b"), Say(OK * 3 + b"354 go\r\n")],
            *[Expect(b"hello\r\n"), Say(OK * 2), Close()],
        )
    assert conn.state is State.CLOSED


def test_an_answer_that_is_no_reply_leaves_the_others_in_doubt() -> None:
    conn = opened("PIPELINING")
    result = play(
        sending(conn, "a", "b", "c"), *[*DIALOGUE[:3], Say(b"250 one\r\nfrob\r\n")]
    )
    assert replies_of(result) == [250, None, None]
    assert conn.state is State.CLOSED


# Serving


HELLO: list[Step] = [
    Expect(b"220 mx.example LMTP\r\n"),
    Say(b"LHLO me.example\r\n"),
    Expect(LHLO_OK),
]
THREE = b"MAIL FROM:<>\r\n" + b"".join(
    b"RCPT TO:<%b@b.example>\r\n" % name for name in (b"a", b"b", b"c")
)
BEGUN: list[Step] = [
    *[*HELLO, Say(THREE)],
    Expect(b"250 2.1.0 Sender OK\r\n" + b"250 2.1.5 Recipient OK\r\n" * 3),
]
DATA: list[Step] = [
    *[Say(b"DATA\r\n"), Expect(b"354 End data with <CR><LF>.<CR><LF>\r\n")],
    Say(b"hello\r\n.\r\n"),
]
QUIT: list[Step] = [
    *[Say(b"QUIT\r\n"), Expect(b"221 2.0.0 mx.example closing\r\n")],
]
FAILED = b"451 4.3.0 Local error in processing\r\n"


def answering(answer: object) -> smtp.ApplicationFactory:
    """Make an application that gives that answer to each message."""

    def message(self: smtp.Application, envelope: object, content: Blocks) -> object:
        told.append(content.read())
        return answer

    def close(self: smtp.Application, reason: Ending) -> None:
        told.append(reason)

    factory: Any = type(
        "Answering", (smtp.Application,), {"message": message, "close": close}
    )
    made: smtp.ApplicationFactory = factory
    return made


def serve(
    application: smtp.ApplicationFactory, *steps: Step, **options: Any
) -> list[Exception]:
    """Serve a client that follows a script, and return what was reported."""
    told.clear()
    peer = Peer(*steps)
    driver = Driver(peer)
    driver.run(smtp.serve(server(**options), application))
    peer.finish()
    return driver.reports


STORED, FULL, NO = Reply(250, ("stored",)), Reply(452, ("full",)), Reply(550, ("no",))
SAID = {
    STORED: b"250 2.0.0 stored\r\n",
    FULL: b"452 4.0.0 full\r\n",
    NO: b"550 5.0.0 no\r\n",
}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, b"250 2.0.0 Message accepted\r\n" * 3),
        (STORED, SAID[STORED] * 3),
        (NO, SAID[NO] * 3),
        ((STORED, FULL, NO), SAID[STORED] + SAID[FULL] + SAID[NO]),
        ([NO, STORED, NO], SAID[NO] + SAID[STORED] + SAID[NO]),
    ],
)
@pytest.mark.parametrize("chunks", [False, True])
def test_a_message_is_answered_for_each_recipient(
    chunks: bool, answer: object, said: bytes
) -> None:
    steps = [Say(b"BDAT 7 LAST\r\nhello\r\n")] if chunks else DATA
    assert serve(answering(answer), *BEGUN, *steps, Expect(said), *QUIT) == []
    assert told == [b"hello\r\n", Ending.QUIT]


@pytest.mark.parametrize(
    ("answer", "report"),
    [
        ((), ValueError),
        ((STORED, STORED), ValueError),
        ([STORED] * 4, ValueError),
        (250, TypeError),
        ("250 ok", TypeError),
        ({STORED: 1}, TypeError),
    ],
)
def test_an_answer_that_fits_no_recipients_is_451_for_each(
    answer: object, report: type[Exception]
) -> None:
    reports = serve(answering(answer), *BEGUN, *DATA, Expect(FAILED * 3), *QUIT)
    assert [type(each) for each in reports] == [report]


def test_what_is_no_reply_among_the_answers_is_451() -> None:
    answer = (STORED, "250 ok", Reply(354))
    said = Expect(SAID[STORED] + FAILED * 2)
    reports = serve(answering(answer), *BEGUN, *DATA, said, *QUIT)
    assert [type(each) for each in reports] == [LocalProtocolError] * 2


def test_in_smtp_a_message_has_one_answer() -> None:
    told.clear()
    peer = Peer(
        *[Expect(b"220 mx.example ESMTP\r\n"), Say(b"EHLO me.example\r\n")],
        *[Expect(LHLO_OK), *BEGUN[3:], *DATA, Expect(FAILED), *QUIT],
    )
    driver = Driver(peer)
    conn = Connection(SERVER, domain="mx.example", extensions=OFFERED)
    driver.run(smtp.serve(conn, answering((STORED,) * 3)))
    assert [type(each) for each in driver.reports] == [TypeError]


@pytest.mark.parametrize(
    "answer", [Reply(421, ("bye",)), (STORED, Reply(421, ("bye",)), STORED)]
)
def test_421_ends_the_session_before_the_other_replies(answer: object) -> None:
    stored = SAID[STORED] * isinstance(answer, tuple)
    said = Expect(stored + b"421 4.0.0 bye\r\n")
    assert serve(answering(answer), *BEGUN, *DATA, said) == []
    assert told == [b"hello\r\n", Ending.REFUSED]


def test_refused_content_is_refused_for_each_recipient() -> None:
    said = Expect(b"552 5.3.4 Message too large\r\n" * 3)
    limits = Limits(content=3)
    assert serve(answering(STORED), *BEGUN, *DATA, said, *QUIT, limits=limits) == []
    assert told == [Ending.QUIT]


def test_a_mistake_of_the_application_is_451_for_each_recipient() -> None:
    class Failing(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            raise ValueError("secret")

    reports = serve(Failing, *BEGUN, *DATA, Expect(FAILED * 3), *QUIT)
    assert [type(each) for each in reports] == [ValueError]


def test_who_takes_no_messages_says_so_for_each_recipient() -> None:
    no = b"550 5.3.2 This server does not take messages\r\n"
    assert serve(smtp.Application, *BEGUN, *DATA, Expect(no * 3), *QUIT) == []


def test_a_chunk_that_is_not_the_last_is_answered_once() -> None:
    wire = b"BDAT 3\r\nhelBDAT 4 LAST\r\nlo\r\n"
    said = Expect(b"250 2.0.0 Chunk accepted\r\n" + SAID[STORED] * 3)
    for cut in every_cut(wire):
        assert serve(answering(STORED), *BEGUN, *map(Say, cut), said, *QUIT) == []
        assert told == [b"hello\r\n", Ending.QUIT]


def test_the_name_of_the_peer_is_that_of_lhlo() -> None:
    names: list[str] = []

    class Naming(smtp.Application):
        def mail(self, command: smtp.Mail) -> Reply | None:
            names.append(self.peer.helo)
            return None

    ok = Expect(b"250 2.1.0 Sender OK\r\n")
    serve(Naming, *HELLO, Say(b"MAIL FROM:<>\r\n"), ok, *QUIT)
    assert names == ["me.example"]


# Face to face


@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_a_client_and_a_server_understand_each_other(size: int, chunking: bool) -> None:
    def client() -> Flow[list[smtp.MailResult]]:
        conn = Connection(CLIENT, domain="me.example", lmtp=True)
        yield from smtp.open(conn)
        results = []
        for _ in range(2):
            flow = sending(conn, "a", "b", "c", chunking=chunking)
            results.append((yield from flow))
        yield from smtp.quit(conn)
        return results

    told.clear()
    flow = smtp.serve(server(), answering((STORED, FULL, NO)))
    results, ending, reports = converse(client(), flow, [size])
    assert [replies_of(result) for result in results] == [[250, 452, 550]] * 2
    assert (ending, reports) == (Ending.QUIT, [])
    assert told == [b"hello\r\n"] * 2 + [Ending.QUIT]
