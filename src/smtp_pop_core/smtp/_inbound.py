"""Content on its way into a server: what is accepted, and the reply if it is not.

Content that cannot be accepted is read to its end all the same, and answered once.
"""

from typing import Final

from .._dots import Survey, Unstuffer
from .._lines import LineBuffer
from ._commands import Body, Mail
from ._defaults import BARE, EIGHT_BIT, TOO_LARGE
from ._replies import Reply
from ._tolerances import Tolerances

_EIGHT_BIT: Final = (Body.EIGHT_BIT_MIME, Body.BINARYMIME)


class Inbound:
    """The content of one message, sent with DATA or in chunks.

    Args:
        tolerances: What is borne beyond the standard.
        largest: Octets of content that are accepted, or None for no bound.  What goes
            beyond is dropped.
        mail: The MAIL command of the transaction.
        block: Octets that are decoded in one go.

    Attributes:
        ended: Whether the end of the content has been received.
    """

    __slots__ = (
        "_bare_allowed",
        "_bare_allowed_in_chunks",
        "_block",
        "_eight_bit_allowed",
        "_eight_bit_seen",
        "_largest",
        "_octets",
        "_survey",
        "_unstuffer",
        "ended",
    )

    def __init__(
        self,
        tolerances: Tolerances,
        *,
        largest: int | None = None,
        mail: Mail | None = None,
        block: int = 65_536,
    ) -> None:
        self._bare_allowed: Final = tolerances.bare_line_ends
        self._eight_bit_allowed: Final = tolerances.undeclared_8bit or (
            mail is not None and mail.body in _EIGHT_BIT
        )
        self._eight_bit_seen = False
        self.ended = False
        self._block: Final = block
        self._largest: Final = largest
        self._octets = 0
        self._unstuffer: Final = Unstuffer()
        self._survey: Survey | None = None  # of chunks, where it matters
        self._bare_allowed_in_chunks: Final = tolerances.bare_line_ends_in_chunks

    def take(self, buffer: LineBuffer) -> bytes:
        """Take from the buffer what belongs to the content, and return its octets.

        Returns:
            The octets without transparency; b"" where no more of them are certain yet,
            or the content has ended.
        """
        unstuffer = self._unstuffer
        while not self.ended and (data := buffer.take(self._block)):
            content = unstuffer.feed(data)
            if unstuffer.ended:
                self.ended = True
                if unstuffer.rest:
                    buffer.put_back(unstuffer.rest)
            if block := self._counted(content):
                return block
        return b""

    def take_chunk(self, buffer: LineBuffer, most: int) -> tuple[bytes, int]:
        """Take octets of a chunk from the buffer.

        Args:
            buffer: What was received.
            most: How many octets the chunk still has.

        Returns:
            Those within the limit; and how many were taken.
        """
        octets = buffer.peek(min(most, self._block))
        buffer.drop(len(octets))
        if not self._bare_allowed_in_chunks:
            if self._survey is None:
                self._survey = Survey()
            self._survey.feed(octets)
        return self._counted(octets), len(octets)

    def _counted(self, block: bytes) -> bytes:
        before = self._octets
        self._octets = octets = before + len(block)
        if not (self._eight_bit_allowed or block.isascii()):
            self._eight_bit_seen = True
        if self._largest is None or octets <= self._largest:
            return block
        return block[: max(0, self._largest - before)]

    def refusal(self, *, complete: bool) -> Reply | None:
        """Return the reply that is due because the content cannot be accepted.

        Args:
            complete: Whether no more of it will come.

        Returns:
            The reply, or None if nothing is wrong so far.
        """
        if self._survey is not None and complete:
            self._survey.finish()
        if self._largest is not None and self._octets > self._largest:
            return TOO_LARGE
        if self._unstuffer.bare and not self._bare_allowed:
            return BARE
        if self._survey and (self._survey.bare_cr or self._survey.bare_lf):
            return BARE
        return EIGHT_BIT if self._eight_bit_seen else None
