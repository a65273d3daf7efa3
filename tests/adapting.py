"""The adapters behind one face: tests are written once, and await what they call.

What is awaited of the blocking adapter does not wait in the loop, for there is none.
"""

import inspect
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
)
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from smtp_pop_adapters import blocking
from smtp_pop_adapters._sockets import Stop
from smtp_pop_core import Blocks, pop3, smtp

T = TypeVar("T")
HOST: Final = "127.0.0.1"


class Started(Protocol):
    """A function that runs at the same time."""

    async def result(self) -> Any:
        """Wait for what it returns, or for the Exception that it raises."""


Start = Callable[[Callable[[], Awaitable[Any]]], Started]


class Adapter(ABC):
    """What a test needs of an adapter."""

    name: str

    @abstractmethod
    def run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a test, and see that it leaves no task behind."""

    @abstractmethod
    async def checkpoint(self) -> None:
        """Let others go on."""

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for something that others do."""
        while not happened():
            await self.checkpoint()

    @abstractmethod
    async def thread(self, function: Callable[[], T]) -> T:
        """Call a function that may block, while servers go on."""

    @abstractmethod
    def tasks(self) -> AbstractAsyncContextManager[Start]:
        """Give a function that starts others; they are awaited in the end."""

    @abstractmethod
    def serve_smtp(
        self, application: smtp.ApplicationFactory, **options: Any
    ) -> AbstractAsyncContextManager[Any]: ...

    @abstractmethod
    def serve_pop3(
        self, application: pop3.ApplicationFactory, **options: Any
    ) -> AbstractAsyncContextManager[Any]: ...

    @abstractmethod
    def connect_smtp(self, *where: Any, **options: Any) -> Any:
        """Give a client to be: it is awaited, or its context is entered."""

    @abstractmethod
    def connect_pop3(self, *where: Any, **options: Any) -> Any: ...

    @abstractmethod
    async def stream(self, sock: socket.socket, stop: Any = None) -> Any:
        """Make a stream of an open socket."""

    @abstractmethod
    def stop(self) -> AbstractContextManager[Any]:
        """Give what tells streams that their server ends."""

    @abstractmethod
    def driver(self, stream: Any, **options: Any) -> Any:
        """Make what runs flows on a stream."""

    def serve(
        self, protocol: str, application: Any, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        """Call `serve_smtp` or `serve_pop3`."""
        serve: Any = {"smtp": self.serve_smtp, "pop3": self.serve_pop3}[protocol]
        serving: AbstractAsyncContextManager[Any] = serve(application, **options)
        return serving

    def connect(self, protocol: str, *where: Any, **options: Any) -> Any:
        """Call `connect_smtp` or `connect_pop3`."""
        connect = {"smtp": self.connect_smtp, "pop3": self.connect_pop3}[protocol]
        return connect(*where, **options)


def to_end(awaitable: Awaitable[T]) -> T:
    """Return what something comes to that never waits in a loop."""
    try:
        next(awaitable.__await__())
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("nothing was to be waited for")


class BlockingAdapter(Adapter):
    name = "blocking"

    def run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        to_end(function())

    async def checkpoint(self) -> None:
        time.sleep(0)  # nothing but a chance for others

    async def thread(self, function: Callable[[], T]) -> T:
        return function()

    @asynccontextmanager
    async def tasks(self) -> AsyncIterator[Start]:
        started: list[_Thread] = []

        def start(function: Callable[[], Awaitable[Any]]) -> Started:
            started.append(_Thread(function))
            return started[-1]

        yield start
        for each in started:
            await each.result()

    def serve_smtp(
        self, application: smtp.ApplicationFactory, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        return _Call(blocking.serve_smtp, application, **{"host": HOST} | options)

    def serve_pop3(
        self, application: pop3.ApplicationFactory, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        return _Call(blocking.serve_pop3, application, **{"host": HOST} | options)

    def connect_smtp(self, *where: Any, **options: Any) -> Any:
        return _Call(blocking.connect_smtp, *where, **options)

    def connect_pop3(self, *where: Any, **options: Any) -> Any:
        return _Call(blocking.connect_pop3, *where, **options)

    async def stream(self, sock: socket.socket, stop: Any = None) -> Any:
        return _Face(blocking.Stream(sock, stop))

    def stop(self) -> AbstractContextManager[Any]:
        return closing(Stop())

    def driver(self, stream: Any, **options: Any) -> Any:
        others = {name: it.behind for name, it in options.pop("others", {}).items()}
        return _Face(blocking.Driver(stream.behind, others=others, **options))


class _Thread(threading.Thread):
    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._outcome: Any = TimeoutError("it does not end")
        self.start()

    def run(self) -> None:
        try:
            self._outcome = to_end(self._function())
        except Exception as error:
            self._outcome = error

    async def result(self) -> Any:
        self.join(30)
        return self._outcome


_AT_ONCE: Final = {"close", "cut", "dismiss", "drain", "set_deadline", "within"}
"""The methods that are plain ones in all adapters."""


class _Face:
    """An object of the blocking adapter; its methods are awaited.

    Attributes:
        behind: The object.
    """

    def __init__(self, it: Any) -> None:
        self.behind = it

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.behind, name)
        if name in _AT_ONCE or not inspect.ismethod(value):
            return value
        return partial(_Call, value)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for each in self.behind:
            yield each


_FACED: Final = (
    Blocks,
    blocking.Pop3Client,
    blocking.Server,
    blocking.SmtpClient,
)


def _faced(it: Any) -> Any:
    return _Face(it) if isinstance(it, _FACED) else it


class _Call(AbstractAsyncContextManager[Any]):
    """A call of the blocking adapter: it is awaited, entered, or looped over."""

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> None:
        self._call = partial(function, *arguments, **options)
        self._context: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return _faced(self._call())

    async def __aenter__(self) -> Any:
        self._context = self._call()
        return _faced(self._context.__enter__())

    async def __aexit__(self, *error: object) -> bool | None:
        left: bool | None = self._context.__exit__(*error)
        return left

    async def __aiter__(self) -> AsyncIterator[Any]:
        for message, blocks in self._call():
            yield message, _faced(blocks)
