"""What the connections of both protocols share: octets in, events out, and the end."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from ._errors import (
    Answer,
    LineTooLong,
    LocalProtocolError,
    ParseError,
    RemoteProtocolError,
)
from ._events import ConnectionClosed
from ._foreign import foreign_start
from ._limits import Limits
from ._lines import LineBuffer
from ._roles import NEED_DATA, Role, Signal

E = TypeVar("E")

_OCTETS: Final = (bytes, bytearray, memoryview)


class Endpoint(ABC, Generic[E]):
    """One side of a connection: a buffer, and events of a class E.

    Attributes:
        role: CLIENT or SERVER.
        domain: Our own name.
        limits: Every bound.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_closed_told",
        "_eof",
        "_line",
        "domain",
        "limits",
        "role",
    )

    def __init__(self, role: Role, domain: str, limits: Limits) -> None:
        self.role: Final = role
        self.domain: Final = domain
        self.limits: Final = limits
        self._buffer = LineBuffer()
        self._eof = False
        self._line = b""  # the last line that was understood
        self._closed_told = False

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether the state is CLOSED."""

    @property
    @abstractmethod
    def handshake_due(self) -> bool:
        """Whether the state is TLS: `begin_tls` and a handshake come next."""

    @property
    @abstractmethod
    def tls(self) -> bool:
        """Whether TLS is active."""

    @property
    @abstractmethod
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms that AUTH has now."""

    @abstractmethod
    def offer_mechanisms(self, names: Iterable[str]) -> None:
        """Say which mechanisms a server offers from now on; none takes AUTH back."""

    @abstractmethod
    def begin_tls(self) -> None:
        """Say that the TLS handshake begins, and forget what was said before it."""

    @property
    @abstractmethod
    def last_answer(self) -> Answer | None:
        """The last answer of the server, or None."""

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether no command is unanswered."""

    @abstractmethod
    def close(self) -> None:
        """Say that the connection is gone, or given up.  The state is CLOSED."""

    @abstractmethod
    def _understand(self) -> E | Signal | None:
        """Return the next event or a signal, or None where the state is CLOSED.

        Raises:
            ParseError: The peer broke the protocol.
        """

    @property
    def trailing_data(self) -> bytes:
        """What was received and not understood: no octet is ever lost."""
        return self._buffer.peek() if len(self._buffer) else b""

    @property
    def settled(self) -> bool:
        """Whether no command is unanswered, and nothing was received since."""
        return self.idle and not len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take octets of the peer; b"" says that it will send no more.

        Raises:
            LocalProtocolError: There was a b"" before.
            TypeError: They are no octets.
        """
        if type(data) is not bytes and not isinstance(data, _OCTETS):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if not data:
            self._eof = True
        elif self._eof:
            raise LocalProtocolError("data after the end of the peer's data")
        else:
            self._buffer.feed(data)

    def next_event(self) -> E | ConnectionClosed | Signal:
        """Understand the next piece of what was received.

        Returns:
            An event; NEED_DATA: call `receive_data` first; or PAUSED: an answer to the
            last command, or the handshake, is due first.

        Raises:
            RemoteProtocolError: The peer broke the protocol.  The state is now CLOSED.
        """
        try:
            event = self._understand()
        except ParseError as error:
            self.close()
            line = b"" if isinstance(error, LineTooLong) else self._line
            raise RemoteProtocolError(str(error), line=line) from error
        if event is NEED_DATA:
            if not self._eof:
                return event
            self.close()
        elif event is not None:
            return event
        if self._closed_told:
            return NEED_DATA
        self._closed_told = True
        return ConnectionClosed()

    def _take_foreign_start(self) -> bytes:
        """Take octets that begin another protocol, whose line may never end; or b""."""
        start = foreign_start(self._buffer.peek(4))
        self._buffer.drop(len(start))
        return start

    def _check_handshake(self) -> None:
        """Check that nothing is pending that would be read inside TLS.

        Raises:
            RemoteProtocolError: There is.  The state is CLOSED.
        """
        if self.handshake_due and len(self._buffer):
            self.close()
            raise RemoteProtocolError("octets before the handshake")
