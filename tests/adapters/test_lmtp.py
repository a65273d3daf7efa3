"""LMTP and Unix sockets through the adapter and the command line."""

import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from adapting import Adapter
from smtp_pop_adapters._cli import command
from smtp_pop_adapters.maildir_application import MaildirUsers
from smtp_pop_core import smtp

MESSAGE = b"Subject: hello\n\nOne line.\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@pytest.fixture
def users(tmp_path: Path) -> MaildirUsers:
    return MaildirUsers(tmp_path / "mail", ["alice", "bob"])


def send(*arguments: str) -> Result:
    words = ("send", "--from", "a@b.example", *arguments)
    return CliRunner().invoke(command, words, input=MESSAGE)


def stored(tmp_path: Path, user: str) -> list[bytes]:
    return [each.read_bytes() for each in (tmp_path / "mail" / user / "new").iterdir()]


@pytest.mark.parametrize("chunking", [False, True])
async def test_lmtp_goes_over_a_unix_socket(
    adapter: Adapter, users: MaildirUsers, path: str, tmp_path: Path, chunking: bool
) -> None:
    recipients = ["alice@b.example", "nobody@b.example", "bob@b.example"]
    async with adapter.serve_smtp(users, host=path, lmtp=True) as server:
        assert server.addresses == [(path, 0)]
        async with adapter.connect_smtp(path, lmtp=True) as client:
            assert "CHUNKING" in client.extensions
            result = await client.send_mail("", recipients, MESSAGE, chunking=chunking)
    assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
    assert result.refused == ["nobody@b.example"]
    assert stored(tmp_path, "alice") == stored(tmp_path, "bob") == [MESSAGE]


async def test_the_command_line_sends_lmtp_over_a_unix_socket(
    adapter: Adapter, users: MaildirUsers, path: str, tmp_path: Path
) -> None:
    words = ("--host", path, "--lmtp", "--to", "alice@b.example", "--to", "x@y.z")
    async with adapter.serve_smtp(users, host=path, lmtp=True):
        sent = await adapter.thread(lambda: send(*words))
    assert sent.output == (
        "alice@b.example 250 2.0.0 Message accepted\n"
        "x@y.z 550 5.1.1 No such user here\n"
    )
    assert sent.exit_code == 1
    assert stored(tmp_path, "alice") == [MESSAGE]


def test_a_host_needs_a_port() -> None:
    sent = send("--host", "localhost", "--to", "a@b.example")
    assert sent.exit_code == 2
    assert "Missing option '--port'." in sent.output


async def test_a_path_that_a_server_has_left_can_be_had_again(
    adapter: Adapter, users: MaildirUsers, path: str
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert os.path.exists(path)
    async with (
        adapter.serve_smtp(users, host=path),
        adapter.connect_smtp(path) as client,
    ):
        assert (await client.noop()).code == 250


async def test_a_path_that_a_server_holds_cannot_be_had(
    adapter: Adapter, users: MaildirUsers, path: str
) -> None:
    async with adapter.serve_smtp(users, host=path, lmtp=True):
        with pytest.raises(OSError, match="in use"):
            async with adapter.serve_smtp(users, host=path):
                pass
        async with adapter.connect_smtp(path, lmtp=True) as client:
            assert (await client.noop()).code == 250


async def test_where_there_is_no_socket_there_is_no_connection(
    adapter: Adapter, path: str
) -> None:
    with pytest.raises(FileNotFoundError):
        await adapter.connect_smtp(path)
