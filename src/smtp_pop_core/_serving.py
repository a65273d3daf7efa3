"""What the sessions of both servers share: asking an application, gathering answers.

Answers are gathered and written in one go before the server waits.  Whatever goes wrong
in the application is a Report to the operator, and the peer hears none of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

from . import proxy, sasl  # types in quotes: their rooms are opened when needed
from ._endpoint import Endpoint
from ._errors import MessageAborted, RemoteProtocolError, Stopping
from ._flow import (
    READ,
    Ask,
    Deadline,
    Flow,
    Handshake,
    Negotiated,
    Note,
    Report,
    Sleep,
    Write,
    deadline,
    new_ask,
    new_write,
)
from ._foreign import foreign_protocol
from ._gate import Gate
from ._security import Logins

_DELAY: Final = 3.0  # seconds that a no to a login takes, where nobody says it
_BAD: Final = "BADCOMMAND"
_CONNECT: Final = "CONNECT"
_WITH_ARGUMENT: Final = {"BDATLAST": "BDAT", "AUTHLIST": "AUTH"}

E = TypeVar("E")
A = TypeVar("A")


_Asked: TypeAlias = "sasl.Challenge | sasl.Question"
Exchange: TypeAlias = "Generator[_Asked, object, sasl.Success]"
"""The server's side of a login, with a mechanism or without."""


class Ending(Enum):
    """Why a session has ended."""

    QUIT = "quit"  # the client said so
    LOST = "lost"  # the connection was lost, or the client closed it
    TIMEOUT = "timeout"  # the client was too slow
    STOPPING = "stopping"  # the server shuts down
    REFUSED = "refused"  # the server ended it, by a limit or the application's word
    RESTARTED = "restarted"  # it begins anew for another client: XCLIENT


class Unanswered(Exception):
    """The application could not answer a question.  Stays inside the core."""


class HandshakeFailed(Exception):
    """TLS was not reached.  Stays inside the core."""


class GaveUp(Exception):
    """A login has ended without its result.  Stays inside the core."""


class Visitor:
    """Who is at the other end of a session: what the Peers of both protocols share.

    Attributes:
        address: Where the connection comes from, as the adapter says it, or the proxy
            in front: for TCP the IP address, "" where there is none.
        port: The port there, or 0.
        proxy: The header with which a proxy has handed the connection on, or None.
        session: What names the session in the log, or "".
    """

    __slots__ = (
        "_endpoint",
        "_identity",
        "_security",
        "address",
        "port",
        "proxy",
        "session",
    )

    def __init__(
        self,
        conn: Endpoint[Any],
        address: str = "",
        port: int = 0,
        session: str = "",
    ) -> None:
        self._endpoint = conn
        self._identity = ""
        self._security: Negotiated | None = None
        self.address = address
        self.port = port
        self.proxy: proxy.Header | None = None
        self.session = session

    @property
    def identity(self) -> str:
        """Who has logged in, as the application named it; "" before."""
        return self._identity

    @property
    def security(self) -> Negotiated | None:
        """What the handshake has come to, or None: there was none."""
        return self._security

    @property
    def tls(self) -> bool:
        """Whether TLS is active."""
        return self._endpoint.tls


