import weakref
from collections.abc import Callable
from typing import Any

import pytest

from cutting import every_cut, octets
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    Role,
    smtp,
)
from smtp_pop_core.smtp import Connection, Reply, State
from smtp_talk import (
    EXTENSIONS,
    client_in,
    codes,
    drain,
    feed,
    pair_in,
    ready_client,
    ready_server,
    said_by_server,
    server_in,
    talk,
)

MAIL = smtp.Mail("a@b.example")
RCPT = smtp.Rcpt("c@d.example")
DATA = smtp.Data()
END = smtp.EndOfMessage()


def snapshot(conn: Connection) -> tuple[Any, ...]:
    """All that can be seen of a connection."""
    return (
        *(conn.state, conn.unanswered, conn.recipients, conn.last_reply),
        *(dict(conn.extensions), conn.tls, conn.authenticated, conn.trailing_data),
    )


# A whole session


SESSION = (
    b"EHLO me.example\r\nMAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\n"
    b"RCPT TO:<no one>\r\nDATA\r\n.\r\n..a\r\n.\r\n..\r\n.b\r\n.\r\nNOOP\r\nFROB\r\n"
    b"RSET\r\nQUIT\r\nafter"
)


def test_a_session_is_the_same_however_it_is_cut() -> None:
    outcomes = []
    for cut in every_cut(SESSION):
        server = Connection(SERVER, domain="mx.example")
        events, replies = said_by_server(server, cut)
        outcomes.append((events, replies, server.trailing_data))
        assert server.state is State.CLOSED
    events, replies, trailing = outcomes[0]
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert codes(replies) == [
        *(220, 250, 250, 250, 501, 354, 250),  # an empty message
        *(500, 500, 500, 500, 500, 250, 500, 250, 221),
    ]
    assert events[-1] == ConnectionClosed()
    assert trailing == b"after"


# Before the first octet


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("domain", ["", "a b", "a\r\nb", "192.0.2.1]", "é.example"])
def test_our_own_name_is_a_domain_or_a_literal(role: Any, domain: str) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        Connection(role, domain=domain)


def test_a_server_greets_before_it_reads() -> None:
    """RFC 5321 section 4.3.1; what has come already waits."""
    server = Connection(SERVER, domain="[192.0.2.1]")
    server.receive_data(b"EHLO me.example\r\n")
    assert server.next_event() == smtp.Connect()
    assert server.next_event() is PAUSED
    assert server.send(server.default_reply(smtp.Connect())) == (
        b"220 [192.0.2.1] ESMTP\r\n"
    )
    assert server.next_event() == smtp.Ehlo("me.example")


def test_a_greeting_can_be_said_before_it_is_asked_for() -> None:
    server = Connection(SERVER)
    assert server.unanswered == (smtp.Connect(),)
    server.send(Reply(220))
    assert server.next_event() is NEED_DATA


def test_a_client_says_nothing_before_the_greeting() -> None:
    client = Connection(CLIENT)
    assert client.next_event() is NEED_DATA
    with pytest.raises(LocalProtocolError):
        client.send(smtp.Ehlo("me.example"))


@pytest.mark.parametrize("code", [421, 450, 554])
def test_a_refused_client_can_only_quit(code: int) -> None:
    """RFC 5321 section 3.1."""
    client, server = Connection(CLIENT), Connection(SERVER)
    talk(client, server, smtp.Connect(), code)
    expected = State.CLOSED if code == 421 else State.REFUSED
    assert client.state is server.state is expected
    for command in (smtp.Ehlo("a"), MAIL, smtp.Noop(), smtp.Rset()):
        with pytest.raises(LocalProtocolError):
            client.send(command)


def test_a_refused_client_hears_503_to_all_but_quit() -> None:
    """RFC 5321 section 3.1."""
    server = server_in(State.REFUSED)
    _, replies = said_by_server(server, [b"EHLO a\r\nNOOP\r\nMAIL FROM:<>\r\nQUIT\r\n"])
    assert codes(replies) == [503, 503, 503, 221]


# The end of the peer's data


