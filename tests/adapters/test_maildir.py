"""The Maildir store, on real files."""

import itertools
import mailbox
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_adapters.maildir import (
    Maildir,
    deliver_to,
    sizes_in_name,
    user_folder,
)

MESSAGE = b"Subject: hello\r\n\r\nOne line.\r\n.\r\n"
HOST = socket.gethostname()
NAME = re.compile(
    r"[0-9]+\.M[0-9]{6}P[0-9]+Q[0-9]+R[0-9a-f]{16}\.[^/:]+"
    r",S=(?P<size>[0-9]+),W=(?P<wire>[0-9]+)(,P=(?P<sent>[0-9]+))?(?P<raw>,X=raw)?"
)


def files(path: Path) -> list[Path]:
    """Return all files below a folder."""
    return sorted(each for each in path.rglob("*") if each.is_file())


def in_pieces(content: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Cut content at the given offsets; some of the pieces are empty."""
    offsets = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return (content[start:end] for start, end in itertools.pairwise(offsets))


def size_as_sent(content: bytes) -> int:
    """Return the size of content whose every line ends with CRLF, also the last."""
    lines = re.split(rb"\r\n|\r|\n", content)
    return sum(len(line) + 2 for line in lines) - (0 if lines[-1] else 2)


def broken_off(content: bytes, error: BaseException) -> Iterator[bytes]:
    yield content
    raise error


@contextmanager
def file_size_limit(octets: int) -> Iterator[None]:
    """Let no file grow over a size: writing more is an OSError, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder to which no file of tmp_path can be linked or renamed."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    path = Path(tempfile.mkdtemp(dir=memory))
    yield path
    shutil.rmtree(path)


# What is stored


def test_a_message_is_stored_with_lf_line_ends(tmp_path: Path) -> None:
    path = Maildir(tmp_path / "box").deliver([MESSAGE])
    assert path.read_bytes() == MESSAGE.replace(b"\r\n", b"\n")
    assert files(tmp_path) == [path]


@given(
    content=st.lists(
        st.sampled_from([b"\r\n", b"a line\r\n", b"text", b".", b"\xff\0"])
    ).map(b"".join),
    cuts=st.lists(st.integers(min_value=0, max_value=1000)),
)
def test_blocks_may_be_cut_anywhere(content: bytes, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Maildir(folder).deliver(in_pieces(content, cuts))
        name = NAME.fullmatch(path.name)
        stored = path.read_bytes()
    assert stored == content.replace(b"\r\n", b"\n")
    assert name
    assert int(name["size"]) == len(stored)
    assert int(name["wire"]) == len(content)
    assert bool(name["sent"]) == (len(content) != size_as_sent(content))
    assert name["raw"] is None
    assert sizes_in_name(path.name) == (len(stored), size_as_sent(content))


@given(
    content=st.lists(
        st.sampled_from([b"\r\n", b"\r", b"\n", b"text", b"a line\r\n"])
    ).map(b"".join),
    cuts=st.lists(st.integers(min_value=0, max_value=1000)),
)
def test_what_came_can_be_had_back(content: bytes, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Maildir(folder).deliver(in_pieces(content, cuts))
        name = NAME.fullmatch(path.name)
        stored = path.read_bytes()
    assert name
    assert bool(name["raw"]) == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", content))
    assert stored == (content if name["raw"] else content.replace(b"\r\n", b"\n"))
    assert int(name["size"]) == len(stored)
    bare_lfs = content.count(b"\n") - content.count(b"\r\n")
    assert int(name["wire"]) == len(content) + bare_lfs
    assert sizes_in_name(path.name) == (len(stored), size_as_sent(content))


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\r\r\n"])
def test_a_bare_octet_late_in_long_content_restores_every_crlf(
    tmp_path: Path, octet: bytes
) -> None:
    lines = b"x" * 70 + b"\r\n"
    content = lines * 20_000 + octet
    path = Maildir(tmp_path).deliver([lines * 10_000, lines * 10_000, octet])
    assert path.read_bytes() == content
    assert path.name.endswith(",X=raw")
    assert files(tmp_path) == [path]


@pytest.mark.parametrize(
    ("content", "attributes", "sizes"),
    [
        (b"", ",S=0,W=0", (0, 0)),
        (b"\r\n", ",S=1,W=2", (1, 2)),
        (b"a\r\n", ",S=2,W=3", (2, 3)),
        (b"a", ",S=1,W=1,P=3", (1, 3)),
        (b"a\r\nb", ",S=3,W=4,P=6", (3, 6)),
        (b"a\n", ",S=2,W=3,X=raw", (2, 3)),
        (b"a\nb", ",S=3,W=4,P=6,X=raw", (3, 6)),
        (b"a\r", ",S=2,W=2,P=3,X=raw", (2, 3)),
        (b"a\rb\r\n", ",S=5,W=5,P=6,X=raw", (5, 6)),
        (b"a\r\r\n\n", ",S=5,W=6,P=7,X=raw", (5, 7)),
    ],
)
def test_the_name_says_what_a_reader_would_have_to_count(
    tmp_path: Path, content: bytes, attributes: str, sizes: tuple[int, int]
) -> None:
    path = Maildir(tmp_path).deliver([content])
    assert path.name.endswith(f".{HOST}{attributes}")
    assert sizes_in_name(path.name) == sizes


OURS = "1700000000.M20648P16954Q1R0123456789abcdef.host"


@pytest.mark.parametrize(
    "name",
    [
        "1700000000.M20648P16954.host,S=1200,W=1230",
        "1700000000.M20648P16954Q1.host,S=1200,W=1230",
        OURS,
        f"{OURS},S=1200",
        f"{OURS},W=1230",
        f"{OURS},W=1230,S=1200",
        f"{OURS},S=1200,W=1230,U=1",
        f"{OURS},S=1200,W=1230:2,S",
        f"{OURS},S=1200,W=-1230",
        f"{OURS},S=1200,W=\u0661",
        f"{OURS},S=1200,W={'1' * 19}",
        f"a{OURS},S=1200,W=1230",
    ],
)
def test_no_size_is_taken_from_the_name_of_another_program(name: str) -> None:
    assert sizes_in_name(name) is None


def test_an_empty_message_is_a_message(tmp_path: Path) -> None:
    path = Maildir(tmp_path).deliver([])
    assert path.read_bytes() == b""
    assert path.name.endswith(",S=0,W=0")


def test_the_standard_library_reads_what_was_stored(tmp_path: Path) -> None:
    box = Maildir(tmp_path / "box")
    path = box.deliver([MESSAGE])
    reader = mailbox.Maildir(tmp_path / "box", create=False)
    ((key, message),) = reader.items()
    assert key == path.name
    assert message["Subject"] == "hello"
    assert message.get_subdir() == "new"
    assert reader.get_bytes(key) == MESSAGE.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("content", [MESSAGE, MESSAGE + b"bare\n"])
def test_the_standard_library_keeps_the_name_when_a_message_is_seen(
    tmp_path: Path, content: bytes
) -> None:
    path = Maildir(tmp_path / "box").deliver([content])
    reader = mailbox.Maildir(tmp_path / "box", create=False)
    message = reader[path.name]
    message.set_subdir("cur")
    message.add_flag("S")
    reader[path.name] = message
    assert [each.name for each in files(tmp_path)] == [f"{path.name}:2,S"]


def test_we_store_beside_messages_of_the_standard_library(tmp_path: Path) -> None:
    other = mailbox.Maildir(tmp_path / "box")
    other.add(b"Subject: theirs\n\n")
    Maildir(tmp_path / "box").deliver([MESSAGE])
    assert sorted(message["Subject"] for message in other) == ["hello", "theirs"]


# Folders and names


def test_missing_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    Maildir(tmp_path / "mail" / "box").deliver([MESSAGE])
    made = ["mail", "mail/box", "mail/box/cur", "mail/box/new", "mail/box/tmp"]
    assert [oct((tmp_path / name).stat().st_mode) for name in made] == ["0o40700"] * 5


def test_only_the_owner_can_read_a_message(tmp_path: Path) -> None:
    path = Maildir(tmp_path).deliver([MESSAGE])
    assert oct(path.stat().st_mode) == "0o100600"


@pytest.mark.parametrize("missing", ["tmp", "new", "cur"])
def test_a_missing_folder_of_a_maildir_does_no_harm(
    tmp_path: Path, missing: str
) -> None:
    box = Maildir(tmp_path)
    box.deliver([MESSAGE])
    shutil.rmtree(tmp_path / missing)
    assert box.deliver([MESSAGE]).read_bytes()


def test_nothing_is_made_before_the_first_delivery(tmp_path: Path) -> None:
    box = Maildir(str(tmp_path / "box"))
    assert not (tmp_path / "box").exists()
    assert repr(box) == f"Maildir({str(tmp_path / 'box')!r})"


def test_every_message_has_its_own_name(tmp_path: Path) -> None:
    box = Maildir(tmp_path)
    assert len({box.deliver([]).name.partition(",")[0] for _ in range(100)}) == 100


# Delivery by and by


def test_a_message_appears_when_it_is_committed(tmp_path: Path) -> None:
    with Maildir(tmp_path).delivery() as delivery:
        delivery.write(MESSAGE[:15])
        assert files(tmp_path / "new") == []
        delivery.write(MESSAGE[15:])
        path = delivery.commit()
        assert files(tmp_path) == [path]
    assert path.read_bytes() == MESSAGE.replace(b"\r\n", b"\n")
    assert files(tmp_path) == [path]


def test_what_was_not_committed_is_removed(tmp_path: Path) -> None:
    with Maildir(tmp_path).delivery() as delivery:
        delivery.write(MESSAGE)
        assert len(files(tmp_path / "tmp")) == 1
    assert files(tmp_path) == []


def test_a_message_is_committed_once(tmp_path: Path) -> None:
    with Maildir(tmp_path).delivery() as delivery:
        path = delivery.commit()
        with pytest.raises(ValueError, match="committed before"):
            delivery.commit()
        with pytest.raises(ValueError, match="committed before"):
            delivery.write(b"more")
    assert files(tmp_path) == [path]


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt(), SystemExit()])
def test_content_that_breaks_off_leaves_nothing(
    tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        Maildir(tmp_path).deliver(broken_off(MESSAGE, error))
    assert caught.value is error
    assert files(tmp_path) == []


# Failures of the file system


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    box = Maildir(tmp_path)
    with file_size_limit(1000), pytest.raises(OSError, match="too large"):
        box.deliver([MESSAGE, b"x" * 2000])
    assert files(tmp_path) == []


def test_a_disk_that_fills_up_while_crlf_is_restored_leaves_nothing(
    tmp_path: Path,
) -> None:
    box = Maildir(tmp_path)
    with file_size_limit(1000), pytest.raises(OSError, match="too large"):
        box.deliver([b"\r\n" * 800, b"bare\n"])
    assert files(tmp_path) == []


def test_after_a_failed_write_nothing_can_be_committed(tmp_path: Path) -> None:
    with Maildir(tmp_path).delivery() as delivery:
        with file_size_limit(1000), pytest.raises(OSError, match="too large"):
            delivery.write(b"x" * 2000)
        with pytest.raises(ValueError, match="a write failed"):
            delivery.write(b"x")
        with pytest.raises(ValueError, match="a write failed"):
            delivery.commit()
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["tmp", "new", "cur"])
def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileExistsError):
        Maildir(tmp_path).deliver([MESSAGE])
    assert files(tmp_path) == [tmp_path / name]


