"""The command line: in this process, and as real processes."""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from program import PROGRAM, Serving
from smtp_pop_adapters import __main__
from smtp_pop_adapters._cli import _demo, command
from smtp_pop_adapters._cli._adapters import ADAPTERS
from smtp_pop_adapters._cli._progress import progress
from smtp_pop_adapters._cli._values import one_line
from smtp_pop_adapters.blocking import serve_smtp
from smtp_pop_adapters.maildir_application import MaildirUsers

MESSAGE = b"Subject: hello\n\nOne line.\n"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=stdin, prog_name="smtp-pop")


def stored(root: Path) -> dict[str, list[bytes]]:
    """Return what is in new/ of each user."""
    return {
        box.name: [path.read_bytes() for path in sorted((box / "new").iterdir())]
        for box in sorted(root.iterdir())
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def port(root: Path) -> Iterator[str]:
    """The port of a server that stores for alice and jürgen."""
    users = MaildirUsers(root, ["alice", "jürgen"])
    with serve_smtp(users, "127.0.0.1") as server:
        yield str(server.addresses[0][1])


def send(port: str, *arguments: str, stdin: bytes | None = None) -> Result:
    where = ("--host", "127.0.0.1", "--port", port)
    return run("send", *where, "--from", "a@b.example", *arguments, stdin=stdin)


# The program


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"smtp-pop, version [0-9.]+\n", run("--version").stdout)


def test_without_click_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(sys.modules):
        if name.startswith("smtp_pop_adapters._cli"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == (
        "",
        "smtp-pop needs click: install smtp-pop-core[cli]\n",
    )


def test_another_module_that_is_missing_is_not_taken_for_click(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(sys.modules):
        if name.startswith("smtp_pop_adapters._cli"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "smtp_pop_adapters._cli._demo", None)
    with pytest.raises(ModuleNotFoundError, match="_demo"):
        __main__.main()


def test_the_program_says_what_it_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--help"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith("Usage: smtp-pop ")
    assert re.findall(r"^  ([\w-]+)  ", told, re.MULTILINE)[-5:] == [
        *("demo", "fetch", "hash-password", "send", "serve")
    ]


WRONG = [
    # arguments, a part of the complaint
    (["receive"], "No such command"),
    (["demo", "--adapter", "gevent"], "is not one of"),
    (["serve", "--maildir", "m"], "Nothing to listen on"),
    (["serve", "--smtp", "127.0.0.1:0"], "--maildir"),
    (["serve", "--maildir", "m", "--smtp", "25"], "not HOST:PORT"),
    (["serve", "--maildir", "m", "--smtp", "h:"], "not HOST:PORT"),
    (["serve", "--maildir", "m", "--smtp", "h:65536"], "not HOST:PORT"),
    (["serve", "--maildir", "m", "--smtp", "h:²"], "not HOST:PORT"),
    (["serve", "--maildir", "m", "--smtp", "h:-1"], "not HOST:PORT"),
    (["serve", "--maildir", "m", "--smtp", "::1:25"], "in brackets"),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--user", "a"], "NAME:PASSWORD"),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--user", ":p"], "NAME:PASSWORD"),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--user", "a:"], "NAME:PASSWORD"),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--user", "../a:p"], "'../a'"),
    (
        ["serve", "--maildir", "m", "--smtp", "h:0", "--user", "a:p", "--user", "A:q"],
        "given twice",
    ),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--max-size", "0"], "--max-size"),
    (["serve", "--maildir", "m", "--smtp", "h:0", "--imap", "h:0"], "--imap"),
    (
        ["serve", "--maildir", "m", "--smtp", "h:0", "--proxy-protocol", "127.0.0.1/8"],
        "'--proxy-protocol': 127.0.0.1/8 has host bits set",
    ),
    (
        ["serve", "--maildir", "m", "--smtp", "h:0", "--proxy-protocol", "::1,mx"],
        "'--proxy-protocol': 'mx' does not appear",
    ),
    (
        ["serve", "--maildir", "m", "--smtp", "h:0", "--xclient", "127.0.0.1/8"],
        "'--xclient': 127.0.0.1/8 has host bits set",
    ),
    (["serve", "--maildir", __file__, "--smtp", "h:0"], "--maildir"),
    (["send", "--host", "h", "--from", "a@b", "--to", "c@d"], "--port"),
    (["send", "--host", "h", "--port", "1", "--to", "c@d"], "--from"),
    (["send", "--host", "h", "--port", "1", "--from", "a@b"], "--to"),
    (["send", "--host", "h", "--port", "0", "--from", "", "--to", "c@d"], "--port"),
    (["send", "--host", "h", "--port", "1", "--from", "a", "--to", "c@d"], "'a'"),
    (["send", "--host", "h", "--port", "1", "--from", "", "--to", "<c@d>"], "'<c@d>'"),
    (["send", "--host", "h", "--port", "1", "--from", "", "--to", ""], "''"),
    (
        ["send", "--host", "h", "--port", "1", "--from", "", "--to", "a@b\nRSET"],
        r"'a@b\nRSET'",
    ),
    (["send", "--host", "h", "--port", "1", "--from", "", "--to", "a@b", "no"], "'no'"),
    (["send", "--host", "h", "--port", "1", "--from", "", "--to", "a@b", "/"], "'/'"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG)
