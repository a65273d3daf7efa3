"""The tables of the standards, each entry at every cut."""

import tomllib
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Final

import pytest

from cutting import every_cut, octets
from pop3_talk import (
    CAPABILITIES,
    MAILDROP,
    asking,
    classes,
    feed,
    feed_all,
    outcome_of,
    said_by_server,
    server_in,
)
from smtp_pop_core import CLIENT, ConnectionClosed, MessageData, pop3
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, Event, Response, State

DATA: Final = Path(__file__).parents[1] / "data"
Case = dict[str, Any]


def table(name: str) -> dict[str, list[Case]]:
    return tomllib.loads((DATA / name).read_text("utf-8"))


TABLES: Final = table("pop3.toml")
DOTSTUFF: Final = table("dotstuff.toml")
INTEGERS: Final = table("integers.toml")["case"]


def wire_of(case: Case) -> bytes:
    return str(case.get("wire", case.get("line"))).encode("latin-1")


def of(name: str, **wanted: Container[object]) -> pytest.MarkDecorator:
    """Parametrize over the cases of a table whose fields are among these."""
    cases = [
        pytest.param(case, id=f"{case['reason'] or wire_of(case)!r}")
        for case in TABLES[name]
        if all(case[key] in values for key, values in wanted.items())
    ]
    assert cases
    return pytest.mark.parametrize("case", cases)


def test_every_table_is_looked_at() -> None:
    assert set(TABLES) == {
        *("greeting", "status", "stat", "scan", "uidl", "capability", "command")
    }


# The greeting


@of("greeting", valid=(True,))
def test_a_greeting_is_read_with_its_timestamp(case: Case) -> None:
    """RFC 1939 section 7, CVE-2007-1558."""
    wire = wire_of(case)
    text = wire.removeprefix(b"+OK").strip().decode("latin-1")
    for cut in every_cut(wire):
        client = Connection(CLIENT)
        assert feed_all(client, cut) == [Response(OK, text)]
        assert client.timestamp == case["timestamp"]
        assert client.state is State.AUTHORIZATION


@of("greeting", valid=(False,))
def test_without_a_good_greeting_there_is_no_session(case: Case) -> None:
    """POP3-1939-3-b."""
    refused = case["reason"] == "unavailable"
    for cut in every_cut(wire_of(case)):
        client = Connection(CLIENT)
        events, broken = outcome_of(client, cut)
        assert events == [Response(ERR, "busy"), ConnectionClosed()] * refused
        assert broken is not refused
        assert client.state is State.CLOSED
        assert client.timestamp == ""


# Status lines


def expected_status(case: Case, *, coded: bool) -> Response:
    text = case["text"]
    if case["kind"] == "continue":
        return Response(MORE, data=pop3.Challenge({"": b"", "Zm9v": b"foo"}[text]))
    code = case["resp_code"]
    cls = {"ok": OK, "err": ERR}[case["kind"]]
    if coded or not code:
        return Response(cls, text, code or None)
    bracketed, _, _ = wire_of(case).decode().removeprefix("-ERR ").partition("]")
    return Response(cls, f"{bracketed}] {text}")


@of("status", kind=("ok", "err", "continue"))
def test_a_status_line_is_read_with_its_code(case: Case) -> None:
    """RFC 2449 section 8, RFC 5034 section 4."""
    for cut in every_cut(wire_of(case)):
        client = asking(pop3.Auth("LOGIN"), state=State.AUTHORIZATION)
        assert feed_all(client, cut) == [expected_status(case, coded=True)]


WITHOUT_CODES: Final = [
    each for each in CAPABILITIES if "RESP-CODE" not in each.tag
]  # neither RESP-CODES nor AUTH-RESP-CODE


@of("status", kind=("ok", "err", "continue"))
def test_without_resp_codes_only_two_codes_are_known(case: Case) -> None:
    """RFC 2449 section 6.4."""
    coded = case["resp_code"] in ("IN-USE", "LOGIN-DELAY")
    for cut in every_cut(wire_of(case)):
        client = asking(
            pop3.Auth("LOGIN"), state=State.AUTHORIZATION, offered=WITHOUT_CODES
        )
        assert feed_all(client, cut) == [expected_status(case, coded=coded)]


