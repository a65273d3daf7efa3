"""What the documentation says is true: generated parts are current, examples run."""

import ast
import contextlib
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import smtp_pop_core
from certificates import AUTHORITY, client_context, server_context
from peers import free_port
from smtp_pop_adapters import asyncio as asyncio_adapter
from smtp_pop_adapters import (
    blocking,
    maildir,
    maildir_application,
    maildir_maildrop,
)
from smtp_pop_adapters import trio as trio_adapter
from smtp_pop_core import Blocks, Logins, pop3, proxy, sasl, smtp, testing

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    )


DESIGN = blocks(ROOT / "docs/design.md")


@pytest.mark.parametrize("page", generator().pages(), ids=lambda page: page.name)
def test_the_generated_parts_are_current(page: Path) -> None:
    assert generator().renewed(page.read_text()) == page.read_text()


def test_a_generated_part_that_is_not_current_is_found() -> None:
    page = ROOT / "docs/states.md"
    stale = page.read_text().replace("READY --> MAIL: Mail 2xx", "READY --> MAIL")
    assert generator().renewed(stale) == page.read_text() != stale


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_connection_of_the_design_page_runs() -> None:
    subprocess.run([sys.executable, "-c", DESIGN[0]], check=True)


def test_the_driver_of_the_design_page_runs_a_flow() -> None:
    import socket

    from smtp_pop_adapters.blocking import serve_smtp
    from smtp_pop_core import CLIENT as ROLE
    from smtp_pop_core import smtp

    names: dict[str, object] = {}
    exec(DESIGN[1], names)
    run = names["run"]
    assert callable(run)
    with (
        serve_smtp(smtp.Application, "127.0.0.1") as server,
        socket.create_connection(server.addresses[0]) as sock,
    ):
        conn = smtp.Connection(ROLE)
        run(smtp.open(conn), sock)
        result = run(
            smtp.send_mail(conn, "a@example.com", ["b@example.com"], b"x"), sock
        )
        run(smtp.quit(conn), sock)
    assert result.outcome is smtp.Outcome.REFUSED
    assert str(result.reply) == "550 5.3.2 This server does not take messages"


# Pages whose blocks are programs


def run(blocks: list[str], name: str, **given: object) -> dict[str, Any]:
    """Run blocks one behind the other, as one module."""
    names: dict[str, Any] = {"__name__": name, **given}
    for index, block in enumerate(blocks, 1):
        exec(compile(block, f"{name}, block {index}", "exec"), names)
    return names


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, object]:
    """A certificate of a server, and the context of a client that trusts it."""
    files = {"certificate_file": tmp_path / "cert.pem", "key_file": tmp_path / "key"}
    certificate = AUTHORITY.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(files["certificate_file"]))
    certificate.private_key_pem.write_to_path(str(files["key_file"]))
    return {"context": client_context(), **files}


@pytest.mark.parametrize("name", ["tutorial", "io", "security"])
def test_the_blocks_of_a_page_are_one_program(
    name: str, tls: dict[str, object]
) -> None:
    found = blocks(DOCS / f"{name}.md")
    assert len(found) > 5
    run(found, name, **tls)


def test_the_blocks_of_the_page_on_servers_are_one_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(blocks(DOCS / "servers.md"), "servers")
    assert "a client at 192.0.2.1 56324\n" in capsys.readouterr().out


def test_the_mechanism_on_the_page_on_security_is_that_of_the_example() -> None:
    page = blocks(DOCS / "security.md")[-1]
    _, _, body = page.partition("def gssapi(credentials, context):\n")
    assert body
    assert body in (ROOT / "examples" / "gssapi.py").read_text("utf-8")


def test_no_page_has_blocks_that_are_not_run() -> None:
    assert {page.stem for page in PAGES if blocks(page)} == {
        *("README", "design", "index", "tutorial", "io", "servers", "security"),
        *("coming-from-smtplib", "coming-from-poplib", "coming-from-aiosmtpd"),
        *("asyncio", "trio"),
    }


class Choosing(smtp.Application):
    """Takes mail for example.com only."""

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        if command.recipient.endswith("@example.com"):
            return None
        return smtp.Reply(550, ("No such user",), smtp.EnhancedCode(5, 1, 1))

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        content.read()
        return None

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)


MESSAGES = (b"Subject: One\r\n\r\nHello\r\n", b"Subject: Two\r\n\r\n.A dot\r\n")
KEY = b"a secret of the server"
USERS = sasl.Users({"alice": "wonderland"}, key=KEY)
LOGINS = Logins(stored=USERS.stored, fake_salt_key=KEY, allow_insecure=True)


