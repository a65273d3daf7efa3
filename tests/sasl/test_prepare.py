import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CRYPTO
from smtp_pop_core.sasl import saslprep


@pytest.mark.parametrize("case", CRYPTO["saslprep"], ids=lambda case: case["reason"])
def test_a_text_gets_its_one_spelling(case: dict[str, str]) -> None:
    assert saslprep(case["input"]) == case["output"]


@pytest.mark.parametrize(
    "case", CRYPTO["saslprep_invalid"], ids=lambda case: case["reason"]
)
def test_some_texts_have_none(case: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="SASLprep"):
        saslprep(case["input"])


PROHIBITED = [
    *("\x7f", "\x80", "\u06dd", "\u180e", "\u2028", "\U0001d173"),
    *("\uf8ff", "\U000f0000", "\ufdd0", "\U0001ffff", "\ud800", "\ufffa", "\u2ff0"),
    *("\u200e", "\u202a", "\U000e0001", "\U000e0041"),
]


@pytest.mark.parametrize("text", PROHIBITED)
def test_each_table_is_asked(text: str) -> None:
    """RFC 4013 section 2.3."""
    with pytest.raises(ValueError, match="a character is prohibited"):
        saslprep(f"a{text}b")


@pytest.mark.parametrize("text", ["\u00ad", "\u034f", "\u180b", "\u200c", "\ufeff"])
def test_what_is_not_seen_is_removed(text: str) -> None:
    """RFC 3454 appendix B.1."""
    assert saslprep(f"a{text}b") == "ab"


@pytest.mark.parametrize("space", ["\u00a0", "\u1680", "\u2003", "\u3000"])
def test_every_space_is_one(space: str) -> None:
    assert saslprep(f"a{space}b") == "a b"


@pytest.mark.parametrize("text", ["\u0627 1", "1\u0627", "\u0627a\u0628"])
def test_a_text_has_one_direction(text: str) -> None:
    with pytest.raises(ValueError, match="directions are mixed"):
        saslprep(text)


def test_what_unicode_3_2_did_not_know_can_be_asked_for_and_not_stored() -> None:
    """RFC 4013 section 2.5."""
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(ValueError, match=r"not in Unicode 3\.2"):
        saslprep("\u0221", stored=True)
    assert saslprep("\u00e4", stored=True) == "\u00e4"


@given(st.text())
def test_a_prepared_text_stays_the_same(text: str) -> None:
    try:
        prepared = saslprep(text)
    except ValueError:
        return
    assert saslprep(prepared) == prepared


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_left_as_it_is(text: str) -> None:
    assert saslprep(text) == text
