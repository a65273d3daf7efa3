"""Clients for asyncio and trio: each method runs one flow of the core."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
)
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from smtp_pop_core import (
    AsyncBlocks,
    Blocks,
    Content,
    Flow,
    Progress,
    Sendable,
    pop3,
    smtp,
)

from ._async_driver import Driver
from ._async_stream import Stream

if TYPE_CHECKING:
    from email.message import EmailMessage

T = TypeVar("T")
K = TypeVar("K", smtp.Connection, pop3.Connection)


class _Client(ABC, Generic[K]):
    """Leaving its context says QUIT, unless by an exception."""

    connection: K

    def __init__(self, stream: Stream, driver: Driver) -> None:
        self._stream = stream
        self._driver = driver

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow on this connection, one of your own for example."""
        await self._stream.heed_cancel()  # which a first write at once does not
        return await self._driver.run(flow)

    @abstractmethod
    async def quit(self) -> object:
        """Say QUIT where that is possible, and close."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be asked; `noop` finds out about an idle one."""
        return self.connection.closed

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Let the calls in the context wait for the server so many seconds together.

        It is a plain `with`.  The deadlines of `Limits.timeouts` hold beside it, and so
        do the contexts around it.  When it expires there is a TimeoutError as at each
        of them: the connection is closed, and a message whose end was sent is in doubt.
        """
        return self._stream.within(seconds)

    def close(self) -> None:
        """Close at once, without QUIT."""
        self.connection.close()
        self._stream.close()
        self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.quit()
        else:
            self.close()


C = TypeVar("C", bound=_Client[Any])


class Opening(Generic[C]):
    """A client to be: await it, or enter its context.

    Args:
        connect: Makes the client.
    """

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, C]]) -> None:
        self._connect = connect
        self._client: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._connect().__await__()

    async def __aenter__(self) -> C:
        self._client = await self._connect()
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, error, traceback)


class SmtpClient(_Client[smtp.Connection]):
    """An SMTP client.  Leaving its context says QUIT, unless by an exception.

    Attributes:
        connection: The state of the session.
    """

    connection: smtp.Connection

    def __init__(
        self, stream: Stream, driver: Driver, connection: smtp.Connection
    ) -> None:
        super().__init__(stream, driver)
        self.connection = connection

    @property
    def extensions(self) -> smtp.Extensions:
        """What the server offers, by keyword."""
        return self.connection.extensions

    async def send_mail(
        self,
        sender: str | smtp.Mail,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt,
        content: Sendable,
        *,
        chunking: bool = False,
        progress: Progress | None = None,
    ) -> smtp.MailResult:
        """Send one message: see `smtp.send_mail`.

        Files and plain iterables are read in a thread.  An async generator is closed in
        the end, also if not all of it was wanted.
        """
        conn = self.connection
        flow = smtp.send_mail(
            conn, sender, recipients, content, chunking=chunking, progress=progress
        )
        if not isinstance(content, AsyncGenerator):
            return await self.run(flow)
        async with contextlib.aclosing(content):
            return await self.run(flow)

    async def send_message(
        self,
        message: "EmailMessage",
        sender: str | smtp.Mail | None = None,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt | None = None,
        *,
        chunking: bool = False,
        progress: Progress | None = None,
    ) -> smtp.MailResult:
        """Send an EmailMessage: see `smtp.send_message`."""
        conn = self.connection
        return await self.run(
            smtp.send_message(
                conn, message, sender, recipients, chunking=chunking, progress=progress
            )
        )

    async def etrn(self, node: str) -> smtp.Reply:
        """Ask for the messages that wait for a host: see `smtp.etrn`."""
        return await self.run(smtp.etrn(self.connection, node))

    async def verify(self, string: str, *, smtputf8: bool = False) -> smtp.Reply:
        """Ask whether a user or mailbox exists: see `smtp.verify`."""
        return await self.run(smtp.verify(self.connection, string, smtputf8=smtputf8))

    async def expand(self, string: str, *, smtputf8: bool = False) -> smtp.Reply:
        """Ask for the members of a mailing list: see `smtp.expand`."""
        return await self.run(smtp.expand(self.connection, string, smtputf8=smtputf8))

    async def help(self, topic: str = "") -> smtp.Reply:
        """Ask for help: see `smtp.help`."""
        return await self.run(smtp.help(self.connection, topic))

    async def xclient(self, command: smtp.Xclient) -> smtp.Extensions:
        """Speak for another client from now on: see `smtp.xclient`."""
        return await self.run(smtp.xclient(self.connection, command))

    async def xforward(self, command: smtp.Xforward) -> smtp.Reply:
        """Tell where the next message came from: see `smtp.xforward`."""
        return await self.run(smtp.xforward(self.connection, command))

    async def noop(self) -> smtp.Reply:
        """See that the server is still there: see `smtp.noop`."""
        return await self.run(smtp.noop(self.connection))

    async def reset(self) -> smtp.Reply:
        """Forget the open transaction: see `smtp.reset`."""
        return await self.run(smtp.reset(self.connection))

    async def quit(self) -> smtp.Reply | None:
        """Say QUIT where that is possible, and close: see `smtp.quit`."""
        try:
            return await self.run(smtp.quit(self.connection))
        finally:
            self.close()


class Pop3Client(_Client[pop3.Connection]):
    """A POP3 client.  Leaving its context says QUIT, unless by an exception.

    So messages that were marked as deleted are removed only if all went well.

    Attributes:
        connection: The state of the session.
    """

    connection: pop3.Connection

    def __init__(
        self, stream: Stream, driver: Driver, connection: pop3.Connection
    ) -> None:
        super().__init__(stream, driver)
        self.connection = connection
        self._unread: Content | None = None  # of `retrieve_each`

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow on this connection, one of your own for example.

        What `retrieve_each` has left unread is read and dropped before.
        """
        unread, self._unread = self._unread, None
        if unread is not None and not self.connection.closed:
            await self._driver.run(pop3.drop(unread))
        return await super().run(flow)

    @property
    def capabilities(self) -> pop3.Capabilities:
        """What the server offers, by tag."""
        return self.connection.capabilities

    async def status(self) -> pop3.Totals:
        """Ask how many messages there are, and their size: see `pop3.status`."""
        return await self.run(pop3.status(self.connection))

    async def messages(self) -> tuple[pop3.Listed, ...]:
        """Ask for sizes and unique ids of all messages: see `pop3.messages`."""
        return await self.run(pop3.messages(self.connection))

    async def fetch(
        self, message: int | pop3.Listed, *, progress: Progress | None = None
    ) -> bytes:
        """Return the octets of a message: see `pop3.fetch`."""
        return await self.run(pop3.fetch(self.connection, message, progress=progress))

    @contextlib.asynccontextmanager
    async def retrieve(
        self, message: int | pop3.Listed, *, progress: Progress | None = None
    ) -> AsyncIterator[AsyncBlocks]:
        """Give the content of a message, block by block: see `pop3.retrieve`.

        What is left of it at the end of the context is read and dropped.
        """
        content = await self.run(
            pop3.retrieve(self.connection, message, progress=progress)
        )
        async with self._reading(content) as blocks:
            yield blocks

    @contextlib.asynccontextmanager
    async def top(
        self, message: int | pop3.Listed, lines: int = 0
    ) -> AsyncIterator[AsyncBlocks]:
        """Give the header of a message and some lines of its body: see `pop3.top`."""
        content = await self.run(pop3.top(self.connection, message, lines))
        async with self._reading(content) as blocks:
            yield blocks

    @contextlib.asynccontextmanager
    async def _reading(self, content: Content) -> AsyncIterator[AsyncBlocks]:
        try:
            yield AsyncBlocks(self._driver.pull, content)
        except Exception:
            await self._drop(content)
            raise
        except BaseException:  # cancelled: there is no time for the rest
            self.close()
            raise
        await self._drop(content)

    async def _drop(self, content: Content) -> None:
        if not self.connection.closed:
            await self.run(pop3.drop(content))

    def retrieve_each(
        self,
        messages: Iterable[pop3.Listed] | None = None,
        *,
        progress: Progress | None = None,
    ) -> AsyncIterator[tuple[pop3.Listed, AsyncBlocks]]:
        """Give messages, each with its content, one after the other, for `async for`.

        What was not read of one is read and dropped when the next one, or anything
        else, is asked for; so the loop can be left at any time.

        Args:
            messages: Which ones; None: all.
            progress: Called for each block, as for `pop3.retrieve`.

        Raises:
            Rejected: The server does not give one of them; no more can follow.
        """

        async def given(message: pop3.Listed) -> AsyncBlocks:
            flow = pop3.retrieve(self.connection, message, progress=progress)
            self._unread = content = await self.run(flow)
            return AsyncBlocks(self._driver.pull, content)

        return _Each(given, self.messages, messages)

    async def retrieve_many(
        self,
        messages: Iterable[int | pop3.Listed],
        sink: Callable[[int, Blocks], object] | Callable[[int, AsyncBlocks], object],
    ) -> dict[int, pop3.Response]:
        """Fetch messages with pipelining: see `pop3.retrieve_many`.

        A sink that is not `async def` is called in a thread.
        """
        return await self.run(pop3.retrieve_many(self.connection, messages, sink))

    async def collect(
        self,
        store: Callable[[pop3.Listed, Blocks], object]
        | Callable[[pop3.Listed, AsyncBlocks], object],
        *,
        seen: pop3.Seen | None = None,
        note: Callable[[str], object] | None = None,
        delete_stored: bool = False,
        progress: Progress | None = None,
    ) -> pop3.Collected:
        """Fetch and store what is new, delete if wanted, QUIT: see `pop3.collect`.

        Functions that are not `async def` are called in a thread.
        """
        conn = self.connection
        flow = pop3.collect(
            conn,
            store,
            seen=seen,
            note=note,
            delete_stored=delete_stored,
            progress=progress,
        )
        return await self.run(flow)

    async def delete(self, *messages: int | pop3.Listed) -> dict[int, pop3.Response]:
        """Mark messages as deleted; QUIT removes them: see `pop3.delete`."""
        return await self.run(pop3.delete(self.connection, messages))

    async def reset(self) -> pop3.Response:
        """Take all marks for deletion back: see `pop3.reset`."""
        return await self.run(pop3.reset(self.connection))

    async def noop(self) -> pop3.Response:
        """See that the server is still there: see `pop3.noop`."""
        return await self.run(pop3.noop(self.connection))

    async def languages(self) -> tuple[pop3.Language, ...]:
        """Ask in which languages the server speaks: see `pop3.languages`."""
        return await self.run(pop3.languages(self.connection))

    async def language(self, tag: str) -> pop3.Language | None:
        """Choose the language of the server's texts: see `pop3.language`."""
        return await self.run(pop3.language(self.connection, tag))

    async def quit(self) -> pop3.Response | None:
        """Say QUIT where that is possible, and close: see `pop3.quit`."""
        try:
            return await self.run(pop3.quit(self.connection))
        finally:
            self.close()


class _Each(AsyncIterator[tuple[pop3.Listed, AsyncBlocks]]):
    """Messages one after the other.  No async generator, which would have to be closed.

    Args:
        given: Asks for the content of a message.
        all_of_them: Asks which messages there are.
        messages: Those that are wanted, or None: all.
    """

    def __init__(
        self,
        given: Callable[[pop3.Listed], Awaitable[AsyncBlocks]],
        all_of_them: Callable[[], Awaitable[tuple[pop3.Listed, ...]]],
        messages: Iterable[pop3.Listed] | None,
    ) -> None:
        self._given = given
        self._all_of_them = all_of_them
        self._messages = None if messages is None else iter(messages)

    async def __anext__(self) -> tuple[pop3.Listed, AsyncBlocks]:
        if self._messages is None:
            self._messages = iter(await self._all_of_them())
        for message in self._messages:
            return message, await self._given(message)
        raise StopAsyncIteration
