"""Passwords without a mechanism: APOP, and USER with PASS."""

import pytest

from sasl_talk import CRYPTO, play
from smtp_pop_core import sasl
from smtp_pop_core.sasl import Denied, apop_digest, check_apop, check_password

PREPARED_LATE = "\u00aa"  # is "a" after SASLprep


@pytest.mark.parametrize("case", CRYPTO["apop"], ids=lambda case: case["source"])
def test_apop_is_a_digest_of_the_timestamp_and_the_password(
    case: dict[str, str],
) -> None:
    timestamp, secret = case["timestamp"], case["secret"]
    assert apop_digest(timestamp, secret) == case["digest"]
    check = check_apop(timestamp, "u", case["digest"])
    assert play(check, secret) == sasl.Success("u", "u")


def test_the_password_of_apop_is_prepared() -> None:
    assert apop_digest("<1@h>", PREPARED_LATE) == apop_digest("<1@h>", "a")
    with pytest.raises(ValueError, match="SASLprep"):
        apop_digest("<1@h>", "\7")
    with pytest.raises(ValueError, match="nothing is left"):
        apop_digest("<1@h>", "\u00ad")


@pytest.mark.parametrize("stored", ["another", None, "\7"])
def test_a_wrong_digest_and_an_unknown_user_are_the_same(stored: str | None) -> None:
    check = check_apop("<1@h>", "u", apop_digest("<1@h>", "secret"))
    assert next(check) == sasl.FindPassword("u")
    with pytest.raises(Denied):
        check.send(stored)


@pytest.mark.parametrize("digest", ["", "\u00e4", "0" * 31])
def test_anything_else_is_a_wrong_digest(digest: str) -> None:
    with pytest.raises(Denied):
        play(check_apop("<1@h>", "u", digest), "secret")


def test_nobody_lets_himself_in_with_the_stand_in_of_a_password() -> None:
    with pytest.raises(Denied):
        play(check_apop("<1@h>", "u", apop_digest("<1@h>", "?")), None)


def test_a_name_and_a_password_are_prepared() -> None:
    check = check_password("\u2168", PREPARED_LATE)
    assert next(check) == sasl.VerifyPassword("IX", "a")
    assert play(check_password("u", "p"), "me") == sasl.Success("me", "u")


@pytest.mark.parametrize(("user", "password"), [("", "p"), ("u", ""), ("\7", "p")])
def test_what_cannot_be_prepared_is_wrong(user: str, password: str) -> None:
    with pytest.raises(Denied):
        play(check_password(user, password))
    with pytest.raises(Denied):
        play(check_apop("<1@h>", "\7", "0" * 32))


def test_an_unknown_user_is_denied() -> None:
    with pytest.raises(Denied):
        play(check_password("u", "p"), None)
