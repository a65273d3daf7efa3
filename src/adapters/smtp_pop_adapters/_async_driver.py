"""The loop that carries out, for asyncio and trio, what flows ask for."""

import contextlib
import inspect
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from smtp_pop_core import (
    Ask,
    AsyncBlocks,
    Blocks,
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
from ._driver import log_mistake
from ._log import log_note, report_mistake

T = TypeVar("T")


class Driver:
    """Runs flows on a stream, and on others that they name.

    A function that is `async def` gets content as `AsyncBlocks`.  Any other function
    cannot wait for it: it is called when all of the content is here, and gets `Blocks`.

    Args:
        runtime: What runs us.
        stream: What requests without a label are carried out on.
        others: Further streams, by the label that `On` names.
        report: Called with the mistakes of an application; by default they are logged.
        tls: How TLS is begun when a flow asks for it.
        certificate: For a server, its own certificate in DER: then logins can be bound
            to it.
        session: What names the session in the log, or "".
    """

    def __init__(
        self,
        runtime: Runtime,
        stream: Stream,
        *,
        others: Mapping[str, Stream] | None = None,
        report: Callable[[Exception], None] | None = None,
        tls: ssl.SSLContext | None = None,
        certificate: bytes | None = None,
        session: str = "",
    ) -> None:
        self._runtime = runtime
        self._streams = {"": stream, **(others or {})}
        self._report = report or log_mistake
        self._tls = tls
        self._certificate = certificate
        self._session = session

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result.  It is closed in any case."""
        with contextlib.closing(flow):
            step: Callable[..., Request] = flow.send
            outcome: object = None
            while True:
                try:
                    request = step(outcome)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, outcome = flow.send, await self._carry_out(request, "")
                except Exception as error:  # the flow decides what it means
                    step, outcome = flow.throw, error
                except BaseException as error:  # cancelled
                    await self._runtime.shielded(partial(self._end, flow, error))
                    raise

    async def _end(self, flow: Flow[T], error: BaseException) -> None:
        """Let a flow that was cancelled give back what it holds, and nothing else."""
        step: Callable[..., Request] = flow.throw
        outcome: object = error
        while True:
            try:
                request = step(outcome)
            except BaseException:  # the same again, or a result that nobody wants
                return
            if not isinstance(request, Ask | Report | Note):
                return
            try:
                step, outcome = flow.send, await self._carry_out(request, "")
            except Exception as failed:
                step, outcome = flow.throw, failed

    async def _carry_out(self, request: Request, label: str) -> object:
        match request:
            case Read(most):
                return await self._streams[label].receive(most)
            case Write(data, heed):
                return await self._streams[label].transmit(data, heed=heed)
            case Handshake(server_hostname):
                if self._tls is None:
                    raise ValueError("there is no context for TLS")
                return await self._streams[label].handshake(
                    self._tls, server_hostname, self._certificate
                )
            case Deadline(seconds, idle):
                self._streams[label].set_deadline(seconds, idle=idle)
            case Ask():
                return await self._ask(request)
            case Sleep(seconds):
                await self._streams[label].sleep(seconds)
            case Report(error):
                report_mistake(self._report, error, self._session)
            case Note():
                log_note(request, self._session)
            case On(stream, inner):
                return await self._carry_out(inner, stream)
        return None

    async def _ask(self, request: Ask) -> object:
        arguments = [
            await self._handed_over(each, request.function)
            for each in request.arguments
        ]
        answer = request.function(*arguments)
        if not inspect.isawaitable(answer):
            return answer
        if not request.shield:
            return await answer

        async def whole() -> object:
            return await answer

        return await self._runtime.shielded(whole)

    async def _handed_over(
        self, argument: object, function: Callable[..., object]
    ) -> object:
        if not isinstance(argument, Content):
            return argument
        if _is_async(function):
            return AsyncBlocks(self.run, argument)
        return Blocks(_at_once, await self._gathered(argument))

    async def _gathered(self, content: Content) -> Content:
        """Read content to its end, for those who cannot wait."""
        blocks: deque[bytes] = deque()
        broken: Exception | None = None
        try:
            while block := await self.run(content.piece()):
                blocks.append(block)
        except Exception as error:  # they shall meet it where it is
            broken = error

        def piece() -> Flow[bytes]:
            yield from ()
            if blocks:
                return blocks.popleft()
            if broken is not None:
                raise broken
            return b""

        return Content(piece)


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object that is called
    )


def _at_once(flow: Flow[bytes]) -> bytes:
    """Run a flow that asks for nothing."""
    try:
        request = flow.send(None)
    except StopIteration as end:
        data: bytes = end.value
        return data
    raise AssertionError(f"nothing was to be asked for, but {request!r}")
