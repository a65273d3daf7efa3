"""The conversations of a client, as flows.

A "no" of the server is an exception here, Rejected.  A flow that ends by another
exception leaves the Connection CLOSED, unless nothing was sent.
"""

from contextlib import suppress
from typing import TypeVar

from .._errors import ConnectionLost, PolicyError, RemoteProtocolError
from .._flow import Flow
from ._commands import (
    Etrn,
    Expn,
    Help,
    Noop,
    Quit,
    Rset,
    Vrfy,
)
from ._connection import Connection
from ._exchange import exchange
from ._extensions import Xclient as XclientOffer
from ._extensions import Xforward as XforwardOffer
from ._forwarding import Attributes, Xforward
from ._replies import Command, Rejected, Reply
from ._state import TRANSITIONS

X = TypeVar("X", XclientOffer, XforwardOffer)


def insist(conn: Connection, command: Command) -> Flow[Reply]:
    """Send one command and return its reply, which has to be 2xx or 3xx.

    Raises:
        Rejected: It was 4xx or 5xx.  The session goes on.
    """
    reply = yield from exchange(conn, command)
    if reply.code >= 400:
        raise Rejected(command, reply)
    return reply


def verify(conn: Connection, string: str, *, smtputf8: bool = False) -> Flow[Reply]:
    """Ask whether a user or mailbox exists.  RFC 5321 section 3.5.

    Returns:
        250 or 251 with the mailbox, in `Reply.members`; 252: the server will not say.

    Raises:
        Rejected: It does not, or the server does not tell.
    """
    return (yield from insist(conn, Vrfy(string, smtputf8=smtputf8)))


def expand(conn: Connection, string: str, *, smtputf8: bool = False) -> Flow[Reply]:
    """Ask for the members of a mailing list.  RFC 5321 section 3.5.

    Returns:
        250 with the mailboxes in `Reply.members`; 252: the server will not say.

    Raises:
        Rejected: There is no such list, or the server does not tell.
    """
    return (yield from insist(conn, Expn(string, smtputf8=smtputf8)))


def help(conn: Connection, topic: str = "") -> Flow[Reply]:
    """Ask for help.

    Raises:
        Rejected: There is none.
    """
    return (yield from insist(conn, Help(topic)))


def etrn(conn: Connection, node: str) -> Flow[Reply]:
    """Ask for the messages that wait for a host.  RFC 1985.

    Returns:
        250 to 253: the server starts, or has nothing to send.

    Raises:
        Rejected: It does not: 458, 459 and others.
    """
    return (yield from insist(conn, Etrn(node)))


def xforward(conn: Connection, command: Xforward) -> Flow[Reply]:
    """Tell where the next message came from, for the server's log.

    The server forgets it with the end of the transaction.  What is too long for a line
    is said in several.

    Args:
        conn: A connection with no open transaction.
        command: What is known of the message; the rest is as said before, or unknown.

    Returns:
        250.

    Raises:
        PolicyError: The server does not offer it, or not all of its attributes.
            Nothing was sent.
        Rejected: It does not take it.
    """
    offer = required(conn, XforwardOffer, command)
    *earlier, last = offer.parts(command, conn.limits.command_line)
    for part in earlier:
        yield from insist(conn, part)
    return (yield from insist(conn, last))


def required(conn: Connection, kind: type[X], command: Attributes) -> X:
    """Return the offer that a command with attributes needs.

    Raises:
        PolicyError: The server does not make it, or not with all of them.
    """
    offer = conn.extensions.find(kind)
    if offer is None:
        raise PolicyError(f"the server does not offer {kind.keyword}")
    if missing := offer.missing(command):
        names = ", ".join(missing)
        raise PolicyError(f"the server does not offer {kind.keyword} with {names}")
    return offer


def noop(conn: Connection) -> Flow[Reply]:
    """Do nothing, and see that the server is still there.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from insist(conn, Noop()))


def reset(conn: Connection) -> Flow[Reply]:
    """Forget the open transaction.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from insist(conn, Rset()))


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