class Inbox(pop3.Maildrop):
    """Has two messages, and removes none."""

    messages = tuple(
        pop3.Message(pop3.size_of(content), unique_id)
        for content, unique_id in zip(MESSAGES, ("first", "second"), strict=True)
    )

    def read(self, number: int) -> list[bytes]:
        return [MESSAGES[number - 1]]

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        return ()


class Reading(pop3.Application):
    """Lets alice fetch."""

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    def open(self, identity: str) -> pop3.Maildrop:
        return Inbox()


@pytest.fixture
def ends() -> Iterator[dict[str, object]]:
    """Where servers listen, and contexts for TLS."""
    host = "127.0.0.1"
    tls = server_context(AUTHORITY.issue_cert(host))
    safe: dict[str, Any] = {"tls": tls, "logins": LOGINS}
    servers = {
        "port": blocking.serve_smtp(Choosing, host),
        "lmtp_port": blocking.serve_smtp(Choosing, host, lmtp=True),
        "submission_port": blocking.serve_smtp(Choosing, host, **safe),
        "submissions_port": blocking.serve_smtp(
            Choosing, host, implicit_tls=True, **safe
        ),
        "pop3_port": blocking.serve_pop3(Reading, host, apop=True, **safe),
        "pop3s_port": blocking.serve_pop3(Reading, host, implicit_tls=True, **safe),
    }
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        ports = {name: server.addresses[0][1] for name, server in servers.items()}
        hosts = {"host": host, "lmtp_host": host}
        yield {**hosts, **ports, "tls": tls, "context": client_context()}


def send(host: str, port: int) -> None:
    recipients = ["bob@example.com", "carol@example.org"]
    with blocking.connect_smtp(host, port) as client:
        client.send_mail("alice@example.com", recipients, b"Hello\n")


