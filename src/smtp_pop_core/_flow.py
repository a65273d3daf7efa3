"""Conversations as generators: what the outside world must do is a value.

A flow yields requests and returns its result.  A driver carries each request out and
sends the answer back, or throws what went wrong: TimeoutError, Stopping, an exception
of the function that was asked.  A driver is one loop; all knowledge of the protocol
stays in the flow.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
)
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from ._values import unchecked

T = TypeVar("T")

_LONGEST: Final = 256  # characters of a text in a note: as many as a path may have


@dataclass(frozen=True, slots=True)
class Read:
    """Give the next octets of the peer; b"" when it will send no more.

    Attributes:
        most: How many at most, above 0; further ones are for the next Read or the
            Handshake.  None: as many as there are.
    """

    most: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Send all of data.

    To a peer that has gone, it is dropped: the next Read gives what the peer still
    said, and then b"".

    Attributes:
        data: The octets, which may be a secret and are not in the repr.
        heed: Stop, and drop the rest, as soon as the peer says something.  The answer
            is whether it did, or has closed; without heed the answer is False.  With
            no data this sends nothing, and only looks.
    """

    data: bytes = field(repr=False)
    heed: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """From now on all reads and writes together may take so long.

    It holds until the next Deadline, whatever is read meanwhile; after it each Read and
    Write gives TimeoutError.

    Attributes:
        seconds: Above 0, or None for no bound.
        idle: Whether what is read next begins something new, so that nothing is lost if
            the peer has to go.  A server that is full may let such a deadline pass at
            once, to make room for others.
    """

    seconds: float | None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Handshake:
    """Begin TLS: from now on all octets travel inside it.

    The answer is `Negotiated`.  What goes wrong, an ssl.SSLError for one, is thrown in;
    then the connection is of no use.

    Attributes:
        server_hostname: For a client, the name that the server's certificate has to
            have; None for a server.
    """

    server_hostname: str | None = None


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a handshake has come to.

    Attributes:
        version: The version of TLS, as "TLSv1.3".
        cipher: The name of the cipher suite.
        certificate: The peer's certificate in DER, or None if it has shown none.
        bindings: The channel bindings that there are: "tls-exporter", "tls-unique",
            "tls-server-end-point", and the data of each.
    """

    version: str
    cipher: str
    certificate: bytes | None = field(default=None, repr=False)
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Call a function, await what it returns where that applies, and answer with it.

    Attributes:
        function: A method of the application, a clock, the source of a message.
        arguments: Its arguments.  A `Content` among them is handed over as `Blocks` or
            `AsyncBlocks`.
        shield: Whether it is carried out to its end, also if the flow is cancelled.
        quick: Whether it surely does not block.  A driver that has a loop calls it
            there, and any other plain function in a thread.
    """

    function: Callable[..., object]
    arguments: tuple[object, ...] = ()
    shield: bool = False
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the operator about a mistake in the application; the peer hears none of it.

    Attributes:
        error: What the application raised, or what was wrong with its answer.
    """

    error: Exception


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the operator what has happened, for the log.

    It holds no secret and no content.  What a peer wrote cannot break out of it: each
    str among the fields is escaped as in a Python literal, and cut at 256 characters,
    when the note is made.  `str(note)` is one line, the event and "name=value" for each
    field, in quotes where a value is empty or has a space, a quote or "=" in it.

    Attributes:
        event: What has happened, as "connected".
        fields: What is known of it, by name: each a str, an int, or a mapping that
            counts something.
    """

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        escaped = {
            name: _escaped(value) if isinstance(value, str) else value
            for name, value in self.fields.items()
        }
        object.__setattr__(self, "fields", escaped)

    def __str__(self) -> str:
        words = [f"{name}={_word(value)}" for name, value in self.fields.items()]
        return " ".join([self.event, *words])


