"""Clients and servers of the asyncio and trio adapters, on loopback."""

import asyncio
import contextlib
import io
import os
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import pytest

import maildrops
from asynchronous import KITS, Kit, Serving, asynchronous
from certificates import NAME, SERVER, client_context, der, server_context
from loopback import Raw, scripted
from maildrops import ALICE, LOGINS, USERS
from smtp_pop_adapters import blocking
from smtp_pop_adapters._async_clients import Opening, Pop3Client, SmtpClient
from smtp_pop_adapters._async_server import Server
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_application import MaildirReaders, MaildirUsers
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrops
from smtp_pop_core import (
    AsyncBlocks,
    Blocks,
    ConnectionLost,
    Limits,
    RemoteProtocolError,
    Timeouts,
    pop3,
    sasl,
    smtp,
)

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
MESSAGE = b"Subject: hello\r\n\r\nOne line.\r\n"
TLS: Final[dict[str, Any]] = {
    "tls": server_context(),
    "certificate": der(SERVER),
    "logins": LOGINS,
}
SECURE: Final[dict[str, Any]] = {
    "context": client_context(),
    "server_hostname": NAME,
    "auth": ALICE,
    "mechanism": "SCRAM-SHA-256-PLUS",
}
QUICK: Final = {**SECURE, "mechanism": "CRAM-MD5"}


@pytest.fixture(params=KITS, ids=["asyncio", "trio"])
def kit(request: pytest.FixtureRequest) -> Kit:
    it: Kit = request.param
    return it


@dataclass
class Kept:
    """What applications have got, and why their sessions have ended."""

    contents: list[bytes] = field(default_factory=list)
    endings: list[object] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def report(self, error: Exception) -> None:
        self.mistakes.append(str(error))


class Store(smtp.AsyncApplication):
    """Keeps what it gets, in memory; it is its own factory."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.kept = Kept()

    def __call__(self, peer: smtp.Peer) -> "Store":
        self.peer = peer
        return self

    async def authenticate(self, question: sasl.Question) -> object:
        await self.kit.checkpoint()
        return USERS.answer(question)

    async def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        await self.kit.checkpoint()
        return smtp.Reply(550, ("no",)) if command.recipient == "no@d" else None

    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> smtp.Reply | None:
        self.kept.contents.append(b"".join([block async for block in content]))
        return None

    async def close(self, reason: smtp.Ending) -> None:
        await self.kit.checkpoint()
        self.kept.endings.append(reason)


class PlainStore(smtp.Application):
    """The same in plain methods."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.kept = Kept()

    def __call__(self, peer: smtp.Peer) -> "PlainStore":
        self.peer = peer
        return self

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        return smtp.Reply(550, ("no",)) if command.recipient == "no@d" else None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        self.kept.contents.append(b"".join(content))
        return None

    def close(self, reason: smtp.Ending) -> None:
        self.kept.endings.append(reason)


STORES = [Store, PlainStore]


class Mailbox(pop3.AsyncApplication):
    """Gives the same messages in each session; it is its own factory.

    Attributes:
        opened: How many maildrops are open.
        removed: The numbers that each QUIT has removed.
    """

    def __init__(self, kit: Kit, *contents: bytes) -> None:
        self.kit = kit
        self.contents = contents
        self.kept = Kept()
        self.opened = 0
        self.removed: list[set[int]] = []

    def __call__(self, peer: pop3.Peer) -> "Mailbox":
        return self

    async def authenticate(self, question: sasl.Question) -> object:
        await self.kit.checkpoint()
        return USERS.answer(question)

    async def open(self, identity: str) -> pop3.AsyncMaildrop:
        await self.kit.checkpoint()
        self.opened += 1
        return Maildrop(self)

    async def close(self, reason: pop3.Ending) -> None:
        self.kept.endings.append(reason)


