from itertools import cycle
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import octets
from proxy_headers import (
    DESTINATION,
    HEADERS,
    IPV4,
    SIGNATURE,
    SOURCE,
    version_2,
    with_values,
)
from smtp_pop_core import ConnectionLost, LocalProtocolError, RemoteProtocolError
from smtp_pop_core.proxy import Header, HeaderReader, Noop, Transport, write_header

LINE: Final = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"
HEADER: Final = Header(Transport.TCP4, SOURCE, DESTINATION, version=1)


def test_there_is_no_header_before_it_is_whole() -> None:
    reader = HeaderReader()
    for octet in octets(LINE[:-1]):
        assert reader.feed(octet) is None
    assert reader.trailing_data == LINE[:-1]
    assert reader.feed(LINE[-1:]) == HEADER
    assert reader.trailing_data == b""


@pytest.mark.parametrize(
    "behind", [b"EHLO x\r\n", b"\n", b"\r\n", b"\0", b"\x16\3\1", LINE, SIGNATURE]
)
def test_what_is_behind_the_header_is_not_looked_at(behind: bytes) -> None:
    """SMTP-PROXY-2.2-m."""
    reader = HeaderReader()
    assert reader.feed(LINE + behind) == HEADER
    assert reader.trailing_data == behind


@pytest.mark.parametrize("end", [b"\n", b"\r\r", b"\rX", b"\r\0", b" \n", b"\nX"])
@pytest.mark.parametrize("line", [LINE[:-2], b"PROXY UNKNOWN", b"PROXY ", b"PROXY UN"])
def test_nothing_but_crlf_ends_a_line(line: bytes, end: bytes) -> None:
    """SMTP-PROXY-2.1-c: it is refused at once, and no CRLF is waited for."""
    for cut in [(line + end,), octets(line + end)]:
        reader = HeaderReader()
        with pytest.raises(RemoteProtocolError, match="CR or LF alone"):
            [reader.feed(piece) for piece in cut]


@pytest.mark.parametrize(
    "text", [b"EHLO x", b"proxy ", b"PROXX", b"PROXY\t", b"\r\n\r\n\n"]
)
def test_what_cannot_become_a_header_is_refused_at_once(text: bytes) -> None:
    """SMTP-PROXY-2-b: there is no way to do without."""
    for cut in [(text,), octets(text)]:
        reader = HeaderReader()
        with pytest.raises(RemoteProtocolError, match="not a PROXY header"):
            [reader.feed(piece) for piece in cut]


def test_each_octet_of_the_signature_counts() -> None:
    for at in range(12):
        spoiled = SIGNATURE[:at] + b"\xff" + SIGNATURE[at + 1 :]
        with pytest.raises(RemoteProtocolError, match="not a PROXY header"):
            HeaderReader().feed(spoiled[: at + 1])


# What may be read


@given(HEADERS, st.binary(max_size=40), st.lists(st.integers(1, 99), min_size=1))
def test_who_reads_what_is_wanted_reads_the_header_and_nothing_else(
    header: Header, behind: bytes, sizes: list[int]
) -> None:
    """SMTP-PROXY-2.2-m: the first octet after the header belongs to SMTP or TLS."""
    wire = write_header(header)
    reader, taken, got = HeaderReader(), 0, None
    for size in cycle(sizes):
        assert reader.wanted >= 1
        piece = (wire + behind)[taken : taken + min(size, reader.wanted)]
        taken += len(piece)
        if (got := reader.feed(piece)) is not None:
            break
    assert got == header
    assert taken == len(wire)
    assert reader.trailing_data == b""
    assert reader.wanted == 0


