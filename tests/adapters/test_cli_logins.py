"""The command line with TLS, logins and POP3: here, against real servers."""

import os
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from program import Serving
from smtp_pop_adapters._cli import _demo, command
from smtp_pop_adapters._cli._adapters import ADAPTERS
from smtp_pop_adapters._cli._seen import seen_file
from smtp_pop_adapters.blocking import serve_pop3, serve_smtp
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_application import MaildirReaders, MaildirUsers
from smtp_pop_core import Logins, pop3, sasl

MESSAGE = b"Subject: hello\r\n\r\n.dot\r\n"
STORED = MESSAGE.replace(b"\r\n", b"\n")
USERS = sasl.Users({"alice": "wonderland", "bob": "builder"}, key=b"key")
NOBODY = "127.0.0.1:0"


def run(*arguments: str, password: str | None = "wonderland") -> Result:
    env = {"SMTP_POP_PASSWORD": password}
    return CliRunner().invoke(command, arguments, env=env, prog_name="smtp-pop")


@dataclass(frozen=True)
class Place:
    """Servers over Maildirs, and the files of their certificate."""

    root: Path
    smtp: str
    pop3: str
    pop3s: str
    plain: str
    ca: str
    cert: str
    key: str

    def fetch(self, *arguments: str, port: str | None = None) -> Result:
        """Fetch for alice, with trust in the server, into the Maildir `got`."""
        return run(
            *("fetch", "--host", "127.0.0.1", "--port", port or self.pop3),
            *("--ca", self.ca, "--user", "alice", "--maildir", str(self.got)),
            *arguments,
        )

    @property
    def got(self) -> Path:
        return self.root / "got"

    def fetched(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.got / "new").iterdir())]

    def left(self) -> int:
        return len(list((self.root / "alice" / "new").iterdir()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "mail"
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    logins = Logins(stored=USERS.stored, fake_salt_key=b"key", delay=0)
    readers = MaildirReaders(root, USERS)
    takers = MaildirUsers(root, ["alice", "bob"], logins=USERS)
    with (
        serve_smtp(takers, "127.0.0.1", tls=context, logins=logins) as smtp,
        serve_pop3(
            readers, "127.0.0.1", tls=context, logins=logins, apop=True
        ) as plain_first,
        serve_pop3(
            readers, "127.0.0.1", tls=context, logins=logins, implicit_tls=True
        ) as implicit,
        serve_pop3(readers, "127.0.0.1", logins=logins) as without,
    ):
        yield Place(
            root,
            *(
                str(each.addresses[0][1])
                for each in (smtp, plain_first, implicit, without)
            ),
            *(str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")),
        )


def deliver(place: Place, *contents: bytes) -> list[str]:
    """Store messages for alice, and return their unique ids."""
    paths = [Maildir(place.root / "alice").deliver([each]) for each in contents]
    return [path.name.partition(",")[0] for path in paths]


# fetch


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_is_fetched_is_stored_and_told(place: Place, adapter: str) -> None:
    first, second = deliver(place, MESSAGE, b"x")
    result = place.fetch("--adapter", adapter)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"1 {first} 24\n2 {second} 3\n"
    assert place.fetched() == [STORED, b"x\n"]
    assert place.left() == 2


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "plain", "USER", "APOP"])
def test_a_way_to_log_in_can_be_named(place: Place, mechanism: str) -> None:
    deliver(place, MESSAGE)
    # the time-stamp is forgotten with STLS: APOP is for servers without it
    port = {"APOP": ("--tls", "none")}.get(mechanism, ())
    result = place.fetch("--mechanism", mechanism, *port)
    assert (result.exit_code, result.stderr) == (0, "")


def test_messages_are_fetched_inside_tls_from_the_start(place: Place) -> None:
    deliver(place, MESSAGE)
    assert place.fetch("--tls", "implicit", port=place.pop3s).exit_code == 0
    assert place.fetched() == [STORED]


def test_what_is_stored_can_be_deleted(place: Place) -> None:
    deliver(place, MESSAGE, MESSAGE)
    assert place.fetch("--delete").exit_code == 0
    assert (len(place.fetched()), place.left()) == (2, 0)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_was_seen_is_not_fetched_again(
    place: Place, tmp_path: Path, adapter: str
) -> None:
    seen = tmp_path / "seen"
    first, second = deliver(place, MESSAGE, b"x")
    fetched = place.fetch("--keep-seen", str(seen), "--adapter", adapter)
    assert fetched.exit_code == 0
    assert seen.read_bytes() == bytes(pop3.Seen([first, second]))
    (third,) = deliver(place, b"y")
    result = place.fetch("--keep-seen", str(seen))
    assert (result.exit_code, result.stdout) == (0, f"3 {third} 3\n")
    assert place.fetch("--keep-seen", str(seen), "--delete").stdout == ""
    assert (len(place.fetched()), place.left()) == (3, 0)


def test_ids_that_are_gone_from_the_server_leave_the_file(
    place: Place, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.write_bytes(bytes(pop3.Seen(["gone"])))
    (there,) = deliver(place, MESSAGE)
    assert place.fetch("--keep-seen", str(seen)).exit_code == 0
    assert seen.read_bytes() == bytes(pop3.Seen([there]))


def test_a_file_that_a_crash_has_cut_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_bytes(bytes(pop3.Seen(["a"])) + b"half")
    with seen_file(path) as file:
        assert path.read_bytes() == bytes(pop3.Seen(["a"]))
        file.note("b")
    assert path.read_bytes() == bytes(pop3.Seen(["a", "b"]))


def test_a_file_of_ids_has_one_user(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "seen"
    with seen_file(path):
        result = place.fetch("--keep-seen", str(path))
    assert result.exit_code == 1
    assert "temporarily unavailable" in result.stderr


def test_another_file_is_not_taken_for_one_of_ids(place: Place) -> None:
    result = place.fetch("--keep-seen", place.ca)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not a file of unique ids" in result.stderr


def test_the_dialogue_is_shown_without_the_password(place: Place) -> None:
    deliver(place, MESSAGE)
    result = place.fetch("--trace", "--mechanism", "USER")
    assert "C: PASS (secret)\n" in result.stderr
    assert "wonderland" not in result.stderr + result.stdout


NOT_FETCHED = [
    # arguments, a part of what is said
    (["--mechanism", "APOP"], "no time-stamp"),
    (["--tls", "none", "--mechanism", "USER"], "reveal a secret"),
    (["--user", "bob"], "[AUTH]"),
]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("arguments", "said"), NOT_FETCHED)
def test_what_cannot_be_fetched_is_one_line(
    place: Place, arguments: list[str], said: str, adapter: str
) -> None:
    result = place.fetch(*arguments, "--adapter", adapter)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_server_without_tls_gets_no_password(place: Place) -> None:
    result = place.fetch(port=place.plain)
    assert result.exit_code == 1
    assert "TLS is required, and the server does not offer STLS" in result.stderr


def test_a_certificate_is_checked_unless_the_user_says_so(place: Place) -> None:
    deliver(place, MESSAGE)
    where = [*("--host", "127.0.0.1", "--port", place.pop3, "--user", "alice")]
    where += ["--maildir", str(place.got)]
    result = run("fetch", *where)
    assert result.exit_code == 1
    assert "certificate verify failed" in result.stderr
    assert run("fetch", *where, "--insecure").exit_code == 0


def test_the_password_can_come_from_a_file(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wonderland\r\nignored\n")
    where = [*("--host", "127.0.0.1", "--port", place.pop3, "--ca", place.ca)]
    where += ["--user", "alice", "--maildir", str(place.got)]
    result = run("fetch", *where, "--password-file", str(file), password=None)
    assert (result.exit_code, result.stderr) == (0, "")


WRONG = [
    # arguments, a part of the complaint
    (["--user", "a"], "--user needs a password"),
    ([], "Missing option '--user'"),
    (["--user", "a\x01"], "--user: "),
    (["--user", "a", "--mechanism", "NTLM"], "'NTLM' is none of"),
    (["--user", "a", "--insecure", "--ca", __file__], "do not go together"),
    (["--user", "a", "--tls", "starttls"], "--tls"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG)
def test_wrong_usage_of_fetch_is_exit_code_2(
    arguments: list[str], complaint: str
) -> None:
    password = None if arguments == ["--user", "a"] else "x"
    result = run(
        *("fetch", "--host", "h", "--port", "1", "--maildir", "m"),
        *arguments,
        password=password,
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_fetch_needs_a_port(place: Place) -> None:
    result = run("fetch", "--host", "h", "--user", "a", "--maildir", "m")
    assert "Missing option '--port'" in result.stderr


def test_a_file_that_cannot_be_a_password_is_wrong_usage(
    place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff\n")
    result = place.fetch("--password-file", str(file))
    assert result.exit_code == 2
    assert "--password-file: " in result.stderr


def test_a_file_without_certificates_is_one_line(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "ca"
    file.write_bytes(b"")
    result = place.fetch("--ca", str(file))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


# send


def send(place: Place, *arguments: str, password: str | None = "wonderland") -> Result:
    return CliRunner().invoke(
        command,
        (
            *("send", "--host", "127.0.0.1", "--port", place.smtp),
            *("--from", "a@b", "--to", "alice@example.com", *arguments),
        ),
        input=MESSAGE,
        env={"SMTP_POP_PASSWORD": password},
        prog_name="smtp-pop",
    )


def test_a_message_is_sent_by_somebody_who_has_logged_in(place: Place) -> None:
    arguments = ("--ca", place.ca, "--user", "alice", "--trace")
    result = send(place, *arguments, "--mechanism", "SCRAM-SHA-256")
    assert (result.exit_code, result.stdout) == (
        0,
        "alice@example.com 250 2.0.0 Message accepted\n",
    )
    assert "C: STARTTLS\n" in result.stderr
    assert "C: AUTH SCRAM-SHA-256 (secret)\n" in result.stderr
    assert place.left() == 1


def test_tls_is_used_where_it_is_offered(place: Place) -> None:
    result = send(place, "--trace")
    assert result.exit_code == 0
    assert "C: STARTTLS\n" in result.stderr


def test_tls_can_be_left_out(place: Place) -> None:
    result = send(place, "--trace", "--tls", "none")
    assert result.exit_code == 0
    assert "STARTTLS\n" not in result.stderr.replace("S: 250-STARTTLS\n", "")


def test_a_wrong_password_sends_nothing(place: Place) -> None:
    arguments = ("--ca", place.ca, "--user", "alice")
    result = send(place, *arguments, password="wrong")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "535" in result.stderr
    assert not (place.root / "alice").exists()


# serve


def serving(place: Place, *arguments: str) -> Serving:
    return Serving("--maildir", str(place.root), *arguments)


def test_a_pop3_server_serves_its_users(place: Place) -> None:
    deliver(place, MESSAGE)
    arguments = ("--pop3", NOBODY, "--user", "alice:wonderland", "--cert", place.cert)
    with serving(place, *arguments, "--key", place.key) as it:
        result = place.fetch(port=str(it.port))
        assert (result.exit_code, result.stderr) == (0, "")
        assert it.end() == (0, "", "")
    assert place.fetched() == [STORED]


def test_a_pop3_server_speaks_tls_from_the_start(place: Place) -> None:
    arguments = ("--pop3s", NOBODY, "--user", "alice:wonderland", "--cert", place.cert)
    with serving(place, *arguments, "--key", place.key) as it:
        result = place.fetch("--tls", "implicit", port=str(it.port))
        assert (result.exit_code, result.stderr) == (0, "")
        assert it.end() == (0, "", "")


def test_apop_is_offered_if_the_user_says_so(place: Place) -> None:
    arguments = ("--pop3", NOBODY, "--user", "alice:wonderland", "--apop")
    with serving(place, *arguments) as it:
        result = place.fetch(
            *("--tls", "none", "--mechanism", "APOP"), port=str(it.port)
        )
        assert (result.exit_code, result.stderr) == (0, "")
        assert it.end() == (0, "", "")


@pytest.mark.parametrize("scheme", ["SCRAM-SHA-256", "scrypt"])
def test_a_user_of_a_file_can_log_in(place: Place, tmp_path: Path, scheme: str) -> None:
    hashed = hash_password("wonderland\n", "--scheme", scheme)
    file = tmp_path / "users"
    file.write_text(f"# who can log in\n\nalice:{hashed.stdout}")
    arguments = ("--pop3", NOBODY, "--users", str(file), "--cert", place.cert)
    with serving(place, *arguments, "--key", place.key) as it:
        result = place.fetch(port=str(it.port))
        assert (result.exit_code, result.stderr) == (0, "")
        assert it.end() == (0, "", "")


NOBODY_LOGS_IN = [
    # further arguments: on these listeners nobody could log in
    ("--pop3", NOBODY),
    ("--smtp", NOBODY, "--users", "USERS"),
    ("--pop3", NOBODY, "--users", "USERS"),
]


@pytest.mark.parametrize("arguments", NOBODY_LOGS_IN)
def test_a_listener_on_which_nobody_can_log_in_is_told(
    place: Place, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    file = tmp_path / "users"
    file.write_text(f"alice:{sasl.hash_password('x', b's' * 16)}\n")
    given = [str(file) if each == "USERS" else each for each in arguments]
    with serving(place, *given) as it:
        code, out, errors = it.end()
    assert (code, out) == (0, "")
    assert errors.startswith("warning: nobody can log in on ")


WRONG_SERVERS = [
    # arguments, a part of the complaint
    (["--pop3s", NOBODY], "need --cert"),
    (["--pop3", NOBODY, "--key", __file__], "--key needs --cert"),
    (["--pop3", NOBODY, "--users", __file__], "line 1 is not NAME:STORED"),
    (["--pop3", NOBODY, "--user", "a\u00a0:x"], "--user"),
    (["--pop3", NOBODY, "--user", "\u212b:x", "--user", "\u00c5:x"], "--user"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG_SERVERS)
def test_wrong_usage_of_serve_is_exit_code_2(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = run("serve", "--maildir", str(tmp_path), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_users_in_a_file_that_is_no_text_are_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_bytes(b"\xff")
    arguments = ("--maildir", str(tmp_path), "--pop3", NOBODY)
    result = run("serve", *arguments, "--users", str(file))
    assert result.exit_code == 2
    assert "--users: " in result.stderr


def test_apop_needs_passwords_in_clear(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"alice:{sasl.hash_password('x', b's' * 16)}\n")
    arguments = ("--maildir", str(tmp_path), "--pop3", NOBODY, "--apop")
    result = run("serve", *arguments, "--users", str(file))
    assert result.exit_code == 2
    assert "--apop needs passwords in clear" in result.stderr


def test_a_certificate_that_is_none_is_one_line(tmp_path: Path) -> None:
    arguments = ("--maildir", str(tmp_path), "--pop3", NOBODY, "--cert", __file__)
    result = run("serve", *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


# hash-password


def hash_password(given: str, *arguments: str) -> Result:
    return CliRunner().invoke(command, ("hash-password", *arguments), input=given)


@pytest.mark.parametrize(
    ("scheme", "begins"),
    [
        ("SCRAM-SHA-256", "SCRAM-SHA-256$15000:"),
        ("SCRAM-SHA-512", "SCRAM-SHA-512$15000:"),
        ("scram-sha-1", "SCRAM-SHA-1$15000:"),
        ("scrypt", "$scrypt$"),
    ],
)
def test_what_is_stored_serves_to_check_the_password(scheme: str, begins: str) -> None:
    result = hash_password("a b c\r\n", "--scheme", scheme)
    assert result.exit_code == 0
    assert result.stdout.startswith(begins)
    stored = result.stdout.removesuffix("\n")
    assert sasl.verify_password(stored, "a b c")
    assert not sasl.verify_password(stored, "a b")
    assert hash_password("a b c\n", "--scheme", scheme).stdout != result.stdout


@pytest.mark.parametrize("given", ["", "\n", "\u0000\n"])
def test_what_is_no_password_is_wrong_usage(given: str) -> None:
    assert hash_password(given).exit_code == 2


class Terminal(StringIO):
    """Standard input of somebody who sits there."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("once_more", "code"), [("secret", 0), ("other", 2)])
def test_who_sits_at_a_terminal_is_asked_twice(
    monkeypatch: pytest.MonkeyPatch, once_more: str, code: int
) -> None:
    answers = iter(["secret", once_more])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(SystemExit) as ended:
        command.main(["hash-password"], prog_name="smtp-pop")
    assert ended.value.code == code


# demo


def test_the_demo_shows_both_dialogues(tmp_path: Path) -> None:
    shown: list[str] = []
    assert _demo.differences(_demo.LETTERS[:2], tmp_path, shown.append) == []
    for line in ("C: AUTH SCRAM-SHA-256-PLUS (secret)", "C: STLS", "C: RETR 1"):
        assert line in shown
    assert os.listdir(tmp_path / "alice" / "new") == []


def test_the_demo_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    result = run("demo")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: the demo needs trustme: install smtp-pop-core[cli]\n"
    )
