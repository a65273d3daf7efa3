"""Maildirs as maildrops, on real files."""

import hashlib
import mailbox
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop, MaildirMaildrops
from smtp_pop_core import pop3

MESSAGE = b"Subject: hello\r\n\r\nOne line.\r\n.\r\n"
LOCK = "smtp-pop.lock"

CONTENTS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"text", b".", b"a line\r\n", b"\xff\0"])
).map(b"".join)


def as_sent(content: bytes) -> bytes:
    """Return content as POP3 sends it, before dots are doubled."""
    *lines, rest = re.split(rb"\r\n|\r|\n", content)
    return b"".join(
        line + b"\r\n" for line in [*lines, rest][: len(lines) + bool(rest)]
    )


def fetch(maildrop: MaildirMaildrop, number: int) -> bytes:
    """Return a message as it is sent."""
    blocks = list(maildrop.read(number))
    assert b"" not in blocks
    assert not any(b"\r" in block for block in blocks)
    return as_sent(b"".join(blocks))


def fetch_all(maildrop: MaildirMaildrop) -> list[bytes]:
    return [fetch(maildrop, number) for number, _ in enumerate(maildrop.messages, 1)]


@contextmanager
def opened(path: Path) -> Iterator[MaildirMaildrop]:
    with closing(MaildirMaildrop(Maildir(path))) as maildrop:
        yield maildrop


def unique_ids(path: Path) -> list[str]:
    """Return what a session sees that is begun now."""
    with opened(path) as maildrop:
        return [message.unique_id for message in maildrop.messages]


def put(path: Path, name: str, content: bytes = MESSAGE) -> Path:
    """Make a file of another program in a Maildir, and return its path."""
    Maildir(path).make()
    (path / name).write_bytes(content)
    return path / name


def files(path: Path) -> list[str]:
    """Return what is in new/ and cur/."""
    return sorted(
        each.relative_to(path).as_posix()
        for name in ("new", "cur")
        for each in (path / name).iterdir()
    )


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@contextmanager
def most_open_files(more: int) -> Iterator[None]:
    """Let only so many more files be opened: one more is an OSError."""
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# What a session sees


def test_it_is_a_maildrop(tmp_path: Path) -> None:
    with opened(tmp_path) as maildrop:
        for_the_server: pop3.Maildrop = maildrop
        assert for_the_server.messages == ()
        assert repr(maildrop) == f"MaildirMaildrop({str(tmp_path)!r})"


def test_a_message_is_read_as_it_was_delivered(tmp_path: Path) -> None:
    path = Maildir(tmp_path).deliver([MESSAGE])
    with opened(tmp_path) as maildrop:
        base = path.name.partition(",")[0]
        assert maildrop.messages == (pop3.Message(len(MESSAGE), base),)
        assert list(maildrop.read(1)) == [MESSAGE.replace(b"\r\n", b"\n")]


def test_a_maildir_that_is_not_there_is_made_and_empty(tmp_path: Path) -> None:
    with opened(tmp_path / "mail" / "box") as maildrop:
        assert maildrop.messages == ()
        assert maildrop.commit([]) == []
    made = ["mail", "mail/box", "mail/box/cur", "mail/box/new", "mail/box/tmp"]
    assert [oct((tmp_path / name).stat().st_mode) for name in made] == ["0o40700"] * 5
    assert oct((tmp_path / "mail" / "box" / LOCK).stat().st_mode) == "0o100600"


@pytest.mark.parametrize("missing", ["tmp", "new", "cur"])
def test_a_missing_folder_of_a_maildir_does_no_harm(
    tmp_path: Path, missing: str
) -> None:
    Maildir(tmp_path).make()
    (tmp_path / missing).rmdir()
    assert unique_ids(tmp_path) == []
    assert (tmp_path / missing).is_dir()


def test_messages_are_in_order_of_delivery(tmp_path: Path) -> None:
    names = [
        "cur/no time:2,",
        "new/1.M2.host",
        "cur/1.M10.host:2,S",
        "new/20.Q1.host",
        "new/20.Q2.host",
        "cur/100.host:2,",
        "new/1700000000.M5P1.host",
        "cur/1700000000.M000006P1.host:2,S",
    ]
    for name in reversed(names):
        put(tmp_path, name, name.encode())
    with opened(tmp_path) as maildrop:
        assert fetch_all(maildrop) == [f"{name}\r\n".encode() for name in names]


