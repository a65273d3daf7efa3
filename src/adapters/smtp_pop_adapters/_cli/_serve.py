"""`smtp-pop serve`: take mail, store it in Maildirs, and let users fetch it."""

import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from smtp_pop_core import Limits, Logins, sasl

from .._sockets import end_of
from .._tls import first_certificate
from ..maildir_application import MaildirReaders, MaildirUsers
from ._adapters import ADAPTERS, Adapter, Listening, adapter_of
from ._listeners import KINDS, Kind, Share, close_others, open_shares
from ._signals import let_come
from ._users import make_logins, make_users, read_users
from ._values import Endpoint, NetworkList, endpoint, reason
from ._workers import Workers

F = TypeVar("F", bound=Callable[..., Any])


def _listener_options(command: F) -> F:
    for kind in reversed(KINDS):
        command = click.option(
            f"--{kind.name}",
            multiple=True,
            type=Endpoint(),
            metavar="HOST:PORT",
            help=f"Listen for {kind.what}.",
        )(command)
    return command


@dataclass(frozen=True, slots=True)
class _Service:
    """What all listeners share."""

    root: Path
    receiving: MaildirUsers
    users: sasl.Users
    logins: Logins
    context: ssl.SSLContext | None
    certificate: bytes | None
    apop: bool
    limits: Limits
    proxy_protocol: tuple[str, ...] | None
    xclient: tuple[str, ...] | None
    bounds: Mapping[str, int]

    def serve(
        self, adapter: Adapter, kind: Kind, listeners: Iterable[socket.socket]
    ) -> AbstractAsyncContextManager[Listening]:
        """Make a server, which begins with its context."""
        shared: dict[str, Any] = {
            "sock": listeners,
            "tls": self.context,
            "implicit_tls": kind.implicit_tls,
            "certificate": self.certificate,
            "logins": None if kind.lmtp else self.logins,
            "limits": self.limits,
            "proxy_protocol": self.proxy_protocol,
            **self.bounds,
        }
        if kind.pop3:
            readers = MaildirReaders(self.root, self.users)
            return adapter.serve("pop3", readers, apop=self.apop, **shared)
        return adapter.serve(
            "smtp", self.receiving, xclient=self.xclient, lmtp=kind.lmtp, **shared
        )

    def lets_in(self, kind: Kind) -> bool:
        """Whether anybody could log in."""
        tls = self.context is not None
        if (
            kind.pop3
            and len(self.users)
            and (tls or self.logins.allow_insecure or self.apop)
        ):
            return True
        return bool(self.logins.offered(tls=tls, negotiated=None))


