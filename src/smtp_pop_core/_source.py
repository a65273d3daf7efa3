"""Content on its way out: whatever the caller has, as a flow of blocks."""

from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeAlias, TypeGuard

from ._dots import Survey
from ._errors import ParseError
from ._flow import Ask, AsyncBlocks, Blocks, Content, Flow, new_ask


class Readable(Protocol):
    """A file that was opened for reading in binary mode."""

    def read(self, size: int, /) -> bytes:
        """Return up to size octets, b"" at the end."""
        ...


class _Seekable(Protocol):
    def seekable(self) -> bool: ...

    def tell(self) -> int: ...

    def seek(self, offset: int, /) -> int: ...


def _is_seekable(content: object) -> TypeGuard[_Seekable]:
    """Whether it has the methods, of its own or as `tempfile` hands them on.

    To ask for a Protocol is slow, and since Python 3.12 finds only those of its own.
    """
    return all(hasattr(content, name) for name in ("seekable", "tell", "seek"))


Sendable: TypeAlias = (
    bytes
    | Readable
    | Content
    | Iterable[bytes]
    | AsyncIterable[bytes]
    | Callable[[], Flow[bytes]]
)
"""What can be sent as the content of a message.

Octets; a file; content that is being received; an iterable, plain or async; or a
function that returns a flow of the next octets, b"" at the end.
"""

_END = object()


class Source:
    """The content of a message, block by block.

    Args:
        content: What the caller has.
        block: Octets that are taken in one go, where that can be chosen.

    Attributes:
        head: After a survey: the beginning of the content, up to a block of it.
        only_crlf: After a survey without an error: nobody can change the content, and
            only CRLF ends its lines.

    Raises:
        TypeError: It is nothing that can be sent.
    """

    __slots__ = ("_block", "_content", "head", "only_crlf", "piece")

    piece: Callable[[], Flow[bytes]]

    def __init__(self, content: Sendable, block: int) -> None:
        self._content = content
        self._block = block
        self.head = b""
        self.only_crlf = False
        match content:
            case bytes():
                offsets = iter(range(0, len(content), block))
                self.piece = partial(_slice, content, offsets, block)
            case list() | tuple():
                self.piece = partial(_following, iter(content))
            case Content():
                self.piece = content.piece
            case Blocks():  # before those with read(): theirs is another one
                self.piece = _calls(next, (iter(content), _END))
            case AsyncBlocks():
                self.piece = _calls(anext, (aiter(content), _END), quick=True)
            case _ if read := getattr(content, "read", None):
                self.piece = _calls(read, (block,))
            case AsyncIterable():
                self.piece = _calls(anext, (aiter(content), _END), quick=True)
            case str() | bytearray() | memoryview():
                raise TypeError(
                    f"the content must be bytes, not {type(content).__name__}"
                )
            case Iterable():
                self.piece = _calls(next, (iter(content), _END))
            case _ if callable(content):
                self.piece = content
            case _:
                raise TypeError(f"cannot send {type(content).__name__} as content")

    def survey(self) -> Flow[Survey | None]:
        """Look at the content before it is sent, where it can be read twice.

        Returns:
            What there is to know, or None where only sending can tell.

        Raises:
            ValueError: It holds a bare CR and cannot be sent.
        """
        content = self._content
        if isinstance(content, bytes):
            survey = Survey()
            survey.feed(content)
            self.head = content[: self._block]
            self.only_crlf = not survey.bare_lf
        elif _is_seekable(content) and (yield Ask(content.seekable, quick=True)):
            start = yield Ask(content.tell, quick=True)
            survey = Survey()
            while block := (yield from self.piece()):
                survey.feed(block)
                self.head = self.head or block
            yield Ask(content.seek, (start,))
        else:
            return None
        survey.finish()
        if survey.bare_cr:
            raise ParseError("the content holds a bare CR")
        return survey


def _slice(content: bytes, offsets: Iterator[int], block: int) -> Flow[bytes]:
    """Return the next octets of a whole."""
    yield from ()
    offset = next(offsets, len(content))
    return content[offset : offset + block]


def _following(blocks: Iterator[object]) -> Flow[bytes]:
    """Return the next block of those that are there: nobody has to be asked."""
    yield from ()
    for block in blocks:
        if octets := _octets(block):
            return octets
    return b""


def _calls(
    function: Callable[..., object],
    arguments: tuple[object, ...],
    *,
    quick: bool = False,
) -> Callable[[], Flow[bytes]]:
    return partial(_answer, new_ask(function, arguments, quick=quick))


def _answer(request: Ask) -> Flow[bytes]:
    """Ask for the next block; only a read says by an empty one that it is the end."""
    while True:
        block = yield request
        if block is _END:
            return b""
        octets = _octets(block)
        if octets or request.arguments[-1] is not _END:
            return octets


def _octets(block: object) -> bytes:
    if type(block) is bytes:
        return block
    if not isinstance(block, (bytes, bytearray, memoryview)):
        raise TypeError(f"content must be bytes, not {type(block).__name__}")
    return bytes(block)
