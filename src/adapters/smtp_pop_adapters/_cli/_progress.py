"""How far long work is, for who sits at a terminal."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from smtp_pop_core import Progress

_LONG: Final = 1_000_000  # octets from which on it is shown


@contextmanager
def progress(*, hidden: bool = False) -> Iterator[Progress]:
    """Show a bar on standard error, if that is a terminal and the work is long.

    Gives the function to be called with what has been done, and with all there is to
    do, in octets.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda octets, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("")
    with ExitStack() as stack:

        def update(octets: int, total: int | None) -> None:
            if total is None or total < _LONG:
                return
            if not bar.live.is_started:
                stack.enter_context(bar)
            bar.update(task, completed=octets, total=total)

        yield update
