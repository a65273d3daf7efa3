"""Sending content: what it may come from, how it is written, what it needs."""

import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from driving import Driver, Expect, Peer, Say, Step, opened, play
from smtp_pop_core import (
    Ask,
    AsyncBlocks,
    Blocks,
    Content,
    Flow,
    Limits,
    MessageAborted,
    PolicyError,
    Sendable,
    smtp,
)
from smtp_pop_core.smtp import Connection, Outcome, State

GO = Say(b"250 ok\r\n250 ok\r\n354 go\r\n")
DONE = Say(b"250 done\r\n")
ALL = ("PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8")


def envelope(
    parameters: str = "", *, sender: str = "a@example.com", to: str = "b@example.com"
) -> Expect:
    text = f"MAIL FROM:<{sender}>{parameters}\r\nRCPT TO:<{to}>\r\nDATA\r\n"
    return Expect(text.encode())


def sending(
    conn: Connection, content: Sendable, sender: str = "a@example.com"
) -> Flow[smtp.MailResult]:
    return smtp.send_mail(conn, sender, "b@example.com", content)


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


class Bare:
    """A file that can do nothing but read."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)


class AsyncFile:
    """A file that is read in async code."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    async def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    async def seekable(self) -> bool:
        return True

    async def tell(self) -> int:
        return self._file.tell()

    async def seek(self, offset: int, /) -> int:
        return self._file.seek(offset)


def halves(content: bytes) -> list[bytes]:
    return [content[: len(content) // 2], b"", content[len(content) // 2 :]]


def generated(content: bytes) -> Iterator[bytes]:
    yield from halves(content)


async def awaited(content: bytes) -> AsyncIterator[bytes]:
    for half in halves(content):
        yield half


def flowing(content: bytes) -> Callable[[], Flow[bytes]]:
    left = iter([half for half in halves(content) if half])

    def piece() -> Flow[bytes]:
        half: bytes = yield Ask(next, (left, b""))
        return half

    return piece


SOURCES: list[Callable[[bytes], Any]] = [
    bytes,
    io.BytesIO,
    Unseekable,
    Bare,
    AsyncFile,
    halves,
    lambda content: tuple(halves(content)),
    lambda content: [bytearray(half) for half in halves(content)],
    lambda content: [memoryview(half) for half in halves(content)],
    generated,
    awaited,
    flowing,
    lambda content: Content(flowing(content)),
]
WIRES = [
    (b"", b".\r\n"),
    (b"a", b"a\r\n.\r\n"),
    (b"a\r\n", b"a\r\n.\r\n"),
    (b"a\nb\n", b"a\r\nb\r\n.\r\n"),
    (b"a\r\nb\n\n", b"a\r\nb\r\n\r\n.\r\n"),
    (b".", b"..\r\n.\r\n"),
    (b".\n..\n.a\n", b"..\r\n...\r\n..a\r\n.\r\n"),
    (b"a\r\n.\r\nQUIT\r\n", b"a\r\n..\r\nQUIT\r\n.\r\n"),
    (b"a\n.\nQUIT\n", b"a\r\n..\r\nQUIT\r\n.\r\n"),
    (b"\0\x7f\n", b"\0\x7f\r\n.\r\n"),
]


@pytest.mark.parametrize("block", [1, 2, 3, 65_536])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("content", "wire"), WIRES)
def test_content_is_sent_from_whatever_holds_it(
    content: bytes, wire: bytes, source: Callable[[bytes], Sendable], block: int
) -> None:
    conn = opened("PIPELINING", limits=Limits(block=block))
    result = play(sending(conn, source(content)), envelope(), GO, Expect(wire), DONE)
    assert result.outcome is Outcome.ACCEPTED
    assert conn.state is State.READY


def test_a_real_file_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"hello\n")
    with path.open("rb") as file:
        wire = Expect(b"hello\r\n.\r\n")
        play(sending(opened("PIPELINING"), file), envelope(), GO, wire, DONE)


def test_a_file_is_sent_from_where_it_stands() -> None:
    file = io.BytesIO(b"skipped\nhello\n")
    file.readline()
    wire = Expect(b"hello\r\n.\r\n")
    conn = opened("PIPELINING", "SIZE")
    play(sending(conn, file), envelope(" SIZE=7"), GO, wire, DONE)


def test_what_was_received_is_sent_on_without_being_kept() -> None:
    """The beginning of a content may be taken before the rest of it is sent."""
    content = Content(flowing(b"hello\r\nworld\r\n"))
    driver = Driver(Peer())
    assert driver.run(content.piece()) == b"hello\r\n"
    wire = Expect(b"world\r\n.\r\n")
    play(sending(opened("PIPELINING"), content), envelope(), GO, wire, DONE)
    assert content.ended


