import tomllib
from pathlib import Path

import pytest

from smtp_pop_core._base64 import decode_base64, encode_base64
from smtp_pop_core._errors import ParseError

CASES = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "base64.toml").read_text("utf-8")
)["case"]
GOOD = [case for case in CASES if case.get("valid")]
BAD = [case["input"] for case in CASES if not case.get("valid")]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["reason"])
def test_a_line_of_an_exchange_is_base64(case: dict[str, str]) -> None:
    text, octets = case["input"].encode("latin-1"), case["octets"].encode("latin-1")
    assert decode_base64(text) == octets
    assert encode_base64(octets) == text


@pytest.mark.parametrize("text", BAD)
def test_other_lines_are_not(text: str) -> None:
    """Bits that are left over have to be zero: "Zh==" is refused."""
    with pytest.raises(ParseError, match="not base64"):
        decode_base64(text.encode("latin-1"))
