"""The conversations of a client after its login, beside fetching."""

from collections.abc import Callable

import pytest

from cutting import every_cut
from driving import Close, Driver, Expect, Peer, Say, Step, play
from fetching import ask, client, greeted, logged_in
from smtp_pop_core import (
    ConnectionLost,
    Flow,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    pop3,
)
from smtp_pop_core.pop3 import ERR, OK, Connection, Language, Listed, Response, State

LIST = ask("LIST", "+OK 2 messages", "1 120", "2 200", ".")
UIDL = ask("UIDL", "+OK", "1 whqtswO00WBw418f9t5JxYwZ", "2 QhdPYR:00WBw1Ph7x7", ".")
COMMANDS: list[tuple[Callable[[Connection], Flow[object]], str, pop3.Command]] = [
    (pop3.status, "STAT", pop3.Stat()),
    (pop3.sizes, "LIST", pop3.List()),
    (pop3.unique_ids, "UIDL", pop3.Uidl()),
    (pop3.messages, "LIST", pop3.List()),
    (pop3.reset, "RSET", pop3.Rset()),
    (pop3.noop, "NOOP", pop3.Noop()),
    (pop3.languages, "LANG", pop3.Lang()),
    (lambda conn: pop3.language(conn, "de"), "LANG de", pop3.Lang("de")),
    (lambda conn: pop3.retrieve(conn, 1), "RETR 1", pop3.Retr(1)),
    (lambda conn: pop3.top(conn, 1, 0), "TOP 1 0", pop3.Top(1, 0)),
    (lambda conn: pop3.fetch(conn, 1), "RETR 1", pop3.Retr(1)),
]


# What a server says of its messages.


@pytest.mark.parametrize("line", ["+OK 2 320", "+OK 2 320 extra words"])
def test_a_server_tells_how_many_messages_there_are(line: str) -> None:
    flow = pop3.status(logged_in())
    assert play(flow, *ask("STAT", line)) == pop3.Totals(2, 320)


def test_a_server_tells_the_sizes_of_its_messages() -> None:
    assert play(pop3.sizes(logged_in()), *LIST) == {1: 120, 2: 200}


def test_a_server_tells_the_unique_ids_of_its_messages() -> None:
    assert play(pop3.unique_ids(logged_in()), *UIDL) == {
        1: "whqtswO00WBw418f9t5JxYwZ",
        2: "QhdPYR:00WBw1Ph7x7",
    }


def test_sizes_and_unique_ids_are_put_together() -> None:
    assert play(pop3.messages(logged_in()), *LIST, *UIDL) == (
        Listed(1, 120, "whqtswO00WBw418f9t5JxYwZ"),
        Listed(2, 200, "QhdPYR:00WBw1Ph7x7"),
    )


def test_a_listing_may_be_cut_in_any_way() -> None:
    for cut in every_cut(b"+OK\r\n1 120\r\n2 200\r\n.\r\n"):
        found = play(pop3.sizes(logged_in()), Expect(b"LIST\r\n"), *map(Say, cut))
        assert found == {1: 120, 2: 200}


def test_a_maildrop_may_be_empty() -> None:
    conn = logged_in()
    steps = [*ask("LIST", "+OK", "."), *ask("UIDL", "+OK", ".")]
    assert play(pop3.messages(conn), *steps) == ()
    assert play(pop3.sizes(conn), *ask("LIST", "+OK", ".")) == {}
    assert play(pop3.unique_ids(conn), *ask("UIDL", "+OK", ".")) == {}
    assert play(pop3.status(conn), *ask("STAT", "+OK 0 0")) == pop3.Totals(0, 0)


def test_the_order_is_that_of_the_sizes() -> None:
    """SEC-DOS-POP-f: nothing says that listings are in order, or have no gaps."""
    steps = [
        *ask("LIST", "+OK", "5 50", "2 20", "."),
        *ask("UIDL", "+OK", "2 b", "5 e", "."),
    ]
    assert play(pop3.messages(logged_in()), *steps) == (
        Listed(5, 50, "e"),
        Listed(2, 20, "b"),
    )


def test_two_messages_may_have_one_unique_id() -> None:
    """RFC 1939 section 7: identical copies may."""
    flow = pop3.messages(logged_in())
    found = play(flow, *LIST, *ask("UIDL", "+OK", "1 same", "2 same", "."))
    assert found == (Listed(1, 120, "same"), Listed(2, 200, "same"))


@pytest.mark.parametrize("line", ["-ERR", "-ERR unknown command"])
def test_without_uidl_messages_have_no_unique_id(line: str) -> None:
    """RFC 1939 section 7: the command is optional."""
    conn = logged_in()
    found = play(pop3.messages(conn), *LIST, *ask("UIDL", line))
    assert found == (Listed(1, 120), Listed(2, 200))
    assert conn.state is State.TRANSACTION


