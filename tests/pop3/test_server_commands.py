"""Serving: the commands of each state, those of capabilities, and UTF-8."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from driving import Expect, Say
from pop3_serving import (
    CAPA,
    CONTENTS,
    GOODBYE,
    LOGIN,
    MARKED,
    NAMED,
    OPENED,
    PRELUDES,
    Memory,
    Plain,
    Served,
    Talk,
    connection,
    opening,
    told,
)
from smtp_pop_core import Limits, pop3, sasl
from smtp_pop_core.pop3 import OK, Ending, Response, State

COMMANDS: Final[list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "pop3.toml").read_text("utf-8")
)["command"]

# Commands by their state.  RFC 1939 sections 4 to 7.

KINDS_OF_ANSWERS: Final = {
    "ok": lambda heard: heard.startswith(b"+OK") and heard.count(b"\r\n") == 1,
    "err": lambda heard: heard.startswith(b"-ERR") and heard.count(b"\r\n") == 1,
    "multi": lambda heard: heard.startswith(b"+OK") and heard.endswith(b"\r\n.\r\n"),
    "incomplete": lambda heard: heard == b"",
}


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case["wire"].strip()[:20])
def test_a_command_is_answered_as_its_state_says(case: dict[str, Any]) -> None:
    talk = Talk(Plain)
    talk.hear(*PRELUDES[case["state"]])
    heard = talk.hear(case["wire"].encode("latin-1"))
    assert KINDS_OF_ANSWERS[case["expect"]](heard)
    assert not talk.driver.reports


IN_TRANSACTION: Final = [
    *("STAT", "LIST", "LIST 1", "UIDL", "UIDL 1", "RETR 1", "TOP 1 0", "DELE 1"),
    *("RSET", "NOOP"),
]
IN_AUTHORIZATION: Final = [
    *("USER ann", "PASS secret", "AUTH", "AUTH PLAIN", "STLS", "UTF8"),
    *("APOP joe c4c9334bac560ecc979e58001b3e22fb",),
]
EVERYTHING: Final = (
    *pop3.usual(),
    pop3.capabilities.Stls(),
    pop3.capabilities.Sasl(("PLAIN",)),
)


@pytest.mark.parametrize("line", IN_TRANSACTION)
def test_before_the_login_nothing_is_said_about_messages(line: str) -> None:
    talk = Talk(Plain)
    assert talk.hear(f"{line}\r\n".encode()) == b"-ERR Not now\r\n"
    talk.hear(b"USER joe\r\n")
    assert talk.hear(f"{line}\r\n".encode()) == b"-ERR Not now\r\n"
    assert talk.log_in() == OPENED


@pytest.mark.parametrize("line", IN_AUTHORIZATION)
def test_after_the_login_there_is_no_other(line: str) -> None:
    conn = connection(capabilities=EVERYTHING, timestamp="<1.2@pop.example>")
    talk = Talk(Plain, conn=conn)
    talk.log_in()
    assert talk.hear(f"{line}\r\n".encode()) == b"-ERR Not now\r\n"
    assert talk.hear(b"STAT\r\n") == b"+OK 2 54\r\n"
    assert told == ["joe"]


@pytest.mark.parametrize(
    "line", ["STAT 1", "RSET 1", "NOOP x", "QUIT x", "CAPA x", "UTF8 USER", "STLS x"]
)
def test_a_command_without_arguments_takes_none(line: str) -> None:
    conn = connection(capabilities=EVERYTHING)
    talk = Talk(Plain, conn=conn)
    heard = talk.hear(f"{line}\r\nUSER joe\r\nPASS secret\r\n{line}\r\n".encode())
    first, *_, last = heard.splitlines()
    assert first.startswith(b"-ERR")
    assert last.startswith(b"-ERR")
    assert talk.conn.state is State.TRANSACTION


@pytest.mark.parametrize("word", ["quit", "Quit", "qUIT"])
def test_the_case_of_a_keyword_does_not_matter(word: str) -> None:
    assert Talk(Plain).hear(f"{word}\r\n".encode()) == GOODBYE


def test_a_line_that_is_too_long_is_answered_once_and_dropped() -> None:
    """RFC 2449 section 4: 255 octets with CRLF, and no part of the rest is run."""
    talk = Talk(Plain)
    assert talk.hear(b"USER " + b"x" * 248 + b"\r\n") == NAMED
    long = b"USER " + b"x" * 249 + b"\r\nUSER joe\r\n"
    assert talk.hear(long) == b"-ERR Line too long\r\n" + NAMED
    assert talk.hear(b"QUIT " * 2_000) == b"-ERR Line too long\r\n"
    assert talk.hear(b"QUIT " * 2_000) == b""
    assert talk.hear(b"\r\nNOOP\r\nCAPA\r\n") == b"-ERR Not now\r\n" + CAPA


def test_a_session_bears_only_so_many_bad_commands() -> None:
    served = Served(
        Plain,
        *LOGIN,
        Say(b"DELE 1\r\n" + b"WHAT\r\n" * 3 + b"QUIT\r\n"),
        Expect(MARKED + b"-ERR Command not recognized\r\n" * 2),
        Expect(b"-ERR Too many bad commands\r\n"),
        conn=connection(limits=Limits(bad_commands=2)),
    )
    assert served.ending is Ending.REFUSED
    assert told == ["joe", "closed", Ending.REFUSED]


def test_commands_out_of_order_may_come_as_often_as_they_like() -> None:
    """A client that pipelines sends them after a refusal."""
    talk = Talk(Plain, conn=connection(limits=Limits(bad_commands=1)))
    assert talk.hear(b"STAT\r\n" * 9) == b"-ERR Not now\r\n" * 9


@pytest.mark.parametrize(
    "octets", [b"USER a\0b", b"USER \xc3\xa9", b"RETR 1\t", b"\xff"]
)
def test_octets_that_the_grammar_does_not_know_are_refused(octets: bytes) -> None:
    talk = Talk(Plain)
    assert talk.hear(octets + b"\r\n").startswith(b"-ERR ")
    assert talk.log_in() == OPENED


def test_the_command_line_of_a_web_browser_gets_nowhere() -> None:
    talk = Talk(Plain)
    heard = talk.hear(b"GET / HTTP/1.1\r\nHost: pop.example\r\n\r\nUSER joe\r\n")
    assert heard == b"-ERR Another protocol is spoken here\r\n"
    assert talk.ending is Ending.REFUSED


# Capabilities.  RFC 2449.


def test_capa_says_the_same_before_and_after_the_login() -> None:
    """RFC 2449 section 5."""
    talk = Talk(Plain)
    assert talk.hear(b"CAPA\r\n") == CAPA
    talk.log_in()
    assert talk.hear(b"CAPA\r\n") == CAPA


@pytest.mark.parametrize(
    ("missing", "line", "state"),
    [
        ("TOP", b"TOP 1 0\r\n", "transaction"),
        ("UIDL", b"UIDL\r\n", "transaction"),
        ("USER", b"USER joe\r\n", "authorization"),
        ("UTF8", b"UTF8\r\n", "authorization"),
        ("STLS", b"STLS\r\n", "authorization"),
        ("SASL", b"AUTH PLAIN\r\n", "authorization"),
        ("APOP", b"APOP joe c4c9334bac560ecc979e58001b3e22fb\r\n", "authorization"),
        ("LANG", b"LANG\r\n", "authorization"),
    ],
)
def test_what_is_not_offered_does_not_work(
    missing: str, line: bytes, state: str
) -> None:
    offered = [each for each in pop3.usual() if each.tag != missing]
    talk = Talk(Plain, conn=connection(capabilities=offered))
    talk.hear(*PRELUDES[state])
    assert talk.hear(line) == b"-ERR Command not implemented\r\n"


def test_without_resp_codes_there_are_none() -> None:
    """RFC 2449 section 6.4."""
    offered = [each for each in pop3.usual() if each.tag != "RESP-CODES"]
    talk = Talk(Plain, conn=connection(capabilities=offered))
    assert talk.log_in(password="wrong") == b"-ERR Login failed\r\n"


# Commands that the application decides.


class Speaking(Plain):
    """Has texts in two languages."""

    def command(self, command: pop3.Command) -> Response | None:
        told.append(command)
        match command:
            case pop3.Lang(tag=None):
                names = pop3.Language("en", "English"), pop3.Language("fr", "Français")
                return Response(OK, "Languages", data=pop3.Languages(names))
            case pop3.Lang(tag="fr" | "*"):
                name = pop3.Language("fr", "Langue changée")
                return Response(OK, data=pop3.Languages((name,)))
        return None


def test_an_application_may_speak_several_languages() -> None:
    """RFC 6856 section 3: before and after the login."""
    conn = connection(capabilities=(*pop3.usual(), pop3.capabilities.Lang()))
    talk = Talk(Speaking, conn=conn)
    listing = "+OK Languages\r\nen English\r\nfr Français\r\n.\r\n"
    for _ in range(2):
        assert talk.hear(b"LANG\r\n").decode() == listing
        assert talk.hear(b"LANG fr\r\n").decode() == "+OK fr Langue changée\r\n"
        assert talk.hear(b"LANG *\r\n").decode() == "+OK fr Langue changée\r\n"
        assert talk.hear(b"LANG xx-none\r\n") == b"-ERR No such language\r\n"
        assert talk.hear(b"LANG 1\r\n") == b"-ERR Syntax error in arguments\r\n"
        talk.log_in()
    assert told[:2] == [pop3.Lang(None), pop3.Lang("fr")]


@dataclass(frozen=True, slots=True)
class Xsum(pop3.Command):
    """What a message adds up to."""

    number: int


@dataclass(frozen=True, slots=True)
class Sums(pop3.Capability):
    """Offers it."""

    tag = "XSUM"
    verbs: ClassVar = (
        pop3.Verb(
            "XSUM", Xsum, lambda text: Xsum(int(text)), lambda it: f"{it.number}"
        ),
    )
    rows: ClassVar[pop3.Table] = {State.TRANSACTION: {Xsum: {OK: None}}}


class Summing(Plain):
    def command(self, command: pop3.Command) -> Response | None:
        known = isinstance(command, Xsum) and command.number == 1
        return Response(OK, "42") if known else None


class AsyncSumming(pop3.AsyncApplication):
    async def authenticate(self, question: sasl.Question) -> object:
        return "joe"

    async def open(self, identity: str) -> pop3.Maildrop:
        return Memory(*CONTENTS)

    async def command(self, command: pop3.Command) -> Response | None:
        known = isinstance(command, Xsum) and command.number == 1
        return Response(OK, "42") if known else None


@pytest.mark.parametrize("kind", [Summing, AsyncSumming])
def test_an_application_may_have_commands_of_its_own(
    kind: pop3.ApplicationFactory,
) -> None:
    talk = Talk(kind, conn=connection(capabilities=(*pop3.usual(), Sums())))
    assert talk.hear(b"XSUM 1\r\n") == b"-ERR Not now\r\n"
    assert talk.log_in() == OPENED
    assert talk.hear(b"CAPA\r\n") == CAPA.replace(b"\r\n.\r\n", b"\r\nXSUM\r\n.\r\n")
    assert talk.hear(b"xsum 1\r\n") == b"+OK 42\r\n"
    assert talk.hear(b"XSUM 2\r\n") == b"-ERR Command not implemented\r\n"
    assert talk.hear(b"XSUM x\r\n") == b"-ERR Syntax error in arguments\r\n"
    assert talk.driver.reports == []


# UTF-8.  RFC 6856.


def test_a_name_and_a_password_may_be_utf_8_after_utf8() -> None:
    class Global(Plain):
        def authenticate(self, question: sasl.Question) -> object:
            told.append(question)
            return "josé"

    line = "USER josé\r\n".encode()
    talk = Talk(Global)
    assert talk.hear(line) == b"-ERR Only ASCII is allowed here\r\n"
    assert talk.hear(b"UTF8\r\n" + line) == b"+OK UTF-8 it is\r\n" + NAMED
    assert talk.hear("PASS naïve\r\n".encode()) == OPENED
    assert told == [sasl.VerifyPassword("josé", "naïve"), "josé"]


@pytest.mark.parametrize("name", [b"\xc0\xaf", b"\xff", b"\xed\xa0\x80", b"a\xc3"])
def test_what_is_not_utf_8_is_no_name(name: bytes) -> None:
    """RFC 6856 section 2.2."""
    talk = Talk(Plain)
    heard = talk.hear(b"UTF8\r\nUSER " + name + b"\r\nUSER joe\r\nPASS \xff\r\n")
    bad = b"-ERR Syntax error in arguments\r\n"
    assert heard == b"+OK UTF-8 it is\r\n" + bad + NAMED + bad


def test_a_server_may_take_utf_8_unasked() -> None:
    tolerances = pop3.Tolerances(utf8_login=True)
    talk = Talk(opening(Memory()), conn=connection(tolerances=tolerances))
    assert talk.hear("USER josé\r\n".encode()) == NAMED
