"""Our client sends to Postfix; Postfix's own clients deliver to our servers."""

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from peers import free_port, running
from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import Blocks, smtp

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
message_size_limit = 60000000
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
local_header_rewrite_clients =
always_add_missing_headers = no
minimal_backoff_time = 1s
queue_run_delay = 1s
smtpd_recipient_restrictions =
    inline:{{ nobody@example.com=REJECT }} permit_mynetworks reject
transport_maps = inline:{{
    {{ lmtp.example.com = lmtp:inet:127.0.0.1:{lmtp} }}
    {{ example.com = smtp:[127.0.0.1]:{smtp} }} }}
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
retry unix - - n - - error
anvil unix - - n - 1 anvil
"""


class Store(smtp.Application):
    """Keeps what it takes, and says when."""

    taken: list[tuple[smtp.Envelope, bytes]]
    changed: threading.Condition

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        if command.recipient.startswith("full@"):
            return smtp.Reply(552, ("Mailbox full",), smtp.EnhancedCode(5, 2, 2))
        return None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        octets = content.read()
        with self.changed:
            self.taken.append((envelope, octets))
            self.changed.notify_all()
        return None

    @classmethod
    def wait_for(cls, count: int) -> list[tuple[smtp.Envelope, bytes]]:
        with cls.changed:
            assert cls.changed.wait_for(lambda: len(cls.taken) >= count, timeout=60)
            return list(cls.taken)


def new_store() -> type[Store]:
    class Fresh(Store):
        changed = threading.Condition()

    Fresh.taken = []
    return Fresh


class Postfix:
    """A running Postfix that delivers to our two servers."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.by_smtp = new_store()
        self.by_lmtp = new_store()

    def wait_for_log(self, pattern: str) -> str:
        for _ in range(600):
            found = re.search(pattern, (self.folder / "log").read_text())
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-3000:])


@pytest.fixture(scope="module")
def postfix(
    programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postfix]:
    folder = tmp_path_factory.mktemp("p")
    for each in [folder, *list(folder.parents)[:3]]:
        each.chmod(each.stat().st_mode | 0o755)
    for name in ("conf", "queue", "data"):
        (folder / name).mkdir()
    subprocess.run(["chown", "postfix", folder / "data"], check=True)
    it = Postfix(folder, free_port())
    with ExitStack() as stack:
        by_smtp = stack.enter_context(serve_smtp(it.by_smtp, "127.0.0.1"))
        by_lmtp = stack.enter_context(serve_smtp(it.by_lmtp, "127.0.0.1", lmtp=True))
        (folder / "conf/main.cf").write_text(
            MAIN.format(
                folder=folder,
                smtp=by_smtp.addresses[0][1],
                lmtp=by_lmtp.addresses[0][1],
            )
        )
        (folder / "conf/master.cf").write_text(MASTER.format(port=it.port))
        command = [programs["postfix"], "-c", str(folder / "conf")]
        stack.enter_context(running([*command, "start-fg"], it.port))
        stack.callback(subprocess.run, [*command, "stop"], capture_output=True)
        yield it


@pytest.mark.parametrize("domain", ["example.com", "lmtp.example.com"])
@pytest.mark.parametrize("chunking", [False, True])
def test_postfix_takes_our_messages_and_brings_them_back(
    postfix: Postfix, domain: str, chunking: bool
) -> None:
    store = postfix.by_smtp if domain == "example.com" else postfix.by_lmtp
    before = len(store.taken)
    recipients = [f"one@{domain}", f"two@{domain}"]
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nthe end\r\n"
    with connect_smtp("127.0.0.1", postfix.port) as client:
        assert {"PIPELINING", "CHUNKING", "DSN"} <= set(client.extensions)
        result = client.send_mail(
            "a@example.com", recipients, content, chunking=chunking
        )
    result.check()
    envelope, octets = store.wait_for(before + 1)[-1]
    assert sorted(envelope.recipients) == recipients
    assert octets.endswith(content)


def test_refused_recipients_do_not_stop_the_others(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    recipients = ["nobody@example.com", "three@example.com", "x@elsewhere.invalid"]
    with connect_smtp("127.0.0.1", postfix.port) as client:
        result = client.send_mail("a@example.com", recipients[:2], b"Subject: x\n\nx\n")
        assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
        assert result.refused == ["nobody@example.com"]
        again = client.send_mail("a@example.com", recipients[:1], b"x\n")
        assert again.outcome is smtp.Outcome.REFUSED
        last = client.send_mail("a@example.com", ["four@example.com"], b"x: y\n\nz\n")
        assert last.outcome is smtp.Outcome.ACCEPTED
    assert len(postfix.by_smtp.wait_for(before + 2)) == before + 2


def test_25_megabytes_go_there_and_back(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    line = b"y" * 76 + b"\r\n"
    content = b"Subject: large\r\n\r\n" + line * (25_000_000 // len(line))
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail(
            "a@example.com", ["big@example.com"], content, chunking=True
        ).check()
    _, octets = postfix.by_smtp.wait_for(before + 1)[-1]
    assert octets.endswith(content)


def test_8_bit_content_and_utf8_addresses_go_there_and_back(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    content = "Subject: grüße\r\n\r\nhéllo\r\n".encode()
    with connect_smtp("127.0.0.1", postfix.port) as client:
        assert "SMTPUTF8" in client.extensions
        client.send_mail("jörg@example.com", ["ünal@example.com"], content).check()
    envelope, octets = postfix.by_smtp.wait_for(before + 1)[-1]
    assert envelope.mail.smtputf8
    assert envelope.mail.body is smtp.Body.EIGHT_BIT_MIME
    assert envelope.recipients == ("ünal@example.com",), octets
    assert octets.endswith(content)


def test_what_is_wanted_of_notices_is_passed_on(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    mail = smtp.Mail("a@example.com", ret=smtp.Ret.HDRS, envid="QQ+314 159")
    rcpt = smtp.Rcpt(
        "five@example.com",
        notify=(smtp.Notify.SUCCESS, smtp.Notify.FAILURE),
        orcpt=("rfc822", "Five=5@example.com"),
    )
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail(mail, [rcpt], b"Subject: x\n\nx\n").check()
    envelope, _ = postfix.by_smtp.wait_for(before + 1)[-1]
    assert envelope.mail.ret is smtp.Ret.HDRS
    assert envelope.mail.envid == "QQ+314 159"
    [taken] = envelope.rcpts
    assert set(taken.notify) == set(rcpt.notify)
    assert taken.orcpt == rcpt.orcpt


@pytest.mark.parametrize("domain", ["example.com", "lmtp.example.com"])
def test_postfix_understands_our_refusals(postfix: Postfix, domain: str) -> None:
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail("", [f"full@{domain}"], b"Subject: x\n\nx\n").check()
    line = postfix.wait_for_log(rf"to=<full@{domain}>.*")
    assert "dsn=5.2.2, status=bounced" in line
    assert "552 5.2.2 Mailbox full" in line
