"""Our client delivers to Dovecot by LMTP, over TCP and a Unix socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import free_port, public_folder, running
from smtp_pop_adapters.blocking import SmtpClient, connect_smtp
from smtp_pop_core import smtp

MESSAGE = b"Subject: dots\n\n.\n..\n.a\nthe end\n"
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
ssl = no
protocols = lmtp
mail_location = maildir:~/mail
postmaster_address = postmaster@example.com
hostname = mx.example.com
lmtp_add_received_header = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home/%n allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
  }}
}}
service anvil {{
  chroot =
}}
"""


class Dovecot:
    """A running Dovecot, and where it keeps what it gets."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def connect(self, over: str) -> SmtpClient:
        if over == "TCP":
            return connect_smtp("127.0.0.1", self.port, lmtp=True)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self.folder / "run/lmtp"))
        return connect_smtp(sock=sock, lmtp=True)

    def messages(self, user: str) -> list[bytes]:
        new = self.folder / "home" / user / "mail/new"
        return [path.read_bytes() for path in sorted(new.iterdir())]


@pytest.fixture
def dovecot(programs: dict[str, str]) -> Iterator[Dovecot]:
    port = free_port()
    with public_folder() as folder:
        home = folder / "home"
        home.mkdir()
        home.chmod(0o777)
        path = folder / "dovecot.conf"
        path.write_text(CONFIGURATION.format(folder=folder, port=port))
        with running([programs["dovecot"], "-F", "-c", str(path)], port):
            yield Dovecot(folder, port)


@pytest.mark.parametrize("over", ["TCP", "a Unix socket"])
@pytest.mark.parametrize("chunking", [False, True])
def test_we_deliver_by_lmtp(dovecot: Dovecot, over: str, chunking: bool) -> None:
    recipients = ["one@example.com", "two@example.com", "one@example.com"]
    with dovecot.connect(over) as client:
        result = client.send_mail(
            "a@example.com", recipients, MESSAGE, chunking=chunking
        )
    assert result.outcome is smtp.Outcome.ACCEPTED
    replies = [each.reply for each in result.recipients]
    assert [reply.code for reply in replies if reply] == [250] * 3
    assert [str(reply).split()[2].strip("<>") for reply in replies] == recipients
    for user in ("one", "two"):
        stored = dovecot.messages(user)
        assert stored
        assert all(each.endswith(MESSAGE) for each in stored)


@pytest.mark.parametrize("chunking", [False, True])
def test_a_message_of_25_megabytes_is_delivered(
    dovecot: Dovecot, chunking: bool
) -> None:
    line = b"x" * 76 + b"\n"
    content = b"Subject: large\n\n" + line * (25_000_000 // len(line))
    waiting = ["big@example.com"]
    for _ in range(5):  # on a busy machine Dovecot says 451 now and then
        with dovecot.connect("TCP") as client:
            result = client.send_mail(
                "a@example.com", waiting, content, chunking=chunking
            )
        if not result.retry:
            break
    result.check()
    assert [each.endswith(content) for each in dovecot.messages("big")] == [True]
