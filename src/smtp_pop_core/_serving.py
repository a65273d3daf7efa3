"""What the sessions of both servers share: asking an application, gathering answers.

Answers are gathered and written in one go before the server waits.  Whatever goes wrong
in the application is a Report to the operator, and the peer hears none of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

from . import sasl
from ._endpoint import Endpoint
from ._errors import MessageAborted, RemoteProtocolError, Stopping
from ._flow import (
    Ask,
    Deadline,
    Flow,
    Handshake,
    Negotiated,
    Report,
    Sleep,
    Write,
    read,
)
from ._security import Logins
from .proxy import Header

_DELAY: Final = 3.0  # seconds that a no to a login takes, where nobody says it

E = TypeVar("E")
A = TypeVar("A")


Exchange: TypeAlias = (
    Generator[sasl.Challenge | sasl.Question, object, sasl.Success]
    | Generator[sasl.Question, object, sasl.Success]
)
"""The server's side of a login, with a mechanism or without."""


class Ending(Enum):
    """Why a session has ended."""

    QUIT = "quit"  # the client said so
    LOST = "lost"  # the connection was lost, or the client closed it
    TIMEOUT = "timeout"  # the client was too slow
    STOPPING = "stopping"  # the server shuts down
    REFUSED = "refused"  # the server ended it, by a limit or the application's word


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
    """

    __slots__ = ("_endpoint", "_identity", "_security", "address", "port", "proxy")

    def __init__(self, conn: Endpoint[Any], address: str = "", port: int = 0) -> None:
        self._endpoint = conn
        self._identity = ""
        self._security: Negotiated | None = None
        self.address = address
        self.port = port
        self.proxy: Header | None = None

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
    """

    def __init__(
        self,
        conn: Endpoint[E],
        application: A,
        bases: tuple[type, ...],
        visitor: Visitor,
        logins: Logins | None,
    ) -> None:
        self._endpoint: Final = conn
        self._application: Final = application
        self._bases: Final = bases
        self._visitor: Final = visitor
        self._logins: Final = logins
        self._delay: Final = _DELAY if logins is None else logins.delay
        self._failed_logins = 0
        self._ending = Ending.LOST
        self._in_handshake = False  # nothing can be said
        self._out = bytearray()  # answers that are not written yet
        self._stopping = False
        self._deaf = False  # the peer does not take our answers

    @abstractmethod
    def failed(self) -> object:
        """Return the answer to what went wrong in the application."""

    def decides(self, name: str) -> bool:
        """Whether the application has a method of its own; else it is not asked."""
        method = getattr(type(self._application), name)
        return all(method is not getattr(base, name) for base in self._bases)

    def ask(
        self,
        function: Callable[..., object],
        *arguments: object,
        shield: bool = False,
    ) -> Flow[Any]:
        """Ask the application; its mistakes are reported, and answered `failed`."""
        try:
            answer = yield Ask(function, arguments, shield)
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
        authenticate: Callable[[sasl.Question], object],
    ) -> Flow[sasl.Success]:
        """Run the server's side of a login to its end.

        Raises:
            Denied: The credentials are wrong.
            ExchangeError: What the client has sent is malformed, or it gave up.
            Unanswered: The application or a mechanism failed, which has been reported.
        """
        answer: object = None
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
                try:
                    answer = yield Ask(authenticate, (request,))
                except Exception as error:
                    yield Report(error)
                    raise Unanswered from error

    def begin_login(
        self, logins: Logins, mechanism: str, initial: bytes | None
    ) -> Flow[sasl.Server]:
        """Begin the server's side of a mechanism that was offered.

        Raises:
            Unanswered: It cannot begin, which has been reported.
        """
        conn, security = self._endpoint, self._visitor.security
        try:
            nonce: str = yield Ask(logins.nonce)
            context = logins.context(nonce, conn.domain, conn.mechanisms, security)
            return logins.begin(mechanism, context, initial)
        except Exception as error:
            yield Report(error)
            raise Unanswered from error

    def take_time(self) -> Flow[bool]:
        """Let the time of a failed login pass; return whether it was one too many."""
        self._failed_logins += 1
        if self._delay:
            yield from self.flush()
            try:
                yield Sleep(self._delay)
            except Stopping:
                self._stopping = True
        return self._failed_logins >= self._endpoint.limits.failed_logins

    def begin(self) -> Flow[None]:
        """Begin TLS if it comes first, and offer what can be offered."""
        if self._endpoint.tls:
            yield from self._shake_hands()
        self._offer_mechanisms()

    def start_tls(self) -> Flow[None]:
        """Begin TLS, after its command; octets that came before it end the session."""
        try:
            self._endpoint.begin_tls()
        except RemoteProtocolError:  # they would be read inside TLS
            return
        yield from self._shake_hands()
        self._offer_mechanisms()

    def _shake_hands(self) -> Flow[None]:
        self._in_handshake = True
        yield Deadline(self._endpoint.limits.timeouts.greeting)
        try:
            self._visitor._security = yield Handshake()
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

    def _offer_mechanisms(self) -> None:
        if self._logins is not None:
            tls, security = self._endpoint.tls, self._visitor.security
            offered = self._logins.offered(tls=tls, negotiated=security)
            self._endpoint.offer_mechanisms(offered)

    def flush(self) -> Flow[None]:
        """Write what has been gathered.

        Raises:
            TimeoutError: The peer does not take it.
        """
        if self._out:
            data, self._out = bytes(self._out), bytearray()
            self._deaf = True
            yield Deadline(self._endpoint.limits.timeouts.write)
            yield Write(data)
            self._deaf = False

    def receive(self) -> Flow[None]:
        """Read what the peer says next, or take note that the server stops."""
        try:
            data = yield from read()
        except Stopping:
            self._stopping = True
        else:
            self._endpoint.receive_data(data)


def say_unavailable(conn: Endpoint[E], error: Exception, data: bytes) -> Flow[Ending]:
    """Turn a peer away because there is no application for it."""
    yield Report(error)
    yield Deadline(conn.limits.timeouts.write)
    with suppress(TimeoutError):
        yield Write(data)
    return Ending.REFUSED
