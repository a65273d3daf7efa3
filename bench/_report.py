"""What was measured, as tables in Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ._goals import GOALS, Goal, verdicts
from ._measure import Figures, Spread, spread

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance.md"
_PART: Final = "<!-- {0}: made by bench.run --page -->\n{1}<!-- end of {0} -->"


def goals(figures: Figures) -> Iterator[str]:
    """Give the table of what was wanted and what was reached."""
    yield "| work | compared with | wanted | reached | from, to | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in verdicts(figures):
        goal, reached = each.goal, each.reached
        ends = f"{_number(reached.least)} to {_number(reached.most)}"
        cells = [_work(goal), _peer(goal), _wanted(goal), _number(reached.median)]
        yield f"| {' | '.join(cells)} | {ends} | {'yes' if each.met else 'no'} |"


def unmeasured(figures: Figures) -> list[str]:
    """Return the goals that nothing was measured for."""
    met = {id(each.goal) for each in verdicts(figures)}
    return [f"{_work(goal)}: {_wanted(goal)}" for goal in GOALS if id(goal) not in met]


def _work(goal: Goal) -> str:
    by = "" if goal.contender == "ours" else f" ({goal.contender})"
    return f"{goal.group}{by}"


def _peer(goal: Goal) -> str:
    if not goal.peer:
        return goal.unit
    return f"the speed of {goal.peer}" if goal.at_least else f"what {goal.peer} takes"


def _wanted(goal: Goal) -> str:
    return f"{'≥' if goal.at_least else '≤'} {goal.bound:g}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def details(section: Mapping[str, Any]) -> Iterator[str]:
    """Give a table of all figures of a section."""
    yield "| work | who | median | from, to | MB/s |"
    yield "| --- | --- | --- | --- | --- |"
    for group, them in section["figures"].items():
        octets = section["octets"].get(group, 0)
        for name, figures in them.items():
            found = spread(figures)
            speed = f"{octets / found.median / 1e6:.0f}" if octets else ""
            cells = [group, name, *_figures(group, found), speed]
            yield f"| {' | '.join(cells)} |"


def _figures(group: str, found: Spread) -> tuple[str, str]:
    unit, scale = _unit(group, found.median)
    least, most = found.least / scale, found.most / scale
    return f"{found.median / scale:.3g} {unit}".rstrip(), f"{least:.3g} to {most:.3g}"


def _unit(group: str, value: float) -> tuple[str, float]:
    if group.startswith("memory"):
        return ("MB", 1e6) if value >= 1e6 else ("kB", 1e3)
    if group.startswith(("growth", "profile")):
        return "", 1
    if value >= 1:
        return "s", 1
    return ("ms", 1e-3) if value >= 1e-3 else ("µs", 1e-6)


def all_figures(results: Mapping[str, Any]) -> Figures:
    """Return the figures of all sections."""
    return {
        group: them
        for section in results.values()
        for group, them in section["figures"].items()
    }


def renew_page(results: Mapping[str, Any]) -> None:
    """Write the tables into the page of the documentation."""
    parts = {"goals": "\n".join(goals(all_figures(results))) + "\n"}
    for name, section in results.items():
        parts[name] = f"{section['said']}\n\n" + "\n".join(details(section)) + "\n"
    page = PAGE.read_text("utf-8")
    for name, part in parts.items():
        begin, end = _PART.format(name, "\0").split("\0")
        if begin in page:
            before, _, rest = page.partition(begin)
            page = before + begin + part + end + rest.partition(end)[2]
    PAGE.write_text(page, "utf-8")
