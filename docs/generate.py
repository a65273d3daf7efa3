"""Write the parts of the documentation that come from the code.

Run it after a change of the table: `python docs/generate.py`.  A test compares.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from smtp_pop_core import Limits, Timeouts, smtp

DOCS: Final = Path(__file__).parent
_PART: Final = "<!-- {0}: made by docs/generate.py -->\n{1}<!-- end of {0} -->"


def smtp_diagram() -> str:
    """Return the SMTP table as a diagram: what moves, and by which replies."""
    lines = ["stateDiagram-v2", "    [*] --> CONNECTING"]
    for state, row in smtp.TRANSITIONS.items():
        by_target: dict[smtp.State, list[str]] = {}
        for command, cell in row.items():
            for cls, target in cell.items():
                if target is not None and target is not state:
                    label = f"{command.__name__} {int(cls)}xx"
                    by_target.setdefault(target, []).append(label)
        for target, labels in by_target.items():
            lines.append(f"    {state.name} --> {target.name}: {'<br>'.join(labels)}")
    lines.append("    CLOSED --> [*]")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def smtp_table() -> str:
    """Return the SMTP table as rows: state, command, where each reply leads."""
    lines = [
        "| state | command | 2xx | 3xx | 4xx | 5xx |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for state, row in smtp.TRANSITIONS.items():
        for command, cell in row.items():
            cells = [_cell(state, cell, cls) for cls in smtp.ReplyClass]
            words = " | ".join([state.name, command.__name__, *cells])
            lines.append(f"| {words} |")
    return "\n".join(lines) + "\n"


def _cell(
    state: smtp.State,
    cell: Mapping[smtp.ReplyClass, smtp.State | None],
    cls: smtp.ReplyClass,
) -> str:
    if cls in cell:
        return (cell[cls] or state).name
    return "error" if cls < smtp.ReplyClass.TRANSIENT else state.name


def fields_table(kind: type[Limits | Timeouts]) -> str:
    """Return the fields of a dataclass: name, default, and what the docstring says."""
    _, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    said: dict[str, str] = {}
    name = ""
    for line in attributes.splitlines():
        if found := re.match(r"    (\w+): (.*)", line):
            name, said[found[1]] = found[1], found[2]
        else:
            said[name] += f" {line.strip()}"
    rows = ["| field | default | what it is |", "| --- | --- | --- |"]
    default = kind()
    for field in fields(kind):
        value = getattr(default, field.name)
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        if isinstance(value, Timeouts):
            shown = "see below"
        rows.append(f"| `{field.name}` | {shown} | {said[field.name]} |")
    return "\n".join(rows) + "\n"


PARTS: Final = {
    "SMTP diagram": smtp_diagram,
    "SMTP table": smtp_table,
    "Limits": lambda: fields_table(Limits),
    "Timeouts": lambda: fields_table(Timeouts),
}


def renewed(text: str) -> str:
    """Return a page with its generated parts made anew."""
    for name, make in PARTS.items():
        pattern = _PART.format(re.escape(name), r".*?")
        part = _PART.format(name, make())
        text = re.sub(pattern, lambda _, part=part: part, text, flags=re.DOTALL)
    return text


def pages() -> list[Path]:
    """Return the pages that have generated parts."""
    return [
        page
        for page in sorted(DOCS.glob("*.md"))
        if "generate.py -->" in page.read_text()
    ]


if __name__ == "__main__":
    for page in pages():
        page.write_text(renewed(page.read_text()))
