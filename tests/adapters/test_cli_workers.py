"""Processes that share the work of `serve`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

import pytest

# Each process says its number and its share, and works until SIGTERM.
PROGRAM: Final = """
import os, resource, signal, sys
from smtp_pop_adapters._cli import _workers
from smtp_pop_adapters._cli._workers import Workers

_workers._PAUSE = float(os.environ.get("PAUSE", "1"))

def work(share):
    os.write(1, f"{os.getpid()} {share}\\n".encode())
    if share == "held back":
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if share != "lame":
        signal.sigwait({signal.SIGTERM})
    if share == "bad":
        raise ValueError("as it was to be")

before = resource.getrlimit(resource.RLIMIT_NPROC)
most = int(os.environ.get("PROCESSES", before[0]))
os.setuid(int(os.environ.get("USER_ID", os.getuid())))
def lift(*_):
    resource.setrlimit(resource.RLIMIT_NPROC, before)

signal.signal(signal.SIGUSR1, lift)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
workers = Workers(sys.argv[1:], work)
resource.setrlimit(resource.RLIMIT_NPROC, (most, before[1]))
workers.wait_for_signal()
sys.exit(0 if workers.stop() else 7)
"""


class Running:
    """The program, and the processes that it has started."""

    def __init__(self, *shares: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *shares],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pids = dict(self.next() for _ in shares)

    def next(self) -> tuple[str, int]:
        """The next process that has begun: its share and number."""
        pid, share = line_of(self.process.stdout).split(maxsplit=1)
        return share.strip(), int(pid)

    def wait(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@contextmanager
def running(*shares: str) -> Iterator[Running]:
    it = Running(*shares)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.communicate(timeout=30)  # the others end by that, too


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_with_the_one_above_them(number: int) -> None:
    with running("a", "b", "c") as it:
        assert set(it.pids) == {"a", "b", "c"}
        it.process.send_signal(number)
        assert it.wait() == (0, "")


def test_signals_are_held_back_until_the_work_can_end_by_them() -> None:
    with running("held back") as it:
        it.process.send_signal(signal.SIGTERM)
        assert it.wait() == (0, "")


def test_one_that_ends_is_started_again_with_its_share() -> None:
    with running("a", "b") as it:
        os.kill(it.pids["b"], signal.SIGKILL)
        share, pid = it.next()
        assert (share, pid not in it.pids.values()) == ("b", True)
        it.process.send_signal(signal.SIGTERM)
        code, err = it.wait()
        assert (code, err) == (0, f"worker {it.pids['b']} has ended with -9\n")


def test_all_of_many_may_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAUSE", "0.01")
    shares = [f"share-{number}" for number in range(10)]
    with running(*shares) as it:
        for pid in it.pids.values():
            os.kill(pid, signal.SIGKILL)
        assert {it.next()[0] for _ in shares} == set(shares)
        it.process.send_signal(signal.SIGTERM)
        code, err = it.wait()
        assert (code, err.count(" has ended with -9\n")) == (0, 10)


def test_the_others_go_on_while_no_process_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAUSE", "0.01")
    monkeypatch.setenv("PROCESSES", "0")
    monkeypatch.setenv("USER_ID", str(os.getuid() or 65_534))  # root has no bound
    with running("a", "b") as it:
        os.kill(it.pids["b"], signal.SIGKILL)
        assert line_of(it.process.stderr).endswith("has ended with -9\n")
        missing = line_of(it.process.stderr)
        assert missing.startswith("there is no process for a worker: ")
        it.process.send_signal(signal.SIGUSR1)
        share, _ = it.next()
        assert share == "b"
        it.process.send_signal(signal.SIGTERM)
        code, _ = it.wait()
        assert code == 0


def test_it_is_not_started_again_at_the_end() -> None:
    with running("a", "b") as it:
        os.kill(it.pids["b"], signal.SIGKILL)
        assert line_of(it.process.stderr).startswith("worker ")
        it.process.send_signal(signal.SIGTERM)
        assert it.wait() == (0, "")


def test_what_goes_wrong_in_one_is_said_in_the_end() -> None:
    with running("a", "bad") as it:
        it.process.send_signal(signal.SIGTERM)
        code, err = it.wait()
        assert code == 7
        assert err.endswith("ValueError: as it was to be\n")


def test_they_end_when_the_one_above_them_was_killed() -> None:
    with running("a", "b") as it:
        it.process.kill()
        assert it.wait() == (-signal.SIGKILL, "")  # what they hold is closed


def test_a_second_signal_does_not_wait() -> None:
    with running("deaf", "b") as it:
        os.kill(it.pids["deaf"], signal.SIGSTOP)
        it.process.send_signal(signal.SIGTERM)
        it.process.send_signal(signal.SIGINT)
        os.kill(it.pids["deaf"], signal.SIGCONT)
        code, _ = it.wait()
        assert code != 7


def test_it_gives_up_when_they_end_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAUSE", "0")
    with running("lame", "b") as it:
        code, err = it.wait()
    assert code == 1
    assert err.count(" has ended with 0\n") == 10
    assert "workers end again and again" in err
