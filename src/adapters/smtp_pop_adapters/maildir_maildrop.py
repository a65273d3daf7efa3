"""Maildirs as POP3 maildrops.

A session sees the messages that were in new/ and cur/ when it began, those with the
flag T (trashed) too: they are there until somebody removes them, and Dovecot, Courier
and qmail show them as well.  Symbolic links are no messages.  Nothing is moved from
new/ to cur/ and no flag is set: what was fetched with POP3 stays new to other programs.
These may deliver, move, mark and remove messages meanwhile.  A message is known again
by its base name and its inode, or by its base name alone if no other file has it.

The base name is what stands before the ":" and the flags, without attributes such as
`,S=1200`, which some programs add later.  It is the unique id of the message, if it is
fit for that, else its hash.  If several files have the same base name, which no program
should let happen, each has a hash of the base name and its content, until one is left.

Size and content are those of lines that end with CRLF.  In a file LF and CRLF end a
line, and so does a bare CR: a line of POP3 cannot hold it, and to refuse the message
would be to lock it in.  Sizes come from the names that our own store gave, as long as
the size of the file is the one in the name; other files are read once in each session.

A session holds the lock of flock(2) on the file `smtp-pop.lock` beside cur/.  It keeps
out other sessions of this store, in this process and in others; the kernel frees it
when its holder dies.  The file stays.  Over NFS, Linux asks the server for the lock, so
it holds for all hosts, unless they mount with `nolock` or `local_lock`; other systems
may keep it on one host, and then a Maildir must be served from one host only.
"""

import errno
import fcntl
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import FileIO, IncrementalNewlineDecoder
from pathlib import Path
from typing import Final, TypeVar

from smtp_pop_core import pop3

from .maildir import BLOCK, Maildir, owner_only, sizes_in_name, sync, user_folder

_FOLDERS: Final = ("new", "cur")  # in this order no message that moves is missed
_LOCK: Final = "smtp-pop.lock"
_ATTRIBUTES: Final = re.compile(r"(,[A-Z]=[^,]*)+\Z")
_DELIVERED: Final = re.compile(r"([0-9]+)(?:\.M([0-9]+))?")  # seconds, microseconds
_UNIQUE_ID: Final = re.compile(r"[!-~]{1,70}")  # RFC 1939 section 7

T = TypeVar("T")


class MaildirMaildrops:
    """The maildrops of users: everybody has a Maildir of that name below the root.

    Args:
        root: The folder of the Maildirs.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)

    def open(self, identity: str) -> "MaildirMaildrop":
        """Open the maildrop of a user.

        Raises:
            pop3.MaildropInUse: Another session has it.
            OSError: It cannot be opened.
            ValueError: The identity is no name for a folder, see `user_folder`.
        """
        return MaildirMaildrop(Maildir(user_folder(self._root, identity)))


class MaildirMaildrop(pop3.Maildrop):
    """A Maildir, locked for one session of POP3.

    Args:
        maildir: What is missing of it is made.

    Attributes:
        messages: Those that were there at the beginning, in order of delivery.  Their
            numbers begin with 1.

    Raises:
        pop3.MaildropInUse: Another session has it.
        OSError: A folder cannot be read or made, or a file cannot be read.
    """

    def __init__(self, maildir: Maildir) -> None:
        self._path = maildir.path
        if not all((self._path / name).is_dir() for name in ("tmp", *_FOLDERS)):
            maildir.make()
        self._lock = _lock(self._path / _LOCK)
        with ExitStack() as undo:
            undo.callback(self.close)
            self._files = _in_order(_scan(self._path))
            self.messages = self._describe()
            undo.pop_all()

    def __repr__(self) -> str:
        return f"MaildirMaildrop({str(self._path)!r})"

    def read(self, number: int) -> Iterable[bytes]:
        """Open a message, and return its blocks with LF line ends.

        What fits into one block is here at once.  Else the file is closed at the end of
        the blocks, or when they are dropped.

        Raises:
            FileNotFoundError: Another program has removed it.
            OSError: It cannot be read.
            KeyError: There is no message of this number.
        """
        return self._carry_out(_read, self._files[number])

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        """Remove messages; then they are gone from the disk.

        Returns:
            The numbers of those that could not be removed.  Those that another program
            has removed are not among them.

        Raises:
            OSError: A folder cannot be read, or it is not certain that what was removed
                is gone from the disk.
            KeyError: There is no message of one of the numbers.  Nothing was removed.
        """
        files = {number: self._files[number] for number in deleted}
        changed: set[str] = set()
        errors = _remove(files, changed)
        missing = {
            number: file
            for number, file in files.items()
            if not file.paths or isinstance(errors.get(number), FileNotFoundError)
        }
        if missing:
            self._rescan()
            for number in missing:
                errors.pop(number, None)
            errors |= _remove(missing, changed)
        for folder in changed:
            sync(Path(folder))
        return sorted(errors)

    def close(self) -> None:
        """Free the lock.  It may be called again."""
        if not self._lock.closed:
            with self._lock:
                # for a child that was forked meanwhile has the descriptor too
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _describe(self) -> tuple[pop3.Message, ...]:
        """Describe the messages; those that have gone meanwhile lose their number."""
        there: list[_File] = []
        messages: list[pop3.Message] = []
        copies: Counter[tuple[str, str]] = Counter()
        for file in self._files.values():
            try:
                size = self._carry_out(_size, file)
                if file.alone:
                    unique_id = _unique_id(file.base)
                else:
                    digest = self._carry_out(_digest, file)
                    copies[file.base, digest] += 1
                    unique_id = _hashed(file.base, digest, copies[file.base, digest])
            except FileNotFoundError:
                continue
            there.append(file)
            messages.append(pop3.Message(size, unique_id))
        self._files = dict(enumerate(there, 1))
        return tuple(messages)

    def _carry_out(self, action: Callable[[str], T], file: "_File") -> T:
        """Do something with a file, where other programs have moved it.

        Raises:
            FileNotFoundError: It is gone.
        """
        for rescan in (self._rescan, None):
            for path in file.paths:
                with suppress(FileNotFoundError):
                    return action(path)
            if rescan and file.paths:
                rescan()
        raise FileNotFoundError(errno.ENOENT, "The message is gone", file.base)

    def _rescan(self) -> None:
        """Find out where all files are now.  Those that are gone have no path then."""
        found = _scan(self._path)
        inodes = defaultdict(list)
        for base, inode in found:
            inodes[base].append(inode)
        for file in self._files.values():
            paths = found.get((file.base, file.inode), [])
            if not paths and file.alone and len(inodes[file.base]) == 1:
                (file.inode,) = inodes[file.base]  # another program has rewritten it
                paths = found[file.base, file.inode]
            file.paths = paths


@dataclass(slots=True)
class _File:
    """Where a message is.

    Attributes:
        base: The base name.
        inode: The inode.
        paths: Where it was when it was last looked for; several if it has several
            names, or was moved just then.
        alone: Whether no other file had the base name at the beginning.
    """

    base: str
    inode: int
    paths: list[str]
    alone: bool


_Found = Mapping[tuple[str, int], list[str]]  # base name and inode: paths


def _lock(path: Path) -> FileIO:
    """Return a file that is locked until it is closed.

    Raises:
        pop3.MaildropInUse: It is locked already.
    """
    with ExitStack() as undo:
        # for writing: over NFS there is no exclusive lock without
        file = undo.enter_context(open(path, "ab", buffering=0, opener=_lock_file))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise pop3.MaildropInUse(f"locked: {str(path)!r}") from error
        undo.pop_all()
    return file


def _scan(path: Path) -> _Found:
    """Find all messages in a Maildir."""
    found = defaultdict(list)
    for name in _FOLDERS:
        with suppress(FileNotFoundError), os.scandir(path / name) as entries:
            for entry in entries:
                if entry.name[0] != "." and entry.is_file(follow_symlinks=False):
                    found[_base(entry.name), entry.inode()].append(entry.path)
    return found


def _in_order(found: _Found) -> dict[int, _File]:
    """Return the files by number, in order of delivery."""
    bases = Counter(base for base, _ in found)
    files = [
        _File(base, inode, paths, bases[base] == 1)
        for (base, inode), paths in found.items()
    ]
    files.sort(key=lambda file: (_delivered(file.base), file.base, file.paths))
    return dict(enumerate(files, 1))


def _base(name: str) -> str:
    """Return the part of a file's name that stays."""
    return _ATTRIBUTES.sub("", name.partition(":")[0])


