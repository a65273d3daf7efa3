"""The messages of a maildrop as one session sees them, and which of them are marked."""

from collections.abc import Iterable

from ._application import Message
from ._commands import List, Uidl
from ._defaults import NO_SUCH_MESSAGE
from ._responses import (
    OK,
    Response,
    Sizes,
    Totals,
    UniqueIds,
    checked_response,
    checked_totals,
)


class Snapshot:
    """Messages whose numbers stay as they are, whatever is marked as deleted.

    Args:
        messages: What a maildrop has; the first has number 1.

    Attributes:
        deleted: The numbers of those that are marked.  `mark` adds one.
        octets: The size of those that are not marked.

    Raises:
        TypeError: One of them is no message.
        ValueError: They are too large together to be written.
    """

    __slots__ = ("_all", "_messages", "deleted", "octets")

    def __init__(self, messages: Iterable[object] = ()) -> None:
        found = []
        for each in messages:
            if not isinstance(each, Message):
                raise TypeError(f"not a message of a maildrop: {each!r}")
            found.append(each)
        self._messages = tuple(found)
        self._all = Totals(len(found), sum(each.size for each in found))
        self.octets = self._all.octets
        self.deleted: set[int] = set()

    def find(self, number: int) -> Message | None:
        """Return the message of that number; None if there is none, or it is marked."""
        if number in self.deleted or not 1 <= number <= len(self._messages):
            return None
        return self._messages[number - 1]

    @property
    def totals(self) -> Totals:
        """How many there are that are not marked, and their size."""
        return checked_totals(self._all.messages - len(self.deleted), self.octets)

    def mark(self, number: int) -> bool:
        """Mark a message as deleted; return False if there is none to be marked."""
        message = self.find(number)
        if message is None:
            return False
        self.deleted.add(number)
        self.octets -= message.size
        return True

    def reset(self) -> None:
        """Take all marks back."""
        self.deleted.clear()
        self.octets = self._all.octets

    def listing(self, command: List | Uidl) -> Response:
        """Return the response to LIST or UIDL."""
        text = ""
        numbered: Iterable[tuple[int, Message]] = enumerate(self._messages, 1)
        if command.number is not None:
            message = self.find(command.number)
            if message is None:
                return NO_SUCH_MESSAGE
            numbered = [(command.number, message)]
        else:
            text = f"{len(self._messages) - len(self.deleted)} messages"
            if self.deleted:
                numbered = [each for each in numbered if each[0] not in self.deleted]
        # what a Message has was checked when it was made
        if isinstance(command, List):
            sizes = Sizes.checked({number: each.size for number, each in numbered})
            return checked_response(OK, text, data=sizes)
        ids = {number: each.unique_id for number, each in numbered}
        return checked_response(OK, text, data=UniqueIds.checked(ids, standard=True))
