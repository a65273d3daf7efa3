"""The conversations of a client beside sending: open, single commands, quit."""

from collections.abc import Callable

import pytest

from cutting import every_cut
from driving import (
    MAIL_RCPT_DATA,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    Wait,
    answer,
    cut_short,
    octets_said,
    opened,
    play,
)
from smtp_pop_core import (
    CLIENT,
    ConnectionLost,
    Flow,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Connection, State

EHLO = Expect(b"EHLO me.example\r\n")
HELO = Expect(b"HELO me.example\r\n")
QUIT = Expect(b"QUIT\r\n")
GREETING = Say(b"220 mx.example\r\n")
OPENING: list[Step] = [
    Say(b"220-mx.example\r\n220 welcome\r\n"),
    EHLO,
    Say(b"250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n"),
]
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


# The greeting.


@pytest.mark.parametrize(
    "greeting", [b"220 mx\r\n", b"220\r\n", b"220-mx\r\n220-\r\n220 hello\r\n"]
)
def test_a_greeting_is_heard_however_it_is_cut(greeting: bytes) -> None:
    for cut in every_cut(greeting):
        conn = client()
        offers = play(
            smtp.open(conn), *map(Say, cut), EHLO, Say(b"250-mx\r\n250 X\r\n")
        )
        assert list(offers) == ["X"]
        assert conn.state is State.READY


@pytest.mark.parametrize(
    "answer",
    [[Say(b"221 bye\r\n")], [Say(b"500 what\r\n")], [Close()], [Say(b"x\r\n")]],
)
def test_a_greeting_that_is_a_no_is_rejected_after_quit(answer: list[Step]) -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), Say(b"554 no service\r\n"), QUIT, *answer)
    assert caught.value.command == smtp.Connect()
    assert caught.value.reply == smtp.Reply(554, ("no service",))
    assert conn.state is State.CLOSED


def test_a_refusal_is_rejected_though_quit_is_not_answered() -> None:
    conn, peer = client(), Peer(Say(b"554 no service\r\n"), QUIT)
    with pytest.raises(smtp.Rejected):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_after_a_greeting_of_421_nothing_is_said() -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), Say(b"421 busy\r\n"))
    assert caught.value.temporary
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+OK POP3\r\n",
        b"\x16\x03\x01\x02\x00\r\n",
        b"\r\n",
        b"220_mx\r\n",
        b"22 mx\r\n",
        b"120 mx\r\n",
        b"320 mx\r\n",
        b"354 mx\r\n",
        b"620 mx\r\n",
        b"220-mx\r\n221 mx\r\n",
        b"220 mx\n\r\n",
        b"220 m\0x\r\n",
        b"2" * 100_000,
        b"220-mx\r\n" * 1_001,
    ],
)
def test_what_is_no_greeting_ends_the_connection(greeting: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), Say(greeting))
    assert conn.state is State.CLOSED


def test_single_octets_do_not_push_the_deadline_of_the_greeting_back() -> None:
    conn = client()
    peer = Peer(*[step for _ in range(99) for step in (Wait(40), Say(b"2"))])
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_a_connection_is_opened_once() -> None:
    conn = opened()
    with pytest.raises(LocalProtocolError, match="no greeting is due in READY"):
        play(smtp.open(conn))
    assert conn.state is State.READY


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_go_away_at_any_octet_of_the_opening(octets: int) -> None:
    conn = client()
    with pytest.raises(ConnectionLost):
        play(smtp.open(conn), *cut_short(OPENING, octets, Close()))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(octets_said(OPENING)))
def test_a_server_may_fall_silent_at_any_octet_of_the_opening(octets: int) -> None:
    conn, peer = client(), Peer(*cut_short(OPENING, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(conn))
    assert peer.now == 300
    assert conn.state is State.CLOSED


def test_a_lost_connection_tells_the_last_reply() -> None:
    conn = client()
    with pytest.raises(ConnectionLost) as caught:
        play(smtp.open(conn), GREETING, Close())
    assert caught.value.last_reply == smtp.Reply(220, ("mx.example",))


def test_what_follows_the_greeting_is_no_answer_to_ehlo() -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), Say(b"220 mx\r\n250 mx\r\n"))
    assert conn.state is State.CLOSED


# EHLO and HELO.


@pytest.mark.parametrize("code", [500, 502, 504, 550])
def test_a_server_that_does_not_know_ehlo_gets_helo(code: int) -> None:
    conn = client()
    offers = play(
        smtp.open(conn),
        GREETING,
        EHLO,
        Say(b"%d what\r\n" % code),
        HELO,
        Say(b"250 mx\r\n"),
    )
    assert dict(offers) == {}
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("code", "state"), [(501, State.GREETED), (554, State.GREETED), (421, State.CLOSED)]
)
def test_any_other_no_to_ehlo_is_rejected(code: int, state: State) -> None:
    conn = client()
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), GREETING, EHLO, Say(b"%d no\r\n" % code))
    assert caught.value.command == smtp.Ehlo("me.example")
    assert caught.value.reply.code == code
    assert conn.state is state


@pytest.mark.parametrize("code", [500, 504, 550, 421])
def test_a_no_to_helo_is_rejected(code: int) -> None:
    conn = client()
    steps: list[Step] = [
        GREETING,
        EHLO,
        Say(b"502 no\r\n"),
        HELO,
        Say(b"%d no\r\n" % code),
    ]
    with pytest.raises(smtp.Rejected) as caught:
        play(smtp.open(conn), *steps)
    assert caught.value.command == smtp.Helo("me.example")


@pytest.mark.parametrize("reply", [b"354 go\r\n", b"150 x\r\n", b"x\r\n"])
def test_an_answer_to_ehlo_that_is_none_ends_the_connection(reply: bytes) -> None:
    conn = client()
    with pytest.raises(RemoteProtocolError):
        play(smtp.open(conn), GREETING, EHLO, Say(reply))
    assert conn.state is State.CLOSED


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


def test_the_bounds_of_a_reply_are_limits() -> None:
    limits = Limits(reply_lines=2, reply_line=512)
    conn = Connection(CLIENT, domain="me.example", limits=limits)
    greeting = b"220-" + b"x" * 506 + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="too many lines"):
        play(smtp.open(conn), Say(greeting * 3))
