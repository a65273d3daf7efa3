"""Logging in at a server: what it offers, asks and answers.  RFC 4954."""

from typing import Any, Final

import pytest

from conversing import converse
from cutting import every_cut
from driving import NEGOTIATED, Close, Expect, Say, Shake, Step
from serving import GREETING, QUIT, Served, told
from smtp_logins import (
    ALL,
    BOUND,
    CODES,
    CRYPTO,
    NO,
    PASSWORD,
    PLAIN,
    TIM,
    TOKEN,
    USER,
    WELCOME,
    YES,
    AsyncKnowing,
    Knowing,
    b64,
    challenge,
    hello,
    keys,
    line,
    logins,
    response,
    serve_login,
)
from smtp_pop_core import CLIENT, SERVER, Negotiated, Security, sasl, smtp
from smtp_pop_core.sasl import Stored
from smtp_pop_core.smtp import Connection, Ending, Reply

# What is offered.


PASSWORDS: Final = {Stored.PASSWORD, Stored.SCRAM_SHA_256}
BOUND_ALL: Final = (
    b"EXTERNAL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS " + ALL
)


@pytest.mark.parametrize(
    ("stored", "negotiated", "offer"),
    [
        (set(Stored), NEGOTIATED, ALL),
        (set(Stored), BOUND, BOUND_ALL),
        (PASSWORDS, NEGOTIATED, b"SCRAM-SHA-256 PLAIN LOGIN"),
        (PASSWORDS, BOUND, b"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
        ({Stored.EXTERNAL}, BOUND, b"EXTERNAL"),
        ({Stored.TOKEN}, NEGOTIATED, b"OAUTHBEARER XOAUTH2"),
    ],
)
def test_what_can_be_checked_is_offered_inside_tls(
    stored: set[Stored], negotiated: Negotiated, offer: bytes
) -> None:
    """RFC 4954 section 3; EXTERNAL only to those who have shown a certificate."""
    serve_login(
        Close(), mechanisms=offer, negotiated=negotiated, logins=logins(stored=stored)
    )


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        (
            {"stored": set(Stored)},
            b"SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 ANONYMOUS",
        ),
        ({"stored": PASSWORDS}, b"SCRAM-SHA-256"),
        (
            {"stored": PASSWORDS, "allow_insecure": True},
            b"SCRAM-SHA-256 PLAIN LOGIN",
        ),
        ({"stored": set(Stored), "mechanisms": [sasl.CRAM_MD5]}, b"CRAM-MD5"),
    ],
)
def test_without_tls_no_password_is_asked_for(
    options: dict[str, Any], offer: bytes
) -> None:
    """RFC 4954 section 4 and section 6: nothing is offered that would be refused."""
    Served(Knowing, *hello(offer), Close(), extensions=CODES, logins=logins(**options))


@pytest.mark.parametrize(
    ("stored", "offer", "answer"),
    [
        (
            PASSWORDS,
            b"-ENHANCEDSTATUSCODES\r\n250 AUTH SCRAM-SHA-256\r\n",
            b"504 5.5.4 Mechanism not supported\r\n",
        ),
        (
            {Stored.PASSWORD},
            b" ENHANCEDSTATUSCODES\r\n",
            b"502 5.5.1 Command not implemented\r\n",
        ),
    ],
)
def test_a_password_without_tls_is_not_looked_at(
    stored: set[Stored], offer: bytes, answer: bytes
) -> None:
    """SEC-AUTH-PLAIN-a: nor is it counted as a try."""
    Served(
        Knowing,
        *[GREETING, Say(b"EHLO me.example\r\n")],
        Expect(b"250-mx.example\r\n250" + offer),
        *[*[Say(PLAIN), Expect(answer)] * 9, *QUIT],
        extensions=CODES,
        logins=logins(stored=stored),
    )
    assert told == []


def test_more_is_offered_once_tls_has_begun() -> None:
    before = b"250-mx.example\r\n250-STARTTLS\r\n250 AUTH SCRAM-SHA-256\r\n"
    after = (
        b"250-mx.example\r\n250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n"
    )
    served = Served(
        Knowing,
        *[GREETING, Say(b"EHLO me.example\r\n"), Expect(before), Say(b"STARTTLS\r\n")],
        *[Expect(b"220 Ready to start TLS\r\n"), Shake(BOUND)],
        *[Say(b"EHLO me.example\r\n"), Expect(after), Say(PLAIN)],
        *[Expect(b"235 Authentication succeeded\r\n"), Close()],
        extensions=[smtp.extensions.StartTls()],
        logins=logins(stored=PASSWORDS),
    )
    assert served.conn.authenticated


