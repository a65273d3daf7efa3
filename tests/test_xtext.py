"""xtext: printable characters as they are, all others escaped.  RFC 3461 section 4."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._abnf import decode_xtext, encode_xtext
from smtp_pop_core._errors import ParseError

DATA = tomllib.loads((Path(__file__).parent / "data" / "xtext.toml").read_text("utf-8"))
LATIN = st.text(st.characters(max_codepoint=255))


@pytest.mark.parametrize("pair", DATA["pair"], ids=lambda pair: pair["encoded"])
def test_xtext_is_read(pair: dict[str, str]) -> None:
    assert decode_xtext(pair["encoded"]) == pair["decoded"]


@pytest.mark.parametrize(
    "pair",
    [pair for pair in DATA["pair"] if pair["canonical"]],
    ids=lambda pair: pair["encoded"],
)
def test_no_more_is_escaped_than_must_be(pair: dict[str, str]) -> None:
    assert encode_xtext(pair["decoded"]) == pair["encoded"]


@pytest.mark.parametrize("case", DATA["invalid"], ids=lambda case: case["reason"])
def test_nothing_else_is_xtext(case: dict[str, str]) -> None:
    with pytest.raises(ParseError, match="not xtext"):
        decode_xtext(case["encoded"])


@pytest.mark.parametrize("octet", range(256))
def test_each_octet_is_written_and_read(octet: int) -> None:
    text = chr(octet)
    encoded = encode_xtext(text)
    assert decode_xtext(encoded) == text
    stands_for_itself = 33 <= octet <= 126 and text not in "+="
    assert encoded == (text if stands_for_itself else f"+{octet:02X}")


@pytest.mark.parametrize("octet", range(256))
def test_each_octet_may_be_escaped_in_upper_case_only(octet: int) -> None:
    assert decode_xtext(f"+{octet:02X}") == chr(octet)


@pytest.mark.parametrize("escape", ["+2b", "+aF", "+Fa", "+ff", "+\u0663\u0663"])
def test_other_digits_escape_nothing(escape: str) -> None:
    with pytest.raises(ParseError):
        decode_xtext(escape)


@pytest.mark.parametrize("text", ["\u0100", "a\u20ac", "\U0001f600", "\ud800"])
def test_xtext_holds_no_character_beyond_an_octet(text: str) -> None:
    with pytest.raises(ValueError, match="xtext cannot hold this"):
        encode_xtext(text)


@given(LATIN)
def test_what_is_written_is_read(text: str) -> None:
    encoded = encode_xtext(text)
    assert decode_xtext(encoded) == text
    assert encoded.isascii()
    assert "=" not in encoded


@given(st.lists(st.sampled_from(["a", "+61", "+2B", "+FF", "~", "+20"])).map("".join))
def test_what_is_read_is_written_as_short_as_can_be(text: str) -> None:
    encoded = encode_xtext(decode_xtext(text))
    assert decode_xtext(encoded) == decode_xtext(text)
    assert len(encoded) <= len(text)


LONG = "a" * 50_000 + "+2B" * 50_000


def test_long_xtext_is_read() -> None:
    assert len(decode_xtext(LONG)) == 100_000


@pytest.mark.parametrize("end", ["+", "+2", "=", "\xff"])
def test_what_is_wrong_at_a_long_end_is_found_at_once(end: str) -> None:
    """Backtracking would never come to an end here."""
    with pytest.raises(ParseError):
        decode_xtext(LONG + end)
