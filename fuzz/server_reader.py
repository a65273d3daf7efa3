"""A server reads what a client may send; it answers as a sound one does.

The same octets give the same conversation, however they are cut.  A client can say all
of it again that was understood, and another server understands the same.
"""

from dataclasses import dataclass
from typing import Final

from fuzz.cuts import take_apart
from smtp_pop_core import (
    CLIENT,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    Signal,
    smtp,
)
from smtp_pop_core._foreign import foreign_start
from smtp_pop_core.smtp import Connection, Event, Reply, State

_NARROW: Final = Limits(
    auth_line=64,
    content=99,
    recipients=2,
    bad_commands=3,
    messages=2,
    block=7,
)
_WIDE: Final = Limits(content=None)
_STRICT: Final = smtp.Tolerances(bare_line_ends_in_chunks=False, undeclared_8bit=False)
_TOLERANT: Final = smtp.Tolerances(space_after_colon=True, bare_line_ends=True)
_EXTENSIONS: Final = (
    *smtp.usual(),
    smtp.extensions.Etrn(),
    smtp.extensions.StartTls(),
    smtp.extensions.Auth(("PLAIN", "LOGIN")),
    smtp.extensions.Xclient(),
    smtp.extensions.Xforward(),
)
_CHALLENGE: Final = Reply(334)
_WELCOME: Final = Reply(235, ("Welcome",), smtp.EnhancedCode(2, 7, 0))


@dataclass(frozen=True, slots=True)
class _Heard:
    """All that can be seen of a server that has read its input.

    Attributes:
        said: Events and the replies to them; adjacent MessageData are one.
        ends: The refusals in what ends content, which are not part of equality.
    """

    said: list[Event]
    ends: list[Reply | None]
    state: State
    rest: bytes
    facts: tuple[object, ...]
    after_tls: str


def one_input(data: bytes) -> None:
    given = take_apart(data)
    first, *others = [_hear(_server(given.choice), cut) for cut in given.cuts]
    for other in others:
        assert other == first, f"cut otherwise: {other} and not {first}"
    _repeat(given.choice, first)


def _server(choice: int) -> Connection:
    return Connection(
        SERVER,
        domain="mx.example",
        extensions=smtp.usual(size=None) if choice & 2 else _EXTENSIONS,
        limits=_NARROW if choice & 4 else _WIDE,
        tolerances=_STRICT if choice & 8 else _TOLERANT,
        profile=smtp.SUBMISSION if choice & 16 else smtp.RELAY,
        lmtp=bool(choice & 1),
        tls=bool(choice & 32),
    )


def _hear(server: Connection, cut: tuple[bytes, ...]) -> _Heard:
    said: list[Event] = []
    _drain(server, said)
    for piece in cut:
        server.receive_data(piece)
        _drain(server, said)
    # how much there is of another protocol's first line depends on the cut
    bad = (each for each in said if isinstance(each, smtp.BadCommand))
    foreign = any(foreign_start(each.line) for each in bad)
    rest, state = b"" if foreign else server.trailing_data, server.state
    facts = (
        *(server.recipients, server.mails, server.last_reply, server.authenticated),
        *(server.unanswered, server.replies_due, dict(server.extensions)),
    )
    after_tls = ""
    if state is State.TLS:
        after_tls = _begin_tls(server)
    server.receive_data(b"")
    _drain(server, said)
    assert said[-1] == ConnectionClosed()
    assert server.state is State.CLOSED
    ends = [
        event.refusal
        for event in said
        if isinstance(event, (smtp.EndOfChunk, smtp.EndOfMessage))
    ]
    return _Heard(said, ends, state, rest, facts, after_tls)


def _begin_tls(server: Connection) -> str:
    """Begin TLS; what came in front of the handshake is an error."""
    early = server.trailing_data
    try:
        server.begin_tls()
    except RemoteProtocolError as error:
        assert early
        return str(error)
    assert not early
    assert server.tls
    return "begun"


def _drain(server: Connection, said: list[Event]) -> None:
    while not isinstance(event := server.next_event(), Signal):
        _add(said, event)
        if isinstance(event, smtp.Command):
            for _ in range(server.replies_due):
                reply = _reply(server, event)
                server.send(reply)
                said.append(reply)


def _add(said: list[Event], event: Event) -> None:
    last = said[-1] if said else None
    if isinstance(event, MessageData) and isinstance(last, MessageData):
        said[-1] = MessageData(last.data + event.data)
    else:
        said.append(event)


def _reply(server: Connection, command: smtp.Command) -> Reply:
    match command:
        case smtp.Auth(initial=None) | smtp.AuthResponse(data=b""):
            return _CHALLENGE
        case smtp.Auth() | smtp.AuthResponse(data=bytes()):
            return _WELCOME
    return server.default_reply(command)


def _repeat(choice: int, heard: _Heard) -> None:
    """Let a client say again what was understood, up to the first refused content."""
    server = _server(choice)
    client = Connection(CLIENT, lmtp=server.lmtp, tls=server.tls)
    expected: list[Event] = []
    got: list[Event] = []
    answers = False
    for event in heard.said:
        match event:
            case Reply():
                if answers:
                    _carry_reply(client, server, event)
                if event.code == 421:
                    break
                continue
            case ConnectionClosed():
                break
            case smtp.EndOfMessage(refusal=Reply()) | smtp.EndOfChunk(refusal=Reply()):
                break
            case smtp.BadCommand():
                answers = client.state is State.AUTH
                if not answers:
                    continue
                event = smtp.AuthResponse(None)  # both give the exchange up
        answers = True
        expected.append(event)
        if not isinstance(event, smtp.Connect):
            try:
                wire = client.send(event)
            except LocalProtocolError:
                if _has_bare_line_end(event) and client.state is State.DATA:
                    return
                raise
            if wire:
                server.receive_data(wire)
        while not isinstance(new := server.next_event(), Signal):
            _add(got, new)
    # The server may know already that a refused chunk has ended.
    assert _commands(got)[: len(_commands(expected))] == _commands(expected)
    if not isinstance(expected[-1], MessageData):
        assert _content(got) == _content(expected)


def _carry_reply(client: Connection, server: Connection, reply: Reply) -> None:
    client.receive_data(server.send(reply))
    event = client.next_event()
    assert isinstance(event, Reply)
    assert str(event) == str(reply)
    assert isinstance(client.next_event(), Signal | ConnectionClosed)
    assert client.state is server.state
    if client.state is not State.CLOSED:
        assert client.recipients == server.recipients
        assert client.authenticated == server.authenticated
        assert set(client.extensions) == set(server.extensions)


def _has_bare_line_end(event: Event) -> bool:
    if not isinstance(event, MessageData):
        return False
    ends = event.data.count(b"\r\n")
    return event.data.count(b"\r") > ends or event.data.count(b"\n") > ends


def _commands(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, MessageData)]


def _content(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, MessageData)]
