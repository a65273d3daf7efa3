"""How long the streams of all adapters may wait for their peer."""

import contextlib
from collections.abc import Callable, Iterator


class Deadline:
    """When waiting has to end: as the flow that runs says, and as its caller says.

    Args:
        now: The clock, in seconds.

    Attributes:
        idle_since: When the flow has said that nothing would be lost if the peer had to
            go; None: it would, as the flow has said since.
    """

    __slots__ = ("_callers", "_flows", "_now", "idle_since")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.idle_since: float | None = None
        self._flows: float | None = None
        self._callers: float | None = None

    def set(self, seconds: float | None, *, idle: bool = False) -> None:
        """Let what is waited for take so many seconds from now, as a flow says.

        Args:
            seconds: How many; None: there is no bound.
            idle: Whether nothing would be lost if the peer had to go.
        """
        now = self._now()
        self._flows = None if seconds is None else now + seconds
        self.idle_since = now if idle else None

    def pass_now(self) -> None:
        """Let what the flow has said end now, and not in its time."""
        self._flows = self._now()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let all that is waited for in the context take so many seconds together.

        What flows say holds beside it, and so do the contexts around this one.
        """
        before = self._callers
        self._callers = _earlier(before, self._now() + seconds)
        try:
            yield
        finally:
            self._callers = before

    @property
    def until(self) -> float | None:
        """When waiting has to end, by the clock, or None if there is no bound."""
        if self._callers is None:
            return self._flows
        return _earlier(self._flows, self._callers)

    def check(self) -> None:
        """Check that there is time left.

        Raises:
            TimeoutError: There is none.
        """
        end = self._flows if self._callers is None else self.until
        if end is not None and end <= self._now():
            raise TimeoutError("the peer was too slow")

    def left(self) -> float | None:
        """Return the seconds that are left, or None if there is no bound.

        Raises:
            TimeoutError: There are none.
        """
        end = self.until
        if end is None:
            return None
        left = end - self._now()
        if left <= 0:
            raise TimeoutError("the peer was too slow")
        return left


def _earlier(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
