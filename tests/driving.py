"""A driver in memory, with a clock that moves only when somebody waits.

`Peer` plays a script against the flow that a `Driver` runs.  What a script does not
foresee is Unforeseen, which no flow can catch.
"""

from collections import deque
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
)
from contextlib import closing
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, Protocol, TypeVar

from smtp_pop_core import (
    CLIENT,
    Ask,
    AsyncBlocks,
    Blocks,
    Content,
    Deadline,
    Flow,
    Handshake,
    Limits,
    Negotiated,
    Note,
    On,
    Read,
    Report,
    Request,
    Sleep,
    Stopping,
    Write,
    smtp,
)

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


NEGOTIATED: Final = Negotiated("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class Step:
    """What a peer does."""


@dataclass(frozen=True)
class Expect(Step):
    """The flow writes exactly this next; the steps behind it wait for that."""

    data: bytes


@dataclass(frozen=True)
class Say(Step):
    """The peer says this; one Read gives it."""

    data: bytes


@dataclass(frozen=True)
class Wait(Step):
    """The peer does nothing for so long."""

    seconds: float


@dataclass(frozen=True)
class Silence(Step):
    """The peer does nothing until the flow has lost its patience."""


@dataclass(frozen=True)
class Close(Step):
    """The peer is gone: it says no more, and what is written to it is dropped."""


@dataclass(frozen=True)
class Deaf(Step):
    """The peer takes nothing more of what is written."""


@dataclass(frozen=True)
class Stop(Step):
    """The program is about to end: a Read that waits gets Stopping."""


@dataclass(frozen=True)
class Shake(Step):
    """The peer takes part in a TLS handshake, which comes to this or fails so."""

    outcome: Negotiated | Exception = NEGOTIATED


class Stream(Protocol):
    """What requests about octets and time are carried out on."""

    def read(self) -> bytes: ...

    def write(self, data: bytes, *, heed: bool) -> bool: ...

    def set_deadline(self, seconds: float | None) -> None: ...

    def sleep(self, seconds: float) -> None: ...

    def handshake(self, server_hostname: str | None) -> Negotiated: ...


class Unforeseen(BaseException):
    """The flow does what the script does not foresee.  No flow can catch it."""


class Peer:
    """A peer that follows a script, on a clock of its own.

    Attributes:
        now: Seconds that have passed.
        writes: What each Write that reached the peer has brought.
        deadlines: The bound of each Deadline.
        hostnames: Whose certificate was expected in each handshake.
    """

    def __init__(self, *steps: Step) -> None:
        self.now = 0.0
        self.writes: list[bytes] = []
        self.deadlines: list[float | None] = []
        self.hostnames: list[str | None] = []
        self._steps = deque(steps)
        self._said: deque[bytes | Exception] = deque()
        self._written = bytearray()
        self._deadline: float | None = None
        self._free = 0.0  # when the peer has done what it does
        self._gone = False
        self._deaf = False

    def read(self) -> bytes:
        while True:
            self._play()
            if self._said:
                said = self._said.popleft()
                if isinstance(said, Exception):
                    raise said
                return said
            if self._gone:
                return b""
            self._let_time_pass()

    def write(self, data: bytes, *, heed: bool) -> bool:
        self._play()
        if heed and not data:
            return bool(self._said) or self._gone
        while self._deaf and not self._gone:
            if heed and self._said:
                return True
            self._let_time_pass()
            self._play()
        if heed and (self._said or self._gone):
            return True
        if not self._gone:
            self.writes.append(data)
            self._written += data
            self._play()
        return False

    def set_deadline(self, seconds: float | None) -> None:
        self.deadlines.append(seconds)
        self._deadline = None if seconds is None else self.now + seconds

    def sleep(self, seconds: float) -> None:
        self._play()
        self.now += seconds

    def handshake(self, server_hostname: str | None) -> Negotiated:
        self._play()
        self.hostnames.append(server_hostname)
        if self._said or self._written or not self._steps:
            raise Unforeseen("a handshake in the middle of what was said")
        step = self._steps.popleft()
        if not isinstance(step, Shake):
            raise Unforeseen(f"a handshake in place of {step!r}")
        if isinstance(step.outcome, Exception):
            raise step.outcome
        return step.outcome

    def finish(self) -> None:
        """See that the script has come to its end, and nothing more was written."""
        self._play()
        if self._steps or self._written:
            raise Unforeseen(f"left: {list(self._steps)}, {bytes(self._written)!r}")

    def _play(self) -> None:
        while self._steps and self._free <= self.now and self._can(self._steps[0]):
            match self._steps.popleft():
                case Expect(data):
                    del self._written[: len(data)]
                case Say(data):
                    self._said.append(data)
                case Wait(seconds):
                    self._free = self.now + seconds
                case Close():
                    self._gone = True
                    self._written.clear()
                case Deaf():
                    self._deaf = True
                case Stop():
                    self._said.append(Stopping())

    def _can(self, step: Step) -> bool:
        if not isinstance(step, Expect):
            return not isinstance(step, (Silence, Shake))
        if not step.data.startswith(self._written[: len(step.data)]):
            raise Unforeseen(f"{bytes(self._written)!r} in place of {step.data!r}")
        return len(self._written) >= len(step.data)

    def _let_time_pass(self) -> None:
        """Wait for the peer, or for the deadline if that comes first."""
        waits = bool(self._steps) and self._free > self.now
        if not waits and self._steps and isinstance(self._steps[0], Expect):
            raise Unforeseen(f"nothing was written for {self._steps[0]!r}")
        if self._deadline is None:
            if not waits:
                raise Unforeseen("nothing will ever happen")
            self.now = self._free
        elif waits and self._free <= self._deadline:
            self.now = self._free
        else:
            self.now = max(self.now, self._deadline)
            if self._steps and isinstance(self._steps[0], Silence):
                self._steps.popleft()
            raise TimeoutError("the peer was too slow")


class Driver:
    """Carries out the requests of flows.

    Attributes:
        reports: The mistakes of the application.
        notes: What the operator is told, in its order.
        asked: The names of the functions that were asked, in their order.
    """

    def __init__(self, stream: Stream, **others: Stream) -> None:
        self.reports: list[Exception] = []
        self.notes: list[Note] = []
        self.asked: list[str] = []
        self._streams = {"": stream, **others}
        self._left = dict.fromkeys(self._streams, b"")  # said, and not taken yet

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        with closing(flow):
            step: Callable[..., Request] = flow.send
            outcome: object = None
            while True:
                try:
                    request = step(outcome)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, outcome = flow.send, self.carry_out(request, "")
                except Exception as error:
                    step, outcome = flow.throw, error

    def carry_out(self, request: Request, label: str) -> object:
        """Carry one request out and return its answer."""
        stream = self._streams[label]
        match request:
            case Read(most):
                data = self._left[label] or stream.read()
                self._left[label] = b"" if most is None else data[most:]
                return data[:most]
            case Write(data, heed):
                return stream.write(data, heed=heed)
            case Deadline(seconds):
                stream.set_deadline(seconds)
            case Sleep(seconds):
                stream.sleep(seconds)
            case Handshake(server_hostname):
                return stream.handshake(server_hostname)
            case Ask(function, arguments):
                return self._ask(function, arguments)
            case Report(error):
                self.reports.append(error)
            case Note():
                self.notes.append(request)
            case On(name, inner):
                return self.carry_out(inner, name)
        return None

    def _ask(
        self, function: Callable[..., object], arguments: tuple[object, ...]
    ) -> object:
        self.asked.append(getattr(function, "__name__", type(function).__name__))
        asynchronous = iscoroutinefunction(function)
        given = [self._handed_over(each, asynchronous) for each in arguments]
        answer = function(*given)
        return finished(answer) if isawaitable(answer) else answer

    def _handed_over(self, argument: object, asynchronous: bool) -> object:
        if not isinstance(argument, Content):
            return argument
        if asynchronous:
            return AsyncBlocks(self._run_async, argument)
        return Blocks(self.run, argument)

    async def _run_async(self, flow: Flow[bytes]) -> bytes:
        return self.run(flow)


def finished(awaitable: Awaitable[T]) -> T:
    """Run what is awaited, and waits for nothing but flows, to its end."""

    async def wait() -> T:
        return await awaitable

    coroutine: Coroutine[Any, Any, T] = wait()
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise Unforeseen("a coroutine waits for the outside world")


def play(flow: Flow[T], *steps: Step) -> T:
    """Run a flow against a script to the end of both, also where the flow raises."""
    peer = Peer(*steps)
    try:
        return Driver(peer).run(flow)
    finally:
        peer.finish()


def cut_short(steps: Iterable[Step], octets: int, *then: Step) -> list[Step]:
    """Give the steps until so many octets have been said, and then others."""
    begun: list[Step] = []
    for step in steps:
        if isinstance(step, Say):
            if octets < len(step.data):
                begun += [Say(step.data[:octets])] if octets else []
                return [*begun, *then]
            octets -= len(step.data)
        begun.append(step)
    return [*begun, *then]


def octets_said(steps: Iterable[Step]) -> int:
    """Count the octets that a script says."""
    return sum(len(step.data) for step in steps if isinstance(step, Say))


def opened(*offers: str, limits: Limits | None = None) -> smtp.Connection:
    """Give the connection of a client whose server offers these extensions."""
    conn = smtp.Connection(CLIENT, domain="me.example", limits=limits or Limits())
    lines = ["mx.example", *offers]
    reply = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
    play(
        smtp.open(conn),
        Say(b"220 mx.example\r\n"),
        Expect(b"EHLO me.example\r\n"),
        Say(reply.encode()),
    )
    return conn


MAIL_RCPT_DATA = (
    (smtp.Mail("a@example.com"), 250),
    (smtp.Rcpt("b@example.com"), 250),
    (smtp.Data(), 354),
)


def answer(
    conn: smtp.Connection, answers: Iterable[tuple[smtp.Command, int]]
) -> smtp.Connection:
    """Let a client send commands, each answered with a code, and return it."""
    for command, code in answers:
        conn.send(command)
        conn.receive_data(b"%d ok\r\n" % code)
        conn.next_event()
    return conn
