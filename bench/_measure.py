"""Measuring side by side: contenders take turns, and only ratios of one round count."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, TypeAlias

OURS: Final = "ours"
_MOST: Final = 1 << 20  # repetitions in a round

Figures: TypeAlias = dict[str, dict[str, list[float]]]
"""By group and contender, one figure a round; less is better.  Seconds of one piece of
work, unless the group says otherwise."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly is measured.

    Attributes:
        rounds: How often each contender has its turn.
        seconds: How long a turn takes at least; 0 for one piece of work.
        scale: How much of the large works is done, above 0 and at most 1.
    """

    rounds: int
    seconds: float
    scale: float = 1


FULL: Final = Effort(7, 0.05)
QUICK: Final = Effort(3, 0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who does a piece of work.

    Attributes:
        name: OURS, or the name of a peer.
        prepare: Given how often, returns what does it so often, and asserts that it was
            done.  What is prepared is not measured.
    """

    name: str
    prepare: Callable[[int], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Group:
    """A piece of work, and who does it.

    Attributes:
        name: What is done.
        contenders: Who does it, in turn.
        octets: How many octets of content that moves; 0 where that does not matter.
    """

    name: str
    contenders: Sequence[Contender]
    octets: int = 0


@dataclass(slots=True)
class Outcome:
    """What a section has measured.

    Attributes:
        figures: What was reached.
        octets: The octets of content of a group, where they matter.
        missing: What could not be measured, and why.
    """

    figures: Figures = field(default_factory=dict)
    octets: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def note(self, group: str, contender: str, figure: float) -> None:
        """Note the figure of one round."""
        by_contender = self.figures.setdefault(group, {})
        by_contender.setdefault(contender, []).append(figure)


def cpu(contender: Contender, count: int) -> float:
    """Return the CPU seconds that one of so many repetitions takes."""
    run = contender.prepare(count)
    if gc.get_freeze_count():  # else it would look at all that there is
        gc.collect()
    start = time.process_time()
    run()
    return (time.process_time() - start) / count


def repetitions(contender: Contender, seconds: float) -> int:
    """Return how many repetitions take about so long; the first one warms up.

    What is done for the first time takes long, and says nothing: expressions are
    compiled, and rooms are opened.
    """
    if seconds:
        cpu(contender, 1)
    count = 1
    while (spent := cpu(contender, count) * count) < seconds / 2 and count < _MOST:
        faster = min(16, seconds / max(spent, 1e-6))
        count = max(2 * count, int(count * faster))
    return count


def compare(group: Group, effort: Effort, outcome: Outcome) -> None:
    """Let the contenders of a group take turns."""
    if group.octets:
        outcome.octets[group.name] = group.octets
    if effort.seconds:  # else nobody wants to know how long it takes
        gc.collect()
        gc.freeze()  # what was there before costs nobody anything
    counts = [repetitions(each, effort.seconds) for each in group.contenders]
    for _ in range(effort.rounds):
        for contender, count in zip(group.contenders, counts, strict=True):
            outcome.note(group.name, contender.name, cpu(contender, count))
    gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and the ends."""

    median: float
    least: float
    most: float


def spread(figures: Sequence[float]) -> Spread:
    """Return the median and the ends of figures."""
    return Spread(median(figures), min(figures), max(figures))


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return what is above as a multiple of what is below, round by round."""
    return [one / other for one, other in zip(above, below, strict=True)]
