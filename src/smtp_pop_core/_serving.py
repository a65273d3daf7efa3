"""What the sessions of both servers share: asking an application, gathering answers.

Answers are gathered and written in one go before the server waits.  Whatever goes wrong
in the application is a Report to the operator, and the peer hears none of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from ._endpoint import Endpoint
from ._errors import MessageAborted, Stopping
from ._flow import Ask, Deadline, Flow, Report, Write, read

E = TypeVar("E")
A = TypeVar("A")


class Ending(Enum):
    """Why a session has ended."""

    QUIT = "quit"  # the client said so
    LOST = "lost"  # the connection was lost, or the client closed it
    TIMEOUT = "timeout"  # the client was too slow
    STOPPING = "stopping"  # the server shuts down
    REFUSED = "refused"  # the server ended it, by a limit or the application's word


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
