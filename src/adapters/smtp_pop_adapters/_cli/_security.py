"""What the commands share about TLS and logins: options, contexts, passwords."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from smtp_pop_core import Tls, sasl

from .._tls import client_context
from ._values import reason

F = TypeVar("F", bound=Callable[..., Any])

PASSWORD: Final = "SMTP_POP_PASSWORD"
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS: Final = (
    click.option(
        "--ca", type=_FILE, metavar="FILE", help="Certificates to trust, in PEM."
    ),
    click.option("--insecure", is_flag=True, help="Check no certificate."),
    click.option("--user", metavar="U", help="Log in with this name."),
    click.option(
        "--password-file",
        type=_FILE,
        metavar="F",
        help=f"The password is the first line of F.  Without it: ${PASSWORD}.",
    ),
    click.option(
        "--mechanism", metavar="NAME", help="Log in in this way and no other."
    ),
    click.option(
        "--allow-insecure-auth",
        is_flag=True,
        help="Show the password to those who read along.",
    ),
)


def security_options(command: F) -> F:
    """Add the options of a client."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def credentials(user: str | None, password_file: Path | None) -> sasl.Password | None:
    """Return what to log in with, or None: no name was given.

    Raises:
        UsageError: There is no password, or one of them cannot be sent.
    """
    if user is None:
        return None
    if password_file is not None:
        try:
            text = password_file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise click.UsageError(f"--password-file: {reason(error)}.") from error
        password = text.split("\n", 1)[0].removesuffix("\r")
    else:
        password = os.environ.get(PASSWORD, "")
    if not password:
        raise click.UsageError(
            f"--user needs a password: give --password-file or set {PASSWORD}."
        )
    try:
        return sasl.Password(user, password)
    except ValueError as error:
        raise click.UsageError(f"--user: {reason(error)}.") from error


def context(policy: Tls, ca: Path | None, *, insecure: bool) -> ssl.SSLContext | None:
    """Return how TLS is begun, or None: there is none.

    Raises:
        UsageError: What was given does not go together.
        ClickException: The certificates cannot be read.
    """
    if ca is not None and insecure:
        raise click.UsageError("--ca and --insecure do not go together.")
    if policy is Tls.NONE:
        return None
    made = client_context(policy if ca is None else Tls.REQUIRE)
    if ca is not None:
        try:
            made.load_verify_locations(ca)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{ca}: {reason(error)}") from error
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def check_mechanism(name: str | None, *others: str) -> str | None:
    """Return the name of a mechanism that is known, in upper case.

    Raises:
        UsageError: It is none.
    """
    known = {*others, *(each.name for each in sasl.STANDARD)}
    if name is None or name.upper() in known:
        return None if name is None else name.upper()
    raise click.UsageError(
        f"--mechanism: {name!r} is none of {', '.join(sorted(known))}."
    )
