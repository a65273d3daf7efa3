"""A Postfix with a configuration of its own, which delivers to our two servers."""

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from peers import free_port, public_folder, running
from smtp_pop_adapters.blocking import serve_smtp
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
{more}
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
tlsmgr unix - - n 300 1 tlsmgr
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


@contextlib.contextmanager
def running_postfix(program: str, *, more: str = "") -> Iterator[Postfix]:
    """Run Postfix; more is what its main.cf has beside the usual."""
    with public_folder() as folder:
        yield from _run(folder, program, more)


def _run(folder: Path, program: str, more: str) -> Iterator[Postfix]:
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
                more=more,
            )
        )
        (folder / "conf/master.cf").write_text(MASTER.format(port=it.port))
        command = [program, "-c", str(folder / "conf")]
        stack.enter_context(running([*command, "start-fg"], it.port))
        stack.callback(subprocess.run, [*command, "stop"], capture_output=True)
        yield it
