"""The SMTP session as a table.

Rule 1: everything that decides what may come next is in this file.
Rule 2: this file does not know which side we are.  It sees commands and their replies,
        so both sides read the same table and cannot drift apart.

Session has two places in the table: `state`, where the replies have brought it, and
`ahead`, where it will be if all unanswered commands succeed.  A command is checked
against `ahead` and remembers that row.  Its reply moves `state` by the row of `state`;
if what came before it failed, so that it is not there, 4xx and 5xx move nothing, and
2xx and 3xx move as the remembered row says: the peer did it.  When nothing is
unanswered, `ahead` is `state`.

BadCommand moves nothing unless its row names it.  421 closes in every row, asked for or
not.  Any other reply with nothing unanswered is an error of the peer, except a 4xx or
5xx in the middle of content: it answers EndOfMessage and closes.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from .._errors import OutOfOrder, ParseError
from ._commands import (
    Auth,
    AuthResponse,
    BadCommand,
    Connect,
    Data,
    Ehlo,
    EndOfMessage,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from ._replies import Command, Reply, ReplyClass


class State(Enum):
    """Where a session is: what may come next depends on it."""

    CONNECTING = "connecting"  # the greeting is awaited
    REFUSED = "refused"  # the greeting was a no; only QUIT is left
    GREETED = "greeted"  # EHLO is awaited
    READY = "ready"  # no transaction is open
    MAIL = "mail"  # a sender is known
    RCPT = "rcpt"  # a recipient is known
    DATA = "data"  # content
    AUTH = "auth"  # an authentication exchange
    TLS = "tls"  # a handshake is due
    CLOSED = "closed"  # nothing is left

    def __repr__(self) -> str:
        return self.name


Cell: TypeAlias = Mapping[ReplyClass, State | None]
Row: TypeAlias = Mapping[type[Command], Cell]
Table: TypeAlias = Mapping[State, Row]

SAME: Final = None  # in a cell: stay in the state of the row
_2, _3, _4, _5 = ReplyClass

# How to read a row: a command that is in it may be sent; the class of its reply gives
# the next state.  4xx and 5xx that a cell does not name move nothing; 2xx and 3xx that
# it does not name are an error of the peer.

_ANYTIME: Final[Row] = {
    Ehlo: {_2: State.READY},
    Helo: {_2: State.READY},
    Rset: {_2: SAME},
    Vrfy: {_2: SAME},
    Expn: {_2: SAME},
    Help: {_2: SAME},
    Noop: {_2: SAME},
    Quit: {_2: State.CLOSED},
}
_IN_MAIL: Final[Row] = {**_ANYTIME, Rset: {_2: State.READY}, Rcpt: {_2: State.RCPT}}

TRANSITIONS: Final[Table] = {
    State.CONNECTING: {
        Connect: {_2: State.GREETED, _4: State.REFUSED, _5: State.REFUSED}
    },
    State.REFUSED: {Quit: {_2: State.CLOSED}},
    State.GREETED: _ANYTIME,
    State.READY: {
        **_ANYTIME,
        Mail: {_2: State.MAIL},
        StartTls: {_2: State.TLS},
        Auth: {_2: SAME, _3: State.AUTH},
    },
    State.MAIL: _IN_MAIL,
    State.RCPT: {**_IN_MAIL, Data: {_3: State.DATA}},
    State.DATA: {EndOfMessage: {_2: State.READY, _4: State.READY, _5: State.READY}},
    State.AUTH: {
        AuthResponse: {_2: State.READY, _3: SAME, _4: State.READY, _5: State.READY},
        BadCommand: {_4: State.READY, _5: State.READY},
    },
    State.TLS: {},
    State.CLOSED: {},
}

PIPELINED: Final = frozenset({Mail, Rcpt, Rset, EndOfMessage})
"""What others may follow before its reply; all else is the last of its group.

