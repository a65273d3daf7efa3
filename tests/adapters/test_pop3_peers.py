"""Real peers of POP3: poplib reads from our server, our client from Twisted's."""

import poplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from certificates import AUTHORITY, client_context, server_context
from maildrops import KEY, LOGINS, OPEN_LOGINS, Store
from smtp_pop_adapters.blocking import Pop3Client, Server, connect_pop3, serve_pop3
from smtp_pop_core import Blocks, PolicyError, pop3, sasl

TWISTED: Final = Path(__file__).parents[1] / "twisted_pop3.py"
LOCAL: Final = server_context(AUTHORITY.issue_cert("127.0.0.1"))
ONE: Final = b"Subject: one\r\n\r\nfirst\r\n"
DOTS: Final = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n"
LINES: Final = b"".join(  # 25 MB; poplib takes lines of 2,048 octets at most
    b"." * (length % 2_041) + b"\r\n" for length in range(24_500)
)


# poplib reads from our server


@pytest.fixture
def store() -> Store:
    return Store(ONE, DOTS, b"", LINES)


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    with serve_pop3(
        store, "127.0.0.1", tls=LOCAL, logins=OPEN_LOGINS, apop=True
    ) as server:
        yield server


@pytest.fixture
def reader(server: Server) -> Iterator[poplib.POP3]:
    reader = poplib.POP3(*server.addresses[0], timeout=30)
    yield reader
    reader.close()


@pytest.fixture
def session(reader: poplib.POP3) -> poplib.POP3:
    """Alice has logged in."""
    reader.user("alice")
    reader.pass_("secret")
    return reader


def content_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


def test_poplib_learns_what_there_is(session: poplib.POP3) -> None:
    octets = len(ONE + DOTS + LINES)
    assert session.stat() == (4, octets)
    _, sizes, _ = session.list()
    assert sizes == [
        b"1 %d" % len(ONE),
        b"2 %d" % len(DOTS),
        b"3 0",
        b"4 %d" % len(LINES),
    ]
    response: Any = session.list(2)  # with a number, it is one line
    assert response == b"+OK 2 %d" % len(DOTS)
    _, ids, _ = session.uidl()
    assert ids == [b"1 id-1", b"2 id-2", b"3 id-3", b"4 id-4"]
    assert session.uidl(3) == b"+OK 3 id-3"


@pytest.mark.parametrize(
    ("number", "content"),
    [
        pytest.param(1, ONE, id="small"),
        pytest.param(2, DOTS, id="dots"),
        pytest.param(3, b"", id="empty"),
        pytest.param(4, LINES, id="25 MB"),
    ],
)
def test_poplib_gets_a_message_octet_for_octet(
    session: poplib.POP3, number: int, content: bytes
) -> None:
    _, lines, octets = session.retr(number)
    assert content_of(lines) == content
    assert octets == len(content)


def test_poplib_gets_a_header_and_some_lines(session: poplib.POP3) -> None:
    _, lines, _ = session.top(2, 0)
    assert content_of(lines) == b"Subject: dots\r\n\r\n"
    _, lines, _ = session.top(2, 3)
    assert content_of(lines) == b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n"


def test_poplib_removes_messages(session: poplib.POP3, store: Store) -> None:
    session.dele(1)
    session.dele(4)
    with pytest.raises(poplib.error_proto, match="No such message"):
        session.retr(1)
    assert session.stat() == (2, len(DOTS))
    assert session.quit() == b"+OK Goodbye"
    assert store.ending() is pop3.Ending.QUIT
    assert (store.removed, store.closed) == ([{1, 4}], 1)


def test_poplib_takes_marks_back(session: poplib.POP3, store: Store) -> None:
    session.dele(1)
    session.rset()
    session.noop()
    assert session.stat()[0] == 4
    session.quit()
    assert store.ending() is pop3.Ending.QUIT
    assert store.removed == [set()]


