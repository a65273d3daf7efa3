"""The application that stores what it takes."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smtp_pop_adapters.blocking import SmtpClient, connect_smtp, serve_smtp
from smtp_pop_adapters.maildir_application import MaildirUsers
from smtp_pop_core import SERVER, Blocks, Content, Flow, Limits, read, smtp

MESSAGE = b"Subject: hello\n\nOne line.\n"
HOP = b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"

Mistakes = list[Exception]


@pytest.fixture
def mistakes() -> Mistakes:
    return []


@pytest.fixture
def client(tmp_path: Path, mistakes: Mistakes) -> Iterator[SmtpClient]:
    """A client of a server that stores for alice, "b b" and jürgen."""
    users = MaildirUsers(tmp_path, ["alice", "b b", "jürgen"])
    with (
        serve_smtp(users, "127.0.0.1", report=mistakes.append) as server,
        connect_smtp(*server.addresses[0]) as client,
    ):
        yield client


def stored(root: Path) -> dict[str, bytes]:
    """Return what is in new/, by user; a user has one message at most."""
    found = [(path.parts[-3], path.read_bytes()) for path in root.glob("*/new/*")]
    assert len(dict(found)) == len(found)
    return dict(found)


def left_over(root: Path) -> list[Path]:
    return [*root.glob("*/tmp/*"), *root.glob("*/new/*")]


RECIPIENTS = [
    # the recipient, the folder or None
    ("alice@example.com", "alice"),
    ("ALICE@EXAMPLE.ORG", "alice"),
    ("alice@[192.0.2.1]", "alice"),
    ('"alice"@example.com', "alice"),
    ('"al\\ice"@example.com', "alice"),
    ('"b b"@example.com', "b b"),
    ("jürgen@bücher.example", "jürgen"),
    ("JüRGEN@bücher.example", "jürgen"),
    ("postmaster", "postmaster"),
    ("PostMaster", "postmaster"),
    ("POSTMASTER@example.com", "postmaster"),
    ('"postmaster"@example.com', "postmaster"),
    ("bob@example.com", None),
    ("alice.b@example.com", None),
    ("alic@example.com", None),
    ("JÜRGEN@bücher.example", None),
    ("ju\u0308rgen@bücher.example", None),
    ('"../alice"@example.com', None),
    ('"alice/new"@example.com', None),
    ('".."@example.com', None),
    ('""@example.com', None),
    ("catch-all@example.com", None),
]


@pytest.mark.parametrize(("recipient", "folder"), RECIPIENTS)
def test_a_recipient_has_a_maildir_or_not(
    tmp_path: Path, recipient: str, folder: str | None
) -> None:
    users = MaildirUsers(tmp_path, ["Alice", "b b", "jürgen"])
    maildir = users.maildir(recipient)
    assert (maildir and maildir.path) == (folder and tmp_path / folder)


@pytest.mark.parametrize(("recipient", "folder"), RECIPIENTS)
def test_mail_for_all_others_can_be_caught(
    tmp_path: Path, recipient: str, folder: str | None
) -> None:
    users = MaildirUsers(str(tmp_path), ["Alice", "b b", "jürgen"], catch_all=True)
    maildir = users.maildir(recipient)
    assert maildir is not None
    assert maildir.path == tmp_path / (folder or "catch-all")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\nb", " a", "x" * 256, "a\ud800"])
def test_a_name_that_cannot_be_that_of_a_user_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ValueError, match="not a"):
        MaildirUsers(tmp_path, [name])


def test_a_message_is_stored_once_for_each_user(
    client: SmtpClient, tmp_path: Path
) -> None:
    recipients = ["alice@x", "Alice@y", '"b b"@x', "alice@x", "Postmaster", "bob@x"]
    result = client.send_mail("a@b", recipients, MESSAGE)
    assert result.refused == ["bob@x"]
    assert str(result.recipients[-1].reply) == "550 5.1.1 No such user here"
    assert len(result.accepted) == 5
    assert stored(tmp_path) == dict.fromkeys(["alice", "b b", "postmaster"], MESSAGE)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b".\n..\n", b"\n\nbody\n", "Grüße\n".encode(), b"x" * 300_000 + b"\n"],
)
def test_what_was_sent_is_stored_octet_for_octet(
    client: SmtpClient, tmp_path: Path, content: bytes
) -> None:
    client.send_mail("a@b", "alice@x", content).check()
    assert stored(tmp_path) == {"alice": content}


# Loops


def message(hops: int, filling: bytes = b"") -> bytes:
    return HOP * hops + filling + b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    "content",
    [
        message(101),
        message(101, b"X-Long: " + b"x" * 200_000 + b"\r\n"),
        message(101, b"X-Long: " + b"x" * 2_000_000 + b"\r\n"),
        message(50).replace(b"Subject", HOP * 51 + b"subject"),
        HOP * 101,
        HOP.upper() * 101,
    ],
)
def test_a_message_in_a_loop_is_refused(
    client: SmtpClient, tmp_path: Path, mistakes: Mistakes, content: bytes
) -> None:
    result = client.send_mail("a@b", "alice@x", content)
    assert result.reply is not None
    assert (result.reply.code, str(result.reply.enhanced)) == (554, "5.4.6")
    assert client.noop().code == 250
    assert left_over(tmp_path) == []
    assert mistakes == []


@pytest.mark.parametrize(
    "content",
    [
        message(100),
        b"\r\n" + HOP * 101,
        message(1) + HOP * 101,
        b"Subject: x\r\n\r\n" + HOP * 101,
        (b"X-" + HOP) * 101,
        b"Subject: x\r\n" + (b" " + HOP) * 101,
    ],
)
def test_a_message_with_few_hops_is_taken(client: SmtpClient, content: bytes) -> None:
    client.send_mail("a@b", "alice@x", content).check()


# Failures


@contextmanager
def file_size_limit(octets: int) -> Iterator[None]:
    """Let no file grow over a size: writing more is an OSError, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failure_of_the_file_system_is_told_to_the_operator(
    client: SmtpClient, tmp_path: Path, mistakes: Mistakes
) -> None:
    with file_size_limit(1000):
        result = client.send_mail("a@b", "alice@x", b"x" * 2000)
    assert str(result.reply) == "451 4.3.0 Local error in processing"
    assert left_over(tmp_path) == []
    assert [type(each) for each in mistakes] == [OSError]


