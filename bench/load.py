"""Servers under load and faults: `python -m bench.load [SECTION...]`.

Each section prints what it found; the exit code is 0 if nothing was lost, torn, doubled
or kept out.  Clients run in this process, servers in others.
"""

import argparse
import asyncio
import itertools
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ._ledger import Fate, Ledger
from ._processes import HOST, USERS, Process, maildir_server, plain_server
from ._senders import Load, cutting, send_all

ADAPTERS: Final = ("asyncio", "trio", "blocking")
_MB: Final = 1_000_000
# What wait4() tells of a process includes the one that has started it.
_CLIENT: Final = """
import pathlib, runpy
try:
    runpy.run_module("smtp_pop_adapters", run_name="__main__", alter_sys=True)
finally:
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    print(status.partition("VmHWM:")[2].split()[0])
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes:
        load: What the sessions send.
        kills: How often the server is killed.
        idle: Idle sessions of an asynchronous server.
        threads: Idle sessions of the blocking server.
        drips: Peers that send octet by octet.
        large: Octets of the message that has to leave memory flat.
    """

    load: Load
    kills: int
    idle: int
    threads: int
    drips: int
    large: int


FULL: Final = Scale(Load(200, (1_000,) * 9 + (_MB,)), 10, 5_000, 200, 1_000, 100 * _MB)
SHORT: Final = Scale(Load(20, (1_000,) * 4 + (200_000,)), 3, 200, 50, 60, 20 * _MB)
SCALES: Final = {"full": FULL, "short": SHORT}


class Failed(Exception):
    """A section has found what should not be."""


def _check(ledger: Ledger, root: Path) -> str:
    """Compare the Maildirs with what the clients were told."""
    complaints = [
        f"{name}: {each}" for name in USERS for each in ledger.complaints(root / name)
    ]
    if complaints:
        raise Failed("\n".join(complaints[:20]))
    return f"{ledger}; every file in new/ whole, none twice"


