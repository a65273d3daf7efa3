"""The buffer from which both protocols take their lines.  Only CRLF ends a line."""

from typing import Final

from ._errors import LineTooLong

_START: Final = 64  # octets of a line that is too long, to see what it is


class LineBuffer:
    """Bytes that have arrived and have not been understood yet.

    Only CRLF ends a line.  A bare CR or LF stays in the line, where the grammar
    rejects it: taking it for a line end is what makes SMTP smuggling possible.

    Every byte is searched once, however small the pieces it arrives in.  Taking a line
    costs what the line costs: a bytearray forgets its front without moving the rest.
    """

    __slots__ = ("_data", "_dropped", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0  # no CRLF begins before this offset
        self._dropped = b""  # the last octet of a line that is being dropped, else b""

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        if self._dropped:
            data = self._behind_dropped(data)
        self._data += data

    def peek(self, limit: int | None = None) -> bytes:
        """Return what is there, up to limit octets, and leave it where it is."""
        return bytes(self._data[:limit])

    def drop(self, count: int) -> None:
        """Remove so many octets from the front."""
        del self._data[:count]
        self._searched = 0

    def take_line(self, limit: int) -> bytes | None:
        """Remove the next line and return it without its CRLF.

        Args:
            limit: Longest line allowed, in octets, its CRLF included; at least 2.

        Returns:
            The line, or None if its CRLF has not arrived yet.

        Raises:
            LineTooLong: The line is longer than limit.  It is dropped, also what of it
                is still to come; the next call goes on with the line after it.
        """
        end = self._data.find(b"\r\n", self._searched)
        if end > limit - 2 or (end < 0 and len(self._data) >= limit):
            start = self.peek(_START)
            if end < 0:
                self._dropped = bytes(self._data[-1:])
            self.drop(end + 2 if end >= 0 else len(self._data))
            raise LineTooLong(f"line is longer than {limit} octets", start)
        if end < 0:
            self._searched = max(0, len(self._data) - 1)  # the last may be a CR
            return None
        line = bytes(self._data[:end])
        self.drop(end + 2)
        return line

    def _behind_dropped(self, data: bytes) -> bytes:
        """Return what stands behind the line that is being dropped."""
        data = self._dropped + data
        end = data.find(b"\r\n")
        if end < 0:
            self._dropped = data[-1:]
            return b""
        self._dropped = b""
        return data[end + 2 :]
