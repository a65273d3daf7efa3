"""What a client learns: of the messages in a maildrop, and of what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from .._errors import ConnectionLost
from ._commands import Quit
from ._responses import Rejected, Response


@dataclass(frozen=True, slots=True)
class Listed:
    """A message of the maildrop, as LIST and UIDL say.

    Attributes:
        number: Its number in this session.
        size: In octets.  It is what the server says, and no bound.
        unique_id: Its unique id, or None where the server has none.
    """

    number: int
    size: int
    unique_id: str | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of the messages that were collected.

    It has no truth value: ask for what you need, or call `check`.

    Attributes:
        stored: Those that were fetched and stored.
        known: Those that were stored before.
        refused: Those that the server would not give, or not mark as deleted, with its
            response.
        deleted: Those that are gone from the server.
        in_doubt: Those that may be gone or not: the connection was lost before the
            response to QUIT, or the response was -ERR.
        reply: The response to QUIT, or None.
    """

    stored: tuple[Listed, ...]
    known: tuple[Listed, ...]
    refused: Mapping[Listed, Response]
    deleted: tuple[Listed, ...]
    in_doubt: tuple[Listed, ...]
    reply: Response | None

    def __bool__(self) -> bool:
        raise TypeError("a Collected has no truth value: ask for what you need")

    def check(self) -> None:
        """Raise unless every message was fetched and what was to go has gone.

        Raises:
            Rejected: One was refused, or could not be removed.
            ConnectionLost: It is in doubt what was removed.
        """
        for response in self.refused.values():
            raise Rejected(response.command or Quit(), response)
        if self.in_doubt:
            if self.reply is not None:
                raise Rejected(Quit(), self.reply)
            raise ConnectionLost("the connection was lost before the last response")
