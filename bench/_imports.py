"""What an import takes: CPU seconds of a process, less those of an empty one.

The byte code of all modules is there, as pip writes it when it installs a package: to
compile the sources takes as long again.
"""

import os
import resource
import subprocess
import sys
import tempfile
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
    "connect_smtp of blocking, and what it opens": (
        "from smtp_pop_adapters.blocking import connect_smtp\n"
        "from smtp_pop_core.smtp import Connection, open, quit, send_mail"
    ),
    "smtplib": "import smtplib",
    "what a client needs of smtp_pop_core.pop3": (
        "from smtp_pop_core.pop3 import Connection, fetch, open, quit"
    ),
    "all of smtp_pop_core.pop3": "from smtp_pop_core.pop3 import *",
    "poplib": "import poplib",
}


def measure(effort: Effort, outcome: Outcome) -> None:
    """Import in turn."""
    with tempfile.TemporaryDirectory() as byte_code:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": byte_code}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for code in ("pass", *_CODE.values()):
            _spent(code, environment)  # writes the byte code
        for _ in range(effort.rounds):
            empty = _spent("pass", environment)
            for name, code in _CODE.items():
                spent = _spent(code, environment) - empty
                outcome.note("import", name, max(spent, 1e-4))


def _spent(code: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds of a process that runs this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime - before.ru_utime
    return user + after.ru_stime - before.ru_stime