@of("status", kind=("error",))
def test_what_is_no_status_line_ends_the_session(case: Case) -> None:
    """POP3-1939-3-h."""
    for cut in every_cut(wire_of(case)):
        client = asking(pop3.Noop())
        assert outcome_of(client, cut) == ([], True)
        assert client.state is State.CLOSED


def test_only_auth_is_answered_with_a_challenge() -> None:
    for cut in every_cut(b"+ Zm9v\r\n"):
        assert outcome_of(asking(pop3.Noop()), cut) == ([], True)


# STAT, LIST and UIDL


def answered(command: pop3.Command, wire: bytes) -> list[tuple[list[Event], bool]]:
    """Say what a client makes of the answer to a command, at every cut."""
    return [outcome_of(asking(command), cut) for cut in every_cut(wire)]


@of("stat", valid=(True,))
def test_the_answer_to_stat_is_two_numbers(case: Case) -> None:
    totals = pop3.Totals(case["number"], int(case["value"]))
    outcomes = answered(pop3.Stat(), b"+OK " + wire_of(case) + b"\r\n")
    assert all(each == ([Response(OK, data=totals)], False) for each in outcomes)


@of("stat", valid=(False,))
def test_another_answer_to_stat_ends_the_session(case: Case) -> None:
    """POP3-1939-5-c."""
    outcomes = answered(pop3.Stat(), b"+OK " + wire_of(case) + b"\r\n")
    assert all(each == ([], True) for each in outcomes)


LISTED: Final[dict[str, tuple[Any, Callable[[int, str], pop3.Data]]]] = {
    "scan": (pop3.List, lambda number, value: pop3.Sizes({number: int(value)})),
    "uidl": (pop3.Uidl, lambda number, value: pop3.UniqueIds({number: value})),
}
GOOD_LINES: Final = [
    (name, case) for name in LISTED for case in TABLES[name] if case["valid"]
]
BAD_LINES: Final = [
    (name, case) for name in LISTED for case in TABLES[name] if not case["valid"]
]


@pytest.mark.parametrize(("name", "case"), GOOD_LINES)
def test_a_line_of_a_listing_is_read(name: str, case: Case) -> None:
    kind, data = LISTED[name]
    response = Response(OK, data=data(case["number"], case["value"]))
    line = wire_of(case)
    one = answered(kind(case["number"]), b"+OK " + line + b"\r\n")
    several = answered(kind(), b"+OK\r\n" + line + b"\r\n.\r\n")
    assert all(each == ([response], False) for each in [*one, *several])


@pytest.mark.parametrize(("name", "case"), BAD_LINES)
def test_another_line_in_a_listing_ends_the_session(name: str, case: Case) -> None:
    kind, _ = LISTED[name]
    line = wire_of(case)
    one = answered(kind(1), b"+OK " + line + b"\r\n")
    several = answered(kind(), b"+OK\r\n7 7\r\n" + line + b"\r\n.\r\n")
    assert all(each == ([], True) for each in [*one, *several])


# Capabilities


@of("capability")
def test_a_line_of_capa_is_read(case: Case) -> None:
    line = wire_of(case)
    for cut in every_cut(b"+OK\r\n" + line + b"\r\n.\r\n"):
        client = asking(pop3.Capa())
        [response] = feed_all(client, cut)
        assert isinstance(response, Response)
        words = " ".join(case["params"])
        assert response.data == pop3.CapabilityLines(((case["tag"], words),))
        [(tag, offer)] = client.capabilities.items()
        assert tag == case["tag"]
        assert offer.arguments().upper() == words.upper()
    client = asking(pop3.Capa())
    feed(client, b"+OK\r\nX-BAR\r\n" + line.lower() + b"\r\n.\r\n")
    assert list(client.capabilities) == ["X-BAR", case["tag"]]


# Commands

STATES: Final = {
    "authorization": State.AUTHORIZATION,
    "transaction": State.TRANSACTION,
}
EXPECTED: Final = {"ok": "o", "multi": "o", "err": "e", "incomplete": ""}


