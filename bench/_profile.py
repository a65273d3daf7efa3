"""Where the time goes: a profile of our server taking messages of 1 KB, by module.

A profile makes calls dearer than they are; it tells what to look at, not how long.
"""

import cProfile
import pstats
from collections import Counter
from pathlib import Path
from typing import Final

from ._contents import text
from ._measure import Effort, Outcome
from ._smtp_servers import Ours, transaction

_TIMES: Final = 1_000
_OURS: Final = "smtp_pop_core"


def measure(effort: Effort, outcome: Outcome) -> None:
    """Note the share that each module has, the largest first; and its calls."""
    said = transaction(text(1024))
    server = Ours()
    server.transactions(said, 10)
    profile = cProfile.Profile()
    times = max(1, int(_TIMES * effort.scale))
    profile.runcall(server.transactions, said, times)
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    # Any: the attribute is not in the types of the standard library
    stats = vars(pstats.Stats(profile))["stats"]
    for (file, _, _), (_, count, own, _, _) in stats.items():
        name = _module(file)
        seconds[name] += own
        calls[name] += count
    whole = seconds.total()
    for name, own in seconds.most_common(12):
        outcome.note("profile: per cent of the time", name, 100 * own / whole)
    for name, _ in seconds.most_common(12):
        outcome.note("profile: calls in one transaction", name, calls[name] / times)


def _module(file: str) -> str:
    """Return the name of a module, without what only this machine calls it."""
    path = Path(file)
    if _OURS in path.parts:
        return "/".join(path.parts[path.parts.index(_OURS) + 1 :])
    return "built in" if file == "~" else path.name
