"""POP3 through each adapter: a client and a server, on loopback."""

import contextlib
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapting import Adapter
from door import Door, Serving
from loopback import Raw, scripted
from maildrops import ALICE, LOGINS, OPEN_LOGINS, Maildrop, Store
from smtp_pop_core import (
    Blocks,
    ConnectionLost,
    Limits,
    LocalProtocolError,
    MessageAborted,
    PolicyError,
    RemoteProtocolError,
    Timeouts,
    pop3,
    sasl,
)

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
ONE = b"Subject: one\r\n\r\nfirst\r\n"
TWO = b"Subject: two\r\n\r\n.\r\n..\r\nlast\r\n"
THREE = b"Subject: three\r\n\r\nthird\r\n"


def server_of(
    adapter: Adapter, store: pop3.ApplicationFactory, **options: Any
) -> AbstractAsyncContextManager[Any]:
    return adapter.serve_pop3(store, logins=LOGINS, **options)


def client_of(adapter: Adapter, server: Any, **options: Any) -> Any:
    options = {"tls": "none", "auth": ALICE} | options
    return adapter.connect_pop3(*server.addresses[0], **options)


@contextlib.asynccontextmanager
async def session(adapter: Adapter, store: Store, **options: Any) -> AsyncIterator[Any]:
    """A client after its login."""
    async with (
        server_of(adapter, store) as server,
        client_of(adapter, server, **options) as client,
    ):
        yield client


@pytest.fixture
def store() -> Store:
    return Store(ONE, TWO, THREE)


# What a maildrop holds


async def test_a_client_learns_what_there_is(adapter: Adapter, store: Store) -> None:
    async with session(adapter, store) as client:
        octets = len(ONE + TWO + THREE)
        assert await client.status() == pop3.Totals(messages=3, octets=octets)
        assert await client.messages() == (
            pop3.Listed(1, len(ONE), "id-1"),
            pop3.Listed(2, len(TWO), "id-2"),
            pop3.Listed(3, len(THREE), "id-3"),
        )
        assert "PIPELINING" in client.capabilities


async def test_a_maildrop_may_be_empty(adapter: Adapter, store: Store) -> None:
    store.contents = ()
    async with session(adapter, store) as client:
        assert await client.status() == pop3.Totals(messages=0, octets=0)
        assert await client.messages() == ()
        assert await client.retrieve_many([], lambda number, content: None) == {}
        with pytest.raises(pop3.Rejected, match="No such message"):
            await client.fetch(1)


