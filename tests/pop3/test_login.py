"""Logging in without a mechanism, and the choice of what is used."""

from typing import Any

import pytest

from driving import NEGOTIATED, Driver, Expect, Peer, Say, Shake, Step, play
from fetching import (
    GREETING,
    INSECURE,
    LOGIN,
    QUIT,
    ask,
    capable,
    client,
    greeted,
    logged_in,
    security,
)
from smtp_pop_core import (
    LocalProtocolError,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Security,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import ResponseCode, State

STLS: list[Step] = [
    *[GREETING, *capable("STLS"), *ask("STLS", "+OK")],
    *[Shake(Negotiated("TLSv1.3", "x", bindings={"tls-exporter": bytes(32)}))],
]
TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"
STAMPED = Say(f"+OK POP3 ready {TIMESTAMP}\r\n".encode())
MROSE = sasl.Password("mrose", "tanstaaf")  # RFC 1939 section 7
APOP = "APOP mrose c4c9334bac560ecc979e58001b3e22fb"
NO_CAPA = ask("CAPA", "-ERR what")


def failed(policy: Security, *steps: Step) -> pop3.AuthenticationFailed:
    """Open a connection, and give the refusal of the login."""
    conn = client()
    with pytest.raises(pop3.AuthenticationFailed) as caught:
        play(pop3.open(conn, policy), *steps)
    assert conn.state is State.CLOSED
    assert "hunter2" not in f"{caught.value!r} {caught.value.args} {caught.value}"
    return caught.value


# USER and PASS.


def test_a_password_is_shown_inside_tls() -> None:
    conn = client()
    play(
        pop3.open(conn, security(None)),
        *STLS,
        *[*capable("USER"), *LOGIN, *capable("USER", "EXPIRE 60")],
    )
    assert conn.state is State.TRANSACTION
    assert conn.authenticated


@pytest.mark.parametrize("capa", [NO_CAPA, capable(), capable("USER", "TOP")])
def test_a_password_is_shown_to_a_server_of_rfc_1939(capa: list[Step]) -> None:
    conn = client()
    play(pop3.open(conn, INSECURE), GREETING, *capa, *LOGIN, *capa)
    assert conn.state is State.TRANSACTION


def test_capabilities_are_asked_for_again_after_the_login() -> None:
    """RFC 2449 section 5: some may differ."""
    conn = client()
    offers = play(
        pop3.open(conn, INSECURE),
        *[GREETING, *capable("USER", "STLS", "LOGIN-DELAY 900 USER")],
        *[*LOGIN, *capable("USER", "LOGIN-DELAY 60", "PIPELINING")],
    )
    assert list(offers) == ["USER", "LOGIN-DELAY", "PIPELINING"]
    assert offers["LOGIN-DELAY"] == pop3.capabilities.LoginDelay(60)


def test_capabilities_stay_where_capa_is_refused_after_the_login() -> None:
    conn = client()
    steps = [GREETING, *capable("USER", "TOP"), *LOGIN, *NO_CAPA]
    assert list(play(pop3.open(conn, INSECURE), *steps)) == ["USER", "TOP"]


@pytest.mark.parametrize("line", ["-ERR", "-ERR [AUTH] wrong", "-ERR [IN-USE] locked"])
@pytest.mark.parametrize("accepted", [0, 1])
def test_after_a_no_to_the_login_only_quit_is_said(accepted: int, line: str) -> None:
    commands = [pop3.User("alice"), pop3.Pass("hunter2")]
    begun = LOGIN[: accepted * 2 + 1]
    steps = [GREETING, *capable("USER"), *begun, Say(f"{line}\r\n".encode()), *QUIT]
    error = failed(INSECURE, *steps)
    assert error.command == commands[accepted]
    assert str(error.response) == line
    assert error.reason is None


@pytest.mark.parametrize(
    ("offers", "code", "about", "temporary"),
    [
        (["RESP-CODES"], "IN-USE", ResponseCode.IN_USE, True),
        (["RESP-CODES"], "in-use", ResponseCode.IN_USE, True),
        (["RESP-CODES"], "LOGIN-DELAY", ResponseCode.LOGIN_DELAY, True),
        (["RESP-CODES"], "SYS/TEMP", ResponseCode.SYS_TEMP, True),
        (["AUTH-RESP-CODE"], "SYS/TEMP/DISK", ResponseCode.SYS_TEMP, True),
        (["AUTH-RESP-CODE"], "SYS/PERM", ResponseCode.SYS_PERM, False),
        (["AUTH-RESP-CODE"], "AUTH", ResponseCode.AUTH, False),
        (["RESP-CODES"], "OTHER", None, False),
        ([], "IN-USE", ResponseCode.IN_USE, True),
        ([], "LOGIN-DELAY", ResponseCode.LOGIN_DELAY, True),
        ([], "SYS/TEMP", None, False),
        ([], "AUTH", None, False),
    ],
)
def test_why_a_login_was_refused_is_told_apart(
    offers: list[str], code: str, about: ResponseCode | None, temporary: bool
) -> None:
    """RFC 2449 section 6.4 and 8, RFC 3206."""
    no = Say(f"-ERR [{code}] no\r\n".encode())
    steps = [GREETING, *capable("USER", *offers), *LOGIN[:-1], no, *QUIT]
    error = failed(INSECURE, *steps)
    assert error.response.about is about
    assert error.temporary is temporary


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        (security(), [GREETING, *NO_CAPA]),
        (security(), [GREETING, *capable("USER", "SASL PLAIN LOGIN", "STLS")]),
        (security("opportunistic"), [GREETING, *capable("USER", "SASL PLAIN")]),
        (
            security("opportunistic"),
            [GREETING, *capable("STLS"), *ask("STLS", "-ERR no")],
        ),
        (security("opportunistic"), [*STLS, *capable("USER", "SASL PLAIN LOGIN")]),
        (security("opportunistic"), [*STLS, *NO_CAPA]),
        (security(mechanism="USER"), [GREETING, *capable("USER")]),
        (security(mechanism=["plain", "user"]), [STAMPED, *capable("USER")]),
        (security(), [STAMPED, *capable("USER")]),
    ],
)
def test_no_password_is_shown_to_who_may_read_along(
    policy: Security, steps: list[Step]
) -> None:
    """TLS with whoever is there hides nothing from who is in between."""
    conn = client()
    with pytest.raises(PolicyError, match="without TLS"):
        play(pop3.open(conn, policy), *steps, *QUIT)
    assert conn.state is State.CLOSED


