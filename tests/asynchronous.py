"""Asyncio and trio, as tests see them; and with them all adapters."""

import asyncio
import functools
import socket
import sys
import types
from abc import abstractmethod
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
    nullcontext,
    suppress,
)
from typing import Any, Final, TypeVar

import trio

from adapting import HOST, Adapter, BlockingAdapter
from smtp_pop_adapters import asyncio as asyncio_adapter
from smtp_pop_adapters import trio as trio_adapter
from smtp_pop_adapters._async_clients import Opening, Pop3Client, SmtpClient
from smtp_pop_adapters._async_driver import Driver
from smtp_pop_adapters._async_server import Server, open_stream
from smtp_pop_adapters._async_stream import Runtime, Stop, Stream
from smtp_pop_adapters._asyncio_runtime import AsyncioRuntime
from smtp_pop_adapters._trio_runtime import TrioRuntime
from smtp_pop_core import pop3, smtp

T = TypeVar("T")
Serving = AbstractAsyncContextManager[Server]


class Task:
    """A function that runs at the same time; `result` waits for what it returns."""

    def __init__(self, kit: "Kit", function: Callable[[], Awaitable[Any]]) -> None:
        self._kit = kit
        self._function = function
        self._outcome: list[Any] = []

    async def run(self) -> None:
        try:
            self._outcome.append(await self._function())
        except Exception as error:
            self._outcome.append(error)

    async def result(self) -> Any:
        while not self._outcome:
            await self._kit.checkpoint()
        return self._outcome[0]