def test_a_folder_that_goes_while_content_comes_is_an_error(tmp_path: Path) -> None:
    with Maildir(tmp_path).delivery() as delivery:
        delivery.write(MESSAGE)
        (tmp_path / "new").rmdir()
        with pytest.raises(FileNotFoundError):
            delivery.commit()
    assert files(tmp_path) == []


KILLED = """
import os, signal, sys
from smtp_pop_adapters.maildir import Maildir

def blocks():
    yield b"a line" * 20_000
    os.kill(os.getpid(), signal.SIGKILL)

Maildir(sys.argv[1]).deliver(blocks())
"""


def test_a_process_that_is_killed_leaves_nothing_in_new(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert ended.returncode == -9
    (left,) = files(tmp_path)
    assert left.parent == tmp_path / "tmp"
    assert left.stat().st_size == 120_000


MEASURED = """
import resource, sys
from smtp_pop_adapters.maildir import Maildir

box = Maildir(sys.argv[1])
box.deliver([b"x" * 60_000 + b"\\r\\n", b"bare\\n"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with box.delivery() as delivery:
    for _ in range(1000):
        delivery.write(b"x" * 60_000 + b"\\r\\n")
    delivery.write(b"bare\\n")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before)
"""


def test_memory_does_not_grow_with_the_message(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path], check=True, stdout=subprocess.PIPE
    )
    assert float(ended.stdout) < 1.5  # the message has 60 MB, the process 20


