"""Sending and serving content in chunks."""

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversing import converse
from cutting import every_cut
from driving import (
    Close,
    Deaf,
    Driver,
    Expect,
    Peer,
    Say,
    Silence,
    Step,
    Stop,
    Wait,
    cut_short,
    octets_said,
    opened,
    play,
)
from serving import GREETING, QUIT, Served, told
from smtp_pop_core import (
    CLIENT,
    SERVER,
    AsyncBlocks,
    Blocks,
    ConnectionLost,
    Flow,
    Limits,
    MessageAborted,
    PolicyError,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Body, Connection, Ending, Mail, Outcome, Reply, State

RCPT_OK = Say(b"250 ok\r\n250 ok\r\n")
DONE = Say(b"250 done\r\n")
OK = Say(b"250 ok\r\n")
PIPELINED = ("PIPELINING", "CHUNKING")


def envelope(parameters: str = "") -> Expect:
    mail = f"MAIL FROM:<a@example.com>{parameters}\r\n"
    return Expect(f"{mail}RCPT TO:<b@example.com>\r\n".encode())


def sending(
    conn: Connection, content: Any, sender: str | Mail = "a@example.com"
) -> Flow[smtp.MailResult]:
    return smtp.send_mail(conn, sender, "b@example.com", content, chunking=True)


def chunk(data: bytes) -> Expect:
    return Expect(b"BDAT %d\r\n%b" % (len(data), data))


def last(data: bytes) -> Expect:
    return Expect(b"BDAT %d LAST\r\n%b" % (len(data), data))


# Sending


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b""),
        (b"a\n", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b".\n..\n", b".\r\n..\r\n"),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n.\r\nQUIT\r\n"),
        (b"\n\n", b"\r\n\r\n"),
    ],
)
@pytest.mark.parametrize(
    "wrap",
    [bytes, io.BytesIO, lambda content: [content], lambda content: [b"", content, b""]],
)
def test_a_small_message_is_one_chunk(
    wrap: Callable[[bytes], Any], content: bytes, wire: bytes
) -> None:
    conn = opened(*PIPELINED)
    steps = [envelope(), RCPT_OK, last(wire), DONE]
    result = play(sending(conn, wrap(content)), *steps)
    assert result.outcome is Outcome.ACCEPTED
    assert result.reply == Reply(250, ("done",))
    assert conn.state is State.READY


def test_a_missing_line_end_is_a_chunk_of_its_own() -> None:
    conn = opened(*PIPELINED, limits=Limits(block=3))
    peer = Peer(
        *[envelope(), RCPT_OK, chunk(b"abc"), chunk(b"def"), OK, OK],
        *[last(b"\r\n"), DONE],
    )
    result = Driver(peer).run(sending(conn, b"abcdef"))
    assert result.outcome is Outcome.ACCEPTED
    assert peer.writes[1:] == [
        b"BDAT 3\r\nabc",
        b"BDAT 3\r\ndef",
        b"BDAT 2 LAST\r\n\r\n",
    ]


def test_without_pipelining_each_chunk_waits_for_its_reply() -> None:
    conn = opened("CHUNKING", limits=Limits(block=2))
    result = play(
        sending(conn, b"abcdef\r\n"),
        *[Expect(b"MAIL FROM:<a@example.com>\r\n"), OK],
        *[Expect(b"RCPT TO:<b@example.com>\r\n"), OK],
        *[chunk(b"ab"), OK, chunk(b"cd"), OK, chunk(b"ef"), OK, last(b"\r\n"), DONE],
    )
    assert result.outcome is Outcome.ACCEPTED


def test_with_pipelining_few_chunks_are_under_way_at_a_time() -> None:
    conn = opened(*PIPELINED, limits=Limits(block=1))
    most = [b"%d" % number for number in range(8)]
    result = play(
        sending(conn, b"".join(most) + b"\r\n"),
        *[envelope(), RCPT_OK, *map(chunk, most[:4]), OK, chunk(b"4"), OK, chunk(b"5")],
        *[OK, chunk(b"6"), OK, chunk(b"7"), OK, OK, OK, Say(b"250 8\r\n")],
        # The last one is sent when the others have been accepted.
        *[last(b"\r\n"), DONE],
    )
    assert result.outcome is Outcome.ACCEPTED
    assert conn.state is State.READY