class Serving(ABC, Generic[E, A]):
    """One session of a server.

    Args:
        conn: Its connection.
        application: What decides.
        bases: The classes whose methods stand for the default and are not asked.
        visitor: Who is at the other end.
        logins: What can be checked, or None.
        gate: The door of the server, or None: nobody else has to know of the session.
    """

    __slots__ = (
        "_application",
        "_bases",
        "_counts",
        "_deaf",
        "_delay",
        "_ending",
        "_endpoint",
        "_failed_logins",
        "_gate",
        "_in_handshake",
        "_kind",
        "_logins",
        "_mechanism",
        "_messages",
        "_octets",
        "_out",
        "_refused",
        "_stopping",
        "_time_to_write",
        "_user",
        "_visitor",
    )

    def __init__(
        self,
        conn: Endpoint[E],
        application: A,
        bases: tuple[type, ...],
        visitor: Visitor,
        logins: Logins | None,
        gate: Gate | None,
    ) -> None:
        self._endpoint: Final = conn
        self._application = application
        self._bases: Final = bases
        self._visitor = visitor
        self._logins: Final = logins
        self._gate: Final = gate
        self._delay: Final = _DELAY if logins is None else logins.delay
        self._failed_logins = 0
        self._mechanism = ""  # of the login that goes on, or was the last
        self._user = ""  # who was tried in it
        self._kind: type | None = None  # of the command that has no answer yet
        self._counts: dict[type, int] = {}  # how many there were of each
        self._refused: dict[type, int] = {}  # how many of them had a no
        self._messages = 0  # that were taken or given
        self._octets = 0  # of content
        self._ending = Ending.LOST
        self._in_handshake = False  # nothing can be said
        self._out = bytearray()  # answers that are not written yet
        self._time_to_write: Final = deadline(conn.limits.timeouts.write)
        self._stopping = False
        self._deaf = False  # the peer does not take our answers

    @abstractmethod
    def failed(self) -> object:
        """Return the answer to what went wrong in the application."""

    def decides(self, name: str) -> bool:
        """Whether the application has a method of its own; else it is not asked."""
        kind: type = type(self._application)
        return _has_own(kind, self._bases, name)

    def ask(
        self,
        function: Callable[..., object],
        *arguments: object,
        shield: bool = False,
        quick: bool = False,
    ) -> Flow[Any]:
        """Ask the application; its mistakes are reported, and answered `failed`."""
        try:
            answer = yield new_ask(function, arguments, shield, quick)
        except MessageAborted:
            return self.failed()
        except Exception as error:
            yield Report(error)
            return self.failed()
        return answer

    @abstractmethod
    def challenge(self, data: bytes) -> Flow[bytes]:
        """Send a challenge, and return the response to it.

        Raises:
            ExchangeError: There is none.
        """

    def prove(
        self,
        exchange: Exchange,
        authenticate: "Callable[[sasl.Question], object]",
    ) -> "Flow[sasl.Success]":
        """Run the server's side of a login to its end.

        Raises:
            Denied: The credentials are wrong.
            ExchangeError: What the client has sent is malformed, or it gave up.
            Unanswered: The application or a mechanism failed, which has been reported.
        """
        answer: object = None
        self._user = ""
        with closing(exchange):
            while True:
                try:
                    request = exchange.send(answer)
                except StopIteration as end:
                    success: sasl.Success = end.value
                    return success
                except (sasl.Denied, sasl.ExchangeError):
                    raise
                except Exception as error:  # not what a question asked for, for one
                    yield Report(error)
                    raise Unanswered from error
                if isinstance(request, sasl.Challenge):
                    answer = yield from self.challenge(request.data)
                    continue
                self._user = _user_of(request) or self._user
                try:
                    answer = yield Ask(authenticate, (request,))
                except Exception as error:
                    yield Report(error)
                    raise Unanswered from error

    def begin_login(
        self, logins: Logins, mechanism: str, initial: bytes | None
    ) -> "Flow[sasl.Server]":
        """Begin the server's side of a mechanism that was offered.

        Raises:
            Unanswered: It cannot begin, which has been reported.
        """
        conn, security = self._endpoint, self._visitor.security
        try:
            nonce: str = yield Ask(logins.nonce, quick=True)
            context = logins.context(nonce, conn.domain, conn.mechanisms, security)
            return logins.begin(mechanism, context, initial)
        except Exception as error:
            yield Report(error)
            raise Unanswered from error

    def note_login(self, identity: str) -> Flow[None]:
        """Tell the operator who has logged in."""
        fields = {"mechanism": self._mechanism, "identity": identity}
        yield Note("logged_in", fields)

    def note_refused_login(self, reason: str) -> Flow[None]:
        """Tell the operator of a login that failed."""
        fields = {"mechanism": self._mechanism, "user": self._user, "reason": reason}
        yield Note("login_refused", fields)

    def count(self, command: object) -> None:
        """Take note of a command that was received."""
        self._kind = kind = type(command)
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def count_answer(self, *, refused: bool) -> None:
        """Take note of whether the answer to the last command is a no."""
        kind, self._kind = self._kind, None
        if refused and kind is not None:
            self._refused[kind] = self._refused.get(kind, 0) + 1

    def note_end(self, ending: Ending) -> Flow[None]:
        """Tell the operator that the session has ended, and what was in it."""
        commands = _by_name(self._counts)
        bad = commands.pop(_BAD, 0)
        commands.pop(_CONNECT, None)
        refused = _by_name(self._refused)
        refused.pop(_BAD, None)
        fields = {
            "reason": ending.value,
            "commands": commands,
            "refused": refused,
            "bad_commands": bad,
            "messages": self._messages,
            "octets": self._octets,
        }
        yield Note("ended", fields)

    def take_time(self) -> Flow[bool]:
        """Let the time of a failed login pass; return whether it was one too many."""
        self._failed_logins += 1
        if self._gate is not None:
            yield Ask(self._gate.login_failed, (self._visitor.address,), quick=True)
        if self._delay:
            yield from self.flush()
            yield from self.sleep(self._delay)
        return self._failed_logins >= self._endpoint.limits.failed_logins

    def sleep(self, seconds: float) -> Flow[None]:
        """Let so many seconds pass, or take note that the server stops."""
        try:
            yield Sleep(seconds)
        except Stopping:
            self._stopping = True

    def begin(self) -> Flow[None]:
        """Begin TLS if it comes first, and offer what can be offered."""
        if self._endpoint.tls:
            yield from self._shake_hands()
        self.offer_mechanisms()

    def start_tls(self) -> Flow[None]:
        """Begin TLS, after its command; octets that came before it end the session."""
        try:
            self._endpoint.begin_tls()
        except RemoteProtocolError:  # they would be read inside TLS
            return
        yield from self._shake_hands()
        self.offer_mechanisms()

    def _shake_hands(self) -> Flow[None]:
        self._in_handshake = True
        yield Deadline(self._endpoint.limits.timeouts.greeting, idle=True)
        try:
            negotiated: Negotiated = yield Handshake()
        except TimeoutError:
            raise
        except Stopping as error:
            self._ending = Ending.STOPPING
            raise HandshakeFailed from error
        except OSError as error:  # by the client, as ssl.SSLError
            raise HandshakeFailed from error
        except Exception as error:
            yield Report(error)
            raise HandshakeFailed from error
        self._in_handshake = False
        self._visitor._security = negotiated
        fields = {"version": negotiated.version, "cipher": negotiated.cipher}
        yield Note("tls_begun", fields)

    def offer_mechanisms(self) -> None:
        """Offer the mechanisms that this client can log in with."""
        if self._logins is not None:
            tls, security = self._endpoint.tls, self._visitor.security
            offered = self._logins.offered(tls=tls, negotiated=security)
            self._endpoint.offer_mechanisms(offered)

    def flush(self, *, own_time: bool = True) -> Flow[None]:
        """Write what has been gathered.

        Args:
            own_time: Whether it has a time of its own; else the deadline that holds
                is for it as well.

        Raises:
            TimeoutError: The peer does not take it.
        """
        if self._out:
            data, self._out = bytes(self._out), bytearray()
            self._deaf = True
            if own_time:
                yield self._time_to_write
            yield new_write(data)
            self._deaf = False

    def receive(self) -> Flow[None]:
        """Read what the peer says next, or take note that the server stops."""
        try:
            data: bytes = yield READ
        except Stopping:
            self._stopping = True
        else:
            self._endpoint.receive_data(data)


