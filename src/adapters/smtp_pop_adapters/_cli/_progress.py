"""How far a long message is on its way, for who sits at a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

_LONG: Final = 1_000_000  # octets from which on it is shown


class Watched:
    """A file of which is told how far it has been read.

    It is read twice: to look at it, and then, after a seek, to send it.  The second
    time counts.

    Args:
        file: The file, where it is to be read from.
        update: Called with the number of octets that have been read to be sent.
    """

    def __init__(self, file: IO[bytes], update: Callable[[int], object]) -> None:
        self._file = file
        self._update = update
        self._octets: int | None = None

    def read(self, size: int, /) -> bytes:
        """Read up to so many octets."""
        block = self._file.read(size)
        if self._octets is not None:
            self._octets += len(block)
            self._update(self._octets)
        return block

    def seekable(self) -> bool:
        """Whether it can be read twice."""
        return self._file.seekable()

    def tell(self) -> int:
        """Where it will be read next."""
        return self._file.tell()

    def seek(self, offset: int, /) -> int:
        """Read next from there."""
        self._octets = 0
        return self._file.seek(offset)


@contextmanager
def progress(size: int) -> Iterator[Callable[[int], object]]:
    """Show a bar on standard error, if that is a terminal and the work is long.

    Gives the function to be called with what has been done of the size, in octets.
    """
    if size < _LONG or not sys.stderr.isatty():
        yield lambda octets: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size)
        yield lambda octets: bar.update(task, completed=octets)