@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_the_end_is_told_once(role: Any) -> None:
    client, server = pair_in(State.READY)
    conn = client if role is CLIENT else server
    assert feed(conn, b"") == [ConnectionClosed()]
    assert conn.state is State.CLOSED
    assert conn.next_event() is NEED_DATA
    conn.receive_data(b"")
    assert conn.next_event() is NEED_DATA


def test_no_data_can_follow_the_end() -> None:
    server = ready_server()
    server.receive_data(b"")
    with pytest.raises(LocalProtocolError):
        server.receive_data(b"NOOP\r\n")
    assert server.trailing_data == b""


@pytest.mark.parametrize("data", ["NOOP\r\n", "", None, 5, [1, 2]])
def test_what_is_received_are_octets(data: object) -> None:
    server = ready_server()
    with pytest.raises(TypeError):
        server.receive_data(data)  # type: ignore[arg-type]  # that is the point
    assert feed(server, b"NOOP\r\n") == [smtp.Noop()]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_octets_may_be_in_any_buffer(kind: Callable[[bytes], Any]) -> None:
    for data in (b"NOOP\r\n", b"x" * 13_000 + b"\r\nNOOP\r\n"):
        _, replies = said_by_server(ready_server(), [kind(data), kind(b"NOOP\r\n")])
        assert codes(replies)[-2:] == [250, 250]


def test_what_was_complete_comes_before_the_end() -> None:
    server = ready_server()
    server.receive_data(b"NOOP\r\nNOOP\r\nNOO")
    server.receive_data(b"")
    assert server.next_event() == smtp.Noop()
    assert server.next_event() is PAUSED
    server.send(Reply(250))
    assert server.next_event() == smtp.Noop()
    server.send(Reply(250))
    assert server.next_event() == ConnectionClosed()
    assert server.trailing_data == b"NOO"


def test_a_lost_connection_leaves_commands_unanswered() -> None:
    client = ready_client()
    for command in (MAIL, RCPT, DATA):
        client.send(command)
    assert feed(client, b"250 x\r\n550-x\r\n") == [Reply(250, ("x",))]
    assert feed(client, b"") == [ConnectionClosed()]
    assert client.unanswered == (RCPT, DATA)
    assert client.last_reply == Reply(250, ("x",))


@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_the_peer_may_go_instead_of_a_handshake(role: Any) -> None:
    client, server = pair_in(State.TLS)
    conn = client if role is CLIENT else server
    assert conn.next_event() is PAUSED
    assert feed(conn, b"") == [ConnectionClosed()]
    with pytest.raises(LocalProtocolError):
        conn.begin_tls()


# Closing


@pytest.mark.parametrize(
    "state", [state for state in State if state is not State.CLOSED]
)
def test_a_closed_connection_says_and_hears_nothing(state: State) -> None:
    for conn in pair_in(state):
        conn.close()
        assert conn.state is State.CLOSED
        assert drain(conn) == [ConnectionClosed()]
        assert drain(conn) == []
        before = snapshot(conn)
        for event in (smtp.Noop(), smtp.Quit(), MessageData(b"x"), Reply(250)):
            with pytest.raises(LocalProtocolError):
                conn.send(event)
        assert snapshot(conn) == before


@pytest.mark.parametrize("code", [250, 354, 450, 550])
def test_a_closed_server_does_not_answer_what_was_asked_before(code: int) -> None:
    server = ready_server()
    assert feed(server, b"MAIL FROM:<>\r\n") == [smtp.Mail("")]
    server.close()
    with pytest.raises(LocalProtocolError):
        server.send(Reply(code))
    assert server.state is State.CLOSED
    assert server.unanswered == (smtp.Mail(""),)


def test_after_quit_nothing_is_understood() -> None:
    """RFC 5321 section 4.1.1.10."""
    events, replies = said_by_server(ready_server(), [b"QUIT\r\nNOOP\r\n"])
    assert codes(replies) == [221]
    assert events == [smtp.Quit(), ConnectionClosed()]


@pytest.mark.parametrize("state", State)
def test_421_closes_both_sides(state: State) -> None:
    client, server = pair_in(state)
    wire = server.send(Reply(421))
    assert server.state is State.CLOSED
    read = [event for event in feed(client, wire) if isinstance(event, Reply)]
    assert codes(read) == ([] if state in (State.TLS, State.CLOSED) else [421])


# What a side cannot say


