"""TLS and logins as values: what a client insists on, and what a server can check."""

from dataclasses import FrozenInstanceError
from typing import Any, Final

import pytest

from smtp_pop_core import Logins, Negotiated, PolicyError, Security, Tls, sasl
from smtp_pop_core.sasl import Stored

TIM: Final = sasl.Password("tim", "hunter2")
NEGOTIATED: Final = Negotiated(
    "TLSv1.3", "x", b"certificate", {"tls-exporter": b"binding"}
)
UNBOUND: Final = Negotiated("TLSv1.3", "x")


def logins(**options: Any) -> Logins:
    given: dict[str, Any] = {"stored": set(Stored), "fake_salt_key": b"key"}
    return Logins(**given | options)


# What a client insists on.


@pytest.mark.parametrize(
    ("tls", "credentials", "policy"),
    [
        (None, None, Tls.NONE),
        (None, TIM, Tls.REQUIRE),
        (None, sasl.Anonymous(), Tls.REQUIRE),
        ("none", TIM, Tls.NONE),
        (Tls.NONE, None, Tls.NONE),
        ("require", None, Tls.REQUIRE),
        ("opportunistic", None, Tls.OPPORTUNISTIC),
        (Tls.OPPORTUNISTIC, TIM, Tls.OPPORTUNISTIC),
        ("implicit", None, Tls.IMPLICIT),
        (Tls.IMPLICIT, TIM, Tls.IMPLICIT),
    ],
)
def test_who_has_credentials_insists_on_tls_if_nothing_else_is_said(
    tls: Tls | str | None, credentials: sasl.Credentials | None, policy: Tls
) -> None:
    """RFC 8314 section 5.2."""
    assert Security(tls=tls, credentials=credentials).policy is policy


@pytest.mark.parametrize("tls", ["", "Require", "starttls", "stls", "yes", True, 1])
def test_there_are_four_policies(tls: Any) -> None:
    assert {each.value for each in Tls} == {
        *("require", "opportunistic", "implicit", "none")
    }
    with pytest.raises(ValueError, match="is not a valid Tls"):
        Security(tls=tls)


@pytest.mark.parametrize(
    ("policy", "tls", "hides"),
    [
        (Tls.REQUIRE, True, True),
        (Tls.IMPLICIT, True, True),
        (Tls.NONE, True, True),  # begun by the caller, with whom it knows
        (Tls.OPPORTUNISTIC, True, False),  # with whoever was there
        (Tls.REQUIRE, False, False),
        (Tls.IMPLICIT, False, False),
        (Tls.OPPORTUNISTIC, False, False),
        (Tls.NONE, False, False),
    ],
)
def test_only_tls_with_the_right_server_hides_a_password(
    policy: Tls, tls: bool, hides: bool
) -> None:
    assert Security(tls=policy).hides(tls=tls) is hides


def test_a_login_needs_a_source_of_nonces() -> None:
    for nonce in (Security().nonce, logins().nonce):
        with pytest.raises(PolicyError, match="needs a source of nonces"):
            nonce()


def test_a_client_tells_its_mechanism_where_it_is() -> None:
    security = Security(server_hostname="mx.example", port=587)
    context = security.context("nonce", "smtp", ["PLAIN", "LOGIN"], NEGOTIATED)
    assert context == sasl.ClientContext(
        nonce="nonce",
        service="smtp",
        host="mx.example",
        port=587,
        bindings=NEGOTIATED.bindings,
        offered=frozenset({"PLAIN", "LOGIN"}),
    )
    assert Security().context("nonce", "pop", (), None) == sasl.ClientContext(
        nonce="nonce", service="pop"
    )


# What a server can check.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fake_salt_key": b""}, "the key of fake salts is empty"),
        ({"delay": -1}, "not a delay: -1"),
        ({"delay": float("nan")}, "not a delay: nan"),
        ({"iterations": 4_095}, "fewer than 4096 iterations"),
        ({"iterations": 0}, "fewer than 4096 iterations"),
        ({"mechanisms": [sasl.LOGIN]}, "LOGIN is offered only beside PLAIN"),
    ],
)
def test_logins_that_cannot_be_are_not_made(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        logins(**options)


def test_what_logins_are_if_nothing_is_said() -> None:
    usual = logins()
    assert usual.delay == 3
    assert usual.iterations == 15_000  # RFC 7677 section 4
    assert usual.mechanisms is sasl.STANDARD
    assert not usual.allow_insecure
    assert logins(delay=0, iterations=4_096).delay == 0


BEHIND_TLS: Final = ["OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"]
PLUS: Final = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
ANYWHERE: Final = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]