def test_user_is_not_said_where_other_things_are_offered() -> None:
    """RFC 2449 section 6.2: without the capability the server does not take it."""
    with pytest.raises(PolicyError, match="the server does not offer USER"):
        play(pop3.open(client(), INSECURE), GREETING, *capable("TOP"), *QUIT)


@pytest.mark.parametrize("answers", [b"+OK\r\n+OK in\r\n", b"+OK\r\n+", b"+OK\r\nx"])
def test_no_password_follows_an_answer_too_many(answers: bytes) -> None:
    conn = client()
    peer = Peer(GREETING, *NO_CAPA, LOGIN[0], Say(answers), Say(b" \r\n"))
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(pop3.open(conn, INSECURE))
    assert peer.writes == [b"CAPA\r\n", b"USER alice\r\n"]
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("user", "password", "message"),
    [
        ("alice smith", "hunter2", "not a name for a command line"),
        ("x" * 249, "hunter2", "longer than a line may be"),
        ("alice", "x" * 249, "longer than a line may be"),
    ],
)
def test_what_cannot_be_said_with_user_and_pass_is_not_begun(
    user: str, password: str, message: str
) -> None:
    """RFC 2449 section 4: 255 octets."""
    conn = client()
    policy = security(credentials=sasl.Password(user, password), allow_insecure=True)
    with pytest.raises(ValueError, match=message):
        play(pop3.open(conn, policy), GREETING, *NO_CAPA, *QUIT)
    assert conn.state is State.CLOSED


