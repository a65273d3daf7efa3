"""What an import takes: CPU seconds of a process, less those of an empty one."""

import resource
import subprocess
import sys
from typing import Final

from ._measure import Effort, Outcome

# The door of the library opens a room when somebody asks for what is in it.
_CODE: Final = {
    "smtp_pop_core.smtp": "import smtp_pop_core.smtp",
    "what a client needs of it": (
        "from smtp_pop_core.smtp import Connection, open, quit, send_mail"
    ),
    "what a server needs of it": "from smtp_pop_core.smtp import Connection, serve",
    "all of it": "from smtp_pop_core.smtp import *",
    "smtplib": "import smtplib",
    "all of smtp_pop_core.pop3": "from smtp_pop_core.pop3 import *",
    "poplib": "import poplib",
}


def measure(effort: Effort, outcome: Outcome) -> None:
    """Import in turn."""
    for code in ("pass", *_CODE.values()):
        _spent(code)  # writes the byte code
    for _ in range(effort.rounds):
        empty = _spent("pass")
        for name, code in _CODE.items():
            outcome.note("import", name, max(_spent(code) - empty, 1e-4))


def _spent(code: str) -> float:
    """Return the CPU seconds of a process that runs this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime - before.ru_utime
    return user + after.ru_stime - before.ru_stime
