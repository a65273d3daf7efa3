"""Clients and servers on blocking sockets; a server has a thread for each session.

There is no protocol here: a driver carries out what the flows of the core ask for.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.message import EmailMessage
from types import TracebackType
from typing import Self, TypeVar

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

T = TypeVar("T")

_CHUNK = 65_536  # octets of one read
_TOLERANCES = smtp.Tolerances(space_after_colon=True)
_PASSIVE = socket.AI_PASSIVE
_LINGER = 2.0  # seconds that a peer has to take our last words before the socket closes
_log = logging.getLogger("smtp_pop_adapters")


class _Stop:
    """Told once, heard by all who wait: the server is about to end."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.waker, self._end = socket.socketpair()

    def tell(self) -> None:
        self.told.set()
        self._end.close()  # which makes the waker readable, and leaves it so

    def close(self) -> None:
        self._end.close()
        self.waker.close()


class Stream:
    """A socket with a deadline."""

    def __init__(self, sock: socket.socket, stop: _Stop | None = None) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._stop = stop
        self._deadline: float | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        if stop is not None:
            self._selector.register(stop.waker, selectors.EVENT_READ)

    def set_deadline(self, seconds: float | None) -> None:
        """Let reads and writes together take so many seconds from now."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def receive(self) -> bytes:
        """Return what the peer says next, b"" at its end or when it is gone."""
        while True:
            self._heed_stop()
            try:
                return self.sock.recv(_CHUNK)
            except BlockingIOError:
                self._wait(selectors.EVENT_READ)
            except ConnectionError:
                return b""

    def transmit(self, data: bytes, *, heed: bool) -> bool:
        """Send it all, or with heed as much as can be before the peer speaks."""
        left = memoryview(data)
        while left:
            if heed and self._is_readable():
                return True
            try:
                left = left[self.sock.send(left) :]
            except BlockingIOError:
                read = selectors.EVENT_READ if heed else 0
                self._wait(selectors.EVENT_WRITE | read)
            except ConnectionError:
                return False
        return False

    def accept(self) -> socket.socket:
        """Return the next connection of a listening socket."""
        while True:
            self._heed_stop()
            try:
                return self.sock.accept()[0]
            except (BlockingIOError, ConnectionError):
                self._wait(selectors.EVENT_READ)

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if self._stop is None:
            time.sleep(seconds)
        else:
            self._stop.told.wait(seconds)
            self._heed_stop()

    def close(self) -> None:
        """Close at once."""
        self._selector.close()
        self.sock.close()

    def linger(self) -> None:
        """Close so that the peer can still read our last words.

        A socket that is closed with unread octets resets the connection, and takes
        what was sent last with it.
        """
        self._stop = None
        self.set_deadline(_LINGER)
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while self.receive():
                pass
        self.close()

    def _heed_stop(self) -> None:
        if self._stop is not None and self._stop.told.is_set():
            self._selector.unregister(self._stop.waker)
            self._stop = None
            raise Stopping

    def _is_readable(self) -> bool:
        return any(key.fileobj is self.sock for key, _ in self._selector.select(0))

    def _wait(self, events: int) -> None:
        if self._deadline is None:
            left = None
        elif (left := self._deadline - time.monotonic()) <= 0:
            raise TimeoutError("the peer was too slow")
        if events != selectors.EVENT_READ:
            self._selector.modify(self.sock, events)
        try:
            self._selector.select(left)
        finally:
            if events != selectors.EVENT_READ:
                self._selector.modify(self.sock, selectors.EVENT_READ)


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
    _log.error("the application failed", exc_info=error)


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
    ) -> smtp.MailResult:
        """Send one message: see `smtp.send_mail`."""
        return self.run(smtp.send_mail(self.connection, sender, recipients, content))

    def send_message(
        self,
        message: EmailMessage,
        sender: str | smtp.Mail | None = None,
        recipients: Iterable[str | smtp.Rcpt] | None = None,
    ) -> smtp.MailResult:
        """Send an EmailMessage: see `smtp.send_message`."""
        return self.run(smtp.send_message(self.connection, message, sender, recipients))

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
    trace: Callable[[str], None] | None = None,
    timeout: float = 30,
) -> SmtpClient:
    """Connect to an SMTP server, hear its greeting and say EHLO.

    Args:
        host: Its name or address.
        port: Its port.
        sock: An open socket in place of host and port; it is owned from now on.
        domain: Our own name for EHLO.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What can be used if the server offers it.  None: all that is known.
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
        sock = socket.create_connection((host, port), timeout)
    stream = Stream(sock)
    try:
        conn = smtp.Connection(
            CLIENT,
            domain=domain or smtp.own_domain(socket.gethostname(), _own_address(sock)),
            limits=limits or Limits(),
            extensions=extensions,
            trace=trace,
        )
        client = SmtpClient(stream, conn)
        client.run(smtp.open(conn))
    except BaseException:
        stream.close()
        raise
    return client


