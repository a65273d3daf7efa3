"""SIGTERM and SIGINT, for a program that ends gracefully with the first of them.

A second one does what it does without us.
"""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def let_come() -> None:
    """Let both come, now that they are caught, where a worker has held them back."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextmanager
def restored() -> Iterator[Callable[[], None]]:
    """Give a function that puts back what both do now; the end of the context does."""
    before = {each: signal.getsignal(each) for each in ENDING}

    def restore() -> None:
        for each, action in before.items():
            signal.signal(each, action)

    try:
        yield restore
    finally:
        restore()


@contextmanager
def caught() -> Iterator[Callable[[], None]]:
    """Catch them, and give a function that blocks until one of them comes.

    It ends at once if one has come before.
    """
    ours, written = socket.socketpair()
    with ours, written, restored() as restore:
        written.setblocking(False)
        for each in ENDING:
            signal.signal(each, lambda *_: None)
        # a thread may get the signal, so the handler alone would not wake us
        descriptor = signal.set_wakeup_fd(written.fileno())

        def wait() -> None:
            ours.recv(1)
            restore()

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(descriptor)
