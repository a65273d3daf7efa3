"""A client and a server, and a network between them that cuts where it likes."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Final

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
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    Signal,
    smtp,
)
from smtp_pop_core.smtp import State
from smtp_pop_core.testing import contents, pieces, smtp_commands, smtp_replies

LARGEST: Final = 60
MOST_RECIPIENTS: Final = 3
LIMITS: Final = Limits(recipients=MOST_RECIPIENTS)
EXTENSIONS: Final = (
    *smtp.usual(size=LARGEST),
    smtp.extensions.Etrn(),
    smtp.extensions.StartTls(),
    smtp.extensions.Auth(("PLAIN",)),
    smtp.extensions.Xclient(),
    smtp.extensions.Xforward(),
)
TABLE: Final[smtp.Table] = {
    state: {**row, **smtp.extensions.Etrn.rows.get(state, {})}
    for state, row in smtp.TRANSITIONS.items()
}
KEYWORDS: Final = {
    smtp.StartTls: "STARTTLS",
    smtp.Auth: "AUTH",
    smtp.Bdat: "CHUNKING",
    smtp.BdatLast: "CHUNKING",
    smtp.Etrn: "ETRN",
}
UNCODED: Final = {smtp.Connect, smtp.Ehlo, smtp.Helo, smtp.Lhlo}  # RFC 2034 section 4
HELLOS: Final[dict[bool, set[type[smtp.Command]]]] = {  # by lmtp
    False: {smtp.Ehlo, smtp.Helo},
    True: {smtp.Lhlo},
}
CHUNKS: Final = {smtp.Bdat, smtp.BdatLast}
IN_CHUNK: Final = {State.CHUNK, State.LAST}
CONTENT: Final = {State.DATA, *IN_CHUNK}
EVERY: Final = list(
    dict.fromkeys(
        kind
        for row in TABLE.values()
        for kind in row
        if kind not in (smtp.Connect, smtp.BadCommand)
    )
)
ONWARD: Final = {  # how likely it is where it may come; all else is 1
    smtp.StartTls: 3,
    smtp.Auth: 8,
    smtp.AuthResponse: 30,
    smtp.Mail: 30,
    smtp.Rcpt: 15,
    smtp.Data: 3,
    smtp.Bdat: 60,
    smtp.BdatLast: 20,
    smtp.EndOfChunk: 30,
    smtp.Etrn: 3,
    smtp.Xclient: 2,
    smtp.Xforward: 3,
    smtp.Vrfy: 1,
    smtp.Expn: 1,
    smtp.EndOfMessage: 30,
}
POSITIVE: Final = {smtp.ReplyClass.POSITIVE, smtp.ReplyClass.INTERMEDIATE}
NEGATIVE: Final = {smtp.ReplyClass.TRANSIENT, smtp.ReplyClass.PERMANENT}

visited: Final[Counter[State]] = Counter()
taken: Final[Counter[type[smtp.Command]]] = Counter()
seen: Final[Counter[str]] = Counter()
made: Final[
    dict[tuple[type[smtp.Command], frozenset[str]], st.SearchStrategy[smtp.Command]]
] = {}


def commands(
    kind: type[smtp.Command], offered: frozenset[str]
) -> st.SearchStrategy[smtp.Command]:
    """Make each strategy once: to make it takes longer than to draw from it."""
    if (kind, offered) not in made:
        made[kind, offered] = smtp_commands(kind, offered=offered)
    return made[kind, offered]


@cache
def replies(*classes: smtp.ReplyClass) -> st.SearchStrategy[smtp.Reply]:
    return smtp_replies(*classes)


def snapshot(conn: smtp.Connection) -> tuple[object, ...]:
    return (
        *(conn.state, conn.tls, conn.authenticated, conn.recipients, conn.unanswered),
        *(conn.extensions, conn.last_reply, conn.trailing_data, conn.replies_due),
        *(conn.mails, conn.rcpt_domains),
    )


def events(conn: smtp.Connection) -> Iterator[smtp.Event]:
    """Give what there is, up to a signal."""
    while not isinstance(event := conn.next_event(), Signal):
        yield event


class Pair(RuleBasedStateMachine):
    """Whatever the two sides do, they agree on where the session is."""

    lmtp = False

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(0)  # all that was drawn before goes on to have its effect
        self.connect()

    def connect(self) -> None:
        self.client = smtp.Connection(CLIENT, extensions=EXTENSIONS, lmtp=self.lmtp)
        self.server = smtp.Connection(
            SERVER, extensions=EXTENSIONS, limits=LIMITS, lmtp=self.lmtp
        )
        self.ahead = State.CONNECTING  # where the client will be if all goes well
        self.mail: smtp.Mail | None = None  # the last that the client sent
        self.mail_taken: smtp.Mail | None = None  # the last that the server took
        self.accepted = 0  # recipients, by the replies of the server
        self.to_server = b""
        self.to_client = b""
        # What is on its way: commands as written, with the content that they end, and
        # replies with what they answer.
        self.asked: deque[tuple[smtp.Command, bytes, bytes]] = deque()
        self.asked.append((smtp.Connect(), b"", b""))
        self.said: deque[tuple[smtp.Reply, smtp.Command | None]] = deque()
        self.question: smtp.Command | None = None  # what the server has to answer
        self.unsaid = b""  # content that the client has not sent yet
        self.sent = b""  # content of one message or chunk that it has
        self.whole = self.got = b""  # content of one message as it should be, and is
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
        in_content = self.server.state in CONTENT
        shaking = {self.client.state, self.server.state} == {State.TLS}
        weights: dict[Callable[[st.DataObject], None], float] = {
            self.ask: 0.5 if self.waiting else 6 if self.client.unanswered else 12,
            self.send_content: 12 if self.sending else 0.3,
            self.bring_to_server: 6 if self.may_arrive and not closed else 0,
            self.answer: 9 if self.question else 0,
            self.speak_unasked: self.may_speak_unasked * (3 if in_content else 0.3),
            self.bring_to_client: 9 if self.to_client else 0,
            self.shake_hands: 30 if shaking else 0,
            self.hang_up: 30 if closed else 0.5 * (self.steps > 80),
        }
        (action,) = self.random.choices(list(weights), list(weights.values()))
        action(data)

    # The client

    def allowed(self, kind: type[smtp.Command]) -> bool:
        """Whether a command may come now, by the words of the standards."""
        client = self.client
        if kind not in TABLE[self.ahead]:
            return False
        if kind in HELLOS[not self.lmtp]:
            return False
        last = type(client.unanswered[-1]) if client.unanswered else None
        if last not in {None, *CHUNKS} and (
            last not in smtp.PIPELINED
            or "PIPELINING" not in client.extensions
            or (kind in CHUNKS and last is not smtp.EndOfChunk)
        ):
            return False
        if self.ahead is State.DATA and self.sent.endswith(b"\r"):
            return False
        if self.ahead in IN_CHUNK and self.unsaid:
            return False
        if (kind is smtp.StartTls and client.tls) or (
            kind is smtp.Auth and client.authenticated
        ):
            return False
        if kind is smtp.Data and self.mail and self.mail.body is smtp.Body.BINARYMIME:
            return False
        return kind not in KEYWORDS or KEYWORDS[kind] in client.extensions

    @property
    def waiting(self) -> bool:
        return not any(map(self.allowed, EVERY))

    def choose(self) -> type[smtp.Command]:
        weights = dict.fromkeys(EVERY, 0.1)
        for kind in filter(self.allowed, EVERY):
            lost = self.ahead is State.GREETED and kind is not smtp.Helo
            hello = 15 if lost and kind in HELLOS[self.lmtp] else 0.5
            weights[kind] = ONWARD.get(kind, hello)
        (kind,) = self.random.choices(list(weights), list(weights.values()))
        return kind

    def draw(self, data: st.DataObject, kind: type[smtp.Command]) -> smtp.Command:
        if kind in (smtp.Bdat, smtp.BdatLast):
            size = self.random.choice([0, 1, 2, 9, 20, 30, 61])
            return smtp.Bdat(size) if kind is smtp.Bdat else smtp.BdatLast(size)
        offered = set(self.client.extensions)
        if self.random.random() < 0.8:
            offered.discard("SIZE")  # most of those drawn are too large
        if kind is smtp.Rcpt and not (self.mail and self.mail.smtputf8):
            offered.discard("SMTPUTF8")
        return data.draw(commands(kind, frozenset(offered)))

    def ask(self, data: st.DataObject) -> None:
        kind = self.choose()
        command = self.draw(data, kind)
        client = self.client
        if not self.allowed(kind):
            seen["a command out of order"] += 1
            self.refuses(client, command)
            return
        if client.unanswered:
            seen["pipelining"] += 1
            seen["a pipelined chunk"] += kind in CHUNKS
        seen["a chunk after a chunk"] += kind in CHUNKS and self.ahead is State.BDAT
        wire = client.send(command)
        silent = kind in CHUNKS and len(client.unanswered) == 0
        assert silent or client.unanswered[-1] is command
        cell = TABLE[self.ahead][kind]
        if isinstance(cell, State):
            self.ahead = cell
        else:
            onward = [cell[cls] for cls in sorted(POSITIVE & cell.keys())]
            self.ahead = onward[0] or self.ahead
        match command:
            case smtp.Mail():
                self.mail = command
                seen["BINARYMIME"] += command.body is smtp.Body.BINARYMIME
                seen["a parameter of DSN in MAIL"] += command.envid is not None
            case smtp.Rcpt():
                seen["a parameter of DSN in RCPT"] += command.orcpt is not None
            case smtp.Bdat(size=size) | smtp.BdatLast(size=size):
                self.unsaid = data.draw(st.binary(min_size=size, max_size=size))
                self.sent = b""
            case smtp.Data():
                self.unsaid = self.sent = b""
            case _:
                pass
        self.asked.append((command, wire, self.completed(wire)))
        self.to_server += wire

    def completed(self, wire: bytes) -> bytes:
        """The content that has been sent, as the server will get it."""
        if wire in (b".\r\n", b"\r\n.\r\n"):
            return self.sent + wire.removesuffix(b".\r\n")
        return self.sent

    def send_content(self, data: st.DataObject) -> None:
        client = self.client
        if not self.sending:
            seen["content out of order"] += 1
            self.refuses(client, MessageData(b"a"))
            return
        if self.ahead is State.DATA:
            bare = self.random.choice([b"a\rb", b"a\nb"])
            self.refuses(client, MessageData(bare))
            # What was left of the last content begins with its LF, perhaps.
            self.unsaid = self.unsaid or data.draw(contents())
        else:
            seen["more octets than the chunk has"] += 1
            self.refuses(client, MessageData(self.unsaid + b"a"))
            self.refuses(client, MessageData(b"a", lf_ends_lines=True))
        count = len(self.unsaid)
        if self.random.random() < 0.5:
            count = data.draw(st.integers(0, count))
        block, self.unsaid = self.unsaid[:count], self.unsaid[count:]
        self.to_server += client.send(MessageData(block))
        self.sent += block

    @property
    def sending(self) -> bool:
        if self.ahead in IN_CHUNK:
            return bool(self.unsaid)
        return self.ahead is State.DATA and not self.client.unanswered

    @property
    def may_arrive(self) -> bool:
        """The last octet of a chunk waits until the client has said that it ends.

        Its server may answer as soon as that octet is there.
        """
        return bool(self.to_server) and (
            self.ahead not in IN_CHUNK or self.unsaid != b""
        )

    def bring_to_client(self, data: st.DataObject) -> None:
        arrived, self.to_client = self.cut(data, self.to_client)
        for piece in self.pieces(data, arrived):
            self.client.receive_data(piece)
            self.hear()

    def hear(self) -> None:
        client = self.client
        while True:
            oldest = next(iter(client.unanswered), None)
            if oldest is None and self.ahead in CONTENT:
                oldest = smtp.EndOfMessage()
            offered = "ENHANCEDSTATUSCODES" in client.extensions
            event = client.next_event()
            if not isinstance(event, smtp.Reply):
                break
            reply, question = self.said.popleft()
            coded = type(question) not in UNCODED and reply.cls != 3
            if isinstance(question, smtp.Xclient) and reply.code == 220:
                coded = reply.enhanced is not None  # else it is a greeting
                seen["a greeting to XCLIENT"] += 1
            readable = offered and type(oldest) not in UNCODED
            assert event == as_heard(reply, coded=coded, readable=readable)
            assert event.command == oldest
            seen["a chunk refused while another is sent"] += (
                client.state is State.FAILED and self.ahead in IN_CHUNK
            )
            closed = client.state is State.CLOSED
            if closed or not (client.unanswered or self.ahead in IN_CHUNK):
                self.ahead = client.state
        closed = client.state is State.CLOSED
        assert isinstance(event, ConnectionClosed) == closed or event is NEED_DATA

    # The server

    def bring_to_server(self, data: st.DataObject) -> None:
        arrived, self.to_server = self.cut(data, self.to_server)
        for piece in self.pieces(data, arrived):
            self.server.receive_data(piece)
            self.understand()

    def understand(self) -> None:
        state = self.server.state
        for event in events(self.server):
            match event:
                case MessageData(block):
                    self.got += block
                case smtp.Command():
                    self.compare(event, state)
                case _:
                    assert self.server.state is State.CLOSED
            state = self.server.state

    def compare(self, event: smtp.Command, state: State) -> None:
        command, wire, content = self.asked.popleft()
        code = self.fault(command, state)
        taken[type(event)] += 1
        if isinstance(event, smtp.BadCommand):
            assert event.line + b"\r\n" == wire
            assert event.reply.code == code
            if type(command) in CHUNKS:
                _, _, dropped = self.asked.popleft()
                seen["a chunk that is dropped"] += bool(dropped)
        else:
            assert code is None
            assert event == command
        match event:
            case smtp.Mail():
                self.mail_taken = event
                self.whole = self.got = b""
            case smtp.EndOfChunk(refusal=refusal) | smtp.EndOfMessage(refusal=refusal):
                self.whole += content
                assert self.got == self.whole[:LARGEST]
                assert (refusal is not None) == (len(self.whole) > LARGEST)
                seen["content that is too large"] += refusal is not None
            case _:
                pass
        due = 0 if type(event) in CHUNKS else 1
        if self.lmtp and isinstance(event, smtp.EndOfMessage):
            due = self.accepted
            seen["a reply for each of several recipients"] += due > 1
        assert self.server.replies_due == due
        self.question = event if due else None

    def fault(self, command: smtp.Command, state: State) -> int | None:
        """The code of the reply to a command that the server must not take."""
        mail = self.mail_taken
        if type(command) not in TABLE[state]:
            return 503
        match command:
            case smtp.Data() if mail and mail.body is smtp.Body.BINARYMIME:
                return 503
            case smtp.Mail(size=int(size)) if size > LARGEST:
                return 552
            case smtp.Rcpt() if self.accepted >= MOST_RECIPIENTS:
                return 452
            case smtp.Rcpt(recipient=recipient) if not (
                recipient.isascii() or (mail and mail.smtputf8)
            ):
                return 553
        return None

    def answer(self, data: st.DataObject) -> None:
        question = self.question
        assert question is not None
        cell = TABLE[self.server.state].get(type(question), {})
        assert not isinstance(cell, State)
        refused = getattr(question, "refusal", None) is not None
        fitting = {*cell, *NEGATIVE} - (POSITIVE if refused else set())
        usual = self.server.default_reply(question)
        likely = 0.8 if usual.cls in POSITIVE or not (fitting & POSITIVE) else 0
        match question:
            case smtp.Ehlo() | smtp.Lhlo():
                likely = 0.95  # without extensions there is little to see
            case smtp.EndOfChunk() | smtp.Vrfy() | smtp.Expn():
                likely = 0.5
            case smtp.Xclient():
                usual, likely = smtp.Reply(220, ("mx.example",)), 0.5
            case _:
                pass
        if self.random.random() < likely:
            reply = usual
        else:
            reply = data.draw(replies(self.choose_class(fitting)))
        go_ahead = isinstance(question, smtp.StartTls) and reply.cls == 2
        if reply.cls not in fitting or (go_ahead and reply.code != 220):
            seen["a reply that does not fit"] += 1
            self.refuses(self.server, reply)
            return
        if not reply.text.isascii() and not self.may_be_utf8(question, reply):
            seen["a reply that must be ASCII"] += 1
            self.refuses(self.server, reply)
            return
        self.say(reply)

    def choose_class(self, fitting: set[smtp.ReplyClass]) -> smtp.ReplyClass:
        positive, intermediate, transient, permanent = smtp.ReplyClass
        weights = {
            positive: 5 if positive in fitting else 1,
            intermediate: 12 if intermediate in fitting else 1,
            transient: 2,
            permanent: 2,
        }
        return self.random.choices(list(weights), list(weights.values()))[0]

    def may_be_utf8(self, question: smtp.Command, reply: smtp.Reply) -> bool:
        """Whether a reply may name an address beyond ASCII.  RFC 6531 section 3.7.4."""
        match question:
            case smtp.Vrfy(smtputf8=smtputf8) | smtp.Expn(smtputf8=smtputf8):
                return smtputf8
            case smtp.Rcpt() if reply.code in (251, 551):
                return self.mail_taken is not None and self.mail_taken.smtputf8
        return True

    @property
    def may_speak_unasked(self) -> bool:
        """Not before a handshake or after the end: nobody may read it."""
        silent = self.server.state in (State.TLS, State.CLOSED)
        return self.question is None and not silent

    def speak_unasked(self, data: st.DataObject) -> None:
        reply = smtp.Reply(self.random.choice([421, 452, 552]))
        if self.random.random() < 0.3:
            reply = data.draw(replies(*smtp.ReplyClass))
        state = self.server.state
        if reply.code != 421 and not (state in CONTENT and reply.code >= 400):
            seen["a reply that nobody asked for"] += 1
            self.refuses(self.server, reply)
            return
        self.question = smtp.EndOfMessage() if state in CONTENT else None
        seen["a refusal in the middle of content"] += state is State.DATA
        seen["a refusal in the middle of a chunk"] += state in IN_CHUNK
        seen["an unasked 421"] += state not in CONTENT
        self.say(reply)
        assert self.server.state is State.CLOSED

    def say(self, reply: smtp.Reply) -> None:
        question = self.question
        self.to_client += self.server.send(reply)
        self.said.append((reply, question))
        match question:
            case smtp.Rcpt() if reply.cls == 2:
                self.accepted += 1
            case (
                smtp.Mail() | smtp.Rset() | smtp.Ehlo() | smtp.Helo() | smtp.Lhlo()
            ) if reply.cls == 2:
                self.accepted = 0
            case smtp.EndOfMessage() if not self.server.replies_due:
                self.accepted = 0
            case _:
                pass
        if not self.server.replies_due or self.server.state is State.CLOSED:
            self.question = None
        self.understand()

    # Both

    def shake_hands(self, data: st.DataObject) -> None:
        assert not self.to_server
        assert not self.to_client
        self.client.begin_tls()
        self.server.begin_tls()
        self.ahead = self.client.state
        assert not self.client.extensions
        assert not self.server.extensions

    def hang_up(self, data: st.DataObject) -> None:
        """The server goes; what it said is still heard."""
        for piece in data.draw(pieces(self.to_client)):
            self.client.receive_data(piece)
            self.hear()
        assert not self.said or self.client.state is State.CLOSED
        unanswered = self.client.unanswered
        for conn in (self.client, self.server):
            conn.close()
            conn.receive_data(b"")
            assert set(events(conn)) <= {ConnectionClosed()}
            assert conn.next_event() is NEED_DATA
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
        self, conn: smtp.Connection, event: smtp.Command | smtp.Reply | MessageData
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
        assert server.recipients == self.accepted or server.state is State.CLOSED
        under_way = client.unanswered or self.to_client or self.to_server
        if under_way or server.state is State.CLOSED:
            return
        seen["agreement"] += 1
        assert client.state is server.state
        assert client.tls == server.tls
        assert client.authenticated == server.authenticated
        assert client.recipients == server.recipients
        assert client.extensions == server.extensions


class LmtpPair(Pair):
    """The same in LMTP: LHLO, and a reply to the content for each recipient."""

    lmtp = True


def as_heard(reply: smtp.Reply, *, coded: bool, readable: bool) -> smtp.Reply:
    """Return a reply as the other side has it.

    Args:
        reply: What was said.
        coded: Whether it was written with its enhanced status code.
        readable: Whether the client looks for one.
    """
    if not coded:
        return smtp.Reply(reply.code, reply.lines)
    status = reply.enhanced or smtp.EnhancedCode(int(reply.cls), 0, 0)
    if readable:
        return smtp.Reply(reply.code, reply.lines, status)
    return smtp.Reply(reply.code, tuple(f"{status} {line}" for line in reply.lines))


SITUATIONS: Final = {
    "a greeting to XCLIENT",
    "agreement",
    "pipelining",
    "a pipelined chunk",
    "a chunk after a chunk",
    "a chunk refused while another is sent",
    "a chunk that is dropped",
    "more octets than the chunk has",
    "content that is too large",
    "content out of order",
    "BINARYMIME",
    "a parameter of DSN in MAIL",
    "a parameter of DSN in RCPT",
    "a command out of order",
    "a reply that does not fit",
    "a reply that must be ASCII",
    "a reply that nobody asked for",
    "a refusal in the middle of content",
    "a refusal in the middle of a chunk",
    "an unasked 421",
}


def converse(machine: type[Pair], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            max_examples=examples,
            stateful_step_count=350,
        ),
    )


@pytest.mark.parametrize(
    ("machine", "situations"),
    [
        pytest.param(Pair, SITUATIONS, id="SMTP"),
        pytest.param(
            LmtpPair,
            SITUATIONS | {"a reply for each of several recipients"},
            id="LMTP",
        ),
    ],
)
def test_both_sides_agree_whatever_they_do(
    machine: type[Pair], situations: set[str]
) -> None:
    for counter in (visited, taken, seen):
        counter.clear()
    commands = {*EVERY, smtp.Connect, smtp.BadCommand} - HELLOS[not machine.lmtp]
    # What is drawn also depends on which modules were imported before.
    for examples in (12, 36, 108):
        if (set(visited), set(taken), set(+seen)) != (set(State), commands, situations):
            converse(machine, examples)
    assert set(visited) == set(State), "a state was never reached"
    assert set(taken) == commands
    assert set(+seen) == situations
