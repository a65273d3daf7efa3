from typing import TypeAlias

import pytest

from smtp_pop_core import smtp
from smtp_pop_core._errors import OutOfOrder, ParseError
from smtp_pop_core.smtp import TRANSITIONS, State
from smtp_pop_core.smtp._state import NotOffered, Session

ALL = frozenset({"PIPELINING", "CHUNKING", "ETRN", "STARTTLS", "AUTH"})

CONNECT = smtp.Connect()
EHLO = smtp.Ehlo("me.example")
HELO = smtp.Helo("me.example")
MAIL = smtp.Mail("a@b.example")
RCPT = smtp.Rcpt("c@d.example")
DATA = smtp.Data()
END = smtp.EndOfMessage()
RSET = smtp.Rset()
VRFY = smtp.Vrfy("x")
EXPN = smtp.Expn("x")
HELP = smtp.Help()
NOOP = smtp.Noop()
QUIT = smtp.Quit()
LHLO = smtp.Lhlo("me.example")
ETRN = smtp.Etrn("host.example")
BDAT = smtp.Bdat(0)
LAST = smtp.BdatLast(0)
END_OF_CHUNK = smtp.EndOfChunk()
STARTTLS = smtp.StartTls()
AUTH = smtp.Auth("PLAIN")
RESPONSE = smtp.AuthResponse(b"x")
XCLIENT = smtp.Xclient(name="a.example")
XFORWARD = smtp.Xforward(name="a.example")
BAD = smtp.BadCommand(b"FROB", smtp.Reply(500))

COMMANDS: list[smtp.Command] = [
    *(CONNECT, EHLO, HELO, MAIL, RCPT, DATA, END, RSET, VRFY, EXPN, HELP, NOOP, QUIT),
    *(LHLO, ETRN, BDAT, LAST, END_OF_CHUNK, STARTTLS, AUTH, RESPONSE),
    *(XCLIENT, XFORWARD),
]

CONTENT = (State.DATA, State.CHUNK, State.LAST)
ANYTIME: set[smtp.Command] = {EHLO, HELO, LHLO, RSET, VRFY, EXPN, HELP, NOOP, QUIT}

# RFC 5321 section 4.1.4; STARTTLS and AUTH need EHLO, and no open transaction.
ALLOWED: dict[State, set[smtp.Command]] = {
    State.CONNECTING: {CONNECT},
    State.REFUSED: {QUIT},  # section 3.1
    # XCLIENT and XFORWARD: outside a transaction, say their READMEs
    State.GREETED: ANYTIME | {XCLIENT},
    State.READY: ANYTIME | {MAIL, ETRN, STARTTLS, AUTH, XCLIENT, XFORWARD},
    State.MAIL: ANYTIME | {RCPT},
    State.RCPT: ANYTIME | {RCPT, DATA, BDAT, LAST},
    State.DATA: {END},
    # RFC 3030 section 2
    State.BDAT: ANYTIME | {BDAT, LAST},
    State.CHUNK: {END_OF_CHUNK},
    State.LAST: {END},
    State.FAILED: {RSET, EHLO, HELO, LHLO, NOOP, QUIT},
    State.AUTH: {RESPONSE},
    State.TLS: set(),
    State.CLOSED: set(),
}

