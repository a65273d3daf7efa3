"""A server that has a thread for each session."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Final, Self

from smtp_pop_core import Stopping

from ._driver import Driver, log_mistake
from ._log import new_session, report_mistake
from ._options import Service
from ._sockets import Stop, Stream, end_of, own_address

_PAUSE: Final = 1.0  # seconds before a server that is short of something tries again
_LAST: Final = 2.0  # seconds for sessions to end that were cut off


class Server:
    """A running server.  Leaving its context stops it.

    Attributes:
        addresses: What it listens on: address and port; for a Unix socket path and 0.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        service: Service,
        *,
        sessions: int,
        report: Callable[[Exception], None] | None,
    ) -> None:
        listeners = list(listeners)
        self.addresses = [end_of(each.getsockname()) for each in listeners]
        self._service = service
        self._report = report or log_mistake
        self._most = sessions
        self._stop = Stop()
        self._changed = threading.Condition()
        self._running: set[Stream] = set()
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
            stream = Stream(sock, self._stop)
            self._running.add(stream)
        arguments = (stream, end_of(address))
        thread = threading.Thread(target=self._serve, args=arguments, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._report(error)
            self._end(stream)

    def _may_go_on(self) -> bool:
        return self._stop.told.is_set() or len(self._running) < self._most

    def _serve(self, stream: Stream, peer: tuple[str, int]) -> None:
        session = new_session()
        try:
            flow = self._service.session(own_address(stream.sock), peer, session)
            Driver(
                stream,
                report=self._report,
                tls=self._service.tls,
                certificate=self._service.certificate,
                session=session,
            ).run(flow)
            stream.linger()
        except Exception as error:
            report_mistake(self._report, error, session)
        finally:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        with self._changed:
            stream.close()
            self._running.discard(stream)
            self._changed.notify_all()

    def drain(self) -> None:
        """Begin to stop, without waiting: take no new sessions, end idle ones."""
        self._stop.tell()
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout: float = 30) -> None:
        """Take no new sessions, end idle ones with 421, and let transactions end.

        Args:
            timeout: Seconds after which what still runs is cut off.
        """
        self.drain()
        for thread in self._acceptors:
            thread.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout)
            for stream in self._running:
                stream.cut()
            self._changed.wait_for(lambda: not self._running, _LAST)
        self._stop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
