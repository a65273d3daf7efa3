"""The buffer from which both protocols take their lines.  Only CRLF ends a line."""

from typing import Final

from ._errors import LineTooLong

_START: Final = 64  # octets of a line that is too long, to see what it is


class LineBuffer:
    """Bytes that have arrived and have not been understood yet.

    Only CRLF ends a line.  A bare CR or LF stays in the line, where the grammar
    rejects it: taking it for a line end is what makes SMTP smuggling possible.

    Every byte is searched once, however small the pieces it arrives in.  Taking a line
    costs what the line costs, and what arrives when nothing is left is not copied.
    """

    __slots__ = ("_data", "_dropped", "_searched", "_start")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""  # empty where nothing is left
        self._start = 0  # what stands before it has been taken
        self._searched = 0  # no CRLF begins between the start and this offset
        self._dropped = b""  # the last octet of a line that is being dropped, else b""

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        if self._dropped:
            data = self._behind_dropped(data)
        if not self._data:
            self._data = data if type(data) is bytes else bytes(data)
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        if self._start:  # a bytearray forgets its front without moving the rest
            del self._data[: self._start]
            self._searched = max(0, self._searched - self._start)
            self._start = 0
        self._data += data

    def peek(self, limit: int | None = None) -> bytes:
        """Return what is there, up to limit octets, and leave it where it is."""
        end = None if limit is None else self._start + limit
        return bytes(self._data[self._start : end])

    def drop(self, count: int) -> None:
        """Remove so many octets from the front."""
        self._start = self._searched = self._start + count
        if self._start == len(self._data):
            self._data = b""
            self._start = self._searched = 0

    def take(self, limit: int) -> bytes:
        """Remove what is there, up to limit octets, and return it."""
        data = self._data
        if not data:
            return b""
        start = self._start
        if len(data) - start > limit or type(data) is not bytes:
            taken = self.peek(limit)
            self.drop(len(taken))
            return taken
        self._data = b""
        self._start = self._searched = 0
        return data[start:] if start else data

    def put_back(self, data: bytes) -> None:
        """Put the last octets of what was just taken where they were."""
        if self._start >= len(data):
            self._start -= len(data)
        else:
            self._data = data + self.peek()
            self._start = 0
        self._searched = self._start

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
        data = self._data
        if not data:
            return None
        start = self._start
        end = data.find(b"\r\n", self._searched)
        if 0 <= end <= start + limit - 2:
            if end + 2 < len(data):
                self._start = self._searched = end + 2
            else:
                self._data = b""
                self._start = self._searched = 0
            line = data[start:end]
            return line if type(line) is bytes else bytes(line)
        if end < 0 and len(data) - start < limit:
            self._searched = max(start, len(data) - 1)  # the last may be a CR
            return None
        begun = self.peek(_START)
        if end < 0:
            self._dropped = bytes(data[-1:])
        self.drop(end + 2 - start if end >= 0 else len(self))
        raise LineTooLong(f"line is longer than {limit} octets", begun)

    def _behind_dropped(self, data: bytes) -> bytes:
        """Return what stands behind the line that is being dropped."""
        data = self._dropped + data
        end = data.find(b"\r\n")
        if end < 0:
            self._dropped = data[-1:]
            return b""
        self._dropped = b""
        return data[end + 2 :]
