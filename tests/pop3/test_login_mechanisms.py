"""Logging in with AUTH: every mechanism, and servers that do not keep to it."""

from base64 import b64encode
from typing import Any, Final

import pytest

from driving import NEGOTIATED, Driver, Expect, Peer, Say, Shake, Step, play
from fetching import GREETING, NO, OK, QUIT, capable, client, security
from sasl_talk import BINDINGS, CRYPTO
from smtp_pop_core import (
    ConnectionLost,
    Limits,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Security,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import Auth, AuthResponse, Connection, State

SCRAM: Final[dict[str, Any]] = CRYPTO["scram"][1]  # RFC 7677 section 3
PLUS: Final[dict[str, Any]] = CRYPTO["scram"][5]  # computed, SHA-256 and tls-exporter
BOUND: Final = Negotiated("TLSv1.3", "x", None, BINDINGS)
PENCIL: Final = sasl.Password("user", "pencil")
TIM: Final = sasl.Password("tim", "tanstaaftanstaaf")  # RFC 2195, RFC 4616
CHRIS: Final = sasl.Password("chris", "secret")  # RFC 2831
CARD: Final = sasl.Token(
    "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
)


def b64(data: str | bytes) -> str:
    return b64encode(data.encode() if isinstance(data, str) else data).decode()


def auth(name: str, *messages: str) -> list[Step]:
    """Expect AUTH and responses, and say challenges, in turn and as on the wire.

    The first message is the initial response, "" for none.
    """
    line = f"AUTH {name} {messages[0]}" if messages[0] else f"AUTH {name}"
    steps: list[Step] = [Expect(f"{line}\r\n".encode())]
    for index, message in enumerate(messages[1:]):
        said = f"{message}\r\n".encode()
        steps.append(Expect(said) if index % 2 else Say(b"+ " + said))
    return steps


def scram(case: dict[str, Any]) -> list[Step]:
    """Give an exchange of SCRAM up to the response to the last challenge."""
    names = ("client_first", "server_first", "client_final", "server_final")
    return auth(case["mechanism"], *[b64(case[each]) for each in names], "")


def ask_on(challenge: str, response: str) -> list[Step]:
    """Say one more challenge, as on the wire, and expect the response to it."""
    return [Say(f"+ {challenge}\r\n".encode()), Expect(f"{response}\r\n".encode())]


PLAIN: Final = auth("PLAIN", "AHRpbQB0YW5zdGFhZnRhbnN0YWFm")
LOGIN: Final = auth(
    "LOGIN", "", "VXNlciBOYW1lAA==", "dGlt", "UGFzc3dvcmQA", "dGFuc3RhYWZ0YW5zdGFhZg=="
)
CRAM: Final = auth(
    "CRAM-MD5",
    "",
    "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
    "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw",
)
DIGEST: Final = auth(
    "DIGEST-MD5",
    "",
    b64('realm="mail.example.com",nonce="abc",algorithm=md5-sess,charset=utf-8'),
    b64(
        'username="chris",realm="mail.example.com",nonce="abc",cnonce="def",'
        'digest-uri="pop/mail.example.com",nc=00000001,qop=auth,'
        "response=8f56cc7afefb388c815ae6b4c8c2dde0,charset=utf-8"
    ),
    b64("rspauth=9124eff479ed6056ea3ad2b39d88b205"),
    "",
)


def policy(credentials: sasl.Credentials, name: str, **options: Any) -> Security:
    """Give what a client insists on that has TLS from the start."""
    options = {"credentials": credentials, "mechanism": name} | options
    return security("implicit", **options)


def log_in(
    credentials: sasl.Credentials,
    name: str,
    *steps: Step,
    conn: Connection | None = None,
    negotiated: Negotiated = NEGOTIATED,
    **options: Any,
) -> Connection:
    """Log in with a mechanism inside TLS; the server offers it, and USER."""
    conn = conn or client(tls=True)
    flow = pop3.open(conn, policy(credentials, name, **options))
    begun = [Shake(negotiated), GREETING, *capable(f"SASL {name}", "USER")]
    play(flow, *begun, *steps)
    return conn


def failed(
    credentials: sasl.Credentials, name: str, *steps: Step
) -> pop3.AuthenticationFailed:
    """Log in in vain, and give the refusal."""
    conn = client(tls=True)
    with pytest.raises(pop3.AuthenticationFailed) as caught:
        log_in(credentials, name, *steps, conn=conn)
    assert conn.state is State.CLOSED
    secrets = ("tanstaaf", "pencil", "dHBlbmNpbA", "vF9dft4q")
    assert not [each for each in secrets if each in f"{caught.value!r}{caught.value}"]
    return caught.value


@pytest.mark.parametrize(
    ("credentials", "name", "steps"),
    [
        (TIM, "PLAIN", PLAIN),
        (
            sasl.Password("test", "test", "test"),  # RFC 5034 section 6
            "PLAIN",
            auth("PLAIN", "dGVzdAB0ZXN0AHRlc3Q="),
        ),
        (TIM, "LOGIN", LOGIN),
        (TIM, "CRAM-MD5", CRAM),
        (PENCIL, "SCRAM-SHA-256", scram(SCRAM)),
        (sasl.External(), "EXTERNAL", auth("EXTERNAL", "=")),
        (sasl.External("bob"), "EXTERNAL", auth("EXTERNAL", "Ym9i")),
        (sasl.Anonymous(), "ANONYMOUS", auth("ANONYMOUS", "=")),
        (sasl.Anonymous("sirhc"), "ANONYMOUS", auth("ANONYMOUS", "c2lyaGM=")),
        (
            sasl.Token("someuser@example.com", CRYPTO["xoauth2"][0]["token"]),
            "XOAUTH2",
            auth("XOAUTH2", CRYPTO["xoauth2"][0]["message_b64"]),
        ),
    ],
)
def test_a_mechanism_leads_to_a_maildrop(
    credentials: sasl.Credentials, name: str, steps: list[Step]
) -> None:
    conn = log_in(credentials, name, *steps, OK, *capable("UIDL"))
    assert conn.authenticated
    assert list(conn.capabilities) == ["UIDL"]


def test_scram_is_bound_to_the_channel() -> None:
    steps = [*scram(PLUS), OK, *capable()]
    options: dict[str, Any] = {"negotiated": BOUND, "nonce": lambda: "clientnonce"}
    conn = log_in(PENCIL, "SCRAM-SHA-256-PLUS", *steps, **options)
    assert conn.authenticated


def test_digest_md5_names_the_service() -> None:
    """RFC 5034 section 3: it is "pop"."""
    options: dict[str, Any] = {"server_hostname": "mail.example.com"}
    options["nonce"] = lambda: "def"
    conn = log_in(CHRIS, "DIGEST-MD5", *DIGEST, OK, *capable(), **options)
    assert conn.authenticated


def test_a_token_is_for_a_server() -> None:
    case = CRYPTO["oauthbearer"][0]
    steps = auth("OAUTHBEARER", case["message_b64"])
    options: dict[str, Any] = {"server_hostname": case["host"], "port": 143}
    conn = log_in(CARD, "OAUTHBEARER", *steps, OK, *capable(), **options)
    assert conn.authenticated


@pytest.mark.parametrize("empty", [b"+ \r\n", b"+\r\n"])
def test_an_initial_response_that_is_too_long_comes_in_a_line_of_its_own(
    empty: bytes,
) -> None:
    """RFC 5034 section 4: 255 octets of the command with it are the most."""
    fits = sasl.Password("u", "x" * 177)  # AUTH PLAIN, 240 octets of base64, CRLF
    message = b64(f"\0u\0{fits.password}")
    log_in(fits, "PLAIN", *auth("PLAIN", message), OK, *capable())
    longer = sasl.Password("u", "x" * 178)
    message = b64(f"\0u\0{longer.password}")
    two = [Expect(b"AUTH PLAIN\r\n"), Say(empty), Expect(f"{message}\r\n".encode())]
    log_in(longer, "PLAIN", *two, OK, *capable())


@pytest.mark.parametrize("octets", [1, 200, 9_000])
def test_a_challenge_may_be_longer_than_other_lines(octets: int) -> None:
    credentials = sasl.Password("u", "p")
    steps = auth("LOGIN", "", b64("x" * octets), "dQ==", b64("y" * octets), "cA==")
    assert log_in(credentials, "LOGIN", *steps, OK, *capable()).authenticated


# A server that says no.


@pytest.mark.parametrize(
    ("credentials", "name", "steps"),
    [
        (TIM, "PLAIN", PLAIN),
        (TIM, "LOGIN", LOGIN),
        (TIM, "CRAM-MD5", CRAM),
        (PENCIL, "SCRAM-SHA-256", scram(SCRAM)[:3]),
        (TIM, "LOGIN", LOGIN[:1]),
        (TIM, "LOGIN", LOGIN[:3]),
        (PENCIL, "SCRAM-SHA-256", scram(SCRAM)[:1]),
    ],
)
def test_nothing_weaker_is_tried_after_a_no(
    credentials: sasl.Credentials, name: str, steps: list[Step]
) -> None:
    no = Say(b"-ERR [IN-USE] somebody else is here\r\n")
    error = failed(credentials, name, *steps, no, *QUIT)
    assert error.temporary
    assert error.reason is None
    assert isinstance(error.command, AuthResponse if len(steps) > 1 else Auth)


def test_the_others_that_were_offered_are_not_tried_either() -> None:
    conn = client(tls=True)
    offers = capable("USER", "SASL PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256")
    steps = [Shake(), GREETING, *offers, *scram(SCRAM)[:3], NO, *QUIT]
    with pytest.raises(pop3.AuthenticationFailed):
        play(pop3.open(conn, security("implicit", credentials=PENCIL)), *steps)
    assert conn.state is State.CLOSED


def test_a_no_to_a_long_initial_response_is_one() -> None:
    long = sasl.Password("u", "x" * 200)
    error = failed(long, "PLAIN", *auth("PLAIN", ""), NO, *QUIT)
    assert error.command == Auth("PLAIN")


def test_what_a_server_says_of_a_token_is_told() -> None:
    """RFC 7628 section 3.2.3: the challenge is answered, then comes the no."""
    case = CRYPTO["oauthbearer_error"][0]
    message = b64(
        f"n,a={CARD.user},\x01host=mx.example\x01auth=Bearer {CARD.token}\x01\x01"
    )
    steps = auth("OAUTHBEARER", message, case["challenge_b64"], "AQ==")
    error = failed(CARD, "OAUTHBEARER", *steps, NO, *QUIT)
    assert "invalid_token" in str(error.reason)


# A server that does not keep to the mechanism.


@pytest.mark.parametrize("count", [1, 3])
def test_a_yes_before_the_server_has_proved_itself_is_none(count: int) -> None:
    """RFC 5802 section 5: the client must authenticate the server."""
    error = failed(PENCIL, "SCRAM-SHA-256", *scram(SCRAM)[:count], OK)
    assert "before the mechanism was done" in str(error.reason)


@pytest.mark.parametrize("count", [1, 3])
def test_a_yes_before_login_is_done_is_none(count: int) -> None:
    error = failed(TIM, "LOGIN", *LOGIN[:count], OK)
    assert "before the mechanism was done" in str(error.reason)


def test_a_yes_before_a_long_initial_response_is_none() -> None:
    """The server cannot know who this is."""
    long = sasl.Password("u", "x" * 200)
    error = failed(long, "PLAIN", *auth("PLAIN", ""), OK)
    assert error.command == Auth("PLAIN")
    assert error.reason is not None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("v=AAAA", "does not know the password"),
        ("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "does not know the password"),
        ("", "not the last message"),
        (b"v=\xff", "not UTF-8"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "then"), [(NO, QUIT), (OK, []), (Say(b"+\r\n"), [])]
)
def test_a_server_that_does_not_prove_itself_is_left(
    answer: Say, then: list[Step], message: str | bytes, reason: str
) -> None:
    wrong = ask_on(b64(message), "*")
    error = failed(PENCIL, "SCRAM-SHA-256", *scram(SCRAM)[:3], *wrong, answer, *then)
    assert reason in str(error.reason)
    assert reason in str(error)


@pytest.mark.parametrize(("answer", "then"), [(NO, QUIT), (OK, [])])
def test_what_a_server_says_of_a_proof_is_told(answer: Say, then: list[Step]) -> None:
    """RFC 5802 section 7: the reply of the protocol follows."""
    no = ask_on(b64("e=other-error"), "")
    error = failed(PENCIL, "SCRAM-SHA-256", *scram(SCRAM)[:3], *no, answer, *then)
    assert "the server says other-error" in str(error.reason)


@pytest.mark.parametrize("challenge", ["%%%", "AB CD", "AAA=BBB"])
@pytest.mark.parametrize(
    ("credentials", "name", "steps"),
    [
        (TIM, "PLAIN", PLAIN),
        (sasl.Password("u", "x" * 200), "PLAIN", auth("PLAIN", "")),
        (TIM, "LOGIN", LOGIN[:3]),
        (PENCIL, "SCRAM-SHA-256", scram(SCRAM)[:1]),
    ],
)
@pytest.mark.parametrize(
    ("answer", "then"), [(NO, QUIT), (OK, []), (Say(b"+\r\n"), [])]
)
def test_a_challenge_that_is_no_base64_is_answered_with_a_cancel(
    answer: Say,
    then: list[Step],
    credentials: sasl.Credentials,
    name: str,
    steps: list[Step],
    challenge: str,
) -> None:
    """RFC 5034 section 4.  What a server says then is no success."""
    wrong = ask_on(challenge, "*")
    error = failed(credentials, name, *steps, *wrong, answer, *then)
    assert error.command == AuthResponse(None)
    assert "not base64" in str(error.reason)


@pytest.mark.parametrize(
    ("credentials", "name", "steps"),
    [(TIM, "PLAIN", PLAIN), (TIM, "LOGIN", LOGIN), (TIM, "CRAM-MD5", CRAM)],
)
def test_a_challenge_too_many_is_answered_with_a_cancel(
    credentials: sasl.Credentials, name: str, steps: list[Step]
) -> None:
    wrong = ask_on("", "*")
    error = failed(credentials, name, *steps, *wrong, NO, *QUIT)
    assert "a challenge too many" in str(error.reason)


def test_a_response_that_no_line_can_hold_is_a_cancel() -> None:
    conn = client(tls=True, limits=Limits(auth_line=1_000))
    flow = pop3.open(conn, policy(sasl.Token("u", "x" * 900), "XOAUTH2"))
    steps = [*auth("XOAUTH2", ""), *ask_on("", "*"), NO, *QUIT]
    with pytest.raises(pop3.AuthenticationFailed, match="longer than a line may be"):
        play(flow, Shake(), GREETING, *capable("SASL XOAUTH2"), *steps)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("line", [b"+OKAY\r\n", b"334 \r\n", b"+" + b"x" * 20_000])
def test_what_is_no_response_ends_the_connection(line: bytes) -> None:
    conn = client(tls=True)
    with pytest.raises(RemoteProtocolError):
        log_in(TIM, "PLAIN", *PLAIN, Say(line), conn=conn)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"+ \r\n", b"-ERR\r\n"])
