"""POP3 through the blocking adapter: a client and a server, on loopback."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopback import Background, Raw, scripted
from maildrops import ALICE, LOGINS, OPEN_LOGINS, Maildrop, Store
from smtp_pop_adapters._tls import nonce
from smtp_pop_adapters.blocking import (
    Driver,
    Pop3Client,
    Server,
    Stream,
    connect_pop3,
    serve_pop3,
)
from smtp_pop_core import (
    SERVER,
    Blocks,
    ConnectionLost,
    Limits,
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


def server_of(store: pop3.ApplicationFactory, **options: Any) -> Server:
    return serve_pop3(store, "127.0.0.1", logins=LOGINS, **options)


def client_of(server: Server, **options: Any) -> Pop3Client:
    return connect_pop3(*server.addresses[0], tls="none", auth=ALICE, **options)


@contextlib.contextmanager
def session(store: Store, **options: Any) -> Iterator[Pop3Client]:
    """A client after its login."""
    with server_of(store) as server, client_of(server, **options) as client:
        yield client


@pytest.fixture
def store() -> Store:
    return Store(ONE, TWO, THREE)


@pytest.fixture
def client(store: Store) -> Iterator[Pop3Client]:
    with session(store) as client:
        yield client


# What a maildrop holds


def test_a_client_learns_what_there_is(client: Pop3Client) -> None:
    octets = len(ONE + TWO + THREE)
    assert client.status() == pop3.Totals(messages=3, octets=octets)
    assert client.messages() == (
        pop3.Listed(1, len(ONE), "id-1"),
        pop3.Listed(2, len(TWO), "id-2"),
        pop3.Listed(3, len(THREE), "id-3"),
    )
    assert "PIPELINING" in client.capabilities


def test_a_maildrop_may_be_empty(store: Store) -> None:
    store.contents = ()
    with session(store) as client:
        assert client.status() == pop3.Totals(messages=0, octets=0)
        assert client.messages() == ()
        assert client.retrieve_many([], lambda number, content: None) == {}
        with pytest.raises(pop3.Rejected, match="No such message"):
            client.fetch(1)


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
def test_a_message_arrives_octet_for_octet(
    content: bytes, expected: bytes | None
) -> None:
    expected = content if expected is None else expected
    with session(Store(content, ONE)) as client:
        (message, _) = client.messages()
        assert client.fetch(message) == expected
        assert message.size == len(expected)
        assert client.fetch(2) == ONE


def test_a_message_comes_in_blocks(store: Store) -> None:
    store.contents = (LONG,)
    with session(store) as client, client.retrieve(1) as content:
        blocks = list(content)
    assert len(blocks) > 10
    assert b"".join(blocks) == LONG


def test_a_message_can_be_read_whole(client: Pop3Client) -> None:
    with client.retrieve(2) as content:
        assert content.read() == TWO
        assert content.read() == b""


@pytest.mark.parametrize("blocks", [0, 1])
def test_what_is_left_of_a_message_is_dropped(store: Store, blocks: int) -> None:
    store.contents = (LONG, TWO)
    with session(store) as client:
        with client.retrieve(1) as content:
            for _ in zip(range(blocks), content, strict=False):
                pass
        assert client.fetch(2) == TWO


def test_the_session_goes_on_after_an_exception_in_a_message(store: Store) -> None:
    store.contents = (LONG, TWO)

    def fail(content: Blocks) -> None:
        next(iter(content))
        raise ZeroDivisionError

    with session(store) as client:
        with pytest.raises(ZeroDivisionError), client.retrieve(1) as content:
            fail(content)
        assert client.fetch(2) == TWO
    assert store.ending() is pop3.Ending.QUIT


class Failing(Maildrop):
    """Breaks off in the middle of the first message."""

    def read(self, number: int) -> Iterator[bytes]:
        yield from super().read(number)
        if number == 1:
            raise OSError("the disk is gone")


def test_a_message_that_breaks_off_is_no_message(store: Store) -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()
    store.maildrop = Failing
    with server_of(store, report=mistakes.put) as server, client_of(server) as client:
        client.delete(3)
        with pytest.raises(MessageAborted), client.retrieve(1) as content:
            content.read()
        assert client.connection.closed
    assert str(mistakes.get(timeout=30)) == "the disk is gone"
    assert (store.removed, store.closed) == ([], 1)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (0, b"Subject: two\r\n\r\n"),
        (2, b"Subject: two\r\n\r\n.\r\n..\r\n"),
        (9, TWO),
    ],
)
def test_a_header_comes_with_some_lines(
    client: Pop3Client, lines: int, expected: bytes
) -> None:
    with client.top(2, lines) as content:
        assert content.read() == expected
    with client.top(2, lines):
        pass
    assert client.fetch(2) == TWO


def test_there_is_no_fourth_message(client: Pop3Client) -> None:
    with pytest.raises(pop3.Rejected, match="No such message"):
        client.fetch(4)
    with pytest.raises(pop3.Rejected, match="No such message"), client.retrieve(4):
        pass
    with pytest.raises(pop3.Rejected, match="No such message"), client.top(4):
        pass
    assert client.fetch(3) == THREE


def test_a_message_beyond_the_bound_is_only_given_in_blocks(store: Store) -> None:
    limits = Limits(content=len(TWO) - 1)
    with session(store, limits=limits) as client:
        with pytest.raises(PolicyError, match="the message has 29 octets"):
            client.fetch(2)
        with client.retrieve(2) as content:
            assert b"".join(content) == TWO


# Many messages


def test_many_messages_come_one_after_the_other(client: Pop3Client) -> None:
    got: dict[int, bytes] = {}

    def keep(number: int, content: Blocks) -> None:
        got[number] = content.read()

    client.delete(2)
    refused = client.retrieve_many([3, 2, 1], keep)
    assert got == {3: THREE, 1: ONE}
    assert str(refused[2]) == "-ERR No such message"
    assert client.status().messages == 2


def test_what_a_sink_leaves_is_dropped(store: Store) -> None:
    store.contents = (LONG, LONG, ONE)
    begun: list[bytes] = []
    with session(store) as client:
        client.retrieve_many(
            [1, 2, 3], lambda number, content: begun.append(next(iter(content)))
        )
    assert [LONG.startswith(each) for each in begun[:2]] == [True, True]
    assert begun[2] == ONE


def test_after_a_sink_that_fails_nothing_is_deleted(store: Store) -> None:
    def fail(number: int, content: Blocks) -> None:
        raise OSError("no space left")

    with server_of(store) as server:
        with client_of(server) as client:
            client.delete(1)
            with pytest.raises(OSError, match="no space left"):
                client.retrieve_many([2, 3], fail)
            assert client.connection.closed
        assert store.ending() is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


def test_ten_thousand_messages_are_listed_and_fetched() -> None:
    contents = [b"%d\r\n" % number for number in range(1, 10_001)]
    got: list[bytes] = []
    with session(Store(*contents)) as client:
        listed = client.messages()
        client.retrieve_many(listed, lambda _, content: got.append(content.read()))
        assert client.delete(*listed) == {}
        assert client.status().messages == 0
    assert listed[0] == pop3.Listed(1, 3, "id-1")
    assert listed[-1] == pop3.Listed(10_000, 7, "id-10000")
    assert got == contents


def test_what_is_new_is_collected(store: Store) -> None:
    got: list[bytes] = []
    noted: list[str] = []
    seen = pop3.Seen(["id-2"])
    with session(store) as client:
        collected = client.collect(
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


def test_quit_removes_what_is_marked(store: Store) -> None:
    with session(store) as client:
        refused = client.delete(1, pop3.Listed(3, len(THREE)), 4)
        assert [str(each) for each in refused.values()] == ["-ERR No such message"]
        assert client.status() == pop3.Totals(1, len(TWO))
    assert (store.removed, store.closed) == ([{1, 3}], 1)
    assert store.ending() is pop3.Ending.QUIT


def test_reset_takes_the_marks_back(store: Store) -> None:
    with session(store) as client:
        client.delete(1, 2)
        assert client.reset().cls is pop3.OK
        assert client.status().messages == 3
        client.delete(3)
    assert store.removed == [{3}]


def test_a_client_that_leaves_by_an_exception_removes_nothing(store: Store) -> None:
    def fail(client: Pop3Client) -> None:
        client.delete(1)
        raise ZeroDivisionError

    with server_of(store) as server:
        with pytest.raises(ZeroDivisionError), client_of(server) as client:
            fail(client)
        assert store.ending() is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


def test_a_client_that_closes_removes_nothing(store: Store) -> None:
    with session(store) as client:
        client.delete(1)
        client.close()
        assert client.quit() is None
        assert store.ending() is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


def test_a_client_hears_what_quit_has_come_to(store: Store) -> None:
    class Kept(Maildrop):
        def commit(self, deleted: Iterable[int]) -> set[int]:
            return {2}

    store.maildrop = Kept
    with session(store) as client:
        client.delete(1, 2)
        response = client.quit()
        assert client.quit() is None
    assert str(response) == "-ERR [SYS/TEMP] 1 messages were not removed"


def test_a_client_whose_server_has_gone_leaves_in_peace(store: Store) -> None:
    server = server_of(store)
    with client_of(server) as client:
        client.delete(1)
        server.stop(timeout=SOON)
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


def test_a_client_has_a_method_for_each_conversation() -> None:
    capabilities = (*pop3.usual(), pop3.capabilities.Lang())
    with (
        server_of(Speaking(), capabilities=capabilities) as server,
        client_of(server) as client,
    ):
        assert client.noop().cls is pop3.OK
        assert [each.tag for each in client.languages()] == ["de", "en"]
        assert client.language("de") == pop3.Language("de", "Deutsch")
        with pytest.raises(pop3.Rejected, match="No such language"):
            client.language("fr")
        assert client.run(pop3.unique_ids(client.connection)) == {}


@pytest.mark.parametrize("utf8", [False, True])
def test_a_client_may_say_utf8(store: Store, utf8: bool) -> None:
    with session(store, utf8=utf8) as client:
        assert client.connection.utf8 is store.peer.utf8 is utf8


def test_a_dialogue_is_traced_without_secrets(store: Store) -> None:
    lines: list[str] = []
    with session(store, trace=lines.append, mechanism="CRAM-MD5"):
        pass
    assert lines[0].startswith("S: +OK ")
    assert "C: AUTH CRAM-MD5" in lines
    assert "S: + (secret)" in lines
    assert lines[-2:] == ["C: QUIT", "S: +OK Goodbye"]
    assert not any("alice" in line for line in lines)


# Logins


def test_a_server_without_logins_takes_passwords_inside_tls_only(store: Store) -> None:
    with serve_pop3(store, "127.0.0.1") as server:
        with connect_pop3(*server.addresses[0]) as client:
            assert "USER" not in client.capabilities
            assert client.connection.mechanisms == ()
        with pytest.raises(PolicyError, match="does not offer USER"):
            client_of(server, mechanism="USER", allow_insecure_auth=True)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "APOP"])
def test_nobody_who_reads_along_learns_the_password(
    store: Store, mechanism: str
) -> None:
    with (
        server_of(store, apop=True) as server,
        client_of(server, mechanism=mechanism) as client,
    ):
        assert client.status().messages == 3
        assert store.peer.identity == "alice"


@pytest.mark.parametrize("mechanism", ["USER", "PLAIN", "LOGIN"])
def test_a_password_is_shown_only_if_both_sides_want_it(
    store: Store, mechanism: str
) -> None:
    def connect(**options: Any) -> Pop3Client:
        return client_of(server, mechanism=mechanism, **options)

    with serve_pop3(store, "127.0.0.1", logins=OPEN_LOGINS) as server:
        with pytest.raises(PolicyError, match="reveal a secret without TLS"):
            connect()
        with connect(allow_insecure_auth=True):
            assert store.peer.identity == "alice"
    with server_of(store) as server, pytest.raises(PolicyError, match="offer"):
        connect(allow_insecure_auth=True)


def test_the_timestamp_of_each_greeting_is_another(store: Store) -> None:
    """RFC 1939 section 7: each time the server greets it is a different one."""
    with server_of(store, apop=True, domain="mx.example") as server:
        clients = [connect_pop3(*server.addresses[0]) for _ in range(2)]
        first, second = [client.connection.timestamp for client in clients]
        for client in clients:
            client.quit()
    assert first.endswith("@mx.example>")
    assert second.endswith("@mx.example>")
    assert first != second


@pytest.mark.parametrize("mechanism", [None, "CRAM-MD5", "APOP"])
def test_a_wrong_password_is_refused(store: Store, mechanism: str | None) -> None:
    wrong = sasl.Password("alice", "wrong")
    with server_of(store, apop=True) as server:
        with pytest.raises(pop3.AuthenticationFailed, match="Login failed"):
            connect_pop3(
                *server.addresses[0], tls="none", auth=wrong, mechanism=mechanism
            )
        assert store.ending() is pop3.Ending.QUIT
    assert store.removed == []


def test_a_maildrop_that_is_in_use_is_free_again_later(store: Store) -> None:
    class Locked(Store):
        def open(self, identity: str) -> pop3.Maildrop:
            raise pop3.MaildropInUse

    with server_of(Locked()) as server:
        with pytest.raises(pop3.AuthenticationFailed, match="IN-USE") as caught:
            client_of(server)
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
def test_a_client_that_gets_no_session_says_why(
    answers: list[bytes], error: type[Exception], heard: list[bytes]
) -> None:
    with scripted(*answers) as (address, session):
        with pytest.raises(error):
            connect_pop3(*address, tls="none", auth=ALICE)
        assert session.result() == heard


def test_a_server_that_does_not_greet_is_too_slow() -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        connect_pop3(*listener.getsockname(), limits=limits)


def test_a_socket_that_was_handed_in_is_closed_if_nothing_comes_of_it() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"-ERR no\r\n")
        with pytest.raises(pop3.Rejected):
            connect_pop3(sock=ours)
        assert ours.fileno() == -1


def test_what_is_wrong_with_a_server_is_found_at_once() -> None:
    with pytest.raises(ValueError, match="not a domain"):
        serve_pop3(Store(), "127.0.0.1", domain="a b")
    with pytest.raises(ValueError, match="implicit TLS needs a context"):
        serve_pop3(Store(), "127.0.0.1", implicit_tls=True)


# What goes wrong in a server


def broken(peer: pop3.Peer) -> pop3.Application:
    raise ValueError("no application today")


def test_without_an_application_there_is_no_session() -> None:
    mistakes: queue.Queue[Exception] = queue.Queue()
    with server_of(broken, report=mistakes.put) as server:
        with pytest.raises(pop3.Rejected, match="SYS/TEMP"):
            client_of(server)
        assert str(mistakes.get(timeout=30)) == "no application today"


def test_a_client_that_says_nothing_is_left_without_a_word(store: Store) -> None:
    """RFC 1939 section 3: the server does not enter the UPDATE state."""
    limits = Limits(timeouts=Timeouts(autologout=SOON))
    with server_of(store, limits=limits) as server:
        raw = Raw(socket.create_connection(server.addresses[0]))
        with contextlib.closing(raw):
            assert raw.hear().startswith("+OK ")
            assert raw.rest() == b""
        assert store.ending() is pop3.Ending.TIMEOUT


# Other sockets


def test_a_client_speaks_over_ipv6(store: Store) -> None:
    with (
        serve_pop3(store, "::1", logins=LOGINS) as server,
        client_of(server) as client,
    ):
        assert client.fetch(1) == ONE
        assert store.peer.address == "::1"
        assert store.peer.port > 0


def test_a_client_speaks_over_a_unix_socket(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "pop3")
    with serve_pop3(store, path, logins=LOGINS) as server, client_of(server) as client:
        assert server.addresses == [(path, 0)]
        assert client.fetch(1) == ONE
        assert store.peer.address == ""


def test_a_server_takes_a_socket_that_listens_already(store: Store) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with serve_pop3(store, sock=listener, logins=LOGINS) as server:
        assert server.addresses == [listener.getsockname()]
        with client_of(server) as client:
            assert client.fetch(1) == ONE
    assert listener.fileno() == -1


def test_a_client_speaks_over_a_socket_that_is_handed_in(store: Store) -> None:
    ours, theirs = socket.socketpair()
    with contextlib.closing(Stream(theirs)) as stream:
        logins = replace(LOGINS, nonce=nonce)
        flow = pop3.serve(pop3.Connection(SERVER), store, logins=logins)
        serving = Background(lambda: Driver(stream).run(flow))
        with connect_pop3(sock=ours, tls="none", auth=ALICE) as client:
            client.delete(1)
        assert serving.result() is pop3.Ending.QUIT
    assert store.removed == [{1}]


# The number of sessions


@pytest.fixture
def raw() -> Iterator[Callable[[Server], Raw]]:
    """Makes clients that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def connect(server: Server) -> Raw:
            sock = socket.create_connection(server.addresses[0])
            return stack.enter_context(contextlib.closing(Raw(sock)))

        yield connect