def test_a_password_may_hold_spaces() -> None:
    credentials = sasl.Password("x" * 248, " a  b ")
    steps = [*ask(f"USER {'x' * 248}", "+OK"), *ask("PASS  a  b ", "+OK")]
    policy = security(credentials=credentials, allow_insecure=True)
    conn = client()
    play(pop3.open(conn, policy), GREETING, *NO_CAPA, *steps, *NO_CAPA)
    assert conn.authenticated


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        (sasl.Token("alice", "hunter2"), "takes a Password"),
        (sasl.Anonymous(), "takes a Password"),
        (sasl.Password("alice", "hunter2", authzid="bob"), "as whom to act"),
    ],
)
@pytest.mark.parametrize("name", ["USER", "APOP"])
def test_user_and_apop_take_a_password_and_nothing_else(
    name: str, credentials: sasl.Credentials, message: str
) -> None:
    policy = security(credentials=credentials, mechanism=name, allow_insecure=True)
    with pytest.raises(PolicyError, match=message):
        play(pop3.open(client(), policy), STAMPED, *capable("USER"), *QUIT)


# Names and passwords beyond ASCII.


@pytest.mark.parametrize(
    ("user", "password"), [("jörg", "hunter2"), ("alice", "pässword"), ("я", "я")]
)
def test_utf8_is_said_before_a_name_or_password_beyond_ascii(
    user: str, password: str
) -> None:
    """RFC 6856 section 2.2."""
    conn = client()
    policy = security(credentials=sasl.Password(user, password), allow_insecure=True)
    offers = capable("USER", "UTF8 USER")
    play(
        pop3.open(conn, policy),
        *[GREETING, *offers, *ask("UTF8", "+OK")],
        *[Expect(f"USER {user}\r\n".encode()), Say(b"+OK\r\n")],
        *[Expect(f"PASS {password}\r\n".encode()), Say(b"+OK\r\n"), *offers],
    )
    assert conn.authenticated


def test_utf8_is_said_once() -> None:
    policy = security(credentials=sasl.Password("jörg", "x"), allow_insecure=True)
    offers = capable("USER", "UTF8 USER")
    play(
        pop3.open(client(), policy, utf8=True),
        *[GREETING, *offers, *ask("UTF8", "+OK")],
        *[Expect("USER jörg\r\n".encode()), Say(b"+OK\r\n"), *ask("PASS x", "+OK")],
        *offers,
    )


@pytest.mark.parametrize("offers", [["USER"], ["USER", "UTF8"]])
@pytest.mark.parametrize(("user", "password"), [("jörg", "x"), ("alice", "pässword")])
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("name", ["USER", "APOP"])
def test_without_the_offer_nothing_beyond_ascii_is_said(
    name: str, utf8: bool, user: str, password: str, offers: list[str]
) -> None:
    """RFC 6856 section 2.2: clients must not, if USER is not included."""
    conn = client()
    policy = security(
        credentials=sasl.Password(user, password), mechanism=name, allow_insecure=True
    )
    begun = [STAMPED, *capable(*offers)]
    begun += ask("UTF8", "+OK") * (utf8 and "UTF8" in offers)
    with pytest.raises(PolicyError, match="UTF8 with USER"):
        play(pop3.open(conn, policy, utf8=utf8), *begun, *QUIT)
    assert conn.state is State.CLOSED


def test_a_no_to_utf8_is_no_wrong_password() -> None:
    policy = security(credentials=sasl.Password("jörg", "x"), allow_insecure=True)
    steps = [GREETING, *capable("USER", "UTF8 USER"), *ask("UTF8", "-ERR no"), *QUIT]
    with pytest.raises(pop3.Rejected) as caught:
        play(pop3.open(client(), policy), *steps)
    assert caught.value.command == pop3.Utf8()
    assert not isinstance(caught.value, pop3.AuthenticationFailed)


# APOP.


def apop(**options: Any) -> Security:
    usual: dict[str, Any] = {"credentials": MROSE, "mechanism": "APOP"}
    return security(**usual | options)


