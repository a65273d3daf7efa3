from collections.abc import Callable
from typing import Final

import pytest

from proxy_headers import with_tlvs, with_values
from smtp_pop_core import RemoteProtocolError
from smtp_pop_core.proxy import (
    Alpn,
    Authority,
    Crc32c,
    HeaderReader,
    Netns,
    Noop,
    Ssl,
    SslClient,
    Tlv,
    UniqueId,
    Unknown,
    write_header,
)

SHOWN: Final = SslClient.SSL | SslClient.CERT_CONN
CASES: Final[list[tuple[str, Tlv]]] = [
    # octets of the vector, its value
    ("01 0000", Alpn(b"")),
    ("01 0004 736d7470", Alpn(b"smtp")),
    ("02 000b 6dc3bc782e6578616d706c", Authority("müx.exampl")),
    ("04 0000", Noop()),
    ("04 0002 00ff", Noop(b"\0\xff")),
    ("05 0003 000102", UniqueId(b"\0\1\2")),
    ("20 0005 00 ffffffff", Ssl(SslClient(0), 0xFFFFFFFF)),
    ("20 000f 01 00000000 21 0007 544c5376312e33", Ssl(SslClient.SSL, 0, "TLSv1.3")),
    ("20 000b 03 00000001 22 0003 c3a961", Ssl(SHOWN, 1, common_name="éa")),
    (
        "20 0011 07 00000000 23 0001 63 24 0001 73 25 0001 6b",
        Ssl(
            SslClient(7),
            0,
            cipher="c",
            signature_algorithm="s",
            key_algorithm="k",
        ),
    ),
    (
        "20 000f f9 00000000 01 0000 21 0001 31 ea 0000",
        Ssl(SslClient(0xF9), 0, "1", extra=(Unknown(1, b""), Unknown(0xEA, b""))),
    ),
    ("30 0003 726564", Netns("red")),
    ("21 0001 61", Unknown(0x21, b"a")),  # known inside of SSL only
    ("00 0000", Unknown(0, b"")),
    ("e0 0001 78", Unknown(0xE0, b"x")),
    ("ff 0000", Unknown(0xFF, b"")),
]


@pytest.mark.parametrize(("octets", "value"), CASES)
def test_a_vector_is_read_as_its_value(octets: str, value: Tlv) -> None:
    header = HeaderReader().feed(with_tlvs(bytes.fromhex(octets)))
    assert header == with_values(value)
    assert HeaderReader().feed(write_header(with_values(value))) == header


WRITTEN: Final = [case for case in CASES if not case[0].endswith("ea 0000")]


@pytest.mark.parametrize(("octets", "value"), WRITTEN)
def test_a_value_is_written_as_its_vector(octets: str, value: Tlv) -> None:
    """What is not known inside of SSL stands behind what is, and has its test above."""
    assert write_header(with_values(value)) == with_tlvs(bytes.fromhex(octets))


def test_the_order_of_vectors_is_kept() -> None:
    vectors = bytes.fromhex("ea0000 04000101 020000 040000 ea000178 ea000178")
    values = (
        *(Unknown(0xEA, b""), Noop(b"\1"), Authority(""), Noop()),
        *(Unknown(0xEA, b"x"), Unknown(0xEA, b"x")),
    )
    assert HeaderReader().feed(with_tlvs(vectors)) == with_values(*values)
    assert write_header(with_values(*values)) == with_tlvs(vectors)


MALFORMED: Final = [
    # octets behind the addresses, what is said about them
    ("01", "a vector is longer than the header"),
    ("0100", "a vector is longer than the header"),
    ("010001", "a vector is longer than the header"),
    ("010000 ea", "a vector is longer than the header"),
    ("ea0064 616263", "a vector is longer than the header"),  # SMTP-PROXY-2.2-h
    ("eaffff", "a vector is longer than the header"),
    ("020001 ff", "not utf-8"),
    ("020003 eda080", "not utf-8"),  # a surrogate
    ("020002 c080", "not utf-8"),  # NUL in two octets
    ("300001 80", "not ascii"),
    ("030000", "a checksum has four octets"),
    ("030003 000000", "a checksum has four octets"),
    ("030005 0000000000", "a checksum has four octets"),
    ("030004 00000000", "the checksum is wrong"),
    ("050081" + "00" * 129, "a unique id has at most 128 octets"),
    ("200000", "the vector of TLS is too short"),
    ("200004 01000000", "the vector of TLS is too short"),
    ("200006 0100000000 21", "a vector is longer than the header"),
    ("200008 0100000000 210001", "a vector is longer than the header"),
    ("200009 0100000000 210001 80", "not ascii"),
    ("200009 0100000000 220001 ff", "not utf-8"),
    ("20000b 0100000000 220000 220000", "a vector is there twice"),
    ("010000 010000", "a vector is there twice"),
    ("020001 61 040000 020001 62", "a vector is there twice"),
    ("050000 050000", "a vector is there twice"),
    ("200005 0100000000 200005 0100000000", "a vector is there twice"),
    ("300000 300000", "a vector is there twice"),
]


