"""Serving: UPDATE, which only QUIT reaches, and every other way to end a session."""

from collections.abc import Collection, Iterator
from typing import Any, Final

import pytest

from driving import (
    Close,
    Deaf,
    Expect,
    Say,
    Silence,
    Step,
    Stop,
    Wait,
)
from pop3_serving import (
    CONTENTS,
    GOODBYE,
    GREETING,
    KINDS,
    LOGIN,
    MARKED,
    NAMED,
    ON_THE_WIRE,
    OPENED,
    QUIT,
    AsyncMemory,
    Memory,
    Plain,
    Served,
    Talk,
    connection,
    logins,
    opening,
    told,
)
from smtp_pop_core import Limits, Stopping, Timeouts, pop3
from smtp_pop_core.pop3 import Ending, State
from smtp_pop_core.sasl import Stored

NOT_REMOVED: Final = b"-ERR [SYS/TEMP] %d messages were not removed\r\n"
DELE: Final[list[Step]] = [Say(b"DELE 1\r\n"), Expect(MARKED)]


class Keeping(Memory):
    """Cannot remove what it is told."""

    kept: Any = ()

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        super().commit(deleted)
        if isinstance(self.kept, Exception):
            raise self.kept
        kept: Collection[int] = self.kept
        return kept


class AsyncKeeping(AsyncMemory):
    """The same in async code."""

    kept: Any = ()

    async def commit(self, deleted: Collection[int]) -> Collection[int]:
        await super().commit(deleted)
        if isinstance(self.kept, Exception):
            raise self.kept
        kept: Collection[int] = self.kept
        return kept


KEEPERS: Final = [Keeping, AsyncKeeping]


def quitting(kept: object, marks: bytes, kind: type[Any] = Keeping) -> Talk:
    """Give a session that has marked messages and said QUIT, to a maildrop that fails.

    There are three messages.
    """
    maildrop = kind(*CONTENTS, b"3\n")
    maildrop.kept = kept
    talk = Talk(opening(maildrop))
    talk.log_in()
    talk.hear(marks + b"NOOP\r\n")
    return talk


# QUIT.  RFC 1939 sections 4 and 6.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("said", "deleted"),
    [
        (b"", []),
        (b"DELE 2\r\n", [2]),
        (b"DELE 2\r\nDELE 1\r\nDELE 1\r\nDELE 3\r\nDELE 0\r\n", [1, 2]),
        (b"DELE 1\r\nRSET\r\n", []),
        (b"DELE 1\r\nRSET\r\nDELE 2\r\n", [2]),
        (b"RETR 1\r\nTOP 2 0\r\nUIDL\r\n", []),
    ],
)
def test_quit_removes_what_is_marked_and_nothing_else(
    kind: pop3.ApplicationFactory, said: bytes, deleted: list[int]
) -> None:
    talk = Talk(kind)
    talk.log_in()
    talk.hear(said + b"NOOP\r\n")
    assert told == ["joe"]
    assert talk.hear(b"QUIT\r\n") == GOODBYE
    assert told == ["joe", deleted, "closed", Ending.QUIT]
    assert talk.driver.reports == []


@pytest.mark.parametrize(
    "said", [b"QUIT\r\n", b"USER joe\r\nQUIT\r\n", b"USER joe\r\nPASS x\r\nQUIT\r\n"]
)
def test_quit_before_the_login_removes_nothing(said: bytes) -> None:
    """RFC 1939 section 4: it does not lead to UPDATE."""
    talk = Talk(Plain)
    assert talk.hear(said).endswith(GOODBYE)
    assert told == [Ending.QUIT]
    assert talk.conn.state is State.CLOSED


