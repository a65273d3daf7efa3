"""The connection: three verbs, `receive_data`, `next_event` and `send`.

It knows which side we are, and nothing of I/O.  What may come next is Session's to say,
how it is written is the codec's; here the two meet the octets.
"""

from collections.abc import Callable, Iterable
from typing import Final

from .._abnf import is_domain_or_literal
from .._dots import LfToCrlf, Stuffer, Unstuffer
from .._endpoint import Endpoint
from .._errors import LineTooLong, LocalProtocolError, OutOfOrder, ParseError
from .._events import MessageData, checked_data
from .._foreign import foreign_protocol, foreign_start
from .._limits import Limits
from .._lines import LineBuffer
from .._roles import CLIENT, NEED_DATA, PAUSED, SERVER, Role, Signal
from ._capabilities import (
    Capabilities,
    Capability,
    Sasl,
    known,
    read_offers,
    usual,
    write_offers,
)
from ._capabilities import Utf8 as Utf8Offer
from ._codec import BadLine, Codec, read_auth_response, write_auth_response
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
    Pass,
    Quit,
    Retr,
    Top,
    Uidl,
    Utf8,
)
from ._defaults import (
    FOREIGN,
    NEEDS_TLS,
    NOT_OFFERED,
    OUT_OF_ORDER,
    TOO_LONG,
    TOO_MANY_ERRORS,
    TOO_MANY_IDLE,
    TOO_MANY_REFUSED,
    default_response,
)
from ._events import EndOfMessage, Event
from ._grammar import find_timestamp, is_timestamp
from ._response_codec import ResponseReader, write_response
from ._responses import ERR, OK, CapabilityLines, Command, Mechanisms, Response
from ._state import CONTENT, NotOffered, Session, State
from ._tolerances import Tolerances
from ._trace import Trace

_LIMITS: Final = Limits()
_TOLERANCES: Final = Tolerances()
_OF_MESSAGES: Final = frozenset({Retr, Top, Dele})
_NOT_IDLE: Final = _OF_MESSAGES | {Pass, Apop, Auth, AuthResponse, Quit}
_CHALLENGED: Final = frozenset({Auth, AuthResponse})
_BRINGING: Final = CONTENT | {Utf8, Connect, Capa, Pass, Apop, Auth, AuthResponse}
"""The commands whose +OK brings something beside a new state."""
_CODES: Final = frozenset({"RESP-CODES", "AUTH-RESP-CODE"})
_UNSAID: Final = frozenset({"TOP", "UIDL", "USER"})
"""What a client may ask for though CAPA does not say it: RFC 1939 has it."""
_UNASKED: Final = frozenset({*_UNSAID, "SASL", "STLS"})
"""What a client may ask for as long as the server has not answered CAPA."""

_FIRST_PORTION: Final = 4_096
"""Octets of a message that are taken first.

Behind a short message that was pipelined many others may be there: to take them with it
and to put them back is to copy them.
"""

_END: Final = EndOfMessage()
_BARE_END: Final = EndOfMessage(bare=True)

# To look up a member of an Enum takes 60 ns, a tenth of what a command may take.
_CLOSED: Final = State.CLOSED
_TLS: Final = State.TLS


class _LfBuffer(LineBuffer):
    """What has arrived, with CRLF for every LF."""

    __slots__ = ("_line_ends",)

    def __init__(self) -> None:
        super().__init__()
        self._line_ends = LfToCrlf()

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        super().feed(self._line_ends.feed(data))


