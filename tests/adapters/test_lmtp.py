"""LMTP and Unix sockets through the adapter and the command line."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smtp_pop_adapters._cli import command
from smtp_pop_adapters._sockets import connect
from smtp_pop_adapters.blocking import Server, connect_smtp, serve_smtp
from smtp_pop_adapters.maildir_application import MaildirUsers
from smtp_pop_core import smtp

MESSAGE = b"Subject: hello\n\nOne line.\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@pytest.fixture
def server(path: str, tmp_path: Path) -> Iterator[Server]:
    users = MaildirUsers(tmp_path / "mail", ["alice", "bob"])
    with serve_smtp(users, path, lmtp=True) as server:
        yield server


def send(*arguments: str) -> Result:
    words = ("send", "--from", "a@b.example", *arguments)
    return CliRunner().invoke(command, words, input=MESSAGE)


def stored(tmp_path: Path, user: str) -> list[bytes]:
    return [each.read_bytes() for each in (tmp_path / "mail" / user / "new").iterdir()]


@pytest.mark.parametrize("chunking", [False, True])
def test_lmtp_goes_over_a_unix_socket(
    server: Server, path: str, tmp_path: Path, chunking: bool
) -> None:
    assert server.addresses == [(path, 0)]
    recipients = ["alice@b.example", "nobody@b.example", "bob@b.example"]
    with connect_smtp(path, lmtp=True) as client:
        assert "CHUNKING" in client.extensions
        result = client.send_mail("", recipients, MESSAGE, chunking=chunking)
    assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
    assert result.refused == ["nobody@b.example"]
    assert stored(tmp_path, "alice") == stored(tmp_path, "bob") == [MESSAGE]


def test_the_command_line_sends_lmtp_over_a_unix_socket(
    server: Server, path: str, tmp_path: Path
) -> None:
    sent = send("--host", path, "--lmtp", "--to", "alice@b.example", "--to", "x@y.z")
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


def test_a_client_can_ask_for_its_queue() -> None:
    class Queue(smtp.Application):
        def command(self, command: smtp.Command) -> smtp.Reply | None:
            return smtp.Reply(252, (f"started for {command}",))

    extensions = (*smtp.usual(), smtp.extensions.Etrn())
    with (
        serve_smtp(Queue, "127.0.0.1", extensions=extensions) as server,
        connect_smtp(*server.addresses[0]) as client,
    ):
        reply = client.etrn("host.example")
    assert reply.text == "started for Etrn(node='host.example')"


def test_a_path_that_a_server_has_left_can_be_had_again(
    path: str, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert os.path.exists(path)
    with serve_smtp(MaildirUsers(tmp_path), path), connect_smtp(path):
        pass


def test_a_path_that_a_server_holds_cannot_be_had(server: Server, path: str) -> None:
    with pytest.raises(OSError, match="in use"):
        serve_smtp(smtp.Application, path)
    with connect_smtp(path, lmtp=True):
        pass


def test_where_there_is_no_socket_there_is_no_connection(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        connect(path, 0, 1)
