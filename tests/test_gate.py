"""The door of a server as its sessions see it: who is refused, who can make room."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from driving import Driver, Expect, Peer, Say, Shake, Step
from maildrops import Store
from proxy_headers import version_2
from smtp_pop_core import (
    SERVER,
    Deadline,
    Flow,
    Handshake,
    Logins,
    Read,
    Refusal,
    Request,
    pop3,
    sasl,
    smtp,
)
from smtp_pop_core.smtp import Ending

PROXY: Final = ("192.0.2.99", 40_001)
LINE: Final = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"
PROTOCOLS: Final = ("smtp", "pop3")
CLEAR: Final = Logins(
    stored={sasl.Stored.PASSWORD},
    fake_salt_key=b"key",
    nonce=lambda: "nonce",
    delay=0,
    allow_insecure=True,
)
both: Final = pytest.mark.parametrize("protocol", PROTOCOLS)


@dataclass
class Keeper:
    """A gate that says what it is told to, and notes what it hears."""

    refusal: Refusal | None = None
    entered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def enter(self, address: str) -> Refusal | None:
        self.entered.append(address)
        return self.refusal

    def login_failed(self, address: str) -> None:
        self.failed.append(address)


class Receiver(smtp.Application):
    """Knows nobody, and takes no messages."""

    def authenticate(self, question: sasl.Question) -> object:
        return None


class Watching(Driver):
    """Notes for each read whether the peer could be asked to go in it."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self.peer = peer
        self.ending: Ending | None = None
        self.deadline = Deadline(None)
        self.idle: list[bool] = []
        self.shaking: list[bool] = []

    def carry_out(self, request: Request, label: str) -> object:
        match request:
            case Deadline():
                self.deadline = request
            case Read():
                self.idle.append(self.deadline.idle)
            case Handshake():
                self.shaking.append(self.deadline.idle)
        return super().carry_out(request, label)


def watched(
    protocol: str,
    *steps: Step,
    gate: Keeper | None = None,
    proxied: bool = False,
    tls: bool = False,
) -> Watching:
    """Serve one session to its end."""
    driver = Watching(Peer(*steps))
    options: Any = {"gate": gate, "proxied": proxied, "logins": CLEAR}
    given: Any = {"domain": "mx.example", "tls": tls}
    flow: Flow[Ending]
    if protocol == "smtp":
        smtp_conn = smtp.Connection(SERVER, extensions=(), **given)
        flow = smtp.serve(smtp_conn, Receiver, *PROXY, **options)
    else:
        pop3_conn = pop3.Connection(SERVER, **given)
        flow = pop3.serve(pop3_conn, Store(), *PROXY, **options)
    driver.ending = driver.run(flow)
    return driver


def served(protocol: str, *steps: Step, **options: Any) -> Watching:
    """Do so, and see that all was said that was expected, and no more."""
    driver = watched(protocol, *steps, **options)
    driver.peer.finish()
    return driver


GREETINGS: Final = {
    "smtp": Expect(b"220 mx.example ESMTP\r\n"),
    "pop3": Expect(b"+OK mx.example POP3\r\n"),
}
GOODBYES: Final[dict[str, list[Step]]] = {
    "smtp": [Say(b"QUIT\r\n"), Expect(b"221 mx.example closing\r\n")],
    "pop3": [Say(b"QUIT\r\n"), Expect(b"+OK Goodbye\r\n")],
}


# What a refused client hears

REFUSALS: Final = [
    (Refusal.BUSY, "Too many sessions, try again later"),
    (Refusal.ADDRESS, "Too many connections from your address"),
    (Refusal.LOGINS, "Too many failed logins from your address"),
    (Refusal.STOPPING, "Shutting down"),
]


@pytest.mark.parametrize(("refusal", "text"), REFUSALS)
@pytest.mark.parametrize("lmtp", [False, True])
def test_a_refused_client_of_smtp_hears_421(
    refusal: Refusal, text: str, lmtp: bool
) -> None:
    """RFC 5321 section 3.8.  Without enhanced code: RFC 2034 section 4."""
    conn = smtp.Connection(SERVER, domain="mx.example", lmtp=lmtp)
    assert smtp.refuse(conn, refusal) == f"421 {text}\r\n".encode()
    assert conn.closed


@pytest.mark.parametrize(("refusal", "text"), REFUSALS)
def test_a_refused_client_of_pop3_hears_that_it_will_pass(
    refusal: Refusal, text: str
) -> None:
    """RFC 3206 section 4."""
    conn = pop3.Connection(SERVER, domain="mx.example")
    assert pop3.refuse(conn, refusal) == f"-ERR [SYS/TEMP] {text}\r\n".encode()
    assert conn.closed


def test_without_response_codes_a_client_of_pop3_hears_the_text_alone() -> None:
    conn = pop3.Connection(SERVER, domain="mx.example", capabilities=())
    assert pop3.refuse(conn, Refusal.STOPPING) == b"-ERR Shutting down\r\n"


@pytest.mark.parametrize("refusal", Refusal)
def test_where_tls_comes_first_nothing_is_said(refusal: Refusal) -> None:
    smtp_conn = smtp.Connection(SERVER, domain="mx.example", tls=True)
    pop3_conn = pop3.Connection(SERVER, domain="mx.example", tls=True)
    assert smtp.refuse(smtp_conn, refusal) == b""
    assert pop3.refuse(pop3_conn, refusal) == b""
    assert smtp_conn.closed
    assert pop3_conn.closed


