"""How far a message is on its way, told while it is sent."""

import io
from typing import Any

import pytest

from driving import Driver, Expect, Peer, Say, opened, play
from smtp_pop_core import Limits, PolicyError, smtp
from smtp_pop_core.smtp import Body, Mail, State

MAIL = "MAIL FROM:<a@example.com>"
RCPT = "RCPT TO:<b@example.com>"
DATA = Expect(f"{MAIL}\r\n{RCPT}\r\nDATA\r\n".encode())
GO = Say(b"250 ok\r\n250 ok\r\n354 go\r\n")
OK = Say(b"250 ok\r\n")
SMALL = Limits(block=4)


class Progress:
    """Keeps what it is told, and raises at so many octets."""

    def __init__(self, fatal: int | None = None) -> None:
        self.told: list[tuple[int, int | None]] = []
        self._fatal = fatal

    def __call__(self, octets: int, total: int | None) -> None:
        self.told.append((octets, total))
        if octets == self._fatal:
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("content", "wire", "told"),
    [
        (b"ab\r\ncd\r\n", b"ab\r\ncd\r\n", [(4, 8), (8, 8)]),
        (b"ab\ncd\n", b"ab\r\ncd\r\n", [(5, 8), (8, 8)]),
        (b".ab\r\n", b"..ab\r\n", [(3, 5), (5, 5)]),  # as a receiver counts
        (b"ab", b"ab\r\n", [(2, 4), (4, 4)]),
        (b"", b"", []),
        (io.BytesIO(b"ab\r\ncd\r\n"), b"ab\r\ncd\r\n", [(4, 8), (8, 8)]),
        ([b"ab\r\n", b"cd\r\n"], b"ab\r\ncd\r\n", [(4, None), (8, None)]),
        ([b"ab\r", b"\ncd"], b"ab\r\ncd\r\n", [(2, None), (6, None), (8, None)]),
    ],
)
def test_content_is_counted_as_a_receiver_counts_it(
    content: Any, wire: bytes, told: list[tuple[int, int | None]]
) -> None:
    progress = Progress()
    conn = opened("PIPELINING", limits=SMALL)
    flow = smtp.send_mail(
        conn, "a@example.com", "b@example.com", content, progress=progress
    )
    play(flow, DATA, GO, Expect(wire + b".\r\n"), OK).check()
    assert progress.told == told


def test_a_block_is_told_before_it_is_sent() -> None:
    peer = Peer(DATA, GO, Expect(b"ab\r\ncd\r\nef\r\n.\r\n"), OK)
    written: list[bytes] = []

    def progress(octets: int, total: int | None) -> None:
        written.append(b"".join(peer.writes[1:]))

    conn, content = opened("PIPELINING", limits=SMALL), b"ab\r\ncd\r\nef\r\n"
    flow = smtp.send_mail(
        conn, "a@example.com", "b@example.com", content, progress=progress
    )
    Driver(peer).run(flow).check()
    assert written == [b"", b"ab\r\n", b"ab\r\ncd\r\n"]


@pytest.mark.parametrize(
    ("fatal", "wire"),
    [
        (4, b""),
        (8, b"ab\r\n"),
        (12, b"ab\r\ncd\r\n"),
        (13, b"ab\r\ncd\r\nef\r\n"),
        (15, b"ab\r\ncd\r\nef\r\n"),
    ],
)
def test_content_is_not_ended_if_telling_raises(fatal: int, wire: bytes) -> None:
    conn, content = opened("PIPELINING", limits=SMALL), b"ab\r\ncd\r\nef\r\ng"
    flow = smtp.send_mail(
        conn, "a@example.com", "b@example.com", content, progress=Progress(fatal)
    )
    with pytest.raises(ZeroDivisionError):
        play(flow, DATA, GO, *[Expect(wire)] * bool(wire))
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("content", "binary", "chunks", "told"),
    [
        (b"ab\r\ncd", False, [b"ab\r\n", b"cd", b"\r\n"], [(4, 8), (6, 8), (8, 8)]),
        (b"a\nb\nc\n", False, [b"a\r\nb\r\n", b"c\r\n"], [(6, 9), (9, 9)]),
        (b"ab\0\n\r", True, [b"ab\0\n", b"\r"], [(4, 5), (5, 5)]),
        ([b"a\n", b"b\n"], False, [b"a\r\n", b"b\r\n"], [(3, None), (6, None)]),
    ],
)
def test_chunks_are_told_too(
    content: Any,
    binary: bool,
    chunks: list[bytes],
    told: list[tuple[int, int | None]],
) -> None:
    progress = Progress()
    conn = opened("CHUNKING", "BINARYMIME", limits=SMALL)
    body = " BODY=BINARYMIME" if binary else ""
    mail = Mail("a@example.com", body=Body.BINARYMIME if binary else None)
    flow = smtp.send_mail(
        conn, mail, "b@example.com", content, chunking=True, progress=progress
    )
    *before, last = chunks
    lines = [
        *[f"{MAIL}{body}\r\n".encode(), f"{RCPT}\r\n".encode()],
        *[b"BDAT %d\r\n%b" % (len(each), each) for each in before],
        b"BDAT %d LAST\r\n%b" % (len(last), last),
    ]
    play(flow, *[step for line in lines for step in (Expect(line), OK)]).check()
    assert progress.told == told


def test_the_last_chunk_is_not_sent_if_telling_raises() -> None:
    conn = opened("CHUNKING", limits=SMALL)
    flow = smtp.send_mail(
        conn,
        "a@example.com",
        "b@example.com",
        b"ab\r\ncd\r\n",
        chunking=True,
        progress=Progress(8),
    )
    steps = [
        *[Expect(f"{MAIL}\r\n".encode()), OK, Expect(f"{RCPT}\r\n".encode()), OK],
        *[Expect(b"BDAT 4\r\nab\r\n"), OK],
    ]
    with pytest.raises(ZeroDivisionError):
        play(flow, *steps)
    assert conn.state is State.CLOSED


def test_what_tells_may_be_async() -> None:
    told: list[int] = []

    async def progress(octets: int, total: int | None) -> None:
        told.append(octets)

    conn = opened("PIPELINING")
    flow = smtp.send_mail(
        conn, "a@example.com", "b@example.com", b"ab\r\n", progress=progress
    )
    play(flow, DATA, GO, Expect(b"ab\r\n.\r\n"), OK).check()
    assert told == [4]


def test_nothing_is_told_of_content_that_is_not_sent() -> None:
    conn, progress = opened("PIPELINING"), Progress()
    flow = smtp.send_mail(
        conn, "a@example.com", "b@example.com", [b"\xe9\r\n"], progress=progress
    )
    with pytest.raises(PolicyError):
        play(flow, DATA, GO)
    assert progress.told == []
