"""Talking to a POP3 Connection in tests: bring it to a state, see what it understood.

Both sides are brought there by a conversation with each other.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from smtp_pop_core import (
    CLIENT,
    SERVER,
    ConnectionClosed,
    MessageData,
    RemoteProtocolError,
    Signal,
    pop3,
)
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, Event, Response, State

CONTENT: Final = b"Subject: x\r\n\r\n.one\r\n..\r\n"
CHALLENGE: Final = Response(MORE, data=pop3.Challenge(b"Username:"))

# What a server with two messages says, where it is not what it says by default.
MAILDROP: Final[Mapping[pop3.Command, Response]] = {
    pop3.Pass("secret"): Response(OK, "Welcome"),
    pop3.Auth("LOGIN"): CHALLENGE,
    pop3.Stat(): Response(OK, data=pop3.Totals(2, 320)),
    pop3.List(): Response(OK, "2 messages", data=pop3.Sizes({1: 120, 2: 200})),
    pop3.List(1): Response(OK, data=pop3.Sizes({1: 120})),
    pop3.Uidl(): Response(OK, data=pop3.UniqueIds({1: "a", 2: "b"})),
    pop3.Uidl(1): Response(OK, data=pop3.UniqueIds({1: "a"})),
    pop3.Retr(1): Response(OK, "120 octets"),
    pop3.Top(1, 0): Response(OK),
    pop3.Top(1, 10**20 - 1): Response(OK),
    pop3.Dele(1): Response(OK, "Marked as deleted"),
    pop3.Lang(): Response(OK, data=pop3.Languages((pop3.Language("en", "English"),))),
    pop3.Lang("en"): Response(OK, data=pop3.Languages((pop3.Language("en"),))),
}

Way = tuple[tuple[pop3.Command, Response | None], ...]

_AUTHORIZATION: Final[Way] = ((pop3.Connect(), None), (pop3.Capa(), None))
_USER: Final[Way] = (*_AUTHORIZATION, (pop3.User("alice"), None))

# For each state a way to it: commands with their responses, None for the default.
WAYS: Final[dict[State, Way]] = {
    State.CONNECTING: (),
    State.AUTHORIZATION: _AUTHORIZATION,
    State.USER: _USER,
    State.AUTH: (*_AUTHORIZATION, (pop3.Auth("LOGIN"), CHALLENGE)),
    State.TRANSACTION: (*_USER, (pop3.Pass("secret"), Response(OK))),
    State.TLS: (*_AUTHORIZATION, (pop3.Stls(), None)),
    State.CLOSED: ((pop3.Connect(), Response(ERR)),),
}

CAPABILITIES: Final = (
    *pop3.usual(),
    pop3.capabilities.Stls(),
    pop3.capabilities.Sasl(("LOGIN",)),
    pop3.capabilities.Lang(),
)
TIMESTAMP: Final = "<1896.697170952@dbc.mtview.ca.us>"


def drain(conn: Connection) -> list[Event]:
    """Give the events that are there; ConnectionClosed is the last one."""
    events: list[Event] = []
    while not isinstance(event := conn.next_event(), Signal):
        events.append(event)
        if isinstance(event, ConnectionClosed):
            break
    return events


def snapshot(conn: Connection) -> tuple[object, ...]:
    """Give all that can be seen of a connection."""
    return (
        *(conn.state, conn.unanswered, conn.last_response, dict(conn.capabilities)),
        *(conn.tls, conn.authenticated, conn.utf8, conn.in_content, conn.idle),
        *(conn.timestamp, conn.mechanisms, conn.content_octets, conn.trailing_data),
    )


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


def feed_all(conn: Connection, cut: Iterable[bytes]) -> list[Event]:
    """Give pieces to a connection, and return the events they make, joined."""
    return joined([event for piece in cut for event in feed(conn, piece)])


def outcome_of(client: Connection, cut: Iterable[bytes]) -> tuple[list[Event], bool]:
    """Say what a client reads, and whether it ends with an error of the peer."""
    events: list[Event] = []
    for piece in cut:
        client.receive_data(piece)
        try:
            while not isinstance(event := client.next_event(), Signal):
                events.append(event)
                if isinstance(event, ConnectionClosed):
                    break
        except RemoteProtocolError:
            return joined(events), True
    return joined(events), False


def said_by_server(
    conn: Connection,
    cut: Iterable[bytes],
    answers: Mapping[pop3.Command, Response] = MAILDROP,
) -> tuple[list[Event], list[Response]]:
    """Give pieces to a server that answers as told; return both sides' part."""
    events = drain(conn)
    responses = answer(conn, events, answers)
    for piece in cut:
        conn.receive_data(piece)
        while new := drain(conn):
            events += new
            responses += answer(conn, new, answers)
    return events, responses


def answer(
    conn: Connection,
    events: Iterable[Event],
    answers: Mapping[pop3.Command, Response] = MAILDROP,
) -> list[Response]:
    """Let a server answer the commands among the events, and return its responses."""
    responses = []
    for event in events:
        if isinstance(event, pop3.Command):
            response = answers.get(event) or conn.default_response(event)
            conn.send(response)
            responses.append(response)
        if conn.in_content:
            conn.send(MessageData(CONTENT))
            conn.send(pop3.EndOfMessage())
    return responses


def classes(responses: Iterable[Response]) -> str:
    """Give the class of each response as one letter: o for +OK, e for -ERR, m for +."""
    return "".join("oem"[response.cls] for response in responses)


def talk(
    client: Connection,
    server: Connection,
    command: pop3.Command,
    response: Response | None = None,
) -> None:
    """Let the client say a command and the server answer it."""
    if not isinstance(command, pop3.Connect):
        server.receive_data(client.send(command))
    drain(server)
    said = server.default_response(command) if response is None else response
    client.receive_data(server.send(said))
    drain(client)


def pair_in(state: State, **server_options: Any) -> tuple[Connection, Connection]:
    """Give a client and a server that have come to a state together."""
    client = Connection(CLIENT)
    server = Connection(
        SERVER,
        **{"domain": "mail.example", "capabilities": CAPABILITIES} | server_options,
    )
    for command, response in WAYS[state]:
        talk(client, server, command, response)
    assert client.state is server.state is state
    return client, server


def server_in(state: State, **options: Any) -> Connection:
    """Give a server in a state; options are those of Connection."""
    return pair_in(state, **options)[1]


def client_in(
    state: State,
    *,
    offered: Iterable[pop3.Capability] = CAPABILITIES,
    timestamp: str = "",
    **options: Any,
) -> Connection:
    """Give a client in a state; options are those of Connection.

    Args:
        state: The state.
        offered: What its server offers.
        timestamp: The time-stamp of its server's greeting.
        options: Those of the client.
    """
    client = Connection(CLIENT, **options)
    server = Connection(SERVER, capabilities=offered, timestamp=timestamp)
    for command, response in WAYS[state]:
        talk(client, server, command, response)
    assert client.state is state
    return client


def asking(
    *commands: pop3.Command, state: State = State.TRANSACTION, **options: Any
) -> Connection:
    """Give a client that has sent a group of commands; options as in client_in."""
    client = client_in(state, **options)
    for command in commands:
        client.send(command)
    return client
