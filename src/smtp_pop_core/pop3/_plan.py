r"""Leaving messages on the server: which are new, and which may be deleted.

What was stored is remembered by its unique id.  The order is always the same: store
the message, then note its id, then delete.  So whatever ends the session, nothing is
deleted that was not stored, and only a message whose id was not noted yet is fetched
again.  Of messages that have one id none is noted before all of them are stored.

The file of ids has a line for each message that was stored:

    smtp-pop-core unique ids 1
    whqtswO00WBw418f9t5JxYwZ

The first line says what it is.  Lines end with "\n"; the last counts only if it does,
for a crash may have cut it off.  Then the file has to be written anew before a line is
added, or two ids would become one.  An id that stands there twice was stored twice.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ._grammar import is_unique_id
from ._results import Listed

_FIRST_LINE: Final = b"smtp-pop-core unique ids 1\n"


class Seen:
    """The unique ids of messages that were stored, each as often as it was.

    Args:
        unique_ids: The ids.

    Raises:
        ValueError: One of them is no unique id.
    """

    __slots__ = ("_counts",)

    def __init__(self, unique_ids: Iterable[str] = ()) -> None:
        self._counts: Counter[str] = Counter()
        for unique_id in unique_ids:
            self.add(unique_id)

    @classmethod
    def parse(cls, data: bytes) -> "Seen":
        """Read a file of ids; b"" is one without ids.

        If `bytes()` of what was read is something else, write that to the file before
        anything is added: it is new, or its last line was cut off.

        Raises:
            ValueError: It is something else.
        """
        if _FIRST_LINE.startswith(data):  # empty, or cut off in its first line
            return cls()
        if not data.startswith(_FIRST_LINE):
            raise ValueError("not a file of unique ids")
        lines = data[len(_FIRST_LINE) : data.rindex(b"\n") + 1].decode("utf-8")
        return cls(lines.split("\n")[:-1])

    def __bytes__(self) -> bytes:
        """Write a file of ids."""
        return _FIRST_LINE + b"".join(map(self.line, self._counts.elements()))

    @staticmethod
    def line(unique_id: str) -> bytes:
        """Return what is appended to a file when a message has been stored."""
        return f"{unique_id}\n".encode()

    def __len__(self) -> int:
        return self._counts.total()

    def __contains__(self, unique_id: object) -> bool:
        return unique_id in self._counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Seen({sorted(self._counts.elements())!r})"

    def add(self, unique_id: str) -> None:
        """Note that a message with this id has been stored.

        Raises:
            ValueError: It is no unique id.
        """
        if not is_unique_id(unique_id, any_id=True):
            raise ValueError(f"not a unique id: {unique_id!r}")
        self._counts[unique_id] += 1

    def count(self, unique_id: str) -> int:
        """How often a message with this id has been stored."""
        return self._counts[unique_id]

    def forget_all_but(self, messages: Iterable[Listed]) -> None:
        """Forget the ids of messages that are no longer on the server.

        Where fewer have an id than were stored with it, as many are left as are there:
        the next one that has it is new.

        An empty maildrop makes nothing forgotten: a server whose disk is missing shows
        one, and everything would be fetched again when it is back.

        Raises:
            ValueError: A message has no unique id.  Nothing was forgotten.
        """
        there = Counter(map(_id_of, messages))
        if there:
            self._counts &= there


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the messages of a maildrop.

    Attributes:
        fetch: Those to be fetched and stored.
        stored: Those that were stored before; if messages are not left on the server,
            they can be deleted.
    """

    fetch: tuple[Listed, ...]
    stored: tuple[Listed, ...]


def plan(messages: Iterable[Listed], seen: Seen) -> Plan:
    """Find out which messages are new.

    Two messages may have one id.  If fewer were stored with it than are there, all of
    them are fetched, because nobody knows which of them it was.

    Args:
        messages: Those of the maildrop, with their unique ids.
        seen: What was stored before.

    Raises:
        ValueError: A message has no unique id.
    """
    messages = tuple(messages)
    there = Counter(map(_id_of, messages))
    known = {each for each, count in there.items() if seen.count(each) >= count}
    return Plan(
        tuple(each for each in messages if each.unique_id not in known),
        tuple(each for each in messages if each.unique_id in known),
    )


def _id_of(message: Listed) -> str:
    if message.unique_id is None:
        raise ValueError(f"message {message.number} has no unique id")
    return message.unique_id
