"""How Sphinx builds the documentation: `make docs`."""

import ast
import re
import sys
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "src" / "adapters")]

from smtp_pop_core import __version__  # noqa: E402  found by the path above

project = "smtp-pop-core"
author = "The smtp-pop-core authors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.mermaid",
]
suppress_warnings = ["ref.python"]  # Rejected, Limits, Help: two doors have each
html_theme = "alabaster"
html_theme_options = {
    "description": "SMTP and POP3 as pure state machines",
    "page_width": "1100px",
    "fixed_sidebar": True,
}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_copyright = False
html_show_sourcelink = False

myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4

default_role = "code"  # as the docstrings mean it
smartquotes = False  # b"" is not to be made beautiful
add_module_names = False
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def without_signature(
    app: object, what: str, name: str, value: object, *_: object
) -> tuple[str, str] | None:
    """Show no constructor for what is not made by calling it."""
    if what == "class" and isinstance(value, type) and issubclass(value, Enum):
        return "", ""
    return None


@cache
def written_behind() -> dict[str, str]:
    """Return what stands behind the constants of the core, by door and name."""
    found: dict[str, str] = {}
    source = ROOT / "src"
    for path in sorted((source / "smtp_pop_core").rglob("*.py")):
        door = ".".join(path.parent.relative_to(source).parts)
        body = ast.parse(path.read_text("utf-8")).body
        for constant, text in pairwise(body):
            match constant, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as said)),
                ):
                    found[f"{door}.{name}"] = said
    return found


def docstring_of_constant(
    app: object, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Take what stands behind a constant for its docstring, and nothing else.

    Sphinx looks for it in the door, where the constant is only imported.
    """
    if what == "data":
        lines[:] = [*written_behind().get(name, "").split("\n"), ""]


def without_links_out(app: object, docname: str, source: list[str]) -> None:
    """Keep only the words of a link that leaves the documentation.

    In the repository such a link leads to a file; the built site does not have it.
    """
    if "/" not in docname:
        source[0] = re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", source[0])


def without_types_before_colons(
    app: object, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Keep napoleon from taking what stands before a colon for a type.

    The types are in the signatures.  A colon before the text says that there is none.
    """
    if what in ("property", "attribute") and ":" in lines[0]:
        lines[0] = f": {lines[0]}"
    for index, line in enumerate(lines[:-1]):
        if line == "Returns:":
            lines[index + 1] = re.sub(r"^( +)", r"\1: ", lines[index + 1])


def setup(app: Any) -> None:
    """Connect what is above."""
    app.connect("autodoc-process-signature", without_signature)
    app.connect("autodoc-process-docstring", docstring_of_constant)
    app.connect(
        "autodoc-process-docstring",
        without_types_before_colons,
        priority=100,  # before napoleon
    )
    app.connect("source-read", without_links_out)
