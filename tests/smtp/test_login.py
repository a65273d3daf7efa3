"""Logging in as a client: AUTH, its exchanges, and whom it believes.  RFC 4954."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from driving import (
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    opened,
    play,
)
from smtp_logins import (
    BINDINGS,
    BOUND,
    BYE,
    CANCELLED,
    CRYPTO,
    OK,
    PASSWORD,
    PENCIL,
    PLAIN,
    SAYS_NO,
    TIM,
    TOKEN,
    USER,
    Login,
    b64,
    challenged,
    responds,
    says_scram,
    scram,
)
from smtp_pop_core import (
    CLIENT,
    Limits,
    LocalProtocolError,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Security,
    Tls,
    sasl,
    smtp,
)
from smtp_pop_core.smtp import Connection, Reply, State

DATA: Final = Path(__file__).parents[1] / "data"
ATTACKS: Final = {
    each["id"]: each
    for each in tomllib.loads((DATA / "security.toml").read_text("utf-8"))["attack"]
}
EMPTY: Final = Say(b"334 \r\n")
BEARER: Final = sasl.Token(USER, TOKEN)


# What is said, octet for octet.


EXCHANGES: Final[list[tuple[str, sasl.Credentials, list[Step]]]] = [
    ("PLAIN", TIM, [Expect(PLAIN)]),
    (
        "PLAIN",
        sasl.Password("tim", "pä55", "boss"),
        [Expect(b"AUTH PLAIN " + b64("boss\0tim\0pä55") + b"\r\n")],
    ),
    (
        "LOGIN",
        TIM,
        [
            *[Expect(b"AUTH LOGIN\r\n"), challenged("Username:"), responds(USER)],
            *[challenged("Password:"), responds(PASSWORD)],
        ],
    ),
    (  # what the challenges say does not matter, SASL-LOGIN-2.1-b
        "LOGIN",
        TIM,
        [
            *[Expect(b"AUTH LOGIN\r\n"), EMPTY, Expect(b"dGlt\r\n")],
            *[Say(b"334\r\n"), responds(PASSWORD)],
        ],
    ),
    (  # RFC 2195 section 3
        "CRAM-MD5",
        TIM,
        [
            Expect(b"AUTH CRAM-MD5\r\n"),
            challenged("<1896.697170952@postoffice.reston.mci.net>"),
            responds("tim b913a602c7eda7a495b4e6e7334d3890"),
        ],
    ),
    ("EXTERNAL", sasl.External(), [Expect(b"AUTH EXTERNAL =\r\n")]),
    ("EXTERNAL", sasl.External("tim"), [Expect(b"AUTH EXTERNAL dGlt\r\n")]),
    ("ANONYMOUS", sasl.Anonymous(), [Expect(b"AUTH ANONYMOUS =\r\n")]),
    ("ANONYMOUS", sasl.Anonymous("sirhc"), [Expect(b"AUTH ANONYMOUS c2lyaGM=\r\n")]),
    (
        "XOAUTH2",
        BEARER,
        [
            Expect(
                b"AUTH XOAUTH2 "
                + b64(f"user=tim\x01auth=Bearer {TOKEN}\x01\x01")
                + b"\r\n"
            )
        ],
    ),
    (
        "OAUTHBEARER",
        BEARER,
        [
            Expect(
                b"AUTH OAUTHBEARER "
                + b64(
                    "n,a=tim,\x01host=mx.example\x01port=587\x01"
                    f"auth=Bearer {TOKEN}\x01\x01"
                )
                + b"\r\n"
            )
        ],
    ),
]


@pytest.mark.parametrize(("name", "credentials", "steps"), EXCHANGES)
def test_each_mechanism_says_what_its_standard_prints(
    name: str, credentials: sasl.Credentials, steps: list[Step]
) -> None:
    login = Login(
        credentials,
        f"AUTH {name}",
        *[*steps, OK],
        mechanism=name,
        server_hostname="mx.example",
        port=587,
    )
    login.run()
    assert login.conn.authenticated
    assert login.conn.state is State.READY


@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram_says_what_its_standard_prints(name: str) -> None:
    """RFC 5802 section 5, RFC 7677 section 3."""
    nonce = scram(name)["client_nonce"]
    Login(PENCIL, f"AUTH {name}", *says_scram(name), OK, nonce=lambda: nonce).run()


def test_scram_is_bound_to_the_channel_where_that_is_offered() -> None:
    name = "SCRAM-SHA-256-PLUS"
    login = Login(
        PENCIL,
        f"AUTH SCRAM-SHA-256 {name} PLAIN",
        *[*says_scram(name), OK],
        negotiated=Negotiated("TLSv1.3", "x", bindings=BINDINGS),
    )
    login.run()
    assert login.conn.authenticated


def test_who_could_have_bound_says_so_where_it_is_not_offered() -> None:
    """RFC 5802 section 6: a server that has offered it finds the downgrade."""
    vector = next(each for each in CRYPTO["scram"] if each["gs2_header"] == "y,,")
    first = b"AUTH SCRAM-SHA-256 " + b64(vector["client_first"]) + b"\r\n"
    login = Login(
        PENCIL, "AUTH SCRAM-SHA-256", Expect(first), SAYS_NO, *BYE, negotiated=BOUND
    )
    assert login.fails().reply.code == 535


def test_digest_md5_says_what_its_standard_computes() -> None:
    """RFC 2831: named as which to act, and proved by the server."""
    vector = next(
        each for each in CRYPTO["digest_md5"] if each["digest_uri"][:5] == "smtp/"
    )
    response = (
        f'username="chris",realm="{vector["realm"]}",nonce="abc",cnonce="def",'
        f'digest-uri="{vector["digest_uri"]}",authzid="postmaster",nc=00000001,'
        f"qop=auth,response={vector['response']},charset=utf-8"
    )
    login = Login(
        sasl.Password("chris", "secret", "postmaster"),
        "AUTH DIGEST-MD5",
        Expect(b"AUTH DIGEST-MD5\r\n"),
        challenged(
            f'realm="{vector["realm"]}",nonce="abc",qop="auth",algorithm=md5-sess,'
            "charset=utf-8"
        ),
        responds(response),
        challenged(f"rspauth={vector['rspauth']}"),
        *[Expect(b"\r\n"), OK],
        mechanism="DIGEST-MD5",
        server_hostname=vector["realm"],
        nonce=lambda: "def",
    )
    login.run()
    assert login.conn.authenticated


# An initial response that does not fit.


def bearer_of(octets: int) -> sasl.Token:
    """Give a token whose AUTH XOAUTH2 line is so long, its CRLF included."""
    message = (octets - len("AUTH XOAUTH2 \r\n")) // 4 * 3
    return sasl.Token(USER, "t" * (message - len("user=tim\x01auth=Bearer \x01\x01")))


def line_of(token: sasl.Token) -> bytes:
    return b64(f"user=tim\x01auth=Bearer {token.token}\x01\x01")


def test_an_initial_response_fills_a_line_of_512_octets() -> None:
    """RFC 4954 section 4."""
    token = bearer_of(512)
    line = b"AUTH XOAUTH2 " + line_of(token) + b"\r\n"
    assert 508 < len(line) <= 512
    Login(token, "AUTH XOAUTH2", Expect(line), OK).run()


@pytest.mark.parametrize(
    "challenge", [EMPTY, Say(b"334\r\n"), challenged("whatever you like")]
)
def test_an_initial_response_that_is_longer_waits_for_a_challenge(
    challenge: Say,
) -> None:
    token = bearer_of(516)
    response = Expect(line_of(token) + b"\r\n")
    login = Login(
        token,
        "AUTH XOAUTH2",
        Expect(b"AUTH XOAUTH2\r\n"),
        challenge,
        response,
        OK,
    )
    login.run()
    assert login.conn.authenticated


def test_the_exchange_goes_on_behind_a_response_that_had_to_wait() -> None:
    refusal = '{"status":"401"}'
    token = bearer_of(600)
    login = Login(
        token,
        "AUTH XOAUTH2",
        *[Expect(b"AUTH XOAUTH2\r\n"), EMPTY, Expect(line_of(token) + b"\r\n")],
        *[challenged(refusal), Expect(b"\r\n"), SAYS_NO, *BYE],
    )
    assert str(login.fails()).endswith(": the server refused the token: 401")


def test_no_response_is_said_to_a_challenge_that_is_malformed() -> None:
    login = Login(
        bearer_of(516),
        "AUTH XOAUTH2",
        *[Expect(b"AUTH XOAUTH2\r\n"), Say(b"334 ???\r\n"), *CANCELLED, *BYE],
    )
    assert login.fails().reply.code == 501


def test_a_yes_to_a_response_that_was_never_said_is_not_believed() -> None:
    login = Login(
        bearer_of(516),
        "AUTH XOAUTH2",
        *[Expect(b"AUTH XOAUTH2\r\n"), Say(b"334 ???\r\n"), Expect(b"*\r\n"), OK],
    )
    assert str(login.fails().reason) == "a challenge is not base64"
    assert login.conn.state is State.CLOSED


def test_who_says_yes_before_anything_was_said_is_not_believed() -> None:
    login = Login(
        bearer_of(516), "AUTH XOAUTH2", Expect(b"AUTH XOAUTH2\r\n"), OK, Close()
    )
    assert "before it was asked" in str(login.fails())
    assert login.conn.state is State.CLOSED


def test_a_response_that_no_line_can_hold_ends_the_exchange() -> None:
    token = bearer_of(1_100)
    login = Login(
        token,
        "AUTH XOAUTH2",
        *[Expect(b"AUTH XOAUTH2\r\n"), EMPTY, *CANCELLED, *BYE],
        limits=Limits(auth_line=1_000),
    )
    assert isinstance(login.fails().reason, LocalProtocolError)


@pytest.mark.parametrize("octets", [600, 5_000, 12_288])
def test_a_challenge_may_be_as_long_as_standards_want(octets: int) -> None:
    """RFC 4954 section 4, whatever the limit of other lines is."""
    challenge = b"334 " + b"A" * ((octets - 6) // 4 * 4) + b"\r\n"
    limits = Limits(reply_line=512)
    login = Login(
        TIM,
        "AUTH LOGIN",
        *[Expect(b"AUTH LOGIN\r\n"), Say(challenge), responds(USER)],
        *[Say(challenge), responds(PASSWORD), OK],
        mechanism="LOGIN",
        limits=limits,
    )
    login.run()


@pytest.mark.parametrize("name", ["SEC-AUTH-BIG-a", "SEC-AUTH-OAUTH-a"])
def test_a_longer_one_ends_the_connection(name: str) -> None:
    attack = ATTACKS[name]
    challenge = b"334 " + b"A" * int(attack["pad_count"]) + b"\r\n"
    login = Login(TIM, "AUTH PLAIN", Expect(PLAIN), Say(challenge))
    with pytest.raises(RemoteProtocolError, match="longer than 12288 octets"):
        login.run()
    assert login.conn.state is State.CLOSED


# A no.


@pytest.mark.parametrize(
    ("code", "status", "temporary"),
    [
        (432, "4.7.12", True),  # a transition of the password is needed
        (454, "4.7.0", True),  # trouble of the server: the password may be right
        (500, "5.5.6", False),
        (501, "5.5.2", False),
        (504, "5.5.4", False),
        (530, "5.7.0", False),
        (534, "5.7.9", False),  # the mechanism is too weak
        (535, "5.7.8", False),
        (538, "5.7.11", False),
        (550, "5.7.1", False),
    ],
)
def test_replies_that_say_no_are_told_apart(
    code: int, status: str, temporary: bool
) -> None:
    """RFC 4954 section 6."""
    answer = Say(f"{code} {status} sorry\r\n".encode())
    login = Login(TIM, "AUTH PLAIN", Expect(PLAIN), answer, *BYE)
    failure = login.fails()
    assert failure.reply == Reply(code, ("sorry",), smtp.EnhancedCode.parse(status))
    assert failure.temporary is temporary
    assert failure.reason is None
    assert str(failure) == f"Auth: {code} {status} sorry"
    assert failure.command == smtp.Auth("PLAIN", b"\0tim\0" + PASSWORD.encode())


def test_after_421_there_is_no_quit() -> None:
    login = Login(TIM, "AUTH PLAIN", Expect(PLAIN), Say(b"421 4.7.0 enough\r\n"))
    assert login.fails().temporary
    assert login.conn.state is State.CLOSED


@pytest.mark.parametrize("code", [504, 534, 535])
def test_after_a_no_nothing_weaker_is_tried(code: int) -> None:
    """SEC-AUTH-STRIP-d."""
    first = Expect(b"AUTH SCRAM-SHA-256 " + b64("n,,n=tim,r=clientnonce") + b"\r\n")
    answer = Say(b"%d no\r\n" % code)
    login = Login(TIM, "AUTH SCRAM-SHA-256 PLAIN LOGIN", first, answer, *BYE)
    assert login.fails().reply.code == code


def test_after_a_no_another_login_may_be_tried() -> None:
    """RFC 4954 section 4."""
    conn = opened("AUTH PLAIN")
    wrong = Security(
        tls="none",
        credentials=sasl.Password(USER, "wrong"),
        allow_insecure=True,
        nonce=lambda: "n",
    )
    right = Security(
        tls="none", credentials=TIM, allow_insecure=True, nonce=lambda: "n"
    )
    line = b"AUTH PLAIN " + b64("\0tim\0wrong") + b"\r\n"
    with pytest.raises(smtp.AuthenticationFailed):
        play(smtp.log_in(conn, wrong), Expect(line), SAYS_NO)
    assert conn.state is State.READY
    play(smtp.log_in(conn, right), Expect(PLAIN), OK)
    assert conn.authenticated


# Which mechanism.


@pytest.mark.parametrize(
    ("credentials", "offer", "options", "chosen"),
    [
        (TIM, "AUTH LOGIN PLAIN SCRAM-SHA-256", {}, b"SCRAM-SHA-256 "),
        (TIM, "auth login plain scram-sha-1", {}, b"SCRAM-SHA-1 "),
        (TIM, "AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5 FROB", {}, b"PLAIN "),
        (TIM, "AUTH LOGIN", {}, b"LOGIN\r"),
        (TIM, "AUTH SCRAM-SHA-1 PLAIN", {"mechanism": "plain"}, b"PLAIN "),
        (TIM, "AUTH CRAM-MD5 PLAIN", {"mechanism": ["CRAM-MD5"]}, b"CRAM-MD5\r"),
        (TIM, "AUTH PLAIN", {"mechanism": ["SCRAM-SHA-1", "PLAIN"]}, b"PLAIN "),
        (BEARER, "AUTH PLAIN XOAUTH2 OAUTHBEARER", {}, b"OAUTHBEARER "),
        (sasl.External(), "AUTH PLAIN EXTERNAL", {}, b"EXTERNAL ="),
    ],
)
def test_the_strongest_that_fits_is_taken(
    credentials: sasl.Credentials, offer: str, options: dict[str, Any], chosen: bytes
) -> None:
    login = Login(credentials, offer, **options)
    peer = Peer(*login.steps)
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(login.conn, login.security))
    assert peer.writes[1].startswith(b"AUTH " + chosen)


@pytest.mark.parametrize(
    ("credentials", "offer", "options"),
    [
        (TIM, "SIZE", {}),
        (TIM, "AUTH", {}),
        (TIM, "AUTH=PLAIN", {}),  # the old form is no keyword
        (TIM, "AUTH CRAM-MD5 DIGEST-MD5 GSSAPI", {}),
        (TIM, "AUTH EXTERNAL ANONYMOUS XOAUTH2", {}),
        (TIM, "AUTH LOGIN PLAIN", {"mechanism": "SCRAM-SHA-256"}),  # SEC-AUTH-STRIP-c
        (TIM, "AUTH SCRAM-SHA-256-PLUS", {}),  # there is nothing to bind to
        (TIM, "AUTH PLAIN", {"mechanisms": [sasl.SCRAM_SHA_256]}),
        (sasl.Password("u", "p", "boss"), "AUTH LOGIN", {}),
        (BEARER, "AUTH PLAIN LOGIN SCRAM-SHA-256", {}),
        (sasl.External(), "AUTH PLAIN", {}),
    ],
)
def test_where_nothing_fits_nothing_is_said_but_quit(
    credentials: sasl.Credentials, offer: str, options: dict[str, Any]
) -> None:
    login = Login(credentials, offer, *BYE, **options)
    with pytest.raises(PolicyError, match="no mechanism fits"):
        login.run()
    assert login.conn.state is State.CLOSED


# What is wrong with what the caller gave.


def no_preparation() -> sasl.Password:
    return sasl.Password("tim", "\u0627\u0031")  # RFC 4013 section 3: mixed directions


@pytest.mark.parametrize(
    ("credentials", "offer", "options"),
    [
        (no_preparation(), "AUTH SCRAM-SHA-256", {}),
        (sasl.Token("tim", "a b".replace(" ", "!")), "AUTH OAUTHBEARER", {}),
        (TIM, "AUTH DIGEST-MD5", {"mechanism": "DIGEST-MD5"}),  # there is no host
        (TIM, "AUTH PLAIN", {"mechanism": "FROB"}),
        (TIM, "AUTH PLAIN", {"nonce": lambda: "with, comma"}),
        (TIM, "AUTH PLAIN", {"nonce": str}),
    ],
)
def test_credentials_that_cannot_be_used_are_not_begun_with(
    credentials: sasl.Credentials, offer: str, options: dict[str, Any]
) -> None:
    login = Login(credentials, offer, *BYE, **options)
    with pytest.raises(ValueError, match=r"."):
        login.run()
    assert login.conn.state is State.CLOSED


def test_without_a_source_of_nonces_nothing_is_said() -> None:
    conn = Connection(CLIENT, domain="me.example", tls=True)
    security = Security(tls="implicit", credentials=TIM)
    with pytest.raises(PolicyError, match="a login needs a source of nonces"):
        play(smtp.open(conn, security), *Login(TIM, "AUTH PLAIN", *BYE).steps)
    assert conn.state is State.CLOSED


# A login by itself.


OPEN: Final = Security(
    tls="none", credentials=TIM, allow_insecure=True, nonce=lambda: "n"
)


def test_a_login_needs_something_to_log_in_with() -> None:
    conn = opened("AUTH PLAIN")
    with pytest.raises(PolicyError, match="nothing to log in with"):
        play(smtp.log_in(conn, Security()))
    assert conn.state is State.READY


@pytest.mark.parametrize("tls", [None, Tls.REQUIRE, "implicit"])
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_a_login_by_itself_wants_the_tls_that_is_required(
    tls: Tls | str | None, allow_insecure: bool
) -> None:
    conn = opened("AUTH PLAIN SCRAM-SHA-256")
    security = Security(
        tls=tls, credentials=TIM, allow_insecure=allow_insecure, nonce=lambda: "n"
    )
    with pytest.raises(PolicyError, match="TLS is required, and there is none"):
        play(smtp.log_in(conn, security))
    assert conn.state is State.READY


def test_nobody_logs_in_twice() -> None:
    """RFC 4954 section 4."""
    conn = opened("AUTH PLAIN LOGIN")
    play(smtp.log_in(conn, OPEN), Expect(PLAIN), OK)
    for mechanism in ("PLAIN", "LOGIN"):
        again = Security(
            tls="none",
            credentials=TIM,
            mechanism=mechanism,
            allow_insecure=True,
            nonce=lambda: "n",
        )
        with pytest.raises(LocalProtocolError, match="Auth has succeeded already"):
            play(smtp.log_in(conn, again))
    assert conn.state is State.READY


def test_nobody_logs_in_within_a_transaction() -> None:
    """RFC 4954 section 4."""
    conn = opened("AUTH PLAIN")
    play(smtp.exchange(conn, smtp.Mail("")), Expect(b"MAIL FROM:<>\r\n"), OK)
    with pytest.raises(LocalProtocolError, match="out of order in MAIL"):
        play(smtp.log_in(conn, OPEN))
    assert conn.state is State.MAIL


def test_nobody_logs_in_before_ehlo() -> None:
    conn = Connection(CLIENT)
    with pytest.raises(PolicyError, match="the server offers none"):
        play(smtp.log_in(conn, OPEN))


def test_the_mechanisms_are_those_of_the_last_ehlo() -> None:
    conn = opened("AUTH PLAIN frob a+b")
    assert conn.mechanisms == ("PLAIN", "FROB")
    for offer, mechanisms in ((b"250-x\r\n250 AUTH LOGIN", ["LOGIN"]), (b"250 x", [])):
        ehlo = smtp.exchange(conn, smtp.Ehlo("me.example"))
        play(ehlo, Expect(b"EHLO me.example\r\n"), Say(offer + b"\r\n"))
        assert list(conn.mechanisms) == mechanisms
