from typing import TypeAlias

import pytest

from smtp_pop_core import pop3
from smtp_pop_core._errors import OutOfOrder, ParseError
from smtp_pop_core.pop3 import ERR, MORE, OK, TRANSITIONS, ResponseClass, State
from smtp_pop_core.pop3._state import CONTENT, NotOffered, Session

ALL = frozenset(
    {"PIPELINING", "USER", "APOP", "SASL", "STLS", "UTF8", "LANG", "TOP", "UIDL"}
)

CONNECT = pop3.Connect()
USER = pop3.User("alice")
PASS = pop3.Pass("secret")
APOP = pop3.Apop("alice", "c4c9334bac560ecc979e58001b3e22fb")
AUTH = pop3.Auth("PLAIN")
AUTH_LIST = pop3.AuthList()
RESPONSE = pop3.AuthResponse(b"x")
STLS = pop3.Stls()
CAPA = pop3.Capa()
STAT = pop3.Stat()
LIST = pop3.List()
LIST_1 = pop3.List(1)
UIDL = pop3.Uidl()
RETR = pop3.Retr(1)
TOP = pop3.Top(1, 0)
DELE = pop3.Dele(1)
RSET = pop3.Rset()
NOOP = pop3.Noop()
QUIT = pop3.Quit()
UTF8 = pop3.Utf8()
LANG = pop3.Lang("de")
BAD = pop3.BadCommand(b"FROB", pop3.Response(ERR))

COMMANDS: list[pop3.Command] = [
    *(CONNECT, USER, PASS, APOP, AUTH, AUTH_LIST, RESPONSE, STLS, CAPA, STAT, LIST),
    *(LIST_1, UIDL, RETR, TOP, DELE, RSET, NOOP, QUIT, UTF8, LANG),
]

# RFC 1939 sections 4, 5 and 7, RFC 2449 section 5, RFC 2595 section 4, RFC 5034
# section 4, RFC 6856 sections 2 and 3.
LOGIN: set[pop3.Command] = {USER, APOP, AUTH, AUTH_LIST, STLS, UTF8, CAPA, LANG, QUIT}
ALLOWED: dict[State, set[pop3.Command]] = {
    State.CONNECTING: {CONNECT},
    State.AUTHORIZATION: LOGIN,
    State.USER: LOGIN | {PASS},
    State.AUTH: {RESPONSE},
    State.TRANSACTION: {
        *(STAT, LIST, LIST_1, UIDL, RETR, TOP, DELE, RSET, NOOP, CAPA, LANG, QUIT)
    },
    State.TLS: set(),
    State.CLOSED: set(),
}