def _delivered(base: str) -> tuple[int, int]:
    """Return when a message was delivered, or (0, 0): the name does not say."""
    found = _DELIVERED.match(base)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _unique_id(base: str) -> str:
    return base if _UNIQUE_ID.fullmatch(base) else _hashed(base)


def _hashed(*parts: object) -> str:
    """Return a unique id that is none of the base names, for they hold no colon."""
    text = "\0".join(map(str, parts))
    return f"sha256:{hashlib.sha256(os.fsencode(text)).hexdigest()[:40]}"


def _size(path: str) -> int:
    """Return the size of a message as it is sent, in octets."""
    said = sizes_in_name(os.path.basename(path).partition(":")[0])
    if said and said[0] == os.lstat(path).st_size:
        return said[1]
    return _count(_open_blocks(path))


def _count(blocks: Iterable[bytes]) -> int:
    """Count octets with CRLF for each line end, also for that of the last line."""
    octets, last = 0, b"\n"
    for block in blocks:
        octets += len(block) + block.count(b"\n")
        last = block
    return octets if last.endswith(b"\n") else octets + 2


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    for block in _open_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _read(path: str) -> Iterable[bytes]:
    if os.lstat(path).st_size > BLOCK:
        return _open_blocks(path)
    return list(_open_blocks(path))


def _open_blocks(path: str) -> Generator[bytes, None, None]:
    """Open a file, and return its blocks with LF line ends; none is empty."""
    blocks = _blocks(path)
    next(blocks)
    return blocks


def _blocks(path: str) -> Generator[bytes, None, None]:
    """Give b"" when the file is open, and then its blocks."""
    decoder = IncrementalNewlineDecoder(None, translate=True)
    with open(path, "rb", buffering=0, opener=_message_file) as file:
        yield b""
        while block := file.read(BLOCK):
            if text := decoder.decode(block.decode("latin-1")):
                yield text.encode("latin-1")
        if text := decoder.decode("", final=True):
            yield text.encode("latin-1")


def _lock_file(path: str, flags: int) -> int:
    return owner_only(path, flags | os.O_NOFOLLOW)


def _message_file(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _remove(files: Mapping[int, _File], changed: set[str]) -> dict[int, OSError]:
    """Remove files, note the folders they were in, and return what went wrong."""
    errors: dict[int, OSError] = {}
    for number, file in files.items():
        for path in file.paths:
            try:
                os.unlink(path)
            except OSError as error:
                errors[number] = error
            else:
                changed.add(os.path.dirname(path))
    return errors
