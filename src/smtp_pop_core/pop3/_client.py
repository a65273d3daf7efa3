"""The conversations of a client after its login, as flows.

A "no" of the server is an exception here, Rejected.  A flow that ends by another
exception leaves the Connection CLOSED, unless nothing was sent.
"""

from contextlib import suppress

from .._errors import ConnectionLost, RemoteProtocolError
from .._flow import Flow
from ._commands import (
    Lang,
    List,
    Noop,
    Quit,
    Rset,
    Stat,
    Uidl,
    Utf8,
)
from ._connection import Connection
from ._exchange import exchange, insist, learn
from ._responses import (
    Language,
    Languages,
    Response,
    Sizes,
    Totals,
    UniqueIds,
)
from ._results import Listed
from ._state import TRANSITIONS


def status(conn: Connection) -> Flow[Totals]:
    """Ask how many messages there are, and their size.

    Raises:
        Rejected: The server does not tell.
    """
    return (yield from learn(conn, Stat(), Totals))


def sizes(conn: Connection) -> Flow[dict[int, int]]:
    """Ask for the size of each message, by its number.

    Raises:
        Rejected: The server does not tell.
    """
    return dict((yield from learn(conn, List(), Sizes)).by_number)


def unique_ids(conn: Connection) -> Flow[dict[int, str]]:
    """Ask for the unique id of each message, by its number.

    Raises:
        Rejected: The server does not know UIDL.
    """
    return dict((yield from learn(conn, Uidl(), UniqueIds)).by_number)


def messages(conn: Connection) -> Flow[tuple[Listed, ...]]:
    """Ask for the sizes and the unique ids of all messages.

    From a server that does not know UIDL the messages have no unique id.

    Raises:
        Rejected: The server does not tell the sizes.
        RemoteProtocolError: The two listings do not speak of the same messages.  The
            state is CLOSED.
    """
    found = yield from sizes(conn)
    response = yield from exchange(conn, Uidl())
    ids = response.data.by_number if isinstance(response.data, UniqueIds) else None
    if ids is not None and ids.keys() != found.keys():
        conn.close()
        raise RemoteProtocolError("LIST and UIDL do not name the same messages")
    return tuple(
        Listed(number, size, None if ids is None else ids[number])
        for number, size in found.items()
    )


def reset(conn: Connection) -> Flow[Response]:
    """Take all marks for deletion back.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from insist(conn, Rset()))


def noop(conn: Connection) -> Flow[Response]:
    """Do nothing, and see that the server is still there.

    Raises:
        Rejected: The server refuses even that.
    """
    return (yield from insist(conn, Noop()))


def languages(conn: Connection) -> Flow[tuple[Language, ...]]:
    """Ask in which languages the server speaks.

    Raises:
        Rejected: It does not tell.
        LocalProtocolError: It does not offer LANG.
    """
    return (yield from learn(conn, Lang(), Languages)).items


def language(conn: Connection, tag: str) -> Flow[Language | None]:
    """Choose the language of the server's texts; "*" for what it prefers.

    Returns:
        The language that it has chosen, or None if it does not say.

    Raises:
        Rejected: It does not have that language.
        LocalProtocolError: It does not offer LANG.
    """
    found = (yield from learn(conn, Lang(tag), Languages)).items
    return found[0] if found else None


def utf8(conn: Connection) -> Flow[Response]:
    """Say, before the login, that UTF-8 is understood in all that is sent.

    Raises:
        Rejected: The server refuses.
        LocalProtocolError: It does not offer UTF8.
    """
    return (yield from insist(conn, Utf8()))


def quit(conn: Connection) -> Flow[Response | None]:
    """Say QUIT where it may be said, and close.  A lost connection is no error here.

    Returns:
        The response, or None if there was none.  Only +OK says that the messages that
        were marked as deleted are gone.
    """
    response = None
    if Quit in TRANSITIONS[conn.state] and conn.idle:
        with suppress(ConnectionLost, RemoteProtocolError, TimeoutError):
            response = yield from exchange(conn, Quit())
    conn.close()
    return response