def test_poplib_that_closes_removes_nothing(session: poplib.POP3, store: Store) -> None:
    session.dele(1)
    session.close()
    assert store.ending() is pop3.Ending.LOST
    assert (store.removed, store.closed) == ([], 1)


def test_poplib_logs_in_with_apop(reader: poplib.POP3, store: Store) -> None:
    assert reader.apop("alice", "secret").startswith(b"+OK ")
    assert store.peer.identity == "alice"


def test_poplib_hears_that_a_password_is_wrong(
    reader: poplib.POP3, store: Store
) -> None:
    reader.user("alice")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\] Login failed"):
        reader.pass_("wrong")
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\] Login failed"):
        reader.apop("alice", "wrong")
    assert store.peer.identity == ""
    reader.user("alice")
    assert reader.pass_("secret").startswith(b"+OK ")


def test_poplib_learns_what_the_server_can_do(reader: poplib.POP3) -> None:
    capabilities = reader.capa()
    assert capabilities["UTF8"] == ["USER"]
    assert capabilities["STLS"] == []
    assert capabilities["PIPELINING"] == []
    assert {"TOP", "UIDL", "USER", "RESP-CODES"} <= capabilities.keys()
    assert "SCRAM-SHA-256" in capabilities["SASL"]
    assert reader.utf8().startswith(b"+OK")


def test_poplib_logs_in_with_a_name_in_utf8() -> None:
    users = sasl.Users({"jürgen": "пароль"}, key=KEY)

    class Local(Store):
        def authenticate(self, question: sasl.Question) -> object:
            return users.answer(question)

    store = Local(ONE)
    with serve_pop3(store, "127.0.0.1", logins=OPEN_LOGINS) as server:
        reader = poplib.POP3(*server.addresses[0], timeout=30)
        reader.user("jürgen")
        assert reader.pass_("пароль").startswith(b"+OK ")
        assert store.peer.identity == "jürgen"
        reader.quit()


def test_poplib_begins_tls(reader: poplib.POP3, store: Store) -> None:
    reader.stls(client_context())
    assert "STLS" not in reader.capa()
    reader.user("alice")
    reader.pass_("secret")
    assert store.peer.tls
    _, lines, _ = reader.retr(4)
    assert content_of(lines) == LINES
    reader.quit()


def test_poplib_cannot_log_in_before_tls_where_it_must_not(store: Store) -> None:
    with serve_pop3(store, "127.0.0.1", tls=LOCAL, logins=LOGINS) as server:
        reader = poplib.POP3(*server.addresses[0], timeout=30)
        assert "USER" not in reader.capa()
        with pytest.raises(poplib.error_proto, match="-ERR"):
            reader.user("alice")
        reader.stls(client_context())
        reader.user("alice")
        assert reader.pass_("secret").startswith(b"+OK ")
        reader.quit()


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_poplib_speaks_inside_tls(store: Store, most: ssl.TLSVersion) -> None:
    with serve_pop3(store, "127.0.0.1", tls=LOCAL, implicit_tls=True) as server:
        context = client_context(most=most)
        reader = poplib.POP3_SSL(*server.addresses[0], timeout=30, context=context)
        reader.user("alice")
        reader.pass_("secret")
        _, lines, _ = reader.retr(2)
        assert content_of(lines) == DOTS
        assert reader.quit() == b"+OK Goodbye"


# Our client reads from Twisted

