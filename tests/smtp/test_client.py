"""The conversations of a client beside open and sending: single commands, quit."""

from collections.abc import Callable

import pytest

from driving import (
    MAIL_RCPT_DATA,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    answer,
    opened,
    play,
)
from smtp_pop_core import (
    CLIENT,
    ConnectionLost,
    Flow,
    LocalProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Connection, State

QUIT = Expect(b"QUIT\r\n")
COMMANDS: list[tuple[Callable[[Connection], Flow[object]], bytes, smtp.Command]] = [
    (lambda conn: smtp.verify(conn, "joe"), b"VRFY joe\r\n", smtp.Vrfy("joe")),
    (lambda conn: smtp.expand(conn, "list"), b"EXPN list\r\n", smtp.Expn("list")),
    (lambda conn: smtp.help(conn, "MAIL"), b"HELP MAIL\r\n", smtp.Help("MAIL")),
    (smtp.help, b"HELP\r\n", smtp.Help()),
    (smtp.noop, b"NOOP\r\n", smtp.Noop()),
    (smtp.reset, b"RSET\r\n", smtp.Rset()),
]


def client() -> Connection:
    return Connection(CLIENT, domain="me.example")


# Single commands.


@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_a_command_returns_its_reply(
    flow: Callable[[Connection], Flow[object]], wire: bytes, command: smtp.Command
) -> None:
    reply = play(flow(opened()), Expect(wire), Say(b"250-a\r\n250 b\r\n"))
    assert reply == smtp.Reply(250, ("a", "b"))


@pytest.mark.parametrize("code", [450, 550])
@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_a_no_to_a_command_is_rejected_and_the_session_goes_on(
    flow: Callable[[Connection], Flow[object]],
    wire: bytes,
    command: smtp.Command,
    code: int,
) -> None:
    conn = opened()
    with pytest.raises(smtp.Rejected) as caught:
        play(flow(conn), Expect(wire), Say(b"%d no\r\n" % code))
    assert caught.value.command == command
    assert caught.value.reply == smtp.Reply(code, ("no",))
    assert caught.value.temporary is (code == 450)
    play(smtp.noop(conn), Expect(b"NOOP\r\n"), Say(b"250 ok\r\n"))


@pytest.mark.parametrize("code", [251, 252])
def test_251_and_252_to_vrfy_are_no_refusals(code: int) -> None:
    flow = smtp.verify(opened(), "joe")
    reply = play(flow, Expect(b"VRFY joe\r\n"), Say(b"%d ok\r\n" % code))
    assert reply.code == code


def test_a_name_beyond_ascii_is_verified_with_smtputf8() -> None:
    flow = smtp.verify(opened("SMTPUTF8"), "jö", smtputf8=True)
    play(flow, Expect("VRFY jö SMTPUTF8\r\n".encode()), Say(b"250 ok\r\n"))


def test_without_the_offer_nothing_is_sent_with_smtputf8() -> None:
    conn = opened()
    with pytest.raises(LocalProtocolError):
        play(smtp.expand(conn, "liste", smtputf8=True))
    assert conn.state is State.READY


@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_no_command_follows_a_lost_connection(
    flow: Callable[[Connection], Flow[object]], wire: bytes, command: smtp.Command
) -> None:
    conn = opened()
    with pytest.raises(ConnectionLost):
        play(flow(conn), Expect(wire), Close())
    assert conn.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        play(flow(conn))


# QUIT.


@pytest.mark.parametrize("code", [221, 250, 500, 421])
def test_quit_returns_the_reply_and_closes(code: int) -> None:
    conn = opened()
    reply = play(smtp.quit(conn), QUIT, Say(b"%d bye\r\n" % code), Close())
    assert reply == smtp.Reply(code, ("bye",))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "answer",
    [[Close()], [Say(b"22"), Close()], [Say(b"hm\r\n")], [Say(b"354 go\r\n")]],
)
def test_a_quit_without_a_reply_is_no_error(answer: list[Step]) -> None:
    conn = opened()
    assert play(smtp.quit(conn), QUIT, *answer) is None
    assert conn.state is State.CLOSED


def test_a_server_that_does_not_answer_quit_is_left_in_the_end() -> None:
    conn, peer = opened(), Peer(QUIT)
    assert Driver(peer).run(smtp.quit(conn)) is None
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_quit_says_nothing_where_it_may_not_be_said() -> None:
    closed, asked = opened(), opened()
    closed.close()
    asked.send(smtp.Noop())
    for conn in (client(), closed, asked):
        assert play(smtp.quit(conn)) is None
        assert conn.state is State.CLOSED


def test_quit_does_not_break_into_content() -> None:
    conn = answer(opened(), MAIL_RCPT_DATA)
    assert play(smtp.quit(conn)) is None
    assert conn.state is State.CLOSED