@of("command")
def test_a_command_is_answered_alike_however_it_is_cut(case: Case) -> None:
    outcomes = []
    for cut in every_cut(wire_of(case)):
        server = server_in(STATES[case["state"]])
        events, responses = said_by_server(server, cut)
        assert classes(responses) == EXPECTED[case["expect"]]
        outcomes.append((events, responses, server.state, server.trailing_data))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@of("command", expect=("ok", "multi"))
def test_a_good_command_has_one_line_or_several(case: Case) -> None:
    """Multi-line are LIST, UIDL, CAPA and LANG without a number, RETR and TOP."""
    server = server_in(STATES[case["state"]])
    [command] = feed(server, wire_of(case))
    assert isinstance(command, pop3.Command)
    wire = server.send(MAILDROP.get(command) or server.default_response(command))
    listed = wire.endswith(b"\r\n.\r\n")
    assert (listed or server.in_content) is (case["expect"] == "multi")


@of("command", expect=("err",))
def test_a_bad_command_leaves_the_session_where_it_is(case: Case) -> None:
    server = server_in(STATES[case["state"]])
    said_by_server(server, [wire_of(case)])
    assert server.state is STATES[case["state"]]
    _, responses = said_by_server(server, [b"CAPA\r\n"])
    assert classes(responses) == "o"


@of("command", expect=("incomplete",))
def test_half_a_command_never_becomes_one(case: Case) -> None:
    for cut in every_cut(wire_of(case)):
        server = server_in(STATES[case["state"]])
        said_by_server(server, cut)
        assert feed(server, b"") == [ConnectionClosed()]
        assert server.trailing_data == wire_of(case)


# Content


CONTENT_PAIRS: Final = [case for case in DOTSTUFF["pair"] if case["pop3"]]


@pytest.mark.parametrize(
    "case",
    [*CONTENT_PAIRS, *DOTSTUFF["decode_only"]],
    ids=lambda case: case["name"],
)
@pytest.mark.parametrize("command", [pop3.Retr(1), pop3.Top(1, 0)])
def test_a_client_reads_content_alike_however_it_is_cut(
    command: pop3.Command, case: Case
) -> None:
    content = case["content"].encode("latin-1")
    whole: list[Event] = [MessageData(content)] if content else []
    for cut in every_cut(b"+OK\r\n" + wire_of(case) + b"-ERR next\r\n"):
        client = asking(command, pop3.Noop())
        assert feed_all(client, cut) == [
            Response(OK),
            *whole,
            pop3.EndOfMessage(),
            Response(ERR, "next"),
        ]
        assert client.state is State.TRANSACTION


@pytest.mark.parametrize("case", CONTENT_PAIRS, ids=lambda case: case["name"])
@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 0\r\n"])
def test_a_server_writes_content_alike_however_it_is_cut(
    command: bytes, case: Case
) -> None:
    content = case["content"].encode("latin-1")
    for cut in every_cut(content):
        server = server_in(State.TRANSACTION)
        feed(server, command)
        server.send(Response(OK))
        wire = b"".join([server.send(MessageData(piece)) for piece in cut])
        assert server.content_octets == len(content)
        assert wire + server.send(pop3.EndOfMessage()) == wire_of(case)


# Numbers


def numbers(least: int, *, good: bool) -> list[Any]:
    """Give the cases that are, or are not, numbers of at least this."""
    return [
        pytest.param(case["input"], id=str(case["reason"] or case["input"]))
        for case in INTEGERS
        if good is (case["valid"] and case.get("value", 1) >= least)
    ]


COMMANDS: Final = [
    *("LIST {}", "UIDL {}", "RETR {}", "DELE {}", "TOP {} 0", "TOP {} 99"),
]
OF_ONE: Final[list[tuple[type[pop3.List | pop3.Uidl], bool, str]]] = [
    # the command, whether it names the message, the answer
    (pop3.List, True, "+OK {} 7\r\n"),
    (pop3.List, False, "+OK\r\n{} 7\r\n.\r\n"),
    (pop3.Uidl, True, "+OK {} a\r\n"),
    (pop3.Uidl, False, "+OK\r\n{} a\r\n.\r\n"),
]
OF_NONE: Final[list[tuple[pop3.Command, str]]] = [
    (pop3.Stat(), "+OK {} 7\r\n"),
    (pop3.Stat(), "+OK 7 {}\r\n"),
    (pop3.List(7), "+OK 7 {}\r\n"),
    (pop3.List(), "+OK\r\n7 {}\r\n.\r\n"),
]


