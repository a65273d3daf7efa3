"""What `serve` listens on: kinds of listeners, and the sockets of each process."""

import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeAlias

import click

from .._sockets import File, listen, listen_again
from ._values import endpoint, reason


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of listener: its name is how its option is called."""

    name: str
    what: str
    pop3: bool = False
    implicit_tls: bool = False
    lmtp: bool = False


KINDS: Final = (
    Kind("smtp", "SMTP"),
    Kind("smtps", "SMTP inside TLS", implicit_tls=True),
    Kind("lmtp", "LMTP", lmtp=True),
    Kind("pop3", "POP3", pop3=True),
    Kind("pop3s", "POP3 inside TLS", pop3=True, implicit_tls=True),
)

Wanted: TypeAlias = Sequence[tuple[Kind, tuple[str, int]]]
Share: TypeAlias = Sequence[tuple[Kind, Sequence[socket.socket]]]
"""The listeners of one process."""


def open_shares(wanted: Wanted, count: int, stack: ExitStack) -> list[Share]:
    """Listen, once for each process on the same ports.

    Processes have the queues of their ports for themselves; that of a Unix socket they
    share.

    Args:
        wanted: Where to listen.
        count: The number of processes.
        stack: What closes the sockets in the end, and removes those that are files.

    Raises:
        ClickException: An address cannot be had.
    """
    first: Share = [(kind, _open(end, stack, shared=count > 1)) for kind, end in wanted]
    return [first, *(_again(first, stack) for _ in range(1, count))]


def _open(
    end: tuple[str, int], stack: ExitStack, *, shared: bool
) -> list[socket.socket]:
    host, port = end
    try:
        listeners = listen(host, port, reuse_port=shared)
    except OSError as error:
        where = endpoint(host, port)
        raise click.ClickException(f"{where}: {reason(error)}") from error
    for each in listeners:
        stack.enter_context(each)
        if _is_file(each):
            stack.callback(File(host).remove)
    return listeners


def _again(share: Share, stack: ExitStack) -> Share:
    return [
        (
            kind,
            [
                each if _is_file(each) else stack.enter_context(listen_again(each))
                for each in listeners
            ],
        )
        for kind, listeners in share
    ]


def _is_file(listener: socket.socket) -> bool:
    return listener.family == getattr(socket, "AF_UNIX", None)


def close_others(shares: Iterable[Share], ours: Share = ()) -> None:
    """Close all listeners but those of one process."""
    kept = [each for _, listeners in ours for each in listeners]
    for share in shares:
        for _, listeners in share:
            for each in listeners:
                if each not in kept:
                    each.close()
