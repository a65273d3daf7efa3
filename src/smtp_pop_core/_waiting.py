"""Waiting for the server, as flows: what the clients of both protocols share.

A flow that does not end with an answer leaves the connection CLOSED: it is out of step.
"""

from typing import TypeVar

from ._endpoint import Endpoint
from ._errors import ConnectionLost, LocalProtocolError
from ._events import ConnectionClosed
from ._flow import READ, Flow, deadline, new_write
from ._roles import NEED_DATA, Signal

E = TypeVar("E")


def listen(conn: Endpoint[E], limit: float | None) -> Flow[E]:
    """Wait for one event.

    Args:
        conn: The connection.
        limit: For how many seconds; None: within the deadline that holds.

    Raises:
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before.  The state is CLOSED.
    """
    waiting = False
    while (event := conn.next_event()) is NEED_DATA and not conn.closed:
        try:
            if limit is not None and not waiting:
                waiting = True
                yield deadline(limit)
            data: bytes = yield READ
        except BaseException:
            conn.close()
            raise
        conn.receive_data(data)
    if isinstance(event, (Signal, ConnectionClosed)):
        raise ConnectionLost(
            "the server closed the connection", last_reply=conn.last_answer
        )
    return event


def settle(conn: Endpoint[E]) -> Flow[None]:
    """See that the server has said nothing since its last answer.

    An answer that comes before its command is never taken for an answer to it.

    Raises:
        LocalProtocolError: A command is unanswered.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The server has said that it ends.  The state is CLOSED.
    """
    if not conn.idle:
        raise LocalProtocolError("a command must be answered first")
    if conn.trailing_data and not (conn.closed or conn.handshake_due):
        yield from listen(conn, conn.limits.timeouts.other)
        raise ConnectionLost("the server has ended", last_reply=conn.last_answer)


def write(conn: Endpoint[E], data: bytes, *, heed: bool = False) -> Flow[bool]:
    """Write, and return whether the server said something before all was written."""
    try:
        yield deadline(conn.limits.timeouts.block)
        heard: bool = yield new_write(data, heed)
    except BaseException:
        conn.close()
        raise
    return heard
