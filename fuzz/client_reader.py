"""A client reads what a server may send, after commands that the input chooses.

The same octets give the same replies, or the same error, however they are cut.  What
was read as a reply can be written as one, and is read back equal.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from fuzz.cuts import take_apart
from smtp_pop_core import (
    CLIENT,
    ConnectionClosed,
    Limits,
    MessageData,
    RemoteProtocolError,
    Signal,
    smtp,
)
from smtp_pop_core._errors import ParseError
from smtp_pop_core.smtp import Connection, EnhancedCode, Event, Reply, State
from smtp_pop_core.smtp._reply_codec import ReplyReader, write_reply

_NARROW: Final = Limits(reply_line=512, reply_lines=12, auth_line=600)
_WIDE: Final = Limits()
_OFFERS: Final = (
    b"220 mx.example\r\n"
    b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
    b"250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-DSN\r\n"
    b"250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
)
_MAIL: Final = smtp.Mail("a@b.example", size=9)
_RCPT: Final = smtp.Rcpt("c@d.example")
_END: Final = smtp.EndOfMessage()
_CONTENT: Final = MessageData(b"a\r\n.b\r\n")
_CHUNK: Final = MessageData(b"abc")


@dataclass(frozen=True, slots=True)
class _Heard:
    """All that can be seen of a client that has read its input.

    Attributes:
        events: What it understood, each reply with the command that it answers.
        enhanced: Whether status codes were on offer when each reply came.
        error: What it said of an error of the peer, and the line; or None.
    """

    events: list[tuple[Event, smtp.Command | None]]
    enhanced: list[bool]
    error: tuple[str, bytes] | None
    state: State
    rest: bytes
    facts: tuple[object, ...]


def _greeting(client: Connection) -> None:
    """Only the greeting is awaited."""


def _hello(client: Connection) -> None:
    _feed(client, b"220 mx.example\r\n")
    client.send(smtp.Lhlo("me.example") if client.lmtp else smtp.Ehlo("me.example"))


def _ready(client: Connection) -> None:
    _hello(client)
    _feed(client, _OFFERS.partition(b"\r\n")[2])


def _envelope(client: Connection) -> None:
    _ready(client)
    for command in (_MAIL, _RCPT, _RCPT, smtp.Data()):
        client.send(command)


def _content(client: Connection) -> None:
    _envelope(client)
    _feed(client, b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n")
    client.send(_CONTENT)
    client.send(_END)


def _in_content(client: Connection) -> None:
    _envelope(client)
    _feed(client, b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n")
    client.send(_CONTENT)


def _chunks(client: Connection) -> None:
    _ready(client)
    client.send(_MAIL)
    client.send(_RCPT)
    _feed(client, b"250 a\r\n250 b\r\n")
    for _ in range(2):
        client.send(smtp.Bdat(3))
        client.send(_CHUNK)
        client.send(smtp.EndOfChunk())
    client.send(smtp.BdatLast(0))
    client.send(_END)


def _login(client: Connection) -> None:
    _ready(client)
    client.send(smtp.Auth("LOGIN"))


def _start_tls(client: Connection) -> None:
    _ready(client)
    client.send(smtp.StartTls())


def _mail_pipelined(client: Connection) -> None:
    _ready(client)
    for command in (smtp.Rset(), _MAIL, _RCPT, smtp.Vrfy("a")):
        client.send(command)


WAYS: Final[tuple[Callable[[Connection], None], ...]] = (
    _greeting,
    _hello,
    _envelope,
    _content,
    _in_content,
    _chunks,
    _login,
    _start_tls,
    _mail_pipelined,
)


def one_input(data: bytes) -> None:
    given = take_apart(data)
    first, *others = [_hear(_client(given.choice), cut) for cut in given.cuts]
    for other in others:
        assert other == first, f"cut otherwise: {other} and not {first}"
    for (event, command), enhanced in zip(first.events, first.enhanced, strict=True):
        if isinstance(event, Reply):
            _write_and_read(event, command, enhanced=enhanced)


def _client(choice: int) -> Connection:
    client = Connection(
        CLIENT,
        domain="me.example",
        limits=_NARROW if choice & 16 else _WIDE,
        lmtp=bool(choice & 32),
    )
    WAYS[choice % 16 % len(WAYS)](client)
    return client


def _feed(client: Connection, data: bytes) -> None:
    client.receive_data(data)
    while not isinstance(client.next_event(), Signal):
        pass


def _hear(client: Connection, cut: tuple[bytes, ...]) -> _Heard:
    events: list[tuple[Event, smtp.Command | None]] = []
    enhanced: list[bool] = []
    error: tuple[str, bytes] | None = None
    for piece in (*cut, b""):
        if not piece:
            before_end = (client.state, client.trailing_data)
            if client.state is State.TLS:
                _begin_tls(client)
        client.receive_data(piece)
        try:
            while not isinstance(event := client.next_event(), Signal):
                command = event.command if isinstance(event, Reply) else None
                events.append((event, command))
                enhanced.append("ENHANCEDSTATUSCODES" in client.extensions)
                _go_on(client)
        except RemoteProtocolError as broken:
            assert error is None
            assert client.state is State.CLOSED
            error = str(broken), broken.line
    assert client.state is State.CLOSED
    assert events[-1] == (ConnectionClosed(), None)
    facts = (
        *(client.last_reply, dict(client.extensions), client.recipients, client.tls),
        *(client.authenticated, client.unanswered),
    )
    return _Heard(events, enhanced, error, *before_end, facts)


def _go_on(client: Connection) -> None:
    """Say what a reply asks for, so that there is more to answer."""
    if client.unanswered:
        return
    match client.state:
        case State.AUTH:
            client.send(smtp.AuthResponse(b"a"))
        case State.DATA:
            client.send(_CONTENT)
            client.send(_END)
        case State.GREETED:
            name = "me.example"
            client.send(smtp.Lhlo(name) if client.lmtp else smtp.Ehlo(name))
        case State.REFUSED | State.MAIL | State.BDAT | State.FAILED:
            client.send(smtp.Quit())


def _begin_tls(client: Connection) -> None:
    early = client.trailing_data
    try:
        client.begin_tls()
    except RemoteProtocolError:
        assert early
    else:
        assert not early


def _write_and_read(
    reply: Reply, command: smtp.Command | None, *, enhanced: bool
) -> None:
    """Write a reply as a server does; a client must read the same from it."""
    try:
        wire = write_reply(reply, command, _WIDE, enhanced=enhanced)
    except ParseError:
        assert max(map(len, reply.lines)) > 100  # only the length can be wrong
        return
    *more, last, nothing = wire.split(b"\r\n")
    assert not nothing
    reader = ReplyReader(len(more) + 1, enhanced=enhanced)
    assert not any(reader.read(line, command) for line in more)
    again = reader.read(last, command)
    assert again is not None
    if enhanced and again.enhanced and not reply.enhanced:  # a server writes one always
        reply = replace(reply, enhanced=EnhancedCode(reply.code // 100, 0, 0))
    assert again == reply
