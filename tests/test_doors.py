import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import smtp_pop_core
from smtp_pop_core import pop3, proxy, sasl, smtp

DOORS = [smtp_pop_core, smtp, pop3, sasl, proxy]


def shown_to_type_checkers(door: ModuleType) -> dict[str, object]:
    """Return what the imports under TYPE_CHECKING would bring."""
    tree = ast.parse(Path(str(door.__file__)).read_text("utf-8"))
    imports: list[ast.stmt] = [
        node
        for outer in tree.body
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING"
        for node in outer.body
        if isinstance(node, ast.ImportFrom)
    ]
    brought: dict[str, object] = {"__package__": door.__name__}
    exec(compile(ast.Module(imports, []), "the door", "exec"), brought)
    return {name: brought[name] for name in brought if not name.startswith("__")}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_gives_what_type_checkers_are_shown(door: ModuleType) -> None:
    shown = shown_to_type_checkers(door)
    assert shown.keys() == set(door.__all__) - {"__version__"}
    assert {name: getattr(door, name) for name in shown} == shown


@pytest.mark.parametrize("door", DOORS)
def test_a_door_lists_what_it_gives(door: ModuleType) -> None:
    assert set(door.__all__) <= set(dir(door))


@pytest.mark.parametrize("door", DOORS)
def test_a_door_gives_nothing_else(door: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"'{door.__name__}' has no attribute 'x'"):
        _ = door.x


def test_a_room_is_opened_when_somebody_asks_for_what_is_in_it() -> None:
    program = """
import sys
from smtp_pop_core import smtp
print(*sorted(each for each in sys.modules if each.startswith("smtp_pop_core")))
smtp.Reply
print("smtp_pop_core.smtp._replies" in sys.modules)
print("smtp_pop_core.smtp._server" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.splitlines() == [
        "smtp_pop_core smtp_pop_core._doors smtp_pop_core.smtp",
        "True",
        "False",
    ]


NOT_AT_FIRST = (
    *("email", "hashlib", "hmac", "string", "stringprep"),
    *("sasl._mechanism", "sasl._questions", "proxy._tlvs", "smtp._advice"),
)
OF_SERVERS = ("ipaddress", "_serving", "_proxied", "smtp._server", "pop3._server")


@pytest.mark.parametrize(
    ("names", "foreign"),
    [
        ("smtp import Connection, open, quit, send_mail", ("pop3", *OF_SERVERS)),
        ("pop3 import Connection, open, quit, fetch", ("smtp", *OF_SERVERS)),
        ("smtp import Connection, serve", ("pop3", "smtp._open", "smtp._send")),
        ("pop3 import Connection, serve", ("smtp", "pop3._open", "pop3._retrieve")),
    ],
)
def test_who_uses_one_side_loads_nothing_of_the_other(
    names: str, foreign: tuple[str, ...]
) -> None:
    program = f"""
import sys
before = {{*sys.modules}}  # where coverage is measured it needs some
from smtp_pop_core.{names}
print(*sys.modules.keys() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    loaded = {each.removeprefix("smtp_pop_core.") for each in done.stdout.split()}
    assert "_endpoint" in loaded
    assert loaded.isdisjoint({*NOT_AT_FIRST, *foreign})
