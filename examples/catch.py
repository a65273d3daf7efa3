"""Catch mail: `python examples/catch.py FOLDER [--host HOST] [--port PORT]`.

Every message becomes a file in the folder, whoever it is for.  It ends when its
standard input does.
"""

import argparse
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from smtp_pop_adapters.blocking import serve_smtp
from smtp_pop_core import Blocks, smtp


class Catcher(smtp.Application):
    """Takes every message."""

    def __init__(self, peer: smtp.Peer, folder: Path) -> None:
        super().__init__(peer)
        self.folder = folder

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply:
        """Write it to a file, which gets its name when it is complete."""
        with NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
            path = Path(file.name)
            try:
                for block in content:  # MessageAborted if it breaks off
                    file.write(block)
            except BaseException:
                path.unlink()
                raise
        kept = path.rename(path.with_suffix(".eml"))
        print(envelope.sender or "<>", "to", *envelope.recipients, "in", kept.name)
        sys.stdout.flush()
        return smtp.Reply(250, (f"Kept as {kept.name}",))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with serve_smtp(
        lambda peer: Catcher(peer, given.folder), given.host, given.port
    ) as server:
        print("listening on", *server.addresses[0], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
