"""The checksum CRC32c.  RFC 4960 appendix B."""

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78  # the bits of 0x1EDC6F41 reversed


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ _POLYNOMIAL * (value & 1)
    return value


_TABLE: Final = tuple(map(_entry, range(256)))


def crc32c(data: bytes) -> int:
    """Return the checksum of data, a number of 32 bits."""
    value = 0xFFFFFFFF
    for octet in data:
        value = value >> 8 ^ _TABLE[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF
