import weakref
from collections.abc import Callable
from typing import Any

import pytest

from cutting import every_cut, octets
from pop3_talk import (
    CAPABILITIES,
    TIMESTAMP,
    asking,
    classes,
    client_in,
    drain,
    feed,
    feed_all,
    pair_in,
    said_by_server,
    server_in,
    snapshot,
    talk,
)
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    pop3,
)
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, EndOfMessage, Response, State

USER = pop3.User("alice")
PASS = pop3.Pass("secret")
STAT = pop3.Stat()
RETR = pop3.Retr(1)
DELE = pop3.Dele(1)
NOT_CLOSED = [state for state in State if state is not State.CLOSED]


# A whole session


SESSION = (
    b"CAPA\r\nSTAT\r\nUSER alice\r\nNOOP\r\nPASS secret\r\nUSER alice\r\n"
    b"PASS secret\r\nSTAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nRETR 3\r\nTOP 1 0\r\n"
    b"DELE 1\r\nRETR x\r\nFROB\r\nPASS secret\r\nRSET\r\nquit\r\nafter"
)


def test_a_session_is_the_same_however_it_is_cut() -> None:
    outcomes = []
    for cut in every_cut(SESSION):
        server = Connection(SERVER, domain="mail.example", capabilities=CAPABILITIES)
        events, responses = said_by_server(server, cut)
        outcomes.append((events, responses, server.trailing_data))
        assert server.state is State.CLOSED
    events, responses, trailing = outcomes[0]
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert classes(responses) == "o" + "oeoeeoo" + "oooo" + "eoo" + "eee" + "oo"
    assert events[-1] == ConnectionClosed()
    assert trailing == b"after"


def test_answers_are_the_same_however_they_are_cut() -> None:
    """POP3-2449-6.6-b: answers of one line and of several, in their order."""
    commands = (STAT, pop3.List(), RETR, RETR, pop3.Uidl(2), DELE, pop3.Quit())
    wire = (
        b"+OK 2 320\r\n+OK\r\n1 120\r\n2 200\r\n.\r\n+OK\r\n..a\r\n.\r\n-ERR no\r\n"
        b"+OK 2 b\r\n-ERR [SYS/TEMP] no\r\n+OK bye\r\nafter"
    )
    outcomes = []
    for cut in every_cut(wire):
        client = asking(*commands)
        outcomes.append((feed_all(client, cut), client.trailing_data))
        assert client.state is State.CLOSED
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert outcomes[0] == (
        [
            Response(OK, data=pop3.Totals(2, 320)),
            Response(OK, data=pop3.Sizes({1: 120, 2: 200})),
            *(Response(OK), MessageData(b".a\r\n"), EndOfMessage()),
            Response(ERR, "no"),
            Response(OK, data=pop3.UniqueIds({2: "b"})),
            Response(ERR, "no", "SYS/TEMP"),
            *(Response(OK, "bye"), ConnectionClosed()),
        ],
        b"after",
    )


# Before the first octet


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("domain", ["", "a b", "a\r\nb", "192.0.2.1]", "é.example"])
def test_our_own_name_is_a_domain_or_a_literal(role: Any, domain: str) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        Connection(role, domain=domain)


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("timestamp", ["a@b", "<ab>", "<a@b>\r\n+OK", "<é@b>", " "])
def test_a_timestamp_is_a_message_id(role: Any, timestamp: str) -> None:
    with pytest.raises(ValueError, match="not a time-stamp"):
        Connection(role, timestamp=timestamp)


def test_a_server_greets_before_it_reads() -> None:
    """RFC 1939 section 3; what has come already waits."""
    server = Connection(SERVER, domain="[192.0.2.1]", timestamp=TIMESTAMP)
    server.receive_data(b"CAPA\r\n")
    assert server.next_event() == pop3.Connect()
    assert server.next_event() is PAUSED
    wire = server.send(server.default_response(pop3.Connect()))
    assert wire == f"+OK [192.0.2.1] POP3 {TIMESTAMP}\r\n".encode()
    assert server.next_event() == pop3.Capa()


def test_a_greeting_can_be_said_before_it_is_asked_for() -> None:
    server = Connection(SERVER)
    assert server.unanswered == (pop3.Connect(),)
    server.send(Response(OK))
    assert server.next_event() is NEED_DATA
    server.receive_data(b"CAPA\r\nQUIT\r\n")
    assert server.next_event() == pop3.Capa()
    assert server.next_event() is PAUSED