def test_a_connection_offers_the_mechanisms_that_it_is_told() -> None:
    conn = Connection(SERVER, extensions=())
    conn.next_event()
    conn.send(Reply(220))
    for names in (["PLAIN", "X-OWN"], ["LOGIN"], []):
        conn.offer_mechanisms(names)
        conn.receive_data(b"EHLO me.example\r\n")
        command = conn.next_event()
        reply = conn.default_reply(command)
        assert reply.lines[1:] == tuple(["AUTH " + " ".join(names)] * bool(names))
        conn.send(reply)
        assert list(conn.mechanisms) == names


@pytest.mark.parametrize("name", ["plain", "", "A B", "PL\r\nAIN", "X" * 21])
def test_what_is_no_mechanism_is_not_offered(name: str) -> None:
    conn = Connection(SERVER, extensions=())
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        conn.offer_mechanisms([name])


# What is said, octet for octet.


CRAM: Final = "tim " + "0123456789abcdef" * 2
TOKEN_LINE: Final = f"n,a=tim,\x01auth=Bearer {TOKEN}\x01\x01"
XOAUTH2: Final = f"user=tim\x01auth=Bearer {TOKEN}\x01\x01"
EXCHANGES: Final[list[list[Step]]] = [
    [Say(PLAIN), YES],
    [Say(PLAIN.lower()[:11] + PLAIN[11:]), YES],
    # an empty challenge: exactly "334 "
    [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n"), Say(PLAIN[11:]), YES],
    [Say(b"AUTH PLAIN \r\n"), Expect(b"334 \r\n"), Say(PLAIN[11:]), YES],
    [
        *[Say(b"AUTH LOGIN\r\n"), Expect(b"334 VXNlcm5hbWU6\r\n"), Say(b"dGlt\r\n")],
        *[Expect(b"334 UGFzc3dvcmQ6\r\n"), response(PASSWORD), YES],
    ],
    # the name as an initial response, as Microsoft's clients send it
    [
        Say(b"AUTH LOGIN dGlt\r\n"),
        *[Expect(b"334 UGFzc3dvcmQ6\r\n"), response(PASSWORD), YES],
    ],
    [Say(b"AUTH ANONYMOUS =\r\n"), YES],
    [Say(b"AUTH ANONYMOUS c2lyaGM=\r\n"), YES],
    [Say(b"AUTH ANONYMOUS\r\n"), Expect(b"334 \r\n"), Say(b"\r\n"), YES],
    [line("OAUTHBEARER", TOKEN_LINE), YES],
    [line("XOAUTH2", XOAUTH2), YES],
    [  # failure is a challenge first: RFC 7628 section 3.2.3
        line("OAUTHBEARER", TOKEN_LINE.replace(TOKEN, "wrong")),
        *[challenge('{"status":"invalid_token"}'), Say(b"AQ==\r\n"), NO],
    ],
    [
        line("XOAUTH2", XOAUTH2.replace(TOKEN, "wrong")),
        challenge('{"status":"401","schemes":"bearer","scope":""}'),
        *[Say(b"\r\n"), NO],
    ],
    [
        *[Say(b"AUTH CRAM-MD5\r\n"), challenge("<servernonce@mx.example>")],
        *[response(CRAM), NO],
    ],
]


@pytest.mark.parametrize("steps", EXCHANGES)
@pytest.mark.parametrize("application", [Knowing, AsyncKnowing])
def test_a_server_says_what_the_standards_print(
    application: smtp.ApplicationFactory, steps: list[Step]
) -> None:
    served = serve_login(*steps, *QUIT, application=application)
    assert served.ending is Ending.QUIT
    assert served.driver.reports == []
    assert served.conn.authenticated is (steps[-1] is YES)


@pytest.mark.parametrize(
    "steps",
    [
        [Say(b"AUTH EXTERNAL =\r\n"), YES],
        [Say(b"AUTH EXTERNAL dGlt\r\n"), YES],
        [Say(b"AUTH EXTERNAL\r\n"), Expect(b"334 \r\n"), Say(b"\r\n"), YES],
        [Say(b"AUTH EXTERNAL cm9vdA==\r\n"), NO],
    ],
)
def test_a_certificate_is_shown_in_the_handshake(steps: list[Step]) -> None:
    """SMTP-4954-4-h: "=" is an empty response, and none is none."""
    serve_login(*steps, *QUIT, negotiated=BOUND, mechanisms=BOUND_ALL)


def exchange_of(vector: dict[str, Any]) -> list[Step]:
    return [
        line(vector["mechanism"], vector["client_first"]),
        *[challenge(vector["server_first"]), response(vector["client_final"])],
        *[challenge(vector["server_final"]), Say(b"\r\n"), YES],
    ]


class Pencil(smtp.Application):
    """Knows the user of the vectors."""

    def authenticate(self, question: sasl.Question) -> object:
        told.append(question)
        match question:
            case sasl.FindScramKeys(_, hash):
                return keys(hash, "pencil")
            case sasl.Authorize(_, authzid):
                return authzid
        return None


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("p=tls-exporter,,", []),
        ("n,a=other,", [sasl.Authorize("user", "other")]),
    ],
)
def test_scram_proves_the_server_before_the_yes(
    header: str, asked: list[sasl.Question]
) -> None:
    """RFC 4954 section 4: 235 carries nothing of the mechanism."""
    vector = next(each for each in CRYPTO["scram"] if each["gs2_header"] == header)
    served = serve_login(
        *[*exchange_of(vector), *QUIT],
        application=Pencil,
        negotiated=BOUND,
        mechanisms=BOUND_ALL,
    )
    assert served.conn.authenticated
    assert told == [sasl.FindScramKeys("user", "SHA-256"), *asked]


