import pytest

from pop3_talk import (
    CAPABILITIES,
    MAILDROP,
    TIMESTAMP,
    WAYS,
    feed,
    said_by_server,
    server_in,
)
from smtp_pop_core import CLIENT, SERVER, Limits, MessageData, RemoteProtocolError, pop3
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, Response, State

SECRET = b"aHVudGVyMg=="  # hunter2
DIGEST = b"c4c9334bac560ecc979e58001b3e22fb"


def server_lines(state: State, *said: bytes, content: bool = False) -> list[str]:
    """What the trace of a server shows of some reads and its answers."""
    lines: list[str] = []
    server = server_in(
        state, trace=lines.append, trace_content=content, timestamp=TIMESTAMP
    )
    lines.clear()
    said_by_server(server, said)
    return lines


def traced_client(
    state: State, lines: list[str], *, content: bool = False
) -> Connection:
    """Give a client in a state whose trace is empty."""
    client = Connection(CLIENT, trace=lines.append, trace_content=content)
    server = Connection(SERVER, capabilities=CAPABILITIES, timestamp=TIMESTAMP)
    for command, response in WAYS[state]:
        if not isinstance(command, pop3.Connect):
            server.receive_data(client.send(command))
        server.next_event()
        server.next_event()
        feed(client, server.send(response or server.default_response(command)))
    lines.clear()
    return client


def test_a_whole_session_is_shown() -> None:
    lines: list[str] = []
    server = Connection(
        SERVER,
        domain="mail.example",
        capabilities=[pop3.capabilities.User(), pop3.capabilities.Uidl()],
        trace=lines.append,
    )
    said = (
        b"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nUIDL\r\nRETR 1\r\nDELE 2\r\n"
        b"QUIT\r\n"
    )
    said_by_server(server, [said])
    assert lines == [
        "S: +OK mail.example POP3",
        *("C: CAPA", "S: +OK Capabilities follow", "S: USER", "S: UIDL", "S: ."),
        *("C: USER alice", "S: +OK Password please"),
        *("C: PASS (secret)", "S: +OK Welcome"),
        *("C: STAT", "S: +OK 2 320"),
        *("C: UIDL", "S: +OK", "S: 1 a", "S: 2 b", "S: ."),
        *("C: RETR 1", "S: +OK 120 octets", "S: (24 octets of content)"),
        *("C: DELE 2", "S: -ERR No such message"),
        *("C: QUIT", "S: +OK Goodbye"),
    ]


def test_both_sides_show_the_same() -> None:
    shown: list[list[str]] = [[], []]
    client = Connection(CLIENT, trace=shown[0].append)
    server = Connection(SERVER, capabilities=CAPABILITIES, trace=shown[1].append)
    commands: list[pop3.Command] = [
        *(pop3.Capa(), pop3.AuthList(), pop3.Auth("LOGIN"), pop3.AuthResponse(b"x")),
        *(pop3.User("alice"), pop3.Pass("secret"), pop3.List(), pop3.Top(1, 0)),
        *(pop3.Retr(2), pop3.Lang(), pop3.Quit()),
    ]
    feed(client, server.send(server.default_response(pop3.Connect())))
    for command in commands:
        feed(server, client.send(command))
        said = MAILDROP.get(command) or server.default_response(command)
        feed(client, server.send(said))
        while server.in_content:
            feed(client, server.send(MessageData(b".a\r\n")))
            feed(client, server.send(pop3.EndOfMessage()))
    assert shown[0] == shown[1]
    assert "S: 1 120" in shown[0]
    assert "S: (4 octets of content)" in shown[0]
    assert len(shown[0]) > 30


def test_content_is_counted_as_soon_as_it_has_ended() -> None:
    """Nothing else may ever be said: the connection may be lost."""
    lines: list[str] = []
    client = traced_client(State.TRANSACTION, lines)
    client.send(pop3.Retr(1))
    feed(client, b"+OK\r\n..a\r\nb\r\n.\r\n")
    assert lines == ["C: RETR 1", "S: +OK", "S: (7 octets of content)"]
    assert server_lines(State.TRANSACTION, b"RETR 1\r\n")[-1] == (
        "S: (24 octets of content)"
    )


def test_content_is_shown_if_it_is_wanted() -> None:
    lines = server_lines(State.TRANSACTION, b"RETR 1\r\n", content=True)
    assert lines == [
        *("C: RETR 1", "S: +OK 120 octets"),
        *("S| Subject: x", "S| ", "S| .one", "S| ..", "S: (24 octets of content)"),
    ]
    client = traced_client(State.TRANSACTION, lines, content=True)
    client.send(pop3.Retr(1))
    feed(client, b"+OK\r\n..one\r\ntwo\r\n.\r\n")
    assert lines == [
        *("C: RETR 1", "S: +OK", "S| .one", "S| two", "S: (11 octets of content)")
    ]


