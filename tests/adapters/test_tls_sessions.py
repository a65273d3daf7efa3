"""TLS and logins in both protocols, both roles, with STARTTLS or STLS and without."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

import maildrops
from adapting import Adapter
from asynchronous import ADAPTERS
from certificates import CLIENT, NAME, SERVER, client_context, der, server_context
from door import Door, Serving
from loopback import Background, Raw, scripted
from maildrops import ALICE, KEY, LOGINS, USERS
from smtp_pop_core import (
    AuthenticationFailed,
    Blocks,
    ConnectionLost,
    Limits,
    Logins,
    PolicyError,
    RemoteProtocolError,
    Timeouts,
    pop3,
    sasl,
    smtp,
)

SOON = 0.01  # seconds, where time itself is tested
LONG = b"a line of content\r\n" * 300_000  # more than any socket buffer holds
STRANGER = trustme.CA().issue_cert(NAME)
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class SmtpStore(smtp.Application):
    """Keeps what it gets, in memory; it is its own factory."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.questions: list[sasl.Question] = []
        self.begun = threading.Event()
        self.endings: queue.Queue[smtp.Ending] = queue.Queue()

    def __call__(self, peer: smtp.Peer) -> "SmtpStore":
        self.peer = peer
        self.begun.set()
        return self

    def authenticate(self, question: sasl.Question) -> object:
        self.questions.append(question)
        return answer(question, self.peer)

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        self.contents.append(content.read())
        return None

    def close(self, reason: smtp.Ending) -> None:
        self.endings.put(reason)

    def ending(self) -> smtp.Ending:
        return self.endings.get(timeout=30)


class Pop3Store(maildrops.Store):
    """Gives one message to everybody."""

    def __init__(self) -> None:
        super().__init__(LONG)
        self.questions: list[sasl.Question] = []
        self.begun = threading.Event()

    def __call__(self, peer: pop3.Peer) -> "Pop3Store":
        super().__call__(peer)
        self.begun.set()
        return self

    def authenticate(self, question: sasl.Question) -> object:
        self.questions.append(question)
        return answer(question, self.peer)


Store = SmtpStore | Pop3Store


def answer(question: sasl.Question, peer: smtp.Peer | pop3.Peer) -> object:
    """Let users in with their password, and one with its certificate."""
    if isinstance(question, sasl.VerifyExternal):
        shown = peer.security.certificate if peer.security is not None else None
        return "alice" if shown == der(CLIENT) else None
    return USERS.answer(question)


