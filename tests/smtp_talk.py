"""Talking to an SMTP Connection in tests: bring it to a state, see what it understood.

Both sides are brought there by a conversation with each other.
"""

from collections.abc import Iterable
from typing import Any, Final

from smtp_pop_core import CLIENT, SERVER, ConnectionClosed, MessageData, Signal, smtp
from smtp_pop_core.smtp import Connection, Event, Reply, State

_GREETED: Final = ((smtp.Connect(), 220),)
_READY: Final = (*_GREETED, (smtp.Ehlo("me.example"), 250))
_MAIL: Final = (*_READY, (smtp.Mail("a@b.example"), 250))
_RCPT: Final = (*_MAIL, (smtp.Rcpt("c@d.example"), 250))

# For each state a way to it: commands with the codes of their replies.
WAYS: Final[dict[State, tuple[tuple[smtp.Command, int], ...]]] = {
    State.CONNECTING: (),
    State.REFUSED: ((smtp.Connect(), 554),),
    State.GREETED: _GREETED,
    State.READY: _READY,
    State.MAIL: _MAIL,
    State.RCPT: _RCPT,
    State.DATA: (*_RCPT, (smtp.Data(), 354)),
    State.BDAT: (*_RCPT, (smtp.Bdat(0), 0), (smtp.EndOfChunk(), 250)),
    State.CHUNK: (*_RCPT, (smtp.Bdat(1), 0)),
    State.LAST: (*_RCPT, (smtp.BdatLast(1), 0)),
    State.FAILED: (*_RCPT, (smtp.Bdat(0), 0), (smtp.EndOfChunk(), 452)),
    State.AUTH: (*_READY, (smtp.Auth("LOGIN"), 334)),
    State.TLS: (*_READY, (smtp.StartTls(), 220)),
    State.CLOSED: ((smtp.Connect(), 421),),
}

EXTENSIONS: Final = (
    *smtp.usual(),
    smtp.extensions.StartTls(),
    smtp.extensions.Auth(("LOGIN",)),
)


def drain(conn: Connection) -> list[Event]:
    """Give the events that are there; ConnectionClosed is the last one."""
    events: list[Event] = []
    while not isinstance(event := conn.next_event(), Signal):
        events.append(event)
        if isinstance(event, ConnectionClosed):
            break
    return events


def feed(conn: Connection, data: bytes) -> list[Event]:
    """Give octets to a connection, and return the events they make."""
    conn.receive_data(data)
    return drain(conn)


def joined(events: Iterable[Event]) -> list[Event]:
    """Give the same events with adjacent MessageData in one."""
    whole: list[Event] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, MessageData) and isinstance(last, MessageData):
            whole[-1] = MessageData(last.data + event.data)
        else:
            whole.append(event)
    return whole


def said_by_server(
    conn: Connection, cut: Iterable[bytes]
) -> tuple[list[Event], list[Reply]]:
    """Give pieces to a server that answers as a sound one; return both sides' part."""
    events = drain(conn)
    replies = answer(conn, events)
    for piece in cut:
        conn.receive_data(piece)
        while new := drain(conn):
            events += new
            replies += answer(conn, new)
    return joined(events), replies


def answer(conn: Connection, events: Iterable[Event]) -> list[Reply]:
    """Let a server answer the commands among the events with what is its default."""
    commands = [event for event in events if isinstance(event, smtp.Command)]
    replies = [conn.default_reply(command) for command in commands]
    for reply in replies:
        conn.send(reply)
    return replies


def codes(replies: Iterable[Reply]) -> list[int]:
    return [reply.code for reply in replies]


def talk(
    client: Connection, server: Connection, command: smtp.Command, code: int
) -> None:
    """Let the client say a command and the server answer it, unless by 0."""
    wire = b"" if isinstance(command, smtp.Connect) else client.send(command)
    if wire:
        server.receive_data(wire)
    drain(server)
    if not code:
        return
    reply = Reply(code)
    if isinstance(server.unanswered[-1], smtp.Ehlo):
        reply = server.default_reply(server.unanswered[-1])
    client.receive_data(server.send(reply))
    drain(client)


def pair_in(state: State, **server_options: Any) -> tuple[Connection, Connection]:
    """Give a client and a server that have come to a state together."""
    client = Connection(CLIENT, domain="me.example")
    server = Connection(
        SERVER, **{"domain": "mx.example", "extensions": EXTENSIONS} | server_options
    )
    for command, code in WAYS[state]:
        talk(client, server, command, code)
    assert client.state is server.state is state
    return client, server


def server_in(state: State, **options: Any) -> Connection:
    """Give a server in a state; options are those of Connection."""
    return pair_in(state, **options)[1]


def client_in(state: State, **options: Any) -> Connection:
    """Give a client in a state; options are those of Connection.

    The server offers all that is known.
    """
    client = Connection(CLIENT, **options)
    server = Connection(SERVER, domain="mx.example", extensions=EXTENSIONS)
    for command, code in WAYS[state]:
        talk(client, server, command, code)
    assert client.state is state
    return client


def ready_server(**options: Any) -> Connection:
    """Give a server that has answered EHLO."""
    return server_in(State.READY, **options)


def ready_client(**options: Any) -> Connection:
    """Give a client that has read the EHLO response."""
    return client_in(State.READY, **options)
