"""Ours beside the peers, in the same run: `python -m bench.run [SECTION...]`.

Prints each figure and the table of what is wanted, and writes both to a file.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from ._measure import FULL, QUICK, Effort, Outcome
from ._report import all_figures, details, goals, renew_page, unmeasured

RESULTS: Final = Path(__file__).parent / "results.json"
QUICK_RESULTS: Final = RESULTS.with_name("results-quick.json")  # not for the page
SECTIONS: Final = ("engines", "sockets", "memory", "growth", "imports", "profile")


def measure(section: str, effort: Effort) -> dict[str, Any]:
    """Run a section, and return what is kept of it."""
    run: Callable[[Effort, Outcome], None]
    run = import_module(f"bench._{section}").measure
    outcome = Outcome()
    start = time.perf_counter()
    run(effort, outcome)
    took = time.perf_counter() - start
    said = (
        f"{effort.rounds} rounds in {took:.0f} s, {platform.python_implementation()}"
        f" {platform.python_version()}, {platform.machine()},"
        f" {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}."
    )
    return {
        "said": said,
        "figures": outcome.figures,
        "octets": outcome.octets,
        "missing": outcome.missing,
    }


def read_results(path: Path = RESULTS) -> dict[str, Any]:
    """Return what was measured before, by section."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {section: found[section] for section in SECTIONS if section in found}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=str(SECTIONS))
    parser.add_argument("--rounds", type=int, help="how often each has its turn")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing; renew the page of figures"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.sections).difference(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if options.page:
        renew_page(read_results())
        return
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    path = QUICK_RESULTS if options.quick else RESULTS
    results = read_results(path)
    fresh = {}
    for name in options.sections or SECTIONS:
        fresh[name] = measure(name, effort)
        print(
            f"\n## {name}\n\n{fresh[name]['said']}\n", *details(fresh[name]), sep="\n"
        )
        for each in fresh[name]["missing"]:
            print(f"not measured: {each}")
    path.write_text(json.dumps(results | fresh, indent=1))
    figures = all_figures(fresh)
    print("\n## What is wanted\n", *goals(figures), sep="\n")
    if not options.sections:
        for each in unmeasured(figures):
            print(f"not measured: {each}")
    print(f"\nall figures: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
