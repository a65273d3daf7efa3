"""The opening of a client's session: the greeting, EHLO, and TLS from the start."""

from typing import Any

import pytest

from cutting import every_cut
from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Shake,
    Step,
    Wait,
    cut_short,
    octets_said,
    opened,
    play,
)
from smtp_pop_core import (
    CLIENT,
    ConnectionLost,
    Limits,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
    Security,
    Tls,
    sasl,
    smtp,
)
from smtp_pop_core.smtp import Connection, State

EHLO = Expect(b"EHLO me.example\r\n")
HELO = Expect(b"HELO me.example\r\n")
QUIT = Expect(b"QUIT\r\n")
GREETING = Say(b"220 mx.example\r\n")
OPENING: list[Step] = [
    Say(b"220-mx.example\r\n220 welcome\r\n"),
    EHLO,
    Say(b"250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n"),
]


def client(**options: Any) -> Connection:
    return Connection(CLIENT, domain="me.example", **options)


# The greeting.


@pytest.mark.parametrize(
    "greeting", [b"220 mx\r\n", b"220\r\n", b"220-mx\r\n220-\r\n220 hello\r\n"]
)
def test_a_greeting_is_heard_however_it_is_cut(greeting: bytes) -> None:
    for cut in every_cut(greeting):
        conn = client()
        offers = play(
            smtp.open(conn), *map(Say, cut), EHLO, Say(b"250-mx\r\n250 X\r\n")
        )
        assert list(offers) == ["X"]
        assert conn.state is State.READY


@pytest.mark.parametrize(
    "answer",
    [[Say(b"221 bye\r\n")], [Say(b"500 what\r\n")], [Close()], [Say(b"x\r\n")]],
)
def test_a_greeting_that_is_a_no_is_rejected_after_quit(answer: list[Step]) -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), Say(b"554 no service\r\n"), QUIT, *answer)
    assert caught.value.command == smtp.Connect()
    assert caught.value.reply == smtp.Reply(554, ("no service",))
    assert conn.state is State.CLOSED


def test_a_refusal_is_rejected_though_quit_is_not_answered() -> None:
    conn, peer = client(), Peer(Say(b"554 no service\r\n"), QUIT)
    with pytest.raises(smtp.Rejected):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_after_a_greeting_of_421_nothing_is_said() -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), Say(b"421 busy\r\n"))
    assert caught.value.temporary
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+OK POP3\r\n",
        b"\x16\x03\x01\x02\x00\r\n",
        b"\r\n",
        b"220_mx\r\n",
        b"22 mx\r\n",
        b"120 mx\r\n",
        b"320 mx\r\n",
        b"354 mx\r\n",
        b"620 mx\r\n",
        b"220-mx\r\n221 mx\r\n",
        b"220 mx\n\r\n",
        b"220 m\0x\r\n",
        b"2" * 100_000,
        b"220-mx\r\n" * 1_001,
    ],
)
def test_what_is_no_greeting_ends_the_connection(greeting: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), Say(greeting))
    assert conn.state is State.CLOSED


def test_single_octets_do_not_push_the_deadline_of_the_greeting_back() -> None:
    conn = client()
    peer = Peer(*[step for _ in range(99) for step in (Wait(40), Say(b"2"))])
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_a_connection_is_opened_once() -> None:
    conn = opened()
    with pytest.raises(LocalProtocolError, match="no greeting is due in READY"):
        play(smtp.open(conn))
    assert conn.state is State.READY


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_go_away_at_any_octet_of_the_opening(octets: int) -> None:
    conn = client()
    with pytest.raises(ConnectionLost):
        play(smtp.open(conn), *cut_short(OPENING, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_fall_silent_at_any_octet_of_the_opening(octets: int) -> None:
    conn, peer = client(), Peer(*cut_short(OPENING, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_a_lost_connection_tells_the_last_reply() -> None:
    conn = client()
    with pytest.raises(ConnectionLost) as caught:
        play(smtp.open(conn), GREETING, Close())
    assert caught.value.last_reply == smtp.Reply(220, ("mx.example",))


def test_what_follows_the_greeting_is_no_answer_to_ehlo() -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), Say(b"220 mx\r\n250 mx\r\n"))
    assert conn.state is State.CLOSED


# EHLO and HELO.


@pytest.mark.parametrize("code", [500, 502, 504, 550])
def test_a_server_that_does_not_know_ehlo_gets_helo(code: int) -> None:
    conn = client()
    offers = play(
        smtp.open(conn),
        GREETING,
        EHLO,
        Say(b"%d what\r\n" % code),
        HELO,
        Say(b"250 mx\r\n"),
    )
    assert dict(offers) == {}
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("code", "state"), [(501, State.GREETED), (554, State.GREETED), (421, State.CLOSED)]
)
def test_any_other_no_to_ehlo_is_rejected(code: int, state: State) -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), GREETING, EHLO, Say(b"%d no\r\n" % code))
    assert caught.value.command == smtp.Ehlo("me.example")
    assert caught.value.reply.code == code
    assert conn.state is state


