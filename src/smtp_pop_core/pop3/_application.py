"""What a server author writes: an application, and the maildrops that it opens."""

from collections.abc import AsyncIterable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .. import sasl  # types in quotes: a login opens its rooms
from .._dots import Survey
from .._errors import Error
from .._serving import Ending, Visitor
from ._capabilities import Capabilities
from ._connection import Connection
from ._grammar import is_unique_id
from ._responses import Command, Response, check_number


class MaildropInUse(Error):
    """Another session has the maildrop.  Raised by an application in `open`."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a maildrop, as a session sees it from its beginning to its end.

    Attributes:
        size: Octets as they are sent: every line with CRLF, also the last, and no dot
            doubled; `size_of` counts them.
        unique_id: 1 to 70 printable characters of ASCII without spaces.  It names this
            message for ever, and no other of this maildrop.
        utf8: Whether its header holds UTF-8, so that it is sent only to clients that
            have said UTF8.  RFC 6856 section 2.1.

    Raises:
        ValueError: It is no such size or id.
    """

    size: int
    unique_id: str
    utf8: bool = False

    def __post_init__(self) -> None:
        check_number("size", self.size)
        if not is_unique_id(self.unique_id):
            raise ValueError(f"not a unique id: {self.unique_id!r}")


def size_of(content: bytes) -> int:
    """Return the octets that a message has when it is sent.

    Args:
        content: Its octets, with LF or CRLF line ends.
    """
    survey = Survey()
    survey.feed(content)
    survey.finish()
    return survey.size


class Maildrop:
    """What an application opens for a session: a snapshot, under an exclusive lock.

    Derive from it, or write a class with the same members.

    Attributes:
        messages: The messages; the first has number 1.  They stay as they are until the
            session has ended, whatever arrives meanwhile.
    """

    messages: Sequence[Message] = ()

    def read(self, number: int) -> Iterable[bytes]:
        """Give the content of a message, block by block.

        Lines end with LF or CRLF; what is sent has CRLF.  A bare CR cannot be sent and
        breaks the session off.  What is returned is closed in the end, if it has a
        `close` or `aclose`, as generators and files have.
        """
        return ()

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        """Remove messages, and return the numbers of those that could not be removed.

        Called once, and only if the client has said QUIT after its login.
        """
        return deleted

    def close(self) -> None:
        """Give the lock back.  Called once, however the session has ended."""


class AsyncMaildrop:
    """The same in `async def`, for the asyncio and trio adapters.

    Attributes:
        messages: As in `Maildrop`.
    """

    messages: Sequence[Message] = ()

    def read(self, number: int) -> AsyncIterable[bytes] | Iterable[bytes]:
        """Give the content of a message, as `Maildrop.read` does."""
        return ()

    async def commit(self, deleted: Collection[int]) -> Collection[int]:
        """Remove messages, as `Maildrop.commit` does."""
        return deleted

    async def close(self) -> None:
        """Give the lock back."""


class Peer(Visitor):
    """Who is at the other end.  Read-only, and kept up to date.

    Attributes:
        address: Where the connection comes from, as the adapter says it, or the proxy
            in front: for TCP the IP address, "" where there is none.
        port: The port there, or 0.
        proxy: The header with which a proxy has handed the connection on, or None.
        session: What names the session in the log, or "".
    """

    __slots__ = ("_conn",)

    def __init__(
        self,
        conn: Connection,
        address: str = "",
        port: int = 0,
        session: str = "",
    ) -> None:
        super().__init__(conn, address, port, session)
        self._conn = conn

    @property
    def utf8(self) -> bool:
        """Whether the client has said UTF8."""
        return self._conn.utf8

    @property
    def capabilities(self) -> Capabilities:
        """What the client was told when it last asked with CAPA."""
        return self._conn.capabilities


class Application:
    """What a server decides, in plain methods.

    Derive from it and write the methods that matter.  An exception becomes -ERR
    [SYS/TEMP] and is reported to the operator; the peer hears none of it.

    The methods of one session are called one after the other, those of different
    sessions at the same time, in threads; under asyncio and trio the thread may be
    another one each time.

    Args:
        peer: Who is at the other end of this session.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def connect(self) -> Response | None:
        """Decide on the greeting.  The default is +OK; -ERR refuses.

        With a text of your own leave the time-stamp of APOP in it.
        """
        return None

    def authenticate(self, question: "sasl.Question") -> object:
        """Answer what a login asks.  The default, None, lets nobody in.

        `sasl.VerifyPassword` is answered with the identity of the user, or None;
        `sasl.FindPassword`, which APOP and CRAM-MD5 ask, with the password in clear, or
        None; the others as their descriptions say.  `sasl.Users` answers all of them.
        """
        return None

    def open(self, identity: str) -> Maildrop:
        """Lock the maildrop of a user and return it.  The default is an empty one.

        Raises:
            MaildropInUse: Another session has it.
        """
        return Maildrop()

    def command(self, command: Command) -> Response | None:
        """Decide on a command that has no method here: LANG, your own.

        The default is -ERR.
        """
        return None

    def close(self, reason: Ending) -> None:
        """Take note that the session has ended."""


class AsyncApplication:
    """The same in `async def`, for the asyncio and trio adapters.

    The methods are called in the loop of the server.  One that is not `async def` is
    called in a thread, as those of `Application` are.

    Args:
        peer: Who is at the other end of this session.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def connect(self) -> Response | None:
        """Decide on the greeting, as `Application.connect` does."""
        return None

    async def authenticate(self, question: "sasl.Question") -> object:
        """Answer what a login asks, as `Application.authenticate` does."""
        return None

    async def open(self, identity: str) -> Maildrop | AsyncMaildrop:
        """Lock the maildrop of a user and return it."""
        return AsyncMaildrop()

    async def command(self, command: Command) -> Response | None:
        """Decide on a command that has no method here: LANG, your own."""
        return None

    async def close(self, reason: Ending) -> None:
        """Take note that the session has ended."""


class ApplicationFactory(Protocol):
    """A class derived from Application, or any callable that returns an instance.

    Under asyncio and trio it is called in the loop of the server, and holds it up: what
    takes time belongs into `connect`.
    """

    def __call__(self, peer: Peer, /) -> Application | AsyncApplication:
        """Return the application of one session."""
        ...
