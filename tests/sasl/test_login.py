from base64 import b64decode

import pytest

from sasl_talk import CLIENT, CRYPTO, begin, nobody, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import LOGIN, Challenge, Denied, ExchangeError, Password

[CASE] = CRYPTO["login"]


@pytest.mark.parametrize(
    "challenges",
    [
        (b64decode(CASE["challenge1_b64"]), b64decode(CASE["challenge2_b64"])),
        (b"Username:", b"Password:"),
        (b"Foo", b"\xff"),
        (b"", b""),
    ],
)
def test_the_challenges_may_say_anything(challenges: tuple[bytes, bytes]) -> None:
    exchange = LOGIN.begin(Password(CASE["username"], CASE["password"]), CLIENT)
    assert exchange.initial is None
    assert exchange.respond(challenges[0]) == b64decode(CASE["username_b64"])
    assert exchange.respond(challenges[1]) == b64decode(CASE["password_b64"])
    assert exchange.complete


@pytest.mark.parametrize("count", [0, 1])
def test_success_before_the_password_is_none(count: int) -> None:
    exchange = LOGIN.begin(Password("u", "p"), CLIENT)
    for _ in range(count):
        exchange.respond(b"")
    assert not exchange.complete


def test_a_third_challenge_is_not_answered() -> None:
    """SEC-AUTH-FAKE-d."""
    exchange = LOGIN.begin(Password("u", "p"), CLIENT)
    exchange.respond(b"Username:")
    exchange.respond(b"Password:")
    with pytest.raises(ExchangeError, match="a challenge too many"):
        exchange.respond(b"Password:")


def test_the_server_asks_for_both() -> None:
    server = begin(LOGIN)
    assert next(server) == Challenge(b"Username:")
    assert server.send(b"u") == Challenge(b"Password:")
    assert server.send(b"p") == sasl.VerifyPassword("u", "p")


def test_the_name_may_come_first() -> None:
    server = begin(LOGIN, b"u")
    assert next(server) == Challenge(b"Password:")
    assert server.send(b"p") == sasl.VerifyPassword("u", "p")
    assert play(begin(LOGIN, b"u"), b"p", "me") == sasl.Success("me", "u")


@pytest.mark.parametrize(
    ("user", "password"),
    [("", "p"), ("u", ""), ("u\0v", "p"), ("u", "\7"), ("\u00ad", "p")],
)
def test_what_cannot_be_prepared_is_wrong(user: str, password: str) -> None:
    with pytest.raises(Denied):
        play(begin(LOGIN, user.encode()), password.encode())


def test_a_name_and_a_password_are_utf_8() -> None:
    with pytest.raises(ExchangeError, match="not UTF-8"):
        play(begin(LOGIN, b"\xff"), b"p")
    with pytest.raises(ExchangeError, match="not UTF-8"):
        play(begin(LOGIN, b"u"), b"\xff")


def test_a_name_may_be_long() -> None:
    name = "x" * 1_000
    success, exchange = talk(LOGIN, Password(name, "p"), lambda _: "me")
    assert success == sasl.Success("me", name)
    assert exchange.complete
    with pytest.raises(Denied):
        talk(LOGIN, Password(name, "p"), nobody)