def _escaped(text: str) -> str:
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    if cut.isprintable() and "\\" not in cut:
        return cut
    return "".join(
        each if each.isprintable() and each != "\\" else ascii(each)[1:-1]
        for each in cut
    )


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{count}" for name, count in value.items()) or "-"
    text = str(value)
    if text and not any(each in text for each in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class On:
    """Carry a request out on another stream than the driver's first.

    Attributes:
        stream: The label under which the driver knows that stream; "" is its first.
        request: Any request but On.
    """

    stream: str
    request: "Read | Write | Handshake | Deadline | Sleep | Ask | Report | Note"


Request: TypeAlias = (
    Read | Write | Handshake | Deadline | Sleep | Ask | Report | Note | On
)

# Any: what a request is answered with depends on the request.
Flow: TypeAlias = Generator[Request, Any, T]


READ: Final = Read()
# These are made for every answer, and have no checks.
new_write: Final = unchecked(Write)
new_ask: Final = unchecked(Ask)


@lru_cache(maxsize=256)
def deadline(seconds: float, *, idle: bool = False) -> Deadline:
    """Return a Deadline that conversations share."""
    return Deadline(seconds, idle)


def read() -> Flow[bytes]:
    """Read what the peer says next, b"" at its end."""
    data: bytes = yield READ
    return data


def on(stream: str, flow: Flow[T]) -> Flow[T]:
    """Run a flow on another stream: each request of it is labelled with the stream.

    Requests that have a label already are left as they are.
    """
    step: Callable[[Any], Request] = flow.send
    answer: Any = None
    while True:
        try:
            request = step(answer)
        except StopIteration as end:
            value: T = end.value
            return value
        try:
            answer = yield request if isinstance(request, On) else On(stream, request)
        except GeneratorExit:
            flow.close()
            raise
        except BaseException as error:
            step, answer = flow.throw, error
        else:
            step = flow.send


class Content:
    """Content that arrives, as flows.

    Attributes:
        ended: Whether all of it has been taken, as far as that is known.
    """

    __slots__ = ("_piece", "_read", "ended")

    def __init__(self, piece: Callable[[], Flow[bytes]]) -> None:
        self._piece = piece
        self._read: list[bytes] = []  # by who was cancelled before the end
        self.ended = False

    def piece(self) -> Flow[bytes]:
        """Return the next octets, b"" at the end.

        Raises:
            MessageAborted: The content is incomplete or cannot be accepted.
        """
        if self._read:
            data, self._read = b"".join(self._read), []
            return data
        if self.ended:
            return b""
        block = yield from self._piece()
        self.ended = not block
        return block

    def read(self) -> Flow[bytes]:
        """Return all that is left in one piece; who is cancelled may ask again."""
        blocks = []
        try:
            while block := (yield from self.piece()):
                blocks.append(block)
        except Exception:
            raise
        except BaseException:
            self._read = blocks
            raise
        return b"".join(blocks)


class Blocks:
    """Content for those who can wait: iterate over its blocks, or read it whole.

    The iteration ends normally only if the content is complete and acceptable; else it
    raises MessageAborted, before anything can be committed.
    """

    __slots__ = ("_content", "_run")

    def __init__(self, run: Callable[[Flow[bytes]], bytes], content: Content) -> None:
        self._run = run
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        content = self._content
        while not content.ended and (block := self._run(content.piece())):
            yield block

    def read(self) -> bytes:
        """Return all that is left in one piece, bounded by `Limits.content`."""
        return self._run(self._content.read())


class AsyncBlocks:
    """The same for async code: iterate with `async for`, or await `read()`."""

    __slots__ = ("_content", "_run")

    def __init__(
        self, run: Callable[[Flow[bytes]], Awaitable[bytes]], content: Content
    ) -> None:
        self._run = run
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self  # no async generator, which would have to be closed

    async def __anext__(self) -> bytes:
        content = self._content
        if not content.ended and (block := await self._run(content.piece())):
            return block
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Return all that is left in one piece, bounded by `Limits.content`."""
        return await self._run(self._content.read())
