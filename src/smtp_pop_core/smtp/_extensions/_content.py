"""Extensions about the content: SIZE, 8BITMIME, SMTPUTF8, CHUNKING, BINARYMIME."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ..._abnf import number, upper
from .._commands import Body
from ._extension import Extension, Parameter


def _read_size(value: str | None) -> int:
    return number(value or "")


def _read_body(value: str | None) -> Body:
    return Body(upper(value or ""))


def _write_body(body: Body) -> str:
    return body.value


def _read_nothing(value: str | None) -> bool:
    if value is not None:
        raise ValueError("the parameter has no value")
    return True


def _write_nothing(_: bool) -> None:
    return None


_BODY: Final = {"BODY": Parameter(_read_body, "body", _write_body)}


@dataclass(frozen=True, slots=True)
class Size(Extension):
    """SIZE: how large a message may be.  RFC 1870.

    Attributes:
        limit: In octets of content, 0 for no fixed limit, or None where the server says
            nothing about it.
    """

    keyword = "SIZE"
    mail: ClassVar = {"SIZE": Parameter(_read_size, "size")}
    mail_octets: ClassVar[int] = 26

    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not 0 <= self.limit < 10**20:  # 1*20DIGIT
            raise ValueError(f"not a size: {self.limit!r}")

    def arguments(self) -> str:
        """The limit, or nothing."""
        return "" if self.limit is None else str(self.limit)

    def read(self, arguments: str) -> "Size":
        """Return the extension with the limit that the server says."""
        return Size(number(arguments) if arguments else None)


@dataclass(frozen=True, slots=True)
class EightBitMime(Extension):
    """8BITMIME: content may hold octets above 127.  RFC 6152."""

    keyword = "8BITMIME"
    mail: ClassVar = _BODY


@dataclass(frozen=True, slots=True)
class SmtpUtf8(Extension):
    """SMTPUTF8: addresses and headers may hold UTF-8.  RFC 6531."""

    keyword = "SMTPUTF8"
    mail: ClassVar = {"SMTPUTF8": Parameter(_read_nothing, "smtputf8", _write_nothing)}
    mail_octets: ClassVar[int] = 10


@dataclass(frozen=True, slots=True)
class Chunking(Extension):
    """CHUNKING: content can be sent with BDAT.  RFC 3030."""

    keyword = "CHUNKING"


@dataclass(frozen=True, slots=True)
class BinaryMime(Extension):
    """BINARYMIME: content may hold any octets, in lines or not.  RFC 3030 section 3.

    It is offered with CHUNKING only.
    """

    keyword = "BINARYMIME"
    mail: ClassVar = _BODY
    mail_octets: ClassVar[int] = 16
