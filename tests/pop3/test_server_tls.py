"""Serving TLS: STLS, what is forgotten with it, and TLS from the start."""

import ssl
from typing import Final

import pytest

from cutting import octets
from driving import Close, Expect, Say, Shake, Silence, Step
from pop3_serving import (
    CAPA,
    DENIED,
    GOODBYE,
    GREETING,
    LOGIN,
    NAMED,
    OPENED,
    QUIT,
    Plain,
    Served,
    Talk,
    connection,
    logins,
    told,
)
from smtp_pop_core import Limits, Negotiated, Stopping, Timeouts, pop3, sasl
from smtp_pop_core.pop3 import Ending, State

TIMESTAMP: Final = "<1.2@pop.example>"
STARTED: Final = b"+OK Begin TLS\r\n"
STLS: Final[list[Step]] = [Say(b"STLS\r\n"), Expect(STARTED), Shake()]
INSIDE: Final[list[Step]] = [
    Say(b"USER joe\r\nPASS secret\r\n"),
    Expect(NAMED + OPENED),
]
NOT_NOW: Final = b"-ERR Not now\r\n"
CERTIFIED: Final = Negotiated("TLSv1.3", "TLS_AES_256_GCM_SHA384", certificate=b"joe")
USER_NEEDS_TLS: Final = (
    pop3.capabilities.User(needs_tls=True),
    *(each for each in pop3.usual() if each.tag != "USER"),
)


def secured(
    timestamp: str = "",
    *,
    tls: bool = False,
    limits: Limits | None = None,
) -> pop3.Connection:
    """Give the connection of a server that takes passwords inside TLS only."""
    capabilities = (*USER_NEEDS_TLS, pop3.capabilities.Stls())
    return connection(
        capabilities=capabilities, timestamp=timestamp, tls=tls, limits=limits
    )


def tags(talk: Talk) -> list[str]:
    return talk.hear(b"CAPA\r\n").decode().splitlines()[1:-1]


# STLS.  RFC 2595 section 4.


def test_stls_leads_into_tls_and_a_login_inside() -> None:
    served = Served(Plain, GREETING, *STLS, *INSIDE, *QUIT, conn=secured())
    assert served.ending is Ending.QUIT
    assert served.driver.reports == []
    assert served.peer.hostnames == [None]
    assert served.conn.tls


def test_without_logins_all_works_inside_tls() -> None:
    """Which commands there are is said anew, with and without mechanisms."""
    conn = connection(capabilities=(*pop3.usual(), pop3.capabilities.Stls()))
    talk = Talk(Plain, conn=conn)
    assert talk.hear(b"STLS\r\n") == STARTED
    assert talk.hear(b"CAPA\r\nUTF8\r\n") == CAPA + b"+OK UTF-8 it is\r\n"
    assert talk.log_in() == OPENED
    assert talk.hear(b"TOP 1 0\r\nUIDL 1\r\n").count(b"+OK") == 2


def test_stls_is_offered_where_it_is_allowed() -> None:
    talk = Talk(Plain, conn=secured())
    assert "STLS" in tags(talk)
    assert talk.hear(b"STLS\r\n") == STARTED
    assert "STLS" not in tags(talk)
    assert talk.hear(b"STLS\r\n") == NOT_NOW
    talk.log_in()
    assert "STLS" not in tags(talk)
    assert talk.hear(b"STLS\r\n") == NOT_NOW


def test_stls_is_not_offered_after_a_login() -> None:
    conn = connection(capabilities=(*pop3.usual(), pop3.capabilities.Stls()))
    talk = Talk(Plain, conn=conn)
    talk.log_in()
    assert "STLS" not in tags(talk)
    assert talk.hear(b"STLS\r\n") == NOT_NOW


def test_stls_comes_before_utf8() -> None:
    """RFC 6856 section 2.1."""
    talk = Talk(Plain, conn=secured())
    assert talk.hear(b"UTF8\r\nSTLS\r\n") == b"+OK UTF-8 it is\r\n" + NOT_NOW


