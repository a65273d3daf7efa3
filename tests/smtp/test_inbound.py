"""Content on its way into a server."""

import pytest

from cutting import every_cut
from smtp_pop_core import (
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    smtp,
)
from smtp_pop_core.smtp import Reply, State, Tolerances
from smtp_talk import codes, feed, ready_server, said_by_server, server_in

END = smtp.EndOfMessage()


def test_content_is_read_without_transparency() -> None:
    wire = b"..a\r\n...\r\n.b\r\nc.\r\n.\r\nNOOP\r\n"
    for cut in every_cut(wire):
        events, replies = said_by_server(server_in(State.DATA), cut)
        content = b".a\r\n..\r\nb\r\nc.\r\n"
        assert events == [MessageData(content), END, smtp.Noop()]
        assert codes(replies) == [250, 250]


def test_a_message_may_be_empty() -> None:
    for cut in every_cut(b".\r\n"):
        assert said_by_server(server_in(State.DATA), cut)[0] == [END]


def test_declared_sizes_do_not_end_the_content() -> None:
    """RFC 1870 section 6."""
    server = ready_server()
    wire = b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<a@b>\r\nDATA\r\nlonger\r\n.\r\n"
    events, replies = said_by_server(server, [wire])
    assert MessageData(b"longer\r\n") in events
    assert codes(replies) == [250, 250, 354, 250]


def test_content_that_breaks_off_never_ends() -> None:
    """RFC 5321 section 4.1.1.5: no message comes of it."""
    wire = b"a\r\n..\r\n.\r\n"
    for length in range(1, len(wire)):
        server = server_in(State.DATA)
        events = [*feed(server, wire[:length]), *feed(server, b"")]
        assert {type(event) for event in events} == {MessageData, ConnectionClosed}
        assert events[-1] == ConnectionClosed()
        assert server.state is State.CLOSED
        assert not server.unanswered


@pytest.mark.parametrize(
    ("content", "code"), [(b".a\r\n", 250), (b".ab\r\n", 250), (b".abc\r\n", 552)]
)
def test_content_may_be_as_large_as_its_limit(content: bytes, code: int) -> None:
    """RFC 1870 section 6.4: what is larger is read to its end, and answered 552."""
    for cut in every_cut(b"." + content + b".\r\nNOOP\r\n"):
        server = server_in(State.DATA, limits=Limits(content=5))
        events, replies = said_by_server(server, cut)
        assert events == [MessageData(content[:5]), END, smtp.Noop()]
        assert codes(replies) == [code, 250]


@pytest.mark.parametrize("block", [1, 2, 3, 5, 64])
def test_the_size_of_a_block_changes_nothing(block: int) -> None:
    wire = b"..a\r\n\r\n..\r\nbcdefgh\r\n.\r\nNOOP\r\n"
    for content, code in ((None, 250), (4, 552)):
        for cut in every_cut(wire):
            limits = Limits(content=content, block=block)
            server = server_in(State.DATA, limits=limits)
            events, replies = said_by_server(server, cut)
            expected = b".a\r\n\r\n.\r\nbcdefgh\r\n"[:content]
            assert events == [MessageData(expected), END, smtp.Noop()]
            assert codes(replies) == [code, 250]


@pytest.mark.parametrize(("size", "code"), [(4, 250), (5, 250), (6, 552)])
def test_a_declared_size_is_refused_at_once(size: int, code: int) -> None:
    """RFC 1870 section 6.1."""
    server = ready_server(limits=Limits(content=5))
    _, [reply] = said_by_server(server, [b"MAIL FROM:<> SIZE=%d\r\n" % size])
    assert reply.code == code


def test_without_a_limit_any_size_can_be_declared() -> None:
    server = ready_server(
        limits=Limits(content=None), extensions=[smtp.extensions.Size(0)]
    )
    _, [reply] = said_by_server(server, [b"MAIL FROM:<> SIZE=%s\r\n" % (b"9" * 20)])
    assert reply.code == 250


def test_eight_bit_content_is_borne_unless_it_is_not() -> None:
    content = b"\xe9\r\n.\r\n"
    for allowed, code in ((True, 250), (False, 554)):
        tolerances = Tolerances(undeclared_8bit=allowed)
        for cut in every_cut(content):
            server = server_in(State.DATA, tolerances=tolerances)
            events, [reply] = said_by_server(server, cut)
            assert events == [MessageData(b"\xe9\r\n"), END]
            assert reply.code == code


def test_eight_bit_content_can_be_declared() -> None:
    """RFC 6152."""
    server = ready_server(tolerances=Tolerances(undeclared_8bit=False))
    wire = b"MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<a@b>\r\nDATA\r\n\xe9\r\n.\r\n"
    _, replies = said_by_server(server, [wire])
    assert codes(replies) == [250, 250, 354, 250]


REFUSALS = [
    # content, the largest, the reply: size comes before line ends, these before bits
    (b"a\rb\xe9\r\n", 3, 552),
    (b"a\rb\xe9\r\n", None, 550),
    (b"a\nb\xe9\r\n", None, 550),
    (b"ab\xe9\r\n", None, 554),
    (b"ab\r\n", None, 250),
]


@pytest.mark.parametrize(("content", "largest", "code"), REFUSALS)
def test_content_is_refused_for_one_reason(
    content: bytes, largest: int | None, code: int
) -> None:
    for cut in every_cut(content + b".\r\n"):
        server = server_in(
            State.DATA,
            limits=Limits(content=largest),
            tolerances=Tolerances(undeclared_8bit=False),
        )
        _, [reply] = said_by_server(server, cut)
        assert reply.code == code


@pytest.mark.parametrize("code", [250, 299])
def test_content_that_must_be_refused_cannot_be_accepted(code: int) -> None:
    server = server_in(State.DATA)
    [*_, end] = feed(server, b"a\nb\r\n.\r\n")
    assert isinstance(end, smtp.EndOfMessage)
    assert end.refusal is not None
    with pytest.raises(LocalProtocolError, match="must be refused"):
        server.send(Reply(code))
    server.send(Reply(451))
    assert server.state is State.READY