def test_apop_is_used_where_it_was_named() -> None:
    """The example of RFC 1939 section 7."""
    conn = client()
    play(pop3.open(conn, apop()), STAMPED, *NO_CAPA, *ask(APOP, "+OK"), *NO_CAPA)
    assert conn.authenticated


def test_apop_is_used_inside_tls() -> None:
    conn = client(tls=True)
    steps = [Shake(), STAMPED, *capable("USER", "SASL PLAIN"), *ask(APOP, "+OK")]
    play(pop3.open(conn, apop(tls="implicit")), *steps, *capable())
    assert conn.authenticated


@pytest.mark.parametrize("mechanism", [None, ["USER"], "SCRAM-SHA-256"])
def test_apop_is_not_used_where_it_was_not_named(mechanism: object) -> None:
    with pytest.raises(PolicyError):
        play(pop3.open(client(), apop(mechanism=mechanism)), STAMPED, *NO_CAPA, *QUIT)


@pytest.mark.parametrize(
    "greeting",
    [
        "+OK ready",
        "+OK ready <bad",
        "+OK ready <>",
        "+OK ready <ab>",
        "+OK ready <a@>",
        "+OK ready <@b>",
        "+OK ready <a@b@c>",
        "+OK ready < a@b>",
        "+OK ready <a @b>",
        "+OK ready <a@b\x01>",
        "+OK ready <a@\xff>",
        "+OK <\x01\xff\xfe@x>",
        "+OK ready <ab> <a@b>",
    ],
)
def test_apop_needs_a_time_stamp_that_is_a_message_id(greeting: str) -> None:
    """CVE-2007-1558: others let who answers find the password out by collisions."""
    said = Say(f"{greeting}\r\n".encode("latin-1"))
    with pytest.raises(PolicyError, match="no time-stamp that can be trusted"):
        play(pop3.open(client(), apop()), said, *NO_CAPA, *QUIT)


def test_the_time_stamp_of_a_greeting_without_tls_is_not_used_inside_it() -> None:
    """SEC-POP-APOP-b: neither is APOP a reason to go without TLS."""
    steps = [STAMPED, *STLS[1:], *NO_CAPA, *QUIT]
    with pytest.raises(PolicyError, match="no time-stamp that can be trusted"):
        play(pop3.open(client(), apop(tls=None)), *steps)


def test_nothing_is_tried_after_a_no_to_apop() -> None:
    policy = apop(mechanism=["APOP", "USER", "PLAIN"], allow_insecure=True)
    offers = capable("USER", "SASL PLAIN")
    error = failed(policy, STAMPED, *offers, *ask(APOP, "-ERR no"), *QUIT)
    assert isinstance(error.command, pop3.Apop)
    assert "c4c9334b" not in repr(error.command)


def test_apop_hashes_the_octets_of_utf8() -> None:
    """RFC 6856 section 2.2: after SASLprep of the name and the password."""
    policy = apop(credentials=sasl.Password("mr\xados\xe9", "p\xadässword"))
    offers = capable("UTF8 USER")
    digest = "d397deed6eb9d2100896ab7491b05cae"
    play(
        pop3.open(client(), policy),
        *[Say(b"+OK <1.2@example.com>\r\n"), *offers, *ask("UTF8", "+OK")],
        *[Expect(f"APOP mrosé {digest}\r\n".encode()), Say(b"+OK\r\n"), *offers],
    )


# The choice.


