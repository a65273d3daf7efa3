"""SMTP clients log in to our server; our client logs in to Postfix, by Dovecot."""

import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from interop.dovecot import MECHANISMS, PASSWORD, Dovecot, running_dovecot
from interop.postfix import Postfix, running_postfix
from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import (
    AuthenticationFailed,
    Blocks,
    Logins,
    PolicyError,
    sasl,
    smtp,
)

MESSAGE = b"Subject: dots\n\n.\n..\n.a\nthe end\n"
TOKEN = "a.token~of+the/user=="
USERS = sasl.Users({"alice": "secret"}, key=b"key")
STORED = frozenset({*USERS.stored, sasl.Stored.TOKEN})
came: list[tuple[str, bool, bytes]] = []


class Submission(smtp.Application):
    """Takes mail, and notes from whom."""

    def authenticate(self, question: sasl.Question) -> object:
        match question:
            case sasl.VerifyToken(token=token):
                return "alice" if token == TOKEN else None
            case _:
                return USERS.answer(question)

    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        came.append((self.peer.identity, self.peer.tls, content.read()))


@dataclass(frozen=True)
class Place:
    """Our servers.

    Attributes:
        folder: A folder with the message and the certificate to trust.
        starttls: The port with STARTTLS.
        implicit: The port with TLS from the start.
    """

    folder: Path
    starttls: int
    implicit: int

    def run(self, *command: object, stdin: bytes = b"") -> None:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            check=False,
            cwd=self.folder,
            input=stdin,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    came.clear()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "message").write_bytes(MESSAGE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    arguments: dict[str, Any] = {
        "tls": context,
        "logins": Logins(stored=STORED, fake_salt_key=b"key", allow_insecure=True),
        "profile": smtp.SUBMISSION,
    }
    with (
        serve_smtp(Submission, "127.0.0.1", **arguments) as starttls,
        serve_smtp(Submission, "127.0.0.1", implicit_tls=True, **arguments) as implicit,
    ):
        yield Place(tmp_path, *(each.addresses[0][1] for each in (starttls, implicit)))


def expect(*, tls: bool) -> None:
    """One message has come, from somebody who has logged in."""
    ((identity, inside_tls, content),) = came
    assert (identity, inside_tls) == ("alice", tls)
    # some add a last empty line
    assert content.rstrip(b"\r\n").endswith(MESSAGE.replace(b"\n", b"\r\n").rstrip())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks_logs_in(programs: dict[str, str], place: Place, mechanism: str) -> None:
    place.run(
        *(programs["swaks"], "--server", "127.0.0.1", "--port", place.starttls),
        *("--auth", mechanism, "--auth-user", "alice", "--auth-password", "secret"),
        *("--from", "a@example.com", "--to", "b@example.com", "--data", "@message"),
    )
    expect(tls=False)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_curl_logs_in(
    programs: dict[str, str], place: Place, mechanism: str, tls: str
) -> None:
    scheme, port = {
        "starttls": ("smtp", place.starttls),
        "implicit": ("smtps", place.implicit),
    }[tls]
    secret = ["--oauth2-bearer", TOKEN] if mechanism == "XOAUTH2" else []
    place.run(
        *(programs["curl"], "-sS", "--ssl-reqd", "--cacert", "ca.pem", "--crlf"),
        *("--user", "alice" if secret else "alice:secret", *secret),
        *("--login-options", f"AUTH={mechanism}", "--upload-file", "message"),
        *("--mail-from", "a@example.com", "--mail-rcpt", "b@example.com"),
        f"{scheme}://127.0.0.1:{port}/me.example.com",
    )
    expect(tls=True)


@pytest.mark.parametrize(
    "mechanism",
    [
        *("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"),
        *("oauthbearer", "xoauth2"),
    ],
)
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_msmtp_logs_in(
    programs: dict[str, str], place: Place, mechanism: str, tls: str
) -> None:
    port = place.starttls if tls == "starttls" else place.implicit
    secret = TOKEN if "oauth" in mechanism else "secret"
    configuration = place.folder / "msmtprc"
    configuration.write_text(
        f"account ours\nhost 127.0.0.1\nport {port}\nfrom a@example.com\n"
        f"domain me.example.com\nauth {mechanism}\nuser alice\npassword {secret}\n"
        f"tls on\ntls_trust_file ca.pem\n"
        f"tls_starttls {'on' if tls == 'starttls' else 'off'}\n"
    )
    configuration.chmod(0o600)
    command = (programs["msmtp"], "-C", configuration, "-a", "ours", "b@example.com")
    place.run(*command, stdin=MESSAGE)
    expect(tls=True)


# Our client


@dataclass(frozen=True)
class Submitting:
    """A Postfix that asks Dovecot who may send."""

    postfix: Postfix
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def submitting(programs: dict[str, str]) -> Iterator[Submitting]:
    with (
        running_dovecot(programs["dovecot"]) as dovecot,
        running_postfix(programs["postfix"], more=_restricted(dovecot)) as postfix,
    ):
        yield Submitting(postfix, dovecot.trust)


def _restricted(dovecot: Dovecot) -> str:
    return f"""
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dovecot.folder}/cert.pem
smtpd_tls_key_file = {dovecot.folder}/key.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot.folder}/sasl
smtpd_relay_restrictions = permit_sasl_authenticated reject
smtpd_sender_restrictions = permit_sasl_authenticated reject
"""


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_we_log_in_to_postfix(submitting: Submitting, mechanism: str) -> None:
    store = submitting.postfix.by_smtp
    before = len(store.taken)
    with connect_smtp(
        *("127.0.0.1", submitting.postfix.port),
        context=submitting.trust,
        auth=sasl.Password("alice", PASSWORD),
        mechanism=mechanism,
    ) as client:
        client.send_mail("a@example.com", "one@example.com", MESSAGE).check()
    _, content = store.wait_for(before + 1)[-1]
    assert content.endswith(MESSAGE.replace(b"\n", b"\r\n"))


def test_a_wrong_password_is_a_no(submitting: Submitting) -> None:
    with pytest.raises(AuthenticationFailed) as failed:
        connect_smtp(
            *("127.0.0.1", submitting.postfix.port),
            context=submitting.trust,
            auth=sasl.Password("alice", "wrong"),
        )
    assert isinstance(failed.value, smtp.AuthenticationFailed)
    assert failed.value.reply.code == 535


def test_no_login_without_tls(submitting: Submitting) -> None:
    with pytest.raises(PolicyError, match="the server offers none"):
        connect_smtp(
            *("127.0.0.1", submitting.postfix.port),
            tls="none",
            auth=sasl.Password("alice", PASSWORD),
            allow_insecure_auth=True,
        )
