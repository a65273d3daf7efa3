"""`smtp-pop serve`: take mail, store it in Maildirs, and let users fetch it."""

import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from smtp_pop_core import Limits, Logins, sasl

from .._tls import first_certificate
from ..blocking import Server, serve_pop3, serve_smtp
from ..maildir_application import MaildirReaders, MaildirUsers
from ._users import make_logins, make_users, read_users
from ._values import Endpoint, endpoint, reason

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of listener: its name is how its option is called."""

    name: str
    what: str
    pop3: bool = False
    implicit_tls: bool = False
    lmtp: bool = False


_KINDS: Final = (
    _Kind("smtp", "SMTP"),
    _Kind("smtps", "SMTP inside TLS", implicit_tls=True),
    _Kind("lmtp", "LMTP", lmtp=True),
    _Kind("pop3", "POP3", pop3=True),
    _Kind("pop3s", "POP3 inside TLS", pop3=True, implicit_tls=True),
)


def _listener_options(command: F) -> F:
    for kind in reversed(_KINDS):
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
    names: tuple[str, ...]
    catch_all: bool
    users: sasl.Users
    logins: Logins
    context: ssl.SSLContext | None
    certificate: bytes | None
    apop: bool
    limits: Limits

    def listen(self, kind: _Kind, host: str, port: int) -> Server:
        """Start a server."""
        if kind.pop3:
            return serve_pop3(
                MaildirReaders(self.root, self.users),
                host,
                port,
                tls=self.context,
                implicit_tls=kind.implicit_tls,
                certificate=self.certificate,
                logins=self.logins,
                apop=self.apop,
                limits=self.limits,
            )
        return serve_smtp(
            MaildirUsers(
                self.root, self.names, catch_all=self.catch_all, logins=self.users
            ),
            host,
            port,
            tls=self.context,
            implicit_tls=kind.implicit_tls,
            certificate=self.certificate,
            logins=None if kind.lmtp else self.logins,
            limits=self.limits,
            lmtp=kind.lmtp,
        )

    def lets_in(self, kind: _Kind) -> bool:
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
    **listeners: tuple[tuple[str, int], ...],
) -> None:
    """Take mail and store it in Maildirs, until SIGTERM or SIGINT.

    Prints "listening NAME HOST:PORT" when it is ready, a line for each listener.  Port
    0 takes any free port; the path of a Unix socket serves as well as HOST:PORT.
    Mail for postmaster is always taken, into DIR/postmaster.
    """
    wanted = [(kind, each) for kind in _KINDS for each in listeners[kind.name]]
    if not wanted:
        options = ", ".join(f"--{kind.name}" for kind in _KINDS)
        raise click.UsageError(f"Nothing to listen on: give one of {options}.")
    if cert is None and any(kind.implicit_tls for kind, _ in wanted):
        raise click.UsageError("--smtps and --pop3s need --cert.")
    if key is not None and cert is None:
        raise click.UsageError("--key needs --cert.")
    secrets = read_users(root, given, file)
    if apop and not all(isinstance(each, str) for each in secrets.values()):
        raise click.UsageError(
            "--apop needs passwords in clear: --user and no --users."
        )
    users, salt_key = make_users(secrets)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{root}: {reason(error)}") from error
    context, certificate = _tls(cert, key)
    service = _Service(
        root=root,
        names=tuple(secrets),
        catch_all=catch_all,
        users=users,
        logins=make_logins(users, salt_key, allow_insecure=allow_insecure_auth),
        context=context,
        certificate=certificate,
        apop=apop,
        limits=Limits(content=max_size),
    )
    with _signals() as wait_for_signal, ExitStack() as stack:
        servers = []
        for kind, (host, port) in wanted:
            try:
                server = service.listen(kind, host, port)
            except OSError as error:
                where = endpoint(host, port)
                raise click.ClickException(f"{where}: {reason(error)}") from error
            except ValueError as error:
                raise click.UsageError(f"--user: {reason(error)}.") from error
            servers.append((kind, stack.enter_context(server)))
        for kind, server in servers:
            login = service.lets_in(kind) or not (secrets or kind.pop3) or kind.lmtp
            _announce(kind.name, server, login=login)
        wait_for_signal()


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


def _announce(name: str, server: Server, *, login: bool) -> None:
    """Say where a server listens, and whether those who want to can log in."""
    for each in server.addresses:
        where = endpoint(*each)
        click.echo(f"listening {name} {where}")
        if not login:
            click.echo(f"warning: nobody can log in on {name} {where}", err=True)


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Catch SIGTERM and SIGINT, and give a function that waits for one of them.

    It ends at once if one has come before.  A second one does what it does without us.
    """
    caught, written = socket.socketpair()
    with caught, written:
        written.setblocking(False)
        before = {
            each: signal.signal(each, lambda *_: None)
            for each in (signal.SIGTERM, signal.SIGINT)
        }
        descriptor = signal.set_wakeup_fd(written.fileno())

        def restore() -> None:
            signal.set_wakeup_fd(descriptor)
            for each, action in before.items():
                signal.signal(each, action)

        def wait() -> None:
            caught.recv(1)
            restore()

        try:
            yield wait
        finally:
            restore()