def test_data_is_used_where_chunks_are_not_offered() -> None:
    conn = opened("PIPELINING")
    result = play(
        sending(conn, b".\n"),
        Expect(envelope().data + b"DATA\r\n"),
        Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
        *[Expect(b"..\r\n.\r\n"), DONE],
    )
    assert result.outcome is Outcome.ACCEPTED


def test_data_is_used_unless_chunks_are_asked_for() -> None:
    flow = smtp.send_mail(opened(*PIPELINED), "a@example.com", "b@example.com", b".\n")
    play(
        flow,
        Expect(envelope().data + b"DATA\r\n"),
        Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
        *[Expect(b"..\r\n.\r\n"), DONE],
    )


def test_a_message_can_be_sent_in_chunks() -> None:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"] = "a@example.com", "b@example.com"
    message.set_content("hello")
    conn = opened(*PIPELINED)
    octets = smtp.octets_of(message)
    flow = smtp.send_message(conn, message, chunking=True)
    result = play(flow, envelope(), RCPT_OK, last(octets), DONE)
    assert result.outcome is Outcome.ACCEPTED


# Content that is no text


BINARY = Mail("a@example.com", body=Body.BINARYMIME)
BINARY_OFFERS = ("PIPELINING", "CHUNKING", "BINARYMIME")


@pytest.mark.parametrize("content", [b"", b"\r", b"\n", b"a\rb\nc", bytes(range(256))])
@pytest.mark.parametrize("chunking", [False, True])
def test_binary_content_is_sent_as_it_is(chunking: bool, content: bytes) -> None:
    conn = opened(*BINARY_OFFERS)
    flow = smtp.send_mail(conn, BINARY, "b@example.com", content, chunking=chunking)
    steps = [envelope(" BODY=BINARYMIME"), RCPT_OK, last(content), DONE]
    assert play(flow, *steps).outcome is Outcome.ACCEPTED


def test_the_size_of_binary_content_is_what_it_has() -> None:
    conn = opened(*BINARY_OFFERS, "SIZE 10")
    steps = [envelope(" SIZE=4 BODY=BINARYMIME"), RCPT_OK, last(b"a\nb\n"), DONE]
    play(sending(conn, b"a\nb\n", BINARY), *steps)
    with pytest.raises(PolicyError, match="11 octets are more than the server's 10"):
        play(sending(conn, b"\n" * 11, BINARY))
    steps = [envelope(" BODY=BINARYMIME"), RCPT_OK, last(b"a\n"), DONE]
    play(sending(conn, [b"a\n"], BINARY), *steps)


@pytest.mark.parametrize(
    ("offers", "missing"),
    [
        ([], "BINARYMIME"),
        (["8BITMIME", "CHUNKING"], "BINARYMIME"),
        (["BINARYMIME", "8BITMIME"], "CHUNKING"),
    ],
)
def test_binary_content_is_not_sent_to_those_who_do_not_take_it(
    offers: list[str], missing: str
) -> None:
    conn = opened(*offers)
    with pytest.raises(PolicyError, match=f"does not offer {missing}"):
        play(sending(conn, b"x", BINARY))
    assert (conn.state, conn.mails) == (State.READY, 0)


@pytest.mark.parametrize("offers", [PIPELINED, [*PIPELINED, "8BITMIME"]])
@pytest.mark.parametrize("content", [b"a\rb", b"a\r", b"\r\r\n"])
def test_a_bare_cr_in_a_text_is_not_sent(content: bytes, offers: Iterable[str]) -> None:
    conn = opened(*offers)
    with pytest.raises(ValueError, match="bare CR"):
        play(sending(conn, content))
    assert conn.state is State.READY


@pytest.mark.parametrize("content", [b"a\rb", b"ab\r", b"\r\r\n"])
def test_a_bare_cr_that_is_found_while_sending_ends_the_connection(
    content: bytes,
) -> None:
    conn = opened(*PIPELINED)
    pieces = [content[at : at + 1] for at in range(len(content))]
    peer = Peer(envelope(), RCPT_OK)
    with pytest.raises(ValueError, match="bare CR"):
        Driver(peer).run(sending(conn, [b"first\n", *pieces]))
    assert conn.state is State.CLOSED
    assert not any(b"LAST" in write for write in peer.writes)


