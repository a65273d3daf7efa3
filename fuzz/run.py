"""Run the fuzz targets with atheris: `python fuzz/run.py --time SECONDS`.

The targets share the time.  Each runs in a process of its own, from its seeds, and
leaves nothing behind.  The exit code is 1 if one of them has failed.
"""

import argparse
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
TARGETS: Final = {  # by name: the dictionary from which inputs are put together
    "server_reader": "smtp.dict",
    "client_reader": "smtp.dict",
    "grammar": "smtp.dict",
    "content": "smtp.dict",
    "pop3_server_reader": "pop3.dict",
    "pop3_client_reader": "pop3.dict",
    "pop3_grammar": "pop3.dict",
    "sasl": "sasl.dict",
    "proxy_header": "proxy.dict",
}
_LEAST: Final = 2  # seconds for a target
_SPARE: Final = 60  # seconds for a target to start and to stop
_TAIL: Final = 40  # lines shown of a failure
_RUNS: Final = re.compile(r"stat::number_of_executed_units: ([0-9]+)")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the fuzz targets.")
    parser.add_argument("--time", type=int, default=60, help="seconds for all of them")
    parser.add_argument("--only", choices=TARGETS, help="run this target alone")
    chosen = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 1
    names = [chosen.only] if chosen.only else list(TARGETS)
    seconds = max(_LEAST, chosen.time // len(names))
    passed = [run(name, seconds) for name in names]
    return 0 if all(passed) else 1


def run(name: str, seconds: int) -> bool:
    """Run one target and say how it went; return whether it has passed."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, artifacts = Path(folder, "corpus"), Path(folder, "artifacts")
        corpus.mkdir()
        artifacts.mkdir()
        for number, seed in enumerate(seeds(name)):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        command = [
            *(sys.executable, str(Path(__file__).resolve()), name),
            *(f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"),
            *("-max_len=2048", f"-dict={FOLDER / TARGETS[name]}"),
            *(f"-artifact_prefix={artifacts}/", "-print_final_stats=1", str(corpus)),
        ]
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + _SPARE,
                check=False,
            )
            output, code = ended.stdout, ended.returncode
        except subprocess.TimeoutExpired as error:
            output, code = error.stdout or b"", -1
        inputs = sorted(artifacts.iterdir())
        failing = [each.read_bytes().hex() for each in inputs]
    text = output.decode("utf-8", "replace")
    runs = _RUNS.search(text)
    if code == 0 and runs is not None and int(runs[1]) and not failing:
        print(f"{name}: {runs[1]} executions, nothing found", flush=True)
        return True
    print(f"{name}: FAILED, exit code {code}; {runs[1] if runs else 'no'} executions")
    print("\n".join(text.splitlines()[-_TAIL:]))
    for octets in failing:
        print(f"{name}: the input is {octets}", flush=True)
    return False


def seeds(name: str) -> list[bytes]:
    """Return the inputs from which a target starts."""
    table = tomllib.loads(Path(FOLDER, "seeds.toml").read_text("utf-8"))
    return [text.encode("latin-1") for text in table[name]]


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(FOLDER.parent))
    with atheris.instrument_imports(include=["smtp_pop_core"]):
        target = importlib.import_module(f"fuzz.{name}")
    atheris.Setup([name, *options], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], sys.argv[2:])
    else:
        sys.exit(main())
