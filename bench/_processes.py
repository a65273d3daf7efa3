"""Servers as processes: started, watched, killed."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

HOST: Final = "127.0.0.1"
USERS: Final = ("alice", "bob")
_HERE: Final = Path(__file__).parent


class Process:
    """A process that says `listening NAME HOST:PORT` when it is ready.

    Attributes:
        port: Where it listens on the loopback.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening "):
            self.kill()
            raise OSError(f"the server did not begin: {line!r}")
        self.port = int(line.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once, as when the power fails."""
        self._process.kill()
        self._process.communicate()

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end, and return the exit code."""
        self._process.communicate(timeout=seconds)
        return self._process.returncode

    def end(self) -> int:
        """Let it end gracefully, and return the exit code."""
        self.ask_to_end()
        return self.wait()

    def resident(self, what: str = "VmRSS") -> int:
        """Return the octets in memory now, or with "VmHWM" the most there were."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        line = next(each for each in status.splitlines() if each.startswith(what))
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> None:
        """Let "VmHWM" begin anew."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", "ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def maildir_server(adapter: str, root: Path, *more: str, port: int = 0) -> Process:
    """Start `smtp-pop serve` for the users of a load."""
    users = [word for name in USERS for word in ("--user", f"{name}:secret")]
    where = ("--maildir", str(root), "--smtp", f"{HOST}:{port}")
    command = ("-m", "smtp_pop_adapters", "serve", "--adapter", adapter)
    return Process(*command, *where, *users, *more)


def plain_server(kind: str, adapter: str, *more: str) -> Process:
    """Start a server of `_server.py`."""
    return Process(str(_HERE / "_server.py"), kind, adapter, *more)