def test_octets_above_127_are_not_sent_where_they_are_not_taken() -> None:
    conn = opened(*PIPELINED)
    peer = Peer(envelope(), RCPT_OK, chunk(b"a\r\n"), chunk(b"b\r\n"), OK, OK)
    with pytest.raises(PolicyError, match="8BITMIME"):
        Driver(peer).run(sending(conn, [b"a\n", b"b\n", b"\xff\n"]))
    assert conn.state is State.CLOSED
    assert not any(b"LAST" in write for write in peer.writes)
    with pytest.raises(PolicyError, match="8BITMIME"):
        Driver(Peer(envelope(), RCPT_OK)).run(sending(opened(*PIPELINED), [b"\xff\n"]))


def test_a_source_that_fails_ends_the_connection() -> None:
    def failing() -> Iterable[bytes]:
        yield b"a\n"
        raise OSError("the disk is gone")

    conn = opened(*PIPELINED)
    with pytest.raises(OSError, match="the disk is gone"):
        Driver(Peer(envelope(), RCPT_OK)).run(sending(conn, failing()))
    assert conn.state is State.CLOSED


# A no


@pytest.mark.parametrize("code", [452, 552])
def test_after_a_refused_chunk_no_more_is_sent(code: int) -> None:
    conn = opened("CHUNKING", limits=Limits(block=2))
    result = play(
        sending(conn, b"abcdef\r\n"),
        *[Expect(b"MAIL FROM:<a@example.com>\r\n"), OK],
        *[Expect(b"RCPT TO:<b@example.com>\r\n"), OK],
        *[chunk(b"ab"), OK, chunk(b"cd"), Say(b"%d no\r\n" % code)],
    )
    assert result.outcome is Outcome.REFUSED
    assert result.reply == Reply(code, ("no",))
    assert result.retry == ["b@example.com"] * (code == 452)
    assert conn.state is State.FAILED


def test_replies_to_chunks_under_way_are_counted() -> None:
    conn = opened(*PIPELINED, limits=Limits(block=1))
    result = play(
        sending(conn, b"012345\r\n"),
        *[envelope(), RCPT_OK, *map(chunk, [b"0", b"1", b"2", b"3"])],
        *[Say(b"552 no\r\n503 x\r\n"), Say(b"503 y\r\n503 z\r\n")],
    )
    assert result.reply == Reply(552, ("no",))
    assert (conn.state, conn.unanswered) == (State.FAILED, ())


def test_the_next_message_begins_with_a_reset() -> None:
    """RFC 3030 section 2."""
    conn = opened(*PIPELINED, limits=Limits(block=2))
    no = Say(b"552 no\r\n")
    play(sending(conn, b"ab\r\n"), envelope(), RCPT_OK, chunk(b"ab"), no)
    result = play(
        sending(conn, b"\r\n"),
        Expect(b"RSET\r\n" + envelope().data),
        *[Say(b"250 ok\r\n250 ok\r\n250 ok\r\n"), last(b"\r\n"), DONE],
    )
    assert result.outcome is Outcome.ACCEPTED


def test_a_message_may_be_refused_at_its_end() -> None:
    conn = opened(*PIPELINED)
    steps = [envelope(), RCPT_OK, last(b"x\r\n"), Say(b"554 spam\r\n")]
    result = play(sending(conn, b"x\n"), *steps)
    assert result.outcome is Outcome.REFUSED
    assert result.reply == Reply(554, ("spam",))
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("replies", "state"),
    [
        (b"550 no\r\n503 x\r\n", State.READY),
        (b"250 ok\r\n550 no\r\n", State.MAIL),
        (b"550 no\r\n250 ok\r\n", State.RCPT),  # the server goes on as if not
    ],
)
def test_without_a_recipient_no_chunk_is_sent(replies: bytes, state: State) -> None:
    conn = opened(*PIPELINED)
    result = play(sending(conn, b"x\n"), envelope(), Say(replies))
    assert result.outcome is Outcome.REFUSED
    assert result.reply is not None
    assert result.reply.code == 550
    assert conn.state is state


