"""The README says what is true: its blocks run as they stand."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

README: Final = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS: Final = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
CLIENT, SERVER, POP3_CLIENT, POP3_SERVER, *ASYNC, WITHOUT_IO = BLOCKS


@pytest.mark.parametrize("example", BLOCKS)
def test_an_example_in_the_readme_has_less_than_25_lines(example: str) -> None:
    assert len(example.splitlines()) < 25


def talk(server: str, client: str, *arguments: str) -> tuple[str, str]:
    """Run a server and a client; return what each has said."""
    with subprocess.Popen(
        [sys.executable, "-c", server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        _, _, host, port = serving.stdout.readline().split()
        done = subprocess.run(
            [sys.executable, "-c", client, host, port, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        said, _ = serving.communicate("\n")
    assert serving.returncode == 0
    return said, done.stdout


def test_the_smtp_client_and_server_talk() -> None:
    server, client = talk(SERVER, CLIENT)
    assert client == (
        "bob@example.com accepted 250 2.0.0 Message accepted\n"
        "carol@example.org refused 550 5.1.1 No such mailbox\n"
    )
    assert re.fullmatch(
        r"alice@example\.com sent \d+ octets to \('bob@example\.com',\)\n", server
    )


def test_the_pop3_client_and_server_talk() -> None:
    server, client = talk(POP3_SERVER, POP3_CLIENT, "alice", "secret")
    assert server == ""
    assert sorted(client.splitlines()) == sorted(
        [
            *("1 id0 24", "2 id1 23"),
            *("Subject: one", "", "Hello.", "Subject: two", "", ".dots"),
        ]
    )


@pytest.mark.parametrize("example", ASYNC)
def test_an_async_client_and_server_talk(example: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True
    )
    assert said.stdout == "alice@example.com sent b'Hello.\\r\\n'\n"
    assert said.stderr == ""


def test_the_example_without_io_runs() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_IO], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[0] == "220 server.example ESMTP"
    assert said.stdout.splitlines()[1].startswith("250 ['PIPELINING', 'SIZE', ")
