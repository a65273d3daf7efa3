"""Both ends of a connection in one process: threads, and clients that say anything."""

import contextlib
import queue
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Background(threading.Thread):
    """Calls a function at the same time; `result` waits for what it returns."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._answer: queue.Queue[Any] = queue.Queue()
        self.start()

    def run(self) -> None:
        try:
            self._answer.put(self._function())
        except Exception as error:
            self._answer.put(error)

    def result(self) -> Any:
        answer = self._answer.get(timeout=30)
        self.join(30)
        return answer


class Raw:
    """A client that says what it likes, line by line."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(30)
        self.sock = sock
        self._file = sock.makefile("rb")

    def say(self, line: str) -> str:
        """Say a line, and return the last line of the answer."""
        self.sock.sendall(line.encode() + b"\r\n")
        return self.hear()

    def hear(self) -> str:
        """Return the last line of a reply, or the line of a response; "" at the end."""
        while re.match("[0-9]{3}-", line := self.line()):
            pass
        return line

    def line(self) -> str:
        """Return one line, "" at the end."""
        return self._file.readline().decode().rstrip("\r\n")

    def rest(self) -> bytes:
        """Return all that is said until the end."""
        return self._file.read()

    def close(self) -> None:
        self._file.close()
        self.sock.close()


def read_all(sock: socket.socket) -> bytes:
    with contextlib.closing(sock), sock.makefile("rb") as file:
        return file.read()


def reset(sock: socket.socket) -> None:
    """Close so that the peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def scripted(*answers: bytes) -> Iterator[tuple[tuple[str, int], Background]]:
    """A server that says each answer when it has heard a line, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def session() -> list[bytes]:
        sock, _ = listener.accept()
        sock.settimeout(30)
        with sock, sock.makefile("rwb") as file:
            heard = []
            for answer in answers:
                file.write(answer)
                file.flush()
                heard.append(file.readline())
            return heard

    with listener:
        yield listener.getsockname(), Background(session)