class Maildrop(pop3.AsyncMaildrop):
    """The messages of a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.messages = [
            pop3.Message(pop3.size_of(content), f"id-{number}")
            for number, content in enumerate(mailbox.contents, 1)
        ]

    async def read(self, number: int) -> AsyncIterator[bytes]:
        for block in maildrops.blocks(self.mailbox.contents[number - 1]):
            await self.mailbox.kit.checkpoint()
            yield block

    async def commit(self, deleted: Collection[int]) -> Collection[int]:
        await self.mailbox.kit.checkpoint()
        self.mailbox.removed.append(set(deleted))
        return ()

    async def close(self) -> None:
        for _ in range(3):
            await self.mailbox.kit.checkpoint()
        self.mailbox.opened -= 1


def smtp_client(kit: Kit, server: Server, **options: Any) -> Opening[SmtpClient]:
    return kit.connect_smtp(*server.addresses[0], **options)


def pop3_client(kit: Kit, server: Server, **options: Any) -> Opening[Pop3Client]:
    usual: dict[str, Any] = {"tls": "none", "auth": ALICE}
    return kit.connect_pop3(*server.addresses[0], **usual | options)


def mail_server(kit: Kit, mailbox: pop3.ApplicationFactory, **options: Any) -> Serving:
    return kit.serve_pop3(mailbox, **{"logins": LOGINS} | options)


def raw(server: Server) -> Raw:
    return Raw(socket.create_connection(server.addresses[0]))


# Sending


@pytest.mark.parametrize("make", STORES)
@asynchronous
async def test_a_message_goes_from_a_client_to_a_server(
    kit: Kit, make: Callable[[Kit], Store | PlainStore]
) -> None:
    store = make(kit)
    async with (
        kit.serve_smtp(store) as server,
        smtp_client(kit, server) as client,
    ):
        assert "SIZE" in client.extensions
        result = await client.send_mail("a@b", ["c@d", "no@d"], MESSAGE)
        assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
        assert result.refused == ["no@d"]
        assert store.peer.address == "127.0.0.1"
    assert store.kept.contents == [MESSAGE]
    assert store.kept.endings == [smtp.Ending.QUIT]


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("chunking", [False, True])
@asynchronous
async def test_long_content_goes_from_a_client_to_a_server(
    kit: Kit, chunking: bool, make: Callable[[Kit], Store | PlainStore]
) -> None:
    store = make(kit)
    async with (
        kit.serve_smtp(store) as server,
        smtp_client(kit, server) as client,
    ):
        result = await client.send_mail("a@b", "c@d", LONG, chunking=chunking)
        result.check()
    assert store.kept.contents == [LONG]


@asynchronous
async def test_an_email_message_is_sent(kit: Kit) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@b.example", "c@d.example"
    message.set_content("hello")
    store = Store(kit)
    async with (
        kit.serve_smtp(store) as server,
        smtp_client(kit, server) as client,
    ):
        (await client.send_message(message)).check()
    assert store.kept.contents[0].endswith(b"\r\n\r\nhello\r\n")


@asynchronous
async def test_a_client_that_is_awaited_has_a_method_for_each_conversation(
    kit: Kit,
) -> None:
    async with kit.serve_smtp(Store(kit)) as server:
        client = await smtp_client(kit, server, domain="me.example")
        replies = [
            await client.verify("somebody"),
            await client.expand("a-list"),
            await client.help(),
            await client.noop(),
            await client.reset(),
        ]
        assert [reply.code for reply in replies] == [252, 252, 214, 250, 250]
        with pytest.raises(Exception, match="ETRN"):
            await client.etrn("node.example")
        reply = await client.quit()
        assert reply is not None
        assert reply.code == 221
        assert await client.quit() is None


@asynchronous
async def test_content_can_come_from_an_async_generator(kit: Kit) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for _ in range(100):
            await kit.checkpoint()
            yield b"a line\r\n"

    store = Store(kit)
    async with (
        kit.serve_smtp(store) as server,
        smtp_client(kit, server) as client,
    ):
        (await client.send_mail("a@b", "c@d", lines())).check()
        await client.send_mail("a@b", "no@d", lines())  # of which nothing is wanted
    assert store.kept.contents == [b"a line\r\n" * 100]


@asynchronous
async def test_one_server_hands_the_content_on_to_another_as_it_comes(
    kit: Kit,
) -> None:
    store = Store(kit)

    class Relay(smtp.AsyncApplication):
        async def message(
            self, envelope: smtp.Envelope, content: AsyncBlocks
        ) -> smtp.Reply | None:
            async with smtp_client(kit, back) as client:
                return (
                    await client.send_mail(envelope.mail, envelope.recipients, content)
                ).reply

    async with (
        kit.serve_smtp(store) as back,
        kit.serve_smtp(Relay) as front,
        smtp_client(kit, front) as client,
    ):
        (await client.send_mail("a@b", ["c@d"], LONG)).check()
    assert store.kept.contents == [LONG]


REFUSING = [
    *[b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go", b"552 too much"],
]


@pytest.mark.parametrize("secure", [False, True])
@asynchronous
async def test_a_refusal_in_the_middle_of_content_is_heard(
    kit: Kit, secure: bool
) -> None:
    """The client does not send on to a server that has said no."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"a line of content\r\n" * 1_000

    def wrapped(sock: socket.socket) -> socket.socket:
        return server_context().wrap_socket(sock, server_side=True) if secure else sock

    def session() -> None:
        sock, _ = listener.accept()
        with wrapped(sock) as peer, peer.makefile("rwb") as file:
            for reply in REFUSING:
                file.write(reply + b"\r\n")
                file.flush()
                file.readline()
            while file.read(65_536):
                pass

    options = {**SECURE, "auth": None, "tls": "implicit"} if secure else {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with kit.tasks() as start:
            start(lambda: kit.thread(session))
            client = await kit.connect_smtp(*listener.getsockname(), **options)
            result = await client.send_mail("a@b", "c@d", endless())
            client.close()
    assert str(result.reply) == "552 too much"
    assert client.connection.closed


# Fetching


@asynchronous
async def test_messages_are_listed_and_fetched(kit: Kit) -> None:
    mailbox = Mailbox(kit, MESSAGE, LONG)
    async with (
        mail_server(kit, mailbox) as server,
        pop3_client(kit, server) as client,
    ):
        assert "TOP" in client.capabilities
        assert await client.status() == pop3.Totals(2, len(MESSAGE + LONG))
        first, second = await client.messages()
        assert (first.unique_id, second.size) == ("id-1", len(LONG))
        assert await client.fetch(first) == MESSAGE
        async with client.retrieve(second) as blocks:
            assert b"".join([block async for block in blocks]) == LONG
        async with client.retrieve(second) as blocks:
            async for _ in blocks:
                break  # what is left is dropped
        async with client.top(first) as blocks:
            assert await blocks.read() == b"Subject: hello\r\n\r\n"
        assert await client.delete(1) == {}
        assert (await client.reset()).text
        assert (await client.noop()).cls is pop3.OK
        assert await client.delete(second) == {}
    assert mailbox.removed == [{2}]
    assert mailbox.opened == 0
    assert mailbox.kept.endings == [pop3.Ending.QUIT]


@asynchronous
async def test_the_session_goes_on_after_an_exception_in_a_message(kit: Kit) -> None:
    async with (
        mail_server(kit, Mailbox(kit, LONG)) as server,
        pop3_client(kit, server) as client,
    ):
        with pytest.raises(ZeroDivisionError):
            async with client.retrieve(1):
                raise ZeroDivisionError
        assert (await client.noop()).cls is pop3.OK


@asynchronous
async def test_a_client_asks_for_languages(kit: Kit) -> None:
    async with (
        mail_server(kit, Mailbox(kit)) as server,
        pop3_client(kit, server) as client,
    ):
        with pytest.raises(Exception, match="LANG"):
            await client.languages()
        with pytest.raises(Exception, match="LANG"):
            await client.language("de")


@asynchronous
async def test_what_is_new_is_collected(kit: Kit) -> None:
    stored: list[bytes] = []

    async def store(message: pop3.Listed, blocks: AsyncBlocks) -> None:
        await kit.checkpoint()
        stored.append(await blocks.read())

    mailbox = Mailbox(kit, MESSAGE, LONG)
    async with (
        mail_server(kit, mailbox) as server,
        pop3_client(kit, server) as client,
    ):
        collected = await client.collect(store, delete_stored=True)
        assert len(collected.deleted) == 2
    assert stored == [MESSAGE, LONG]
    assert mailbox.removed == [{1, 2}]


@asynchronous
async def test_many_messages_come_one_after_the_other(kit: Kit) -> None:
    stored: dict[int, bytes] = {}

    async def sink(number: int, blocks: AsyncBlocks) -> None:
        stored[number] = await blocks.read()

    async with (
        mail_server(kit, Mailbox(kit, MESSAGE, LONG)) as server,
        pop3_client(kit, server) as client,
    ):
        refused = await client.retrieve_many([1, 2, 3], sink)
    assert set(refused) == {3}
    assert stored == {1: MESSAGE, 2: LONG}


@asynchronous
async def test_a_plain_store_serves_as_well(kit: Kit) -> None:
    store = maildrops.Store(MESSAGE, LONG)
    async with (
        mail_server(kit, store) as server,
        pop3_client(kit, server) as client,
    ):
        assert await client.fetch(2) == LONG
    assert store.closed == 1


# TLS and logins


@pytest.mark.parametrize("implicit", [False, True])
@asynchronous
async def test_logins_are_bound_to_tls(kit: Kit, implicit: bool) -> None:
    options: dict[str, Any] = {**TLS, "implicit_tls": implicit}
    secure = {**SECURE, "tls": "implicit" if implicit else "require"}
    store, mailbox = Store(kit), Mailbox(kit, LONG)
    async with (
        kit.serve_smtp(store, **options) as receiver,
        smtp_client(kit, receiver, **secure) as client,
    ):
        assert store.peer.identity == "alice"
        assert store.peer.tls
        (await client.send_mail("a@b", "c@d", LONG)).check()
    assert store.kept.contents == [LONG]
    async with (
        kit.serve_pop3(mailbox, **options) as server,
        pop3_client(kit, server, **secure) as reader,
    ):
        assert await reader.fetch(1) == LONG
    assert mailbox.opened == 0


@pytest.mark.parametrize("implicit", [False, True])
@asynchronous
async def test_blocking_clients_and_servers_understand_ours(
    kit: Kit, implicit: bool
) -> None:
    secure = {**SECURE, "tls": "implicit" if implicit else "require"}
    options: dict[str, Any] = {**TLS, "implicit_tls": implicit}
    store, mailbox = Store(kit), Mailbox(kit, LONG)

    def send(server: Server) -> None:
        with blocking.connect_smtp(*server.addresses[0], **secure) as client:
            client.send_mail("a@b", "c@d", LONG).check()

    def fetch(server: Server) -> bytes:
        with blocking.connect_pop3(*server.addresses[0], **secure) as client:
            return client.fetch(1)

    async with (
        kit.serve_smtp(store, **options) as receiver,
        kit.serve_pop3(mailbox, **options) as server,
    ):
        await kit.thread(lambda: send(receiver))
        assert store.kept.contents == [LONG]
        assert await kit.thread(lambda: fetch(server)) == LONG
    plain = PlainStore(kit)
    with blocking.serve_smtp(plain, "127.0.0.1", **options) as other:
        async with kit.connect_smtp(*other.addresses[0], **secure) as client:
            (await client.send_mail("a@b", "c@d", LONG)).check()
    assert plain.kept.contents == [LONG]


# Connections


@asynchronous
async def test_a_client_speaks_over_a_unix_socket(kit: Kit, tmp_path: Path) -> None:
    path = str(tmp_path / "smtp")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    store = Store(kit)
    async with kit.serve_smtp(store, sock=listener) as server:
        assert server.addresses == [(path, 0)]
        async with kit.connect_smtp(path) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()
            assert store.peer.address == ""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        async with kit.connect_smtp(sock=sock) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()
    assert store.kept.contents == [MESSAGE, MESSAGE]


@asynchronous
async def test_a_client_tries_every_address_of_a_name(kit: Kit) -> None:
    async with kit.serve_smtp(Store(kit)) as server:
        port = server.addresses[0][1]
        async with kit.connect_smtp("localhost", port) as client:
            assert (await client.noop()).code == 250


@asynchronous
async def test_nobody_listening_is_an_os_error(kit: Kit) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await kit.connect_smtp(*sock.getsockname())
        with pytest.raises(ConnectionRefusedError):
            async with kit.connect_pop3(*sock.getsockname()):
                pass


@asynchronous
async def test_a_connection_that_does_not_come_about_is_too_slow(kit: Kit) -> None:
    async with kit.serve_smtp(Store(kit)) as server:
        with pytest.raises(TimeoutError):
            await smtp_client(kit, server, timeout=0)


@asynchronous
async def test_a_server_that_does_not_greet_is_too_slow(kit: Kit) -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError):
            await kit.connect_smtp(*listener.getsockname(), limits=limits)
        with pytest.raises(TimeoutError):
            await kit.connect_pop3(*listener.getsockname(), limits=limits)


