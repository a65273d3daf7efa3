"""The POP3 session as a table.

Rule 1: everything that decides what may come next is in this file.
Rule 2: this file does not know which side we are.  It sees commands and their
        responses, so both sides read the same table and cannot drift apart.

Session has two places in the table: `state`, where the responses have brought it, and
`ahead`, where it will be if all unanswered commands succeed.  A command is checked
against `ahead` and remembers that row.  Its response moves `state` by the row of
`state`; if what came before it failed, so that it is not there, -ERR moves nothing, and
+OK and + move as the remembered row says: the peer did it.  When nothing is unanswered,
`ahead` is `state`.

BadCommand moves nothing unless its row names it.  A listing is part of its command's
response and no state; the content behind +OK to RETR and TOP holds the next response
back until its end.  -ERR that nobody asked for closes: a server that gives up may say
so.  Any other response with nothing unanswered is an error of the peer.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from .._errors import OutOfOrder, ParseError
from .._table import Cell as _Cell
from .._table import Moves, Place, places, with_last, without_first
from ._commands import (
    Apop,
    Auth,
    AuthList,
    AuthResponse,
    BadCommand,
    Capa,
    Connect,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from ._responses import ERR, MORE, OK, Command, Response, ResponseClass


class State(Enum):
    """Where a session is: what may come next depends on it."""

    CONNECTING = "connecting"  # the greeting is awaited
    AUTHORIZATION = "authorization"  # a login is awaited
    USER = "user"  # a name is known; its password is awaited
    AUTH = "auth"  # an authentication exchange
    TRANSACTION = "transaction"  # the maildrop is open
    TLS = "tls"  # a handshake is due
    CLOSED = "closed"  # nothing is left

    def __repr__(self) -> str:
        return self.name


Cell: TypeAlias = _Cell[ResponseClass, State]
Row: TypeAlias = Mapping[type[Command], Cell]
Table: TypeAlias = Mapping[State, Row]

_CLOSED: Final = State.CLOSED  # to look it up takes 60 ns

SAME: Final = None  # in a cell: stay in the state of the row

# How to read a row: a command that is in it may be sent; the class of its response
# gives the next state.  ERR that a cell does not name moves nothing; OK and MORE that
# it does not name are an error of the peer.  UPDATE lies between QUIT and its response.

_ANYTIME: Final[Row] = {
    Capa: {OK: SAME},
    Lang: {OK: SAME},
    Quit: {OK: State.CLOSED, ERR: State.CLOSED},
}
_LOGIN: Final[Row] = {
    **_ANYTIME,
    User: {OK: State.USER},
    Apop: {OK: State.TRANSACTION},
    Auth: {OK: State.TRANSACTION, MORE: State.AUTH},
    AuthList: {OK: SAME},
    Utf8: {OK: SAME},
    Stls: {OK: State.TLS},
}
_FORGET: Final = {OK: State.AUTHORIZATION, ERR: State.AUTHORIZATION}

TRANSITIONS: Final[Table] = {
    State.CONNECTING: {Connect: {OK: State.AUTHORIZATION, ERR: State.CLOSED}},
    State.AUTHORIZATION: _LOGIN,
    State.USER: {  # PASS comes at once, or the name is forgotten
        **_ANYTIME,
        Capa: _FORGET,
        Lang: _FORGET,
        User: {OK: State.USER, ERR: State.AUTHORIZATION},
        Pass: {OK: State.TRANSACTION, ERR: State.AUTHORIZATION},
        Apop: {OK: State.TRANSACTION, ERR: State.AUTHORIZATION},
        Auth: {OK: State.TRANSACTION, MORE: State.AUTH, ERR: State.AUTHORIZATION},
        AuthList: _FORGET,
        Utf8: _FORGET,
        Stls: {OK: State.TLS, ERR: State.AUTHORIZATION},
        BadCommand: {ERR: State.AUTHORIZATION},
    },
    State.AUTH: {
        AuthResponse: {OK: State.TRANSACTION, MORE: SAME, ERR: State.AUTHORIZATION},
        BadCommand: {ERR: State.AUTHORIZATION},
    },
    State.TRANSACTION: {
        **_ANYTIME,
        Stat: {OK: SAME},
        List: {OK: SAME},
        Uidl: {OK: SAME},
        Retr: {OK: SAME},
        Top: {OK: SAME},
        Dele: {OK: SAME},
        Rset: {OK: SAME},
        Noop: {OK: SAME},
    },
    State.TLS: {},
    State.CLOSED: {},
}

PIPELINED: Final = frozenset(
    {
        *(User, Pass, Apop, Capa, Lang),
        *(Stat, List, Uidl, Retr, Top, Dele, Rset, Noop),
    }
)
"""What others may follow before its response; all else is the last of its group.

