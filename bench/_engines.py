"""Engines in memory, without sockets; seconds are of the CPU."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from . import (
    _content_coders,
    _pop3_clients,
    _pop3_servers,
    _smtp_clients,
    _smtp_servers,
)
from ._measure import Effort, Group, Outcome, compare

_MB: Final = 1_000_000

PARTS: Final[Mapping[str, Callable[[int, Outcome], Sequence[Group]]]] = {
    "SMTP servers": _smtp_servers.groups,
    "SMTP clients": _smtp_clients.groups,
    "content": _content_coders.groups,
    "POP3 servers": _pop3_servers.groups,
    "POP3 clients": _pop3_clients.groups,
}
"""What is compared: given the octets of a large message, and where to note who is
missing."""


def measure(effort: Effort, outcome: Outcome) -> None:
    """Compare servers, clients and what is done to content."""
    for part in PARTS.values():
        for group in part(int(_MB * effort.scale), outcome):
            compare(group, effort, outcome)