def test_a_client_says_nothing_before_the_greeting() -> None:
    client = Connection(CLIENT)
    assert client.next_event() is NEED_DATA
    for command in (USER, pop3.Capa(), pop3.Quit(), pop3.Connect()):
        with pytest.raises(LocalProtocolError):
            client.send(command)


def test_a_refused_greeting_ends_the_session() -> None:
    """POP3-1939-3-b."""
    client, server = Connection(CLIENT), Connection(SERVER)
    talk(client, server, pop3.Connect(), Response(ERR, "busy"))
    for side in (client, server):
        assert side.closed
        with pytest.raises(LocalProtocolError):
            side.send(pop3.Quit())


# The end of the peer's data


@pytest.mark.parametrize("role", [0, 1])
def test_the_end_is_told_once(role: int) -> None:
    conn = pair_in(State.TRANSACTION)[role]
    assert feed(conn, b"") == [ConnectionClosed()]
    assert conn.state is State.CLOSED
    assert conn.next_event() is NEED_DATA
    conn.receive_data(b"")
    assert conn.next_event() is NEED_DATA


@pytest.mark.parametrize("role", [0, 1])
def test_no_data_can_follow_the_end(role: int) -> None:
    conn = pair_in(State.TRANSACTION)[role]
    conn.receive_data(b"")
    with pytest.raises(LocalProtocolError):
        conn.receive_data(b"NOOP\r\n")
    assert conn.trailing_data == b""


@pytest.mark.parametrize("lf_line_ends", [False, True])
@pytest.mark.parametrize("data", ["+OK\r\n", "", None, 5, [1, 2]])
def test_what_is_received_are_octets(lf_line_ends: bool, data: object) -> None:
    tolerances = pop3.Tolerances(lf_line_ends=lf_line_ends)
    client = Connection(CLIENT, tolerances=tolerances)
    with pytest.raises(TypeError, match="data must be bytes"):
        client.receive_data(data)  # type: ignore[arg-type]  # that is the point
    assert feed(client, b"+OK\r\n") == [Response(OK)]


@pytest.mark.parametrize("lf_line_ends", [False, True])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_octets_may_be_in_any_buffer(
    lf_line_ends: bool, kind: Callable[[bytes], Any]
) -> None:
    tolerances = pop3.Tolerances(lf_line_ends=lf_line_ends)
    client = asking(RETR, tolerances=tolerances)
    assert feed_all(client, map(kind, octets(b"+OK\r\na\r\n.\r\n"))) == [
        *(Response(OK), MessageData(b"a\r\n"), EndOfMessage())
    ]


def test_what_was_complete_comes_before_the_end() -> None:
    server = server_in(State.TRANSACTION)
    server.receive_data(b"NOOP\r\nNOOP\r\nNOO")
    server.receive_data(b"")
    assert server.next_event() == pop3.Noop()
    assert server.next_event() is PAUSED
    server.send(Response(OK))
    assert server.next_event() == pop3.Noop()
    server.send(Response(OK))
    assert server.next_event() == ConnectionClosed()
    assert server.trailing_data == b"NOO"


@pytest.mark.parametrize(
    ("wire", "complete", "left"),
    [
        (b"+OK 1 2\r\n+OK\r", 1, 2),
        (b"+OK 1 2\r\n+OK\r\na\r\n.\r", 3, 1),  # its content is no event of its own
        (b"+OK 1 2\r\n+OK\r\n", 2, 1),
        (b"", 0, 3),
    ],
)
def test_a_lost_connection_leaves_commands_unanswered(
    wire: bytes, complete: int, left: int
) -> None:
    client = asking(STAT, RETR, pop3.List())
    events = feed_all(client, [wire] if wire else [])
    assert len(events) == complete
    assert EndOfMessage() not in events
    assert feed(client, b"") == [ConnectionClosed()]
    assert client.unanswered == (STAT, RETR, pop3.List())[-left:]


@pytest.mark.parametrize("role", [0, 1])
def test_the_peer_may_go_instead_of_a_handshake(role: int) -> None:
    conn = pair_in(State.TLS)[role]
    assert conn.handshake_due
    assert conn.next_event() is PAUSED
    assert feed(conn, b"") == [ConnectionClosed()]
    with pytest.raises(LocalProtocolError):
        conn.begin_tls()