# How to read a row: in this state, the response to this command leads there.
CELLS = [
    (State.CONNECTING, CONNECT, OK, State.AUTHORIZATION),
    (State.CONNECTING, CONNECT, ERR, State.CLOSED),
    (State.AUTHORIZATION, USER, OK, State.USER),
    (State.AUTHORIZATION, USER, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, APOP, OK, State.TRANSACTION),
    (State.AUTHORIZATION, APOP, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, AUTH, MORE, State.AUTH),
    (State.AUTHORIZATION, AUTH, OK, State.TRANSACTION),
    (State.AUTHORIZATION, AUTH, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, AUTH_LIST, OK, State.AUTHORIZATION),
    (State.AUTHORIZATION, AUTH_LIST, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, STLS, OK, State.TLS),
    (State.AUTHORIZATION, STLS, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, UTF8, OK, State.AUTHORIZATION),
    (State.AUTHORIZATION, UTF8, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, CAPA, OK, State.AUTHORIZATION),
    (State.AUTHORIZATION, CAPA, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, LANG, OK, State.AUTHORIZATION),
    (State.AUTHORIZATION, LANG, ERR, State.AUTHORIZATION),
    (State.AUTHORIZATION, QUIT, OK, State.CLOSED),
    (State.AUTHORIZATION, QUIT, ERR, State.CLOSED),
    # PASS comes right after USER, or USER is forgotten: RFC 1939 section 7
    (State.USER, PASS, OK, State.TRANSACTION),
    (State.USER, PASS, ERR, State.AUTHORIZATION),
    (State.USER, USER, OK, State.USER),
    (State.USER, USER, ERR, State.AUTHORIZATION),
    (State.USER, APOP, OK, State.TRANSACTION),
    (State.USER, APOP, ERR, State.AUTHORIZATION),
    (State.USER, AUTH, MORE, State.AUTH),
    (State.USER, AUTH, OK, State.TRANSACTION),
    (State.USER, AUTH, ERR, State.AUTHORIZATION),
    (State.USER, AUTH_LIST, OK, State.AUTHORIZATION),
    (State.USER, AUTH_LIST, ERR, State.AUTHORIZATION),
    (State.USER, STLS, OK, State.TLS),
    (State.USER, STLS, ERR, State.AUTHORIZATION),
    (State.USER, UTF8, OK, State.AUTHORIZATION),
    (State.USER, UTF8, ERR, State.AUTHORIZATION),
    (State.USER, CAPA, OK, State.AUTHORIZATION),
    (State.USER, CAPA, ERR, State.AUTHORIZATION),
    (State.USER, LANG, OK, State.AUTHORIZATION),
    (State.USER, LANG, ERR, State.AUTHORIZATION),
    (State.USER, QUIT, OK, State.CLOSED),
    (State.USER, QUIT, ERR, State.CLOSED),
    (State.USER, BAD, ERR, State.AUTHORIZATION),
    # RFC 5034 section 4
    (State.AUTH, RESPONSE, MORE, State.AUTH),
    (State.AUTH, RESPONSE, OK, State.TRANSACTION),
    (State.AUTH, RESPONSE, ERR, State.AUTHORIZATION),
    (State.AUTH, pop3.AuthResponse(None), ERR, State.AUTHORIZATION),
    (State.AUTH, BAD, ERR, State.AUTHORIZATION),
    # RFC 1939 sections 5 and 6
    (State.TRANSACTION, STAT, OK, State.TRANSACTION),
    (State.TRANSACTION, STAT, ERR, State.TRANSACTION),
    (State.TRANSACTION, LIST, OK, State.TRANSACTION),
    (State.TRANSACTION, LIST_1, ERR, State.TRANSACTION),
    (State.TRANSACTION, UIDL, OK, State.TRANSACTION),
    (State.TRANSACTION, UIDL, ERR, State.TRANSACTION),
    (State.TRANSACTION, RETR, OK, State.TRANSACTION),
    (State.TRANSACTION, RETR, ERR, State.TRANSACTION),
    (State.TRANSACTION, TOP, OK, State.TRANSACTION),
    (State.TRANSACTION, TOP, ERR, State.TRANSACTION),
    (State.TRANSACTION, DELE, OK, State.TRANSACTION),
    (State.TRANSACTION, DELE, ERR, State.TRANSACTION),
    (State.TRANSACTION, RSET, OK, State.TRANSACTION),
    (State.TRANSACTION, NOOP, OK, State.TRANSACTION),
    (State.TRANSACTION, CAPA, OK, State.TRANSACTION),
    (State.TRANSACTION, LANG, OK, State.TRANSACTION),
    (State.TRANSACTION, QUIT, OK, State.CLOSED),
    (State.TRANSACTION, QUIT, ERR, State.CLOSED),  # some messages were not removed
    (State.TRANSACTION, BAD, ERR, State.TRANSACTION),
]