def test_many_sessions_are_served_at_once(store: Store) -> None:
    def fetch() -> bytes:
        with client_of(server) as client:
            everybody.wait(30)
            return client.fetch(1)

    everybody = threading.Barrier(10)
    with server_of(store) as server:
        fetching = [Background(fetch) for _ in range(10)]
        assert [each.result() for each in fetching] == [ONE] * 10
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
    raw: Callable[[Server], Raw], store: Store, lines: list[str]
) -> None:
    """Nothing that was marked is removed: there was no QUIT.  RFC 1939 section 3."""
    server = serve_pop3(store, "127.0.0.1", logins=OPEN_LOGINS)
    client = raw(server)
    assert client.hear().startswith("+OK ")
    for line in lines:
        assert client.say(line).startswith("+")
    stopping = Background(server.stop)
    client.rest()
    client.close()
    assert stopping.result() is None
    assert store.ending() is pop3.Ending.STOPPING
    assert store.removed == []
    assert store.closed == lines.count("PASS secret")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.addresses[0])


def test_who_waits_for_a_no_gets_it_when_the_server_ends(
    raw: Callable[[Server], Raw],
) -> None:
    asked = threading.Event()

    class Asked(Store):
        def authenticate(self, question: sasl.Question) -> object:
            asked.set()
            return None

    store = Asked()
    logins = replace(OPEN_LOGINS, delay=3600)
    server = serve_pop3(store, "127.0.0.1", logins=logins)
    client = raw(server)
    assert client.hear().startswith("+OK ")
    assert client.say("USER alice").startswith("+OK ")
    client.sock.sendall(b"PASS wrong\r\n")
    assert asked.wait(30)
    stopping = Background(server.stop)
    assert client.rest() == b"-ERR [AUTH] Login failed\r\n"
    client.close()
    assert stopping.result() is None
    assert store.ending() is pop3.Ending.STOPPING


