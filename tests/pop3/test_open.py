"""The beginning of a client's conversation: greeting, CAPA and STLS."""

import ssl

import pytest

from cutting import every_cut
from driving import Close, Driver, Peer, Say, Shake, Silence, Step, Wait, play
from fetching import (
    CAPA,
    GREETING,
    LOGIN,
    QUIT,
    ask,
    capable,
    client,
    greeted,
    security,
)
from smtp_pop_core import (
    ConnectionLost,
    Limits,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
    Security,
    Tls,
    pop3,
)
from smtp_pop_core.pop3 import ERR, Response, State

NO_CAPA = ask("CAPA", "-ERR unknown")
STLS = ask("STLS", "+OK begin")
NO_STLS = ask("STLS", "-ERR no")
OPENING = [GREETING, *capable("STLS", "TOP"), *STLS, Shake(), *capable("TOP", "UIDL")]
REQUIRED = Security(tls="require", server_hostname="mx.example")
OPPORTUNISTIC = Security(tls="opportunistic")
TLS_AT_ONCE = Security(tls="implicit", server_hostname="mx.example")


# The greeting.


@pytest.mark.parametrize("greeting", [b"+OK\r\n", b"+OK a <1.2@x>\r\n", b"+OK [x]\r\n"])
def test_a_greeting_is_heard_however_it_is_cut(greeting: bytes) -> None:
    for cut in every_cut(greeting):
        conn = client()
        offers = play(pop3.open(conn), *map(Say, cut), *capable("TOP"))
        assert list(offers) == ["TOP"]
        assert conn.state is State.AUTHORIZATION


def test_a_greeting_of_512_octets_is_heard() -> None:
    """RFC 1939 section 3."""
    conn = client()
    play(pop3.open(conn), Say(b"+OK " + b"x" * 506 + b"\r\n"), *capable())
    assert conn.state is State.AUTHORIZATION