# How to read a row: in this state, the reply to this command leads there.
CELLS = [
    (State.CONNECTING, CONNECT, 220, State.GREETED),
    (State.CONNECTING, CONNECT, 554, State.REFUSED),
    (State.CONNECTING, CONNECT, 450, State.REFUSED),
    (State.REFUSED, QUIT, 221, State.CLOSED),
    (State.GREETED, EHLO, 250, State.READY),
    (State.GREETED, EHLO, 502, State.GREETED),
    (State.GREETED, HELO, 250, State.READY),
    (State.GREETED, HELO, 550, State.GREETED),
    (State.GREETED, RSET, 250, State.GREETED),
    (State.GREETED, NOOP, 250, State.GREETED),
    (State.GREETED, VRFY, 252, State.GREETED),
    (State.GREETED, HELP, 214, State.GREETED),
    (State.GREETED, QUIT, 221, State.CLOSED),
    (State.GREETED, XCLIENT, 220, State.GREETED),
    (State.GREETED, XCLIENT, 550, State.GREETED),
    (State.READY, EHLO, 250, State.READY),
    (State.READY, MAIL, 250, State.MAIL),
    (State.READY, MAIL, 450, State.READY),
    (State.READY, MAIL, 550, State.READY),
    (State.READY, RSET, 250, State.READY),
    (State.READY, EXPN, 250, State.READY),
    (State.READY, EXPN, 502, State.READY),
    (State.READY, QUIT, 221, State.CLOSED),
    (State.READY, QUIT, 500, State.READY),
    (State.READY, STARTTLS, 220, State.TLS),
    (State.READY, STARTTLS, 454, State.READY),
    (State.READY, AUTH, 334, State.AUTH),
    (State.READY, AUTH, 235, State.READY),
    (State.READY, AUTH, 504, State.READY),
    (State.READY, AUTH, 454, State.READY),
    (State.READY, XCLIENT, 220, State.GREETED),
    (State.READY, XCLIENT, 503, State.READY),
    (State.READY, XFORWARD, 250, State.READY),
    (State.READY, XFORWARD, 501, State.READY),
    (State.MAIL, RCPT, 250, State.RCPT),
    (State.MAIL, RCPT, 251, State.RCPT),
    (State.MAIL, RCPT, 450, State.MAIL),
    (State.MAIL, RCPT, 550, State.MAIL),
    (State.MAIL, RSET, 250, State.READY),
    (State.MAIL, EHLO, 250, State.READY),
    (State.MAIL, EHLO, 501, State.MAIL),
    (State.MAIL, HELO, 250, State.READY),
    (State.MAIL, NOOP, 250, State.MAIL),
    (State.MAIL, VRFY, 250, State.MAIL),
    (State.MAIL, QUIT, 221, State.CLOSED),
    (State.RCPT, RCPT, 250, State.RCPT),
    (State.RCPT, RCPT, 452, State.RCPT),
    (State.RCPT, DATA, 354, State.DATA),
    (State.RCPT, DATA, 451, State.RCPT),
    (State.RCPT, DATA, 554, State.RCPT),
    (State.RCPT, RSET, 250, State.READY),
    (State.RCPT, EHLO, 250, State.READY),
    (State.RCPT, EHLO, 550, State.RCPT),
    (State.RCPT, EXPN, 250, State.RCPT),
    (State.RCPT, HELP, 214, State.RCPT),
    (State.RCPT, QUIT, 221, State.CLOSED),
    (State.DATA, END, 250, State.READY),
    (State.DATA, END, 450, State.READY),
    (State.DATA, END, 554, State.READY),
    (State.AUTH, RESPONSE, 334, State.AUTH),
    (State.AUTH, RESPONSE, 235, State.READY),
    (State.AUTH, RESPONSE, 454, State.READY),
    (State.AUTH, RESPONSE, 535, State.READY),
    (State.AUTH, smtp.AuthResponse(None), 501, State.READY),
]

# The first digit is not one that the command can have: an error of the peer.
IMPOSSIBLE = [
    (State.CONNECTING, CONNECT, 354),
    (State.GREETED, EHLO, 354),
    (State.READY, MAIL, 354),
    (State.MAIL, RCPT, 354),
    (State.RCPT, DATA, 250),
    (State.RCPT, RSET, 334),
    (State.DATA, END, 354),
    (State.READY, STARTTLS, 354),
    (State.READY, QUIT, 354),
]

