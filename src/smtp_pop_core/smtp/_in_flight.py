"""How much content the sessions of a server may hold at once."""

from collections.abc import Hashable


class InFlight:
    """A bound on the content that all sessions of a server hold together.

    An octet is held from its arrival until its message has its reply.  Give one of
    these to all sessions; each says for itself what it holds, so that threads need no
    lock.

    Args:
        limit: Octets, above 0; `Limits.content` at least, or the largest messages have
            to be sent again and again.

    Raises:
        ValueError: It is no such number.
    """

    __slots__ = ("_held", "limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("the limit of content in flight must be at least 1")
        self.limit = limit
        self._held: dict[Hashable, int] = {}

    @property
    def octets(self) -> int:
        """How many octets are held."""
        return sum(tuple(self._held.values()))  # others may come and go meanwhile

    def fits(self, octets: int) -> bool:
        """Whether so many more, and at least one, could be held."""
        return self.octets + max(octets, 1) <= self.limit

    def hold(self, holder: Hashable, octets: int) -> bool:
        """Let somebody hold so many more; return whether all is within the limit."""
        self._held[holder] = self._held.get(holder, 0) + octets
        return self.octets <= self.limit

    def release(self, holder: Hashable) -> None:
        """Let somebody hold nothing any more."""
        self._held.pop(holder, None)
