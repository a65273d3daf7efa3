"""Telling a caller how far content is on its way, as a flow."""

from collections.abc import Callable
from typing import TypeAlias

from ._flow import Ask, Flow

Progress: TypeAlias = Callable[[int, int | None], object]
"""Called with the octets so far, and with all there will be or None.

If it raises, the content is not ended and the connection is closed.  Whoever runs the
flow awaits what it returns, where that applies; it does not block.
"""


class Told:
    """How much of content a caller has been told of.

    Args:
        progress: What to call, or None.
        total: How many octets there will be, or None where nobody knows.
    """

    __slots__ = ("_octets", "_progress", "_total")

    def __init__(
        self, progress: Progress | None = None, total: int | None = None
    ) -> None:
        self._progress = progress
        self._total = total
        self._octets = 0

    @property
    def heard(self) -> bool:
        """Whether somebody wants to know."""
        return self._progress is not None

    def further(self, octets: int) -> Flow[None]:
        """Say that there are so many octets more."""
        self._octets += octets
        if self._progress is not None and octets:
            yield Ask(self._progress, (self._octets, self._total), quick=True)
