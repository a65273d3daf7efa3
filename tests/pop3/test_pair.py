"""A client and a server, and a network between them that cuts and spoils what it likes.

A spoilt line is one that the server cannot read; its client does not know.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    Signal,
    pop3,
)
from smtp_pop_core.pop3 import ERR, MORE, OK, EndOfMessage, Response, State
from smtp_pop_core.testing import contents, pieces, pop3_commands, pop3_responses


@dataclass(frozen=True, slots=True)
class Xnop(pop3.Command):
    """A command of a capability of one's own."""


def read_xnop(arguments: str) -> Xnop:
    if arguments:
        raise ValueError(arguments)
    return Xnop()


class XnopOffer(pop3.Capability):
    """The capability: in TRANSACTION, and before it, where it makes names forgotten."""

    __slots__ = ()

    tag = "XNOP"
    verbs = (pop3.Verb("XNOP", Xnop, read_xnop, lambda _: ""),)
    rows: ClassVar[pop3.Table] = {
        State.AUTHORIZATION: {Xnop: {OK: None}},
        State.USER: {Xnop: {OK: State.AUTHORIZATION, ERR: State.AUTHORIZATION}},
        State.TRANSACTION: {Xnop: {OK: None}},
    }


XNOP: Final = XnopOffer()
TIMESTAMP: Final = "<1@pop.example>"
MECHANISMS: Final = ("PLAIN", "LOGIN")
OFFERS: Final[tuple[pop3.Capability, ...]] = (
    *pop3.usual(),
    pop3.capabilities.Stls(),
    pop3.capabilities.Sasl(MECHANISMS),
    pop3.capabilities.LoginDelay(3),
    pop3.capabilities.Lang(),
)
MOST_MISTAKES: Final = 2
LIMITS: Final = Limits(auth_line=60, bad_commands=MOST_MISTAKES)
LONG: Final = b"x" * 300
NOISE: Final = (b"\0", b"\xff", b"\n", b"\r", LONG)
TABLE: Final[pop3.Table] = {
    state: {**row, **XNOP.rows.get(state, {})}
    for state, row in pop3.TRANSITIONS.items()
}
NEEDS: Final[dict[type[pop3.Command], str]] = {
    pop3.User: "USER",
    pop3.Apop: "APOP",
    pop3.Auth: "SASL",
    pop3.Stls: "STLS",
    pop3.Utf8: "UTF8",
    pop3.Lang: "LANG",
    pop3.Top: "TOP",
    pop3.Uidl: "UIDL",
    Xnop: "XNOP",
}
BRINGS: Final[dict[type[pop3.Command], type[pop3.Data]]] = {
    pop3.Stat: pop3.Totals,
    pop3.List: pop3.Sizes,
    pop3.Uidl: pop3.UniqueIds,
    pop3.Capa: pop3.CapabilityLines,
    pop3.AuthList: pop3.Mechanisms,
    pop3.Lang: pop3.Languages,
}
MISFITS: Final = (
    Response(MORE, data=pop3.Challenge(b"")),
    Response(OK),
    Response(OK, data=pop3.Totals(1, 1)),
    Response(OK, data=pop3.Sizes({1: 1})),
    Response(OK, data=pop3.UniqueIds({})),
    Response(ERR, data=pop3.Totals(1, 1)),
    Response(ERR, data=pop3.CapabilityLines(())),
)
GIVEN_UP: Final = Response(ERR, "Out of time", "SYS/TEMP")
EVERY: Final = list(
    dict.fromkeys(
        kind
        for row in TABLE.values()
        for kind in row
        if kind not in (pop3.Connect, pop3.BadCommand)
    )
)
ONWARD: Final[dict[type[pop3.Command], float]] = {  # how likely it is where it may come
    pop3.Capa: 1.5,
    pop3.User: 5,
    pop3.Pass: 6,
    pop3.Apop: 1.5,
    pop3.Auth: 4,
    pop3.AuthResponse: 30,
    pop3.Retr: 3,
    pop3.Top: 2,
    pop3.Quit: 0.5,
}
LIKELY: Final[dict[type[pop3.Command], dict[pop3.ResponseClass, float]]] = {
    pop3.Connect: {OK: 9, ERR: 1},
    pop3.Capa: {OK: 9, ERR: 1},
    pop3.Auth: {OK: 1, MORE: 5, ERR: 1},
    pop3.AuthResponse: {OK: 4, MORE: 6, ERR: 3},
    pop3.BadCommand: {ERR: 1},
}
USUALLY: Final = {OK: 4.0, ERR: 1.0}
UNCOUNTED: Final = {"Not now", "Command not implemented"}


