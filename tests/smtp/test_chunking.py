"""BDAT on a Connection: its octets are counted, whatever they are.  RFC 3030."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, octets, pieces
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    Signal,
    smtp,
)
from smtp_pop_core.smtp import (
    Bdat,
    BdatLast,
    Connection,
    EndOfChunk,
    EndOfMessage,
    Reply,
    State,
    Tolerances,
)
from smtp_pop_core.smtp import extensions as known
from smtp_talk import client_in, feed, server_in

DATA = Path(__file__).parents[1] / "data"
STREAMS = tomllib.loads((DATA / "bdat.toml").read_text("utf-8"))["stream"]
ATTACKS = {
    each["id"]: each
    for each in tomllib.loads((DATA / "security.toml").read_text("utf-8"))["attack"]
    if each["id"].startswith("SEC-BDAT")
}

ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
STRICT = Tolerances(bare_line_ends_in_chunks=False)


def understood(
    conn: Connection, cut: Iterable[bytes]
) -> tuple[list[int], list[bytes], list[Reply]]:
    """Give pieces to a server that answers as a sound one.

    Returns:
        The codes of its replies, the contents that it has accepted, and the replies.
    """
    replies: list[Reply] = []
    messages: list[bytes] = []
    content = b""
    for piece in cut:
        conn.receive_data(piece)
        while not isinstance(event := conn.next_event(), Signal):
            match event:
                case MessageData(data=data):
                    content += data
                case smtp.Mail():
                    content = b""
                case EndOfMessage(refusal=None):
                    messages.append(content)
            for _ in range(conn.replies_due):
                replies.append(conn.default_reply(event))
                conn.send(replies[-1])
    return [reply.code for reply in replies], messages, replies


def octets_of(name: str) -> bytes:
    """Give the octets of an attack."""
    attack = ATTACKS[name]
    pad = str(attack.get("pad_octet", "")) * int(attack.get("pad_count", 0))
    return "".join(attack["send"]).replace("{PAD}", pad).encode("latin-1")


def server_codes(conn: Connection, wire: bytes) -> list[int]:
    return understood(conn, [wire])[0]


def said(conn: Connection, *events: smtp.Command | MessageData) -> bytes:
    """Let a client say all that, one after the other."""
    return b"".join(conn.send(event) for event in events)


def heard(conn: Connection, *lines: int) -> list[State]:
    """Give a client replies, and return the state behind each."""
    states = []
    for code in lines:
        feed(conn, b"%d ok\r\n" % code)
        states.append(conn.state)
    return states


FIRST = (Bdat(3), MessageData(b"abc"), EndOfChunk())
SECOND = (Bdat(1), MessageData(b"d"), EndOfChunk())
LAST = (BdatLast(3), MessageData(b"def"), EndOfMessage())
WIRE = b"BDAT 3\r\nabcBDAT 3 LAST\r\ndef"


# Streams of others


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])
def test_a_stream_is_understood_however_it_is_cut(stream: dict[str, Any]) -> None:
    wire = stream["wire"].encode("latin-1")
    expected = [message.encode("latin-1") for message in stream["messages"]]
    for cut in every_cut(wire):
        conn = server_in(State.READY)
        codes, messages, _ = understood(conn, cut)
        assert codes == stream["replies"]
        assert messages == expected
        assert conn.trailing_data == b""


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])
def test_a_stream_leaves_the_server_in_step(stream: dict[str, Any]) -> None:
    conn = server_in(State.READY)
    understood(conn, [stream["wire"].encode("latin-1")])
    assert server_codes(conn, b"NOOP\r\nQUIT\r\n") == [250, 221]


# What a chunk is


def test_a_chunk_is_its_octets_and_nothing_else() -> None:
    conn = client_in(State.RCPT)
    wire = said(conn, Bdat(5), MessageData(b".\r\n"), MessageData(b"..\n"[:2]))
    assert wire == b"BDAT 5\r\n.\r\n.."
    assert conn.send(EndOfChunk()) == b""


def test_an_event_tells_of_a_chunk_before_its_octets() -> None:
    conn = server_in(State.RCPT)
    assert feed(conn, b"BDAT 3\r\n") == [Bdat(3)]
    assert (conn.state, conn.replies_due) == (State.CHUNK, 0)
    assert conn.next_event() is NEED_DATA
    assert feed(conn, b"ab") == [MessageData(b"ab")]
    assert feed(conn, b"cNOOP\r\n") == [MessageData(b"c"), EndOfChunk()]
    assert (conn.replies_due, conn.next_event()) == (1, PAUSED)
    assert (
        conn.send(conn.default_reply(EndOfChunk())) == b"250 2.0.0 Chunk accepted\r\n"
    )
    assert conn.state is State.BDAT
    assert conn.next_event() == smtp.Noop()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"BDAT 0\r\n", Bdat(0)),
        (b"bdat 12\r\n", Bdat(12)),
        (b"BDAT 12 LAST\r\n", BdatLast(12)),
        (b"BDAT 12 last\r\n", BdatLast(12)),
        (b"BDAT 12  LaSt\r\n", BdatLast(12)),
        (b"BDAT 12 LAST \t\r\n", BdatLast(12)),
        (b"BDAT 0005\r\n", Bdat(5)),
        (b"BDAT 1000000000000000000\r\n", Bdat(10**18)),
        (b"BDAT 0000000000000000005 LAST\r\n", BdatLast(5)),
    ],
)
def test_a_chunk_has_a_size_and_may_be_the_last(
    line: bytes, command: smtp.Command
) -> None:
    for cut in every_cut(line):
        conn = server_in(State.RCPT)
        events = [event for piece in cut for event in feed(conn, piece)]
        assert events[0] == command


@pytest.mark.parametrize(
    "arguments",
    [
        *(b"", b" ", b" LAST", b" x", b"  5", b" 5LAST", b" 5 FIRST", b" 5 LAST LAST"),
        *(b" -5 LAST", b" +5 LAST", b" 5.0", b" 0x5", b" 5_0", b" 5,0", b" 5\t5"),
        *(b" \xd9\xa5", b" \xb2", b" \xef\xbc\x95", b" 5\0", b" 5\r", b"\n5", b" 5\n"),
        *(b" 5 LA\xc5\xbfT", b" 5 LAS\xc5\xa4", b" 18446744073709551616"),
        *(b" 1000000000000000001", b" 00000000000000000005", b" " + b"9" * 400),
    ],
)
def test_anything_else_opens_no_chunk(arguments: bytes) -> None:
    """Nothing tells how many octets could belong to it, so none do."""
    conn = server_in(State.RCPT)
    codes, _, replies = understood(conn, [b"BDAT" + arguments + b"\r\nNOOP\r\n"])
    assert codes in ([501, 250], [500, 250])
    assert conn.state is State.RCPT
    assert replies[0].enhanced in (
        smtp.EnhancedCode(5, 5, 4),
        smtp.EnhancedCode(5, 5, 1),
    )


def test_bad_sizes_are_counted_among_the_mistakes() -> None:
    conn = server_in(State.RCPT, limits=Limits(bad_commands=2))
    assert server_codes(conn, b"BDAT x\r\n" * 4) == [501, 501, 421]
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("kind", [Bdat, BdatLast])
@pytest.mark.parametrize("size", [-1, 10**18 + 1, 2**64])
def test_no_command_has_a_size_that_nobody_reads(
    kind: type[Bdat | BdatLast], size: int
) -> None:
    with pytest.raises(ValueError, match="not the size of a chunk"):
        kind(size)


@pytest.mark.parametrize("kind", [Bdat, BdatLast])
@pytest.mark.parametrize("size", [1.0, "1", None, True, b"1"])
def test_the_size_of_a_chunk_is_an_int(kind: Any, size: object) -> None:
    with pytest.raises(TypeError, match="size must be int"):
        kind(size)


@given(
    chunks=st.lists(st.binary(max_size=12), max_size=4),
    last=st.binary(max_size=12),
    data=st.data(),
)
def test_what_a_client_writes_a_server_reads(
    chunks: list[bytes], last: bytes, data: st.DataObject
) -> None:
    client, server = client_in(State.RCPT), server_in(State.RCPT)
    wire = b"".join(
        said(client, Bdat(len(chunk)))
        + b"".join(said(client, MessageData(octet)) for octet in octets(chunk))
        + said(client, EndOfChunk())
        for chunk in chunks
    )
    wire += said(client, BdatLast(len(last)))
    wire += b"".join(said(client, MessageData(octet)) for octet in octets(last))
    wire += said(client, EndOfMessage())
    codes, messages, _ = understood(server, data.draw(pieces(wire)))
    assert messages == [b"".join(chunks) + last]
    assert codes == [250] * (len(chunks) + 1)
    assert heard(client, *codes)[-1] is State.READY
    assert client.unanswered == ()


def test_a_chunk_is_read_by_blocks() -> None:
    conn = server_in(State.RCPT, limits=Limits(block=4))
    events = feed(conn, b"BDAT 10 LAST\r\n0123456789QUIT\r\n")
    blocks = [MessageData(each) for each in (b"0123", b"4567", b"89")]
    assert events == [BdatLast(10), *blocks, EndOfMessage()]


# The order of chunks, by hand


@pytest.mark.parametrize(
    ("events", "codes", "states"),
    [
        ([*FIRST, *LAST], [250, 250], [State.LAST, State.READY]),
        ([*FIRST, *LAST], [250, 552], [State.LAST, State.READY]),
        ([*FIRST, *LAST], [452, 503], [State.FAILED, State.FAILED]),
        ([*FIRST, *LAST], [452, 421], [State.FAILED, State.CLOSED]),
        ([*FIRST, *SECOND], [250, 250], [State.CHUNK, State.BDAT]),
        ([*FIRST, *SECOND], [250, 452], [State.CHUNK, State.FAILED]),
        ([*FIRST, *SECOND], [552, 503], [State.FAILED, State.FAILED]),
        # The second was taken although the first was not.
        ([*FIRST, *SECOND], [452, 250], [State.FAILED, State.BDAT]),
        ([*FIRST, *LAST], [452, 250], [State.FAILED, State.READY]),
        ([*FIRST, smtp.Rset()], [452, 250], [State.FAILED, State.READY]),
        ([*FIRST, smtp.Rset()], [250, 250], [State.BDAT, State.READY]),
        (
            [*FIRST, *SECOND, *LAST],
            [250, 452, 503],
            [State.CHUNK, State.FAILED, State.FAILED],
        ),
    ],
)
def test_pipelined_chunks_are_answered_in_their_order(
    events: list[Any], codes: list[int], states: list[State]
) -> None:
    conn = client_in(State.RCPT)
    said(conn, *events)
    assert heard(conn, *codes) == states
    assert conn.unanswered == ()


def test_421_to_a_chunk_leaves_the_others_open() -> None:
    conn = client_in(State.RCPT)
    said(conn, *FIRST, *LAST)
    assert heard(conn, 421) == [State.CLOSED]
    assert conn.unanswered == (BdatLast(3), EndOfMessage())


def test_a_chunk_without_a_reply_takes_its_turn() -> None:
    conn = client_in(State.RCPT)
    assert said(conn, *FIRST, *LAST) == WIRE
    assert conn.state is State.CHUNK
    assert list(conn.unanswered) == [EndOfChunk(), BdatLast(3), EndOfMessage()]
    heard(conn, 250)
    assert list(conn.unanswered) == [EndOfMessage()]
    assert conn.replies_due == 1


@pytest.mark.parametrize(
    "command",
    [
        *(Bdat(1), BdatLast(1), EndOfChunk(), EndOfMessage(), smtp.Data()),
        *(smtp.Mail("a@b.example"), smtp.Rcpt("c@d.example"), smtp.Vrfy("x")),
    ],
)
def test_after_a_chunk_that_failed_only_a_reset_helps(command: smtp.Command) -> None:
    conn = client_in(State.FAILED)
    with pytest.raises(LocalProtocolError, match="out of order in FAILED"):
        conn.send(command)
    assert conn.state is State.FAILED
    said(conn, smtp.Rset())
    assert heard(conn, 250) == [State.READY]


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (smtp.Rset(), State.READY),
        (smtp.Ehlo("me.example"), State.READY),
        (smtp.Helo("me.example"), State.READY),
        (smtp.Noop(), State.FAILED),
        (smtp.Quit(), State.CLOSED),
    ],
)
def test_what_is_allowed_after_a_chunk_that_failed(
    command: smtp.Command, state: State
) -> None:
    conn = client_in(State.FAILED)
    said(conn, command)
    assert heard(conn, 250) == [state]


@pytest.mark.parametrize("octets", [0, 1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_a_chunk_under_way_is_ended_though_the_one_before_failed(
    octets: int, last: bool
) -> None:
    """SEC-BDAT-DESYNC-c: the reply to it is still counted."""
    conn = client_in(State.RCPT)
    said(conn, *FIRST, BdatLast(3) if last else Bdat(3), MessageData(b"xyz"[:octets]))
    assert heard(conn, 552) == [State.FAILED]
    said(conn, MessageData(b"xyz"[octets:]), EndOfMessage() if last else EndOfChunk())
    assert heard(conn, 503) == [State.FAILED]
    assert conn.send(smtp.Rset()) == b"RSET\r\n"


@pytest.mark.parametrize("last", [False, True])
def test_an_empty_chunk_is_ended_though_the_one_before_failed(last: bool) -> None:
    conn = client_in(State.RCPT)
    said(conn, *FIRST, BdatLast(0) if last else Bdat(0))
    heard(conn, 552)
    said(conn, EndOfMessage() if last else EndOfChunk())
    assert heard(conn, 503) == [State.FAILED]


def test_after_a_failure_a_no_in_the_middle_of_a_chunk_closes() -> None:
    conn = client_in(State.RCPT)
    said(conn, *FIRST, Bdat(2), MessageData(b"x"))
    assert heard(conn, 552, 503) == [State.FAILED, State.CLOSED]


@pytest.mark.parametrize("state", [State.MAIL, State.READY])
def test_the_envelope_is_answered_before_the_first_chunk(state: State) -> None:
    """RFC 3030 section 2: MAIL and RCPT are not pipelined with BDAT."""
    conn = client_in(state)
    commands = [smtp.Mail("a@b.example")] * (state is State.READY)
    said(conn, *commands, smtp.Rcpt("c@d.example"))
    with pytest.raises(LocalProtocolError, match="Rcpt must be answered first"):
        conn.send(Bdat(1))


def test_without_pipelining_a_chunk_waits_for_the_reply_to_the_one_before() -> None:
    conn = Connection(CLIENT)
    feed(conn, b"220 mx.example\r\n")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250-mx.example\r\n250 CHUNKING\r\n")
    for command in (smtp.Mail("a@b.example"), smtp.Rcpt("c@d.example")):
        conn.send(command)
        feed(conn, b"250 ok\r\n")
    said(conn, *FIRST)
    with pytest.raises(LocalProtocolError, match="must be answered first"):
        conn.send(Bdat(1))
    heard(conn, 250)
    said(conn, *LAST)
    assert heard(conn, 250) == [State.READY]


def test_data_does_not_follow_a_chunk() -> None:
    conn = client_in(State.BDAT)
    with pytest.raises(LocalProtocolError, match="Data is out of order in BDAT"):
        conn.send(smtp.Data())
    assert server_codes(server_in(State.BDAT), b"DATA\r\nBDAT 0 LAST\r\n") == [503, 250]


def test_data_is_still_there_for_those_who_want_it() -> None:
    wire = ENVELOPE + b"DATA\r\nBDAT 3\r\n.\r\n"
    codes, messages, _ = understood(server_in(State.READY), [wire])
    assert codes == [250, 250, 354, 250]
    assert messages == [b"BDAT 3\r\n"]


@pytest.mark.parametrize("code", [354, 334])
def test_an_intermediate_reply_is_no_answer_to_a_chunk(code: int) -> None:
    conn = client_in(State.RCPT)
    said(conn, *FIRST)
    conn.receive_data(b"%d go\r\n" % code)
    with pytest.raises(RemoteProtocolError, match=f"{code} is no answer"):
        conn.next_event()


# Content that is wrong on our side


@pytest.mark.parametrize("kind", [Bdat, BdatLast])
def test_more_than_the_chunk_has_is_not_sent(kind: type[Bdat | BdatLast]) -> None:
    conn = client_in(State.RCPT)
    said(conn, kind(3), MessageData(b"a"))
    with pytest.raises(LocalProtocolError, match="2 octets left, not 3"):
        conn.send(MessageData(b"bcd"))
    assert conn.send(MessageData(b"bc")) == b"bc"
    with pytest.raises(LocalProtocolError, match="no content is due"):
        conn.send(MessageData(b"d"))


@pytest.mark.parametrize(
    ("kind", "end"), [(Bdat, EndOfChunk()), (BdatLast, EndOfMessage())]
)
@pytest.mark.parametrize("data", [b"", b"a", b"ab"])
def test_a_chunk_does_not_end_before_its_octets(
    data: bytes, kind: type[Bdat | BdatLast], end: smtp.Command
) -> None:
    conn = client_in(State.RCPT)
    said(conn, kind(3), MessageData(data))
    for command in (end, smtp.Noop(), smtp.Rset()):
        with pytest.raises(LocalProtocolError):
            conn.send(command)
    assert said(conn, MessageData(b"abc"[len(data) :]), end) == b"abc"[len(data) :]


def test_the_end_of_a_chunk_is_not_the_end_of_the_last() -> None:
    conn = client_in(State.RCPT)
    said(conn, BdatLast(0))
    with pytest.raises(LocalProtocolError, match="EndOfChunk is out of order in LAST"):
        conn.send(EndOfChunk())


def test_line_ends_are_not_made_in_a_chunk() -> None:
    conn = client_in(State.CHUNK)
    with pytest.raises(LocalProtocolError, match="its octets are counted"):
        conn.send(MessageData(b"\n", lf_ends_lines=True))
    assert conn.send(MessageData(b"\n")) == b"\n"


def test_a_server_does_not_send_chunks() -> None:
    with pytest.raises(LocalProtocolError, match="a server sends replies"):
        server_in(State.RCPT).send(Bdat(1))


def test_chunks_are_not_sent_to_a_server_that_does_not_offer_them() -> None:
    conn = Connection(CLIENT)
    feed(conn, b"220 mx.example\r\n")
    conn.send(smtp.Helo("me.example"))
    feed(conn, b"250 mx.example\r\n")
    for command in (smtp.Mail("a@b.example"), smtp.Rcpt("c@d.example")):
        conn.send(command)
        feed(conn, b"250 ok\r\n")
    with pytest.raises(LocalProtocolError, match="CHUNKING was not offered"):
        conn.send(Bdat(1))


# Chunks that are refused


PLAIN = [known.Pipelining()]
REFUSED = [
    (State.GREETED, {}, 503),
    (State.READY, {}, 503),
    (State.MAIL, {}, 503),
    (State.FAILED, {}, 503),
    (State.READY, {"extensions": PLAIN}, 503),
    (State.RCPT, {"extensions": PLAIN}, 502),
]


@pytest.mark.parametrize("last", [b"", b" LAST"])
@pytest.mark.parametrize("content", [b"", b"x", b"QUIT\r\n", b"\r\n.\r\n", b"\xff" * 9])
@pytest.mark.parametrize(("state", "options", "code"), REFUSED)
def test_a_refused_chunk_takes_its_octets_with_it(
    state: State, options: dict[str, Any], code: int, content: bytes, last: bytes
) -> None:
    wire = b"BDAT %d%b\r\n%bNOOP\r\n" % (len(content), last, content)
    for cut in every_cut(wire):
        conn = server_in(state, **options)
        assert understood(conn, cut)[0] == [code, 250]
        assert conn.state is state


def test_a_refused_chunk_is_answered_once_its_octets_are_there() -> None:
    conn = server_in(State.READY)
    for octet in octets(b"BDAT 6\r\nNOOP\r"):
        assert feed(conn, octet) == []
    assert conn.unanswered == ()
    [refused] = feed(conn, b"\nRSET\r\n")
    assert isinstance(refused, smtp.BadCommand)
    assert (refused.line, refused.reply.code) == (b"BDAT 6", 503)


def test_a_refused_chunk_that_breaks_off_is_no_command() -> None:
    conn = server_in(State.READY)
    feed(conn, b"BDAT 5\r\nNOOP")
    conn.receive_data(b"")
    assert conn.next_event() == ConnectionClosed()


def test_refused_chunks_are_not_counted_among_the_mistakes() -> None:
    """A client that pipelines sends them after a refusal."""
    conn = server_in(State.FAILED, limits=Limits(bad_commands=1))
    assert server_codes(conn, b"BDAT 1\r\nxBDAT 0\r\n" * 5) == [503] * 10


def test_a_chunk_after_the_last_one_is_refused() -> None:
    """RFC 3030 section 2."""
    wire = ENVELOPE + b"BDAT 3 LAST\r\nabcBDAT 6\r\nQUIT\r\nNOOP\r\n"
    codes, messages, _ = understood(server_in(State.READY), [wire])
    assert codes == [250, 250, 250, 503, 250]
    assert messages == [b"abc"]


def test_chunks_under_way_after_a_failure_have_a_reply_each() -> None:
    conn = server_in(State.RCPT, limits=Limits(content=4))
    wire = b"BDAT 5\r\nabcdeBDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nRSET\r\n" + ENVELOPE + WIRE
    codes, messages, _ = understood(conn, [wire])
    assert codes == [552, 503, 503, 250, 250, 250, 250, 552]
    assert messages == []


# Where to start, and the codes of the replies that a sound server gives.
WITHSTOOD: Final[dict[str, tuple[State, list[int]]]] = {
    "SEC-BDAT-SIZE-a": (State.RCPT, [501]),
    "SEC-BDAT-SIZE-b": (State.RCPT, [501]),
    "SEC-BDAT-SIZE-c": (State.RCPT, [501]),
    "SEC-BDAT-SIZE-d": (State.RCPT, [501]),
    "SEC-BDAT-SIZE-f": (State.RCPT, [501]),
    "SEC-BDAT-SIZE-g": (State.RCPT, [250]),
    "SEC-BDAT-SIZE-h": (State.RCPT, [250]),
    "SEC-BDAT-DESYNC-a": (State.READY, [503, 221]),
    "SEC-BDAT-DESYNC-c": (State.RCPT, [500]),  # for a client, see above
}


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_every_attack_with_chunks_is_withstood(name: str) -> None:
    wire = octets_of(name)
    state, expected = WITHSTOOD[name]
    for cut in [(wire,), octets(wire), (wire[:7], wire[7:]), (wire[:-3], wire[-3:])]:
        assert understood(server_in(state), cut)[0] == expected


@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - {"SEC-BDAT-DESYNC-a"}))
def test_after_an_attack_with_chunks_the_server_is_in_step(name: str) -> None:
    conn = server_in(WITHSTOOD[name][0])
    understood(conn, [octets_of(name)])
    assert server_codes(conn, b"\r\nNOOP\r\n")[-1] == 250


def test_too_small_a_size_gives_lines_that_are_no_commands() -> None:
    codes, messages, _ = understood(
        server_in(State.RCPT), [b"BDAT 3 LAST\r\nabcdef\r\nxyz\r\nNOOP\r\n"]
    )
    assert codes == [250, 500, 500, 250]
    assert messages == [b"abc"]


# Limits


@pytest.mark.parametrize(
    ("sizes", "codes"),
    [
        ([5], [250]),
        ([6], [552]),
        ([0, 5], [250, 250]),
        ([5, 0], [250, 250]),
        ([2, 3], [250, 250]),
        ([2, 4], [250, 552]),
        ([5, 1], [250, 552]),
        ([6, 0], [552, 503]),
        ([2, 4, 1], [250, 552, 503]),
        ([1, 1, 1, 1, 1, 1], [250] * 5 + [552]),
    ],
)
def test_the_limit_holds_for_the_chunks_together(
    sizes: list[int], codes: list[int]
) -> None:
    """SEC-BDAT-SIZE-h: exactly at the limit, and one over."""
    *most, last = sizes
    wire = b"".join(b"BDAT %d\r\n%b" % (size, b"x" * size) for size in most)
    wire += b"BDAT %d LAST\r\n%b" % (last, b"x" * last)
    for cut in every_cut(wire):
        conn = server_in(State.RCPT, limits=Limits(content=5))
        assert understood(conn, cut)[0] == codes


def test_no_more_than_the_limit_is_handed_on() -> None:
    conn = server_in(State.RCPT, limits=Limits(content=5))
    events = feed(conn, b"BDAT 9 LAST\r\n012345678")
    assert events == [BdatLast(9), MessageData(b"01234"), EndOfMessage()]
    with pytest.raises(LocalProtocolError, match="the content must be refused: 552"):
        conn.send(Reply(250))


def test_a_chunk_that_must_be_refused_cannot_be_accepted() -> None:
    conn = server_in(State.RCPT, limits=Limits(content=5))
    *_, end = feed(conn, b"BDAT 9\r\n012345678")
    assert end == EndOfChunk()
    with pytest.raises(LocalProtocolError, match="the content must be refused: 552"):
        conn.send(Reply(250))
    conn.send(Reply(451))
    assert conn.state is State.FAILED


def test_a_new_transaction_is_counted_from_its_beginning() -> None:
    conn = server_in(State.READY, limits=Limits(content=6))
    wire = ENVELOPE + b"BDAT 6\r\nabcdefRSET\r\n" + (ENVELOPE + WIRE) * 2
    codes, messages, _ = understood(conn, [wire])
    assert set(codes) == {250}
    assert messages == [b"abcdef", b"abcdef"]


# Bare line ends


@pytest.mark.parametrize("content", [b"\n", b"\r", b"a\nb", b"a\r", b"\r\r\n", b"\n\r"])
def test_a_bare_line_end_in_a_chunk_is_an_octet_like_any_other(content: bytes) -> None:
    wire = b"BDAT %d LAST\r\n%b" % (len(content), content)
    for cut in every_cut(wire):
        assert understood(server_in(State.RCPT), cut)[:2] == ([250], [content])


@pytest.mark.parametrize(
    ("chunks", "codes"),
    [
        ([b"a\r\nb\r\n"], [250]),
        ([b"a\nb"], [550]),
        ([b"a\rb"], [550]),
        ([b"a\n", b"b"], [550, 503]),
        ([b"a\rb", b"c"], [550, 503]),
        ([b"a", b"\nb"], [250, 550]),
        ([b"a\r", b"\nb"], [250, 250]),  # the line end lies in two chunks
        ([b"a\r", b"", b"\nb"], [250, 250, 250]),
        ([b"a\r", b"b"], [250, 550]),
        ([b"a\r"], [550]),
        ([b"a\r", b""], [250, 550]),
        ([b"a\r\r", b"\n"], [550, 503]),
    ],
)
def test_a_server_may_refuse_bare_line_ends_in_chunks(
    chunks: list[bytes], codes: list[int]
) -> None:
    *most, last = chunks
    wire = b"".join(b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in most)
    wire += b"BDAT %d LAST\r\n%b" % (len(last), last)
    for cut in every_cut(wire):
        conn = server_in(State.RCPT, tolerances=STRICT)
        got, _, replies = understood(conn, cut)
        assert got == codes
        enhanced = {reply.enhanced for reply in replies if reply.code == 550}
        assert enhanced <= {smtp.EnhancedCode(5, 6, 0)}


def test_the_tolerance_for_data_is_not_that_for_chunks() -> None:
    conn = server_in(State.RCPT, tolerances=Tolerances(bare_line_ends=True))
    assert server_codes(conn, b"BDAT 3 LAST\r\na\nb") == [250]
    strict = Tolerances(bare_line_ends=True, bare_line_ends_in_chunks=False)
    conn = server_in(State.RCPT, tolerances=strict)
    assert server_codes(conn, b"BDAT 3 LAST\r\na\nb") == [550]


@pytest.mark.parametrize(
    ("parameter", "codes"),
    [(b"", [554]), (b" BODY=8BITMIME", [250]), (b" BODY=BINARYMIME", [250])],
)
def test_octets_above_127_may_have_to_be_declared(
    parameter: bytes, codes: list[int]
) -> None:
    conn = server_in(State.READY, tolerances=Tolerances(undeclared_8bit=False))
    wire = b"MAIL FROM:<>%b\r\nRCPT TO:<c@d.example>\r\n" % parameter
    assert server_codes(conn, wire + b"BDAT 1 LAST\r\n\xff") == [250, 250, *codes]


# A reply before the end


@pytest.mark.parametrize("code", [421, 452, 552])
@pytest.mark.parametrize("kind", [Bdat, BdatLast])
def test_a_no_in_the_middle_of_a_chunk_closes(
    kind: type[Bdat | BdatLast], code: int
) -> None:
    conn = client_in(State.RCPT)
    said(conn, kind(3), MessageData(b"a"))
    [reply] = feed(conn, b"%d no\r\n" % code)[:1]
    assert isinstance(reply, Reply)
    assert reply.command == EndOfMessage()
    assert conn.state is State.CLOSED
    with pytest.raises(LocalProtocolError, match="no content is due in CLOSED"):
        conn.send(MessageData(b"b"))


@pytest.mark.parametrize("code", [250, 354])
def test_a_yes_in_the_middle_of_a_chunk_is_an_error(code: int) -> None:
    conn = client_in(State.CHUNK)
    conn.receive_data(b"%d ok\r\n" % code)
    with pytest.raises(RemoteProtocolError, match=f"{code} answers nothing"):
        conn.next_event()
    assert conn.state is State.CLOSED


def test_a_server_may_say_421_in_the_middle_of_a_chunk() -> None:
    conn = server_in(State.CHUNK)
    assert conn.send(Reply(421)) == b"421 4.0.0 \r\n"
    assert conn.state is State.CLOSED
    assert feed(conn, b"x") == [ConnectionClosed()]


@pytest.mark.parametrize("state", [State.CHUNK, State.LAST])
def test_a_chunk_that_breaks_off_never_ends(state: State) -> None:
    conn = server_in(state)
    conn.receive_data(b"")
    assert conn.next_event() == ConnectionClosed()
    assert conn.next_event() is NEED_DATA


# BINARYMIME


def test_data_after_binarymime_is_out_of_order() -> None:
    """RFC 3030 section 3."""
    mail = smtp.Mail("a@b.example", body=smtp.Body.BINARYMIME)
    client = client_in(State.READY)
    wire = said(client, mail)
    assert wire == b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n"
    heard(client, 250)
    said(client, smtp.Rcpt("c@d.example"))
    heard(client, 250)
    with pytest.raises(LocalProtocolError, match="BINARYMIME needs BDAT"):
        client.send(smtp.Data())
    server = server_in(State.READY)
    wire += b"RCPT TO:<c@d.example>\r\nDATA\r\nBDAT 2 LAST\r\n\r\0"
    codes, messages, _ = understood(server, [wire])
    assert codes == [250, 250, 503, 250]
    assert messages == [b"\r\0"]


def test_data_may_follow_binarymime_in_another_transaction() -> None:
    wire = b"MAIL FROM:<> BODY=binarymime\r\nRSET\r\n" + ENVELOPE + b"DATA\r\n.\r\n"
    codes = server_codes(server_in(State.READY), wire)
    assert codes == [250, 250, 250, 250, 354, 250]


@pytest.mark.parametrize(
    ("offered", "code"),
    [
        ([known.EightBitMime()], 501),
        ([known.EightBitMime(), known.Chunking()], 501),
        ([known.Chunking()], 555),
        ([known.BinaryMime()], 555),  # it is nothing without CHUNKING
        ([known.BinaryMime(), known.Chunking()], 250),
    ],
)
def test_binarymime_must_be_offered(offered: list[smtp.Extension], code: int) -> None:
    conn = server_in(State.READY, extensions=offered)
    assert server_codes(conn, b"MAIL FROM:<> BODY=BINARYMIME\r\n") == [code]


def test_binarymime_is_offered_with_chunking_only() -> None:
    """RFC 3030 section 3."""
    alone = Connection(SERVER, extensions=[known.BinaryMime()])
    assert alone.default_reply(smtp.Ehlo("x")).lines == ("localhost",)
    both = Connection(SERVER, extensions=[known.BinaryMime(), known.Chunking()])
    lines = both.default_reply(smtp.Ehlo("x")).lines
    assert lines == ("localhost", "BINARYMIME", "CHUNKING")


def test_a_client_does_not_say_binarymime_where_it_was_not_offered() -> None:
    conn = Connection(CLIENT)
    feed(conn, b"220 mx.example\r\n")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250-mx.example\r\n250-8BITMIME\r\n250 CHUNKING\r\n")
    mail = smtp.Mail("a@b.example", body=smtp.Body.BINARYMIME)
    with pytest.raises(LocalProtocolError, match="BINARYMIME was not offered"):
        conn.send(mail)
    assert conn.state is State.READY


def test_a_line_with_binarymime_may_be_longer_by_that() -> None:
    offered = [known.BinaryMime(), known.Chunking()]
    path = b"a" * (512 - len(b"MAIL FROM:<@b.example> BODY=BINARYMIME\r\n"))
    conn = server_in(State.READY, extensions=offered)
    line = b"MAIL FROM:<%b%b@b.example> BODY=BINARYMIME\r\n"
    assert server_codes(conn, line % (path, b"b" * 17)) == [500]
    assert server_codes(conn, line % (path, b"b" * 16)) == [250]


# The transcript


def test_a_transcript_counts_the_content_of_chunks() -> None:
    lines: list[str] = []
    conn = client_in(State.RCPT, trace=lines.append)
    lines.clear()
    said(conn, *FIRST, BdatLast(4), MessageData(b"de"), MessageData(b"fg"))
    conn.send(EndOfMessage())
    heard(conn, 250, 250)
    expected = ["C: BDAT 3", "C: (3 octets of content)"]
    expected += ["C: BDAT 4 LAST", "C: (4 octets of content)"]
    assert lines == [*expected, "S: 250 ok", "S: 250 ok"]


def test_a_server_counts_the_same() -> None:
    lines: list[str] = []
    conn = server_in(State.RCPT, trace=lines.append)
    lines.clear()
    for octet in octets(WIRE):
        understood(conn, [octet])
    expected = ["C: BDAT 3", "C: (3 octets of content)", "S: 250 2.0.0 Chunk accepted"]
    expected += ["C: BDAT 3 LAST", "C: (3 octets of content)"]
    assert lines == [*expected, "S: 250 2.0.0 Message accepted"]


def test_a_transcript_may_show_the_content_of_chunks() -> None:
    lines: list[str] = []
    conn = client_in(State.RCPT, trace=lines.append, trace_content=True)
    lines.clear()
    said(conn, Bdat(6), MessageData(b"a\r\n\x1b\r\n"), EndOfChunk(), smtp.Rset())
    assert lines == [
        *("C: BDAT 6", "C| a", "C| \\x1b", "C: (6 octets of content)", "C: RSET")
    ]
