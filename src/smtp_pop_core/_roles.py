"""Which side we are, and what `next_event` says when it has no event."""

from enum import Enum
from typing import Final


class Role(Enum):
    """The side of a conversation that a Connection takes."""

    CLIENT = "client"
    SERVER = "server"

    def __repr__(self) -> str:
        return self.name


class Signal(Enum):
    """What `next_event` returns in place of an event."""

    NEED_DATA = "need data"
    PAUSED = "paused"

    def __repr__(self) -> str:
        return self.name


CLIENT: Final = Role.CLIENT
SERVER: Final = Role.SERVER

NEED_DATA: Final = Signal.NEED_DATA
"""Everything that was received has been understood: call `receive_data`."""

PAUSED: Final = Signal.PAUSED
"""A reply is due: send it before asking for the next command."""
