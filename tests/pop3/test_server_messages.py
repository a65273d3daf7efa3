"""Serving messages: numbers, sizes, marks, and content as it is sent."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from typing import Any, Final

import pytest

from cutting import every_cut
from pop3_serving import (
    CONTENTS,
    FAILED,
    KINDS,
    MARKED,
    NO_SUCH_MESSAGE,
    ON_THE_WIRE,
    UNSENDABLE,
    AsyncMemory,
    Memory,
    Plain,
    Talk,
    connection,
    opening,
    told,
)
from smtp_pop_core import Ask, Content, Flow, Limits, pop3
from smtp_pop_core.pop3 import Ending

UNMARKED: Final = b"+OK No message is marked as deleted\r\n"


class Given(pop3.Maildrop):
    """Has one message, and whatever is given as its content."""

    def __init__(self, read: Callable[[], Any], size: int = 0) -> None:
        self.messages = [pop3.Message(size, "id-1")]
        self._read = read

    def read(self, number: int) -> Iterable[bytes]:
        given: Iterable[bytes] = self._read()
        return given

    def close(self) -> None:
        told.append("closed")


def talk_about(
    maildrop: pop3.Maildrop | pop3.AsyncMaildrop, *, block: int = 65_536
) -> Talk:
    """Give a session that has the maildrop open."""
    talk = Talk(opening(maildrop), conn=connection(limits=Limits(block=block)))
    talk.log_in()
    return talk


def logged_in(kind: pop3.ApplicationFactory = Plain) -> Talk:
    talk = Talk(kind)
    talk.log_in()
    return talk


# Numbers.  RFC 1939 section 5.

ABSENT: Final = ["3", "99", "4294967297", "18446744073709551617", "9" * 20]
MALFORMED: Final = [
    *("0", "-1", "+1", "1_0", "1.0", "1x", "x", "", " 1", "1 ", "\t1", "0x1", "1,2"),
    *(
        "9" * 21,
        "9" * 200,
        "1 1 1",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "\N{SUPERSCRIPT ONE}",
    ),
]
ABOUT_ONE: Final = ["LIST {}", "UIDL {}", "RETR {}", "DELE {}", "TOP {} 0"]


@pytest.mark.parametrize("number", ABSENT)
@pytest.mark.parametrize("command", ABOUT_ONE)
def test_a_message_that_is_not_there_is_an_error(command: str, number: str) -> None:
    talk = logged_in()
    assert talk.hear(f"{command.format(number)}\r\n".encode()) == NO_SUCH_MESSAGE
    assert talk.hear(b"STAT\r\n") == b"+OK 2 54\r\n"


@pytest.mark.parametrize("number", MALFORMED)
@pytest.mark.parametrize("command", ABOUT_ONE)
def test_what_is_no_number_is_an_error(command: str, number: str) -> None:
    """None of them wraps, or counts from the end."""
    talk = logged_in()
    heard = talk.hear(f"{command.format(number)}\r\nSTAT\r\n".encode())
    assert heard.startswith(b"-ERR ")
    assert heard.endswith(b"\r\n+OK 2 54\r\n")
    assert heard.count(b"\r\n") == 2


@pytest.mark.parametrize("number", ["1", "01", "001"])
def test_zeros_in_front_do_not_matter(number: str) -> None:
    assert logged_in().hear(f"LIST {number}\r\n".encode()) == b"+OK 1 23\r\n"


@pytest.mark.parametrize("lines", ["", "-1", "+1", "x", "1x", "9" * 21, "1 1"])
def test_top_needs_a_number_of_lines(lines: str) -> None:
    heard = logged_in().hear(f"TOP 1 {lines}\r\n".encode())
    assert heard.startswith(b"-ERR ")
    assert heard.count(b"\r\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_has_a_size_and_an_id(kind: pop3.ApplicationFactory) -> None:
    talk = logged_in(kind)
    assert talk.hear(b"LIST 1\r\nLIST 2\r\n") == b"+OK 1 23\r\n+OK 2 31\r\n"
    assert talk.hear(b"UIDL 1\r\nUIDL 2\r\n") == b"+OK 1 id-1\r\n+OK 2 id-2\r\n"


def test_an_empty_maildrop_is_no_error() -> None:
    talk = talk_about(Memory())
    assert talk.hear(b"STAT\r\n") == b"+OK 0 0\r\n"
    assert talk.hear(b"LIST\r\nUIDL\r\n") == b"+OK 0 messages\r\n.\r\n" * 2
    assert talk.hear(b"LIST 1\r\nDELE 1\r\n") == NO_SUCH_MESSAGE * 2


# Marks.


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_marked_is_as_good_as_gone(kind: pop3.ApplicationFactory) -> None:
    """RFC 1939 section 5: the others keep their numbers."""
    talk = logged_in(kind)
    assert talk.hear(b"DELE 1\r\n") == MARKED
    for line in ("LIST 1", "UIDL 1", "RETR 1", "TOP 1 0", "DELE 1"):
        assert talk.hear(f"{line}\r\n".encode()) == NO_SUCH_MESSAGE
    assert talk.hear(b"STAT\r\n") == b"+OK 1 31\r\n"
    assert talk.hear(b"LIST\r\n") == b"+OK 1 messages\r\n2 31\r\n.\r\n"
    assert talk.hear(b"UIDL\r\n") == b"+OK 1 messages\r\n2 id-2\r\n.\r\n"
    assert talk.hear(b"RETR 2\r\n") == b"+OK 31 octets\r\n" + ON_THE_WIRE[1]
    assert talk.hear(b"DELE 2\r\nSTAT\r\n") == MARKED + b"+OK 0 0\r\n"


def test_rset_takes_all_marks_back() -> None:
    talk = logged_in()
    before = talk.hear(b"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\n")
    assert talk.hear(b"DELE 2\r\nDELE 1\r\nRSET\r\n") == MARKED * 2 + UNMARKED
    assert talk.hear(b"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\n") == before
    assert talk.hear(b"DELE 1\r\nSTAT\r\n") == MARKED + b"+OK 1 31\r\n"


def test_nothing_is_marked_after_a_login() -> None:
    """RFC 1939 section 4."""
    first = logged_in()
    first.hear(b"DELE 1\r\n")
    assert logged_in().hear(b"STAT\r\n") == b"+OK 2 54\r\n"


def test_a_session_sees_what_was_there_at_its_beginning() -> None:
    """Whatever the store does meanwhile, numbers and sizes stay."""
    maildrop = Memory(*CONTENTS)
    talk = talk_about(maildrop)
    before = talk.hear(b"STAT\r\nLIST\r\nUIDL\r\n")
    maildrop.messages.insert(0, pop3.Message(99, "new"))
    maildrop.messages.append(pop3.Message(99, "newer"))
    assert talk.hear(b"STAT\r\nLIST\r\nUIDL\r\n") == before
    maildrop.messages.clear()
    assert talk.hear(b"STAT\r\nLIST\r\nUIDL\r\n") == before


def test_a_maildrop_may_hold_very_many_messages() -> None:
    class Large(pop3.Maildrop):
        messages = tuple(pop3.Message(9, f"{each}") for each in range(1, 20_001))

    talk = talk_about(Large())
    assert talk.hear(b"STAT\r\n") == b"+OK 20000 180000\r\n"
    assert talk.hear(b"LIST\r\n").splitlines()[-2] == b"20000 9"
    assert talk.hear(b"DELE 20000\r\nUIDL\r\n").splitlines()[-2] == b"19999 19999"


# Sizes and content.

SENT: Final = [
    (b"", 0, b".\r\n"),
    (b"a", 3, b"a\r\n.\r\n"),
    (b"a\n", 3, b"a\r\n.\r\n"),
    (b"a\r\n", 3, b"a\r\n.\r\n"),
    (b"a\nb\r\nc", 9, b"a\r\nb\r\nc\r\n.\r\n"),
    (b"a\r\nb\nc\r\n", 9, b"a\r\nb\r\nc\r\n.\r\n"),
    (b"\n", 2, b"\r\n.\r\n"),
    (b"\n\n", 4, b"\r\n\r\n.\r\n"),
    (b".", 3, b"..\r\n.\r\n"),
    (b".\n", 3, b"..\r\n.\r\n"),
    (b".\r\n", 3, b"..\r\n.\r\n"),
    (b"..\n.\n", 7, b"...\r\n..\r\n.\r\n"),
    (b"\n.\n", 5, b"\r\n..\r\n.\r\n"),
    (b"\r\n.\r\n", 5, b"\r\n..\r\n.\r\n"),
    (b"a.\n.b", 8, b"a.\r\n..b\r\n.\r\n"),
    (b"\0\xff\n", 4, b"\0\xff\r\n.\r\n"),
    (b"+OK\n-ERR\n", 11, b"+OK\r\n-ERR\r\n.\r\n"),
]


@pytest.mark.parametrize(("content", "size", "wire"), SENT)
def test_the_size_is_that_of_what_is_sent(
    content: bytes, size: int, wire: bytes
) -> None:
    """RFC 1939 section 11: with CRLF, and without the dots that are put in."""
    status = f"+OK {size} octets\r\n".encode()
    assert pop3.size_of(content) == size
    for blocks in every_cut(content):
        talk = talk_about(Given(partial(list, blocks), size))
        assert talk.hear(b"RETR 1\r\n") == status + wire
        assert talk.hear(b"TOP 1 99999999999999999999\r\n") == status + wire
        assert talk.hear(b"LIST 1\r\n") == f"+OK 1 {size}\r\n".encode()
        assert talk.driver.reports == []


def flowing() -> Callable[[], Flow[bytes]]:
    """Give content that another connection brings, for one that stands in between."""
    blocks = iter([b"a", b"b\n"])

    def piece() -> Flow[bytes]:
        block: bytes = yield Ask(next, (blocks, b""))
        return block

    return piece


async def one_by_one() -> AsyncIterator[bytes]:
    for octet in b"ab\n":
        yield bytes((octet,))


@pytest.mark.parametrize(
    "read",
    [
        lambda: b"ab\n",
        lambda: [b"ab\n"],
        lambda: iter([b"ab\n"]),
        lambda: (b"", b"a", b"", b"", b"b\n", b""),
        lambda: [bytearray(b"ab\n")],
        lambda: [memoryview(b"ab\n")],
        lambda: BytesIO(b"ab\n"),
        lambda: (b"ab\n" for _ in range(1)),
        one_by_one,
        flowing,
        lambda: Content(flowing()),
    ],
)
def test_content_may_come_in_many_ways(read: Callable[[], Any]) -> None:
    talk = talk_about(Given(read, 4))
    assert talk.hear(b"RETR 1\r\n") == b"+OK 4 octets\r\nab\r\n.\r\n"
    assert talk.driver.reports == []


def test_a_size_that_is_a_lie_is_reported() -> None:
    """The client is told what LIST said; the operator, that it was wrong."""
    talk = talk_about(Given(lambda: b"ab\n", 5))
    assert talk.hear(b"TOP 1 0\r\n").startswith(b"+OK 5 octets\r\n")
    assert talk.driver.reports == []
    assert talk.hear(b"RETR 1\r\n") == b"+OK 5 octets\r\nab\r\n.\r\n"
    (report,) = talk.driver.reports
    assert str(report) == "4 octets were sent, not 5"
    assert report.__notes__ == ["message id-1 of joe"]
    assert talk.hear(b"NOOP\r\n") == b"+OK\r\n"


def test_content_may_be_read_again() -> None:
    talk = logged_in()
    for _ in range(3):
        assert talk.hear(b"RETR 1\r\n") == b"+OK 23 octets\r\n" + ON_THE_WIRE[0]


@pytest.mark.parametrize("size", [1, 999, 1_000, 1_001, 65_536])
@pytest.mark.parametrize("kind", [Memory, AsyncMemory])
def test_content_streams_by_blocks(
    kind: type[Memory] | type[AsyncMemory], size: int
) -> None:
    """However large it is, what waits to be written is bounded."""
    content = b"." * 30 + b"\n" + b"x" * 5_000 + b"\n"
    maildrop = kind(content, block=size)
    talk = talk_about(maildrop, block=1_000)
    heard = talk.hear(b"RETR 1\r\nRETR 1\r\n")
    assert heard.count(b"." * 31 + b"\r\n" + b"x" * 5_000 + b"\r\n.\r\n") == 2
    assert max(map(len, talk.writes)) < 1_100 + size
    assert talk.driver.reports == []


def test_content_is_read_when_it_is_written() -> None:
    """A store is never read to its end before the client has got something."""

    def reading() -> Iterator[bytes]:
        for _ in range(50):
            told.append(len(talk.writes))
            yield b"x" * 99 + b"\n"

    talk = talk_about(Given(reading), block=1_000)
    before = len(talk.writes)
    talk.hear(b"RETR 1\r\n")
    written = [each - before for each in told if isinstance(each, int)]
    assert written == sorted(written)
    assert max(written.count(each) for each in range(5)) <= 11


def reading() -> Iterator[bytes]:
    try:
        while True:
            yield b"\n\n"
    finally:
        told.append("let go")


async def reading_async() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"\n\n"
    finally:
        told.append("let go")


class File(BytesIO):
    def close(self) -> None:
        told.append("let go")
        super().close()


@pytest.mark.parametrize("read", [reading, reading_async, lambda: File(b"\n\n\n")])
def test_what_a_message_is_read_from_is_closed(read: Callable[[], Any]) -> None:
    """Also if TOP has enough: a file is not open until the session ends."""
    talk = talk_about(Given(read))
    for _ in range(2):
        told.clear()
        assert talk.hear(b"TOP 1 1\r\n") == b"+OK 0 octets\r\n\r\n\r\n.\r\n"
        assert told == ["let go"]
    assert talk.driver.reports == []


class Broken:
    """A file that cannot be closed."""

    left = b"a\n"

    def read(self, size: int) -> bytes:
        block, self.left = self.left, b""
        return block

    def close(self) -> None:
        raise OSError("secret")


def test_a_file_that_cannot_be_closed_is_reported() -> None:
    talk = talk_about(Given(Broken, 3))
    heard = talk.hear(b"RETR 1\r\nNOOP\r\n")
    assert heard == b"+OK 3 octets\r\na\r\n.\r\n+OK\r\n"
    assert [str(each) for each in talk.driver.reports] == ["secret"]


# TOP.  RFC 1939 section 7.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("TOP 1 0", b"+OK 23 octets\r\nSubject: one\r\n\r\n.\r\n"),
        ("TOP 1 1", b"+OK 23 octets\r\n" + ON_THE_WIRE[0]),
        ("TOP 1 99999999999999999999", b"+OK 23 octets\r\n" + ON_THE_WIRE[0]),
        ("TOP 2 0", b"+OK 31 octets\r\nSubject: two\r\n\r\n.\r\n"),
        ("TOP 2 1", b"+OK 31 octets\r\nSubject: two\r\n\r\n..dots\r\n.\r\n"),
        ("TOP 2 2", b"+OK 31 octets\r\n" + ON_THE_WIRE[1]),
    ],
)
def test_top_sends_the_header_and_so_many_lines(
    kind: pop3.ApplicationFactory, line: str, heard: bytes
) -> None:
    talk = logged_in(kind)
    assert talk.hear(f"{line}\r\n".encode()) == heard
    assert talk.driver.reports == []


# A bare CR cannot be sent.


@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 9\r\n"])
@pytest.mark.parametrize(
    "content", [b"\rb", b"a\rb\n", b"a\n\rb", b"\r\rb", b"a\r\r\nb", b"\r\n\r\rb\r"]
)
def test_a_bare_cr_in_the_first_block_is_refused(
    content: bytes, command: bytes
) -> None:
    """And the session goes on: nothing of the message was sent."""
    talk = talk_about(Given(lambda: [content, b"more\n"], 9))
    assert talk.hear(command + b"NOOP\r\n") == UNSENDABLE + b"+OK\r\n"
    assert len(talk.driver.reports) == 1
    assert talk.ending is None


@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 9\r\n"])
@pytest.mark.parametrize(
    ("blocks", "sent"),
    [
        ([b"a\n", b"b\rc"], b"a\r\n"),
        ([b"a\r", b"b"], b"a"),
        ([b"a\n", b"\r"], b"a\r\n"),
        ([b"a\n", b"b\r", b"\r\n"], b"a\r\nb"),
        ([b"a\r"], b"a"),
    ],
)
def test_a_bare_cr_behind_it_breaks_the_session_off(
    blocks: list[bytes], sent: bytes, command: bytes
) -> None:
    """The client cannot take what it has for a whole message; nothing is removed."""
    talk = talk_about(Given(lambda: [b"x\n", *blocks], 9))
    heard = talk.hear(b"DELE 1\r\nRSET\r\n" + command + b"DELE 1\r\nQUIT\r\n")
    assert heard == MARKED + UNMARKED + b"+OK 9 octets\r\nx\r\n" + sent
    assert talk.ending is Ending.REFUSED
    assert talk.driver.asked[-2:] == ["close", "close"]
    assert "commit" not in talk.driver.asked
    assert len(talk.driver.reports) == 1


def test_a_lone_cr_is_no_message() -> None:
    talk = talk_about(Given(lambda: [b"\r"], 2))
    heard = talk.hear(b"RETR 1\r\n")
    assert not heard.endswith(b".\r\n")
    assert len(talk.driver.reports) == 1


def test_top_does_not_look_behind_what_it_sends() -> None:
    talk = talk_about(Given(lambda: [b"a\n\nb\n", b"\rc"], 9))
    assert talk.hear(b"TOP 1 1\r\n") == b"+OK 9 octets\r\na\r\n\r\nb\r\n.\r\n"
    assert talk.driver.reports == []


# A store that fails.


def failing_at_once() -> Iterable[bytes]:
    raise OSError("secret")


def failing_first() -> Iterator[bytes]:
    if told:
        raise OSError("secret")
    yield b""


def failing_later() -> Iterator[bytes]:
    yield b"a\n"
    yield b"b\nc"
    raise OSError("secret")


async def failing_async() -> AsyncIterator[bytes]:
    raise OSError("secret")
    yield b""


@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 9\r\n"])
@pytest.mark.parametrize(
    "read",
    [
        *(failing_at_once, failing_first, failing_async),
        *(lambda: None, lambda: 5, lambda: "text", lambda: bytearray(b"a")),
        *(lambda: ["text"], lambda: [None], lambda: [[b"a"]], lambda: object),
        object,
    ],
)
def test_a_message_that_cannot_be_read_is_refused(
    read: Callable[[], Any], command: bytes
) -> None:
    told.append("login")
    talk = talk_about(Given(read, 9))
    told.append("login")
    heard = talk.hear(command + b"NOOP\r\n")
    assert heard == FAILED + b"+OK\r\n"
    assert len(talk.driver.reports) == 1
    assert talk.ending is None


@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 9\r\n"])
def test_a_message_that_ends_early_is_never_ended(command: bytes) -> None:
    talk = talk_about(Given(failing_later, 9))
    heard = talk.hear(b"NOOP\r\n" + command + b"DELE 1\r\nQUIT\r\n")
    assert heard == b"+OK\r\n+OK 9 octets\r\na\r\nb\r\nc"
    assert talk.ending is Ending.REFUSED
    (report,) = talk.driver.reports
    assert (str(report), report.__notes__) == ("secret", ["message id-1 of joe"])
    assert "commit" not in talk.driver.asked
    assert told[-2:] == ["closed", Ending.REFUSED]


# Messages that need UTF8.  RFC 6856 sections 2.1 and 5.


class Global(Memory):
    """Its first message has a header in UTF-8."""

    def __init__(self) -> None:
        super().__init__("Subject: é\n\n".encode(), b"Subject: e\n\n")
        self.messages[0] = pop3.Message(15, "id-1", utf8=True)


def test_a_message_that_needs_utf8_is_sent_only_to_those_who_said_it() -> None:
    needed = b"-ERR [UTF8] The message needs UTF8\r\n"
    talk = talk_about(Global())
    assert talk.hear(b"RETR 1\r\nTOP 1 0\r\n") == needed * 2
    assert talk.hear(b"RETR 2\r\n").startswith(b"+OK")
    assert talk.hear(b"LIST 1\r\nUIDL 1\r\n") == b"+OK 1 15\r\n+OK 1 id-1\r\n"
    assert talk.hear(b"DELE 1\r\nRETR 1\r\n") == MARKED + NO_SUCH_MESSAGE
    assert talk.driver.reports == []

    other = Talk(opening(Global()))
    other.hear(b"UTF8\r\n")
    other.log_in()
    sent = "+OK 15 octets\r\nSubject: é\r\n\r\n.\r\n".encode()
    assert other.hear(b"RETR 1\r\n") == sent
    assert other.hear(b"TOP 1 0\r\n") == sent