CONTENTS = [
    # what is in the store, what a client gets; RFC 1939 section 3
    pytest.param(ONE, ONE, id="small"),
    pytest.param(b".\r\n..\r\n.one\r\n\r\n.\r\n", None, id="dots"),
    pytest.param(b"\r\n.\r\nDELE 1\r\n", None, id="what looks like the end"),
    pytest.param(b"", None, id="empty"),
    pytest.param(b"\r\n", None, id="an empty line"),
    pytest.param(b"no end", b"no end\r\n", id="no final line end"),
    pytest.param(b"x\r\n.", b"x\r\n.\r\n", id="a dot without line end"),
    pytest.param(b"one\n.two\n\n", b"one\r\n.two\r\n\r\n", id="LF"),
    pytest.param(bytes(range(128, 256)) + b"\r\n", None, id="8-bit"),
    pytest.param((b"." * 100_000 + b"\r\n") * 20, None, id="lines of 100 kB"),
    pytest.param(b"." * 100_000 + b"\r\n" * 100_000, None, id="100,000 empty lines"),
    pytest.param(b"x" * 5_000_000, b"x" * 5_000_000 + b"\r\n", id="one line of 5 MB"),
    pytest.param((b"." * 76 + b"\r\n") * 320_513, None, id="25 MB"),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
async def test_a_message_arrives_octet_for_octet(
    adapter: Adapter, content: bytes, expected: bytes | None
) -> None:
    expected = content if expected is None else expected
    async with session(adapter, Store(content, ONE)) as client:
        (message, _) = await client.messages()
        assert await client.fetch(message) == expected
        assert message.size == len(expected)
        assert await client.fetch(2) == ONE


async def test_a_message_comes_in_blocks(adapter: Adapter, store: Store) -> None:
    store.contents = (LONG,)
    async with session(adapter, store) as client, client.retrieve(1) as content:
        blocks = [each async for each in content]
    assert len(blocks) > 10
    assert b"".join(blocks) == LONG


async def test_a_message_can_be_read_whole(adapter: Adapter, store: Store) -> None:
    async with session(adapter, store) as client, client.retrieve(2) as content:
        assert await content.read() == TWO
        assert await content.read() == b""


@pytest.mark.parametrize("blocks", [0, 1])
async def test_what_is_left_of_a_message_is_dropped(
    adapter: Adapter, store: Store, blocks: int
) -> None:
    store.contents = (LONG, TWO)
    async with session(adapter, store) as client:
        async with client.retrieve(1) as content:
            for _ in range(blocks):
                await anext(aiter(content))
        assert await client.fetch(2) == TWO


async def test_the_session_goes_on_after_an_exception_in_a_message(
    adapter: Adapter, store: Store
) -> None:
    store.contents = (LONG, TWO)

    async def fail() -> None:
        async with client.retrieve(1) as content:
            await anext(aiter(content))
            raise ZeroDivisionError

    async with session(adapter, store) as client:
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await client.fetch(2) == TWO
    assert await adapter.thread(store.ending) is pop3.Ending.QUIT


class Failing(Maildrop):
    """Breaks off in the middle of the first message."""

    def read(self, number: int) -> Iterator[bytes]:
        yield from super().read(number)
        if number == 1:
            raise OSError("the disk is gone")


async def test_a_message_that_breaks_off_is_no_message(
    adapter: Adapter, store: Store
) -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()
    store.maildrop = Failing
    async with (
        server_of(adapter, store, report=mistakes.put) as server,
        client_of(adapter, server) as client,
    ):
        await client.delete(3)
        with pytest.raises(MessageAborted):
            async with client.retrieve(1) as content:
                await content.read()
        assert client.connection.closed
    mistake = await adapter.thread(lambda: mistakes.get(timeout=30))
    assert str(mistake) == "the disk is gone"
    assert (store.removed, store.closed) == ([], 1)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (0, b"Subject: two\r\n\r\n"),
        (2, b"Subject: two\r\n\r\n.\r\n..\r\n"),
        (9, TWO),
    ],
)
async def test_a_header_comes_with_some_lines(
    adapter: Adapter, store: Store, lines: int, expected: bytes
) -> None:
    async with session(adapter, store) as client:
        async with client.top(2, lines) as content:
            assert await content.read() == expected
        async with client.top(2, lines):
            pass
        assert await client.fetch(2) == TWO


async def test_there_is_no_fourth_message(adapter: Adapter, store: Store) -> None:
    async with session(adapter, store) as client:
        with pytest.raises(pop3.Rejected, match="No such message"):
            await client.fetch(4)
        with pytest.raises(pop3.Rejected, match="No such message"):
            async with client.retrieve(4):
                pass
        with pytest.raises(pop3.Rejected, match="No such message"):
            async with client.top(4):
                pass
        assert await client.fetch(3) == THREE


async def test_a_message_beyond_the_bound_is_only_given_in_blocks(
    adapter: Adapter, store: Store
) -> None:
    limits = Limits(content=len(TWO) - 1)
    async with session(adapter, store, limits=limits) as client:
        with pytest.raises(PolicyError, match="the message has 29 octets"):
            await client.fetch(2)
        async with client.retrieve(2) as content:
            assert b"".join([each async for each in content]) == TWO


# Many messages


