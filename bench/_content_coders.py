"""Content on the wire, against what a bare look at the same octets costs.

Received: `smtp.Connection` after 354, against one `find` of the end.
Sent: the same, against the two `re.sub` with which the standard library does it.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Final, TypeAlias

from smtp_pop_core import CLIENT, SERVER, MessageData, smtp

from ._contents import dots_only, dotted, encoded, mixed, pieces, stuffed, text
from ._measure import OURS, Contender, Group, Outcome

_ETHERNET: Final = 1460
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\n)")
_DOT: Final = re.compile(rb"(?m)^\.")
_Prepare: TypeAlias = Callable[[int], Callable[[], None]]


def _receiver() -> smtp.Connection:
    conn = smtp.Connection(SERVER)
    conn.next_event()
    conn.send(smtp.Reply(220, ("mx.example",)))
    for line, code in (
        (b"EHLO a.example", 250),
        (b"MAIL FROM:<a@a.example>", 250),
        (b"RCPT TO:<b@b.example>", 250),
        (b"DATA", 354),
    ):
        conn.receive_data(line + b"\r\n")
        conn.next_event()
        conn.send(smtp.Reply(code))
    return conn


def _received(content: bytes, size: int) -> _Prepare:
    reads = list(pieces(stuffed(content), size))

    def run(connections: list[smtp.Connection]) -> None:
        for conn in connections:
            octets = 0
            for data in reads:
                conn.receive_data(data)
                while type(event := conn.next_event()) is MessageData:
                    octets += len(event.data)
            assert type(event) is smtp.EndOfMessage, event
            assert octets == len(content)

    return lambda count: partial(run, [_receiver() for _ in range(count)])


def _found(content: bytes) -> _Prepare:
    wire = stuffed(content)

    def run(count: int) -> None:
        for _ in repeat(None, count):
            assert wire.find(b"\r\n.\r\n") == len(wire) - 5

    return lambda count: partial(run, count)


def _sender() -> smtp.Connection:
    conn = smtp.Connection(CLIENT)
    conn.receive_data(b"220 mx.example\r\n")
    conn.next_event()
    for command, code in (
        (smtp.Ehlo("a.example"), 250),
        (smtp.Mail("a@a.example"), 250),
        (smtp.Rcpt("b@b.example"), 250),
        (smtp.Data(), 354),
    ):
        conn.send(command)
        conn.receive_data(b"%d ok\r\n" % code)
        conn.next_event()
    return conn


def _sent(content: bytes) -> _Prepare:
    blocks = list(pieces(content))
    wire = stuffed(_LINE_END.sub(b"\r\n", content))

    def run(connections: list[smtp.Connection]) -> None:
        for conn in connections:
            octets = 0
            for data in blocks:
                octets += len(conn.send(MessageData(data, lf_ends_lines=True)))
            octets += len(conn.send(smtp.EndOfMessage()))
            assert octets == len(wire)

    return lambda count: partial(run, [_sender() for _ in range(count)])


def _substituted(content: bytes) -> _Prepare:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            assert _DOT.sub(b"..", _LINE_END.sub(b"\r\n", content))

    return lambda count: partial(run, count)


def groups(octets: int, _: Outcome) -> list[Group]:
    """Return what is measured, with large messages of so many octets."""
    received = {
        "base64": (encoded(octets), 65_536),
        "text": (text(octets), 65_536),
        "every line a dot": (dotted(octets), 65_536),
        "`..CRLF` only": (dots_only(octets), 65_536),
        "base64, 1,460-octet reads": (encoded(octets), _ETHERNET),
        "text, 1,460-octet reads": (text(octets), _ETHERNET),
    }
    sent = {
        "base64": encoded(octets),
        "text": text(octets),
        "text with LF": text(octets).replace(b"\r\n", b"\n"),
        "text, mixed": mixed(octets),
    }
    return [
        *(
            Group(
                f"content received: {kind}",
                [
                    Contender(OURS, _received(content, size)),
                    Contender("find", _found(content)),
                ],
                len(stuffed(content)),
            )
            for kind, (content, size) in received.items()
        ),
        *(
            Group(
                f"content sent: {kind}",
                [
                    Contender(OURS, _sent(content)),
                    Contender("re.sub", _substituted(content)),
                ],
                len(content),
            )
            for kind, content in sent.items()
        ),
    ]
