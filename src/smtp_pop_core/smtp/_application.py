"""What a server author writes: an application, called with a Peer for each session."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from .. import sasl  # types in quotes: a login opens its rooms
from .._flow import AsyncBlocks, Blocks
from .._serving import Ending, Visitor
from ._commands import Expn, Mail, Rcpt, Vrfy
from ._connection import Connection
from ._extensions import Extensions
from ._forwarding import Source, Unavailable, Xclient, Xforward
from ._replies import Command, EnhancedCode, Reply

T = TypeVar("T")

NO_STORE = Reply(550, ("This server does not take messages",), EnhancedCode(5, 3, 2))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends a message to whom.

    Attributes:
        mail: The MAIL command that was accepted.
        rcpts: The RCPT commands that were accepted, in their order.
    """

    mail: Mail
    rcpts: tuple[Rcpt, ...]

    @property
    def sender(self) -> str:
        """The reverse-path; "" in a bounce."""
        return self.mail.sender

    @property
    def recipients(self) -> tuple[str, ...]:
        """The forward-paths."""
        return tuple(rcpt.recipient for rcpt in self.rcpts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """Where a message came from, as a filter in front says in XFORWARD.

    It is for logs, and decides nothing: the client is still the filter.  "", 0 and None
    stand for what is not known.

    Attributes:
        name: The host name of the upstream client.
        address: Its address: an IP address, or a word of another kind.
        port: Its port.
        protocol: How the message came, as "ESMTP".
        helo: How the client called itself.
        ident: What the message is called in the queue of the upstream host.
        source: Whether it is local to that host.
    """

    name: str = ""
    address: str = ""
    port: int = 0
    protocol: str = ""
    helo: str = ""
    ident: str = ""
    source: Source | None = None


class Peer(Visitor):
    """Who is at the other end.  Read-only, and kept up to date.

    Attributes:
        address: Where the connection comes from, as the adapter says it, or the proxy
            in front: for TCP the IP address, "" where there is none.
        port: The port there, or 0.
        proxy: The header with which a proxy has handed the connection on, or None.
        session: What names the session in the log, or "".
        name: The host name of the client, as a trusted proxy says in XCLIENT, or "".
        xclient: What the proxy has said in all, or None: there was no XCLIENT.
        early: Whether the client has spoken before its turn, which the greeting gives;
            False if TLS came first.
    """

    __slots__ = (
        "_conn",
        "_forwarded",
        "_helo",
        "_protocol",
        "early",
        "name",
        "xclient",
    )

    def __init__(
        self,
        conn: Connection,
        address: str = "",
        port: int = 0,
        session: str = "",
    ) -> None:
        super().__init__(conn, address, port, session)
        self._conn = conn
        self._helo = ""
        self._protocol = ""
        self._forwarded: Forwarded | None = None
        self.name = ""
        self.xclient: Xclient | None = None
        self.early = False

    @property
    def helo(self) -> str:
        """The name that the client gave in EHLO or HELO; "" before."""
        return self._helo

    @property
    def protocol(self) -> str:
        """What it speaks: "ESMTP", or "SMTP" after HELO, or "LMTP"; "" before."""
        return self._protocol

    @property
    def forwarded(self) -> Forwarded | None:
        """Where the open or next message came from, or None: there was no XFORWARD."""
        return self._forwarded

    @property
    def extensions(self) -> Extensions:
        """What was offered to the client in this session; nothing after HELO."""
        return self._conn.extensions


def succeed(peer: Peer, command: Xclient) -> Peer:
    """Return who is at the other end after XCLIENT.

    What it does not say stays, but for what belongs to one client: port, HELO, protocol
    and login.  A certificate was that of the proxy, and nobody can log in with it.
    """
    earlier = peer.xclient
    merged = command
    if earlier is not None:
        kept = ("name", "addr", "destaddr", "destport")
        merged = replace(
            command,
            **{
                field: getattr(earlier, field)
                for field in kept
                if getattr(command, field) is None
            },
        )
    port = peer.port if command.addr is None else 0
    address = _known(command.addr, peer.address, "")
    new = Peer(peer._conn, address, _known(command.port, port, 0), peer.session)
    new.proxy = peer.proxy
    new.name = _known(command.name, peer.name, "")
    new.xclient = merged
    new._helo = _known(command.helo, "", "")
    new._protocol = command.proto or ""
    new._identity = _known(command.login, "", "")
    if peer.security is not None:
        new._security = replace(peer.security, certificate=None)
    return new


def forward(earlier: Forwarded | None, command: Xforward) -> Forwarded:
    """Return what is known of a message after XFORWARD.

    What it does not say is as it was, and unknown where there was no other.
    """
    was = earlier or Forwarded()
    return Forwarded(
        name=_known(command.name, was.name, ""),
        address=_known(command.addr, was.address, ""),
        port=_known(command.port, was.port, 0),
        protocol=_known(command.proto, was.protocol, ""),
        helo=_known(command.helo, was.helo, ""),
        ident=_known(command.ident, was.ident, ""),
        source=_known(command.source, was.source, None),
    )


def _known(value: T | Unavailable | None, unsaid: T, unknown: T) -> T:
    if value is None:
        return unsaid
    return unknown if isinstance(value, Unavailable) else value


class Application:
    """What a server decides, in plain methods.

    Derive from it and write the methods that matter.  Each decision returns a Reply, or
    None for the default.  An exception becomes 451 and is reported to the operator; the
    peer hears none of it.

    The methods of one session are called one after the other, those of different
    sessions at the same time, in threads; under asyncio and trio the thread may be
    another one each time.

    Args:
        peer: Who is at the other end of this session.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def connect(self) -> Reply | None:
        """Decide on the greeting.  The default is 220; 554 and 421 refuse."""
        return None

    def authenticate(self, question: "sasl.Question") -> object:
        """Answer what a login asks.  The default, None, lets nobody in.

        `sasl.VerifyPassword` is answered with the identity of the user, or None; the
        others as their descriptions say.  `sasl.Users` answers all of them.
        """
        return None

    def mail(self, command: Mail) -> Reply | None:
        """Decide on a sender.  The default is 250."""
        return None

    def rcpt(self, command: Rcpt) -> Reply | None:
        """Decide on a recipient.  The default is 250."""
        return None

    def message(
        self, envelope: Envelope, content: Blocks
    ) -> Reply | Sequence[Reply] | None:
        """Take a message.  The default, None, is 250; not written at all it is 550.

        Read the content to its end before anything is committed: the iteration raises
        MessageAborted if the message is incomplete or cannot be accepted.  What is left
        unread is dropped.  A 2xx makes the message yours: let it be on disk by then.
        In LMTP a tuple or list of replies, one for each recipient, serves as well.
        """
        return NO_STORE

    def verify(self, command: Vrfy) -> Reply | None:
        """Decide on VRFY.  The default is 252."""
        return None

    def expand(self, command: Expn) -> Reply | None:
        """Decide on EXPN.  The default is 252."""
        return None

    def command(self, command: Command) -> Reply | None:
        """Decide on a command that has no method here: HELP, ETRN, your own.

        The default is 214 for HELP, 459 for ETRN, and 502 for your own.
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

    async def connect(self) -> Reply | None:
        """Decide on the greeting.  The default is 220; 554 and 421 refuse."""
        return None

    async def authenticate(self, question: "sasl.Question") -> object:
        """Answer what a login asks, as `Application.authenticate` does."""
        return None

    async def mail(self, command: Mail) -> Reply | None:
        """Decide on a sender.  The default is 250."""
        return None

    async def rcpt(self, command: Rcpt) -> Reply | None:
        """Decide on a recipient.  The default is 250."""
        return None

    async def message(
        self, envelope: Envelope, content: AsyncBlocks
    ) -> Reply | Sequence[Reply] | None:
        """Take a message, as `Application.message` does."""
        return NO_STORE

    async def verify(self, command: Vrfy) -> Reply | None:
        """Decide on VRFY.  The default is 252."""
        return None

    async def expand(self, command: Expn) -> Reply | None:
        """Decide on EXPN.  The default is 252."""
        return None

    async def command(self, command: Command) -> Reply | None:
        """Decide on a command that has no method here: HELP, ETRN, your own.

        The default is 214 for HELP, 459 for ETRN, and 502 for your own.
        """
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