def classes(state: State, kind: type[pop3.Command]) -> set[pop3.ResponseClass]:
    """What may answer a command."""
    cell = TABLE[state].get(kind, {})
    assert not isinstance(cell, State)
    return {*cell, ERR}


CELLS: Final = {
    (state, kind, cls)
    for state, row in TABLE.items()
    for kind in row
    for cls in classes(state, kind)
} | {  # BadCommand has no cell where it moves nothing
    (State.AUTHORIZATION, pop3.BadCommand, ERR),
    (State.TRANSACTION, pop3.BadCommand, ERR),
}
DRAWN: Final = {  # made once: to make one takes longer than to draw from it
    (kind, utf8): st.just(Xnop()) if kind is Xnop else pop3_commands(kind, utf8=utf8)
    for kind in EVERY
    for utf8 in (False, True)
}

visited: Final[Counter[State]] = Counter()
taken: Final[Counter[type[pop3.Command]]] = Counter()
moved: Final[Counter[tuple[State, type[pop3.Command], pop3.ResponseClass]]] = Counter()
seen: Final[Counter[str]] = Counter()
wanted: Final[set[tuple[State, type[pop3.Command], pop3.ResponseClass]]] = set()


def snapshot(conn: pop3.Connection) -> tuple[object, ...]:
    return (
        *(conn.state, conn.tls, conn.authenticated, conn.utf8, conn.unanswered),
        *(dict(conn.capabilities), conn.timestamp, conn.last_response, conn.idle),
        *(conn.trailing_data, conn.in_content, conn.content_octets, conn.mechanisms),
    )


def events(conn: pop3.Connection) -> Iterator[pop3.Event]:
    """Give what there is, up to a signal."""
    while not isinstance(event := conn.next_event(), Signal):
        yield event


