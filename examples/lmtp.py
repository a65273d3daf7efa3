"""Deliver mail by LMTP: `python examples/lmtp.py SOCKET FOLDER USER...`.

It listens on a Unix socket; each recipient has a reply of its own.  It ends when its
standard input does.
"""

import argparse
import sys
from pathlib import Path

from smtp_pop_adapters.blocking import serve_smtp
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_core import Blocks, smtp

NO_USER = smtp.Reply(550, ("No such user",), smtp.EnhancedCode(5, 1, 1))
FAILED = smtp.Reply(451, ("Cannot store it now",), smtp.EnhancedCode(4, 3, 0))


class Delivery(smtp.Application):
    """Stores each message in the Maildir of each recipient."""

    folder: Path
    users: list[str]

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        """Take mail for the users, and for nobody else."""
        return None if _user(command.recipient) in self.users else NO_USER

    def message(self, envelope: smtp.Envelope, content: Blocks) -> list[smtp.Reply]:
        """Say for each recipient what has become of it."""
        message = content.read()
        return [self._deliver(_user(each), message) for each in envelope.recipients]

    def _deliver(self, user: str, message: bytes) -> smtp.Reply:
        try:
            Maildir(self.folder / user).deliver([message])  # on disk when it returns
        except OSError:
            return FAILED
        return smtp.Reply(250, (f"Delivered to {user}",))


def _user(recipient: str) -> str:
    return smtp.parse_forward_path(recipient, smtputf8=True).local_part.lower()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("socket", help="its path, with a / in it")
    parser.add_argument("folder", type=Path)
    parser.add_argument("user", nargs="+")
    given = parser.parse_args()
    Delivery.folder, Delivery.users = given.folder, given.user
    with serve_smtp(Delivery, given.socket, lmtp=True) as server:
        print("listening on", server.addresses[0][0], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