async def test_many_messages_come_one_after_the_other(
    adapter: Adapter, store: Store
) -> None:
    async with session(adapter, store) as client:
        got: dict[int, bytes] = {}

        def keep(number: int, content: Blocks) -> None:
            got[number] = content.read()

        await client.delete(2)
        refused = await client.retrieve_many([3, 2, 1], keep)
        assert got == {3: THREE, 1: ONE}
        assert str(refused[2]) == "-ERR No such message"
        assert (await client.status()).messages == 2


async def test_what_a_sink_leaves_is_dropped(adapter: Adapter, store: Store) -> None:
    store.contents = (LONG, LONG, ONE)
    begun: list[bytes] = []
    async with session(adapter, store) as client:
        await client.retrieve_many(
            [1, 2, 3], lambda number, content: begun.append(next(iter(content)))
        )
    assert [LONG.startswith(each) for each in begun[:2]] == [True, True]
    assert begun[2] == ONE


async def test_after_a_sink_that_fails_nothing_is_deleted(
    adapter: Adapter, store: Store
) -> None:
    def fail(number: int, content: Blocks) -> None:
        raise OSError("no space left")

    async with server_of(adapter, store) as server:
        async with client_of(adapter, server) as client:
            await client.delete(1)
            with pytest.raises(OSError, match="no space left"):
                await client.retrieve_many([2, 3], fail)
            assert client.connection.closed
        assert await adapter.thread(store.ending) is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


async def test_ten_thousand_messages_are_listed_and_deleted(adapter: Adapter) -> None:
    contents = [b"%d\r\n" % number for number in range(1, 10_001)]
    got: list[bytes] = []
    async with session(adapter, Store(*contents)) as client:
        listed = await client.messages()
        await client.retrieve_many(
            listed[::50], lambda _, content: got.append(content.read())
        )
        assert await client.delete(*listed) == {}
        assert (await client.status()).messages == 0
    assert listed[0] == pop3.Listed(1, 3, "id-1")
    assert listed[-1] == pop3.Listed(10_000, 7, "id-10000")
    assert got == contents[::50]


async def test_what_is_new_is_collected(adapter: Adapter, store: Store) -> None:
    got: list[bytes] = []
    noted: list[str] = []
    seen = pop3.Seen(["id-2"])
    async with session(adapter, store) as client:
        collected = await client.collect(
            lambda _, content: got.append(content.read()),
            seen=seen,
            note=noted.append,
            delete_stored=True,
        )
    collected.check()
    assert got == [ONE, THREE]
    assert noted == ["id-1", "id-3"]
    assert seen == pop3.Seen(["id-1", "id-2", "id-3"])
    assert [each.number for each in collected.deleted] == [2, 1, 3]
    assert store.removed == [{1, 2, 3}]


# Deleting, and the end of a session


async def test_quit_removes_what_is_marked(adapter: Adapter, store: Store) -> None:
    async with session(adapter, store) as client:
        refused = await client.delete(1, pop3.Listed(3, len(THREE)), 4)
        assert [str(each) for each in refused.values()] == ["-ERR No such message"]
        assert await client.status() == pop3.Totals(1, len(TWO))
    assert (store.removed, store.closed) == ([{1, 3}], 1)
    assert await adapter.thread(store.ending) is pop3.Ending.QUIT


async def test_reset_takes_the_marks_back(adapter: Adapter, store: Store) -> None:
    async with session(adapter, store) as client:
        await client.delete(1, 2)
        assert (await client.reset()).cls is pop3.OK
        assert (await client.status()).messages == 3
        await client.delete(3)
    assert store.removed == [{3}]


async def test_a_client_that_leaves_by_an_exception_removes_nothing(
    adapter: Adapter, store: Store
) -> None:
    async def fail() -> None:
        async with client_of(adapter, server) as client:
            await client.delete(1)
            raise ZeroDivisionError

    async with server_of(adapter, store) as server:
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await adapter.thread(store.ending) is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


