"""SMTP through each adapter: a client and a server, on loopback."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import pytest

from adapting import Adapter
from asynchronous import ADAPTERS, KITS
from certificates import NAME, client_context, server_context
from door import Door, Serving
from loopback import Raw, scripted
from receiving import AsyncStore, Kept, Store
from smtp_pop_adapters import blocking
from smtp_pop_core import (
    Blocks,
    ConnectionLost,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    Timeouts,
    smtp,
)

SOON: Final = 0.01  # seconds, where time itself is tested
LONG: Final = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
MESSAGE: Final = b"Subject: hello\r\n\r\nOne line.\r\n"


def client_of(adapter: Adapter, server: Any, **options: Any) -> Any:
    return adapter.connect_smtp(*server.addresses[0], **options)


STORES: Final = [
    *[pytest.param(each, Store(), id=each.name) for each in ADAPTERS],
    *[pytest.param(each, AsyncStore(each), id=f"{each.name}-async") for each in KITS],
]
"""Applications are plain ones, and async ones where functions are awaited."""

each_store: Final = pytest.mark.parametrize(("adapter", "store"), STORES)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def nothing_is_kept(store: Store | AsyncStore) -> None:
    store.kept = Kept()


# Sending


@each_store
async def test_a_message_goes_from_a_client_to_a_server(
    adapter: Adapter, store: Store | AsyncStore
) -> None:
    async with (
        adapter.serve_smtp(store) as server,
        client_of(adapter, server) as client,
    ):
        assert "SIZE" in client.extensions
        result = await client.send_mail("a@b", ["c@d", "no@d"], MESSAGE)
        assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
        assert result.refused == ["no@d"]
        assert store.peer.address == "127.0.0.1"
        assert store.peer.port > 0
    assert store.kept.contents == [MESSAGE]
    assert store.kept.endings == [smtp.Ending.QUIT]


@pytest.mark.parametrize("chunking", [False, True])
@each_store
async def test_long_content_goes_from_a_client_to_a_server(
    adapter: Adapter, store: Store | AsyncStore, chunking: bool
) -> None:
    async with (
        adapter.serve_smtp(store) as server,
        client_of(adapter, server) as client,
    ):
        result = await client.send_mail("a@b", "c@d", LONG, chunking=chunking)
        result.check()
    assert store.kept.contents == [LONG]


async def test_an_email_message_is_sent(adapter: Adapter, store: Store) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@b.example", "c@d.example"
    message.set_content("hello")
    async with (
        adapter.serve_smtp(store) as server,
        client_of(adapter, server) as client,
    ):
        (await client.send_message(message)).check()
    assert store.kept.contents[0].endswith(b"\r\n\r\nhello\r\n")


async def test_files_and_iterables_are_sent(
    adapter: Adapter, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "message"
    path.write_bytes(MESSAGE)
    async with (
        adapter.serve_smtp(store) as server,
        client_of(adapter, server) as client,
    ):
        (await client.send_mail("a@b", "c@d", iter([MESSAGE[:9], MESSAGE[9:]]))).check()
        with path.open("rb") as file:
            (await client.send_mail("a@b", "c@d", file)).check()
    assert store.kept.contents == [MESSAGE, MESSAGE]


async def test_a_client_has_a_method_for_each_conversation(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_smtp(store) as server:
        client = await client_of(adapter, server, domain="me.example")
        replies = [
            await client.verify("somebody"),
            await client.expand("a-list"),
            await client.help(),
            await client.noop(),
            await client.reset(),
        ]
        assert [reply.code for reply in replies] == [252, 252, 214, 250, 250]
        with pytest.raises(LocalProtocolError, match="ETRN"):
            await client.etrn("node.example")
        reply = await client.quit()
        assert reply.code == 221
        assert await client.quit() is None


async def test_a_client_can_ask_for_its_queue(adapter: Adapter) -> None:
    class Queue(smtp.Application):
        def command(self, command: smtp.Command) -> smtp.Reply | None:
            return smtp.Reply(252, (f"started for {command}",))

    extensions = (*smtp.usual(), smtp.extensions.Etrn())
    async with (
        adapter.serve_smtp(Queue, extensions=extensions) as server,
        client_of(adapter, server) as client,
    ):
        reply = await client.etrn("host.example")
    assert reply.text == "started for Etrn(node='host.example')"


async def test_a_client_traces_the_dialogue(adapter: Adapter, store: Store) -> None:
    lines: list[str] = []
    async with (
        adapter.serve_smtp(store, domain="mx.example") as server,
        client_of(adapter, server, trace=lines.append),
    ):
        pass
    assert lines[0] == "S: 220 mx.example ESMTP"
    assert lines[-2:] == ["C: QUIT", "S: 221 2.0.0 mx.example closing"]


async def test_a_client_that_leaves_by_an_exception_does_not_say_quit(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_smtp(store) as server:
        with pytest.raises(ZeroDivisionError):
            async with client_of(adapter, server):
                raise ZeroDivisionError
        await adapter.until(lambda: store.kept.endings)
    assert store.kept.endings == [smtp.Ending.LOST]


async def test_a_client_whose_server_has_gone_leaves_in_peace(
    adapter: Adapter, store: Store
) -> None:
    async with (
        adapter.serve_smtp(store) as server,
        client_of(adapter, server) as client,
    ):
        await server.stop(timeout=SOON)
    assert client.connection.state is smtp.State.CLOSED


async def test_one_server_hands_the_content_on_to_another_as_it_comes(
    adapter: Adapter, store: Store
) -> None:
    class Relay(smtp.Application):
        def message(
            self, envelope: smtp.Envelope, content: Blocks
        ) -> smtp.Reply | None:
            with blocking.connect_smtp(*back.addresses[0]) as client:
                return client.send_mail(
                    envelope.mail, envelope.recipients, content
                ).reply

    async with (
        adapter.serve_smtp(store) as back,
        adapter.serve_smtp(Relay) as front,
        client_of(adapter, front) as client,
    ):
        (await client.send_mail("a@b", ["c@d"], LONG)).check()
    assert store.kept.contents == [LONG]


REFUSING: Final = [b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go", b"552 no"]


@pytest.mark.parametrize("secure", [False, True])
async def test_a_refusal_in_the_middle_of_content_is_heard(
    adapter: Adapter, secure: bool
) -> None:
    """The client does not send on to a server that has said no."""

    def endless() -> Iterator[bytes]:
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

    tls = {"tls": "implicit", "context": client_context(), "server_hostname": NAME}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with adapter.tasks() as start:
            start(lambda: adapter.thread(session))
            where = listener.getsockname()
            client = await adapter.connect_smtp(*where, **(tls if secure else {}))
            result = await client.send_mail("a@b", "c@d", endless())
            client.close()
    assert str(result.reply) == "552 no"
    assert client.connection.closed


# Connections


async def test_a_client_speaks_over_ipv6(adapter: Adapter, store: Store) -> None:
    async with (
        adapter.serve_smtp(store, host="::1") as server,
        client_of(adapter, server) as client,
    ):
        assert server.addresses[0][0] == "::1"
        (await client.send_mail("a@b", "c@d", MESSAGE)).check()
    assert store.kept.contents == [MESSAGE]


async def test_a_client_speaks_over_a_unix_socket(
    adapter: Adapter, store: Store, tmp_path: Path
) -> None:
    path = str(tmp_path / "smtp")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    async with adapter.serve_smtp(store, sock=listener) as server:
        assert server.addresses == [(path, 0)]
        async with adapter.connect_smtp(path) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()
            assert store.peer.address == ""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        async with adapter.connect_smtp(sock=sock) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()
    assert store.kept.contents == [MESSAGE, MESSAGE]


async def test_a_client_tries_every_address_of_a_name(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_smtp(store) as server:
        port = server.addresses[0][1]
        async with adapter.connect_smtp("localhost", port) as client:
            assert (await client.noop()).code == 250


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
async def test_nobody_listening_is_an_os_error(adapter: Adapter, protocol: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await adapter.connect(protocol, *sock.getsockname())
        with pytest.raises(ConnectionRefusedError):
            async with adapter.connect(protocol, *sock.getsockname()):
                pass


async def test_a_connection_that_does_not_come_about_is_too_slow(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_smtp(store) as server:
        with pytest.raises(TimeoutError):
            await client_of(adapter, server, timeout=0)


async def test_a_server_that_does_not_greet_is_too_slow(adapter: Adapter) -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        await adapter.connect_smtp(*listener.getsockname(), limits=limits)


REFUSALS: Final = [
    # what the server says, the error, what the client has said
    ([b"554 no\r\n", b"221 bye\r\n"], smtp.Rejected, [b"QUIT\r\n", b""]),
    (
        [b"220 hi\r\n", b"451 no\r\n", b"221 bye\r\n"],
        smtp.Rejected,
        [b"EHLO me.example\r\n", b"QUIT\r\n", b""],
    ),
    ([b"SSH-2.0-OpenSSH_9.9\r\n"], RemoteProtocolError, [b""]),
    ([], ConnectionLost, []),
    ([b"220 hi\r\n"], ConnectionLost, [b"EHLO me.example\r\n"]),
]


@pytest.mark.parametrize(("replies", "error", "heard"), REFUSALS)
async def test_a_client_that_gets_no_session_says_why(
    adapter: Adapter, replies: list[bytes], error: type[Exception], heard: list[bytes]
) -> None:
    with scripted(*replies) as (address, session):
        with pytest.raises(error):
            await adapter.connect_smtp(*address, domain="me.example")
        await adapter.checkpoint()
        assert await adapter.thread(session.result) == heard


async def test_a_name_of_ours_that_is_none_is_found_at_once(
    adapter: Adapter, store: Store
) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(ValueError, match="not a domain"):
        await adapter.connect_smtp(sock=ours, domain="a b")
    await adapter.checkpoint()
    assert ours.fileno() == -1
    with pytest.raises(ValueError, match="not a domain"):
        async with adapter.serve_smtp(store, domain="a b"):
            pass


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
async def test_an_option_that_is_misspelled_is_found(
    adapter: Adapter, store: Store, protocol: str
) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(TypeError, match="there is no option 'auht'"):
        await adapter.connect(protocol, sock=ours, auht=None)
    await adapter.checkpoint()
    assert ours.fileno() == -1
    with pytest.raises(TypeError, match="there is no option 'tsl'"):
        async with adapter.serve(protocol, store, tsl=None):
            pass


# What goes wrong in a server


class Failing(smtp.Application):
    """Fails at every turn."""

    def mail(self, command: smtp.Mail) -> smtp.Reply | None:
        raise ValueError("secret")

    def close(self, reason: smtp.Ending) -> None:
        raise OSError("the file system is gone")


class AsyncFailing(smtp.AsyncApplication):
    """The same in methods that are awaited."""

    async def mail(self, command: smtp.Mail) -> smtp.Reply | None:
        raise ValueError("secret")

    async def close(self, reason: smtp.Ending) -> None:
        raise OSError("the file system is gone")


FAILING: Final = [
    *[pytest.param(each, Failing, id=each.name) for each in ADAPTERS],
    *[pytest.param(each, AsyncFailing, id=f"{each.name}-async") for each in KITS],
]


@pytest.mark.parametrize(("adapter", "failing"), FAILING)
async def test_mistakes_of_the_application_are_reported_and_not_told(
    adapter: Adapter, failing: smtp.ApplicationFactory, store: Store
) -> None:
    async with (
        adapter.serve_smtp(failing, report=store.kept.report) as server,
        client_of(adapter, server) as client,
    ):
        result = await client.send_mail("a@b", "c@d", MESSAGE)
        assert str(result.reply) == "451 4.3.0 Local error in processing"
    assert store.kept.mistakes == ["secret", "the file system is gone"]


async def test_a_report_that_fails_ends_neither_session_nor_server(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    class Mistaken(smtp.Application):
        def verify(self, command: smtp.Vrfy) -> smtp.Reply | None:
            raise ValueError("a mistake")

    def report(error: Exception) -> None:
        raise ConnectionError("nobody listens")

    async with (
        adapter.serve_smtp(Mistaken, report=report) as server,
        client_of(adapter, server) as client,
    ):
        with pytest.raises(smtp.Rejected, match="451"):
            await client.verify("a")
        assert (await client.noop()).code == 250
    assert caplog.messages == [
        "ValueError('a mistake')",
        "ConnectionError('nobody listens')",
    ]


def broken(peer: smtp.Peer) -> smtp.Application:
    raise ValueError("no application today")


async def test_without_an_application_there_is_no_session(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_smtp(broken, report=store.kept.report) as server:
        with pytest.raises(smtp.Rejected, match="421"):
            await client_of(adapter, server)
    assert store.kept.mistakes == ["no application today"]


def test_a_client_that_says_nothing_is_told_and_left(
    serving: Serving, store: Store
) -> None:
    def meet(door: Door) -> None:
        client = door.enter()
        assert [client.hear()[:3], client.hear()] == ["421", ""]

    limits = Limits(timeouts=Timeouts(command=SOON))
    serving("smtp", meet, application=store, limits=limits)
    assert store.kept.endings == [smtp.Ending.TIMEOUT]


def test_single_octets_do_not_push_a_deadline_back(
    serving: Serving, store: Store
) -> None:
    def meet(door: Door) -> None:
        client = door.enter()
        client.sock.settimeout(SOON)
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                client.sock.send(b"N")
                with contextlib.suppress(TimeoutError):
                    assert client.sock.recv(100).startswith(b"421 ")
                    return

    limits = Limits(timeouts=Timeouts(command=0.1))
    serving("smtp", meet, application=store, limits=limits)
    assert store.kept.endings == [smtp.Ending.TIMEOUT]


@each_store
def test_a_message_that_breaks_off_is_no_message(
    adapter: Adapter, store: Store | AsyncStore
) -> None:
    def meet(door: Door) -> None:
        client = door.enter()
        for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "x"):
            client.sock.sendall(line.encode() + b"\r\n")
        client.close()
        door.until(lambda: bool(store.kept.endings))

    Serving(adapter)("smtp", meet, application=store)
    assert store.kept.endings == [smtp.Ending.LOST]
    assert store.kept.contents == []


# Many sessions


async def test_many_sessions_are_served_side_by_side(
    adapter: Adapter, store: Store
) -> None:
    async def send() -> None:
        async with client_of(adapter, server) as client:
            (await client.send_mail("a@b", "c@d", MESSAGE)).check()

    async with adapter.serve_smtp(store) as server:
        async with adapter.tasks() as start:
            tasks = [start(send) for _ in range(50)]
        assert [await each.result() for each in tasks] == [None] * 50
    assert store.kept.contents == [MESSAGE] * 50


def test_the_bound_holds_for_all_addresses_together(serving: Serving) -> None:
    def meet(door: Door) -> None:
        assert [door.server.addresses[number][0] for number in (0, 1)] == [
            "0.0.0.0",
            "::",
        ]
        assert door.enter().say("NOOP").startswith("250 ")
        port = door.server.addresses[1][1]
        with contextlib.closing(Raw(socket.create_connection(("::1", port)))) as other:
            assert other.hear() == "421 Too many sessions, try again later"

    serving("smtp", meet, host="", sessions=1)


LARGE: Final = b"a line of content\r\n" * 4_000  # so much that two are too much


async def test_all_sessions_together_hold_so_much_content(
    adapter: Adapter, store: Store
) -> None:
    limits = Limits(content=100_000)
    options: dict[str, Any] = {"limits": limits, "content_in_flight": 100_000}
    async with (
        adapter.serve_smtp(store, **options) as server,
        client_of(adapter, server) as one,
        client_of(adapter, server) as other,
    ):
        for each in (one, other, one):  # what is answered is not held
            result = await each.send_mail("a@example.com", "b@example.com", LARGE)
            assert result.outcome is smtp.Outcome.ACCEPTED


async def test_a_message_has_to_fit_into_what_all_may_hold(
    adapter: Adapter, store: Store
) -> None:
    with pytest.raises(ValueError, match="below what one message may have"):
        async with adapter.serve_smtp(store, content_in_flight=49_999_999):
            pass


# The end of a server


def begin(client: Raw) -> None:
    """Begin a transaction, up to DATA."""
    replies = [
        client.say(line)[:3]
        for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA")
    ]
    assert replies == ["250", "250", "250", "354"]


def test_an_idle_session_is_told_that_the_server_ends(
    serving: Serving, store: Store
) -> None:
    def meet(door: Door) -> Callable[[], None]:
        client = door.enter()

        def last() -> None:
            assert client.hear() == "421 4.3.2 Shutting down"

        return last

    server = serving("smtp", meet, application=store)
    assert store.kept.endings == [smtp.Ending.STOPPING]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.addresses[0])


def test_a_running_transaction_may_end(serving: Serving, store: Store) -> None:
    def meet(door: Door) -> Callable[[], None]:
        idle, running = door.enter(), door.enter()
        begin(running)
        running.sock.sendall(MESSAGE[:10])

        def last() -> None:
            assert idle.hear().startswith("421 ")  # so the running one has been told
            idle.close()
            running.sock.sendall(MESSAGE[10:])
            assert running.say(".").startswith("250 ")
            assert running.hear().startswith("421 ")
            assert running.hear() == ""

        return last

    serving("smtp", meet, application=store)
    assert store.kept.contents == [MESSAGE]


async def test_a_transaction_that_does_not_end_is_cut_off(
    adapter: Adapter, store: Store
) -> None:
    def enter(address: tuple[str, int]) -> Raw:
        client = Raw(socket.create_connection(address))
        assert client.hear().startswith("220 ")
        begin(client)
        return client

    async with adapter.serve_smtp(store) as server:
        client = await adapter.thread(lambda: enter(server.addresses[0]))
        await server.stop(timeout=SOON)
        await server.stop()
        with contextlib.closing(client):
            assert await adapter.thread(client.hear) == ""
    assert store.kept.endings == [smtp.Ending.LOST]
    assert store.kept.contents == []