@pytest.mark.parametrize(("octets", "message"), MALFORMED)
def test_a_malformed_vector_is_refused(octets: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        HeaderReader().feed(with_tlvs(bytes.fromhex(octets)))


def test_every_octet_is_under_the_checksum() -> None:
    """SMTP-PROXY-2.2-i."""
    header = with_values(Unknown(0xE0, b"x"), Crc32c(), Unknown(0xE1, b"y"))
    wire = write_header(header)
    assert HeaderReader().feed(wire) == header
    kind = wire.index(b"\3\0\4")  # without its type there is no checksum
    for at in [*range(16, kind), *range(kind + 1, len(wire))]:
        flipped = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]
        with pytest.raises(RemoteProtocolError):
            HeaderReader().feed(flipped)


def test_the_checksum_is_written_where_it_stands() -> None:
    """The value is that of the table, fixtures/proxy.toml, crc good."""
    assert write_header(with_values(Crc32c())) == with_tlvs(
        bytes.fromhex("030004 8b1dce42")
    )


def test_no_header_has_two_checksums() -> None:
    wire = write_header(with_values(Crc32c()))
    twice = wire[:15] + bytes([wire[15] + 7]) + wire[16:] + wire[-7:]
    with pytest.raises(RemoteProtocolError):
        HeaderReader().feed(twice)
    with pytest.raises(ValueError, match="a vector is there twice"):
        with_values(Crc32c(), Crc32c())


@pytest.mark.parametrize(
    ("client", "verify", "expected"),
    [
        (SslClient.SSL | SslClient.CERT_CONN, 0, True),
        (SslClient.SSL | SslClient.CERT_SESS, 0, True),
        (SslClient.SSL | SslClient.CERT_CONN | SslClient.CERT_SESS, 0, True),
        (SslClient.SSL | SslClient.CERT_CONN, 1, False),
        (SslClient.SSL, 0, False),  # nothing was shown that could be verified
        (SslClient(0xF8), 0, False),
        (SslClient(0), 0, False),
    ],
)
def test_only_a_certificate_that_was_given_is_verified(
    client: SslClient, verify: int, expected: bool
) -> None:
    assert Ssl(client, verify).certificate_verified is expected


WRONG: Final[list[tuple[Callable[[], object], str]]] = [
    (lambda: UniqueId(bytes(129)), "a unique id has at most 128 octets"),
    (lambda: Unknown(256, b""), "not the type of a vector: 256"),
    (lambda: Unknown(-1, b""), "not the type of a vector: -1"),
    (lambda: Authority("\ud800"), "not utf-8"),
    (lambda: Netns("é"), "not ascii"),
    (lambda: Ssl(SslClient(256), 0), "does not fit in one octet"),
    (lambda: Ssl(SslClient(0), -1), "does not fit in four octets"),
    (lambda: Ssl(SslClient(0), 1 << 32), "does not fit in four octets"),
    (lambda: Ssl(SslClient(0), 0, "é"), "not ascii"),
    (lambda: Ssl(SslClient(0), 0, common_name="\udfff"), "not utf-8"),
    (lambda: Ssl(SslClient(0), 0, cipher="é"), "not ascii"),
    (lambda: Ssl(SslClient(0), 0, extra=(Unknown(0x21, b""),)), "not an unknown type"),
    (lambda: with_values(Unknown(0x01, b"")), "not an unknown type: 0x01"),
    (lambda: with_values(Unknown(0x04, b"")), "not an unknown type: 0x04"),
    (lambda: with_values(Alpn(b"a"), Noop(), Alpn(b"b")), "a vector is there twice"),
    (lambda: with_values(Netns("a"), Netns("a")), "a vector is there twice"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_a_value_that_cannot_be_written_is_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [Alpn, Noop, UniqueId])
def test_octets_are_bytes(kind: Callable[[str], object]) -> None:
    with pytest.raises(TypeError, match="must be bytes, not str"):
        kind("text")