@dataclass(frozen=True)
class Case:
    """A protocol, and how TLS begins in it.

    Attributes:
        adapter: Who carries it out.
        begin: What a client says before TLS.
        start: The command that begins TLS.
        offer: What a server says before TLS; each is the answer to a line.
        go: How a server agrees to begin TLS.
        more: What it may not say then.
        farewell: What it says when it stops.
    """

    protocol: str
    implicit: bool
    store: Callable[[], Store]
    begin: tuple[str, ...]
    start: str
    offer: tuple[bytes, ...]
    go: bytes
    more: bytes
    farewell: bytes
    adapter: Adapter = ADAPTERS[0]

    @property
    def name(self) -> str:
        return self.protocol.upper() + ("S" if self.implicit else "")

    @property
    def until_tls(self) -> tuple[str, ...]:
        """The lines that a client says before its handshake."""
        return () if self.implicit else (*self.begin, self.start)

    def serve(self, store: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
        return self.adapter.serve(self.protocol, store, **self._served(options))

    def _served(self, options: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "tls": server_context(),
            "implicit_tls": self.implicit,
            "certificate": der(SERVER),
            "logins": LOGINS,
        }
        return usual | options

    def meet(
        self,
        store: Any,
        meet: Callable[[Door], Callable[[], object] | None],
        **options: Any,
    ) -> None:
        """Serve while a function is called; what it returns is called at the stop."""
        options = self._served(options)
        Serving(self.adapter)(self.protocol, meet, application=store, **options)

    def connect(self, server: Any, **options: Any) -> Any:
        return self.connect_to(server.addresses[0], **options)

    def connect_to(self, address: tuple[str, int], **options: Any) -> Any:
        """Connect; where nothing is said about the login, it is a cheap one."""
        usual = {
            "tls": "implicit" if self.implicit else "require",
            "context": client_context(),
            "server_hostname": NAME,
            "auth": ALICE,
            "mechanism": None if "auth" in options else "CRAM-MD5",
        }
        return self.adapter.connect(self.protocol, *address, **usual | options)


def smtp_case(*, implicit: bool) -> Case:
    return Case(
        protocol="smtp",
        implicit=implicit,
        store=SmtpStore,
        begin=("EHLO me.example",),
        start="STARTTLS",
        offer=(b"220 mx.example\r\n", b"250-mx.example\r\n250 STARTTLS\r\n"),
        go=b"220 go\r\n",
        more=b"250-mx.example\r\n250 AUTH PLAIN\r\n",
        farewell=b"421 4.3.2 Shutting down\r\n",
    )


def pop3_case(*, implicit: bool) -> Case:
    return Case(
        protocol="pop3",
        implicit=implicit,
        store=Pop3Store,
        begin=("NOOP",),
        start="STLS",
        offer=(b"+OK hi\r\n", b"+OK\r\nSTLS\r\n.\r\n"),
        go=b"+OK go\r\n",
        more=b"+OK\r\nSASL PLAIN\r\n.\r\n",
        farewell=b"",
    )


PLAIN: Final = [smtp_case(implicit=False), pop3_case(implicit=False)]
IMPLICIT: Final = [smtp_case(implicit=True), pop3_case(implicit=True)]


@pytest.fixture(params=[*PLAIN, *IMPLICIT], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, adapter: Adapter) -> Case:
    """Either protocol; TLS begins either way."""
    case: Case = request.param
    return replace(case, adapter=adapter)


@pytest.fixture(params=PLAIN, ids=lambda case: case.name)
def plain(request: pytest.FixtureRequest, adapter: Adapter) -> Case:
    """Either protocol; TLS begins with a command."""
    case: Case = request.param
    return replace(case, adapter=adapter)


@pytest.fixture(params=IMPLICIT, ids=lambda case: case.name)
def implicit(request: pytest.FixtureRequest, adapter: Adapter) -> Case:
    """Either protocol; TLS begins with the first octet."""
    case: Case = request.param
    return replace(case, adapter=adapter)


# Logins that are bound to the channel.  RFC 5802, RFC 5929


@pytest.mark.parametrize(
    ("most", "version"), [(TLS_1_2, "TLSv1.2"), (TLS_1_3, "TLSv1.3")]
)
async def test_a_login_is_bound_to_its_channel(
    case: Case, most: ssl.TLSVersion, version: str
) -> None:
    store = case.store()
    lines: list[str] = []
    context = client_context(most=most)
    async with (
        case.serve(store) as server,
        case.connect(
            server,
            context=context,
            mechanism="SCRAM-SHA-256-PLUS",
            trace=lines.append,
        ),
    ):
        assert store.peer.identity == "alice"
        assert store.peer.security is not None
        assert store.peer.security.version == version
    assert "C: AUTH SCRAM-SHA-256-PLUS (secret)" in lines


async def test_the_strongest_login_is_bound_to_its_channel(case: Case) -> None:
    lines: list[str] = []
    async with (
        case.serve(case.store()) as server,
        case.connect(server, mechanism=None, trace=lines.append),
    ):
        pass
    assert "C: AUTH SCRAM-SHA-512-PLUS (secret)" in lines


async def test_a_login_is_refused_where_somebody_is_in_between(case: Case) -> None:
    """The client is bound to another certificate than the server has."""
    store = case.store()
    async with case.serve(store, certificate=der(CLIENT)) as server:
        with pytest.raises(AuthenticationFailed):
            await case.connect(server, mechanism="SCRAM-SHA-256-PLUS")
    assert store.peer.identity == ""


async def test_below_tls_1_3_no_certificate_is_needed_to_bind_to(case: Case) -> None:
    """There is tls-unique.  RFC 5929 section 3."""
    store = case.store()
    context = server_context(most=TLS_1_2)
    async with (
        case.serve(store, certificate=None, tls=context) as server,
        case.connect(server, mechanism="SCRAM-SHA-256-PLUS"),
    ):
        assert store.peer.identity == "alice"


async def test_without_a_certificate_nothing_is_bound_in_tls_1_3(case: Case) -> None:
    """There is no tls-unique.  RFC 8446 appendix C.5."""
    lines: list[str] = []
    async with case.serve(case.store(), certificate=None) as server:
        with pytest.raises(PolicyError, match="not offered"):
            await case.connect(server, mechanism="SCRAM-SHA-256-PLUS")
        async with case.connect(server, mechanism=None, trace=lines.append):
            pass
    assert "C: AUTH SCRAM-SHA-512 (secret)" in lines


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_inside_tls_a_password_may_be_shown(case: Case, mechanism: str) -> None:
    store = case.store()
    async with case.serve(store) as server, case.connect(server, mechanism=mechanism):
        assert store.peer.identity == "alice"


def test_user_and_pass_are_taken_inside_tls(serving: Serving) -> None:
    def meet(door: Door) -> None:
        client = door.handshake(client_context())
        assert client.hear().startswith("+OK ")
        assert client.say("USER alice").startswith("+OK ")
        assert client.say("PASS secret").startswith("+OK ")
        assert client.say("QUIT") == "+OK Goodbye"
        assert client.rest() == b""

    tls = {"tls": server_context(), "implicit_tls": True, "logins": None}
    serving("pop3", meet, application=Pop3Store(), **tls)


# Certificates.  RFC 3207 section 4, RFC 2595 section 2.4, RFC 8314 section 3


@pytest.mark.parametrize(
    ("certificate", "name", "message"),
    [
        pytest.param(STRANGER, NAME, "certificate verify failed", id="stranger"),
        pytest.param(SERVER, "other.example", "Hostname mismatch", id="other name"),
        pytest.param(SERVER, None, "IP address mismatch", id="the host by default"),
    ],
)
async def test_nothing_is_shown_to_the_wrong_server(
    case: Case, certificate: trustme.LeafCert, name: str | None, message: str
) -> None:
    store = case.store()
    async with case.serve(store, tls=server_context(certificate)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            await case.connect(server, server_hostname=name)
        assert await case.adapter.thread(store.ending) is smtp.Ending.LOST
    assert store.questions == []


async def test_by_default_a_server_has_to_be_known_to_the_system(case: Case) -> None:
    async with case.serve(case.store()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await case.connect(server, context=None)


async def test_an_opportunistic_client_takes_any_certificate(plain: Case) -> None:
    store = plain.store()
    async with (
        plain.serve(store, tls=server_context(STRANGER)) as server,
        plain.connect(server, tls="opportunistic", context=None, auth=None),
    ):
        assert store.peer.tls


async def test_an_opportunistic_client_shows_no_password(plain: Case) -> None:
    """Nobody knows with whom TLS was begun.  RFC 7435 section 3."""
    store = plain.store()
    options = {"tls": "opportunistic", "context": None}
    async with plain.serve(store, tls=server_context(STRANGER)) as server:
        with pytest.raises(PolicyError, match="reveal a secret"):
            await plain.connect(server, mechanism="PLAIN", **options)
        async with plain.connect(server, **options):
            assert store.peer.identity == "alice"


async def test_an_opportunistic_client_goes_on_without_tls(plain: Case) -> None:
    store = plain.store()
    options = {"tls": "opportunistic", "context": None}
    async with plain.serve(store, tls=None) as server:
        async with plain.connect(server, **options):
            assert store.peer.identity == "alice"
            assert not store.peer.tls
        with pytest.raises(PolicyError, match="reveal a secret"):
            await plain.connect(server, mechanism="PLAIN", **options)


async def test_a_context_of_ones_own_counts_for_opportunists_too(plain: Case) -> None:
    async with plain.serve(plain.store(), tls=server_context(STRANGER)) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await plain.connect(server, tls="opportunistic")


async def test_a_client_that_insists_on_tls_says_no_more_without(plain: Case) -> None:
    store = plain.store()
    async with plain.serve(store, tls=None) as server:
        with pytest.raises(PolicyError, match="TLS is required"):
            await plain.connect(server)
        assert await plain.adapter.thread(store.ending) is smtp.Ending.QUIT
    assert store.questions == []


EXTERNAL: Final = Logins(
    stored={sasl.Stored.EXTERNAL, *USERS.stored}, fake_salt_key=KEY, delay=0
)


async def test_a_client_logs_in_with_its_certificate(case: Case) -> None:
    """RFC 4422 appendix A."""
    store = case.store()
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    async with (
        case.serve(store, tls=asking, logins=EXTERNAL) as server,
        case.connect(server, context=client_context(CLIENT), auth=sasl.External()),
    ):
        assert store.peer.identity == "alice"
        assert store.peer.security is not None
        assert store.peer.security.certificate == der(CLIENT)
    assert store.questions == [sasl.VerifyExternal("")]


async def test_another_certificate_lets_nobody_in(case: Case) -> None:
    store = case.store()
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    async with case.serve(store, tls=asking, logins=EXTERNAL) as server:
        with pytest.raises(AuthenticationFailed):
            await case.connect(
                server, context=client_context(SERVER), auth=sasl.External()
            )


async def test_without_a_certificate_external_is_not_offered(case: Case) -> None:
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    async with case.serve(case.store(), tls=asking, logins=EXTERNAL) as server:
        with pytest.raises(PolicyError, match="EXTERNAL"):
            await case.connect(server, auth=sasl.External(), mechanism="EXTERNAL")
        async with case.connect(server):
            pass


async def test_a_client_without_the_certificate_that_is_wanted_gets_no_session(
    case: Case,
) -> None:
    """Above TLS 1.2 a client hears of it only after its own handshake."""
    store = case.store()
    asking = server_context(verify=ssl.CERT_REQUIRED)
    async with case.serve(store, tls=asking) as server:
        with pytest.raises((OSError, ConnectionLost)):
            await case.connect(server)
        assert await case.adapter.thread(store.ending) is smtp.Ending.LOST
    assert store.questions == []


# Octets before the handshake are not taken for octets inside TLS.  CVE-2011-0411,
# CVE-2021-33515; the same on the side of the client: CVE-2021-38371


def ready(case: Case, door: Door) -> Raw:
    """Return a client that can begin TLS."""
    client = door.enter()
    for line in case.begin:
        assert client.say(line)
    return client


@pytest.mark.parametrize("more", [b"NOOP\r\n", b"NO", b"\r\n", b"\x16\x03"])
def test_a_server_ends_where_a_client_goes_on_before_tls(
    plain: Case, more: bytes
) -> None:
    def meet(door: Door) -> None:
        client = ready(plain, door)
        client.sock.sendall(plain.start.encode() + b"\r\n" + more)
        assert client.hear()[:3] in ("220", "+OK")
        assert client.rest() == b""
        client.close()
        assert store.ending() is smtp.Ending.LOST

    store = plain.store()
    plain.meet(store, meet)


def test_what_a_client_says_in_place_of_tls_is_no_command(plain: Case) -> None:
    def meet(door: Door) -> None:
        client = ready(plain, door)
        assert client.say(plain.start)[:3] in ("220", "+OK")
        client.sock.sendall(b"QUIT\r\n")
        assert b"\r\n" not in client.rest()
        client.close()
        assert store.ending() is smtp.Ending.LOST

    store = plain.store()
    plain.meet(store, meet)


@pytest.mark.parametrize("octets", [1, 5, -1, None])
async def test_a_client_ends_where_a_server_goes_on_before_tls(
    plain: Case, octets: int | None
) -> None:
    with scripted(*plain.offer, plain.go + plain.more[:octets]) as (address, session):
        with pytest.raises(RemoteProtocolError, match="before the handshake"):
            await plain.connect_to(address)
        assert (await plain.adapter.thread(session.result))[-1] == b""


@contextlib.contextmanager
def saying(*words: bytes) -> Iterator[tuple[tuple[str, int], Background]]:
    """A server that hears something after each of its words, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            for each in words:
                sock.sendall(each)
                assert sock.recv(65_536)

    with listener:
        yield listener.getsockname(), Background(serve)


async def test_what_a_server_says_in_place_of_tls_is_no_answer(plain: Case) -> None:
    said = (*plain.offer, plain.go, plain.more)
    with saying(*said) as (address, serving):
        with pytest.raises(ssl.SSLError):
            await plain.connect_to(address)
        await plain.adapter.thread(serving.result)


# Peers that are slow, or leave


async def test_a_server_that_does_not_begin_tls_is_too_slow(implicit: Case) -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        await implicit.connect_to(listener.getsockname(), limits=limits)


async def test_a_server_that_falls_silent_before_tls_is_too_slow(plain: Case) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(plain.offer[0])

    def serve() -> None:
        for said in (*plain.offer[1:], plain.go):
            assert theirs.recv(65_536)
            theirs.sendall(said)

    with theirs:
        serving = Background(serve)
        limits = Limits(timeouts=Timeouts(greeting=20 * SOON))  # for the greeting too
        with pytest.raises(TimeoutError):
            await plain.connect_to((NAME, 0), sock=ours, auth=None, limits=limits)
        assert await plain.adapter.thread(serving.result) is None


async def test_a_server_that_leaves_before_tls_is_an_error_of_the_system(
    plain: Case,
) -> None:
    with scripted(*plain.offer) as (address, _), pytest.raises(ConnectionLost):
        await plain.connect_to(address)
    with saying(*plain.offer, plain.go) as (address, serving):
        with pytest.raises(OSError, match=r".") as caught:
            await plain.connect_to(address)
        assert not isinstance(caught.value, TimeoutError)
        await plain.adapter.thread(serving.result)


def test_a_client_that_does_not_begin_tls_is_too_slow(case: Case) -> None:
    def meet(door: Door) -> None:
        client = door.knock()
        client.sock.sendall("".join(f"{line}\r\n" for line in case.until_tls).encode())
        client.rest()
        client.close()
        assert store.ending() is smtp.Ending.TIMEOUT

    store = case.store()
    case.meet(store, meet, limits=Limits(timeouts=Timeouts(greeting=SOON)))


def test_a_client_that_leaves_before_tls_is_lost(case: Case) -> None:
    def meet(door: Door) -> None:
        door.knock().close()
        assert store.ending() is smtp.Ending.LOST

    store = case.store()
    case.meet(store, meet)


def test_a_client_that_speaks_in_clear_where_tls_is_due_is_lost(
    implicit: Case,
) -> None:
    def meet(door: Door) -> None:
        client = door.knock()
        client.sock.sendall(b"NOOP\r\n" * 1_000)
        client.rest()
        client.close()
        assert store.ending() is smtp.Ending.LOST

    store = implicit.store()
    implicit.meet(store, meet)


def test_without_an_application_tls_is_not_begun(implicit: Case) -> None:
    def broken(peer: object) -> Store:
        raise ValueError("no application today")

    def meet(door: Door) -> None:
        assert door.knock().rest() == b""
        assert str(mistakes.get(timeout=30)) == "no application today"

    mistakes: queue.Queue[Exception] = queue.Queue()
    implicit.meet(broken, meet, report=mistakes.put)


async def test_implicit_tls_needs_a_context(implicit: Case) -> None:
    with pytest.raises(ValueError, match="implicit TLS needs a context"):
        async with implicit.serve(implicit.store(), tls=None):
            pass


# What goes through TLS


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
@pytest.mark.parametrize("chunking", [False, True])
async def test_a_large_message_is_sent_inside_tls(
    implicit: Case, chunking: bool
) -> None:
    store = SmtpStore()
    async with implicit.serve(store) as server, implicit.connect(server) as client:
        (await client.send_mail("a@b", "c@d", LONG, chunking=chunking)).check()
    assert store.contents == [LONG]


@pytest.mark.parametrize("implicit", IMPLICIT[1:], ids=["POP3S"], indirect=True)
async def test_a_large_message_is_fetched_inside_tls(implicit: Case) -> None:
    async with (
        implicit.serve(Pop3Store()) as server,
        implicit.connect(server) as client,
    ):
        assert await client.fetch(1) == LONG
        async with client.retrieve(1) as content:
            assert await anext(aiter(content))
        assert (await client.status()).messages == 1


async def test_tls_goes_over_a_unix_socket(case: Case, tmp_path: Path) -> None:
    """It needs the name of the server: a path is none."""
    path = str(tmp_path / "socket")
    store = case.store()
    async with case.serve(store, host=path) as server:
        async with case.connect(server):
            assert store.peer.identity == "alice"
        with pytest.raises(ValueError, match="requires server_hostname"):
            await case.connect(server, server_hostname=None)


async def test_many_sessions_begin_tls_at_once(case: Case) -> None:
    async def connect() -> bool:
        async with case.connect(server) as client:
            tls: bool = client.connection.tls
            return tls

    async with case.serve(case.store()) as server, case.adapter.tasks() as start:
        clients = [start(connect) for _ in range(8)]
        assert [await client.result() for client in clients] == [True] * 8


# The end of a server


def greeted(door: Door) -> Raw:
    """Return a client inside TLS that insists on close_notify."""
    client = door.handshake(client_context())
    assert client.hear()[:3] in ("220", "+OK")
    return client


def test_an_idle_session_ends_inside_tls(implicit: Case) -> None:
    def meet(door: Door) -> Callable[[], None]:
        client = greeted(door)

        def last() -> None:
            assert client.rest() == implicit.farewell

        return last

    store = implicit.store()
    implicit.meet(store, meet)
    assert store.ending() is smtp.Ending.STOPPING


def test_a_handshake_that_is_due_ends_with_the_server(plain: Case) -> None:
    def meet(door: Door) -> Callable[[], None]:
        client = ready(plain, door)
        assert client.say(plain.start)

        def last() -> None:
            assert client.rest() == b""

        return last

    store = plain.store()
    plain.meet(store, meet)
    assert store.ending() is smtp.Ending.STOPPING


def test_a_handshake_that_comes_first_ends_with_the_server(implicit: Case) -> None:
    def meet(door: Door) -> Callable[[], None]:
        client = door.knock()
        assert store.begun.wait(30)

        def last() -> None:
            assert client.rest() == b""

        return last

    store = implicit.store()
    implicit.meet(store, meet)
    assert store.ending() is smtp.Ending.STOPPING


def in_content(door: Door) -> Raw:
    """Return a client inside TLS that has begun to send a message."""
    client = greeted(door)
    lines = ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA")
    assert [client.say(line)[:3] for line in lines] == ["250", "250", "250", "354"]
    client.sock.sendall(b"one\r\n")
    return client


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
def test_a_transaction_inside_tls_may_end(implicit: Case) -> None:
    def meet(door: Door) -> Callable[[], None]:
        idle, running = greeted(door), in_content(door)

        def last() -> None:
            assert idle.rest() == implicit.farewell  # so the running one was told
            idle.close()
            running.sock.sendall(b"two\r\n")
            assert running.say(".").startswith("250 ")
            assert running.rest() == implicit.farewell

        return last

    store = SmtpStore()
    implicit.meet(store, meet)
    assert store.contents == [b"one\r\ntwo\r\n"]


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
async def test_a_transaction_inside_tls_that_does_not_end_is_cut_off(
    implicit: Case,
) -> None:
    adapter, store = implicit.adapter, SmtpStore()
    with contextlib.ExitStack() as clients:
        async with implicit.serve(store) as server:
            door = Door(server, clients)
            client = await adapter.thread(lambda: in_content(door))
            await server.stop(timeout=SOON)
            with pytest.raises(ssl.SSLEOFError):
                await adapter.thread(client.rest)
    assert store.ending() is smtp.Ending.LOST
    assert store.contents == []
