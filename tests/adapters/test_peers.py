"""Real peers in Python: smtplib sends to our server, our client sends to aiosmtpd."""

import asyncio
import queue
import smtplib
import threading
from collections.abc import Coroutine, Iterator
from email.message import EmailMessage
from typing import Any, Final

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from certificates import AUTHORITY, client_context, server_context
from maildrops import ALICE, LOGINS, USERS
from smtp_pop_adapters.blocking import Server, connect_smtp, serve_smtp
from smtp_pop_core import Blocks, sasl, smtp

LOCAL: Final = server_context(AUTHORITY.issue_cert("127.0.0.1"))
LINES: Final = b"".join(b"." * (length % 998) + b"\r\n" for length in range(20_000))
UTF8: Final = "Subject: Grüße\r\n\r\nÄpfel: 日本語\r\n".encode()

CONTENTS: Final = [
    # what is sent, what has to arrive
    pytest.param(b"Subject: x\r\n\r\nhello\r\n", None, id="small"),
    pytest.param(b".\r\n..\r\n.one\r\n\r\n.\r\n", None, id="dots"),
    pytest.param(b"\r\n.\r\nMAIL FROM:<a@b>\r\n", None, id="what looks like the end"),
    pytest.param(b"\r\n", None, id="an empty line"),
    pytest.param(b"no end", b"no end\r\n", id="no final line end"),
    pytest.param(b"x\r\n.", b"x\r\n.\r\n", id="a dot without line end"),
    pytest.param(LINES, None, id="10 MB"),
    pytest.param(bytes(range(128, 256)) + b"\r\n", None, id="8-bit"),
]


# smtplib sends to our server


class Store(smtp.Application):
    """Keeps what it gets, in memory; it is its own factory."""

    def __init__(self) -> None:
        self.got: list[tuple[smtp.Envelope, bytes]] = []

    def __call__(self, peer: smtp.Peer) -> "Store":
        return self

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        wanted = not command.recipient.startswith("no")
        return None if wanted else smtp.Reply(550, ("no such user",))

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        self.got.append((envelope, content.read()))
        return None


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    with serve_smtp(store, "127.0.0.1") as server:
        yield server


@pytest.fixture
def sender(server: Server) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*server.addresses[0], local_hostname="me.example") as sender:
        yield sender


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_what_smtplib_sends_arrives_octet_for_octet(
    sender: smtplib.SMTP, store: Store, content: bytes, expected: bytes | None
) -> None:
    assert sender.sendmail("a@b.example", ["c@d.example"], content) == {}
    ((envelope, got),) = store.got
    assert got == (content if expected is None else expected)
    assert (envelope.sender, envelope.recipients) == ("a@b.example", ("c@d.example",))


def test_smtplib_sends_an_empty_message_as_an_empty_line(
    sender: smtplib.SMTP, store: Store
) -> None:
    sender.sendmail("a@b.example", ["c@d.example"], b"")
    assert [got for _, got in store.got] == [b"\r\n"]


def test_smtplib_sends_many_messages_in_one_session(
    sender: smtplib.SMTP, store: Store
) -> None:
    contents = [b"%d\r\n" % number for number in range(50)]
    for content in contents:
        sender.sendmail("a@b.example", "c@d.example", content)
    assert [got for _, got in store.got] == contents


def test_smtplib_sends_an_email_message(sender: smtplib.SMTP, store: Store) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@b.example", "c@d.example, e@f.example"
    message["Subject"] = "hello"
    message.set_content("first\n.\nlast\n")
    assert sender.send_message(message) == {}
    ((envelope, got),) = store.got
    assert envelope.recipients == ("c@d.example", "e@f.example")
    assert got.endswith(b"\r\n\r\nfirst\r\n.\r\nlast\r\n")


