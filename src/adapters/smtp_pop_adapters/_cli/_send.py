"""`smtp-pop send`: send a file as a message."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import click

from smtp_pop_core import Error, Tls, smtp

from ._adapters import adapter_of, adapter_option, settled
from ._progress import progress
from ._security import check_mechanism, context, credentials, security_options
from ._values import endpoint, reason

_TLS: Final = {
    "none": Tls.NONE,
    "opportunistic": Tls.OPPORTUNISTIC,
    "starttls": Tls.REQUIRE,
    "implicit": Tls.IMPLICIT,
}
_BLOCK: Final = 262_144  # octets that are looked at in one go


@click.command()
@click.option(
    "--host",
    required=True,
    metavar="H",
    help="The server; the path of a Unix socket serves as well.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="P",
    help="Its port.",
)
@click.option("--lmtp", is_flag=True, help="Speak LMTP.")
@click.option(
    "--tls",
    type=click.Choice(list(_TLS)),
    help="When TLS begins.  [default: starttls with --user, else opportunistic]",
)
@security_options
@click.option(
    "--from",
    "sender",
    required=True,
    metavar="A",
    help="The address of the sender; empty in a bounce.",
)
@click.option(
    "--to",
    "recipients",
    required=True,
    multiple=True,
    metavar="B",
    help="The address of a recipient; may be given several times.",
)
@adapter_option
@click.option("--trace", is_flag=True, help="Show the dialogue on standard error.")
@click.argument(
    "file",
    default="-",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
def send(
    *,
    host: str,
    port: int | None,
    lmtp: bool,
    tls: str | None,
    ca: Path | None,
    insecure: bool,
    user: str | None,
    password_file: Path | None,
    mechanism: str | None,
    allow_insecure_auth: bool,
    adapter: str,
    sender: str,
    recipients: tuple[str, ...],
    trace: bool,
    file: str,
) -> None:
    """Send FILE, or standard input, as a message.

    The file is sent as it is; its lines end with LF or CRLF.  Prints a line for each
    recipient: "ADDRESS CODE TEXT".  The exit code is 0 if the message was accepted for
    all of them.
    """
    if port is None and "/" not in host:
        raise click.UsageError("Missing option '--port'.")
    port = port or 0
    mail, rcpts = _envelope(sender, recipients)
    auth = credentials(user, password_file)
    name = check_mechanism(mechanism)
    policy = _TLS[tls or ("opportunistic" if auth is None else "starttls")]
    how = context(policy, ca, insecure=insecure)
    host = host.removeprefix("[").removesuffix("]")
    chosen = adapter_of(adapter)

    async def deliver() -> smtp.MailResult:
        async with chosen.connect(
            "smtp",
            host,
            port,
            tls=policy,
            context=how,
            auth=auth,
            mechanism=name,
            allow_insecure_auth=allow_insecure_auth,
            lmtp=lmtp,
            trace=_show if trace else None,
        ) as client:
            with progress(hidden=trace) as update:
                sending = client.send_mail(mail, rcpts, content, progress=update)
                result: smtp.MailResult = await settled(sending)
            for each in result.recipients:
                click.echo(_line(each))
            return result

    with _sendable(file) as content:
        try:
            result = chosen.run(deliver)
        except (Error, OSError, ValueError) as error:
            where = endpoint(host, port)
            raise click.ClickException(f"{where}: {reason(error)}") from error
    if result.outcome is not smtp.Outcome.ACCEPTED:
        sys.exit(1)


def _envelope(
    sender: str, recipients: tuple[str, ...]
) -> tuple[smtp.Mail, list[smtp.Rcpt]]:
    """Read the addresses.

    Raises:
        UsageError: One of them is none.
    """
    utf8 = not all(map(str.isascii, (sender, *recipients)))
    try:
        mail = smtp.Mail("" if sender == "<>" else sender, smtputf8=utf8)
        rcpts = [smtp.Rcpt(each) for each in recipients]
    except ValueError as error:
        raise click.UsageError(f"{reason(error)}.") from error
    return mail, rcpts


@contextmanager
def _sendable(name: str) -> Iterator[IO[bytes]]:
    """Open a file that can be read twice.

    What can be read only once, as from a pipe, is copied.

    Raises:
        ClickException: It cannot be read, or not be sent.
    """
    with ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(click.open_file(name, "rb"))
            if not file.seekable():
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy, _BLOCK)
                copy.seek(0)
                file = copy
            start = file.tell()
            _check(file)
            file.seek(start)
        except (OSError, RuntimeError) as error:  # standard input may be closed
            raise click.ClickException(f"the message: {reason(error)}") from error
        yield file


def _check(file: IO[bytes]) -> None:
    """Look through the file.

    Raises:
        ClickException: It holds a lone CR, which ends no line and may not be sent.
    """
    held = b""  # a CR whose LF may come with the next block
    while block := file.read(_BLOCK):
        block = held + block
        held = b"\r" if block.endswith(b"\r") else b""
        if block.count(b"\r") - len(held) != block.count(b"\r\n"):
            break
    else:
        if not held:
            return
    raise click.ClickException("the message holds a lone CR, which cannot be sent")


def _line(each: smtp.RecipientResult) -> str:
    """What became of the message for one recipient."""
    if each.reply is None:
        return f"{each.address} - in doubt: the connection was lost before the reply"
    return f"{each.address} {each.reply}"


def _show(line: str) -> None:
    click.echo(line, err=True)