@pytest.mark.parametrize("heard", [0, 1, 2, 3])
def test_421_to_a_chunk_is_a_no_for_now(heard: int) -> None:
    conn = opened(*PIPELINED, limits=Limits(block=1))
    chunks = [b"0", b"1", b"2", b"3"]
    result = play(
        sending(conn, b"0123\r\n"),
        *[envelope(), RCPT_OK, *map(chunk, chunks)],
        *[Say(b"250 ok\r\n" * heard + b"421 bye\r\n"), Close()],
    )
    assert result.outcome is Outcome.REFUSED
    assert result.retry == ["b@example.com"]
    assert conn.state is State.CLOSED


def test_421_after_a_refusal_leaves_that_the_reason() -> None:
    conn = opened(*PIPELINED, limits=Limits(block=1))
    result = play(
        sending(conn, b"0123\r\n"),
        *[envelope(), RCPT_OK, *map(chunk, [b"0", b"1", b"2", b"3"])],
        *[Say(b"552 no\r\n421 bye\r\n"), Close()],
    )
    assert result.reply == Reply(552, ("no",))
    assert conn.state is State.CLOSED


# A server that breaks the protocol


@pytest.mark.parametrize(
    "steps",
    [
        [Say(b"250 ok\r\n250 ok\r\n250 extra\r\n")],
        [RCPT_OK, chunk(b"ab"), Say(b"250 ok\r\n250 extra\r\n")],
        [RCPT_OK, chunk(b"ab"), Say(b"354 go\r\n")],
        [RCPT_OK, chunk(b"ab"), Say(b"frob\r\n")],
    ],
)
def test_no_reply_is_taken_for_an_answer_to_a_later_chunk(steps: list[Step]) -> None:
    conn = opened(*PIPELINED, limits=Limits(block=2))
    with pytest.raises(RemoteProtocolError):
        play(sending(conn, b"ab\r\n"), envelope(), *steps)
    assert conn.state is State.CLOSED


def test_a_server_that_has_ended_gets_no_chunk() -> None:
    conn = opened(*PIPELINED)
    said = Say(b"250 ok\r\n250 ok\r\n421 bye\r\n")
    with pytest.raises(ConnectionLost) as caught:
        play(sending(conn, b"ab\r\n"), envelope(), said)
    assert caught.value.last_reply == Reply(421, ("bye",))


DIALOGUE: list[Step] = [
    *[envelope(), RCPT_OK, chunk(b"ab"), chunk(b"cd"), Say(b"250 one\r\n250 two\r\n")],
    *[last(b"\r\n"), DONE],
]
BEFORE_LAST = octets_said(DIALOGUE[:-1])


@pytest.mark.parametrize("octets", range(BEFORE_LAST))
def test_a_connection_lost_before_the_last_chunk_is_an_error(octets: int) -> None:
    conn = opened(*PIPELINED, limits=Limits(block=2))
    peer = Peer(*cut_short(DIALOGUE, octets, Close()))
    with pytest.raises(ConnectionLost):
        Driver(peer).run(sending(conn, b"abcd\r\n"))
    assert conn.state is State.CLOSED
    assert not any(b"LAST" in write for write in peer.writes)


@pytest.mark.parametrize("octets", range(BEFORE_LAST, octets_said(DIALOGUE)))
@pytest.mark.parametrize("then", [Close(), Silence()])
def test_without_a_reply_to_the_last_chunk_the_message_is_in_doubt(
    then: Step, octets: int
) -> None:
    conn = opened(*PIPELINED, limits=Limits(block=2))
    peer = Peer(*cut_short(DIALOGUE, octets, then))
    result = Driver(peer).run(sending(conn, b"abcd\r\n"))
    assert result.outcome is Outcome.IN_DOUBT
    assert result.in_doubt == ["b@example.com"]
    assert conn.state is State.CLOSED


def test_a_chunk_without_a_reply_has_a_deadline() -> None:
    conn = opened("CHUNKING", limits=Limits(block=2))
    peer = Peer(
        *[Expect(b"MAIL FROM:<a@example.com>\r\n"), OK],
        *[Expect(b"RCPT TO:<b@example.com>\r\n"), OK, chunk(b"ab"), Silence()],
    )
    with pytest.raises(TimeoutError):
        Driver(peer).run(sending(conn, b"ab\r\n"))
    assert peer.now == 600
    assert conn.state is State.CLOSED


