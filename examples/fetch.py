"""Fetch mail: `python examples/fetch.py HOST PORT USER FOLDER < password`.

What is new goes into a Maildir, and stays on the server unless --delete is given.  What
was stored is noted in FOLDER.seen.
"""

import argparse
import os
import sys
from pathlib import Path

from smtp_pop_adapters.blocking import connect_pop3
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_core import Blocks, Error, Tls, pop3, sasl


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int, help="995, where TLS comes first")
    parser.add_argument("user")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--delete", action="store_true", help="leave nothing there")
    parser.add_argument("--tls", type=Tls, choices=list(Tls), default=Tls.IMPLICIT)
    given = parser.parse_args()
    auth = sasl.Password(given.user, sys.stdin.readline().rstrip("\n"))
    maildir = Maildir(given.folder)
    notes = given.folder.with_suffix(".seen")
    seen = pop3.Seen.parse(notes.read_bytes() if notes.exists() else b"")

    def store(message: pop3.Listed, content: Blocks) -> None:
        path = maildir.deliver(content)  # on disk when it returns
        print(message.unique_id, "in", path.name)

    def note(unique_id: str) -> None:
        with notes.open("ab") as file:
            file.write(pop3.Seen.line(unique_id))
            file.flush()
            os.fsync(file.fileno())

    notes.write_bytes(bytes(seen))
    try:
        with connect_pop3(given.host, given.port, tls=given.tls, auth=auth) as client:
            result = client.collect(
                store, seen=seen, note=note, delete_stored=given.delete
            )
            result.check()
    except (Error, OSError) as error:
        print(f"not fetched: {error}", file=sys.stderr)
        return 1
    print(len(result.stored), "new,", len(result.deleted), "deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
