"""What only asyncio and trio have: async applications, tasks and cancellation."""

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

import maildrops
from adapting import HOST
from asynchronous import KITS, Kit, Serving
from certificates import NAME, SERVER, client_context, der, server_context
from loopback import Raw
from maildrops import ALICE, LOGINS, USERS
from receiving import AsyncStore, Kept, Store
from smtp_pop_adapters import blocking
from smtp_pop_adapters._async_clients import Opening, Pop3Client, SmtpClient
from smtp_pop_adapters._async_server import Server, listening
from smtp_pop_adapters._async_stream import End, Runtime
from smtp_pop_adapters.maildir import Maildir
from smtp_pop_adapters.maildir_application import MaildirReaders, MaildirUsers
from smtp_pop_adapters.maildir_maildrop import MaildirMaildrops
from smtp_pop_core import (
    AsyncBlocks,
    Blocks,
    ConnectionLost,
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


async def test_content_can_come_from_an_async_generator(kit: Kit) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for _ in range(100):
            await kit.checkpoint()
            yield b"a line\r\n"

    store = AsyncStore(kit)
    async with (
        kit.serve_smtp(store) as server,
        smtp_client(kit, server) as client,
    ):
        (await client.send_mail("a@b", "c@d", lines())).check()
        await client.send_mail("a@b", "no@d", lines())  # of which nothing is wanted
    assert store.kept.contents == [b"a line\r\n" * 100]


async def test_an_async_server_hands_the_content_on_as_it_comes(
    kit: Kit,
) -> None:
    store = AsyncStore(kit)

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


# Fetching


async def test_messages_come_from_an_async_maildrop(kit: Kit) -> None:
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


async def test_what_is_new_is_collected_by_an_async_function(kit: Kit) -> None:
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


async def test_many_messages_come_to_an_async_function(kit: Kit) -> None:
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


# TLS and logins


async def test_logins_are_bound_to_tls(kit: Kit) -> None:
    options: dict[str, Any] = {**TLS, "implicit_tls": True}
    secure = {**SECURE, "tls": "implicit"}
    store, mailbox = AsyncStore(kit), Mailbox(kit, LONG)
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


async def test_blocking_clients_and_servers_understand_ours(
    kit: Kit,
) -> None:
    secure = {**SECURE, "tls": "implicit"}
    options: dict[str, Any] = {**TLS, "implicit_tls": True}
    store, mailbox = AsyncStore(kit), Mailbox(kit, LONG)

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
    plain = Store()
    with blocking.serve_smtp(plain, "127.0.0.1", **options) as other:
        async with kit.connect_smtp(*other.addresses[0], **secure) as client:
            (await client.send_mail("a@b", "c@d", LONG)).check()
    assert plain.kept.contents == [LONG]


# The time of callers


async def test_the_caller_may_have_less_patience(kit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError):
            async with kit.soon():
                await kit.connect_smtp(*listener.getsockname())
        await kit.checkpoint()


# The end of a server


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


class Watchless(asyncio.SelectorEventLoop):
    """An event loop that cannot watch sockets, as that of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


def test_a_server_needs_no_loop_that_watches_sockets() -> None:
    kit = KITS[0]
    store = AsyncStore(kit)

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
    assert number > 5


@pytest.mark.parametrize("secure", [False, True])
async def test_a_client_can_be_cancelled_at_any_await(kit: Kit, secure: bool) -> None:
    server_options, options = (TLS, QUICK) if secure else ({}, {})
    store = AsyncStore(kit)
    async with kit.serve_smtp(store, **server_options) as server:

        async def send() -> None:
            async with smtp_client(kit, server, **options) as client:
                (await client.send_mail("a@b", "c@d", MESSAGE)).check()

        await every_await(kit, send)
    assert store.kept.contents[-1] == MESSAGE
    assert store.kept.endings[-1] is smtp.Ending.QUIT


async def test_who_is_cancelled_already_says_nothing_to_the_server(kit: Kit) -> None:
    said: list[object] = []

    async with kit.serve_smtp(AsyncStore(kit)) as server:
        client = await smtp_client(kit, server, trace=said.append)

        async def send(cancel: Callable[[], object]) -> None:
            said.clear()
            cancel()
            await client.send_mail("a@b", "c@d", MESSAGE)

        await kit.until_cancelled(send)
        client.close()
    assert said == []


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


async def test_a_receiver_can_be_cancelled_whenever_its_client_waits(kit: Kit) -> None:
    store = AsyncStore(kit)

    async def serve() -> None:
        async with (
            kit.serve_smtp(store, **TLS) as server,
            smtp_client(kit, server, **QUICK) as client,
        ):
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()

    await every_await(kit, serve)
    assert store.kept.contents[-1] == MESSAGE


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


@pytest.mark.parametrize("whole", [False, True])
async def test_who_gives_up_waiting_for_content_and_asks_again_loses_none(
    kit: Kit, whole: bool
) -> None:
    got: list[bytes] = []

    class Impatient(smtp.AsyncApplication):
        async def message(
            self, envelope: smtp.Envelope, content: AsyncBlocks
        ) -> smtp.Reply | None:
            ask = content.read if whole else content.__anext__
            for octets in (b"one\r\n", b"two\r\n"):
                client.sock.sendall(octets)
                assert await kit.cancelled_at(1, ask)
            client.sock.sendall(b"three\r\n.\r\n")
            got.append(await content.read())
            return None

    async with kit.serve_smtp(Impatient) as server:
        client = raw(server)
        await kit.thread(client.hear)
        for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"):
            await kit.thread(partial(client.say, line))
        assert (await kit.thread(client.hear))[:3] == "250"
        client.close()
    assert got == [b"one\r\ntwo\r\nthree\r\n"]


@pytest.mark.parametrize("error", [SystemExit(1), BaseException("panic")])
async def test_what_ends_a_thread_does_not_end_the_loop(
    kit: Kit, error: BaseException
) -> None:
    kept = Kept()

    class Verifying(smtp.Application):
        def verify(self, command: smtp.Vrfy) -> smtp.Reply | None:
            raise error

    async with (
        kit.serve_smtp(Verifying, report=kept.report) as server,
        smtp_client(kit, server) as client,
    ):
        with pytest.raises(smtp.Rejected, match="451"):
            await client.verify("a")
        assert (await client.noop()).code == 250
    assert kept.mistakes == [f"{error!r} was raised in a thread"]


@contextlib.contextmanager
def no_thread_to_be_had() -> Iterator[None]:
    size = threading.stack_size(1 << 47)  # more than there is
    try:
        yield
    finally:
        threading.stack_size(size)


async def test_what_has_no_thread_fails_for_now_and_is_not_done_later(kit: Kit) -> None:
    asked: list[str] = []
    kept = Kept()

    class Verifying(smtp.Application):
        def verify(self, command: smtp.Vrfy) -> smtp.Reply | None:
            asked.append(command.string)
            return None

    async with (
        kit.serve_smtp(Verifying, report=kept.report) as server,
        smtp_client(kit, server) as client,
    ):
        with no_thread_to_be_had(), pytest.raises(smtp.Rejected, match="451"):
            await client.verify("one")
        assert (await client.verify("two")).code == 252
    assert asked == ["two"]
    assert ["start new thread" in each for each in kept.mistakes] == [True]


async def test_a_maildrop_is_closed_also_where_there_is_no_thread(kit: Kit) -> None:
    closed = []

    class Closing(pop3.AsyncMaildrop):
        def close(self) -> None:  # type: ignore[override]
            closed.append(threading.current_thread().name)

    class Readers(pop3.AsyncApplication):
        async def authenticate(self, question: sasl.Question) -> object:
            return USERS.answer(question)

        async def open(self, identity: str) -> pop3.AsyncMaildrop:
            return Closing()

    async with kit.serve_pop3(Readers, **TLS) as server:
        client = await pop3_client(kit, server, mechanism="CRAM-MD5")
        with no_thread_to_be_had():
            await client.quit()
    assert closed == ["MainThread"]


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


async def test_files_and_iterables_are_sent_from_a_thread(
    kit: Kit, tmp_path: Path
) -> None:
    names: set[str] = set()

    def blocks() -> Iterator[bytes]:
        names.add(threading.current_thread().name[:8])
        yield MESSAGE

    path = tmp_path / "message"
    path.write_bytes(MESSAGE)
    store = AsyncStore(kit)
    async with kit.serve_smtp(store) as server, smtp_client(kit, server) as client:
        (await client.send_mail("a@b", "c@d", blocks())).check()
        with path.open("rb") as file:
            (await client.send_mail("a@b", "c@d", file)).check()
    assert store.kept.contents == [MESSAGE, MESSAGE]
    assert names == {"smtp-pop"}


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name[:8] == "smtp-pop"]


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


# Names that are looked up


async def test_others_run_while_a_server_looks_up_where_it_listens(kit: Kit) -> None:
    found: list[End] = []

    async def resolve(*_: object) -> list[End]:
        while not found:
            await kit.checkpoint()
        return found

    slow: Runtime = type("Slow", (type(kit.runtime),), {"resolve": resolve})()
    async with kit.tasks() as start:
        begun = start(lambda: listening(slow, None, "mx.example", 0))
        for _ in range(10):
            await kit.checkpoint()
        found.append((socket.AF_INET, (HOST, 0)))
        [listener], files = await begun.result()
    with listener:
        assert listener.getsockname()[0] == HOST
    assert files == []
