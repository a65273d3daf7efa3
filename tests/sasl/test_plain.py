from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CLIENT, CRYPTO, begin, nobody, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import PLAIN, Denied, ExchangeError, Password, VerifyPassword


@pytest.mark.parametrize("case", CRYPTO["plain"], ids=lambda case: case["message_b64"])
def test_everything_is_in_one_message(case: dict[str, str]) -> None:
    credentials = Password(case["authcid"], case["password"], case["authzid"])
    exchange = PLAIN.begin(credentials, CLIENT)
    assert exchange.initial == b64decode(case["message_b64"])
    assert exchange.complete
    question = play(begin(PLAIN, exchange.initial))
    assert isinstance(question, VerifyPassword)
    assert question.user == case["authcid"]
    assert question.password == case["password"]
    # to act as oneself is nothing to ask about
    assert question.authzid in {"", case["authzid"]} - {case["authcid"]}


@pytest.mark.parametrize(
    "case", CRYPTO["plain_invalid"], ids=lambda case: case["reason"]
)
def test_other_messages_are_refused(case: dict[str, str]) -> None:
    message = b64decode(case["message_b64"])
    with pytest.raises(ExchangeError, match=r"three parts|is empty|not UTF-8"):
        play(begin(PLAIN, message))
    with pytest.raises(ExchangeError, match=r"three parts|is empty|not UTF-8"):
        play(begin(PLAIN), message)


@pytest.mark.parametrize(
    "message",
    [
        *("\0u\0\u00ad", "\0\u00ad\0p", "\0u\0\7", "\0\7\0p"),
        *("\u00ad\0u\0p", "\7\0u\0p"),
    ],
)
def test_what_cannot_be_prepared_is_wrong(message: str) -> None:
    """RFC 4616 section 2, and RFC 4954 section 4 for the name to act as."""
    with pytest.raises(Denied):
        play(begin(PLAIN, message.encode()))


def test_the_server_prepares_names_and_passwords() -> None:
    question = play(begin(PLAIN, "\u2168I\0I\u00adX\0\u00aa".encode()))
    assert question == VerifyPassword("IX", "a", "IXI")


def test_to_act_as_oneself_is_nothing_to_ask_about_however_it_is_spelled() -> None:
    question = play(begin(PLAIN, "\u2168\0IX\0p".encode()))
    assert question == VerifyPassword("IX", "p")


@pytest.mark.parametrize("size", [255, 2_000])
def test_long_names_and_passwords_are_let_pass(size: int) -> None:
    """RFC 4616 section 2 asks for 255 octets."""
    name = "x" * size
    success, _ = talk(PLAIN, Password(name, name, name + "y"), lambda _: "somebody")
    assert success == sasl.Success("somebody", name)


def test_the_application_says_who_it_is() -> None:
    assert play(begin(PLAIN, b"\0u\0p"), "me") == sasl.Success("me", "u")
    with pytest.raises(Denied):
        talk(PLAIN, Password("u", "p"), nobody)


def test_a_challenge_is_not_answered() -> None:
    """SEC-AUTH-FAKE-c: the password is sent once."""
    exchange = PLAIN.begin(Password("u", "p"), CLIENT)
    with pytest.raises(ExchangeError, match="a challenge too many"):
        exchange.respond(b"")
    assert not exchange.complete


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_what_a_client_says_a_server_reads(user: str, word: str, other: str) -> None:
    try:
        credentials = Password(user, word, other)
        name, secret, authzid = map(sasl.saslprep, (user, word, other))
    except ValueError:
        return
    if not (name and secret and bool(authzid) is bool(other)):
        return
    initial = PLAIN.begin(credentials, CLIENT).initial
    authzid = "" if authzid == name else authzid
    assert play(begin(PLAIN, initial)) == VerifyPassword(name, secret, authzid)
