import pytest

from cutting import every_cut
from pop3_talk import CONTENT, asking, drain, feed, feed_all, server_in, snapshot
from smtp_pop_core import Limits, LocalProtocolError, MessageData, pop3
from smtp_pop_core.pop3 import ERR, OK, EndOfMessage, Response, State

RETR = pop3.Retr(1)


def test_a_message_is_read_in_blocks() -> None:
    client = asking(RETR, limits=Limits(block=10))
    events = feed(client, b"+OK\r\n" + CONTENT.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    blocks = [event.data for event in events if isinstance(event, MessageData)]
    assert b"".join(blocks) == CONTENT
    assert max(map(len, blocks)) <= 10 + len(b"\r\n.")
    assert len(blocks) > 2


@pytest.mark.parametrize("length", [1, 4_094, 4_095, 4_096, 4_097, 20_480, 100_000])
@pytest.mark.parametrize("last", [b"a\r\n", b"\r\n", b".\r\n", b".a\r\n"])
def test_what_is_pipelined_behind_a_message_is_no_part_of_it(
    length: int, last: bytes
) -> None:
    """However much of the buffer is taken as content first."""
    content = b"a" * length + b"\r\n" + last
    wire = b"+OK\r\n" + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    client = asking(RETR)
    client.receive_data(2 * wire)
    events = iter(client.next_event, EndOfMessage())
    blocks = [event.data for event in events if isinstance(event, MessageData)]
    assert b"".join(blocks) == content
    assert client.trailing_data == wire


@pytest.mark.parametrize(
    ("wire", "bare"),
    [(b"a\r\n.\r\n", False), (b"a\nb\r\n.\r\n", True), (b"a\rb\r\n.\r\n", True)],
)
def test_bare_line_ends_are_told_with_the_end(wire: bytes, bare: bool) -> None:
    for cut in every_cut(b"+OK\r\n" + wire):
        events = feed_all(asking(RETR), cut)
        assert isinstance(events[-1], EndOfMessage)
        assert events[-1].bare is bare
        assert events[-1] == EndOfMessage()


@pytest.mark.parametrize("data", [b"a\rb", b"a\nb", b"\r\r\n"])
def test_content_with_bare_line_ends_is_not_sent(data: bytes) -> None:
    server = server_in(State.TRANSACTION)
    feed(server, b"RETR 1\r\n")
    server.send(Response(OK))
    before = snapshot(server)
    with pytest.raises(LocalProtocolError):
        server.send(MessageData(data))
    assert snapshot(server) == before
    assert server.send(MessageData(b"a\r")) == b"a"
    with pytest.raises(LocalProtocolError, match="ends with a bare CR"):
        server.send(EndOfMessage())
    assert server.in_content
    assert server.send(MessageData(b"\n")) == b"\r\n"
    assert server.send(EndOfMessage()) == b".\r\n"


def test_content_with_lf_is_sent_with_crlf() -> None:
    """RFC 1939 section 11; POP3-1939-5-l."""
    server = server_in(State.TRANSACTION)
    feed(server, b"RETR 1\r\n")
    server.send(Response(OK))
    wire = server.send(MessageData(b"a\n.b", lf_ends_lines=True))
    assert wire + server.send(EndOfMessage()) == b"a\r\n..b\r\n.\r\n"
    assert server.content_octets == len(b"a\r\n.b\r\n")


def test_each_message_is_counted_anew() -> None:
    server = server_in(State.TRANSACTION)
    for _ in range(2):
        feed(server, b"RETR 1\r\n")
        server.send(Response(OK))
        assert server.content_octets == 0
        server.send(MessageData(b".a"))
        server.send(EndOfMessage())
        assert server.content_octets == 4


@pytest.mark.parametrize("said", [b"", b"RETR 1\r\n", b"DELE 1\r\n"])
@pytest.mark.parametrize("event", [MessageData(b"a\r\n"), EndOfMessage()])
def test_content_is_sent_where_it_is_due(
    said: bytes, event: MessageData | EndOfMessage
) -> None:
    server = server_in(State.TRANSACTION)
    server.receive_data(said or b"x")
    drain(server)
    before = snapshot(server)
    with pytest.raises(LocalProtocolError, match="no content is due"):
        server.send(event)
    assert snapshot(server) == before


@pytest.mark.parametrize("cls", [OK, ERR])
def test_content_cannot_be_broken_off_with_a_response(cls: pop3.ResponseClass) -> None:
    server = server_in(State.TRANSACTION)
    feed(server, b"RETR 1\r\n")
    server.send(Response(OK))
    server.send(MessageData(b"a\r\n"))
    with pytest.raises(LocalProtocolError, match="the content must end first"):
        server.send(Response(cls))
    assert server.send(EndOfMessage()) == b".\r\n"
