"""Which module may import which: the layers, read from the imports of the code.

The checks are functions from sources to complaints, so that they can be tested on small
sources: a check that cannot fail is worth nothing.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

SRC: Final = Path(__file__).parent.parent / "src"
CORE: Final = "smtp_pop_core"

# A module imports directly only from lower layers, never sideways.
# "sasl/**" is a folder that is one layer: inside, modules import each other without a
# cycle.  "smtp/_extensions/*" is a folder too: inside, modules do not know each other.
# "smtp/" is a door: the folder's __init__.py.
LAYERS: Final[Mapping[float, str]] = {
    0: "_doors _errors _expressions _limits _roles _values",
    0.5: "_base64",
    1: "_abnf _foreign _lines _events _flow _gate _networks _table _transcript "
    "sasl/** proxy/**",
    2: "_dots _endpoint _progress _security smtp/_grammar smtp/_in_flight "
    "pop3/_grammar trace/**",
    3: "_proving _serving _source _waiting smtp/_replies smtp/_tolerances "
    "pop3/_responses pop3/_tolerances",
    4: "_proxied smtp/_commands smtp/_forwarding smtp/_status pop3/_commands",
    5: "smtp/_advice smtp/_state smtp/_defaults smtp/_trace "
    "pop3/_state pop3/_defaults pop3/_trace",
    5.5: "smtp/_extensions/_extension",
    6: "smtp/_extensions/* smtp/_inbound smtp/_profile pop3/_capabilities",
    6.5: "smtp/_extensions/",
    7: "smtp/_codec smtp/_reply_codec smtp/_events "
    "pop3/_codec pop3/_response_codec pop3/_events",
    7.5: "smtp/_repertoire",
    8: "smtp/_connection pop3/_connection",
    8.5: "smtp/_refuse pop3/_refuse",
    9: "smtp/_application smtp/_results smtp/_message smtp/_exchange smtp/_needs "
    "pop3/_application pop3/_results pop3/_exchange pop3/_top",
    9.3: "pop3/_plan pop3/_snapshot",
    9.5: "smtp/_client pop3/_client pop3/_retrieve",
    10: "smtp/_open smtp/_send smtp/_server pop3/_open pop3/_collect pop3/_server",
    11: "/ smtp/ pop3/",
    12: "conformance/** testing/**",
}

DOORS: Final = {"/", "smtp/", "pop3/", "sasl/", "trace/", "proxy/"}
DOORS_OF_ADAPTERS: Final = {*DOORS, "conformance/", "testing/"}

# A folder, and those of which it knows nothing.
STRANGERS: Final[Mapping[str, tuple[str, ...]]] = {
    "smtp/": ("pop3/",),
    "pop3/": ("smtp/",),
    "sasl/": ("smtp/", "pop3/", "proxy/"),
    "proxy/": ("smtp/", "pop3/", "sasl/"),
}

# Clocks, nonces, dates and names are arguments or asked for.
NEVER: Final = {
    *("asyncio", "logging", "os", "random", "secrets", "select", "selectors"),
    *("socket", "ssl", "subprocess", "threading", "time", "trio"),
}
ONLY_IN_FUNCTIONS: Final = {"email"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports.

    Attributes:
        target: A module of the core in the notation of LAYERS, else a dotted name.
        in_core: Which of the two.
        line: Where.
        late: Whether it is carried out only in a function, or only by a type checker.
    """

    target: str
    in_core: bool
    line: int
    late: bool


Sources = Mapping[str, str]  # the name of a module, in the notation of LAYERS: its text


def read_sources(root: Path) -> Sources:
    names = {path: path.relative_to(root).as_posix() for path in root.rglob("*.py")}
    return {
        name.removesuffix(".py") if not name.endswith("__init__.py") else _door(name): (
            path.read_text("utf-8")
        )
        for path, name in sorted(names.items())
    }


def _door(name: str) -> str:
    return name.removesuffix("__init__.py") or "/"


