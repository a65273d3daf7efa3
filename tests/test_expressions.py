"""An expression does what the pattern does that `re.compile` makes of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._expressions import expression

TEXTS = st.text("aAbB.\n", max_size=8)


@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.DOTALL | re.MULTILINE])
@given(text=TEXTS, start=st.integers(0, 3))
def test_an_expression_finds_what_its_pattern_finds(
    flags: int, text: str, start: int
) -> None:
    ours, pattern = expression("a+(.)b?", flags), re.compile("a+(.)b?", flags)
    for found, expected in (
        (ours.fullmatch(text), pattern.fullmatch(text)),
        (ours.match(text, start), pattern.match(text, start)),
        (ours.search(text), pattern.search(text)),
    ):
        assert repr(found) == repr(expected)
    assert ours.sub("x", text) == pattern.sub("x", text)
    assert list(map(str, ours.finditer(text))) == list(map(str, pattern.finditer(text)))


def test_an_expression_may_be_of_octets() -> None:
    assert expression(rb"[0-9]+").fullmatch(b"12")


def test_it_is_compiled_when_it_is_first_used() -> None:
    wrong = expression("(")
    with pytest.raises(re.error):
        wrong.match("")


def test_what_is_known_of_a_pattern_is_known_of_an_expression() -> None:
    found = expression("a(?P<b>.)", re.IGNORECASE)
    assert found.pattern == "a(?P<b>.)"
    assert found.flags & re.IGNORECASE
    assert dict(found.groupindex) == {"b": 1}