# Clients behind a proxy

SAID: Final = {
    "smtp": b"421 Too many connections from your address\r\n",
    "pop3": b"-ERR [SYS/TEMP] Too many connections from your address\r\n",
}


@both
def test_the_gate_is_asked_about_the_client_behind_a_proxy(protocol: str) -> None:
    gate = Keeper()
    steps = [Say(LINE), GREETINGS[protocol], *GOODBYES[protocol]]
    driver = served(protocol, *steps, gate=gate, proxied=True)
    assert driver.ending is Ending.QUIT
    assert gate.entered == ["192.0.2.1"]


@both
def test_a_client_behind_a_proxy_that_is_refused_hears_it(protocol: str) -> None:
    gate = Keeper(Refusal.ADDRESS)
    driver = served(
        protocol, Say(LINE), Expect(SAID[protocol]), gate=gate, proxied=True
    )
    assert driver.ending is Ending.REFUSED
    assert [note.event for note in driver.notes] == ["connected", "ended"]


@both
def test_a_client_that_is_refused_before_tls_hears_nothing(protocol: str) -> None:
    gate = Keeper(Refusal.ADDRESS)
    driver = served(protocol, Say(LINE), gate=gate, proxied=True, tls=True)
    assert driver.ending is Ending.REFUSED
    assert driver.peer.writes == []


@both
def test_a_proxy_that_speaks_for_itself_is_not_counted(protocol: str) -> None:
    gate = Keeper(Refusal.ADDRESS)
    steps = [Say(version_2(0x20, 0)), GREETINGS[protocol], *GOODBYES[protocol]]
    assert served(protocol, *steps, gate=gate, proxied=True).ending is Ending.QUIT
    assert gate.entered == []


@both
def test_without_a_proxy_the_gate_is_not_asked(protocol: str) -> None:
    gate = Keeper(Refusal.ADDRESS)
    steps = [GREETINGS[protocol], *GOODBYES[protocol]]
    assert served(protocol, *steps, gate=gate).ending is Ending.QUIT
    assert gate.entered == []


# Logins that fail

AUTH: Final = Expect(b"250-mx.example\r\n250 AUTH PLAIN LOGIN\r\n")
FAILING: Final[dict[str, list[Step]]] = {
    "smtp": [
        Say(b"EHLO me.example\r\n"),
        AUTH,
        Say(b"AUTH PLAIN AHRpbQB3cm9uZw==\r\n"),
        Expect(b"535 Authentication failed\r\n"),
        Say(b"AUTH PLAIN\r\n"),
        Expect(b"334 \r\n"),
        Say(b"*\r\n"),
        Expect(b"501 The exchange was given up\r\n"),
    ],
    "pop3": [
        Say(b"AUTH PLAIN AHRpbQB3cm9uZw==\r\n"),
        Expect(b"-ERR [AUTH] Login failed\r\n"),
        Say(b"AUTH PLAIN\r\n"),
        Expect(b"+ \r\n"),
        Say(b"*\r\n"),
        Expect(b"-ERR The exchange was given up\r\n"),
    ],
}


@both
def test_the_gate_hears_of_each_login_that_failed(protocol: str) -> None:
    gate = Keeper()
    steps = [GREETINGS[protocol], *FAILING[protocol], *GOODBYES[protocol]]
    assert served(protocol, *steps, gate=gate).ending is Ending.QUIT
    assert gate.failed == ["192.0.2.99"] * 2


# Who can be asked to go

QUIT: Final = (b"QUIT\r\n",)
WAITS: Final = [
    # what a client says, and whether it can be asked to go before each of it
    ("smtp", [b"HE", b"LO me\r\n", b"NOOP\r\n"], [True] * 3),
    (
        "smtp",
        [b"HELO me\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<postmaster>\r\n", b"RSET\r\n"],
        [True, True, False, False],
    ),
    (
        "smtp",
        [
            b"HELO me\r\n",
            b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n",
            b"hello\r\n",
            b".\r\n",
        ],
        [True, True, False, False],
    ),
    (
        "smtp",
        [b"EHLO me\r\n", b"AUTH PLAIN\r\n", b"*\r\n"],
        [True, True, False],
    ),
    ("pop3", [b"CA", b"PA\r\n", b"USER alice\r\n"], [True] * 3),
    ("pop3", [b"AUTH PLAIN\r\n", b"*\r\n"], [True, False]),
    (
        "pop3",
        [b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", b"DELE 1\r\n", b"RSET\r\n"],
        [True] * 3,
    ),
]


@pytest.mark.parametrize(("protocol", "said", "idle"), WAITS)
def test_who_has_begun_nothing_can_be_asked_to_go(
    protocol: str, said: list[bytes], idle: list[bool]
) -> None:
    driver = watched(protocol, *[Say(each) for each in (*said, *QUIT)])
    assert driver.idle == [*idle, True]


@both
def test_who_does_not_finish_a_header_or_a_handshake_can_be_asked_to_go(
    protocol: str,
) -> None:
    driver = watched(protocol, Say(LINE), Shake(), Say(*QUIT), proxied=True, tls=True)
    assert driver.idle[:1] == [True]
    assert driver.shaking == [True]
