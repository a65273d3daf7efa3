"""The examples run as they stand."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import Blocks, smtp

EXAMPLES = Path(__file__).parent.parent / "examples"
CONTENT = b"Subject: Hello\r\n\r\nA line.\r\n.A line with a dot.\r\n"


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[tuple[list[str], list[str]]]:
    """Run an example that serves; give where it listens, and later what it has said."""
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as example:
        assert example.stdout is not None
        try:
            _, _, *end = example.stdout.readline().split()
            yield end, said
        finally:
            if command[0] == EXAMPLES / "relay.py":  # it runs until it is ended
                example.terminate()
            out, _ = example.communicate("")
            said += out.splitlines()


@contextlib.contextmanager
def maildrop(folder: Path) -> Iterator[list[str]]:
    """Serve a folder to alice, whose password is "secret"; give where it listens."""
    command = [sys.executable, str(EXAMPLES / "maildrop.py"), str(folder), "alice"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as example:
        assert example.stdin is not None
        assert example.stdout is not None
        print("secret", file=example.stdin, flush=True)
        try:
            _, _, *end = example.stdout.readline().split()
            yield end
        finally:
            example.communicate("")


def fetch(
    end: Sequence[str], folder: Path, *options: str, tls: str = "none"
) -> subprocess.CompletedProcess[str]:
    example = str(EXAMPLES / "fetch.py")
    words = [*end, "alice", str(folder), "--tls", tls, *options]
    return subprocess.run(
        [sys.executable, example, *words],
        check=False,
        input="secret\n",
        capture_output=True,
        text=True,
    )


def send(
    end: Sequence[str], *recipients: str, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    host, port = [*end, "0"][:2]
    example = str(EXAMPLES / "send.py")
    words = [host, port, "alice@example.com", *recipients, *options]
    return subprocess.run(
        [sys.executable, example, *words],
        check=False,
        input=CONTENT.decode().replace("\r\n", "\n"),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda it: it.name)
def test_an_example_has_less_than_60_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 60


def test_a_message_is_sent_and_caught(tmp_path: Path) -> None:
    with running(EXAMPLES / "catch.py", tmp_path) as (end, said):
        sent = send(end, "bob@example.com", options=["--trace"])
    assert sent.returncode == 0
    [path] = tmp_path.iterdir()
    assert path.suffix == ".eml"
    assert path.read_bytes() == CONTENT
    assert sent.stdout == f"bob@example.com accepted 250 2.0.0 Kept as {path.name}\n"
    assert "C: RCPT TO:<bob@example.com>\n" in sent.stderr
    assert said == [f"alice@example.com to bob@example.com in {path.name}"]


def test_a_message_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    with running(EXAMPLES / "catch.py", tmp_path) as ((host, port), _):
        with connect_smtp(host, int(port)) as client:
            for command in (smtp.Mail(""), smtp.Rcpt("bob@example.com"), smtp.Data()):
                client.run(smtp.exchange(client.connection, command))
            client.close()
        send([host, port], "bob@example.com")
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


def test_who_cannot_send_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        end = [str(part) for part in nobody.getsockname()]
    sent = send(end, "bob@example.com")
    assert sent.returncode == 1
    assert sent.stderr.startswith("not sent: ")
    assert len(sent.stderr.splitlines()) == 1


def test_mail_is_delivered_for_each_recipient_by_lmtp(tmp_path: Path) -> None:
    users = ["bob", "carol", "dora"]
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "dora").write_text("in the way")
    folders = tmp_path / "socket", tmp_path / "mail"
    with running(EXAMPLES / "lmtp.py", *folders, *users) as (end, _):
        recipients = [f"{user}@example.com" for user in ("bob", "eve", "Carol", "dora")]
        sent = send(end, *recipients, options=["--lmtp"])
    assert end == [str(tmp_path / "socket")]
    assert sent.stdout.splitlines() == [
        "bob@example.com accepted 250 2.0.0 Delivered to bob",
        "eve@example.com refused 550 5.1.1 No such user",
        "Carol@example.com accepted 250 2.0.0 Delivered to carol",
        "dora@example.com refused 451 4.3.0 Cannot store it now",
    ]
    assert sent.returncode == 1
    for user in ("bob", "carol"):
        [path] = (tmp_path / "mail" / user / "new").iterdir()
        assert path.read_bytes() == CONTENT.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("messages", [1, 3])
def test_mail_is_relayed_as_it_comes(tmp_path: Path, messages: int) -> None:
    with (
        running(EXAMPLES / "catch.py", tmp_path) as (end, _),
        running(EXAMPLES / "relay.py", *end) as ((host, port), _),
        connect_smtp(host, int(port)) as client,
    ):
        assert "CHUNKING" not in client.extensions
        for _ in range(messages):
            result = client.send_mail("alice@example.com", "bob@example.com", CONTENT)
            result.check()
            assert result.reply is not None
            assert result.reply.text.startswith("Kept as ")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [CONTENT] * messages


NO_USER = smtp.Reply(550, ("No such user",), smtp.EnhancedCode(5, 1, 1))
FULL = smtp.Reply(452, ("Full",), smtp.EnhancedCode(4, 2, 2))
received: list[bytes] = []


class Choosing(smtp.Application):
    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        return NO_USER if command.recipient.startswith("eve") else None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        received.append(content.read())
        return FULL if b"much" in received[-1] else None


def test_what_the_server_refuses_the_relay_refuses() -> None:
    received.clear()
    recipients = ["eve@example.com", "bob@example.com"]
    with (
        serve_smtp(Choosing, "127.0.0.1") as server,
        running(EXAMPLES / "relay.py", *map(str, server.addresses[0])) as (end, _),
        connect_smtp(end[0], int(end[1])) as client,
    ):
        first = client.send_mail("alice@example.com", recipients, b"little\r\n")
        client.reset()
        second = client.send_mail("alice@example.com", recipients, b"much\r\n")
    assert first.accepted == ["bob@example.com"]
    assert [each.reply for each in second.recipients] == [NO_USER, FULL]
    assert received == [b"little\r\n", b"much\r\n"]


def test_content_that_cannot_be_sent_on_is_not_relayed() -> None:
    received.clear()
    with (
        serve_smtp(Choosing, "127.0.0.1") as server,
        running(EXAMPLES / "relay.py", *map(str, server.addresses[0])) as (end, _),
        socket.create_connection((end[0], int(end[1]))) as client,
    ):
        client.sendall(
            b"HELO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"
            b"DATA\r\nfirst\n.\nsecond\r\n.\r\n"
        )
        said = b"".join(iter(lambda: client.recv(65536), b""))
    assert said.splitlines()[-1].startswith(b"354 ")
    assert received == []


def test_what_was_caught_is_fetched_once(tmp_path: Path) -> None:
    caught, folder = tmp_path / "caught", tmp_path / "mail"
    with running(EXAMPLES / "catch.py", caught) as (end, _):
        send(end, "alice@example.com")
    [path] = caught.iterdir()
    with maildrop(caught) as end:
        first = fetch(end, folder)
        second = fetch(end, folder)
        third = fetch(end, folder, "--delete")
    [stored] = (folder / "new").iterdir()
    assert stored.read_bytes() == CONTENT.replace(b"\r\n", b"\n")
    assert first.stdout.splitlines() == [
        f"{path.stem} in {stored.name}",
        "1 new, 0 deleted",
    ]
    assert second.stdout == "0 new, 0 deleted\n"
    assert third.stdout == "0 new, 1 deleted\n"
    assert first.stderr == second.stderr == third.stderr == ""
    assert not list(caught.iterdir())


def test_who_cannot_fetch_says_why(tmp_path: Path) -> None:
    with maildrop(tmp_path) as end:
        fetched = fetch(end, tmp_path / "mail", tls="require")
    assert fetched.returncode == 1
    assert fetched.stdout == ""
    assert fetched.stderr == (
        "not fetched: TLS is required, and the server does not offer STLS\n"
    )
