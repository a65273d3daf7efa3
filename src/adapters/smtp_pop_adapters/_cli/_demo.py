"""`smtp-pop demo`: servers and clients talk to each other, here and now."""

import secrets
import ssl
import tempfile
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click

from smtp_pop_core import AsyncBlocks, Blocks, Error, Logins, pop3, sasl

from .._tls import first_certificate
from ..maildir_application import MaildirReaders, MaildirUsers
from ._adapters import (
    ADAPTERS,
    Adapter,
    Pop3Client,
    SmtpClient,
    adapter_of,
    adapter_option,
    settled,
)
from ._values import endpoint, reason

_HOST: Final = "127.0.0.1"
_USERS: Final = ("alice", "bob", "jürgen")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that the demo sends.

    Attributes:
        name: What is special about it.
        content: What is sent; lines end with LF or CRLF.
        stored: What has to be in the file.
        recipients: Who shall get it.
        users: Whose Maildir has to hold it.
        refused: Which of the recipients have to be refused.
    """

    name: str
    content: bytes
    stored: bytes
    recipients: tuple[str, ...] = ("alice@example.com",)
    users: tuple[str, ...] = ("alice",)
    refused: tuple[str, ...] = ()


_HELLO: Final = b"Subject: hello\n\nOne line.\n"
_DOTS: Final = b"Subject: dots\n\n.\n..\n.one\n..two\n\n.\n"
_EIGHT_BIT: Final = (
    "Subject: 8 bits\nContent-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: 8bit\n\nÄpfel, Öl, Übermut: 日本語\n"
).encode()
_LONG: Final = b"Subject: long\n\n" + (b"x" * 75 + b"\n") * 13_797

LETTERS: Final = (
    Letter("a small message", _HELLO, _HELLO),
    Letter("lines that begin with dots", _DOTS, _DOTS),
    Letter("CRLF line ends", _HELLO.replace(b"\n", b"\r\n"), _HELLO),
    Letter("an empty message", b"", b""),
    Letter("no line end at the end", _HELLO + b"and out", _HELLO + b"and out\n"),
    Letter("8-bit content", _EIGHT_BIT, _EIGHT_BIT),
    Letter(
        "an address beyond ASCII",
        _EIGHT_BIT,
        _EIGHT_BIT,
        ("jürgen@bücher.example",),
        ("jürgen",),
    ),
    Letter("a megabyte", _LONG, _LONG),
    Letter(
        "several recipients, one of them unknown",
        _HELLO,
        _HELLO,
        ("alice@example.com", "nobody@example.com", "Bob@example.org", "Postmaster"),
        ("alice", "bob", "postmaster"),
        ("nobody@example.com",),
    ),
)


@click.command()
@adapter_option
def demo(adapter: str) -> None:
    """Send real messages through servers here, fetch them back, and compare.

    SMTP and POP3 run inside TLS, and clients log in.  Shows the dialogues.  The exit
    code is 0 if every octet is where it should be.
    """
    with tempfile.TemporaryDirectory(prefix="smtp-pop-") as folder:
        found = differences(LETTERS, Path(folder), click.echo, adapter)
    if found:
        raise click.ClickException("\n".join(found))


@dataclass(frozen=True, slots=True)
class _Certified:
    """Contexts of both sides, and the server's certificate."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    certificate: bytes


def _certified() -> _Certified:
    """Make a certificate for this host, and those who trust it.

    Raises:
        ClickException: trustme is missing.
    """
    try:
        import trustme
    except ModuleNotFoundError as error:
        raise click.ClickException(
            "the demo needs trustme: install smtp-pop-core[cli]"
        ) from error
    authority = trustme.CA()
    issued = authority.issue_cert(_HOST)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    pem = issued.cert_chain_pems[0].bytes().decode("ascii")
    return _Certified(server, client, first_certificate(pem))


def differences(
    letters: Sequence[Letter],
    root: Path,
    show: Callable[[str], None],
    adapter: str = ADAPTERS[0],
) -> list[str]:
    """Send the letters, fetch them, and return what is not as it should be.

    Args:
        letters: What to send.
        root: An empty folder for the Maildirs.
        show: Called with each line of the dialogues and of the summary.
        adapter: The name of the adapter.
    """
    chosen = adapter_of(adapter)
    return chosen.run(partial(_differences, chosen, letters, root, show))


