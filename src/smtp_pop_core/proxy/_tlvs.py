"""What may stand behind the addresses of a version 2 header, as values and as octets.

A vector is a type in one octet, a length in two, and so many octets.  One that is not
known is kept; one that is known and malformed is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Final, TypeAlias

from .._errors import ParseError

LONGEST: Final = 0xFFFF  # what a length in two octets can say


@dataclass(frozen=True, slots=True)
class Alpn:
    """The protocol that the client's TLS has agreed on.  Section 2.2.1.

    Attributes:
        protocol: Its name as in RFC 7301.
    """

    protocol: bytes

    def __post_init__(self) -> None:
        _check_octets("protocol", self.protocol)


@dataclass(frozen=True, slots=True)
class Authority:
    """The host that the client has asked for, as in TLS's server_name.  Section 2.2.2.

    It is what the client said: check it before it is used.
    """

    name: str

    def __post_init__(self) -> None:
        _encode(self.name, "utf-8")


@dataclass(frozen=True, slots=True)
class Crc32c:
    """A checksum over the whole header.  Section 2.2.3.

    It has no value here: the reader has checked it, and the writer computes it.
    """


@dataclass(frozen=True, slots=True)
class Noop:
    """Padding, to be ignored.  Section 2.2.4."""

    padding: bytes = b""

    def __post_init__(self) -> None:
        _check_octets("padding", self.padding)


@dataclass(frozen=True, slots=True)
class UniqueId:
    """What names the connection across proxies.  Section 2.2.5.

    Attributes:
        value: Up to 128 octets, which mean nothing.
    """

    value: bytes

    def __post_init__(self) -> None:
        _check_octets("value", self.value)
        if len(self.value) > 128:
            raise ValueError("a unique id has at most 128 octets")


@dataclass(frozen=True, slots=True)
class Netns:
    """The name of a namespace, in ASCII.  Section 2.2.7."""

    name: str

    def __post_init__(self) -> None:
        _encode(self.name, "ascii")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A vector that has no class here, such as the 0xE0 to 0xEF of applications.

    Attributes:
        type: 0 to 255.
        value: Its octets as they came.
    """

    type: int
    value: bytes

    def __post_init__(self) -> None:
        _check_octets("value", self.value)
        if not 0 <= self.type <= 0xFF:
            raise ValueError(f"not the type of a vector: {self.type}")


class SslClient(IntFlag):
    """What a client has shown to a proxy.  Section 2.2.6.

    Attributes:
        SSL: It connected over TLS.
        CERT_CONN: It gave a certificate over this connection.
        CERT_SESS: It gave one at least once over the TLS session.
    """

    SSL = 0x01
    CERT_CONN = 0x02
    CERT_SESS = 0x04


