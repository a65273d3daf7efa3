"""The strategies for users' tests: what is drawn can be said; octets do no harm."""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    smtp,
    testing,
)
from smtp_pop_core.smtp import State

EXTENSIONS: Final = (
    *smtp.usual(size=None),
    smtp.extensions.Etrn(),
    smtp.extensions.StartTls(),
    smtp.extensions.Auth(("PLAIN",)),
    smtp.extensions.Xclient(),
    smtp.extensions.Xforward(),
)
KINDS: Final[set[type[smtp.Command]]] = {
    *(smtp.Ehlo, smtp.Helo, smtp.Lhlo, smtp.Mail, smtp.Rcpt, smtp.Data, smtp.Bdat),
    *(smtp.BdatLast, smtp.EndOfChunk, smtp.EndOfMessage, smtp.Rset, smtp.Vrfy),
    *(smtp.Expn, smtp.Help, smtp.Noop, smtp.Quit, smtp.StartTls, smtp.Auth),
    *(smtp.AuthResponse, smtp.Etrn, smtp.Xclient, smtp.Xforward),
}
RCPT: Final = (smtp.Mail("a@a.example", smtputf8=True), smtp.Rcpt("b@b.example"))
READY: Final = (
    *(smtp.Rset, smtp.Vrfy, smtp.Expn, smtp.Help, smtp.Noop, smtp.Quit, smtp.Mail),
    *(smtp.StartTls, smtp.Auth, smtp.Etrn, smtp.Xclient, smtp.Xforward),
)


class Talk:
    """A client and a server that agree; each command is read as it was written."""

    def __init__(
        self,
        *commands: smtp.Command,
        lmtp: bool = False,
        extensions: Sequence[smtp.Extension] = EXTENSIONS,
    ) -> None:
        self.client = smtp.Connection(CLIENT, extensions=extensions, lmtp=lmtp)
        self.server = smtp.Connection(
            SERVER, extensions=extensions, lmtp=lmtp, limits=Limits(content=None)
        )
        assert self.server.next_event() == smtp.Connect()
        self.answer(self.server.default_reply(smtp.Connect()))
        for command in commands:
            self.ask(command)

    def say(self, command: smtp.Command) -> object:
        """Return what the server understands."""
        if wire := self.client.send(command):  # b"" is for the end of a chunk
            self.server.receive_data(wire)
        return self.server.next_event()

    def ask(self, command: smtp.Command) -> None:
        assert self.say(command) == command
        if isinstance(command, smtp.Auth):
            self.answer(smtp.Reply(334))
        elif self.server.replies_due:
            self.answer(self.server.default_reply(command))

    def answer(self, reply: smtp.Reply) -> None:
        self.client.receive_data(self.server.send(reply))
        heard = self.client.next_event()
        assert isinstance(heard, smtp.Reply)
        assert heard.code == reply.code


def ready(*commands: smtp.Command) -> Talk:
    return Talk(smtp.Ehlo("a.example"), *commands)


@pytest.mark.parametrize(
    ("begin", "kinds"),
    [
        pytest.param(Talk, (smtp.Ehlo, smtp.Helo), id="greeted"),
        pytest.param(lambda: Talk(lmtp=True), (smtp.Lhlo,), id="greeted in LMTP"),
        pytest.param(ready, READY, id="ready"),
        pytest.param(lambda: ready(RCPT[0]), (smtp.Rcpt,), id="with a sender"),
        pytest.param(
            lambda: ready(*RCPT),
            (smtp.Data, smtp.Bdat, smtp.BdatLast),
            id="with a recipient",
        ),
        pytest.param(
            lambda: ready(*RCPT, smtp.Data()), (smtp.EndOfMessage,), id="in content"
        ),
        pytest.param(
            lambda: ready(*RCPT, smtp.Bdat(0)), (smtp.EndOfChunk,), id="in a chunk"
        ),
        pytest.param(
            lambda: ready(smtp.Auth("X")), (smtp.AuthResponse,), id="in an exchange"
        ),
    ],
)
def test_what_is_drawn_is_read_as_it_was_written(
    begin: Callable[[], Talk], kinds: tuple[type[smtp.Command], ...]
) -> None:
    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(testing.smtp_commands(*kinds))
    def check(command: smtp.Command) -> None:
        assert type(command) in kinds
        assert begin().say(command) == command

    check()


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    testing.smtp_commands(smtp.Mail, offered=()),
    testing.smtp_commands(smtp.Rcpt, offered=()),
    testing.smtp_commands(smtp.Vrfy, smtp.Expn, offered=()),
)
def test_what_is_drawn_for_a_plain_server_needs_no_extension(
    mail: smtp.Command, rcpt: smtp.Command, other: smtp.Command
) -> None:
    Talk(smtp.Helo("a.example"), mail, rcpt, other, extensions=())


@pytest.mark.parametrize("kind", sorted(KINDS, key=str))
def test_every_command_of_a_client_can_be_drawn(kind: type[smtp.Command]) -> None:
    @settings(max_examples=5, derandomize=True, database=None)
    @given(testing.smtp_commands(kind))
    def check(command: smtp.Command) -> None:
        assert type(command) is kind

    check()


@settings(max_examples=60, derandomize=True, database=None)
@given(testing.smtp_commands())
def test_without_a_class_any_command_is_drawn(command: smtp.Command) -> None:
    assert type(command) in KINDS


def test_no_command_is_drawn_that_no_client_sends() -> None:
    with pytest.raises(ValueError, match=r"^no client sends Connect, BadCommand$"):
        testing.smtp_commands(smtp.Connect, smtp.Noop, smtp.BadCommand)


