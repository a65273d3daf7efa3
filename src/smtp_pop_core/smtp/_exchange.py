"""One command and its reply, as a flow: what all conversations of a client are made of.

A flow that does not end with a reply leaves the Connection CLOSED: it is out of step.
"""

from .._errors import ConnectionLost, LocalProtocolError
from .._flow import Deadline, Flow, Write, read
from .._limits import Timeouts
from .._roles import NEED_DATA
from ._commands import Connect, Data, EndOfMessage, Mail, Rcpt
from ._connection import Connection
from ._replies import Command, Reply
from ._state import State


def seconds(timeouts: Timeouts, command: Command) -> float:
    """How long to wait for the reply to a command.  RFC 5321 section 4.5.3.2."""
    match command:
        case Connect():
            return timeouts.greeting
        case Mail():
            return timeouts.mail
        case Rcpt():
            return timeouts.rcpt
        case Data():
            return timeouts.data
        case EndOfMessage():
            return timeouts.end
        case _:
            return timeouts.other


def receive(conn: Connection, limit: float) -> Flow[Reply]:
    """Wait for one reply.  The connection is of no use if it does not come."""
    waiting = False
    while (event := conn.next_event()) is NEED_DATA and conn.state is not State.CLOSED:
        try:
            if not waiting:
                waiting = True
                yield Deadline(limit)
            data = yield from read()
        except BaseException:
            conn.close()
            raise
        conn.receive_data(data)
    if isinstance(event, Reply):
        return event
    raise ConnectionLost("the server closed the connection", last_reply=conn.last_reply)


def settle(conn: Connection) -> Flow[None]:
    """See that the server has said nothing since its last reply.

    A reply that comes before its command is never taken for an answer to it.

    Raises:
        LocalProtocolError: A command is unanswered.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The server has said 421.  The state is CLOSED.
    """
    if conn.unanswered:
        raise LocalProtocolError("a command must be answered first")
    if conn.trailing_data and conn.state not in (State.TLS, State.CLOSED):
        yield from receive(conn, conn.limits.timeouts.other)
        raise ConnectionLost("the server has ended", last_reply=conn.last_reply)


def write(conn: Connection, data: bytes, *, heed: bool = False) -> Flow[bool]:
    """Write, and return whether the server said something before all was written."""
    try:
        yield Deadline(conn.limits.timeouts.block)
        heard: bool = yield Write(data, heed)
    except BaseException:
        conn.close()
        raise
    return heard


def exchange(conn: Connection, command: Command) -> Flow[Reply]:
    """Send one command and return its reply, whatever it is.

    Raises:
        LocalProtocolError: The command may not come now.  Nothing was sent.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before the reply.  The state is CLOSED.
    """
    yield from settle(conn)
    data = conn.send(command)
    yield from write(conn, data)
    return (yield from receive(conn, seconds(conn.limits.timeouts, command)))