# What a client pipelined, the responses, and the state after each of them.
Pipeline: TypeAlias = tuple[
    str, State, list[pop3.Command], list[ResponseClass], list[State]
]
PIPELINES: list[Pipeline] = [
    (
        "all succeeds",
        State.AUTHORIZATION,
        [USER, PASS, STAT, LIST, QUIT],
        [OK, OK, OK, OK, OK],
        [State.USER, *[State.TRANSACTION] * 3, State.CLOSED],
    ),
    (
        "the name is refused",
        State.AUTHORIZATION,
        [USER, PASS, STAT],
        [ERR, ERR, ERR],
        [State.AUTHORIZATION] * 3,
    ),
    (
        "the name is refused, and the server takes the password",
        State.AUTHORIZATION,
        [USER, PASS, STAT],
        [ERR, OK, OK],
        [State.AUTHORIZATION, State.TRANSACTION, State.TRANSACTION],
    ),
    (
        "the password is refused",
        State.AUTHORIZATION,
        [USER, PASS, STAT, DELE],
        [OK, ERR, ERR, ERR],
        [State.USER, *[State.AUTHORIZATION] * 3],
    ),
    (
        "the password is refused, and the server tells all the same",
        State.AUTHORIZATION,
        [USER, PASS, STAT],
        [OK, ERR, OK],
        [State.USER, State.AUTHORIZATION, State.TRANSACTION],
    ),
    (
        "the password is refused, and QUIT is not",
        State.AUTHORIZATION,
        [USER, PASS, STAT, QUIT],
        [OK, ERR, ERR, OK],
        [State.USER, State.AUTHORIZATION, State.AUTHORIZATION, State.CLOSED],
    ),
    (
        "the second of two logins",
        State.AUTHORIZATION,
        [USER, USER, PASS],
        [OK, ERR, ERR],
        [State.USER, State.AUTHORIZATION, State.AUTHORIZATION],
    ),
    (
        "APOP is refused",
        State.AUTHORIZATION,
        [APOP, STAT, LANG],
        [ERR, ERR, OK],
        [State.AUTHORIZATION] * 3,
    ),
    (
        "a name that CAPA makes forgotten",
        State.AUTHORIZATION,
        [USER, CAPA, USER, PASS],
        [OK, OK, OK, OK],
        [State.USER, State.AUTHORIZATION, State.USER, State.TRANSACTION],
    ),
    (
        "one message of several cannot be deleted",
        State.TRANSACTION,
        [DELE, DELE, RSET, NOOP, UIDL],
        [OK, ERR, OK, OK, OK],
        [State.TRANSACTION] * 5,
    ),
    (
        "QUIT closes a group, whatever its answer",
        State.TRANSACTION,
        [DELE, QUIT],
        [OK, ERR],
        [State.TRANSACTION, State.CLOSED],
    ),
    (
        "AUTH closes a group",
        State.AUTHORIZATION,
        [CAPA, AUTH],
        [OK, MORE],
        [State.AUTHORIZATION, State.AUTH],
    ),
    (
        "STLS closes a group",
        State.AUTHORIZATION,
        [CAPA, STLS],
        [ERR, OK],
        [State.AUTHORIZATION, State.TLS],
    ),
]


def all_but(*states: State) -> list[State]:
    return [state for state in State if state not in states]


def session_in(state: State) -> Session:
    session = Session()
    session.unanswered = ()
    session.state = state
    session.offered = ALL
    return session


def said(cls: ResponseClass) -> pop3.Response:
    data = pop3.Challenge(b"") if cls is MORE else None
    return pop3.Response(cls, data=data)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: type(each).__name__)
def test_what_the_standard_allows_may_come_and_nothing_else(
    state: State, command: pop3.Command
) -> None:
    session = session_in(state)
    try:
        session.check(type(command))
        allowed = True
    except OutOfOrder:
        allowed = False
    assert allowed is (command in ALLOWED[state])


@pytest.mark.parametrize("state", State)
def test_a_bad_command_can_come_in_every_state(state: State) -> None:
    session = session_in(state)
    session.command(BAD)
    assert [command for command, _ in session.unanswered] == [BAD]


@pytest.mark.parametrize(("state", "command", "cls", "expected"), CELLS)
def test_a_response_moves_the_session(
    state: State, command: pop3.Command, cls: ResponseClass, expected: State
) -> None:
    session = session_in(state)
    session.command(command)
    assert session.asked is command
    assert session.response(said(cls)) is command
    assert session.state is session.ahead is expected
    assert not session.unanswered


def test_every_cell_of_the_table_is_looked_at() -> None:
    named = {(state, type(command), cls) for state, command, cls, _ in CELLS}
    cells = {
        (state, kind, cls)
        for state, row in TRANSITIONS.items()
        for kind, cell in row.items()
        if not isinstance(cell, State)
        for cls in cell
    }
    assert cells <= named


# The class is not one that the response to the command can have.
IMPOSSIBLE = [
    *(
        (state, command, MORE)
        for state in State
        for command in (*(ALLOWED[state] - {AUTH, RESPONSE}), BAD)
    ),
    *((state, BAD, OK) for state in State),
]


@pytest.mark.parametrize(
    ("state", "command", "cls"),
    [case for case in IMPOSSIBLE if case[0] is not State.CLOSED],
)
def test_a_response_of_a_class_that_the_command_has_not_changes_nothing(
    state: State, command: pop3.Command, cls: ResponseClass
) -> None:
    session = session_in(state)
    session.command(command)
    with pytest.raises(ParseError, match=f"{cls.name} is no answer to"):
        session.response(said(cls))
    assert session.state is state
    assert session.asked is command