@pytest.mark.parametrize(
    "ids", [[], ["1 a"], ["1 a", "3 c"], ["1 a", "2 b", "3 c"], ["01 a", "3 b"]]
)
def test_listings_that_disagree_end_the_connection(ids: list[str]) -> None:
    """Nobody knows which message a number then stands for."""
    conn = logged_in()
    with pytest.raises(RemoteProtocolError, match="do not name the same messages"):
        play(pop3.messages(conn), *LIST, *ask("UIDL", "+OK", *ids, "."))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("flow", "command", "answer"),
    [
        (pop3.status, "STAT", "+OK\r\n"),
        (pop3.status, "STAT", "+OK x y\r\n"),
        (pop3.status, "STAT", "+OK 1\r\n"),
        (pop3.status, "STAT", "+OK -1 5\r\n"),
        (pop3.status, "STAT", f"+OK {'9' * 4_000} 1\r\n"),
        (pop3.sizes, "LIST", "+OK\r\n-1 10\r\n.\r\n"),
        (pop3.sizes, "LIST", "+OK\r\n0 10\r\n.\r\n"),
        (pop3.sizes, "LIST", "+OK\r\n2 5\r\n1 5\r\n1 6\r\n.\r\n"),
        (pop3.sizes, "LIST", "+OK\r\nx\r\n.\r\n"),
        (pop3.unique_ids, "UIDL", "+OK\r\n1\r\n.\r\n"),
        (pop3.unique_ids, "UIDL", f"+OK\r\n1 {'x' * 5_000}\r\n.\r\n"),
        (pop3.unique_ids, "UIDL", "+OK\r\n1 a b\r\n.\r\n"),
        (pop3.noop, "NOOP", "+\r\n"),
        (pop3.noop, "NOOP", "+OKAY\r\n"),
        (pop3.noop, "NOOP", "250 ok\r\n"),
        (pop3.noop, "NOOP", "\r\n"),
        (pop3.noop, "NOOP", "+OK a\rb\r\n"),
        (pop3.noop, "NOOP", "+OK " + "x" * 100_000),
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(
    flow: Callable[[Connection], Flow[object]], command: str, answer: str
) -> None:
    conn = logged_in()
    with pytest.raises(RemoteProtocolError):
        play(flow(conn), Expect(f"{command}\r\n".encode()), Say(answer.encode()))
    assert conn.state is State.CLOSED


def test_a_huge_size_is_only_a_number() -> None:
    """SEC-DOS-POP-e."""
    flow = pop3.sizes(logged_in())
    assert play(flow, *ask("LIST", "+OK", "1 99999999999999999999", ".")) == {
        1: 99_999_999_999_999_999_999
    }


def test_a_listing_without_end_is_bounded() -> None:
    """SEC-DOS-POP-a."""
    conn = logged_in(limits=Limits(listing=1_000))
    lines = [Say(b"%d 1\r\n" % number) for number in range(1, 1_000)]
    with pytest.raises(RemoteProtocolError, match="longer than 1000 octets"):
        play(pop3.sizes(conn), *ask("LIST", "+OK"), *lines)
    assert conn.state is State.CLOSED


# Single commands.


@pytest.mark.parametrize(("flow", "wire"), [(pop3.reset, "RSET"), (pop3.noop, "NOOP")])
def test_a_command_returns_its_response(
    flow: Callable[[Connection], Flow[Response]], wire: str
) -> None:
    assert play(flow(logged_in()), *ask(wire, "+OK done")) == Response(OK, "done")


@pytest.mark.parametrize("temporary", [False, True])
@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_a_no_to_a_command_is_rejected_and_the_session_goes_on(
    flow: Callable[[Connection], Flow[object]],
    wire: str,
    command: pop3.Command,
    temporary: bool,
) -> None:
    conn = logged_in("LANG", "TOP", "RESP-CODES")
    code = "SYS/TEMP" if temporary else "SYS/PERM"
    with pytest.raises(pop3.Rejected) as caught:
        play(flow(conn), *ask(wire, f"-ERR [{code}] no"))
    assert caught.value.command == command
    assert caught.value.response == Response(ERR, "no", code)
    assert caught.value.temporary is temporary
    assert conn.state is State.TRANSACTION
    play(pop3.noop(conn), *ask("NOOP", "+OK"))


@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_no_command_follows_a_lost_connection(
    flow: Callable[[Connection], Flow[object]], wire: str, command: pop3.Command
) -> None:
    conn = logged_in("LANG", "TOP")
    with pytest.raises(ConnectionLost):
        play(flow(conn), Expect(f"{wire}\r\n".encode()), Close())
    assert conn.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        play(flow(conn))


@pytest.mark.parametrize(("flow", "wire", "command"), COMMANDS)
def test_a_command_that_may_not_come_is_not_sent(
    flow: Callable[[Connection], Flow[object]], wire: str, command: pop3.Command
) -> None:
    conn = client()
    with pytest.raises(LocalProtocolError):
        play(flow(conn))
    assert conn.state is State.CONNECTING


# LANG and UTF8.


def test_a_server_tells_its_languages() -> None:
    flow = pop3.languages(logged_in("LANG"))
    steps = ask("LANG", "+OK languages", "en English", "de Deutsch", "i-default", ".")
    assert play(flow, *steps) == (
        Language("en", "English"),
        Language("de", "Deutsch"),
        Language("i-default"),
    )


def test_a_server_may_have_no_languages_to_tell() -> None:
    assert play(pop3.languages(logged_in("LANG")), *ask("LANG", "+OK", ".")) == ()


@pytest.mark.parametrize(
    ("tag", "line", "chosen"),
    [
        ("es", "+OK es Idioma cambiado", Language("es", "Idioma cambiado")),
        ("*", "+OK de Sprache", Language("de", "Sprache")),
        ("es", "+OK", None),
        ("es", "+OK no_language is said here", None),
    ],
)
def test_a_language_is_chosen(tag: str, line: str, chosen: Language | None) -> None:
    """RFC 6856 section 3.2."""
    flow = pop3.language(logged_in("LANG"), tag)
    assert play(flow, *ask(f"LANG {tag}", line)) == chosen


def test_a_language_may_be_chosen_before_the_login() -> None:
    flow = pop3.language(greeted("LANG"), "de")
    assert play(flow, *ask("LANG de", "+OK de")) == Language("de")


def test_a_language_that_would_be_two_lines_is_refused() -> None:
    """SEC-CRLF-API-y."""
    conn = logged_in("LANG")
    with pytest.raises(ValueError, match="not the tag of a language"):
        play(pop3.language(conn, "en\r\nQUIT"))
    assert conn.state is State.TRANSACTION


def test_without_the_offer_neither_lang_nor_utf8_is_sent() -> None:
    conn = greeted("TOP")
    flows = [pop3.languages(conn), pop3.language(conn, "de"), pop3.utf8(conn)]
    for flow in flows:
        with pytest.raises(LocalProtocolError):
            play(flow)
    assert conn.state is State.AUTHORIZATION


def test_utf8_is_said_before_the_login() -> None:
    conn = greeted("UTF8")
    assert play(pop3.utf8(conn), *ask("UTF8", "+OK on")) == Response(OK, "on")
    assert conn.utf8
    with pytest.raises(LocalProtocolError):
        play(pop3.utf8(logged_in("UTF8")))


def test_a_server_may_refuse_utf8() -> None:
    conn = greeted("UTF8")
    with pytest.raises(pop3.Rejected):
        play(pop3.utf8(conn), *ask("UTF8", "-ERR no"))
    assert not conn.utf8


# QUIT.


@pytest.mark.parametrize("line", ["+OK bye", "-ERR [SYS/TEMP] some left"])
def test_quit_returns_the_response_and_closes(line: str) -> None:
    """RFC 1939 section 6: -ERR says that not all that was marked has gone."""
    conn = logged_in("RESP-CODES")
    response = play(pop3.quit(conn), *ask("QUIT", line), Close())
    assert str(response) == line
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "answer",
    [
        [Close()],
        [Say(b"+O"), Close()],
        [Say(b"hm\r\n")],
        [Say(b"+ \r\n")],
        [Say(b"221 bye\r\n")],
        [Say(b"x" * 100_000)],
    ],
)
def test_a_quit_without_a_response_is_no_error(answer: list[Step]) -> None:
    conn = logged_in()
    assert play(pop3.quit(conn), Expect(b"QUIT\r\n"), *answer) is None
    assert conn.state is State.CLOSED


