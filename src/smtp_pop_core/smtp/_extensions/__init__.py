"""The extensions that the library knows, a file a family."""

from ._bounds import Limits
from ._content import BinaryMime, Chunking, EightBitMime, Size, SmtpUtf8
from ._delivery import Dsn, Etrn
from ._extension import Extension, Extensions, Parameter, Unknown, Verb
from ._forwarding import Xclient, Xforward
from ._session import Auth, EnhancedStatusCodes, Help, Pipelining, StartTls

__all__ = [
    "Extension",
    "Extensions",
    "Parameter",
    "Verb",
    "Unknown",
    "Pipelining",
    "Size",
    "EightBitMime",
    "SmtpUtf8",
    "EnhancedStatusCodes",
    "Chunking",
    "BinaryMime",
    "Dsn",
    "Etrn",
    "Limits",
    "Help",
    "StartTls",
    "Auth",
    "Xclient",
    "Xforward",
    "known",
    "usual",
]


def usual(*, size: int | None = 50_000_000) -> tuple[Extension, ...]:
    """Return what a sound server offers without further set-up.

    Args:
        size: The largest content accepted, in octets; 0 or None for no fixed limit.
    """
    return (
        Pipelining(),
        Size(size),
        EightBitMime(),
        SmtpUtf8(),
        EnhancedStatusCodes(),
        Chunking(),
        BinaryMime(),
        Dsn(),
        Limits(),
        Help(),
    )


def known() -> tuple[Extension, ...]:
    """Return all extensions that a client can make use of."""
    return (*usual(), Etrn(), StartTls(), Auth(), Xclient(), Xforward())
