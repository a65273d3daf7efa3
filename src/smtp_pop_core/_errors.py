"""The errors that the core raises.

One root, `Error`.  What the caller did wrong is a LocalProtocolError; what the peer did
wrong is a RemoteProtocolError; a "no" of the peer is a value in a result, or Rejected.
Values that cannot be written are ValueError when they are made.

ParseError, LineTooLong and OutOfOrder stay inside: Connection turns them into what the
role asks for.
"""

from typing import Protocol


class Error(Exception):
    """Whatever this library raises about a conversation."""


class ProtocolError(Error):
    """A violation of the protocol.  Its two subclasses are what is raised."""


class LocalProtocolError(ProtocolError):
    """You asked for what the protocol forbids now.  Nothing was sent or changed."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol beyond repair.  The state is CLOSED.

    Attributes:
        line: The offending line as received, without its CRLF; its first 512 octets.
    """

    def __init__(self, message: str, *, line: bytes = b"") -> None:
        super().__init__(message)
        self.line = line[:512]


class Answer(Protocol):
    """What the reply of an SMTP server and the response of a POP3 server share."""

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        ...

    @property
    def text(self) -> str:
        """The text without its code, lines joined with a line feed."""
        ...


class ConnectionLost(Error):
    """The connection ended before the conversation did.

    Attributes:
        last_reply: The last thing the peer said, or None.
    """

    def __init__(self, message: str, *, last_reply: Answer | None = None) -> None:
        super().__init__(message)
        self.last_reply = last_reply


class Rejected(Error):
    """The server said no.  The command had no effect; the session goes on.

    Attributes:
        temporary: Whether the same command may succeed later.
    """

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


class AuthenticationFailed(Rejected):
    """A login was refused, or the server has not proved itself."""


class MessageAborted(Error):
    """The content ended early or cannot be accepted.  Store nothing of it."""


class PolicyError(Error):
    """A rule of our own forbade to go on.  Nothing secret was sent."""


class Stopping(Error):
    """The program is about to end.  Drivers throw it into the flows they run."""


class ParseError(ValueError):
    """Octets or text that the grammar does not allow.  Stays inside the core."""


class LineTooLong(ParseError):
    """A line that passed its limit.  Stays inside the core.

    Attributes:
        start: How it begins.
    """

    def __init__(self, text: str, start: bytes = b"") -> None:
        super().__init__(text)
        self.start = start


class OutOfOrder(Exception):
    """A command that the state does not allow.  Stays inside the core."""