def test_our_own_deliveries_keep_their_order(tmp_path: Path) -> None:
    box = Maildir(tmp_path)
    for number in range(30):
        box.deliver([b"%d\r\n" % number])
    with opened(tmp_path) as maildrop:
        assert fetch_all(maildrop) == [b"%d\r\n" % number for number in range(30)]


def test_only_files_are_messages(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a")
    put(tmp_path, "new/.hidden")
    put(tmp_path, "tmp/2.b")
    put(tmp_path, "3.c")
    (tmp_path / "new" / "4.folder").mkdir()
    (tmp_path / "cur" / "5.link:2,").symlink_to(tmp_path / "3.c")
    os.mkfifo(tmp_path / "cur" / "6.pipe:2,")
    assert unique_ids(tmp_path) == ["1.a"]


def test_every_flag_is_seen_also_that_for_the_trash(tmp_path: Path) -> None:
    for flag in "DFPRST":
        put(tmp_path, f"cur/1.{flag}:2,{flag}")
    assert unique_ids(tmp_path) == [f"1.{flag}" for flag in "DFPRST"]


def test_a_session_moves_and_marks_nothing(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a")
    put(tmp_path, "cur/2.b:2,")
    with opened(tmp_path) as maildrop:
        fetch_all(maildrop)
        maildrop.commit([])
    assert files(tmp_path) == ["cur/2.b:2,", "new/1.a"]


def test_what_is_delivered_during_a_session_is_not_seen(tmp_path: Path) -> None:
    put(tmp_path, "new/2.b")
    with opened(tmp_path) as maildrop:
        put(tmp_path, "new/1.a")
        Maildir(tmp_path).deliver([MESSAGE])
        os.rename(tmp_path / "new" / "2.b", tmp_path / "cur" / "2.b:2,")
        assert fetch(maildrop, 1) == MESSAGE
        assert [message.unique_id for message in maildrop.messages] == ["2.b"]
        with pytest.raises(KeyError):
            maildrop.read(2)
        assert maildrop.commit([1]) == []
    assert len(unique_ids(tmp_path)) == 2


@pytest.mark.parametrize("number", [0, -1, 2])
def test_a_number_that_no_message_has_is_a_mistake(tmp_path: Path, number: int) -> None:
    put(tmp_path, "new/1.a")
    with opened(tmp_path) as maildrop:
        with pytest.raises(KeyError):
            maildrop.read(number)
        with pytest.raises(KeyError):
            maildrop.commit([1, number])
    assert files(tmp_path) == ["new/1.a"]


# Sizes and content


@settings(deadline=None)
@given(content=CONTENTS, ours=st.booleans())
def test_the_size_is_that_of_what_is_sent(content: bytes, ours: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if ours:
            Maildir(folder).deliver([content])
        else:
            put(Path(folder), "new/1.a", content)
        with opened(Path(folder)) as maildrop:
            assert fetch(maildrop, 1) == as_sent(content)
            assert maildrop.messages[0].size == len(as_sent(content))
            assert maildrop.messages[0].size == pop3.size_of(b"".join(maildrop.read(1)))


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"", b""),
        (b"\n", b"\r\n"),
        (b"\r", b"\r\n"),
        (b"\r\n", b"\r\n"),
        (b"a", b"a\r\n"),
        (b"a\nb", b"a\r\nb\r\n"),
        (b"a\r\nb\n", b"a\r\nb\r\n"),
        (b"a\rb\r\r\n", b"a\r\nb\r\n\r\n"),
        (b"a\n\rb", b"a\r\n\r\nb\r\n"),
        (b".\n..\n", b".\r\n..\r\n"),
    ],
)
@pytest.mark.parametrize("name", ["1.a", "1.a,W=77", "1.a,S=2,W=77"])
def test_files_of_others_are_counted(
    tmp_path: Path, content: bytes, sent: bytes, name: str
) -> None:
    put(tmp_path, f"new/{name}", content)
    with opened(tmp_path) as maildrop:
        assert fetch(maildrop, 1) == sent
        assert maildrop.messages == (pop3.Message(len(sent), "1.a"),)


@pytest.mark.parametrize("filling", [262_143, 262_144, 262_145])
@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\r\nx", b"\rx", b"\n\r"])
def test_a_line_end_may_stand_between_two_blocks(
    tmp_path: Path, filling: int, end: bytes
) -> None:
    content = b"x" * (filling - 1) + end
    put(tmp_path, "new/1.a", content)
    with opened(tmp_path) as maildrop:
        assert fetch(maildrop, 1) == as_sent(content)
        assert maildrop.messages[0].size == len(as_sent(content))