@pytest.mark.parametrize(
    ("line", "temporary"),
    [("-ERR busy", False), ("-ERR", False), ("-ERR [LOGIN-DELAY] wait", True)],
)
def test_after_a_greeting_that_is_a_no_nothing_is_said(
    line: str, temporary: bool
) -> None:
    conn = client()
    with pytest.raises(pop3.Rejected) as caught:
        play(pop3.open(conn, security()), Say(f"{line}\r\n".encode()))
    assert caught.value.command == pop3.Connect()
    assert str(caught.value.response) == line
    assert caught.value.temporary is temporary
    assert not isinstance(caught.value, pop3.AuthenticationFailed)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "greeting",
    [
        b"220 mx.example ESMTP\r\n",
        b"* OK IMAP4rev1\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\x02\x00\r\n",
        b"\r\n",
        b"+\r\n",
        b"+ Zm9v\r\n",
        b"+OKready\r\n",
        b"+ok ready\r\n",
        b"OK ready\r\n",
        b"-ERRbusy\r\n",
        b" +OK ready\r\n",
        b"+OK re\0ady\r\n",
        b"+OK re\nady\r\n",
        b"+OK " + b"x" * 100_000,
    ],
)
def test_what_is_no_greeting_ends_the_connection(greeting: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(pop3.open(conn, security()), Say(greeting))
    assert conn.state is State.CLOSED


def test_single_octets_do_not_push_the_deadline_of_the_greeting_back() -> None:
    conn = client()
    peer = Peer(*[step for _ in range(99) for step in (Wait(40), Say(b"+"))])
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"x\r\n"])
def test_what_follows_the_greeting_is_no_answer_to_capa(extra: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(pop3.open(conn), Say(GREETING.data + extra))
    assert conn.state is State.CLOSED


def test_a_connection_is_opened_once() -> None:
    conn = greeted()
    with pytest.raises(LocalProtocolError, match="no greeting is due in AUTHORIZATION"):
        play(pop3.open(conn))
    assert conn.state is State.AUTHORIZATION


@pytest.mark.parametrize("policy", [*Tls, None])
def test_a_connection_fits_to_its_policy(policy: Tls | None) -> None:
    conn = client(tls=policy is not Tls.IMPLICIT)
    with pytest.raises(LocalProtocolError, match="has TLS from the start, or has not"):
        play(pop3.open(conn, Security(tls=policy)))
    assert conn.state is State.CONNECTING


# CAPA.


@pytest.mark.parametrize("capa", [NO_CAPA, capable()])
def test_a_server_without_capabilities_is_served(capa: list[Step]) -> None:
    """RFC 2449 section 5: the client goes on by RFC 1939."""
    conn = client()
    assert dict(play(pop3.open(conn), GREETING, *capa)) == {}
    assert conn.state is State.AUTHORIZATION


def test_capabilities_are_known_by_their_tag_in_upper_case() -> None:
    """RFC 2449 section 5: tags in any case; what is unknown is passed over."""
    offers = play(
        pop3.open(client()),
        GREETING,
        *capable("top", "Expire 60 USER", "LOGIN-DELAY x", "XFOO bar baz"),
    )
    assert list(offers) == ["TOP", "EXPIRE", "XFOO"]
    assert offers["EXPIRE"] == pop3.capabilities.Expire(60, per_user=True)


@pytest.mark.parametrize(
    "answer",
    [b"+ \r\n", b"x\r\n", b"+OK\r\nTOP\nUIDL\r\n.\r\n", b"+OK\r\n" + b"x" * 2_000],
)
def test_an_answer_to_capa_that_is_none_ends_the_connection(answer: bytes) -> None:
    conn = client(limits=Limits(listing=1_000))
    with pytest.raises(RemoteProtocolError):
        play(pop3.open(conn), GREETING, CAPA, Say(answer))
    assert conn.state is State.CLOSED


def test_a_server_may_go_away_because_of_capa() -> None:
    conn = client()
    with pytest.raises(ConnectionLost):
        play(pop3.open(conn), GREETING, CAPA, Close())
    assert conn.state is State.CLOSED


def test_capabilities_are_asked_for_once_more() -> None:
    conn = greeted("TOP")
    offers = play(pop3.ask_capabilities(conn), *capable("UIDL"))
    assert list(offers) == list(conn.capabilities) == ["UIDL"]


def test_capabilities_stay_where_capa_is_refused_later() -> None:
    conn = greeted("TOP")
    assert list(play(pop3.ask_capabilities(conn), *NO_CAPA)) == ["TOP"]


# STLS.


@pytest.mark.parametrize("tls", ["require", "opportunistic"])
def test_tls_begins_where_it_is_offered(tls: str) -> None:
    conn, peer = client(), Peer(*OPENING)
    flow = pop3.open(conn, Security(tls=tls, server_hostname="mx.example"))
    offers = Driver(peer).run(flow)
    peer.finish()
    assert list(offers) == ["TOP", "UIDL"]
    assert conn.tls
    assert conn.state is State.AUTHORIZATION
    assert peer.hostnames == ["mx.example"]
    assert peer.writes == [b"CAPA\r\n", b"STLS\r\n", b"CAPA\r\n"]


def test_a_handshake_has_the_deadline_of_a_greeting() -> None:
    peer = Peer(*OPENING)
    flow = pop3.open(client(), REQUIRED)
    Driver(peer).run(flow)
    assert peer.deadlines == [300, 180, 300, 180, 300, 300, 180, 300]


@pytest.mark.parametrize("tls", ["none", None])
def test_tls_does_not_begin_where_it_is_not_wanted(tls: str | None) -> None:
    conn = client()
    play(pop3.open(conn, Security(tls=tls)), GREETING, *capable("STLS"))
    assert not conn.tls


@pytest.mark.parametrize(
    "steps", [NO_CAPA, capable(), capable("TOP"), [*capable("STLS"), *NO_STLS]]
)
def test_an_opportunist_goes_on_without_tls(steps: list[Step]) -> None:
    conn = client()
    play(pop3.open(conn, OPPORTUNISTIC), GREETING, *steps)
    assert not conn.tls
    assert conn.state is State.AUTHORIZATION


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (capable("TOP"), "does not offer STLS"),
        (capable("TOP", "STLSX", "XSTLS"), "does not offer STLS"),
        ([*capable("STLS"), *NO_STLS], "the server said -ERR no"),
        ([*NO_CAPA, *NO_STLS], "the server said -ERR no"),
        ([*capable(), *NO_STLS], "the server said -ERR no"),
    ],
)
@pytest.mark.parametrize("policy", [security("require"), security(None), REQUIRED])
def test_without_tls_that_is_required_nothing_follows_but_quit(
    policy: Security, steps: list[Step], message: str
) -> None:
    """SEC-STLS-STRIP: also where TLS is only the default of those who log in."""
    conn = client()
    with pytest.raises(PolicyError, match=message):
        play(pop3.open(conn, policy), GREETING, *steps, *QUIT)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("capa", [NO_CAPA, capable()])
def test_required_tls_is_tried_where_the_server_does_not_say(capa: list[Step]) -> None:
    """RFC 2595 section 4 is older than many a server's CAPA."""
    conn = client()
    play(pop3.open(conn, REQUIRED), GREETING, *capa, *STLS, Shake(), *NO_CAPA)
    assert conn.tls