class Connection(Endpoint[Event]):
    """One POP3 connection, seen from one side.

    Args:
        role: CLIENT or SERVER.
        domain: A server's own name, a domain or an address literal, for its greeting.
        timestamp: For a server that offers APOP: the time-stamp of its greeting with
            its angle brackets, another one for each connection.  "" for no APOP.
        capabilities: What a server offers, or a client can use.  None: `usual()` and
            `known()`.
        limits: Every bound.
        tolerances: What is borne beyond the standard.
        tls: Whether TLS is active from the start, as on port 995.
        trace: Called with each line of the dialogue, secrets replaced.
        trace_content: Whether the trace shows the content of messages as well.

    Attributes:
        role: CLIENT or SERVER.
        domain: Our own name.
        limits: Every bound.
        timestamp: The time-stamp of the greeting, "" where there is none that can be
            used.  A client forgets it at STLS.
        capabilities: What the server offered when it was last asked, by tag; nothing
            before CAPA and after STLS.
        last_response: The last response sent or received, or None.

    Raises:
        ValueError: The domain or the time-stamp is none.
    """

    __slots__ = (
        "_bad_commands",
        "_codec",
        "_connect_told",
        "_first_portion",
        "_has_codes",
        "_idle_commands",
        "_known",
        "_portion",
        "_reader",
        "_refused_commands",
        "_session",
        "_stuffer",
        "_tolerances",
        "_trace",
        "_unstuffer",
        "capabilities",
        "last_response",
        "timestamp",
    )

    def __init__(
        self,
        role: Role,
        *,
        domain: str = "localhost",
        timestamp: str = "",
        capabilities: Iterable[Capability] | None = None,
        limits: Limits = _LIMITS,
        tolerances: Tolerances = _TOLERANCES,
        tls: bool = False,
        trace: Callable[[str], None] | None = None,
        trace_content: bool = False,
    ) -> None:
        if not is_domain_or_literal(domain):
            raise ValueError(f"not a domain or an address literal: {domain!r}")
        if timestamp and not is_timestamp(timestamp):
            raise ValueError(f"not a time-stamp in angle brackets: {timestamp!r}")
        if capabilities is None:
            capabilities = usual() if role is SERVER else known()
        super().__init__(role, domain, limits)
        self.timestamp = timestamp if role is SERVER else ""
        self.capabilities = Capabilities({})
        self.last_response: Response | None = None
        self._tolerances = tolerances
        self._known = {each.tag: each for each in capabilities}
        self._session = Session(
            (each.rows for each in self._known.values()),
            {
                verb.command: each.tag
                for each in self._known.values()
                for verb in each.verbs
            },
            tls=tls,
        )
        self._codec = Codec(self._known.values(), limits)
        self._codec.utf8 = role is SERVER and tolerances.utf8_login
        self._reader = ResponseReader(limits, any_unique_id=tolerances.any_unique_id)
        if tolerances.lf_line_ends and role is not SERVER:
            self._buffer = _LfBuffer()
        self._unstuffer = Unstuffer()
        self._first_portion = min(_FIRST_PORTION, limits.block)
        self._portion = self._first_portion  # octets of content that are taken next
        self._stuffer = Stuffer()
        self._connect_told = False
        self._bad_commands = 0
        self._idle_commands = 0
        self._refused_commands = 0
        self._trace = Trace(trace, content=trace_content) if trace else None
        self._offer()

    @property
    def state(self) -> State:
        """Where the responses have brought the session."""
        return self._session.state

    @property
    def closed(self) -> bool:
        """Whether the state is CLOSED."""
        return self._session.here.state is _CLOSED

    @property
    def handshake_due(self) -> bool:
        """Whether the state is TLS: `begin_tls` and a handshake come next."""
        return self._session.here.state is _TLS

    @property
    def last_answer(self) -> Response | None:
        """The last response sent or received, or None."""
        return self.last_response

    @property
    def idle(self) -> bool:
        """Whether no command is unanswered, and no content is due."""
        return not (self._session.unanswered or self._session.in_content)

    @property
    def tls(self) -> bool:
        """Whether TLS is active."""
        return self._session.tls

    @property
    def authenticated(self) -> bool:
        """Whether a login has succeeded."""
        return self._session.authenticated

    @property
    def utf8(self) -> bool:
        """Whether UTF8 has succeeded."""
        return self._session.utf8

    @property
    def in_content(self) -> bool:
        """Whether the content of a message is due."""
        return self._session.in_content

    @property
    def content_octets(self) -> int:
        """For a server: octets of the content so far, as its receiver counts them."""
        return self._stuffer.octets

    @property
    def unanswered(self) -> tuple[Command, ...]:
        """The commands whose response has not come, oldest first."""
        return tuple(command for command, _ in self._session.unanswered)

    def send(self, event: Command | Response | MessageData | EndOfMessage) -> bytes:
        """Return the octets that say it: all of them must be sent.

        Args:
            event: For a client a command; for a server a Response, or after +OK to RETR
                and TOP MessageData and then EndOfMessage.

        Raises:
            LocalProtocolError: It may not be said now.  Nothing has changed.
        """
        try:
            if self.role is not SERVER:
                return self._send_command(event)
            if isinstance(event, Response):
                return self._send_response(event)
            return self._send_content(event)
        except (OutOfOrder, ParseError) as error:
            raise LocalProtocolError(str(error)) from error

    def begin_tls(self) -> None:
        """Say that the TLS handshake begins, and forget what was said before it.

        Call it on both sides after the +OK to STLS and before the handshake.

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
        if self.role is not SERVER:
            self.timestamp = ""
        self.capabilities = Capabilities({})
        self._offer()

    def close(self) -> None:
        """Say that the connection is gone, or given up.  The state is CLOSED."""
        self._session.state = State.CLOSED

    def offer_mechanisms(self, names: Iterable[str]) -> None:
        """Say which mechanisms a server offers from now on; none takes AUTH back.

        Raises:
            ValueError: A name is none.
        """
        offer = Sasl(tuple(names))
        self._known.pop(Sasl.tag, None)
        if offer.mechanisms:
            self._known[Sasl.tag] = offer
        self._offer()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms that AUTH has now: what is offered, or was when last asked."""
        offers = self._offers() if self.role is SERVER else self.capabilities
        sasl = offers.get(Sasl.tag)
        return sasl.mechanisms if isinstance(sasl, Sasl) else ()

    def default_response(self, command: Event | Signal) -> Response:
        """Return what a sound server says to a command.

        To those that need a maildrop it is a no.

        Raises:
            LocalProtocolError: It is no command that a server gets.
        """
        if self.role is not SERVER or not isinstance(command, Command):
            name = type(command).__name__
            raise LocalProtocolError(f"no response is due to {name}")
        match command:
            case Capa():
                return Response(
                    OK, "Capabilities follow", data=self._capability_lines()
                )
            case AuthList():
                names = Mechanisms(self.mechanisms)
                return Response(OK, "Mechanisms follow", data=names)
            case _:
                return default_response(command, self.domain, self.timestamp)

    def _understand(self) -> Event | Signal | None:
        session = self._session
        here = session.here
        if here.apart:
            return self._next_apart(here.state)
        if self.role is CLIENT:
            return self._next_content() if session.in_content else self._next_response()
        if not (session.unanswered or session.in_content):
            return self._next_command()
        if self._connect_told or here.state is not State.CONNECTING:
            return PAUSED
        self._connect_told = True
        return Connect()

    def _next_apart(self, state: State) -> Event | Signal | None:
        """Understand what is neither a command nor the response to one."""
        if state is _CLOSED:
            return None
        if state is _TLS:
            return NEED_DATA if self._eof else PAUSED
        if self.role is CLIENT:
            return self._next_response()
        return PAUSED if self._session.unanswered else self._next_auth_response()

    def _next_response(self) -> Response | Signal:
        session, reader = self._session, self._reader
        unanswered = session.unanswered
        asked = unanswered[0][0] if unanswered else None
        response = None
        if not reader.in_listing:
            longest = self.limits.reply_line
            if type(asked) in _CHALLENGED:
                longest = max(longest, self.limits.auth_line)
            line = self._buffer.take_line(longest)
            if line is None:
                return NEED_DATA
            self._line = line
            if self._trace:
                self._trace.response(line)
            response = reader.add_status(line, asked, codes=self._has_codes)
        if response is None:
            response = reader.add_listing(self._buffer)
            if response is None:
                return NEED_DATA
            if self._trace:
                self._trace.listing(reader.listing)
        session.response(response)
        self.last_response = response
        if type(asked) in _BRINGING and response.cls is OK:
            self._bring(asked, response)
        return response

    def _bring(self, command: Command | None, response: Response) -> None:
        """Take what +OK brings beside a new state; the same on both sides."""
        match command:
            case Retr() | Top():
                if self.role is SERVER:
                    self._stuffer = Stuffer()
                else:
                    self._unstuffer = Unstuffer()
                    self._portion = self._first_portion
            case Utf8():
                offers = self._known if self.role is SERVER else self.capabilities
                offer = offers.get(Utf8Offer.tag)
                if isinstance(offer, Utf8Offer) and offer.user:
                    self._codec.utf8 = True
            case Connect():
                if self.role is not SERVER:
                    self.timestamp = find_timestamp(response.text)
                self._offer()
            case Capa() if isinstance(response.data, CapabilityLines):
                self.capabilities = read_offers(response.data, self._known)
                self._offer()
            case _:  # a login
                self._offer()

    def _offer(self) -> None:
        """Tell the session which commands may come now, and the reader which codes."""
        self._has_codes = not _CODES.isdisjoint(self.capabilities)
        if self.role is SERVER:
            offered = frozenset(self._offers())
        elif self.capabilities:
            offered = _UNSAID.union(self.capabilities)
        else:
            offered = _UNASKED
        self._session.offered = offered | {"APOP"} if self.timestamp else offered

    def _offers(self) -> dict[str, Capability]:
        return {
            tag: each
            for tag, each in self._known.items()
            if each.holds(tls=self.tls, authenticated=self.authenticated)
        }

    def _capability_lines(self) -> CapabilityLines:
        return write_offers(self._offers())

    def _next_command(self) -> Event | Signal:
        limits = self.limits
        try:
            line = self._buffer.take_line(limits.pop3_command_line)
        except LineTooLong as error:
            if foreign_protocol(error.start):
                return self._take_foreign(error.start)
            return self._bad(b"", TOO_LONG)
        if line is None:
            start = self._take_foreign_start() if len(self._buffer) else b""
            return self._take_foreign(start) if start else NEED_DATA
        try:
            command = self._codec.read_command(line, self._session.check)
        except NotOffered as error:
            later = not self.tls and error.tag in self._known  # as USER that needs TLS
            return self._take_bad(line, NEEDS_TLS if later else NOT_OFFERED)
        except OutOfOrder:
            return self._take_bad(line, OUT_OF_ORDER)
        except BadLine as error:
            if foreign_protocol(line):
                return self._take_foreign(line)
            return self._bad(line, error.response)
        if type(command) not in _NOT_IDLE and _is_idle(command):
            self._idle_commands += 1
            if self._idle_commands > limits.idle_commands:
                return self._take(BadCommand(line, TOO_MANY_IDLE, last=True), line)
        if self._refused_commands > limits.refused_commands:
            return self._take_bad(line, TOO_MANY_REFUSED)
        return self._take(command, line)

    def _next_auth_response(self) -> Event | Signal:
        try:
            line = self._buffer.take_line(self.limits.auth_line)
        except LineTooLong:
            return self._bad(b"", TOO_LONG)
        if line is None:
            return NEED_DATA
        try:
            command = read_auth_response(line)
        except BadLine as error:
            return self._bad(line, error.response)
        return self._take(command, line)

    def _take_foreign(self, line: bytes) -> Command:
        """Take a line of another protocol, and of TLS only what shows it."""
        line = foreign_start(line) or line
        return self._take(BadCommand(line, FOREIGN, last=True), line)

    def _bad(self, line: bytes, response: Response) -> Command:
        self._bad_commands += 1
        if self._bad_commands > self.limits.bad_commands:
            return self._take(BadCommand(line, TOO_MANY_ERRORS, last=True), line)
        return self._take_bad(line, response)

    def _take_bad(self, line: bytes, response: Response) -> Command:
        full = self._refused_commands >= self.limits.refused_commands
        response = TOO_MANY_REFUSED if full else response
        return self._take(BadCommand(line, response, last=full), line)

    def _take(self, command: Command, line: bytes) -> Command:
        self._session.take(command)
        if self._trace:
            self._trace.command(command, line)
        return command

    def _next_content(self) -> Event | Signal:
        unstuffer, buffer = self._unstuffer, self._buffer
        while not unstuffer.ended:
            data = buffer.take(self._portion)
            if not data:
                return NEED_DATA
            block = unstuffer.feed(data)
            if unstuffer.ended:
                buffer.put_back(unstuffer.rest)
            else:
                self._portion = min(4 * self._portion, self.limits.block)
            if block:
                if self._trace:
                    self._trace.content("S", block, len(block))
                return checked_data(block)
        self._session.end_content()
        if self._trace:
            self._trace.end_content()
        return _BARE_END if unstuffer.bare else _END

    def _send_response(self, response: Response) -> bytes:
        session = self._session
        asked = session.asked
        kind = type(asked)
        data = write_response(
            response, asked, self.limits, codes="RESP-CODES" in self._known
        )
        if not data.isascii() and not (
            session.utf8 or session.language or kind is Lang
        ):
            raise OutOfOrder("only ASCII is allowed before UTF8 or LANG")
        session.response(response)
        if self._trace:
            self._trace.response(data)
        self.last_response = response
        if response.cls is ERR:
            self._refused_commands += 1
            if isinstance(asked, BadCommand) and asked.last:
                self.close()
            return data
        if kind in _BRINGING and response.cls is OK:
            self._bring(asked, response)
        if kind in _OF_MESSAGES:
            self._idle_commands = self._refused_commands = 0
        return data

    def _send_content(self, content: object) -> bytes:
        if not isinstance(content, (MessageData, EndOfMessage)):
            name = type(content).__name__
            raise OutOfOrder(f"a server sends responses and content, not {name}")
        session, stuffer = self._session, self._stuffer
        if not session.in_content:
            raise OutOfOrder(f"no content is due in {self.state!r}")
        before = stuffer.octets
        if isinstance(content, EndOfMessage):
            block = b""
            data = stuffer.end()
            session.end_content()
        else:
            block = content.data
            data = stuffer.feed(
                block,
                lf_ends_lines=content.lf_ends_lines,
                surveyed=content.surveyed,
            )
        if self._trace:
            self._trace.content("S", block, stuffer.octets - before)
            if not session.in_content:
                self._trace.end_content()
        return data

    def _send_command(self, command: object) -> bytes:
        if not isinstance(command, Command) or isinstance(
            command, (Connect, BadCommand)
        ):
            raise OutOfOrder(f"a client sends commands, not {type(command).__name__}")
        self._session.check(type(command))
        if isinstance(command, AuthResponse):
            data = write_auth_response(command)
            if len(data) > self.limits.auth_line:
                raise OutOfOrder("the response is longer than a line may be")
        else:
            data = self._codec.write_command(command)
        self._take(command, data)
        return data


def _is_idle(command: Command) -> bool:
    """Whether a command that may be idle is about no single message."""
    return not isinstance(command, (List, Uidl)) or command.number is None