@click.command()
@click.option(
    "--maildir",
    "root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that holds a Maildir for each user.",
)
@_listener_options
@click.option(
    "--user",
    "given",
    multiple=True,
    metavar="NAME:PASSWORD",
    help="Take mail for NAME at any domain, into DIR/NAME.",
)
@click.option(
    "--users",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="More users: lines of NAME:STORED, as hash-password prints it.",
)
@click.option(
    "--catch-all", is_flag=True, help="Take mail for all others, into DIR/catch-all."
)
@click.option(
    "--cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Our certificate and those above it, in PEM: TLS is offered.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Its private key, in PEM; without it the key is in the file of --cert.",
)
@click.option(
    "--allow-insecure-auth",
    is_flag=True,
    help="Let clients show their passwords without TLS.",
)
@click.option("--apop", is_flag=True, help="Offer APOP, which needs --user.")
@click.option(
    "--max-size",
    type=click.IntRange(1, 10**18),
    default=Limits().content,
    show_default=True,
    metavar="OCTETS",
    help="The largest message to take.",
)
@click.option(
    "--proxy-protocol",
    type=NetworkList(),
    metavar="NETWORK[,NETWORK]",
    help="Networks of proxies, whose connections begin with a PROXY header; unix: "
    "those on Unix sockets.",
)
@click.option(
    "--xclient",
    type=NetworkList(),
    metavar="NETWORK[,NETWORK]",
    help="Networks of proxies and filters, which may use XCLIENT and XFORWARD of SMTP.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="How many sessions each process serves at once on each listener; others hear "
    "that it is busy.  [default: 1000; 200 with --adapter blocking]",
)
@click.option(
    "--sessions-per-address",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    metavar="N",
    help="How many of them may come from one address other than the host itself.",
)
@click.option(
    "--log-level",
    type=click.Choice(["error", "warning", "info"]),
    default="warning",
    show_default=True,
    help="What is logged on standard error; info: each login, message and session.",
)
@click.option(
    "--adapter",
    type=click.Choice(ADAPTERS),
    default="asyncio",
    show_default=True,
    help="What carries out the conversations.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes serve the same ports.",
)
def serve(
    *,
    root: Path,
    given: tuple[str, ...],
    file: Path | None,
    catch_all: bool,
    cert: Path | None,
    key: Path | None,
    allow_insecure_auth: bool,
    apop: bool,
    max_size: int,
    proxy_protocol: tuple[str, ...] | None,
    xclient: tuple[str, ...] | None,
    sessions: int | None,
    sessions_per_address: int,
    log_level: str,
    adapter: str,
    workers: int,
    **listeners: tuple[tuple[str, int], ...],
) -> None:
    """Take mail and store it in Maildirs, until SIGTERM or SIGINT.

    Prints "listening NAME HOST:PORT" when it is ready, a line for each listener.  Port
    0 takes any free port; the path of a Unix socket serves as well as HOST:PORT.
    Mail for postmaster is always taken, into DIR/postmaster.
    """
    wanted = [(kind, each) for kind in KINDS for each in listeners[kind.name]]
    if not wanted:
        options = ", ".join(f"--{kind.name}" for kind in KINDS)
        raise click.UsageError(f"Nothing to listen on: give one of {options}.")
    if cert is None and any(kind.implicit_tls for kind, _ in wanted):
        raise click.UsageError("--smtps and --pop3s need --cert.")
    if workers > 1 and not hasattr(os, "fork"):
        raise click.UsageError("--workers: this system has no fork.")
    if key is not None and cert is None:
        raise click.UsageError("--key needs --cert.")
    secrets = read_users(root, given, file)
    if apop and not all(isinstance(each, str) for each in secrets.values()):
        raise click.UsageError(
            "--apop needs passwords in clear: --user and no --users."
        )
    users, salt_key = make_users(secrets)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=log_level.upper()
    )
    try:
        receiving = MaildirUsers(root, secrets, catch_all=catch_all, logins=users)
    except ValueError as error:
        raise click.UsageError(f"--user: {reason(error)}.") from error
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{root}: {reason(error)}") from error
    context, certificate = _tls(cert, key)
    service = _Service(
        root=root,
        receiving=receiving,
        users=users,
        logins=make_logins(users, salt_key, allow_insecure=allow_insecure_auth),
        context=context,
        certificate=certificate,
        apop=apop,
        limits=Limits(content=max_size),
        proxy_protocol=proxy_protocol,
        xclient=xclient,
        bounds={
            "sessions_per_address": sessions_per_address,
            **({} if sessions is None else {"sessions": sessions}),
        },
    )
    _allow_descriptors()
    chosen = adapter_of(adapter)
    with ExitStack() as stack:
        shares = open_shares(wanted, workers, stack)

        def announce() -> None:
            for kind, listeners in shares[0]:
                login = service.lets_in(kind) or not (secrets or kind.pop3) or kind.lmtp
                _announce(kind.name, listeners, login=login)

        def work(share: Share, ready: Callable[[], object] = lambda: None) -> None:
            chosen.run(partial(_serve, chosen, service, share, ready))

        if workers == 1:
            work(shares[0], announce)
        else:
            _supervise(shares, work, announce)


async def _serve(
    adapter: Adapter, service: _Service, share: Share, ready: Callable[[], object]
) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with adapter.signals() as wait_for_signal, AsyncExitStack() as stack:
        let_come()
        servers = [
            await stack.enter_async_context(service.serve(adapter, kind, listeners))
            for kind, listeners in share
        ]
        ready()
        await wait_for_signal()
        for each in servers:  # all hear it before we wait for the first to end
            each.drain()


def _supervise(
    shares: Sequence[Share],
    work: Callable[[Share], None],
    ready: Callable[[], object],
) -> None:
    """Serve in a process for each share, until SIGTERM or SIGINT."""

    def carry_out(share: Share) -> None:
        close_others(shares, share)
        work(share)

    workers = Workers(shares, carry_out)
    ready()
    workers.wait_for_signal()
    close_others(shares)  # or who comes now would wait for us
    if not workers.stop():
        sys.exit(1)


def _allow_descriptors() -> None:
    """Take as many descriptors as the system gives us: each session needs one."""
    try:
        import resource
    except ModuleNotFoundError:  # as on Windows, which has no such bound
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says no bound, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tls(
    cert: Path | None, key: Path | None
) -> tuple[ssl.SSLContext | None, bytes | None]:
    """Return how TLS is begun, and our own certificate.

    Raises:
        ClickException: They cannot be read, or do not fit together.
    """
    if cert is None:
        return None, None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
        return context, first_certificate(cert.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{cert}: {reason(error)}") from error


def _announce(name: str, listeners: Iterable[socket.socket], *, login: bool) -> None:
    """Say where a server listens, and whether those who want to can log in."""
    for each in listeners:
        where = endpoint(*end_of(each.getsockname()))
        click.echo(f"listening {name} {where}")
        if not login:
            click.echo(f"warning: nobody can log in on {name} {where}", err=True)
