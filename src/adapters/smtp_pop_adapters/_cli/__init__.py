"""The commands of `smtp-pop`.

Exit codes: 0 for full success; 1 where the peer refused or the network failed, with a
line that says what; 2 for wrong usage.  Standard output holds only what each command
says it prints.
"""

import io
import sys

import click

from smtp_pop_core import __version__

from ._demo import demo
from ._fetch import fetch
from ._hash_password import hash_password
from ._send import send
from ._serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def command() -> None:
    """Send, receive, store and fetch mail."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # what a peer says must not fail to be printed
        sys.stdout.reconfigure(errors="backslashreplace")


for each in (demo, serve, send, fetch, hash_password):
    command.add_command(each)
