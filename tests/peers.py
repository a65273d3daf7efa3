"""Running the servers of others as plain processes on free loopback ports."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """Give a new folder that every user may enter.

    Those of pytest are closed to other users whenever another pytest starts.
    """
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as it:
        folder = Path(it)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a server until it listens, and end it by its pid in the end."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said) as it,
    ):
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                said.seek(0)
                assert it.poll() is None, said.read()
                time.sleep(0.05)
            yield
        finally:
            it.terminate()
            it.wait(30)
