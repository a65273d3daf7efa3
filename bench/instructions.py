"""Count the instructions of core paths: `python -m bench.instructions`.

Seconds waver with the machine, instructions hardly do.  They are counted by Valgrind
and compared with bench/baseline.json, in units of a reference work, so that another
build of the same Python does not matter.  The exit code is 1 if a path has grown by
more than 15 %.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ._counted import MARK, REFERENCE, works

BASELINE: Final = Path(__file__).parent / "baseline.json"
_GROWTH: Final = 1.15
_SUMMARY: Final = re.compile(r"^summary: (\d+)", re.MULTILINE)
_IMPORTS: Final = ("smtp_pop_core.smtp", "smtp_pop_core.pop3")
_CODE: Final = "; ".join(
    [
        "import os",
        *(f"os.{MARK}(); from {module} import *" for module in _IMPORTS),
        f"os.{MARK}()",
        "from bench import _counted",
        "_counted.run()",
    ]
)


def count() -> dict[str, int]:
    """Return the instructions of each path, done once."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", _CODE]
    subprocess.run(command, check=True, env=environment)  # writes the byte code
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        subprocess.run(
            [
                *("valgrind", "-q", "--tool=callgrind", f"--dump-before={MARK}"),
                *(f"--callgrind-out-file={out}", *command),
            ],
            check=True,
            env=environment,
        )
        dumps = sorted(
            Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:])
        )
        marked = [int(_SUMMARY.findall(dump.read_text())[0]) for dump in dumps]
    counted = {f"all of {module}": marked[1 + at] for at, module in enumerate(_IMPORTS)}
    each = iter(marked[1 + len(_IMPORTS) :])
    for name, (_, times) in works().items():
        next(each)  # what came before: warming up
        once, twice = next(each), next(each)
        counted[name] = (twice - once) // times
    return counted


def growth(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, float]:
    """Return by how much each path has grown, in units of the reference work."""
    build = now[REFERENCE] / before[REFERENCE]
    return {
        name: now[name] / before[name] / build
        for name in now
        if name in before and name != REFERENCE
    }


def complaints(grown: Mapping[str, float]) -> list[str]:
    """Say which paths have grown by too much."""
    return [
        f"{name} takes {ratio:.2f} times the instructions of before"
        for name, ratio in grown.items()
        if ratio > _GROWTH
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="make a new baseline")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("instructions are not counted: valgrind is not there")
        return int("CI" in os.environ)
    python = f"{platform.python_version().rpartition('.')[0]} {platform.machine()}"
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    now = count()
    before = now if options.record else baseline.get(python, {})
    grown = growth(now, before) if before else {}
    for name, instructions in now.items():
        ratio = f"{grown[name]:6.2f}" if name in grown else ""
        print(f"{name:32} {instructions:12,} {ratio}")
    if options.record:
        baseline[python] = now
        BASELINE.write_text(json.dumps(baseline, indent=2, sort_keys=True) + "\n")
        print(f"recorded for Python {python}")
    elif not before:
        print(f"there is no baseline for Python {python}: --record makes one")
    found = complaints(grown)
    print(*found, sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
