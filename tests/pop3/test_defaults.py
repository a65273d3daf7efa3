import pytest

from pop3_talk import CAPABILITIES, TIMESTAMP, feed, server_in
from smtp_pop_core import CLIENT, NEED_DATA, PAUSED, SERVER, LocalProtocolError, pop3
from smtp_pop_core.pop3 import ERR, OK, Connection, Response, State
from smtp_pop_core.pop3._defaults import default_response

REFUSAL = Response(ERR, "Line too long")


class Frob(pop3.Command):
    """A command that nobody knows."""


CASES = [
    (pop3.Connect(), f"+OK mail.example POP3 {TIMESTAMP}"),  # RFC 1939 section 7
    (pop3.User("a"), "+OK Password please"),
    (pop3.Pass("a"), "-ERR [AUTH] Login failed"),
    (pop3.Apop("a", "0" * 32), "-ERR [AUTH] Login failed"),
    (pop3.Auth("PLAIN"), "-ERR Mechanism not supported"),
    (pop3.AuthResponse(None), "-ERR Authentication cancelled"),
    (pop3.Stls(), "+OK Begin TLS"),
    (pop3.Stat(), "-ERR No such message"),
    (pop3.List(1), "-ERR No such message"),
    (pop3.Uidl(), "-ERR No such message"),
    (pop3.Retr(1), "-ERR No such message"),
    (pop3.Top(1, 0), "-ERR No such message"),
    (pop3.Dele(1), "-ERR No such message"),
    (pop3.Rset(), "+OK No message is marked as deleted"),
    (pop3.Noop(), "+OK"),
    (pop3.Quit(), "+OK Goodbye"),
    (pop3.Utf8(), "+OK UTF-8 it is"),
    (pop3.Lang("de"), "-ERR No such language"),
    (pop3.BadCommand(b"FROB", REFUSAL), "-ERR Line too long"),
    (Frob(), "-ERR Command not implemented"),
]


@pytest.mark.parametrize(("command", "said"), CASES)
def test_a_sound_server_says(command: pop3.Command, said: str) -> None:
    assert str(default_response(command, "mail.example", TIMESTAMP)) == said
    server = Connection(SERVER, domain="mail.example", timestamp=TIMESTAMP)
    assert str(server.default_response(command)) == said


@pytest.mark.parametrize("command", [pop3.User("a"), pop3.BadCommand(b"", REFUSAL)])
def test_no_code_reveals_whether_there_is_such_a_user(command: pop3.Command) -> None:
    """RFC 2449 section 8.1.1, RFC 3206 section 5."""
    assert default_response(command, "mail.example", "").code is None


def test_a_greeting_without_apop_has_no_timestamp() -> None:
    server = Connection(SERVER, domain="[192.0.2.1]")
    wire = server.send(server.default_response(pop3.Connect()))
    assert wire == b"+OK [192.0.2.1] POP3\r\n"


EVERYTHING = [
    (State.CONNECTING, [b"N"]),
    (State.AUTHORIZATION, [b"USER a", b"AUTH LOGIN", b"AUTH", b"STLS", b"CAPA"]),
    (State.AUTHORIZATION, [b"UTF8", b"LANG", b"LANG de", b"QUIT", b"FROB", b"STAT"]),
    (State.USER, [b"PASS a", b"PASS", b"CAPA"]),
    (State.AUTH, [b"", b"*", b"?", b"A" * 13_000]),
    (State.TRANSACTION, [b"STAT", b"LIST", b"LIST 1", b"UIDL", b"UIDL 1", b"RETR 1"]),
    (State.TRANSACTION, [b"TOP 1 0", b"DELE 1", b"RSET", b"NOOP", b"CAPA", b"QUIT"]),
]


@pytest.mark.parametrize(
    ("state", "said"), [(state, said) for state, lines in EVERYTHING for said in lines]
)
def test_what_is_said_can_be_sent(state: State, said: bytes) -> None:
    server = server_in(state)
    server.receive_data(said + b"\r\n")
    command = server.next_event()
    assert isinstance(command, pop3.Command)
    wire = server.send(server.default_response(command))
    assert wire.endswith(b"\r\n")
    assert server.last_response == server.default_response(command)


def test_capa_is_answered_with_what_holds_now() -> None:
    server = server_in(State.AUTHORIZATION)
    [capa] = feed(server, b"CAPA\r\n")
    response = server.default_response(capa)
    assert response.cls is OK
    assert response.data == pop3.CapabilityLines(
        (
            *(("TOP", ""), ("UIDL", ""), ("USER", ""), ("RESP-CODES", "")),
            *(("AUTH-RESP-CODE", ""), ("PIPELINING", ""), ("UTF8", "USER")),
            *(("IMPLEMENTATION", "smtp-pop-core"), ("STLS", "")),
            *(("SASL", "LOGIN"), ("LANG", "")),
        )
    )
    assert len(CAPABILITIES) == 11


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize(
    "event", [Response(OK), pop3.EndOfMessage(), NEED_DATA, PAUSED, pop3.Noop]
)
def test_only_a_server_has_responses_and_only_to_commands(
    role: object, event: object
) -> None:
    with pytest.raises(LocalProtocolError):
        Connection(role).default_response(event)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(LocalProtocolError):
        Connection(CLIENT).default_response(pop3.Noop())
