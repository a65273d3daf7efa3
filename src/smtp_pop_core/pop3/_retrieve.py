"""Fetching messages, as flows: one, or many with pipelining, in constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from .._errors import ConnectionLost, MessageAborted, PolicyError
from .._events import MessageData
from .._flow import AsyncBlocks, Blocks, Content, Flow, new_ask
from .._progress import Progress, Told
from .._waiting import listen, settle, write
from ._commands import Dele, Retr, Top
from ._connection import Connection
from ._events import EndOfMessage
from ._exchange import insist, receive, seconds
from ._responses import ERR, Command, Response
from ._results import Listed


def retrieve(
    conn: Connection, message: int | Listed, *, progress: Progress | None = None
) -> Flow[Content]:
    """Ask for a message, and return its content, which is read piece by piece.

    Read it to its end, or call `drop`, before anything else is asked.

    Args:
        conn: A connection after a login.
        message: Its number.
        progress: Called for each block that has come, with the octets so far and with
            the size that was listed, or None for a number alone.

    Raises:
        Rejected: There is no such message, or the server cannot send it.
    """
    yield from insist(conn, Retr(_number_of(message)))
    return content_of(conn, _told(message, progress))


def top(conn: Connection, message: int | Listed, lines: int) -> Flow[Content]:
    """Ask for the header of a message and some lines of its body, as `retrieve` does.

    Raises:
        Rejected: There is no such message, or the server does not know TOP.
    """
    yield from insist(conn, Top(_number_of(message), lines))
    return content_of(conn)


def fetch(
    conn: Connection, message: int | Listed, *, progress: Progress | None = None
) -> Flow[bytes]:
    """Return the octets of a message in one piece, with CRLF line ends.

    Args:
        conn: A connection after a login.
        message: Its number.
        progress: As for `retrieve`.

    Raises:
        Rejected: There is no such message, or the server cannot send it.
        PolicyError: It is longer than `Limits.content`.  It was read to its end.
    """
    yield from insist(conn, Retr(_number_of(message)))
    return (yield from content_of(conn, _told(message, progress)).read())


def drop(content: Content) -> Flow[None]:
    """Read what is left of a content, and drop it."""
    while (yield from content.piece()):
        pass


class _Message(Content):
    """The content of a message: of any length in pieces, bounded in one."""

    __slots__ = ("_conn",)

    def __init__(self, conn: Connection, told: Told | None) -> None:
        super().__init__(partial(_piece, conn, told))
        self._conn = conn

    def piece(self) -> Flow[bytes]:
        """Return the next octets, b"" at the end.

        Raises:
            MessageAborted: The connection was lost before the end.
        """
        if self.ended:
            return b""
        block = yield from self._piece()
        self.ended = not self._conn.in_content  # the end may have come with it
        return block

    def read(self) -> Flow[bytes]:
        """Return all that is left in one piece.

        Raises:
            PolicyError: It is longer than `Limits.content`.  It was read to its end.
        """
        blocks: list[bytes] = []
        octets = 0
        largest = self._conn.limits.content
        while not self.ended:
            block = yield from self.piece()
            octets += len(block)
            if largest is None or octets <= largest:
                blocks.append(block)
            else:
                blocks.clear()
        if largest is not None and octets > largest:
            raise PolicyError(f"the message has {octets} octets, more than {largest}")
        return b"".join(blocks)


def content_of(conn: Connection, told: Told | None = None) -> Content:
    """Return the content that is due, after +OK to RETR or TOP."""
    return _Message(conn, told)


def _piece(conn: Connection, told: Told | None) -> Flow[bytes]:
    """Return a full block of the content, or what is left of it, b"" at the end.

    The deadline is for a full block, so single octets do not push it back.
    """
    blocks: list[bytes] = []
    octets = 0
    full = conn.limits.block
    limit: float | None = conn.limits.timeouts.block
    try:
        while octets < full:
            event = conn.next_event()
            if not isinstance(event, (MessageData, EndOfMessage)):
                event = yield from listen(conn, limit)
                limit = None
            if isinstance(event, EndOfMessage):
                break
            if not isinstance(event, MessageData):
                raise AssertionError(f"content was due, not {event!r}")
            blocks.append(event.data)
            octets += len(event.data)
        if told is not None and told.heard:
            yield from told.further(octets)
    except ConnectionLost as error:
        raise MessageAborted("the connection was lost") from error
    except BaseException:
        conn.close()
        raise
    return b"".join(blocks)


def retrieve_many(
    conn: Connection,
    messages: Iterable[int | Listed],
    sink: Callable[[int, Blocks], object] | Callable[[int, AsyncBlocks], object],
) -> Flow[dict[int, Response]]:
    """Fetch messages one after the other, pipelined if the server offers it.

    Args:
        conn: A connection after a login.
        messages: Their numbers.
        sink: Called with the number of each message and its content; what it leaves
            unread is dropped.  If it raises, the connection is closed: nothing is
            deleted then.

    Returns:
        The responses to those that were refused, by number.

    Raises:
        MessageAborted: The connection was lost in the middle of a message.
    """

    def hand_over(number: int, content: Content) -> Flow[None]:
        yield new_ask(sink, (number, content))
        if not content.ended:
            yield from drop(content)

    numbers = map(_number_of, messages)
    return (yield from retrieve_each(conn, numbers, hand_over))


def retrieve_each(
    conn: Connection,
    numbers: Iterable[int],
    take: Callable[[int, Content], Flow[None]],
    *,
    told: Told | None = None,
) -> Flow[dict[int, Response]]:
    """Fetch messages, and run a flow for each that takes all of its content.

    What is told counts the octets of all messages.
    If that flow raises, the connection is closed.
    """
    refused: dict[int, Response] = {}

    def hear(command: Command, response: Response) -> Flow[None]:
        if not isinstance(command, Retr):
            raise AssertionError(f"RETR was asked, not {command!r}")
        if response.cls is ERR:
            refused[command.number] = response
            return
        try:
            yield from take(command.number, content_of(conn, told))
        except BaseException:
            conn.close()
            raise

    yield from pipeline(conn, map(Retr, numbers), hear)
    return refused


def delete(
    conn: Connection, messages: Iterable[int | Listed]
) -> Flow[dict[int, Response]]:
    """Mark messages as deleted, pipelined if the server offers it.  QUIT removes them.

    Returns:
        The responses to those that were refused, by number.
    """
    refused: dict[int, Response] = {}

    def hear(command: Command, response: Response) -> Flow[None]:
        yield from ()
        if response.cls is ERR and isinstance(command, Dele):
            refused[command.number] = response

    yield from pipeline(conn, (Dele(_number_of(each)) for each in messages), hear)
    return refused


def pipeline(
    conn: Connection,
    commands: Iterable[Command],
    hear: Callable[[Command, Response], Flow[None]],
) -> Flow[None]:
    """Send commands, and hand each response over when it comes.

    Without PIPELINING each command waits for the response to the one before.  What is
    unanswered is bounded in commands and octets, so that two peers never wait in a
    write for each other.
    """
    limits = conn.limits
    yield from settle(conn)
    source = iter(commands)
    waiting: deque[tuple[Command, int]] = deque()
    octets = 0  # of the commands that wait for their responses
    try:
        while True:
            if (
                len(waiting) <= limits.pipelined_commands // 2
                and octets <= limits.pipelined_octets // 2
            ):
                data = yield from _gather(conn, source, waiting, octets)
                octets += len(data)
                if data:
                    yield from write(conn, data)
            if not waiting:
                return
            command, length = waiting[0]
            response = conn.next_event()
            if not isinstance(response, Response):  # it has not come yet
                response = yield from receive(conn, seconds(limits.timeouts, command))
            waiting.popleft()
            octets -= length
            yield from hear(command, response)
    except BaseException:
        if not conn.idle:
            conn.close()
        raise


def _gather(
    conn: Connection,
    source: Iterator[Command],
    waiting: deque[tuple[Command, int]],
    octets: int,
) -> Flow[bytes]:
    """Take the commands that may be sent before the responses are read."""
    limits = conn.limits
    pipelined = "PIPELINING" in conn.capabilities
    most = limits.pipelined_octets - limits.pop3_command_line
    data = bytearray()
    while not waiting or (
        pipelined
        and len(waiting) < limits.pipelined_commands
        and octets + len(data) <= most
    ):
        command = next(source, None)
        if command is None:
            break
        if not (waiting or conn.settled):
            yield from settle(conn)
        line = conn.send(command)
        waiting.append((command, len(line)))
        data += line
    return bytes(data)


def _told(message: int | Listed, progress: Progress | None) -> Told | None:
    if progress is None:
        return None
    return Told(progress, message.size if isinstance(message, Listed) else None)


def _number_of(message: int | Listed) -> int:
    return message.number if isinstance(message, Listed) else message
