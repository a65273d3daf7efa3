"""The events that both protocols share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ._values import quick, unchecked


@quick
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
    # Only `surveyed` sets it.
    _surveyed: bool = field(default=False, init=False, compare=False, repr=False)

    @property
    def surveyed(self) -> bool:
        """Whether it was looked through, and only CRLF ends its lines."""
        return self._surveyed

    def __post_init__(self) -> None:
        if type(self.data) is not bytes:
            raise TypeError(f"data must be bytes, not {type(self.data).__name__}")


# For octets that are known to be bytes.
checked_data: Final = unchecked(MessageData)
_all_given: Callable[[bytes, bool, bool], MessageData]
_all_given = checked_data  # type: ignore[assignment]  # it takes what nobody gives too


def surveyed(data: bytes) -> MessageData:
    """Return a block of content that was looked through, and only CRLF ends its lines.

    To look through it once more when it is sent takes as long as all else of sending.
    """
    return _all_given(data, False, True)


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """The peer will say no more.  Comes once, after everything that was complete."""