SECRETS = [
    # state, what a client says, what is shown of it
    (State.USER, b"PASS hunter2", "C: PASS (secret)"),
    (State.USER, b"pass hunter2 x", "C: pass (secret)"),
    (State.USER, b"PASS  hunter2", "C: PASS (secret)"),
    (State.AUTHORIZATION, b"PASS hunter2", "C: PASS (secret)"),  # out of order
    (State.TRANSACTION, b"PASS hunter2", "C: PASS (secret)"),
    (State.USER, b"PASS", "C: PASS"),
    (State.USER, b"PASS ", "C: PASS "),
    (State.USER, b"PASS h\0nter2", "C: PASS (secret)"),
    (State.USER, b"PASS hunter2\rx", "C: PASS (secret)"),
    (State.USER, b"PASS hunt\xc3\xa9r2", "C: PASS (secret)"),
    (State.USER, b"PASS\thunter2", "C: PASS(secret)"),
    (State.USER, b"PASShunter2", "C: PASS(secret)"),
    (State.USER, b" PASS hunter2", "C:  PASS (secret)"),
    (State.USER, b"\t pAsS hunter2", r"C: \t pAsS (secret)"),
    (State.USER, b"PAS hunter2", "C: (secret)"),  # what follows USER is a password
    (State.USER, b"hunter2", "C: (secret)"),
    (State.AUTHORIZATION, b"APOP alice " + DIGEST, "C: APOP alice (secret)"),
    (State.AUTHORIZATION, b"apop alice " + DIGEST, "C: apop alice (secret)"),
    (State.AUTHORIZATION, b"APOP alice x " + DIGEST, "C: APOP (secret)"),
    (State.AUTHORIZATION, b"APOP alice" + DIGEST, "C: APOP (secret)"),
    (State.AUTHORIZATION, b"APOP " + DIGEST, "C: APOP (secret)"),
    (State.TRANSACTION, b"APOP alice " + DIGEST, "C: APOP (secret)"),
    (State.AUTHORIZATION, b"AUTH PLAIN " + SECRET, "C: AUTH PLAIN (secret)"),
    (State.AUTHORIZATION, b"auth plain " + SECRET, "C: auth plain (secret)"),
    (State.AUTHORIZATION, b"AUTH PLAIN", "C: AUTH PLAIN"),
    (State.AUTHORIZATION, b"AUTH", "C: AUTH"),
    (State.AUTHORIZATION, b"AUTH  PLAIN " + SECRET, "C: AUTH (secret)"),
    (State.AUTHORIZATION, b"AUTH PLAIN " + SECRET + b" x", "C: AUTH (secret)"),
    (State.AUTHORIZATION, b"AUTH\tPLAIN " + SECRET, "C: AUTH(secret)"),
    (State.AUTHORIZATION, b" AUTH PLAIN " + SECRET, "C:  AUTH (secret)"),
    (State.TRANSACTION, b"AUTH PLAIN " + SECRET, "C: AUTH (secret)"),  # out of order
    (State.AUTH, SECRET, "C: (secret)"),
    (State.AUTH, SECRET + b"!", "C: (secret)"),
    (State.AUTH, b"", "C: "),
    (State.AUTH, b"*", "C: *"),
]


@pytest.mark.parametrize(("state", "said", "shown"), SECRETS)
def test_what_is_secret_is_hidden(state: State, said: bytes, shown: str) -> None:
    assert server_lines(state, said + b"\r\n")[0] == shown


def test_a_name_beyond_ascii_is_shown_whole() -> None:
    lines: list[str] = []
    server = server_in(
        State.AUTHORIZATION,
        trace=lines.append,
        timestamp=TIMESTAMP,
        tolerances=pop3.Tolerances(utf8_login=True),
    )
    lines.clear()
    said_by_server(server, [b"APOP \xc3\xa9 " + DIGEST + b"\r\n"])
    assert lines[0] == "C: APOP é (secret)"


def test_a_secret_that_follows_a_refused_auth_is_hidden() -> None:
    """A client that does not heed the refusal goes on with its exchange."""
    lines = server_lines(
        State.AUTHORIZATION,
        b"AUTH X\r\n" + (SECRET + b"\r\n") * 2 + b"CAPA\r\nFROB\r\n",
    )
    assert [line for line in lines if line.startswith("C")] == [
        *("C: AUTH X", "C: (secret)", "C: (secret)", "C: CAPA", "C: FROB")
    ]


def test_a_password_that_follows_a_refused_login_is_hidden() -> None:
    said = b"USER a\r\nNOOP\r\nPASS hunter2\r\nhunter2\r\nCAPA\r\nFROB\r\n"
    lines = server_lines(State.AUTHORIZATION, said)
    assert "hunter2" not in "".join(lines)
    assert [line for line in lines if line.startswith("C")][-2:] == [
        *("C: CAPA", "C: FROB")
    ]