@asynchronous
async def test_the_caller_may_have_less_patience(kit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError):
            async with kit.soon():
                await kit.connect_smtp(*listener.getsockname())
        await kit.checkpoint()


GREETINGS = [
    ([b"554 no\r\n", b"221 bye\r\n"], smtp.Rejected),
    ([b"SSH-2.0-OpenSSH_9.9\r\n"], RemoteProtocolError),
    ([], ConnectionLost),
]


@pytest.mark.parametrize(("replies", "error"), GREETINGS)
@asynchronous
async def test_a_client_that_gets_no_session_says_why(
    kit: Kit, replies: list[bytes], error: type[Exception]
) -> None:
    with scripted(*replies) as (address, session):
        with pytest.raises(error):
            await kit.connect_smtp(*address)
        await kit.checkpoint()
        await kit.thread(session.result)


@asynchronous
async def test_what_is_wrong_with_options_is_found_at_once(kit: Kit) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(ValueError, match="not a domain"):
        await kit.connect_smtp(sock=ours, domain="a b")
    await kit.checkpoint()


@asynchronous
async def test_a_client_that_leaves_by_an_exception_does_not_say_quit(
    kit: Kit,
) -> None:
    store = Store(kit)
    async with kit.serve_smtp(store) as server:
        with pytest.raises(ZeroDivisionError):
            async with smtp_client(kit, server):
                raise ZeroDivisionError
        while not store.kept.endings:
            await kit.checkpoint()
    assert store.kept.endings == [smtp.Ending.LOST]


