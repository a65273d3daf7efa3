"""ETRN: ask for the messages that wait for a host.  RFC 1985."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from driving import Expect, Say, Step, play
from serving import GREETING, Served
from smtp_pop_core import CLIENT, Blocks, LocalProtocolError, smtp
from smtp_pop_core.smtp import Reply, State
from smtp_talk import codes, feed, ready_server, said_by_server

EXTENSIONS = (*smtp.usual(), smtp.extensions.Etrn())


@pytest.mark.parametrize("node", ["host.example", "@example.com", "#queue"])
def test_a_node_is_read_as_written(node: str) -> None:
    server = ready_server(extensions=EXTENSIONS)
    assert feed(server, f"etrn {node}\r\n".encode()) == [smtp.Etrn(node)]


@pytest.mark.parametrize("node", ["", "a b", "a\r\nQUIT", "é", "a\0"])
def test_what_is_no_node_cannot_be_asked_for(node: str) -> None:
    with pytest.raises(ValueError, match="not the name of a node"):
        smtp.Etrn(node)


def test_what_a_server_says_to_it() -> None:
    server = ready_server(extensions=EXTENSIONS)
    lines = b"ETRN host.example\r\nETRN\r\nMAIL FROM:<>\r\nETRN host.example\r\n"
    _, replies = said_by_server(server, [lines])
    assert codes(replies) == [459, 501, 250, 503]


def test_without_the_extension_it_is_unknown() -> None:
    _, replies = said_by_server(ready_server(), [b"ETRN host.example\r\n"])
    assert codes(replies) == [500]


def opened(offer: bytes) -> smtp.Connection:
    conn = smtp.Connection(CLIENT, domain="me.example")
    hello = Say(b"250-mx.example\r\n250 " + offer + b"\r\n")
    play(
        smtp.open(conn),
        Say(b"220 mx.example\r\n"),
        Expect(b"EHLO me.example\r\n"),
        hello,
    )
    return conn


def test_a_client_asks_for_it() -> None:
    conn = opened(b"ETRN")
    said = Say(b"253 5 messages pending\r\n")
    reply = play(
        smtp.etrn(conn, "host.example"), Expect(b"ETRN host.example\r\n"), said
    )
    assert reply.code == 253


def test_a_no_is_rejected() -> None:
    conn = opened(b"ETRN")
    with pytest.raises(smtp.Rejected, match="459") as caught:
        play(smtp.etrn(conn, "x"), Expect(b"ETRN x\r\n"), Say(b"459 not allowed\r\n"))
    assert caught.value.command == smtp.Etrn("x")
    assert caught.value.temporary


def test_it_is_asked_only_if_it_is_offered() -> None:
    conn = opened(b"HELP")
    with pytest.raises(LocalProtocolError, match="ETRN was not offered"):
        play(smtp.etrn(conn, "x"))


@pytest.mark.parametrize("code", [250, 251, 252, 253])
def test_the_server_starts_or_has_nothing_to_send(code: int) -> None:
    said = Say(b"%d ok\r\n" % code)
    conn = opened(b"ETRN")
    assert play(smtp.etrn(conn, "@x"), Expect(b"ETRN @x\r\n"), said).code == code
    assert conn.state is State.READY


# Commands that an application decides on without a method of their own.


@dataclass(frozen=True, slots=True)
class Lookup(smtp.Command):
    """A command that this library does not know."""

    name: str


def name_of(command: Lookup) -> str:
    return command.name


@dataclass(frozen=True, slots=True)
class Directory(smtp.Extension):
    keyword = "XDIR"
    verbs: ClassVar = (smtp.Verb("XLOOK", Lookup, Lookup, name_of),)
    rows: ClassVar[smtp.Table] = {
        State.READY: {Lookup: {smtp.ReplyClass.POSITIVE: None}},
        State.BDAT: {Lookup: {smtp.ReplyClass.POSITIVE: None}},
    }


OFFERED: list[smtp.Extension] = [
    *(smtp.extensions.Pipelining(), smtp.extensions.Chunking()),
    *(smtp.extensions.Etrn(), Directory()),
]
HELLO: list[Step] = [
    *[GREETING, Say(b"EHLO me.example\r\n")],
    Expect(
        b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-ETRN\r\n250 XDIR\r\n"
    ),
]
BYE: list[Step] = [Say(b"QUIT\r\n"), Expect(b"221 mx.example closing\r\n")]
ANSWERS: dict[smtp.Command, Reply] = {
    smtp.Etrn("here.example"): Reply(253, ("5 messages pending",)),
    smtp.Help("mail"): Reply(214, ("ask joe",)),
    Lookup("joe"): Reply(250, ("joe", "bloggs")),
    Lookup("bad"): Reply(354, ("no answer to it",)),
    smtp.Expn("staff"): Reply(250, ("<a@b.example>", "<c@d.example>")),
}


class Deciding(smtp.Application):
    def expand(self, command: smtp.Expn) -> Reply | None:
        return ANSWERS.get(command)

    def command(self, command: smtp.Command) -> Reply | None:
        return ANSWERS.get(command)

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        return Reply(250, (content.read().decode(),))


class AsyncDeciding(smtp.AsyncApplication):
    async def expand(self, command: smtp.Expn) -> Reply | None:
        return ANSWERS.get(command)

    async def command(self, command: smtp.Command) -> Reply | None:
        return ANSWERS.get(command)


HELP = b"214 EHLO HELO MAIL RCPT DATA RSET VRFY EXPN HELP NOOP QUIT\r\n"
DEFAULTS = [
    (b"ETRN other.example\r\n", b"459 Not allowed\r\n"),
    (b"HELP\r\n", HELP),
    (b"XLOOK jim\r\n", b"502 Command not implemented\r\n"),
    (b"EXPN x\r\n", b"252 Cannot expand, but will accept and try\r\n"),
]
DECIDED = [
    (b"ETRN here.example\r\n", b"253 5 messages pending\r\n"),
    (b"HELP mail\r\n", b"214 ask joe\r\n"),
    (b"XLOOK joe\r\n", b"250-joe\r\n250 bloggs\r\n"),
    (b"EXPN staff\r\n", b"250-<a@b.example>\r\n250 <c@d.example>\r\n"),
]


@pytest.mark.parametrize("kind", [Deciding, AsyncDeciding])
@pytest.mark.parametrize(("line", "reply"), [*DEFAULTS, *DECIDED])
def test_an_application_decides_or_leaves_the_default(
    line: bytes, reply: bytes, kind: smtp.ApplicationFactory
) -> None:
    served = Served(kind, *HELLO, Say(line), Expect(reply), *BYE, extensions=OFFERED)
    assert served.driver.reports == []


@pytest.mark.parametrize("kind", [smtp.Application, smtp.AsyncApplication])
@pytest.mark.parametrize(("line", "reply"), DEFAULTS)
def test_without_a_decision_the_default_holds(
    line: bytes, reply: bytes, kind: smtp.ApplicationFactory
) -> None:
    served = Served(kind, *HELLO, Say(line), Expect(reply), *BYE, extensions=OFFERED)
    assert served.driver.reports == []
    assert len(served.driver.asked) == 1


def test_a_decision_that_is_no_answer_is_451() -> None:
    failed = Expect(b"451 Local error in processing\r\n")
    served = Served(
        Deciding, *HELLO, Say(b"XLOOK bad\r\n"), failed, *BYE, extensions=OFFERED
    )
    assert [type(each) for each in served.driver.reports] == [LocalProtocolError]


def test_a_command_of_ones_own_may_come_between_two_chunks() -> None:
    wire = b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\naXLOOK joe\r\nBDAT 1 LAST\r\nb"
    replies = b"250 Sender OK\r\n250 Recipient OK\r\n", b"250 Chunk accepted\r\n"
    served = Served(
        Deciding,
        *[*HELLO, Say(wire), Expect(b"".join(replies) + DECIDED[2][1] + b"250 ab\r\n")],
        *BYE,
        extensions=OFFERED,
    )
    assert served.driver.reports == []


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"NOOP\r\n", b"250 OK\r\n"),
        (b"RSET\r\n", b"250 OK\r\n"),
        (b"FROB\r\n", b"500 Command not recognized\r\n"),
        (b"DATA\r\n", b"503 Bad sequence of commands\r\n"),
    ],
)
def test_an_application_is_not_asked_about_what_is_no_decision(
    line: bytes, reply: bytes
) -> None:
    class Failing(smtp.Application):
        def command(self, command: smtp.Command) -> Reply | None:
            raise AssertionError(command)

    served = Served(Failing, *HELLO, Say(line), Expect(reply), *BYE, extensions=OFFERED)
    assert served.driver.reports == []