class Pair(RuleBasedStateMachine):
    """Whatever the two sides do, they agree on where the session is."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(0)  # all that was drawn before goes on to have its effect
        self.connect()

    def connect(self) -> None:
        offers = [each for each in OFFERS if self.random.random() < 0.95]
        stranger = pop3.capabilities.Unknown(XNOP.tag)  # said, but not known
        offers.append(stranger if self.random.random() < 0.2 else XNOP)
        self.offers = {each.tag: each for each in offers}
        self.client = pop3.Connection(CLIENT, capabilities=(*pop3.known(), XNOP))
        self.server = pop3.Connection(
            SERVER,
            timestamp=TIMESTAMP if self.random.random() < 0.9 else "",
            capabilities=offers,
            limits=LIMITS,
        )
        self.ahead = State.CONNECTING  # where the client will be if all goes well
        self.to_server = b""
        self.to_client = b""
        # What is on its way: commands as written, with what spoils them, and responses
        # with what they answer.
        self.asked: deque[tuple[pop3.Command, bytes, bytes]] = deque()
        self.asked.append((pop3.Connect(), b"", b""))
        self.said: deque[tuple[Response, pop3.Command | None]] = deque()
        self.question: pop3.Command | None = None  # what the server has to answer
        self.mistakes = 0  # that the server has counted
        self.unsaid = b""  # content that the server has not sent yet
        self.sent = b""  # content of one message that it has
        self.got = b""  # content of one message that the client has
        self.contents: deque[bytes] = deque()  # of messages on their way
        self.fresh = False  # whether the client knows what the server offers now
        self.utf8_names = False  # whether it may send names beyond ASCII
        self.language = False  # whether the server speaks one that it was asked for
        self.told = False  # whether the client has been told that the server has gone
        self.steps = 0
        self.understand()

    @rule(data=st.data(), random=st.randoms(use_true_random=True))
    def step(self, data: st.DataObject, random: Random) -> None:
        """Do one of what can be done now.

        It is one rule because hypothesis leaves out some rules in each run, and what is
        done is chosen by `random` because hypothesis prefers what comes first: either
        way the conversation would get nowhere.
        """
        self.random = Random(self.random.getrandbits(64) ^ random.getrandbits(64))
        closed = self.server.state is State.CLOSED
        shaking = {self.client.state, self.server.state} == {State.TLS}
        weights: dict[Callable[[st.DataObject], None], float] = {
            self.ask: 0.5 if self.waiting else 6 if self.client.unanswered else 12,
            self.bring_to_server: 6 if self.to_server and not closed else 0,
            self.answer: 9 if self.question else 0,
            self.send_content: 12 if self.server.in_content else 0.2,
            self.speak_unasked: 0.2 * self.may_speak_unasked,
            self.change_mechanisms: 0.1,
            self.bring_to_client: 9 if self.to_client else 0,
            self.shake_hands: 30 if shaking else 0,
            self.hang_up: 30 if closed else 0.5 * (self.steps > 80),
        }
        (action,) = self.random.choices(list(weights), list(weights.values()))
        action(data)

    # The client

    def allowed(self, kind: type[pop3.Command]) -> bool:
        """Whether a command may come now, by the words of the standards."""
        client = self.client
        if kind not in TABLE[self.ahead]:
            return False
        if (client.unanswered or client.in_content) and (
            "PIPELINING" not in client.capabilities
        ):
            return False
        if client.unanswered and type(client.unanswered[-1]) not in pop3.PIPELINED:
            return False
        if kind is pop3.Stls and (client.tls or client.utf8):
            return False
        return kind not in NEEDS or NEEDS[kind] in self.heard_of

    @property
    def heard_of(self) -> set[str]:
        """What the client may take for granted.  RFC 1939 knows no capabilities."""
        unsaid = {"USER", "TOP", "UIDL"}
        if self.client.timestamp:
            unsaid.add("APOP")
        return unsaid | (set(self.client.capabilities) or {"SASL", "STLS"})

    @property
    def waiting(self) -> bool:
        return not any(map(self.allowed, EVERY))

    def choose(self) -> type[pop3.Command]:
        weights = dict.fromkeys(EVERY, 0.05)
        for kind in filter(self.allowed, EVERY):
            lost = kind is pop3.Capa and not self.client.capabilities
            weights[kind] = 12 if lost else ONWARD.get(kind, 1)
            if any((self.ahead, kind, cls) in wanted for cls in pop3.ResponseClass):
                weights[kind] += 15
        (kind,) = self.random.choices(list(weights), list(weights.values()))
        return kind

    def ask(self, data: st.DataObject) -> None:
        kind = self.choose()
        client = self.client
        command = data.draw(DRAWN[kind, self.random.random() < 0.3])
        if not self.allowed(kind):
            seen["a command out of order"] += 1
            self.refuses(client, command)
            return
        if not (self.utf8_names or has_ascii_name(command)):
            seen["a name beyond ASCII too early"] += 1
            self.refuses(client, command)
            return
        seen["pipelining"] += bool(client.unanswered)
        seen["a command in the middle of content"] += client.in_content
        wire = client.send(command)
        assert client.unanswered[-1] is command
        cell = TABLE[self.ahead][kind]
        assert not isinstance(cell, State)
        onward = [there for cls, there in cell.items() if cls is not ERR]
        self.ahead = onward[0] or self.ahead
        match command:
            case pop3.Auth(initial=bytes()):
                seen["an initial response"] += 1
            case pop3.AuthResponse(data=None):
                seen["an exchange that is cancelled"] += 1
            case pop3.User() | pop3.Pass() | pop3.Apop():
                seen["a name beyond ASCII"] += not has_ascii_name(command)
        spoilt = self.spoil(kind)
        self.asked.append((command, wire, spoilt))
        self.to_server += wire.removesuffix(b"\r\n") + spoilt + b"\r\n"

    def spoil(self, kind: type[pop3.Command]) -> bytes:
        """What the network adds to a line: mostly nothing.

        A QUIT is left alone: its client is gone, whatever the response is.
        """
        if kind is pop3.Quit or self.random.random() < 0.93:
            return b""
        return self.random.choice(NOISE)

    def bring_to_client(self, data: st.DataObject) -> None:
        arrived, self.to_client = self.cut(data, self.to_client)
        for piece in self.pieces(data, arrived):
            self.client.receive_data(piece)
            self.hear()

    def hear(self) -> None:
        client = self.client
        while True:
            oldest = next(iter(client.unanswered), None)
            readable = bool({"RESP-CODES", "AUTH-RESP-CODE"} & set(client.capabilities))
            match client.next_event():
                case MessageData(block):
                    self.got += block
                case EndOfMessage(bare=bare):
                    assert self.got == self.contents.popleft()
                    assert not bare
                    self.got = b""
                case Response() as event:
                    assert event.command == oldest
                    self.compare_response(event, readable=readable)
                case event:
                    break
            if not client.unanswered or client.state is State.CLOSED:
                self.ahead = client.state
        waits = PAUSED if client.state is State.TLS else NEED_DATA
        closed = client.state is State.CLOSED
        assert event == (ConnectionClosed() if closed and not self.told else waits)
        self.told = closed

    def compare_response(self, event: Response, *, readable: bool) -> None:
        response, question = self.said.popleft()
        written = "RESP-CODES" in self.offers
        assert event == as_heard(response, written=written, readable=readable)
        if response.code is not None and not written:
            seen["a code that is not written"] += 1
        elif response.code != event.code:
            seen["a code that is text to the client"] += 1
        seen["text beyond ASCII"] += not event.text.isascii()
        if question is None:
            taken_for_answer = event.command is not None
            seen["an unasked -ERR that is taken for an answer"] += taken_for_answer
            seen["an unasked -ERR"] += not taken_for_answer
        match event.command:
            case pop3.Capa() if event.cls is OK:
                self.fresh = event.data == self.true_lines()
            case pop3.Utf8() if event.cls is OK:
                offer = self.client.capabilities.find(pop3.capabilities.Utf8)
                self.utf8_names |= offer is not None and offer.user
            case pop3.Pass() | pop3.Apop() | pop3.Auth() | pop3.AuthResponse():
                self.fresh = False

    # The server

    def bring_to_server(self, data: st.DataObject) -> None:
        arrived, self.to_server = self.cut(data, self.to_server)
        for piece in self.pieces(data, arrived):
            self.server.receive_data(piece)
            self.understand()

    def understand(self) -> None:
        for event in events(self.server):
            if isinstance(event, pop3.Command):
                self.compare_command(event)
            else:
                assert event == ConnectionClosed()
                assert self.server.state is State.CLOSED

    def compare_command(self, event: pop3.Command) -> None:
        command, wire, spoilt = self.asked.popleft()
        text = self.fault(command, wire, spoilt)
        last = False
        if text is not None and text not in UNCOUNTED:
            self.mistakes += 1
            last = self.mistakes > MOST_MISTAKES
            seen["too many mistakes"] += last
        if text is None:
            assert event == command
        else:
            seen[text] += 1
            line = b"" if spoilt == LONG else wire.removesuffix(b"\r\n") + spoilt
            said = "Too many bad commands" if last else text
            assert event == pop3.BadCommand(line, Response(ERR, said), last)
        assert self.server.unanswered == (event,)
        taken[type(event)] += 1
        self.question = event

    def fault(self, command: pop3.Command, wire: bytes, spoilt: bytes) -> str | None:
        """What is wrong with a line, by the order in which a server looks at it."""
        state, kind = self.server.state, type(command)
        if spoilt == LONG:
            return "Line too long"
        if state is State.AUTH and spoilt:
            return "Cannot decode base64"
        stranger = kind is Xnop and self.offers["XNOP"] is not XNOP
        if stranger or (spoilt and b" " not in wire):
            return "Command not recognized"
        if kind not in TABLE[state]:
            return "Not now"
        offered = {*self.true_offers(), "APOP" if self.server.timestamp else ""}
        if kind in NEEDS and NEEDS[kind] not in offered:
            return "Command not implemented"
        if not spoilt:
            return None
        utf8 = self.server.utf8 and kind in (pop3.User, pop3.Pass, pop3.Apop)
        if not (utf8 or (wire + spoilt).isascii()):
            return "Only ASCII is allowed here"
        if kind is pop3.Auth and wire.count(b" ") == 2:
            return "Cannot decode base64"
        return "Syntax error in arguments"

    def true_offers(self) -> dict[str, pop3.Capability]:
        """What the server offers now: STLS only where there is no TLS and no login."""
        offers = dict(self.offers)
        if self.server.tls or self.server.state is State.TRANSACTION:
            offers.pop("STLS", None)
        return offers

    def true_lines(self) -> pop3.CapabilityLines:
        lines = [(tag, each.arguments()) for tag, each in self.true_offers().items()]
        return pop3.CapabilityLines(tuple(lines))

    def answer(self, data: st.DataObject) -> None:
        question = self.question
        assert question is not None
        if self.random.random() < 0.1:
            response = self.random.choice(MISFITS)
            if not self.fits(question, response):
                seen["a response that does not fit"] += 1
                self.refuses(self.server, response)
                return
        response = self.choose_response(data, question)
        if not (
            response.text.isascii()
            or self.server.utf8
            or self.language
            or isinstance(question, pop3.Lang)
        ):
            seen["a response that must be ASCII"] += 1
            self.refuses(self.server, response)
            return
        self.say(response)

    def fits(self, question: pop3.Command, response: Response) -> bool:
        if response.cls not in classes(self.server.state, type(question)):
            return False
        if response.cls is MORE:
            return True
        brings = BRINGS.get(type(question)) if response.cls is OK else None
        return type(response.data) is (brings or type(None))

    def choose_response(self, data: st.DataObject, question: pop3.Command) -> Response:
        weights = {**LIKELY.get(type(question), USUALLY)}
        if question == pop3.AuthResponse(None):
            weights = {ERR: 1}  # RFC 5034 section 4
        for cls in weights:
            if (self.server.state, type(question), cls) in wanted:
                weights[cls] += 15
        (cls,) = self.random.choices(list(weights), list(weights.values()))
        usual = self.server.default_response(question)
        if usual.cls is cls and self.random.random() < 0.8:
            return usual
        utf8 = self.random.random() < 0.3
        return data.draw(pop3_responses(question, cls, utf8=utf8))

    @property
    def may_speak_unasked(self) -> bool:
        """Not before a handshake or after the end: nobody may read it."""
        silent = self.server.state in (State.TLS, State.CLOSED)
        return not (self.question or self.server.in_content or silent)

    def speak_unasked(self, data: st.DataObject) -> None:
        response = self.random.choice([Response(OK), GIVEN_UP, GIVEN_UP])
        if response is not GIVEN_UP:
            seen["a response that nobody asked for"] += 1
            self.refuses(self.server, response)
            return
        self.say(response)
        assert self.server.state is State.CLOSED

    def say(self, response: Response) -> None:
        question, state = self.question, self.server.state
        self.to_client += self.server.send(response)
        self.said.append((response, question))
        self.question = None
        if question is not None:
            moved[state, type(question), response.cls] += 1
        match question:
            case pop3.Retr() | pop3.Top() if response.cls is OK:
                self.sent = self.unsaid = b""
            case pop3.Lang(tag=str()) if response.cls is OK:
                self.language = True
            case pop3.BadCommand(last=True):
                assert self.server.state is State.CLOSED
        self.understand()

    def send_content(self, data: st.DataObject) -> None:
        server = self.server
        if not server.in_content:
            seen["content out of order"] += 1
            self.refuses(server, MessageData(b"a"))
            self.refuses(server, EndOfMessage())
            return
        bare = self.random.choice([b"a\rb", b"a\nb"])
        self.refuses(server, MessageData(bare))
        self.refuses(server, Response(self.random.choice([OK, ERR])))
        if self.sent.endswith(b"\r"):
            self.refuses(server, EndOfMessage())
        elif not self.unsaid and self.random.random() < 0.5:
            self.end_content()
            return
        # What was left of the last content begins with its LF, perhaps.
        self.unsaid = self.unsaid or data.draw(contents())
        count = data.draw(st.integers(0, len(self.unsaid)))
        block, self.unsaid = self.unsaid[:count], self.unsaid[count:]
        self.to_client += server.send(MessageData(block))
        self.sent += block

    def end_content(self) -> None:
        self.to_client += self.server.send(EndOfMessage())
        end = b"" if not self.sent or self.sent.endswith(b"\r\n") else b"\r\n"
        whole = self.sent + end
        assert self.server.content_octets == len(whole)
        seen["a message without octets"] += not whole
        seen["a line that begins with a dot"] += b"\r\n." in b"\r\n" + whole
        self.contents.append(whole)
        self.understand()

    def change_mechanisms(self, data: st.DataObject) -> None:
        names = self.random.choice([(), MECHANISMS[:1], MECHANISMS])
        self.server.offer_mechanisms(names)
        assert self.server.mechanisms == names
        self.offers.pop("SASL", None)
        if names:
            self.offers["SASL"] = pop3.capabilities.Sasl(names)
        self.fresh = False

    # Both

    def shake_hands(self, data: st.DataObject) -> None:
        assert not self.to_server
        assert not self.to_client
        self.client.begin_tls()
        self.server.begin_tls()
        self.ahead = self.client.state
        self.fresh = self.language = False
        assert not self.client.capabilities
        assert not self.client.timestamp

    def hang_up(self, data: st.DataObject) -> None:
        """The server goes; what it said is still heard."""
        for piece in data.draw(pieces(self.to_client)):
            self.client.receive_data(piece)
            self.hear()
        assert not self.said or self.client.state is State.CLOSED
        seen["content that breaks off"] += self.client.in_content
        unanswered = self.client.unanswered
        self.server.close()
        for conn in (self.client, self.server):
            conn.receive_data(b"")
            assert set(events(conn)) <= {ConnectionClosed()}
            assert conn.next_event() is NEED_DATA
            assert conn.state is State.CLOSED
        assert self.client.unanswered == unanswered
        self.connect()

    def cut(self, data: st.DataObject, octets: bytes) -> tuple[bytes, bytes]:
        """Part what arrives now from what is left on its way; mostly all arrives."""
        count = len(octets)
        if self.random.random() < 0.2:
            count = data.draw(st.integers(1, count))
        return octets[:count], octets[count:]

    def pieces(self, data: st.DataObject, octets: bytes) -> list[bytes]:
        return [octets] if self.random.random() < 0.5 else data.draw(pieces(octets))

    def refuses(
        self,
        conn: pop3.Connection,
        event: pop3.Command | Response | MessageData | EndOfMessage,
    ) -> None:
        before = snapshot(conn)
        with pytest.raises(LocalProtocolError):
            conn.send(event)
        assert snapshot(conn) == before

    @invariant()
    def both_sides_agree(self) -> None:
        self.steps += 1
        visited.update({self.client.state, self.server.state})
        client, server = self.client, self.server
        under_way = client.unanswered or self.to_client or self.to_server
        if under_way or server.state is State.CLOSED:
            return
        seen["agreement"] += 1
        assert client.state is server.state is self.ahead
        assert client.tls == server.tls
        assert client.authenticated == server.authenticated
        assert client.utf8 == server.utf8
        assert client.in_content == server.in_content
        if self.fresh:
            seen["capabilities after a login"] += client.authenticated
            seen["capabilities inside TLS"] += client.tls
            offers = self.true_offers()
            assert client.capabilities.keys() == offers.keys()
            assert client.mechanisms == server.mechanisms


def has_ascii_name(command: pop3.Command) -> bool:
    """Whether a command has no name or password beyond ASCII."""
    match command:
        case pop3.User(name=text) | pop3.Apop(name=text) | pop3.Pass(password=text):
            return text.isascii()
        case _:
            return True


def as_heard(response: Response, *, written: bool, readable: bool) -> Response:
    """Return a response as the other side has it.

    Args:
        response: What was said.
        written: Whether the server writes codes.
        readable: Whether the client looks for them.  Two it may know in any case.  RFC
            2449 section 6.4.
    """
    code = response.code if written else None
    if code is None or readable or code in ("IN-USE", "LOGIN-DELAY"):
        return replace(response, code=code)
    words = [f"[{code}]", response.text] if response.text else [f"[{code}]"]
    return replace(response, text=" ".join(words), code=None)


ROUNDS: Final = 12
SITUATIONS: Final = {
    "agreement",
    "pipelining",
    "a command in the middle of content",
    "a command out of order",
    "a name beyond ASCII",
    "a name beyond ASCII too early",
    "an initial response",
    "an exchange that is cancelled",
    "Line too long",
    "Cannot decode base64",
    "Command not recognized",
    "Not now",
    "Command not implemented",
    "Only ASCII is allowed here",
    "Syntax error in arguments",
    "too many mistakes",
    "a code that is not written",
    "a code that is text to the client",
    "text beyond ASCII",
    "a response that does not fit",
    "a response that must be ASCII",
    "a response that nobody asked for",
    "an unasked -ERR",
    "an unasked -ERR that is taken for an answer",
    "content out of order",
    "content that breaks off",
    "a message without octets",
    "a line that begins with a dot",
    "capabilities after a login",
    "capabilities inside TLS",
}


def converse() -> None:
    run_state_machine_as_test(
        Pair,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            max_examples=8,
            stateful_step_count=350,
        ),
    )


def test_both_sides_agree_whatever_they_do() -> None:
    for counter in (visited, taken, moved, seen):
        counter.clear()
    # What is drawn also depends on which modules were imported before.
    for _ in range(ROUNDS):
        wanted.clear()
        wanted.update(CELLS - set(moved))
        if wanted or set(+seen) != SITUATIONS:
            converse()
    assert set(visited) == set(State), "a state was never reached"
    assert set(taken) == {*EVERY, pop3.Connect, pop3.BadCommand}
    assert set(moved) == CELLS, "a cell of the table was never used"
    assert set(+seen) == SITUATIONS