@pytest.mark.parametrize("other", ["smtplib", "poplib", "aiosmtpd"])
def test_both_sides_of_a_comparison_run(
    other: str, ends: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    found = blocks(DOCS / f"coming-from-{other}.md")
    sides = [block.splitlines()[0] for block in found]
    assert sides == [f"# {other}", "# smtp-pop-core"] * (len(found) // 2)
    run(found, other, send=send, free_port=free_port, **ends)
    said = capsys.readouterr()
    assert ("send: 'noop" in said.err) is (other == "smtplib")


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_the_block_of_an_async_adapter_runs(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(blocks(DOCS / "reference" / f"{name}.md"), name)
    assert capsys.readouterr().out == "7 octets\n"


def test_the_blocks_of_the_first_page_run(
    ends: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    run(blocks(DOCS / "index.md"), "index", **ends)
    assert capsys.readouterr().out.startswith("listening on 127.0.0.1 ")


# The reference

DOORS: list[tuple[str, ModuleType]] = [
    ("smtp_pop_core", smtp_pop_core),
    ("smtp_pop_core.smtp", smtp),
    ("smtp_pop_core.smtp::extensions", smtp.extensions),
    ("smtp_pop_core.pop3", pop3),
    ("smtp_pop_core.pop3::capabilities", pop3.capabilities),
    ("smtp_pop_core.sasl", sasl),
    ("smtp_pop_core.proxy", proxy),
    ("smtp_pop_core.testing", testing),
    ("smtp_pop_adapters.blocking", blocking),
    ("smtp_pop_adapters.asyncio", asyncio_adapter),
    ("smtp_pop_adapters.trio", trio_adapter),
    ("smtp_pop_adapters.maildir", maildir),
    ("smtp_pop_adapters.maildir_application", maildir_application),
    ("smtp_pop_adapters.maildir_maildrop", maildir_maildrop),
]


def public_names(module: ModuleType) -> set[str]:
    """Return what a door says is public; of a room without a list, its classes."""
    classes = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
        if not name.startswith("_")
    }
    return set(getattr(module, "__all__", classes))


def test_whatever_is_public_is_in_the_reference_once() -> None:
    entries: Counter[str] = Counter()
    for page in sorted((DOCS / "reference").glob("*.md")):
        text = page.read_text("utf-8")
        for part in text.split("currentmodule:: ")[1:]:
            module = part.split()[0]
            for name in re.findall(r"auto[a-z]+:: (\S+)", part):
                entries[name if "::" in name else f"{module}.{name}"] += 1
    shown_elsewhere = {
        "smtp_pop_core.smtp.extensions",
        "smtp_pop_core.pop3.capabilities",
        *(
            f"{door.__name__}::{room}.{name}"
            for door, room in ((smtp, "extensions"), (pop3, "capabilities"))
            for name in public_names(getattr(door, room))
            if getattr(door, name, None) is getattr(getattr(door, room), name)
        ),
    }
    public = {
        f"{door}.{name}" for door, module in DOORS for name in public_names(module)
    }
    assert set(entries) == public - shown_elsewhere
    assert set(entries.values()) == {1}


def has_hidden_base(kind: type, public: set[object]) -> bool:
    """Whether a class has members from one of ours that has no place of its own."""
    return any(
        base.__module__.startswith("smtp_pop_")
        and base not in public
        and any(not name.startswith("_") for name in vars(base))
        for base in kind.__mro__[1:]
    )


def test_what_a_class_has_from_a_hidden_base_is_in_the_reference() -> None:
    doors = dict(DOORS)
    found = [getattr(door, name) for _, door in DOORS for name in public_names(door)]
    public: set[object] = {each for each in found if isinstance(each, type)}
    shown: dict[str, bool] = {}
    for page in (DOCS / "reference").glob("*.md"):
        for part in page.read_text("utf-8").split("currentmodule:: ")[1:]:
            where = part.split()[0]
            directives = re.findall(r"autoclass:: (\w+)\n((?:   :.*\n)*)", part)
            for name, options in directives:
                if has_hidden_base(getattr(doors[where], name), public):
                    shown[f"{where}.{name}"] = ":inherited-members:" in options
    assert {"smtp_pop_core.smtp.Connection", "smtp_pop_core.pop3.Peer"} <= shown.keys()
    assert [name for name, it_is in shown.items() if not it_is] == []


# The standards

REQUIREMENTS = generator().requirements()
FIELDS = {"id", "section", "level", "text", "status", "note", "test"}
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}
COUNTS = {
    "5321": 246,
    "7504": 5,
    "1870": 16,
    "1985": 4,
    "2033": 17,
    "2034": 7,
    "2920": 22,
    "3030": 29,
    "3207": 22,
    "3461": 20,
    "3463": 4,
    "3848": 1,
    "4954": 41,
    "5248": 1,
    "6152": 5,
    "6409": 12,
    "6531": 24,
    "8314": 12,
    "9422": 7,
    "1939": 70,
    "2449": 32,
    "2595": 14,
    "3206": 5,
    "5034": 20,
    "6856": 13,
    "4422": 15,
    "2195": 7,
    "2831": 20,
    "4013": 7,
    "4505": 4,
    "4616": 10,
    "5802": 34,
    "5929": 3,
    "7628": 11,
    "7677": 3,
    "9266": 4,
    "LOGIN": 7,
    "XOAUTH2": 6,
    "PROFILE": 5,
    "PROXY": 26,
    "XCLIENT": 15,
    "XFORWARD": 8,
}


def letters(number: int) -> str:
    """Give the letters of the nth requirement of a section: a to z, aa, ab, ..."""
    first, last = divmod(number, 26)
    return ("" if not first else chr(96 + first)) + chr(97 + last)


@cache
def names_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_no_requirement_is_missing() -> None:
    by_section: Counter[str] = Counter()
    for each in REQUIREMENTS:
        section, _, letter = each["id"].rpartition("-")
        assert section.endswith(f"-{each['section']}")
        assert letter == letters(by_section[section])
        by_section[section] += 1
    counts = Counter(generator().rfc_of(each) for each in REQUIREMENTS)
    assert counts == COUNTS
    assert list(COUNTS) == list(generator().RFCS)


def test_a_requirement_says_what_there_is_to_say() -> None:
    for each in REQUIREMENTS:
        assert set(each) | {"note"} == FIELDS
    assert {each["level"] for each in REQUIREMENTS} == LEVELS
    assert {each["status"] for each in REQUIREMENTS} <= set(generator().STATUSES)


def test_what_shows_a_requirement_exists() -> None:
    named = {test for each in REQUIREMENTS for test in each["test"]}
    missing = []
    for test in sorted(named):
        path, _, name = test.partition("::")
        if not (ROOT / path).exists() or name not in names_of_tests(ROOT / path):
            missing.append(test)
    assert missing == []


def test_what_is_held_is_shown_by_a_test() -> None:
    status = {each["id"]: each["status"] for each in REQUIREMENTS}
    shown = {each["id"] for each in REQUIREMENTS if each["test"]}
    held = {name for name, each in status.items() if each == "held"}
    none = {name for name, each in status.items() if each in ("untested", "not built")}
    assert held <= shown
    assert not none & shown


def test_what_is_a_deviation_is_explained() -> None:
    assert [
        each["id"]
        for each in REQUIREMENTS
        if each["status"] == "deviation" and not each.get("note")
    ] == []