@pytest.mark.parametrize("answer", [[Close()], [Say(b"hm\r\n")], [Silence()]])
def test_a_policy_error_does_not_depend_on_the_answer_to_quit(
    answer: list[Step],
) -> None:
    conn = client()
    with pytest.raises(PolicyError):
        play(pop3.open(conn, REQUIRED), GREETING, *capable("TOP"), QUIT[0], *answer)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "extra",
    [
        b"+OK evil\r\n",
        b"+OK\r\n1 10\r\n.\r\n",
        b"-ERR\r\n",
        b"+",
        b"\r\n",
        b"\x16\x03\x03",
    ],
)
@pytest.mark.parametrize("policy", [security("require"), OPPORTUNISTIC])
def test_what_was_said_before_tls_is_not_read_inside_it(
    policy: Security, extra: bytes
) -> None:
    """SEC-STLS-RESPINJ; NO STARTTLS, USENIX Security 2021."""
    conn = client()
    begun = [GREETING, *capable("STLS"), STLS[0]]
    peer = Peer(*begun, Say(b"+OK begin\r\n" + extra), Shake())
    with pytest.raises(RemoteProtocolError, match="before the handshake"):
        Driver(peer).run(pop3.open(conn, policy))
    assert peer.writes == [b"CAPA\r\n", b"STLS\r\n"]
    assert peer.hostnames == []
    assert conn.state is State.CLOSED
    assert not conn.tls


@pytest.mark.parametrize(
    "outcome",
    [ssl.SSLCertVerificationError("self-signed"), TimeoutError(), OSError("reset")],
)
@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        (REQUIRED, [GREETING, *capable("STLS"), *STLS]),
        (OPPORTUNISTIC, [GREETING, *capable("STLS"), *STLS]),
        (TLS_AT_ONCE, []),
    ],
)
def test_a_handshake_that_fails_ends_the_connection(
    policy: Security, steps: list[Step], outcome: Exception
) -> None:
    conn = client(tls=policy is TLS_AT_ONCE)
    with pytest.raises(type(outcome)) as caught:
        play(pop3.open(conn, policy), *steps, Shake(outcome))
    assert caught.value is outcome
    assert conn.state is State.CLOSED


def test_what_was_learnt_before_tls_is_forgotten() -> None:
    """RFC 2595 section 4: also the time-stamp, which somebody may have put there."""
    conn = client()
    steps = [Say(b"+OK <1.2@x>\r\n"), *capable("STLS", "PIPELINING", "LANG")]
    flow = pop3.open(conn, REQUIRED)
    assert dict(play(flow, *steps, *STLS, Shake(), *NO_CAPA)) == {}
    assert conn.timestamp == ""
    with pytest.raises(LocalProtocolError):
        play(pop3.languages(conn))


def test_the_time_stamp_of_a_greeting_is_kept_without_stls() -> None:
    plain, inside = client(), client(tls=True)
    greeting = Say(b"+OK <1.2@x>\r\n")
    play(pop3.open(plain), greeting, *capable())
    play(pop3.open(inside, TLS_AT_ONCE), Shake(), greeting, *capable())
    assert plain.timestamp == inside.timestamp == "<1.2@x>"


def test_stls_that_is_offered_inside_tls_is_ignored() -> None:
    conn = client()
    steps = [GREETING, *capable("STLS"), *STLS, Shake(), *capable("STLS")]
    play(pop3.open(conn, REQUIRED), *steps)
    with pytest.raises(LocalProtocolError, match="STLS comes once"):
        play(pop3.exchange(conn, pop3.Stls()))


def test_implicit_tls_comes_before_the_greeting() -> None:
    """RFC 8314 section 3.3."""
    conn, peer = client(tls=True), Peer(Shake(), GREETING, *capable("TOP", "STLS"))
    Driver(peer).run(pop3.open(conn, TLS_AT_ONCE))
    peer.finish()
    assert peer.hostnames == ["mx.example"]
    assert peer.deadlines[0] == 300
    assert conn.state is State.AUTHORIZATION


@pytest.mark.parametrize("count", range(1, 12))
def test_a_flow_that_is_closed_in_the_middle_leaves_no_way_on(count: int) -> None:
    conn, driver = client(), Driver(Peer(*OPENING))
    flow = pop3.open(conn, REQUIRED)
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED


# UTF8.


def test_utf8_comes_after_tls_and_before_the_login() -> None:
    """RFC 6856 section 2.1: STLS must not follow UTF8."""
    conn = client()
    offers = capable("USER", "UTF8")
    play(
        pop3.open(conn, security("require"), utf8=True),
        *[GREETING, *capable("STLS", "UTF8"), *STLS, Shake(), *offers],
        *[*ask("UTF8", "+OK"), *LOGIN, *offers],
    )
    assert conn.utf8
    assert conn.state is State.TRANSACTION


def test_utf8_is_not_said_where_it_is_not_offered() -> None:
    conn = client()
    play(pop3.open(conn, utf8=True), GREETING, *capable("TOP"))
    assert not conn.utf8


def test_a_no_to_utf8_ends_the_session() -> None:
    conn = client()
    steps = [GREETING, *capable("UTF8"), *ask("UTF8", "-ERR no"), *QUIT]
    with pytest.raises(pop3.Rejected) as caught:
        play(pop3.open(conn, utf8=True), *steps)
    assert caught.value.command == pop3.Utf8()
    assert caught.value.response == Response(ERR, "no")
    assert conn.state is State.CLOSED