class Kit(Adapter):
    """What a test needs of asyncio or trio."""

    runtime: Runtime

    async def checkpoint(self) -> None:
        await self.runtime.checkpoint()

    async def stream(self, sock: socket.socket, stop: Stop | None = None) -> Stream:
        return await open_stream(self.runtime, sock, stop)

    def stop(self) -> AbstractContextManager[Stop]:
        return nullcontext(Stop())

    def driver(self, stream: Stream, **options: Any) -> Driver:
        return Driver(self.runtime, stream, **options)

    @abstractmethod
    def soon(self) -> AbstractAsyncContextManager[object]:
        """Give a context that has no time at all, and then raises TimeoutError."""

    @abstractmethod
    async def cancelled_at(
        self, number: int, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> bool:
        """Call a function and cancel it at an await; say whether it came so far."""

    @abstractmethod
    async def until_cancelled(
        self, function: Callable[[Callable[[], object]], Awaitable[object]]
    ) -> None:
        """Call a function with what cancels it, and wait for its end."""

    @abstractmethod
    def serve_smtp(
        self, application: smtp.ApplicationFactory, **options: Any
    ) -> Serving: ...

    @abstractmethod
    def serve_pop3(
        self, application: pop3.ApplicationFactory, **options: Any
    ) -> Serving: ...

    @abstractmethod
    def connect_smtp(self, *where: Any, **options: Any) -> Opening[SmtpClient]: ...

    @abstractmethod
    def connect_pop3(self, *where: Any, **options: Any) -> Opening[Pop3Client]: ...


@types.coroutine
def stepping(
    coroutine: Coroutine[Any, Any, T], number: int, cancel: Callable[[], object]
) -> Generator[Any, Any, tuple[bool, T]]:
    """Run a coroutine, and call `cancel` at the await of that number."""
    step: Callable[..., Any] = coroutine.send
    outcome: Any = None
    while True:
        try:
            trap = step(outcome)
        except StopIteration as end:
            return number <= 0, end.value
        number -= 1
        if number == 0:
            cancel()
        try:
            step, outcome = coroutine.send, (yield trap)
        except BaseException as error:
            step, outcome = coroutine.throw, error


class AsyncioKit(Kit):
    name = "asyncio"
    runtime = AsyncioRuntime()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            await asyncio.wait_for(function(), 60)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            runner.run(main())

    async def thread(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)

    @asynccontextmanager
    async def tasks(
        self,
    ) -> AsyncIterator[Callable[[Callable[[], Awaitable[Any]]], Task]]:
        async with asyncio.TaskGroup() as group:

            def start(function: Callable[[], Awaitable[Any]]) -> Task:
                task = Task(self, function)
                group.create_task(task.run())
                return task

            yield start

    @asynccontextmanager
    async def soon(self) -> AsyncIterator[None]:
        async with asyncio.timeout(0.01):
            yield

    async def cancelled_at(
        self, number: int, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> bool:
        async def run() -> bool:
            current = asyncio.current_task()
            assert current is not None
            passed, _ = await stepping(function(), number, current.cancel)
            return passed

        try:
            return await asyncio.create_task(run())
        except asyncio.CancelledError:
            return True

    async def until_cancelled(
        self, function: Callable[[Callable[[], object]], Awaitable[object]]
    ) -> None:
        async def run() -> None:
            current = asyncio.current_task()
            assert current is not None
            await function(current.cancel)

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(run())

    def serve_smtp(
        self, application: smtp.ApplicationFactory, **options: Any
    ) -> Serving:
        return asyncio_adapter.serve_smtp(application, **{"host": HOST} | options)

    def serve_pop3(
        self, application: pop3.ApplicationFactory, **options: Any
    ) -> Serving:
        return asyncio_adapter.serve_pop3(application, **{"host": HOST} | options)

    def connect_smtp(self, *where: Any, **options: Any) -> Opening[SmtpClient]:
        return asyncio_adapter.connect_smtp(*where, **options)

    def connect_pop3(self, *where: Any, **options: Any) -> Opening[Pop3Client]:
        return asyncio_adapter.connect_pop3(*where, **options)


class TrioKit(Kit):
    name = "trio"
    runtime = TrioRuntime()

    def run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            with trio.fail_after(60):
                await function()

        trio.run(main)

    async def thread(self, function: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(function)

    @asynccontextmanager
    async def tasks(
        self,
    ) -> AsyncIterator[Callable[[Callable[[], Awaitable[Any]]], Task]]:
        async with trio.open_nursery() as nursery:

            def start(function: Callable[[], Awaitable[Any]]) -> Task:
                task = Task(self, function)
                nursery.start_soon(task.run)
                return task

            yield start

    @asynccontextmanager
    async def soon(self) -> AsyncIterator[None]:
        try:
            with trio.fail_after(0.01):
                yield
        except trio.TooSlowError as error:
            raise TimeoutError from error

    async def cancelled_at(
        self, number: int, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> bool:
        with trio.CancelScope() as scope:
            passed, _ = await stepping(function(), number, scope.cancel)
            return passed
        return True

    async def until_cancelled(
        self, function: Callable[[Callable[[], object]], Awaitable[object]]
    ) -> None:
        with trio.CancelScope() as scope:
            await function(scope.cancel)

    @asynccontextmanager
    async def _serving(
        self, serve: Callable[..., Awaitable[None]], *arguments: Any, **options: Any
    ) -> AsyncIterator[Server]:
        try:
            async with trio.open_nursery() as nursery:
                server: Server = await nursery.start(
                    functools.partial(serve, *arguments, **{"host": HOST} | options)
                )
                yield server
                await server.stop()
        except BaseExceptionGroup as group:  # nothing but what the test is about
            raise group.exceptions[0] from None

    def serve_smtp(
        self, application: smtp.ApplicationFactory, **options: Any
    ) -> Serving:
        return self._serving(trio_adapter.serve_smtp, application, **options)

    def serve_pop3(
        self, application: pop3.ApplicationFactory, **options: Any
    ) -> Serving:
        return self._serving(trio_adapter.serve_pop3, application, **options)

    def connect_smtp(self, *where: Any, **options: Any) -> Opening[SmtpClient]:
        return trio_adapter.connect_smtp(*where, **options)

    def connect_pop3(self, *where: Any, **options: Any) -> Opening[Pop3Client]:
        return trio_adapter.connect_pop3(*where, **options)


_asyncio_kits = [AsyncioKit()]

if sys.platform != "win32":  # which has no uvloop
    import uvloop

    class UvloopKit(AsyncioKit):
        name = "uvloop"

        def new_loop(self) -> asyncio.AbstractEventLoop:
            return uvloop.new_event_loop()

    _asyncio_kits.append(UvloopKit())

KITS: Final[tuple[Kit, ...]] = (*_asyncio_kits, TrioKit())
ADAPTERS: Final[tuple[Adapter, ...]] = (BlockingAdapter(), *KITS)
