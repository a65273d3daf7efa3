"""Serving: what the application is asked, and what the client is told."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from cutting import every_cut
from driving import Close, Expect, Say, Step
from pop3_serving import (
    CAPA,
    DENIED,
    GOODBYE,
    GREETING,
    KINDS,
    LOGIN,
    MARKED,
    NAMED,
    NO_SUCH_MESSAGE,
    ON_THE_WIRE,
    OPENED,
    PRELUDES,
    QUIT,
    Plain,
    Served,
    Talk,
    answering,
    awaiting,
    connection,
    told,
)
from smtp_pop_core import Limits, pop3, sasl
from smtp_pop_core.pop3 import ERR, OK, Ending, Response

COMMANDS: Final[list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "pop3.toml").read_text("utf-8")
)["command"]
WHOLE: Final = (
    b"CAPA\r\nUSER joe\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 2\r\nTOP 1 0\r\n"
    b"DELE 1\r\nNOOP\r\nQUIT\r\n"
)
ANSWERS: Final = (
    GREETING.data
    + CAPA
    + NAMED
    + OPENED
    + b"+OK 2 54\r\n"
    + b"+OK 2 messages\r\n1 23\r\n2 31\r\n.\r\n"
    + b"+OK 2 messages\r\n1 id-1\r\n2 id-2\r\n.\r\n"
    + b"+OK 31 octets\r\n"
    + ON_THE_WIRE[1]
    + b"+OK 23 octets\r\nSubject: one\r\n\r\n.\r\n"
    + MARKED
    + b"+OK\r\n"
    + GOODBYE
)


# What is asked.


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_goes_from_its_greeting_to_its_goodbye(
    kind: pop3.ApplicationFactory,
) -> None:
    served = Served(kind, Say(WHOLE), Expect(ANSWERS))
    assert served.ending is Ending.QUIT
    assert served.driver.reports == []
    assert told == ["joe", [1], "closed", Ending.QUIT]


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_may_be_cut_at_any_octet(kind: pop3.ApplicationFactory) -> None:
    for cut in every_cut(WHOLE):
        served = Served(kind, *map(Say, cut), Expect(ANSWERS))
        assert served.ending is Ending.QUIT
        assert told == ["joe", [1], "closed", Ending.QUIT]


@pytest.mark.parametrize("kind", [pop3.Application, pop3.AsyncApplication])
def test_an_application_that_decides_nothing_is_asked_nothing(
    kind: pop3.ApplicationFactory,
) -> None:
    served = Served(
        kind,
        GREETING,
        Say(b"USER joe\r\nPASS secret\r\n"),
        Expect(NAMED + DENIED),
        *QUIT,
    )
    assert served.driver.asked == [kind.__name__]  # type: ignore[attr-defined]
    assert served.ending is Ending.QUIT


def test_the_methods_of_an_application_have_defaults() -> None:
    """A class may call those of its base."""

    class Polite(pop3.Application):
        def connect(self) -> Response | None:
            return super().connect()

        def authenticate(self, question: sasl.Question) -> object:
            return super().authenticate(question) or "joe"

        def open(self, identity: str) -> pop3.Maildrop:
            return super().open(identity)

        def command(self, command: pop3.Command) -> Response | None:
            return super().command(command)

        def close(self, reason: Ending) -> None:
            super().close(reason)

    class AsyncPolite(pop3.AsyncApplication):
        async def connect(self) -> Response | None:
            return await super().connect()

        async def authenticate(self, question: sasl.Question) -> object:
            return await super().authenticate(question) or "joe"

        async def open(self, identity: str) -> pop3.Maildrop | pop3.AsyncMaildrop:
            return await super().open(identity)

        async def command(self, command: pop3.Command) -> Response | None:
            return await super().command(command)

        async def close(self, reason: Ending) -> None:
            await super().close(reason)

    kinds: list[pop3.ApplicationFactory] = [Polite, AsyncPolite]
    for kind in kinds:
        served = Served(
            kind,
            *[GREETING, Say(b"USER x\r\nPASS y\r\n")],
            Expect(NAMED + b"+OK 0 messages, 0 octets\r\n"),
            *[Say(b"LANG en\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\n")],
            Expect(b"-ERR No such language\r\n+OK 0 0\r\n"),
            Expect(b"+OK 0 messages\r\n.\r\n" * 2 + NO_SUCH_MESSAGE),
            *QUIT,
            conn=connection(
                capabilities=(*pop3.usual(), pop3.capabilities.Lang()),
            ),
        )
        assert served.driver.asked[1:] == [
            *("connect", "authenticate", "open", "command", "commit", "close"),
            "close",
        ]
        assert served.driver.reports == []


# The greeting.


@pytest.mark.parametrize(
    ("domain", "timestamp", "greeting"),
    [
        ("pop.example", "", b"+OK pop.example POP3\r\n"),
        ("[192.0.2.7]", "", b"+OK [192.0.2.7] POP3\r\n"),
        (
            "dbc.mtview.ca.us",
            "<1896.697170952@dbc.mtview.ca.us>",
            b"+OK dbc.mtview.ca.us POP3 <1896.697170952@dbc.mtview.ca.us>\r\n",
        ),
    ],
)
def test_the_greeting_has_the_name_of_the_server_and_the_time_stamp(
    domain: str, timestamp: str, greeting: bytes
) -> None:
    conn = connection(domain=domain, timestamp=timestamp)
    assert Talk(Plain, conn=conn).greeting == greeting


@pytest.mark.parametrize("make", [answering, awaiting])
def test_an_application_may_greet_in_its_own_words(make: Any) -> None:
    factory = make("connect", Response(OK, "at your service <1.2@pop.example>"))
    talk = Talk(factory, conn=connection(timestamp="<1.2@pop.example>"))
    assert talk.greeting == b"+OK at your service <1.2@pop.example>\r\n"
    assert talk.log_in() == OPENED


@pytest.mark.parametrize("make", [answering, awaiting])
def test_an_application_may_refuse_a_client(make: Any) -> None:
    """Nothing is served behind it."""
    refusal = Response(ERR, "Come back later", "SYS/TEMP")
    served = Served(
        make("connect", refusal),
        Say(b"USER joe\r\nPASS secret\r\n"),
        Expect(b"-ERR [SYS/TEMP] Come back later\r\n"),
    )
    assert served.ending is Ending.REFUSED
    assert told == [Ending.REFUSED]
    assert served.driver.reports == []


# What is written when.


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"NOOP\r\n" * 50, b"+OK\r\n" * 50),
        (b"DELE 1\r\nDELE 2\r\nRSET\r\n", MARKED * 2 + b"+OK "),
        (b"RETR 1\r\nRETR 2\r\n", b"+OK 23 octets\r\n" + ON_THE_WIRE[0] + b"+OK 31"),
        (b"LIST 1\r\nWHAT\r\nSTAT\r\n", b"+OK 1 23\r\n-ERR Command not recognized\r\n"),
    ],
)
def test_the_answers_to_a_group_are_one_write_in_order(
    said: bytes, heard: bytes
) -> None:
    """RFC 2449 section 6.6."""
    talk = Talk(Plain)
    talk.log_in()
    before = len(talk.writes)
    assert talk.hear(said).startswith(heard)
    assert len(talk.writes) == before + 1


def test_the_answers_that_are_gathered_are_bounded() -> None:
    limits = Limits(block=200, idle_commands=1_000)
    talk = Talk(Plain, conn=connection(limits=limits))
    talk.log_in()
    assert talk.hear(b"NOOP\r\n" * 500) == b"+OK\r\n" * 500
    assert talk.hear(b"RETR 1\r\n" * 100).count(ON_THE_WIRE[0]) == 100
    assert max(map(len, talk.writes)) < 300


def test_nothing_is_written_for_half_a_command() -> None:
    talk = Talk(Plain)
    assert talk.hear(b"USER jo") == b""
    assert talk.hear(b"e\r") == b""
    assert talk.hear(b"\n") == NAMED


@pytest.mark.parametrize("state", PRELUDES)
def test_nothing_behind_quit_is_run(state: str) -> None:
    """RFC 1939 section 6."""
    talk = Talk(Plain)
    talk.hear(*PRELUDES[state])
    assert talk.hear(b"QUIT\r\nNOOP\r\nCAPA\r\n") == GOODBYE
    assert talk.ending is Ending.QUIT


# Who is at the other end.


class Looking(Plain):
    """Notes what it sees of the peer."""

    def connect(self) -> Response | None:
        self.look()
        return None

    def command(self, command: pop3.Command) -> Response | None:
        self.look()
        return None

    def look(self) -> None:
        peer = self.peer
        told.append((peer.identity, peer.tls, peer.utf8, "TOP" in peer.capabilities))
        assert (peer.address, peer.port) == ("192.0.2.1", 1100)
        assert peer.security is None


def test_a_peer_is_kept_up_to_date() -> None:
    look: list[Step] = [Say(b"LANG\r\n"), Expect(b"-ERR No such language\r\n")]
    lang = b"IMPLEMENTATION smtp-pop-core\r\nLANG\r\n"
    Served(
        Looking,
        *[GREETING, Say(b"CAPA\r\n")],
        Expect(CAPA.replace(b"IMPLEMENTATION smtp-pop-core\r\n", lang)),
        *look,
        *[Say(b"UTF8\r\n"), Expect(b"+OK UTF-8 it is\r\n"), *look],
        *[Say(b"USER joe\r\nPASS secret\r\n"), Expect(NAMED + OPENED), *look],
        *QUIT,
        conn=connection(capabilities=(*pop3.usual(), pop3.capabilities.Lang())),
    )
    assert told == [
        ("", False, False, False),
        ("", False, False, True),
        ("", False, True, True),
        "joe",
        ("joe", False, True, True),
        [],
        "closed",
        Ending.QUIT,
    ]


# Loss.


@pytest.mark.parametrize(
    "steps",
    [
        [Close()],
        [GREETING, Close()],
        [GREETING, Say(b"QUIT\r"), Close()],
        [*LOGIN, Close()],
        [*LOGIN, Say(b"DELE 1\r\n"), Expect(MARKED), Say(b"QUIT"), Close()],
    ],
)
def test_half_a_command_is_never_run(steps: Iterable[Step]) -> None:
    served = Served(Plain, *steps)
    assert served.ending is Ending.LOST
    assert told[-1] is Ending.LOST
    assert [] not in told
    assert [1] not in told
