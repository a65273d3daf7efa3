"""STARTTLS said by a client: nothing crosses from one side to the other.  RFC 3207."""

import tomllib
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

import pytest

from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Shake,
    Step,
    cut_short,
    octets_said,
    play,
)
from smtp_logins import BOUND, PLAIN, TIM, b64
from smtp_pop_core import (
    CLIENT,
    ConnectionLost,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Security,
    Tls,
    sasl,
    smtp,
)
from smtp_pop_core.smtp import Connection, State

ATTACKS: Final[dict[str, dict[str, Any]]] = {
    each["id"]: each
    for each in tomllib.loads(
        (Path(__file__).parents[1] / "data" / "security.toml").read_text("utf-8")
    )["attack"]
}

GREETING: Final = Say(b"220 mx.example\r\n")
EHLO: Final = Expect(b"EHLO me.example\r\n")
OFFER: Final = Say(b"250-mx.example\r\n250-SIZE 5\r\n250 STARTTLS\r\n")
STARTTLS: Final = Expect(b"STARTTLS\r\n")
GO: Final = Say(b"220 2.0.0 go\r\n")
INSIDE: Final = Say(b"250-mx.example\r\n250 8BITMIME\r\n")
QUIT: Final[list[Step]] = [Expect(b"QUIT\r\n"), Say(b"221 bye\r\n")]
ASKED: Final[list[Step]] = [GREETING, EHLO, OFFER, STARTTLS]
OPENING: Final[list[Step]] = [*ASKED, GO, Shake(), EHLO, INSIDE]

REQUIRED: Final = Security(tls="require", server_hostname="mx.example")
OPPORTUNISTIC: Final = Security(tls=Tls.OPPORTUNISTIC)
LOGIN: Final = Security(credentials=TIM, nonce=lambda: "clientnonce")


def client(**options: Any) -> Connection:
    return Connection(CLIENT, domain="me.example", **options)


def reads_of(name: str) -> list[bytes]:
    return [str(each).encode("latin-1") for each in ATTACKS[name]["send"]]


# A client that begins TLS.


@pytest.mark.parametrize("security", [REQUIRED, OPPORTUNISTIC])
def test_ehlo_is_said_again_and_what_was_heard_before_is_forgotten(
    security: Security,
) -> None:
    """Section 4.2."""
    conn, peer = client(), Peer(*OPENING)
    offers = Driver(peer).run(smtp.open(conn, security))
    peer.finish()
    assert list(offers) == list(conn.extensions) == ["8BITMIME"]
    assert conn.tls
    assert conn.state is State.READY
    assert peer.hostnames == [security.server_hostname]


def test_the_handshake_has_a_deadline() -> None:
    peer = Peer(*ASKED, GO, Shake(TimeoutError()))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(client(), REQUIRED))
    assert peer.deadlines[-2:] == [300, 300]  # the reply to STARTTLS, the handshake


def test_a_login_uses_what_is_offered_inside() -> None:
    """RFC 4954 section 3: SCRAM was offered only outside."""
    conn = client()
    play(
        smtp.open(conn, LOGIN),
        *[GREETING, EHLO],
        Say(b"250-mx\r\n250-AUTH SCRAM-SHA-256\r\n250 STARTTLS\r\n"),
        *[STARTTLS, GO, Shake(), EHLO, Say(b"250-mx\r\n250 AUTH PLAIN\r\n")],
        *[Expect(PLAIN), Say(b"235 ok\r\n")],
    )
    assert conn.authenticated


def test_a_login_that_was_offered_only_outside_is_not_begun() -> None:
    conn = client()
    outside = Say(b"250-mx\r\n250-AUTH SCRAM-SHA-256 PLAIN\r\n250 STARTTLS\r\n")
    with pytest.raises(PolicyError, match="the server offers none"):
        play(
            smtp.open(conn, LOGIN),
            *[GREETING, EHLO, outside, STARTTLS, GO, Shake(), EHLO, INSIDE, *QUIT],
        )
    assert conn.state is State.CLOSED


def test_a_login_is_bound_to_the_tls_that_was_begun() -> None:
    conn, peer = (
        client(),
        Peer(
            *[*ASKED, GO, Shake(BOUND), EHLO],
            Say(b"250-mx\r\n250 AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"),
        ),
    )
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn, LOGIN))
    first = b64("p=tls-exporter,,n=tim,r=clientnonce")
    assert peer.writes[-1] == b"AUTH SCRAM-SHA-256-PLUS " + first + b"\r\n"


