"""Real POP3 clients fetch from our server, with TLS and each mechanism they know."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from smtp_pop_adapters.blocking import serve_pop3
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_application import MaildirReaders
from smtp_pop_core import Logins, sasl

DOTS = b"Subject: dots\n\n.\n..\n.a\nh\xc3\xa9llo\nthe end\n"
EMPTY_BODY = b"Subject: nothing\n\n"
LARGE = b"Subject: large\n\n" + b"x" * 70 + b"\n" + b".y\n" * 100_000
MESSAGES = (DOTS, EMPTY_BODY, LARGE)
PASSWORD = "secret"
USERS = sasl.Users({"alice": PASSWORD}, key=b"key")


@dataclass(frozen=True)
class Place:
    """Our servers, and a place for what clients write.

    Attributes:
        folder: An empty folder.
        stls: The port with STLS.
        implicit: The port with TLS from the start.
        ca: A file with the certificate to trust.
        maildir: What the servers serve.
    """

    folder: Path
    stls: int
    implicit: int
    ca: Path
    maildir: Maildir

    def run(self, *command: object, ok: tuple[int, ...] = (0,)) -> bytes:
        """Run a program, and return what it has said."""
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode in ok, done.stdout + done.stderr
        return done.stdout

    def write(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def left(self) -> int:
        return len(list((self.maildir.path / "new").iterdir()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1", common_name="localhost")
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    root = tmp_path / "mail"
    maildir = Maildir(root / "alice")
    for content in MESSAGES:
        maildir.deliver([content.replace(b"\n", b"\r\n")])
    logins = Logins(stored=USERS.stored, fake_salt_key=b"key", allow_insecure=True)
    readers = MaildirReaders(root, USERS)
    mistakes: list[Exception] = []
    with (
        serve_pop3(
            *(readers, "127.0.0.1"),
            tls=context,
            logins=logins,
            apop=True,
            report=mistakes.append,
        ) as stls,
        serve_pop3(
            *(readers, "127.0.0.1"),
            tls=context,
            implicit_tls=True,
            logins=logins,
            report=mistakes.append,
        ) as implicit,
    ):
        first, second = (each.addresses[0][1] for each in (stls, implicit))
        yield Place(tmp_path, first, second, ca, maildir)
    assert mistakes == []


def curl(programs: dict[str, str], place: Place, *arguments: object) -> bytes:
    login = ("--user", f"alice:{PASSWORD}", "--cacert", place.ca)
    return place.run(programs["curl"], "-sS", *login, *arguments)


def test_curl_lists_and_fetches(programs: dict[str, str], place: Place) -> None:
    url = f"pop3://127.0.0.1:{place.stls}/"
    assert len(curl(programs, place, url).splitlines()) == len(MESSAGES)
    for number, content in enumerate(MESSAGES, start=1):
        fetched = curl(programs, place, "--ssl-reqd", f"{url}{number}")
        assert fetched == content.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "+APOP"])
@pytest.mark.parametrize("tls", [False, True])
def test_curl_logs_in(
    programs: dict[str, str], place: Place, mechanism: str, tls: bool
) -> None:
    options = ["--login-options", f"AUTH={mechanism}", *(["--ssl-reqd"] * tls)]
    url = f"pop3://127.0.0.1:{place.stls}/1"
    fetched = curl(programs, place, *options, url)
    assert fetched == DOTS.replace(b"\n", b"\r\n")


def test_curl_fetches_inside_tls_and_deletes(
    programs: dict[str, str], place: Place
) -> None:
    url = f"pop3s://127.0.0.1:{place.implicit}/1"
    assert curl(programs, place, url) == DOTS.replace(b"\n", b"\r\n")
    curl(programs, place, "-X", "DELE", "--list-only", url)
    assert place.left() == len(MESSAGES) - 1


def fetched(folder: Path) -> list[bytes]:
    """Return the messages of a Maildir, as they were before clients added fields."""
    found = [path.read_bytes() for path in sorted((folder / "new").iterdir())]
    return sorted(each[each.index(b"Subject: ") :] for each in found)


def a_maildir(place: Place) -> Path:
    folder = place.folder / "got"
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "mechanism",
    ["user", "apop", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"],
)
@pytest.mark.parametrize("tls", ["off", "stls", "on"])
def test_mpop_fetches(
    programs: dict[str, str], place: Place, mechanism: str, tls: str
) -> None:
    if mechanism == "apop" and tls == "on":
        mechanism = "user"  # no greeting of that port has a time-stamp
    folder = a_maildir(place)
    port = place.implicit if tls == "on" else place.stls
    configuration = place.write(
        "mpoprc",
        f"account ours\nhost 127.0.0.1\nport {port}\nuser alice\n"
        f"password {PASSWORD}\nauth {mechanism}\n"
        f"tls {'off' if tls == 'off' else 'on'}\n"
        f"tls_starttls {'on' if tls == 'stls' else 'off'}\n"
        + ("" if tls == "off" else f"tls_trust_file {place.ca}\n")
        + f"received_header off\ndelivery maildir {folder}\n"
        f"uidls_file {place.folder}/uidls\nkeep off\n",
    )
    place.run(programs["mpop"], "-C", configuration, "ours")
    assert fetched(folder) == sorted(MESSAGES)
    assert place.left() == 0


@pytest.mark.parametrize("tls", [False, True])
def test_getmail_fetches(programs: dict[str, str], place: Place, tls: bool) -> None:
    folder = a_maildir(place)
    deliver = place.write("deliver", '#!/bin/sh\nexec cat > "$1/new/$$"\n')
    deliver.chmod(0o700)
    kind, port = ("SSL", place.implicit) if tls else ("", place.stls)
    place.write(
        "getmailrc",
        f"[retriever]\ntype = SimplePOP3{kind}Retriever\nserver = 127.0.0.1\n"
        f"port = {port}\nusername = alice\npassword = {PASSWORD}\n"
        + (f"ca_certs = {place.ca}\n" if tls else "")
        + f"[destination]\ntype = MDA_external\npath = {deliver}\n"
        f'arguments = ("{folder}",)\nallow_root_commands = true\n'
        "[options]\ndelete = true\ndelivered_to = false\nreceived = false\n",
    )
    place.run(
        programs["getmail"], "--getmaildir", place.folder, "--rcfile", "getmailrc"
    )
    assert fetched(folder) == sorted(MESSAGES)
    assert place.left() == 0


@pytest.mark.parametrize("tls", ["off", "stls", "on"])
def test_fetchmail_fetches(programs: dict[str, str], place: Place, tls: str) -> None:
    got = place.folder / "got"
    port = place.implicit if tls == "on" else place.stls
    security = {
        "off": 'sslproto ""',
        "stls": f"sslproto TLS1+ sslcertck sslcertfile {place.ca}",
        "on": f"ssl sslcertck sslcertfile {place.ca}",
    }[tls]
    place.write(
        "fetchmailrc",
        f"poll localhost protocol POP3 port {port}\n"
        f"  user alice password {PASSWORD} is root here\n"
        f'  {security} fetchall no keep no rewrite mda "cat >> {got}"\n',
    )
    place.run(
        *(programs["fetchmail"], "-f", "fetchmailrc", "--invisible", "--nosyslog"),
        *("--pidfile", place.folder / "pid", "--idfile", place.folder / "ids"),
    )
    assert got.read_bytes().replace(b"\r\n", b"\n") == b"".join(MESSAGES)
    assert place.left() == 0