# Serving


HELLO: list[Step] = [
    GREETING,
    Say(b"EHLO me.example\r\n"),
    Expect(
        b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 99\r\n"
        b"250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
    ),
]
OFFERED = [
    each
    for each in smtp.usual()
    if each.keyword
    in ("PIPELINING", "SIZE", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")
]
ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"
ENVELOPE_OK = b"250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
BEGUN: list[Step] = [*HELLO, Say(ENVELOPE), Expect(ENVELOPE_OK)]
CHUNK_OK = b"250 2.0.0 Chunk accepted\r\n"
PLAIN_OK = b"250 2.0.0 OK\r\n"
STORED = b"250 2.0.0 stored\r\n"
OUT_OF_ORDER = b"503 5.5.1 Bad sequence of commands\r\n"
TOO_LARGE = b"552 5.3.4 Message too large\r\n"


class Noting(smtp.Application):
    def verify(self, command: smtp.Vrfy) -> Reply | None:
        told.append(command.string)
        return None

    def close(self, reason: Ending) -> None:
        told.append(reason)


class Reading(Noting):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        try:
            told.append(content.read())
        except MessageAborted as error:
            told.append(MessageAborted)
            raise error
        return Reply(250, ("stored",))


class AsyncReading(smtp.AsyncApplication):
    async def verify(self, command: smtp.Vrfy) -> Reply | None:
        told.append(command.string)
        return None

    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> Reply | None:
        try:
            told.append(b"".join([block async for block in content]))
        except MessageAborted as error:
            told.append(MessageAborted)
            raise error
        return Reply(250, ("stored",))

    async def close(self, reason: Ending) -> None:
        told.append(reason)


READING: list[Any] = [Reading, AsyncReading]


def refusing(reply: Reply) -> smtp.ApplicationFactory:
    """Make an application that says no without a look at the content."""

    class Refusing(Noting):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            return reply

    return Refusing


def serve(
    kind: smtp.ApplicationFactory, *steps: Step, limits: Limits | None = None
) -> Served:
    served = Served(
        kind, *steps, limits=limits or Limits(content=99), extensions=OFFERED
    )
    assert served.driver.reports == []
    return served


@pytest.mark.parametrize("kind", READING)
@pytest.mark.parametrize(
    ("wire", "content", "replies"),
    [
        (b"BDAT 7 LAST\r\nhello\r\n", b"hello\r\n", 0),
        (b"BDAT 0 LAST\r\n", b"", 0),
        (b"BDAT 3\r\nabcBDAT 3 LAST\r\ndef", b"abcdef", 1),
        (b"BDAT 3\r\n.\r\nBDAT 0\r\nBDAT 0 LAST\r\n", b".\r\n", 2),
        (b"BDAT 2 LAST\r\n\0\xff", b"\0\xff", 0),
    ],
)
def test_an_application_sees_no_difference_to_data(
    wire: bytes, content: bytes, replies: int, kind: smtp.ApplicationFactory
) -> None:
    answer = Expect(CHUNK_OK * replies + STORED)
    for cut in every_cut(wire):
        serve(kind, *BEGUN, *map(Say, cut), answer, *QUIT)
        assert told == [content, Ending.QUIT]


def test_each_chunk_is_answered_when_it_is_there() -> None:
    serve(
        Reading,
        *[*BEGUN, Say(b"BDAT 3\r\nabc"), Expect(CHUNK_OK)],
        *[Say(b"BDAT 3\r\nde"), Say(b"f"), Expect(CHUNK_OK)],
        *[Say(b"BDAT 0 LAST\r\n"), Expect(STORED), *QUIT],
    )
    assert told == [b"abcdef", Ending.QUIT]


def test_data_and_chunks_follow_one_another() -> None:
    go = b"354 End data with <CR><LF>.<CR><LF>\r\n"
    one = Say(b"BDAT 1\r\naBDAT 1 LAST\r\nb" + ENVELOPE + b"DATA\r\n")
    serve(
        Reading,
        *[*BEGUN, one, Expect(CHUNK_OK + STORED + ENVELOPE_OK + go)],
        *[Say(b"c\r\n.\r\n" + ENVELOPE), Expect(STORED + ENVELOPE_OK)],
        *[Say(b"BDAT 1 LAST\r\nd"), Expect(STORED), *QUIT],
    )
    assert told == [b"ab", b"c\r\n", b"d", Ending.QUIT]


@pytest.mark.parametrize("kind", READING)
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"NOOP\r\n", PLAIN_OK),
        (b"FROB\r\n", b"500 5.5.1 Command not recognized\r\n"),
        (b"DATA\r\n", OUT_OF_ORDER),
        (b"RCPT TO:<c@example.com>\r\n", OUT_OF_ORDER),
    ],
)
def test_between_two_chunks_there_may_be_commands(
    line: bytes, reply: bytes, kind: smtp.ApplicationFactory
) -> None:
    wire = b"BDAT 3\r\nabc" + line + b"BDAT 3 LAST\r\ndef"
    for cut in every_cut(wire):
        answer = Expect(CHUNK_OK + reply + STORED)
        serve(kind, *BEGUN, *map(Say, cut), answer, *QUIT)
        assert told == [b"abcdef", Ending.QUIT]


