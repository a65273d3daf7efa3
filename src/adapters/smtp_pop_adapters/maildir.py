"""A store for messages: the Maildir format, on the file systems of POSIX.

A message is written to tmp/, flushed to disk and renamed into new/, so that nobody ever
sees half of it, and whoever got a path back has the message on disk.

Its file has LF line ends, as Maildir programs expect.  Its name says what a reader
would have to count otherwise, in the way of Dovecot:

    1700000000.M20648P16954Q1R0123456789abcdef.host,S=1200,W=1230

S is the size of the file in octets, W the size with a CRLF for each line end.  If POP3
sends more, `,P=1232` follows: it needs a CRLF at the end of the last line, and in place
of a CR that stands alone.  If the content held a CR or LF that was not part of a CRLF,
the file is the content octet for octet, and `,X=raw` after the sizes says so: what such
a file holds came like this.  All stand before any ":2," with which programs mark
messages as seen; they keep them.
"""

import itertools
import os
import re
import shutil
import socket
import string
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

BLOCK: Final = 262_144  # octets that are copied in one go
_RAW: Final = ",X=raw"
_DELIVERIES: Final = itertools.count(1)  # of this process
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# What _unique_name() and Delivery._attributes() write.
_OUR_NAME: Final = re.compile(
    r"[0-9]+\.M[0-9]+P[0-9]+Q[0-9]+R[0-9a-f]{16}\.[^/:]+"
    r",S=([0-9]{1,18}),W=([0-9]{1,18})(?:,P=([0-9]{1,18}))?(?:,X=raw)?"
)


