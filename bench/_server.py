"""Servers for a load that `smtp-pop serve` is not made for, as a process.

python _server.py idle ADAPTER SESSIONS       stores nothing
python _server.py full-disk ADAPTER MAILDIRS  every 25th fsync finds no space
"""

import errno
import logging
import os
import sys
from functools import partial
from itertools import count
from typing import Any

from smtp_pop_adapters import maildir
from smtp_pop_adapters._cli._adapters import Adapter, adapter_of
from smtp_pop_adapters.maildir_application import MaildirUsers
from smtp_pop_core import smtp


async def serve(adapter: Adapter, application: Any, **options: Any) -> None:
    async with (
        adapter.signals() as wait_for_signal,
        adapter.serve("smtp", application, "127.0.0.1", **options) as server,
    ):
        print(f"listening smtp 127.0.0.1:{server.addresses[0][1]}", flush=True)
        await wait_for_signal()


def fill_disk() -> None:
    """Let every 25th fsync of the Maildir store fail."""
    fsync, calls = os.fsync, count(1)

    def full(descriptor: int) -> None:
        if next(calls) % 25 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    logging.disable()  # each of them would be told
    maildir.os.fsync = full  # type: ignore[attr-defined]


def main(kind: str, name: str, argument: str) -> None:
    adapter = adapter_of(name)
    if kind == "idle":
        options = {"sessions": int(argument)}
        adapter.run(partial(serve, adapter, smtp.Application, **options))
    else:
        fill_disk()
        adapter.run(partial(serve, adapter, MaildirUsers(argument, ("alice", "bob"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