def test_starttls_that_is_offered_again_is_passed_over() -> None:
    """SEC-STARTTLS-STATE-b."""
    [inside] = reads_of("SEC-STARTTLS-STATE-b")
    conn = client()
    offers = play(smtp.open(conn, REQUIRED), *[*ASKED, GO, Shake(), EHLO, Say(inside)])
    assert list(offers) == []


def test_helo_serves_inside_tls_as_well() -> None:
    conn = client()
    then = [Say(b"502 what\r\n"), Expect(b"HELO me.example\r\n"), Say(b"250 mx\r\n")]
    offers = play(smtp.open(conn, REQUIRED), *[*ASKED, GO, Shake(), EHLO, *then])
    assert dict(offers) == {}
    assert conn.state is State.READY


def test_a_no_to_the_second_ehlo_is_rejected() -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(
            smtp.open(conn, REQUIRED),
            *[*ASKED, GO, Shake(), EHLO, Say(b"554 no\r\n")],
        )
    assert caught.value.command == smtp.Ehlo("me.example")
    assert conn.state is State.GREETED


# TLS that is required, and not to be had.


STRIPPED = [
    b"250 mx.example\r\n",
    *reads_of("SEC-STARTTLS-STRIP-a"),
    b"250-mx\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS1\r\n",
    b"250-STARTTLS\r\n250 8BITMIME\r\n",  # the first line is no keyword
    b"250-mx\r\n250-XSTARTTLS\r\n250 START TLS\r\n",
    b"250-mx\r\n250 STARTTLS=1\r\n",
    "250-mx\r\n250 \u017ftartTLS\r\n".encode(),  # U+017F, whose upper case is S
]


@pytest.mark.parametrize("offer", STRIPPED)
@pytest.mark.parametrize("security", [REQUIRED, LOGIN])
def test_a_keyword_that_is_missing_ends_the_session(
    offer: bytes, security: Security
) -> None:
    """Section 6, RFC 8314 section 5.2."""
    conn = client()
    with pytest.raises(PolicyError, match="does not offer STARTTLS"):
        play(smtp.open(conn, security), GREETING, EHLO, Say(offer), *QUIT)
    assert conn.state is State.CLOSED


NO = [
    *reads_of("SEC-STARTTLS-STRIP-c"),
    *reads_of("SEC-STARTTLS-STRIP-d"),
    *reads_of("SEC-STARTTLS-STRIP-e"),
    *reads_of("SEC-STARTTLS-STRIP-f"),
    *(b"501 what\r\n", b"503 not so\r\n", b"504 no\r\n", b"450-a\r\n450 b\r\n"),
]


@pytest.mark.parametrize("answer", NO)
@pytest.mark.parametrize("security", [REQUIRED, LOGIN])
def test_a_no_to_starttls_ends_the_session(answer: bytes, security: Security) -> None:
    conn = client()
    with pytest.raises(PolicyError, match="TLS is required, and the server said"):
        play(smtp.open(conn, security), *ASKED, Say(answer), *QUIT)
    assert conn.state is State.CLOSED


def test_after_421_there_is_no_quit() -> None:
    conn = client()
    with pytest.raises(PolicyError, match="the server said 421 busy"):
        play(smtp.open(conn, REQUIRED), *ASKED, Say(b"421 busy\r\n"))
    assert conn.state is State.CLOSED


ANY_POLICY = [REQUIRED, LOGIN, OPPORTUNISTIC]


@pytest.mark.parametrize(
    "answer",
    [
        *reads_of("SEC-STARTTLS-STRIP-h"),
        *(
            b"250 ok\r\n",
            b"221 bye\r\n",
            b"221-a\r\n",
            b"334 \r\n",
            b"22 go\r\n",
            b"x\r\n",
        ),
    ],
)
@pytest.mark.parametrize("security", ANY_POLICY)
def test_only_220_is_a_yes(security: Security, answer: bytes) -> None:
    """RFC 3207 section 4."""
    conn = client()
    steps = [*ASKED, Say(answer), Say(b"221 b\r\n")]
    with pytest.raises(RemoteProtocolError):
        Driver(Peer(*steps)).run(smtp.open(conn, security))
    assert conn.state is State.CLOSED
    assert not conn.tls


# What comes without TLS is not read inside it.