def test_wrong_usage_is_exit_code_2(arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert ":p" not in result.stderr  # it may be a password


def test_text_of_others_cannot_steer_the_terminal() -> None:
    assert one_line("a\x1b[2J\nb\u202e\x85ü ") == r"a\x1b[2J\nb\u202e\x85ü"


# send


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_file_is_sent(port: str, root: Path, tmp_path: Path, adapter: str) -> None:
    file = tmp_path / "message"
    file.write_bytes(MESSAGE)
    result = send(port, "--to", "alice@x", "--adapter", adapter, str(file))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "alice@x 250 2.0.0 Message accepted\n"
    assert stored(root) == {"alice": [MESSAGE]}


CONTENTS = [
    (b"", b""),
    (b"one\r\n.\r\n..\r\n", b"one\n.\n..\n"),
    (b"lf\nand crlf\r\n", b"lf\nand crlf\n"),
    (b"no end", b"no end\n"),
    ("Grüße\n".encode(), "Grüße\n".encode()),
    (b"\0\xff\n", b"\0\xff\n"),
    (b"x" * 262_143 + b"\r\n.\r\n", b"x" * 262_143 + b"\n.\n"),
    (b"a line of a long message\n" * 200_000, b"a line of a long message\n" * 200_000),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_standard_input_is_sent(
    port: str, root: Path, content: bytes, expected: bytes
) -> None:
    assert send(port, "--to", "alice@x", stdin=content).exit_code == 0
    assert stored(root) == {"alice": [expected]}


def test_what_a_pipe_gives_is_sent(port: str, root: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(MESSAGE,))
    writer.start()
    result = send(port, "--to", "alice@x", str(pipe))
    writer.join()
    assert result.exit_code == 0
    assert stored(root) == {"alice": [MESSAGE]}


@pytest.mark.parametrize(
    "content",
    [b"\r", b"a\rb\n", b"a\r\r\n", b"x" * 262_143 + b"\ry", b"\n" * 262_144 + b"\r"],
)
def test_a_lone_cr_is_refused_before_connecting(content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        result = send(str(listener.getsockname()[1]), "--to", "alice@x", stdin=content)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: the message holds a lone CR, which cannot be sent\n"
    )


def test_each_recipient_has_a_line_in_the_order_given(port: str, root: Path) -> None:
    recipients = ["no@x", "alice@x", "jürgen@bücher.example", "Postmaster", "alice@x"]
    options = [each for name in recipients for each in ("--to", name)]
    result = send(port, *options, stdin=MESSAGE)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "no@x 550 5.1.1 No such user here",
        *(f"{name} 250 2.0.0 Message accepted" for name in recipients[1:]),
    ]
    assert stored(root) == {
        name: [MESSAGE] for name in ("alice", "jürgen", "postmaster")
    }


@pytest.mark.parametrize("sender", ["", "<>"])
def test_a_bounce_has_no_sender(port: str, sender: str) -> None:
    options = ("--from", sender, "--to", "alice@x", "--trace")
    result = send(port, *options, stdin=MESSAGE)
    assert result.exit_code == 0
    assert "C: MAIL FROM:<> SIZE=29" in result.stderr


def test_the_dialogue_goes_to_standard_error(port: str) -> None:
    result = send(port, "--to", "alice@x", "--trace", stdin=MESSAGE)
    assert result.stdout == "alice@x 250 2.0.0 Message accepted\n"
    lines = result.stderr.splitlines()
    assert {line[:3] for line in lines} == {"C: ", "S: "}
    assert lines[0].startswith("S: 220 ")
    assert lines[-2] == "C: QUIT"


def test_an_ipv6_address_may_stand_in_brackets(root: Path) -> None:
    with serve_smtp(MaildirUsers(root), "::1") as server:
        for host in ("::1", "[::1]"):
            port = str(server.addresses[0][1])
            arguments = ("--from", "", "--to", "postmaster", "--port", port)
            assert run("send", "--host", host, *arguments).exit_code == 0
    assert stored(root) == {"postmaster": [b"", b""]}


@contextlib.contextmanager
def scripted(*replies: bytes) -> Iterator[str]:
    """A server that says each reply when it has heard something, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def session() -> None:
        sock, _ = listener.accept()
        with sock:
            for reply in replies:
                sock.sendall(reply)
                sock.recv(1000)

    thread = threading.Thread(target=session)
    with listener:
        thread.start()
        yield str(listener.getsockname()[1])
        thread.join()


UP_TO_CONTENT = (
    b"220 hi\r\n",
    b"250 hi\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"354 \r\n",
)

ENDINGS = [
    # what the server says, the line on standard output, that on standard error
    ((*UP_TO_CONTENT,), "c@d - in doubt: the connection was lost before the reply", ""),
    (
        (*UP_TO_CONTENT, b"250-two\x1b[2J\r\n250 lines\r\n"),
        r"c@d 250 two\x1b[2J lines",
        "",
    ),
    ((*UP_TO_CONTENT, b"552\r\n"), "c@d 552", ""),
    ((*UP_TO_CONTENT[:3], b"452 full\r\n", b"221 \r\n"), "c@d 452 full", ""),
    ((*UP_TO_CONTENT[:2], b"421 no\r\n"), "c@d 421 no", ""),
    ((*UP_TO_CONTENT[:2],), "", "the server closed the connection"),
    ((b"554 go\r\n", b"221 \r\n"), "", "Connect: 554 go"),
    ((b"HTTP/1.0 400 \r\n",), "", "not a line of a reply"),
    (
        (b"220 hi\r\n", b"250-hi\r\n250 SIZE 5\r\n", b"221 \r\n"),
        "",
        "29 octets are more than the server's 5",
    ),
]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("replies", "out", "complaint"), ENDINGS)
def test_whatever_the_server_does_there_is_one_line(
    replies: tuple[bytes, ...], out: str, complaint: str, adapter: str
) -> None:
    with scripted(*replies) as port:
        result = send(port, "--to", "c@d", "--adapter", adapter, stdin=MESSAGE)
    assert result.exit_code == (" 250 " not in out)
    assert result.stdout == (out and f"{out}\n")
    assert complaint in result.stderr
    assert result.stderr.count("\n") == bool(complaint)


def test_nobody_listening_is_one_line_on_standard_error() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
        result = send(port, "--to", "alice@x", stdin=MESSAGE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: 127.0.0.1:{port}: Connection refused\n"


def test_without_standard_input_there_is_nothing_to_send() -> None:
    where = ("--host", "::1", "--port", "1", "--from", "", "--to", "a@b")
    ended = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *PROGRAM, "send", *where],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: the message: ")


def test_a_reply_can_be_printed_whatever_the_locale(port: str) -> None:
    where = ("--host", "127.0.0.1", "--port", port)
    ended = subprocess.run(
        [*PROGRAM, "send", *where, "--from", "", "--to", "用@x", "--to", "ö@x"],
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert ended.stdout.splitlines() == [
        rb"\u7528@x 550 5.1.1 No such user here",
        b"\xf6@x 550 5.1.1 No such user here",
    ]


# Progress


@contextlib.contextmanager
def terminal() -> Iterator[list[bytes]]:
    """Make standard error a terminal, and give what is written to it in the end."""
    shown: list[bytes] = []
    ours, theirs = pty.openpty()
    reader = threading.Thread(
        target=lambda: shown.extend(iter(lambda: part(ours), b""))
    )
    reader.start()
    with open(theirs, "w") as stderr, contextlib.redirect_stderr(stderr):
        yield shown
    reader.join()
    os.close(ours)


def part(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 10_000)
    except OSError:  # nobody has the other end any more
        return b""


def test_long_work_shows_its_progress_on_a_terminal() -> None:
    with terminal() as shown, progress() as update:
        update(2_500_000, 5_000_000)
        update(5_000_000, 5_000_000)
    assert b"5.0/5.0 MB" in b"".join(shown)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_long_message_shows_how_far_it_is(port: str, adapter: str) -> None:
    where = ("--host", "127.0.0.1", "--port", port, "--from", "a@x", "--to", "alice@x")
    with terminal() as shown:
        sending = subprocess.run(
            [*PROGRAM, "send", *where, "--adapter", adapter],
            input=b"a line of a long message\n" * 200_000,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            timeout=60,
            check=True,
        )
    assert sending.stdout == b"alice@x 250 2.0.0 Message accepted\n"
    assert b"/5.2 MB" in b"".join(shown)


@pytest.mark.parametrize("size", [1, 999_999, None])
def test_short_work_shows_no_progress(size: int | None) -> None:
    with terminal() as shown, progress() as update:
        update(1, size)
    assert shown == []


def test_beside_the_dialogue_no_progress_is_shown() -> None:
    with terminal() as shown, progress(hidden=True) as update:
        update(5_000_000, 5_000_000)
    assert shown == []


def test_no_progress_is_shown_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress() as update:
        update(5_000_000, 5_000_000)
    assert capsys.readouterr() == ("", "")


# serve


SERVING = {
    **{name: ("--adapter", name) for name in ADAPTERS},
    "workers": ("--workers", "2"),
}


@pytest.fixture(params=SERVING)
def serving(root: Path, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments of `serve` for each adapter, and for several processes."""
    return ("--maildir", str(root), *SERVING[request.param])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_by_a_signal(
    root: Path, serving: tuple[str, ...], number: int
) -> None:
    with Serving(*serving, "--smtp", "127.0.0.1:0") as it:
        assert it.host == "127.0.0.1"
        assert send(str(it.port), "--to", "postmaster", stdin=MESSAGE).exit_code == 0
        assert it.end(number) == (0, "", "")
    assert stored(root) == {"postmaster": [MESSAGE]}


def test_a_server_stores_for_its_users(root: Path) -> None:
    arguments = ("--maildir", str(root), "--smtp", "[::1]:0", "--catch-all")
    with Serving(*arguments, "--user", "Alice:a:secret", "--user", "b b:x") as it:
        assert it.host == "[::1]"
        result = run(
            *("send", "--host", "::1", "--port", str(it.port), "--from", ""),
            *("--to", "ALICE@x", "--to", '"b b"@x', "--to", "who@x"),
            stdin=MESSAGE,
        )
        assert result.exit_code == 0
        assert it.end() == (0, "", "")
    assert stored(root) == {name: [MESSAGE] for name in ("alice", "b b", "catch-all")}


@pytest.mark.parametrize(
    ("networks", "answer"),
    [
        ("127.0.0.0/8", b"220 "),
        ("::1, 127.0.0.1", b"220 "),
        ("::1,unix", b"500 5.5.1 Command not recognized\r\n"),
    ],
)
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_server_behind_a_proxy_speaks_after_its_header(
    root: Path, protocol: str, networks: str, answer: bytes
) -> None:
    arguments = ("--maildir", str(root), f"--{protocol}", "127.0.0.1:0")
    with Serving(*arguments, "--proxy-protocol", networks) as it:
        with (
            socket.create_connection((it.host, it.port), 30) as sock,
            sock.makefile("rb") as replies,
        ):
            sock.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\nQUIT\r\n")
            *said, goodbye = replies
        assert said[-1].startswith(answer)
        assert goodbye.startswith(b"221 ")
        assert it.end() == (0, "", "")


@pytest.mark.parametrize(
    ("networks", "code"), [("127.0.0.0/8", 220), ("::1,unix", 550)]
)
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_proxy_may_speak_for_its_clients(
    root: Path, protocol: str, networks: str, code: int
) -> None:
    arguments = ("--maildir", str(root), f"--{protocol}", "127.0.0.1:0")
    with Serving(*arguments, "--xclient", networks) as it:
        with (
            socket.create_connection((it.host, it.port), 30) as sock,
            sock.makefile("rb") as replies,
        ):
            sock.sendall(b"XCLIENT ADDR=192.0.2.1\r\nQUIT\r\n")
            _, answer, goodbye = replies
        assert answer.startswith(b"%d " % code)
        assert goodbye.startswith(b"221 ")
        assert it.end() == (0, "", "")


def test_a_signal_lets_a_running_transaction_end(
    root: Path, serving: tuple[str, ...]
) -> None:
    with (
        Serving(*serving, "--smtp", "127.0.0.1:0") as it,
        socket.create_connection((it.host, it.port), 30) as sock,
        socket.create_connection((it.host, it.port), 30) as idle,
        sock.makefile("rb") as replies,
        idle.makefile("rb") as told,
    ):
        assert told.readline().startswith(b"220 ")
        assert replies.readline().startswith(b"220 ")
        for line in (b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<postmaster>", b"DATA"):
            sock.sendall(line + b"\r\n")
            assert replies.readline()[:1] in b"23"
        sock.sendall(b"half a mess")
        it.tell(signal.SIGTERM)
        assert told.readline() == b"421 4.3.2 Shutting down\r\n"
        assert told.readline() == b""
        told.close()
        idle.close()
        sock.sendall(b"age\r\n.\r\n")
        assert replies.readline().startswith(b"250 ")
        assert replies.readline().startswith(b"421 ")
        assert replies.readline() == b""
        replies.close()
        sock.close()
        assert it.wait() == (0, "", "")
    assert stored(root) == {"postmaster": [b"half a message\n"]}


def test_what_happens_in_sessions_is_logged_if_that_is_wanted(root: Path) -> None:
    arguments = ("--maildir", str(root), "--smtp", "127.0.0.1:0")
    with Serving(*arguments, "--log-level", "info") as it:
        assert send(str(it.port), "--to", "postmaster", stdin=MESSAGE).exit_code == 0
        code, _, said = it.end()
    assert code == 0
    events = [line.split()[3] for line in said.splitlines()]
    assert events == ["connected", "message_taken", "ended"]


def test_so_many_sessions_are_served_at_once(root: Path) -> None:
    arguments = ("--maildir", str(root), "--smtp", "127.0.0.1:0")
    with (
        Serving(*arguments, "--sessions", "1") as it,
        socket.create_connection((it.host, it.port), 30) as one,
        one.makefile("rb") as said,
    ):
        assert said.readline().startswith(b"220 ")
        result = send(str(it.port), "--to", "postmaster", stdin=MESSAGE)
        assert (result.exit_code, "421" in result.stderr) == (1, True)


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_file_of_a_unix_socket_goes_with_the_server(
    root: Path, tmp_path: Path, workers: str
) -> None:
    path = tmp_path / "socket"
    arguments = ("--maildir", str(root), "--workers", workers, "--lmtp", str(path))
    with Serving(*arguments, "--smtp", "localhost:0") as it:
        for _ in range(6):
            result = run(
                *("send", "--host", str(path), "--lmtp", "--from", ""),
                *("--to", "postmaster"),
                stdin=MESSAGE,
            )
            assert result.exit_code == 0
        assert path.is_socket()
        code, _, err = it.end()
        assert (code, err) == (0, "")
    assert not path.exists()
    assert stored(root) == {"postmaster": [MESSAGE] * 6}


def test_a_unix_socket_that_another_has_taken_over_stays(
    root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    arguments = ("--maildir", str(root), "--smtp", "127.0.0.1:0", "--lmtp", str(path))
    with Serving(*arguments) as it, socket.socket(socket.AF_UNIX) as other:
        path.rename(tmp_path / "before")
        other.bind(str(path))
        code, _, err = it.end()
        assert (code, err) == (0, "")
        assert path.is_socket()


def test_all_processes_take_mail(root: Path) -> None:
    arguments = ("--maildir", str(root), "--workers", "2", "--smtp", "127.0.0.1:0")
    new = root / "postmaster" / "new"
    writers: set[str] = set()
    with Serving(*arguments) as it:
        while len(writers) < 2:  # which of them gets a connection, the system decides
            result = send(str(it.port), "--to", "postmaster", stdin=MESSAGE)
            assert result.exit_code == 0
            names = [path.name for path in new.iterdir()]
            writers = {name.partition("P")[2].partition("Q")[0] for name in names}
        assert it.end() == (0, "", "")


def serve_here(*arguments: str) -> str:
    """Run `serve` in this process, end it by SIGTERM, and return what it said."""
    said: list[str] = []
    ours, theirs = os.pipe()

    def end_it() -> None:
        with open(ours) as reader:
            said.append(reader.readline())
            signal.raise_signal(signal.SIGTERM)
            said.append(reader.read())

    thread = threading.Thread(target=end_it)
    thread.start()
    with open(theirs, "w") as out, contextlib.redirect_stdout(out):
        command.main(["serve", *arguments], standalone_mode=False)
    thread.join()
    return "".join(said)


def test_what_a_server_says_is_where_it_listens(root: Path) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    said = serve_here("--maildir", str(root), "--smtp", "127.0.0.1:0")
    assert re.fullmatch(r"listening smtp 127\.0\.0\.1:[0-9]+\n", said)
    after = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    assert after == before
    assert root.is_dir()


def test_every_address_has_a_line(root: Path) -> None:
    said = serve_here("--maildir", str(root), "--smtp", ":0")
    assert sorted(line.rpartition(":")[0] for line in said.splitlines()) == [
        "listening smtp 0.0.0.0",
        "listening smtp [::]",
    ]


def test_lmtp_is_served_beside_smtp(root: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "127.0.0.1:0", "--lmtp", path)
    smtp_line, lmtp_line, last = serve_here(
        "--maildir", str(root), *listeners
    ).splitlines()
    assert re.fullmatch(r"listening smtp 127\.0\.0\.1:[0-9]+", smtp_line)
    assert re.fullmatch(r"listening lmtp 127\.0\.0\.1:[0-9]+", lmtp_line)
    assert last == f"listening lmtp {path}"


def test_nobody_can_log_in_and_that_is_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_here("--maildir", str(root), "--pop3", "127.0.0.1:0")
    warning = capsys.readouterr().err
    assert re.fullmatch(
        r"warning: nobody can log in on pop3 127\.0\.0\.1:[0-9]+\n", warning
    )


def test_a_port_that_is_in_use_is_one_line(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("serve", "--maildir", str(root), "--smtp", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {address}: Address already in use")
    assert result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line(root: Path) -> None:
    root.write_bytes(b"")
    result = run("serve", "--maildir", str(root / "x"), "--smtp", "127.0.0.1:0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {root / 'x'}: Not a directory\n"


def test_the_largest_message_can_be_chosen(root: Path) -> None:
    arguments = ("--maildir", str(root), "--smtp", "127.0.0.1:0", "--max-size", "28")
    with Serving(*arguments) as it:
        result = send(str(it.port), "--to", "postmaster", stdin=MESSAGE)
        assert "29 octets are more than the server's 28" in result.stderr
        assert send(str(it.port), "--to", "postmaster", stdin=b"x\n").exit_code == 0
        assert it.end()[0] == 0


# demo


def test_the_demo_shows_the_dialogue_and_succeeds() -> None:
    ended = subprocess.run([*PROGRAM, "demo"], check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"\nC: MAIL FROM:<demo@example.com> SIZE=29\n" in ended.stdout
    assert b"\nS: 550 5.1.1 No such user here\n" in ended.stdout
    assert ended.stdout.endswith(b"equal octet by octet.\n")


@pytest.mark.parametrize("adapter", ["blocking", "asyncio", "trio"])
def test_the_demo_runs_here_as_well(adapter: str) -> None:
    result = run("demo", "--adapter", adapter)
    assert (result.exit_code, result.stderr) == (0, "")


Letter = _demo.Letter

FLAWS = [
    # a letter that expects something else, what is said about it
    (
        Letter("x", b"one\n", b"onE\n"),
        "x: alice: 4 octets, not 4; the first that differs is number 3",
    ),
    (
        Letter("x", b"one\n", b"one\ntwo\n"),
        "x: alice: 4 octets, not 8; the first that differs is number 5",
    ),
    (
        Letter("x", b"", b"", users=("bob",)),
        "x: stored for ['alice'], not for ['bob']",
    ),
    (
        Letter("x", b"", b"", refused=("alice@example.com",)),
        "x: refused for [], not for ['alice@example.com']",
    ),
    (
        Letter("x", b"", b"", ("nobody@x", "alice@x")),
        "x: refused for ['nobody@x'], not for []",
    ),
]


@pytest.mark.parametrize(("letter", "complaint"), FLAWS)
def test_the_demo_says_what_differs(
    tmp_path: Path, letter: Letter, complaint: str
) -> None:
    shown: list[str] = []
    found = _demo.differences([letter], tmp_path, shown.append)
    assert found[0] == complaint
    assert complaint.removeprefix("x: ") in "\n".join(shown)


def test_the_demo_says_that_the_server_failed(tmp_path: Path) -> None:
    (tmp_path / "alice").write_bytes(b"not a folder")
    found = _demo.differences([Letter("x", b"", b"")], tmp_path, lambda line: None)
    assert found[0] == "x: refused for ['alice@example.com'], not for []"
    assert any(each.startswith("a server failed: FileExistsError(") for each in found)


def test_the_demo_fails_if_something_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo, "LETTERS", (FLAWS[0][0],))
    result = run("demo")
    assert result.exit_code == 1
    assert FLAWS[0][1] in result.stderr
