"""Where the time goes: a message of 1 KB, call by call and by module.

Both make calls dearer than they are; they tell what to look at, not how long it takes.
"""

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final, TypeVar

from smtp_pop_core import CLIENT, NEED_DATA, SERVER, MessageData, smtp

from ._contents import text
from ._in_memory import REPLIES
from ._measure import Effort, Outcome
from ._smtp_clients import DOMAIN, RECIPIENT, SENDER
from ._smtp_servers import EHLO, TAKEN, Ours, transaction

T = TypeVar("T")

_TIMES: Final = 1_000
_OURS: Final = "smtp_pop_core"


def measure(effort: Effort, outcome: Outcome) -> None:
    """Note what each call takes, and what each module has of all."""
    times = max(1, int(_TIMES * effort.scale))
    for name, transactions in {"server": _serve, "client": _send}.items():
        watch = _Watch()
        transactions(watch, times)
        for call, seconds in watch.least.items():
            outcome.note(f"calls of a {name}'s Connection", call, seconds)
    _by_module(times, outcome)


class _Watch:
    """Takes the time of single calls.

    Attributes:
        least: The least seconds of each, in the order of the calls.
    """

    def __init__(self) -> None:
        self.least: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[..., T], *arguments: object) -> T:
        """Call a function."""
        begun = perf_counter()
        answer = function(*arguments)
        took = perf_counter() - begun
        self.least[name] = min(took, self.least.get(name, took))
        return answer


def _serve(watch: _Watch, times: int) -> None:
    conn = smtp.Connection(SERVER, domain=DOMAIN)
    conn.send(conn.default_reply(smtp.Connect()))
    for _ in range(times):
        watch("(an empty call)", bool)
        for data in [EHLO, *transaction(text(1024))]:
            word = data.split()[0].decode()
            name = word if word.isupper() else "content"
            watch(f"{name}: receive_data", conn.receive_data, data)
            event = None
            while event is not NEED_DATA:
                asked = f"{name}: next_event"
                if isinstance(event, (MessageData, smtp.Command)):
                    asked = f"{asked} after {type(event).__name__}"
                event = watch(asked, conn.next_event)
                if isinstance(event, smtp.EndOfMessage):
                    watch("EndOfMessage: send", conn.send, TAKEN)
                elif isinstance(event, smtp.Command):
                    said = type(event).__name__
                    reply = watch(f"{said}: default_reply", conn.default_reply, event)
                    watch(f"{said}: send", conn.send, reply)


def _send(watch: _Watch, times: int) -> None:
    conn = smtp.Connection(CLIENT, domain=DOMAIN)
    conn.receive_data(REPLIES["greeting"])
    conn.next_event()
    content = MessageData(text(1024), lf_ends_lines=True)
    for _ in range(times):
        watch("(an empty call)", bool)
        _exchange(watch, conn, "ehlo", smtp.Ehlo, DOMAIN)
        _exchange(watch, conn, "ok", smtp.Mail, SENDER)
        _exchange(watch, conn, "ok", smtp.Rcpt, RECIPIENT)
        _exchange(watch, conn, "go", smtp.Data)
        watch("MessageData: send", conn.send, content)
        _exchange(watch, conn, "ok", smtp.EndOfMessage)


def _exchange(
    watch: _Watch,
    conn: smtp.Connection,
    heard: str,
    kind: Callable[..., smtp.Command],
    *arguments: str,
) -> None:
    name = kind.__name__
    command = watch(f"{name}: made", kind, *arguments)
    watch(f"{name}: send", conn.send, command)
    watch(f"{name}: receive_data", conn.receive_data, REPLIES[heard])
    watch(f"{name}: next_event", conn.next_event)


def _by_module(times: int, outcome: Outcome) -> None:
    """Note the share that each module has, the largest first; and its calls."""
    said = transaction(text(1024))
    server = Ours()
    server.transactions(said, 10)
    profile = cProfile.Profile()
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
