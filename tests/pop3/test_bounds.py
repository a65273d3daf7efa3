"""What a server bounds: lines, and commands that bring nothing."""

from typing import Final

import pytest

from cutting import octets
from pop3_serving import Plain, Talk, connection, logins, told
from pop3_talk import classes, drain, said_by_server, server_in
from smtp_pop_core import ConnectionClosed, Limits, LocalProtocolError, pop3
from smtp_pop_core.pop3 import ERR, OK, Ending, Response, State


@pytest.mark.parametrize("length", [256, 257, 10_000])
@pytest.mark.parametrize("verb", [b"USER ", b"FROB ", b"PASS ", b"STAT "])
def test_a_line_that_is_too_long_is_answered_once(verb: bytes, length: int) -> None:
    """POP3-2449-4-b; the next command is in step."""
    wire = verb + b"x" * (length - 7) + b"\r\nCAPA\r\n"
    cuts = [(wire[:at], wire[at:]) for at in (1, 254, 255, 256, length - 1, length)]
    for cut in ((wire,), octets(wire), *cuts):
        events, responses = said_by_server(server_in(State.USER), cut)
        assert events[0] == pop3.BadCommand(b"", Response(ERR, "Line too long"))
        assert classes(responses) == "eo"


def test_a_line_without_its_end_is_not_kept() -> None:
    server = server_in(State.AUTHORIZATION)
    for _ in range(50):
        server.receive_data(b"x" * 1_000)
        said_by_server(server, [])
        assert len(server.trailing_data) <= 255
    _, responses = said_by_server(server, [b"\r\nCAPA\r\n"])
    assert classes(responses) == "o"


BAD_LINES = [b"FROB", b"CAPA x", b"USER", b"", b"x" * 300, b"AUTH X =="]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:12].decode())
def test_bad_commands_have_a_limit(line: bytes) -> None:
    for cut in ((line + b"\r\n") * 4,), octets((line + b"\r\n") * 4):
        server = server_in(State.AUTHORIZATION, limits=Limits(bad_commands=2))
        *bad, closed = said_by_server(server, cut)[0]
        assert [each.last for each in bad if isinstance(each, pop3.BadCommand)] == [
            *(False, False, True)
        ]
        assert closed == ConnectionClosed()
        assert server.last_response == Response(ERR, "Too many bad commands")
        assert server.trailing_data.endswith(line[-200:] + b"\r\n")


def test_the_last_bad_command_ends_the_session_whatever_is_said() -> None:
    server = server_in(State.TRANSACTION, limits=Limits(bad_commands=1))
    said_by_server(server, [b"FROB\r\n"])
    server.receive_data(b"FROB\r\nNOOP\r\n")
    [bad] = drain(server)
    assert isinstance(bad, pop3.BadCommand)
    assert bad.last
    with pytest.raises(LocalProtocolError):
        server.send(Response(OK))
    assert not server.closed
    server.send(Response(ERR, "enough"))
    assert drain(server) == [ConnectionClosed()]
    assert server.trailing_data == b"NOOP\r\n"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.AUTHORIZATION, b"STAT"),
        (State.AUTHORIZATION, b"PASS a"),
        (State.AUTHORIZATION, b"APOP a " + b"0" * 32),  # not offered
        (State.TRANSACTION, b"USER a"),
        (State.TRANSACTION, b"STLS"),
        (State.TRANSACTION, b"RETR 99"),  # no such message
    ],
)
def test_commands_out_of_order_do_not_count_as_bad(state: State, line: bytes) -> None:
    """A client that pipelines sends them after a refusal."""
    server = server_in(state, limits=Limits(bad_commands=1))
    _, responses = said_by_server(server, [(line + b"\r\n") * 9])
    assert classes(responses) == "e" * 9
    assert not server.closed


def test_bad_lines_of_an_exchange_count_as_well() -> None:
    server = server_in(State.AUTH, limits=Limits(bad_commands=1))
    events, responses = said_by_server(server, [b"*a\r\nFROB\r\n"])
    assert classes(responses) == "ee"
    assert events[-1] == ConnectionClosed()


# Commands that bring nothing, or have a no.

IDLE: Final = [
    b"NOOP",
    *(b"STAT", b"CAPA", b"RSET", b"LIST", b"UIDL"),
]


@pytest.mark.parametrize("line", IDLE)
def test_commands_without_a_message_have_a_limit(line: bytes) -> None:
    """A session of NOOPs does not keep a maildrop locked for ever."""
    talk = Talk(Plain, conn=connection(limits=Limits(idle_commands=4)))
    talk.log_in()  # USER is the first
    for _ in range(3):
        assert talk.hear(line + b"\r\n").startswith(b"+OK")
    heard = talk.hear(line + b"\r\n")
    assert heard == b"-ERR Too many commands without a message\r\n"
    assert talk.ending is Ending.REFUSED
    assert told == ["joe", "closed", Ending.REFUSED]  # nothing was removed


@pytest.mark.parametrize("line", [b"USER joe", b"CAPA", b"AUTH"])
def test_they_have_it_before_the_login_too(line: bytes) -> None:
    limits = Limits(idle_commands=2)
    talk = Talk(Plain, conn=connection(limits=limits), logins=logins())
    heard = talk.hear((line + b"\r\n") * 3)
    assert heard.endswith(b"-ERR Too many commands without a message\r\n")
    assert talk.ending is Ending.REFUSED


def test_commands_that_name_a_message_are_not_counted() -> None:
    """Some clients ask for the size and the id of each message by itself."""
    talk = Talk(Plain, conn=connection(limits=Limits(idle_commands=2)))
    talk.log_in()
    heard = talk.hear(b"LIST 1\r\nUIDL 1\r\nLIST 2\r\nUIDL 2\r\n" * 5)
    assert heard.count(b"+OK") == 20


@pytest.mark.parametrize("line", [b"RETR 1", b"TOP 1 0", b"DELE 1"])
def test_a_message_begins_the_count_anew(line: bytes) -> None:
    talk = Talk(Plain, conn=connection(limits=Limits(idle_commands=3)))
    talk.log_in()
    talk.hear(b"NOOP\r\nNOOP\r\n")
    talk.hear(line + b"\r\n")
    assert talk.hear(b"NOOP\r\n" * 3) == b"+OK\r\n" * 3


@pytest.mark.parametrize(
    ("line", "nos"),
    [(b"RETR 9", 5), (b"TOP 9 0", 5), (b"DELE 9", 5), (b"LIST 9", 5), (b"PASS x", 4)],
)
def test_commands_that_have_a_no_have_a_limit(line: bytes, nos: int) -> None:
    limits = Limits(refused_commands=3)
    talk = Talk(Plain, conn=connection(limits=limits))
    talk.log_in()
    heard = talk.hear((line + b"\r\n") * 5)
    assert heard.count(b"-ERR") == nos  # what is out of order is seen at once
    assert heard.endswith(b"-ERR Too many refused commands\r\n")
    assert talk.ending is Ending.REFUSED


def test_one_that_succeeds_begins_that_count_anew() -> None:
    talk = Talk(Plain, conn=connection(limits=Limits(refused_commands=3)))
    talk.log_in()
    heard = talk.hear(b"RETR 9\r\nRETR 9\r\nRETR 9\r\nRETR 1\r\n" * 5)
    assert b"Too many" not in heard
