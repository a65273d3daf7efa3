"""The conversation of a server, as a flow that asks an application.

Replies are gathered and written in one go before the server waits.  Whatever goes wrong
in the application is 451 to the peer and a Report to the operator.
"""

from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Final

from .. import sasl
from .._base64 import encode_base64
from .._errors import LocalProtocolError, MessageAborted, Stopping
from .._events import ConnectionClosed, MessageData
from .._flow import READ, Ask, Content, Deadline, Flow, Note, Report, Write, deadline
from .._gate import Gate, Refusal
from .._networks import Networks
from .._proxied import enter, take_header
from .._security import Logins
from .._serving import (
    Ending,
    GaveUp,
    HandshakeFailed,
    Serving,
    Unanswered,
    note_foreign,
    note_visitor,
    turn_away,
)
from ._application import (
    NO_STORE,
    Application,
    ApplicationFactory,
    AsyncApplication,
    Envelope,
    Peer,
    forward,
    succeed,
)
from ._commands import (
    Auth,
    AuthResponse,
    BadCommand,
    Bdat,
    BdatLast,
    Connect,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Expn,
    Helo,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from ._connection import Connection
from ._defaults import EARLY, FOREIGN
from ._events import Event
from ._forwarding import Attributes, Xclient, Xforward
from ._in_flight import InFlight
from ._refuse import REFUSALS, refuse
from ._replies import Command, EnhancedCode, Reply
from ._state import PIPELINED, State

_WELCOME: Final = Reply(235, ("Authentication succeeded",), EnhancedCode(2, 7, 0))
_DENIED: Final = Reply(535, ("Authentication failed",), EnhancedCode(5, 7, 8))
_MALFORMED: Final = Reply(501, ("The exchange was given up",), EnhancedCode(5, 7, 0))
_CANNOT_TELL: Final = Reply(454, ("Cannot tell for now",), EnhancedCode(4, 7, 0))
_TOO_MANY: Final = Reply(421, ("Too many failed logins",), EnhancedCode(4, 7, 0))
_FAILED: Final = Reply(451, ("Local error in processing",), EnhancedCode(4, 3, 0))
_FULL: Final = Reply(452, ("Too much mail at once",), EnhancedCode(4, 3, 1))
_TIMEOUT: Final = Reply(421, ("Timeout, closing",), EnhancedCode(4, 4, 2))
_STOPPING: Final = Reply(421, ("Shutting down",), EnhancedCode(4, 3, 2))
_UNAVAILABLE: Final = Reply(421, ("Not available now",), EnhancedCode(4, 3, 0))
_NO_ACCESS: Final = Reply(503, ("Access denied",), EnhancedCode(5, 7, 0))
# What the application does not decide in `command`.
_OURS: Final = frozenset(
    {
        Auth,
        AuthResponse,
        BadCommand,
        Connect,
        Data,
        Ehlo,
        Expn,
        Helo,
        Lhlo,
        Mail,
        Noop,
        Quit,
        Rcpt,
        Rset,
        StartTls,
        Vrfy,
        Xclient,
        Xforward,
    }
)
_NOBODY: Final = Networks()
_PROTOCOLS: Final[dict[type[Command], str]] = {
    Ehlo: "ESMTP",
    Helo: "SMTP",
    Lhlo: "LMTP",
}
_WITHOUT_ACCESS: Final = (BadCommand, Quit, Xclient)
# Where nothing is begun that the client would have to begin again.
_BETWEEN: Final = (State.READY, State.CONNECTING, State.REFUSED, State.GREETED)
_IDLE: Final = (*_BETWEEN, State.AUTH)


def serve(
    conn: Connection,
    application: ApplicationFactory,
    address: str = "",
    port: int = 0,
    *,
    logins: Logins | None = None,
    proxied: bool = False,
    gate: Gate | None = None,
    trusted: Networks = _NOBODY,
    session: str = "",
    in_flight: InFlight | None = None,
) -> Flow[Ending]:
    """Serve one session to its end.

    If the connection has TLS from the start, the flow begins with a `Handshake`; behind
    a proxy, with the reading of its header.  The application is asked only about what
    it decides; its `close` is called in the end, unless the flow itself is closed
    before.

    Args:
        conn: A new connection in the role of the server.
        application: Called with a Peer; what it returns decides for this session.
        address: Where the client comes from, for the Peer; "" where there is none.
        port: The port there, or 0.
        logins: What can be checked, for AUTH; None: there is no AUTH.
        proxied: Whether a PROXY header comes first, which says where the client is.  If
            it does not, the session ends without a word, and nobody is asked.
        gate: What is asked whether a client behind a proxy is served, also after
            XCLIENT, and told of each login that has failed; None: all are served.
        trusted: Who may use XCLIENT and XFORWARD, if the connection has them.
        session: What names the session in the log, for the Peer.
        in_flight: What bounds the content that all sessions of the server hold at once;
            None: nothing does.

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
    conn.trust(peer.address in trusted)
    try:
        decider = yield from _application_for(peer, application)
    except Exception as error:
        # In TLS nothing can be said without a handshake.
        said = b"" if conn.tls else conn.send(_UNAVAILABLE)
        yield Report(error)
        return (yield from turn_away(conn, said))
    serving = _Serving(
        conn, decider, peer, logins, gate, application, trusted, in_flight
    )
    try:
        ending = yield from serving.run()
    except TimeoutError:
        ending = Ending.TIMEOUT
    conn.close()
    yield from serving.note_end(ending)
    yield from serving.dismiss(ending)
    return ending


def _application_for(
    peer: Peer, factory: ApplicationFactory
) -> Flow[Application | AsyncApplication]:
    application: Application | AsyncApplication = yield Ask(
        factory, (peer,), quick=True
    )
    if not isinstance(application, (Application, AsyncApplication)):
        raise TypeError(f"not an application: {application!r}")
    return application


def _told(command: Attributes) -> dict[str, object]:
    """Return the attributes that were given, for the log."""
    values = {name.lower(): getattr(command, name.lower()) for name in command.given}
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
    }


class _Serving(Serving[Event, Application | AsyncApplication]):
    """One session of a server."""

    __slots__ = (
        "_blocks",
        "_broken",
        "_conn",
        "_denied",
        "_end",
        "_factory",
        "_for_block",
        "_full",
        "_in_between",
        "_in_flight",
        "_mail",
        "_peer",
        "_rcpts",
        "_taking",
        "_trusted",
        "_verdict",
        "_when_idle",
    )

    def __init__(
        self,
        conn: Connection,
        application: Application | AsyncApplication,
        peer: Peer,
        logins: Logins | None,
        gate: Gate | None,
        factory: ApplicationFactory,
        trusted: Networks,
        in_flight: InFlight | None,
    ) -> None:
        bases = (Application, AsyncApplication)
        super().__init__(conn, application, bases, peer, logins, gate)
        self._conn: Final = conn
        self._peer = peer
        self._factory: Final = factory
        self._trusted: Final = trusted
        timeouts = conn.limits.timeouts
        self._when_idle: Final = deadline(timeouts.command, idle=True)
        self._in_between: Final = deadline(timeouts.command)
        self._for_block: Final = deadline(timeouts.block)
        self._denied = False  # the client for whom the peer speaks is not wanted
        self._mail: Mail | None = None
        self._rcpts: list[Rcpt]  # of it
        self._end: EndOfMessage | None = None
        self._blocks: list[bytes]  # of a piece, also if its reader was cancelled
        self._broken: Exception | None = None  # why the content does not go on
        self._verdict: Reply | None = None  # the application's no, before the end
        self._in_flight: Final = in_flight
        self._taking = False  # the application is asked about content
        self._full = False  # there is no room for what comes of it

    def failed(self) -> Reply:
        """Return the reply to what went wrong in the application."""
        return _FAILED

    def run(self) -> Flow[Ending]:
        """Serve commands until the session ends.

        Raises:
            TimeoutError: The peer was too slow, and does not take our replies.
        """
        try:
            yield from self.begin()
            yield from self._look()
            while (command := (yield from self._next())) is not None:
                yield from self._answer(command)
            yield from self.flush()
            return self._ending
        except HandshakeFailed:
            return self._ending
        except TimeoutError:
            if not (self._deaf or self._in_handshake):
                yield from self._say(_TIMEOUT)
                yield from self.flush()
            return Ending.TIMEOUT

    def _look(self) -> Flow[None]:
        """Let the client wait before the greeting, and see whether it does."""
        conn, delay = self._conn, self._conn.profile.greeting_delay
        if delay:
            yield from self.sleep(delay)
        if conn.tls:
            return
        yield Deadline(conn.limits.timeouts.command, idle=True)
        if not (yield Write(b"", heed=True)):
            return
        yield from self.receive()
        if conn.trailing_data:  # else it has closed
            self._peer.early = True
            yield Note("early_talker")

    def _next(self) -> Flow[Command | None]:
        """Return the next command; None if there is none, because the session ends."""
        conn = self._conn
        waiting = False
        while True:
            if self._stopping and conn.state in _IDLE:
                yield from self._say(_STOPPING)
                self._ending = Ending.STOPPING
            event = conn.next_event()
            if isinstance(event, Command):
                return event
            if conn.closed:
                return None
            if self._out:
                yield from self.flush()
            if not waiting:  # single octets do not push the deadline back
                waiting = True
                yield self._when_idle if conn.state in _BETWEEN else self._in_between
            try:  # not by `receive`, whose frame each idle session would keep
                data: bytes = yield READ
            except Stopping:
                self._stopping = True
            else:
                conn.receive_data(data)

    def _answer(self, command: Command, *, own_time: bool = True) -> Flow[None]:
        """Answer one command, and take note of what it brings.

        Args:
            command: The command.
            own_time: Whether its reply has a time of its own, as for `flush`.
        """
        self.count(command)
        match command:
            case Mail() | Rcpt() | Data() if not self._denied:
                pass  # most of them
            case Bdat() | BdatLast():
                yield from self._message()
                return
            case Xclient():
                yield from self._begin_anew(command)
                yield from self.flush()
                return
            case BadCommand(line=line, reply=reply) if reply is FOREIGN:
                yield from note_foreign(line)
            case _ if self._denied and not isinstance(command, _WITHOUT_ACCESS):
                yield from self._say(_NO_ACCESS)
                return
            case Auth():
                yield from self._log_in(command)
                yield from self.flush()
                return
        reply = yield from self._decide(command)
        reply = yield from self._say(reply)
        if reply.code // 100 == 2:
            match command:
                case Mail():
                    self._mail = command
                    self._rcpts = []
                case Rcpt():
                    self._rcpts.append(command)
                case Ehlo(domain=name) | Helo(domain=name) | Lhlo(domain=name):
                    self._peer._helo = name
                    self._peer._protocol = _PROTOCOLS[type(command)]
                    self._peer._forwarded = None
                case Rset():
                    self._peer._forwarded = None
                case Xforward():
                    self._peer._forwarded = forward(self._peer.forwarded, command)
                    yield Note("xforward", _told(command))
                case Quit():
                    self._ending = Ending.QUIT
        if isinstance(command, Data) and reply.code == 354:
            yield from self._message()
        if (
            type(command) not in PIPELINED or len(self._out) > self._conn.limits.block
        ):  # RFC 2920 section 3.2
            yield from self.flush(own_time=own_time)
        if isinstance(command, StartTls) and self._conn.handshake_due:
            self._peer._helo = self._peer._protocol = ""
            self._peer._forwarded = None
            yield from self.start_tls()

    def dismiss(self, reason: Ending) -> Flow[None]:
        """Tell the application that its session has ended."""
        if self.decides("close"):
            yield from self.ask(self._application.close, reason)

    def _begin_anew(self, command: Xclient) -> Flow[None]:
        """Let another client be here from now on, as if it had just connected.

        If it is not wanted, nothing is taken from it, and from the proxy neither: what
        a proxy has sent ahead must not be taken for its own.
        """
        peer = succeed(self._peer, command)
        if self._gate is not None and peer.address != self._peer.address:
            refusal: Refusal | None = yield Ask(
                self._gate.enter, (peer.address,), quick=True
            )
            if refusal is not None:
                yield from self._say(REFUSALS[refusal])
                return
        try:
            application = yield from _application_for(peer, self._factory)
        except Exception as error:
            yield Report(error)
            yield from self._say(_UNAVAILABLE)
            return
        yield from self.dismiss(Ending.RESTARTED)
        self._application, self._peer, self._visitor = application, peer, peer
        self._failed_logins = 0
        if command.addr is not None:  # "" could be a Unix socket
            self._conn.trust(peer.address != "" and peer.address in self._trusted)
        yield Note("xclient", _told(command))
        reply = yield from self._decide(Connect())
        self._denied = (yield from self._say(reply)).code >= 400
        self.offer_mechanisms()

    def _log_in(self, command: Auth) -> Flow[None]:
        """Find out who it is; a no takes its time.  RFC 4954 section 4."""
        conn, logins = self._conn, self._logins
        if logins is None or command.mechanism not in conn.mechanisms:
            yield from self._say(conn.default_reply(command))
            return
        self._mechanism = command.mechanism
        try:
            if not self.decides("authenticate"):
                raise sasl.Denied
            name, initial = command.mechanism, command.initial
            exchange = yield from self.begin_login(logins, name, initial)
            success = yield from self.prove(exchange, self._application.authenticate)
        except sasl.Denied:
            yield from self._refuse(_DENIED, "denied")
        except sasl.ExchangeError:
            yield from self._refuse(_MALFORMED, "malformed")
        except Unanswered:
            yield from self.note_refused_login("failed")
            yield from self._say(_CANNOT_TELL)
        except GaveUp:
            pass
        else:
            self._peer._identity = success.identity
            yield from self.note_login(success.identity)
            yield from self._say(_WELCOME)

    def challenge(self, data: bytes) -> Flow[bytes]:
        """Send a challenge, and return the response to it."""
        text = encode_base64(data).decode("ascii")
        reply = yield from self._say(Reply(334, (text,)))
        if reply.code != 334:
            raise GaveUp
        command = yield from self._next()
        if isinstance(command, AuthResponse):
            if command.data is None:
                raise sasl.ExchangeError("the client has cancelled the exchange")
            return command.data
        if isinstance(command, BadCommand):
            self.count(command)
            yield from self._refuse(command.reply, "malformed")
        raise GaveUp

    def _refuse(self, reply: Reply, reason: str) -> Flow[None]:
        """Say no to a login, after a while; after too many the session ends."""
        yield from self.note_refused_login(reason)
        too_many = yield from self.take_time()
        yield from self._say(_TOO_MANY if too_many else reply)

    def _decide(self, command: Command) -> Flow[Reply]:
        application = self._application
        reply = None
        match command:
            case Connect() if self._peer.early and self._conn.profile.refuse_early:
                return EARLY
            case Connect() if self.decides("connect"):
                reply = yield from self.ask(application.connect)
            case Mail(size=size) if not self._has_room(size or 0):
                return _FULL
            case Mail() if self.decides("mail"):
                reply = yield from self.ask(application.mail, command)
            case Rcpt() if self.decides("rcpt"):
                reply = yield from self.ask(application.rcpt, command)
            case Vrfy() if self.decides("verify"):
                reply = yield from self.ask(application.verify, command)
            case Expn() if self.decides("expand"):
                reply = yield from self.ask(application.expand, command)
            case _ if type(command) not in _OURS and self.decides("command"):
                reply = yield from self.ask(application.command, command)
        return self._conn.default_reply(command) if reply is None else reply

    def _say(self, reply: Reply) -> Flow[Reply]:
        """Gather a reply; what cannot be sent is a mistake of the application."""
        try:
            self._out += self._conn.send(reply)
        except LocalProtocolError as error:
            yield Report(error)
            reply = _FAILED
            self._out += self._conn.send(reply)
        if reply.code // 100 != 3:
            self.count_answer(refused=reply.code >= 400)
        if reply.code == 421:
            self._ending = Ending.REFUSED
        return reply

    def _message(self) -> Flow[None]:
        """Hand the content over, read what is left of it, and answer it."""
        if self._mail is None:
            raise AssertionError("content without MAIL")
        yield from self.flush()
        try:
            yield from self._take(self._mail)
        finally:
            self._let_go()

    def _take(self, mail: Mail) -> Flow[None]:
        self._end = self._broken = self._verdict = None
        self._full = False
        self._blocks = []
        before = self._octets
        answer: object = NO_STORE
        if self.decides("message"):
            envelope = Envelope(mail, tuple(self._rcpts))
            content = Content(self._piece)
            self._taking = True
            answer = yield from self.ask(self._application.message, envelope, content)
            self._taking = False  # what it has not read is not held
            content.ended = True  # to read it later gives nothing
        if isinstance(answer, Reply) and answer.code >= 400:
            self._verdict = answer
        while not self._over:
            with suppress(MessageAborted):
                yield from self._piece()
        told = {
            "sender": mail.sender,
            "recipients": len(self._rcpts),
            "octets": self._octets - before,
        }
        if self._broken is not None:
            yield Note("message_aborted", {**told, "reason": str(self._broken)})
        if isinstance(self._broken, TimeoutError):
            raise self._broken
        if self._end is not None:
            codes = yield from self._answer_message(self._end, answer)
            taken = any(code < 400 for code in codes)
            self._messages += taken
            said = {"codes": codes} if self._conn.lmtp else {"code": next(iter(codes))}
            event = "message_taken" if taken else "message_refused"
            yield Note(event, {**told, **said})
            self._peer._forwarded = None

    def _has_room(self, octets: int) -> bool:
        return self._in_flight is None or self._in_flight.fits(octets)

    def _answer_message(
        self, end: EndOfMessage, answer: object
    ) -> Flow[dict[int, int]]:
        """Say the replies to a message, and return how many there were of each code."""
        codes: dict[int, int] = {}
        for reply in (yield from self._replies(end, answer)):
            code = (yield from self._say(reply)).code
            codes[code] = codes.get(code, 0) + 1
            if self._conn.state is State.CLOSED:  # 421 is for all that are left
                break
        return codes

    def _replies(self, end: EndOfMessage, answer: object) -> Flow[list[Reply]]:
        """Turn what the application says to a message into the replies that are due."""
        due = self._conn.replies_due
        if end.refusal is None and self._full:
            return [_FULL] * due
        if answer is None or end.refusal is not None:
            return [self._conn.default_reply(end)] * due
        if isinstance(answer, Reply):
            return [answer] * due
        if not (self._conn.lmtp and isinstance(answer, (tuple, list))):
            yield Report(TypeError(f"not the answer to a message: {answer!r}"))
        elif len(answer) != due:
            yield Report(ValueError(f"{len(answer)} replies for {due} recipients"))
        else:
            return list(answer)
        return [_FAILED] * due

    def _piece(self) -> Flow[bytes]:
        """Return the next block of the content: a full one, or what is left.

        The deadline is for a full block, so single octets do not push it back.  If the
        reader is cancelled before it is full, it is for the next.
        """
        blocks = self._blocks
        octets = sum(map(len, blocks))
        if not self._over:
            yield self._for_block
        while not self._over and octets < self._conn.limits.block:
            match self._conn.next_event():
                case MessageData(data=data):
                    blocks.append(data)
                    octets += len(data)
                    self._octets += len(data)
                    self._hold(len(data))
                case EndOfMessage() as end:
                    self._end = end
                case ConnectionClosed():
                    self._broken = MessageAborted("the connection was lost")
                case Bdat() | BdatLast() as chunk:
                    self.count(chunk)
                case EndOfChunk() as end_of_chunk:
                    yield from self._answer_chunk(end_of_chunk)
                case Command() as command:
                    yield from self._answer_between(command)
                case _:
                    yield from self._await_content()
        if self._broken is not None:
            raise MessageAborted("the content is incomplete") from self._broken
        if self._end is not None and self._end.refusal is not None:
            raise MessageAborted(str(self._end.refusal))
        if self._full:
            raise MessageAborted(str(_FULL))
        self._blocks = []
        return b"".join(blocks)

    def _hold(self, octets: int) -> None:
        """Hold content that was received, or take note that there is no room for it."""
        room = self._in_flight
        if room is not None and self._taking and not room.hold(self, octets):
            self._full = True
            self._verdict = _FULL
            self._let_go()

    def _let_go(self) -> None:
        """Hold no content any more, and take no more of it."""
        self._taking = False
        if self._in_flight is not None:
            self._in_flight.release(self)

    def _answer_chunk(self, end: EndOfChunk) -> Flow[None]:
        """Answer a chunk; if the application has said no already, with that."""
        default = self._conn.default_reply(end)
        if self._verdict is not None and default.code < 400:
            default = self._verdict
        yield from self._say(default)
        if self._conn.state is State.FAILED:
            self._broken = MessageAborted(str(default))

    def _answer_between(self, command: Command) -> Flow[None]:
        """Answer a command between two chunks, in the time that the content has."""
        try:
            yield from self._answer(command, own_time=False)
        except TimeoutError as error:
            self._broken = error
            return
        if self._conn.state is not State.BDAT:
            self._broken = MessageAborted("the transaction was given up")

    def _await_content(self) -> Flow[None]:
        try:
            # A chunk of one octet, answered, does not push the deadline back either.
            yield from self.flush(own_time=False)
            yield from self.receive()
        except TimeoutError as error:
            self._broken = error

    @property
    def _over(self) -> bool:
        """Whether no more of the content will come."""
        return self._end is not None or self._broken is not None