def test_a_downgrade_from_binding_is_found() -> None:
    """RFC 5802 section 6."""
    vector = next(each for each in CRYPTO["scram"] if each["gs2_header"] == "y,,")
    served = serve_login(
        line("SCRAM-SHA-256", vector["client_first"]),
        *[Expect(b"501 5.7.0 The exchange was given up\r\n"), *QUIT],
        application=Pencil,
        negotiated=BOUND,
        mechanisms=BOUND_ALL,
    )
    assert told == []
    assert served.driver.reports == []


def test_the_application_is_asked_in_values() -> None:
    plain = line("PLAIN", f"boss\0{USER}\0{PASSWORD}")
    serve_login(plain, YES, *QUIT)
    assert told == [sasl.VerifyPassword(USER, PASSWORD, "boss")]
    serve_login(line("XOAUTH2", XOAUTH2), YES, *QUIT)
    assert told == [sasl.VerifyToken(USER, TOKEN)]
    serve_login(Say(b"AUTH ANONYMOUS c2lyaGM=\r\n"), YES, *QUIT)
    assert told == [sasl.VerifyAnonymous("sirhc")]


def test_a_login_may_be_cut_at_any_octet() -> None:
    said = b"AUTH LOGIN\r\ndGlt\r\n" + b64(PASSWORD) + b"\r\nNOOP\r\n"
    answers = (
        b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" + WELCOME + b"250 2.0.0 OK\r\n"
    )
    for cut in every_cut(said):
        served = serve_login(*map(Say, cut), Expect(answers), *QUIT)
        assert told == [sasl.VerifyPassword(USER, PASSWORD)]
        assert served.conn.authenticated


# Who it is.


MAIL: Final = Say(b"MAIL FROM:<a@b.example>\r\n")
SENDER_OK: Final = Expect(b"250 2.1.0 Sender OK\r\n")


def test_the_application_sees_who_has_logged_in() -> None:
    reset = [Say(b"RSET\r\n"), Expect(b"250 2.0.0 OK\r\n")]
    serve_login(MAIL, SENDER_OK, *reset, Say(PLAIN), YES, MAIL, SENDER_OK, *QUIT)
    assert told == ["", sasl.VerifyPassword(USER, PASSWORD), USER]


def test_a_login_outlives_ehlo() -> None:
    serve_login(Say(PLAIN), YES, *hello(ALL)[1:], MAIL, SENDER_OK, *QUIT)
    assert told[-1] == USER