# What goes wrong in a server


class Failing(smtp.AsyncApplication):
    """Fails at every turn."""

    async def mail(self, command: smtp.Mail) -> smtp.Reply | None:
        raise ValueError("secret")

    async def close(self, reason: smtp.Ending) -> None:
        raise OSError("the file system is gone")


@asynchronous
async def test_mistakes_of_the_application_are_reported_and_not_told(kit: Kit) -> None:
    kept = Kept()
    async with (
        kit.serve_smtp(Failing, report=kept.report) as server,
        smtp_client(kit, server) as client,
    ):
        result = await client.send_mail("a@b", "c@d", MESSAGE)
        assert str(result.reply) == "451 4.3.0 Local error in processing"
    assert kept.mistakes == ["secret", "the file system is gone"]


@asynchronous
async def test_a_client_that_says_nothing_is_told_and_left(kit: Kit) -> None:
    limits = Limits(timeouts=Timeouts(command=SOON))
    store = Store(kit)

    def hear(server: Server) -> list[str]:
        with contextlib.closing(raw(server)) as client:
            return [client.hear(), client.hear(), client.hear()]

    async with kit.serve_smtp(store, limits=limits) as server:
        said = await kit.thread(lambda: hear(server))
    assert [line[:3] for line in said] == ["220", "421", ""]
    assert store.kept.endings == [smtp.Ending.TIMEOUT]