@pytest.mark.parametrize(
    ("offers", "mechanism", "first"),
    [
        (["SASL PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256"], None, "AUTH SCRAM-SHA-256 "),
        (["SASL PLAIN SCRAM-SHA-256-PLUS"], None, "AUTH SCRAM-SHA-256-PLUS "),
        (["USER", "SASL LOGIN PLAIN"], None, "AUTH PLAIN "),
        (["USER", "SASL LOGIN"], None, "AUTH LOGIN\r\n"),
        (["USER", "SASL CRAM-MD5 DIGEST-MD5"], None, "USER alice\r\n"),
        (["USER", "SASL"], None, "USER alice\r\n"),
        (["USER"], None, "USER alice\r\n"),
        (["SASL CRAM-MD5 PLAIN"], "cram-md5", "AUTH CRAM-MD5\r\n"),
        (["USER", "SASL PLAIN"], "USER", "USER alice\r\n"),
        (["USER", "SASL PLAIN"], "user", "USER alice\r\n"),
        (["USER", "SASL PLAIN"], ["SCRAM-SHA-1", "user"], "USER alice\r\n"),
        (["USER", "SASL PLAIN"], ["APOP", "plain", "USER"], "AUTH PLAIN "),
        (["USER", "sasl plain scram-sha-1"], ["PLAIN", "SCRAM-SHA-1"], "AUTH PLAIN "),
    ],
)
def test_the_first_that_fits_is_used(
    offers: list[str], mechanism: str | list[str] | None, first: str
) -> None:
    """The strongest where none is named, else as the user prefers."""
    peer = Peer(*STLS, *capable(*offers))
    flow = pop3.open(client(), security(None, mechanism=mechanism))
    with pytest.raises(TimeoutError):
        Driver(peer).run(flow)
    assert peer.writes[-1].decode().startswith(first)


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        ("SCRAM-SHA-256", "SCRAM-SHA-256: not offered"),
        (["SCRAM-SHA-256", "CRAM-MD5"], "CRAM-MD5: not offered"),
        ("XOAUTH2", "XOAUTH2: it takes Token"),
        ("APOP", "no time-stamp"),
        ([], "no mechanism is named"),
        ((), "no mechanism is named"),
    ],
)
def test_what_was_named_is_used_or_nothing(
    mechanism: str | list[str], message: str
) -> None:
    steps = [*STLS, *capable("USER", "SASL PLAIN LOGIN"), *QUIT]
    with pytest.raises(PolicyError, match=message):
        play(pop3.open(client(), security(None, mechanism=mechanism)), *steps)


@pytest.mark.parametrize("mechanism", ["NTLM", "", "log\u0131n", ["PLAIN ", "USER"]])
def test_a_name_that_is_not_known_is_a_mistake(mechanism: str | list[str]) -> None:
    """Case is folded in ASCII only: a dotless i is none."""
    conn = client()
    policy = security(mechanism=mechanism, allow_insecure=True)
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        play(pop3.open(conn, policy), GREETING, *capable("USER", "SASL LOGIN"), *QUIT)
    assert conn.state is State.CLOSED


def test_a_login_is_no_business_of_those_without_credentials() -> None:
    conn = greeted()
    with pytest.raises(PolicyError, match="nothing to log in with"):
        play(pop3.log_in(conn, Security()))
    assert conn.state is State.AUTHORIZATION


@pytest.mark.parametrize("tls", ["require", "implicit", None])
def test_a_login_of_its_own_needs_tls_as_well(tls: str | None) -> None:
    conn = greeted("USER", "SASL SCRAM-SHA-256 PLAIN")
    for policy in (security(tls), security(tls, allow_insecure=True)):
        with pytest.raises(PolicyError, match="TLS is required, and there is none"):
            play(pop3.log_in(conn, policy))
    assert conn.state is State.AUTHORIZATION


def test_a_login_of_its_own_is_possible() -> None:
    conn = greeted()
    play(pop3.log_in(conn, INSECURE), *LOGIN)
    assert conn.authenticated


def test_nobody_logs_in_twice() -> None:
    conn = logged_in()
    with pytest.raises(LocalProtocolError):
        play(pop3.log_in(conn, INSECURE))
    assert conn.state is State.TRANSACTION


def test_tls_without_bindings_has_nothing_to_bind_to() -> None:
    assert dict(NEGOTIATED.bindings) == {}
    steps = [*STLS[:-1], Shake(), *capable("SASL SCRAM-SHA-256-PLUS"), *QUIT]
    with pytest.raises(PolicyError, match="no channel to bind to"):
        play(pop3.open(client(), security(None)), *steps)