@pytest.mark.parametrize("wrap", [Blocks, AsyncBlocks])
def test_blocks_of_one_session_are_sent_in_another(wrap: Callable[..., Any]) -> None:
    driver = Driver(Peer())

    async def run(flow: Flow[bytes]) -> bytes:
        return driver.run(flow)

    content = Content(flowing(b"hello\r\nworld\r\n"))
    blocks = wrap(run if wrap is AsyncBlocks else driver.run, content)
    wire = Expect(b"hello\r\nworld\r\n.\r\n")
    play(sending(opened("PIPELINING"), blocks), envelope(), GO, wire, DONE)


# What is no content.


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("text", "the content must be bytes, not str"),
        (bytearray(b"a"), "the content must be bytes, not bytearray"),
        (memoryview(b"a"), "the content must be bytes, not memoryview"),
        (None, "cannot send NoneType as content"),
        (1, "cannot send int as content"),
        (io.StringIO("text"), "content must be bytes, not str"),
    ],
)
def test_what_is_no_content_is_refused_before_anything_is_sent(
    content: Sendable, error: str
) -> None:
    conn = opened("PIPELINING")
    with pytest.raises(TypeError, match=error):
        play(sending(conn, content))
    assert conn.state is State.READY


@pytest.mark.parametrize("content", [["a\r\n"], [1], [b"a\r\n", None]])
def test_pieces_that_are_no_octets_end_the_connection(content: Sendable) -> None:
    conn = opened("PIPELINING")
    with pytest.raises(TypeError, match="content must be bytes, not"):
        Driver(Peer(envelope(), GO)).run(sending(conn, content))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("content", [b"a\rb", b"a\r", b"a\r\r\n", b"a\n\rb\n"])
def test_a_bare_cr_is_refused_before_anything_is_sent(content: bytes) -> None:
    for source in (content, io.BytesIO(content)):
        conn = opened("PIPELINING")
        with pytest.raises(ValueError, match="bare CR"):
            play(sending(conn, source))
        assert conn.state is State.READY


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ([b"a\r", b"b"], b"a"),
        ([b"a\r"], b""),
        ([b"a\n", b"b\r", b"c"], b"a\r\nb"),
        ([b"a\n", b"b\n", b"\r"], b"a\r\nb\r\n"),
        ([b"a\n", b"\rb", b"c\n"], b"a\r\n"),
    ],
)
def test_a_bare_cr_found_late_leaves_the_content_without_an_end(
    content: list[bytes], written: bytes
) -> None:
    conn = opened("PIPELINING")
    with pytest.raises(ValueError, match="the content cannot be sent: content"):
        play(sending(conn, content), envelope(), GO, *[Expect(written)] * bool(written))
    assert conn.state is State.CLOSED


def failing(*, asynchronous: bool) -> Iterable[bytes] | AsyncIterator[bytes]:
    def plain() -> Iterator[bytes]:
        yield b"hello\r\n"
        yield b"world\r\n"
        raise MessageAborted("the other side has gone")

    async def other() -> AsyncIterator[bytes]:
        for block in plain():
            yield block

    return other() if asynchronous else plain()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_content_that_breaks_off_is_never_ended(asynchronous: bool) -> None:
    conn = opened("PIPELINING")
    with pytest.raises(MessageAborted, match="the other side has gone"):
        play(
            sending(conn, failing(asynchronous=asynchronous)),
            envelope(),
            GO,
            Expect(b"hello\r\n"),
        )
    assert conn.state is State.CLOSED


# What a message needs of the server.

SIZES = [
    ("SIZE 100", b"x" * 98, " SIZE=100"),
    ("SIZE 100", b"x" * 98 + b"\n", " SIZE=100"),
    ("SIZE 100", b"x\n" * 33, " SIZE=99"),
    ("SIZE", b"x" * 98, " SIZE=100"),
    ("SIZE 0", b"x" * 998, " SIZE=1000"),
    ("SIZE 100", b"", " SIZE=0"),
    ("SIZE 100", b".\n", " SIZE=3"),
    ("SIZE x", b"x" * 98, ""),
    ("HELP", b"x" * 98, ""),
]


@pytest.mark.parametrize(("offer", "content", "parameter"), SIZES)
def test_the_size_is_declared_where_it_is_known(
    offer: str, content: bytes, parameter: str
) -> None:
    sources: list[tuple[Sendable, str]] = [
        (content, parameter),
        (io.BytesIO(content), parameter),
        (iter([content]), ""),
        (Unseekable(content), ""),
    ]
    for source, declared in sources:
        peer = Peer(envelope(declared), Say(b"550 no\r\n503 no\r\n503 no\r\n"))
        Driver(peer).run(sending(opened("PIPELINING", offer), source))
        peer.finish()