@lru_cache(maxsize=256)
def _has_own(kind: type, bases: tuple[type, ...], name: str) -> bool:
    method = getattr(kind, name)
    return all(method is not getattr(base, name) for base in bases)


def note_visitor(visitor: Visitor, proxy: str = "") -> Flow[None]:
    """Tell the operator that a session has begun.

    Args:
        visitor: Who has come.
        proxy: The address of the proxy in front, "" for none.
    """
    fields = {"address": visitor.address, "port": visitor.port}
    yield Note("connected", {**fields, "proxy": proxy} if proxy else fields)


def note_foreign(line: bytes) -> Flow[None]:
    """Tell the operator that another protocol came in at our port."""
    yield Note("foreign_protocol", {"protocol": foreign_protocol(line)})


def turn_away(conn: Endpoint[E], data: bytes) -> Flow[Ending]:
    """End a session that has not begun.

    Args:
        conn: The connection.
        data: What the peer is told, b"" for nothing.
    """
    if data:
        yield Deadline(conn.limits.timeouts.write)
        with suppress(TimeoutError):
            yield Write(data)
    conn.close()
    yield Note("ended", {"reason": Ending.REFUSED.value})
    return Ending.REFUSED


def _by_name(counts: Mapping[type, int]) -> dict[str, int]:
    named: dict[str, int] = {}
    for kind, count in counts.items():
        name = kind.__name__.upper()
        name = _WITH_ARGUMENT.get(name, name)
        named[name] = named.get(name, 0) + count
    return named


def _user_of(question: "sasl.Question") -> str:
    user = getattr(question, "user", None) or getattr(question, "authzid", None)
    return user if isinstance(user, str) else ""