async def test_a_client_that_closes_removes_nothing(
    adapter: Adapter, store: Store
) -> None:
    async with session(adapter, store) as client:
        await client.delete(1)
        client.close()
        assert await client.quit() is None
        assert await adapter.thread(store.ending) is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


async def test_a_client_hears_what_quit_has_come_to(
    adapter: Adapter, store: Store
) -> None:
    class Kept(Maildrop):
        def commit(self, deleted: Iterable[int]) -> set[int]:
            return {2}

    store.maildrop = Kept
    async with session(adapter, store) as client:
        await client.delete(1, 2)
        response = await client.quit()
        assert await client.quit() is None
    assert str(response) == "-ERR [SYS/TEMP] 1 messages were not removed"


async def test_a_client_whose_server_has_gone_leaves_in_peace(
    adapter: Adapter, store: Store
) -> None:
    async with (
        server_of(adapter, store) as server,
        client_of(adapter, server) as client,
    ):
        await client.delete(1)
        await server.stop(timeout=SOON)
    assert client.connection.closed
    assert (store.removed, store.closed) == ([], 1)


# What else a client can ask


class Speaking(Store):
    """Knows the languages of RFC 6856 section 3.2."""

    def command(self, command: pop3.Command) -> pop3.Response | None:
        german = pop3.Language("de", "Deutsch")
        english = pop3.Language("en", "English")
        match command:
            case pop3.Lang(tag="de"):
                return pop3.Response(pop3.OK, data=pop3.Languages((german,)))
            case pop3.Lang(tag=None):
                return pop3.Response(pop3.OK, data=pop3.Languages((german, english)))
        return None


async def test_a_client_has_a_method_for_each_conversation(adapter: Adapter) -> None:
    capabilities = (*pop3.usual(), pop3.capabilities.Lang())
    async with (
        server_of(adapter, Speaking(), capabilities=capabilities) as server,
        client_of(adapter, server) as client,
    ):
        assert (await client.noop()).cls is pop3.OK
        assert [each.tag for each in await client.languages()] == ["de", "en"]
        assert await client.language("de") == pop3.Language("de", "Deutsch")
        with pytest.raises(pop3.Rejected, match="No such language"):
            await client.language("fr")
        assert await client.run(pop3.unique_ids(client.connection)) == {}


async def test_languages_that_are_not_offered_are_not_asked_for(
    adapter: Adapter, store: Store
) -> None:
    async with session(adapter, store) as client:
        with pytest.raises(LocalProtocolError, match="LANG"):
            await client.languages()
        with pytest.raises(LocalProtocolError, match="LANG"):
            await client.language("de")


@pytest.mark.parametrize("utf8", [False, True])
async def test_a_client_may_say_utf8(
    adapter: Adapter, store: Store, utf8: bool
) -> None:
    async with session(adapter, store, utf8=utf8) as client:
        assert client.connection.utf8 is store.peer.utf8 is utf8


async def test_a_dialogue_is_traced_without_secrets(
    adapter: Adapter, store: Store
) -> None:
    lines: list[str] = []
    async with session(adapter, store, trace=lines.append, mechanism="CRAM-MD5"):
        pass
    assert lines[0].startswith("S: +OK ")
    assert "C: AUTH CRAM-MD5" in lines
    assert "S: + (secret)" in lines
    assert lines[-2:] == ["C: QUIT", "S: +OK Goodbye"]
    assert not any("alice" in line for line in lines)


# Logins


async def test_a_server_without_logins_takes_passwords_inside_tls_only(
    adapter: Adapter, store: Store
) -> None:
    async with adapter.serve_pop3(store) as server:
        async with adapter.connect_pop3(*server.addresses[0]) as client:
            assert "USER" not in client.capabilities
            assert client.connection.mechanisms == ()
        with pytest.raises(PolicyError, match="does not offer USER"):
            await client_of(adapter, server, mechanism="USER", allow_insecure_auth=True)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "APOP"])