def test_a_server_that_does_not_answer_quit_is_left_in_the_end() -> None:
    conn, peer = logged_in(), Peer(Expect(b"QUIT\r\n"))
    assert Driver(peer).run(pop3.quit(conn)) is None
    assert peer.now == 600
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("extra", [b"-ERR idle\r\n", b"+OK bye\r\n", b"-ERR"])
def test_what_came_before_quit_is_no_answer_to_it(extra: bytes) -> None:
    conn = logged_in()
    play(pop3.noop(conn), Expect(b"NOOP\r\n"), Say(b"+OK\r\n" + extra))
    assert Driver(Peer()).run(pop3.quit(conn)) is None
    assert conn.state is State.CLOSED


def test_quit_says_nothing_where_it_may_not_be_said() -> None:
    closed, asked, in_content = logged_in(), logged_in(), logged_in()
    closed.close()
    asked.send(pop3.Dele(1))
    play(pop3.retrieve(in_content, 1), *ask("RETR 1", "+OK", "x"))
    for conn in (client(), closed, asked, in_content):
        assert play(pop3.quit(conn)) is None
        assert conn.state is State.CLOSED


def test_quit_may_be_said_before_the_login() -> None:
    conn = greeted()
    assert play(pop3.quit(conn), *ask("QUIT", "+OK")) == Response(OK)