WRONG: list[object] = [None, "NOOP", b"NOOP\r\n", 5, smtp.State.READY, PAUSED]


@pytest.mark.parametrize("event", [*WRONG, smtp.Connect(), Reply(250)])
def test_a_client_sends_commands_and_content(event: Any) -> None:
    client = ready_client()
    before = snapshot(client)
    with pytest.raises(LocalProtocolError):
        client.send(event)
    assert snapshot(client) == before


@pytest.mark.parametrize("event", [*WRONG, smtp.Noop(), MessageData(b"x")])
def test_a_server_sends_replies(event: Any) -> None:
    server = ready_server()
    feed(server, b"NOOP\r\n")
    before = snapshot(server)
    with pytest.raises(LocalProtocolError):
        server.send(event)
    assert snapshot(server) == before
    server.send(Reply(250))


def test_a_client_never_sends_a_bad_command() -> None:
    client = ready_client()
    with pytest.raises(LocalProtocolError):
        client.send(smtp.BadCommand(b"FROB", Reply(500)))


class Frob(smtp.Command):
    """A command that no connection knows."""


REFUSED_COMMANDS: list[tuple[State, smtp.Command | MessageData]] = [
    (State.READY, RCPT),
    (State.READY, END),
    (State.READY, MessageData(b"x")),
    (State.READY, smtp.AuthResponse(b"")),
    (State.READY, smtp.Noop("x" * 600)),
    (State.READY, smtp.Auth("PLAIN", b"x" * 12_000)),
    (State.READY, smtp.Mail("", extra=(("X", None),))),
    (State.READY, Frob()),
    (State.MAIL, MAIL),
    (State.MAIL, smtp.StartTls()),
    (State.MAIL, smtp.Rcpt("é@b.example")),  # MAIL had no SMTPUTF8
    (State.DATA, smtp.Rset()),
    (State.DATA, MessageData(b"a\rb")),
    (State.DATA, MessageData(b"a\nb")),
    (State.AUTH, smtp.Rset()),
    (State.AUTH, smtp.AuthResponse(b"x" * 10_000)),
    (State.TLS, smtp.Ehlo("a")),
]


@pytest.mark.parametrize(("state", "event"), REFUSED_COMMANDS)
def test_what_cannot_be_sent_leaves_everything_as_it_was(
    state: State, event: smtp.Command | MessageData
) -> None:
    client = client_in(state)
    before = snapshot(client)
    with pytest.raises(LocalProtocolError):
        client.send(event)
    assert snapshot(client) == before
    following: dict[State, tuple[smtp.Command, bytes]] = {
        State.READY: (smtp.Noop(), b"NOOP\r\n"),
        State.MAIL: (RCPT, b"RCPT TO:<c@d.example>\r\n"),
        State.DATA: (END, b".\r\n"),
        State.AUTH: (smtp.AuthResponse(None), b"*\r\n"),
    }
    command, wire = following.get(state, (smtp.Noop(), b""))
    assert not wire or client.send(command) == wire


REFUSED_REPLIES = [
    # what the client said, and a reply that does not fit it
    (State.READY, b"NOOP\r\n", Reply(354)),
    (State.READY, b"NOOP\r\n", Reply(250, ("x" * 600,))),
    (State.READY, b"FROB\r\n", Reply(250)),
    (State.READY, b"MAIL FROM:<>\r\n", Reply(334)),
    (State.RCPT, b"DATA\r\n", Reply(250)),
    (State.DATA, b"a\r\n.\r\n", Reply(354)),
    (State.DATA, b"a\rb\r\n.\r\n", Reply(250)),  # it must be refused
    (State.READY, b"", Reply(250)),
    (State.READY, b"", Reply(550)),
    (State.DATA, b"", Reply(250)),
    (State.TLS, b"", Reply(250)),
]


@pytest.mark.parametrize(("state", "said", "reply"), REFUSED_REPLIES)
def test_a_reply_that_does_not_fit_leaves_everything_as_it_was(
    state: State, said: bytes, reply: Reply
) -> None:
    server = server_in(state)
    if said:
        feed(server, said)
    before = snapshot(server)
    with pytest.raises(LocalProtocolError):
        server.send(reply)
    assert snapshot(server) == before
    server.send(Reply(421))