@pytest.mark.parametrize(
    ("state", "sent", "classes", "states"),
    [case[1:] for case in PIPELINES],
    ids=[case[0] for case in PIPELINES],
)
def test_pipelined_commands_are_answered_in_their_order(
    state: State,
    sent: list[pop3.Command],
    classes: list[ResponseClass],
    states: list[State],
) -> None:
    """RFC 2449 section 6.6."""
    session = session_in(state)
    for command in sent:
        session.command(command)
    seen = []
    for command, cls in zip(sent, classes, strict=True):
        assert session.response(said(cls)) is command
        seen.append(session.state)
    assert seen == states
    assert session.ahead is states[-1]


def test_after_a_refused_group_everything_is_in_order_again() -> None:
    session = session_in(State.AUTHORIZATION)
    for command in (USER, PASS, STAT):
        session.command(command)
    for _ in range(3):
        session.response(said(ERR))
    session.command(USER)
    with pytest.raises(OutOfOrder):
        session.command(STAT)


def test_what_a_refused_group_leads_to_is_still_ahead_until_all_is_answered() -> None:
    session = session_in(State.AUTHORIZATION)
    for command in (USER, PASS):
        session.command(command)
    session.response(said(ERR))
    assert (session.state, session.ahead) == (State.AUTHORIZATION, State.TRANSACTION)
    session.command(STAT)
    session.response(said(ERR))
    session.response(said(ERR))
    assert session.state is session.ahead is State.AUTHORIZATION


@pytest.mark.parametrize("command", [RETR, TOP])
@pytest.mark.parametrize("cls", ResponseClass)
def test_content_holds_the_next_response_back(
    command: pop3.Command, cls: ResponseClass
) -> None:
    session = session_in(State.TRANSACTION)
    for each in (command, command, DELE):
        session.command(each)
    session.response(said(OK))
    assert session.in_content
    with pytest.raises(ParseError, match="the content must end first"):
        session.response(said(cls))
    assert len(session.unanswered) == 2
    session.end_content()
    session.response(said(ERR))
    assert not session.in_content
    session.response(said(OK))
    assert not session.in_content
    assert session.state is State.TRANSACTION


@pytest.mark.parametrize("state", State)
def test_no_content_ends_that_is_not_due(state: State) -> None:
    session = session_in(state)
    with pytest.raises(OutOfOrder, match="no content is due"):
        session.end_content()


def test_the_content_of_a_message_follows_retr_and_top() -> None:
    assert {pop3.Retr, pop3.Top} == CONTENT


@pytest.mark.parametrize("last", [AUTH, AUTH_LIST, STLS, UTF8, QUIT])
@pytest.mark.parametrize("state", [State.AUTHORIZATION, State.USER])
def test_what_begins_another_conversation_is_the_last_of_its_group(
    state: State, last: pop3.Command
) -> None:
    """RFC 2449 section 6.6, RFC 2595 section 4."""
    session = session_in(state)
    session.command(last)
    for command in COMMANDS:
        with pytest.raises(OutOfOrder):
            session.command(command)
    assert session.asked is last


def test_a_response_to_a_challenge_is_the_last_of_its_group() -> None:
    session = session_in(State.AUTH)
    session.command(RESPONSE)
    for command in COMMANDS:
        with pytest.raises(OutOfOrder):
            session.command(command)


@pytest.mark.parametrize("first", [USER, APOP, CAPA, LANG])
def test_others_may_follow_before_a_response_during_the_login(
    first: pop3.Command,
) -> None:
    session = session_in(State.AUTHORIZATION)
    session.command(first)
    session.command(CAPA)
    session.command(QUIT)
    assert len(session.unanswered) == 3


@pytest.mark.parametrize(
    "first", [STAT, LIST, LIST_1, UIDL, RETR, TOP, DELE, RSET, NOOP, CAPA, LANG]
)
def test_others_may_follow_before_a_response_after_the_login(
    first: pop3.Command,
) -> None:
    session = session_in(State.TRANSACTION)
    session.command(first)
    session.command(NOOP)
    session.command(QUIT)
    assert len(session.unanswered) == 3


def test_the_commands_that_others_may_follow_are_named() -> None:
    last = {CONNECT, AUTH, AUTH_LIST, RESPONSE, STLS, UTF8, QUIT}
    assert {type(each) for each in COMMANDS if each not in last} == pop3.PIPELINED


