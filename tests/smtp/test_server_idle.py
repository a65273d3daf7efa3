"""Sessions that bring no message, or only what has a no: they come to an end."""

from typing import Final

import pytest

from driving import Expect, Say, Step
from serving import GREETING, HELLO, Served, Taking, answering
from smtp_pop_core import SERVER, Limits, smtp
from smtp_pop_core.smtp import Connection, Ending, Reply
from smtp_talk import codes, said_by_server

FEW: Final = Limits(idle_commands=3, refused_commands=4)
HELLO_LINE: Final = b"HELO me.example\r\n"  # which is idle itself
MESSAGE: Final = [
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<a@b>\r\n",
    b"DATA\r\n",
    b"hello\r\n.\r\n",
]


def server(limits: Limits = FEW) -> Connection:
    offered = [*smtp.usual(), smtp.extensions.StartTls(), smtp.extensions.Etrn()]
    return Connection(SERVER, limits=limits, extensions=offered)


def codes_for(*lines: bytes, limits: Limits = FEW) -> list[int]:
    """Say this after HELO; return the codes of what is answered to it."""
    _, replies = said_by_server(server(limits), [HELLO_LINE, *lines])
    return codes(replies)[2:]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"NOOP\r\n", 250),
        (b"RSET\r\n", 250),
        (b"VRFY joe\r\n", 252),
        (b"EXPN list\r\n", 252),
        (b"HELP\r\n", 214),
        (HELLO_LINE, 250),
    ],
)
def test_commands_without_a_message_have_a_limit(line: bytes, code: int) -> None:
    assert codes_for(*[line] * 5) == [code, code, 421]


def test_they_are_counted_together() -> None:
    assert codes_for(b"NOOP\r\n", b"RSET\r\n", b"VRFY joe\r\n") == [250, 250, 421]


def test_transactions_that_are_begun_and_given_up_have_it_too() -> None:
    lines = [b"MAIL FROM:<>\r\n", b"RCPT TO:<a@b>\r\n", b"RSET\r\n"]
    assert codes_for(*lines * 3) == [250] * 8 + [421]


def test_the_content_of_a_message_begins_the_count_anew() -> None:
    lines = [b"NOOP\r\n", b"NOOP\r\n", *MESSAGE, *[b"NOOP\r\n"] * 4]
    assert codes_for(*lines) == [250, 250, 250, 250, 354, *[250] * 4, 421]


def test_content_in_chunks_does_so_as_well() -> None:
    said = [
        (b"EHLO me.example\r\n", b"250-mx.example\r\n250 CHUNKING\r\n"),
        (MESSAGE[0], b"250 Sender OK\r\n"),
        (MESSAGE[1], b"250 Recipient OK\r\n"),
        (b"BDAT 2\r\nhe", b"250 Chunk accepted\r\n"),
        (b"BDAT 2 LAST\r\nyo", b"250 Message accepted\r\n"),
        *[(b"NOOP\r\n", b"250 OK\r\n")] * 3,
        (b"NOOP\r\n", b"421 Too many commands without a message\r\n"),
    ]
    steps = [step for line, reply in said for step in (Say(line), Expect(reply))]
    chunking = [smtp.extensions.Chunking()]
    served = Served(Taking, GREETING, *steps, limits=FEW, extensions=chunking)
    assert served.ending is Ending.REFUSED


def test_who_brings_messages_may_go_on_for_ever() -> None:
    lines = [*MESSAGE, b"NOOP\r\n", b"RSET\r\n"] * 100
    assert 421 not in codes_for(*lines)


def test_quit_is_answered_when_the_limit_is_reached() -> None:
    assert codes_for(b"NOOP\r\n", b"NOOP\r\n", b"QUIT\r\n") == [250, 250, 221]


@pytest.mark.parametrize("line", [b"RCPT TO:<a@b>\r\n", b"DATA\r\n", b"AUTH X\r\n"])
def test_commands_out_of_order_have_a_limit(line: bytes) -> None:
    *refused, last = codes_for(*[line] * 6)
    assert set(refused) <= {502, 503}
    assert (len(refused), last) == (4, 421)


def test_recipients_beyond_the_limit_are_counted_as_well() -> None:
    """SEC-DOS-RCPT-a: 452 for many, and not for ever."""
    limits = Limits(recipients=2, refused_commands=4)
    lines = [b"MAIL FROM:<>\r\n", *[b"RCPT TO:<a@b>\r\n"] * 8]
    assert codes_for(*lines, limits=limits) == [250, 250, 250, *[452] * 4, 421]


@pytest.mark.parametrize(("method", "last"), [("mail", 5), ("rcpt", 5)])
def test_what_the_application_refuses_is_counted(method: str, last: int) -> None:
    lines = {"mail": b"MAIL FROM:<>\r\n", "rcpt": b"RCPT TO:<a@b>\r\n"}
    begin: list[Step] = {
        "mail": [],
        "rcpt": [Say(b"MAIL FROM:<>\r\n"), Expect(b"250 2.1.0 Sender OK\r\n")],
    }[method]
    served = Served(
        answering(method, Reply(550, ("No",))),
        *[*HELLO, *begin],
        *[Say(lines[method]), Expect(b"550 5.0.0 No\r\n")] * last,
        *[Say(lines[method]), Expect(b"421 4.7.0 Too many refused commands\r\n")],
        limits=FEW,
    )
    assert served.ending is Ending.REFUSED


def test_content_begins_the_count_of_what_is_refused_anew() -> None:
    lines = [*[b"DATA\r\n"] * 4, *MESSAGE, *[b"DATA\r\n"] * 5]
    assert codes_for(*lines) == [*[503] * 4, 250, 250, 354, 250, *[503] * 4, 421]


def test_a_session_that_does_nothing_is_ended() -> None:
    served = Served(
        Taking,
        *HELLO,
        *[Say(b"NOOP\r\n"), Expect(b"250 2.0.0 OK\r\n")] * 99,
        Say(b"NOOP\r\n"),
        Expect(b"421 4.7.0 Too many commands without a message\r\n"),
    )
    assert served.ending is Ending.REFUSED


def test_a_client_may_pipeline_as_many_recipients_as_it_likes_after_a_no() -> None:
    """RFC 2920 section 3.1: it cannot know of the no."""
    lines = [*[b"RCPT TO:<a@b>\r\n"] * 5_000, b"DATA\r\n", b"QUIT\r\n"]
    assert codes_for(*lines, limits=Limits()) == [503] * 5_001 + [221]
