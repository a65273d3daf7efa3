"""Several processes that share the work, and one above them that does none of it."""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import click

from .._admission import Troubles
from ._signals import ENDING
from ._values import reason

T = TypeVar("T")

_PAUSE: Final = 1.0  # seconds before a process that has ended is started again
_MOST: Final = 10  # processes that may end by themselves, or two of each share,
_WHILE: Final = 60.0  # in so many seconds


class Workers(Generic[T]):
    """A process for each share of the work; one that ends is started again.

    Nothing else may run in this process when they are started: no thread, no loop.

    Args:
        shares: What each process works on.
        work: Called there with its share; it ends after SIGTERM.  That and SIGINT are
            held back until it lets them come, as it could not end well before.
    """

    def __init__(self, shares: Sequence[T], work: Callable[[T], None]) -> None:
        self._work: Final = work
        self._running: dict[int, T] = {}
        self._most: Final = max(_MOST, 2 * len(shares))
        self._ends: Final[deque[float]] = deque(maxlen=self._most)
        self._troubles: Final = Troubles(_report)
        self._watched: Final = {*ENDING, signal.SIGCHLD}
        self._mask: Final = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        # the processes hold one end, and see by it that we are gone
        self._theirs, self._ours = os.pipe()
        for share in shares:
            self._start(share)

    def _start(self, share: T) -> None:
        pid = os.fork()
        if pid:
            self._running[pid] = share
        else:
            self._carry_out(share)

    def _starts(self, share: T) -> bool:
        """Start a process again, and return whether there is one to be had now."""
        try:
            self._start(share)
        except OSError as error:  # too many processes, for example
            self._troubles.meet(error)
            return False
        self._troubles.over()
        return True

    def _carry_out(self, share: T) -> None:
        """Do the work of a process, and end it."""
        code = 1
        try:
            os.close(self._ours)
            os.setpgid(0, 0)  # else it would hear a ^C twice
            signal.pthread_sigmask(signal.SIG_SETMASK, {*self._mask, *ENDING})
            threading.Thread(target=self._end_alone, daemon=True).start()
            self._work(share)
            code = 0
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end_alone(self) -> None:
        """End when the process above has gone without a word."""
        os.read(self._theirs, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def wait_for_signal(self) -> None:
        """Keep the processes running until SIGTERM or SIGINT.

        Raises:
            ClickException: They end again and again.
        """
        while signal.sigwait(self._watched) == signal.SIGCHLD:
            ended = self._ended()
            self._check_ends()
            while ended:
                if signal.sigtimedwait(ENDING, _PAUSE):
                    return
                ended = [share for share in ended if not self._starts(share)]

    def _ended(self) -> list[T]:
        """Return the shares whose processes have ended."""
        shares = []
        for pid in tuple(self._running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                click.echo(f"worker {pid} has ended with {code}", err=True)
                shares.append(self._running.pop(pid))
                self._ends.append(time.monotonic())
        return shares

    def _check_ends(self) -> None:
        if len(self._ends) == self._most and self._ends[-1] - self._ends[0] < _WHILE:
            self.stop()
            raise click.ClickException("workers end again and again")

    def stop(self) -> bool:
        """Tell all to end, wait until they have, and return whether all went well."""
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
        # from here on a signal ends us, and by the pipe them
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        codes = [os.waitpid(pid, 0)[1] for pid in self._running]
        os.close(self._ours)
        os.close(self._theirs)
        return not any(codes)


def _report(error: Exception) -> None:
    click.echo(f"there is no process for a worker: {reason(error)}", err=True)
