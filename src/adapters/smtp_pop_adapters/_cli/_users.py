"""Who can log in to `smtp-pop serve`: from the command line and from a file."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from smtp_pop_core import Logins, sasl

from ..maildir import user_folder
from ._values import reason


def read_users(
    root: Path, given: tuple[str, ...], file: Path | None
) -> dict[str, sasl.Secret]:
    """Return the users with their secrets.

    Args:
        root: The folder of the Maildirs.
        given: NAME:PASSWORD of each --user.
        file: A file with lines of NAME:STORED, or None.

    Raises:
        UsageError: They are malformed.
    """
    users: dict[str, sasl.Secret] = {}
    folders = set()
    for where, name, secret in (*_given(given), *_stored(file)):
        try:
            folder = user_folder(root, name)
        except ValueError as error:
            raise click.UsageError(f"{where}: {reason(error)}.") from error
        if folder in folders:
            raise click.UsageError(f"{where}: a name is given twice.")
        folders.add(folder)
        users[name] = secret
    return users


def _given(users: Iterable[str]) -> Iterator[tuple[str, str, sasl.Secret]]:
    for number, user in enumerate(users, start=1):
        name, _, password = user.partition(":")
        if not name or not password:  # which are not shown: one may be a password
            raise click.UsageError(f"--user number {number} is not NAME:PASSWORD.")
        yield "--user", name, password


def _stored(file: Path | None) -> Iterator[tuple[str, str, sasl.Secret]]:
    if file is None:
        return
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--users: {reason(error)}.") from error
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        name, _, stored = line.partition(":")
        try:
            yield "--users", name, sasl.parse_stored(stored)
        except ValueError as error:
            raise click.UsageError(
                f"--users: line {number} is not NAME:STORED."
            ) from error


def make_users(users: dict[str, sasl.Secret]) -> tuple[sasl.Users, bytes]:
    """Return what answers the questions of logins, and the key of the salts.

    The key comes from all secrets together: nobody can guess it, and it stays the same
    as long as they do, without another file to keep.

    Raises:
        UsageError: A name or password cannot be used.
    """
    key = hashlib.sha256(b"salts of smtp-pop")
    for name, secret in sorted(users.items()):
        key.update(f"{name}\n{secret}\n".encode())
    try:
        return sasl.Users(users, key=key.digest()), key.digest()
    except ValueError as error:
        raise click.UsageError(f"--user: {reason(error)}.") from error


def make_logins(users: sasl.Users, key: bytes, *, allow_insecure: bool) -> Logins:
    """Return what a server can check."""
    return Logins(stored=users.stored, fake_salt_key=key, allow_insecure=allow_insecure)