def test_no_password_follows_an_answer_too_many(extra: bytes) -> None:
    conn = client(tls=True)
    challenge = Say(b"+ VXNlciBOYW1lAA==\r\n" + extra)
    with pytest.raises((RemoteProtocolError, ConnectionLost)):
        log_in(TIM, "LOGIN", LOGIN[0], challenge, conn=conn)
    assert conn.state is State.CLOSED


# Mistakes of our own.


def test_a_login_needs_a_nonce() -> None:
    conn = client(tls=True)
    without = Security(tls="implicit", credentials=TIM)
    steps = [Shake(), GREETING, *capable("SASL PLAIN"), *QUIT]
    with pytest.raises(PolicyError, match="a source of nonces"):
        play(pop3.open(conn, without), *steps)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("credentials", "name"),
    [
        (sasl.Token("u", "a|b"), "OAUTHBEARER"),
        (sasl.Password("u", "\ufffe"), "SCRAM-SHA-256"),
        (sasl.Password("\u0627\u0031", "p"), "CRAM-MD5"),
    ],
)
def test_credentials_that_cannot_be_used_are_a_mistake(
    credentials: sasl.Credentials, name: str
) -> None:
    """Neither another mechanism nor anything else but QUIT follows."""
    conn = client(tls=True)
    with pytest.raises(ValueError, match=r"SASLprep|Bearer"):
        log_in(credentials, name, *QUIT, conn=conn)
    assert conn.state is State.CLOSED


def test_a_mechanism_that_fails_leaves_no_way_on() -> None:
    def broken(credentials: object, context: object) -> sasl.Client:
        yield None
        raise ZeroDivisionError

    mechanism = sasl.Mechanism(name="X-BROKEN", client=broken)
    conn = client(tls=True)
    steps = [Expect(b"AUTH X-BROKEN\r\n"), Say(b"+ \r\n")]
    with pytest.raises(ZeroDivisionError):
        log_in(TIM, "X-BROKEN", *steps, conn=conn, mechanisms=[mechanism])
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("count", range(1, 26, 2))
def test_a_flow_that_is_closed_in_the_middle_leaves_no_way_on(count: int) -> None:
    conn = client(tls=True)
    steps = [Shake(), GREETING, *capable("SASL LOGIN"), *LOGIN, OK, *capable()]
    driver = Driver(Peer(*steps))
    flow = pop3.open(conn, policy(TIM, "LOGIN"))
    request = next(flow)
    for _ in range(count - 1):
        request = flow.send(driver.carry_out(request, ""))
    flow.close()
    assert conn.state is State.CLOSED
