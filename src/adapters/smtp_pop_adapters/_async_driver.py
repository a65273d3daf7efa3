"""The loop that carries out, for asyncio and trio, what flows ask for."""

import inspect
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextvars import copy_context
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from smtp_pop_core import (
    Ask,
    AsyncBlocks,
    Content,
    Deadline,
    Flow,
    Handshake,
    Note,
    On,
    Read,
    Report,
    Request,
    Sleep,
    Write,
)

from ._async_stream import Runtime, Stream
from ._async_workers import LateError, Workers
from ._log import log_mistake, log_note, report_mistake

T = TypeVar("T")

_THREADS: Final = 4  # of one driver: a call, and what is called for its content
_NO_OTHERS: Final[Mapping[str, Stream]] = MappingProxyType({})


class _Done(Awaitable[None]):
    """What there is to await where all is done already."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_DONE: Final = _Done()


class Driver:
    """Runs flows on a stream, and on others that they name.

    A function that is `async def` gets content as `AsyncBlocks`.  Any other function
    may block: unless it is asked for as quick it is called in a thread, and gets
    `Blocks`, each of which is fetched here when it is wanted.  Who is cancelled while
    it runs waits for its end; what it has answered reaches the flow before that.

    Args:
        runtime: What runs us.
        stream: What requests without a label are carried out on.
        others: Further streams, by the label that `On` names.
        report: Called with the mistakes of an application; by default they are logged.
        tls: How TLS is begun when a flow asks for it.
        certificate: For a server, its own certificate in DER: then logins can be bound
            to it.
        session: What names the session in the log, or "".
        workers: The threads.  None: some of its own, which `close` ends.
    """

    __slots__ = (
        "_certificate",
        "_others",
        "_report",
        "_runtime",
        "_session",
        "_stream",
        "_tls",
        "_workers",
    )

    def __init__(
        self,
        runtime: Runtime,
        stream: Stream,
        *,
        others: Mapping[str, Stream] = _NO_OTHERS,
        report: Callable[[Exception], None] | None = None,
        tls: ssl.SSLContext | None = None,
        certificate: bytes | None = None,
        session: str = "",
        workers: Workers | None = None,
    ) -> None:
        self._runtime = runtime
        self._stream = stream
        self._others = others
        self._report = report or log_mistake
        self._tls = tls
        self._certificate = certificate
        self._session = session
        self._workers = workers or Workers(runtime, _THREADS)

    def run(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Run a flow to its end and return its result.  It is closed in any case.

        As soon as the peer speaks it goes on, before we wake up; what it comes to is
        lost if we are cancelled in between.
        """
        return self._run(flow, goes_on=True)

    def pull(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Do what `run` does, but for a result that must not be lost: a block."""
        return self._run(flow, goes_on=False)

    async def _run(self, flow: Flow[T], *, goes_on: bool) -> T:
        stream, steps = self._stream, _Steps(flow, self._stream)
        step: Callable[..., Request]
        waited = False
        try:
            steps.go(flow.send, None)
            while (request := steps.request) is not None:
                try:
                    if not isinstance(request, Read):
                        outcome = await self._carry_out(request)
                    elif stream.has_spoken(request.most):
                        if not waited and stream.must_give_way():
                            await stream.give_way()
                        outcome = stream.take(request.most)
                    else:
                        waited = True
                        await stream.arrival(steps if goes_on else None)
                        steps.check()
                        continue  # with what the flow asks for by now
                    step = flow.send
                except Exception as error:  # the flow decides what it means
                    step, outcome = flow.throw, error
                except LateError as late:
                    await self._runtime.shielded(partial(self._end_late, flow, late))
                    raise late.cancelled from None
                except BaseException as error:  # cancelled
                    owed = None if steps.request is request else steps.request
                    await self._runtime.shielded(partial(self._end, flow, error, owed))
                    raise
                waited = False
                steps.go(step, outcome)
            return steps.value
        finally:
            flow.close()

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    async def _end_late(self, flow: Flow[T], late: LateError) -> None:
        """Let a flow that was cancelled have an answer, and then end it."""
        if late.error is None:
            request = _last_step(flow.send, late.answer)
        else:
            request = _last_step(flow.throw, late.error)
        await self._end(flow, late.cancelled, request)

    async def _end(
        self, flow: Flow[T], error: BaseException, owed: Request | None = None
    ) -> None:
        """Let a flow that was cancelled give back what it holds, and nothing else.

        Args:
            flow: The flow.
            error: What it was cancelled with.
            owed: What it has asked for before and is not begun, or None.
        """
        await self._follow(flow, owed, _is_owed)
        await self._follow(flow, _last_step(flow.throw, error), _gives_back)

    async def _follow(
        self, flow: Flow[T], request: Request | None, allowed: Callable[[Request], bool]
    ) -> None:
        """Carry out what is allowed, as long as the flow asks for nothing else."""
        while request is not None and allowed(request):
            try:
                answer = await self._carry_out(request)
            except Exception as failed:
                request = _last_step(flow.throw, failed)
            else:
                request = _last_step(flow.send, answer)

    def _carry_out(self, request: Request, label: str = "") -> Awaitable[object]:
        """Begin to carry a request out, and return what has to be awaited for it."""
        stream = self._others[label] if label else self._stream
        # The most frequent first, and no patterns of fields, which cost 0.1 us each.
        match request:
            case Deadline():
                stream.set_deadline(request.seconds, idle=request.idle)
            case Read():
                return stream.receive(request.most)
            case Write():
                return stream.transmit(request.data, heed=request.heed)
            case Handshake(server_hostname):
                if self._tls is None:
                    raise ValueError("there is no context for TLS")
                return stream.handshake(self._tls, server_hostname, self._certificate)
            case Ask():
                return self._ask(request)
            case Sleep(seconds):
                return stream.sleep(seconds)
            case Report(error):
                report_mistake(self._report, error, self._session)
            case Note():
                log_note(request, self._session)
            case On(label, inner):
                return self._carry_out(inner, label)
        return _DONE

    async def _ask(self, request: Ask) -> object:
        function = request.function
        if request.quick or _is_async(function):
            answer = function(*map(self._handed_over, request.arguments))
        else:
            try:
                answer = await self._workers.call(
                    function, request.arguments, self.run, owed=request.shield
                )
            except LateError as late:
                if inspect.iscoroutine(late.answer):  # it has not begun
                    late.answer.close()
                    raise late.cancelled from None
                raise
        if not inspect.isawaitable(answer):
            return answer
        if not request.shield:
            return await answer

        async def whole() -> object:
            return await answer

        return await self._runtime.shielded(whole)

    def _handed_over(self, argument: object) -> object:
        if isinstance(argument, Content):
            return AsyncBlocks(self.pull, argument)
        return argument


class _Steps(Generic[T]):
    """The steps of a flow that need not be awaited.

    It is called by a stream whose peer has spoken while the flow waits for that.

    Attributes:
        request: What has to be awaited next, or None: the flow has ended.
        value: Its result then.
    """

    __slots__ = ("_context", "_error", "_flow", "_stream", "request", "value")

    value: T

    def __init__(self, flow: Flow[T], stream: Stream) -> None:
        self._flow = flow
        self._stream = stream
        self._context = copy_context()  # what the flow calls finds it in any case
        self._error: BaseException | None = None
        self.request: Request | None = None

    def go(self, step: Callable[..., Request], outcome: object) -> None:
        """Go on until something has to be awaited, or to the end."""
        stream, flow = self._stream, self._flow
        while True:
            try:
                self.request = request = step(outcome)
            except StopIteration as end:
                self.request, self.value = None, end.value
                return
            try:
                # No patterns of fields, which cost 0.1 us each.
                match request:
                    case Deadline():
                        stream.set_deadline(request.seconds, idle=request.idle)
                        step, outcome = flow.send, None
                    case Write():
                        data, heed = request.data, request.heed
                        sent = stream.transmit_at_once(data, heed=heed)
                        if not isinstance(sent, bool):
                            self.request = Write(sent, heed)
                            return
                        step, outcome = flow.send, sent
                    case _:
                        return
            except Exception as error:  # the flow decides what it means
                step, outcome = flow.throw, error

    def __call__(self) -> bool:
        """Take what the peer has said; return whether the flow waits for more."""
        return self._context.run(self._hear)

    def _hear(self) -> bool:
        stream = self._stream
        try:
            while isinstance(request := self.request, Read):
                if not stream.has_spoken(request.most):
                    stream.wait_on()
                    return True
                if stream.must_give_way():
                    break
                self.go(self._flow.send, stream.take(request.most))
        except BaseException as error:  # raised where the flow is awaited
            self._error = error
        return False

    def check(self) -> None:
        """Raise what went wrong while the flow was waited for."""
        error, self._error = self._error, None
        if error is not None:
            raise error


def _last_step(step: Callable[..., Request], outcome: object) -> Request | None:
    """Step through a flow that was cancelled; return None if it has ended."""
    try:
        return step(outcome)
    except BaseException:  # the same again, or a result that nobody wants
        return None


def _is_owed(request: Request) -> bool:
    """Whether a flow that is cancelled has it carried out before it hears of that."""
    return isinstance(request, Report | Note) or (
        isinstance(request, Ask) and request.shield
    )


def _gives_back(request: Request) -> bool:
    """Whether a flow that is cancelled has it carried out after it has heard of it."""
    return isinstance(request, Ask | Report | Note)


def _is_async(function: Callable[..., object]) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object that is called
        )
    )
