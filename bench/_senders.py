"""Clients of a load: many sessions at once, and a relay that cuts them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from smtp_pop_adapters.asyncio import SmtpClient, connect_smtp
from smtp_pop_core import Error, Limits, Timeouts, smtp

from ._ledger import Fate, Ledger, content
from ._processes import HOST, USERS

_RECIPIENTS: Final = [f"{name}@load.example" for name in USERS]
_AGAIN: Final = 0.05  # seconds before a server that is not there is tried again
_LIMITS: Final = Limits(timeouts=Timeouts(greeting=60, end=60, block=60, other=60))
_CHUNK: Final = 65_536
_FATES: Final = {
    smtp.Outcome.ACCEPTED: Fate.ACKNOWLEDGED,
    smtp.Outcome.REFUSED: Fate.REFUSED,
    smtp.Outcome.IN_DOUBT: Fate.IN_DOUBT,
}


@dataclass(frozen=True, slots=True)
class Load:
    """Sessions that send at the same time.

    Attributes:
        sessions: How many.
        sizes: Octets of the messages of each.
    """

    sessions: int
    sizes: Sequence[int]


async def send_all(
    load: Load,
    port: int,
    ledger: Ledger,
    going_on: Callable[[], bool] = lambda: True,
) -> None:
    """Send all messages of a load.

    Args:
        load: What to send.
        port: Where the server is, or will be again.
        ledger: Where it is noted.
        going_on: Whether to try once more where nobody listens, or who listens does not
            go on; else the session ends.
    """
    async with asyncio.TaskGroup() as group:
        for _ in range(load.sessions):
            group.create_task(_session(list(load.sizes), port, ledger, going_on))


async def _session(
    sizes: list[int], port: int, ledger: Ledger, going_on: Callable[[], bool]
) -> None:
    while sizes:
        try:
            async with connect_smtp(HOST, port, limits=_LIMITS) as client:
                while sizes:
                    await _send(client, sizes.pop(), ledger)
        except (Error, OSError):
            if not going_on():
                return
            await asyncio.sleep(_AGAIN)


async def _send(client: SmtpClient, octets: int, ledger: Ledger) -> None:
    number = ledger.begin()
    result = await client.send_mail(
        "load@load.example", _RECIPIENTS, content(number, octets)
    )
    ledger.note(number, _FATES[result.outcome])


@contextlib.asynccontextmanager
async def cutting(port: int, seed: int, most: int) -> AsyncIterator[int]:
    """Stand in front of a server, and cut connections after random numbers of octets.

    Args:
        port: Where the server is.
        seed: What the cuts are drawn from.
        most: Octets that a connection may have in one direction.

    Yields:
        Where the relay listens.
    """
    random = Random(seed)

    async def copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int
    ) -> None:
        while left and (data := await reader.read(min(left, _CHUNK))):
            writer.write(data)
            await writer.drain()
            left -= len(data)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # half of the cuts are near the beginning, where the commands are
        limits = [random.randrange(1, random.choice((500, most))) for _ in range(2)]
        back: asyncio.StreamWriter | None = None
        try:
            front, back = await asyncio.open_connection(HOST, port)
            copies = [
                asyncio.create_task(copy(reader, back, limits[0])),
                asyncio.create_task(copy(front, writer, limits[1])),
            ]
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for each in copies:
                each.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # the load is over
            pass
        finally:
            writer.transport.abort()
            if back is not None:
                back.transport.abort()

    server = await asyncio.start_server(relay, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