def test_a_server_without_a_certificate_has_no_stls() -> None:
    talk = Talk(Plain)
    assert talk.hear(b"STLS\r\n") == b"-ERR Command not implemented\r\n"


@pytest.mark.parametrize("argument", [b" ", b" now"])
def test_stls_has_no_argument(argument: bytes) -> None:
    talk = Talk(Plain, conn=secured())
    assert talk.hear(b"STLS" + argument + b"\r\n").startswith(b"-ERR ")
    assert not talk.conn.tls


def test_a_name_that_was_said_without_tls_is_forgotten() -> None:
    """RFC 2595 section 4."""
    conn = connection(capabilities=(*pop3.usual(), pop3.capabilities.Stls()))
    talk = Talk(Plain, conn=conn)
    assert talk.hear(b"USER joe\r\nSTLS\r\n") == NAMED + STARTED
    assert talk.hear(b"PASS secret\r\n") == NOT_NOW
    assert talk.conn.state is State.AUTHORIZATION
    assert talk.log_in() == OPENED


def test_a_certificate_alone_lets_nobody_in() -> None:
    talk = Talk(Plain, conn=secured(), negotiated=CERTIFIED)
    assert talk.hear(b"STLS\r\n", b"STAT\r\n") == STARTED + NOT_NOW
    inside = Talk(Plain, conn=secured(tls=True), negotiated=CERTIFIED)
    assert inside.hear(b"STAT\r\n") == NOT_NOW


@pytest.mark.parametrize(
    "injected",
    [b"CAPA\r\n", b"USER evil\r\n", b"USER evil\r\nPASS x\r\n", b"Q", b"\r\n", b"\x16"],
)
def test_octets_behind_stls_end_the_session(injected: bytes) -> None:
    """CVE-2011-0411: what was said without TLS is never read inside it."""
    served = Served(
        Plain,
        *[GREETING, Say(b"STLS\r\n" + injected), Expect(STARTED)],
        conn=secured(),
    )
    assert served.peer.hostnames == []
    assert served.conn.state is State.CLOSED
    assert told == [Ending.LOST]
    assert served.driver.reports == []


def test_the_handshake_begins_right_behind_the_answer() -> None:
    """However STLS comes, and with nothing in between."""
    said = [Say(each) for each in octets(b"STLS\r\n")]
    served = Served(
        Plain, GREETING, *said, Expect(STARTED), Shake(), *INSIDE, *QUIT, conn=secured()
    )
    assert served.peer.writes[1] == STARTED
    assert served.ending is Ending.QUIT


@pytest.mark.parametrize(
    ("error", "ending", "reported"),
    [
        (ssl.SSLError("no shared cipher"), Ending.LOST, False),
        (ConnectionResetError(), Ending.LOST, False),
        (TimeoutError(), Ending.TIMEOUT, False),
        (Stopping(), Ending.STOPPING, False),
        (ValueError("there is no context for TLS"), Ending.LOST, True),
    ],
)
@pytest.mark.parametrize("implicit", [True, False])
def test_a_handshake_that_fails_ends_the_session(
    error: Exception, ending: Ending, reported: bool, implicit: bool
) -> None:
    """Nothing can be said; the operator hears of what is not the client's fault."""
    before: list[Step] = [GREETING, Say(b"STLS\r\n"), Expect(STARTED)]
    steps = [*before[: 0 if implicit else 3], Shake(error)]
    served = Served(Plain, *steps, conn=secured(tls=implicit))
    assert served.ending is ending
    assert told == [ending]
    assert served.driver.reports == [error] * reported
    assert served.conn.state is State.CLOSED


def test_a_handshake_has_a_deadline() -> None:
    limits = Limits(timeouts=Timeouts(greeting=7))
    served = Served(Plain, GREETING, *STLS, *INSIDE, *QUIT, conn=secured(limits=limits))
    assert 7 in served.peer.deadlines