# Several Maildirs


def test_one_message_goes_to_several_maildirs(tmp_path: Path) -> None:
    boxes = [Maildir(tmp_path / name) for name in "abc"]
    paths = deliver_to(boxes, [MESSAGE])
    assert [path.parent for path in paths] == [box.path / "new" for box in boxes]
    assert {path.read_bytes() for path in paths} == {MESSAGE.replace(b"\r\n", b"\n")}
    assert paths[0].samefile(paths[2])  # written once
    assert files(tmp_path) == sorted(paths)


def test_the_content_is_read_once(tmp_path: Path) -> None:
    blocks = in_pieces(MESSAGE, [3, 15, 16])
    paths = deliver_to([Maildir(tmp_path / "a"), Maildir(tmp_path / "b")], blocks)
    assert [path.stat().st_size for path in paths] == [len(MESSAGE) - 4] * 2


def test_a_maildir_given_twice_gets_two_messages(tmp_path: Path) -> None:
    box = Maildir(tmp_path)
    assert len(set(deliver_to([box, box], [MESSAGE]))) == 2
    assert len(files(tmp_path / "new")) == 2


def test_a_message_is_for_somebody() -> None:
    with pytest.raises(ValueError, match="no Maildir"):
        deliver_to([], [MESSAGE])


def test_a_message_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, other_file_system: Path
) -> None:
    boxes = [Maildir(tmp_path), Maildir(other_file_system)]
    paths = deliver_to(boxes, [MESSAGE])
    assert [path.read_bytes() for path in paths] == [
        MESSAGE.replace(b"\r\n", b"\n")
    ] * 2
    assert oct(paths[1].stat().st_mode) == "0o100600"
    assert files(tmp_path) + files(other_file_system) == list(paths)