class Maildir:
    """A folder of messages.

    Attributes:
        path: The folder that holds tmp, new and cur.  What is missing of it is made
            with the first delivery, for its owner alone.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Maildir({str(self.path)!r})"

    def deliver(self, blocks: Iterable[bytes]) -> Path:
        """Store a message, and return the path of its file when it is on disk.

        Args:
            blocks: Content with CRLF line ends, cut anywhere.  If it raises, nothing is
                stored.

        Raises:
            OSError: It cannot be stored.  Nothing is left of it.
        """
        (path,) = deliver_to([self], blocks)
        return path

    @contextmanager
    def delivery(self) -> "Iterator[Delivery]":
        """Store a message that comes by and by: write its blocks, then commit.

        What was not committed is removed at the end of the context.

        Raises:
            OSError: It cannot be stored.  Nothing is left of it.
        """
        path = self._new_path()
        try:
            with open(path, "xb", buffering=0, opener=owner_only) as file:
                yield Delivery(self, path, file)
        finally:
            _remove(path)

    def make(self) -> None:
        """Make the folders that are missing; then they are on disk.

        Raises:
            OSError: They cannot be made.
        """
        for name in ("cur", "new", "tmp"):
            # tmp comes last: who finds it knows that the others are on disk
            _make_folder(self.path / name)

    def _new_path(self) -> Path:
        """Return the path of a file to be made in tmp, which is there."""
        tmp, new = self.path / "tmp", self.path / "new"
        if not (tmp.is_dir() and new.is_dir()):
            self.make()
        return tmp / _unique_name()


class Delivery:
    """A message on its way into a Maildir.  Made by `Maildir.delivery`."""

    __slots__ = (
        "_bare_crs",
        "_bare_lfs",
        "_file",
        "_held",
        "_last",
        "_line_ends",
        "_maildir",
        "_octets",
        "_path",
        "_raw",
        "_sound",
    )

    def __init__(self, maildir: Maildir, path: Path, file: FileIO) -> None:
        self._maildir = maildir
        self._path = path
        self._file = file
        self._held = b""  # a CR whose LF may come with the next block
        self._octets = 0  # of the content as it came, as far as it is in the file
        self._line_ends = 0  # CRLFs among them
        self._bare_crs = 0
        self._bare_lfs = 0
        self._last = b""  # octet of the content
        self._raw = False  # the file holds the content as it came
        self._sound = True  # no step has failed, and there may be more

    def write(self, block: bytes) -> None:
        """Add octets with CRLF line ends, cut anywhere.

        Raises:
            OSError: They cannot be stored.  Nothing is left to do but to leave the
                context.
            ValueError: It was committed before, or a write failed.
        """
        self._begin()
        data = self._held + block
        self._held = b"\r" if data.endswith(b"\r") else b""
        self._store(data[:-1] if self._held else data)
        self._sound = True

    def commit(self) -> Path:
        """Put the message into new/, and return its path when it is on disk.

        Raises:
            OSError: It cannot be stored.  Nothing is left of it.
            ValueError: It was committed before, or a write failed.
        """
        (path,) = self.commit_with(())
        return path

    def commit_with(self, others: Iterable[Maildir]) -> tuple[Path, ...]:
        """Put the message into new/ of its Maildir and of others: into all or none.

        The other files are hard links where the file system has them, else copies.

        Returns:
            The path in its own Maildir, then those in the others, in their order.

        Raises:
            OSError: It cannot be stored in one of them.  What is in new/ of the others
                is removed again; a program that is very quick may have seen it.
            ValueError: It was committed before, or a write failed.
        """
        self._begin()
        self._store(self._held)
        os.fsync(self._file.fileno())
        self._file.close()
        with ExitStack() as undo:
            ready = [(self._path, self._maildir)]
            for maildir in others:
                path = maildir._new_path()
                undo.callback(_remove, path)
                _link_or_copy(self._path, path)
                ready.append((path, maildir))
            stored = []
            for path, maildir in ready:
                target = maildir.path / "new" / f"{path.name}{self._attributes()}"
                undo.callback(_remove, target)
                os.rename(path, target)
                stored.append(target)
            for folder in {path.parent for path in stored}:
                sync(folder)
            undo.pop_all()
        return tuple(stored)

    def _begin(self) -> None:
        if not self._sound:
            raise ValueError("the message was committed before, or a write failed")
        self._sound = False

    def _store(self, data: bytes) -> None:
        line_ends = data.count(b"\r\n")
        without_cr = data.replace(b"\r", b"")  # ten times as fast as to replace CRLF
        bare_crs = len(data) - len(without_cr) - line_ends
        bare_lfs = without_cr.count(b"\n") - line_ends
        if not self._raw and (bare_crs or bare_lfs):
            self._restore_crlf()
        self._put(data if self._raw else without_cr)
        self._octets += len(data)
        self._line_ends += line_ends
        self._bare_crs += bare_crs
        self._bare_lfs += bare_lfs
        self._last = data[-1:] or self._last

    def _restore_crlf(self) -> None:
        """Put back the CRs that were left out, from the end of the file backwards.

        So far every LF in the file stands for a CRLF, so nothing has to be remembered.
        A block moves only towards the end, over what has been moved already.
        """
        end, target = self._octets - self._line_ends, self._octets
        with open(self._path, "rb") as written:
            while end:
                start = max(0, end - BLOCK)
                written.seek(start)
                block = written.read(end - start).replace(b"\n", b"\r\n")
                target -= len(block)
                self._file.seek(target)
                self._put(block)
                end = start
        self._file.seek(self._octets)
        self._raw = True

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _attributes(self) -> str:
        """What the name says about the file.

        W is what Dovecot would count: a bare LF ends a line too.
        """
        size = self._octets - (0 if self._raw else self._line_ends)
        wire = self._octets + self._bare_lfs
        sent = wire + self._bare_crs + (0 if self._last in b"\r\n" else 2)
        pop3 = f",P={sent}" if sent != wire else ""
        return f",S={size},W={wire}{pop3}{_RAW if self._raw else ''}"


def sizes_in_name(name: str) -> tuple[int, int] | None:
    """Return what the name of a file says, if it is one that this store gave.

    Args:
        name: Without the ":2," and flags that other programs add.

    Returns:
        The size of the file and that of the message as POP3 sends it, in octets; or
        None.
    """
    found = _OUR_NAME.fullmatch(name)
    if not found:
        return None
    size, wire, sent = found.groups()
    return int(size), int(sent or wire)


def deliver_to(
    maildirs: Sequence[Maildir], blocks: Iterable[bytes]
) -> tuple[Path, ...]:
    """Store one message in several Maildirs: in all or none.

    It is written once; the other files are hard links where the file system has them,
    else copies.

    Args:
        maildirs: At least one.  A Maildir that is given twice gets the message twice.
        blocks: Content with CRLF line ends, cut anywhere.  If it raises, nothing is
            stored.

    Returns:
        The paths of the files, in the order of the Maildirs, when all are on disk.

    Raises:
        OSError: It cannot be stored in one of them.  Nothing is left of it.
        ValueError: There are no Maildirs.
    """
    if not maildirs:
        raise ValueError("no Maildir to deliver to")
    with maildirs[0].delivery() as delivery:
        for block in blocks:
            delivery.write(block)
        return delivery.commit_with(maildirs[1:])


def user_folder(root: Path, name: str) -> Path:
    """Return the folder of a user in root.

    Letters of ASCII, and only they, count without their case.

    Raises:
        ValueError: The name would lead elsewhere, or looks like another: it is empty,
            begins with a dot, begins or ends with a space, is over 255 octets, is not
            in the normal form C of Unicode, or holds a slash, a backslash or what
            cannot be printed.
    """
    if (
        not name
        or name[0] == "."
        or name != name.strip()
        or not name.isprintable()
        or "/" in name
        or "\\" in name
        or len(name.encode()) > 255
        or not unicodedata.is_normalized("NFC", name)
    ):
        raise ValueError(f"not a name for a folder: {name!r}")
    return root / name.translate(_LOWER)


def _unique_name() -> str:
    """Return a name that no other file of any Maildir has.

    The names that a process makes sort in the order of delivery.
    """
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    host = socket.gethostname().replace("/", r"\057").replace(":", r"\072")
    return (
        f"{seconds}.M{microseconds:06}P{os.getpid()}Q{next(_DELIVERIES)}"
        f"R{os.urandom(8).hex()}.{host}"
    )


def owner_only(path: str, flags: int) -> int:
    """Open a file as `open` asks for it; if that makes it, for its owner alone."""
    return os.open(path, flags, 0o600)


def _make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing; then it is on disk."""
    if not path.parent.is_dir():
        _make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link_or_copy(source: Path, target: Path) -> None:
    """Make a file that is like another one, which is on disk; then both are."""
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or too many of them
        with open(source, "rb") as old, open(target, "xb", opener=owner_only) as new:
            shutil.copyfileobj(old, new, BLOCK)
            new.flush()
            os.fsync(new.fileno())


def _remove(path: Path) -> None:
    """Remove a file, if it is there and that can be done."""
    with suppress(OSError):
        path.unlink()