def test_who_handed_a_message_in_is_what_the_client_says_and_no_login() -> None:
    """RFC 4954 section 5: it is taken from anybody, and the identity stays ""."""

    class Noting(smtp.Application):
        def mail(self, command: smtp.Mail) -> Reply | None:
            told.append((command.auth, self.peer.identity))
            return None

    mails = [b"AUTH=<>", b"AUTH=e+3Dmc2@example.com"]
    reset = [Say(b"RSET\r\n"), Expect(b"250 2.0.0 OK\r\n")]
    for mail in mails:
        said = Say(b"MAIL FROM:<a@b.example> " + mail + b"\r\n")
        serve_login(said, SENDER_OK, *reset, *QUIT, application=Noting)
        assert told == [({b"AUTH=<>": ""}.get(mail, "e=mc2@example.com"), "")]


def test_a_submission_server_takes_mail_after_a_login() -> None:
    """RFC 6409 section 4.3."""
    refused = Expect(b"530 5.7.0 Authentication required\r\n")
    serve_login(
        *[MAIL, refused, line("PLAIN", "\0tim\0wrong"), NO, MAIL, refused],
        *[Say(PLAIN), YES, MAIL, SENDER_OK, *QUIT],
        profile=smtp.SUBMISSION,
    )
    assert told[-1] == USER


def test_what_was_sent_behind_a_login_in_one_step_is_read_after_it() -> None:
    serve_login(
        Say(PLAIN + MAIL.data),
        Expect(WELCOME + SENDER_OK.data),
        *QUIT,
        profile=smtp.SUBMISSION,
    )
    assert told[-1] == USER


# A login has its place.


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"AUTH\r\n", b"501 5.5.4 Syntax error in arguments"),
        (b"AUTH FROB\r\n", b"504 5.5.4 Mechanism not supported"),
        (b"AUTH EXTERNAL =\r\n", b"504 5.5.4 Mechanism not supported"),
        (b"AUTH SCRAM-SHA-256-PLUS\r\n", b"504 5.5.4 Mechanism not supported"),
        (b"AUTH DIGEST-MD5\r\n", b"504 5.5.4 Mechanism not supported"),
        (b"AUTH P*\r\n", b"501 5.5.4 Syntax error in arguments"),
        (b"AUTH PLAIN AAAA AAAA\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN @@@@\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN AB-_\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN A===\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN =AAA\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN AAA=BBB\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN Zh==\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH PLAIN ==\r\n", b"501 5.5.2 Cannot decode base64"),
        (b"AUTH CRAM-MD5 Zm9v\r\n", b"501 5.7.0 The exchange was given up"),
        (b"AUTH CRAM-MD5 =\r\n", b"501 5.7.0 The exchange was given up"),
        (b"AUTH PLAIN =\r\n", b"501 5.7.0 The exchange was given up"),
        (b"AUTH LOGIN =\r\n", b"334 UGFzc3dvcmQ6"),
    ],
)
def test_an_auth_that_cannot_be_is_answered_so(said: bytes, answer: bytes) -> None:
    serve_login(Say(said), Expect(answer + b"\r\n"), Close())
    assert told == []


ORDER: Final = Expect(b"503 5.5.1 Bad sequence of commands\r\n")


def test_a_login_comes_behind_ehlo() -> None:
    for steps in (
        [Say(PLAIN), ORDER],
        [
            *[Say(b"HELO me.example\r\n"), Expect(b"250 mx.example\r\n"), Say(PLAIN)],
            Expect(b"502 5.5.1 Command not implemented\r\n"),
        ],
    ):
        Served(
            Knowing,
            *[Shake(), GREETING, *steps, Close()],
            tls=True,
            extensions=CODES,
            logins=logins(),
        )
        assert told == []


def test_nobody_logs_in_twice_or_in_a_transaction() -> None:
    """RFC 4954 section 4."""
    serve_login(Say(PLAIN), YES, Say(PLAIN), ORDER, Say(b"AUTH FROB\r\n"), ORDER, *QUIT)
    serve_login(
        MAIL, SENDER_OK, Say(PLAIN), ORDER, Say(b"AUTH LOGIN\r\n"), ORDER, *QUIT
    )
    assert told == [""]


