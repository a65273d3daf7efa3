"""What `next_event` returns: commands to a server, replies to a client."""

from typing import TypeAlias

from .._events import ConnectionClosed, MessageData
from ._replies import Command, Reply

Event: TypeAlias = Command | Reply | MessageData | ConnectionClosed
