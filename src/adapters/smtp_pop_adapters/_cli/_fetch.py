"""`smtp-pop fetch`: fetch messages by POP3 into a Maildir."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import click

from smtp_pop_core import AsyncBlocks, Blocks, Error, Tls, pop3

from ..maildir import Maildir
from ._adapters import adapter_of, adapter_option, following, settled
from ._progress import progress
from ._security import check_mechanism, context, credentials, security_options
from ._seen import SeenFile, seen_file
from ._values import endpoint, one_line, reason

_TLS: Final = {"none": Tls.NONE, "stls": Tls.REQUIRE, "implicit": Tls.IMPLICIT}


@click.command()
@click.option(
    "--host",
    required=True,
    metavar="H",
    help="The server; the path of a Unix socket serves as well.",
)
@click.option("--port", type=click.IntRange(1, 65_535), metavar="P", help="Its port.")
@click.option(
    "--tls",
    type=click.Choice(list(_TLS)),
    default="stls",
    show_default=True,
    help="When TLS begins.",
)
@security_options
@click.option("--delete", is_flag=True, help="Delete what is stored from the server.")
@click.option(
    "--keep-seen",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Fetch only what is new, and keep the unique ids in FILE.",
)
@click.option(
    "--maildir",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The Maildir to store them in.",
)
@adapter_option
@click.option("--trace", is_flag=True, help="Show the dialogue on standard error.")
def fetch(
    *,
    host: str,
    port: int | None,
    tls: str,
    ca: Path | None,
    insecure: bool,
    user: str | None,
    password_file: Path | None,
    mechanism: str | None,
    allow_insecure_auth: bool,
    delete: bool,
    keep_seen: Path | None,
    folder: Path,
    adapter: str,
    trace: bool,
) -> None:
    """Fetch the messages of a maildrop, and store them.

    Prints a line for each message that is stored: "NUMBER UID OCTETS".  The exit code
    is 0 if all of them were, and all that was to be deleted is.
    """
    if port is None and "/" not in host:
        raise click.UsageError("Missing option '--port'.")
    port = port or 0
    auth = credentials(user, password_file)
    if auth is None:
        raise click.UsageError("Missing option '--user'.")
    name = check_mechanism(mechanism, "USER", "APOP")
    how = context(_TLS[tls], ca, insecure=insecure)
    host = host.removeprefix("[").removesuffix("]")
    chosen = adapter_of(adapter)

    async def collect(seen: SeenFile | None) -> pop3.Collected:
        async with chosen.connect(
            "pop3",
            host,
            port,
            tls=_TLS[tls],
            context=how,
            auth=auth,
            mechanism=name,
            allow_insecure_auth=allow_insecure_auth,
            trace=_show if trace else None,
        ) as client:
            store = chosen.storing(partial(_store, Maildir(folder)))
            with progress(hidden=trace) as update:
                collected = client.collect(
                    store,
                    seen=None if seen is None else seen.seen,
                    note=None if seen is None else seen.note,
                    delete_stored=delete,
                    progress=update,
                )
                result: pop3.Collected = await settled(collected)
            if seen is not None:
                seen.tidy()
            return result

    try:
        with seen_file(keep_seen) if keep_seen else nullcontext() as seen:
            result = chosen.run(partial(collect, seen))
    except (Error, OSError, ValueError) as error:
        where = endpoint(host, port)
        raise click.ClickException(f"{where}: {reason(error)}") from error
    complaints = list(_complaints(result))
    if complaints:
        raise click.ClickException("\n".join(complaints))


async def _store(
    maildir: Maildir, message: pop3.Listed, blocks: Blocks | AsyncBlocks
) -> None:
    """Store a message, and say so."""
    octets = 0
    next_block = following(blocks)
    with maildir.delivery() as delivery:
        while block := await settled(next_block()):
            delivery.write(block)
            octets += len(block)
        delivery.commit()
    unique_id = "-" if message.unique_id is None else message.unique_id
    click.echo(f"{message.number} {one_line(unique_id)} {octets}")


def _complaints(result: pop3.Collected) -> Iterator[str]:
    for message, response in result.refused.items():
        yield f"message {message.number}: {response}"
    if result.in_doubt:
        said = "nothing" if result.reply is None else f"{result.reply}"
        yield f"{len(result.in_doubt)} messages may not be deleted: QUIT got {said}"


def _show(line: str) -> None:
    click.echo(line, err=True)
