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

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from .._errors import OutOfOrder, ParseError
from .._table import Cell as _Cell
from .._table import Moves, Place, places, with_first, with_last, without_first
from ._commands import (
    Auth,
    AuthResponse,
    BadCommand,
    Bdat,
    BdatLast,
    Body,
    Connect,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from ._forwarding import Xclient, Xforward
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
    BDAT = "bdat"  # a chunk was accepted; another is awaited
    CHUNK = "chunk"  # the octets of a chunk
    LAST = "last"  # the octets of the last chunk
    FAILED = "failed"  # a chunk was refused; the transaction has to be reset
    AUTH = "auth"  # an authentication exchange
    TLS = "tls"  # a handshake is due
    CLOSED = "closed"  # nothing is left

    def __repr__(self) -> str:
        return self.name


Cell: TypeAlias = _Cell[ReplyClass, State]
Row: TypeAlias = Mapping[type[Command], Cell]
Table: TypeAlias = Mapping[State, Row]

SAME: Final = None  # in a cell: stay in the state of the row
_2, _3, _4, _5 = ReplyClass

# How to read a row: a command that is in it may be sent; the class of its reply gives
# the next state.  4xx and 5xx that a cell does not name move nothing; 2xx and 3xx that
# it does not name are an error of the peer.  A cell that is a state belongs to a
# command that has no reply.

_ANYTIME: Final[Row] = {
    Ehlo: {_2: State.READY},
    Helo: {_2: State.READY},
    Lhlo: {_2: State.READY},
    Rset: {_2: SAME},
    Vrfy: {_2: SAME},
    Expn: {_2: SAME},
    Help: {_2: SAME},
    Noop: {_2: SAME},
    Quit: {_2: State.CLOSED},
}
_OPEN: Final[Row] = {**_ANYTIME, Rset: {_2: State.READY}}
_IN_MAIL: Final[Row] = {**_OPEN, Rcpt: {_2: State.RCPT}}
_CHUNKS: Final[Row] = {Bdat: State.CHUNK, BdatLast: State.LAST}
_END: Final[Row] = {EndOfMessage: {_2: State.READY, _4: State.READY, _5: State.READY}}

TRANSITIONS: Final[Table] = {
    State.CONNECTING: {
        Connect: {_2: State.GREETED, _4: State.REFUSED, _5: State.REFUSED}
    },
    State.REFUSED: {Quit: {_2: State.CLOSED}},
    State.GREETED: {**_ANYTIME, Xclient: {_2: SAME}},
    State.READY: {
        **_ANYTIME,
        Mail: {_2: State.MAIL},
        Etrn: {_2: SAME},
        StartTls: {_2: State.TLS},
        Auth: {_2: SAME, _3: State.AUTH},
        Xclient: {_2: State.GREETED},
        Xforward: {_2: SAME},
    },
    State.MAIL: _IN_MAIL,
    State.RCPT: {**_IN_MAIL, Data: {_3: State.DATA}, **_CHUNKS},
    State.DATA: _END,
    State.BDAT: {**_OPEN, **_CHUNKS},
    State.CHUNK: {EndOfChunk: {_2: State.BDAT, _4: State.FAILED, _5: State.FAILED}},
    State.LAST: _END,
    State.FAILED: {kind: _OPEN[kind] for kind in (Rset, Ehlo, Helo, Lhlo, Noop, Quit)},
    State.AUTH: {
        AuthResponse: {_2: State.READY, _3: SAME, _4: State.READY, _5: State.READY},
        BadCommand: {_4: State.READY, _5: State.READY},
    },
    State.TLS: {},
    State.CLOSED: {},
}

PIPELINED: Final = frozenset({Mail, Rcpt, Rset, EndOfChunk, EndOfMessage, Xforward})
"""What others may follow before its reply; all else is the last of its group.

RFC 2920 section 3.1.  The content may open a group, hence EndOfMessage.  A chunk may
follow another, but not MAIL or RCPT: RFC 3030 section 2.  XCLIENT ends a group:
Postfix XCLIENT_README.
"""

# Tuples: a set would hash the state, which an Enum does in Python.
_IN_CHUNK: Final = (State.CHUNK, State.LAST)
CONTENT: Final = (State.DATA, *_IN_CHUNK)
"""The states in which the octets of a message's content are due."""
_APART: Final = (*CONTENT, State.AUTH, State.TLS, State.CLOSED)

# To look up a member of an Enum takes 60 ns.
_CLOSED: Final = State.CLOSED
_DATA: Final = State.DATA
_TLS: Final = State.TLS
_BINARYMIME: Final = Body.BINARYMIME


_ANYWHERE: Final[Table] = {state: {BadCommand: {}} for state in State}


def _places(tables: Iterable[Table]) -> Mapping[State, Place[State]]:
    tables = _ANYWHERE, TRANSITIONS, *tables
    return places(State, tables, ReplyClass, (_4, _5), _APART)


_STANDARD: Final = _places(())
_CONNECT: Final = Connect()
_KEPT: Final = frozenset({Mail, Bdat, BdatLast, EndOfMessage})
"""Of which something is kept, once they were said."""
_NOTED: Final = frozenset(
    {Mail, Rset, Ehlo, Helo, Lhlo, EndOfMessage, Auth, AuthResponse, Xclient}
)
"""Of which something is kept, once they were answered."""
_NEEDS: Final[Mapping[type[Command], str]] = {
    StartTls: "STARTTLS",
    Auth: "AUTH",
    Etrn: "ETRN",
    Bdat: "CHUNKING",
    BdatLast: "CHUNKING",
}


class NotOffered(OutOfOrder):
    """A command of an extension that was not offered.  Stays inside the core."""


class Session:
    """Where a session is, and what a state cannot say.

    Args:
        tables: Rows that extensions add, for this session only.
        needs: The keyword that must be offered before a command of an extension.
        tls: Whether TLS is active from the start.
        lmtp: Whether the content has a reply for each recipient.  RFC 2033.

    Attributes:
        unanswered: The commands whose reply has not come, oldest first, each with the
            cell it was checked against and the number of replies that are due.
        offered: The keywords that hold now, in upper case.
        here: The place that `state` names; to ask it is quicker.
        tls: Whether TLS is active.
        authenticated: Whether an authentication exchange has succeeded.
        mail: The last MAIL command that was in order.
        recipients: How many recipients of the open transaction were accepted.
        mails: How many MAIL commands there were.
        messages: How many messages have been answered.
        chunk: How many octets of the open chunk are still to come.
    """

    __slots__ = (
        "_ahead",
        "_lmtp",
        "_needs",
        "_places",
        "authenticated",
        "chunk",
        "here",
        "mail",
        "mails",
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
        lmtp: bool = False,
    ) -> None:
        rows = [table for table in tables if table] if tables else ()
        self._needs = {**_NEEDS, **needs} if needs else _NEEDS
        self._places = _places(rows) if rows else _STANDARD
        self.unanswered: Sequence[tuple[Command, Moves[State], int]] = ()
        self.offered: frozenset[str] = frozenset()
        self.tls = tls
        self._lmtp = lmtp
        self.authenticated = False
        self.mail: Mail | None = None
        self.recipients = 0
        self.mails = 0
        self.messages = 0
        self.chunk = 0
        self.here = self._ahead = self._places[State.CONNECTING]
        self.command(_CONNECT)

    @property
    def state(self) -> State:
        """Where the replies have brought the session."""
        return self.here.state

    @state.setter
    def state(self, state: State) -> None:
        self.here = self._ahead = self._places[state]

    @property
    def ahead(self) -> State:
        """Where the session will be if all unanswered commands succeed."""
        return self._ahead.state

    @property
    def in_content(self) -> bool:
        """Whether the content of a message is due."""
        if self.here.state is _DATA:
            return not self.unanswered
        return self.chunk > 0 and self.here.state is not _CLOSED

    @property
    def smtputf8(self) -> bool:
        """Whether the last MAIL command asked for SMTPUTF8."""
        return self.mail is not None and self.mail.smtputf8

    @property
    def asked(self) -> Command | None:
        """What the next reply answers, or None where only 421 may come."""
        if self.here.state is _CLOSED:
            return None
        if self.unanswered:
            return self.unanswered[0][0]
        return EndOfMessage() if self._ahead.state in CONTENT else None

    @property
    def replies_due(self) -> int:
        """How many replies the oldest unanswered command still has; 0 for none."""
        return self.unanswered[0][2] if self.unanswered else 0

    def check(self, kind: type[Command]) -> None:
        """Check whether a command may come now.

        Raises:
            OutOfOrder: The state, or an unanswered command, does not allow it.
            NotOffered: It belongs to an extension that was not offered.
        """
        if kind not in self._ahead.moves:
            raise OutOfOrder(f"{kind.__name__} is out of order in {self.ahead!r}")
        if self.chunk:
            raise OutOfOrder(f"{self.chunk} octets of the chunk are to come")
        if self.unanswered:
            self._check_pipelining(kind, type(self.unanswered[-1][0]))
        if kind is Data and self.mail and self.mail.body is _BINARYMIME:
            raise OutOfOrder("BINARYMIME needs BDAT")
        keyword = self._needs.get(kind)
        if keyword is None:
            return
        if (self.tls and kind is StartTls) or (self.authenticated and kind is Auth):
            raise OutOfOrder(f"{kind.__name__} has succeeded already")
        if keyword not in self.offered:
            raise NotOffered(f"{keyword} was not offered")

    def _check_pipelining(self, kind: type[Command], last: type[Command]) -> None:
        if last in _CHUNKS:
            return  # it has no reply; only the end of its chunk can follow
        if (
            last not in PIPELINED
            or "PIPELINING" not in self.offered
            or (kind in _CHUNKS and last is not EndOfChunk)
        ):
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
        kind = type(command)
        moves = self._ahead.moves[kind]
        replies = moves.answers
        if kind not in _KEPT:
            pass  # most of them
        elif isinstance(command, Mail):
            self.mail = command
            self.mails += 1
        elif isinstance(command, (Bdat, BdatLast)):
            self.chunk = command.size
        elif self._lmtp and isinstance(command, EndOfMessage):
            replies = self.recipients
        self._ahead = moves.success
        last = command, moves, replies
        queue = self.unanswered
        self.unanswered = with_last(queue, last) if queue else (last,)
        if not replies:
            self._pass_silent()

    def take_octets(self, count: int) -> None:
        """Take octets of the open chunk.

        Raises:
            OutOfOrder: There are more than the chunk has left.
        """
        if count > self.chunk:
            raise OutOfOrder(f"the chunk has {self.chunk} octets left, not {count}")
        self.chunk -= count

    def _pass_silent(self) -> None:
        """Pass by the commands that have no reply, now that it is their turn."""
        while self.unanswered and not self.unanswered[0][2]:
            command, moves, _ = self.unanswered[0]
            self.unanswered = without_first(self.unanswered)
            if type(command) in self.here.moves:
                self.here = moves.success
            if isinstance(command, EndOfMessage):
                self._note(command, 2)
        if not self.unanswered and self._ahead.state not in _IN_CHUNK:
            self._ahead = self.here  # an open chunk is ended, whatever has failed

    def reply(self, reply: Reply) -> Command | None:
        """Take a reply that was sent or received, and return what it answers.

        Returns:
            The command, or None for a 421 that nothing asked for.

        Raises:
            ParseError: It answers nothing, or not so.  Nothing has changed.
        """
        code = reply.code
        digit = code // 100
        unanswered, here = self.unanswered, self.here
        if not unanswered or here.state is _CLOSED:
            return self._unasked(code)
        command, remembered, due = unanswered[0]
        kind = type(command)
        moves = here.moves.get(kind)
        if moves is not None:
            there = moves.by_class[digit]
        elif digit < 4:  # what came before it failed, and yet the peer did it
            there = remembered.by_class[digit]
        else:
            there, due = here, 1  # also in LMTP: nobody got the content
        if code == 421:
            there = self._places[_CLOSED]
        elif there is None or (there.state is _TLS and 220 != code < 400):
            # to STARTTLS no other reply is a go-ahead: RFC 3207 section 4
            raise ParseError(f"{code} is no answer to {kind.__name__}")
        if due > 1 and there.state is not _CLOSED:
            self.unanswered = with_first(unanswered, (command, remembered, due - 1))
            return command
        self.unanswered = without_first(unanswered) if len(unanswered) > 1 else ()
        self.here = there
        if kind is Rcpt:
            if digit == 2:
                self.recipients += 1
        elif kind in _NOTED and (moves is not None or digit < 4):
            self._note(command, digit)  # else the peer has not done it
        if there.state is _CLOSED:
            self._ahead = there
        elif self.unanswered or self._ahead is not there:
            self._pass_silent()
        return command

    def _unasked(self, code: int) -> Command | None:
        asked = self.asked
        if code != 421 and (asked is None or code < 400):
            raise ParseError(f"{code} answers nothing")
        self.state = State.CLOSED
        return asked

    def _note(self, command: Command, digit: int) -> None:
        """Keep what the state cannot say."""
        kind = type(command)
        if kind is EndOfMessage:
            self.messages += 1
            self.recipients = 0
        elif digit != 2:
            pass
        elif kind is Auth or kind is AuthResponse:
            self.authenticated = True
        elif isinstance(command, Xclient):
            self.authenticated = isinstance(command.login, str)
            self._forget()
        else:  # a transaction begins, or is forgotten
            self.recipients = 0

    def begin_tls(self) -> None:
        """Forget what was said without TLS.  RFC 3207 section 4.2.

        Raises:
            OutOfOrder: No handshake is due.
        """
        if self.state is not State.TLS:
            raise OutOfOrder(f"no handshake is due in {self.state!r}")
        self.tls = True
        self.authenticated = False
        self._forget()
        self.state = State.GREETED

    def _forget(self) -> None:
        """Forget what was said by whom the peer is no more."""
        self.offered = frozenset()
        self.mail = None
