"""The fuzz targets under plain Python, so that they go with the code."""

import importlib
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_pop_core.testing import pop3_octets, smtp_octets

ROOT = Path(__file__).parent.parent
TARGETS = (
    *("server_reader", "client_reader", "grammar", "content"),
    *("pop3_server_reader", "pop3_client_reader", "pop3_grammar", "sasl"),
    "proxy_header",
)
SEEDS = tomllib.loads((ROOT / "fuzz" / "seeds.toml").read_text("utf-8"))


def target(name: str) -> Callable[[bytes], None]:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    one_input: Callable[[bytes], None] = importlib.import_module(
        f"fuzz.{name}"
    ).one_input
    return one_input


def test_every_target_has_seeds_and_a_dictionary_and_is_run() -> None:
    run = runpy.run_path(str(ROOT / "fuzz" / "run.py"))
    assert tuple(SEEDS) == tuple(run["TARGETS"]) == TARGETS
    assert all((ROOT / "fuzz" / each).is_file() for each in run["TARGETS"].values())


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name in TARGETS for seed in SEEDS[name]]
)
def test_a_seed_passes_its_target(name: str, seed: str) -> None:
    target(name)(seed.encode("latin-1"))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 3, b"\0\0\0a" * 999])
def test_an_input_of_any_length_passes(name: str, data: bytes) -> None:
    target(name)(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(head=st.binary(min_size=3, max_size=3), body=smtp_octets() | pop3_octets())
def test_octets_of_peers_pass(name: str, head: bytes, body: bytes) -> None:
    target(name)(head + body)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(seed=st.data(), noise=st.binary(max_size=20))
def test_a_spoilt_seed_passes(name: str, seed: st.DataObject, noise: bytes) -> None:
    data = seed.draw(st.sampled_from(SEEDS[name])).encode("latin-1")
    at = seed.draw(st.integers(0, len(data)))
    target(name)(data[:at] + noise + data[at:])
