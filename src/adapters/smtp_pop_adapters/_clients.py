"""Clients on blocking sockets: each method runs one flow of the core."""

from __future__ import annotations  # what is only named is not loaded

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from smtp_pop_core import Blocks, Content, Flow, Progress, Sendable, pop3, smtp

from ._driver import Driver
from ._sockets import Stream

if TYPE_CHECKING:
    from email.message import EmailMessage

T = TypeVar("T")
K = TypeVar("K", "smtp.Connection", "pop3.Connection")


class _Client(ABC, Generic[K]):
    """Leaving its context says QUIT, unless by an exception."""

    connection: K

    def __init__(self, stream: Stream, tls: ssl.SSLContext | None) -> None:
        self._stream = stream
        self._driver = Driver(stream, tls=tls)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow on this connection, one of your own for example."""
        return self._driver.run(flow)

    @abstractmethod
    def quit(self) -> object:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.quit()
        else:
            self.close()


class SmtpClient(_Client["smtp.Connection"]):
    """An SMTP client.  Leaving its context says QUIT, unless by an exception.

    Attributes:
        connection: The state of the session.
    """

    connection: smtp.Connection

    def __init__(
        self,
        stream: Stream,
        connection: smtp.Connection,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(stream, tls)
        self.connection = connection

    @property
    def extensions(self) -> smtp.Extensions:
        """What the server offers, by keyword."""
        return self.connection.extensions

    def send_mail(
        self,
        sender: str | smtp.Mail,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt,
        content: Sendable,
        *,
        chunking: bool = False,
        progress: Progress | None = None,
    ) -> smtp.MailResult:
        """Send one message: see `smtp.send_mail`."""
        conn = self.connection
        return self.run(
            smtp.send_mail(
                conn, sender, recipients, content, chunking=chunking, progress=progress
            )
        )

    def send_message(
        self,
        message: EmailMessage,
        sender: str | smtp.Mail | None = None,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt | None = None,
        *,
        chunking: bool = False,
        progress: Progress | None = None,
    ) -> smtp.MailResult:
        """Send an EmailMessage: see `smtp.send_message`."""
        conn = self.connection
        return self.run(
            smtp.send_message(
                conn, message, sender, recipients, chunking=chunking, progress=progress
            )
        )

    def etrn(self, node: str) -> smtp.Reply:
        """Ask for the messages that wait for a host: see `smtp.etrn`."""
        return self.run(smtp.etrn(self.connection, node))

    def verify(self, string: str, *, smtputf8: bool = False) -> smtp.Reply:
        """Ask whether a user or mailbox exists: see `smtp.verify`."""
        return self.run(smtp.verify(self.connection, string, smtputf8=smtputf8))

    def expand(self, string: str, *, smtputf8: bool = False) -> smtp.Reply:
        """Ask for the members of a mailing list: see `smtp.expand`."""
        return self.run(smtp.expand(self.connection, string, smtputf8=smtputf8))

    def help(self, topic: str = "") -> smtp.Reply:
        """Ask for help: see `smtp.help`."""
        return self.run(smtp.help(self.connection, topic))

    def xclient(self, command: smtp.Xclient) -> smtp.Extensions:
        """Speak for another client from now on: see `smtp.xclient`."""
        return self.run(smtp.xclient(self.connection, command))

    def xforward(self, command: smtp.Xforward) -> smtp.Reply:
        """Tell where the next message came from: see `smtp.xforward`."""
        return self.run(smtp.xforward(self.connection, command))

    def noop(self) -> smtp.Reply:
        """See that the server is still there: see `smtp.noop`."""
        return self.run(smtp.noop(self.connection))

    def reset(self) -> smtp.Reply:
        """Forget the open transaction: see `smtp.reset`."""
        return self.run(smtp.reset(self.connection))

    def quit(self) -> smtp.Reply | None:
        """Say QUIT where that is possible, and close: see `smtp.quit`."""
        try:
            return self.run(smtp.quit(self.connection))
        finally:
            self.close()


class Pop3Client(_Client["pop3.Connection"]):
    """A POP3 client.  Leaving its context says QUIT, unless by an exception.

    So messages that were marked as deleted are removed only if all went well.

    Attributes:
        connection: The state of the session.
    """

    connection: pop3.Connection

    def __init__(
        self,
        stream: Stream,
        connection: pop3.Connection,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(stream, tls)
        self.connection = connection
        self._unread: Content | None = None  # of `retrieve_each`

    def run(self, flow: Flow[T]) -> T:
        """Run a flow on this connection, one of your own for example.

        What `retrieve_each` has left unread is read and dropped before.
        """
        unread, self._unread = self._unread, None
        if unread is not None and not self.connection.closed:
            self._driver.run(pop3.drop(unread))
        return super().run(flow)

    @property
    def capabilities(self) -> pop3.Capabilities:
        """What the server offers, by tag."""
        return self.connection.capabilities

    def status(self) -> pop3.Totals:
        """Ask how many messages there are, and their size: see `pop3.status`."""
        return self.run(pop3.status(self.connection))

    def messages(self) -> tuple[pop3.Listed, ...]:
        """Ask for sizes and unique ids of all messages: see `pop3.messages`."""
        return self.run(pop3.messages(self.connection))

    def fetch(
        self, message: int | pop3.Listed, *, progress: Progress | None = None
    ) -> bytes:
        """Return the octets of a message: see `pop3.fetch`."""
        return self.run(pop3.fetch(self.connection, message, progress=progress))

    @contextmanager
    def retrieve(
        self, message: int | pop3.Listed, *, progress: Progress | None = None
    ) -> Iterator[Blocks]:
        """Give the content of a message, block by block: see `pop3.retrieve`.

        What is left of it at the end of the context is read and dropped.
        """
        content = self.run(pop3.retrieve(self.connection, message, progress=progress))
        with self._reading(content) as blocks:
            yield blocks

    @contextmanager
    def top(self, message: int | pop3.Listed, lines: int = 0) -> Iterator[Blocks]:
        """Give the header of a message and some lines of its body: see `pop3.top`."""
        content = self.run(pop3.top(self.connection, message, lines))
        with self._reading(content) as blocks:
            yield blocks

    @contextmanager
    def _reading(self, content: Content) -> Iterator[Blocks]:
        try:
            yield Blocks(self._driver.run, content)
        finally:
            if not self.connection.closed:
                self.run(pop3.drop(content))

    def retrieve_each(
        self,
        messages: Iterable[pop3.Listed] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Iterator[tuple[pop3.Listed, Blocks]]:
        """Give messages, each with its content, one after the other, for `for`.

        What was not read of one is read and dropped when the next one, or anything
        else, is asked for; so the loop can be left at any time.

        Args:
            messages: Which ones; None: all.
            progress: Called for each block, as for `pop3.retrieve`.

        Raises:
            Rejected: The server does not give one of them; no more can follow.
        """
        for message in self.messages() if messages is None else messages:
            flow = pop3.retrieve(self.connection, message, progress=progress)
            self._unread = content = self.run(flow)
            yield message, Blocks(self._driver.run, content)

    def retrieve_many(
        self,
        messages: Iterable[int | pop3.Listed],
        sink: Callable[[int, Blocks], object],
    ) -> dict[int, pop3.Response]:
        """Fetch messages with pipelining: see `pop3.retrieve_many`."""
        return self.run(pop3.retrieve_many(self.connection, messages, sink))

    def collect(
        self,
        store: Callable[[pop3.Listed, Blocks], object],
        *,
        seen: pop3.Seen | None = None,
        note: Callable[[str], object] | None = None,
        delete_stored: bool = False,
        progress: Progress | None = None,
    ) -> pop3.Collected:
        """Fetch and store what is new, delete if wanted, QUIT: see `pop3.collect`."""
        conn = self.connection
        flow = pop3.collect(
            conn,
            store,
            seen=seen,
            note=note,
            delete_stored=delete_stored,
            progress=progress,
        )
        return self.run(flow)

    def delete(self, *messages: int | pop3.Listed) -> dict[int, pop3.Response]:
        """Mark messages as deleted; QUIT removes them: see `pop3.delete`."""
        return self.run(pop3.delete(self.connection, messages))

    def reset(self) -> pop3.Response:
        """Take all marks for deletion back: see `pop3.reset`."""
        return self.run(pop3.reset(self.connection))

    def noop(self) -> pop3.Response:
        """See that the server is still there: see `pop3.noop`."""
        return self.run(pop3.noop(self.connection))

    def languages(self) -> tuple[pop3.Language, ...]:
        """Ask in which languages the server speaks: see `pop3.languages`."""
        return self.run(pop3.languages(self.connection))

    def language(self, tag: str) -> pop3.Language | None:
        """Choose the language of the server's texts: see `pop3.language`."""
        return self.run(pop3.language(self.connection, tag))

    def quit(self) -> pop3.Response | None:
        """Say QUIT where that is possible, and close: see `pop3.quit`."""
        try:
            return self.run(pop3.quit(self.connection))
        finally:
            self.close()
