"""What `next_event` returns: commands to a server, what answers to a client."""

from dataclasses import dataclass, field
from typing import TypeAlias

from .._events import ConnectionClosed, MessageData
from ._responses import Command, Response


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The end of the content of a message, which has no response here.

    Attributes:
        bare: For a client: whether the content held a CR or LF that was not part of a
            CRLF.  It ended no line here, but may do so for another reader.  Not part of
            equality.
    """

    bare: bool = field(default=False, compare=False)


Event: TypeAlias = Command | Response | MessageData | EndOfMessage | ConnectionClosed
