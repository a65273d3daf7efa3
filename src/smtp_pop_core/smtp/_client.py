"""The conversations of a client, as flows.

A "no" of the server is an exception here, Rejected.  A flow that ends by another
exception leaves the Connection CLOSED, unless nothing was sent.
"""

from contextlib import suppress
from typing import Final

from .._errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from .._flow import Flow
from ._commands import (
    Connect,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Noop,
    Quit,
    Rset,
    Vrfy,
)
from ._connection import Connection
from ._exchange import exchange, receive
from ._extensions import Extensions
from ._replies import Command, Rejected, Reply
from ._state import TRANSITIONS, State

_NO_EHLO: Final = frozenset({500, 502, 504, 550})  # RFC 5321 section 3.2


def _insist(conn: Connection, command: Command) -> Flow[Reply]:
    reply = yield from exchange(conn, command)
    if reply.code >= 400:
        raise Rejected(command, reply)
    return reply


def open(conn: Connection) -> Flow[Extensions]:
    """Wait for the greeting and say EHLO, or HELO to a server that does not know it.

    In LMTP it is LHLO.

    Returns:
        What the server offers, by keyword.

    Raises:
        Rejected: The greeting, EHLO or HELO was refused.  QUIT has been said after a
            greeting that was a no; after the others the session goes on.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended.  The state is CLOSED.
        LocalProtocolError: The greeting has been heard already.
    """
    if conn.state is not State.CONNECTING:
        raise LocalProtocolError(f"no greeting is due in {conn.state!r}")
    greeting = yield from receive(conn, conn.limits.timeouts.greeting)
    if greeting.code >= 400:
        yield from quit(conn)
        raise Rejected(Connect(), greeting)
    if conn.lmtp:
        yield from _insist(conn, Lhlo(conn.domain))
        return conn.extensions
    reply = yield from exchange(conn, Ehlo(conn.domain))
    if reply.code in _NO_EHLO:
        yield from _insist(conn, Helo(conn.domain))
    elif reply.code >= 400:
        raise Rejected(Ehlo(conn.domain), reply)
    return conn.extensions


def verify(conn: Connection, string: str, *, smtputf8: bool = False) -> Flow[Reply]:
    """Ask whether a user or mailbox exists.  RFC 5321 section 3.5.

    Returns:
        250 or 251 with the mailbox; 252: the server will not say.

    Raises:
        Rejected: It does not, or the server does not tell.
    """
    return (yield from _insist(conn, Vrfy(string, smtputf8=smtputf8)))


def expand(conn: Connection, string: str, *, smtputf8: bool = False) -> Flow[Reply]:
    """Ask for the members of a mailing list.  RFC 5321 section 3.5.

    Returns:
        250 with a member a line; 252: the server will not say.

    Raises:
        Rejected: There is no such list, or the server does not tell.
    """
    return (yield from _insist(conn, Expn(string, smtputf8=smtputf8)))


def help(conn: Connection, topic: str = "") -> Flow[Reply]:
    """Ask for help.

    Raises:
        Rejected: There is none.
    """
    return (yield from _insist(conn, Help(topic)))


def etrn(conn: Connection, node: str) -> Flow[Reply]:
    """Ask for the messages that wait for a host.  RFC 1985.

    Returns:
        250 to 253: the server starts, or has nothing to send.

    Raises:
        Rejected: It does not: 458, 459 and others.
    """
    return (yield from _insist(conn, Etrn(node)))


def noop(conn: Connection) -> Flow[Reply]:
    """Do nothing, and see that the server is still there.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from _insist(conn, Noop()))


def reset(conn: Connection) -> Flow[Reply]:
    """Forget the open transaction.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from _insist(conn, Rset()))


def quit(conn: Connection) -> Flow[Reply | None]:
    """Say QUIT where it may be said, and close.  A lost connection is no error here.

    Returns:
        The reply, or None if there was none.
    """
    reply = None
    if Quit in TRANSITIONS[conn.state] and not conn.unanswered:
        with suppress(ConnectionLost, RemoteProtocolError, TimeoutError):
            reply = yield from exchange(conn, Quit())
    conn.close()
    return reply