def test_content_with_a_bare_cr_at_its_end_is_not_ended() -> None:
    client = client_in(State.DATA)
    assert client.send(MessageData(b"a\r")) == b"a"
    with pytest.raises(LocalProtocolError):
        client.send(END)
    assert client.send(MessageData(b"\n")) == b"\r\n"
    assert client.send(END) == b".\r\n"


def test_content_is_completed_with_a_line_end() -> None:
    """RFC 5321 section 4.1.1.4."""
    client = client_in(State.DATA)
    assert client.send(MessageData(b".a")) == b"..a"
    assert client.send(MessageData(b"")) == b""
    assert client.send(END) == b"\r\n.\r\n"


# Replies


def test_a_reply_knows_what_it_answers() -> None:
    client = ready_client()
    for command in (MAIL, RCPT):
        client.send(command)
    replies = feed(client, b"250 x\r\n550-x\r\n550 y\r\n")
    assert [reply.command for reply in replies if isinstance(reply, Reply)] == [
        MAIL,
        RCPT,
    ]
    [closing] = [each for each in feed(client, b"421 x\r\n") if isinstance(each, Reply)]
    assert closing.command is None
    assert client.last_reply is closing


def test_several_replies_are_not_one_of_several_lines() -> None:
    """RFC 2920 section 3.1."""
    for cut in every_cut(b"250-a\r\n250 b\r\n250 c\r\n"):
        client = ready_client()
        client.send(MAIL)
        client.send(RCPT)
        assert [reply for piece in cut for reply in feed(client, piece)] == [
            Reply(250, ("a", "b")),
            Reply(250, ("c",)),
        ]


@pytest.mark.parametrize("wire", [b"552 x\r\n", b"421 x\r\n"])
def test_a_server_may_refuse_content_before_its_end(wire: bytes) -> None:
    client = client_in(State.DATA)
    client.send(MessageData(b"a\r\n"))
    [reply, closed] = feed(client, wire)
    assert isinstance(reply, Reply)
    assert reply.command == END
    assert closed == ConnectionClosed()
    with pytest.raises(LocalProtocolError):
        client.send(MessageData(b"b\r\n"))


def test_a_broken_reply_is_quoted_in_the_error() -> None:
    client = ready_client()
    with pytest.raises(RemoteProtocolError) as caught:
        feed(client, b"HTTP/1.1 400 Bad Request\r\nHost: x\r\n")
    assert caught.value.line == b"HTTP/1.1 400 Bad Request"
    assert client.trailing_data == b"Host: x\r\n"
    assert drain(client) == [ConnectionClosed()]


def test_what_nobody_asked_for_is_no_answer_to_the_next_command() -> None:
    client = ready_client()
    with pytest.raises(RemoteProtocolError, match="250 answers nothing"):
        feed(client, b"250 ok\r\n")
    with pytest.raises(LocalProtocolError):
        client.send(MAIL)


def test_a_client_forgets_the_extensions_at_helo() -> None:
    client, server = pair_in(State.READY)
    talk(client, server, smtp.Helo("me.example"), 250)
    assert not client.extensions
    assert not server.extensions
    with pytest.raises(LocalProtocolError):
        client.send(smtp.Mail("", size=5))


def test_a_refused_ehlo_leaves_the_extensions() -> None:
    """RFC 5321 section 4.1.4."""
    client, server = pair_in(State.RCPT)
    offered = dict(client.extensions)
    feed(server, client.send(smtp.Ehlo("x.example")))
    feed(client, server.send(Reply(550)))
    assert dict(client.extensions) == dict(server.extensions) == offered
    assert client.state is server.state is State.RCPT


def test_begin_tls_forgets_the_extensions_on_both_sides() -> None:
    """RFC 3207 section 4.2."""
    for conn in pair_in(State.TLS):
        conn.begin_tls()
        assert conn.tls
        assert not conn.extensions
        assert conn.state is State.GREETED


@pytest.mark.parametrize("state", [state for state in State if state is not State.TLS])
def test_begin_tls_needs_220(state: State) -> None:
    for conn in pair_in(state):
        before = snapshot(conn)
        with pytest.raises(LocalProtocolError):
            conn.begin_tls()
        assert snapshot(conn) == before


