"""A POP3 client reads what a server may send, after commands that the input chooses.

The same octets give the same responses and messages, or the same error, however they
are cut.  What was read as a response can be written as one, and is read back equal.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fuzz.cuts import take_apart
from smtp_pop_core import (
    CLIENT,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    Signal,
    pop3,
)
from smtp_pop_core._errors import ParseError
from smtp_pop_core._lines import LineBuffer
from smtp_pop_core.pop3 import Connection, EndOfMessage, Event, Response, State
from smtp_pop_core.pop3._response_codec import ResponseReader, write_response

_NARROW: Final = Limits(reply_line=512, auth_line=600, listing=99, block=7)
_WIDE: Final = Limits()
_STRICT: Final = pop3.Tolerances()
_TOLERANT: Final = pop3.Tolerances(lf_line_ends=True, any_unique_id=True)
_OFFERS: Final = (
    b"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN LOGIN\r\nRESP-CODES\r\nPIPELINING\r\n"
    b"STLS\r\nUTF8 USER\r\nLANG\r\n.\r\n"
)
_USER: Final = pop3.User("a")
_PASS: Final = pop3.Pass("b")


@dataclass(frozen=True, slots=True)
class _Heard:
    """All that can be seen of a client that has read its input.

    Attributes:
        events: What it understood, each response with the command that it answers;
            adjacent MessageData are one.
        bare: Whether each message held a bare CR or LF.
        error: What it said of an error of the peer, and the line; or None.
        rest: What was left, unless there was an error.
        trace: The transcript.
    """

    events: list[tuple[Event, pop3.Command | None]]
    bare: list[bool]
    error: tuple[str, bytes] | None
    state: State
    rest: bytes
    facts: tuple[object, ...]
    trace: list[str]


def _greeting(client: Connection) -> None:
    """Only the greeting is awaited."""


def _capabilities(client: Connection) -> None:
    _feed(client, b"+OK <1@pop.example>\r\n")
    client.send(pop3.Capa())


def _ready(client: Connection) -> None:
    _capabilities(client)
    _feed(client, _OFFERS)


def _logged_in(client: Connection) -> None:
    _ready(client)
    client.send(_USER)
    client.send(_PASS)
    _feed(client, b"+OK\r\n+OK\r\n")


def _sent(
    before: Callable[[Connection], None], *commands: pop3.Command
) -> Callable[[Connection], None]:
    def way(client: Connection) -> None:
        before(client)
        for command in commands:
            client.send(command)

    return way


def _in_content(client: Connection) -> None:
    _sent(_logged_in, pop3.Retr(1), pop3.Noop())(client)
    _feed(client, b"+OK\r\n")


WAYS: Final[tuple[Callable[[Connection], None], ...]] = (
    _greeting,
    _capabilities,
    _sent(_ready, _USER, _PASS, pop3.Stat(), pop3.Uidl()),
    _sent(_logged_in, pop3.List(), pop3.Uidl(), pop3.Capa()),
    _sent(_logged_in, pop3.Stat(), pop3.List(1), pop3.Uidl(2), pop3.Dele(1)),
    _sent(_logged_in, pop3.Retr(1), pop3.Top(2, 0), pop3.Rset(), pop3.List()),
    _in_content,
    _sent(_ready, pop3.Auth("LOGIN")),
    _sent(_ready, pop3.AuthList()),
    _sent(_ready, pop3.Stls()),
    _sent(_ready, pop3.Utf8()),
    _sent(_ready, pop3.Lang(), pop3.Lang("de"), pop3.Apop("a", "0" * 32)),
    _sent(_logged_in, pop3.Dele(1), pop3.Quit()),
    _logged_in,
)
_NEXT: Final = {
    State.AUTHORIZATION: (pop3.Capa(), pop3.Lang(), _USER, pop3.AuthList()),
    State.USER: (_PASS, pop3.Capa()),
    State.AUTH: (pop3.AuthResponse(b"a"), pop3.AuthResponse(None)),
    State.TRANSACTION: (pop3.Uidl(), pop3.Retr(1), pop3.List(1), pop3.Stat()),
}


def one_input(data: bytes) -> None:
    given = take_apart(data)
    first, *others = [_hear(given.choice, cut) for cut in given.cuts]
    for other in others:
        assert other == first, f"cut otherwise: {other} and not {first}"
    for event, command in first.events:
        if isinstance(event, Response):
            _write_and_read(event, command)


def _feed(client: Connection, data: bytes) -> None:
    client.receive_data(data)
    while not isinstance(client.next_event(), Signal):
        pass


def _hear(choice: int, cut: tuple[bytes, ...]) -> _Heard:
    trace: list[str] = []
    client = Connection(
        CLIENT,
        limits=_NARROW if choice & 16 else _WIDE,
        tolerances=_TOLERANT if choice & 32 else _STRICT,
        trace=trace.append,
    )
    WAYS[choice % 16 % len(WAYS)](client)
    events: list[tuple[Event, pop3.Command | None]] = []
    bare: list[bool] = []
    error: tuple[str, bytes] | None = None
    said = 0
    for piece in (*cut, b""):
        if not piece:
            before_end = (client.state, b"" if error else client.trailing_data)
            if client.state is State.TLS:
                _begin_tls(client)
        client.receive_data(piece)
        try:
            while not isinstance(event := client.next_event(), Signal):
                _add(events, event)
                if isinstance(event, EndOfMessage):
                    bare.append(event.bare)
                said += _go_on(client, said)
        except RemoteProtocolError as broken:
            assert error is None
            assert client.state is State.CLOSED
            error = str(broken), broken.line
    assert client.state is State.CLOSED
    assert events[-1] == (ConnectionClosed(), None)
    facts = (
        *(client.last_response, dict(client.capabilities), client.mechanisms),
        *(client.timestamp, client.tls, client.authenticated, client.utf8),
        *(client.unanswered, client.in_content),
    )
    return _Heard(events, bare, error, *before_end, facts, trace)


def _add(events: list[tuple[Event, pop3.Command | None]], event: Event) -> None:
    last = events[-1][0] if events else None
    if isinstance(event, MessageData) and isinstance(last, MessageData):
        events[-1] = MessageData(last.data + event.data), None
    else:
        events.append((event, event.command if isinstance(event, Response) else None))


def _go_on(client: Connection, said: int) -> int:
    """Send one more command, so that there is more to answer; return how many."""
    commands = _NEXT.get(client.state, ())
    if not client.idle or not commands:
        return 0
    with suppress(LocalProtocolError):  # it may not have been offered
        client.send(commands[said % len(commands)])
    return 1


def _begin_tls(client: Connection) -> None:
    early = client.trailing_data
    try:
        client.begin_tls()
    except RemoteProtocolError:
        assert early
    else:
        assert not early
        assert not client.capabilities
        assert not client.timestamp


def _write_and_read(response: Response, command: pop3.Command | None) -> None:
    """Write a response as a server does; a client must read the same from it."""
    codes = response.code is not None
    try:
        wire = write_response(response, command, _WIDE, codes=codes)
    except ParseError:
        assert _is_only_read(response)
        return
    reader = ResponseReader(_WIDE, any_unique_id=False)
    line, _, listing = wire.partition(b"\r\n")
    again = reader.add_status(line, command, codes=codes)
    if again is None:
        buffer = LineBuffer()
        buffer.feed(listing)
        again = reader.add_listing(buffer)
        listing = buffer.peek()
    assert again == response
    assert not listing


def _is_only_read(response: Response) -> bool:
    """Whether a response holds what a client bears and a server does not send."""
    match response.data:
        case pop3.Challenge(data=None):
            return True
        case pop3.UniqueIds(by_number=ids) if any(
            len(each) > 70 or not each.isascii() for each in ids.values()
        ):
            return True
        case pop3.Languages(items=()):
            return True
        case pop3.Totals() | pop3.Sizes() | pop3.UniqueIds() | pop3.Languages() if (
            response.code is not None
        ):
            return True
        case _:
            return len(repr(response)) > 100  # only the length can be wrong