# Closing


@pytest.mark.parametrize("state", NOT_CLOSED)
def test_a_closed_connection_says_and_hears_nothing(state: State) -> None:
    for conn in pair_in(state):
        conn.close()
        assert conn.closed
        assert drain(conn) == [ConnectionClosed()]
        assert drain(conn) == []
        before = snapshot(conn)
        for event in (
            pop3.Quit(),
            STAT,
            MessageData(b"x"),
            EndOfMessage(),
            Response(OK),
        ):
            with pytest.raises(LocalProtocolError):
                conn.send(event)
        assert snapshot(conn) == before


def test_after_quit_nothing_is_understood() -> None:
    """POP3-1939-6-f."""
    for state in (State.AUTHORIZATION, State.TRANSACTION):
        events, responses = said_by_server(server_in(state), [b"QUIT\r\nNOOP\r\n"])
        assert classes(responses) == "o"
        assert events == [pop3.Quit(), ConnectionClosed()]


@pytest.mark.parametrize("cls", [OK, ERR])
def test_quit_closes_whatever_the_answer(cls: pop3.ResponseClass) -> None:
    """RFC 1939 section 6: -ERR if some messages were not removed."""
    client, server = pair_in(State.TRANSACTION)
    talk(client, server, pop3.Quit(), Response(cls))
    assert client.closed
    assert server.closed
    assert client.last_response == Response(cls)


@pytest.mark.parametrize(
    "state", [state for state in NOT_CLOSED if state is not State.TLS]
)
def test_a_server_may_give_up_without_being_asked(state: State) -> None:
    client, server = pair_in(state)
    drain(server)
    wire = server.send(Response(ERR, "going down"))
    assert wire == b"-ERR going down\r\n"
    assert server.closed
    assert feed(client, wire) == [Response(ERR, "going down"), ConnectionClosed()]


@pytest.mark.parametrize("wire", [b"+OK\r\n", b"+ \r\n", b"+OK 1 2\r\n", b"FROB\r\n"])
@pytest.mark.parametrize("state", [State.AUTHORIZATION, State.USER, State.TRANSACTION])
def test_what_nobody_asked_for_is_no_answer_to_the_next_command(
    state: State, wire: bytes
) -> None:
    client = client_in(state)
    with pytest.raises(RemoteProtocolError):
        feed(client, wire)
    assert client.closed
    assert client.unanswered == ()
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Quit())


def test_a_broken_response_is_quoted_in_the_error() -> None:
    client = asking(STAT)
    with pytest.raises(RemoteProtocolError) as caught:
        feed(client, b"HTTP/1.1 400 Bad Request\r\nHost: x\r\n")
    assert caught.value.line == b"HTTP/1.1 400 Bad Request"
    assert client.trailing_data == b"Host: x\r\n"
    assert drain(client) == [ConnectionClosed()]


# What a side cannot say


WRONG: list[object] = [None, "NOOP", b"PASS hunter2\r\n", 5, State.TRANSACTION, PAUSED]


@pytest.mark.parametrize(
    "event",
    [
        *(*WRONG, pop3.Connect(), Response(OK, "hunter2"), MessageData(b"hunter2")),
        *(EndOfMessage(), pop3.BadCommand(b"PASS hunter2", Response(ERR)), pop3.Stat),
    ],
)
def test_a_client_sends_commands(event: Any) -> None:
    client = client_in(State.TRANSACTION)
    before = snapshot(client)
    with pytest.raises(LocalProtocolError) as caught:
        client.send(event)
    assert "hunter2" not in str(caught.value)
    assert snapshot(client) == before


@pytest.mark.parametrize(
    "event",
    [*WRONG, pop3.Noop(), pop3.Pass("hunter2"), MessageData(b"hunter2"), Response],
)
def test_a_server_sends_responses(event: Any) -> None:
    server = server_in(State.TRANSACTION)
    feed(server, b"NOOP\r\n")
    before = snapshot(server)
    with pytest.raises(LocalProtocolError) as caught:
        server.send(event)
    assert "hunter2" not in str(caught.value)
    assert snapshot(server) == before
    server.send(Response(OK))


class Frob(pop3.Command):
    """A command that no connection knows."""


