"""Clients and servers on blocking sockets; a server has a thread for each session.

There is no protocol here: a driver carries out what the flows of the core ask for.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from email.message import EmailMessage
from types import TracebackType
from typing import Final, Self, TypeVar

from smtp_pop_core import (
    CLIENT,
    SERVER,
    Ask,
    Blocks,
    Content,
    Deadline,
    Flow,
    Limits,
    On,
    Read,
    Report,
    Request,
    Sendable,
    Sleep,
    Stopping,
    Write,
    smtp,
)

from ._sockets import Stop, Stream, connect, end_of, listen, own_address

__all__ = ["connect_smtp", "serve_smtp", "SmtpClient", "Server", "Driver", "Stream"]

T = TypeVar("T")

_TOLERANCES: Final = smtp.Tolerances(space_after_colon=True)
_PAUSE: Final = 1.0  # seconds before a server that is short of something tries again
_LAST: Final = 2.0  # seconds for sessions to end that were cut off
_log: Final = logging.getLogger("smtp_pop_adapters")


class Driver:
    """Runs flows on a stream, and on others that they name.

    Args:
        stream: What requests without a label are carried out on.
        others: Further streams, by the label that `On` names.
        report: Called with the mistakes of an application; by default they are logged.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        others: Mapping[str, Stream] | None = None,
        report: Callable[[Exception], None] | None = None,
    ) -> None:
        self._streams = {"": stream, **(others or {})}
        self._report = report or _log_mistake

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result.  It is closed in any case."""
        with contextlib.closing(flow):
            step: Callable[..., Request] = flow.send
            outcome: object = None
            while True:
                try:
                    request = step(outcome)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, outcome = flow.send, self._carry_out(request, "")
                except Exception as error:  # the flow decides what it means
                    step, outcome = flow.throw, error

    def _carry_out(self, request: Request, label: str) -> object:
        match request:
            case Read():
                return self._streams[label].receive()
            case Write(data, heed):
                return self._streams[label].transmit(data, heed=heed)
            case Deadline(seconds):
                self._streams[label].set_deadline(seconds)
            case Ask(function, arguments):
                return function(*map(self._handed_over, arguments))
            case Sleep(seconds):
                self._streams[label].sleep(seconds)
            case Report(error):
                self._report(error)
            case On(stream, inner):
                return self._carry_out(inner, stream)
        return None

    def _handed_over(self, argument: object) -> object:
        return Blocks(self.run, argument) if isinstance(argument, Content) else argument


def _log_mistake(error: Exception) -> None:
    _log.error("%r", error, exc_info=error)


class SmtpClient:
    """An SMTP client.  Leaving its context says QUIT, unless by an exception.

    Attributes:
        connection: The state of the session.
    """

    def __init__(self, stream: Stream, connection: smtp.Connection) -> None:
        self.connection = connection
        self._stream = stream
        self._driver = Driver(stream)

    @property
    def extensions(self) -> smtp.Extensions:
        """What the server offers, by keyword."""
        return self.connection.extensions

    def run(self, flow: Flow[T]) -> T:
        """Run a flow on this connection, one of your own for example."""
        return self._driver.run(flow)

    def send_mail(
        self,
        sender: str | smtp.Mail,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt,
        content: Sendable,
        *,
        chunking: bool = False,
    ) -> smtp.MailResult:
        """Send one message: see `smtp.send_mail`."""
        conn = self.connection
        return self.run(
            smtp.send_mail(conn, sender, recipients, content, chunking=chunking)
        )

    def send_message(
        self,
        message: EmailMessage,
        sender: str | smtp.Mail | None = None,
        recipients: Iterable[str | smtp.Rcpt] | str | smtp.Rcpt | None = None,
        *,
        chunking: bool = False,
    ) -> smtp.MailResult:
        """Send an EmailMessage: see `smtp.send_message`."""
        conn = self.connection
        return self.run(
            smtp.send_message(conn, message, sender, recipients, chunking=chunking)
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


def connect_smtp(
    host: str = "localhost",
    port: int = 25,
    *,
    sock: socket.socket | None = None,
    domain: str | None = None,
    limits: Limits | None = None,
    extensions: Iterable[smtp.Extension] | None = None,
    lmtp: bool = False,
    trace: Callable[[str], None] | None = None,
    timeout: float = 30,
) -> SmtpClient:
    """Connect to an SMTP server, hear its greeting and say EHLO.

    Args:
        host: Its name or address; or the path of a Unix socket, which holds a "/".
        port: Its port; for a Unix socket it does not matter.
        sock: An open socket in place of host and port; it is owned from now on.
        domain: Our own name for EHLO.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What can be used if the server offers it.  None: all that is known.
        lmtp: Whether the server speaks LMTP.  RFC 2033.
        trace: Called with each line of the dialogue, secrets replaced.
        timeout: Seconds to wait for the connection itself.

    Raises:
        OSError: There is no connection to be had.
        Rejected: The server does not want us.
        RemoteProtocolError: It does not speak SMTP.
        ConnectionLost: It went away.
        TimeoutError: It was too slow.
    """
    if sock is None:
        sock = connect(host, port, timeout)
    stream = Stream(sock)
    try:
        conn = smtp.Connection(
            CLIENT,
            domain=domain or smtp.own_domain(socket.gethostname(), own_address(sock)),
            limits=limits or Limits(),
            extensions=extensions,
            lmtp=lmtp,
            trace=trace,
        )
        client = SmtpClient(stream, conn)
        try:
            client.run(smtp.open(conn))
        except smtp.Rejected:
            client.quit()
            raise
    except BaseException:
        stream.close()
        raise
    return client


class Server:
    """A running server.  Leaving its context stops it.

    Attributes:
        addresses: What it listens on: address and port; for a Unix socket path and 0.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        session: Callable[[socket.socket, object], Flow[object]],
        *,
        sessions: int,
        report: Callable[[Exception], None] | None,
    ) -> None:
        listeners = list(listeners)
        self.addresses = [end_of(each.getsockname()) for each in listeners]
        self._session = session
        self._report = report or _log_mistake
        self._most = sessions
        self._stop = Stop()
        self._changed = threading.Condition()
        self._running: set[socket.socket] = set()
        self._acceptors = [
            threading.Thread(target=self._accept, args=(each,), daemon=True)
            for each in listeners
        ]
        for thread in self._acceptors:
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        stream = Stream(listener, self._stop)
        with contextlib.closing(stream), contextlib.suppress(Stopping):
            while True:
                try:
                    sock, address = stream.accept()
                except OSError as error:  # too many descriptors, for example
                    self._report(error)
                    with self._changed:
                        self._changed.wait(_PAUSE)
                else:
                    self._start(sock, address)

    def _start(self, sock: socket.socket, address: object) -> None:
        with self._changed:
            self._changed.wait_for(self._may_go_on)
            self._running.add(sock)
        thread = threading.Thread(target=self._serve, args=(sock, address), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._report(error)
            self._end(sock)

    def _may_go_on(self) -> bool:
        return self._stop.told.is_set() or len(self._running) < self._most

    def _serve(self, sock: socket.socket, address: object) -> None:
        stream = Stream(sock, self._stop)
        try:
            Driver(stream, report=self._report).run(self._session(sock, address))
            stream.linger()
        except Exception as error:
            self._report(error)
        finally:
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        with self._changed:
            sock.close()
            self._running.discard(sock)
            self._changed.notify_all()

    def stop(self, timeout: float = 30) -> None:
        """Take no new sessions, end idle ones with 421, and let transactions end.

        Args:
            timeout: Seconds after which what still runs is cut off.
        """
        self._stop.tell()
        with self._changed:
            self._changed.notify_all()
        for thread in self._acceptors:
            thread.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout)
            for sock in self._running:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._running, _LAST)
        self._stop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_smtp(
    application: smtp.ApplicationFactory,
    host: str = "localhost",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    domain: str | None = None,
    limits: Limits | None = None,
    extensions: Iterable[smtp.Extension] | None = None,
    tolerances: smtp.Tolerances = _TOLERANCES,
    profile: smtp.Profile = smtp.RELAY,
    lmtp: bool = False,
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    trace: Callable[[str], None] | None = None,
) -> Server:
    """Serve SMTP in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `smtp.Application`, or any callable that returns an instance.
        host: What to listen on; every address of the name, "" for all there are; or the
            path of a Unix socket, which holds a "/".
        port: The port, or 0 for any that is free.
        sock: A listening socket in place of host and port.  The server closes it.
        domain: Our own name.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What is offered.  None: `smtp.usual()`.
        tolerances: What is borne beyond the standard.
        profile: What is asked of clients beyond the protocol, as `smtp.SUBMISSION`.
        lmtp: Whether it is LMTP.  RFC 2033.
        sessions: How many sessions are served at once; further ones wait.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain is none.
    """
    bounds = limits or Limits()
    offered = None if extensions is None else tuple(extensions)

    def connection(own: str) -> smtp.Connection:
        return smtp.Connection(
            SERVER,
            domain=own,
            limits=bounds,
            extensions=offered,
            tolerances=tolerances,
            profile=profile,
            lmtp=lmtp,
            trace=trace,
        )

    def session(sock: socket.socket, address: object) -> Flow[object]:
        own = domain or smtp.own_domain(socket.gethostname(), own_address(sock))
        return smtp.serve(connection(own), application, *end_of(address))

    connection(domain or "localhost")  # what is wrong with it is said here and now
    listeners = [sock] if sock is not None else listen(host, port)
    return Server(listeners, session, sessions=sessions, report=report)