async def test_nobody_who_reads_along_learns_the_password(
    adapter: Adapter, store: Store, mechanism: str
) -> None:
    async with (
        server_of(adapter, store, apop=True) as server,
        client_of(adapter, server, mechanism=mechanism) as client,
    ):
        assert (await client.status()).messages == 3
        assert store.peer.identity == "alice"


@pytest.mark.parametrize("mechanism", ["USER", "PLAIN", "LOGIN"])
async def test_a_password_is_shown_only_if_both_sides_want_it(
    adapter: Adapter, store: Store, mechanism: str
) -> None:
    def connect(**options: Any) -> Any:
        return client_of(adapter, server, mechanism=mechanism, **options)

    async with adapter.serve_pop3(store, logins=OPEN_LOGINS) as server:
        with pytest.raises(PolicyError, match="reveal a secret without TLS"):
            await connect()
        async with connect(allow_insecure_auth=True):
            assert store.peer.identity == "alice"
    async with server_of(adapter, store) as server:
        with pytest.raises(PolicyError, match="offer"):
            await connect(allow_insecure_auth=True)


async def test_the_timestamp_of_each_greeting_is_another(
    adapter: Adapter, store: Store
) -> None:
    """RFC 1939 section 7: each time the server greets it is a different one."""
    async with server_of(adapter, store, apop=True, domain="mx.example") as server:
        clients = [await adapter.connect_pop3(*server.addresses[0]) for _ in "12"]
        first, second = [client.connection.timestamp for client in clients]
        for client in clients:
            await client.quit()
    assert first.endswith("@mx.example>")
    assert second.endswith("@mx.example>")
    assert first != second


@pytest.mark.parametrize("mechanism", [None, "CRAM-MD5", "APOP"])
async def test_a_wrong_password_is_refused(
    adapter: Adapter, store: Store, mechanism: str | None
) -> None:
    wrong = sasl.Password("alice", "wrong")
    async with server_of(adapter, store, apop=True) as server:
        with pytest.raises(pop3.AuthenticationFailed, match="Login failed"):
            await client_of(adapter, server, auth=wrong, mechanism=mechanism)
        assert await adapter.thread(store.ending) is pop3.Ending.QUIT
    assert store.removed == []


async def test_a_maildrop_that_is_in_use_is_free_again_later(
    adapter: Adapter, store: Store
) -> None:
    class Locked(Store):
        def open(self, identity: str) -> pop3.Maildrop:
            raise pop3.MaildropInUse

    async with server_of(adapter, Locked()) as server:
        with pytest.raises(pop3.AuthenticationFailed, match="IN-USE") as caught:
            await client_of(adapter, server)
        assert caught.value.temporary


# Servers that do not want us

REFUSALS = [
    # what the server says, the error, what the client has said
    ([b"-ERR no\r\n"], pop3.Rejected, [b""]),
    (
        [b"+OK hi\r\n", b"-ERR\r\n", b"+OK\r\n"],
        PolicyError,
        [b"CAPA\r\n", b"QUIT\r\n", b""],
    ),
    ([b"220 mx.example ESMTP\r\n"], RemoteProtocolError, [b""]),
    ([], ConnectionLost, []),
    ([b"+OK hi\r\n"], ConnectionLost, [b"CAPA\r\n"]),
]


@pytest.mark.parametrize(("answers", "error", "heard"), REFUSALS)
async def test_a_client_that_gets_no_session_says_why(
    adapter: Adapter, answers: list[bytes], error: type[Exception], heard: list[bytes]
) -> None:
    with scripted(*answers) as (address, session):
        with pytest.raises(error):
            await adapter.connect_pop3(*address, tls="none", auth=ALICE)
        assert await adapter.thread(session.result) == heard