RFC 2920 section 3.1.  The content may open a group, hence EndOfMessage.
"""


class _Place:
    """One state of one table, with its row turned into direct references."""

    __slots__ = ("moves", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.moves: dict[type[Command], _Moves] = {}


class _Moves:
    """One cell: where each class of reply leads, None where it must not come."""

    __slots__ = ("by_class", "success")

    def __init__(
        self, cell: Cell, here: _Place, places: Mapping[State, _Place]
    ) -> None:
        moves = {
            int(cls): here if state is None else places[state]
            for cls, state in cell.items()
        }
        self.by_class: Final = (
            None,
            None,
            moves.get(2),
            moves.get(3),
            moves.get(4, here),
            moves.get(5, here),
        )
        self.success: Final = moves.get(2) or moves.get(3) or here


def _places(tables: Iterable[Table]) -> Mapping[State, _Place]:
    places = {state: _Place(state) for state in State}
    for state, here in places.items():
        row: dict[type[Command], Cell] = {BadCommand: {}}
        for table in (TRANSITIONS, *tables):
            row.update(table.get(state, {}))
        for kind, cell in row.items():
            here.moves[kind] = _Moves(cell, here, places)
    return places


_STANDARD: Final = _places(())
_NEEDS: Final[Mapping[type[Command], str]] = {StartTls: "STARTTLS", Auth: "AUTH"}


class NotOffered(OutOfOrder):
    """A command of an extension that was not offered.  Stays inside the core."""


class Session:
    """Where a session is, and what a state cannot say.

    Args:
        tables: Rows that extensions add, for this session only.
        needs: The keyword that must be offered before a command of an extension.
        tls: Whether TLS is active from the start.

    Attributes:
        unanswered: The commands whose reply has not come, oldest first, each with the
            cell it was checked against.
        offered: The keywords that hold now, in upper case.
        tls: Whether TLS is active.
        authenticated: Whether an authentication exchange has succeeded.
        mail: The last MAIL command that was in order.
        recipients: How many recipients of the open transaction were accepted.
        messages: How many messages have been answered.
    """

    __slots__ = (
        "_ahead",
        "_here",
        "_needs",
        "_places",
        "authenticated",
        "mail",
        "messages",
        "offered",
        "recipients",
        "tls",
        "unanswered",
    )

    def __init__(
        self,
        tables: Iterable[Table] = (),
        needs: Mapping[type[Command], str] = MappingProxyType({}),
        *,
        tls: bool = False,
    ) -> None:
        tables = [table for table in tables if table]
        self._needs = {**_NEEDS, **needs} if needs else _NEEDS
        self._places = _places(tables) if tables else _STANDARD
        self.unanswered: deque[tuple[Command, _Moves]] = deque()
        self.offered: frozenset[str] = frozenset()
        self.tls = tls
        self.authenticated = False
        self.mail: Mail | None = None
        self.recipients = 0
        self.messages = 0
        self.state = State.CONNECTING
        self.command(Connect())

    @property
    def state(self) -> State:
        """Where the replies have brought the session."""
        return self._here.state

    @state.setter
    def state(self, state: State) -> None:
        self._here = self._ahead = self._places[state]

    @property
    def ahead(self) -> State:
        """Where the session will be if all unanswered commands succeed."""
        return self._ahead.state

    @property
    def in_content(self) -> bool:
        """Whether the content of a message is due."""
        return self._here.state is State.DATA and not self.unanswered

    @property
    def asked(self) -> Command | None:
        """What the next reply answers, or None where only 421 may come."""
        if self._here.state is State.CLOSED:
            return None
        if self.unanswered:
            return self.unanswered[0][0]
        return EndOfMessage() if self._here.state is State.DATA else None

    def check(self, kind: type[Command]) -> None:
        """Check whether a command may come now.

        Raises:
            OutOfOrder: The state, or an unanswered command, does not allow it.
            NotOffered: It belongs to an extension that was not offered.
        """
        if kind not in self._ahead.moves:
            raise OutOfOrder(f"{kind.__name__} is out of order in {self.ahead!r}")
        if self.unanswered:
            last = type(self.unanswered[-1][0])
            if last not in PIPELINED or "PIPELINING" not in self.offered:
                raise OutOfOrder(f"{last.__name__} must be answered first")
        keyword = self._needs.get(kind)
        if keyword is None:
            return
        if (self.tls and kind is StartTls) or (self.authenticated and kind is Auth):
            raise OutOfOrder(f"{kind.__name__} has succeeded already")
        if keyword not in self.offered:
            raise NotOffered(f"{keyword} was not offered")

    def command(self, command: Command) -> None:
        """Take a command that was sent or received.

        Raises:
            OutOfOrder: It may not come now.  Nothing has changed.
        """
        self.check(type(command))
        self.take(command)

    def take(self, command: Command) -> None:
        """Take a command that has been checked."""
        if isinstance(command, Mail):
            self.mail = command
        moves = self._ahead.moves[type(command)]
        self.unanswered.append((command, moves))
        self._ahead = moves.success

    def reply(self, reply: Reply) -> Command | None:
        """Take a reply that was sent or received, and return what it answers.

        Returns:
            The command, or None for a 421 that nothing asked for.

        Raises:
            ParseError: It answers nothing, or not so.  Nothing has changed.
        """
        digit = reply.code // 100
        if not self.unanswered or self._here.state is State.CLOSED:
            return self._unasked(reply.code)
        command, remembered = self.unanswered[0]
        moves = self._here.moves.get(type(command))
        if moves is not None:
            there = moves.by_class[digit]
        elif digit < 4:  # what came before it failed, and yet the peer did it
            there = remembered.by_class[digit]
        else:
            there = self._here
        if reply.code == 421:
            there = self._places[State.CLOSED]
        if there is None:
            raise ParseError(f"{reply.code} is no answer to {type(command).__name__}")
        self.unanswered.popleft()
        self._here = there
        if not self.unanswered or there.state is State.CLOSED:
            self._ahead = there
        self._note(command, digit)
        return command

    def _unasked(self, code: int) -> Command | None:
        asked = self.asked
        if code != 421 and (asked is None or code < 400):
            raise ParseError(f"{code} answers nothing")
        self.state = State.CLOSED
        return asked

    def _note(self, command: Command, digit: int) -> None:
        """Keep what the state cannot say."""
        match command:
            case EndOfMessage():
                self.messages += 1
                self.recipients = 0
            case Rcpt() if digit == 2:
                self.recipients += 1
            case Mail() | Rset() | Ehlo() | Helo() if digit == 2:
                self.recipients = 0
            case Auth() | AuthResponse() if digit == 2:
                self.authenticated = True
            case _:
                pass

    def begin_tls(self) -> None:
        """Forget what was said without TLS.  RFC 3207 section 4.2.

        Raises:
            OutOfOrder: No handshake is due.
        """
        if self.state is not State.TLS:
            raise OutOfOrder(f"no handshake is due in {self.state!r}")
        self.tls = True
        self.authenticated = False
        self.offered = frozenset()
        self.mail = None
        self.state = State.GREETED