REFUSED_COMMANDS: list[tuple[State, pop3.Command]] = [
    (State.AUTHORIZATION, PASS),
    (State.AUTHORIZATION, STAT),
    (State.AUTHORIZATION, pop3.AuthResponse(b"")),
    (State.AUTHORIZATION, pop3.Apop("alice", "0" * 32)),  # no time-stamp
    (State.AUTHORIZATION, pop3.User("é")),  # before UTF8
    (State.AUTHORIZATION, pop3.User("x" * 249)),
    (State.AUTHORIZATION, pop3.Auth("PLAIN", b"x" * 200)),
    (State.AUTHORIZATION, Frob()),
    (State.USER, pop3.Pass("é")),
    (State.USER, pop3.Pass("x" * 249)),
    (State.USER, pop3.Noop()),
    (State.AUTH, pop3.Quit()),
    (State.AUTH, pop3.Capa()),
    (State.AUTH, pop3.AuthResponse(b"x" * 9_300)),
    (State.TRANSACTION, USER),
    (State.TRANSACTION, PASS),
    (State.TRANSACTION, pop3.Auth("LOGIN")),
    (State.TRANSACTION, pop3.Stls()),
    (State.TRANSACTION, pop3.Utf8()),
    (State.TLS, pop3.Capa()),
    (State.TLS, pop3.Quit()),
]


@pytest.mark.parametrize(("state", "command"), REFUSED_COMMANDS)
def test_what_cannot_be_sent_leaves_everything_as_it_was(
    state: State, command: pop3.Command
) -> None:
    client = client_in(state)
    before = snapshot(client)
    with pytest.raises(LocalProtocolError):
        client.send(command)
    assert snapshot(client) == before


REFUSED_RESPONSES = [
    # what the client said, and a response that does not fit it
    (State.TRANSACTION, b"NOOP\r\n", Response(MORE, data=pop3.Challenge(b""))),
    (State.TRANSACTION, b"NOOP\r\n", Response(OK, "x" * 507)),
    (State.TRANSACTION, b"NOOP\r\n", Response(OK, "é")),
    (State.TRANSACTION, b"NOOP\r\n", Response(OK, data=pop3.Totals(1, 2))),
    (State.TRANSACTION, b"FROB\r\n", Response(OK)),
    (State.TRANSACTION, b"STAT\r\n", Response(OK)),
    (State.TRANSACTION, b"LIST\r\n", Response(OK, "none")),
    (State.TRANSACTION, b"LIST 1\r\n", Response(OK, data=pop3.Sizes({}))),
    (State.TRANSACTION, b"UIDL\r\n", Response(OK, data=pop3.UniqueIds({1: "x" * 71}))),
    (State.TRANSACTION, b"CAPA\r\n", Response(OK)),
    (State.TRANSACTION, b"", Response(OK)),
    (State.USER, b"PASS a\r\n", Response(MORE, data=pop3.Challenge(b""))),
    (State.AUTH, b"AA==\r\n", Response(MORE, data=pop3.Challenge(None))),
    (State.AUTH, b"AA==\r\n", Response(MORE, data=pop3.Challenge(b"x" * 9_300))),
    (State.AUTH, b"?\r\n", Response(OK)),
    (State.TLS, b"", Response(OK)),
    (State.CLOSED, b"", Response(OK)),
]


@pytest.mark.parametrize(("state", "said", "response"), REFUSED_RESPONSES)
def test_a_response_that_does_not_fit_leaves_everything_as_it_was(
    state: State, said: bytes, response: Response
) -> None:
    server = server_in(state)
    server.receive_data(said or b"x")
    drain(server)
    before = snapshot(server)
    with pytest.raises(LocalProtocolError):
        server.send(response)
    assert snapshot(server) == before
    assert server.send(Response(ERR, "no")) == b"-ERR no\r\n"


def test_an_exchange_can_go_on_after_what_could_not_be_sent() -> None:
    client = client_in(State.AUTH)
    with pytest.raises(LocalProtocolError, match="longer than a line may be"):
        client.send(pop3.AuthResponse(b"x" * 9_300))
    assert client.send(pop3.AuthResponse(b"x")) == b"eA==\r\n"


def test_a_connection_can_be_referred_to_weakly() -> None:
    conn = pop3.Connection(SERVER)
    assert weakref.ref(conn)() is conn
    assert not hasattr(conn, "__dict__")
