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
from ._errors import MessageAborted, Stopping
from ._flow import Ask, Deadline, Flow, Report, Write, read

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


class Serving(ABC, Generic[E, A]):
    """One session of a server.

    Args:
        conn: Its connection.
        application: What decides.
        bases: The classes whose methods stand for the default and are not asked.
    """

    def __init__(
        self, conn: Endpoint[E], application: A, bases: tuple[type, ...]
    ) -> None:
        self._endpoint: Final = conn
        self._application: Final = application
        self._bases: Final = bases
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

    def ask(self, function: Callable[..., object], *arguments: object) -> Flow[Any]:
        """Ask the application; its mistakes are reported, and answered `failed`."""
        try:
            answer = yield Ask(function, arguments)
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
