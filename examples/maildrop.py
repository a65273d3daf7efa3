"""Let a user fetch the files of a folder: `python examples/maildrop.py FOLDER USER`.

Each file.eml is a message, as examples/catch.py writes them.  The password is the first
line of standard input; it ends when that does.
"""

import secrets
import sys
from collections.abc import Collection
from pathlib import Path

from smtp_pop_adapters.blocking import serve_pop3
from smtp_pop_core import Logins, pop3, sasl


class Folder(pop3.Maildrop):
    """The messages that are there when a session begins."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.eml"))
        self.messages = [
            pop3.Message(pop3.size_of(path.read_bytes()), unique_id=path.stem)
            for path in self.paths
        ]

    def read(self, number: int) -> list[bytes]:
        """Give the content of a message; several blocks would do as well."""
        return [self.paths[number - 1].read_bytes()]

    def commit(self, deleted: Collection[int]) -> list[int]:
        """Remove messages; none is left."""
        for number in deleted:
            self.paths[number - 1].unlink(missing_ok=True)
        return []


def main(folder: Path, user: str) -> None:
    key = secrets.token_bytes(32)  # a server for good keeps it
    users = sasl.Users({user: sys.stdin.readline().rstrip("\n")}, key=key)

    class Reading(pop3.Application):
        def authenticate(self, question: sasl.Question) -> object:
            return users.answer(question)

        def open(self, identity: str) -> Folder:
            return Folder(folder)

    logins = Logins(stored=users.stored, fake_salt_key=key)
    # one session at a time: the maildrop needs no lock
    with serve_pop3(Reading, "127.0.0.1", logins=logins, sessions=1) as server:
        print("listening on", *server.addresses[0], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