def test_a_message_that_is_being_sent_is_sent_to_its_end(
    raw: Callable[[Server], Raw], store: Store
) -> None:
    go_on = threading.Event()

    class Slow(Maildrop):
        def read(self, number: int) -> Iterator[bytes]:
            yield ONE
            yield TWO
            go_on.wait(30)
            yield THREE

    store.maildrop = Slow
    limits = Limits(block=1)  # what there is of a message is sent at once
    server = serve_pop3(store, "127.0.0.1", logins=OPEN_LOGINS, limits=limits)
    idle, running = raw(server), raw(server)
    assert idle.hear().startswith("+OK ")
    assert running.hear().startswith("+OK ")
    for line in [*LOGIN, "RETR 2"]:
        assert running.say(line).startswith("+OK ")
    stopping = Background(server.stop)
    assert idle.rest() == b""  # so the running one has been told as well
    idle.close()
    go_on.set()
    stuffed = TWO.replace(b".\r\n", b"..\r\n")
    assert running.rest() == ONE + stuffed + THREE + b".\r\n"
    running.close()
    assert stopping.result() is None
    assert {store.ending(), store.ending()} == {pop3.Ending.STOPPING}


def test_a_message_that_nobody_takes_is_cut_off(
    raw: Callable[[Server], Raw], store: Store
) -> None:
    store.contents = (LONG,)
    server = serve_pop3(store, "127.0.0.1", logins=OPEN_LOGINS)
    client = raw(server)
    assert client.hear().startswith("+OK ")
    for line in [*LOGIN, "DELE 1", "RSET", "RETR 1"]:
        assert client.say(line).startswith("+OK ")
    server.stop(timeout=SOON)
    assert len(client.rest()) < len(LONG)
    assert store.ending() is pop3.Ending.STOPPING
    assert (store.removed, store.closed) == ([], 1)


def test_a_server_can_be_stopped_twice(store: Store) -> None:
    with server_of(store) as server:
        server.stop()
    server.stop()