@pytest.mark.parametrize("content", [MESSAGE, b"open", b"raw\r\rx\n", b""])
def test_the_size_of_our_own_message_is_in_its_name(
    tmp_path: Path, content: bytes
) -> None:
    """The file is not read: what it holds now has another size."""
    path = Maildir(tmp_path).deliver([content])
    path.write_bytes(b"\n" * path.stat().st_size)
    path.rename(tmp_path / "cur" / f"{path.name}:2,S")
    with opened(tmp_path) as maildrop:
        assert maildrop.messages[0].size == len(as_sent(content))


def test_a_file_whose_size_is_not_that_in_its_name_is_counted(tmp_path: Path) -> None:
    path = Maildir(tmp_path).deliver([MESSAGE])
    path.write_bytes(b"other\n")
    with opened(tmp_path) as maildrop:
        assert maildrop.messages[0].size == 7


def test_a_message_comes_in_blocks(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a", b"a line\n" * 100_000)
    with opened(tmp_path) as maildrop:
        assert max(map(len, maildrop.read(1))) == 262_144


def test_the_file_is_closed_when_the_blocks_are_dropped(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a", b"x" * 1_000_000)
    with opened(tmp_path) as maildrop:
        before = open_files()
        maildrop.read(1)
        assert open_files() == before
        next(iter(maildrop.read(1)))
        assert open_files() == before
        blocks = maildrop.read(1)
        assert isinstance(blocks, Generator)
        assert open_files() == before + 1
        blocks.close()
        assert open_files() == before
        list(maildrop.read(1))
        assert open_files() == before


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a")
    with (
        opened(tmp_path) as maildrop,
        most_open_files(0),
        pytest.raises(OSError, match="open files"),
    ):
        maildrop.read(1)


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    path = put(tmp_path, "new/1.a")
    with opened(tmp_path) as maildrop:
        path.unlink()
        path.symlink_to(put(tmp_path, "secret"))
        with pytest.raises(OSError, match="symbolic links"):
            maildrop.read(1)
    (tmp_path / LOCK).unlink()
    (tmp_path / LOCK).symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="symbolic links"):
        MaildirMaildrop(Maildir(tmp_path))
    assert not (tmp_path / "made").exists()


# Unique ids

LONG = "1." + "x" * 69


def hashed(*parts: str) -> str:
    text = os.fsencode("\0".join(parts))
    return f"sha256:{hashlib.sha256(text).hexdigest()[:40]}"


@pytest.mark.parametrize(
    ("name", "unique_id"),
    [
        ("1.a", "1.a"),
        ("1.a:2,", "1.a"),
        ("1.a:2,FS", "1.a"),
        ("1.a,S=12:2,", "1.a"),
        ("1.a,S=12,W=13,X=raw:2,", "1.a"),
        ("1.a,U=7", "1.a"),
        ("1.a,b=c", "1.a,b=c"),
        ("1.a,S=1,b", "1.a,S=1,b"),
        ("!~", "!~"),
        (LONG[:70], LONG[:70]),
        (LONG, "sha256:d669f128800abce46a716cec6aaa14133782f37b"),
        ("1 a:2,", "sha256:2735d0823be7adb42e16154988b6d1cc3e3a4652"),
        ("1.\u00e9", hashed("1.\u00e9")),
        ("1.\udcff", hashed("1.\udcff")),
        ("1.a\x7f", hashed("1.a\x7f")),
        ("1.a\n", hashed("1.a\n")),
        (":2,S", hashed("")),
        (",S=1", hashed("")),
    ],
)
def test_the_unique_id_is_the_base_name_or_its_hash(
    tmp_path: Path, name: str, unique_id: str
) -> None:
    put(tmp_path, f"cur/{name}")
    assert unique_ids(tmp_path) == [unique_id]


def test_a_unique_id_stays_when_the_file_is_moved_and_marked(tmp_path: Path) -> None:
    path = Maildir(tmp_path).deliver([MESSAGE])
    before = unique_ids(tmp_path)
    reader = mailbox.Maildir(tmp_path, create=False)
    message = reader[path.name]
    message.set_subdir("cur")
    message.add_flag("S")
    reader[path.name] = message
    os.rename(tmp_path / "cur" / f"{path.name}:2,S", tmp_path / "cur" / "other")
    os.rename(tmp_path / "cur" / "other", tmp_path / "cur" / f"{path.name},U=3:2,RS")
    assert unique_ids(tmp_path) == before


def test_files_with_one_base_name_have_their_own_unique_ids(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a:2,", b"first\n")
    put(tmp_path, "cur/1.a:2,S", b"second\n")
    put(tmp_path, "new/1.a,S=6", b"first\n")
    put(tmp_path, "new/2.b", b"first\n")
    first, second = (
        hashlib.sha256(content).hexdigest() for content in (b"first\n", b"second\n")
    )
    of_first = [hashed("1.a", first, "1"), hashed("1.a", first, "2")]
    before = unique_ids(tmp_path)
    assert sorted(before[:3]) == sorted([*of_first, hashed("1.a", second, "1")])
    assert before[3] == "2.b"
    os.rename(tmp_path / "cur" / "1.a:2,S", tmp_path / "cur" / "1.a,S=7:2,FS")
    os.rename(tmp_path / "new" / "1.a,S=6", tmp_path / "cur" / "1.a,S=6:2,T")
    assert sorted(unique_ids(tmp_path)) == sorted(before)


def test_a_unique_id_is_not_taken_over_by_a_file_of_the_same_base_name(
    tmp_path: Path,
) -> None:
    put(tmp_path, "cur/1.a:2,", b"first\n")
    put(tmp_path, "cur/1.a:2,R", b"second\n")
    put(tmp_path, "cur/1.a:2,S", b"third\n")
    with opened(tmp_path) as maildrop:
        before = {fetch(maildrop, n): maildrop.messages[n - 1] for n in (1, 2, 3)}
        maildrop.commit([1])
    with opened(tmp_path) as maildrop:
        after = {fetch(maildrop, n): maildrop.messages[n - 1] for n in (1, 2)}
    del before[b"first\r\n"]
    assert after == before


def test_two_names_of_one_file_are_one_message(tmp_path: Path) -> None:
    path = put(tmp_path, "new/1.a")
    os.link(path, tmp_path / "cur" / "1.a:2,")
    with opened(tmp_path) as maildrop:
        assert [message.unique_id for message in maildrop.messages] == ["1.a"]
        os.rename(tmp_path / "cur" / "1.a:2,", tmp_path / "cur" / "1.a:2,S")
        assert maildrop.commit([1]) == []
    assert files(tmp_path) == []


def test_two_names_of_one_file_without_the_same_base_are_two_messages(
    tmp_path: Path,
) -> None:
    """A message that was sent to somebody twice is stored with hard links."""
    os.link(put(tmp_path, "new/1.a"), tmp_path / "new" / "1.b")
    with opened(tmp_path) as maildrop:
        assert [message.unique_id for message in maildrop.messages] == ["1.a", "1.b"]
        assert maildrop.commit([1]) == []
    assert files(tmp_path) == ["new/1.b"]


# Beside other programs


def test_a_message_is_found_where_it_was_moved(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a", b"a\n")
    put(tmp_path, "cur/2.b:2,", b"b\n")
    put(tmp_path, "cur/3.c:2,S", b"c\n")
    with opened(tmp_path) as maildrop:
        os.rename(tmp_path / "new" / "1.a", tmp_path / "cur" / "1.a,S=2:2,S")
        os.rename(tmp_path / "cur" / "2.b:2,", tmp_path / "cur" / "2.b:2,FS")
        os.rename(tmp_path / "cur" / "3.c:2,S", tmp_path / "new" / "3.c")
        assert fetch_all(maildrop) == [b"a\r\n", b"b\r\n", b"c\r\n"]
        os.rename(tmp_path / "cur" / "1.a,S=2:2,S", tmp_path / "cur" / "1.a:2,")
        assert maildrop.commit([1, 3]) == []
    assert files(tmp_path) == ["cur/2.b:2,FS"]


def test_a_message_that_is_gone_cannot_be_read_and_counts_as_removed(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "new/1.a")
    put(tmp_path, "new/2.b")
    with opened(tmp_path) as maildrop:
        path.unlink()
        with pytest.raises(FileNotFoundError, match="gone"):
            maildrop.read(1)
        with pytest.raises(FileNotFoundError, match="gone"):
            maildrop.read(1)
        assert fetch(maildrop, 2) == MESSAGE
        assert maildrop.commit([1]) == []
        assert maildrop.commit([1, 2]) == []
    assert files(tmp_path) == []


def test_a_message_that_comes_back_is_removed(tmp_path: Path) -> None:
    path = put(tmp_path, "new/1.a")
    with opened(tmp_path) as maildrop:
        os.rename(path, tmp_path / "aside")
        with pytest.raises(FileNotFoundError):
            maildrop.read(1)
        os.rename(tmp_path / "aside", tmp_path / "cur" / "1.a:2,")
        assert maildrop.commit([1]) == []
    assert files(tmp_path) == []


def test_a_maildir_may_go_during_a_session(tmp_path: Path) -> None:
    put(tmp_path / "box", "new/1.a")
    with opened(tmp_path / "box") as maildrop:
        shutil.rmtree(tmp_path / "box")
        with pytest.raises(FileNotFoundError):
            maildrop.read(1)
        assert maildrop.commit([1]) == []


def test_a_message_that_was_written_anew_is_still_the_same(tmp_path: Path) -> None:
    path = put(tmp_path, "new/1.a", b"a\n")
    with opened(tmp_path) as maildrop:
        put(tmp_path, "cur/1.a:2,S", b"b\n")
        path.unlink()
        assert fetch(maildrop, 1) == b"b\r\n"
        assert maildrop.commit([1]) == []
    assert files(tmp_path) == []


def test_a_file_with_the_same_base_name_is_not_taken_for_another(
    tmp_path: Path,
) -> None:
    first = put(tmp_path, "cur/1.a:2,", b"first\n")
    put(tmp_path, "cur/1.a:2,S", b"second\n")
    with opened(tmp_path) as maildrop:
        first.unlink()
        with pytest.raises(FileNotFoundError):
            maildrop.read(1)
        os.rename(tmp_path / "cur" / "1.a:2,S", first)
        assert fetch(maildrop, 2) == b"second\r\n"
        assert maildrop.commit([1]) == []
        assert files(tmp_path) == ["cur/1.a:2,"]
        assert maildrop.commit([2]) == []
    assert files(tmp_path) == []


def test_of_two_new_files_with_its_base_name_none_is_taken_for_a_message(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "new/1.a")
    with opened(tmp_path) as maildrop:
        put(tmp_path, "cur/1.a:2,")
        put(tmp_path, "cur/1.a:2,S")
        path.unlink()
        assert maildrop.commit([1]) == []
    assert files(tmp_path) == ["cur/1.a:2,", "cur/1.a:2,S"]


INTERLEAVED = """
import os, sys
from pathlib import Path
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop

path = Path(sys.argv[1])
new, cur = path / "new", path / "cur"
Maildir(path).make()
for name in ("1.a", "2.b", "3.c", "4.d"):
    (new / name).write_bytes(name.encode())
todo = [
    lambda: os.rename(new / "1.a", cur / "1.a:2,"),
    lambda: os.rename(new / "4.d", cur / "4.d:2,S"),
    (new / "2.b").unlink,
]

scanned = []

def hook(event, arguments):
    if event == "os.scandir":
        scanned.append(arguments)
        while todo and len(scanned) == 2:
            todo.pop()()

sys.addaudithook(hook)
maildrop = MaildirMaildrop(Maildir(path))
for number, message in enumerate(maildrop.messages, 1):
    assert b"".join(maildrop.read(number)).decode() == message.unique_id
    print(message.unique_id)
assert maildrop.commit([1]) == []
assert os.listdir(new) == ["3.c"]
assert os.listdir(cur) == ["4.d:2,S"]
"""


def test_a_message_may_be_moved_or_removed_while_the_folders_are_read(
    tmp_path: Path,
) -> None:
    """All happens when one folder has been read and the other has not."""
    ended = subprocess.run(
        [sys.executable, "-c", INTERLEAVED, tmp_path],
        check=True,
        stdout=subprocess.PIPE,
    )
    assert ended.stdout.split() == [b"1.a", b"3.c", b"4.d"]


def test_the_standard_library_works_on_the_same_folder(tmp_path: Path) -> None:
    other = mailbox.Maildir(tmp_path / "box")
    keys = [other.add(b"Subject: %d\n\n" % number) for number in range(4)]
    with opened(tmp_path / "box") as maildrop:
        sent = [b"Subject: %d\r\n\r\n" % number for number in range(4)]
        assert fetch_all(maildrop) == sent
        assert [message.unique_id for message in maildrop.messages] == keys
        message = other[keys[0]]
        message.set_subdir("cur")
        message.add_flag("S")
        other[keys[0]] = message
        other.remove(keys[1])
        assert fetch(maildrop, 1) == sent[0]
        assert maildrop.commit([1, 2, 3]) == []
    assert [message["Subject"] for message in other] == ["3"]
    assert unique_ids(tmp_path / "box") == keys[3:]


# Removal


def test_what_is_committed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in "abcd":
        put(tmp_path, f"new/1.{name}")
    with opened(tmp_path) as maildrop:
        assert maildrop.commit({2, 4}) == []
    assert files(tmp_path) == ["new/1.a", "new/1.c"]


def test_without_commit_nothing_is_removed(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a")
    with opened(tmp_path) as maildrop:
        fetch_all(maildrop)
    assert files(tmp_path) == ["new/1.a"]


def test_numbers_that_could_not_be_removed_are_returned(tmp_path: Path) -> None:
    """A folder in the place of a file cannot be removed like one."""
    paths = [put(tmp_path, f"new/1.{name}") for name in "abcd"]
    with opened(tmp_path) as maildrop:
        for path in paths[:2]:
            path.unlink()
            path.mkdir()
        paths[3].unlink()
        assert maildrop.commit([4, 3, 2, 1]) == [1, 2]
    assert files(tmp_path) == ["new/1.a", "new/1.b"]


# The lock


def test_a_maildrop_is_open_in_one_session_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path):
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(tmp_path))
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(tmp_path / "new" / ".."))
        with opened(tmp_path / "another"):
            pass
    with opened(tmp_path):
        pass


def test_a_lock_keeps_out_other_threads(tmp_path: Path) -> None:
    outcomes: list[Exception | None] = []

    def enter() -> None:
        try:
            MaildirMaildrop(Maildir(tmp_path)).close()
        except pop3.MaildropInUse as error:
            outcomes.append(error)
        else:
            outcomes.append(None)

    def enter_in_a_thread() -> None:
        thread = Thread(target=enter)
        thread.start()
        thread.join()

    with opened(tmp_path):
        enter_in_a_thread()
    enter_in_a_thread()
    assert [type(outcome) for outcome in outcomes] == [pop3.MaildropInUse, type(None)]


def test_a_maildrop_may_be_closed_twice(tmp_path: Path) -> None:
    first = MaildirMaildrop(Maildir(tmp_path))
    first.close()
    with opened(tmp_path):
        first.close()
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(tmp_path))


