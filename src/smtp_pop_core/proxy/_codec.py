"""Headers and octets, each reader beside its writer.

Sections are those of the PROXY protocol as HAProxy published it on 2020/03/05.  What
is not exactly of its form is a ParseError: an address that was guessed is worse than
none.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from .._errors import ParseError
from ._crc32c import crc32c
from ._header import (
    PATH,
    SIZES,
    Address,
    Command,
    Header,
    Inet,
    Transport,
    Unix,
    canonical,
    trimmed,
)
from ._tlvs import CRC32C, NOOP, TYPES, Tlv, decode_tlv, encode_tlvs, split

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
FIXED: Final = 16  # octets of version 2 before its addresses
LINE: Final = 107  # octets of version 1 with its CRLF

_WORD: Final = b"PROXY "
_SHORTEST: Final = b"PROXY UNKNOWN\r\n"  # of both versions
_FIELDS: Final = 5  # behind the word, in a line that has addresses
_LINE_END: Final = re.compile(rb"[\r\n]")
_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: .*)?")
_TCP: Final = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
)
_IN_VERSION_1: Final[
    dict[bytes, tuple[Transport, type[IPv4Address] | type[IPv6Address]]]
] = {
    b"4": (Transport.TCP4, IPv4Address),
    b"6": (Transport.TCP6, IPv6Address),
}


def measure(data: bytearray, limit: int) -> int | None:
    """Say how long the header is that data begins with.

    Args:
        data: What has come so far.
        limit: The most octets behind the first 16 of version 2.

    Returns:
        Its octets, or None while that cannot be said.

    Raises:
        ParseError: Nothing that may follow makes it a header.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        return _measure_version_2(data[:FIXED], limit)
    if _WORD.startswith(data[: len(_WORD)]):
        return _measure_version_1(data[:LINE])
    raise ParseError("not a PROXY header")


def least_missing(data: bytearray) -> int:
    """Say how many octets a header wants at the very least, to be read in one go.

    Args:
        data: What has come so far, which `measure` cannot measure yet: no CR ends it.

    Returns:
        1 or more.  All of them belong to the header, if it becomes one.
    """
    if data.startswith(SIGNATURE[:1]):
        return FIXED - len(data)
    if data.startswith(_WORD + b"TCP"):  # each field has an octet and a space before it
        return 2 + 2 * max(0, _FIELDS - data.count(b" "))
    return max(2, len(_SHORTEST) - len(data))


def decode_header(data: bytes) -> Header:
    """Read a header that is there to its end.

    Raises:
        ParseError: It is malformed.
    """
    if data.startswith(SIGNATURE):
        return _decode_version_2(data)
    return _decode_version_1(data)


def write_header(header: Header) -> bytes:
    """Write a header: the first octets of a connection, in one write.

    A header that was read may be written with other octets, which mean the same.
    """
    if header.version == 1:
        return _encode_version_1(header)
    return _encode_version_2(header)


# Version 1, section 2.1


def _measure_version_1(line: bytearray) -> int | None:
    """Find the CRLF.  A CR or LF alone is refused, as it stands in no good line."""
    found = _LINE_END.search(line)
    if found is None:
        if len(line) == LINE:
            raise ParseError(f"no CRLF in {LINE} octets")
        return None
    size = found.start() + 2
    if size > LINE:
        raise ParseError(f"no CRLF in {LINE} octets")
    if not b"\r\n".startswith(line[size - 2 : size]):
        raise ParseError("CR or LF alone")
    return size


def _decode_version_1(data: bytes) -> Header:
    line = data[:-2]
    if _UNKNOWN.fullmatch(line):
        return Header(version=1)
    found = _TCP.fullmatch(line)
    if not found:
        raise ParseError("not a PROXY line")
    transport, kind = _IN_VERSION_1[found[1]]
    try:
        source, destination = (
            Inet(canonical(kind(host.decode("ascii"))), int(port))
            for host, port in ((found[2], found[4]), (found[3], found[5]))
        )
    except ValueError as error:
        raise ParseError(str(error)) from error
    return Header(transport, source, destination, version=1)


def _encode_version_1(header: Header) -> bytes:
    match header:
        case Header(source=Inet() as source, destination=Inet() as destination):
            word = header.transport.name
            hosts = f"{_line_form(source.host)} {_line_form(destination.host)}"
            ports = f"{source.port} {destination.port}"
            return f"PROXY {word} {hosts} {ports}\r\n".encode("ascii")
        case _:
            return b"PROXY UNKNOWN\r\n"


