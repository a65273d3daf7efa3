"""Write the parts of the documentation that come from the code and from data.

Run it after a change of either: `python docs/generate.py`.  A test compares.
"""

import inspect
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

from smtp_pop_core import Limits, Timeouts, pop3, sasl, smtp

DOCS: Final = Path(__file__).parent
_PART: Final = "<!-- {0}: made by docs/generate.py -->\n{1}<!-- end of {0} -->"


@dataclass(frozen=True)
class Protocol:
    """How the table of a protocol is shown.

    Attributes:
        table: The table.
        answers: What each class of answer is called.
        failures: Those that move nothing where a cell does not name them.
    """

    table: Mapping[Any, Mapping[type, Any]]
    answers: Mapping[Any, str]
    failures: Collection[Any]


SMTP: Final = Protocol(
    smtp.TRANSITIONS,
    {cls: f"{int(cls)}xx" for cls in smtp.ReplyClass},
    (smtp.ReplyClass.TRANSIENT, smtp.ReplyClass.PERMANENT),
)
POP3: Final = Protocol(
    pop3.TRANSITIONS,
    {pop3.OK: "+OK", pop3.MORE: "+", pop3.ERR: "-ERR"},
    (pop3.ERR,),
)


def diagram(protocol: Protocol) -> str:
    """Return a table as a diagram: what moves, and by which answers."""
    lines = ["stateDiagram-v2", "    [*] --> CONNECTING"]
    for state, row in protocol.table.items():
        by_target: dict[Enum, list[str]] = {}
        for command, cell in row.items():
            name = command.__name__
            if isinstance(cell, Enum):
                by_target.setdefault(cell, []).append(name)
                continue
            for cls, target in cell.items():
                if target is not None and target is not state:
                    label = f"{name} {protocol.answers[cls]}"
                    by_target.setdefault(target, []).append(label)
        for target, labels in by_target.items():
            lines.append(f"    {state.name} --> {target.name}: {'<br>'.join(labels)}")
    lines.append("    CLOSED --> [*]")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def table(protocol: Protocol) -> str:
    """Return a table as rows: state, command, where each answer leads."""
    names = list(protocol.answers.values())
    lines = [
        f"| state | command | {' | '.join(names)} |",
        f"| --- | --- |{' --- |' * len(names)}",
    ]
    for state, row in protocol.table.items():
        for command, cell in row.items():
            cells = _cells(protocol, state, cell)
            lines.append(f"| {' | '.join([state.name, command.__name__, *cells])} |")
    return "\n".join(lines) + "\n"


def _cells(protocol: Protocol, state: Enum, cell: Any) -> Iterable[str]:
    if isinstance(cell, Enum):  # the command has no answer
        yield f"→ {cell.name}"
        yield from [""] * (len(protocol.answers) - 1)
        return
    for cls in protocol.answers:
        if cls in cell:
            yield (cell[cls] or state).name
        else:
            yield state.name if cls in protocol.failures else "error"


def smtp_extension_rows() -> str:
    """Return the rows that extensions of the library add for their connection."""
    rows: dict[smtp.State, dict[type[smtp.Command], smtp.Cell]] = {}
    for extension in smtp.known():
        for state, row in extension.rows.items():
            rows.setdefault(state, {}).update(row)
    return table(replace(SMTP, table=rows))