def test_without_what_it_needs_a_server_has_no_auth() -> None:
    """A keyword of the caller's own is offered, and no mechanism behind it."""
    own = (*CODES, smtp.extensions.Auth(("PLAIN",)))
    unsupported = Expect(b"504 5.5.4 Mechanism not supported\r\n")
    serve_login(
        *[Say(PLAIN), unsupported, *QUIT],
        logins=None,
        extensions=own,
        mechanisms=b"PLAIN",
    )
    assert told == []


def test_an_application_that_lets_nobody_in_is_not_asked() -> None:
    served = serve_login(
        *[Say(PLAIN), NO, Say(b"AUTH LOGIN\r\n"), NO, *QUIT],
        application=smtp.Application,
    )
    assert served.driver.asked == ["Application"]


# Both sides.


CREDENTIALS: Final[dict[type[sasl.Credentials], sasl.Credentials]] = {
    sasl.Password: TIM,
    sasl.Token: sasl.Token(USER, TOKEN),
    sasl.External: sasl.External(),
    sasl.Anonymous: sasl.Anonymous("trace"),
}
BOTH_SIDES: Final = [each for each in sasl.STANDARD if each.server is not None]


def log_in(
    credentials: sasl.Credentials,
    mechanism: str | None,
    sizes: tuple[int, ...] = (65_536,),
    application: smtp.ApplicationFactory = Knowing,
) -> tuple[Connection, Connection, object]:
    """Let a client log in at a server, and return both sides and what went wrong."""
    conn = Connection(CLIENT, domain="me.example")
    server = Connection(
        SERVER,
        domain="mx.example",
        extensions=[*smtp.usual(), smtp.extensions.StartTls()],
        profile=smtp.SUBMISSION,
    )
    security = Security(
        server_hostname="mx.example",
        credentials=credentials,
        mechanism=mechanism,
        nonce=lambda: "clientnonce",
    )

    def conversation() -> Any:
        try:
            yield from smtp.open(conn, security)
            yield from smtp.exchange(conn, smtp.Mail("a@b.example"))
        except smtp.AuthenticationFailed as error:
            return error
        yield from smtp.quit(conn)
        return None

    told.clear()
    error, ending, reports = converse(
        conversation(), smtp.serve(server, application, logins=logins()), sizes, BOUND
    )
    assert (ending, reports) == (Ending.QUIT, [])
    return conn, server, error


@pytest.mark.parametrize("sizes", [(65_536,), (1,), (3, 50)])
@pytest.mark.parametrize("mechanism", BOTH_SIDES, ids=lambda each: each.name)
def test_both_sides_of_each_mechanism_agree(
    mechanism: sasl.Mechanism, sizes: tuple[int, ...]
) -> None:
    credentials = CREDENTIALS[mechanism.credentials]
    conn, server, error = log_in(credentials, mechanism.name, sizes)
    assert error is None
    assert conn.authenticated
    assert server.authenticated
    assert told[-1] == ("anonymous" if mechanism is sasl.ANONYMOUS else USER)


WRONG: Final[dict[type[sasl.Credentials], list[sasl.Credentials]]] = {
    sasl.Password: [sasl.Password(USER, "wrong"), sasl.Password("eve", PASSWORD)],
    sasl.Token: [sasl.Token(USER, "wrong")],
    sasl.External: [sasl.External("root")],
}


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [
        pytest.param(mechanism.name, credentials, id=f"{mechanism.name} {credentials}")
        for mechanism in BOTH_SIDES
        for credentials in WRONG.get(mechanism.credentials, [])
    ],
)
def test_an_unknown_user_and_a_wrong_password_look_the_same(
    mechanism: str, credentials: sasl.Credentials
) -> None:
    """SEC-AUTH-TIMING-a."""
    conn, server, error = log_in(credentials, mechanism)
    assert isinstance(error, smtp.AuthenticationFailed)
    assert str(error.reply) == "535 5.7.8 Authentication failed"
    assert not error.temporary
    assert not conn.authenticated
    assert not server.authenticated


def test_the_strongest_that_both_have_is_used() -> None:
    log_in(TIM, None)
    assert told[0] == sasl.FindScramKeys(USER, "SHA-512")


def test_asynchronous_applications_are_asked_as_well() -> None:
    conn, _, error = log_in(TIM, "SCRAM-SHA-1", application=AsyncKnowing)
    assert error is None
    assert conn.authenticated
