"""Clients of SMTP on sockets: each sends so many messages in one session."""

import asyncio
import smtplib
from collections.abc import Callable, Mapping
from email import message_from_bytes
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

from smtp_pop_core import smtp

from ._contents import encoded, text
from ._measure import Outcome
from ._processes import HOST

SENDER: Final = "alice@a.example"
RECIPIENT: Final = "bob@b.example"

Send: TypeAlias = Callable[[int, int, int], None]
"""Given the port, the octets of a message, and how many."""


def _content(octets: int) -> bytes:
    return text(octets) if octets < 100_000 else encoded(octets)


def _blocking(port: int, octets: int, count: int) -> None:
    from smtp_pop_adapters.blocking import connect_smtp

    content = _content(octets)
    with connect_smtp(HOST, port, domain="client.example") as client:
        for _ in range(count):
            result = client.send_mail(SENDER, RECIPIENT, content)
            assert result.outcome is smtp.Outcome.ACCEPTED


async def _asynchronous(connect: Any, port: int, octets: int, count: int) -> None:
    content = _content(octets)
    async with connect(HOST, port, domain="client.example") as client:
        for _ in range(count):
            result = await client.send_mail(SENDER, RECIPIENT, content)
            assert result.outcome is smtp.Outcome.ACCEPTED


def _asyncio(port: int, octets: int, count: int) -> None:
    from smtp_pop_adapters.asyncio import connect_smtp

    asyncio.run(_asynchronous(connect_smtp, port, octets, count))


def _trio(port: int, octets: int, count: int) -> None:
    import trio

    from smtp_pop_adapters.trio import connect_smtp

    trio.run(_asynchronous, connect_smtp, port, octets, count)


def _smtplib(port: int, octets: int, count: int) -> None:
    content = _content(octets)
    with smtplib.SMTP(HOST, port, local_hostname="client.example") as client:
        for _ in range(count):
            assert client.sendmail(SENDER, [RECIPIENT], content) == {}


def _aiosmtplib(port: int, octets: int, count: int) -> None:
    import aiosmtplib

    async def run() -> None:
        content = _content(octets)
        client = aiosmtplib.SMTP(
            hostname=HOST, port=port, local_hostname="client.example", start_tls=False
        )
        async with client:
            for _ in range(count):
                refused, _ = await client.sendmail(SENDER, [RECIPIENT], content)
                assert refused == {}

    asyncio.run(run())


def _smtpproto(port: int, octets: int, count: int) -> None:
    from smtpproto.client import AsyncSMTPClient

    async def run() -> None:
        message: Any = message_from_bytes(_content(octets))
        client = AsyncSMTPClient(HOST, port, domain="client.example")
        async with client.connect() as session:
            for _ in range(count):
                reply = await session.send_message(
                    message, sender=SENDER, recipients=[RECIPIENT]
                )
                assert reply.code == 250

    asyncio.run(run())


_PEERS: Final[Mapping[str, Send]] = {
    "smtplib": _smtplib,
    "aiosmtplib": _aiosmtplib,
    "smtpproto": _smtpproto,
}
_OURS: Final[Mapping[str, Send]] = {
    "our blocking": _blocking,
    "our asyncio": _asyncio,
    "our trio": _trio,
}


def available(outcome: Outcome) -> dict[str, Send]:
    """Return our clients and those whose package is installed; note the others."""
    them = dict(_OURS)
    for name, send in _PEERS.items():
        if find_spec(name) is None:
            outcome.missing.append(f"{name} is not installed")
        else:
            them[name] = send
    return them
