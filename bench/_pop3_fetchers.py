"""Clients of POP3 that fetch from a server, with login and goodbye."""

import os
import poplib
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from smtp_pop_core import Blocks, sasl

from ._contents import encoded, text
from ._measure import Effort, Outcome
from ._processes import HOST
from ._programs import PASSWORD, Missing, find

_MANY: Final = "many"
_LARGE: Final = "large"
_MESSAGES: Final = 500
_OCTETS: Final = 25_000_000


def maildrops(scale: float) -> dict[str, Sequence[bytes]]:
    """Return what the users have: many small messages, one large one."""
    return {
        _MANY: [text(1_024).replace(b"\r\n", b"\n")] * int(_MESSAGES * scale),
        _LARGE: [encoded(int(_OCTETS * scale)).replace(b"\r\n", b"\n")],
    }


def _ours(port: int, user: str) -> Any:
    from smtp_pop_adapters.blocking import connect_pop3

    auth = sasl.Password(user, PASSWORD)
    return connect_pop3(HOST, port, tls="none", auth=auth, allow_insecure_auth=True)


def _pipelined(port: int, user: str, count: int) -> None:
    sizes: list[int] = []

    def take(_: int, content: Blocks) -> None:
        sizes.append(sum(map(len, content)))

    with _ours(port, user) as client:
        client.retrieve_many(range(1, count + 1), take)
    assert len(sizes) == count


def _lock_step(port: int, user: str, count: int) -> None:
    with _ours(port, user) as client:
        for number in range(1, count + 1):
            assert client.fetch(number)


def _streamed(port: int, user: str, count: int) -> None:
    with _ours(port, user) as client, client.retrieve(1) as content:
        assert sum(map(len, content))


def _poplib(port: int, user: str, count: int) -> None:
    client = poplib.POP3(HOST, port)
    client.user(user)
    client.pass_(PASSWORD)
    for number in range(1, count + 1):
        assert client.retr(number)[1]
    client.quit()


def _curl(port: int, user: str, count: int) -> None:
    url = f"pop3://{user}:{PASSWORD}@{HOST}:{port}/1"
    subprocess.run([find("curl"), "-s", "-o", os.devnull, url], check=True)


def measure(port: int, effort: Effort, outcome: Outcome) -> None:
    """Let them fetch in turn."""
    count = int(_MESSAGES * effort.scale)
    small = {"our pipelined": _pipelined, "our lock-step": _lock_step}
    _compare("1 KB", port, _MANY, count, {**small, "poplib": _poplib}, effort, outcome)
    large = {"our blocking": _streamed, "poplib": _poplib}
    try:
        find("curl")
        large["curl"] = _curl
    except Missing as error:
        outcome.missing.append(str(error))
    outcome.octets["POP3 from Dovecot: 25 MB"] = int(_OCTETS * effort.scale)
    _compare("25 MB", port, _LARGE, 1, large, effort, outcome)


def _compare(
    name: str,
    port: int,
    user: str,
    count: int,
    them: Mapping[str, Callable[[int, str, int], None]],
    effort: Effort,
    outcome: Outcome,
) -> None:
    group = f"POP3 from Dovecot: {name}"
    for fetch in them.values():
        fetch(port, user, count)  # what the server makes only once
    for _ in range(effort.rounds):
        for who, fetch in them.items():
            start, before = time.perf_counter(), _spent()
            fetch(port, user, count)
            outcome.note(f"{group}, CPU", who, (_spent() - before) / count)
            outcome.note(group, who, (time.perf_counter() - start) / count)


def _spent() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(kind) for kind in kinds]
    return sum(each.ru_utime + each.ru_stime for each in usages)