def imports(module: str, sources: Sources, *, package: str = CORE) -> Iterator[Import]:
    """Give every import of a module: at its top, in functions, under TYPE_CHECKING.

    Args:
        module: Its name.
        sources: All modules of the core, and this one.
        package: What its relative imports begin with.
    """
    tree = ast.parse(sources[module])
    late = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING")
        for node in ast.walk(outer)
    }
    folders = [package, *module.strip("/").split("/")]
    if not module.endswith("/"):
        folders.pop()
    folders = [part for part in folders if part]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                full = [alias.name for alias in names]
            case ast.ImportFrom(name, names, level):
                base = folders[: len(folders) - level + 1] if level else []
                start = ".".join([*base, *([name] if name else [])])
                full = [f"{start}.{alias.name}" for alias in names]
            case _:
                continue
        for each in full:
            top, *rest = each.split(".")
            target = _module(rest, sources) if top == CORE else each
            yield Import(target, top == CORE, node.lineno, id(node) in late)


def _module(path: list[str], sources: Sources) -> str:
    """Find the module of a dotted name, whose end may be a name in the module."""
    for end in range(len(path), 0, -1):
        name = "/".join(path[:end])
        for candidate in (name, f"{name}/"):
            if candidate in sources or candidate in _layers():
                return candidate
    return "/"


@cache
def _layers() -> Mapping[str, float]:
    return {name: layer for layer, row in LAYERS.items() for name in row.split()}


def row_of(module: str) -> str | None:
    """Return the name in LAYERS under which a module falls, or None."""
    names = _layers()
    if module in names:
        return module
    folder = module[: module.rfind("/") + 1]
    alone = f"{folder}*"
    if alone in names:
        return alone
    top = f"{module.partition('/')[0]}/**"
    return top if top in names else None


def check_layers(sources: Sources) -> Iterator[str]:
    """Complain about imports that do not lead to a lower layer."""
    for module in sources:
        row = row_of(module)
        if row is None:
            yield f"{module} has no layer: give it one in tests/test_layers.py"
            continue
        for each in imports(module, sources):
            other = row_of(each.target) if each.in_core else None
            if other is None or (row == other and row.endswith("/**")):
                continue
            if _layers()[other] >= _layers()[row]:
                yield (
                    f"{module}:{each.line} (layer {_layers()[row]:g}) imports "
                    f"{each.target} (layer {_layers()[other]:g})"
                )


def check_cycles(sources: Sources) -> Iterator[str]:
    """Complain about modules that import each other in a circle."""
    graph = {
        module: {each.target for each in imports(module, sources) if each.in_core}
        for module in sources
    }
    while free := {module for module, needs in graph.items() if not needs & {*graph}}:
        graph = {module: needs for module, needs in graph.items() if module not in free}
    if graph:
        yield f"these import each other in a circle: {', '.join(graph)}"


def check_strangers(sources: Sources) -> Iterator[str]:
    """Complain about folders that should not know each other."""
    for module in sources:
        strangers = STRANGERS.get(f"{module.partition('/')[0]}/", ())
        for each in imports(module, sources):
            if each.in_core and each.target.startswith(strangers):
                yield f"{module}:{each.line} knows {each.target}"


def check_doors(sources: Sources) -> Iterator[str]:
    """Complain about conformance and testing where they do not use the doors."""
    for module in sources:
        folder = f"{module.partition('/')[0]}/"
        for each in imports(module, sources):
            if not each.in_core or each.target.startswith(folder):
                continue
            where = f"{module}:{each.line} imports {each.target}"
            if folder in ("conformance/", "testing/") and each.target not in DOORS:
                yield f"{where}, which is no door"
            elif each.target.startswith("testing/"):
                yield f"{where}: only users' tests do"


