from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CRYPTO
from smtp_pop_core import sasl
from smtp_pop_core.sasl import PasswordHash, ScramKeys, parse_stored

# From RFC 7677 section 3, in the form that PostgreSQL writes.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
# From the documentation of passlib: the password is "password".
PASSLIB = (
    "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q"
    "$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
)
HASHES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
IDS = [f"{case['mechanism']} {case['client_first']}" for case in CRYPTO["scram"]]


@pytest.mark.parametrize("case", CRYPTO["scram"], ids=IDS)
def test_keys_are_made_from_a_password(case: dict[str, str]) -> None:
    keys = ScramKeys.derive(
        case["password"], HASHES[case["hash"]], b64decode(case["salt_b64"]), 4096
    )
    assert keys.stored_key == b64decode(case["stored_key_b64"])
    assert keys.server_key == b64decode(case["server_key_b64"])
    assert keys.verify(case["password"])
    assert not keys.verify(case["password"] + "x")


def test_keys_are_a_line_of_text() -> None:
    keys = ScramKeys.derive(
        "pencil", "SHA-256", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096
    )
    assert str(keys) == PENCIL
    assert ScramKeys.parse(PENCIL) == keys
    assert parse_stored(PENCIL) == keys
    assert ScramKeys.derive("p", "SHA-1", b"salt").iterations == 15_000


def test_a_password_hash_is_a_line_of_text() -> None:
    """RFC 7914; the form is that of passlib."""
    stored = parse_stored(PASSLIB)
    assert isinstance(stored, PasswordHash)
    assert (stored.ln, stored.r, stored.p) == (16, 8, 1)
    assert str(stored) == PASSLIB
    assert stored.verify("password")


@pytest.mark.parametrize(
    "text",
    [
        *("", "SCRAM-SHA-256", PENCIL + "x", PENCIL + "\n", PENCIL[:-1], " " + PENCIL),
        *(PENCIL.replace("256", "224"), PENCIL.replace("4096", "04096")),
        *(PENCIL.replace("4096", "0"), PENCIL.replace("4096", "4095")),
        *(PENCIL.replace("4096", "99999999"), PENCIL.replace("256", "512")),
        *(PENCIL.replace("gQ==", "gR=="), PENCIL.replace("U=", "U")),
        *(PASSLIB + "x", PASSLIB[:-1], PASSLIB.replace("ln=16", "ln=0")),
        *(PASSLIB.replace("ln=16", "ln=99"), PASSLIB.replace("ln=16", "ln=19")),
        *(PASSLIB.replace("r=8", "r=99"), PASSLIB.replace("Q$", "R$")),
        *(PASSLIB.replace("$aM15713r3Xsvxbi31lqr1Q", "$"), PASSLIB.replace("p=1", "p")),
        PASSLIB.replace("$aM", "$" + "aM15" * 342),
    ],
)
def test_other_texts_are_neither(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]") as caught:
        parse_stored(text)
    assert "nFNh2CVHVjNldFVK" not in str(caught.value)
    assert "WG5d8oPm3OtcPnkd" not in str(caught.value)


@pytest.mark.parametrize(
    ("hash", "salt", "iterations", "part"),
    [
        ("MD5", b"salt", 4_096, "not a hash of SCRAM"),
        ("sha256", b"salt", 4_096, "not a hash of SCRAM"),
        ("SHA-256", b"", 4_096, "a salt of 0 octets"),
        ("SHA-256", bytes(1_025), 4_096, "a salt of 1025 octets"),
        ("SHA-256", b"salt", 4_095, "iterations out of bounds"),
        ("SHA-256", b"salt", 10**7, "iterations out of bounds"),
    ],
)
def test_keys_have_bounds(hash: str, salt: bytes, iterations: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        ScramKeys.derive("pencil", hash, salt, iterations)
    with pytest.raises(ValueError, match=part):
        ScramKeys(hash, salt, iterations, b"", b"")


@pytest.mark.parametrize(("one", "other"), [(31, 32), (32, 31), (20, 20)])
def test_keys_are_as_long_as_their_hash(one: int, other: int) -> None:
    with pytest.raises(ValueError, match="32 octets long"):
        ScramKeys("SHA-256", b"salt", 4_096, bytes(one), bytes(other))


def test_a_password_is_prepared() -> None:
    keys = ScramKeys.derive("\u2168", "SHA-1", b"salt", 4_096)
    assert keys == ScramKeys.derive("IX", "SHA-1", b"salt", 4_096)
    assert keys.verify("I\u00adX")
    assert not keys.verify("IX\7")
    hashed = PasswordHash.derive("\u2168", b"salt", ln=4)
    assert hashed == PasswordHash.derive("IX", b"salt", ln=4)
    assert hashed.verify("I\u00adX")
    assert not hashed.verify("IX\7")
    assert not hashed.verify("ix")


@pytest.mark.parametrize("password", ["", "\u00ad", "\7", "\u0221"])
def test_a_password_that_cannot_be_prepared_cannot_be_stored(password: str) -> None:
    with pytest.raises(ValueError, match="SASLprep"):
        ScramKeys.derive(password, "SHA-1", b"salt", 4_096)
    with pytest.raises(ValueError, match="SASLprep"):
        sasl.hash_password(password, b"salt")


def test_a_password_becomes_a_text_and_is_verified_by_it() -> None:
    stored = sasl.hash_password("pencil", b"sixteen octets..")
    assert stored.startswith("$scrypt$ln=15,r=8,p=1$")
    assert sasl.verify_password(stored, "pencil")
    assert not sasl.verify_password(stored, "Pencil")
    assert sasl.verify_password(PENCIL, "pencil")


@pytest.mark.parametrize(
    ("ln", "r", "p", "part"),
    [
        (0, 8, 1, "out of bounds: ln=0"),
        (25, 1, 1, "out of bounds: ln=25"),
        (4, 0, 1, "out of bounds: ln=4, r=0"),
        (4, 100, 1, "out of bounds: ln=4, r=100"),
        (4, 8, 0, "out of bounds: ln=4, r=8, p=0"),
        (4, 8, 100, "out of bounds: ln=4, r=8, p=100"),
        (18, 8, 1, "more than 256 MiB"),
    ],
)
def test_scrypt_has_bounds(ln: int, r: int, p: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        PasswordHash.derive("p", b"salt", ln=ln, r=r, p=p)
    with pytest.raises(ValueError, match=part):
        PasswordHash(b"salt", bytes(32), ln=ln, r=r, p=p)


@pytest.mark.parametrize(
    ("salt", "size", "part"),
    [(b"", 32, "a salt of 0 octets"), (b"salt", 31, "32 octets long")],
)
def test_what_scrypt_gives_has_bounds(salt: bytes, size: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        PasswordHash(salt, bytes(size))


@given(
    st.binary(min_size=1, max_size=64),
    st.sampled_from([("SHA-1", 20), ("SHA-256", 32), ("SHA-512", 64)]),
    st.integers(4_096, 9_999_999),
    st.data(),
)
def test_what_is_written_is_read_back(
    salt: bytes, hash: tuple[str, int], iterations: int, data: st.DataObject
) -> None:
    name, size = hash
    stored, server = (data.draw(st.binary(min_size=size, max_size=size)) for _ in "12")
    keys = ScramKeys(name, salt, iterations, stored, server)
    assert parse_stored(str(keys)) == keys
    hashed = PasswordHash(salt, data.draw(st.binary(min_size=32, max_size=32)), ln=3)
    assert parse_stored(str(hashed)) == hashed