def test_the_mechanisms_are_said_anew_inside_tls() -> None:
    """Those that show a password are only there inside; bindings bring others."""
    bound = Negotiated("TLSv1.3", "x", bindings={"tls-exporter": bytes(32)})
    given = logins(allow_insecure=False)
    talk = Talk(Plain, conn=secured(), logins=given, negotiated=bound)
    outside = "SASL SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5"
    inside = (
        "SASL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "
        "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"
    )
    assert outside in tags(talk)
    assert "USER" not in tags(talk)
    unsafe = b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"
    assert talk.hear(unsafe) == b"-ERR Mechanism not supported\r\n"
    assert talk.hear(b"STLS\r\n") == STARTED
    assert inside in tags(talk)
    assert "USER" in tags(talk)
    assert talk.hear(unsafe) == OPENED
    assert talk.slept == []


def test_failed_logins_count_on_inside_tls() -> None:
    """STLS is no way to go on trying."""
    conn = connection(
        capabilities=(*pop3.usual(), pop3.capabilities.Stls()),
        limits=Limits(failed_logins=2),
    )
    talk = Talk(Plain, conn=conn)
    assert talk.log_in(password="wrong") == DENIED
    talk.hear(b"STLS\r\n")
    assert talk.log_in(password="wrong") == DENIED
    assert talk.ending is Ending.REFUSED


def test_the_time_stamp_of_the_greeting_holds_inside_tls() -> None:
    """There is no other greeting."""
    digest = sasl.apop_digest(TIMESTAMP, "secret")
    talk = Talk(Plain, conn=secured(TIMESTAMP))
    talk.hear(b"STLS\r\n")
    assert talk.hear(f"APOP joe {digest}\r\n".encode()) == OPENED


class Looking(Plain):
    """Notes what it sees of TLS when it is asked."""

    def authenticate(self, question: sasl.Question) -> object:
        peer = self.peer
        told.append((peer.tls, peer.security, list(peer.capabilities)))
        return super().authenticate(question)


def test_an_application_sees_what_was_negotiated() -> None:
    conn = connection(capabilities=(*pop3.usual(), pop3.capabilities.Stls()))
    talk = Talk(Looking, conn=conn, negotiated=CERTIFIED)
    talk.hear(b"CAPA\r\n")
    talk.log_in(password="wrong")
    talk.hear(b"STLS\r\n")
    talk.log_in()
    said = [*(each.tag for each in pop3.usual()), "STLS"]
    assert told == [(False, None, said), (True, CERTIFIED, []), "joe"]


# TLS from the start.  RFC 8314 section 3.


def test_implicit_tls_begins_with_a_handshake() -> None:
    """The greeting comes inside, and there is no STLS."""
    served = Served(
        Plain,
        *[Shake(), *LOGIN, Say(b"CAPA\r\n")],
        Expect(CAPA.replace(b"USER\r\n", b"", 1).replace(b"TOP", b"USER\r\nTOP", 1)),
        *QUIT,
        conn=secured(tls=True),
    )
    assert served.peer.hostnames == [None]
    assert served.peer.deadlines[0] == 300
    assert served.ending is Ending.QUIT


def test_a_client_that_says_nothing_in_the_handshake_hears_nothing() -> None:
    served = Served(Plain, Shake(TimeoutError()), conn=secured(tls=True))
    assert served.peer.writes == []
    assert told == [Ending.TIMEOUT]


def refusing(peer: pop3.Peer) -> pop3.Application:
    raise ValueError("secret")


def test_without_an_application_nothing_is_said_before_tls() -> None:
    served = Served(refusing, conn=secured(tls=True))
    assert served.ending is Ending.REFUSED
    assert served.peer.writes == []
    assert len(served.driver.reports) == 1
    assert served.conn.state is State.CLOSED


def test_stls_is_refused_inside_implicit_tls() -> None:
    talk = Talk(Plain, conn=secured(tls=True))
    assert talk.hear(b"STLS\r\nQUIT\r\n") == NOT_NOW + GOODBYE


@pytest.mark.parametrize(
    ("steps", "ending"), [([Close()], Ending.LOST), ([Silence()], Ending.TIMEOUT)]
)
def test_a_session_inside_tls_ends_as_others_do(
    steps: list[Step], ending: Ending
) -> None:
    Served(Plain, GREETING, *STLS, *INSIDE, *steps, conn=secured())
    assert told == ["joe", "closed", ending]
