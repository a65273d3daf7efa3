"""The wheel: what is in it, and that it works where nothing else is installed."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = {"smtp_pop_core", "smtp_pop_adapters"}

IMPORTS: Final = """
import smtp_pop_core, smtp_pop_core.smtp, smtp_pop_adapters.blocking
print(smtp_pop_core.__version__)
print(smtp_pop_core.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", f"-o{folder}", ROOT
    )
    (path,) = folder.iterdir()
    return path


def _run(*command: str | Path) -> str:
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        *PACKAGES,
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_wheel_says_that_it_is_typed(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in (ROOT / "src", ROOT / "src" / "adapters"):
        for package in PACKAGES:
            modules = (folder / package).rglob("*.py")
            assert {path.relative_to(folder).as_posix() for path in modules} <= names


def test_the_wheel_works_where_nothing_else_is_installed(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path, with_pip=True, symlinks=True)
    python = tmp_path / "bin" / "python"
    _run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel)
    version, file = _run(python, "-I", "-W", "error", "-c", IMPORTS).splitlines()
    assert version == wheel.name.split("-")[1]
    assert Path(file).is_relative_to(tmp_path)
