import pytest

from smtp_pop_core import Limits, MessageData, smtp
from smtp_pop_core.smtp import Reply, State
from smtp_talk import feed, pair_in, said_by_server, server_in

SECRET = b"aHVudGVyMg=="  # hunter2


def server_lines(state: State, *said: bytes, content: bool = False) -> list[str]:
    """What the trace of a server shows of some reads and its answers."""
    lines: list[str] = []
    server = server_in(state, trace=lines.append, trace_content=content)
    lines.clear()
    said_by_server(server, said)
    return lines


def test_a_whole_session_is_shown() -> None:
    lines: list[str] = []
    server = server_in(State.CONNECTING, trace=lines.append, extensions=[])
    said = (
        b"EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
        b"one\r\n..two\r\n.\r\nQUIT\r\n"
    )
    said_by_server(server, [said])
    assert lines == [
        "S: 220 mx.example ESMTP",
        "C: EHLO a.example",
        "S: 250 mx.example",
        "C: MAIL FROM:<>",
        "S: 250 Sender OK",
        "C: RCPT TO:<c@d>",
        "S: 250 Recipient OK",
        "C: DATA",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "C: (11 octets of content)",
        "S: 250 Message accepted",
        "C: QUIT",
        "S: 221 mx.example closing",
    ]


def test_both_sides_show_the_same() -> None:
    shown: list[list[str]] = [[], []]
    for index, lines in enumerate(shown):
        client, server = pair_in(State.CONNECTING)
        traced = type(client)((client, server)[index].role, trace=lines.append)
        sides = [traced, server] if index == 0 else [client, traced]
        feed(sides[0], sides[1].send(Reply(220, ("mx.example", "hello"))))
        for command, code in ((smtp.Helo("a.example"), 250), (smtp.Mail("a@b"), 550)):
            feed(sides[1], sides[0].send(command))
            feed(sides[0], sides[1].send(Reply(code, ("x", "y"))))
    assert shown[0] == shown[1]
    assert shown[0][:3] == ["S: 220-mx.example", "S: 220 hello", "C: HELO a.example"]


def test_content_is_shown_if_it_is_wanted() -> None:
    lines = server_lines(State.DATA, b"one\r\n..two\r\n.\r\n", content=True)
    assert lines == [
        *("C| one", "C| .two", "C: (11 octets of content)"),
        "S: 250 2.0.0 Message accepted",
    ]


def test_a_client_shows_its_content_as_well() -> None:
    lines: list[str] = []
    client, _ = pair_in(State.CONNECTING)
    client = type(client)(client.role, trace=lines.append, trace_content=True)
    feed(client, b"220 x\r\n")
    for command, code in (
        *((smtp.Helo("a.example"), 250), (smtp.Mail(""), 250)),
        *((smtp.Rcpt("a@b"), 250), (smtp.Data(), 354)),
    ):
        client.send(command)
        feed(client, b"%d x\r\n" % code)
    lines.clear()
    client.send(MessageData(b".one\r\n"))
    client.send(MessageData(b"two\r\n"))
    client.send(smtp.EndOfMessage())
    feed(client, b"250 x\r\n")
    assert lines == [*("C| .one", "C| two", "C: (11 octets of content)", "S: 250 x")]


SECRETS = [
    # state, what a client says, what is shown of it
    (State.READY, b"AUTH PLAIN " + SECRET, "C: AUTH PLAIN (secret)"),
    (State.READY, b"auth plain " + SECRET, "C: auth plain (secret)"),
    (State.READY, b"AUTH PLAIN", "C: AUTH PLAIN"),
    (State.READY, b"AUTH  PLAIN " + SECRET, "C: AUTH (secret)"),
    (State.READY, b"AUTH PLAIN " + SECRET + b" x", "C: AUTH (secret)"),
    (State.READY, b"AUTH\tPLAIN " + SECRET, "C: AUTH\\t(secret)"),
    (State.READY, b" AUTH PLAIN " + SECRET, "C:  AUTH (secret)"),
    (State.READY, b"AUTH" + SECRET, "C: AUTH(secret)"),
    (State.MAIL, b"AUTH PLAIN " + SECRET, "C: AUTH (secret)"),  # out of order
    (State.AUTH, SECRET, "C: (secret)"),
    (State.AUTH, SECRET + b"!", "C: (secret)"),
    (State.AUTH, b"", "C: "),
    (State.AUTH, b"*", "C: *"),
]


@pytest.mark.parametrize(("state", "said", "shown"), SECRETS)
def test_what_authentication_exchanges_is_hidden(
    state: State, said: bytes, shown: str
) -> None:
    assert server_lines(state, said + b"\r\n")[0] == shown


def test_a_secret_that_follows_a_refused_auth_is_hidden() -> None:
    """A client that does not heed the refusal goes on with its exchange."""
    lines = server_lines(
        State.READY, b"AUTH LOGIN\r\n" + (SECRET + b"\r\n") * 2 + b"NOOP\r\n"
    )
    assert [line for line in lines if line.startswith("C")] == [
        *("C: AUTH LOGIN", "C: (secret)", "C: (secret)", "C: NOOP")
    ]


def test_a_bad_command_elsewhere_is_shown() -> None:
    lines = server_lines(State.READY, b"FROB \x1b[2J\xff\r\n")
    assert lines[0] == r"C: FROB \x1b[2J\xff"


def test_a_line_that_is_too_long_is_not_shown() -> None:
    lines: list[str] = []
    server = server_in(State.AUTH, trace=lines.append, limits=Limits(auth_line=600))
    said_by_server(server, [SECRET * 100 + b"\r\n"])
    assert lines[-2:] == ["C: ", "S: 500 5.5.6 Authentication line too long"]


@pytest.mark.parametrize("role", [0, 1])
def test_a_challenge_is_hidden(role: int) -> None:
    lines: list[str] = []
    server = server_in(State.READY, trace=lines.append)
    client = pair_in(State.READY)[0]
    traced = type(client)(client.role, trace=lines.append)
    feed(traced, b"220 x\r\n")
    traced.send(smtp.Ehlo("a"))
    feed(traced, b"250-x\r\n250 AUTH LOGIN\r\n")
    feed(server, b"AUTH LOGIN\r\n")
    traced.send(smtp.Auth("LOGIN"))
    lines.clear()
    challenge = Reply(334, (SECRET.decode(),))
    if role:
        server.send(challenge)
    else:
        feed(traced, b"334 " + SECRET + b"\r\n")
    assert lines == ["S: 334 (secret)"]


def test_a_client_shows_no_secret() -> None:
    lines: list[str] = []
    client = pair_in(State.READY)[0]
    client = type(client)(client.role, trace=lines.append)
    feed(client, b"220 x\r\n")
    client.send(smtp.Ehlo("a"))
    feed(client, b"250-x\r\n250 AUTH LOGIN\r\n")
    lines.clear()
    client.send(smtp.Auth("PLAIN", b"hunter2"))
    feed(client, b"334 " + SECRET + b"\r\n")
    client.send(smtp.AuthResponse(b"hunter2"))
    feed(client, b"235 2.7.0 welcome\r\n")
    assert lines == [
        "C: AUTH PLAIN (secret)",
        "S: 334 (secret)",
        "C: (secret)",
        "S: 235 2.7.0 welcome",
    ]
