"""One command and its reply, as a flow: what all conversations of a client are made of.

A flow that does not end with a reply leaves the Connection CLOSED: it is out of step.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final

from .._flow import Flow
from .._limits import Timeouts
from .._waiting import listen, settle, write
from ._commands import Connect, Data, EndOfMessage, Mail, Rcpt
from ._connection import Connection
from ._replies import Command, Reply

_SECONDS: Final[Mapping[type[Command], Callable[[Timeouts], float]]] = {
    Connect: attrgetter("greeting"),
    Mail: attrgetter("mail"),
    Rcpt: attrgetter("rcpt"),
    Data: attrgetter("data"),
    EndOfMessage: attrgetter("end"),
}
_OTHER: Final[Callable[[Timeouts], float]] = attrgetter("other")


def seconds(timeouts: Timeouts, command: Command) -> float:
    """How long to wait for the reply to a command.  RFC 5321 section 4.5.3.2."""
    return _SECONDS.get(type(command), _OTHER)(timeouts)


def receive(conn: Connection, limit: float) -> Flow[Reply]:
    """Wait for one reply.  The connection is of no use if it does not come."""
    event = yield from listen(conn, limit)
    if not isinstance(event, Reply):
        raise AssertionError(f"a client got {event!r}")
    return event


def exchange(conn: Connection, command: Command) -> Flow[Reply]:
    """Send one command and return its reply, whatever it is.

    Raises:
        LocalProtocolError: The command may not come now.  Nothing was sent.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before the reply.  The state is CLOSED.
    """
    if not conn.settled:
        yield from settle(conn)
    data = conn.send(command)
    yield from write(conn, data)
    return (yield from receive(conn, seconds(conn.limits.timeouts, command)))