# What a client pipelined, the replies, and the state after each of them.
Pipeline: TypeAlias = tuple[str, list[smtp.Command], list[int], list[State]]
PIPELINES: list[Pipeline] = [
    (
        "all succeeds",
        [MAIL, RCPT, RCPT, DATA],
        [250, 250, 250, 354],
        [State.MAIL, State.RCPT, State.RCPT, State.DATA],
    ),
    (
        "all recipients are refused, and yet 354",
        [MAIL, RCPT, RCPT, DATA],
        [250, 550, 550, 354],
        [State.MAIL, State.MAIL, State.MAIL, State.DATA],
    ),
    (
        "all recipients are refused, and DATA too",
        [MAIL, RCPT, RCPT, DATA],
        [250, 550, 550, 503],
        [State.MAIL, State.MAIL, State.MAIL, State.MAIL],
    ),
    (
        "MAIL is refused",
        [MAIL, RCPT, DATA],
        [550, 503, 503],
        [State.READY, State.READY, State.READY],
    ),
    (
        "MAIL is refused, and the server goes on as if not",
        [MAIL, RCPT, DATA],
        [550, 250, 354],
        [State.READY, State.RCPT, State.DATA],
    ),
    (
        "MAIL is refused, the rest of its transaction is not",
        [MAIL, RCPT, RCPT, DATA],
        [550, 503, 250, 354],
        [State.READY, State.READY, State.RCPT, State.DATA],
    ),
    (
        "RSET in the middle",
        [MAIL, RCPT, RSET, MAIL, RCPT, DATA],
        [550, 503, 250, 250, 250, 354],
        [State.READY, State.READY, State.READY, State.MAIL, State.RCPT, State.DATA],
    ),
    (
        "RSET in the middle of what went well",
        [MAIL, RCPT, RSET, MAIL],
        [250, 250, 250, 250],
        [State.MAIL, State.RCPT, State.READY, State.MAIL],
    ),
    (
        "DATA is refused for now",
        [MAIL, RCPT, DATA],
        [250, 250, 451],
        [State.MAIL, State.RCPT, State.RCPT],
    ),
    (
        "EHLO closes a group",
        [MAIL, RCPT, EHLO],
        [250, 250, 250],
        [State.MAIL, State.RCPT, State.READY],
    ),
    (
        "QUIT closes a group",
        [MAIL, RCPT, QUIT],
        [250, 550, 221],
        [State.MAIL, State.MAIL, State.CLOSED],
    ),
    (
        "the server gives up in the middle",
        [MAIL, RCPT, RCPT, DATA],
        [250, 421],
        [State.MAIL, State.CLOSED],
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


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: type(each).__name__)
def test_what_the_standard_allows_may_come_and_nothing_else(
    state: State, command: smtp.Command
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
    assert [command for command, *_ in session.unanswered] == [BAD]


@pytest.mark.parametrize(("state", "command", "code", "expected"), CELLS)
def test_a_reply_moves_the_session(
    state: State, command: smtp.Command, code: int, expected: State
) -> None:
    session = session_in(state)
    session.command(command)
    assert session.asked is command
    assert session.reply(smtp.Reply(code)) is command
    assert session.state is session.ahead is expected
    assert not session.unanswered


@pytest.mark.parametrize(("state", "command", "code"), IMPOSSIBLE)
def test_a_reply_of_a_class_that_the_command_has_not_changes_nothing(
    state: State, command: smtp.Command, code: int
) -> None:
    session = session_in(state)
    session.command(command)
    with pytest.raises(ParseError):
        session.reply(smtp.Reply(code))
    assert session.state is state
    assert session.asked is command


@pytest.mark.parametrize(
    ("sent", "codes", "states"),
    [case[1:] for case in PIPELINES],
    ids=[case[0] for case in PIPELINES],
)
def test_pipelined_commands_are_answered_in_their_order(
    sent: list[smtp.Command], codes: list[int], states: list[State]
) -> None:
    session = session_in(State.READY)
    for command in sent:
        session.command(command)
    seen = []
    for command, code in zip(sent, codes, strict=False):
        assert session.reply(smtp.Reply(code)) is command
        seen.append(session.state)
    assert seen == states


def test_after_a_refused_group_everything_is_in_order_again() -> None:
    session = session_in(State.READY)
    for command in (MAIL, RCPT, DATA):
        session.command(command)
    for code in (550, 503, 503):
        session.reply(smtp.Reply(code))
    assert session.ahead is State.READY
    session.command(MAIL)
    with pytest.raises(OutOfOrder):
        session.command(MAIL)


def test_an_empty_message_ends_a_transaction_without_recipients() -> None:
    """RFC 2920 section 3.1."""
    session = session_in(State.READY)
    for command in (MAIL, RCPT, DATA):
        session.command(command)
    for code in (250, 550, 354):
        session.reply(smtp.Reply(code))
    assert session.in_content
    assert session.recipients == 0
    session.command(END)
    session.reply(smtp.Reply(554))
    assert session.state is State.READY


def test_the_end_of_the_content_opens_a_group() -> None:
    """RFC 2920 section 3.1."""
    session = session_in(State.DATA)
    for command in (END, MAIL, RCPT, DATA):
        session.command(command)
    for code in (554, 250, 250, 354):
        session.reply(smtp.Reply(code))
    assert session.state is State.DATA


@pytest.mark.parametrize(
    "last", [EHLO, HELO, VRFY, EXPN, HELP, NOOP, QUIT, DATA, STARTTLS, AUTH]
)
def test_all_but_mail_rcpt_and_rset_are_the_last_of_their_group(
    last: smtp.Command,
) -> None:
    """RFC 2920 section 3.1."""
    session = session_in(State.RCPT if last is DATA else State.READY)
    session.command(last)
    for command in COMMANDS:
        with pytest.raises(OutOfOrder):
            session.command(command)
    assert session.asked is last


@pytest.mark.parametrize("command", [MAIL, RSET])
def test_without_pipelining_every_command_waits(command: smtp.Command) -> None:
    session = session_in(State.READY)
    session.offered = frozenset()
    session.command(command)
    with pytest.raises(OutOfOrder, match="must be answered first"):
        session.command(RSET)
    session.reply(smtp.Reply(250))
    session.command(RSET)


def test_nothing_is_sent_before_the_greeting() -> None:
    """RFC 5321 section 4.3.1."""
    session = Session()
    for command in COMMANDS:
        with pytest.raises(OutOfOrder):
            session.command(command)


@pytest.mark.parametrize("state", State)
def test_421_closes_in_every_state_unasked(state: State) -> None:
    session = session_in(state)
    asked = session.reply(smtp.Reply(421))
    assert asked == (END if state in CONTENT else None)
    assert session.state is session.ahead is State.CLOSED


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (state, command)
        for state in State
        for command in (*ALLOWED[state], BAD)
        if command not in (BDAT, LAST)  # they have no reply
    ],
)
def test_421_closes_in_every_state_as_an_answer(
    state: State, command: smtp.Command
) -> None:
    session = session_in(state)
    session.command(command)
    session.reply(smtp.Reply(421))
    assert session.state is session.ahead is State.CLOSED


