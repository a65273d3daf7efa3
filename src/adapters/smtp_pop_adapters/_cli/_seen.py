"""The file of unique ids of `smtp-pop fetch --keep-seen`."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtp_pop_core import pop3

from ..maildir import sync


class SeenFile:
    """A file of unique ids, with what is in it.

    Attributes:
        seen: The ids.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = path.read_bytes() if path.exists() else b""
        self.seen = pop3.Seen.parse(self._bytes)
        self.tidy()

    def note(self, unique_id: str) -> None:
        """Add an id; then it is on disk."""
        line = pop3.Seen.line(unique_id)
        with open(self._path, "ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())
        self._bytes += line

    def tidy(self) -> None:
        """Leave out what was forgotten, and what a crash has cut off."""
        data = bytes(self.seen)
        if data == self._bytes:
            return
        fresh = self._path.with_name(f".{self._path.name}.new")
        with open(fresh, "wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        sync(self._path.parent)
        self._bytes = data


@contextmanager
def seen_file(path: Path) -> Iterator[SeenFile]:
    """Open the file of ids, which nobody else uses meanwhile.

    Raises:
        OSError: It cannot be had; BlockingIOError: somebody else uses it.
        ValueError: It is another kind of file.
    """
    lock = path.with_name(f".{path.name}.lock")
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield SeenFile(path)
