"""Running the servers of others as plain processes on free loopback ports."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a server until it listens, and end it by its pid in the end."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as it:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                assert it.poll() is None, it.communicate()[0]
                time.sleep(0.05)
            yield
        finally:
            it.terminate()
            it.communicate()