@pytest.mark.parametrize("command", [STAT, RETR, NOOP, QUIT])
def test_without_pipelining_every_command_waits(command: pop3.Command) -> None:
    session = session_in(State.TRANSACTION)
    session.offered = ALL - {"PIPELINING"}
    session.command(RETR)
    with pytest.raises(OutOfOrder, match="PIPELINING was not offered"):
        session.command(command)
    session.response(said(OK))
    with pytest.raises(OutOfOrder, match="PIPELINING was not offered"):
        session.command(command)
    session.end_content()
    session.command(command)


def test_with_pipelining_a_command_may_come_while_content_is_read() -> None:
    session = session_in(State.TRANSACTION)
    session.command(RETR)
    session.response(said(OK))
    session.command(DELE)
    session.end_content()
    assert session.response(said(OK)) is DELE


def test_nothing_is_sent_before_the_greeting() -> None:
    session = Session()
    session.offered = ALL
    assert session.asked == CONNECT
    for command in COMMANDS:
        with pytest.raises(OutOfOrder):
            session.command(command)


@pytest.mark.parametrize("state", State)
def test_a_no_that_nobody_asked_for_closes_in_every_state(state: State) -> None:
    session = session_in(state)
    assert session.response(said(ERR)) is None
    assert session.state is session.ahead is State.CLOSED


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("cls", [OK, MORE])
def test_another_response_that_nobody_asked_for_is_an_error(
    state: State, cls: ResponseClass
) -> None:
    session = session_in(state)
    with pytest.raises(ParseError, match="answers nothing"):
        session.response(said(cls))
    assert session.state is state


def test_a_closed_session_does_not_answer_what_was_asked_before() -> None:
    session = session_in(State.TRANSACTION)
    session.command(STAT)
    session.state = State.CLOSED
    assert session.asked is None
    with pytest.raises(ParseError):
        session.response(said(OK))
    assert session.response(said(ERR)) is None
    assert len(session.unanswered) == 1


@pytest.mark.parametrize("state", all_but(State.USER, State.AUTH))
def test_a_bad_command_moves_nothing(state: State) -> None:
    session = session_in(state)
    session.command(BAD)
    session.response(said(ERR))
    assert session.state is state


NEEDS = [
    (State.AUTHORIZATION, USER, "USER"),
    (State.AUTHORIZATION, APOP, "APOP"),
    (State.AUTHORIZATION, AUTH, "SASL"),
    (State.AUTHORIZATION, STLS, "STLS"),
    (State.AUTHORIZATION, UTF8, "UTF8"),
    (State.AUTHORIZATION, LANG, "LANG"),
    (State.USER, USER, "USER"),
    (State.TRANSACTION, LANG, "LANG"),
    (State.TRANSACTION, TOP, "TOP"),
    (State.TRANSACTION, UIDL, "UIDL"),
]


@pytest.mark.parametrize(("state", "command", "tag"), NEEDS)
def test_a_command_of_a_capability_must_have_been_offered(
    state: State, command: pop3.Command, tag: str
) -> None:
    session = session_in(state)
    session.offered = ALL - {tag}
    with pytest.raises(NotOffered):
        session.command(command)
    assert not session.unanswered
    session.offered = frozenset({tag})
    session.command(command)


def test_what_needs_no_capability_is_always_there() -> None:
    """RFC 1939; CAPA may be tried, RFC 2449 section 5."""
    free = {CAPA, QUIT, AUTH_LIST, PASS, STAT, LIST, RETR, DELE, RSET, NOOP}
    for state in (State.USER, State.TRANSACTION):
        for command in free & ALLOWED[state]:
            session = session_in(state)
            session.offered = frozenset()
            session.command(command)


def test_stls_is_out_of_order_inside_tls() -> None:
    """RFC 2595 section 4.  It is not even a question of the offer."""
    session = session_in(State.AUTHORIZATION)
    session.tls = True
    with pytest.raises(OutOfOrder) as caught:
        session.command(STLS)
    assert type(caught.value) is OutOfOrder


def test_stls_is_out_of_order_after_utf8() -> None:
    """RFC 6856 section 2.1."""
    session = session_in(State.AUTHORIZATION)
    for cls in (ERR, OK):
        session.check(pop3.Stls)
        session.command(UTF8)
        session.response(said(cls))
    assert session.utf8
    with pytest.raises(OutOfOrder) as caught:
        session.command(STLS)
    assert type(caught.value) is OutOfOrder


