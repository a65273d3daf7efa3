"""What an import takes: CPU seconds of a process, less those of an empty one."""

import resource
import subprocess
import sys
from typing import Final

from ._measure import Effort, Outcome

_MODULES: Final = ("smtp_pop_core.smtp", "smtp_pop_core.pop3", "smtplib", "poplib")


def measure(effort: Effort, outcome: Outcome) -> None:
    """Import in turn."""
    for code in ("pass", *map("import {}".format, _MODULES)):
        _spent(code)  # writes the byte code
    for _ in range(effort.rounds):
        empty = _spent("pass")
        for module in _MODULES:
            spent = _spent(f"import {module}")
            outcome.note("import", module, max(spent - empty, 1e-4))


def _spent(code: str) -> float:
    """Return the CPU seconds of a process that runs this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime - before.ru_utime
    return user + after.ru_stime - before.ru_stime
