"""A Dovecot with POP3 and submission: TLS, and every mechanism that it knows."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from peers import free_port, public_folder, running

MECHANISMS: Final = (
    *("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"),
)
USERS: Final = ("alice", "list", "many", "large", "gone", "left")
PASSWORD: Final = "wonder land"

_CONFIGURATION: Final = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3 submission
hostname = 127.0.0.1
mail_location = maildir:{folder}/home/%n
mail_fsync = never
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 apop
auth_verbose = yes
auth_failure_delay = 0
mail_max_userip_connections = 100
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
pop3_uidl_format = %f
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
    address = 127.0.0.1
    port = {pop3}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {pop3s}
    ssl = yes
  }}
}}
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {submission}
  }}
}}
service auth {{
  unix_listener {folder}/sasl {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot.

    Attributes:
        folder: Where everything is.
        pop3: The port of POP3, with STLS.
        pop3s: The port of POP3 inside TLS.
        submission: The port of submission, with STARTTLS.
        trust: How a client begins TLS.
    """

    folder: Path
    pop3: int
    pop3s: int
    submission: int
    trust: ssl.SSLContext

    def put(self, user: str, *contents: bytes) -> None:
        """Put messages into the Maildir of a user, in this order."""
        new = self.folder / "home" / user / "new"
        for part in ("tmp", "new", "cur"):
            (new.parent / part).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (new / f"{1_700_000_000 + number}.M1P1.host").write_bytes(content)
        for path in (new.parent, *new.parent.rglob("*")):
            path.chmod(0o777)

    def left(self, user: str) -> int:
        """How many messages a user has."""
        home = self.folder / "home" / user
        return sum(len(list((home / part).iterdir())) for part in ("new", "cur"))


@contextlib.contextmanager
def running_dovecot(program: str, *, relay: int = 1) -> Iterator[Dovecot]:
    """Run Dovecot; submission hands on to a port of this host."""
    with public_folder() as folder:
        yield from _run(folder, program, relay)


def _run(folder: Path, program: str, relay: int) -> Iterator[Dovecot]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "cert.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    users = "".join(f"{name}:{{PLAIN}}{PASSWORD}\n" for name in USERS)
    (folder / "users").write_text(users)
    (folder / "home").mkdir()
    (folder / "home").chmod(0o777)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    ports = {name: free_port() for name in ("pop3", "pop3s", "submission")}
    path = folder / "dovecot.conf"
    path.write_text(_CONFIGURATION.format(folder=folder, relay=relay, **ports))
    with running([program, "-F", "-c", str(path)], ports["pop3"]):
        yield Dovecot(folder, **ports, trust=trust)
