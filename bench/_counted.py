"""The core paths whose instructions are counted.

Between two marks stands one piece of work.  A mark is a call of a C function that
nothing else calls, where the counter writes down what it has and begins anew.
"""

import gc
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from . import _pop3_clients, _pop3_servers, _smtp_clients, _smtp_servers
from ._contents import encoded, text

MARK: Final = "sched_yield"
REFERENCE: Final = "reference"

_LARGE: Final = 100_000  # octets; under the counter every one takes long
_Run: TypeAlias = Callable[[int], None]
_WORD: Final = re.compile(rb"[a-z]+")


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    words: tuple[str, ...]


def _reference(count: int) -> None:
    """Do what all programs do: it tells one build of Python from another."""
    for _ in range(count):
        by_word: dict[str, int] = {}
        for number in range(20):
            found = _WORD.findall(b"some words of line %d" % number)
            line = _Line(number, tuple(word.decode("ascii") for word in found))
            for word in line.words:
                by_word[word] = by_word.get(word, 0) + len(word)
        assert by_word["words"] == 100


def works() -> Mapping[str, tuple[_Run, int]]:
    """Return what does each so often, and how often it is done."""
    short, prose, base64 = text(1_024), text(_LARGE), encoded(_LARGE)
    server, client = _smtp_servers.Ours(), _smtp_clients.Ours()
    commands, once = _smtp_servers.session, _smtp_servers.transaction
    store, fetcher = _pop3_servers.Ours(), _pop3_clients.Ours()
    many = _pop3_servers.MANY
    return {
        REFERENCE: (_reference, 20),
        "SMTP server: session": (partial(server.sessions, commands(short)), 20),
        "SMTP server: 1 KB": (partial(server.transactions, once(short)), 20),
        "SMTP server: 100 KB base64": (partial(server.transactions, once(base64)), 3),
        "SMTP server: 100 KB text": (partial(server.transactions, once(prose)), 3),
        "SMTP client: session": (partial(client.sessions, short), 20),
        "SMTP client: 1 KB": (partial(client.transactions, short), 20),
        "SMTP client: 100 KB base64": (partial(client.transactions, base64), 3),
        "SMTP client: 100 KB text": (partial(client.transactions, prose), 3),
        "POP3 server: STAT": (partial(store.commands, short, many, b"STAT\r\n"), 20),
        "POP3 server: LIST": (partial(store.commands, short, many, b"LIST\r\n"), 3),
        "POP3 server: UIDL": (partial(store.commands, short, many, b"UIDL\r\n"), 3),
        "POP3 server: 1 KB": (partial(store.commands, short, 5, b"RETR 5\r\n"), 20),
        "POP3 client: STAT": (partial(fetcher.stat, *_pop3_clients.STAT), 20),
        "POP3 client: LIST": (partial(fetcher.sizes, *_pop3_clients.LIST), 3),
        "POP3 client: UIDL": (partial(fetcher.uidl, *_pop3_clients.UIDL), 3),
        "POP3 client: 1 KB": (partial(fetcher.retr, *_pop3_clients.retr(short)), 20),
    }


def run() -> None:
    """Do each work to be warm, then so often, then twice as often."""
    for work, count in works().values():
        work(2)
        gc.collect()
        gc.disable()
        for times in (count, 2 * count):
            os.sched_yield()
            work(times)
        os.sched_yield()
        gc.enable()