def many(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """Many sessions at once, each with small messages and a large one."""
    ledger = Ledger()
    with maildir_server(adapter, root) as server:
        start = time.perf_counter()
        asyncio.run(send_all(scale.load, server.port, ledger))
        seconds = time.perf_counter() - start
        _expect_exit(server.end())
    if ledger.count(Fate.ACKNOWLEDGED) != scale.load.sessions * len(scale.load.sizes):
        raise Failed(f"not all were taken: {ledger}")
    yield f"{scale.load.sessions} sessions, {seconds:.1f} s: {_check(ledger, root)}"


def cuts(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """The same while the connections are cut at random octets."""
    ledger = Ledger()

    async def run(port: int) -> None:
        most = 2 * max(scale.load.sizes)
        async with cutting(port, seed=1, most=most) as relay:
            await send_all(scale.load, relay, ledger)

    with maildir_server(adapter, root) as server:
        asyncio.run(run(server.port))
        _expect_exit(server.end())
    yield _check(ledger, root)


def kills(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """The same while the server is killed and started again."""
    ledger = Ledger()
    sent = scale.load.sessions * len(scale.load.sizes)

    async def run(server: Process) -> Process:
        sending = asyncio.create_task(send_all(scale.load, server.port, ledger))
        for nth in range(scale.kills):
            await _until(ledger, sent * (nth + 1) // (scale.kills + 2), sending)
            server.kill()
            server = maildir_server(adapter, root, port=server.port)
        await sending
        return server

    server = asyncio.run(run(maildir_server(adapter, root)))
    with server:
        _expect_exit(server.end())
    yield f"killed {scale.kills} times: {_check(ledger, root)}"


def stop(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """SIGTERM in the middle of it."""
    ledger = Ledger()
    sent = scale.load.sessions * len(scale.load.sizes)

    async def run(server: Process) -> None:
        asked = asyncio.Event()
        sending = asyncio.create_task(
            send_all(scale.load, server.port, ledger, lambda: not asked.is_set())
        )
        await _until(ledger, sent // 3, sending)
        asked.set()
        server.ask_to_end()
        await sending

    with maildir_server(adapter, root) as server:
        asyncio.run(run(server))
        _expect_exit(server.wait())
    yield f"ended with 0: {_check(ledger, root)}"


def full_disk(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """A store that finds no space again and again."""
    ledger = Ledger()
    with plain_server("full-disk", adapter, str(root)) as server:
        asyncio.run(send_all(scale.load, server.port, ledger))
        _expect_exit(server.end())
    if not (ledger.count(Fate.REFUSED) and ledger.count(Fate.ACKNOWLEDGED)):
        raise Failed(f"the disk was never full, or always: {ledger}")
    yield _check(ledger, root)


def idle(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """Idle sessions after EHLO, and the memory of each."""
    count = scale.threads if adapter == "blocking" else scale.idle
    _allow_descriptors(count + 200)
    with plain_server("idle", adapter, str(count + 10)) as server:
        peers = [_greeted(server.port) for _ in range(20)]  # what is made only once
        before = server.resident()
        peers += [_greeted(server.port) for _ in range(count - 20)]
        each = (server.resident() - before) / (count - 20)
        for peer in peers:
            peer.close()
        _expect_exit(server.end())
    yield f"{count} idle sessions: {each / 1000:.1f} kB each"


def drips(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """Peers that drip octet by octet, and one that wants to send meanwhile."""
    _allow_descriptors(scale.drips + 200)
    ledger = Ledger()

    async def drip(port: int) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
                while not writer.is_closing():
                    writer.write(b"N")
                    await writer.drain()
                    await asyncio.sleep(1)
            except OSError:
                await asyncio.sleep(1)

    async def run(port: int) -> float:
        peers = [asyncio.create_task(drip(port)) for _ in range(scale.drips)]
        await asyncio.sleep(3)  # until they are at the door
        start = time.perf_counter()
        await send_all(Load(1, (1_000,) * 3), port, ledger)
        seconds = time.perf_counter() - start
        for each in peers:
            each.cancel()
        await asyncio.gather(*peers, return_exceptions=True)
        return seconds

    room = str(scale.drips // 2)
    with maildir_server(adapter, root, "--sessions", room) as server:
        seconds = asyncio.run(run(server.port))
        _expect_exit(server.end())
    if ledger.count(Fate.ACKNOWLEDGED) != 3:
        raise Failed(f"kept out: {ledger}")
    yield (
        f"{scale.drips} dripping peers at {room} places; a good one sent 3 messages"
        f" in {seconds:.1f} s: "
        f"{_check(ledger, root)}"
    )


def large(adapter: str, scale: Scale, root: Path) -> Iterator[str]:
    """One large message, and the memory that server and client take for it."""
    with (
        tempfile.NamedTemporaryFile() as file,
        maildir_server(adapter, root, "--max-size", str(2 * scale.large)) as server,
    ):
        peaks = []
        for octets in (1_000, scale.large):
            file.seek(0)
            file.write(b"Subject: large\n\n")
            file.writelines(itertools.repeat(b"x" * 76 + b"\n", octets // 77))
            file.flush()
            server.forget_peak()
            before = server.resident()
            client = _send_file(adapter, server.port, file.name)
            peaks.append((server.resident("VmHWM") - before, client))
        _expect_exit(server.end())
    taken = peaks[1][0] / _MB
    more = (peaks[1][1] - peaks[0][1]) / _MB
    if max(taken, more) > 10:
        raise Failed(f"memory is not flat: {taken:.1f} MB and {more:.1f} MB")
    yield (
        f"{scale.large / _MB:.0f} MB: the server took {taken:.1f} MB more, the client "
        f"{more:.1f} MB more than for 1 KB"
    )


SECTIONS: Final = {
    each.__name__.replace("_", "-"): each
    for each in (many, cuts, kills, stop, full_disk, idle, drips, large)
}


def _expect_exit(code: int) -> None:
    if code != 0:
        raise Failed(f"the server ended with {code}")


async def _until(ledger: Ledger, count: int, sending: Awaitable[None]) -> None:
    """Wait until so many messages have been acknowledged."""
    while ledger.count(Fate.ACKNOWLEDGED) < count:
        if isinstance(sending, asyncio.Task) and sending.done():
            return
        await asyncio.sleep(0.01)


def _greeted(port: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), 30)
    replies = sock.makefile("rb")
    replies.readline()
    sock.sendall(b"EHLO idle.example\r\n")
    while not replies.readline().startswith(b"250 "):
        pass
    return sock


def _send_file(adapter: str, port: int, name: str) -> int:
    """Send a file as a message, and return the most octets that took in memory."""
    where = ("--host", HOST, "--port", str(port), "--adapter", adapter)
    to = ("--from", "load@load.example", "--to", "alice@load.example")
    program = [sys.executable, "-c", _CLIENT, "send"]
    client = subprocess.run(
        [*program, *where, *to, name], stdout=subprocess.PIPE, text=True, check=False
    )
    if client.returncode:
        raise Failed(f"the client ended with {client.returncode}: {client.stdout!r}")
    return int(client.stdout.split()[-1]) * 1024


def _allow_descriptors(count: int) -> None:
    """Let this process and those it starts have so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def run(
    sections: Sequence[str],
    adapters: Sequence[str],
    scale: Scale,
    show: Callable[[str], None] = print,
) -> bool:
    """Run sections for adapters; return whether all went well."""
    well = True
    for section in sections:
        for adapter in adapters:
            with tempfile.TemporaryDirectory(prefix="load-") as folder:
                try:
                    for line in SECTIONS[section](adapter, scale, Path(folder)):
                        show(f"{section:10}{adapter:10}{line}")
                except Failed as failed:
                    well = False
                    show(f"{section:10}{adapter:10}FAILED: {failed}")
    return well


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    parser.add_argument("--adapter", action="append", choices=ADAPTERS)
    parser.add_argument("--scale", choices=SCALES, default="full")
    given = parser.parse_args()
    scale = SCALES[given.scale]
    well = run(given.sections or list(SECTIONS), given.adapter or ADAPTERS, scale)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