@pytest.mark.parametrize("letter", "abc")
@pytest.mark.parametrize("security", ANY_POLICY)
def test_replies_behind_the_go_ahead_end_the_session(
    security: Security, letter: str
) -> None:
    """SEC-STARTTLS-RESPINJ, complete lines and half ones: there is no handshake."""
    [injected] = reads_of(f"SEC-STARTTLS-RESPINJ-{letter}")
    conn = client()
    with pytest.raises(RemoteProtocolError, match="octets before the handshake"):
        play(smtp.open(conn, security), *ASKED, Say(injected))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(1, len(b"250-mx\r\n250 AUTH PLAIN\r\n")))
def test_a_single_octet_is_too_much(octets: int) -> None:
    injected = b"220 go\r\n" + b"250-mx\r\n250 AUTH PLAIN\r\n"[:octets]
    with pytest.raises(RemoteProtocolError, match="octets before the handshake"):
        play(smtp.open(client(), LOGIN), *ASKED, Say(injected))


@pytest.mark.parametrize("early", [b"220 go\r\n", b"220", b"\x16\x03\x01"])
def test_a_go_ahead_before_it_was_asked_for_is_none(early: bytes) -> None:
    conn = client()
    with pytest.raises((RemoteProtocolError, TimeoutError)):
        play(smtp.open(conn, REQUIRED), GREETING, EHLO, Say(OFFER.data + early))
    assert conn.state is State.CLOSED


# TLS where it is to be had.


@pytest.mark.parametrize("answer", NO)
def test_a_no_is_borne_where_tls_is_not_required(answer: bytes) -> None:
    conn = client()
    offers = play(smtp.open(conn, OPPORTUNISTIC), *ASKED, Say(answer))
    assert list(offers) == ["SIZE", "STARTTLS"]
    assert not conn.tls
    assert conn.state is State.READY


def test_a_server_without_tls_is_borne_where_it_is_not_required() -> None:
    conn = client()
    offers = play(smtp.open(conn, OPPORTUNISTIC), GREETING, EHLO, INSIDE)
    assert list(offers) == ["8BITMIME"]
    assert not conn.tls


def test_a_server_that_ends_the_session_is_told_apart_from_one_without_tls() -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn, OPPORTUNISTIC), *ASKED, Say(b"421 busy\r\n"))
    assert caught.value.command == smtp.StartTls()
    assert caught.value.temporary
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("error", [OSError("alert"), TimeoutError(), EOFError()])
@pytest.mark.parametrize("security", ANY_POLICY)
def test_after_a_handshake_that_fails_nothing_is_said_in_clear(
    security: Security, error: Exception
) -> None:
    """Section 4."""
    conn = client()
    with pytest.raises(type(error)) as caught:
        play(smtp.open(conn, security), *ASKED, GO, Shake(error))
    assert caught.value is error
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("inside", [b"AUTH PLAIN LOGIN", b"AUTH XOAUTH2", b"AUTH"])
def test_no_password_is_shown_to_whoever_was_there(inside: bytes) -> None:
    conn = client()
    security = Security(tls="opportunistic", credentials=TIM, nonce=lambda: "n")
    offer = Say(b"250-mx\r\n250 " + inside + b"\r\n")
    with pytest.raises(PolicyError, match="no mechanism fits"):
        play(smtp.open(conn, security), *ASKED, GO, Shake(), EHLO, offer, *QUIT)
    assert conn.state is State.CLOSED


def test_a_proof_is_given_to_whoever_was_there() -> None:
    conn, peer = (
        client(),
        Peer(*[*ASKED, GO, Shake(), EHLO, Say(b"250-mx\r\n250 AUTH SCRAM-SHA-1\r\n")]),
    )
    security = Security(tls="opportunistic", credentials=TIM, nonce=lambda: "n")
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn, security))
    assert peer.writes[-1].startswith(b"AUTH SCRAM-SHA-1 ")


