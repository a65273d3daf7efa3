"""Both versions by hand, and whatever can be written."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, octets, pieces
from proxy_headers import HEADERS, HOSTILE, IPV4, IPV6, outcome, version_2
from smtp_pop_core import RemoteProtocolError
from smtp_pop_core.proxy import (
    Command,
    Header,
    HeaderReader,
    Inet,
    Transport,
    Unix,
    write_header,
)

LOCAL: Final = Header(command=Command.LOCAL)
UNSPEC: Final = Header()
UNKNOWN: Final = Header(version=1)


def read(wire: bytes) -> Header | None:
    return HeaderReader().feed(wire)


def tcp(
    transport: Transport, source: str, destination: str, ports: tuple[int, int] = (1, 2)
) -> Header:
    ends = Inet(source, ports[0]), Inet(destination, ports[1])
    return Header(transport, *ends, version=1)


# Version 1

LINES: Final = [
    # the line, what it says
    (b"TCP4 192.0.2.1 0.0.0.0 1 2", tcp(Transport.TCP4, "192.0.2.1", "0.0.0.0")),
    (b"TCP4 9.9.9.9 9.9.9.9 0 10", tcp(Transport.TCP4, "9.9.9.9", "9.9.9.9", (0, 10))),
    (b"TCP6 ::1 :: 1 2", tcp(Transport.TCP6, "::1", "::")),
    (
        b"TCP6 ::ffff:c000:0201 ::ffff:c633:6407 1 2",
        tcp(Transport.TCP6, "::ffff:192.0.2.1", "::ffff:198.51.100.7"),
    ),
    (b"UNKNOWN", UNKNOWN),
]


@pytest.mark.parametrize(("line", "header"), LINES)
def test_a_line_of_version_1_is_read_and_written(line: bytes, header: Header) -> None:
    wire = b"PROXY " + line + b"\r\n"
    assert write_header(header) == wire
    assert read(wire) == header


ONLY_READ: Final = [
    (b"TCP6 2001:DB8:0:0:0:0:0:1 0::0 1 2", tcp(Transport.TCP6, "2001:db8::1", "::")),
    (b"TCP6 2001:0db8::0001 ::1 1 2", tcp(Transport.TCP6, "2001:db8::1", "::1")),
    (
        b"TCP6 ::ffff:192.0.2.1 ::FFFF:0:0 1 2",
        tcp(Transport.TCP6, "::ffff:192.0.2.1", "::ffff:0.0.0.0"),
    ),
    (b"UNKNOWN ", UNKNOWN),
    (b"UNKNOWN TCP4 192.0.2.1 198.51.100.7 1 25", UNKNOWN),
    (b"UNKNOWN \xff\0 \t", UNKNOWN),
    (b"UNKNOWN " + b"f" * 91, UNKNOWN),  # 107 octets with its CRLF
]


@pytest.mark.parametrize(("line", "header"), ONLY_READ)
def test_other_lines_say_the_same(line: bytes, header: Header) -> None:
    """SMTP-PROXY-2.1-d: of UNKNOWN everything up to the CRLF is ignored."""
    assert read(b"PROXY " + line + b"\r\n") == header


NO_LINES: Final = [
    *(b"", b" ", b"TCP4", b"TCP4 ", b"TCP4 192.0.2.1", b"unknown", b"UNKNOWNX"),
    *(b"UNKNOWN\tx", b"TCP 192.0.2.1 192.0.2.2 1 2", b"TCP5 ::1 ::1 1 2"),
    *(b"UDP6 ::1 ::1 1 2", b"UNIX /a /b 1 2", b"tcp4 192.0.2.1 192.0.2.2 1 2"),
    *(b" TCP4 192.0.2.1 192.0.2.2 1 2", b"TCP4  192.0.2.1 192.0.2.2 1 2"),
    *(b"TCP4 192.0.2.1 192.0.2.2 1  2", b"TCP4 192.0.2.1 192.0.2.2 1 2 "),
    *(b"TCP4 192.0.2.1\t192.0.2.2 1 2", b"TCP4 192.0.2.1 192.0.2.2 1 2\0"),
    *(b"TCP4 ::1 ::1 1 2", b"TCP4 192.0.2.1 ::1 1 2", b"TCP6 ::1 192.0.2.1 1 2"),
    *(b"TCP4 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2", b"TCP4 mx.example a.b 1 2"),
    *(b"TCP4 192.0.2 192.0.2.2 1 2", b"TCP4 192.0.2.1.1 192.0.2.2 1 2"),
    *(b"TCP4 010.0.0.1 192.0.2.2 1 2", b"TCP4 00.0.0.0 192.0.2.2 1 2"),
    *(b"TCP4 256.0.0.1 192.0.2.2 1 2", b"TCP4 192.0.2.1 192.0.2.999 1 2"),
    *(b"TCP4 3221225985 192.0.2.2 1 2", b"TCP4 0xc0.0.2.1 192.0.2.2 1 2"),
    *(b"TCP4 \xd9\xa3.0.2.1 192.0.2.2 1 2", b"TCP4 192.0.2.1 192.0.2.2 \xd9\xa3 2"),
    *(b"TCP4 192.0.2.1/32 192.0.2.2 1 2", b"TCP4 192..2.1 192.0.2.2 1 2"),
    *(b"TCP6 [::1] ::1 1 2", b"TCP6 ::1%1 ::1 1 2", b"TCP6 1::2::3 ::1 1 2"),
    *(b"TCP6 12345::1 ::1 1 2", b"TCP6 1:2:3:4:5:6:7 ::1 1 2", b"TCP6 ::g ::1 1 2"),
    *(b"TCP6 ::ffff:192.0.2.01 ::1 1 2", b"TCP6 ::ffff:192.0.2.1:1 ::1 1 2"),
    *(b"TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2", b"TCP6 ::: ::1 1 2", b"TCP6 : ::1 1 2"),
    *(b"TCP4 192.0.2.1 192.0.2.2 065 2", b"TCP4 192.0.2.1 192.0.2.2 00 2"),
    *(b"TCP4 192.0.2.1 192.0.2.2 65536 2", b"TCP4 192.0.2.1 192.0.2.2 1 99999"),
    *(b"TCP4 192.0.2.1 192.0.2.2 100000 2", b"TCP4 192.0.2.1 192.0.2.2 +1 2"),
    *(b"TCP4 192.0.2.1 192.0.2.2 0x1 2", b"TCP4 192.0.2.1 192.0.2.2 1.0 2"),
]


@pytest.mark.parametrize("line", NO_LINES)
def test_no_other_line_is_a_header(line: bytes) -> None:
    """SMTP-PROXY-2.1-e, -f and -g."""
    wire = b"PROXY " + line + b"\r\n"
    with pytest.raises(RemoteProtocolError) as caught:
        read(wire)
    assert caught.value.line == wire


def test_the_longest_address_has_no_longer_form() -> None:
    end = Inet("1111:2222:3333:4444:5555:6666:7777:8888", 65535)
    wire = write_header(Header(Transport.TCP6, end, end, version=1))
    assert len(wire) == 104  # of 107; section 2.1
    mapped = Inet("::ffff:255.255.255.255", 65535)
    wire = write_header(Header(Transport.TCP6, mapped, mapped, version=1))
    assert wire == b"PROXY TCP6" + b" ::ffff:ffff:ffff" * 2 + b" 65535" * 2 + b"\r\n"


# Version 2

HEADERS_2: Final = [
    # octets 13 and 14, what is behind them, what it says
    (0x20, 0x00, b"", LOCAL),
    (0x21, 0x00, b"", UNSPEC),
    (
        *(0x21, 0x11, IPV4),
        Header(Transport.TCP4, Inet("192.0.2.1", 56324), Inet("198.51.100.7", 25)),
    ),
    (
        *(0x21, 0x12, IPV4),
        Header(Transport.UDP4, Inet("192.0.2.1", 56324), Inet("198.51.100.7", 25)),
    ),
    (
        *(0x21, 0x22, IPV6),
        Header(Transport.UDP6, Inet("2001:db8::1", 56324), Inet("2001:db8::25", 25)),
    ),
    (
        *(
            0x21,
            0x21,
            bytes(10) + b"\xff\xff\xc0\0\2\1" + bytes(15) + b"\1\0\1\xff\xff",
        ),
        Header(Transport.TCP6, Inet("::ffff:192.0.2.1", 1), Inet("::1", 65535)),
    ),
    (
        *(0x21, 0x31, b"/a".ljust(108, b"\0") + b"/" * 108),
        Header(Transport.UNIX_STREAM, Unix(b"/a"), Unix(b"/" * 108)),
    ),
    (
        *(0x21, 0x32, bytes(108) + b"\0a\0b".ljust(108, b"\0")),
        Header(Transport.UNIX_DATAGRAM, Unix(b""), Unix(b"\0a\0b")),
    ),
]


@pytest.mark.parametrize(("first", "second", "block", "header"), HEADERS_2)
def test_a_header_of_version_2_is_read_and_written(
    first: int, second: int, block: bytes, header: Header
) -> None:
    wire = version_2(first, second, block)
    assert write_header(header) == wire
    for cut in every_cut(wire):
        reader = HeaderReader()
        *before, last = [reader.feed(piece) for piece in cut]
        assert before == [None] * len(before)
        assert last == header


ONLY_READ_2: Final = [
    (0x20, 0x11, IPV4, LOCAL),  # SMTP-PROXY-2.2-d: the block is skipped
    (0x20, 0x11, b"", LOCAL),
    (0x20, 0x21, IPV4, LOCAL),
    (0x20, 0xFF, b"", LOCAL),  # and the family is ignored
    (0x20, 0x11, IPV4 + b"\3\0\4\0\0\0\0", LOCAL),
    (0x20, 0x00, bytes(65535), LOCAL),
    (0x21, 0x00, bytes(65535), UNSPEC),  # SMTP-PROXY-2.2-k
    (0x21, 0x01, IPV4, UNSPEC),
    (0x21, 0x02, b"\1", UNSPEC),
    (0x21, 0x10, IPV4, UNSPEC),
    (0x21, 0x20, b"", UNSPEC),
    (0x21, 0x30, b"\xff", UNSPEC),
    (
        *(0x21, 0x31, b"/a\0junk".ljust(108, b"\0") + b"/b".ljust(108, b"\0")),
        Header(Transport.UNIX_STREAM, Unix(b"/a"), Unix(b"/b")),
    ),
]


@pytest.mark.parametrize(("first", "second", "block", "header"), ONLY_READ_2)
def test_what_does_not_count_is_skipped(
    first: int, second: int, block: bytes, header: Header
) -> None:
    reader = HeaderReader()
    assert reader.feed(version_2(first, second, block) + b"QUIT\r\n") == header
    assert reader.trailing_data == b"QUIT\r\n"


KNOWN: Final = {
    0x10 * family + protocol for family in range(4) for protocol in range(3)
}


def test_no_other_family_or_protocol_is_known() -> None:
    """SMTP-PROXY-2.2-e; refused as soon as it is there."""
    for second in set(range(256)) - KNOWN:
        with pytest.raises(RemoteProtocolError, match="not a family and protocol"):
            read(version_2(0x21, second)[:14])


def test_no_other_version_or_command_is_known() -> None:
    """SMTP-PROXY-2.2-b and -c; refused as soon as it is there."""
    for first in set(range(256)) - {0x20, 0x21}:
        with pytest.raises(RemoteProtocolError, match="not version 2 and LOCAL or"):
            read(version_2(first, 0x11)[:13])


@pytest.mark.parametrize(
    ("second", "least"),
    [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)],
)
def test_a_length_has_room_for_the_addresses(second: int, least: int) -> None:
    """SMTP-PROXY-2.2-f; refused before the addresses come."""
    assert read(version_2(0x21, second, bytes(least))[:16]) is None
    for length in (0, 1, least - 1):
        with pytest.raises(RemoteProtocolError, match="no room for addresses"):
            read(version_2(0x21, second, bytes(length))[:16])


# Both


@given(st.data(), HEADERS, st.binary(max_size=20))
def test_what_is_written_reads_as_the_same_in_any_pieces(
    data: st.DataObject, header: Header, behind: bytes
) -> None:
    reader = HeaderReader()
    wire = write_header(header)
    assert {reader.feed(piece) for piece in data.draw(pieces(wire[:-1]))} == {None}
    assert reader.feed(wire[-1:] + behind) == header
    assert reader.trailing_data == behind


@given(HOSTILE)
def test_hostile_octets_are_a_header_or_refused_alike_however_they_are_cut(
    wire: bytes,
) -> None:
    whole = outcome((wire,))
    assert outcome(octets(wire)) == whole
    header, _, _ = whole
    assert header is None or read(write_header(header)) == header
