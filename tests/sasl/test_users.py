import pytest

from sasl_talk import CLIENT, KEY, SERVER, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import (
    FindPassword,
    FindScramKeys,
    Password,
    PasswordHash,
    ScramKeys,
    Stored,
    Users,
    VerifyPassword,
)

KEYS = ScramKeys.derive("keys", "SHA-256", b"a salt of another length", 5_000)
HASH = PasswordHash.derive("hash", b"salt", ln=4)
EVERYBODY: dict[str, sasl.Secret] = {"clear": "clear", "keys": KEYS, "hash": HASH}
SCRAM = {Stored.SCRAM_SHA_1, Stored.SCRAM_SHA_256, Stored.SCRAM_SHA_512}


def users() -> Users:
    return Users(EVERYBODY, key=KEY)


@pytest.mark.parametrize("name", EVERYBODY)
def test_a_password_is_verified_by_whatever_is_stored(name: str) -> None:
    assert users().answer(VerifyPassword(name, name)) == name
    assert users().answer(VerifyPassword(name, name + "x")) is None
    assert users().answer(VerifyPassword(name, "\7")) is None


@pytest.mark.parametrize("password", ["clear", "keys", "hash", "?", ""])
@pytest.mark.parametrize("name", ["nobody", "", "Clear"])
def test_nobody_gets_in(name: str, password: str) -> None:
    assert users().answer(VerifyPassword(name, password)) is None


@pytest.mark.parametrize("name", EVERYBODY)
def test_nobody_gets_in_with_the_password_of_another(name: str) -> None:
    for other in EVERYBODY.keys() - {name}:
        assert users().answer(VerifyPassword(name, other)) is None


def test_nobody_acts_as_another() -> None:
    assert users().answer(VerifyPassword("clear", "clear", "hash")) is None
    assert users().answer(sasl.Authorize("clear", "hash")) is None


def test_a_password_in_clear_is_found_where_it_is_stored() -> None:
    assert users().answer(FindPassword("clear")) == "clear"
    assert users().answer(FindPassword("keys")) is None
    assert users().answer(FindPassword("nobody")) is None


def test_scram_keys_are_found_or_made() -> None:
    assert users().answer(FindScramKeys("keys", "SHA-256")) == KEYS
    made = users().answer(FindScramKeys("clear", "SHA-512"))
    assert isinstance(made, ScramKeys)
    assert made.hash == "SHA-512"
    assert made.verify("clear")
    assert made == users().answer(FindScramKeys("clear", "SHA-512"))


@pytest.mark.parametrize(
    ("name", "hash"),
    [("nobody", "SHA-256"), ("hash", "SHA-256"), ("keys", "SHA-1"), ("clear", "SHA-1")],
)
def test_keys_that_are_made_up_look_like_stored_ones(name: str, hash: str) -> None:
    made = users().answer(FindScramKeys(name, hash))
    assert isinstance(made, ScramKeys)
    assert len(made.salt) == len(KEYS.salt)
    assert made.iterations == KEYS.iterations
    assert made == users().answer(FindScramKeys(name, hash))
    assert made.verify("?") is False


@pytest.mark.parametrize("stored", ["clear", KEYS])
def test_an_unknown_user_is_told_what_others_are_told(stored: sasl.Secret) -> None:
    store = Users({"known": stored}, key=KEY)
    known = store.answer(FindScramKeys("known", "SHA-256"))
    unknown = store.answer(FindScramKeys("unknown", "SHA-256"))
    assert isinstance(known, ScramKeys)
    assert isinstance(unknown, ScramKeys)
    assert known.iterations == unknown.iterations
    assert len(known.salt) == len(unknown.salt)
    assert known.salt != unknown.salt


@pytest.mark.parametrize(
    "question",
    [
        sasl.VerifyToken("clear", "clear"),
        sasl.VerifyExternal("clear"),
        sasl.VerifyAnonymous("clear"),
        sasl.Question(),
    ],
)
def test_other_questions_are_answered_with_no(question: sasl.Question) -> None:
    assert users().answer(question) is None


@pytest.mark.parametrize(
    ("stored", "kinds"),
    [
        ({}, set()),
        ({"a": "p"}, {Stored.PASSWORD, Stored.CLEAR, *SCRAM}),
        ({"a": KEYS}, {Stored.PASSWORD, Stored.SCRAM_SHA_256}),
        ({"a": HASH}, {Stored.PASSWORD}),
        ({"a": "p", "b": KEYS}, {Stored.PASSWORD, Stored.SCRAM_SHA_256}),
        (EVERYBODY, {Stored.PASSWORD}),
    ],
)
def test_only_what_works_for_everybody_is_to_be_offered(
    stored: dict[str, sasl.Secret], kinds: set[Stored]
) -> None:
    store = Users(stored, key=KEY)
    assert store.stored == kinds
    assert len(store) == len(stored)


def test_names_are_prepared() -> None:
    store = Users({"\u2168": "\u00aa"}, key=KEY)
    assert store.answer(VerifyPassword("IX", "a")) == "IX"
    with pytest.raises(ValueError, match="two names are one"):
        Users({"\u2168": "p", "IX": "p"}, key=KEY)
    for name, password in [("\7", "p"), ("u", "\7"), ("", "p"), ("u", "")]:
        with pytest.raises(ValueError, match="SASLprep"):
            Users({name: password}, key=KEY)


def test_there_is_a_key() -> None:
    with pytest.raises(ValueError, match="the key of the salts is empty"):
        Users({}, key=b"")


WITH_PASSWORDS = [
    each
    for each in sasl.STANDARD
    if each.server and each.credentials is Password and not each.binding
]


@pytest.mark.parametrize("mechanism", WITH_PASSWORDS)
def test_what_is_offered_works(mechanism: sasl.Mechanism) -> None:
    store = Users({"u": "p"}, key=KEY)
    assert sasl.offered(stored=store.stored, tls=True) == tuple(
        each.name for each in WITH_PASSWORDS
    )
    success, exchange = talk(
        mechanism, Password("u", "p"), store.answer, client=CLIENT, server=SERVER
    )
    assert success == sasl.Success("u", "u")
    assert exchange.complete
