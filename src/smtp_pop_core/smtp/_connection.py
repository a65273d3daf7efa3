"""The connection: three verbs, `receive_data`, `next_event` and `send`.

It knows which side we are, and nothing of I/O.  What may come next is Session's to say,
how it is written is the codec's; here the two meet the octets.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from .._abnf import is_domain_or_literal
from .._dots import Stuffer
from .._endpoint import Endpoint
from .._errors import LineTooLong, LocalProtocolError, OutOfOrder, ParseError
from .._events import MessageData, checked_data
from .._foreign import foreign_protocol, foreign_start
from .._limits import Limits
from .._roles import CLIENT, NEED_DATA, PAUSED, SERVER, Role, Signal
from ._codec import (
    BadLine,
    Codec,
    read_auth_response,
    write_auth_response,
    write_bdat,
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
    Quit,
    Rcpt,
    Vrfy,
)
from ._defaults import (
    AUTH_TOO_LONG,
    DEFAULTS,
    FOREIGN,
    NEEDS_UTF8,
    NOT_OFFERED,
    OUT_OF_ORDER,
    TOO_LARGE,
    TOO_LONG,
    TOO_MANY_ERRORS,
    TOO_MANY_IDLE,
    TOO_MANY_MESSAGES,
    TOO_MANY_RECIPIENTS,
    TOO_MANY_REFUSED,
    default_reply,
)
from ._events import Event
from ._extensions import Auth as AuthOffer
from ._extensions import Extension, Extensions, Size
from ._extensions import Xclient as XclientOffer
from ._extensions import Xforward as XforwardOffer
from ._extensions._extension import NO_EXTENSIONS
from ._forwarding import Attributes, Xclient, Xforward
from ._grammar import domain_of
from ._inbound import Inbound
from ._profile import RELAY, Profile
from ._repertoire import Offers, repertoire_of
from ._replies import Command, Reply
from ._reply_codec import ReplyReader, write_reply
from ._state import CONTENT, NotOffered, Session, State
from ._tolerances import Tolerances
from ._trace import Trace

_LIMITS: Final = Limits()
_OF_MESSAGES: Final = frozenset(
    {Mail, Rcpt, Data, Bdat, BdatLast, Auth, AuthResponse, Quit, Xforward}
)
"""What serves a message or its sender, or the end; all else is idle."""
_TOLERANCES: Final = Tolerances()
_END_OF_MESSAGE: Final = EndOfMessage()
_is_domain_or_literal: Final = lru_cache(maxsize=64)(is_domain_or_literal)
"""Of our own name, which is the same for many connections."""
_ENDS: Final = (EndOfChunk, EndOfMessage)
_NEVER_SENT: Final = frozenset({Connect, BadCommand})
_NO_VERB: Final = frozenset({EndOfMessage, EndOfChunk, Bdat, BdatLast, AuthResponse})
_BRINGING: Final = frozenset({Data, Ehlo, Lhlo, Helo, Xclient})
_SPECIAL: Final = _BRINGING | {Auth, AuthResponse}
"""Whose replies bring more than a state, or may be longer than others."""
"""Whose replies bring more than a new state."""

# To look up a member of an Enum takes 60 ns, a tenth of what a command may take.
_CLOSED: Final = State.CLOSED
_DATA: Final = State.DATA
_RCPT: Final = State.RCPT
_TLS: Final = State.TLS


class Connection(Endpoint[Event]):
    """One SMTP connection, seen from one side.

    Args:
        role: CLIENT or SERVER.
        domain: Our own name, a domain or an address literal.  A server says it in its
            greeting, a client flow in EHLO.
        extensions: What a server offers, or a client can use.  None: `usual()` and
            `known()`.
        limits: Every bound.
        tolerances: What is borne beyond the standard.
        profile: What a server asks of its clients beyond the protocol.
        lmtp: Whether it is LMTP.  RFC 2033.
        tls: Whether TLS is active from the start, as on port 465.
        trace: Called with each line of the dialogue, secrets replaced.
        trace_content: Whether the trace shows the content of messages as well.

    Attributes:
        role: CLIENT or SERVER.
        lmtp: Whether it is LMTP.
        domain: Our own name.
        limits: Every bound.
        extensions: What the server offered in this session, by keyword; nothing before
            EHLO, and after STARTTLS and XCLIENT.
        last_reply: The last reply sent or received, or None.

    Raises:
        ValueError: The domain is none.
    """

    __slots__ = (
        "_bad_commands",
        "_codec",
        "_connect_told",
        "_content",
        "_dropping",
        "_idle_commands",
        "_largest",
        "_profile",
        "_rcpt_domains",
        "_reader",
        "_refused_commands",
        "_repertoire",
        "_session",
        "_stuffer",
        "_to_drop",
        "_tolerances",
        "_trace",
        "extensions",
        "last_reply",
        "lmtp",
    )

    def __init__(
        self,
        role: Role,
        *,
        domain: str = "localhost",
        extensions: Iterable[Extension] | None = None,
        limits: Limits = _LIMITS,
        tolerances: Tolerances = _TOLERANCES,
        profile: Profile = RELAY,
        lmtp: bool = False,
        tls: bool = False,
        trace: Callable[[str], None] | None = None,
        trace_content: bool = False,
    ) -> None:
        if not _is_domain_or_literal(domain):
            raise ValueError(f"not a domain or an address literal: {domain!r}")
        super().__init__(role, domain, limits)
        self.lmtp: Final = lmtp
        self._tolerances = tolerances
        self._profile = profile
        self._repertoire = repertoire_of(role, extensions, limits)
        self._session = Session(
            self._repertoire.rows, self._repertoire.needs, tls=tls, lmtp=lmtp
        )
        self._codec = Codec(
            self._repertoire.tables(lmtp=lmtp),
            limits,
            space_after_colon=tolerances.space_after_colon,
        )
        size = self._repertoire.by_keyword.get("SIZE")
        self._largest = size.limit or None if isinstance(size, Size) else limits.content
        self.extensions = NO_EXTENSIONS
        self.last_reply: Reply | None = None
        self._connect_told = False
        if role is CLIENT:
            self._reader = ReplyReader(limits.reply_lines)
            self._rcpt_domains: set[str] = set()
        self._stuffer: Stuffer  # what a client sends, once it has begun
        self._content: Inbound  # the same of what a server receives
        self._dropping: BadCommand | None = None  # once its octets are gone
        self._to_drop = 0
        self._bad_commands = 0
        self._idle_commands = 0
        self._refused_commands = 0
        self._trace = Trace(trace, content=trace_content) if trace else None

    @property
    def state(self) -> State:
        """Where the replies have brought the session."""
        return self._session.here.state

    @property
    def closed(self) -> bool:
        """Whether the state is CLOSED."""
        return self._session.here.state is _CLOSED

    @property
    def handshake_due(self) -> bool:
        """Whether the state is TLS: `begin_tls` and a handshake come next."""
        return self._session.state is State.TLS

    @property
    def last_answer(self) -> Reply | None:
        """The last reply sent or received, or None."""
        return self.last_reply

    @property
    def idle(self) -> bool:
        """Whether no command is unanswered."""
        return not self._session.unanswered

    @property
    def tls(self) -> bool:
        """Whether TLS is active."""
        return self._session.tls

    @property
    def profile(self) -> Profile:
        """What a server asks of its clients."""
        return self._profile

    @property
    def authenticated(self) -> bool:
        """Whether an authentication exchange has succeeded."""
        return self._session.authenticated

    @property
    def recipients(self) -> int:
        """How many recipients of the open transaction were accepted."""
        return self._session.recipients

    @property
    def mails(self) -> int:
        """How many MAIL commands there were in this session."""
        return self._session.mails

    @property
    def rcpt_domains(self) -> frozenset[str]:
        """The domains of the recipients that a client has named in this session."""
        return frozenset(self._rcpt_domains if self.role is CLIENT else ())

    @property
    def unanswered(self) -> tuple[Command, ...]:
        """The commands whose reply has not come, oldest first."""
        return tuple(command for command, _, _ in self._session.unanswered)

    @property
    def replies_due(self) -> int:
        """How many replies the oldest unanswered command still has; 0 for none.

        In LMTP the end of the content has one for each accepted recipient.
        """
        return self._session.replies_due

    def send(self, event: Command | Reply | MessageData) -> bytes:
        """Return the octets that say it: all of them must be sent.

        Args:
            event: For a client a command, or MessageData; for a server a Reply.

        Raises:
            LocalProtocolError: It may not be said now.  Nothing has changed.
        """
        try:
            if self.role is SERVER:
                return self._send_reply(event)
            if isinstance(event, MessageData):
                return self._send_content(event)
            return self._send_command(event)
        except (OutOfOrder, ParseError) as error:
            raise LocalProtocolError(str(error)) from error

    def begin_tls(self) -> None:
        """Say that the TLS handshake begins, and forget what was said before it.

        Call it on both sides after the 220 to STARTTLS and before the handshake.

        Raises:
            LocalProtocolError: No handshake is due.
            RemoteProtocolError: The peer has sent octets without TLS that would be read
                inside it.  The state is CLOSED.
        """
        self._check_handshake()
        try:
            self._session.begin_tls()
        except OutOfOrder as error:
            raise LocalProtocolError(str(error)) from error
        self._offer(NO_EXTENSIONS)

    def close(self) -> None:
        """Say that the connection is gone, or given up.  The state is CLOSED."""
        self._session.state = State.CLOSED

    def offer_mechanisms(self, names: Iterable[str]) -> None:
        """Say which mechanisms a server offers from now on; none takes AUTH back.

        Raises:
            ValueError: A name is none.
        """
        offer = AuthOffer(tuple(names))
        if offer.mechanisms:
            self._repertoire = self._repertoire.having(offer)
        elif offer.keyword in self._repertoire.by_keyword:
            self._repertoire = self._repertoire.lacking(offer.keyword)

    def trust(self, trusted: bool) -> None:
        """Say whether the client of a server may use XCLIENT and XFORWARD from now on.

        It has no effect where the server has neither.
        """
        for offer in self._repertoire.by_keyword.values():
            if isinstance(offer, (XclientOffer, XforwardOffer)):
                trusting = replace(offer, trusted=trusted)
                self._repertoire = self._repertoire.having(trusting)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms that AUTH has now: what was offered in this session."""
        offer = self.extensions.get(AuthOffer.keyword)
        return offer.mechanisms if isinstance(offer, AuthOffer) else ()

    def default_reply(self, command: Event | Signal) -> Reply:
        """Return what a sound server says to a command.

        Raises:
            LocalProtocolError: It is no command that a server gets.
        """
        if self.role is SERVER and (reply := DEFAULTS.get(type(command))) is not None:
            return reply  # as most are
        if self.role is not SERVER or not isinstance(command, Command):
            kind = type(command).__name__
            raise LocalProtocolError(f"no reply is due to {kind}")
        if isinstance(command, (Ehlo, Lhlo)):
            return _hello(self.domain, self._offers().lines)
        return default_reply(command, self.domain, lmtp=self.lmtp)

    def _understand(self) -> Event | Signal | None:
        session = self._session
        here = session.here
        if here.apart:
            return self._next_apart(here.state)
        if self.role is CLIENT:
            return self._next_reply()
        if not session.unanswered:
            return self._next_command(here.state)
        if self._connect_told or here.state is not State.CONNECTING:
            return PAUSED
        self._connect_told = True
        return Connect()

    def _next_apart(self, state: State) -> Event | Signal | None:
        """Understand what is neither a command nor the reply to one."""
        if state is _CLOSED:
            return None
        if self.role is CLIENT and state is not _TLS:
            return self._next_reply()
        if state in CONTENT:
            return PAUSED if self._session.unanswered else self._next_content(state)
        if state is _TLS:
            return NEED_DATA if self._eof else PAUSED
        return PAUSED if self._session.unanswered else self._next_auth_response()

    def _next_reply(self) -> Reply | Signal:
        session = self._session
        unanswered = session.unanswered
        asked = unanswered[0][0] if unanswered else session.asked
        special = type(asked) in _SPECIAL
        longest = self.limits.reply_line
        if special and isinstance(asked, (Auth, AuthResponse)):  # challenges
            longest = max(longest, self.limits.auth_line)
        while (line := self._buffer.take_line(longest)) is not None:
            self._line = line
            if self._trace:
                self._trace.reply(line)
            reply = self._reader.read(line, asked)
            if reply is not None:
                session.reply(reply)
                self.last_reply = reply
                if special:
                    self._bring(asked, reply)
                return reply
        return NEED_DATA

    def _bring(self, command: Command | None, reply: Reply) -> None:
        """Take what a reply brings beside a new state; the same on both sides."""
        match command:
            case Data() if reply.code // 100 == 3:
                self._begin_content()
            case Ehlo() | Lhlo() if reply.code // 100 == 2:
                self._offer(self._offered_in(reply))
            case Helo() | Xclient() if reply.code // 100 == 2:
                self._offer(NO_EXTENSIONS)

    def _offered_in(self, reply: Reply) -> Extensions:
        """Return the extensions that a response to EHLO names, those that hold."""
        session, repertoire = self._session, self._repertoire
        if self.role is SERVER:
            offers = self._offers()
            if reply.lines[1:] == offers.lines:  # as in most cases
                return offers.extensions
        return repertoire.heard(
            reply.lines[1:], tls=session.tls, authenticated=session.authenticated
        )

    def _offers(self) -> Offers:
        session = self._session
        return self._repertoire.offers(
            tls=session.tls, authenticated=session.authenticated
        )

    def _offer(self, offers: Extensions) -> None:
        self.extensions = offers
        self._session.offered = offers.keywords
        self._codec.offer(offers)
        if self.role is CLIENT:
            self._reader.enhanced = "ENHANCEDSTATUSCODES" in offers

    def _next_command(self, state: State) -> Event | Signal:
        if self._dropping is not None:
            return self._drop()
        codec = self._codec
        try:
            line = self._buffer.take_line(codec.longest)
        except LineTooLong as error:
            if foreign_protocol(error.start):
                return self._take_foreign(error.start)
            return self._bad(b"", TOO_LONG)
        if line is None:
            start = self._take_foreign_start() if len(self._buffer) else b""
            return self._take_foreign(start) if start else NEED_DATA
        try:
            command = codec.read_command(line, self._session.check)
        except NotOffered:
            return self._take_bad(line, NOT_OFFERED)
        except OutOfOrder:
            return self._take_bad(line, OUT_OF_ORDER)
        except BadLine as error:
            if error.octets is not None:
                self._dropping = BadCommand(line, error.reply)
                self._to_drop = error.octets
                return self._drop()
            if foreign_protocol(line):
                return self._take_foreign(line)
            return self._bad(line, error.reply)
        if state is _RCPT and isinstance(command, (Bdat, BdatLast)):
            self._begin_content()
        return self._take(command, line)

    def _next_auth_response(self) -> Command | Signal:
        try:
            line = self._buffer.take_line(self.limits.auth_line)
        except LineTooLong:
            return self._bad(b"", AUTH_TOO_LONG)
        if line is None:
            return NEED_DATA
        try:
            response = read_auth_response(line)
        except BadLine as error:
            return self._bad(line, error.reply)
        return self._take(response, line)

    def _take(self, command: Command, line: bytes) -> Command:
        forbidden = self._forbidden(command)
        if forbidden is not None:
            return self._take_bad(line, forbidden)
        self._session.take(command)
        if self._trace:
            self._trace.command(command, line)
        return command

    def _take_foreign(self, line: bytes) -> BadCommand:
        """Take a line of another protocol, and of TLS only what shows it."""
        return self._take_bad(foreign_start(line) or line, FOREIGN)

    def _bad(self, line: bytes, reply: Reply) -> BadCommand:
        self._bad_commands += 1
        if self._bad_commands > self.limits.bad_commands:
            reply = TOO_MANY_ERRORS
        return self._take_bad(line, reply)

    def _take_bad(self, line: bytes, reply: Reply) -> BadCommand:
        if self._refused_commands >= self.limits.refused_commands:
            reply = TOO_MANY_REFUSED
        command = BadCommand(line, reply)
        self._session.take(command)
        if self._trace:
            self._trace.command(command, line)
        return command

    def _forbidden(self, command: Command) -> Reply | None:
        """The reply to a command that is well-formed and in order, and yet a no."""
        session = self._session
        kind = type(command)
        if kind not in _OF_MESSAGES:
            self._idle_commands += 1
            if self._idle_commands > self.limits.idle_commands:
                return TOO_MANY_IDLE
        if self._refused_commands > self.limits.refused_commands:
            return TOO_MANY_REFUSED
        if self._profile is not RELAY and (
            refusal := self._profile.refusal(
                command, tls=session.tls, authenticated=session.authenticated
            )
        ):
            return refusal
        if isinstance(command, Rcpt):
            if session.recipients >= self.limits.recipients:
                return TOO_MANY_RECIPIENTS
            if not command.recipient.isascii() and not session.smtputf8:
                return NEEDS_UTF8
        elif isinstance(command, Mail):
            if session.messages == self.limits.messages:
                return TOO_MANY_MESSAGES
            size, largest = command.size, self._largest
            if size is not None and largest is not None and size > largest:
                return TOO_LARGE
        elif isinstance(command, Attributes):
            return self._attributes_refusal(command)
        return None

    def _attributes_refusal(self, command: Attributes) -> Reply | None:
        kind = XclientOffer if isinstance(command, Xclient) else XforwardOffer
        offer = self._repertoire.by_keyword.get(kind.keyword)
        return offer.refusal(command) if isinstance(offer, kind) else None

    def _drop(self) -> BadCommand | Signal:
        """Drop the octets of a chunk that was refused, then give the command."""
        dropped = min(self._to_drop, len(self._buffer))
        self._buffer.drop(dropped)
        self._to_drop -= dropped
        command = self._dropping
        if self._to_drop or command is None:
            return NEED_DATA
        self._dropping = None
        return self._take_bad(command.line, command.reply)

    def _begin_content(self) -> None:
        if self.role is CLIENT:
            self._stuffer = Stuffer()
        else:
            self._content = Inbound(
                self._tolerances,
                largest=self._largest,
                mail=self._session.mail,
                block=self.limits.block,
            )

    def _next_content(self, state: State) -> Event | Signal:
        content = self._content
        in_chunk = state is not _DATA
        if in_chunk:
            block = self._next_of_chunk()
        else:
            block = b"" if content.ended else content.take(self._buffer)
        if block:
            if self._trace:
                self._trace.content("C", block, len(block))
            return checked_data(block)
        session = self._session
        if session.chunk if in_chunk else not content.ended:
            return NEED_DATA
        last = state is not State.CHUNK
        refusal = content.refusal(complete=last)
        end: EndOfMessage | EndOfChunk
        if last:
            end = EndOfMessage(refusal) if refusal else _END_OF_MESSAGE
        else:
            end = EndOfChunk(refusal)
        session.take(end)
        return end

    def _next_of_chunk(self) -> bytes:
        """Take octets of the open chunk; b"" where none are left, or there yet."""
        session = self._session
        while session.chunk and len(self._buffer):
            block, count = self._content.take_chunk(self._buffer, session.chunk)
            session.take_octets(count)
            if block:
                return block
        return b""

    def _send_reply(self, reply: object) -> bytes:
        if not isinstance(reply, Reply):
            raise OutOfOrder(f"a server sends replies, not {type(reply).__name__}")
        session = self._session
        asked = session.asked
        kind = type(asked)
        refused = reply.code >= 400
        if isinstance(asked, _ENDS) and asked.refusal and not refused:
            raise OutOfOrder(f"the content must be refused: {asked.refusal}")
        enhanced = self._repertoire.enhanced
        data = write_reply(reply, asked, self.limits, enhanced=enhanced)
        if not data.isascii() and not self._may_be_utf8(asked, reply.code):
            raise OutOfOrder("only ASCII is allowed in the answer without SMTPUTF8")
        session.reply(reply)
        if self._trace:
            self._trace.reply(data)
        self.last_reply = reply
        if kind in _BRINGING:
            self._bring(asked, reply)
        if kind is EndOfMessage:
            self._idle_commands = self._refused_commands = 0
        elif refused:
            self._refused_commands += 1
        elif kind is Xclient:  # the next one has done nothing yet
            self._idle_commands = self._refused_commands = 0
        return data

    def _may_be_utf8(self, command: Command | None, code: int) -> bool:
        """Whether a reply may hold an address with UTF-8.  RFC 6531 section 3.7.4."""
        match command:
            case Vrfy(smtputf8=smtputf8) | Expn(smtputf8=smtputf8):
                return smtputf8
            case Rcpt() if code in (251, 551):
                return self._session.smtputf8
        return True

    def _send_command(self, command: object) -> bytes:
        if not isinstance(command, Command) or type(command) in _NEVER_SENT:
            name = type(command).__name__
            raise OutOfOrder(f"a client sends commands and content, not {name}")
        kind = type(command)
        session = self._session
        session.check(kind)
        if isinstance(command, Rcpt):
            if not (command.recipient.isascii() or session.smtputf8):
                raise OutOfOrder("a non-ASCII recipient needs Mail(smtputf8=True)")
            data = self._codec.write_command(command)
            self._rcpt_domains.add(domain_of(command.recipient))
        elif kind in _NO_VERB:
            data = self._write_without_verb(command)
        else:
            data = self._codec.write_command(command)
        session.take(command)
        if self._trace:
            self._trace.command(command, data)
        return data

    def _write_without_verb(self, command: Command) -> bytes:
        """Write what has no verb, or one whose octets follow it."""
        match command:
            case EndOfMessage() if self._session.ahead is _DATA:
                data = self._stuffer.end()
                if self._trace:  # the last line may have had no CRLF
                    self._trace.content("C", b"", len(data.removesuffix(b".\r\n")))
                return data
            case Bdat() | BdatLast():
                return write_bdat(command)
            case AuthResponse():
                data = write_auth_response(command)
                if len(data) > self.limits.auth_line:
                    raise OutOfOrder("the response is longer than a line may be")
                return data
        return b""  # the count of octets has said it

    def _send_content(self, content: MessageData) -> bytes:
        session = self._session
        if not session.in_content:
            raise OutOfOrder(f"no content is due in {self.state!r}")
        data = content.data
        if session.chunk:
            if content.lf_ends_lines:
                raise OutOfOrder("a chunk is sent as it is: its octets are counted")
            octets = len(data)
            session.take_octets(octets)
        else:
            stuffer = self._stuffer
            before = stuffer.octets
            data = stuffer.feed(
                data, lf_ends_lines=content.lf_ends_lines, surveyed=content.surveyed
            )
            octets = stuffer.octets - before
        if self._trace:
            self._trace.content("C", content.data, octets)
        return data


@lru_cache(maxsize=64)
def _hello(domain: str, lines: tuple[str, ...]) -> Reply:
    """Return the reply to EHLO, which connections share."""
    return Reply(250, (domain, *lines))