def test_if_one_user_cannot_be_stored_for_none_is(
    client: SmtpClient, tmp_path: Path, mistakes: Mistakes
) -> None:
    (tmp_path / "b b").write_bytes(b"not a folder")
    result = client.send_mail("a@b", ["alice@x", '"b b"@x'], MESSAGE)
    assert result.outcome is smtp.Outcome.REFUSED
    assert result.retry == ["alice@x", '"b b"@x']
    assert left_over(tmp_path) == []
    assert len(mistakes) == 1
    (tmp_path / "b b").unlink()
    client.send_mail("a@b", ["alice@x", '"b b"@x'], MESSAGE).check()
    assert stored(tmp_path) == {"alice": MESSAGE, "b b": MESSAGE}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_no_for_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def write(flow: Flow[bytes]) -> bytes:
        raise OSError(number, os.strerror(number))

    content = Blocks(write, Content(read))
    envelope = smtp.Envelope(smtp.Mail("a@b"), (smtp.Rcpt("alice@x"),))
    peer = smtp.Peer(smtp.Connection(SERVER))
    reply = MaildirUsers(tmp_path, ["alice"])(peer).message(envelope, content)
    assert str(reply) == "452 4.3.1 Insufficient system storage"
    assert left_over(tmp_path) == []
    assert os.strerror(number) in caplog.text


def test_a_message_that_breaks_off_is_not_stored(
    tmp_path: Path, mistakes: Mistakes
) -> None:
    users = MaildirUsers(tmp_path, ["alice"])
    with (
        serve_smtp(users, "127.0.0.1", report=mistakes.append) as server,
        connect_smtp(*server.addresses[0]) as client,
        pytest.raises(ZeroDivisionError),
    ):
        client.send_mail("a@b", "alice@x", (b"%d" % (1 // n) for n in (1, 0)))
    assert left_over(tmp_path) == []
    assert mistakes == []


def test_a_message_that_is_too_large_is_not_stored(
    tmp_path: Path, mistakes: Mistakes
) -> None:
    limits = Limits(content=1000)
    users = MaildirUsers(tmp_path, ["alice"])
    with (
        serve_smtp(users, "127.0.0.1", limits=limits, report=mistakes.append) as server,
        connect_smtp(*server.addresses[0]) as client,
    ):
        result = client.send_mail("a@b", "alice@x", iter([b"x\r\n"] * 1000))
        assert result.reply is not None
        assert result.reply.code == 552
        assert client.noop().code == 250
    assert left_over(tmp_path) == []
    assert mistakes == []
