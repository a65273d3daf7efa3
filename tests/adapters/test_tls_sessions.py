"""TLS and logins in both protocols, both roles, with STARTTLS or STLS and without."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

import maildrops
from certificates import CLIENT, NAME, SERVER, client_context, der, server_context
from loopback import Background, Raw, read_all, scripted
from maildrops import ALICE, KEY, LOGINS, USERS
from smtp_pop_adapters.blocking import (
    Pop3Client,
    Server,
    SmtpClient,
    connect_pop3,
    connect_smtp,
    serve_pop3,
    serve_smtp,
)
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
        begin: What a client says before TLS.
        start: The command that begins TLS.
        offer: What a server says before TLS; each is the answer to a line.
        go: How a server agrees to begin TLS.
        more: What it may not say then.
        farewell: What it says when it stops.
    """

    name: str
    implicit: bool
    store: Callable[[], Store]
    serving: Callable[..., Server]
    connecting: Callable[..., SmtpClient | Pop3Client]
    begin: tuple[str, ...]
    start: str
    offer: tuple[bytes, ...]
    go: bytes
    more: bytes
    farewell: bytes

    @property
    def until_tls(self) -> tuple[str, ...]:
        """The lines that a client says before its handshake."""
        return () if self.implicit else (*self.begin, self.start)

    def serve(self, store: Any, host: str = "127.0.0.1", **options: Any) -> Server:
        usual = {
            "tls": server_context(),
            "implicit_tls": self.implicit,
            "certificate": der(SERVER),
            "logins": LOGINS,
        }
        return self.serving(store, host, **usual | options)

    def connect(self, server: Server, **options: Any) -> SmtpClient | Pop3Client:
        return self.connect_to(server.addresses[0], **options)

    def connect_to(
        self, address: tuple[str, int], **options: Any
    ) -> SmtpClient | Pop3Client:
        usual = {
            "tls": "implicit" if self.implicit else "require",
            "context": client_context(),
            "server_hostname": NAME,
            "auth": ALICE,
        }
        return self.connecting(*address, **usual | options)


def smtp_case(*, implicit: bool) -> Case:
    return Case(
        name="SMTPS" if implicit else "SMTP",
        implicit=implicit,
        store=SmtpStore,
        serving=serve_smtp,
        connecting=connect_smtp,
        begin=("EHLO me.example",),
        start="STARTTLS",
        offer=(b"220 mx.example\r\n", b"250-mx.example\r\n250 STARTTLS\r\n"),
        go=b"220 go\r\n",
        more=b"250-mx.example\r\n250 AUTH PLAIN\r\n",
        farewell=b"421 4.3.2 Shutting down\r\n",
    )


