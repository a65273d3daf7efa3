"""The conversation of a server, as a flow that asks an application.

Responses are gathered and written in one go before the server waits.  Nothing is
removed but at QUIT after a login; every other end leaves the maildrop as it was.
"""

from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final

from .. import sasl
from .._dots import bare_ends
from .._errors import LocalProtocolError, ParseError, Stopping
from .._events import MessageData, checked_data, surveyed
from .._flow import READ, Ask, Deadline, Flow, Note, Report, deadline, new_ask
from .._gate import Gate
from .._proxied import enter, take_header
from .._security import Logins
from .._serving import (
    Ending,
    Exchange,
    GaveUp,
    HandshakeFailed,
    Serving,
    Unanswered,
    note_foreign,
    note_visitor,
    turn_away,
)
from .._source import Source
from ._application import (
    Application,
    ApplicationFactory,
    AsyncApplication,
    AsyncMaildrop,
    Maildrop,
    MaildropInUse,
    Message,
    Peer,
)
from ._commands import (
    Apop,
    Auth,
    AuthList,
    AuthResponse,
    BadCommand,
    Capa,
    Connect,
    Dele,
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
from ._connection import Connection
from ._defaults import DENIED, FOREIGN, NO_SUCH_MESSAGE
from ._events import EndOfMessage, Event
from ._refuse import refuse
from ._responses import (
    ERR,
    MORE,
    OK,
    Challenge,
    Command,
    Response,
    ResponseCode,
    checked_response,
)
from ._snapshot import Snapshot
from ._top import Head

_FAILED: Final = Response(ERR, "Local error in processing", ResponseCode.SYS_TEMP)
_IN_USE: Final = Response(ERR, "The maildrop is in use", ResponseCode.IN_USE)
_NEEDS_UTF8: Final = Response(ERR, "The message needs UTF8", ResponseCode.UTF8)
_MALFORMED: Final = Response(ERR, "The exchange was given up")
_UNSENDABLE: Final = Response(ERR, "The message cannot be sent", ResponseCode.SYS_PERM)
_MARKED: Final = Response(OK, "Marked as deleted")
_END: Final = EndOfMessage()
# What nobody has to be asked about.
_AT_ONCE: Final = frozenset({Stat, List, Uidl, Dele, Rset, Noop})
# What the application does not decide in `command`.
_OURS: Final = frozenset(
    {
        *(Connect, User, Pass, Apop, Auth, AuthList, AuthResponse, Stls, Capa, Stat),
        *(List, Uidl, Retr, Top, Dele, Rset, Noop, Quit, Utf8, BadCommand),
    }
)


def serve(
    conn: Connection,
    application: ApplicationFactory,
    address: str = "",
    port: int = 0,
    *,
    logins: Logins | None = None,
    proxied: bool = False,
    gate: Gate | None = None,
    session: str = "",
) -> Flow[Ending]:
    """Serve one session to its end.

    If the connection has TLS from the start, the flow begins with a `Handshake`; behind
    a proxy, with the reading of its header.  The application's `close` is called in the
    end, unless the flow itself is closed before.

    The `close` of the maildrop is called before it, and in any case: if the flow is
    closed, directly if it is a plain method; if something like a cancellation is thrown
    in, the flow asks for it, shielded, before it goes on.

    Args:
        conn: A new connection in the role of the server.
        application: Called with a Peer; what it returns decides for this session.
        address: Where the client comes from, for the Peer; "" where there is none.
        port: The port there, or 0.
        logins: What can be checked; it decides which mechanisms AUTH has.  None: USER
            with PASS and APOP only, which ask `VerifyPassword` and `FindPassword`.
        proxied: Whether a PROXY header comes first, which says where the client is.  If
            it does not, the session ends without a word, and nobody is asked.
        gate: What is asked whether a client behind a proxy is served, and told of each
            login that has failed; None: all are served.
        session: What names the session in the log, for the Peer.

    Returns:
        Why the session has ended.  The connection can then be closed.
    """
    peer = Peer(conn, address, port, session)
    if proxied and (ending := (yield from take_header(conn, peer))) is not None:
        return ending
    yield from note_visitor(peer, address if proxied else "")
    refused = yield from enter(gate, peer, partial(refuse, conn))
    if refused is not None:
        return (yield from turn_away(conn, refused))
    try:
        decider: Application | AsyncApplication = yield Ask(
            application, (peer,), quick=True
        )
        if not isinstance(decider, (Application, AsyncApplication)):
            raise TypeError(f"not an application: {decider!r}")
    except Exception as error:
        # In TLS nothing can be said without a handshake.
        said = b"" if conn.tls else conn.send(_FAILED)
        yield Report(error)
        return (yield from turn_away(conn, said))
    serving = _Serving(conn, decider, peer, logins, gate)
    try:
        ending = yield from serving.run()
    except GeneratorExit:  # nothing can be asked any more
        serving.release_at_once()
        raise
    except BaseException:  # a driver was cancelled
        conn.close()
        yield from serving.release()
        raise
    conn.close()
    yield from serving.release()
    yield from serving.note_end(ending)
    if serving.decides("close"):
        yield from serving.ask(decider.close, ending)
    return ending


class _Serving(Serving[Event, Application | AsyncApplication]):
    """One session of a server."""

    __slots__ = (
        "_conn",
        "_content",
        "_maildrop",
        "_peer",
        "_release",
        "_snapshot",
        "_time_to_read",
    )

    def __init__(
        self,
        conn: Connection,
        application: Application | AsyncApplication,
        peer: Peer,
        logins: Logins | None,
        gate: Gate | None,
    ) -> None:
        bases = (Application, AsyncApplication)
        super().__init__(conn, application, bases, peer, logins, gate)
        self._conn: Final = conn
        self._peer: Final = peer
        self._user = ""  # what USER has said
        self._maildrop: Maildrop | AsyncMaildrop | None = None
        self._release: Callable[[], object] | None = None  # gives the maildrop back
        self._content: Any = None  # what a message is read from
        self._snapshot = Snapshot()
        self._time_to_read: Final = deadline(conn.limits.timeouts.autologout, idle=True)

    def failed(self) -> Response:
        """Return the response to what went wrong in the application."""
        return _FAILED

    def run(self) -> Flow[Ending]:
        """Serve commands until the session ends."""
        try:
            yield from self.begin()
            return (yield from self._commands())
        except TimeoutError:  # nothing is said: RFC 1939 section 3
            return Ending.TIMEOUT
        except HandshakeFailed:
            return self._ending

    def release(self) -> Flow[None]:
        """Close the maildrop, if there is one."""
        yield from self._let_go()
        release, self._release = self._release, None
        if release is not None:
            yield from self.ask(release, shield=True)

    def release_at_once(self) -> None:
        """Close the maildrop, if there is one whose methods are plain."""
        release, self._release = self._release, None
        if release is not None and not iscoroutinefunction(release):
            release()

    def _commands(self) -> Flow[Ending]:
        block = self._conn.limits.block
        while True:
            event = yield from self._next(self._time_to_read)
            if event is None:
                yield from self.flush()
                return self._ending
            self.count(event)
            if type(event) in _AT_ONCE:
                self._answer_at_once(event)
            elif isinstance(event, (Retr, Top)):
                yield from self._send_message(event)
            else:
                yield from self._answer(event)
            if self._content is not None:
                yield from self._let_go()
            if len(self._out) > block:
                yield from self.flush()

    def _next(self, time: Deadline) -> Flow[Command | None]:
        """Return the next event; None if there is none, because the session ends.

        Args:
            time: How long the client may take.
        """
        conn = self._conn
        waiting = False
        while True:
            event = conn.next_event()
            if isinstance(event, Command):
                return event
            if conn.closed:
                return None
            if self._out:
                yield from self.flush()
            if self._stopping:
                self._ending = Ending.STOPPING
                return None
            if not waiting:  # single octets do not push the deadline back
                waiting = True
                yield time
            try:  # not by `receive`, whose frame each idle session would keep
                data: bytes = yield READ
            except Stopping:
                self._stopping = True
            else:
                conn.receive_data(data)

    def _answer(self, command: Command) -> Flow[None]:
        """Answer one command, and take note of what it brings."""
        if isinstance(command, BadCommand) and command.response is FOREIGN:
            yield from note_foreign(command.line)
        match command:
            case Quit():
                yield from self._quit()
            case Stls():
                yield from self._start_tls(command)
            case Pass() | Apop() | Auth():
                yield from self._log_in(command)
            case _:
                yield from self._say((yield from self._decide(command)))
                if isinstance(command, User):
                    self._user = command.name
                if isinstance(command, Connect | BadCommand) and self._conn.closed:
                    self._ending = Ending.REFUSED

    def _answer_at_once(self, command: Command) -> None:
        """Answer a command about what is known, without asking anyone."""
        match command:
            case Stat():
                response = checked_response(OK, data=self._snapshot.totals)
            case List() | Uidl():
                response = self._snapshot.listing(command)
            case Dele(number=number):
                marked = self._snapshot.mark(number)
                response = _MARKED if marked else NO_SUCH_MESSAGE
            case _:
                if isinstance(command, Rset):
                    self._snapshot.reset()
                response = self._conn.default_response(command)
        self._give(response)

    def _give(self, response: Response) -> None:
        """Gather a response of our own, which can be sent."""
        self._out += self._conn.send(response)
        self.count_answer(refused=response.cls is ERR)

    def _decide(self, command: Command) -> Flow[Response]:
        application = self._application
        response = None
        match command:
            case Connect() if self.decides("connect"):
                response = yield from self.ask(application.connect)
            case _ if type(command) not in _OURS and self.decides("command"):
                response = yield from self.ask(application.command, command)
        return self._conn.default_response(command) if response is None else response

    def _say(self, response: Response) -> Flow[bool]:
        """Gather a response; what cannot be sent is a mistake of the application.

        Returns:
            Whether it could be sent.
        """
        sent = True
        try:
            self._out += self._conn.send(response)
        except LocalProtocolError as error:
            yield Report(error)
            response = _FAILED
            self._out += self._conn.send(response)
            sent = False
        if response.cls is not MORE:
            self.count_answer(refused=response.cls is ERR)
        return sent

    def _start_tls(self, command: Stls) -> Flow[None]:
        yield from self._say(self._conn.default_response(command))
        yield from self.flush()
        self._user = ""
        yield from self.start_tls()

    def _log_in(self, command: Pass | Apop | Auth) -> Flow[None]:
        """Find out who it is, and open the maildrop; a no takes its time."""
        self._mechanism = _mechanism_of(command)
        try:
            if not self.decides("authenticate"):
                raise sasl.Denied
            exchange = yield from self._exchange(command)
            success = yield from self.prove(exchange, self._application.authenticate)
        except sasl.Denied:
            response, reason = DENIED, "denied"
        except _NoMechanism:
            yield from self._say(self._conn.default_response(command))
            return
        except sasl.ExchangeError:
            response, reason = _MALFORMED, "malformed"
        except Unanswered:
            yield from self.note_refused_login("failed")
            yield from self._say(_FAILED)
            return
        except GaveUp:
            return
        else:
            yield from self.note_login(success.identity)
            yield from self._open(success.identity)
            return
        yield from self._refuse(response, reason)

    def _exchange(self, command: Pass | Apop | Auth) -> Flow[Exchange]:
        if isinstance(command, Auth):
            logins, name = self._logins, command.mechanism
            if logins is None or name not in self._conn.mechanisms:
                raise _NoMechanism
            return (yield from self.begin_login(logins, name, command.initial))
        if isinstance(command, Apop):
            return sasl.check_apop(self._conn.timestamp, command.name, command.digest)
        return sasl.check_password(self._user, command.password)

    def challenge(self, data: bytes) -> Flow[bytes]:
        """Send a challenge, and return the response to it."""
        if not (yield from self._say(Response(MORE, data=Challenge(data)))):
            raise GaveUp
        event = yield from self._next(Deadline(self._conn.limits.timeouts.autologout))
        if isinstance(event, AuthResponse):
            if event.data is None:
                raise sasl.ExchangeError("the client has cancelled the exchange")
            return event.data
        if isinstance(event, BadCommand):
            self.count(event)
            yield from self._refuse(event.response, "malformed")
        raise GaveUp

    def _refuse(self, response: Response, reason: str) -> Flow[None]:
        """Say no to a login, after a while; after too many the session ends."""
        yield from self.note_refused_login(reason)
        too_many = yield from self.take_time()
        yield from self._say(response)
        if too_many:
            self._conn.close()
        if self._conn.closed:
            self._ending = Ending.REFUSED

    def _open(self, identity: str) -> Flow[None]:
        """Open the maildrop, and take the login as done."""
        try:
            maildrop = yield Ask(self._application.open, (identity,))
            self._release = maildrop.close
            snapshot = Snapshot(maildrop.messages)
        except Exception as error:
            yield from self.release()
            if isinstance(error, MaildropInUse):
                yield Note("maildrop_in_use", {"identity": identity})
                yield from self._say(_IN_USE)
            else:
                yield Report(error)
                yield from self._say(_FAILED)
            return
        self._maildrop = maildrop
        self._snapshot = snapshot
        self._peer._identity = identity
        totals = snapshot.totals
        fields = {"identity": identity, "messages": totals.messages}
        yield Note("maildrop_opened", {**fields, "octets": totals.octets})
        text = f"{totals.messages} messages, {totals.octets} octets"
        yield from self._say(Response(OK, text))

    def _let_go(self) -> Flow[None]:
        """Close what a message was read from, a generator or a file for one."""
        content, self._content = self._content, None
        close = getattr(content, "aclose", None) or getattr(content, "close", None)
        if close is not None:
            quick = hasattr(content, "aclose")
            yield from self.ask(close, shield=True, quick=quick)

    def _send_message(self, command: Retr | Top) -> Flow[None]:
        """Send a message or its beginning; if it breaks off, the session ends."""
        conn, maildrop = self._conn, self._maildrop
        message = self._snapshot.find(command.number)
        if message is None:
            self._give(NO_SUCH_MESSAGE)
            return
        if message.utf8 and not conn.utf8:
            self._give(_NEEDS_UTF8)
            return
        if maildrop is None:
            raise AssertionError("a message without a maildrop")
        try:
            quick = isinstance(maildrop, AsyncMaildrop)  # it may belong to a loop
            content = yield new_ask(maildrop.read, (command.number,), quick=quick)
            if not isinstance(content, (list, tuple)):  # they need not be closed
                self._content = content
            piece = Source(content, conn.limits.block).piece
            if isinstance(command, Top):
                piece = partial(_beginning, piece, Head(command.lines))
            block = yield from piece()
            data = _first(block)
        except Exception as error:
            yield from self._report(error, message)
            self._give(_UNSENDABLE if isinstance(error, ParseError) else _FAILED)
            return
        self._give(checked_response(OK, f"{message.size} octets"))
        while True:
            try:
                if not block:
                    self._out += conn.send(_END)
                    break
                self._out += conn.send(data)
                block = yield from piece()
                if block:
                    data = checked_data(block, lf_ends_lines=True)
            except Exception as error:
                yield from self._break_off(error, message)
                return
            if len(self._out) >= conn.limits.block:
                yield from self.flush()
        octets = conn.content_octets
        self._octets += octets
        if isinstance(command, Retr):
            self._messages += 1
            if octets != message.size:  # the store's mistake
                text = f"{octets} octets were sent, not {message.size}"
                yield from self._report(ValueError(text), message)

    def _break_off(self, error: Exception, message: Message) -> Flow[None]:
        """End the session in the middle of a message, whose end is never said."""
        yield from self._report(error, message)
        self._ending = Ending.REFUSED
        self._conn.close()

    def _report(self, error: Exception, message: Message) -> Flow[None]:
        """Tell the operator what went wrong with which message."""
        error.add_note(f"message {message.unique_id} of {self._peer.identity}")
        yield Report(error)

    def _quit(self) -> Flow[None]:
        """Remove what is marked, give the maildrop back, and say goodbye."""
        response = self._conn.default_response(Quit())
        if self._maildrop is not None:
            deleted = frozenset(self._snapshot.deleted)
            if deleted:  # nothing is removed as long as the client takes no answers
                yield from self.flush()
            try:
                kept = yield Ask(self._maildrop.commit, (deleted,))
                left = len(deleted.intersection(kept))
            except Exception as error:
                yield Report(error)
                left = len(deleted)
            fields = {"retrieved": self._messages, "deleted": len(deleted) - left}
            yield Note("committed", {**fields, "left": left})
            if left:
                text = f"{left} messages were not removed"
                response = Response(ERR, text, ResponseCode.SYS_TEMP)
            yield from self.release()
        yield from self._say(response)
        self._ending = Ending.QUIT


class _NoMechanism(Exception):
    """The mechanism is not offered."""


def _mechanism_of(command: Pass | Apop | Auth) -> str:
    match command:
        case Pass():
            return "USER"
        case Apop():
            return "APOP"
    return command.mechanism


def _beginning(piece: Callable[[], Flow[bytes]], head: Head) -> Flow[bytes]:
    """Return the next octets of the beginning of a message, b"" at the end.

    Raises:
        ParseError: There is a bare CR.
    """
    passed = b""
    while not (passed or head.ended):
        passed = head.feed((yield from piece()))
    return passed


def _first(block: bytes) -> MessageData:
    """Return the first block of a message, of which more is known than of the others.

    Raises:
        ParseError: There is a bare CR; one at its end is still open.
    """
    bare = bare_ends(block.removesuffix(b"\r"))
    if "\r" in bare:
        raise ParseError("content has a bare CR")
    return checked_data(block, lf_ends_lines=True) if bare else surveyed(block)