@asynchronous
async def test_single_octets_do_not_push_a_deadline_back(kit: Kit) -> None:
    limits = Limits(timeouts=Timeouts(command=0.1))
    store = Store(kit)

    def drip(server: Server) -> None:
        with contextlib.closing(raw(server)) as client:
            client.hear()
            client.sock.settimeout(SOON)
            with contextlib.suppress(OSError):
                for _ in range(10_000):
                    client.sock.send(b"N")
                    with contextlib.suppress(TimeoutError):
                        assert client.sock.recv(100).startswith(b"421 ")
                        return

    async with kit.serve_smtp(store, limits=limits) as server:
        await kit.thread(lambda: drip(server))
    assert store.kept.endings == [smtp.Ending.TIMEOUT]


@pytest.mark.parametrize("make", STORES)
@asynchronous
async def test_a_message_that_breaks_off_is_no_message(
    kit: Kit, make: Callable[[Kit], Store | PlainStore]
) -> None:
    store = make(kit)

    def begin(server: Server) -> None:
        with contextlib.closing(raw(server)) as client:
            client.hear()
            for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "x"):
                client.sock.sendall(line.encode() + b"\r\n")

    async with kit.serve_smtp(store) as server:
        await kit.thread(lambda: begin(server))
        while not store.kept.endings:
            await kit.checkpoint()
    assert store.kept.endings == [smtp.Ending.LOST]
    assert store.kept.contents == []


# The number of sessions


@asynchronous
async def test_many_sessions_are_served_side_by_side(kit: Kit) -> None:
    store = Store(kit)

    async def send() -> None:
        async with smtp_client(kit, server) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()

    async with kit.serve_smtp(store) as server:
        async with kit.tasks() as start:
            tasks = [start(send) for _ in range(50)]
        assert [await each.result() for each in tasks] == [None] * 50
    assert store.kept.contents == [MESSAGE] * 50


# The end of a server


