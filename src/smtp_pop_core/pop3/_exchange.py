"""One command and its response, as a flow: what a client's conversations are made of.

A flow that does not end with a response leaves the Connection CLOSED: out of step.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final, TypeVar

from .._flow import Flow
from .._limits import Timeouts
from .._waiting import listen, settle, write
from ._commands import Connect, Quit
from ._connection import Connection
from ._responses import ERR, Command, Data, Rejected, Response

D = TypeVar("D", bound=Data)


_SECONDS: Final[Mapping[type[Command], Callable[[Timeouts], float]]] = {
    Connect: attrgetter("greeting"),
    Quit: attrgetter("end"),
}
_OTHER: Final[Callable[[Timeouts], float]] = attrgetter("other")


def seconds(timeouts: Timeouts, command: Command) -> float:
    """How long to wait for the response to a command."""
    return _SECONDS.get(type(command), _OTHER)(timeouts)


def receive(conn: Connection, limit: float) -> Flow[Response]:
    """Wait for one response.  The connection is of no use if it does not come."""
    event = yield from listen(conn, limit)
    if not isinstance(event, Response):
        raise AssertionError(f"a client got {event!r}")
    return event


def exchange(conn: Connection, command: Command) -> Flow[Response]:
    """Send one command and return its response, whatever it is.

    Raises:
        LocalProtocolError: The command may not come now.  Nothing was sent.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before the response.  The state is CLOSED.
    """
    if not conn.settled:
        yield from settle(conn)
    data = conn.send(command)
    yield from write(conn, data)
    return (yield from receive(conn, seconds(conn.limits.timeouts, command)))


def insist(conn: Connection, command: Command) -> Flow[Response]:
    """Send one command and return its response, which has to be +OK.

    Raises:
        Rejected: It was -ERR.  The session goes on.
    """
    response = yield from exchange(conn, command)
    if response.cls is ERR:
        raise Rejected(command, response)
    return response


def learn(conn: Connection, command: Command, kind: type[D]) -> Flow[D]:
    """Send one command and return what its response brings.

    Raises:
        Rejected: It was -ERR.  The session goes on.
    """
    response = yield from insist(conn, command)
    if not isinstance(response.data, kind):
        raise AssertionError(f"{kind.__name__} was due, not {response.data!r}")
    return response.data
