"""The events that both protocols share."""

from dataclasses import dataclass, field
from typing import Final

from ._values import unchecked


@dataclass(frozen=True, slots=True)
class MessageData:
    """A block of a message's content, without the transparency of the wire.

    Attributes:
        data: The octets, of any number.  Lines end with CRLF, which may fall between
            two blocks.
        lf_ends_lines: For sending only: a bare LF ends a line as well, and CRLF is sent
            for it.  Without it a bare LF is refused.  Not part of equality.
    """

    data: bytes
    lf_ends_lines: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if type(self.data) is not bytes:
            raise TypeError(f"data must be bytes, not {type(self.data).__name__}")


# For octets that are known to be bytes.
checked_data: Final = unchecked(MessageData)


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """The peer will say no more.  Comes once, after everything that was complete."""
