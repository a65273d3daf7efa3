"""A POP3 server reads what a client may send; it answers as a sound one does.

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
    MessageData,
    RemoteProtocolError,
    Signal,
    pop3,
)
from smtp_pop_core._foreign import foreign_start
from smtp_pop_core.pop3 import (
    MORE,
    OK,
    Connection,
    EndOfMessage,
    Event,
    Response,
    State,
)

_NARROW: Final = Limits(auth_line=64, bad_commands=3)
_WIDE: Final = Limits()
_STRICT: Final = pop3.Tolerances()
_TOLERANT: Final = pop3.Tolerances(utf8_login=True)
_FEW: Final = (pop3.capabilities.Pipelining(), pop3.capabilities.User())
_MANY: Final = (
    *pop3.usual(),
    pop3.capabilities.Stls(),
    pop3.capabilities.Sasl(("PLAIN", "LOGIN")),
    pop3.capabilities.Lang(),
)
_CONTENTS: Final = {1: b"a: b\r\n\r\n.\r\n..c", 2: b""}
_SIZES: Final = {number: len(content) for number, content in _CONTENTS.items()}
_IDS: Final = {number: f"id-{number}" for number in _CONTENTS}
_LANGUAGES: Final = (pop3.Language("en", "English"), pop3.Language("de", "Deutsch"))
_CHALLENGE: Final = Response(MORE, data=pop3.Challenge(b"?"))
_WELCOME: Final = Response(OK, "Welcome")
# What a client sends only after CAPA.
_UNHEARD: Final[dict[type[object], str]] = {pop3.Utf8: "UTF8", pop3.Lang: "LANG"}


@dataclass(frozen=True, slots=True)
class _Heard:
    """All that can be seen of a server that has read its input.

    Attributes:
        said: Commands and the responses to them.
        wire: The octets that it has sent.
        trace: The transcript.
    """

    said: list[Event]
    wire: bytes
    state: State
    rest: bytes
    facts: tuple[object, ...]
    after_tls: str
    trace: list[str]


def one_input(data: bytes) -> None:
    given = take_apart(data)
    first, *others = [_hear(given.choice, cut) for cut in given.cuts]
    for other in others:
        assert other == first, f"cut otherwise: {other} and not {first}"
    assert not any(each < " " for line in first.trace for each in line)
    _repeat(given.choice, first)


def _server(choice: int, trace: list[str]) -> Connection:
    return Connection(
        SERVER,
        domain="pop.example",
        timestamp="<1@pop.example>" if choice & 1 else "",
        capabilities=_FEW if choice & 2 else _MANY,
        limits=_NARROW if choice & 4 else _WIDE,
        tolerances=_TOLERANT if choice & 8 else _STRICT,
        tls=bool(choice & 16),
        trace=trace.append,
        trace_content=True,
    )


def _hear(choice: int, cut: tuple[bytes, ...]) -> _Heard:
    trace: list[str] = []
    server = _server(choice, trace)
    said: list[Event] = []
    wire = _drain(server, said)
    for piece in cut:
        server.receive_data(piece)
        wire += _drain(server, said)
    # how much there is of another protocol's first line depends on the cut
    bad = (each for each in said if isinstance(each, pop3.BadCommand))
    foreign = any(foreign_start(each.line) for each in bad)
    rest, state = b"" if foreign else server.trailing_data, server.state
    facts = (
        *(server.tls, server.authenticated, server.utf8, server.last_response),
        *(server.unanswered, server.mechanisms, dict(server.capabilities)),
    )
    after_tls = _begin_tls(server) if state is State.TLS else ""
    server.receive_data(b"")
    wire += _drain(server, said)
    assert said[-1] == ConnectionClosed()
    assert server.state is State.CLOSED
    return _Heard(said, wire, state, rest, facts, after_tls, trace)


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


def _drain(server: Connection, said: list[Event]) -> bytes:
    wire = b""
    while not isinstance(event := server.next_event(), Signal):
        said.append(event)
        if isinstance(event, pop3.Command):
            response = _response(server, event)
            wire += server.send(response)
            said.append(response)
            if server.in_content:
                assert isinstance(event, pop3.Retr | pop3.Top)
                wire += server.send(MessageData(_CONTENTS[event.number]))
                wire += server.send(EndOfMessage())
    return wire


def _response(server: Connection, command: pop3.Command) -> Response:
    """What a server says that has two messages, and whose passwords have no x."""
    match command:
        case pop3.Pass(password=secret) | pop3.Apop(digest=secret) if "x" not in secret:
            return _WELCOME
        case pop3.Auth(initial=None) | pop3.AuthResponse(data=b""):
            return _CHALLENGE
        case pop3.Auth() | pop3.AuthResponse(data=bytes()):
            return _WELCOME
        case pop3.Stat():
            return Response(OK, data=pop3.Totals(2, sum(_SIZES.values())))
        case pop3.List(number=None):
            return Response(OK, data=pop3.Sizes(_SIZES))
        case pop3.List(number=1 | 2 as number):
            return Response(OK, data=pop3.Sizes({number: _SIZES[number]}))
        case pop3.Uidl(number=None):
            return Response(OK, data=pop3.UniqueIds(_IDS))
        case pop3.Uidl(number=1 | 2 as number):
            return Response(OK, data=pop3.UniqueIds({number: _IDS[number]}))
        case pop3.Retr(number=1 | 2) | pop3.Top(number=1 | 2) | pop3.Dele(number=1 | 2):
            return Response(OK)
        case pop3.Lang(tag=None):
            return Response(OK, data=pop3.Languages(_LANGUAGES))
        case pop3.Lang(tag="de"):
            return Response(OK, data=pop3.Languages(_LANGUAGES[1:]))
    return server.default_response(command)


def _repeat(choice: int, heard: _Heard) -> None:
    """Let a client say again what was understood, and read what it is told."""
    trace: list[str] = []
    server = _server(choice, trace)
    client = Connection(CLIENT, tls=server.tls)
    assert server.next_event() == pop3.Connect()
    said = iter(heard.said[1:])
    _carry(client, server, next(said))
    for event in said:
        match event:
            case Response() | ConnectionClosed():
                continue
            case pop3.BadCommand(last=last):
                if last:
                    break
                if client.state is not State.AUTH:
                    continue
                event = pop3.AuthResponse(None)  # both give the exchange up
        assert isinstance(event, pop3.Command)
        needed = _UNHEARD.get(type(event))
        if needed is not None and needed not in client.capabilities:
            _ask(client, server, pop3.Capa())
        if not (client.utf8 or _has_ascii_name(event)):
            return  # a client does not say it, though this server bears it
        _ask(client, server, event)


def _ask(client: Connection, server: Connection, command: pop3.Command) -> None:
    server.receive_data(client.send(command))
    assert server.next_event() == command
    _carry(client, server, _response(server, command))


def _carry(client: Connection, server: Connection, response: Event) -> None:
    assert isinstance(response, Response)
    asked = server.unanswered
    client.receive_data(server.send(response))
    event = client.next_event()
    assert isinstance(event, Response)
    assert event.text.endswith(response.text)  # a code is not always read as one
    assert (event.cls, event.data) == (response.cls, response.data)
    assert asked == ((event.command,) if event.command else ())
    assert client.in_content == server.in_content
    if server.in_content:
        _carry_content(client, server)
    assert isinstance(client.next_event(), Signal | ConnectionClosed)
    assert client.state is server.state
    assert client.authenticated == server.authenticated
    assert client.utf8 == server.utf8
    if client.capabilities and server.state is not State.TLS:
        assert client.mechanisms == server.mechanisms


def _carry_content(client: Connection, server: Connection) -> None:
    blocks = [server.send(MessageData(content)) for content in _CONTENTS.values()]
    client.receive_data(b"".join([*blocks, server.send(EndOfMessage())]))
    got = b""
    while isinstance(event := client.next_event(), MessageData):
        got += event.data
    assert event == EndOfMessage()
    assert got == b"".join(_CONTENTS.values()) + b"\r\n"


def _has_ascii_name(command: pop3.Command) -> bool:
    match command:
        case pop3.User(name=text) | pop3.Apop(name=text) | pop3.Pass(password=text):
            return text.isascii()
        case _:
            return True
