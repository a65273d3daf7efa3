"""Threads in which the asyncio and trio adapters call what may block."""

import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias

from smtp_pop_core import Blocks, Content, Flow, MessageAborted

from ._async_stream import Bell, Runtime

Run: TypeAlias = Callable[[Flow[bytes]], Awaitable[bytes]]
"""Runs a flow where the caller is."""


class LateError(BaseException):
    """A caller was cancelled, and what was called has ended since.

    Attributes:
        cancelled: What the caller was cancelled with.
        answer: What was returned.
        error: What was raised, or None.
    """

    def __init__(
        self, cancelled: BaseException, answer: object, error: BaseException | None
    ) -> None:
        super().__init__()
        self.cancelled = cancelled
        self.answer = answer
        self.error = error


class Workers:
    """Threads, made when they are needed and kept for later calls.

    Args:
        runtime: What runs those who call.
        most: How many threads there are at most.
    """

    def __init__(self, runtime: Runtime, most: int) -> None:
        self._runtime = runtime
        self._most = most
        self._executor: ThreadPoolExecutor | None = None
        self._running = 0

    async def call(
        self,
        function: Callable[..., object],
        arguments: Iterable[object],
        run: Run,
        *,
        owed: bool = False,
    ) -> object:
        """Call a function in a thread, and wait for its end.

        Each block of content that it asks for is fetched here, by `run`.  If we are
        cancelled, it gets MessageAborted in place of a block, and is waited for.

        Args:
            function: What to call.
            arguments: Its arguments.
            run: Fetches blocks.
            owed: Whether it is called here if there is no thread for it.

        Raises:
            LateError: We were cancelled meanwhile.
            RuntimeError: There is no thread for it, or it has raised what is no
                Exception.
        """
        call = _Call(self._runtime.post())
        work = partial(call.carry_out, function, list(map(call.handed_over, arguments)))
        self._running += 1
        try:
            self._submit(call, work, owed=owed)
            try:
                await self._attend(call, run)
            except BaseException as error:
                try:
                    await self._runtime.shielded(partial(self._attend, call, _abort))
                finally:  # also if we are cancelled once more: the thread has ended
                    raise LateError(error, call.answer, call.error) from error
        finally:
            self._running -= 1
        if call.error is None:
            return call.answer
        if isinstance(call.error, Exception):
            raise call.error
        # a panic, or the end of a thread: the loop would end for it
        raise RuntimeError(f"{call.error!r} was raised in a thread") from call.error

    def _submit(self, call: "_Call", work: Callable[[], None], *, owed: bool) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._most, "smtp-pop")
        try:
            self._executor.submit(contextvars.copy_context().run, work)
        except RuntimeError:  # the system gives no more, and yet the work is queued
            if owed:
                work()
            elif call.claim():
                raise

    async def _attend(self, call: "_Call", run: Run) -> None:
        while not call.ended:
            flow = call.asked
            if flow is None:
                await self._runtime.pause(None, call.bell)
                continue
            call.asked = None
            try:
                call.give(await run(flow))
            except Exception as error:
                call.give(error)
            except BaseException:
                call.give(_aborted())
                raise

    def close(self) -> None:
        """End the threads; those that are busy end later, when they can."""
        if self._executor is not None:
            self._executor.shutdown(wait=not self._running)


class _Call:
    """What a thread does for us, and what it asks us for meanwhile.

    Attributes:
        bell: Rung for each change.
        asked: What the thread waits for, or None.
        ended: Whether it has ended.
        answer: What was returned.
        error: What was raised, or None.
    """

    def __init__(self, post: Callable[..., object]) -> None:
        self.bell = Bell()
        self.asked: Flow[bytes] | None = None
        self.ended = False
        self.answer: object = None
        self.error: BaseException | None = None
        self._post = post
        self._given: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._over = False  # nobody attends any more
        self._claimed = threading.Lock()  # once, and for good

    def handed_over(self, argument: object) -> object:
        """Return an argument as the thread gets it."""
        if isinstance(argument, Content):
            return Blocks(self._pull, argument)
        return argument

    def give(self, outcome: bytes | BaseException) -> None:
        """Give the thread what it waits for."""
        self._given.put(outcome)

    def claim(self) -> bool:
        """Return whether nobody has begun to call the function; nobody will then."""
        return self._claimed.acquire(blocking=False)

    # in the thread

    def carry_out(
        self, function: Callable[..., object], arguments: Iterable[object]
    ) -> None:
        """Call the function, if nobody has done so."""
        if not self.claim():
            return
        try:
            self.answer = function(*arguments)
        except BaseException as error:
            self.error = error
        self._over = True
        self._post(self._end)

    def _pull(self, flow: Flow[bytes]) -> bytes:
        if self._over:  # content that was kept has nothing more to give
            return _at_once(flow)
        self._post(self._ask, flow)
        outcome = self._given.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    # called by the loop, for the thread

    def _ask(self, flow: Flow[bytes]) -> None:
        self.asked = flow
        self.bell.ring()

    def _end(self) -> None:
        self.ended = True
        self.bell.ring()


async def _abort(flow: Flow[bytes]) -> bytes:
    flow.close()
    raise _aborted()


def _aborted() -> MessageAborted:
    return MessageAborted("the session was cancelled")


def _at_once(flow: Flow[bytes]) -> bytes:
    """Run a flow that asks for nothing.

    Raises:
        MessageAborted: It asks for something.
    """
    try:
        flow.send(None)
    except StopIteration as end:
        data: bytes = end.value
        return data
    flow.close()
    raise MessageAborted("the content was there only during the call")
