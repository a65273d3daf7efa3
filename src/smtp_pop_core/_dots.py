r"""Content as it travels: ended by a line of one dot, other dots in front doubled.

RFC 5321 section 4.5.2 and RFC 1939 section 3.  Only CRLF ends a line.

Content is handled in whole blocks; nothing is done for a single line or octet in
Python.  Each block is asked the cheap questions first: is there a dot at all, is there
one behind a CRLF, and where does the content end.
"""

import re
from collections.abc import Collection
from io import IncrementalNewlineDecoder
from typing import Final

from ._errors import ParseError

_END: Final = b"\r\n.\r\n"
# To ask whether bytes hold bytes, or begin or end with them, takes longer.
_DOT: Final = ord(".")
_LF: Final = ord("\n")
_PIECE: Final = 262_144  # octets, of which a decoded copy is small
# What may stand at the end of a block and matters for the next one, longest first.
_BEGUN: Final = tuple(_END[:length] for length in (4, 3, 2, 1))

# bytes.find needs up to twice the time for these.
_DOT_LINE: Final = re.compile(rb"\r\n\.")
_END_LINE: Final = re.compile(re.escape(_END))
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class Unstuffer:
    """Decodes content as it arrives, up to and with its end.

    The result is the same for every way of cutting the input into blocks.

    Attributes:
        ended: Whether the line of one dot was seen.
        rest: The octets behind it; they belong to what follows the content.
    """

    __slots__ = ("_before", "_line_ends", "ended", "rest")

    def __init__(self) -> None:
        self._before = b"\r\n"  # one of _BEGUN, or b"": the content begins with a line
        self._line_ends = _line_end_finder()
        self.ended = False
        self.rest = b""

    @property
    def bare(self) -> bool:
        """Whether a CR without LF or an LF without CR was seen.

        It stays in the content and ends nothing, but another reader may think
        otherwise.
        """
        return self._line_ends.newlines not in (None, "\r\n")

    def feed(self, data: bytes) -> bytes:
        """Return the content that is certain now, perhaps b"".

        All is certain but the CR of a line that is a dot and a CR so far.
        """
        if self.ended:
            self.rest += data
            return b""
        if not data:
            return b""
        before = self._before
        if before and data[0] != _END[len(before)] and len(before) < 4:
            before = b""  # it does not go on
        block = before + data if before else data
        found = _DOT_LINE.search(block) if _DOT in block else None
        if before or found:
            return self._without_dots(block, len(before), found)
        self._line_ends.decode(data.decode("latin-1"))
        self._before = _begun(data) if data[-1] in b"\r\n" else b""
        return data

    def _without_dots(
        self, block: bytes, known: int, found: re.Match[bytes] | None
    ) -> bytes:
        """Return the content of a block that may hold an end, or dots to take away.

        Args:
            block: The octets.
            known: How many of them were there before.
            found: The first dot that begins a line.
        """
        content = block
        if found:
            block = content = self._up_to_end(block, found.start())
            if found.end() <= len(block):
                # bytes.split takes up to twice as long, bytes.replace thrice.
                content = b"\r\n".join(_DOT_LINE.split(block))
        fresh = block[known:] if known else block
        self._line_ends.decode(fresh.decode("latin-1"))
        if not self.ended:
            self._before = _begun(block)
            if self._before == b"\r\n.\r":
                content = content[:-1]
        # of what was known, CRLF or CR was returned
        return content[min(known, 2) :] if known else content

    def _up_to_end(self, block: bytes, start: int) -> bytes:
        """Cut off the line of one dot, if it is there, and what stands behind it."""
        there = block.rfind(_END) >= start  # in half the time of a search
        found = _END_LINE.search(block, start) if there else None
        if found is None:
            return block
        self.ended = True
        self.rest = block[found.end() :]
        return block[: found.start() + 2]  # the CRLF before the dot is content


class Stuffer:
    """Encodes content for sending; the reverse of Unstuffer.

    What is sent holds no bare CR or LF and exactly one end, at its very end.

    Attributes:
        octets: How many octets of content the receiver will count so far.
    """

    __slots__ = ("_at_line_start", "_held", "octets")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""  # a CR at the end of a block, until the next octet is known
        self.octets = 0

    def feed(
        self, data: bytes, *, lf_ends_lines: bool = False, surveyed: bool = False
    ) -> bytes:
        """Return the octets to send for a block, perhaps b"".

        Args:
            data: The block.
            lf_ends_lines: Send CRLF for a bare LF.
            surveyed: It is known that only CRLF ends lines in the block, whose last
                octet may be a CR.

        Raises:
            ParseError: There is a bare CR, or a bare LF that ends no line.  The state
                is as if the block had not been fed.
        """
        block = self._held + data
        wire = whole = block.removesuffix(b"\r")
        if not surveyed and (ends := bare_ends(whole)):
            wire = _with_crlf(whole, ends, lf_ends_lines=lf_ends_lines)
        self._held = block[len(whole) :]
        if not wire:
            return b""
        self.octets += len(wire)
        dot_first = self._at_line_start and wire[0] == _DOT
        self._at_line_start = wire[-1] == _LF
        if _DOT in wire:
            wire = _DOT_LINE.sub(b"\r\n..", wire)
        return b"." + wire if dot_first else wire

    def end(self) -> bytes:
        """Return what completes the message: its last CRLF, if missing, and the end.

        Raises:
            ParseError: The last octet is a CR.  Nothing has changed.
        """
        if self._held:
            raise ParseError("content ends with a bare CR")
        if self._at_line_start:
            return b".\r\n"
        self._at_line_start = True
        self.octets += 2
        return _END


