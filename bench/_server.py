"""Servers for a load that `smtp-pop serve` is not made for, as a process.

python _server.py idle ADAPTER SESSIONS       stores nothing
python _server.py sink ADAPTER SESSIONS       takes every message and drops it
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
from smtp_pop_core import AsyncBlocks, Blocks, Limits, smtp


class Sink(smtp.Application):
    """Takes every message and drops it."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply:
        for _ in content:
            pass
        return smtp.Reply(250, ("Taken",))


class AsyncSink(smtp.AsyncApplication):
    """The same in async code."""

    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> smtp.Reply:
        async for _ in content:
            pass
        return smtp.Reply(250, ("Taken",))


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
    elif kind == "sink":
        sink = Sink if name == "blocking" else AsyncSink
        limits = Limits(content=None)
        adapter.run(
            partial(serve, adapter, sink, sessions=int(argument), limits=limits)
        )
    else:
        fill_disk()
        adapter.run(partial(serve, adapter, MaildirUsers(argument, ("alice", "bob"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
