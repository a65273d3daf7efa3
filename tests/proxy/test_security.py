"""The attacks on the PROXY protocol, from the catalogue."""

import tomllib
from pathlib import Path
from typing import Final

import pytest

from cutting import every_cut
from smtp_pop_core.proxy import Header, HeaderReader, Inet, Transport

CATALOGUE: Final = Path(__file__).parents[1] / "data" / "security.toml"
ATTACKS: Final = {
    each["id"]: "".join(each["send"]).encode("latin-1")
    for each in tomllib.loads(CATALOGUE.read_text("utf-8"))["attack"]
    if each["id"].startswith("SEC-PROXY-")
}
ELSEWHERE: Final = {"SEC-PROXY-SPOOF-a"}  # PROXY is not configured: no reader
HEADER: Final = Header(
    Transport.TCP4, Inet("192.0.2.1", 1), Inet("198.51.100.7", 25), version=1
)
LEFT: Final = {
    "SEC-PROXY-SPOOF-b": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n",
    "SEC-PROXY-SPOOF-c": b"EHLO x\r\n",
}


def test_every_attack_is_looked_at() -> None:
    assert set(ATTACKS) == {*LEFT, *ELSEWHERE}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_behind_the_header_is_for_the_protocol(name: str) -> None:
    """A second header is an unknown command there, and nothing is lost."""
    for cut in every_cut(ATTACKS[name]):
        reader = HeaderReader()
        left = list(cut)
        while (header := reader.feed(left.pop(0))) is None:
            assert reader.trailing_data
        assert header == HEADER
        assert reader.trailing_data + b"".join(left) == LEFT[name]