class LfToCrlf:
    """Makes CRLF of every LF, and leaves a bare CR as it is: for what is received."""

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, data: bytes) -> bytes:
        """Return a block with CRLF for every LF; it is as good as complete."""
        before = b"\r" if self._after_cr else b""
        block = before + data
        self._after_cr = block.endswith(b"\r")
        return _BARE_LF.sub(b"\r\n", block)[len(before) :]


class LineEnds:
    """Makes CRLF of every line end, for content that is counted and not stuffed."""

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""  # a CR at the end of a block, until the next octet is known

    def feed(self, data: bytes) -> bytes:
        """Return a block with CRLF for every line end, perhaps b"".

        Raises:
            ParseError: There is a bare CR.  Nothing has changed.
        """
        block = self._held + data
        whole = block.removesuffix(b"\r")
        ends = bare_ends(whole)
        text = _with_crlf(whole, ends, lf_ends_lines=True) if ends else whole
        self._held = block[len(whole) :]
        if text:
            self._at_line_start = text.endswith(b"\n")
        return text

    def end(self) -> bytes:
        """Return the CRLF of the last line, if it is missing, else b"".

        Raises:
            ParseError: The last octet is a CR.
        """
        if self._held:
            raise ParseError("content ends with a bare CR")
        return b"" if self._at_line_start else b"\r\n"


class Survey:
    """Looks through content before it is sent.

    Attributes:
        size: Octets as a receiver counts them, RFC 1870 section 5: every line ends with
            CRLF, also the last, and no dot is doubled.  Complete after finish().
        eight_bit: Whether an octet is above 127.
        bare_cr: Whether there is a CR without LF.  Complete after finish().
        bare_lf: Whether there is an LF without CR.
    """

    __slots__ = ("_held", "_in_line", "bare_cr", "bare_lf", "eight_bit", "size")

    def __init__(self) -> None:
        self.size = 0
        self.eight_bit = False
        self.bare_cr = False
        self.bare_lf = False
        self._in_line = False  # the last line has no end yet
        self._held = b""  # a CR at the end of a block, until the next octet is known

    def feed(self, data: bytes) -> None:
        """Look at a block."""
        block = self._held + data
        whole = block.removesuffix(b"\r")
        self._held = block[len(whole) :]
        self._look_at(whole)

    def finish(self) -> None:
        """Account for what only the end decides.  No block can follow."""
        held, self._held = self._held, b""
        self._look_at(held)
        if self._in_line:
            self.size += 2

    def _look_at(self, block: bytes) -> None:
        """Look at octets that do not end between a CR and its LF."""
        if not block:
            return
        ends = bare_ends(block)
        self.size += len(block)
        self.eight_bit = self.eight_bit or not block.isascii()
        self.bare_cr = self.bare_cr or "\r" in ends
        if "\n" in ends:
            self.bare_lf = True
            self.size += block.count(b"\n") - block.count(b"\r\n")
        self._in_line = not block.endswith(b"\n")


def _begun(block: bytes) -> bytes:
    """Return how much of the end of the content a block ends with."""
    if not block.endswith(_BEGUN):
        return b""
    return next(filter(block.endswith, _BEGUN))


def _line_end_finder() -> IncrementalNewlineDecoder:
    r"""Return what knows, in `newlines`, the line ends in all that it has decoded.

    It needs one pass in C; to count and compare "\r\n", bare "\r" and bare "\n" takes
    four times as long.
    """
    return IncrementalNewlineDecoder(None, False)  # 50 ns less than by name


def bare_ends(block: bytes) -> Collection[str]:
    """Return the line ends of a block if there are others than CRLF, else ().

    A CR at its end counts as bare.
    """
    finder = IncrementalNewlineDecoder(None, False)  # by name it takes 0.1 us more
    if len(block) > _PIECE:
        _decode_large(finder, block)
    else:
        finder.decode(block.decode("latin-1"), True)
    found = finder.newlines
    return () if found is None or found == "\r\n" else found


def _decode_large(finder: IncrementalNewlineDecoder, block: bytes) -> None:
    """Decode a block with no copy of all of it, which takes nine tenths of the time."""
    octets = memoryview(block)
    for start in range(0, len(block), _PIECE):
        finder.decode(str(octets[start : start + _PIECE], "latin-1"))
    finder.decode("", True)


def _with_crlf(block: bytes, ends: Collection[str], *, lf_ends_lines: bool) -> bytes:
    """Return a block in which every line ends with CRLF.

    Args:
        block: The block.
        ends: Its line ends, of which one is bare.
        lf_ends_lines: Make CRLF of a bare LF.

    Raises:
        ParseError: There is a bare CR, or a bare LF that ends no line.
    """
    if "\r" in ends:
        raise ParseError("content has a bare CR")
    if not lf_ends_lines:
        raise ParseError("content has a bare LF")
    if ends == "\n":
        return block.replace(b"\n", b"\r\n")
    # The decoder makes LF of CRLF twice as fast as bytes.replace.
    decoder = IncrementalNewlineDecoder(None, translate=True)
    text = decoder.decode(block.decode("latin-1"), final=True)
    return text.encode("latin-1").replace(b"\n", b"\r\n")
