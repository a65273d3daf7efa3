"""The PROXY protocol, versions 1 and 2: whose connection a proxy has handed on.

The only door to its rooms.  It knows neither SMTP nor POP3: octets in, a Header out.
Whether a header is due is configured by real peer and never guessed, for whoever may
send one can pass for anybody.
"""

from typing import TYPE_CHECKING

from .._doors import door

if TYPE_CHECKING:
    from ._codec import write_header
    from ._header import Address, Command, Header, Inet, Transport, Unix
    from ._reader import HeaderReader
    from ._tlvs import (
        Alpn,
        Authority,
        Crc32c,
        Netns,
        Noop,
        Ssl,
        SslClient,
        Tlv,
        UniqueId,
        Unknown,
    )
else:
    __getattr__, __dir__ = door(
        __name__,
        {
            "._codec": "write_header",
            "._header": "Address Command Header Inet Transport Unix",
            "._reader": "HeaderReader",
            "._tlvs": (
                "Alpn Authority Crc32c Netns Noop Ssl SslClient Tlv UniqueId Unknown"
            ),
        },
    )

__all__ = [
    "Header",
    "Command",
    "Transport",
    "Address",
    "Inet",
    "Unix",
    "HeaderReader",
    "write_header",
    "Tlv",
    "Alpn",
    "Authority",
    "Crc32c",
    "Noop",
    "UniqueId",
    "Ssl",
    "SslClient",
    "Netns",
    "Unknown",
]