@pytest.mark.parametrize("state", all_but(*CONTENT))
@pytest.mark.parametrize("code", [220, 250, 354, 450, 550])
def test_a_reply_that_nobody_asked_for_is_an_error(state: State, code: int) -> None:
    session = session_in(state)
    with pytest.raises(ParseError, match=f"{code} answers nothing"):
        session.reply(smtp.Reply(code))
    assert session.state is state


@pytest.mark.parametrize("code", [421, 451, 550, 552])
def test_a_no_within_the_content_answers_its_end_and_closes(code: int) -> None:
    session = session_in(State.DATA)
    assert session.asked == END
    assert session.reply(smtp.Reply(code)) == END
    assert session.state is State.CLOSED


@pytest.mark.parametrize("code", [250, 354])
def test_a_yes_within_the_content_is_an_error(code: int) -> None:
    session = session_in(State.DATA)
    with pytest.raises(ParseError):
        session.reply(smtp.Reply(code))
    assert session.in_content


def test_a_closed_session_takes_no_reply_to_what_was_asked_before() -> None:
    session = session_in(State.READY)
    session.command(MAIL)
    session.state = State.CLOSED
    assert session.asked is None
    with pytest.raises(ParseError):
        session.reply(smtp.Reply(250))
    with pytest.raises(ParseError):
        session.reply(smtp.Reply(550))
    assert session.state is State.CLOSED
    assert len(session.unanswered) == 1


@pytest.mark.parametrize("state", all_but(State.AUTH, State.CLOSED))
@pytest.mark.parametrize("code", [450, 500, 503])
def test_a_bad_command_moves_nothing(state: State, code: int) -> None:
    session = session_in(state)
    session.command(BAD)
    session.reply(smtp.Reply(code))
    assert session.state is state


@pytest.mark.parametrize("code", [450, 500, 501])
def test_a_bad_line_ends_an_authentication_exchange(code: int) -> None:
    """RFC 4954 section 4."""
    session = session_in(State.AUTH)
    session.command(BAD)
    session.reply(smtp.Reply(code))
    assert session.state is State.READY
    assert not session.authenticated


@pytest.mark.parametrize("code", [250, 354])
def test_a_bad_command_cannot_succeed(code: int) -> None:
    session = session_in(State.READY)
    session.command(BAD)
    with pytest.raises(ParseError):
        session.reply(smtp.Reply(code))


@pytest.mark.parametrize("command", [STARTTLS, AUTH])
def test_a_command_of_an_extension_must_have_been_offered(
    command: smtp.Command,
) -> None:
    session = session_in(State.READY)
    session.offered = frozenset({"PIPELINING"})
    with pytest.raises(NotOffered):
        session.command(command)
    assert not session.unanswered


def test_starttls_is_out_of_order_inside_tls() -> None:
    """RFC 3207 section 4.2.  It is not even a question of the offer."""
    session = session_in(State.READY)
    session.tls = True
    with pytest.raises(OutOfOrder) as caught:
        session.command(STARTTLS)
    assert type(caught.value) is OutOfOrder


