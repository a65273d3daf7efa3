"""A header as a value.  What can be made can be written, and reads as the same."""

from dataclasses import KW_ONLY, dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias, TypeVar

from ._tlvs import LONGEST, Tlv, check_tlvs, encode_tlvs

T = TypeVar("T")

PATH: Final = 108  # octets of the path of a Unix socket


class Command(Enum):
    """What a connection is for.  Section 2.2, octet 13."""

    LOCAL = 0
    PROXY = 1


class Transport(Enum):
    """The addresses and the protocol of a connection.  Section 2.2, octet 14.

    UNSPEC is what version 1 calls UNKNOWN.
    """

    UNSPEC = 0x00
    TCP4 = 0x11
    UDP4 = 0x12
    TCP6 = 0x21
    UDP6 = 0x22
    UNIX_STREAM = 0x31
    UNIX_DATAGRAM = 0x32


@dataclass(frozen=True, slots=True)
class Inet:
    """An end of a connection over IPv4 or IPv6.

    Attributes:
        host: The IP address in its canonical form, RFC 5952 for IPv6; an IPv4-mapped
            one is "::ffff:192.0.2.1" and stays an IPv6 address.
        port: 0 to 65535.

    Raises:
        ValueError: A field is not of that form.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        if not isinstance(self.host, str):
            raise TypeError(f"host must be str, not {type(self.host).__name__}")
        if "%" in self.host or canonical(ip_address(self.host)) != self.host:
            raise ValueError(f"not a canonical IP address: {self.host!r}")
        if not 0 <= self.port <= 0xFFFF:
            raise ValueError(f"not a port: {self.port}")


@dataclass(frozen=True, slots=True)
class Unix:
    """An end of a connection over a Unix socket.

    Attributes:
        path: Up to 108 octets; b"" of a socket without a name.  One that begins with
            NUL is a name of Linux's abstract namespace, without NULs at its end.

    Raises:
        ValueError: It is not of that form.
    """

    path: bytes

    def __post_init__(self) -> None:
        if trimmed(self.path) != self.path or len(self.path) > PATH:
            raise ValueError(f"not the path of a Unix socket: {self.path!r}")


Address: TypeAlias = Inet | Unix

# Octets of both addresses and their ports.
SIZES: Final = {
    Transport.UNSPEC: 0,
    Transport.TCP4: 12,
    Transport.UDP4: 12,
    Transport.TCP6: 36,
    Transport.UDP6: 36,
    Transport.UNIX_STREAM: 216,
    Transport.UNIX_DATAGRAM: 216,
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a proxy says about the connection that it hands on.

    Attributes:
        transport: The kind of connection; UNSPEC if the proxy cannot say.
        source: Where the client is, or None: then the real peer is it.  That is so for
            LOCAL and UNSPEC, and only there.
        destination: Where it connected to, likewise.
        version: 1, which knows TCP only, or 2.
        command: LOCAL if the proxy speaks for itself, as to see whether we are there.
        tlvs: What else it says, in order.  Only version 2 has them.

    Raises:
        ValueError: The fields do not belong together, or are too long to be written.
    """

    transport: Transport = Transport.UNSPEC
    source: Address | None = None
    destination: Address | None = None
    _: KW_ONLY
    version: int = 2
    command: Command = Command.PROXY
    tlvs: tuple[Tlv, ...] = ()

    def __post_init__(self) -> None:
        if self.version not in (1, 2):
            raise ValueError(f"not a version: {self.version}")
        if self.version == 1 and not self._fits_version_1():
            raise ValueError("version 1 has TCP and UNKNOWN and nothing else")
        if self.command is Command.LOCAL and self.transport is not Transport.UNSPEC:
            raise ValueError("LOCAL has no addresses")
        if self.transport is Transport.UNSPEC and self.tlvs:
            raise ValueError("without addresses there is nothing behind them")
        for address in (self.source, self.destination):
            if _family(address) != self.transport.value >> 4:
                raise ValueError(f"not for {self.transport.name}: {address}")
        check_tlvs(self.tlvs)
        if SIZES[self.transport] + len(encode_tlvs(self.tlvs)) > LONGEST:
            raise ValueError(f"a header has at most {LONGEST} octets behind its first")

    def _fits_version_1(self) -> bool:
        known = self.transport in (Transport.UNSPEC, Transport.TCP4, Transport.TCP6)
        return known and self.command is Command.PROXY and not self.tlvs

    def find(self, kind: type[T]) -> T | None:
        """Return the vector of a class, the first if there are several, or None."""
        return next((each for each in self.tlvs if isinstance(each, kind)), None)


def _family(address: Address | None) -> int:
    """Return the number of an address's family: the high bits of a Transport."""
    match address:
        case Inet(host):
            return 2 if ":" in host else 1
        case Unix():
            return 3
        case _:
            return 0


def canonical(ip: IPv4Address | IPv6Address) -> str:
    """Write an address, the same with every version of Python.  RFC 5952 section 5."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return f"::ffff:{ip.ipv4_mapped}"
    return str(ip)


def trimmed(path: bytes) -> bytes:
    """Return the path of a Unix socket without what only fills its field."""
    return path.rstrip(b"\0") if path[:1] == b"\0" else path.partition(b"\0")[0]
