"""STARTTLS heard by a server: nothing crosses from one side to the other.  RFC 3207."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from conversing import converse
from driving import NEGOTIATED, Close, Expect, Say, Shake, Silence, Step, Stop
from serving import GREETING, SENDER_OK, Served, Taking, told
from smtp_logins import BOUND, PLAIN, Knowing, logins
from smtp_pop_core import CLIENT, SERVER, Security, Stopping, Tls, sasl, smtp
from smtp_pop_core.smtp import Connection, Ending, Reply, State

ATTACKS: Final[dict[str, dict[str, Any]]] = {
    each["id"]: each
    for each in tomllib.loads(
        (Path(__file__).parents[1] / "data" / "security.toml").read_text("utf-8")
    )["attack"]
}

WITH_TLS: Final = (smtp.extensions.StartTls(), smtp.extensions.Size(100))
BEGUN: Final[list[Step]] = [
    GREETING,
    Say(b"EHLO me.example\r\n"),
    Expect(b"250-mx.example\r\n250-STARTTLS\r\n250 SIZE 100\r\n"),
]
READY: Final = Expect(b"220 Ready to start TLS\r\n")
UP_TO_TLS: Final[list[Step]] = [*BEGUN, Say(b"STARTTLS\r\n"), READY]
AGAIN: Final[list[Step]] = [
    Say(b"EHLO again.example\r\n"),
    Expect(b"250-mx.example\r\n250 SIZE 100\r\n"),
]
QUITS: Final[list[Step]] = [
    Say(b"QUIT\r\n"),
    Expect(b"221 mx.example closing\r\n"),
]


def serve(application: smtp.ApplicationFactory, *steps: Step, **options: Any) -> Served:
    return Served(application, *steps, **{"extensions": WITH_TLS} | options)


class Looking(smtp.Application):
    """Notes who is there at each MAIL."""

    def mail(self, command: smtp.Mail) -> Reply | None:
        peer = self.peer
        told.append(
            (peer.helo, peer.identity, peer.tls, peer.security, list(peer.extensions))
        )
        return None


def test_a_server_offers_starttls_once() -> None:
    """Section 4.2; there is no second greeting."""
    served = serve(Taking, *UP_TO_TLS, Shake(), *AGAIN, *QUITS)
    assert served.ending is Ending.QUIT
    assert served.peer.hostnames == [None]
    assert served.driver.reports == []


def test_the_application_sees_what_was_reached_and_nothing_from_before() -> None:
    mail = b"MAIL FROM:<>\r\n"
    ok = Expect(SENDER_OK.replace(b"2.1.0 ", b""))
    serve(
        Looking,
        *[*BEGUN, Say(mail + b"RSET\r\n"), ok, Expect(b"250 OK\r\n")],
        *[Say(b"STARTTLS\r\n"), READY, Shake(BOUND), Say(mail)],
        Expect(b"503 Bad sequence of commands\r\n"),
        *[
            *AGAIN,
            Say(mail),
            ok,
            Say(b"QUIT\r\n"),
            Expect(b"221 mx.example closing\r\n"),
        ],
    )
    assert told == [
        ("me.example", "", False, None, ["STARTTLS", "SIZE"]),
        ("again.example", "", True, BOUND, ["SIZE"]),
    ]


def test_the_name_of_the_client_is_forgotten_at_once() -> None:
    peers: list[smtp.Peer] = []

    class Keeping(smtp.Application):
        def __init__(self, peer: smtp.Peer) -> None:
            super().__init__(peer)
            peers.append(peer)

    serve(Keeping, *UP_TO_TLS, Shake(), Close())
    [peer] = peers
    assert (peer.helo, peer.identity, dict(peer.extensions)) == ("", "", {})
    assert peer.security == NEGOTIATED


def test_a_login_does_not_outlive_the_start_of_tls() -> None:
    """SEC-STARTTLS-STATE-c."""
    offer = b"250-mx.example\r\n250-STARTTLS\r\n250-SIZE 100\r\n250 AUTH PLAIN\r\n"
    mail = b"MAIL FROM:<a@example.com>\r\n"
    served = serve(
        Knowing,
        *[GREETING, Say(b"EHLO me.example\r\n"), Expect(offer), Say(PLAIN)],
        *[Expect(b"235 Authentication succeeded\r\n"), Say(b"STARTTLS\r\n"), READY],
        *[Shake(), Say(mail), Expect(b"503 Bad sequence of commands\r\n")],
        Say(b"EHLO again.example\r\n"),
        Expect(b"250-mx.example\r\n250-SIZE 100\r\n250 AUTH PLAIN\r\n"),
        *[Say(mail), Expect(b"530 Authentication required\r\n"), Close()],
        logins=logins(mechanisms=[sasl.PLAIN], allow_insecure=True),
        profile=smtp.Profile(authenticated=True),
    )
    assert served.ending is Ending.LOST
    assert not served.conn.authenticated


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([Say(b"STARTTLS\r\n")], b"503"),  # before EHLO
        (
            [Say(b"HELO me\r\n"), Expect(b"250 mx.example\r\n"), Say(b"STARTTLS\r\n")],
            b"502",
        ),
        ([*BEGUN[1:], Say(b"STARTTLS x\r\n")], b"501"),
        ([*BEGUN[1:], Say(b"STARTTLS 1\r\n")], b"501"),
        ([*BEGUN[1:], Say(b"STARTTLSX\r\n")], b"500"),
        (
            [
                *[*BEGUN[1:], Say(b"MAIL FROM:<>\r\n"), Expect(b"250 Sender OK\r\n")],
                Say(b"STARTTLS\r\n"),
            ],
            b"503",
        ),
        ([*UP_TO_TLS[1:], Shake(), *AGAIN, Say(b"STARTTLS\r\n")], b"503"),
        ([*UP_TO_TLS[1:], Shake(), Say(b"STARTTLS\r\n")], b"503"),
    ],
)
def test_starttls_has_its_place(steps: list[Step], code: bytes) -> None:
    """Section 4: 501 for an argument; 503 in a transaction and inside TLS."""
    served = serve(smtp.Application, GREETING, *steps, Expect(code), Close())
    assert served.peer.writes[-1][:3] == code
    assert served.ending is Ending.LOST
    assert len(served.peer.hostnames) == (Shake() in steps)


def test_without_the_extension_there_is_no_starttls() -> None:
    served = serve(
        Taking,
        *[GREETING, Say(b"EHLO me\r\n"), Expect(b"250 mx.example\r\n")],
        *[Say(b"STARTTLS\r\n"), Expect(b"502 Command not implemented\r\n"), Close()],
        extensions=(),
    )
    assert served.peer.hostnames == []


# What was said to a server without TLS is not read inside it.


@pytest.mark.parametrize("letter", "bcde")
def test_commands_behind_starttls_end_the_session(letter: str) -> None:
    """SEC-STARTTLS-CMDINJ, complete lines and half ones: there is no handshake."""
    injected = "".join(ATTACKS[f"SEC-STARTTLS-CMDINJ-{letter}"]["send"]).encode()
    served = serve(Taking, *BEGUN, Say(injected), READY)
    assert served.ending is Ending.LOST
    assert served.peer.hostnames == []
    assert told == [Ending.LOST]
    assert served.conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(1, len(b"NOOP\r\n") + 1))
def test_a_single_octet_behind_starttls_is_too_much(octets: int) -> None:
    injected = b"STARTTLS\r\n" + b"NOOP\r\n"[:octets]
    served = serve(Taking, *BEGUN, Say(injected), READY)
    assert served.ending is Ending.LOST
    assert served.peer.hostnames == []


# Handshakes that fail.


@pytest.mark.parametrize(
    ("error", "ending", "reported"),
    [
        (OSError("no shared cipher"), Ending.LOST, False),
        (ConnectionResetError(), Ending.LOST, False),
        (TimeoutError(), Ending.TIMEOUT, False),
        (Stopping(), Ending.STOPPING, False),
        (ValueError("there is no context for TLS"), Ending.LOST, True),
    ],
)
@pytest.mark.parametrize(
    ("tls", "steps"), [(False, UP_TO_TLS), (True, [])], ids=["starttls", "implicit"]
)
def test_nothing_is_said_in_a_handshake_that_fails(
    tls: bool, steps: list[Step], error: Exception, ending: Ending, reported: bool
) -> None:
    served = serve(Taking, *steps, Shake(error), tls=tls)
    assert served.ending is ending
    assert told == [ending]
    assert served.conn.state is State.CLOSED
    assert served.driver.reports == [error] * reported
    assert served.peer.deadlines[-1] == 300


def test_a_client_that_is_too_slow_inside_tls_is_told_so() -> None:
    timeout = Expect(b"421 Timeout, closing\r\n")
    served = serve(Taking, *UP_TO_TLS, Shake(), Silence(), timeout)
    assert served.ending is Ending.TIMEOUT


def test_a_server_that_stops_says_so_inside_tls() -> None:
    stopped = Expect(b"421 Shutting down\r\n")
    served = serve(Taking, *UP_TO_TLS, Shake(), Stop(), stopped)
    assert served.ending is Ending.STOPPING


# TLS from the start.


def test_a_server_greets_inside_implicit_tls() -> None:
    """RFC 8314 section 3.3: STARTTLS is not offered in it."""
    served = serve(Taking, Shake(BOUND), GREETING, *AGAIN, *QUITS, tls=True)
    assert served.ending is Ending.QUIT
    assert served.peer.deadlines[0] == 300
    assert served.conn.tls


def test_without_an_application_nothing_is_said_before_implicit_tls() -> None:
    def failing(_: smtp.Peer) -> smtp.Application:
        raise ValueError("secret")

    served = serve(failing, tls=True)
    assert served.ending is Ending.REFUSED
    assert served.peer.writes == []
    assert len(served.driver.reports) == 1
    assert served.conn.state is State.CLOSED


# Both sides.


@pytest.mark.parametrize("sizes", [(65_536,), (1,), (7, 2, 30)])
@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("policy", Tls)
def test_a_message_travels_whatever_the_policy(
    policy: Tls, lmtp: bool, sizes: tuple[int, ...]
) -> None:
    tls = policy is Tls.IMPLICIT
    conn = Connection(CLIENT, domain="me.example", tls=tls, lmtp=lmtp)
    server = Connection(SERVER, extensions=WITH_TLS, tls=tls, lmtp=lmtp)

    def conversation() -> Any:
        yield from smtp.open(conn, Security(tls=policy))
        return (yield from smtp.send_mail(conn, "a@b.example", ["c@d.example"], b"x"))

    told.clear()
    result, ending, reports = converse(
        conversation(), smtp.serve(server, Taking), sizes
    )
    assert result.outcome is smtp.Outcome.ACCEPTED
    assert (told, ending, reports) == ([b"x\r\n", Ending.LOST], Ending.LOST, [])
    assert conn.tls is server.tls is (policy is not Tls.NONE)
