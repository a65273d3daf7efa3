"""`smtp-pop serve`: take mail, and store it in Maildirs."""

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from smtp_pop_core import Limits

from ..blocking import Server, serve_smtp
from ..maildir import user_folder
from ..maildir_application import MaildirUsers
from ._values import Endpoint, endpoint, reason


@click.command()
@click.option(
    "--maildir",
    "root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that holds a Maildir for each user.",
)
@click.option(
    "--smtp",
    "addresses",
    multiple=True,
    type=Endpoint(),
    metavar="HOST:PORT",
    help="Listen for SMTP.  Port 0 takes any free port.",
)
@click.option(
    "--lmtp",
    "local",
    multiple=True,
    type=Endpoint(),
    metavar="HOST:PORT",
    help="Listen for LMTP; the path of a Unix socket serves as well.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME:PASSWORD",
    help="Take mail for NAME at any domain, into DIR/NAME.",
)
@click.option(
    "--catch-all", is_flag=True, help="Take mail for all others, into DIR/catch-all."
)
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
    addresses: tuple[tuple[str, int], ...],
    local: tuple[tuple[str, int], ...],
    users: tuple[str, ...],
    catch_all: bool,
    max_size: int,
) -> None:
    """Take mail and store it in Maildirs, until SIGTERM or SIGINT.

    Prints "listening smtp HOST:PORT" when it is ready, a line for each listener.  Mail
    for postmaster is always taken, into DIR/postmaster.
    """
    listeners = [*(("smtp", each) for each in addresses)]
    listeners += [("lmtp", each) for each in local]
    if not listeners:
        raise click.UsageError("Nothing to listen on: give --smtp or --lmtp HOST:PORT.")
    mailboxes = _mailboxes(root, users, catch_all=catch_all)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{root}: {reason(error)}") from error
    with _signals() as wait_for_signal, ExitStack() as stack:
        servers = []
        for name, address in listeners:
            try:
                server = serve_smtp(
                    mailboxes,
                    *address,
                    limits=Limits(content=max_size),
                    lmtp=name == "lmtp",
                )
            except OSError as error:
                where = endpoint(*address)
                raise click.ClickException(f"{where}: {reason(error)}") from error
            servers.append((name, stack.enter_context(server)))
        for name, server in servers:
            _announce(name, server, login=bool(users))
        wait_for_signal()


def _announce(name: str, server: Server, *, login: bool) -> None:
    """Say where a server listens, and whether those who want to can log in."""
    for each in server.addresses:
        click.echo(f"listening {name} {endpoint(*each)}")
        if login and name == "smtp":
            where = endpoint(*each)
            click.echo(f"warning: nobody can log in on {name} {where}", err=True)


def _mailboxes(root: Path, users: tuple[str, ...], *, catch_all: bool) -> MaildirUsers:
    """Read the users.

    Raises:
        UsageError: They are malformed.
    """
    names = []
    for number, user in enumerate(users, start=1):
        name, _, password = user.partition(":")
        if not name or not password:  # which are not shown: one may be a password
            raise click.UsageError(f"--user number {number} is not NAME:PASSWORD.")
        names.append(name)
    try:
        mailboxes = MaildirUsers(root, names, catch_all=catch_all)
        folders = {user_folder(root, name) for name in names}
    except ValueError as error:
        raise click.UsageError(f"--user: {reason(error)}.") from error
    if len(folders) < len(names):
        raise click.UsageError("--user: a name is given twice.")
    return mailboxes


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