def _line_form(host: str) -> str:
    """Write an IPv4-mapped address in hexadecimal: section 2.1 has no other form."""
    if host.startswith("::ffff:") and "." in host:
        octets = ip_address(host).packed
        return f"::ffff:{octets[12:14].hex()}:{octets[14:].hex()}"
    return host


# Version 2, section 2.2


def _measure_version_2(start: bytearray, limit: int) -> int | None:
    """Check each octet once it is there, so that nothing is waited for in vain."""
    if len(start) > 12 and (start[12] >> 4 != 2 or start[12] & 0x0F > 1):
        raise ParseError(f"not version 2 and LOCAL or PROXY: {start[12]:#04x}")
    # LOCAL: the family is ignored.
    if len(start) > 13 and _command(start) is Command.PROXY:
        _transport(start)
    if len(start) < FIXED:
        return None
    length = int.from_bytes(start[14:], "big")
    if length > limit:
        raise ParseError(f"header has {length} octets behind its first, not {limit}")
    if _command(start) is Command.PROXY and length < SIZES[_transport(start)]:
        raise ParseError(f"no room for addresses in {length} octets")
    return FIXED + length


def _command(start: bytes | bytearray) -> Command:
    return Command(start[12] & 0x0F)


def _transport(start: bytes | bytearray) -> Transport:
    family, protocol = start[13] >> 4, start[13] & 0x0F
    if family > 3 or protocol > 2:
        raise ParseError(f"not a family and protocol: {start[13]:#04x}")
    if not (family and protocol):
        return Transport.UNSPEC
    return Transport(start[13])


def _decode_version_2(data: bytes) -> Header:
    if _command(data) is Command.LOCAL:
        return Header(command=Command.LOCAL)
    transport = _transport(data)
    if transport is Transport.UNSPEC:
        return Header()
    end = FIXED + SIZES[transport]
    source, destination = _decode_addresses(data[FIXED:end])
    tlvs = _decode_tlvs(data, end)
    return Header(transport, source, destination, tlvs=tlvs)


def _decode_addresses(block: bytes) -> tuple[Address, Address]:
    if len(block) == 2 * PATH:
        return Unix(trimmed(block[:PATH])), Unix(trimmed(block[PATH:]))
    size = (len(block) - 4) // 2
    source, destination = (
        canonical(ip_address(host)) for host in (block[:size], block[size:-4])
    )
    ports = int.from_bytes(block[-4:-2], "big"), int.from_bytes(block[-2:], "big")
    return Inet(source, ports[0]), Inet(destination, ports[1])


def _decode_tlvs(data: bytes, begin: int) -> tuple[Tlv, ...]:
    tlvs: list[Tlv] = []
    seen: set[int] = set()
    for number, at, value in split(data[begin:]):
        if number in seen:
            raise ParseError("a vector is there twice")
        if number in TYPES and number != NOOP:
            seen.add(number)
        tlvs.append(decode_tlv(number, value))
        if number == CRC32C:
            _check_crc32c(data, begin + at)
    return tuple(tlvs)


def _check_crc32c(data: bytes, at: int) -> None:
    zeroed = data[:at] + bytes(4) + data[at + 4 :]
    if int.from_bytes(data[at : at + 4], "big") != crc32c(zeroed):
        raise ParseError("the checksum is wrong")


def _encode_version_2(header: Header) -> bytes:
    addresses = _encode_addresses(header)
    vectors = encode_tlvs(header.tlvs)
    first = bytes([0x20 | header.command.value, header.transport.value])
    length = (len(addresses) + len(vectors)).to_bytes(2, "big")
    data = SIGNATURE + first + length + addresses + vectors
    begin = FIXED + len(addresses)
    for number, at, _ in split(vectors):
        if number == CRC32C:
            checksum = crc32c(data).to_bytes(4, "big")
            return data[: begin + at] + checksum + data[begin + at + 4 :]
    return data


def _encode_addresses(header: Header) -> bytes:
    match header:
        case Header(source=Inet() as source, destination=Inet() as destination):
            hosts = [ip_address(each.host).packed for each in (source, destination)]
            ports = [each.port.to_bytes(2, "big") for each in (source, destination)]
            return b"".join(hosts + ports)
        case Header(source=Unix() as source, destination=Unix() as destination):
            return source.path.ljust(PATH, b"\0") + destination.path.ljust(PATH, b"\0")
        case _:
            return b""