def check_outside(sources: Sources) -> Iterator[str]:
    """Complain about modules that the core must not import from outside."""
    for module in sources:
        for each in imports(module, sources):
            top = each.target.partition(".")[0]
            where = f"{module}:{each.line} imports {top}"
            if each.in_core:
                continue
            if top in NEVER:
                yield where
            elif top in ONLY_IN_FUNCTIONS and not each.late:
                yield f"{where} outside a function"
            elif top not in sys.stdlib_module_names and not (
                top == "hypothesis" and module.startswith("testing/")
            ):
                yield f"{where}, which is not in the standard library"


def check_adapter(name: str, source: str, core: Sources) -> Iterator[str]:
    """Complain about an adapter that does not use the doors of the core."""
    for each in imports("", {**core, "": source}, package="smtp_pop_adapters"):
        if each.in_core and each.target not in DOORS_OF_ADAPTERS:
            yield f"{name}:{each.line} imports {each.target}, which is no door"


CHECKS: Final = {
    check.__name__: check
    for check in (
        check_layers,
        check_cycles,
        check_strangers,
        check_doors,
        check_outside,
    )
}


# The code


@pytest.mark.parametrize("check", CHECKS)
def test_the_core_keeps_its_layers(check: str) -> None:
    sources = read_sources(SRC / CORE)
    assert {"/", "smtp/", "_errors"} <= sources.keys()
    assert list(CHECKS[check](sources)) == []


def test_the_adapters_use_the_doors_of_the_core() -> None:
    core = read_sources(SRC / CORE)
    folder = SRC / "adapters" / "smtp_pop_adapters"
    adapters = sorted(folder.rglob("*.py"))
    assert adapters
    assert [
        complaint
        for path in adapters
        for complaint in check_adapter(
            path.relative_to(folder).as_posix(), path.read_text("utf-8"), core
        )
    ] == []


def test_the_folder_of_the_adapters_is_no_package() -> None:
    """A project called `adapters` owns that import name."""
    assert not (SRC / "adapters" / "__init__.py").exists()


# The checks themselves

SOUND: Final[Sources] = {
    "/": "from ._errors import Error\nfrom ._flow import read",
    "_errors": "import re\nfrom typing import Final",
    "_flow": "from ._errors import Error",
    "sasl/": "from ._plain import plain\nfrom .._errors import Error",
    "sasl/_plain": "from ._mechanism import Client\nfrom .._errors import Error",
    "sasl/_mechanism": "import hmac",
    "trace/": "from .._flow import read",
    "pop3/": "",
    "smtp/": "from ._state import State\nfrom ._client import send_mail",
    "smtp/_replies": "from .._errors import ParseError",
    "smtp/_commands": "from ._replies import Command",
    "smtp/_state": "from . import _commands\nfrom ._commands import Mail",
    "smtp/_extensions/_extension": "from .._commands import Mail",
    "smtp/_extensions/": "from ._size import Size\nfrom ._extension import Extension",
    "smtp/_extensions/_size": "from ._extension import Extension",
    "smtp/_client": "def f():\n    import email.utils\nfrom .. import sasl, _errors",
    "testing/": "from hypothesis import given\nfrom .. import smtp, CLIENT",
}