WANTED: Final = [
    # what has come, what is wanted
    (b"", 15),  # PROXY UNKNOWN and its CRLF
    (b"P", 14),
    (b"PROXY UNKNO", 4),
    (b"PROXY UNKNOWN", 2),
    (b"PROXY UNKNOWN\r", 1),
    (b"PROXY UNKNOWN ", 2),
    (b"PROXY UNKNOWN x y z a b c d", 2),
    (b"PROXY TCP", 10),  # 4 a b c d
    (b"PROXY TCP4", 10),
    (b"PROXY TCP6 ", 8),
    (b"PROXY TCP4 192.0.2.1", 8),
    (b"PROXY TCP4 192.0.2.1 ", 6),
    (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 ", 2),
    (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25", 2),
    (LINE[:-1], 1),
    (b"\r", 15),
    (SIGNATURE, 4),
    (SIGNATURE + b"\x21\x11\0", 1),
    (SIGNATURE + b"\x21\x11\0\x0c", 12),
    (SIGNATURE + b"\x21\x11\0\x0c" + IPV4[:-1], 1),
    (SIGNATURE + b"\x20\0\xff\xff", 65_535),
    (LINE, 0),
    (LINE + b"EHLO x\r\n", 0),
]


@pytest.mark.parametrize(("begun", "wanted"), WANTED)
def test_it_is_known_how_many_octets_are_certainly_missing(
    begun: bytes, wanted: int
) -> None:
    for cut in [(begun,) if begun else (), octets(begun)]:
        reader = HeaderReader()
        for piece in cut[: len(LINE)]:
            reader.feed(piece)
        assert reader.wanted == wanted


def test_a_line_is_read_in_few_pieces() -> None:
    reader, taken, reads = HeaderReader(), 0, 0
    while reader.wanted:
        piece = LINE[taken : taken + reader.wanted]
        taken += len(piece)
        reads += 1
        reader.feed(piece)
    assert taken == len(LINE)
    assert reads < 10


def test_nothing_is_wanted_after_a_refusal() -> None:
    reader = HeaderReader()
    with pytest.raises(RemoteProtocolError):
        reader.feed(b"EHLO")
    assert reader.wanted == 0


# Bounds


def test_a_line_has_107_octets_and_no_more() -> None:
    """SMTP-PROXY-2.1-b."""
    longest = b"PROXY UNKNOWN ".ljust(105, b"x")
    assert HeaderReader().feed(longest + b"\r\n") == Header(version=1)
    for line in (
        longest + b"x\r\n",
        longest + b"xx",
        longest + b"x\r",
        longest + b"xx\r\n",
    ):
        for cut in [(line,), octets(line)]:
            reader = HeaderReader()
            with pytest.raises(RemoteProtocolError, match="no CRLF in 107 octets"):
                [reader.feed(piece) for piece in cut]
    assert HeaderReader().feed(longest + b"\r") is None
    assert HeaderReader().feed(longest + b"x") is None


def test_a_length_over_the_limit_is_refused_before_its_octets_come() -> None:
    """SMTP-PROXY-2.2-l."""
    start = SIGNATURE + b"\x21\x11"
    assert HeaderReader(limit=300).feed(start + (300).to_bytes(2, "big")) is None
    reader = HeaderReader(limit=300)
    assert reader.feed(start + b"\1") is None
    with pytest.raises(
        RemoteProtocolError, match="301 octets behind its first, not 300"
    ):
        reader.feed(b"\x2d")


@pytest.mark.parametrize("command", [0x20, 0x21])
def test_the_limit_is_that_of_blocks_that_are_skipped_too(command: int) -> None:
    with pytest.raises(RemoteProtocolError, match="301 octets"):
        HeaderReader(limit=300).feed(version_2(command, 0, bytes(301))[:16])


@pytest.mark.parametrize("limit", [-1, 0, 215])
def test_a_limit_has_room_for_every_address(limit: int) -> None:
    with pytest.raises(ValueError, match="limit must be at least 216"):
        HeaderReader(limit=limit)


def test_a_long_header_is_read_in_single_octets() -> None:
    header = with_values(Noop(bytes(10_000)))
    *most, last = octets(write_header(header))
    reader = HeaderReader()
    assert {reader.feed(octet) for octet in most} == {None}
    assert reader.feed(last) == header


# Ends


def test_a_peer_that_ends_in_its_header_is_lost() -> None:
    for wire in (b"", LINE[:20], LINE[:-1], version_2(0x21, 0x11, IPV4)[:-1]):
        reader = HeaderReader()
        assert [reader.feed(octet) for octet in octets(wire)] == [None] * len(wire)
        with pytest.raises(ConnectionLost, match="ended before its header did"):
            reader.feed(b"")
        assert reader.trailing_data == wire
        with pytest.raises(LocalProtocolError):
            reader.feed(b"")


def test_a_header_is_read_once() -> None:
    """A second one would let the client say who it is."""
    reader = HeaderReader()
    reader.feed(LINE + b"EHLO x\r\n")
    for data in (LINE, b""):
        with pytest.raises(LocalProtocolError, match="the header has been read"):
            reader.feed(data)
    assert reader.trailing_data == b"EHLO x\r\n"


def test_after_a_refusal_nothing_is_read() -> None:
    reader = HeaderReader()
    with pytest.raises(RemoteProtocolError) as caught:
        reader.feed(b"EHLO x\r\n")
    assert caught.value.line == b"EHLO x\r\n"
    assert reader.trailing_data == b"EHLO x\r\n"
    with pytest.raises(LocalProtocolError):
        reader.feed(LINE)