@asynchronous
async def test_an_idle_session_is_told_that_the_server_ends(kit: Kit) -> None:
    store = Store(kit)

    def begin(server: Server) -> Raw:
        client = raw(server)
        assert client.hear().startswith("220 ")
        return client

    def end(client: Raw) -> str:
        with contextlib.closing(client):
            return client.hear()

    async with kit.serve_smtp(store) as server:
        client = await kit.thread(lambda: begin(server))
        async with kit.tasks() as start:
            start(server.stop)
            said = await kit.thread(lambda: end(client))
            assert said == "421 4.3.2 Shutting down"
    assert store.kept.endings == [smtp.Ending.STOPPING]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.addresses[0])


def begin_message(server: Server) -> Raw:
    client = raw(server)
    assert client.hear().startswith("220 ")
    for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"):
        assert client.say(line)[0] in "23"
    return client


@asynchronous
async def test_a_running_transaction_may_end(kit: Kit) -> None:
    store = Store(kit)

    def end(client: Raw) -> list[str]:
        with contextlib.closing(client):
            client.sock.sendall(MESSAGE)
            return [client.say("."), client.hear(), client.hear()]

    async with kit.serve_smtp(store) as server:
        client = await kit.thread(lambda: begin_message(server))
        async with kit.tasks() as start:
            start(server.stop)
            await kit.checkpoint()
            said = await kit.thread(lambda: end(client))
    assert [line[:3] for line in said] == ["250", "421", ""]
    assert store.kept.contents == [MESSAGE]


@asynchronous
async def test_a_transaction_that_does_not_end_is_cut_off(kit: Kit) -> None:
    store = Store(kit)
    async with kit.serve_smtp(store) as server:
        client = await kit.thread(lambda: begin_message(server))
        await server.stop(timeout=SOON)
        await server.stop()
        with contextlib.closing(client):
            assert await kit.thread(client.hear) == ""
    assert store.kept.endings == [smtp.Ending.LOST]
    assert store.kept.contents == []


@asynchronous
async def test_an_application_that_does_not_end_is_cancelled(kit: Kit) -> None:
    cancelled = []

    class Endless(smtp.AsyncApplication):
        async def connect(self) -> smtp.Reply | None:
            try:
                while True:
                    await kit.runtime.pause(3600, None)
            finally:
                cancelled.append(True)

    async with kit.serve_smtp(Endless) as server:
        with contextlib.closing(raw(server)) as client:
            for _ in range(20):
                await kit.checkpoint()
            await server.stop(timeout=SOON)
            assert await kit.thread(client.hear) == ""
    assert cancelled == [True]


@asynchronous
async def test_a_waiting_reader_is_let_go_when_the_server_ends(kit: Kit) -> None:
    mailbox = Mailbox(kit, MESSAGE)
    async with mail_server(kit, mailbox) as server:
        client = await pop3_client(kit, server)
        await client.delete(1)
        async with kit.tasks() as start:
            start(server.stop)
            await kit.checkpoint()
            with pytest.raises(ConnectionLost):
                await client.noop()
            client.close()
    assert mailbox.kept.endings == [pop3.Ending.STOPPING]
    assert mailbox.removed == []
    assert mailbox.opened == 0


@asynchronous
async def test_a_server_without_free_descriptors_says_so(kit: Kit) -> None:
    kept = Kept()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with kit.serve_smtp(Store(kit), report=kept.report) as server:
        with socket.socket() as waiting:
            free = os.open(os.devnull, os.O_RDONLY)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                waiting.connect(server.addresses[0])
                while not kept.mistakes:
                    await kit.checkpoint()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "open files" in kept.mistakes[0]