def test_a_refused_session_leaves_no_file_open(tmp_path: Path) -> None:
    with opened(tmp_path):
        before = open_files()
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(tmp_path))
        assert open_files() == before


def test_a_session_that_cannot_begin_frees_the_lock(tmp_path: Path) -> None:
    before = open_files()
    with most_open_files(1), pytest.raises(OSError, match="open files"):
        MaildirMaildrop(Maildir(tmp_path))
    assert open_files() == before
    assert unique_ids(tmp_path) == []


@pytest.mark.parametrize("name", ["tmp", "new", "cur"])
def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileExistsError):
        MaildirMaildrop(Maildir(tmp_path))


def test_mail_is_delivered_while_the_lock_is_held(tmp_path: Path) -> None:
    with opened(tmp_path):
        path = Maildir(tmp_path).deliver([MESSAGE])
    assert unique_ids(tmp_path) == [path.name.partition(",")[0]]


HOLDER = """
import sys
from pathlib import Path
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop

maildrop = MaildirMaildrop(Maildir(sys.argv[1]))
print(len(maildrop.messages), flush=True)
sys.stdin.read()
"""


def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path: Path) -> None:
    put(tmp_path, "new/1.a")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(tmp_path))
        holder.kill()
        assert holder.wait() == -signal.SIGKILL
        assert unique_ids(tmp_path) == ["1.a"]