def test_a_bad_command_elsewhere_is_shown() -> None:
    lines = server_lines(State.TRANSACTION, b"FROB \x1b[2J\xff\r\n")
    assert lines[0] == r"C: FROB \x1b[2J\xff"


@pytest.mark.parametrize("state", [State.USER, State.AUTH])
def test_a_line_that_is_too_long_is_not_shown(state: State) -> None:
    lines: list[str] = []
    limits = Limits(auth_line=600)
    server = server_in(state, trace=lines.append, limits=limits)
    said_by_server(server, [b"PASS " + SECRET * 100 + b"\r\n"])
    assert lines[-2:] == ["C: ", "S: -ERR Line too long"]


@pytest.mark.parametrize("wire", [b"+ " + SECRET, b"+ ", b"+", b"+ not base64"])
def test_a_challenge_that_was_read_is_hidden(wire: bytes) -> None:
    lines: list[str] = []
    client = traced_client(State.AUTHORIZATION, lines)
    client.send(pop3.Auth("LOGIN"))
    feed(client, wire + b"\r\n")
    hidden = "(secret)" if len(wire) > 2 else ""
    assert lines == ["C: AUTH LOGIN", f"S: {wire.decode()[:2]}{hidden}"]


@pytest.mark.parametrize(
    ("before", "shown"), [(b"+", "+"), (b"+OK", "+"), (b"+OKAY ", "+"), (b"", "")]
)
def test_a_malformed_challenge_is_hidden_as_well(before: bytes, shown: str) -> None:
    lines: list[str] = []
    client = traced_client(State.AUTHORIZATION, lines)
    client.send(pop3.Auth("LOGIN"))
    with pytest.raises(RemoteProtocolError) as caught:
        feed(client, before + SECRET + b"\r\n")
    assert lines[-1] == f"S: {shown}(secret)"
    assert SECRET.decode() not in f"{caught.value}{caught.value!r}"


def test_a_malformed_response_elsewhere_is_shown() -> None:
    lines: list[str] = []
    with pytest.raises(RemoteProtocolError):
        feed(Connection(CLIENT, trace=lines.append), b"+OKready\r\n")
    assert lines == ["S: +OKready"]


def test_a_challenge_that_was_sent_is_hidden() -> None:
    lines: list[str] = []
    server = server_in(State.AUTHORIZATION, trace=lines.append)
    feed(server, b"AUTH LOGIN\r\n")
    lines.clear()
    server.send(Response(MORE, data=pop3.Challenge(b"hunter2")))
    assert lines == ["S: + (secret)"]


@pytest.mark.parametrize(
    "response", [Response(OK), Response(OK, "x"), Response(ERR), Response(ERR, "x")]
)
def test_a_status_line_is_shown(response: Response) -> None:
    lines: list[str] = []
    server = server_in(State.TRANSACTION, trace=lines.append)
    feed(server, b"NOOP\r\n")
    server.send(response)
    assert lines[-1] == f"S: {response}"


def test_a_client_shows_no_secret() -> None:
    lines: list[str] = []
    client = traced_client(State.AUTHORIZATION, lines)
    for command in (
        *(pop3.Auth("PLAIN", b"hunter2"), pop3.AuthResponse(b"hunter2")),
        pop3.AuthResponse(None),
    ):
        client.send(command)
        feed(client, b"+ " + SECRET + b"\r\n")
    client.send(pop3.AuthResponse(b""))
    feed(client, b"-ERR no\r\n")
    client.send(pop3.Apop("alice", DIGEST.decode()))
    feed(client, b"-ERR no\r\n")
    client.send(pop3.User("alice"))
    feed(client, b"+OK\r\n")
    client.send(pop3.Pass("hunter2"))
    feed(client, b"+OK welcome\r\n")
    assert lines == [
        *("C: AUTH PLAIN (secret)", "S: + (secret)"),
        *("C: (secret)", "S: + (secret)", "C: *", "S: + (secret)", "C: ", "S: -ERR no"),
        *("C: APOP alice (secret)", "S: -ERR no"),
        *("C: USER alice", "S: +OK", "C: PASS (secret)", "S: +OK welcome"),
    ]


def test_a_listing_is_shown_line_by_line() -> None:
    lines: list[str] = []
    client = traced_client(State.TRANSACTION, lines)
    client.send(pop3.List())
    for piece in (b"+OK\r\n1 5\r\n2 ", b"6\r\n.\r", b"\n"):
        feed(client, piece)
    assert lines == ["C: LIST", "S: +OK", "S: 1 5", "S: 2 6", "S: ."]
