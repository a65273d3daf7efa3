"""What servers keep in memory; clients run in this process, servers in others."""

import resource
import socket
from contextlib import suppress
from typing import Final

from ._contents import READ, encoded, stuffed
from ._measure import OURS, Effort, Outcome
from ._processes import HOST, Process, plain_server

_LARGE: Final = "memory for one 100 MB message"
_IDLE: Final = "memory for an idle session"
_OCTETS: Final = 100_000_000
_SESSIONS: Final = 5_000
_FIRST: Final = 20  # sessions for what a server makes only once


def measure(effort: Effort, outcome: Outcome) -> None:
    """Send one large message as a stream, and leave many sessions idle."""
    sessions = max(2 * _FIRST, int(_SESSIONS * effort.scale))
    sessions = min(sessions, _allowed_descriptors() - 200)
    servers = {OURS: ("sink", "asyncio"), "our trio": ("sink", "trio"), "aiosmtpd": ()}
    for _ in range(2 if effort.scale == 1 else 1):  # memory hardly wavers
        for who, command in servers.items():
            try:
                with _started(command, sessions) as server:
                    outcome.note(_LARGE, who, _large(server, effort.scale))
                with _started(command, sessions) as server:
                    outcome.note(_IDLE, who, _idle(server, sessions))
            except OSError as error:
                outcome.missing.append(f"memory of {who}: {error}")


def _started(command: tuple[str, ...], sessions: int) -> Process:
    if command:
        return plain_server(*command, str(sessions + 10))
    return Process("-m", "bench._aiosmtpd_server")


def _allowed_descriptors() -> int:
    """Allow as many open files as we may, and return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _large(server: Process, scale: float) -> float:
    """Return how much more a server takes than after a small message."""
    block = encoded(READ * 15)
    with _greeted(server.port) as sock:
        _send(sock, b"", 1)
        server.forget_peak()
        before = server.resident()
        _send(sock, block, int(_OCTETS * scale) // len(block))
        return float(server.resident("VmHWM") - before)


def _send(sock: socket.socket, block: bytes, times: int) -> None:
    for line in (b"MAIL FROM:<a@a.example>", b"RCPT TO:<b@b.example>", b"DATA"):
        sock.sendall(line + b"\r\n")
        _hear(sock)
    for _ in range(times):
        sock.sendall(block)
    sock.sendall(stuffed(b"The end\r\n"))
    assert _hear(sock).startswith(b"250")


def _idle(server: Process, sessions: int) -> float:
    """Return what one more session takes."""
    peers = [_greeted(server.port) for _ in range(_FIRST)]
    before = server.resident()
    peers += [_greeted(server.port) for _ in range(sessions - _FIRST)]
    each = (server.resident() - before) / (sessions - _FIRST)
    for peer in peers:
        peer.close()
    return each


def _greeted(port: int) -> socket.socket:
    """Connect, and say EHLO."""
    sock = socket.create_connection((HOST, port), timeout=60)
    _hear(sock)
    sock.sendall(b"EHLO idle.example\r\n")
    _hear(sock)
    return sock


def _hear(sock: socket.socket) -> bytes:
    """Return a whole reply, which ends with a line whose fourth octet is a space."""
    heard = b""
    while not heard.endswith(b"\r\n") or heard.splitlines()[-1][3:4] != b" ":
        data = sock.recv(READ)
        if not data:
            raise OSError("the server has gone")
        heard += data
    return heard