# A server that goes away or falls silent.


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_go_away_at_any_octet_of_the_opening(octets: int) -> None:
    conn = client()
    with pytest.raises(ConnectionLost):
        play(smtp.open(conn, REQUIRED), *cut_short(OPENING, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_fall_silent_at_any_octet_of_the_opening(octets: int) -> None:
    conn, peer = client(), Peer(*cut_short(OPENING, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn, REQUIRED))
    assert peer.now == 300
    assert conn.state is State.CLOSED


# Whatever is offered.


MECHANISMS: Final = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5")


class Obliging:
    """A server that agrees to all, offers what it is told to, and notes what it hears.

    Attributes:
        outside: What was said without TLS.
        inside: What was said within.
    """

    def __init__(self, outside: str, inside: str, *, starttls: bool) -> None:
        self.outside: list[bytes] = []
        self.inside: list[bytes] = []
        self._heard = self.outside
        self._offers = {False: outside, True: inside}
        self._starttls = starttls
        self._answer = b"220 mx\r\n"

    def read(self) -> bytes:
        return self._answer

    def write(self, data: bytes, *, heed: bool) -> bool:
        self._heard.append(data)
        verb = data[:4]
        if verb == b"EHLO":
            lines = ["mx", f"AUTH {self._offers[self._heard is self.inside]}"]
            lines += ["STARTTLS"] * self._starttls
            lines.append("SIZE")
            self._answer = "".join(f"250-{line}\r\n" for line in lines[:-1]).encode()
            self._answer += b"250 SIZE\r\n"
        elif verb == b"STAR":
            self._answer = b"220 go\r\n"
        elif data.startswith((b"AUTH CRAM", b"AUTH LOGIN")):
            self._answer = b"334 QUJD\r\n"
        elif verb == b"QUIT":
            self._answer = b"221 bye\r\n"
        else:
            self._answer = b"235 ok\r\n"
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        self._heard = self.inside
        return NEGOTIATED


def subsets() -> Iterator[str]:
    every = chain.from_iterable(
        combinations(MECHANISMS, count) for count in range(len(MECHANISMS) + 1)
    )
    return map(" ".join, every)


def outcomes(**options: Any) -> Iterator[tuple[str, str, bool, Obliging]]:
    """Log in wherever, and give what was offered and the server that heard it."""
    security = Security(credentials=TIM, nonce=lambda: "n", **options)
    for outside in subsets():
        for inside in subsets():
            for starttls in (False, True):
                server = Obliging(outside, inside, starttls=starttls)
                conn = client(tls=security.policy is Tls.IMPLICIT)
                try:
                    Driver(server).run(smtp.open(conn, security))
                except (PolicyError, smtp.AuthenticationFailed):
                    assert conn.state is State.CLOSED
                yield outside, inside, starttls, server


def begun(heard: list[bytes]) -> list[str]:
    """The mechanisms that were begun."""
    return [line.split()[1].decode() for line in heard if line[:4] == b"AUTH"]


@pytest.mark.parametrize("tls", [None, Tls.REQUIRE])
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_nothing_that_is_offered_leads_to_a_login_without_the_required_tls(
    tls: Tls | None, allow_insecure: bool
) -> None:
    for *_, starttls, server in outcomes(tls=tls, allow_insecure=allow_insecure):
        last = b"STARTTLS\r\n" if starttls else b"QUIT\r\n"
        assert server.outside == [b"EHLO me.example\r\n", last]


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.OPPORTUNISTIC])
def test_nothing_that_is_offered_shows_a_password_to_those_who_read_along(
    tls: Tls,
) -> None:
    """SEC-AUTH-STRIP-b."""
    for *_, server in outcomes(tls=tls):
        assert set(begun(server.outside + server.inside)) <= {"SCRAM-SHA-256"}


@pytest.mark.parametrize("tls", [Tls.REQUIRE, Tls.IMPLICIT])
def test_the_strongest_that_is_offered_inside_is_taken(tls: Tls) -> None:
    for outside, inside, starttls, server in outcomes(tls=tls):
        reached = starttls or tls is Tls.IMPLICIT
        offered = [name for name in MECHANISMS[:3] if name in inside.split()]
        assert begun(server.inside) == offered[:1] * reached, outside


@pytest.mark.parametrize("tls", [Tls.REQUIRE, Tls.IMPLICIT, Tls.OPPORTUNISTIC])
@pytest.mark.parametrize(
    "least",
    [{"mechanism": "SCRAM-SHA-256"}, {"mechanisms": [sasl.SCRAM_SHA_256]}],
    ids=["named", "known"],
)
def test_nothing_that_is_offered_leads_below_the_least_that_is_allowed(
    tls: Tls, least: dict[str, Any]
) -> None:
    """SEC-AUTH-STRIP-c, d."""
    for *_, server in outcomes(tls=tls, **least):
        assert set(begun(server.outside + server.inside)) <= {"SCRAM-SHA-256"}
        assert len(begun(server.outside + server.inside)) <= 1
