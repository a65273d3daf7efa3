"""`smtp-pop hash-password`: make what `serve --users` keeps in place of a password."""

import getpass
import os
import sys
from typing import Final

import click

from smtp_pop_core import sasl

from ._values import reason

_SALT: Final = 16  # octets
_SCHEMES: Final = {
    "SCRAM-SHA-256": "SHA-256",
    "SCRAM-SHA-512": "SHA-512",
    "SCRAM-SHA-1": "SHA-1",
    "scrypt": "",
}


@click.command("hash-password")
@click.option(
    "--scheme",
    type=click.Choice(list(_SCHEMES), case_sensitive=False),
    default="SCRAM-SHA-256",
    show_default=True,
    help="SCRAM keys serve that mechanism too; scrypt is harder to guess from.",
)
@click.option(
    "--iterations",
    type=click.IntRange(sasl.LEAST_ITERATIONS, sasl.MOST_ITERATIONS),
    default=sasl.DEFAULT_ITERATIONS,
    show_default=True,
    metavar="N",
    help="Iterations of SCRAM.",
)
def hash_password(*, scheme: str, iterations: int) -> None:
    """Read a password and print what to store of it.

    It is asked for, or read from standard input.  A line of a users file is the name, a
    colon, and what this prints.
    """
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise click.UsageError("The passwords differ.")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("There is no password.")
    salt = os.urandom(_SALT)
    hash_name = _SCHEMES[scheme]
    try:
        if hash_name:
            stored = str(sasl.ScramKeys.derive(password, hash_name, salt, iterations))
        else:
            stored = sasl.hash_password(password, salt)
    except ValueError as error:
        raise click.UsageError(f"{reason(error)}.") from error
    click.echo(stored)
