"""The table of the standards, each entry at every cut."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from cutting import every_cut
from smtp_pop_core import RemoteProtocolError
from smtp_pop_core.proxy import Address, Header, HeaderReader, Inet, Transport, Unix

DATA: Final = Path(__file__).parents[1] / "data"
Case = dict[str, Any]

HEADERS: Final[list[Case]] = tomllib.loads((DATA / "proxy.toml").read_text("utf-8"))[
    "header"
]
BEHIND: Final = b"EHLO x\r\n\x16\x03\x01PROXY UNKNOWN\r\n"  # nothing of it is read


def wire_of(case: Case) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    return str(case["wire"]).encode("latin-1")


def of(**wanted: object) -> pytest.MarkDecorator:
    """Parametrize over the entries whose fields are these."""
    cases = [
        pytest.param(case, id=str(case.get("name", case.get("wire"))).strip())
        for case in HEADERS
        if all(case.get(key) == value for key, value in wanted.items())
    ]
    assert cases
    return pytest.mark.parametrize("case", cases)


def read(cut: tuple[bytes, ...]) -> tuple[list[Header], bytes]:
    """Feed pieces until there is a header, and say what is left behind it."""
    reader = HeaderReader()
    for at, piece in enumerate(cut):
        header = reader.feed(piece)
        if header is not None:
            return [header], reader.trailing_data + b"".join(cut[at + 1 :])
    return [], reader.trailing_data


def end(address: Address | None) -> tuple[str | None, int | None]:
    """Say where an address is in the words of the table."""
    match address:
        case Inet(host, port):
            return host, port
        case Unix(path):
            return path.decode(), None
        case None:
            return None, None


def test_every_entry_is_looked_at() -> None:
    assert len(HEADERS) == 44
    assert {each.get("valid") for each in HEADERS} == {True, False, None}
    assert all(each["incomplete"] for each in HEADERS if "valid" not in each)


@of(valid=True)
def test_a_header_is_read_alike_however_it_is_cut(case: Case) -> None:
    """SMTP-PROXY-2.2-m: what stands behind it is not touched."""
    [header], left = read((wire_of(case),))
    assert left == b""
    for cut in every_cut(wire_of(case) + BEHIND):
        assert read(cut) == ([header], BEHIND)


@of(valid=True)
def test_a_header_says_what_the_table_says(case: Case) -> None:
    [header], _ = read((wire_of(case),))
    assert header.version == case["version"]
    unknown = case["version"] == 1 and header.transport is Transport.UNSPEC
    assert case["command"] == ("UNKNOWN" if unknown else header.command.name)
    for side in ("source", "destination"):
        host, port = end(getattr(header, side))
        assert case.get(side, host) == host
        assert case.get(f"{side}_port", port) == port


@of(valid=False)
def test_what_is_malformed_is_refused_however_it_is_cut(case: Case) -> None:
    for cut in every_cut(wire_of(case)):
        with pytest.raises(RemoteProtocolError):
            read(cut)


@of(incomplete=True)
def test_half_a_header_is_waited_for(case: Case) -> None:
    for cut in every_cut(wire_of(case)):
        assert read(cut) == ([], wire_of(case))