@dataclass(frozen=True, slots=True)
class Ssl:
    """The TLS between the client and the proxy.  Section 2.2.6.

    Attributes:
        client: What the client has shown; bits without a name are kept.
        verify: 0 if its certificate was verified.  Use `certificate_verified`: some
            proxies say 0 as well where there was no certificate.
        version: The version of TLS, or None; the rest likewise.
        common_name: Of the client's certificate.
        cipher: The cipher's name.
        signature_algorithm: What the proxy's certificate was signed with.
        key_algorithm: What the key of the proxy's certificate is for.
        extra: Vectors that are not known, in order.

    Raises:
        ValueError: A field cannot be written.
    """

    client: SslClient
    verify: int
    version: str | None = None
    common_name: str | None = None
    cipher: str | None = None
    signature_algorithm: str | None = None
    key_algorithm: str | None = None
    extra: tuple[Unknown, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.client <= 0xFF:
            raise ValueError(f"does not fit in one octet: {self.client}")
        if not 0 <= self.verify <= 0xFFFFFFFF:
            raise ValueError(f"does not fit in four octets: {self.verify}")
        for _, text, encoding in _texts(self):
            _encode(text, encoding)
        for each in self.extra:
            if each.type in _SUBTYPES:
                raise ValueError(f"not an unknown type: {each.type:#04x}")

    @property
    def certificate_verified(self) -> bool:
        """Whether the client gave a certificate and the proxy verified it."""
        given = self.client & (SslClient.CERT_CONN | SslClient.CERT_SESS)
        return bool(given) and self.verify == 0


Tlv: TypeAlias = Alpn | Authority | Crc32c | Noop | UniqueId | Ssl | Netns | Unknown

# What stands inside of SSL: type, field, encoding.
_SSL_FIELDS: Final = (
    (0x21, "version", "ascii"),
    (0x22, "common_name", "utf-8"),
    (0x23, "cipher", "ascii"),
    (0x24, "signature_algorithm", "ascii"),
    (0x25, "key_algorithm", "ascii"),
)
_SUBTYPES: Final = {number: (name, text) for number, name, text in _SSL_FIELDS}

CRC32C: Final = 0x03
NOOP: Final = 0x04
TYPES: Final[dict[int, type[Tlv]]] = {
    0x01: Alpn,
    0x02: Authority,
    CRC32C: Crc32c,
    NOOP: Noop,
    0x05: UniqueId,
    0x20: Ssl,
    0x30: Netns,
}


def check_tlvs(tlvs: tuple[Tlv, ...]) -> None:
    """Refuse what the reader would not give.

    Raises:
        ValueError: A vector that may stand once stands twice, which one to believe
            nobody knows; or what is known is given as unknown.
    """
    kinds = [type(each) for each in tlvs if not isinstance(each, Noop | Unknown)]
    if len(kinds) != len(set(kinds)):
        raise ValueError("a vector is there twice")
    for each in tlvs:
        if isinstance(each, Unknown) and each.type in TYPES:
            raise ValueError(f"not an unknown type: {each.type:#04x}")


def encode_tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    """Write vectors one behind the other, the checksum as zeros.

    Raises:
        ValueError: One is too long.
    """
    return b"".join(map(_encode_tlv, tlvs))


def _encode_tlv(tlv: Tlv) -> bytes:
    match tlv:
        case Alpn(protocol):
            return _vector(0x01, protocol)
        case Authority(name):
            return _vector(0x02, name.encode("utf-8"))
        case Crc32c():
            return _vector(CRC32C, bytes(4))
        case Noop(padding):
            return _vector(NOOP, padding)
        case UniqueId(value):
            return _vector(0x05, value)
        case Ssl():
            return _vector(0x20, _encode_ssl(tlv))
        case Netns(name):
            return _vector(0x30, name.encode("ascii"))
        case _:
            return _vector(tlv.type, tlv.value)


def _encode_ssl(ssl: Ssl) -> bytes:
    parts = [ssl.client.to_bytes(1, "big"), ssl.verify.to_bytes(4, "big")]
    parts += [_vector(number, text.encode(code)) for number, text, code in _texts(ssl)]
    parts += [_vector(each.type, each.value) for each in ssl.extra]
    return b"".join(parts)


def _texts(ssl: Ssl) -> Iterator[tuple[int, str, str]]:
    """Give the type, text and encoding of the fields that are there."""
    for number, name, encoding in _SSL_FIELDS:
        text: str | None = getattr(ssl, name)
        if text is not None:
            yield number, text, encoding


def split(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give the vectors of a block: type, where the value begins, and the value.

    Raises:
        ParseError: One runs past the end of the block.
    """
    at = 0
    while at < len(block):
        begin = at + 3
        at = begin + int.from_bytes(block[at + 1 : begin], "big")
        if at > len(block):
            raise ParseError("a vector is longer than the header")
        yield block[begin - 3], begin, block[begin:at]


def decode_tlv(number: int, value: bytes) -> Tlv:
    """Read the value of a vector.

    Raises:
        ParseError: It is not what its type asks for.
    """
    match number:
        case 0x01:
            return Alpn(value)
        case 0x02:
            return Authority(_decode(value, "utf-8"))
        case 0x03:
            return _decode_crc32c(value)
        case 0x04:
            return Noop(value)
        case 0x05:
            return _decode_unique_id(value)
        case 0x20:
            return _decode_ssl(value)
        case 0x30:
            return Netns(_decode(value, "ascii"))
        case _:
            return Unknown(number, value)


def _decode_crc32c(value: bytes) -> Crc32c:
    if len(value) != 4:
        raise ParseError("a checksum has four octets")
    return Crc32c()


def _decode_unique_id(value: bytes) -> UniqueId:
    try:
        return UniqueId(value)
    except ValueError as error:
        raise ParseError(str(error)) from error


def _decode_ssl(value: bytes) -> Ssl:
    if len(value) < 5:
        raise ParseError("the vector of TLS is too short")
    known: dict[str, str] = {}
    extra: list[Unknown] = []
    for number, _, inner in split(value[5:]):
        if number not in _SUBTYPES:
            extra.append(Unknown(number, inner))
            continue
        name, encoding = _SUBTYPES[number]
        if name in known:
            raise ParseError("a vector is there twice")
        known[name] = _decode(inner, encoding)
    verify = int.from_bytes(value[1:5], "big")
    return Ssl(SslClient(value[0]), verify, **known, extra=tuple(extra))


def _vector(number: int, value: bytes) -> bytes:
    if len(value) > LONGEST:
        raise ValueError(f"a vector has at most {LONGEST} octets")
    return bytes([number]) + len(value).to_bytes(2, "big") + value


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ValueError(f"not {encoding}: {text!r}") from error


def _decode(value: bytes, encoding: str) -> str:
    try:
        return value.decode(encoding)
    except UnicodeDecodeError as error:
        raise ParseError(f"not {encoding}: {value[:64]!r}") from error


def _check_octets(name: str, value: object) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"{name} must be bytes, not {type(value).__name__}")
