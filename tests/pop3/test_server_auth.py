"""Serving AUTH: every mechanism, and whatever a client may say in the middle."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

import pytest

from conversing import converse
from driving import NEGOTIATED
from pop3_serving import (
    CAPA,
    DENIED,
    FAILED,
    GOODBYE,
    NAMED,
    OPENED,
    Memory,
    Plain,
    Talk,
    connection,
    logins,
    told,
)
from smtp_pop_core import CLIENT, Flow, Limits, Negotiated, Security, pop3, sasl
from smtp_pop_core.pop3 import Ending, State
from smtp_pop_core.sasl import Stored

NOT_SUPPORTED: Final = b"-ERR Mechanism not supported\r\n"
GIVEN_UP: Final = b"-ERR The exchange was given up\r\n"
NOT_BASE64: Final = b"-ERR Cannot decode base64\r\n"
PLAIN: Final = b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"  # NUL joe NUL secret
BINDINGS: Final = {"tls-exporter": bytes(range(32))}
BOUND: Final = Negotiated("TLSv1.3", "TLS_AES_256_GCM_SHA384", bindings=BINDINGS)
CERTIFIED: Final = Negotiated(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", certificate=b"joe's", bindings=BINDINGS
)
EVERYTHING: Final = tuple(Stored)
KEYS: Final = sasl.ScramKeys.derive(
    "secret", "SHA-256", b"a salt of 16 oct", sasl.LEAST_ITERATIONS
)


class Knowing(Plain):
    """Knows joe in every way, and notes what it is asked."""

    def authenticate(self, question: sasl.Question) -> object:
        told.append(question)
        match question:
            case sasl.FindScramKeys(user="joe", hash=hash):
                return sasl.ScramKeys.derive(
                    "secret", hash, b"a salt of 16 oct", sasl.LEAST_ITERATIONS
                )
            case sasl.VerifyToken(user="joe", token="ya29.token"):
                return "joe"
            case sasl.VerifyExternal(authzid=""):
                security = self.peer.security
                known = security is not None and security.certificate == b"joe's"
                return "joe" if known else None
            case sasl.VerifyAnonymous():
                return "guest"
        return super().authenticate(question)


def base64(text: str | bytes) -> bytes:
    return b64encode(text.encode() if isinstance(text, str) else text)


def line(text: str | bytes) -> bytes:
    return base64(text) + b"\r\n"


def challenge(text: str | bytes) -> bytes:
    return b"+ " + line(text)


# Which mechanisms there are.


def offered(talk: Talk) -> list[str]:
    capabilities = talk.hear(b"CAPA\r\n").decode().splitlines()
    sasl = [each for each in capabilities if each.startswith("SASL ")]
    listing = talk.hear(b"AUTH\r\n").decode().splitlines()
    assert listing[0] == "+OK Mechanisms follow"
    assert " ".join(["SASL", *listing[1:-1]]) == (sasl or ["SASL"])[0]
    return listing[1:-1]


@pytest.mark.parametrize(
    ("stored", "insecure", "tls", "negotiated", "names"),
    [
        ((Stored.PASSWORD,), False, False, NEGOTIATED, ""),
        ((Stored.PASSWORD,), True, False, NEGOTIATED, "PLAIN LOGIN"),
        ((Stored.PASSWORD,), False, True, NEGOTIATED, "PLAIN LOGIN"),
        ((Stored.CLEAR,), False, False, NEGOTIATED, "CRAM-MD5"),
        ((Stored.TOKEN,), False, False, NEGOTIATED, ""),
        ((Stored.TOKEN,), False, True, NEGOTIATED, "OAUTHBEARER XOAUTH2"),
        ((Stored.SCRAM_SHA_256,), False, False, NEGOTIATED, "SCRAM-SHA-256"),
        ((Stored.SCRAM_SHA_256,), False, True, NEGOTIATED, "SCRAM-SHA-256"),
        (
            (Stored.SCRAM_SHA_256,),
            *(False, True, BOUND, "SCRAM-SHA-256-PLUS SCRAM-SHA-256"),
        ),
        ((Stored.EXTERNAL,), False, True, NEGOTIATED, ""),
        ((Stored.EXTERNAL,), False, True, BOUND, ""),
        ((Stored.EXTERNAL,), False, True, CERTIFIED, "EXTERNAL"),
        ((Stored.EXTERNAL,), True, False, CERTIFIED, ""),
        ((Stored.ANONYMOUS,), False, False, NEGOTIATED, "ANONYMOUS"),
    ],
)
def test_what_can_be_checked_safely_is_offered(
    stored: Sequence[Stored],
    insecure: bool,
    tls: bool,
    negotiated: Negotiated,
    names: str,
) -> None:
    talk = Talk(
        Knowing,
        conn=connection(tls=tls),
        logins=logins(*stored, allow_insecure=insecure),
        negotiated=negotiated,
    )
    assert offered(talk) == names.split()
    for name in {each.name for each in sasl.STANDARD} - {*names.split()}:
        heard = talk.hear(f"AUTH {name}\r\n".encode())
        assert heard in (NOT_SUPPORTED, b"-ERR Command not implemented\r\n")
    assert told == []


def test_the_mechanisms_are_named_in_both_states() -> None:
    """RFC 2449 section 5: what CAPA said before the login holds."""
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    expected = CAPA.replace(b"\r\n.\r\n", b"\r\nSASL PLAIN LOGIN\r\n.\r\n")
    assert talk.hear(b"CAPA\r\n") == expected
    assert talk.hear(PLAIN) == OPENED
    assert talk.hear(b"CAPA\r\n") == expected


def test_without_logins_there_is_no_auth() -> None:
    """Also if the capability is given: nobody says what can be checked."""
    capabilities = (*pop3.usual(), pop3.capabilities.Sasl(("PLAIN",)))
    talk = Talk(Knowing, conn=connection(capabilities=capabilities))
    assert talk.hear(PLAIN) == NOT_SUPPORTED
    assert talk.slept == []
    assert talk.log_in() == OPENED


# Exchanges, octet by octet.


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ([PLAIN], [OPENED]),
        ([b"auth plain AGpvZQBzZWNyZXQ=\r\n"], [OPENED]),
        ([b"AUTH PLAIN\r\n", b"AGpvZQBzZWNyZXQ=\r\n"], [b"+ \r\n", OPENED]),
        (
            [b"AUTH LOGIN\r\n", b"am9l\r\n", b"c2VjcmV0\r\n"],
            [b"+ VXNlcm5hbWU6\r\n", b"+ UGFzc3dvcmQ6\r\n", OPENED],
        ),
        (
            [b"AUTH LOGIN am9l\r\n", b"c2VjcmV0\r\n"],
            [b"+ UGFzc3dvcmQ6\r\n", OPENED],
        ),
        ([b"AUTH ANONYMOUS =\r\n"], [OPENED]),
        ([b"AUTH ANONYMOUS\r\n", b"\r\n"], [b"+ \r\n", OPENED]),
    ],
)
def test_an_exchange_is_base64_and_nothing_else(
    said: list[bytes], heard: list[bytes]
) -> None:
    """RFC 5034 section 4."""
    talk = Talk(Knowing, logins=logins(*EVERYTHING))
    assert [talk.hear(each) for each in said] == heard
    assert talk.conn.state is State.TRANSACTION
    again = Talk(Knowing, logins=logins(*EVERYTHING))
    assert again.hear(b"".join(said)) == b"".join(heard)


def test_cram_md5_is_as_in_rfc_2195() -> None:
    class Tim(Plain):
        def authenticate(self, question: sasl.Question) -> object:
            assert question == sasl.FindPassword("tim")
            return "tanstaaftanstaaf"

    conn = connection(domain="postoffice.reston.mci.net")
    talk = Talk(Tim, conn=conn, logins=logins(nonce="1896.697170952"))
    assert talk.hear(b"AUTH CRAM-MD5\r\n") == (
        b"+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n"
    )
    heard = talk.hear(b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n")
    assert heard == OPENED
    assert told == ["tim"]


RFC_7677: Final = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
PROOF: Final = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


class Pencil(Plain):
    def authenticate(self, question: sasl.Question) -> object:
        salt = bytes.fromhex("5b6d99689d12358eec a04b141236fa81")
        keys = sasl.ScramKeys.derive("pencil", "SHA-256", salt, 4096)
        return keys if question == sasl.FindScramKeys("user", "SHA-256") else None


def test_scram_sha_256_is_as_in_rfc_7677() -> None:
    """What comes with success is one more challenge.  RFC 5034 section 4."""
    nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    talk = Talk(Pencil, logins=logins(nonce=nonce))
    first = base64("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert talk.hear(b"AUTH SCRAM-SHA-256 " + first + b"\r\n") == challenge(
        f"{RFC_7677},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert talk.hear(line(f"c=biws,{RFC_7677},p={PROOF}")) == challenge(
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )
    assert told == []
    assert talk.hear(b"\r\n") == OPENED
    assert told == ["user"]


def test_scram_does_not_tell_who_is_unknown() -> None:
    """The same form of answers, the same salt each time, and a no at the end."""
    heard = []
    for user in ("nobody", "nobody", "user"):
        talk = Talk(Pencil, logins=logins())
        first = talk.hear(b"AUTH SCRAM-SHA-256 " + line(f"n,,n={user},r=client"))
        final = f"c=biws,r=clientservernonce,p={base64(bytes(32)).decode()}"
        heard.append((first, talk.hear(line(final)), talk.slept))
    assert heard[0] == heard[1]
    assert len(heard[0][0]) == len(heard[2][0])
    assert heard[0][1:] == heard[2][1:] == (DENIED, [3])


@pytest.mark.parametrize(
    ("first", "good", "refusal"),
    [
        (
            "user=joe\1auth=Bearer {}\1\1",
            b"AUTH XOAUTH2 ",
            b'{"status":"401","schemes":"bearer","scope":""}',
        ),
        (
            "n,a=joe,\1host=pop.example\1port=995\1auth=Bearer {}\1\1",
            b"AUTH OAUTHBEARER ",
            b'{"status":"invalid_token"}',
        ),
    ],
)
def test_a_token_is_refused_in_two_steps(
    first: str, good: bytes, refusal: bytes
) -> None:
    """RFC 7628 section 3.2.3."""
    talk = Talk(Knowing, logins=logins(Stored.TOKEN))
    assert talk.hear(good + line(first.format("stale"))) == challenge(refusal)
    assert talk.hear(b"AQ==\r\n") == DENIED
    assert talk.hear(good + line(first.format("ya29.token"))) == OPENED
    assert told[-1] == "joe"


def test_external_asks_whose_certificate_it_is() -> None:
    conn = connection(tls=True)
    given = logins(Stored.EXTERNAL)
    talk = Talk(Knowing, conn=conn, logins=given, negotiated=CERTIFIED)
    assert talk.hear(b"AUTH EXTERNAL am9obg==\r\n") == DENIED
    assert talk.hear(b"AUTH EXTERNAL =\r\n") == OPENED
    assert told == [sasl.VerifyExternal("john"), sasl.VerifyExternal(""), "joe"]


@pytest.mark.parametrize("bindings", [BINDINGS, {"tls-exporter": bytes(32)}])
def test_a_login_is_bound_to_the_channel(bindings: dict[str, bytes]) -> None:
    """Somebody in between has another channel, and gets nowhere.  RFC 5802."""
    talk = Talk(
        Knowing,
        conn=connection(tls=True),
        logins=logins(Stored.SCRAM_SHA_256),
        negotiated=BOUND,
    )
    context = sasl.ClientContext(nonce="clientnonce", bindings=bindings)
    credentials = sasl.Password("joe", "secret")
    client = sasl.SCRAM_SHA_256_PLUS.begin(credentials, context)
    assert client.initial is not None
    heard = talk.hear(b"AUTH SCRAM-SHA-256-PLUS " + line(client.initial))
    final = client.respond(b64decode(heard.removeprefix(b"+ ")))
    heard = talk.hear(line(final))
    assert (heard == GIVEN_UP) is (bindings != BINDINGS)


def test_who_could_bind_and_was_told_otherwise_is_warned() -> None:
    """RFC 5802 section 6: the offer of -PLUS was taken out on its way."""
    talk = Talk(
        Knowing,
        conn=connection(tls=True),
        logins=logins(Stored.SCRAM_SHA_256),
        negotiated=BOUND,
    )
    assert talk.hear(b"AUTH SCRAM-SHA-256 " + line("y,,n=joe,r=c")) == GIVEN_UP
    assert talk.hear(b"AUTH SCRAM-SHA-256 " + line("n,,n=joe,r=c")).startswith(b"+ ")


def visit(conn: pop3.Connection, security: Security) -> Flow[pop3.Totals]:
    """Log in, ask for the totals and leave."""
    yield from pop3.open(conn, security)
    totals = yield from pop3.status(conn)
    yield from pop3.quit(conn)
    return totals


CREDENTIALS: Final[dict[type[sasl.Credentials], sasl.Credentials]] = {
    sasl.Password: sasl.Password("joe", "secret"),
    sasl.Token: sasl.Token("joe", "ya29.token"),
    sasl.Anonymous: sasl.Anonymous("joe@example.com"),
}
WITHOUT_TLS: Final = [
    each for each in sasl.STANDARD if each.server is not None and not each.require_tls
]


@pytest.mark.parametrize("sizes", [(65_536,), (1,), (3, 1, 2)])
@pytest.mark.parametrize("mechanism", WITHOUT_TLS, ids=lambda each: each.name)
def test_a_client_and_a_server_agree(
    mechanism: sasl.Mechanism, sizes: tuple[int, ...]
) -> None:
    told.clear()
    security = Security(
        tls="none",
        credentials=CREDENTIALS[mechanism.credentials],
        mechanism=mechanism.name,
        allow_insecure=True,
        nonce=lambda: "clientnonce",
    )
    server = pop3.serve(connection(), Knowing, logins=logins(*EVERYTHING))
    client = visit(pop3.Connection(CLIENT), security)
    totals, ending, reports = converse(client, server, sizes)
    assert totals == pop3.Totals(2, 54)
    assert ending is Ending.QUIT
    assert reports == []
    assert told[-4] == ("guest" if mechanism is sasl.ANONYMOUS else "joe")


# What a client may say in the middle.


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"AUTH FROB\r\n", NOT_SUPPORTED),
        (b"AUTH SCRAM-SHA-256-PLUS\r\n", NOT_SUPPORTED),
        (b"AUTH x x\r\n", NOT_BASE64),
        (b"AUTH \xc3\xa9\r\n", b"-ERR Only ASCII is allowed here\r\n"),
        (b"AUTH PLAIN AGpvZQBzZWNyZXQ\r\n", NOT_BASE64),
        (b"AUTH PLAIN AGpvZQBzZWNyZX Q=\r\n", NOT_BASE64),
        (b"AUTH PLAIN AGpvZQBzZWNyZXR=\r\n", NOT_BASE64),
        (b"AUTH PLAIN =AAA\r\n", NOT_BASE64),
        (b"AUTH PLAIN AAA=BBB\r\n", NOT_BASE64),
        (b"AUTH PLAIN *\r\n", NOT_BASE64),
        (b"AUTH a/b\r\n", b"-ERR Syntax error in arguments\r\n"),
    ],
)
def test_an_auth_that_cannot_begin_costs_nothing(said: bytes, heard: bytes) -> None:
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    assert talk.hear(said) == heard
    assert talk.slept == []
    assert told == []
    assert talk.hear(PLAIN) == OPENED


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (b"AUTH PLAIN\r\n*\r\n", GIVEN_UP),
        (b"AUTH LOGIN\r\n*\r\n", GIVEN_UP),
        (b"AUTH LOGIN\r\nam9l\r\n*\r\n", GIVEN_UP),
        (b"AUTH CRAM-MD5\r\n*\r\n", GIVEN_UP),
        (b"AUTH SCRAM-SHA-256\r\n*\r\n", GIVEN_UP),
        (b"AUTH CRAM-MD5 am9l\r\n", GIVEN_UP),
        (b"AUTH CRAM-MD5 =\r\n", GIVEN_UP),
        (b"AUTH CRAM-MD5\r\n\r\n", GIVEN_UP),
        (b"AUTH CRAM-MD5\r\nam9l\r\n", GIVEN_UP),
        (b"AUTH PLAIN =\r\n", GIVEN_UP),
        (b"AUTH PLAIN\r\n\r\n", GIVEN_UP),
        (b"AUTH PLAIN am9l\r\n", GIVEN_UP),
        (b"AUTH PLAIN /w==\r\n", GIVEN_UP),
        (b"AUTH PLAIN AAAAAA==\r\n", GIVEN_UP),
        (b"AUTH PLAIN\r\nAGpvZQBzZWNyZXQ\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\nAB CD\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\n=\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\n=AAA\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\nAAA=BBB\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\n\0\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\n**\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\nQUIT\n\r\n", NOT_BASE64),
        (b"AUTH PLAIN\r\nUSER joe\r\n", NOT_BASE64),
        (b"AUTH SCRAM-SHA-256 bixhPWpvaG4sbj1qb2U=\r\n", GIVEN_UP),
        (b"AUTH LOGIN\r\nam9l\r\nd3Jvbmc=\r\n", DENIED),
        (b"AUTH LOGIN /w==\r\nd3Jvbmc=\r\n", GIVEN_UP),
        (b"AUTH PLAIN AGpvZQB3cm9uZw==\r\n", DENIED),
        (b"AUTH PLAIN YW5uAGpvZQBzZWNyZXQ=\r\n", DENIED),
    ],
)
def test_an_exchange_that_fails_leaves_the_session_as_it_was(
    said: bytes, last: bytes
) -> None:
    """RFC 5034 section 4."""
    talk = Talk(Knowing, logins=logins(*EVERYTHING))
    talk.hear(said)
    assert talk.writes[-1] == last
    assert talk.slept == [3]
    assert talk.conn.state is State.AUTHORIZATION
    assert talk.driver.reports == []
    assert talk.log_in() == OPENED


def test_a_name_from_user_is_not_that_of_an_exchange() -> None:
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    assert talk.hear(b"USER ann\r\nAUTH PLAIN\r\n") == NAMED + b"+ \r\n"
    assert talk.hear(b"*\r\nPASS a b  c\r\n") == GIVEN_UP + b"-ERR Not now\r\n"


def test_a_response_may_be_as_long_as_rfc_4954_says() -> None:
    """RFC 5034 section 4: the limit of 255 octets is not for responses."""
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    talk.hear(b"AUTH PLAIN\r\n")
    longest = line(b"\0joe\0" + b"x" * 9_207)
    assert len(longest) == 12_286
    assert talk.hear(longest) == DENIED
    talk.hear(b"AUTH PLAIN\r\n")
    assert talk.hear(line(b"x" * 9_300) + PLAIN) == b"-ERR Line too long\r\n" + OPENED


def test_a_first_response_is_bounded_by_the_command_line() -> None:
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    first = b"AUTH PLAIN " + line(b"\0joe\0" + b"x" * 200)
    assert talk.hear(first + PLAIN) == b"-ERR Line too long\r\n" + OPENED


def test_a_bad_line_too_many_in_an_exchange_ends_the_session() -> None:
    talk = Talk(
        Knowing,
        conn=connection(limits=Limits(bad_commands=1)),
        logins=logins(Stored.PASSWORD),
    )
    assert talk.hear(b"WHAT\r\nAUTH PLAIN\r\n!\r\n" + PLAIN).endswith(
        b"+ \r\n-ERR Too many bad commands\r\n"
    )
    assert talk.ending is Ending.REFUSED
    assert told == [Ending.REFUSED]


def test_a_connection_may_be_lost_in_an_exchange() -> None:
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    assert talk.hear(b"AUTH PLAIN\r\nAGpvZQBzZWNyZXQ=", b"") == b"+ \r\n"
    assert talk.ending is Ending.LOST
    assert told == [Ending.LOST]


def test_there_is_one_login_only() -> None:
    """RFC 5034 section 4."""
    talk = Talk(Knowing, logins=logins(Stored.PASSWORD))
    assert talk.hear(PLAIN) == OPENED
    assert talk.hear(PLAIN + b"AUTH\r\nQUIT\r\n") == b"-ERR Not now\r\n" * 2 + GOODBYE


def test_a_challenge_that_cannot_be_sent_is_a_mistake_of_the_mechanism() -> None:
    def talkative(context: sasl.ServerContext, initial: bytes | None) -> sasl.Server:
        yield sasl.Challenge(bytes(100_000))
        return sasl.Success("joe", "joe")

    mechanism = sasl.Mechanism(name="X-TALK", server=talkative)
    talk = Talk(Knowing, logins=logins(mechanisms=[mechanism]))
    assert talk.hear(b"AUTH X-TALK\r\nUSER joe\r\n") == FAILED + NAMED
    assert talk.hear(b"PASS secret\r\n") == OPENED
    assert talk.slept == []
    assert len(talk.driver.reports) == 1


def test_a_mechanism_may_be_ones_own() -> None:
    def knock(context: sasl.ServerContext, initial: bytes | None) -> sasl.Server:
        response = yield sasl.Challenge(context.nonce.encode())
        assert isinstance(response, bytes)
        identity = yield sasl.VerifyAnonymous(response.decode())
        return sasl.Success(str(identity), "")

    mechanism = sasl.Mechanism(name="X-KNOCK", server=knock)
    talk = Talk(Knowing, logins=logins(mechanisms=[mechanism], nonce="who"))
    assert offered(talk) == ["X-KNOCK"]
    assert talk.hear(b"AUTH X-KNOCK\r\nbWU=\r\n") == b"+ d2hv\r\n" + OPENED
    assert told == [sasl.VerifyAnonymous("me"), "guest"]


def test_another_maildrop_is_opened_for_another_identity() -> None:
    class Acting(Plain):
        def authenticate(self, question: sasl.Question) -> object:
            match question:
                case sasl.VerifyPassword(user="joe", authzid="box"):
                    return "box"
            return None

        def open(self, identity: str) -> pop3.Maildrop:
            told.append(identity)
            return Memory()

    talk = Talk(Acting, logins=logins(Stored.PASSWORD))
    heard = talk.hear(b"AUTH PLAIN " + line("box\0joe\0secret"))
    assert heard == b"+OK 0 messages, 0 octets\r\n"
    assert told == ["box"]