async def _differences(
    adapter: Adapter,
    letters: Sequence[Letter],
    root: Path,
    show: Callable[[str], None],
) -> list[str]:
    tls = _certified()
    passwords = {name: secrets.token_urlsafe() for name in (*_USERS, "postmaster")}
    users = sasl.Users(passwords, key=secrets.token_bytes())
    logins = Logins(stored=users.stored, fake_salt_key=secrets.token_bytes())
    mistakes: list[Exception] = []
    smtp_server = adapter.serve(
        "smtp",
        MaildirUsers(root, _USERS, logins=users),
        _HOST,
        tls=tls.server,
        certificate=tls.certificate,
        logins=logins,
        report=mistakes.append,
    )
    pop3_server = adapter.serve(
        "pop3",
        MaildirReaders(root, users),
        _HOST,
        tls=tls.server,
        certificate=tls.certificate,
        logins=logins,
        report=mistakes.append,
    )
    async with smtp_server as receiver, pop3_server as store:
        where = receiver.addresses[0], store.addresses[0]
        show(f"(SMTP on {endpoint(*where[0])}, POP3 on {endpoint(*where[1])})")
        show(f"(Maildirs in {root})")
        async with adapter.connect(
            "smtp",
            *where[0],
            tls="require",
            context=tls.client,
            auth=sasl.Password("alice", passwords["alice"]),
            mechanism="SCRAM-SHA-256-PLUS",
            trace=show,
        ) as client:
            found = [each async for each in _send_all(client, letters, root, show)]
            show("\n--- the end of SMTP")
        for name, password in passwords.items():
            show(f"\n--- {name} fetches")
            try:
                async with adapter.connect(
                    "pop3",
                    *where[1],
                    tls="require",
                    context=tls.client,
                    auth=sasl.Password(name, password),
                    mechanism="SCRAM-SHA-256",
                    trace=show,
                ) as reader:
                    fetching = _fetch_all(adapter, reader, letters, name)
                    wrong = [each async for each in fetching]
            except Error as error:
                wrong = [reason(error)]
            show("\n".join(wrong) or "(every octet came back)")
            found += [f"{name}: {each}" for each in wrong]
    found += [f"left on the server: {path}" for path in _files(root)]
    found += [f"a server failed: {each!r}" for each in mistakes]
    if not found:
        copies = sum(len(letter.users) for letter in letters)
        octets = sum(len(letter.stored) * len(letter.users) for letter in letters)
        show(
            f"\n{len(letters)} messages sent; {copies} copies with {octets} octets "
            "were in the Maildirs and came back, equal octet by octet."
        )
    return found


async def _send_all(
    client: SmtpClient,
    letters: Iterable[Letter],
    root: Path,
    show: Callable[[str], None],
) -> AsyncIterator[str]:
    for letter in letters:
        show(f"\n--- {letter.name}")
        wrong = [each async for each in _send(client, letter, root)]
        show("\n".join(wrong) or f"(stored for {', '.join(letter.users)})")
        for each in wrong:
            yield f"{letter.name}: {each}"


async def _fetch_all(
    adapter: Adapter, client: Pop3Client, letters: Iterable[Letter], name: str
) -> AsyncIterator[str]:
    """Fetch and delete all messages of a user, and give what is not as it should be."""
    wanted = [letter for letter in letters if name in letter.users]
    fetched: list[bytes] = []

    async def store(_: pop3.Listed, blocks: Blocks | AsyncBlocks) -> None:
        fetched.append(await settled(blocks.read()))

    result = await settled(client.collect(adapter.storing(store), delete_stored=True))
    if len(fetched) != len(wanted):
        yield f"{len(fetched)} messages came, not {len(wanted)}"
    for letter, came in zip(wanted, fetched, strict=False):
        sent = letter.stored.replace(b"\n", b"\r\n")
        if came != sent:
            yield f"{letter.name}: {_first_difference(came, sent)}"
    if len(result.deleted) != len(wanted):
        yield f"{len(result.deleted)} messages were deleted, not {len(wanted)}"


async def _send(client: SmtpClient, letter: Letter, root: Path) -> AsyncIterator[str]:
    """Send one letter, and give what is not as it should be."""
    before = _files(root)
    result = await settled(
        client.send_mail("demo@example.com", letter.recipients, letter.content)
    )
    if result.refused != list(letter.refused):
        yield f"refused for {result.refused}, not for {list(letter.refused)}"
    if len(result.accepted) != len(letter.recipients) - len(letter.refused):
        yield f"accepted for {result.accepted}"
    for each in _compare(letter, before, _files(root)):
        yield each


def _compare(
    letter: Letter, before: Mapping[Path, str], after: Mapping[Path, str]
) -> Iterator[str]:
    new = sorted(path for path in after if path not in before)
    users = [after[path] for path in new]
    if users != sorted(letter.users):
        yield f"stored for {users}, not for {sorted(letter.users)}"
    for path in new:
        stored = path.read_bytes()
        if stored != letter.stored:
            yield f"{after[path]}: {_first_difference(stored, letter.stored)}"


def _first_difference(came: bytes, wanted: bytes) -> str:
    pairs = zip(came, wanted, strict=False)
    same = next(
        (n for n, (one, other) in enumerate(pairs) if one != other),
        min(len(came), len(wanted)),
    )
    return (
        f"{len(came)} octets, not {len(wanted)}; "
        f"the first that differs is number {same + 1}"
    )


def _files(root: Path) -> Mapping[Path, str]:
    """The messages that are stored, each with its user."""
    return {path: path.parts[-3] for path in root.glob("*/new/*")}