def test_a_connection_can_begin_inside_tls() -> None:
    server = server_in(State.READY, tls=True)
    assert server.tls
    assert "STARTTLS" not in server.extensions
    _, [reply] = said_by_server(server, [b"STARTTLS\r\n"])
    assert reply.code == 503


# The end of a transaction


@pytest.mark.parametrize("command", [b"RSET", b"EHLO x.example", b"HELO x.example"])
def test_a_transaction_is_forgotten(command: bytes) -> None:
    server = server_in(State.RCPT)
    _, replies = said_by_server(server, [command + b"\r\nRCPT TO:<a@b>\r\nDATA\r\n"])
    assert codes(replies) == [250, 503, 503]
    assert server.recipients == 0


@pytest.mark.parametrize(
    "command", [b"NOOP", b"VRFY x", b"EXPN x", b"HELP", b"MAIL FROM:<>", b"EHLO", b"X"]
)
def test_a_transaction_is_not_disturbed(command: bytes) -> None:
    """RFC 5321 sections 4.1.1.6 to 4.1.1.9 and 4.1.4."""
    server = server_in(State.RCPT)
    _, replies = said_by_server(server, [command + b"\r\nDATA\r\n"])
    assert codes(replies)[1] == 354
    assert server.recipients == 1


def test_nothing_is_left_of_a_message_that_was_answered() -> None:
    """RFC 5321 section 4.1.1.4."""
    server = server_in(State.DATA)
    _, replies = said_by_server(server, [b".\r\nDATA\r\nRCPT TO:<a@b>\r\n"])
    assert codes(replies) == [250, 503, 503]


# SMTPUTF8


UTF8_CASES = [
    ("MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<é@b>\r\n", [250, 250]),
    ("MAIL FROM:<a@b>\r\nRCPT TO:<é@b>\r\n", [250, 553]),  # RFC 6531 section 3.5
    ("MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<é..é@b>\r\n", [250, 501]),
    (
        "MAIL FROM:<a@b> SMTPUTF8\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<é@b>\r\n",
        [250, 250, 250, 553],
    ),
]


@pytest.mark.parametrize(("said", "expected"), UTF8_CASES)
def test_a_non_ascii_recipient_needs_smtputf8(said: str, expected: list[int]) -> None:
    for cut in every_cut(said.encode("utf-8")):
        _, replies = said_by_server(ready_server(), cut)
        assert codes(replies) == expected


def test_a_client_sends_a_non_ascii_recipient_after_smtputf8() -> None:
    client = ready_client()
    client.send(smtp.Mail("", smtputf8=True))
    assert client.send(smtp.Rcpt("é@b")) == "RCPT TO:<é@b>\r\n".encode()


# Limits


@pytest.mark.parametrize("length", [513, 12_287, 12_288, 12_289, 30_000])
def test_a_line_that_is_too_long_is_answered_once(length: int) -> None:
    """RFC 5321 section 4.5.3.1.4; the next command is in step."""
    wire = b"NOOP " + b"x" * (length - 7) + b"\r\nNOOP\r\n"
    cuts = [(wire[:at], wire[at:]) for at in (1, 511, 512, 513, length - 1, length)]
    for cut in ((wire,), octets(wire), *cuts):
        _, replies = said_by_server(ready_server(), cut)
        assert codes(replies) == [500, 250]


def test_a_command_of_512_octets_is_read() -> None:
    wire = b"NOOP " + b"x" * 505 + b"\r\n"
    assert len(wire) == 512
    for cut in (wire,), octets(wire):
        [event], _ = said_by_server(ready_server(), cut)
        assert event == smtp.Noop("x" * 505)


@pytest.mark.parametrize(("over", "code"), [(0, 501), (1, 500)])
def test_a_response_may_be_as_long_as_its_limit(over: int, code: int) -> None:
    """RFC 4954 section 4."""
    server = server_in(State.AUTH, limits=Limits(auth_line=600))
    wire = b"A" * (598 + over) + b"\r\nNOOP\r\n"
    _, replies = said_by_server(server, [wire])
    assert codes(replies) == [code, 250]
    assert server.state is State.READY


