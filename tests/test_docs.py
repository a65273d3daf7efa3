"""What the documentation says is true: generated parts are current, examples run."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


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


CLIENT, SERVER, WITHOUT_IO = blocks(ROOT / "README.md")
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


@pytest.mark.parametrize("example", [CLIENT, SERVER, WITHOUT_IO])
def test_an_example_in_the_readme_has_less_than_25_lines(example: str) -> None:
    assert len(example.splitlines()) < 25


def test_the_client_and_the_server_of_the_readme_talk(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        _, _, host, port = server.stdout.readline().split()
        client = subprocess.run(
            [sys.executable, "-c", CLIENT, host, port],
            capture_output=True,
            text=True,
            check=True,
        )
        said, _ = server.communicate("\n")
    assert client.stdout == (
        "bob@example.com accepted 250 2.0.0 Message accepted\n"
        "carol@example.org refused 550 5.1.1 No such mailbox\n"
    )
    assert re.fullmatch(
        r"alice@example\.com sent \d+ octets to \('bob@example\.com',\)\n", said
    )
    assert server.returncode == 0


def test_the_example_without_io_runs() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_IO], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[0] == "220 server.example ESMTP"
    assert said.stdout.splitlines()[1].startswith("250 ['PIPELINING', 'SIZE', ")


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