def test_smtplib_sends_with_smtputf8(sender: smtplib.SMTP, store: Store) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "jürgen@bücher.example", "用户@例子.example"
    message["Subject"] = "Grüße"
    message.set_content("Äpfel\n", cte="8bit")
    assert sender.send_message(message) == {}
    ((envelope, got),) = store.got
    assert envelope.mail.smtputf8
    assert envelope.mail.body is smtp.Body.EIGHT_BIT_MIME
    assert envelope.sender == "jürgen@bücher.example"
    assert envelope.recipients == ("用户@例子.example",)
    assert "Subject: Grüße\r\n".encode() in got
    assert got.endswith("\r\n\r\nÄpfel\r\n".encode())


def test_smtplib_hears_which_recipients_are_refused(
    sender: smtplib.SMTP, store: Store
) -> None:
    refused = sender.sendmail("a@b.example", ["no@d.example", "c@d.example"], b"x\r\n")
    assert refused == {"no@d.example": (550, b"5.0.0 no such user")}
    assert store.got[0][0].recipients == ("c@d.example",)


def test_smtplib_hears_that_all_recipients_are_refused(sender: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        sender.sendmail("a@b.example", ["no@d.example", "no2@d.example"], b"x\r\n")
    assert sender.noop()[0] == 250


def test_smtplib_hears_that_a_message_is_too_large(sender: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused, match="too large"):
        sender.sendmail("a@b.example", ["c@d.example"], b"x" * 50_000_001)
    assert sender.noop()[0] == 250


def test_smtplib_can_use_every_command(sender: smtplib.SMTP) -> None:
    replies = [
        sender.helo(),
        sender.ehlo(),
        sender.noop(),
        sender.rset(),
        sender.verify("somebody"),
        sender.expn("a-list"),
    ]
    assert [code for code, _ in replies] == [250, 250, 250, 250, 252, 252]
    assert sender.help().startswith(b"2.0.0 EHLO")
    assert sender.quit()[0] == 221


# smtplib logs in to our server


class Secured(Store):
    """Takes messages of those who have logged in."""

    peer: smtp.Peer

    def __call__(self, peer: smtp.Peer) -> "Secured":
        self.peer = peer
        return self

    def authenticate(self, question: sasl.Question) -> object:
        return USERS.answer(question)


def submission(store: Secured, *, implicit_tls: bool = False) -> Server:
    return serve_smtp(
        store,
        "127.0.0.1",
        tls=LOCAL,
        implicit_tls=implicit_tls,
        logins=LOGINS,
        profile=smtp.SUBMISSION,
    )


MECHANISMS: Final = [
    ("PLAIN", "auth_plain"),
    ("LOGIN", "auth_login"),
    ("CRAM-MD5", "auth_cram_md5"),
]


@pytest.mark.parametrize(("mechanism", "method"), MECHANISMS)
@pytest.mark.parametrize("initial", [False, True])
def test_smtplib_logs_in_after_starttls(
    mechanism: str, method: str, initial: bool
) -> None:
    store = Secured()
    with (
        submission(store) as server,
        smtplib.SMTP(*server.addresses[0], local_hostname="me.example") as sender,
    ):
        assert sender.starttls(context=client_context())[0] == 220
        sender.ehlo()
        sender.user, sender.password = "alice", "secret"
        authenticate = getattr(sender, method)
        code, _ = sender.auth(mechanism, authenticate, initial_response_ok=initial)
        assert code == 235
        assert store.peer.identity == "alice"
        assert sender.sendmail("a@b.example", ["c@d.example"], UTF8) == {}
    assert [got for _, got in store.got] == [UTF8]


def test_smtplib_logs_in_inside_tls() -> None:
    store = Secured()
    with (
        submission(store, implicit_tls=True) as server,
        smtplib.SMTP_SSL(*server.addresses[0], context=client_context()) as sender,
    ):
        assert sender.login("alice", "secret")[0] == 235
        assert sender.sendmail("a@b.example", ["c@d.example"], LINES) == {}
    assert [got for _, got in store.got] == [LINES]


def test_smtplib_hears_that_a_password_is_wrong() -> None:
    store = Secured()
    with (
        submission(store, implicit_tls=True) as server,
        smtplib.SMTP_SSL(*server.addresses[0], context=client_context()) as sender,
    ):
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            sender.login("alice", "wrong")
        assert store.peer.identity == ""
        assert sender.login("alice", "secret")[0] == 235


def test_smtplib_cannot_log_in_before_tls() -> None:
    with (
        submission(Secured()) as server,
        smtplib.SMTP(*server.addresses[0]) as sender,
    ):
        sender.ehlo()
        sender.user, sender.password = "alice", "secret"
        with pytest.raises(smtplib.SMTPAuthenticationError):
            sender.auth("PLAIN", sender.auth_plain)
        with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            sender.sendmail("a@b.example", ["c@d.example"], UTF8)


# Our client sends to aiosmtpd


class Keeper:
    """A handler of aiosmtpd."""

    def __init__(self) -> None:
        self.got: queue.Queue[Envelope] = queue.Queue()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd wants it so
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if address.startswith("no"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd wants it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.got.put(envelope)
        return "250 OK"


class Loop(threading.Thread):
    """An event loop in a thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        self.loop.run_forever()

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
        self.loop.close()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def address(
    keeper: Keeper, request: pytest.FixtureRequest
) -> Iterator[tuple[str, int]]:
    """Where aiosmtpd listens."""
    options: dict[str, Any] = {"enable_SMTPUTF8": True, **getattr(request, "param", {})}
    protocols = []

    def protocol() -> SMTP:
        protocols.append(SMTP(keeper, hostname="mx.example", loop=it.loop, **options))
        return protocols[-1]

    async def listen() -> asyncio.Server:
        return await it.loop.create_server(protocol, "127.0.0.1", 0)

    async def close() -> None:
        server.close()
        await server.wait_closed()
        sessions = {each._handler_coroutine for each in protocols}
        await asyncio.gather(*filter(None, sessions), return_exceptions=True)

    it = Loop()
    it.start()
    server = it.wait_for(listen())
    yield server.sockets[0].getsockname()
    it.wait_for(close())
    it.end()


LARGE: Final = {"data_size_limit": 50_000_000}


@pytest.mark.parametrize("address", [LARGE], indirect=True)
@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_what_our_client_sends_arrives_octet_for_octet(
    address: tuple[str, int], keeper: Keeper, content: bytes, expected: bytes | None
) -> None:
    with connect_smtp(*address) as client:
        client.send_mail("a@b.example", "c@d.example", content).check()
    envelope = keeper.got.get(timeout=30)
    assert envelope.content == (content if expected is None else expected)
    assert envelope.mail_from == "a@b.example"
    assert envelope.rcpt_tos == ["c@d.example"]


def test_our_client_sends_an_empty_message(
    address: tuple[str, int], keeper: Keeper
) -> None:
    with connect_smtp(*address) as client:
        client.send_mail("a@b.example", "c@d.example", b"").check()
    assert keeper.got.get(timeout=30).content == b""


def test_lf_line_ends_are_sent_as_crlf(
    address: tuple[str, int], keeper: Keeper
) -> None:
    with connect_smtp(*address) as client:
        client.send_mail("", "c@d.example", b"one\n.two\n\n").check()
    assert keeper.got.get(timeout=30).content == b"one\r\n.two\r\n\r\n"


def test_our_client_sends_many_messages_in_one_session(
    address: tuple[str, int], keeper: Keeper
) -> None:
    contents = [b"%d\r\n" % number for number in range(50)]
    with connect_smtp(*address) as client:
        for content in contents:
            client.send_mail("a@b.example", "c@d.example", content).check()
    assert [keeper.got.get(timeout=30).content for _ in contents] == contents


def test_our_client_sends_with_smtputf8(
    address: tuple[str, int], keeper: Keeper
) -> None:
    with connect_smtp(*address) as client:
        result = client.send_mail("jürgen@bücher.example", "用户@例子.example", UTF8)
        result.check()
    envelope = keeper.got.get(timeout=30)
    assert envelope.smtp_utf8
    assert "BODY=8BITMIME" in envelope.mail_options
    assert envelope.mail_from == "jürgen@bücher.example"
    assert envelope.rcpt_tos == ["用户@例子.example"]
    assert envelope.content == UTF8


def test_our_client_sends_an_email_message(
    address: tuple[str, int], keeper: Keeper
) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@b.example", "c@d.example"
    message["Bcc"] = "e@f.example"
    message.set_content("first\n.\nlast\n")
    with connect_smtp(*address) as client:
        client.send_message(message).check()
    envelope = keeper.got.get(timeout=30)
    assert envelope.rcpt_tos == ["c@d.example", "e@f.example"]
    assert isinstance(envelope.content, bytes)
    assert b"e@f.example" not in envelope.content
    assert envelope.content.endswith(b"\r\n\r\nfirst\r\n.\r\nlast\r\n")


def test_our_client_hears_which_recipients_are_refused(
    address: tuple[str, int], keeper: Keeper
) -> None:
    recipients = ["no@d.example", "c@d.example", "no2@d.example"]
    with connect_smtp(*address) as client:
        result = client.send_mail("a@b.example", recipients, b"x\r\n")
        assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
        assert result.refused == ["no@d.example", "no2@d.example"]
        result = client.send_mail("a@b.example", "no@d.example", b"x\r\n")
        assert result.outcome is smtp.Outcome.REFUSED
        assert str(result.reply) == "550 no such user"
        client.send_mail("a@b.example", "c@d.example", b"y\r\n").check()
    assert keeper.got.get(timeout=30).content == b"x\r\n"
    assert keeper.got.get(timeout=30).content == b"y\r\n"


@pytest.mark.parametrize("address", [{"data_size_limit": 1000}], indirect=True)
def test_our_client_hears_that_content_of_unknown_size_is_too_large(
    address: tuple[str, int],
) -> None:
    with connect_smtp(*address) as client:
        result = client.send_mail("a@b.example", "c@d.example", iter([b"x\r\n"] * 999))
        assert result.reply is not None
        assert result.reply.code == 552


def authenticator(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    known = (data.login, data.password) == (b"alice", b"secret")
    return AuthResult(success=known, handled=False, auth_data=mechanism)


STARTTLS: Final = {
    "tls_context": LOCAL,
    "require_starttls": True,
    "auth_required": True,
    "authenticator": authenticator,
}


@pytest.mark.parametrize("address", [STARTTLS], indirect=True)
@pytest.mark.parametrize("mechanism", [None, "PLAIN", "LOGIN"])
def test_our_client_logs_in_after_starttls(
    address: tuple[str, int], keeper: Keeper, mechanism: str | None
) -> None:
    with connect_smtp(
        *address, context=client_context(), auth=ALICE, mechanism=mechanism
    ) as client:
        client.send_mail("a@b.example", "c@d.example", UTF8).check()
    assert keeper.got.get(timeout=30).content == UTF8


@pytest.mark.parametrize("address", [STARTTLS], indirect=True)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_our_client_hears_that_a_password_is_wrong(
    address: tuple[str, int], mechanism: str
) -> None:
    wrong = sasl.Password("alice", "wrong")
    with pytest.raises(smtp.AuthenticationFailed, match="535"):
        connect_smtp(
            *address, context=client_context(), auth=wrong, mechanism=mechanism
        )


@pytest.mark.parametrize("address", [STARTTLS], indirect=True)
def test_our_client_hears_that_it_has_to_begin_tls(address: tuple[str, int]) -> None:
    with connect_smtp(*address) as client:
        result = client.send_mail("a@b.example", "c@d.example", UTF8)
        assert result.reply is not None
        assert result.reply.code == 530
