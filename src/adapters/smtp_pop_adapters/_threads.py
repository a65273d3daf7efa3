"""A server that has a thread for each session."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Self

from smtp_pop_core import Refusal, Stopping

from ._admission import Admission, Seat, Troubles
from ._driver import Driver
from ._log import log_mistake, new_session, report_mistake
from ._options import Service
from ._sockets import (
    File,
    Stop,
    Stream,
    end_of,
    own_address,
    turn_all_away,
    turn_away,
)

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
        files: Iterable[File] = (),
        report: Callable[[Exception], None] | None,
    ) -> None:
        listeners = list(listeners)
        self.addresses = [end_of(each.getsockname()) for each in listeners]
        self._service = service
        self._files = list(files)
        self._report = report or log_mistake
        self._troubles = Troubles(partial(report_mistake, self._report, session=""))
        self._admission = Admission(service.terms, time.monotonic)
        self._stop = Stop()
        self._changed = threading.Condition()
        self._running: set[Stream] = set()
        self._acceptors = [
            threading.Thread(target=self._accept, args=(each,), daemon=True)
            for each in listeners
        ]
        for thread in self._acceptors:
            thread.start()

    @property
    def sessions(self) -> int:
        """How many sessions are served now, without those that are about to end."""
        return self._admission.sessions

    @property
    def refused(self) -> Mapping[Refusal, int]:
        """How many clients were refused, by the reason."""
        return self._admission.refused

    @property
    def dismissed(self) -> int:
        """How many sessions were ended to make room for others."""
        return self._admission.dismissed

    def _accept(self, listener: socket.socket) -> None:
        stream = Stream(listener, self._stop)
        with contextlib.closing(stream):
            with contextlib.suppress(Stopping):
                while True:
                    try:
                        sock, address = stream.accept()
                    except OSError as error:  # too many descriptors, for example
                        self._meet(error)
                    else:
                        self._start(sock, end_of(address))
            told = self._service.refusal(Refusal.STOPPING)
            self._admission.refuse(Refusal.STOPPING, turn_all_away(listener, told))

    def _meet(self, error: Exception) -> None:
        """Report a shortage, and wait until it may be over."""
        self._troubles.meet(error)
        with self._changed:
            self._changed.wait(_PAUSE)

    def _start(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        seat = self._admission.let_in(self._service.origin(peer))
        if isinstance(seat, Refusal):
            turn_away(sock, self._service.refusal(seat))
            return
        stream = Stream(sock, self._stop)
        seat.guest = stream
        with self._changed:
            self._running.add(stream)
        arguments = (stream, seat, peer)
        thread = threading.Thread(target=self._serve, args=arguments, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._admission.refuse(Refusal.BUSY)
            turn_away(sock, self._service.refusal(Refusal.BUSY))
            self._end(stream, seat)
            self._meet(error)
        else:
            self._troubles.over()

    def _serve(self, stream: Stream, seat: Seat, peer: tuple[str, int]) -> None:
        session = new_session()
        try:
            own = own_address(stream.sock)
            flow = self._service.session(own, peer, session, seat)
            Driver(
                stream,
                report=self._report,
                tls=self._service.tls,
                certificate=self._service.certificate,
                session=session,
            ).run(flow)
            seat.retire()
            stream.linger()
        except Exception as error:
            report_mistake(self._report, error, session)
        finally:
            self._end(stream, seat)

    def _end(self, stream: Stream, seat: Seat) -> None:
        with self._changed:
            stream.close()
            seat.leave()
            self._running.discard(stream)
            self._changed.notify_all()

    def drain(self) -> None:
        """Begin to stop, without waiting: take no new sessions, end idle ones."""
        self._admission.close()
        self._stop.tell()
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout: float = 30) -> None:
        """Take no new sessions, end idle ones with 421, and let transactions end.

        It may be called from any thread but those of sessions, and again.

        Args:
            timeout: Seconds after which what still runs is cut off.
        """
        self.drain()
        for thread in self._acceptors:
            thread.join()
        for each in self._files:
            each.remove()
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