FORKED = """
import os, sys
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop

maildrop = MaildirMaildrop(Maildir(sys.argv[1]))
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)
    os._exit(0)
os.close(reader)
maildrop.close()
MaildirMaildrop(Maildir(sys.argv[1])).close()
os.close(writer)
os.wait()
"""


def test_a_child_that_was_forked_does_not_keep_the_lock(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORKED, tmp_path], check=True)


# Users


def test_every_user_has_a_maildrop(tmp_path: Path) -> None:
    Maildir(tmp_path / "alice").deliver([MESSAGE])
    maildrops = MaildirMaildrops(str(tmp_path))
    with closing(maildrops.open("Alice")) as alice, closing(maildrops.open("bob")) as b:
        assert fetch_all(alice) == [MESSAGE]
        assert b.messages == ()
        with pytest.raises(pop3.MaildropInUse):
            maildrops.open("alice")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\0"])
def test_a_name_that_leads_elsewhere_has_no_maildrop(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name for a folder"):
        MaildirMaildrops(tmp_path).open(name)
    assert list(tmp_path.iterdir()) == []


# Many messages

COUNTED = """
import os, sys
from collections import Counter
from pathlib import Path
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop

path, ours = Path(sys.argv[1]), ",S=7,W=8"
new, cur = path / "new", path / "cur"
names = [f"{n}.M1P1Q1R0123456789abcdef.host{ours * (n % 2)}" for n in range(10_000)]
Maildir(path).make()
for name in names:
    (new / name).write_bytes(b"a line\\n")

calls = Counter()

def hook(event, arguments):
    if event in ("os.scandir", "os.remove"):
        calls[event] += 1
    if event == "open" and ".host" in str(arguments[0]) and arguments[1] == "r":
        calls[event] += 1

sys.addaudithook(hook)

def report():
    print(calls["os.scandir"], calls["open"], calls["os.remove"])
    calls.clear()

maildrop = MaildirMaildrop(Maildir(path))
report()
for name in names[:5_000]:
    os.rename(new / name, cur / f"{name}:2,S")
for name in names[5_000:6_000]:
    (new / name).unlink()
calls.clear()
gone = 0
for number, message in enumerate(maildrop.messages, 1):
    try:
        for block in maildrop.read(number):
            assert len(block) == message.size - 1
    except FileNotFoundError:
        gone += 1
assert gone == 1_000
calls["open"] = 0
report()
for name in names[:5_000]:
    os.rename(cur / f"{name}:2,S", new / name)
assert maildrop.commit(range(1, 10_001)) == []
assert not os.listdir(new)
assert not os.listdir(cur)
report()
"""


def test_work_is_linear_in_ten_thousand_messages(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", COUNTED, tmp_path], check=True, stdout=subprocess.PIPE
    )
    assert ended.stdout.decode().splitlines() == [
        "2 5000 0",  # both folders, and the files of others
        "2 0 0",  # both folders once more, for all that were moved
        "2 0 14000",  # the same, and 5000 of 9000 are tried twice
    ]


MEASURED = """
import resource, sys
from pathlib import Path
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrop

path = Path(sys.argv[1])
Maildir(path).make()
with open(path / "new" / "1.a", "wb") as file:
    for _ in range(1000):
        file.write(b"x" * 60_000 + b"\\r\\n")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
maildrop = MaildirMaildrop(Maildir(path))
assert sum(map(len, maildrop.read(1))) == 60_001_000
assert maildrop.messages[0].size == 60_002_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before)
"""


def test_memory_does_not_grow_with_the_message(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path], check=True, stdout=subprocess.PIPE
    )
    assert float(ended.stdout) < 1.5  # the message has 60 MB, the process 20