async def test_a_server_that_does_not_greet_is_too_slow(adapter: Adapter) -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        await adapter.connect_pop3(*listener.getsockname(), limits=limits)


async def test_a_socket_that_was_handed_in_is_closed_if_nothing_comes_of_it(
    adapter: Adapter,
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"-ERR no\r\n")
        with pytest.raises(pop3.Rejected):
            await adapter.connect_pop3(sock=ours)
        await adapter.checkpoint()
        assert ours.fileno() == -1


async def test_what_is_wrong_with_a_server_is_found_at_once(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        async with adapter.serve_pop3(Store(), domain="a b"):
            pass
    with pytest.raises(ValueError, match="implicit TLS needs a context"):
        async with adapter.serve_pop3(Store(), implicit_tls=True):
            pass


# What goes wrong in a server


def broken(peer: pop3.Peer) -> pop3.Application:
    raise ValueError("no application today")


async def test_without_an_application_there_is_no_session(adapter: Adapter) -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()
    async with server_of(adapter, broken, report=mistakes.put) as server:
        with pytest.raises(pop3.Rejected, match="SYS/TEMP"):
            await client_of(adapter, server)
        mistake = await adapter.thread(lambda: mistakes.get(timeout=30))
    assert str(mistake) == "no application today"


def test_a_client_that_says_nothing_is_left_without_a_word(
    serving: Serving, store: Store
) -> None:
    """RFC 1939 section 3: the server does not enter the UPDATE state."""
    limits = Limits(timeouts=Timeouts(autologout=SOON))

    def meet(door: Door) -> None:
        assert door.enter().rest() == b""

    serving("pop3", meet, application=store, limits=limits)
    assert store.ending() is pop3.Ending.TIMEOUT


# Other sockets


async def test_a_client_speaks_over_ipv6(adapter: Adapter, store: Store) -> None:
    async with (
        adapter.serve_pop3(store, host="::1", logins=LOGINS) as server,
        client_of(adapter, server) as client,
    ):
        assert await client.fetch(1) == ONE
        assert store.peer.address == "::1"
        assert store.peer.port > 0


async def test_a_client_speaks_over_a_unix_socket(
    adapter: Adapter, store: Store, tmp_path: Path
) -> None:
    path = str(tmp_path / "pop3")
    async with (
        adapter.serve_pop3(store, host=path, logins=LOGINS) as server,
        client_of(adapter, server) as client,
    ):
        assert server.addresses == [(path, 0)]
        assert await client.fetch(1) == ONE
        assert store.peer.address == ""


async def test_a_server_takes_a_socket_that_listens_already(
    adapter: Adapter, store: Store
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with adapter.serve_pop3(store, sock=listener, logins=LOGINS) as server:
        assert server.addresses == [listener.getsockname()]
        async with client_of(adapter, server) as client:
            assert await client.fetch(1) == ONE
    assert listener.fileno() == -1


async def test_a_client_speaks_over_a_socket_that_is_handed_in(
    adapter: Adapter, store: Store
) -> None:
    async with server_of(adapter, store) as server:
        sock = socket.create_connection(server.addresses[0])
        async with adapter.connect_pop3(sock=sock, tls="none", auth=ALICE) as client:
            await client.delete(1)
        await adapter.checkpoint()
        assert sock.fileno() == -1
    assert store.removed == [{1}]


# The number of sessions


async def test_many_sessions_are_served_at_once(adapter: Adapter, store: Store) -> None:
    inside: list[Any] = []

    async def fetch() -> bytes:
        async with client_of(adapter, server) as client:
            inside.append(client)
            await adapter.until(lambda: len(inside) == 10)
            content: bytes = await client.fetch(1)
            return content

    async with server_of(adapter, store) as server, adapter.tasks() as start:
        fetching = [start(fetch) for _ in range(10)]
        assert [await each.result() for each in fetching] == [ONE] * 10
    assert store.closed == 10


# The end of a server

LOGIN = ["USER alice", "PASS secret"]
IDLE = [
    # what a client has said before the server ends
    pytest.param([], id="greeted"),
    pytest.param(["USER alice"], id="named"),
    pytest.param(["AUTH SCRAM-SHA-256"], id="in an exchange"),
    pytest.param(LOGIN, id="logged in"),
    pytest.param([*LOGIN, "DELE 1", "STAT"], id="at work"),
]


@pytest.mark.parametrize("lines", IDLE)
def test_an_idle_session_ends_with_the_server(
    serving: Serving, store: Store, lines: list[str]
) -> None:
    """Nothing that was marked is removed: there was no QUIT.  RFC 1939 section 3."""

    def meet(door: Door) -> Callable[[], bytes]:
        client = door.enter()
        for line in lines:
            assert client.say(line).startswith("+")
        return client.rest

    server = serving("pop3", meet, application=store)
    assert store.ending() is pop3.Ending.STOPPING
    assert store.removed == []
    assert store.closed == lines.count("PASS secret")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.addresses[0])


def test_who_waits_for_a_no_gets_it_when_the_server_ends(serving: Serving) -> None:
    asked = threading.Event()

    class Asked(Store):
        def authenticate(self, question: sasl.Question) -> object:
            asked.set()
            return None

    def meet(door: Door) -> Callable[[], None]:
        client = door.enter()
        assert client.say("USER alice").startswith("+OK ")
        client.sock.sendall(b"PASS wrong\r\n")
        assert asked.wait(30)

        def last() -> None:
            assert client.rest() == b"-ERR [AUTH] Login failed\r\n"

        return last

    store = Asked()
    logins = replace(OPEN_LOGINS, delay=3600)
    serving("pop3", meet, application=store, logins=logins)
    assert store.ending() is pop3.Ending.STOPPING


def test_a_message_that_is_being_sent_is_sent_to_its_end(
    serving: Serving, store: Store
) -> None:
    go_on = threading.Event()

    class Slow(Maildrop):
        def read(self, number: int) -> Iterator[bytes]:
            yield ONE
            yield TWO
            go_on.wait(30)
            yield THREE

    def meet(door: Door) -> Callable[[], None]:
        idle, running = door.enter(), door.enter()
        for line in [*LOGIN, "RETR 2"]:
            assert running.say(line).startswith("+OK ")

        def last() -> None:
            assert idle.rest() == b""  # so the running one has been told as well
            idle.close()
            go_on.set()
            stuffed = TWO.replace(b".\r\n", b"..\r\n")
            assert running.rest() == ONE + stuffed + THREE + b".\r\n"

        return last

    store.maildrop = Slow
    limits = Limits(block=1)  # what there is of a message is sent at once
    serving("pop3", meet, application=store, limits=limits)
    assert {store.ending(), store.ending()} == {pop3.Ending.STOPPING}


async def test_a_message_that_nobody_takes_is_cut_off(
    adapter: Adapter, store: Store
) -> None:
    store.contents = (LONG,)

    def begin(address: tuple[str, int]) -> Raw:
        client = Raw(socket.create_connection(address))
        assert client.hear().startswith("+OK ")
        for line in [*LOGIN, "DELE 1", "RSET", "RETR 1"]:
            assert client.say(line).startswith("+OK ")
        return client

    async with adapter.serve_pop3(store, logins=OPEN_LOGINS) as server:
        client = await adapter.thread(lambda: begin(server.addresses[0]))
        await server.stop(timeout=SOON)
        with contextlib.closing(client):
            assert len(await adapter.thread(client.rest)) < len(LONG)
    assert store.ending() is pop3.Ending.STOPPING
    assert (store.removed, store.closed) == ([], 1)


async def test_a_server_can_be_stopped_twice(adapter: Adapter, store: Store) -> None:
    async with server_of(adapter, store) as server:
        await server.stop()
        await server.stop()