@pytest.mark.parametrize(
    ("options", "tls", "negotiated", "offered"),
    [
        ({}, False, None, [*ANYWHERE, "CRAM-MD5", "ANONYMOUS"]),
        (
            {"allow_insecure": True},
            False,
            None,
            [*ANYWHERE, *BEHIND_TLS[:2], "CRAM-MD5", *BEHIND_TLS[2:], "ANONYMOUS"],
        ),
        (
            {},
            True,
            UNBOUND,
            [*ANYWHERE, *BEHIND_TLS[:2], "CRAM-MD5", *BEHIND_TLS[2:], "ANONYMOUS"],
        ),
        (
            {},
            True,
            NEGOTIATED,
            [
                *("EXTERNAL", *PLUS, *ANYWHERE, *BEHIND_TLS[:2]),
                *("CRAM-MD5", *BEHIND_TLS[2:], "ANONYMOUS"),
            ],
        ),
        ({"stored": [Stored.PASSWORD]}, False, None, []),
        ({"stored": [Stored.PASSWORD]}, True, NEGOTIATED, ["PLAIN", "LOGIN"]),
        ({"stored": [Stored.EXTERNAL]}, True, UNBOUND, []),
        ({"stored": [Stored.EXTERNAL]}, True, NEGOTIATED, ["EXTERNAL"]),
        ({"stored": ()}, True, NEGOTIATED, []),
        ({"mechanisms": [sasl.PLAIN, sasl.CRAM_MD5]}, False, None, ["CRAM-MD5"]),
        ({"mechanisms": [sasl.DIGEST_MD5]}, True, NEGOTIATED, []),
    ],
)
def test_what_can_be_checked_now_is_offered_now(
    options: dict[str, Any],
    tls: bool,
    negotiated: Negotiated | None,
    offered: list[str],
) -> None:
    assert list(logins(**options).offered(tls=tls, negotiated=negotiated)) == offered


def test_what_is_stored_is_not_changed_by_an_offer() -> None:
    stored = set(Stored)
    logins(stored=stored).offered(tls=True, negotiated=None)
    assert stored == set(Stored)


def test_a_server_tells_its_mechanism_where_it_is() -> None:
    context = logins(iterations=5_000).context(
        "nonce", "mx.example", ["PLAIN"], NEGOTIATED
    )
    assert context == sasl.ServerContext(
        nonce="nonce",
        fake_salt_key=b"key",
        host="mx.example",
        bindings=NEGOTIATED.bindings,
        offered=frozenset({"PLAIN"}),
        iterations=5_000,
    )
    assert not logins().context("nonce", "mx.example", (), None).bindings


@pytest.mark.parametrize("name", ["FROB", "plain", "DIGEST-MD5"])
def test_only_a_mechanism_that_was_offered_is_begun(name: str) -> None:
    checked = logins()
    context = checked.context("nonce", "mx.example", (), None)
    with pytest.raises(AssertionError, match="was offered"):
        checked.begin(name, context, None)


def test_a_mechanism_is_begun_with_what_the_client_has_said() -> None:
    checked = logins()
    context = checked.context("nonce", "mx.example", (), None)
    exchange = checked.begin("PLAIN", context, b"\0tim\0hunter2")
    assert next(exchange) == sasl.VerifyPassword("tim", "hunter2")
    exchange = checked.begin("PLAIN", context, None)
    assert next(exchange) == sasl.Challenge(b"")


# As values.


@pytest.mark.parametrize(
    "value",
    [
        Security(credentials=TIM, nonce=lambda: "hunter2"),
        Security(credentials=sasl.Token("tim", "hunter2")),
        logins(fake_salt_key=b"hunter2", nonce=lambda: "hunter2"),
    ],
)
def test_no_secret_is_in_the_repr(value: object) -> None:
    assert "hunter2" not in repr(value)
    assert "lambda" not in repr(value)


def test_they_do_not_change() -> None:
    for value in (Security(), logins()):
        with pytest.raises(FrozenInstanceError):
            value.allow_insecure = True  # type: ignore[misc]  # that is what is tried


def test_what_users_answer_says_what_can_be_checked() -> None:
    users = sasl.Users({"alice": "secret"}, key=b"key")
    assert Logins.of(users, allow_insecure=True, delay=0) == Logins(
        stored=users.stored, fake_salt_key=b"key", allow_insecure=True, delay=0
    )
    assert Logins.of(users) == Logins(stored=users.stored, fake_salt_key=users.key)