def test_if_one_maildir_cannot_take_a_message_none_does(
    tmp_path: Path, other_file_system: Path
) -> None:
    """The last rename fails, when the others are done."""
    boxes = [Maildir(tmp_path / name) for name in "abc"]
    boxes[2].deliver([])
    shutil.rmtree(tmp_path / "c" / "new")
    (tmp_path / "c" / "new").symlink_to(other_file_system)
    with pytest.raises(OSError, match="ross-device"):
        deliver_to(boxes, [MESSAGE])
    assert files(tmp_path) + files(other_file_system) == []


def test_if_one_maildir_cannot_be_made_none_gets_the_message(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(OSError, match="exists"):
        deliver_to([Maildir(tmp_path / name) for name in "abc"], [MESSAGE])
    assert files(tmp_path) == [tmp_path / "b"]


# The folders of users


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("alice", "alice"),
        ("Alice.Smith+Tag", "alice.smith+tag"),
        ("POSTMASTER", "postmaster"),
        ("\u00c9va", "\u00c9va"),  # only ASCII letters lose their case
        ("two words", "two words"),
        ("~", "~"),
        ("a" * 255, "a" * 255),
    ],
)
def test_a_user_has_a_folder(name: str, folder: str) -> None:
    assert user_folder(Path("mail"), name) == Path("mail") / folder


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "../root",
        "a/b",
        "/etc",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\x85",
        "a\u202eb",  # turns the text after it round
        "a\u200bb",  # cannot be seen
        " a",
        "a ",
        "\u212aelvin",  # a Kelvin sign: its normal form is K
        "e\u0301va",  # two characters for one
        "a\ud800",
        "a" * 256,
        "\u00e9" * 128,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name for a folder"):
        user_folder(Path("mail"), name)


@given(st.text())
def test_a_folder_is_always_right_below_the_root(name: str) -> None:
    root = Path("/mail")
    try:
        folder = user_folder(root, name)
    except ValueError:
        folder = root / "refused"
    assert os.path.normpath(folder) == str(folder)
    assert folder.parent == root