def test_the_lock_is_free_when_the_client_hears_goodbye() -> None:
    """It may come back at once."""
    served = Served(Plain, *LOGIN, *QUIT)
    asked = served.driver.asked
    assert asked == ["Plain", "authenticate", "open", "commit", "close", "close"]

    class Watching(Memory):
        def close(self) -> None:
            told.append(len(talk.writes))

    talk = Talk(opening(Watching()))
    talk.log_in()
    before = len(talk.writes)
    assert talk.hear(b"QUIT\r\n") == GOODBYE
    assert told == [[], before, Ending.QUIT]


@pytest.mark.parametrize("kind", KEEPERS)
@pytest.mark.parametrize(
    ("kept", "marks", "heard"),
    [
        ((), b"DELE 1\r\n", GOODBYE),
        ([], b"", GOODBYE),
        ([1], b"DELE 1\r\n", NOT_REMOVED % 1),
        ({1, 2}, b"DELE 1\r\nDELE 2\r\nDELE 3\r\n", NOT_REMOVED % 2),
        ((1, 1, 1), b"DELE 1\r\nDELE 2\r\n", NOT_REMOVED % 1),
        (frozenset({1, 2, 3}), b"DELE 1\r\nDELE 2\r\nDELE 3\r\n", NOT_REMOVED % 3),
        ((2, 9), b"DELE 1\r\n", GOODBYE),
        ({1: "why", 2: "why"}, b"DELE 1\r\nDELE 3\r\n", NOT_REMOVED % 1),
    ],
)
def test_what_was_not_removed_is_said(
    kind: type[Any], kept: Any, marks: bytes, heard: bytes
) -> None:
    """RFC 1939 section 6.  The session has ended all the same."""
    talk = quitting(kept, marks, kind)
    assert talk.hear(b"QUIT\r\nQUIT\r\n") == heard
    assert told[-2:] == ["closed", Ending.QUIT]
    assert talk.driver.reports == []
    assert talk.ending is Ending.QUIT


@pytest.mark.parametrize("kind", KEEPERS)
@pytest.mark.parametrize(
    "kept",
    [OSError("secret"), TimeoutError("secret"), pop3.MaildropInUse(), None, 1, [[]]],
)
def test_a_commit_that_fails_is_reported_and_said(kind: type[Any], kept: Any) -> None:
    talk = quitting(kept, b"DELE 1\r\nDELE 2\r\n", kind)
    assert talk.hear(b"QUIT\r\n") == NOT_REMOVED % 2
    assert told == [[1, 2], "closed", Ending.QUIT]
    assert len(talk.driver.reports) == 1


def test_a_commit_of_nothing_that_fails_is_only_reported() -> None:
    """Nothing that the client wanted has failed."""
    talk = quitting(OSError("secret"), b"")
    assert talk.hear(b"QUIT\r\n") == GOODBYE
    assert len(talk.driver.reports) == 1


def test_a_client_that_takes_no_answers_removes_nothing() -> None:
    """What it would have to hear before its QUIT is written first."""
    steps = [*LOGIN, Deaf(), Say(b"RETR 1\r\nDELE 1\r\nQUIT\r\n"), Silence()]
    served = Served(Plain, *steps)
    assert served.ending is Ending.TIMEOUT
    assert told == ["joe", "closed", Ending.TIMEOUT]


def test_a_client_that_takes_its_message_may_remove_it_in_the_same_group() -> None:
    served = Served(
        Plain,
        *LOGIN,
        Say(b"RETR 1\r\nDELE 1\r\nQUIT\r\n"),
        Expect(b"+OK 23 octets\r\n" + ON_THE_WIRE[0] + MARKED + GOODBYE),
    )
    assert told == ["joe", [1], "closed", Ending.QUIT]
    assert served.peer.writes[2:] == [
        b"+OK 23 octets\r\n" + ON_THE_WIRE[0] + MARKED,
        GOODBYE,
    ]


def test_what_was_removed_stays_removed_if_goodbye_is_not_heard() -> None:
    served = Served(Plain, *LOGIN, *DELE, Deaf(), Say(b"QUIT\r\n"), Silence())
    assert served.ending is Ending.TIMEOUT
    assert told == ["joe", [1], "closed", Ending.TIMEOUT]


