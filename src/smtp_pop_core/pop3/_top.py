"""What TOP sends of a message: its header and some lines more.  RFC 1939 section 7."""

from .._dots import LineEnds

_HEADER_END = b"\r\n\r\n"


class Head:
    """Lets the header of a message pass, the empty line, and lines of the body.

    Args:
        lines: How many lines of the body.

    Attributes:
        ended: Whether all that is wanted has passed.
    """

    __slots__ = ("_before", "_in_header", "_left", "_line_ends", "ended")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._line_ends = LineEnds()
        self._in_header = True
        self._before = b"\r\n"  # a message may begin with the empty line
        self.ended = False

    def feed(self, block: bytes) -> bytes:
        """Return what passes of a block, with CRLF line ends, perhaps b"".

        Args:
            block: The next octets; b"" at the end.

        Raises:
            ParseError: There is a bare CR.
        """
        if block:
            data = self._line_ends.feed(block)
        else:
            data = self._line_ends.end()
            self.ended = True
        passed = b""
        if self._in_header:
            seen = self._before + data
            found = seen.find(_HEADER_END)
            if found < 0:
                self._before = seen[-3:]
                return data
            cut = found + len(_HEADER_END) - len(self._before)
            passed, data = data[:cut], data[cut:]
            self._in_header = False
        return passed + self._lines(data)

    def _lines(self, data: bytes) -> bytes:
        count = data.count(b"\n")
        if count < self._left:
            self._left -= count
            return data
        end = 0
        for _ in range(self._left):
            end = data.index(b"\n", end) + 1
        self._left = 0
        self.ended = True
        return data[:end]
