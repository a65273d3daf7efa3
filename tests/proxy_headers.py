"""Any header of the PROXY protocol, octets of one by hand, and what comes of octets."""

from typing import Final

from hypothesis import strategies as st

from smtp_pop_core import RemoteProtocolError, proxy
from smtp_pop_core.proxy import (
    Header,
    HeaderReader,
    Inet,
    Transport,
    Unix,
    write_header,
)

SIGNATURE: Final = bytes.fromhex("0d0a0d0a000d0a515549540a")
IPV4: Final = bytes.fromhex("c0000201c6336407dc040019")
IPV6: Final = bytes.fromhex(
    "20010db8000000000000000000000001 20010db8000000000000000000000025 dc040019"
)
SOURCE: Final = Inet("192.0.2.1", 56324)
DESTINATION: Final = Inet("198.51.100.7", 25)


def version_2(first: int, second: int, block: bytes = b"") -> bytes:
    """Write a header whose octets 13 and 14 are given, and what is behind."""
    length = len(block).to_bytes(2, "big")
    return SIGNATURE + bytes([first, second]) + length + block


def with_tlvs(vectors: bytes) -> bytes:
    """Write a header of TCP over IPv4 with these octets behind its addresses."""
    return version_2(0x21, 0x11, IPV4 + vectors)


def with_values(*tlvs: proxy.Tlv) -> Header:
    """Make the header that belongs to it."""
    return Header(Transport.TCP4, SOURCE, DESTINATION, tlvs=tlvs)


PORTS: Final = st.integers(0, 0xFFFF)
ENDS_4: Final = st.builds(Inet, st.ip_addresses(v=4).map(str), PORTS)
MAPPED: Final = st.ip_addresses(v=4).map(lambda ip: f"::ffff:{ip}")
HOSTS_6: Final = (
    st.ip_addresses(v=6).map(str).filter(lambda text: "::ffff:" not in text)
)
ENDS_6: Final = st.builds(Inet, HOSTS_6 | MAPPED, PORTS)
PATHS: Final = st.binary(max_size=108).map(
    lambda path: path.replace(b"\0", b"").rjust(len(path) % 2, b"\0")
)
ENDS_UNIX: Final = st.builds(Unix, PATHS)

ASCII: Final = st.text(st.characters(codec="ascii"), max_size=20)
UTF8: Final = st.text(st.characters(codec="utf-8"), max_size=20)
OCTETS: Final = st.binary(max_size=40)
EXTRA: Final = st.builds(proxy.Unknown, st.integers(0x26, 0x2F), OCTETS)
SSL: Final = st.builds(
    proxy.Ssl,
    st.integers(0, 0xFF).map(proxy.SslClient),
    st.integers(0, 0xFFFFFFFF),
    version=st.none() | ASCII,
    common_name=st.none() | UTF8,
    cipher=st.none() | ASCII,
    signature_algorithm=st.none() | ASCII,
    key_algorithm=st.none() | ASCII,
    extra=st.lists(EXTRA, max_size=2).map(tuple),
)
ONCE: Final = st.tuples(
    *(
        st.none() | each
        for each in (
            st.builds(proxy.Alpn, OCTETS),
            st.builds(proxy.Authority, UTF8),
            st.builds(proxy.Crc32c),
            st.builds(proxy.UniqueId, st.binary(max_size=128)),
            SSL,
            st.builds(proxy.Netns, ASCII),
        )
    )
).map(lambda values: [each for each in values if each is not None])
OFTEN: Final = st.lists(
    st.builds(proxy.Noop, OCTETS)
    | st.builds(proxy.Unknown, st.integers(0xE0, 0xFF), OCTETS),
    max_size=3,
)
TLVS: Final = (
    st.tuples(ONCE, OFTEN)
    .flatmap(lambda parts: st.permutations(parts[0] + parts[1]))
    .map(tuple)
)


def _headers(
    ends: st.SearchStrategy[Inet] | st.SearchStrategy[Unix], *transports: Transport
) -> st.SearchStrategy[Header]:
    return st.builds(Header, st.sampled_from(transports), ends, ends, tlvs=TLVS)


VERSION_1: Final = st.one_of(
    st.just(Header(version=1)),
    st.builds(Header, st.just(Transport.TCP4), ENDS_4, ENDS_4, version=st.just(1)),
    st.builds(Header, st.just(Transport.TCP6), ENDS_6, ENDS_6, version=st.just(1)),
)
VERSION_2: Final = st.one_of(
    st.just(Header()),
    st.just(Header(command=proxy.Command.LOCAL)),
    _headers(ENDS_4, Transport.TCP4, Transport.UDP4),
    _headers(ENDS_6, Transport.TCP6, Transport.UDP6),
    _headers(ENDS_UNIX, Transport.UNIX_STREAM, Transport.UNIX_DATAGRAM),
)
HEADERS: Final = VERSION_1 | VERSION_2


def outcome(cut: tuple[bytes, ...]) -> tuple[Header | None, bytes, str]:
    """Say what comes of pieces: a header, what is not in it, and what was wrong."""
    reader = HeaderReader()
    left = list(cut)
    while left:
        try:
            header = reader.feed(left.pop(0))
        except RemoteProtocolError as error:
            return None, b"", str(error)
        if header is not None:
            return header, reader.trailing_data + b"".join(left), ""
    return None, reader.trailing_data, ""


SPOILED: Final = st.tuples(
    HEADERS.map(write_header), st.integers(0, 300), st.binary(max_size=3)
).map(lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :])
HOSTILE: Final = st.one_of(
    SPOILED,
    st.binary(max_size=60).map(lambda tail: version_2(0x21, 0x11, IPV4 + tail)),
    st.binary(max_size=250).map(lambda block: version_2(0x21, 0x31, block)),
    st.binary(max_size=40),
    st.text("PROXYTCP46UNKWN 0123456789.:af\r\n", max_size=60).map(
        lambda text: f"PROXY {text}".encode()
    ),
).filter(bool)
