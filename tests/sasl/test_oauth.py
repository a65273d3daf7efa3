from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CLIENT, CRYPTO, begin, nobody, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import (
    OAUTHBEARER,
    XOAUTH2,
    Challenge,
    Denied,
    ExchangeError,
    Token,
    VerifyToken,
)

[ERROR] = CRYPTO["oauthbearer_error"]
BOTH = pytest.mark.parametrize("mechanism", [OAUTHBEARER, XOAUTH2])


@pytest.mark.parametrize("case", CRYPTO["oauthbearer"], ids=lambda case: case["source"])
def test_oauthbearer_says_everything_at_once(case: dict[str, Any]) -> None:
    context = sasl.ClientContext(
        nonce="n", host=case["host"], port=int(case["port"]), service="smtp"
    )
    name, token = case["authzid"], case["token"]
    exchange = OAUTHBEARER.begin(Token(name, token), context)
    assert exchange.initial == b64decode(case["message_b64"])
    assert exchange.complete
    question = play(begin(OAUTHBEARER, exchange.initial))
    assert question == VerifyToken(name, token)
    other = OAUTHBEARER.begin(Token("somebody", token, authzid=name), context)
    assert other.initial == exchange.initial


@pytest.mark.parametrize("case", CRYPTO["xoauth2"], ids=lambda case: case["source"])
def test_xoauth2_says_everything_at_once(case: dict[str, str]) -> None:
    exchange = XOAUTH2.begin(Token(case["user"], case["token"]), CLIENT)
    assert exchange.initial == b64decode(case["message_b64"])
    assert exchange.complete
    question = play(begin(XOAUTH2, exchange.initial))
    assert question == VerifyToken(case["user"], case["token"])


def test_host_and_port_are_said_if_they_are_known() -> None:
    context = sasl.ClientContext(nonce="n")
    exchange = OAUTHBEARER.begin(Token("u", "t"), context)
    assert exchange.initial == b"n,a=u,\1auth=Bearer t\1\1"


def test_commas_in_a_name_are_escaped() -> None:
    exchange = OAUTHBEARER.begin(Token("a,b=c", "t"), sasl.ClientContext(nonce="n"))
    assert exchange.initial == b"n,a=a=2Cb=3Dc,\1auth=Bearer t\1\1"
    assert play(begin(OAUTHBEARER, exchange.initial)) == VerifyToken("a,b=c", "t")


def test_a_bearer_token_has_a_form() -> None:
    with pytest.raises(ValueError, match="not a Bearer token") as caught:
        OAUTHBEARER.begin(Token("u", "hunter2!"), CLIENT)
    assert "hunter2" not in str(caught.value)
    exchange = XOAUTH2.begin(Token("u", "hunter2!"), CLIENT)
    assert play(begin(XOAUTH2, exchange.initial)) == VerifyToken("u", "hunter2!")


@pytest.mark.parametrize(
    ("mechanism", "answer"), [(OAUTHBEARER, b64decode("AQ==")), (XOAUTH2, b"")]
)
@pytest.mark.parametrize(
    ("challenge", "part"),
    [
        (b64decode(ERROR["challenge_b64"]), ERROR["status"]),
        (b'{ "status" : "401", "schemes":"bearer"}', "401"),
        (b"", "it does not say why"),
        (b'{"status":"\x1b[2J"}', "it does not say why"),
        (b"[" * 9_216, "it does not say why"),
        (b'{"status":"' + b"A" * 9_000, "it does not say why"),
    ],
)
def test_a_refusal_is_answered_and_counts(
    mechanism: sasl.Mechanism, answer: bytes, challenge: bytes, part: str
) -> None:
    """RFC 7628 section 3.2.3, SEC-AUTH-OAUTH-a."""
    exchange = mechanism.begin(Token("u", "t"), CLIENT)
    assert exchange.respond(challenge) == answer
    assert not exchange.complete  # whatever the server says now
    assert str(exchange.error) == f"the server refused the token: {part}"


@BOTH
def test_a_second_refusal_ends_the_exchange(mechanism: sasl.Mechanism) -> None:
    exchange = mechanism.begin(Token("u", "t"), CLIENT)
    exchange.respond(b"{}")
    with pytest.raises(ExchangeError, match="the server refused the token"):
        exchange.respond(b"{}")


def test_a_refusal_is_no_larger_than_any_challenge() -> None:
    with pytest.raises(ExchangeError, match="longer than 9216 octets"):
        OAUTHBEARER.begin(Token("u", "t"), CLIENT).respond(b"A" * 9_217)


