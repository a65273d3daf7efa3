"""Over loopback sockets; seconds are of the clock, unless a group says CPU."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from . import _mail_clients, _pop3_fetchers
from ._measure import Effort, Outcome
from ._processes import HOST, Process, plain_server
from ._programs import Missing, dovecot, find, smtp_sink

_SERVERS = "server behind smtp-source"
_CLIENTS = "client into smtp-sink"
_MB = 1_000_000


def measure(effort: Effort, outcome: Outcome) -> None:
    """Compare servers behind smtp-source, clients into smtp-sink, and Dovecot's."""
    for part in (servers, clients, fetchers):
        try:
            part(effort, outcome)
        except Missing as error:
            outcome.missing.append(str(error))


def _aiosmtpd_server() -> Process:
    return Process("-m", "bench._aiosmtpd_server")


@contextmanager
def _listening(outcome: Outcome) -> Iterator[dict[str, int]]:
    """Start all servers, and give their ports."""
    with ExitStack() as stack:
        ports = {"smtp-sink": stack.enter_context(smtp_sink())[0]}
        for adapter in ("asyncio", "trio", "blocking"):
            server = stack.enter_context(plain_server("sink", adapter, "100"))
            ports[f"our {adapter}"] = server.port
        try:
            ports["aiosmtpd"] = stack.enter_context(_aiosmtpd_server()).port
        except OSError as error:
            outcome.missing.append(f"aiosmtpd: {error}")
        yield ports


def servers(effort: Effort, outcome: Outcome) -> None:
    """Let smtp-source send the same to each server."""
    source = find("smtp-source")
    works = {  # one connection for all, sessions, messages, octets of a message
        "1 KB, one session": (True, 1, 1_000, 1_024),
        "1 KB, connection per message, 10 at once": (False, 10, 300, 1_024),
        "10 MB": (True, 1, 3, 10 * _MB),
    }
    with _listening(outcome) as ports:
        for port in ports.values():  # what a server makes only once
            _send(source, port, sessions=10, messages=50, octets=1_024, keep=False)
        for name, (keep, sessions, messages, octets) in works.items():
            group = f"{_SERVERS}: {name}"
            if octets > _MB:
                outcome.octets[group] = octets
            count = max(sessions, int(messages * effort.scale))
            for _ in range(effort.rounds):
                for who, port in ports.items():
                    seconds = _send(source, port, sessions, count, octets, keep=keep)
                    outcome.note(group, who, seconds / count)


def _send(
    source: str, port: int, sessions: int, messages: int, octets: int, *, keep: bool
) -> float:
    """Let smtp-source send messages, and return the seconds that it took."""
    command = [source, *(["-d"] if keep else []), "-s", str(sessions)]
    command += ["-m", str(messages), "-l", str(octets), f"{HOST}:{port}"]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def clients(effort: Effort, outcome: Outcome) -> None:
    """Let each client send the same to smtp-sink."""
    source = find("smtp-source")
    works = {"1 KB, one session": (500, 1_024), "10 MB": (2, 10 * _MB)}
    with smtp_sink() as (port, _):
        them = _mail_clients.available(outcome)
        for name, (messages, octets) in works.items():
            group = f"{_CLIENTS}: {name}"
            used = f"{_CLIENTS}: {name.partition(',')[0]}, CPU"
            if octets > _MB:
                outcome.octets[group] = octets
            count = max(1, int(messages * effort.scale))
            for send in them.values():
                send(port, octets, 1)  # the first time has to import and to make it
            for _ in range(effort.rounds):
                seconds = _send(source, port, 1, count, octets, keep=True)
                outcome.note(group, "smtp-source", seconds / count)
                for who, send in them.items():
                    start, before = time.perf_counter(), time.process_time()
                    send(port, octets, count)
                    spent = time.process_time() - before
                    outcome.note(group, who, (time.perf_counter() - start) / count)
                    outcome.note(used, who, spent / count)


def fetchers(effort: Effort, outcome: Outcome) -> None:
    """Let each client fetch the same from Dovecot."""
    with dovecot(_pop3_fetchers.maildrops(effort.scale)) as port:
        _pop3_fetchers.measure(port, effort, outcome)
