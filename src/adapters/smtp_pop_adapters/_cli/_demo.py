"""`smtp-pop demo`: a server and a client talk to each other, here and now."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from ..blocking import SmtpClient, connect_smtp, serve_smtp
from ..maildir_application import MaildirUsers
from ._values import endpoint

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
def demo() -> None:
    """Send real messages through a server here, and compare what arrives.

    Shows the dialogue.  The exit code is 0 if every octet is where it should be.
    """
    with tempfile.TemporaryDirectory(prefix="smtp-pop-") as folder:
        found = differences(LETTERS, Path(folder), click.echo)
    if found:
        raise click.ClickException("\n".join(found))


def differences(
    letters: Sequence[Letter], root: Path, show: Callable[[str], None]
) -> list[str]:
    """Send the letters, and return what is not as it should be.

    Args:
        letters: What to send.
        root: An empty folder for the Maildirs.
        show: Called with each line of the dialogue and of the summary.
    """
    mistakes: list[Exception] = []
    found: list[str] = []
    octets = copies = 0
    with (
        serve_smtp(
            MaildirUsers(root, _USERS), "127.0.0.1", report=mistakes.append
        ) as server,
        connect_smtp(*server.addresses[0], trace=show) as client,
    ):
        show(f"(a server on {endpoint(*server.addresses[0])}, Maildirs in {root})")
        for letter in letters:
            show(f"\n--- {letter.name}")
            wrong = list(_send(client, letter, root))
            show("\n".join(wrong) or f"(stored for {', '.join(letter.users)})")
            found += [f"{letter.name}: {each}" for each in wrong]
            octets += len(letter.stored) * len(letter.users)
            copies += len(letter.users)
        show("\n--- the end")
    found += [f"the server failed: {each!r}" for each in mistakes]
    if not found:
        show(
            f"\n{len(letters)} messages sent; {copies} copies with {octets} octets "
            "are in the Maildirs, equal octet by octet."
        )
    return found


def _send(client: SmtpClient, letter: Letter, root: Path) -> Iterator[str]:
    """Send one letter, and give what is not as it should be."""
    before = _files(root)
    result = client.send_mail("demo@example.com", letter.recipients, letter.content)
    if result.refused != list(letter.refused):
        yield f"refused for {result.refused}, not for {list(letter.refused)}"
    if len(result.accepted) != len(letter.recipients) - len(letter.refused):
        yield f"accepted for {result.accepted}"
    yield from _compare(letter, before, _files(root))


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
            pairs = zip(stored, letter.stored, strict=False)
            same = next(
                (n for n, (one, other) in enumerate(pairs) if one != other),
                min(len(stored), len(letter.stored)),
            )
            yield (
                f"{after[path]} has {len(stored)} octets, not {len(letter.stored)}; "
                f"the first that differs is number {same + 1}"
            )


def _files(root: Path) -> Mapping[Path, str]:
    """The messages that are stored, each with its user."""
    return {path: path.parts[-3] for path in root.glob("*/new/*")}