@pytest.mark.parametrize("kind", READING)
def test_between_two_chunks_the_application_is_asked(
    kind: smtp.ApplicationFactory,
) -> None:
    verified = b"252 2.5.0 Cannot verify, but will accept and try\r\n"
    wire = Say(b"BDAT 1\r\naVRFY joe\r\nBDAT 1 LAST\r\nb")
    serve(kind, *BEGUN, wire, Expect(CHUNK_OK + verified + STORED), *QUIT)
    assert told == ["joe", b"ab", Ending.QUIT]


@pytest.mark.parametrize("kind", READING)
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"RSET\r\n", PLAIN_OK),
        (b"EHLO me.example\r\n", HELLO[2]),
        (b"HELO me.example\r\n", b"250 mx.example\r\n"),
    ],
)
def test_a_transaction_may_be_given_up_between_two_chunks(
    line: bytes, reply: Any, kind: smtp.ApplicationFactory
) -> None:
    data = getattr(reply, "data", reply)
    wire = b"BDAT 3\r\nabc" + line + ENVELOPE
    serve(
        kind,
        *[*BEGUN, Say(wire), Expect(CHUNK_OK + data + ENVELOPE_OK), Say(b"RSET\r\n")],
        *[Expect(PLAIN_OK), *QUIT],
    )
    assert told == [MessageAborted, Ending.QUIT]


@pytest.mark.parametrize("kind", [*READING, refusing(Reply(250))])
def test_a_client_may_quit_between_two_chunks(kind: smtp.ApplicationFactory) -> None:
    told.clear()
    peer = Peer(*BEGUN, Say(b"BDAT 3\r\nabcQUIT\r\n"))
    conn = Connection(
        SERVER, domain="mx.example", limits=Limits(content=99), extensions=OFFERED
    )
    assert Driver(peer).run(smtp.serve(conn, kind)) is Ending.QUIT
    assert b"".join(peer.writes).endswith(b"mx.example closing\r\n")
    assert told.count(b"abc") == 0


# An application that says no