@pytest.mark.parametrize(
    ("message", "question"),
    [
        (b"n,,\1auth=Bearer t\1\1", VerifyToken("", "t")),
        (b"y,,\1auth=bearer t\1\1", VerifyToken("", "t")),
        (b"n,a=u,\1auth=BEARER t==\1\1", VerifyToken("u", "t==")),
        (b"n,a=u,\1foo=bar=\1host=h\1auth=Bearer t\1x=\1\1", VerifyToken("u", "t")),
    ],
)
def test_oauthbearer_reads_pairs(message: bytes, question: VerifyToken) -> None:
    assert play(begin(OAUTHBEARER, message)) == question


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"n,,", b"n,,\1\1", b"n,,\1auth=Bearer t\1", b"n,,\1auth=Bearer t"),
        *(b"p=tls-unique,,\1auth=Bearer t\1\1", b"x,,\1auth=Bearer t\1\1"),
        *(b"n,\1auth=Bearer t\1\1", b"n,a=,\1auth=Bearer t\1\1"),
        *(b"n,a=a=b,\1auth=Bearer t\1\1", b"n,,\1auth=Basic t\1\1"),
        *(b"n,,\1auth=Bearer\1\1", b"n,,\1auth=Bearer \1\1", b"n,,\1auth=Bearer !\1\1"),
        *(b"n,,\1auth=Bearer t\1auth=Bearer t\1\1", b"n,,\1auth=Bearer t\1\1\1"),
        *(b"n,,\1Auth=Bearer t\1\1", b"n,,\1=x\1auth=Bearer t\1\1"),
        b"n,,\1auth=Bearer t\1\1x",
    ],
)
def test_other_messages_are_not_of_oauthbearer(message: bytes) -> None:
    with pytest.raises(ExchangeError, match="OAUTHBEARER"):
        play(begin(OAUTHBEARER, message))


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"user=u", b"user=u\1auth=Bearer t\1", b"user=\1auth=Bearer t\1\1"),
        *(b"user=u\1auth=Bearer \1\1", b"user=u\1auth=Bearer t\1\1\1"),
        *(b"user=u\1auth=Basic t\1\1", b"user=u\0\1auth=Bearer t\1\1"),
        *(b"User=u\1auth=Bearer t\1\1", b"user=u\1auth=Bearer t u\1\1"),
    ],
)
def test_other_messages_are_not_of_xoauth2(message: bytes) -> None:
    with pytest.raises(ExchangeError, match="XOAUTH2"):
        play(begin(XOAUTH2, message))


@pytest.mark.parametrize("answer", [b"\1", b"", b"anything"])
@pytest.mark.parametrize(
    ("mechanism", "message", "refusal"),
    [
        (OAUTHBEARER, b"n,,\1auth=Bearer t\1\1", b'{"status":"invalid_token"}'),
        (
            XOAUTH2,
            b"user=u\1auth=Bearer t\1\1",
            b'{"status":"401","schemes":"bearer","scope":""}',
        ),
    ],
)
def test_a_refusal_says_why_first(
    mechanism: sasl.Mechanism, message: bytes, refusal: bytes, answer: bytes
) -> None:
    server = begin(mechanism, message)
    next(server)
    assert server.send(None) == Challenge(refusal)
    with pytest.raises(Denied):
        server.send(answer)


@BOTH
def test_a_name_that_cannot_be_prepared_is_refused_like_a_wrong_token(
    mechanism: sasl.Mechanism,
) -> None:
    """RFC 4954 section 4, RFC 5034 section 4."""
    initial = mechanism.begin(Token("\u00ad", "t"), CLIENT).initial
    server = begin(mechanism, initial)
    assert isinstance(next(server), Challenge)
    with pytest.raises(Denied):
        server.send(b"")


@BOTH
def test_who_has_the_token_gets_in(mechanism: sasl.Mechanism) -> None:
    success, exchange = talk(mechanism, Token("u", "t"), lambda _: "me")
    assert success == sasl.Success("me", "u")
    assert exchange.complete
    with pytest.raises(Denied):
        talk(mechanism, Token("u", "t"), nobody)


@given(
    st.text(min_size=1), st.from_regex("[A-Za-z0-9._~+/-]{1,99}={0,2}", fullmatch=True)
)
def test_what_a_client_says_a_server_reads(user: str, word: str) -> None:
    try:
        token = Token(user, word)
        prepared = sasl.saslprep(user)
    except ValueError:
        return
    if not prepared:
        return
    for mechanism in (OAUTHBEARER, XOAUTH2):
        initial = mechanism.begin(token, CLIENT).initial
        assert play(begin(mechanism, initial)) == VerifyToken(prepared, word)