def mechanisms() -> str:
    """Return the mechanisms, the strongest first: what each side needs."""
    lines = [
        "| mechanism | a client shows | a server can check | without TLS | used |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in sasl.STANDARD:
        has = "no server's side" if each.needs is None else f"`{each.needs}`"
        bare = "the secret can be read" if each.reveals_password else "allowed"
        if each.require_tls or each.binding:
            bare = "no"
        used = "only if named" if each.obsolete else ""
        words = [each.name, f"`{each.credentials.__name__}`", has, bare, used]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


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


@cache
def requirements() -> list[dict[str, Any]]:
    """Return what the standards require, in the order of the data."""
    data = tomllib.loads((DOCS / "requirements.toml").read_text("utf-8"))
    found: list[dict[str, Any]] = data["requirement"]
    return found


def rfc_of(requirement: dict[str, Any]) -> str:
    """Return the number of the RFC, or the name of another document, from the id."""
    return str(requirement["id"]).split("-")[1]


def standards_summary() -> str:
    """Return how many requirements of each RFC have which status."""
    parts = []
    for protocol, rfcs in STANDARDS.items():
        lines = [
            f"| {protocol} | {' | '.join(STATUSES)} |",
            f"| --- | {' | '.join('---' for _ in STATUSES)} |",
        ]
        for rfc, title in rfcs.items():
            found = [each["status"] for each in requirements() if rfc_of(each) == rfc]
            counts = " | ".join(str(found.count(status) or "") for status in STATUSES)
            anchor = heading(rfc).lower().replace(" ", "-")
            lines.append(f"| [{rfc}](#{anchor}) {title} | {counts} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def heading(rfc: str) -> str:
    """Return what stands above the table of an RFC or another document."""
    return f"RFC {rfc}" if rfc.isdigit() else rfc


def standards_tables() -> str:
    """Return a table of requirements for each RFC."""
    parts = []
    for rfc, title in RFCS.items():
        lines = [
            f"### {heading(rfc)}",
            "",
            f"{title[0].upper()}{title[1:]}.",
            "",
            "| id | section | level | what it asks | what we do | test |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for each in requirements():
            if rfc_of(each) == rfc:
                said = each["status"] + (f": {each['note']}" if "note" in each else "")
                tests = "<br>".join(f"`{_short(test)}`" for test in each["test"])
                words = [each["id"], each["section"], each["level"], each["text"], said]
                lines.append(f"| {' | '.join([*map(_plain, words), tests])} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _short(test: str) -> str:
    """Leave the folder out: the names of the files tell them apart."""
    return test.removeprefix("tests/")


def _plain(text: str) -> str:
    """Escape what a cell of a Markdown table takes for something else."""
    parts = re.split(r"(`[^`]*`)", text)  # code stays as it is
    parts[::2] = [re.sub(r"([\\<>*_\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts).replace("|", "\\|")


STATUSES: Final = ("held", "deviation", "application", "untested", "not built")

STANDARDS: Final = {
    "SMTP and LMTP": {
        "5321": "Simple Mail Transfer Protocol",
        "7504": "the reply codes 521 and 556",
        "1870": "SIZE",
        "1985": "ETRN",
        "2033": "LMTP",
        "2034": "ENHANCEDSTATUSCODES",
        "2920": "PIPELINING",
        "3030": "CHUNKING and BINARYMIME",
        "3207": "STARTTLS",
        "3461": "DSN",
        "3463": "enhanced status codes",
        "3848": "what a Received field calls the protocol",
        "4954": "AUTH",
        "5248": "the registry of enhanced status codes",
        "6152": "8BITMIME",
        "6409": "submission",
        "6531": "SMTPUTF8",
        "8314": "TLS from the first octet, for submission and for POP3",
        "9422": "LIMITS",
    },
    "POP3": {
        "1939": "Post Office Protocol, version 3",
        "2449": "CAPA, and response codes",
        "2595": "STLS",
        "3206": "the response codes SYS and AUTH",
        "5034": "AUTH",
        "6856": "UTF8 and LANG",
    },
    "SASL": {
        "4422": "the framework, and EXTERNAL",
        "2195": "CRAM-MD5",
        "2831": "DIGEST-MD5",
        "4013": "SASLprep",
        "4505": "ANONYMOUS",
        "4616": "PLAIN",
        "5802": "SCRAM",
        "5929": "channel bindings",
        "7628": "OAUTHBEARER",
        "7677": "SCRAM-SHA-256",
        "9266": "the channel binding tls-exporter",
        "LOGIN": "a draft that has expired, draft-murchison-sasl-login-00",
        "XOAUTH2": "a mechanism of Google",
        "PROFILE": "what RFC 4422, 4954 and 5034 have in common",
    },
    "In front of servers": {
        "PROXY": "the PROXY protocol, versions 1 and 2",
        "XCLIENT": "XCLIENT, an extension of Postfix",
        "XFORWARD": "XFORWARD, an extension of Postfix",
    },
}

RFCS: Final = {rfc: title for rfcs in STANDARDS.values() for rfc, title in rfcs.items()}

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "SMTP diagram": lambda: diagram(SMTP),
    "SMTP table": lambda: table(SMTP),
    "SMTP rows of extensions": smtp_extension_rows,
    "POP3 diagram": lambda: diagram(POP3),
    "POP3 table": lambda: table(POP3),
    "Mechanisms": mechanisms,
    "Limits": lambda: fields_table(Limits),
    "Timeouts": lambda: fields_table(Timeouts),
    "Standards in numbers": standards_summary,
    "Standards": standards_tables,
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