def _own_address(sock: socket.socket) -> str:
    return str(sock.getsockname()[0]) if sock.family != socket.AF_UNIX else ""


class Server:
    """A running server.  Leaving its context stops it.

    Attributes:
        addresses: What it listens on: (host, port) for TCP, a path for a Unix socket.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        session: Callable[[socket.socket], Flow[object]],
        *,
        sessions: int,
        report: Callable[[Exception], None] | None,
    ) -> None:
        self._listeners = list(listeners)
        self.addresses = [_name(each.getsockname()) for each in self._listeners]
        self._session = session
        self._report = report or _log_mistake
        self._most = sessions
        self._stop = _Stop()
        self._changed = threading.Condition()
        self._running: dict[threading.Thread, socket.socket] = {}
        self._acceptors = [
            threading.Thread(target=self._accept, args=(each,), daemon=True)
            for each in self._listeners
        ]
        for thread in self._acceptors:
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        stream = Stream(listener, self._stop)
        with contextlib.suppress(Stopping):
            while True:
                with self._changed:
                    self._changed.wait_for(self._may_go_on)
                sock = stream.accept()
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                with self._changed:
                    self._running[thread] = sock
                thread.start()
        stream.close()

    def _may_go_on(self) -> bool:
        return self._stop.told.is_set() or len(self._running) < self._most

    def _serve(self, sock: socket.socket) -> None:
        stream = Stream(sock, self._stop)
        try:
            Driver(stream, report=self._report).run(self._session(sock))
            stream.linger()
        except OSError:  # the peer went away in a way that is nobody's mistake
            stream.close()
        except Exception as error:
            self._report(error)
            stream.close()
        finally:
            with self._changed:
                del self._running[threading.current_thread()]
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
            for sock in self._running.values():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._running, _LINGER)
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
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    trace: Callable[[str], None] | None = None,
) -> Server:
    """Serve SMTP in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `smtp.Application`, or any callable that returns an instance.
        host: What to listen on; every address of the name.
        port: The port, or 0 for any that is free.
        sock: A listening socket in place of host and port; it is owned from now on.
        domain: Our own name.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What is offered.  None: `smtp.usual()`.
        tolerances: What is borne beyond the standard.
        sessions: How many sessions are served at once; further ones wait.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain is none.
    """
    listeners = [sock] if sock is not None else _listen(host, port)
    bounds = limits or Limits()
    offered = None if extensions is None else tuple(extensions)

    def session(sock: socket.socket) -> Flow[object]:
        conn = smtp.Connection(
            SERVER,
            domain=domain or smtp.own_domain(socket.gethostname(), _own_address(sock)),
            limits=bounds,
            extensions=offered,
            tolerances=tolerances,
            trace=trace,
        )
        address, port = _name(sock.getpeername())
        return smtp.serve(conn, application, address, port)

    return Server(listeners, session, sessions=sessions, report=report)


def _listen(host: str, port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=_PASSIVE)
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            address = (address[0], port, *address[2:])
            listeners.append(socket.create_server(address, family=family, backlog=512))
            port = listeners[0].getsockname()[1]  # the same for all addresses
    except BaseException:
        for each in listeners:
            each.close()
        raise
    return listeners


def _name(address: object) -> tuple[str, int]:
    """The address and port of an end of a socket; ("", 0) where it has none."""
    return address[:2] if isinstance(address, tuple) else (str(address or ""), 0)