class Watchless(asyncio.SelectorEventLoop):
    """An event loop that cannot watch sockets, as that of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


def test_a_server_needs_no_loop_that_watches_sockets() -> None:
    kit = KITS[0]
    store = Store(kit)

    async def main() -> None:
        async with kit.serve_smtp(store) as server, smtp_client(kit, server) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()

    with asyncio.Runner(loop_factory=Watchless) as runner:
        runner.run(main())
    assert store.kept.contents == [MESSAGE]


# Cancellation


async def every_await(kit: Kit, function: Callable[[], Any]) -> None:
    """Cancel a function at its first await, its second, and so on, to its end."""
    number = 1
    while await kit.cancelled_at(number, function):
        await kit.checkpoint()
        number += 1
    assert number > 10


@pytest.mark.parametrize("secure", [False, True])
@asynchronous
async def test_a_client_can_be_cancelled_at_any_await(kit: Kit, secure: bool) -> None:
    server_options, options = (TLS, QUICK) if secure else ({}, {})
    store = Store(kit)
    async with kit.serve_smtp(store, **server_options) as server:

        async def send() -> None:
            async with smtp_client(kit, server, **options) as client:
                (await client.send_mail("a@b", "c@d", MESSAGE)).check()

        await every_await(kit, send)
    assert store.kept.contents[-1] == MESSAGE
    assert store.kept.endings[-1] is smtp.Ending.QUIT


@asynchronous
async def test_a_reader_can_be_cancelled_at_any_await(kit: Kit) -> None:
    mailbox = Mailbox(kit, MESSAGE, MESSAGE)
    async with mail_server(kit, mailbox) as server:

        async def fetch() -> None:
            async with pop3_client(kit, server, mechanism="CRAM-MD5") as client:
                for message in await client.messages():
                    async with client.retrieve(message) as blocks:
                        await kit.checkpoint()
                        assert await blocks.read() == MESSAGE
                    await client.delete(message)

        await every_await(kit, fetch)
    assert mailbox.removed[-1] == {1, 2}
    assert mailbox.opened == 0


@asynchronous
async def test_a_loop_over_messages_can_be_cancelled_at_any_await(kit: Kit) -> None:
    mailbox = Mailbox(kit, MESSAGE, MESSAGE)
    async with mail_server(kit, mailbox) as server:

        async def fetch() -> None:
            told: list[int] = []

            async def progress(octets: int, total: int | None) -> None:
                await kit.checkpoint()
                told.append(octets)

            async with pop3_client(kit, server, mechanism="CRAM-MD5") as client:
                with client.within(30):
                    async for message, blocks in client.retrieve_each(
                        progress=progress
                    ):
                        if message.number == 1:
                            assert await blocks.read() == MESSAGE
                        await client.delete(message)
                    assert told == [len(MESSAGE)] * 2

        await every_await(kit, fetch)
    assert mailbox.removed[-1] == {1, 2}
    assert mailbox.opened == 0


class Plain(maildrops.Store):
    """A mailbox with plain methods that counts as `Mailbox` does."""

    def __init__(self, kit: Kit, *contents: bytes) -> None:
        super().__init__(*contents)
        self.opened = 0

    def open(self, identity: str) -> pop3.Maildrop:
        self.opened += 1
        return super().open(identity)


@asynchronous
async def test_a_server_can_be_cancelled_whenever_its_client_waits(kit: Kit) -> None:
    mailbox = Mailbox(kit, MESSAGE, MESSAGE)

    async def serve() -> None:
        async with (
            mail_server(kit, mailbox) as server,
            pop3_client(kit, server, mechanism="CRAM-MD5") as client,
        ):
            for message in await client.messages():
                assert await client.fetch(message) == MESSAGE
            await client.delete(1, 2)

    await every_await(kit, serve)
    assert mailbox.removed[-1] == {1, 2}
    assert mailbox.opened == 0


@asynchronous
async def test_a_cancelled_session_gives_plain_maildrops_back(kit: Kit) -> None:
    mailbox = Plain(kit, MESSAGE)

    async def serve() -> None:
        async with (
            mail_server(kit, mailbox) as server,
            pop3_client(kit, server, mechanism="CRAM-MD5") as client,
        ):
            assert await client.fetch(1) == MESSAGE

    await every_await(kit, serve)
    assert mailbox.opened == mailbox.closed


@asynchronous
async def test_a_receiver_can_be_cancelled_whenever_its_client_waits(kit: Kit) -> None:
    store = Store(kit)

    async def serve() -> None:
        async with (
            kit.serve_smtp(store, **TLS) as server,
            smtp_client(kit, server, **QUICK) as client,
        ):
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()

    await every_await(kit, serve)
    assert store.kept.contents[-1] == MESSAGE


@asynchronous
async def test_plain_methods_of_different_sessions_run_at_the_same_time(
    kit: Kit,
) -> None:
    both = threading.Barrier(2, timeout=30)

    class Waiting(smtp.Application):
        def mail(self, command: smtp.Mail) -> smtp.Reply | None:
            both.wait()
            return None

        def message(
            self, envelope: smtp.Envelope, content: Blocks
        ) -> smtp.Reply | None:
            both.wait()
            return smtp.Reply(250, (str(len(content.read())),))

    async def send() -> str:
        async with smtp_client(kit, server) as client:
            return str((await client.send_mail("a@b", "c@d", MESSAGE)).reply)

    async with kit.serve_smtp(Waiting) as server, kit.tasks() as start:
        replies = [start(send), start(send)]
        assert [await each.result() for each in replies] == [
            "250 2.0.0 29",
            "250 2.0.0 29",
        ]


@asynchronous
async def test_a_command_between_chunks_is_answered_while_a_message_is_taken(
    kit: Kit,
) -> None:
    class Verifying(smtp.Application):
        def verify(self, command: smtp.Vrfy) -> smtp.Reply | None:
            return smtp.Reply(252, (threading.current_thread().name[:8],))

        def message(
            self, envelope: smtp.Envelope, content: Blocks
        ) -> smtp.Reply | None:
            return smtp.Reply(250, (str(len(content.read())),))

    def talk(server: Server) -> list[str]:
        with contextlib.closing(raw(server)) as client:
            client.hear()
            for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"):
                client.say(line)
            return [
                client.say("BDAT 4\r\nab"),
                client.say("VRFY a"),
                client.say("BDAT 3 LAST\r\nc"),
            ]

    async with kit.serve_smtp(Verifying, sessions=1) as server:
        said = await kit.thread(lambda: talk(server))
    assert [line[:3] for line in said] == ["250", "252", "250"]


@asynchronous
async def test_messages_can_be_stored_by_plain_functions(kit: Kit) -> None:
    stored: dict[int, bytes] = {}

    def store(message: pop3.Listed, blocks: Blocks) -> None:
        stored[message.number] = blocks.read()

    def sink(number: int, blocks: Blocks) -> None:
        stored[-number] = b"".join(blocks)

    async with (
        mail_server(kit, Mailbox(kit, MESSAGE, LONG)) as server,
        pop3_client(kit, server, mechanism="CRAM-MD5") as client,
    ):
        assert await client.retrieve_many([2], sink) == {}
        await client.collect(store)
    assert stored == {1: MESSAGE, 2: LONG, -2: LONG}


@asynchronous
async def test_files_and_iterables_are_sent_from_a_thread(
    kit: Kit, tmp_path: Path
) -> None:
    names: set[str] = set()

    def blocks() -> Iterator[bytes]:
        names.add(threading.current_thread().name[:8])
        yield MESSAGE

    path = tmp_path / "message"
    path.write_bytes(MESSAGE)
    store = Store(kit)
    async with kit.serve_smtp(store) as server, smtp_client(kit, server) as client:
        (await client.send_mail("a@b", "c@d", blocks())).check()
        with path.open("rb") as file:
            (await client.send_mail("a@b", "c@d", file)).check()
    assert store.kept.contents == [MESSAGE, MESSAGE]
    assert names == {"smtp-pop"}


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name[:8] == "smtp-pop"]


@asynchronous
async def test_a_receiver_over_maildirs_can_be_cancelled_at_any_await(
    kit: Kit, tmp_path: Path
) -> None:
    users = MaildirUsers(tmp_path, ["alice"])

    async def serve() -> None:
        async with (
            kit.serve_smtp(users) as server,
            smtp_client(kit, server) as client,
        ):
            content = io.BytesIO(MESSAGE)
            (await client.send_mail("a@b", "alice@d", content)).check()

    await every_await(kit, serve)
    assert list(tmp_path.glob("*/tmp/*")) == []
    assert {each.read_bytes() for each in tmp_path.glob("*/new/*")} == {
        MESSAGE.replace(b"\r\n", b"\n")
    }
    assert threads() == []


@asynchronous
async def test_a_server_of_maildirs_can_be_cancelled_whenever_its_client_waits(
    kit: Kit, tmp_path: Path
) -> None:
    maildir = Maildir(tmp_path / "alice")
    readers = MaildirReaders(tmp_path, USERS)
    stored = Maildir(tmp_path / "stored")

    def store(message: pop3.Listed, blocks: Blocks) -> None:
        stored.deliver(blocks)

    async def serve() -> None:
        for left in (tmp_path / "alice").glob("new/*"):
            left.unlink()
        maildir.deliver([MESSAGE])
        async with (
            mail_server(kit, readers) as server,
            pop3_client(kit, server, mechanism="CRAM-MD5") as client,
        ):
            await client.collect(store, delete_stored=True)

    await every_await(kit, serve)
    assert list(tmp_path.glob("*/tmp/*")) == []
    assert list(tmp_path.glob("alice/new/*")) == []
    assert threads() == []
    with contextlib.closing(MaildirMaildrops(tmp_path).open("alice")) as maildrop:
        assert maildrop.messages == ()
