"""The strategies for POP3: what is drawn can be said; octets do no harm."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_pop_core import (
    CLIENT,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    Signal,
    pop3,
    testing,
)
from smtp_pop_core.pop3 import ERR, MORE, OK, Response, State

CAPABILITIES: Final = (
    *pop3.usual(),
    pop3.capabilities.Stls(),
    pop3.capabilities.Sasl(("PLAIN",)),
    pop3.capabilities.Lang(),
)
TIMESTAMP: Final = "<1@pop.example>"
ANSWERS: Final = {  # where a sound server would say no
    pop3.Pass: Response(OK),
    pop3.Auth: Response(MORE, data=pop3.Challenge(b"")),
    pop3.Lang: Response(OK, data=pop3.Languages((pop3.Language("de"),))),
}
LOGIN: Final = (pop3.User("a"), pop3.Pass("b"))
KINDS: Final[dict[type[pop3.Command], tuple[pop3.Command, ...]]] = {
    # by kind: what comes before it
    **dict.fromkeys([pop3.User, pop3.Apop, pop3.Auth, pop3.AuthList, pop3.Capa], ()),
    **dict.fromkeys([pop3.Stls, pop3.Utf8, pop3.Lang, pop3.Quit], ()),
    pop3.Pass: (pop3.User("a"),),
    pop3.AuthResponse: (pop3.Auth("PLAIN"),),
    **dict.fromkeys([pop3.Stat, pop3.List, pop3.Uidl, pop3.Retr, pop3.Top], LOGIN),
    **dict.fromkeys([pop3.Dele, pop3.Rset, pop3.Noop], LOGIN),
}


class Talk:
    """A client and a server that agree; each command is read as it was written."""

    def __init__(
        self,
        *commands: pop3.Command,
        capabilities: Sequence[pop3.Capability] = CAPABILITIES,
    ) -> None:
        self.client = pop3.Connection(CLIENT)
        self.server = pop3.Connection(
            SERVER, timestamp=TIMESTAMP, capabilities=capabilities
        )
        assert self.server.next_event() == pop3.Connect()
        self.answer(self.server.default_response(pop3.Connect()))
        for command in (pop3.Capa(), *commands):
            assert self.say(command) == command
            usual = self.server.default_response(command)
            self.answer(ANSWERS.get(type(command), usual))

    def say(self, command: pop3.Command) -> object:
        """Return what the server understands."""
        self.server.receive_data(self.client.send(command))
        return self.server.next_event()

    def answer(self, response: Response) -> object:
        """Return what the client understands."""
        self.client.receive_data(self.server.send(response))
        return self.client.next_event()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_read_as_it_was_written(kind: type[pop3.Command]) -> None:
    @settings(max_examples=15, derandomize=True, database=None, deadline=None)
    @given(testing.pop3_commands(kind))
    def check(command: pop3.Command) -> None:
        assert type(command) is kind
        assert Talk(*KINDS[kind]).say(command) == command

    check()


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind is not pop3.Stls],  # RFC 6856 section 2.1
)
def test_after_utf8_names_and_passwords_are_beyond_ascii(
    kind: type[pop3.Command],
) -> None:
    @settings(max_examples=15, derandomize=True, database=None, deadline=None)
    @given(testing.pop3_commands(kind, utf8=True))
    def check(command: pop3.Command) -> None:
        assert Talk(pop3.Utf8(), *KINDS[kind]).say(command) == command

    check()


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.pop3_commands())
def test_without_a_class_any_command_is_drawn(command: pop3.Command) -> None:
    assert type(command) in KINDS


def test_no_command_is_drawn_that_no_client_sends() -> None:
    with pytest.raises(ValueError, match=r"^no client sends Connect, BadCommand$"):
        testing.pop3_commands(pop3.Connect, pop3.Noop, pop3.BadCommand)


@pytest.mark.parametrize("kind", KINDS)
def test_responses_are_read_as_they_were_written(kind: type[pop3.Command]) -> None:
    @settings(max_examples=15, derandomize=True, database=None, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        talk = Talk(*KINDS[kind])
        command = data.draw(testing.pop3_commands(kind))
        talk.say(command)
        response = data.draw(testing.pop3_responses(command))
        assert talk.answer(response) == response

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_after_lang_responses_are_beyond_ascii(kind: type[pop3.Command]) -> None:
    @settings(max_examples=15, derandomize=True, database=None, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        talk = Talk(pop3.Lang("de"), *KINDS[kind])
        command = data.draw(testing.pop3_commands(kind))
        talk.say(command)
        response = data.draw(testing.pop3_responses(command, utf8=True))
        assert talk.answer(response) == response

    check()


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.pop3_responses(pop3.Connect()))
def test_greetings_are_read_as_they_were_written(greeting: Response) -> None:
    server, client = pop3.Connection(SERVER), pop3.Connection(CLIENT)
    server.next_event()
    client.receive_data(server.send(greeting))
    heard = client.next_event()
    assert isinstance(heard, Response)
    assert heard.cls is greeting.cls
    assert str(heard) == str(greeting)  # nobody knows yet whether it has a code


BAD_COMMAND: Final = pop3.BadCommand(b"X", Response(ERR, "Command not recognized"))


@pytest.mark.parametrize(
    ("command", "brings"),
    [
        (pop3.Connect(), {OK: type(None), ERR: type(None)}),
        (pop3.Noop(), {OK: type(None), ERR: type(None)}),
        (pop3.Retr(1), {OK: type(None), ERR: type(None)}),
        (pop3.Stat(), {OK: pop3.Totals, ERR: type(None)}),
        (pop3.List(), {OK: pop3.Sizes, ERR: type(None)}),
        (pop3.List(7), {OK: pop3.Sizes, ERR: type(None)}),
        (pop3.Uidl(), {OK: pop3.UniqueIds, ERR: type(None)}),
        (pop3.Uidl(7), {OK: pop3.UniqueIds, ERR: type(None)}),
        (pop3.Capa(), {OK: pop3.CapabilityLines, ERR: type(None)}),
        (pop3.AuthList(), {OK: pop3.Mechanisms, ERR: type(None)}),
        (pop3.Lang(), {OK: pop3.Languages, ERR: type(None)}),
        (pop3.Lang("de"), {OK: pop3.Languages, ERR: type(None)}),
        (pop3.Auth("X"), {OK: type(None), ERR: type(None), MORE: pop3.Challenge}),
        (
            pop3.AuthResponse(b""),
            {OK: type(None), ERR: type(None), MORE: pop3.Challenge},
        ),
        (pop3.AuthResponse(None), {ERR: type(None)}),
        (BAD_COMMAND, {ERR: type(None)}),
    ],
)
def test_a_response_brings_what_was_asked_for(
    command: pop3.Command, brings: dict[pop3.ResponseClass, type]
) -> None:
    drawn = set()

    @settings(max_examples=15, derandomize=True, database=None)
    @given(testing.pop3_responses(command))
    def check(response: Response) -> None:
        assert type(response.data) is brings[response.cls]
        drawn.add(response.cls)

    check()
    assert drawn == set(brings)


@pytest.mark.parametrize("command", [pop3.List(7), pop3.Uidl(7)])
@settings(max_examples=20, derandomize=True, database=None)
@given(data=st.data())
def test_a_listing_of_one_message_has_its_number(
    command: pop3.Command, data: st.DataObject
) -> None:
    response = data.draw(testing.pop3_responses(command, OK))
    assert isinstance(response.data, pop3.Sizes | pop3.UniqueIds)
    assert list(response.data.by_number) == [7]


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.pop3_responses(pop3.Auth("X"), MORE, ERR))
def test_responses_are_of_the_classes_asked_for(response: Response) -> None:
    assert response.cls in {MORE, ERR}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (pop3.Stat(), "MORE is no answer to Stat"),
        (pop3.AuthResponse(None), "OK, MORE is no answer to AuthResponse"),
        (BAD_COMMAND, "OK, MORE is no answer to BadCommand"),
    ],
)
def test_no_response_is_drawn_that_answers_nothing(
    command: pop3.Command, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        testing.pop3_responses(command, *pop3.ResponseClass)


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.unique_ids(), testing.apop_timestamps())
def test_unique_ids_and_time_stamps_can_be_used(unique_id: str, stamp: str) -> None:
    assert pop3.Message(1, unique_id).unique_id == unique_id
    server, client = pop3.Connection(SERVER, timestamp=stamp), pop3.Connection(CLIENT)
    greeting = server.next_event()
    client.receive_data(server.send(server.default_response(greeting)))
    client.next_event()
    assert client.timestamp == server.timestamp == stamp


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.pop3_capabilities())
def test_capabilities_are_heard_as_they_were_offered(
    offers: tuple[pop3.Capability, ...],
) -> None:
    talk = Talk(capabilities=offers)
    held = [each for each in offers if each.holds(tls=False, authenticated=False)]
    assert list(talk.client.capabilities.values()) == held


# Octets that nobody has chosen

Heard: TypeAlias = pop3.Event | tuple[str, bytes]


def listened(conn: pop3.Connection, arriving: Iterable[bytes]) -> Iterator[Heard]:
    """Give all that a connection understands, while its own side plays along.

    An error of the peer is given as its message and its line.
    """
    for piece in (*arriving, b""):
        conn.receive_data(piece)
        while True:
            try:
                event = conn.next_event()
            except RemoteProtocolError as error:
                assert conn.state is State.CLOSED
                yield str(error), error.line
                continue
            if isinstance(event, Signal):
                break
            yield event
            if isinstance(event, pop3.Command):
                answer(conn, event)
            elif conn.role is CLIENT:
                go_on(conn)


def answer(server: pop3.Connection, command: pop3.Command) -> None:
    """Say what a sound server says; but it lets everybody in, after a challenge."""
    usual = server.default_response(command)
    server.send(ANSWERS.get(type(command), usual))


def go_on(client: pop3.Connection) -> None:
    """Send the first of these that may be sent now."""
    for command in (pop3.AuthResponse(b"x"), pop3.List(), pop3.AuthList()):
        try:
            client.send(command)
        except LocalProtocolError:
            continue
        return


def contracted(heard: Iterable[Heard]) -> list[Heard]:
    """Join the blocks of content that follow each other."""
    events: list[Heard] = []
    for event in heard:
        last = events[-1] if events else None
        if isinstance(event, MessageData) and isinstance(last, MessageData):
            events[-1] = MessageData(last.data + event.data)
        else:
            events.append(event)
    return events


def in_octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(
    st.sampled_from([b"", b"USER a\r\n", b"USER a\r\nPASS b\r\n", b"AUTH PLAIN\r\n"]),
    testing.pop3_octets(),
)
def test_a_server_bears_any_octets_however_they_arrive(
    before: bytes, octets: bytes
) -> None:
    data = before + octets
    heard = [
        list(listened(server(), arriving))
        for arriving in ([data] if data else [], in_octets(data))
    ]
    assert heard[0] == heard[1]
    assert heard[0][0] == pop3.Connect()
    assert heard[0][-1] == ConnectionClosed()


@pytest.mark.parametrize(
    "commands",
    [
        (),
        (pop3.Capa(),),
        (pop3.AuthList(),),
        (pop3.Auth("PLAIN"),),
        (*LOGIN, pop3.Stat(), pop3.List(1), pop3.Uidl(1)),
        (*LOGIN, pop3.List()),
        (*LOGIN, pop3.Uidl()),
        (*LOGIN, pop3.Retr(1), pop3.Top(1, 0)),
    ],
)
def test_a_client_bears_any_octets_however_they_arrive(
    commands: tuple[pop3.Command, ...],
) -> None:
    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(testing.pop3_octets())
    def check(octets: bytes) -> None:
        heard = [
            contracted(listened(client(*commands), arriving))
            for arriving in ([octets] if octets else [], in_octets(octets))
        ]
        assert heard[0] == heard[1]

    check()


def server() -> pop3.Connection:
    return pop3.Connection(
        SERVER,
        timestamp=TIMESTAMP,
        capabilities=CAPABILITIES,
        limits=Limits(bad_commands=4),
    )


def client(*commands: pop3.Command) -> pop3.Connection:
    """Return a client whose commands are on their way."""
    client = pop3.Connection(CLIENT)
    client.receive_data(b"+OK\r\n+OK\r\nPIPELINING\r\nSASL PLAIN\r\nLANG\r\n.\r\n")
    client.next_event()
    client.send(pop3.Capa())
    client.next_event()
    for command in commands:
        client.send(command)
    return client