@pytest.mark.parametrize("content", [b"x" * 99, b"x\n" * 34, b"x\r\n" * 33 + b"y"])
def test_what_is_too_large_is_not_sent_at_all(content: bytes) -> None:
    for source in (content, io.BytesIO(content)):
        conn = opened("SIZE 100")
        with pytest.raises(PolicyError, match=r"octets are more than the server's 100"):
            play(sending(conn, source))
        assert conn.state is State.READY


@pytest.mark.parametrize(
    ("content", "parameters"),
    [
        (b"hello\r\n", " SIZE=7"),
        (b"Subject: x\r\n\r\n\xc3\xa9\r\n", " SIZE=18 BODY=8BITMIME"),
        (b"Subject: \xc3\xa9\n\nx\n", " SIZE=18 BODY=8BITMIME SMTPUTF8"),
        (b"Subject: \xe9\r\n\r\nx\r\n", " SIZE=17 BODY=8BITMIME"),
        (b"Subject: x\n\nx\r\n\r\n\xc3\xa9\n", " SIZE=23 BODY=8BITMIME"),
        (b"\xc3\xa9", " SIZE=4 BODY=8BITMIME SMTPUTF8"),
    ],
)
def test_only_what_the_content_needs_is_declared(
    content: bytes, parameters: str
) -> None:
    peer = Peer(envelope(parameters), Say(b"550 no\r\n503 no\r\n503 no\r\n"))
    Driver(peer).run(sending(opened(*ALL), content))
    peer.finish()


def test_content_that_is_not_known_is_declared_as_8bit() -> None:
    wire = Expect(b"\xe9\r\n.\r\n")
    declared = envelope(" BODY=8BITMIME")
    play(sending(opened(*ALL), iter([b"\xe9\n"])), declared, GO, wire, DONE)


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("ä@example.com", "b@example.com"),
        ("a@example.com", "b@bücher.example"),
        ("ä@example.com", "ю@пример.рф"),
    ],
)
def test_addresses_beyond_ascii_are_sent_with_smtputf8(
    sender: str, recipient: str
) -> None:
    flow = smtp.send_mail(opened(*ALL), sender, recipient, b"hello\r\n")
    declared = envelope(" SIZE=7 SMTPUTF8", sender=sender, to=recipient)
    play(flow, declared, GO, Expect(b"hello\r\n.\r\n"), DONE)


@pytest.mark.parametrize(
    ("sender", "recipient", "content"),
    [
        ("ä@example.com", "b@example.com", b"hello\r\n"),
        ("a@example.com", "ö@example.com", b"hello\r\n"),
        ("a@example.com", "b@example.com", b"Subject: \xc3\xa9\r\n\r\n"),
    ],
)
def test_without_smtputf8_nothing_that_needs_it_is_sent(
    sender: str, recipient: str, content: bytes
) -> None:
    conn = opened("8BITMIME", "PIPELINING")
    with pytest.raises(PolicyError, match="SMTPUTF8"):
        play(smtp.send_mail(conn, sender, recipient, content))
    assert conn.state is State.READY


@pytest.mark.parametrize("content", [b"\xe9\r\n", b"a\x80", b"Subject: x\n\n\xff"])
def test_without_8bitmime_no_octet_above_127_is_sent(content: bytes) -> None:
    for source in (content, io.BytesIO(content)):
        conn = opened("PIPELINING", "SMTPUTF8")
        with pytest.raises(PolicyError, match="8BITMIME"):
            play(sending(conn, source))
        assert conn.state is State.READY


def test_an_octet_above_127_found_late_leaves_the_content_without_an_end() -> None:
    conn, content = opened("PIPELINING"), [b"a\n", b"b\n", b"\xe9\n"]
    steps: list[Step] = [envelope(), GO, Expect(b"a\r\nb\r\n")]
    with pytest.raises(PolicyError, match="8BITMIME"):
        play(sending(conn, content), *steps)
    assert conn.state is State.CLOSED


def test_a_mail_keeps_what_it_says_itself() -> None:
    mail = smtp.Mail("a@example.com", size=1, body=smtp.Body.SEVEN_BIT, smtputf8=True)
    flow = smtp.send_mail(opened(*ALL), mail, "b@example.com", b"hello\r\n")
    declared = envelope(" SIZE=1 BODY=7BIT SMTPUTF8")
    play(flow, declared, GO, Expect(b"hello\r\n.\r\n"), DONE)
