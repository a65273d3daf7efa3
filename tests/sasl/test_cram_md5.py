from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CLIENT, CRYPTO, KEY, begin, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import CRAM_MD5, Challenge, Denied, ExchangeError, Password

CHALLENGE = b"<servernonce@mx.example>"


def response(user: str, password: str) -> bytes:
    exchange = CRAM_MD5.begin(Password(user, password), CLIENT)
    return exchange.respond(CHALLENGE)


@pytest.mark.parametrize("case", CRYPTO["cram_md5"], ids=lambda case: case["source"])
def test_the_challenge_is_answered_with_a_digest(case: dict[str, str]) -> None:
    exchange = CRAM_MD5.begin(Password(case["username"], case["password"]), CLIENT)
    assert exchange.initial is None
    challenge, answer = case["challenge"], b64decode(case["response_b64"])
    assert exchange.respond(challenge.encode()) == answer
    assert exchange.complete
    nonce, _, host = challenge.strip("<>").partition("@")
    context = sasl.ServerContext(nonce=nonce, host=host, fake_salt_key=KEY)
    server = begin(CRAM_MD5, context=context)
    assert next(server) == Challenge(challenge.encode())
    assert server.send(answer) == sasl.FindPassword(case["username"])
    with pytest.raises(StopIteration) as end:
        server.send(case["password"])
    name = case["username"]
    assert end.value.value == sasl.Success(name, name)


@pytest.mark.parametrize("stored", [None, "another", "\7"])
def test_a_wrong_password_and_an_unknown_user_are_the_same(stored: str | None) -> None:
    with pytest.raises(Denied):
        play(begin(CRAM_MD5), response("u", "secret"), stored)


def test_nobody_lets_himself_in_with_the_stand_in_of_a_password() -> None:
    with pytest.raises(Denied):
        play(begin(CRAM_MD5), response("u", "?"), None)


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b" ", b"u", b"u ", b" " + b"0" * 32, b"u " + b"0" * 31),
        *(b"u " + b"0" * 33, b"u " + b"A" * 32, b"u " + b"g" * 32, b"u\0" + b"0" * 32),
        b"u " + b"0" * 32 + b"\n",
    ],
)
def test_a_response_has_one_form(message: bytes) -> None:
    with pytest.raises(ExchangeError, match="a name and a digest"):
        play(begin(CRAM_MD5), message)


def test_a_name_is_prepared() -> None:
    digest = b" " + b"0" * 32
    question = play(begin(CRAM_MD5), "\u2168".encode() + digest)
    assert question == sasl.FindPassword("IX")
    with pytest.raises(Denied):
        play(begin(CRAM_MD5), b"\7" + digest)


def test_there_is_no_initial_response() -> None:
    """RFC 2195 section 2."""
    with pytest.raises(ExchangeError, match="no initial response"):
        play(begin(CRAM_MD5, b""))


def test_success_without_a_challenge_is_none() -> None:
    assert not CRAM_MD5.begin(Password("u", "p"), CLIENT).complete


def test_a_nonce_can_stand_in_a_msg_id() -> None:
    context = sasl.ServerContext(nonce="a>b", fake_salt_key=KEY)
    with pytest.raises(ValueError, match="msg-id"):
        begin(CRAM_MD5, context=context)


def test_what_cannot_be_prepared_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="SASLprep"):
        CRAM_MD5.begin(Password("u", "\7"), CLIENT)


@given(st.text(min_size=1), st.text(min_size=1))
def test_who_has_the_password_gets_in(user: str, password: str) -> None:
    try:
        credentials = Password(user, password)
        users = sasl.Users({user: password}, key=KEY)
    except ValueError:
        return
    success, exchange = talk(CRAM_MD5, credentials, users.answer)
    assert success.user == success.identity == sasl.saslprep(user)
    assert exchange.complete