@pytest.mark.parametrize("code", [451, 554])
def test_a_no_before_the_end_answers_the_next_chunk(code: int) -> None:
    no = b"%d %d.0.0 no\r\n" % (code, code // 100)
    serve(
        refusing(Reply(code, ("no",))),
        *[*BEGUN, Say(b"BDAT 3\r\nabc"), Expect(no)],
        *[Say(b"BDAT 3\r\nabcBDAT 0 LAST\r\n"), Expect(OUT_OF_ORDER * 2)],
        *[Say(b"RSET\r\n" + ENVELOPE + b"BDAT 1 LAST\r\nx")],
        *[Expect(PLAIN_OK + ENVELOPE_OK + no), *QUIT],
    )
    assert told == [Ending.QUIT]


def test_421_before_the_end_closes() -> None:
    bye = Expect(b"421 4.0.0 bye\r\n")
    served = serve(
        refusing(Reply(421, ("bye",))), *BEGUN, Say(b"BDAT 3\r\nabcNOOP\r\n"), bye
    )
    assert served.ending is Ending.REFUSED


def test_a_yes_before_the_end_waits_for_it() -> None:
    serve(
        refusing(Reply(250, ("stored",))),
        *[*BEGUN, Say(b"BDAT 3\r\nabc"), Expect(CHUNK_OK)],
        *[Say(b"BDAT 0 LAST\r\n"), Expect(STORED), *QUIT],
    )


def test_a_yes_before_the_end_is_no_yes_to_what_is_too_large() -> None:
    big = b"x" * 60
    serve(
        refusing(Reply(250, ("stored",))),
        *[*BEGUN, Say(b"BDAT 60\r\n" + big), Expect(CHUNK_OK)],
        *[Say(b"BDAT 60 LAST\r\n" + big), Expect(TOO_LARGE), *QUIT],
    )


def test_who_takes_no_messages_says_so_at_the_first_chunk() -> None:
    no = Expect(b"550 5.3.2 This server does not take messages\r\n")
    for line in (b"BDAT 1\r\nx", b"BDAT 1 LAST\r\nx"):
        serve(smtp.Application, *BEGUN, Say(line), no, *QUIT)


def test_a_mistake_of_the_application_is_451_at_the_next_chunk() -> None:
    class Failing(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            next(iter(content))
            raise ValueError("secret")

    failed = Expect(b"451 4.3.0 Local error in processing\r\n")
    served = Served(
        Failing,
        *[*BEGUN, Say(b"BDAT 9\r\nabc"), Say(b"defghi"), failed, *QUIT],
        limits=Limits(content=99, block=1),
        extensions=OFFERED,
    )
    assert [type(report) for report in served.driver.reports] == [ValueError]


def test_a_no_that_cannot_be_said_is_451() -> None:
    failed = Expect(b"451 4.3.0 Local error in processing\r\n")
    served = Served(
        refusing(Reply(550, ("x" * 600,))),
        *[*BEGUN, Say(b"BDAT 1\r\nx"), failed, *QUIT],
        limits=Limits(content=99),
        extensions=OFFERED,
    )
    assert len(served.driver.reports) == 1


@pytest.mark.parametrize("kind", READING)
def test_too_much_in_chunks_is_never_committed(kind: smtp.ApplicationFactory) -> None:
    big = b"x" * 60
    serve(
        kind,
        *[*BEGUN, Say(b"BDAT 60\r\n" + big), Expect(CHUNK_OK)],
        *[Say(b"BDAT 60\r\n" + big), Expect(TOO_LARGE)],
        *[Say(b"BDAT 60 LAST\r\n" + big), Expect(OUT_OF_ORDER), *QUIT],
    )
    assert told == [MessageAborted, Ending.QUIT]


# Clients that go, and clients that are slow


WIRE = b"BDAT 3\r\nabcBDAT 3\r\ndefBDAT 2 LAST\r\nx"


@pytest.mark.parametrize("kind", READING)
@pytest.mark.parametrize("octets", range(len(b"BDAT 3\r\n"), len(WIRE) + 1))
def test_chunks_that_break_off_are_never_committed(
    octets: int, kind: smtp.ApplicationFactory
) -> None:
    replies = (octets >= 11) + (octets >= 22)
    answers = [Expect(CHUNK_OK * replies)] * bool(replies)
    served = serve(kind, *BEGUN, Say(WIRE[:octets]), *answers, Close())
    assert served.ending is Ending.LOST
    assert told == [MessageAborted, Ending.LOST]


@pytest.mark.parametrize("octets", range(len(b"BDAT 3\r\n"), len(WIRE) + 1))
def test_a_client_that_falls_silent_in_its_chunks_gets_421(octets: int) -> None:
    timeout = b"421 4.4.2 Timeout, closing\r\n"
    replies = (octets >= 11) + (octets >= 22)
    answers = [Expect(CHUNK_OK * replies)] * bool(replies)
    served = serve(
        Reading, *BEGUN, Say(WIRE[:octets]), *answers, Silence(), Expect(timeout)
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180
    assert told == [MessageAborted, Ending.TIMEOUT]


def test_single_octets_do_not_push_the_deadline_of_a_chunk_back() -> None:
    drops = [step for _ in range(17) for step in (Wait(10), Say(b"x"))]
    served = serve(
        Reading,
        *[*BEGUN, Say(b"BDAT 50\r\n"), *drops, Silence()],
        Expect(b"421 4.4.2 Timeout, closing\r\n"),
    )
    assert served.peer.now == 180


def test_chunks_of_single_octets_do_not_push_it_back_either() -> None:
    """SEC-DOS-SLOW-b: each chunk has its answer, and only a full block new time."""
    drops = [
        step
        for _ in range(17)
        for step in (Wait(10), Say(b"BDAT 1\r\nx"), Expect(CHUNK_OK))
    ]
    served = serve(
        Reading,
        *[*BEGUN, *drops, Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")],
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180 + 10  # from the first chunk on


def test_commands_between_chunks_do_not_push_it_back_either() -> None:
    """SEC-DOS-SLOW-b: they bring no content."""
    between = [
        step
        for _ in range(16)
        for step in (Wait(10), Say(b"NOOP\r\n"), Expect(PLAIN_OK))
    ]
    served = serve(
        Reading,
        *[*BEGUN, Say(b"BDAT 1\r\nx"), Expect(CHUNK_OK), *between, Silence()],
        Expect(b"421 4.4.2 Timeout, closing\r\n"),
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180


def test_a_client_that_takes_no_answer_between_its_chunks_is_given_up() -> None:
    chunk, noop = Say(b"BDAT 1\r\nx"), Say(b"NOOP\r\n")
    served = serve(Reading, *BEGUN, chunk, Expect(CHUNK_OK), Deaf(), noop)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180
    assert told == [MessageAborted, Ending.TIMEOUT]
    assert served.driver.reports == []


def test_a_client_that_takes_no_answers_to_its_chunks_is_given_up() -> None:
    chunk = Say(b"BDAT 1\r\nx")
    served = serve(Reading, *BEGUN, chunk, Expect(CHUNK_OK), Deaf(), chunk)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 180


def test_a_shutdown_waits_for_the_last_chunk() -> None:
    served = serve(
        Reading,
        *[*BEGUN, Say(b"BDAT 1\r\na"), Expect(CHUNK_OK), Stop()],
        *[Say(b"BDAT 1 LAST\r\nb"), Expect(STORED + b"421 4.3.2 Shutting down\r\n")],
    )
    assert served.ending is Ending.STOPPING
    assert told == [b"ab", Ending.STOPPING]


# Face to face


LINES = st.lists(
    st.sampled_from([b"", b".", b"..", b"text", b".dot", b"\xe9", b"QUIT", b"BDAT 9"]),
    max_size=8,
)
TEXTS = st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans()).map(
    lambda drawn: drawn[1].join(drawn[0]) + drawn[1] * drawn[2]
)


def carried(
    content: Any, *, chunking: bool, pipelining: bool, block: int, sizes: list[int]
) -> bytes:
    """Send content to a server, and return what has arrived."""
    arrived: list[bytes] = []

    class Storing(smtp.Application):
        def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
            arrived.append(content.read())
            return None

    def client() -> Flow[smtp.MailResult]:
        conn = Connection(CLIENT, limits=Limits(block=block))
        yield from smtp.open(conn)
        flow = smtp.send_mail(conn, "", "a@b.example", content, chunking=chunking)
        return (yield from flow)

    offered = [
        each for each in smtp.usual() if pipelining or each.keyword != "PIPELINING"
    ]
    server = Connection(SERVER, limits=Limits(block=block), extensions=offered)
    result, _, reports = converse(client(), smtp.serve(server, Storing), sizes)
    assert (result.outcome, reports) == (Outcome.ACCEPTED, [])
    [whole] = arrived
    return whole


@given(
    text=TEXTS,
    pipelining=st.booleans(),
    block=st.integers(1, 30),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_the_same_arrives_in_chunks_as_with_data(
    text: bytes, pipelining: bool, block: int, sizes: list[int]
) -> None:
    wraps: list[Callable[[bytes], Any]] = [bytes, io.BytesIO, lambda octets: [octets]]
    whole = [
        carried(
            wrap(text),
            chunking=chunking,
            pipelining=pipelining,
            block=block,
            sizes=sizes,
        )
        for chunking in (False, True)
        for wrap in wraps
    ]
    assert whole == [whole[0]] * 6