RFC 2449 section 6.6.  After AUTH, STLS and QUIT another conversation begins; after UTF8
the same octets mean something else.
"""

CONTENT: Final = frozenset({Retr, Top})
"""The commands whose +OK is followed by the content of a message."""

_NOTED: Final = frozenset({Utf8, Lang})
"""The commands of which more is kept than the state."""

_ANYWHERE: Final[Table] = {state: {BadCommand: {}} for state in State}


_APART: Final = (State.AUTH, State.TLS, State.CLOSED)
"""What comes next is no command, and no response to one, but of another kind."""


def _places(tables: Iterable[Table]) -> Mapping[State, Place[State]]:
    tables = (_ANYWHERE, TRANSITIONS, *tables)
    return places(State, tables, ResponseClass, (ERR,), _APART)


_STANDARD: Final = _places(())
_NEEDS: Final[Mapping[type[Command], str]] = {
    User: "USER",
    Apop: "APOP",  # no capability: the greeting has a time-stamp
    Auth: "SASL",
    Stls: "STLS",
    Utf8: "UTF8",
    Lang: "LANG",
    Top: "TOP",
    Uidl: "UIDL",
}


class NotOffered(OutOfOrder):
    """A command of a capability that was not offered.  Stays inside the core.

    Attributes:
        tag: Of the capability.
    """

    def __init__(self, tag: str) -> None:
        super().__init__(f"{tag} was not offered")
        self.tag = tag


class Session:
    """Where a session is, and what a state cannot say.

    Args:
        tables: Rows that capabilities add, for this session only.
        needs: The tag that must be offered before a command of a capability.
        tls: Whether TLS is active from the start.

    Attributes:
        unanswered: The commands whose response has not come, oldest first, each with
            the cell it was checked against.
        offered: The tags of the capabilities whose commands may be sent.
        here: The place that `state` names; to ask it is quicker.
        tls: Whether TLS is active.
        utf8: Whether UTF8 has succeeded.
        language: The last language that was chosen, "" for none.
        in_content: Whether the content of a message is due.
    """

    __slots__ = (
        "_ahead",
        "_needs",
        "_places",
        "here",
        "in_content",
        "language",
        "offered",
        "tls",
        "unanswered",
        "utf8",
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
        self.unanswered: Sequence[tuple[Command, Moves[State]]] = ()
        self.offered: frozenset[str] = frozenset()
        self.tls = tls
        self.utf8 = False
        self.language = ""
        self.in_content = False
        self.state = State.CONNECTING
        self.command(Connect())

    @property
    def state(self) -> State:
        """Where the responses have brought the session."""
        return self.here.state

    @state.setter
    def state(self, state: State) -> None:
        self.here = self._ahead = self._places[state]

    @property
    def ahead(self) -> State:
        """Where the session will be if all unanswered commands succeed."""
        return self._ahead.state

    @property
    def authenticated(self) -> bool:
        """Whether a login has succeeded."""
        return self.here.state is State.TRANSACTION

    @property
    def asked(self) -> Command | None:
        """What the next response answers, or None where nothing is unanswered."""
        if self.unanswered and self.here.state is not _CLOSED:
            return self.unanswered[0][0]
        return None

    def check(self, kind: type[Command]) -> None:
        """Check whether a command may come now.

        Raises:
            OutOfOrder: The state, or an unanswered command, does not allow it.
            NotOffered: It belongs to a capability that was not offered.
        """
        if kind not in self._ahead.moves:
            raise OutOfOrder(f"{kind.__name__} is out of order in {self.ahead!r}")
        if self.unanswered or self.in_content:
            self._check_pipelining()
        if kind is Stls and (self.tls or self.utf8):
            raise OutOfOrder("STLS comes once, and before UTF8")  # RFC 6856 section 2.1
        keyword = self._needs.get(kind)
        if keyword is not None and keyword not in self.offered:
            raise NotOffered(keyword)

    def _check_pipelining(self) -> None:
        if "PIPELINING" not in self.offered:
            raise OutOfOrder("PIPELINING was not offered")
        if self.unanswered:
            last = type(self.unanswered[-1][0])
            if last not in PIPELINED:
                raise OutOfOrder(f"{last.__name__} must be answered first")

    def command(self, command: Command) -> None:
        """Take a command that was sent or received.

        Raises:
            OutOfOrder: It may not come now.  Nothing has changed.
        """
        self.check(type(command))
        self.take(command)

    def take(self, command: Command) -> None:
        """Take a command that has been checked."""
        moves = self._ahead.moves[type(command)]
        self._ahead = moves.success
        last, queue = (command, moves), self.unanswered
        self.unanswered = with_last(queue, last) if queue else (last,)

    def response(self, response: Response) -> Command | None:
        """Take a response that was sent or received, and return what it answers.

        Returns:
            The command, or None for an -ERR that nothing asked for.

        Raises:
            ParseError: It answers nothing, or not so.  Nothing has changed.
        """
        cls = response.cls
        if self.in_content:
            raise ParseError("the content must end first")
        if not self.unanswered or self.here.state is _CLOSED:
            if cls is not ERR:
                raise ParseError("the response answers nothing")
            self.state = State.CLOSED
            return None
        command, remembered = self.unanswered[0]
        moves = self.here.moves.get(type(command))
        if moves is not None:
            there = moves.by_class[cls]
        elif cls is ERR:
            there = self.here
        else:  # what came before it failed, and yet the peer did it
            there = remembered.by_class[cls]
        if there is None:
            raise ParseError(f"{cls.name} is no answer to {type(command).__name__}")
        queue = self.unanswered
        self.unanswered = without_first(queue) if len(queue) > 1 else ()
        self.here = there
        if not self.unanswered or there.state is _CLOSED:
            self._ahead = there
        if cls is OK:
            kind = type(command)
            if kind in CONTENT:
                self.in_content = True
            elif kind in _NOTED:
                self._note(command)
        return command

    def _note(self, command: Command) -> None:
        """Keep what the state cannot say."""
        if isinstance(command, Utf8):
            self.utf8 = True
        elif isinstance(command, Lang) and command.tag is not None:
            self.language = command.tag

    def end_content(self) -> None:
        """Take the end of the content of a message.

        Raises:
            OutOfOrder: No content is due.
        """
        if not self.in_content:
            raise OutOfOrder(f"no content is due in {self.state!r}")
        self.in_content = False

    def begin_tls(self) -> None:
        """Forget what was said without TLS.  RFC 2595 section 4.

        Raises:
            OutOfOrder: No handshake is due.
        """
        if self.state is not State.TLS:
            raise OutOfOrder(f"no handshake is due in {self.state!r}")
        self.tls = True
        self.language = ""
        self.offered = frozenset()
        self.state = State.AUTHORIZATION