def pop3_case(*, implicit: bool) -> Case:
    return Case(
        name="POP3S" if implicit else "POP3",
        implicit=implicit,
        store=Pop3Store,
        serving=serve_pop3,
        connecting=connect_pop3,
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
def case(request: pytest.FixtureRequest) -> Case:
    """Either protocol; TLS begins either way."""
    case: Case = request.param
    return case


@pytest.fixture(params=PLAIN, ids=lambda case: case.name)
def plain(request: pytest.FixtureRequest) -> Case:
    """Either protocol; TLS begins with a command."""
    case: Case = request.param
    return case


@pytest.fixture(params=IMPLICIT, ids=lambda case: case.name)
def implicit(request: pytest.FixtureRequest) -> Case:
    """Either protocol; TLS begins with the first octet."""
    case: Case = request.param
    return case


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    """Makes clients that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def connect(server: Server, context: ssl.SSLContext | None = None) -> Raw:
            sock = stack.enter_context(socket.create_connection(server.addresses[0]))
            if context is not None:
                sock = context.wrap_socket(
                    sock, server_hostname=NAME, suppress_ragged_eofs=False
                )
            return stack.enter_context(contextlib.closing(Raw(sock)))

        yield connect


# Logins that are bound to the channel.  RFC 5802, RFC 5929


@pytest.mark.parametrize(
    ("most", "version"), [(TLS_1_2, "TLSv1.2"), (TLS_1_3, "TLSv1.3")]
)
def test_a_login_is_bound_to_its_channel(
    case: Case, most: ssl.TLSVersion, version: str
) -> None:
    store = case.store()
    lines: list[str] = []
    context = client_context(most=most)
    with (
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


def test_the_strongest_login_is_bound_to_its_channel(case: Case) -> None:
    lines: list[str] = []
    with (
        case.serve(case.store()) as server,
        case.connect(server, trace=lines.append),
    ):
        pass
    assert "C: AUTH SCRAM-SHA-512-PLUS (secret)" in lines


def test_a_login_is_refused_where_somebody_is_in_between(case: Case) -> None:
    """The client is bound to another certificate than the server has."""
    store = case.store()
    with (
        case.serve(store, certificate=der(CLIENT)) as server,
        pytest.raises(AuthenticationFailed),
    ):
        case.connect(server, mechanism="SCRAM-SHA-256-PLUS")
    assert store.peer.identity == ""


def test_below_tls_1_3_no_certificate_is_needed_to_bind_to(case: Case) -> None:
    """There is tls-unique.  RFC 5929 section 3."""
    store = case.store()
    context = server_context(most=TLS_1_2)
    with (
        case.serve(store, certificate=None, tls=context) as server,
        case.connect(server, mechanism="SCRAM-SHA-256-PLUS"),
    ):
        assert store.peer.identity == "alice"


def test_without_a_certificate_nothing_is_bound_in_tls_1_3(case: Case) -> None:
    """There is no tls-unique.  RFC 8446 appendix C.5."""
    lines: list[str] = []
    with case.serve(case.store(), certificate=None) as server:
        with pytest.raises(PolicyError, match="not offered"):
            case.connect(server, mechanism="SCRAM-SHA-256-PLUS")
        with case.connect(server, trace=lines.append):
            pass
    assert "C: AUTH SCRAM-SHA-512 (secret)" in lines


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_inside_tls_a_password_may_be_shown(case: Case, mechanism: str) -> None:
    store = case.store()
    with case.serve(store) as server, case.connect(server, mechanism=mechanism):
        assert store.peer.identity == "alice"


def test_user_and_pass_are_taken_inside_tls(raw: Callable[..., Raw]) -> None:
    store = Pop3Store()
    with serve_pop3(
        store, "127.0.0.1", tls=server_context(), implicit_tls=True
    ) as server:
        client = raw(server, client_context())
        assert client.hear().startswith("+OK ")
        assert client.say("USER alice").startswith("+OK ")
        assert client.say("PASS secret").startswith("+OK ")
        assert client.say("QUIT") == "+OK Goodbye"
        assert client.rest() == b""
        client.close()


# Certificates.  RFC 3207 section 4, RFC 2595 section 2.4, RFC 8314 section 3


@pytest.mark.parametrize(
    ("certificate", "name", "message"),
    [
        pytest.param(STRANGER, NAME, "certificate verify failed", id="stranger"),
        pytest.param(SERVER, "other.example", "Hostname mismatch", id="other name"),
        pytest.param(SERVER, None, "IP address mismatch", id="the host by default"),
    ],
)
def test_nothing_is_shown_to_the_wrong_server(
    case: Case, certificate: trustme.LeafCert, name: str | None, message: str
) -> None:
    store = case.store()
    with case.serve(store, tls=server_context(certificate)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            case.connect(server, server_hostname=name)
        assert store.ending() is smtp.Ending.LOST
    assert store.questions == []


def test_by_default_a_server_has_to_be_known_to_the_system(case: Case) -> None:
    with (
        case.serve(case.store()) as server,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        case.connect(server, context=None)


def test_an_opportunistic_client_takes_any_certificate(plain: Case) -> None:
    store = plain.store()
    with (
        plain.serve(store, tls=server_context(STRANGER)) as server,
        plain.connect(server, tls="opportunistic", context=None, auth=None),
    ):
        assert store.peer.tls


def test_an_opportunistic_client_shows_no_password(plain: Case) -> None:
    """Nobody knows with whom TLS was begun.  RFC 7435 section 3."""
    store = plain.store()
    options = {"tls": "opportunistic", "context": None}
    with plain.serve(store, tls=server_context(STRANGER)) as server:
        with pytest.raises(PolicyError, match="reveal a secret"):
            plain.connect(server, mechanism="PLAIN", **options)
        with plain.connect(server, **options):
            assert store.peer.identity == "alice"


def test_an_opportunistic_client_goes_on_without_tls(plain: Case) -> None:
    store = plain.store()
    options = {"tls": "opportunistic", "context": None}
    with plain.serve(store, tls=None) as server:
        with plain.connect(server, **options):
            assert store.peer.identity == "alice"
            assert not store.peer.tls
        with pytest.raises(PolicyError, match="reveal a secret"):
            plain.connect(server, mechanism="PLAIN", **options)


def test_a_context_of_ones_own_counts_for_opportunists_too(plain: Case) -> None:
    with (
        plain.serve(plain.store(), tls=server_context(STRANGER)) as server,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        plain.connect(server, tls="opportunistic")


def test_a_client_that_insists_on_tls_says_no_more_without(plain: Case) -> None:
    store = plain.store()
    with plain.serve(store, tls=None) as server:
        with pytest.raises(PolicyError, match="TLS is required"):
            plain.connect(server)
        assert store.ending() is smtp.Ending.QUIT
    assert store.questions == []


EXTERNAL: Final = Logins(
    stored={sasl.Stored.EXTERNAL, *USERS.stored}, fake_salt_key=KEY, delay=0
)


def test_a_client_logs_in_with_its_certificate(case: Case) -> None:
    """RFC 4422 appendix A."""
    store = case.store()
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    with (
        case.serve(store, tls=asking, logins=EXTERNAL) as server,
        case.connect(server, context=client_context(CLIENT), auth=sasl.External()),
    ):
        assert store.peer.identity == "alice"
        assert store.peer.security is not None
        assert store.peer.security.certificate == der(CLIENT)
    assert store.questions == [sasl.VerifyExternal("")]


def test_another_certificate_lets_nobody_in(case: Case) -> None:
    store = case.store()
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    with (
        case.serve(store, tls=asking, logins=EXTERNAL) as server,
        pytest.raises(AuthenticationFailed),
    ):
        case.connect(server, context=client_context(SERVER), auth=sasl.External())


def test_without_a_certificate_external_is_not_offered(case: Case) -> None:
    asking = server_context(verify=ssl.CERT_OPTIONAL)
    with case.serve(case.store(), tls=asking, logins=EXTERNAL) as server:
        with pytest.raises(PolicyError, match="EXTERNAL"):
            case.connect(server, auth=sasl.External(), mechanism="EXTERNAL")
        with case.connect(server):
            pass


def test_a_client_without_the_certificate_that_is_wanted_gets_no_session(
    case: Case,
) -> None:
    """Above TLS 1.2 a client hears of it only after its own handshake."""
    store = case.store()
    asking = server_context(verify=ssl.CERT_REQUIRED)
    with case.serve(store, tls=asking) as server:
        with pytest.raises((OSError, ConnectionLost)):
            case.connect(server)
        assert store.ending() is smtp.Ending.LOST
    assert store.questions == []


# Octets before the handshake are not taken for octets inside TLS.  CVE-2011-0411,
# CVE-2021-33515; the same on the side of the client: CVE-2021-38371


def ready(case: Case, raw: Callable[..., Raw], server: Server) -> Raw:
    """Return a client that can begin TLS."""
    client = raw(server)
    assert client.hear()[:3] in ("220", "+OK")
    for line in case.begin:
        assert client.say(line)
    return client


@pytest.mark.parametrize("more", [b"NOOP\r\n", b"NO", b"\r\n", b"\x16\x03"])
def test_a_server_ends_where_a_client_goes_on_before_tls(
    plain: Case, raw: Callable[..., Raw], more: bytes
) -> None:
    store = plain.store()
    with plain.serve(store) as server:
        client = ready(plain, raw, server)
        client.sock.sendall(plain.start.encode() + b"\r\n" + more)
        assert client.hear()[:3] in ("220", "+OK")
        assert client.rest() == b""
        client.close()
        assert store.ending() is smtp.Ending.LOST


def test_what_a_client_says_in_place_of_tls_is_no_command(
    plain: Case, raw: Callable[..., Raw]
) -> None:
    store = plain.store()
    with plain.serve(store) as server:
        client = ready(plain, raw, server)
        assert client.say(plain.start)[:3] in ("220", "+OK")
        client.sock.sendall(b"QUIT\r\n")
        assert b"\r\n" not in client.rest()
        client.close()
        assert store.ending() is smtp.Ending.LOST


@pytest.mark.parametrize("octets", [1, 5, -1, None])
def test_a_client_ends_where_a_server_goes_on_before_tls(
    plain: Case, octets: int | None
) -> None:
    with scripted(*plain.offer, plain.go + plain.more[:octets]) as (address, session):
        with pytest.raises(RemoteProtocolError, match="before the handshake"):
            plain.connect_to(address)
        assert session.result()[-1] == b""


def test_what_a_server_says_in_place_of_tls_is_no_answer(plain: Case) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            for said in (*plain.offer, plain.go, plain.more):
                sock.sendall(said)
                assert sock.recv(65_536)

    with listener:
        serving = Background(serve)
        with pytest.raises(ssl.SSLError):
            plain.connect_to(listener.getsockname())
        serving.result()


# Peers that are slow, or leave


def test_a_server_that_does_not_begin_tls_is_too_slow(implicit: Case) -> None:
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError),
    ):
        implicit.connect_to(listener.getsockname(), limits=limits)


def test_a_server_that_falls_silent_before_tls_is_too_slow(plain: Case) -> None:
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
            plain.connecting(sock=ours, tls="require", limits=limits)
        assert serving.result() is None


def test_a_server_that_leaves_before_tls_is_an_error_of_the_system(
    plain: Case,
) -> None:
    with scripted(*plain.offer) as (address, _), pytest.raises(ConnectionLost):
        plain.connect_to(address)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            for said in (*plain.offer, plain.go):
                sock.sendall(said)
                assert sock.recv(65_536)

    with listener:
        serving = Background(serve)
        with pytest.raises(OSError, match=r".") as caught:
            plain.connect_to(listener.getsockname())
        assert not isinstance(caught.value, TimeoutError)
        serving.result()


def test_a_client_that_does_not_begin_tls_is_too_slow(
    case: Case, raw: Callable[..., Raw]
) -> None:
    store = case.store()
    limits = Limits(timeouts=Timeouts(greeting=SOON))
    with case.serve(store, limits=limits) as server:
        client = raw(server)
        client.sock.sendall("".join(f"{line}\r\n" for line in case.until_tls).encode())
        client.rest()
        client.close()
        assert store.ending() is smtp.Ending.TIMEOUT


def test_a_client_that_leaves_before_tls_is_lost(
    case: Case, raw: Callable[..., Raw]
) -> None:
    store = case.store()
    with case.serve(store) as server:
        client = raw(server)
        client.close()
        assert store.ending() is smtp.Ending.LOST


def test_a_client_that_speaks_in_clear_where_tls_is_due_is_lost(
    implicit: Case, raw: Callable[..., Raw]
) -> None:
    store = implicit.store()
    with implicit.serve(store) as server:
        client = raw(server)
        client.sock.sendall(b"NOOP\r\n" * 1_000)
        client.rest()
        client.close()
        assert store.ending() is smtp.Ending.LOST


def test_without_an_application_tls_is_not_begun(implicit: Case) -> None:
    def broken(peer: object) -> Store:
        raise ValueError("no application today")

    mistakes: queue.Queue[Exception] = queue.Queue()
    with implicit.serve(broken, report=mistakes.put) as server:
        assert read_all(socket.create_connection(server.addresses[0])) == b""
        assert str(mistakes.get(timeout=30)) == "no application today"


def test_implicit_tls_needs_a_context(implicit: Case) -> None:
    with pytest.raises(ValueError, match="implicit TLS needs a context"):
        implicit.serve(implicit.store(), tls=None)


# What goes through TLS


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
@pytest.mark.parametrize("chunking", [False, True])
def test_a_large_message_is_sent_inside_tls(implicit: Case, chunking: bool) -> None:
    store = SmtpStore()
    with implicit.serve(store) as server, implicit.connect(server) as client:
        assert isinstance(client, SmtpClient)
        client.send_mail("a@b", "c@d", LONG, chunking=chunking).check()
    assert store.contents == [LONG]


def test_a_server_that_says_no_inside_a_message_is_heard_inside_tls() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    replies = ("220 mx.example", "250 mx.example", "250 ok", "250 ok", "354 go on")

    def serve() -> list[str]:
        sock, _ = listener.accept()
        with contextlib.closing(
            Raw(server_context().wrap_socket(sock, server_side=True))
        ) as client:
            heard = [client.say(reply) for reply in replies]
            client.sock.sendall(b"552 too large\r\n")
            client.rest()
            return heard

    with listener:
        serving = Background(serve)
        with connect_smtp(
            *listener.getsockname(),
            tls="implicit",
            context=client_context(),
            server_hostname=NAME,
            domain="me.example",
        ) as client:
            result = client.send_mail("a@b", "c@d", LONG)
        assert str(result.reply) == "552 too large"
        assert serving.result() == [
            *("EHLO me.example", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"),
            "a line of content",
        ]


@pytest.mark.parametrize("implicit", IMPLICIT[1:], ids=["POP3S"], indirect=True)
def test_a_large_message_is_fetched_inside_tls(implicit: Case) -> None:
    with implicit.serve(Pop3Store()) as server, implicit.connect(server) as client:
        assert isinstance(client, Pop3Client)
        assert client.fetch(1) == LONG
        with client.retrieve(1) as content:
            assert next(iter(content))
        assert client.status().messages == 1


def test_tls_goes_over_a_unix_socket(case: Case, tmp_path: Path) -> None:
    """It needs the name of the server: a path is none."""
    path = str(tmp_path / "socket")
    store = case.store()
    with case.serve(store, path) as server:
        with case.connect(server):
            assert store.peer.identity == "alice"
        with pytest.raises(ValueError, match="requires server_hostname"):
            case.connect(server, server_hostname=None)


def test_many_sessions_begin_tls_at_once(case: Case) -> None:
    store = case.store()
    with case.serve(store) as server:

        def connect() -> bool:
            with case.connect(server) as client:
                return client.connection.tls

        clients = [Background(connect) for _ in range(8)]
        assert [client.result() for client in clients] == [True] * 8


# The end of a server


def greeted(raw: Callable[..., Raw], server: Server) -> Raw:
    """Return a client inside TLS that insists on close_notify."""
    client = raw(server, client_context())
    assert client.hear()[:3] in ("220", "+OK")
    return client


def test_an_idle_session_ends_inside_tls(
    implicit: Case, raw: Callable[..., Raw]
) -> None:
    store = implicit.store()
    server = implicit.serve(store)
    client = greeted(raw, server)
    stopping = Background(server.stop)
    assert client.rest() == implicit.farewell
    client.close()
    assert stopping.result() is None
    assert store.ending() is smtp.Ending.STOPPING


def test_a_handshake_that_is_due_ends_with_the_server(
    plain: Case, raw: Callable[..., Raw]
) -> None:
    store = plain.store()
    server = plain.serve(store)
    client = ready(plain, raw, server)
    assert client.say(plain.start)
    stopping = Background(server.stop)
    assert client.rest() == b""
    client.close()
    assert stopping.result() is None
    assert store.ending() is smtp.Ending.STOPPING


def test_a_handshake_that_comes_first_ends_with_the_server(
    implicit: Case, raw: Callable[..., Raw]
) -> None:
    store = implicit.store()
    server = implicit.serve(store)
    client = raw(server)
    assert store.begun.wait(30)
    stopping = Background(server.stop)
    assert client.rest() == b""
    client.close()
    assert stopping.result() is None
    assert store.ending() is smtp.Ending.STOPPING


def in_content(raw: Callable[..., Raw], server: Server) -> Raw:
    """Return a client inside TLS that has begun to send a message."""
    client = greeted(raw, server)
    lines = ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA")
    assert [client.say(line)[:3] for line in lines] == ["250", "250", "250", "354"]
    client.sock.sendall(b"one\r\n")
    return client


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
def test_a_transaction_inside_tls_may_end(
    implicit: Case, raw: Callable[..., Raw]
) -> None:
    store = SmtpStore()
    server = implicit.serve(store)
    idle, running = greeted(raw, server), in_content(raw, server)
    stopping = Background(server.stop)
    assert idle.rest() == implicit.farewell  # so the running one has been told as well
    idle.close()
    running.sock.sendall(b"two\r\n")
    assert running.say(".").startswith("250 ")
    assert running.rest() == implicit.farewell
    running.close()
    assert stopping.result() is None
    assert store.contents == [b"one\r\ntwo\r\n"]


@pytest.mark.parametrize("implicit", IMPLICIT[:1], ids=["SMTPS"], indirect=True)
def test_a_transaction_inside_tls_that_does_not_end_is_cut_off(
    implicit: Case, raw: Callable[..., Raw]
) -> None:
    store = SmtpStore()
    server = implicit.serve(store)
    client = in_content(raw, server)
    server.stop(timeout=SOON)
    with pytest.raises(ssl.SSLEOFError):
        client.rest()
    assert store.ending() is smtp.Ending.LOST
    assert store.contents == []
