import pytest

from cutting import every_cut
from pop3_talk import (
    CAPABILITIES,
    asking,
    classes,
    client_in,
    feed,
    feed_all,
    outcome_of,
    said_by_server,
    server_in,
)
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    pop3,
)
from smtp_pop_core.pop3 import ERR, OK, Connection, EndOfMessage, Response, State

USER = pop3.User("alice")
PASS = pop3.Pass("secret")
STAT = pop3.Stat()
RETR = pop3.Retr(1)
DELE = pop3.Dele(1)


def test_without_pipelining_a_client_waits_for_each_response() -> None:
    """POP3-2449-6.6-c."""
    offered = [each for each in CAPABILITIES if each.tag != "PIPELINING"]
    client = client_in(State.TRANSACTION, offered=offered)
    client.send(RETR)
    for wire in (b"+OK\r\n", b"a\r\n"):
        with pytest.raises(LocalProtocolError, match="PIPELINING was not offered"):
            client.send(DELE)
        feed(client, wire)
    feed(client, b".\r\n")
    assert client.idle
    client.send(DELE)


def test_a_client_that_has_not_asked_waits_as_well() -> None:
    client = Connection(CLIENT)
    feed(client, b"+OK\r\n")
    client.send(USER)
    with pytest.raises(LocalProtocolError, match="PIPELINING was not offered"):
        client.send(PASS)


def test_commands_wait_at_the_server_for_their_responses() -> None:
    """POP3-2449-6.6-a."""
    server = server_in(State.TRANSACTION)
    line = b"NOOP\r\n"
    server.receive_data(line * 50)
    for left in range(49, -1, -1):
        assert server.next_event() == pop3.Noop()
        assert server.next_event() is PAUSED
        assert len(server.trailing_data) == len(line) * left
        server.send(Response(OK))
    assert server.next_event() is NEED_DATA


def test_content_is_due_before_the_next_command_is_read() -> None:
    server = server_in(State.TRANSACTION)
    server.receive_data(b"RETR 1\r\nDELE 1\r\n")
    assert server.next_event() == RETR
    server.send(Response(OK))
    assert not server.unanswered
    for event in (MessageData(b"a\r\n"), EndOfMessage()):
        assert server.in_content
        assert not server.idle
        assert server.next_event() is PAUSED
        server.send(event)
    assert server.next_event() == DELE


REFUSED_IN_BETWEEN = [
    # what a client pipelined, the answers, the events, the state
    (
        [RETR, RETR, DELE],
        b"+OK\r\na\r\n.\r\n-ERR no\r\n+OK\r\n",
        [
            *(Response(OK), MessageData(b"a\r\n"), EndOfMessage()),
            *(Response(ERR, "no"), Response(OK)),
        ],
        State.TRANSACTION,
    ),
    (
        [RETR, RETR, DELE],
        b"-ERR no\r\n+OK\r\n.\r\n-ERR\r\n",
        [Response(ERR, "no"), Response(OK), EndOfMessage(), Response(ERR)],
        State.TRANSACTION,
    ),
    (
        [pop3.List(), pop3.Uidl(), STAT],
        b"-ERR\r\n+OK\r\n.\r\n-ERR\r\n",
        [Response(ERR), Response(OK, data=pop3.UniqueIds({})), Response(ERR)],
        State.TRANSACTION,
    ),
    (
        [DELE, pop3.Quit()],
        b"-ERR\r\n+OK\r\n",
        [Response(ERR), Response(OK), ConnectionClosed()],
        State.CLOSED,
    ),
]


@pytest.mark.parametrize(("commands", "wire", "events", "state"), REFUSED_IN_BETWEEN)
def test_a_no_in_between_leaves_the_client_in_step(
    commands: list[pop3.Command], wire: bytes, events: list[pop3.Event], state: State
) -> None:
    for cut in every_cut(wire):
        client = asking(*commands)
        assert feed_all(client, cut) == events
        assert client.state is state
        assert client.unanswered == ()


LOGINS = [
    # the answers to USER, PASS, STAT and RETR, all sent at once; the state
    (b"+OK\r\n+OK\r\n+OK 1 2\r\n+OK\r\na\r\n.\r\n", State.TRANSACTION),
    (b"-ERR\r\n-ERR\r\n-ERR\r\n-ERR\r\n", State.AUTHORIZATION),
    (b"+OK\r\n-ERR\r\n-ERR\r\n-ERR\r\n", State.AUTHORIZATION),
    (b"-ERR\r\n+OK\r\n+OK 1 2\r\n-ERR\r\n", State.TRANSACTION),  # the server did it
    (b"+OK\r\n-ERR\r\n+OK 1 2\r\n+OK\r\n.\r\n", State.TRANSACTION),
]


@pytest.mark.parametrize(("wire", "state"), LOGINS)
def test_a_login_may_be_pipelined_with_what_follows(wire: bytes, state: State) -> None:
    for cut in every_cut(wire):
        client = asking(USER, PASS, STAT, RETR, state=State.AUTHORIZATION)
        events, broken = outcome_of(client, cut)
        assert not broken
        assert sum(isinstance(event, Response) for event in events) == 4
        assert client.state is state
        assert client.authenticated is (state is State.TRANSACTION)
        assert client.idle


def test_a_server_refuses_what_follows_a_refused_login() -> None:
    said = b"USER a\r\nPASS b\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"
    for cut in every_cut(said):
        server = server_in(State.AUTHORIZATION, limits=Limits(bad_commands=1))
        events, responses = said_by_server(server, cut)
        assert classes(responses) == "oeeeeo"  # out of order is not bad
        assert [isinstance(event, pop3.BadCommand) for event in events[2:5]] == [
            True
        ] * 3
