"""What was stored, what is new, and the file between two sessions."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_pop_core import pop3
from smtp_pop_core.pop3 import Listed, Plan, Seen
from smtp_pop_core.testing import unique_ids

FILE = (
    b"smtp-pop-core unique ids 1\n"
    b"whqtswO00WBw418f9t5JxYwZ\n"
    b"QhdPYR:00WBw1Ph7x7\n"
    b"same\n"
    b"same\n"
)
IDS = ["whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7", "same", "same"]
FEW = st.lists(st.sampled_from("abc"), max_size=6)


def listed(ids: Iterable[str | None]) -> tuple[Listed, ...]:
    """Give messages with these ids, numbered from 1."""
    return tuple(Listed(number, 10, each) for number, each in enumerate(ids, 1))


def ids(messages: Iterable[Listed]) -> list[str | None]:
    return [each.unique_id for each in messages]


# The file.


def test_a_file_says_what_it_is_and_then_a_line_for_each_message() -> None:
    assert Seen.parse(FILE) == Seen(IDS)
    assert bytes(Seen(IDS)) == FILE
    assert bytes(Seen()) == b"smtp-pop-core unique ids 1\n"
    assert bytes(Seen(IDS[:3])) + Seen.line("same") == FILE


@settings(deadline=None)
@given(st.lists(unique_ids()) | FEW)
def test_what_is_written_is_read(ids: list[str]) -> None:
    seen = Seen(ids)
    assert Seen.parse(bytes(seen)) == seen
    assert Seen.parse(bytes(Seen()) + b"".join(map(Seen.line, ids))) == seen


@pytest.mark.parametrize("unique_id", ["\xe9" * 200, "\u2028", "\x85", "a\xa0b"])
def test_what_is_tolerated_as_an_id_is_written_and_read(unique_id: str) -> None:
    """`Tolerances.any_unique_id`.  Only LF ends a line."""
    seen = Seen([unique_id])
    assert Seen.parse(bytes(seen)) == seen


@pytest.mark.parametrize("length", range(len(FILE) + 1))
def test_a_line_that_was_cut_off_does_not_count(length: int) -> None:
    """A crash may cut the file anywhere."""
    whole = FILE[:length].count(b"\n")
    assert Seen.parse(FILE[:length]) == Seen(IDS[: max(whole - 1, 0)])


@pytest.mark.parametrize(
    "data",
    [
        b"m",
        b"\n",
        b"\r\n",
        b" " + FILE,
        b"\xef\xbb\xbf" + FILE,
        FILE.replace(b"\n", b"\r\n"),
        FILE.replace(b"1\n", b"2\n", 1),
        b"whqtswO00WBw418f9t5JxYwZ\n",
        b"\xff",
    ],
)
def test_a_file_of_somebody_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a file of unique ids"):
        Seen.parse(data)


@pytest.mark.parametrize(
    "line", [b"", b"a b", b" a", b"a\r", b"a\0", b"\x1b", b"a\x7f", b"\xff", b"\xc3"]
)
def test_a_line_that_is_no_id_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a unique id|codec"):
        Seen.parse(FILE + line + b"\n" + Seen.line("a"))


def test_what_is_no_id_does_not_matter_in_a_line_that_was_cut_off() -> None:
    assert Seen.parse(FILE + b"\xc3") == Seen.parse(FILE + b"a b") == Seen(IDS)


def test_a_file_that_was_cut_off_is_written_anew_before_an_id_is_added() -> None:
    """Else the two become one id, and perhaps that of another message."""
    cut = bytes(Seen()) + Seen.line("1")[:-1]
    assert Seen.parse(cut + Seen.line("2")) == Seen(["12"])
    assert Seen.parse(bytes(Seen.parse(cut)) + Seen.line("2")) == Seen(["2"])


# What was stored.


def test_ids_are_counted() -> None:
    seen = Seen(["a", "b", "a"])
    assert len(seen) == 3
    assert [seen.count(each) for each in "abc"] == [2, 1, 0]
    assert "a" in seen
    assert not [each for each in ("c", "ab", "", None) if each in seen]
    seen.add("c")
    assert seen == Seen("bcaa")
    assert seen != Seen("bca")
    assert seen != ["a", "a", "b", "c"]
    assert repr(seen) == "Seen(['a', 'a', 'b', 'c'])"


def test_what_was_stored_changes_and_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Seen())


@pytest.mark.parametrize(
    "unique_id", ["", "a b", "a\n", "a\r\n", "\0", "\x7f", "\ud800"]
)
def test_what_is_no_id_is_not_noted(unique_id: str) -> None:
    seen = Seen(["a"])
    with pytest.raises(ValueError, match="not a unique id"):
        seen.add(unique_id)
    with pytest.raises(ValueError, match="not a unique id"):
        Seen(["a", unique_id])
    assert seen == Seen(["a"])


# What is forgotten.


@pytest.mark.parametrize(
    ("stored", "there", "left"),
    [
        ("abc", "bcd", "bc"),
        ("abc", "cba", "abc"),
        ("abc", "d", ""),
        ("aab", "a", "a"),
        ("aab", "aaab", "aab"),
        ("", "a", ""),
    ],
)
def test_what_is_no_longer_there_is_forgotten(
    stored: str, there: str, left: str
) -> None:
    """Of an id that is there less often too: the next that has it is new."""
    seen = Seen(stored)
    seen.forget_all_but(listed(there))
    assert seen == Seen(left)


def test_an_empty_maildrop_makes_nothing_forgotten() -> None:
    """A server whose disk is missing shows one."""
    seen = Seen("aab")
    seen.forget_all_but(())
    assert seen == Seen("aab")


@pytest.mark.parametrize("there", [[None], ["a", None], [None, "b"]])
def test_messages_without_an_id_make_nothing_forgotten(there: list[str | None]) -> None:
    """A server that does not tell ids today may do so tomorrow."""
    seen = Seen("aab")
    with pytest.raises(ValueError, match="has no unique id"):
        seen.forget_all_but(listed(there))
    assert seen == Seen("aab")


# What is new.


@pytest.mark.parametrize(
    ("stored", "there", "new", "known"),
    [
        ("", "", "", ""),
        ("", "ab", "ab", ""),
        ("ab", "ab", "", "ab"),
        ("b", "cab", "ca", "b"),
        ("xyz", "ab", "ab", ""),
        ("a", "ba", "b", "a"),
        ("a", "aa", "aa", ""),
        ("a", "aba", "aba", ""),
        ("ab", "aba", "aa", "b"),
        ("aa", "aa", "", "aa"),
        ("aa", "a", "", "a"),
        ("aa", "aaa", "aaa", ""),
    ],
)
def test_what_was_not_stored_is_new(
    stored: str, there: str, new: str, known: str
) -> None:
    """All with an id are, if fewer were stored with it: nobody knows which."""
    plan = pop3.plan(listed(there), Seen(stored))
    assert ids(plan.fetch) == list(new)
    assert ids(plan.stored) == list(known)


@settings(deadline=None)
@given(FEW, FEW)
def test_a_plan_holds_every_message_once(stored: list[str], there: list[str]) -> None:
    seen = Seen(stored)
    plan = pop3.plan(listed(there), seen)
    assert sorted([*plan.fetch, *plan.stored], key=lambda each: each.number) == list(
        listed(there)
    )
    assert not set(ids(plan.fetch)) & set(ids(plan.stored))
    assert seen == Seen(stored)


def test_messages_are_looked_at_once() -> None:
    assert pop3.plan(iter(listed("ab")), Seen("a")) == Plan(
        fetch=(Listed(2, 10, "b"),), stored=(Listed(1, 10, "a"),)
    )


@pytest.mark.parametrize("there", [[None], ["a", None], [None, "b"]])
def test_messages_without_an_id_cannot_be_compared(there: list[str | None]) -> None:
    with pytest.raises(ValueError, match=r"message \d has no unique id"):
        pop3.plan(listed(there), Seen("a"))
