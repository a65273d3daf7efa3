"""The command line as real processes."""

import signal
import subprocess
import sys
from typing import Final, Self

PROGRAM: Final = (sys.executable, "-m", "smtp_pop_adapters")


class Serving:
    """`smtp-pop serve` as a process.

    Attributes:
        protocol: What its first listener speaks.
        host: Where it listens.
        port: The port there.
    """

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*PROGRAM, "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        name, self.protocol, address = self._process.stdout.readline().split()
        assert name == "listening"
        host, _, port = address.rpartition(":")
        self.host, self.port = host, int(port)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal, and return the exit code and what was said since."""
        self._process.send_signal(number)
        return self.wait()

    def tell(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> tuple[int, str, str]:
        out, err = self._process.communicate(timeout=30)
        return self._process.returncode, out, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
