"""Servers under load and faults, on the smallest scale; `make load` does more."""

import pytest
from bench._senders import Load
from bench.load import ADAPTERS, SECTIONS, Scale, run

TINY = Scale(Load(8, (1_000, 1_000, 100_000)), 2, 20, 20, 20, 1_000_000)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("section", ["many", "cuts", "kills", "stop", "full-disk"])
def test_nothing_is_lost_torn_or_doubled(section: str, adapter: str) -> None:
    said: list[str] = []
    assert section in SECTIONS
    assert run([section], [adapter], TINY, said.append), said