CASES: Final = [
    # the check that complains, a module, its source, a part of the complaint
    ("check_layers", "smtp/_new", "", "smtp/_new has no layer"),
    ("check_layers", "new/_room", "", "new/_room has no layer"),
    ("check_layers", "_errors", "from ._flow import read", "_errors:1 (layer 0)"),
    ("check_layers", "_errors", "from . import _flow", "imports _flow (layer 1)"),
    ("check_layers", "_errors", "import smtp_pop_core._flow", "imports _flow"),
    ("check_layers", "_errors", "from smtp_pop_core._flow import on", "imports _flow"),
    ("check_layers", "_flow", "from ._lines import LineBuffer", ""),
    ("check_layers", "_flow", "from . import Error", "imports / (layer 11)"),
    ("check_layers", "_flow", "from .sasl import plain", "imports sasl/ (layer 1)"),
    ("check_layers", "smtp/_commands", "from ._state import State", "(layer 5)"),
    ("check_layers", "smtp/_commands", "from . import State", "imports smtp/ "),
    ("check_layers", "smtp/_state", "def f():\n    from . import _client", "_state:2"),
    ("check_layers", "smtp/_state", "if TYPE_CHECKING:\n    from . import x", "_state"),
    ("check_layers", "smtp/_state", "from ._extensions import usual", "6.5"),
    ("check_layers", "smtp/_state", "from ._extensions._size import Size", "layer 6)"),
    ("check_layers", "smtp/_extensions/_dsn", "from ._size import Size", "layer 6)"),
    ("check_layers", "smtp/_extensions/_dsn", "from . import Size", "layer 6.5)"),
    ("check_layers", "smtp/_extensions/_extension", "from ._size import S", "layer 6)"),
    ("check_layers", "testing/", "from ..conformance import cases", "layer 12)"),
    ("check_cycles", "sasl/_mechanism", "from ._plain import plain", "in a circle"),
    ("check_cycles", "sasl/_mechanism", "from . import plain", "in a circle"),
    ("check_strangers", "smtp/_client", "from .. import pop3", "_client:1 knows pop3/"),
    ("check_strangers", "pop3/_client", "from ..smtp import Reply", "knows smtp/"),
    ("check_strangers", "sasl/_plain", "from ..smtp._replies import R", "knows smtp/"),
    ("check_strangers", "proxy/", "from .. import pop3", "knows pop3/"),
    ("check_doors", "testing/", "from ..smtp._state import State", "no door"),
    ("check_doors", "conformance/", "from .._errors import Error", "no door"),
    ("check_doors", "conformance/", "from ..testing import pieces", "no door"),
    ("check_doors", "smtp/_client", "from ..testing import pieces", "users' tests"),
    ("check_outside", "smtp/_client", "import time", "_client:1 imports time"),
    ("check_outside", "smtp/_client", "import os.path", "imports os"),
    ("check_outside", "smtp/_client", "import re, ssl", "imports ssl"),
    ("check_outside", "smtp/_client", "def f():\n    import random", "_client:2"),
    ("check_outside", "smtp/_client", "from socket import socket", "imports socket"),
    (
        "check_outside",
        "smtp/_client",
        "from email.utils import x",
        "outside a function",
    ),
    ("check_outside", "smtp/_client", "class C:\n    import email", "outside a fun"),
    ("check_outside", "smtp/_client", "import hypothesis", "not in the standard"),
    ("check_outside", "testing/", "import click", "not in the standard"),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_accepts_what_is_sound(check: str) -> None:
    assert list(CHECKS[check](SOUND)) == []


@pytest.mark.parametrize(("check", "module", "source", "part"), CASES)
def test_a_check_complains(check: str, module: str, source: str, part: str) -> None:
    sources = {"_lines": "", "conformance/": "", **SOUND, module: source}
    complaints = list(CHECKS[check](sources))
    assert len(complaints) == 1
    assert part in complaints[0]


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        ("import time, socket\nfrom smtp_pop_core import smtp, CLIENT, sasl", []),
        ("from smtp_pop_core.smtp import Reply\nimport smtp_pop_core.testing", []),
        ("from . import maildir", []),
        ("from ._security import context\nfrom .._tls import nonce", []),
        (
            "from smtp_pop_core._flow import Read",
            ["a.py:1 imports _flow, which is no door"],
        ),
        (
            "\nfrom smtp_pop_core.smtp import _state",
            ["a.py:2 imports smtp/_state, which is no door"],
        ),
    ],
)
def test_the_check_of_adapters_knows_the_doors(
    source: str, complaints: list[str]
) -> None:
    assert list(check_adapter("a.py", source, SOUND)) == complaints


def test_no_module_has_two_layers() -> None:
    names = [name for row in LAYERS.values() for name in row.split()]
    assert len(names) == len(set(names))