def read_by_server(line: str) -> list[list[Event]]:
    """Say what a server makes of a line, whole and in single octets."""
    wire = f"{line}\r\n".encode()
    return [
        feed_all(server_in(State.TRANSACTION), cut) for cut in ((wire,), octets(wire))
    ]


def read_by_client(
    command: pop3.Command, wire: bytes
) -> list[tuple[list[Event], bool]]:
    """Say what a client makes of an answer, whole and in single octets."""
    return [outcome_of(asking(command), cut) for cut in ((wire,), octets(wire))]


@pytest.mark.parametrize("text", numbers(1, good=True))
@pytest.mark.parametrize("line", COMMANDS)
def test_the_number_of_a_message_is_read(line: str, text: str) -> None:
    for [command] in read_by_server(line.format(text)):
        assert f"number={int(text)}" in repr(command)


@pytest.mark.parametrize("text", numbers(1, good=False))
@pytest.mark.parametrize("line", COMMANDS)
def test_nothing_else_is_the_number_of_a_message(line: str, text: str) -> None:
    """POP3-1939-4-g; none wraps around, and none counts from the end."""
    for [command] in read_by_server(line.format(text)):
        assert isinstance(command, pop3.BadCommand)


@pytest.mark.parametrize("text", numbers(0, good=True))
def test_a_count_of_lines_is_read(text: str) -> None:
    for events in read_by_server(f"TOP 1 {text}"):
        assert events == [pop3.Top(1, int(text))]


@pytest.mark.parametrize("text", numbers(0, good=False))
def test_nothing_else_is_a_count_of_lines(text: str) -> None:
    """POP3-1939-7-c."""
    for [command] in read_by_server(f"TOP 1 {text}"):
        assert isinstance(command, pop3.BadCommand)


@pytest.mark.parametrize("text", numbers(1, good=True))
@pytest.mark.parametrize(("kind", "named", "answer"), OF_ONE)
def test_an_answer_names_messages_from_1(
    kind: type[pop3.List | pop3.Uidl], named: bool, answer: str, text: str
) -> None:
    command = kind(int(text) if named else None)
    for [response], broken in read_by_client(command, answer.format(text).encode()):
        assert isinstance(response, Response)
        assert isinstance(response.data, pop3.Sizes | pop3.UniqueIds)
        assert list(response.data.by_number) == [int(text)]
        assert not broken


@pytest.mark.parametrize("text", numbers(0, good=True))
@pytest.mark.parametrize(("command", "answer"), OF_NONE)
def test_an_answer_counts_from_0(command: pop3.Command, answer: str, text: str) -> None:
    for [response], broken in read_by_client(command, answer.format(text).encode()):
        assert str(int(text)) in repr(response)
        assert not broken


@pytest.mark.parametrize("text", numbers(1, good=False))
@pytest.mark.parametrize(("kind", "named", "answer"), OF_ONE)
def test_an_answer_that_names_no_message_ends_the_session(
    kind: type[pop3.List | pop3.Uidl], named: bool, answer: str, text: str
) -> None:
    """SEC-POP-NUM-f."""
    command = kind(1 if named else None)
    for outcome in read_by_client(command, answer.format(text).encode()):
        assert outcome == ([], True)


@pytest.mark.parametrize("text", numbers(0, good=False))
@pytest.mark.parametrize(("command", "answer"), OF_NONE)
def test_an_answer_without_its_numbers_ends_the_session(
    command: pop3.Command, answer: str, text: str
) -> None:
    """What follows a size and a space is ignored: RFC 1939 section 5."""
    ignored = text == "1 " and "7 {}" in answer
    for events, broken in read_by_client(command, answer.format(text).encode()):
        assert broken is not ignored
        assert len(events) == ignored