def test_recipients_that_were_refused_do_not_count() -> None:
    server = server_in(State.MAIL, limits=Limits(recipients=1))
    feed(server, b"RCPT TO:<a@b>\r\n")
    server.send(Reply(550))
    _, replies = said_by_server(server, [b"RCPT TO:<a@b>\r\n" * 2 + b"DATA\r\n"])
    assert codes(replies) == [250, 452, 354]


def test_messages_have_a_limit() -> None:
    server = ready_server(limits=Limits(messages=2))
    message = b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n"
    events, replies = said_by_server(server, [message * 3])
    assert codes(replies) == [250, 250, 354, 250] * 2 + [421]
    assert events[-1] == ConnectionClosed()


BAD_LINES = [b"FROB", b"EHLO", b"NOOP " + b"x" * 600, b"x" * 13_000, b"MAIL FROM:<> X"]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:12].decode())
def test_bad_commands_have_a_limit(line: bytes) -> None:
    server = ready_server(limits=Limits(bad_commands=2))
    events, replies = said_by_server(server, [(line + b"\r\n") * 4])
    assert [code >= 500 for code in codes(replies)] == [True, True, False]
    assert codes(replies)[2] == 421
    assert events[-1] == ConnectionClosed()


def test_commands_out_of_order_do_not_count_as_bad() -> None:
    """A client that pipelines sends them after a refusal."""
    server = ready_server(limits=Limits(bad_commands=1))
    _, replies = said_by_server(server, [b"RCPT TO:<a@b>\r\n" * 9])
    assert codes(replies) == [503] * 9


def test_bad_lines_of_an_authentication_count_as_well() -> None:
    server = server_in(State.AUTH, limits=Limits(bad_commands=1))
    _, replies = said_by_server(server, [b"*a\r\nFROB\r\n"])
    assert codes(replies) == [501, 421]


# What a server says without being told


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize(
    "event", [Reply(250), MessageData(b""), ConnectionClosed(), NEED_DATA, PAUSED]
)
def test_only_a_server_has_replies_and_only_to_commands(role: Any, event: Any) -> None:
    with pytest.raises(LocalProtocolError):
        Connection(role).default_reply(event)
    with pytest.raises(LocalProtocolError):
        Connection(CLIENT).default_reply(smtp.Noop())


def test_enhanced_codes_are_written_without_ehlo() -> None:
    """RFC 2034 section 4."""
    server = server_in(State.GREETED)
    feed(server, b"NOOP\r\n")
    assert server.send(Reply(250, ("x",))) == b"250 2.0.0 x\r\n"


def test_a_server_without_extensions_says_so() -> None:
    server = Connection(SERVER, domain="mx.example", extensions=[])
    said_by_server(server, [b"EHLO a\r\n"])
    assert server.last_reply == Reply(250, ("mx.example",))
    feed(server, b"NOOP\r\n")
    assert server.send(Reply(250, ("x",))) == b"250 x\r\n"


def test_the_offer_that_was_sent_is_the_offer_that_holds() -> None:
    server = server_in(State.GREETED, extensions=EXTENSIONS)
    feed(server, b"EHLO a\r\n")
    server.send(Reply(250, ("mx.example", "SIZE 10")))
    assert list(server.extensions) == ["SIZE"]
    _, replies = said_by_server(server, [b"STARTTLS\r\nMAIL FROM:<> SMTPUTF8\r\n"])
    assert codes(replies) == [502, 555]


def test_a_greeting_that_was_not_asked_for_is_told_of_no_more() -> None:
    conn = smtp.Connection(SERVER)
    conn.send(Reply(220))
    conn.receive_data(b"EHLO me.example\r\n")
    assert conn.next_event() == smtp.Ehlo("me.example")
    assert conn.next_event() is PAUSED


@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_what_cannot_be_sent_is_not_shown(role: Role) -> None:
    conn = smtp.Connection(role)
    with pytest.raises(LocalProtocolError) as error:
        conn.send(b"AUTH PLAIN hunter2")  # type: ignore[arg-type]  # that is the point
    assert "hunter2" not in str(error.value)


def test_a_connection_can_be_referred_to_weakly() -> None:
    conn = smtp.Connection(SERVER)
    assert weakref.ref(conn)() is conn
    assert not hasattr(conn, "__dict__")