@pytest.mark.parametrize(
    ("commands", "classes"),
    [
        ([USER, PASS], [OK, OK]),
        ([APOP], [OK]),
        ([AUTH], [OK]),
        ([AUTH, RESPONSE, RESPONSE], [MORE, MORE, OK]),
    ],
)
def test_a_login_succeeds_once(
    commands: list[pop3.Command], classes: list[ResponseClass]
) -> None:
    """RFC 1939 section 7, RFC 5034 section 4."""
    session = session_in(State.AUTHORIZATION)
    for command, cls in zip(commands, classes, strict=True):
        assert not session.authenticated
        session.command(command)
        session.response(said(cls))
    assert session.authenticated
    for command in (USER, PASS, APOP, AUTH, AUTH_LIST, STLS, UTF8):
        with pytest.raises(OutOfOrder):
            session.command(command)


@pytest.mark.parametrize(
    ("commands", "classes"),
    [
        ([USER, PASS], [OK, ERR]),
        ([APOP], [ERR]),
        ([AUTH], [ERR]),
        ([AUTH, RESPONSE], [MORE, ERR]),
        ([AUTH, BAD], [MORE, ERR]),
    ],
)
def test_after_a_login_that_failed_another_may_be_tried(
    commands: list[pop3.Command], classes: list[ResponseClass]
) -> None:
    """RFC 1939 section 7, RFC 5034 section 4: as if it had not been sent."""
    session = session_in(State.AUTHORIZATION)
    for command, cls in zip(commands, classes, strict=True):
        session.command(command)
        session.response(said(cls))
    assert session.state is State.AUTHORIZATION
    for kind in (pop3.User, pop3.Apop, pop3.Auth, pop3.Stls):
        session.check(kind)
    with pytest.raises(OutOfOrder):
        session.check(pop3.Pass)


@pytest.mark.parametrize(
    ("command", "cls", "language"),
    [
        (pop3.Lang("de"), OK, "de"),
        (pop3.Lang("de"), ERR, ""),
        (pop3.Lang("*"), OK, "*"),
        (pop3.Lang(), OK, ""),
    ],
)
def test_a_language_holds_once_it_was_chosen(
    command: pop3.Lang, cls: ResponseClass, language: str
) -> None:
    """RFC 6856 section 3.2."""
    session = session_in(State.TRANSACTION)
    session.command(command)
    session.response(said(cls))
    assert session.language == language


def test_begin_tls_forgets_what_was_said_before() -> None:
    """RFC 2595 section 4."""
    session = session_in(State.AUTHORIZATION)
    for command in (LANG, USER, STLS):
        session.command(command)
        session.response(said(OK))
    session.begin_tls()
    assert session.state is session.ahead is State.AUTHORIZATION
    assert session.tls
    assert not session.authenticated
    assert not session.offered
    assert not session.language
    with pytest.raises(OutOfOrder):
        session.check(pop3.Pass)


@pytest.mark.parametrize("state", all_but(State.TLS))
def test_begin_tls_is_only_for_a_handshake_that_is_due(state: State) -> None:
    session = session_in(state)
    with pytest.raises(OutOfOrder):
        session.begin_tls()
    assert session.state is state
    assert not session.tls


def test_a_session_that_begins_inside_tls_is_not_logged_in() -> None:
    """RFC 8314 section 3.1."""
    session = Session(tls=True)
    session.response(said(OK))
    assert session.state is State.AUTHORIZATION
    with pytest.raises(OutOfOrder):
        session.check(pop3.Stat)


def test_a_command_out_of_order_changes_nothing() -> None:
    session = session_in(State.AUTHORIZATION)
    session.command(USER)
    with pytest.raises(OutOfOrder):
        session.command(STAT)
    assert session.ahead is State.USER
    assert [command for command, _ in session.unanswered] == [USER]


def test_the_table_has_a_row_for_each_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {repr(state) for state in State} == {state.name for state in State}


class Frob(pop3.Command):
    """A command of somebody's own."""


def test_a_table_of_a_capability_holds_for_its_session_alone() -> None:
    table: pop3.Table = {State.TRANSACTION: {Frob: {OK: State.AUTHORIZATION}}}
    session = Session([table, {}], {Frob: "X-FROB"})
    session.unanswered = ()
    session.state = State.TRANSACTION
    with pytest.raises(NotOffered):
        session.command(Frob())
    session.offered = frozenset({"X-FROB"})
    session.command(Frob())
    session.response(said(OK))
    assert session.state is State.AUTHORIZATION
    with pytest.raises(OutOfOrder):
        session.command(STAT)
    with pytest.raises(OutOfOrder):
        session_in(State.TRANSACTION).command(Frob())