# Every other end.

LIMITS: Final = Limits(bad_commands=1, failed_logins=1)
ENDINGS: Final[list[tuple[Ending, list[Step]]]] = [
    (Ending.QUIT, [GREETING, *QUIT]),
    (Ending.QUIT, [*LOGIN, *QUIT]),
    (Ending.QUIT, [*LOGIN, *QUIT, Say(b"NOOP\r\n")]),
    (Ending.LOST, [Close()]),
    (Ending.LOST, [GREETING, Close()]),
    (Ending.LOST, [*LOGIN, *DELE, Close()]),
    (Ending.LOST, [*LOGIN, *DELE, Say(b"QUIT\r"), Close()]),
    (Ending.LOST, [*LOGIN, *DELE, Say(b"QUIT"), Close()]),
    (Ending.TIMEOUT, [GREETING, Silence()]),
    (Ending.TIMEOUT, [*LOGIN, *DELE, Silence()]),
    (Ending.TIMEOUT, [*LOGIN, *DELE, Say(b"QUI"), Silence()]),
    (Ending.TIMEOUT, [Deaf(), Silence()]),
    (Ending.TIMEOUT, [*LOGIN, *DELE, Deaf(), Say(b"NOOP\r\n"), Silence()]),
    (Ending.STOPPING, [GREETING, Stop()]),
    (Ending.STOPPING, [*LOGIN, *DELE, Stop()]),
    (Ending.STOPPING, [*LOGIN, *DELE, Say(b"QU"), Stop(), Say(b"IT\r\n")]),
    (
        Ending.REFUSED,
        [
            *[*LOGIN, *DELE, Say(b"WHAT\r\nWHAT\r\n")],
            Expect(b"-ERR Command not recognized\r\n-ERR Too many bad commands\r\n"),
        ],
    ),
    (
        Ending.REFUSED,
        [
            *[GREETING, Say(b"USER joe\r\nPASS x\r\n")],
            Expect(NAMED + b"-ERR [AUTH] Login failed\r\n"),
        ],
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ending", "steps"), ENDINGS)
def test_each_end_closes_the_maildrop_once_and_tells_why(
    kind: pop3.ApplicationFactory, ending: Ending, steps: list[Step]
) -> None:
    served = Served(kind, *steps, conn=connection(limits=LIMITS))
    assert served.ending is ending
    assert [each for each in told if isinstance(each, Ending)] == [ending]
    assert told.count("closed") == told.count("joe")
    assert [1] not in told
    assert served.conn.state is State.CLOSED
    assert served.driver.reports == []


CONVERSATION: Final = (
    b"USER joe\r\nPASS secret\r\nLIST\r\nRETR 1\r\nDELE 1\r\nTOP 2 0\r\nDELE 2\r\n"
    b"QUIT\r\n"
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("then", "ending"),
    [
        (b"", Ending.LOST),
        (TimeoutError(), Ending.TIMEOUT),
        (Stopping(), Ending.STOPPING),
    ],
)
def test_a_session_that_ends_before_quit_is_whole_removes_nothing(
    then: bytes | Exception, ending: Ending, kind: pop3.ApplicationFactory
) -> None:
    """RFC 1939 section 6, at every octet of a session."""
    for octets in range(1, len(CONVERSATION)):
        talk = Talk(kind)
        talk.hear(CONVERSATION[:octets])
        assert talk.ending is None
        assert talk.hear(then) == b""
        assert talk.ending is ending
        assert told in ([ending], ["joe", "closed", ending])
        assert talk.driver.reports == []


# Time.  RFC 1939 section 3.


def test_a_client_has_ten_minutes_for_each_command() -> None:
    assert Limits().timeouts.autologout >= 600
    served = Served(
        Plain,
        *[*LOGIN, *DELE],
        *[Wait(599), Say(b"NOOP\r\n"), Expect(b"+OK\r\n")] * 3,
        *[Wait(599), Say(b"STAT\r\n"), Expect(b"+OK 1 31\r\n"), Silence()],
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 4 * 599 + 600


def test_nothing_is_said_when_the_time_is_over() -> None:
    served = Served(Plain, *LOGIN, *DELE, Silence())
    assert served.peer.writes == [GREETING.data, NAMED + OPENED, MARKED]
    assert served.peer.now == 600
    assert told == ["joe", "closed", Ending.TIMEOUT]


def test_single_octets_do_not_push_the_end_back() -> None:
    octets = [Wait(100), Say(b"N"), Wait(100), Say(b"O"), Wait(100), Say(b"O")]
    served = Served(Plain, *LOGIN, *octets, Silence())
    assert served.peer.now == 600


def test_the_time_of_an_exchange_is_bounded_as_well() -> None:
    served = Served(
        Plain,
        *[GREETING, Say(b"AUTH PLAIN\r\n"), Expect(b"+ \r\n"), Silence()],
        logins=logins(Stored.PASSWORD),
    )
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 600
    assert told == [Ending.TIMEOUT]


def test_an_operator_may_choose_the_times() -> None:
    limits = Limits(timeouts=Timeouts(autologout=1_800, write=5))
    served = Served(Plain, *LOGIN, Silence(), conn=connection(limits=limits))
    assert served.peer.now == 1_800
    served = Served(Plain, Deaf(), Silence(), conn=connection(limits=limits))
    assert served.peer.now == 5


def test_a_client_has_time_for_each_block_of_a_long_message() -> None:
    limits = Limits(block=1_000, timeouts=Timeouts(write=60))
    content = b"x" * 9_998 + b"\r\n"
    served = Served(
        opening(Memory(content, block=1_000)),
        *[GREETING, Say(b"USER joe\r\nPASS secret\r\n")],
        Expect(NAMED + b"+OK 1 messages, 10000 octets\r\n"),
        *[Say(b"RETR 1\r\n"), Expect(b"+OK 10000 octets\r\n" + content + b".\r\n")],
        *QUIT,
        conn=connection(limits=limits),
    )
    assert served.peer.deadlines.count(60) == len(served.peer.writes) > 12


def test_a_client_that_stops_taking_a_message_ends_the_session() -> None:
    def reading() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 98 + b"\r\n"
        finally:
            told.append("let go")

    class Endless(Memory):
        def read(self, number: int) -> Iterator[bytes]:
            return reading()

    block = (b"x" * 98 + b"\r\n") * 10
    served = Served(
        opening(Endless(b"x\n")),
        *[GREETING, Say(b"USER joe\r\nPASS secret\r\n")],
        Expect(NAMED + b"+OK 1 messages, 3 octets\r\n"),
        *[Say(b"RETR 1\r\n"), Expect(b"+OK 3 octets\r\n" + block)],
        *[Deaf(), Silence()],
        conn=connection(limits=Limits(block=1_000)),
    )
    assert served.ending is Ending.TIMEOUT
    assert told == ["let go", "closed", Ending.TIMEOUT]


# Stopping.


@pytest.mark.parametrize(
    "said", [b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"AUTH CRAM-MD5\r\n"]
)
def test_a_session_is_stopped_in_an_exchange(said: bytes) -> None:
    talk = Talk(Plain, logins=logins())
    talk.hear(said)
    assert talk.hear(Stopping()) == b""
    assert talk.ending is Ending.STOPPING
    assert talk.slept == []
    assert told == [Ending.STOPPING]


def test_nothing_is_read_after_the_stop() -> None:
    """QUIT comes too late: nothing is removed."""
    talk = Talk(Plain)
    talk.log_in()
    assert talk.hear(b"DELE 1\r\n", Stopping(), b"QUIT\r\n") == MARKED
    assert told == ["joe", "closed", Ending.STOPPING]