@settings(max_examples=60, derandomize=True, database=None)
@given(st.data(), st.sets(st.sampled_from(smtp.ReplyClass)))
def test_replies_are_of_the_classes_asked_for(
    data: st.DataObject, classes: set[smtp.ReplyClass]
) -> None:
    reply = data.draw(testing.smtp_replies(*sorted(classes)))
    assert reply.cls in (classes or set(smtp.ReplyClass))


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(testing.contents(), st.data())
def test_contents_arrive_as_they_were_sent(content: bytes, data: st.DataObject) -> None:
    talk = ready(*RCPT, smtp.Data())
    wire = talk.client.send(MessageData(content))
    wire += talk.client.send(smtp.EndOfMessage())
    end = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
    heard = list(listened(talk.server, data.draw(testing.pieces(wire))))
    assert heard[-2:] == [smtp.EndOfMessage(), ConnectionClosed()]
    assert b"".join(joined(heard[:-2])) == content + end


@pytest.mark.parametrize("smtputf8", [False, True])
def test_addresses_can_be_read(smtputf8: bool) -> None:
    @settings(max_examples=60, derandomize=True, database=None)
    @given(
        testing.mailboxes(smtputf8=smtputf8),
        testing.domains(smtputf8=smtputf8) | testing.address_literals(),
    )
    def check(mailbox: smtp.Mailbox, domain: str) -> None:
        read = smtp.parse_mailbox(str(mailbox), smtputf8=smtputf8)
        assert read == mailbox
        assert smtp.parse_mailbox(f"a@{domain}", smtputf8=smtputf8).domain == domain

    check()


@settings(max_examples=60, derandomize=True, database=None)
@given(st.binary(), st.data())
def test_pieces_join_to_the_whole_and_none_is_empty(
    whole: bytes, data: st.DataObject
) -> None:
    drawn = data.draw(testing.pieces(whole))
    assert b"".join(drawn) == whole
    assert all(drawn)


def test_without_hypothesis_the_import_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = "smtp_pop_core.testing"
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(package)
    assert str(caught.value) == (
        "smtp_pop_core.testing needs hypothesis: install smtp-pop-core[testing]"
    )


# Octets that nobody has chosen

Heard: TypeAlias = smtp.Event | tuple[str, bytes]


def joined(heard: Iterable[Heard]) -> list[bytes]:
    """Return the blocks of content; nothing else may be among them."""
    blocks = []
    for event in heard:
        assert isinstance(event, MessageData)
        blocks.append(event.data)
    return blocks


def listened(conn: smtp.Connection, arriving: Iterable[bytes]) -> Iterator[Heard]:
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
            if conn.role is SERVER:
                answer(conn, event)
            else:
                go_on(conn)


def answer(server: smtp.Connection, event: smtp.Event) -> None:
    """Say what a sound server says; but it asks for a response in AUTH."""
    for _ in range(server.replies_due):
        if isinstance(event, smtp.Auth):
            server.send(smtp.Reply(334))
        elif server.replies_due:  # not after 421
            server.send(server.default_reply(event))


def go_on(client: smtp.Connection) -> None:
    """Send the first of these that may be sent now."""
    for event in (
        *(smtp.EndOfMessage(), smtp.EndOfChunk(), smtp.AuthResponse(b"x")),
        *(smtp.Data(), smtp.BdatLast(0), smtp.Rcpt("b@b"), smtp.Mail("a@a")),
        *(smtp.Ehlo("a"), smtp.Lhlo("a"), smtp.Quit()),
    ):
        try:
            client.send(event)
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


ENVELOPE: Final = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
SAID_BEFORE: Final = (
    *(b"", ENVELOPE, ENVELOPE + b"DATA\r\n", ENVELOPE + b"BDAT 20\r\n"),
    *(ENVELOPE + b"BDAT 1\r\na", b"AUTH PLAIN\r\n"),
)
REPLIED_BEFORE: Final = (
    *(b"", b"220 a\r\n", b"220 a\r\n250-a\r\n250-CHUNKING\r\n250 PIPELINING\r\n"),
    *(b"220 a\r\n250 a\r\n250 a\r\n250 a\r\n354 a\r\n", b"554 a\r\n"),
)


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_server_bears_any_octets_however_they_arrive(lmtp: bool) -> None:
    hello = b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"

    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(st.sampled_from(SAID_BEFORE), testing.smtp_octets())
    def check(before: bytes, octets: bytes) -> None:
        data = hello + before + octets
        heard = [
            contracted(listened(server(lmtp=lmtp), arriving))
            for arriving in ([data], in_octets(data))
        ]
        assert heard[0] == heard[1]

    check()


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_client_bears_any_octets_however_they_arrive(lmtp: bool) -> None:
    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(st.sampled_from(REPLIED_BEFORE), testing.smtp_octets())
    def check(before: bytes, octets: bytes) -> None:
        data = before + octets
        heard = [
            list(listened(client(lmtp=lmtp), arriving))
            for arriving in ([data] if data else [], in_octets(data))
        ]
        assert heard[0] == heard[1]

    check()


def server(*, lmtp: bool) -> smtp.Connection:
    return smtp.Connection(
        SERVER, extensions=EXTENSIONS, lmtp=lmtp, limits=Limits(content=60)
    )


def client(*, lmtp: bool) -> smtp.Connection:
    return smtp.Connection(CLIENT, extensions=EXTENSIONS, lmtp=lmtp)
