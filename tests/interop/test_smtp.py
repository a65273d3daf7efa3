"""Real SMTP clients send to our server; our client sends to a real server."""

import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from peers import free_port, running
from smtp_pop_adapters.blocking import Server, connect_smtp, serve_smtp
from smtp_pop_core import Blocks, smtp

MESSAGE = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nh\xc3\xa9llo\r\nthe end\r\n"


class Store(smtp.Application):
    """Keeps what it takes; refuses whoever is called nobody."""

    taken: list[tuple[smtp.Envelope, bytes]]

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        if command.recipient.startswith("nobody@"):
            return smtp.Reply(550, ("No such mailbox",), smtp.EnhancedCode(5, 1, 1))
        return None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        self.taken.append((envelope, content.read()))
        return None


@pytest.fixture
def store() -> type[Store]:
    return type("Store", (Store,), {"taken": []})


@pytest.fixture
def server(store: type[Store]) -> Iterator[Server]:
    mistakes: list[Exception] = []
    with serve_smtp(store, "127.0.0.1", report=mistakes.append) as server:
        yield server
    assert mistakes == []


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "message.eml"
    path.write_bytes(MESSAGE)
    return path


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_sends_to_us(
    programs: dict[str, str], server: Server, store: type[Store], message: Path
) -> None:
    host, port = server.addresses[0]
    run(
        *(programs["curl"], "--silent", "--show-error"),
        *("--url", f"smtp://{host}:{port}/client.example"),
        *("--mail-from", "a@example.com", "--upload-file", message),
        *("--mail-rcpt-allowfails", "--mail-rcpt", "nobody@example.com"),
        *("--mail-rcpt", "b@example.com", "--mail-rcpt", "c@example.com"),
    )
    [(envelope, content)] = store.taken
    assert envelope.recipients == ("b@example.com", "c@example.com")
    assert envelope.mail.size == len(MESSAGE)
    assert content == MESSAGE


@pytest.mark.parametrize("option", ["--pipeline", "--show-time-lapse"])
def test_swaks_sends_to_us(
    programs: dict[str, str],
    server: Server,
    store: type[Store],
    message: Path,
    option: str,
) -> None:
    host, port = server.addresses[0]
    run(
        *(programs["swaks"], "--server", f"{host}:{port}", "--helo", "client.example"),
        *("--from", "a@example.com", "--to", "b@example.com,c@example.com", option),
        *("--data", message.read_text().replace("\r", "").replace("\n", "\\n")),
    )
    [(envelope, content)] = store.taken
    assert envelope.recipients == ("b@example.com", "c@example.com")
    assert content.startswith(b"Subject: dots\r\n")
    assert b"\r\n.\r\n..\r\n.a\r\n" in content


def test_msmtp_sends_to_us(
    programs: dict[str, str], server: Server, store: type[Store], message: Path
) -> None:
    host, port = server.addresses[0]
    with message.open("rb") as file:
        subprocess.run(
            [
                *(programs["msmtp"], "--file=/dev/null", f"--host={host}"),
                *(f"--port={port}", "--domain=client.example"),
                *("--from=a@example.com", "b@example.com"),
            ],
            stdin=file,
            check=True,
        )
    [(_, content)] = store.taken
    assert content.endswith(MESSAGE)


@pytest.mark.parametrize(
    "options", [("-d",), ("-s", "10"), ("-r", "7", "-l", "200000")]
)
def test_smtp_source_sends_to_us(
    programs: dict[str, str],
    server: Server,
    store: type[Store],
    options: tuple[str, ...],
) -> None:
    host, port = server.addresses[0]
    run(
        *(programs["smtp-source"], *options, "-m", 100, "-M", "client.example"),
        *("-f", "a@example.com", "-t", "b@example.com", f"{host}:{port}"),
    )
    assert len(store.taken) == 100


@pytest.fixture
def lmtp_server(store: type[Store]) -> Iterator[Server]:
    mistakes: list[Exception] = []
    with serve_smtp(store, "127.0.0.1", lmtp=True, report=mistakes.append) as server:
        yield server
    assert mistakes == []


def test_swaks_sends_to_us_by_lmtp(
    programs: dict[str, str], lmtp_server: Server, store: type[Store]
) -> None:
    host, port = lmtp_server.addresses[0]
    said = run(
        *(programs["swaks"], "--protocol", "LMTP", "--server", f"{host}:{port}"),
        *("--helo", "client.example", "--from", "a@example.com"),
        *("--to", "b@example.com,nobody@example.com,c@example.com"),
    )
    assert said.count("250 2.0.0 Message accepted") == 2
    [(envelope, _)] = store.taken
    assert envelope.recipients == ("b@example.com", "c@example.com")


def test_smtp_source_sends_to_us_by_lmtp(
    programs: dict[str, str], lmtp_server: Server, store: type[Store]
) -> None:
    host, port = lmtp_server.addresses[0]
    run(
        *(programs["smtp-source"], "-L", "-m", 100, "-r", 3, "-M", "client.example"),
        *("-f", "a@example.com", "-t", "b@example.com", f"{host}:{port}"),
    )
    assert len(store.taken) == 100


@pytest.mark.parametrize(
    "options",
    [(), ("-p",), ("-e",), ("-8",), ("-a",)],
    ids=["plain", "no PIPELINING", "no EHLO", "no 8BITMIME", "no HELO name"],
)
def test_we_send_to_smtp_sink(
    programs: dict[str, str], tmp_path: Path, options: tuple[str, ...]
) -> None:
    port = free_port()
    message = EmailMessage()
    message["From"] = "a@example.com"
    message["To"] = "b@example.com, c@example.com"
    message.set_content("héllo\n.\n..dots\n", cte="8bit")
    pattern = str(tmp_path / "sink.")
    command = [programs["smtp-sink"], "-u", "nobody", "-d", pattern, *options]
    tmp_path.chmod(0o777)
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(0o755)
    with (
        running([*command, f"127.0.0.1:{port}", "10"], port),
        connect_smtp("127.0.0.1", port) as client,
    ):
        results = [client.send_message(message) for _ in range(3)]
    assert [result.outcome for result in results] == [smtp.Outcome.ACCEPTED] * 3
    stored = [path.read_bytes() for path in tmp_path.glob("sink.*")]
    assert len([one for one in stored if b"To: b@example.com" in one]) == 3


def test_we_hear_what_smtp_sink_refuses(programs: dict[str, str]) -> None:
    port = free_port()
    command = [programs["smtp-sink"], "-u", "nobody", "-r", "rcpt", "-f", "vrfy"]
    with (
        running([*command, f"127.0.0.1:{port}", "10"], port),
        connect_smtp("127.0.0.1", port) as client,
    ):
        result = client.send_mail("a@example.com", ["b@example.com"], b"x")
        again = client.send_mail("a@example.com", ["b@example.com"], b"x")
    assert [each.outcome for each in (result, again)] == [smtp.Outcome.REFUSED] * 2