# All together

visited: Counter[str] = Counter()


@dataclass
class Stored:
    """A message as the model knows it.

    Attributes:
        delivered: What messages are sorted by.
        path: Where the file is, or None: it was removed.
        content: As it was delivered.
        unique_id: In the sessions so far, or "".
        moved: Whether it was moved or marked in the session.
    """

    delivered: tuple[int, int]
    path: Path | None
    content: bytes
    unique_id: str = ""
    moved: bool = False


class Beside(RuleBasedStateMachine):
    """A session sees what was there, whatever other programs do meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.count = 0
        self.stored: list[Stored] = []
        self.maildrop: MaildirMaildrop | None = None
        self.snapshot: list[Stored] = []
        for seconds in (None, 20, 3):
            self.store(MESSAGE, seconds)

    def teardown(self) -> None:
        if self.maildrop:
            self.maildrop.close()
        shutil.rmtree(self.path)

    @property
    def there(self) -> list[tuple[Stored, Path]]:
        return [(each, each.path) for each in self.stored if each.path]

    def store(self, content: bytes, seconds: int | None) -> None:
        """Deliver a message: we, or another program at some time."""
        self.count += 1
        if seconds is None:
            path = Maildir(self.path).deliver([content])
            delivered = (1_700_000_000, self.count)
        else:
            path = put(self.path, f"new/{seconds}.M{self.count}P1.other", content)
            delivered = (seconds, self.count)
        self.stored.append(Stored(delivered, path, content))

    @rule(content=CONTENTS, seconds=st.none() | st.integers(0, 1_600_000_000))
    def deliver(self, content: bytes, seconds: int | None) -> None:
        self.store(content, seconds)
        visited["a message came during a session"] += bool(self.maildrop)

    @precondition(lambda self: self.there)
    @rule(
        data=st.data(),
        to=st.sampled_from(["new", "cur"]),
        flags=st.text("FRST", max_size=4),
    )
    def another_program_moves(self, data: st.DataObject, to: str, flags: str) -> None:
        each, path = data.draw(st.sampled_from(self.there))
        info = {"new": "", "cur": f":2,{flags}"}[to]
        each.path = self.path / to / f"{path.name.partition(':')[0]}{info}"
        each.moved = True
        path.rename(each.path)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def another_program_numbers(self, data: st.DataObject) -> None:
        each, path = data.draw(st.sampled_from(self.there))
        name, colon, info = path.name.partition(":")
        base, _, number = name.partition(",U=")
        each.path = path.with_name(f"{base},U={int(number or 0) + 1}{colon}{info}")
        each.moved = True
        path.rename(each.path)

    @precondition(lambda self: self.there)
    @rule(data=st.data(), kept=st.booleans())
    def another_program_replaces_or_removes(
        self, data: st.DataObject, kept: bool
    ) -> None:
        each, path = data.draw(st.sampled_from(self.there))
        copy = self.path / "tmp" / "copy"
        shutil.copy(path, copy)
        path.unlink()
        each.path = None
        if kept:
            each.path = self.path / "cur" / f"{path.name.partition(':')[0]}:2,R"
            each.moved = True
            copy.rename(each.path)

    @precondition(lambda self: not self.maildrop)
    @rule()
    def begin(self) -> None:
        self.snapshot = sorted(
            (each for each, _ in self.there), key=lambda each: each.delivered
        )
        self.maildrop = MaildirMaildrop(Maildir(self.path))
        with pytest.raises(pop3.MaildropInUse):
            MaildirMaildrop(Maildir(self.path))
        messages = self.maildrop.messages
        assert [message.size for message in messages] == [
            len(as_sent(each.content)) for each in self.snapshot
        ]
        assert len({message.unique_id for message in messages}) == len(messages)
        for each, message in zip(self.snapshot, messages, strict=True):
            visited["a message was seen again"] += bool(each.unique_id)
            assert message.unique_id == (each.unique_id or message.unique_id)
            each.unique_id = message.unique_id
            each.moved = False

    @precondition(lambda self: self.snapshot)
    @rule()
    def read_all(self) -> None:
        assert self.maildrop
        for number, each in enumerate(self.snapshot, 1):
            if each.path:
                assert fetch(self.maildrop, number) == as_sent(each.content)
                visited["a message was read"] += 1
                visited["a message was read that had been moved"] += each.moved
            else:
                with pytest.raises(FileNotFoundError):
                    self.maildrop.read(number)
                visited["a message could not be read, it had gone"] += 1

    @precondition(lambda self: self.snapshot)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        assert self.maildrop
        numbers = range(1, len(self.snapshot) + 1)
        gone = {number for number in numbers if not self.snapshot[number - 1].path}
        deleted = gone | data.draw(st.sets(st.sampled_from(numbers)))
        assert list(self.maildrop.commit(deleted)) == []
        for number in deleted:
            each = self.snapshot[number - 1]
            if each.path:
                visited["a message was deleted"] += 1
                visited["a message was deleted that had been moved"] += each.moved
            else:
                visited["a message was deleted that had gone"] += 1
            each.path = None
        visited["some were deleted and some were kept"] += (
            0 < len(deleted) < len(numbers)
        )
        self.end(crash=False)

    @precondition(lambda self: self.maildrop)
    @rule(crash=st.booleans())
    def end(self, crash: bool) -> None:
        """All that is left of a holder that dies is that its descriptor is closed."""
        assert self.maildrop
        visited["a holder died" if crash else "a session ended"] += 1
        if not crash:
            self.maildrop.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.maildrop = None
        self.snapshot = []

    @invariant()
    def nothing_else_is_removed_or_made(self) -> None:
        found = {
            path for folder in ("new", "cur") for path in self.path.glob(f"{folder}/*")
        }
        assert found == {path for _, path in self.there}


SITUATIONS = {
    "a message was seen again",
    "a message was read",
    "a message was read that had been moved",
    "a message could not be read, it had gone",
    "a message was deleted",
    "a message was deleted that had been moved",
    "a message was deleted that had gone",
    "some were deleted and some were kept",
    "a message came during a session",
    "a session ended",
    "a holder died",
}


def test_other_programs_do_not_disturb_a_session() -> None:
    visited.clear()
    # What is drawn also depends on which modules were imported before.
    for examples in (25, 75, 225):
        if set(+visited) != SITUATIONS:
            run_state_machine_as_test(
                Beside,
                settings=settings(
                    derandomize=True,
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate],
                    max_examples=examples,
                    stateful_step_count=100,
                ),
            )
    assert set(+visited) == SITUATIONS
