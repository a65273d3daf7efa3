"""The three adapters behind one face, for commands that are written once."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
)
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import click

from smtp_pop_core import AsyncBlocks, Blocks, pop3

from .. import _async_clients, blocking
from ._signals import ENDING, caught, restored

T = TypeVar("T")

ADAPTERS: Final = ("blocking", "asyncio", "trio")

SmtpClient = blocking.SmtpClient | _async_clients.SmtpClient
Pop3Client = blocking.Pop3Client | _async_clients.Pop3Client


class Listening(Protocol):
    """A server of any adapter."""

    addresses: list[tuple[str, int]]

    def drain(self) -> None:
        """Begin to stop, without waiting."""


async def settled(outcome: T | Awaitable[T]) -> T:
    """Return what a method of a client has come to, awaited where that applies."""
    if inspect.isawaitable(outcome):
        answer: T = await outcome
        return answer
    return outcome


def following(blocks: Blocks | AsyncBlocks) -> Callable[[], Awaitable[bytes] | bytes]:
    """Give what returns the next block of content, b"" at its end."""
    if isinstance(blocks, AsyncBlocks):
        return partial(anext, aiter(blocks), b"")
    return partial(next, iter(blocks), b"")


adapter_option: Final = click.option(
    "--adapter",
    type=click.Choice(ADAPTERS),
    default=ADAPTERS[0],
    show_default=True,
    help="What carries out the conversations.",
)


class Adapter(ABC):
    """Clients and servers, whose contexts are entered with `async with`."""

    @abstractmethod
    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an async function to its end."""

    @abstractmethod
    def serve(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Listening]:
        """Call `serve_smtp` or `serve_pop3`."""

    @abstractmethod
    def connect(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        """Call `connect_smtp` or `connect_pop3`."""

    @abstractmethod
    def signals(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[object]]]:
        """Catch SIGTERM and SIGINT, and give a function that waits for one of them.

        A second one does what it does without us.
        """

    def storing(
        self, store: Callable[[pop3.Listed, Any], Coroutine[Any, Any, None]]
    ) -> Callable[[pop3.Listed, Any], Any]:
        """Make what `collect` calls of an async function."""
        return store


class _Blocking(Adapter):
    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            function().send(None)
        except StopIteration as end:
            value: T = end.value
            return value
        raise AssertionError("nothing was to be waited for")

    @asynccontextmanager
    async def _entered(self, context: AbstractContextManager[T]) -> AsyncIterator[T]:
        with context as it:
            yield it

    def serve(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Listening]:
        serve = getattr(blocking, f"serve_{protocol}")
        return self._entered(serve(*arguments, **options))

    def connect(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        connect = getattr(blocking, f"connect_{protocol}")
        return self._entered(connect(*arguments, **options))

    @asynccontextmanager
    async def signals(self) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        with caught() as block:

            async def wait() -> None:
                block()

            yield wait

    def storing(
        self, store: Callable[[pop3.Listed, Any], Coroutine[Any, Any, None]]
    ) -> Callable[[pop3.Listed, Any], Any]:
        return lambda message, blocks: self.run(partial(store, message, blocks))


class _Asyncio(Adapter):
    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import asyncio

        return asyncio.run(function())

    def serve(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Listening]:
        from .. import asyncio

        serve: Callable[..., AbstractAsyncContextManager[Listening]]
        serve = getattr(asyncio, f"serve_{protocol}")
        return serve(*arguments, **options)

    def connect(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        from .. import asyncio

        connect: Callable[..., AbstractAsyncContextManager[Any]]
        connect = getattr(asyncio, f"connect_{protocol}")
        return connect(*arguments, **options)

    @asynccontextmanager
    async def signals(self) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        import asyncio

        loop, told = asyncio.get_running_loop(), asyncio.Event()

        async def wait() -> None:
            await told.wait()
            restore()

        with ExitStack() as stack:
            restore = stack.enter_context(restored())
            for each in ENDING:
                loop.add_signal_handler(each, told.set)
                stack.callback(loop.remove_signal_handler, each)
            yield wait


class _Trio(Adapter):
    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import trio

        return trio.run(function)

    @asynccontextmanager
    async def serve(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AsyncIterator[Listening]:
        import trio as library

        from .. import trio

        serve = getattr(trio, f"serve_{protocol}")
        try:
            async with library.open_nursery() as nursery:
                server = await nursery.start(partial(serve, *arguments, **options))
                yield server
                await server.stop()
        except BaseExceptionGroup as group:  # the sessions report what they raise
            raise group.exceptions[0] from None

    def connect(
        self, protocol: str, *arguments: Any, **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        from .. import trio

        connect: Callable[..., AbstractAsyncContextManager[Any]]
        connect = getattr(trio, f"connect_{protocol}")
        return connect(*arguments, **options)

    @asynccontextmanager
    async def signals(self) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        import trio

        with ExitStack() as stack:
            received = stack.enter_context(trio.open_signal_receiver(*ENDING))

            async def wait() -> None:
                await anext(aiter(received))
                stack.close()

            yield wait


def adapter_of(name: str) -> Adapter:
    """Return the adapter of a name.

    Raises:
        ClickException: trio is missing.
    """
    if name == "trio":
        try:
            import trio  # noqa: F401
        except ModuleNotFoundError as error:
            raise click.ClickException(
                "trio is missing: install smtp-pop-core[trio]"
            ) from error
        return _Trio()
    return _Asyncio() if name == "asyncio" else _Blocking()