SENT: Final = [
    # what Twisted has, with LF line ends; what a client gets
    pytest.param(b"Subject: x\n\nhello\n", None, id="small"),
    pytest.param(b"x\n.\n..\n.one\n\n.\n", None, id="dots"),
    pytest.param(b"\n.\nDELE 1\n", None, id="what looks like the end"),
    pytest.param(b"\n", None, id="an empty line"),
    pytest.param(b"no end", b"no end\r\n", id="no final line end"),
    pytest.param(bytes(range(128, 256)) + b"\n", None, id="8-bit"),
    pytest.param((b"x" * 76 + b"\n") * 320_513, None, id="25 MB"),
    pytest.param(b"x" * 1_000_000 + b"\n", None, id="a line of 1 MB"),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where Twisted listens."""
    folder = tmp_path_factory.mktemp("maildrop")
    for number, sent in enumerate(SENT):
        content: Any = sent.values[0]
        (folder / str(number)).write_bytes(content)
    command = [sys.executable, str(TWISTED), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as it:
        assert it.stdout is not None
        yield int(it.stdout.readline())
        it.terminate()


def client_of(
    port: int, user: str = "alice", mechanism: str = "CRAM-MD5", **options: Any
) -> Pop3Client:
    auth = sasl.Password(user, "secret")
    options = {"tls": "none", "auth": auth, "mechanism": mechanism, **options}
    return connect_pop3("127.0.0.1", port, **options)


@pytest.fixture
def client(port: int) -> Iterator[Pop3Client]:
    with client_of(port) as client:
        yield client


@pytest.mark.parametrize(("content", "expected"), SENT)
def test_a_message_arrives_octet_for_octet(
    client: Pop3Client, content: bytes, expected: bytes | None
) -> None:
    number = [each.values[0] for each in SENT].index(content) + 1
    wanted = content.replace(b"\n", b"\r\n") if expected is None else expected
    assert client.fetch(number) == wanted
    assert client.noop().cls is pop3.OK


def test_a_message_is_read_in_blocks_and_left_early(client: Pop3Client) -> None:
    (large,) = [each for each in client.messages() if each.size > 20_000_000]
    with client.retrieve(large) as content:
        assert next(iter(content)).startswith(b"xxx")
    with client.top(1) as content:
        assert content.read() == b"Subject: x\r\n\r\n"
    assert client.fetch(1) == b"Subject: x\r\n\r\nhello\r\n"


def test_ten_thousand_messages_are_listed(port: int) -> None:
    got: dict[int, bytes] = {}

    def keep(number: int, content: Blocks) -> None:
        got[number] = content.read()

    with client_of(port, "bob") as client:
        assert client.status().messages == 10_000
        listed = client.messages()
        assert client.retrieve_many(listed[::10], keep) == {}
    assert len(listed) == 10_000
    assert listed[0] == pop3.Listed(1, 3, "id-1")
    assert listed[-1] == pop3.Listed(10_000, 7, "id-10000")
    assert got == {number: b"%d\r\n" % number for number in range(1, 10_001, 10)}


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "USER"])
def test_our_client_logs_in(port: int, mechanism: str) -> None:
    lines: list[str] = []
    with client_of(
        port, mechanism=mechanism, allow_insecure_auth=True, trace=lines.append
    ) as client:
        assert client.status().messages == len(SENT)
        assert client.capabilities["IMPLEMENTATION"].arguments() == "Twisted"
    assert not any("secret" in line.replace("(secret)", "") for line in lines)


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "APOP", "USER"])
def test_our_client_hears_that_a_password_is_wrong(port: int, mechanism: str) -> None:
    wrong = sasl.Password("alice", "wrong")
    with pytest.raises(pop3.AuthenticationFailed, match="-ERR"):
        client_of(port, mechanism=mechanism, auth=wrong, allow_insecure_auth=True)


def test_our_client_does_not_go_on_without_tls(port: int) -> None:
    with pytest.raises(PolicyError, match="does not offer STLS"):
        client_of(port, tls="require")


def test_what_our_client_deletes_is_gone(port: int) -> None:
    with client_of(port, "bob") as client:
        assert client.delete(1, 3) == {}
        assert client.reset().cls is pop3.OK
        assert client.delete(2, 4) == {}
    with client_of(port, "bob") as client:
        ids = [each.unique_id for each in client.messages()[:3]]
    assert ids == ["id-1", "id-3", "id-5"]