@pytest.mark.parametrize(
    ("commands", "codes"), [([AUTH], [235]), ([AUTH, RESPONSE], [334, 235])]
)
def test_auth_succeeds_once(commands: list[smtp.Command], codes: list[int]) -> None:
    """RFC 4954 section 4."""
    session = session_in(State.READY)
    for command, code in zip(commands, codes, strict=True):
        assert not session.authenticated
        session.command(command)
        session.reply(smtp.Reply(code))
    assert session.authenticated
    with pytest.raises(OutOfOrder):
        session.command(AUTH)


def test_auth_can_be_tried_again_after_a_failure() -> None:
    session = session_in(State.READY)
    for code in (535, 334):
        session.command(AUTH)
        session.reply(smtp.Reply(code))
    session.command(RESPONSE)
    session.reply(smtp.Reply(535))
    assert not session.authenticated
    session.command(AUTH)


def test_begin_tls_forgets_what_was_said_before() -> None:
    """RFC 3207 section 4.2."""
    session = session_in(State.READY)
    for command, code in ((AUTH, 235), (MAIL, 250), (RSET, 250), (STARTTLS, 220)):
        session.command(command)
        session.reply(smtp.Reply(code))
    session.begin_tls()
    assert session.state is session.ahead is State.GREETED
    assert session.tls
    assert not session.authenticated
    assert not session.offered
    assert session.mail is None


@pytest.mark.parametrize("state", all_but(State.TLS))
def test_begin_tls_is_only_for_a_handshake_that_is_due(state: State) -> None:
    session = session_in(state)
    with pytest.raises(OutOfOrder):
        session.begin_tls()
    assert session.state is state
    assert not session.tls


COUNTS = [
    # commands, replies, recipients accepted, messages answered
    ([MAIL, RCPT, RCPT, RCPT], [250, 250, 550, 251], 2, 0),
    ([MAIL, RCPT, RSET], [250, 250, 250], 0, 0),
    ([MAIL, RCPT, EHLO], [250, 250, 250], 0, 0),
    ([MAIL, RCPT, EHLO], [250, 250, 501], 1, 0),
    ([MAIL, RCPT, HELO], [250, 250, 250], 0, 0),
    ([MAIL, RCPT, NOOP], [250, 250, 250], 1, 0),
    ([MAIL, RCPT, RSET, MAIL, RCPT], [250, 250, 250, 250, 250], 1, 0),
    ([MAIL, RCPT, RCPT, DATA, END], [250, 250, 250, 354, 250], 0, 1),
    ([MAIL, RCPT, DATA, END], [250, 250, 354, 451], 0, 1),
]


@pytest.mark.parametrize(("commands", "codes", "recipients", "messages"), COUNTS)
def test_recipients_and_messages_are_counted(
    commands: list[smtp.Command], codes: list[int], recipients: int, messages: int
) -> None:
    session = session_in(State.READY)
    for command, code in zip(commands, codes, strict=True):
        session.command(command)
        session.reply(smtp.Reply(code))
    assert session.recipients == recipients
    assert session.messages == messages
    assert session.mail is MAIL


def test_a_command_out_of_order_changes_nothing() -> None:
    session = session_in(State.READY)
    session.command(MAIL)
    with pytest.raises(OutOfOrder):
        session.command(smtp.Mail("x@y.example"))
    assert session.mail is MAIL
    assert session.ahead is State.MAIL
    assert [command for command, *_ in session.unanswered] == [MAIL]


def test_the_table_has_a_row_for_each_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {repr(state) for state in State} == {state.name for state in State}


class Frob(smtp.Command):
    """A command of somebody's own."""


def test_a_table_of_an_extension_holds_for_its_session_alone() -> None:
    table: smtp.Table = {State.READY: {Frob: {smtp.ReplyClass.POSITIVE: State.GREETED}}}
    session = Session([table, {}], {Frob: "X-FROB"})
    session.unanswered = ()
    session.state = State.READY
    with pytest.raises(NotOffered):
        session.command(Frob())
    session.offered = frozenset({"X-FROB"})
    session.command(Frob())
    session.reply(smtp.Reply(220))
    assert session.state is State.GREETED
    with pytest.raises(OutOfOrder):
        session.command(MAIL)
    with pytest.raises(OutOfOrder):
        session_in(State.READY).command(Frob())
