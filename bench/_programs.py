"""Programs of others on free loopback ports: Postfix's tools, Dovecot, curl."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ._processes import HOST

_MORE: Final = "/usr/sbin:/usr/local/sbin"
_PACKAGES: Final = {
    "smtp-source": "postfix",
    "smtp-sink": "postfix",
    "dovecot": "dovecot-pop3d",
    "curl": "curl",
}
USER: Final = "joe"
PASSWORD: Final = "secret"

_DOVECOT: Final = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3
mail_location = maildir:{folder}/home/%n
mail_fsync = never
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home/%n
}}
service pop3-login {{
  inet_listener pop3 {{
    address = {host}
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


class Missing(Exception):
    """A program that is needed is not there."""


def find(name: str) -> str:
    """Return where a program is.

    Raises:
        Missing: It is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_MORE}")
    if found is None:
        raise Missing(f"{name} is not there; Debian has it in {_PACKAGES[name]}")
    return found


def free_port() -> int:
    """Return a port of the loopback that nobody uses."""
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[int]:
    """Run a server until it listens, give its process id, and end it in the end."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said) as process,
    ):
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    socket.create_connection((HOST, port)).close()
                    break
                if process.poll() is not None:
                    said.seek(0)
                    raise OSError(f"{command[0]} has ended: {said.read()!r}")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def smtp_sink() -> Iterator[tuple[int, int]]:
    """Run smtp-sink; give its port and process id."""
    port = free_port()
    program = find("smtp-sink")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with running([program, *user, f"{HOST}:{port}", "1000"], port) as pid:
        yield port, pid


@contextlib.contextmanager
def dovecot(contents: dict[str, Sequence[bytes]]) -> Iterator[int]:
    """Run Dovecot with these maildrops, by user; give the port of POP3.

    Raises:
        Missing: It is not installed, or we may not start it.
    """
    program = find("dovecot")
    if os.geteuid() != 0:
        raise Missing("dovecot is only started by root")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "users").write_text(
            "".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in contents)
        )
        for user, messages in contents.items():
            home = folder / "home" / user
            for part in ("tmp", "new", "cur"):
                (home / part).mkdir(parents=True)
            for number, content in enumerate(messages):
                (home / "new" / f"{1_700_000_000 + number}.M1P1.host").write_bytes(
                    content
                )
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        port = free_port()
        configuration = folder / "dovecot.conf"
        configuration.write_text(_DOVECOT.format(folder=folder, host=HOST, port=port))
        with running([program, "-F", "-c", str(configuration)], port):
            yield port