@pytest.mark.parametrize("code", [500, 504, 550, 421])
def test_a_no_to_helo_is_rejected(code: int) -> None:
    conn = client()
    steps: list[Step] = [
        GREETING,
        EHLO,
        Say(b"502 no\r\n"),
        HELO,
        Say(b"%d no\r\n" % code),
    ]
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), *steps)
    assert caught.value.command == smtp.Helo("me.example")


@pytest.mark.parametrize("reply", [b"354 go\r\n", b"150 x\r\n", b"x\r\n"])
def test_an_answer_to_ehlo_that_is_none_ends_the_connection(reply: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), GREETING, EHLO, Say(reply))
    assert conn.state is State.CLOSED


def test_the_bounds_of_a_reply_are_limits() -> None:
    limits = Limits(reply_lines=2, reply_line=512)
    conn = Connection(CLIENT, domain="me.example", limits=limits)
    greeting = b"220-" + b"x" * 506 + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="too many lines"):
        play(smtp.open(conn), Say(greeting * 3))


# TLS, or none.


EVERYTHING = Say(
    b"250-mx.example\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"
    b"250 SIZE 5\r\n"
)
TIM = sasl.Password("tim", "tanstaaftanstaaf")


@pytest.mark.parametrize("security", [Security(), Security(tls="none")])
def test_by_default_there_is_neither_tls_nor_a_login(security: Security) -> None:
    conn = client()
    offers = play(smtp.open(conn, security), GREETING, EHLO, EVERYTHING)
    assert list(offers) == ["STARTTLS", "AUTH", "SIZE"]
    assert not conn.tls
    assert not conn.authenticated


@pytest.mark.parametrize(
    ("tls", "security"),
    [
        (False, Security(tls=Tls.IMPLICIT)),
        (True, Security()),
        (True, Security(tls="require")),
        (True, Security(tls="opportunistic")),
        (True, Security(tls="none")),
        (True, Security(credentials=TIM)),
    ],
)
def test_a_connection_has_tls_from_the_start_or_has_not(
    tls: bool, security: Security
) -> None:
    conn = client(tls=tls)
    with pytest.raises(LocalProtocolError, match="TLS from the start, or has not"):
        play(smtp.open(conn, security))
    assert conn.state is State.CONNECTING


def test_implicit_tls_begins_before_the_greeting() -> None:
    """RFC 8314 section 3.3."""
    conn, peer = client(tls=True), Peer(Shake(), *OPENING)
    security = Security(tls="implicit", server_hostname="mx.example")
    offers = Driver(peer).run(smtp.open(conn, security))
    assert peer.hostnames == ["mx.example"]
    assert peer.deadlines == [300, 300, 180, 300]
    assert list(offers) == ["PIPELINING", "SIZE"]
    assert conn.tls


def test_starttls_is_not_said_inside_implicit_tls() -> None:
    conn = client(tls=True)
    offers = play(
        smtp.open(conn, Security(tls="implicit")), Shake(), GREETING, EHLO, EVERYTHING
    )
    assert list(offers) == ["AUTH", "SIZE"]


def test_a_refusal_inside_implicit_tls_is_heard() -> None:
    conn = client(tls=True)
    with pytest.raises(smtp.Rejected):
        play(
            smtp.open(conn, Security(tls="implicit")),
            *[Shake(), Say(b"554 no\r\n"), QUIT, Say(b"221 bye\r\n")],
        )
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "error", [OSError("handshake failure"), TimeoutError(), ValueError(), EOFError()]
)
def test_after_a_handshake_that_fails_nothing_is_said(error: Exception) -> None:
    conn = client(tls=True)
    with pytest.raises(type(error)) as caught:
        play(smtp.open(conn, Security(tls="implicit")), Shake(error))
    assert caught.value is error
    assert conn.state is State.CLOSED


def test_lmtp_begins_tls_as_well() -> None:
    conn = client(lmtp=True)
    lhlo = Expect(b"LHLO me.example\r\n")
    offers = play(
        smtp.open(conn, Security(tls="require")),
        *[GREETING, lhlo, EVERYTHING],
        *[Expect(b"STARTTLS\r\n"), Say(b"220 go\r\n"), Shake(NEGOTIATED)],
        *[lhlo, Say(b"250-x\r\n250 PIPELINING\r\n")],
    )
    assert list(offers) == ["PIPELINING"]


@pytest.mark.parametrize(
    "security", [Security(tls="require"), Security(credentials=TIM)]
)
def test_a_server_that_only_knows_helo_has_no_tls(security: Security) -> None:
    conn = client()
    with pytest.raises(PolicyError, match="does not offer STARTTLS"):
        play(
            smtp.open(conn, security),
            *[GREETING, EHLO, Say(b"502 what\r\n"), HELO, Say(b"250 mx\r\n")],
            *[QUIT, Say(b"221 bye\r\n")],
        )
    assert conn.state is State.CLOSED
