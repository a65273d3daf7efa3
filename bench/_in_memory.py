"""What stands in for sockets: no octet leaves the process."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from smtp_pop_core import Ask, Blocks, Content, Flow, Read, Request, Write

T = TypeVar("T")

REPLIES: Final = {
    "greeting": b"220 mx.example ESMTP ready\r\n",
    "ehlo": b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n"
    b"250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n",
    "ok": b"250 2.0.0 Ok\r\n",
    "go": b"354 End data with a line of one dot\r\n",
    "bye": b"221 2.0.0 Bye\r\n",
}
"""What every client hears."""


class Talk:
    """Carries out the requests of flows; a Read takes the next of what is heard.

    Attributes:
        written: The octets of the last Write.
    """

    __slots__ = ("_reads", "written")

    def __init__(self) -> None:
        self._reads: Iterator[bytes] = iter(())
        self.written = b""

    def run(self, flow: Flow[T], reads: Iterable[bytes]) -> T:
        """Run a flow to its end; what it asks for is there."""
        self._reads = iter(reads)
        return self._run(flow)

    def _run(self, flow: Flow[T]) -> T:
        send: Callable[[Any], Request] = flow.send
        answer: object = None
        try:
            while True:
                request = send(answer)
                if type(request) is Read:
                    answer = next(self._reads)
                else:
                    answer = self._carry_out(request)
        except StopIteration as end:
            value: T = end.value
            return value

    def _carry_out(self, request: Request) -> object:
        # no `match`, which costs more than what many requests do
        if isinstance(request, Write):
            self.written = request.data
        elif isinstance(request, Ask):
            return request.function(*map(self._handed_over, request.arguments))
        return None

    def _handed_over(self, argument: object) -> object:
        if isinstance(argument, Content):
            return Blocks(self._run, argument)
        return argument


class Session(Talk):
    """A flow that stands still where it has nothing to read.

    Attributes:
        ended: Whether it has come to its end, so that nobody hears any more.
    """

    __slots__ = ("_flow", "ended")

    def __init__(self, flow: Flow[object]) -> None:
        super().__init__()
        self._flow = flow
        self.ended = False
        self._go_on(None)

    def hear(self, reads: Iterable[bytes]) -> None:
        """Let it hear so many reads, and go on until it wants more."""
        self._reads = iter(reads)
        try:
            for data in self._reads:
                self._go_on(data)
        except StopIteration:
            assert not self.ended, "the session had ended before"
            self.ended = True

    def _go_on(self, answer: object) -> None:
        send = self._flow.send
        while type(request := send(answer)) is not Read:
            answer = self._carry_out(request)


class _Wire(io.RawIOBase):
    def __init__(self, replies: Iterator[bytes]) -> None:
        self._replies = replies
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._replies))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Socket:
    """What `smtplib` and `poplib` want of a socket: each reply comes in one read.

    Attributes:
        written: The octets of the last call.
    """

    def __init__(self, replies: Iterator[bytes]) -> None:
        self._wire = _Wire(replies)
        self.written = b""

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file, as `socket.makefile` does."""
        return io.BufferedReader(self._wire)

    def sendall(self, data: bytes) -> None:
        """Take what is written."""
        self.written = data

    def shutdown(self, how: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
