"""Who cuts a connection inside TLS truncates nothing.  RFC 8446 section 6.1.

An end without close_notify may be an attack; an end with it in the middle of content is
no end of the content either.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from adapting import Adapter
from certificates import NAME, client_context, server_context
from loopback import Background, Raw, reset
from maildrops import ALICE
from receiving import Store
from smtp_pop_core import ConnectionLost, MessageAborted, smtp

Leave = Callable[[ssl.SSLSocket], object]


def tell(tls: ssl.SSLSocket) -> None:
    """Say close_notify, and close."""
    with contextlib.suppress(OSError):  # what we have not read may come first
        tls.unwrap()
    tls.close()


def halve_a_record(tls: ssl.SSLSocket) -> None:
    """Say that a record begins, and close."""
    with socket.socket(fileno=tls.detach()) as sock:
        sock.sendall(bytes((23, 3, 3, 0, 99)) + b"as it were")


TOLD: Final = pytest.param(tell, id="told")
CUT: Final = [
    pytest.param(ssl.SSLSocket.close, id="cut"),
    pytest.param(halve_a_record, id="in-a-record"),
    pytest.param(reset, id="reset"),
]
VERSIONS: Final = [
    pytest.param(ssl.TLSVersion.TLSv1_2, id="1.2"),
    pytest.param(ssl.TLSVersion.TLSv1_3, id="1.3"),
]
OPTIONS: Final[Mapping[str, Any]] = {
    "tls": "implicit",
    "context": client_context(),
    "server_hostname": NAME,
}

pytestmark = pytest.mark.parametrize("most", VERSIONS)


# A client that is cut off


@pytest.mark.parametrize("command", ["DATA", "BDAT 99 LAST"])
@pytest.mark.parametrize("leave", [*CUT, TOLD])
async def test_content_that_breaks_off_inside_tls_is_not_stored(
    adapter: Adapter, most: ssl.TLSVersion, leave: Leave, command: str
) -> None:
    def talk() -> None:
        sock = socket.create_connection(server.addresses[0])
        tls = client_context(most=most).wrap_socket(sock, server_hostname=NAME)
        client = Raw(tls)
        client.hear()
        for line in ("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"):
            assert client.say(line).startswith("250")
        tls.sendall(command.encode() + b"\r\n")
        tls.sendall(b"all but the last octet\r\n.\r")
        leave(tls)
        client.close()

    store = Store()
    options = {"tls": server_context(), "implicit_tls": True}
    async with adapter.serve_smtp(store, **options) as server:
        await adapter.thread(talk)
        await adapter.until(lambda: store.kept.endings)
    assert store.kept.endings == [smtp.Ending.LOST]
    assert store.kept.contents == []


# A server that is cut off


@contextlib.contextmanager
def leaving(
    most: ssl.TLSVersion, leave: Leave, greeting: bytes, answers: Mapping[bytes, bytes]
) -> Iterator[tuple[str, int]]:
    """A server inside TLS that leaves when it has given the last of its answers."""
    listener = socket.create_server(("127.0.0.1", 0))

    def session() -> None:
        sock, _ = listener.accept()
        sock.settimeout(30)
        tls = server_context(most=most).wrap_socket(sock, server_side=True)
        with tls.makefile("rb") as file:
            tls.sendall(greeting)
            for line in file:
                command = line[:4].upper().strip()
                tls.sendall(answers.get(command, b""))
                if command == list(answers)[-1]:
                    break
            leave(tls)

    with listener:
        background = Background(session)
        yield listener.getsockname()
        assert background.result() is None


HELLO: Final = {b"EHLO": b"250 hi\r\n"}
LOGIN: Final = {
    b"CAPA": b"+OK\r\nUSER\r\n.\r\n",
    b"USER": b"+OK\r\n",
    b"PASS": b"+OK\r\n",
}


@pytest.mark.parametrize("leave", [CUT[0], TOLD])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"+OK", ConnectionLost),
        (b"+OK\r\na li", MessageAborted),
        (b"+OK\r\na line\r\n.\r", MessageAborted),
    ],
)
async def test_a_message_that_breaks_off_inside_tls_is_not_fetched(
    adapter: Adapter,
    most: ssl.TLSVersion,
    leave: Leave,
    answer: bytes,
    error: type[Exception],
) -> None:
    options = {**OPTIONS, "auth": ALICE, "mechanism": "USER"}
    answers = {**LOGIN, b"RETR": answer}
    with leaving(most, leave, b"+OK\r\n", answers) as address:
        client = await adapter.connect_pop3(*address, **options)
        with pytest.raises(error):
            await client.fetch(1)
        assert client.closed
        client.close()


@pytest.mark.parametrize("leave", [CUT[0], TOLD])
@pytest.mark.parametrize("reply", [b"250 hi", b"250-hi\r\n"])
async def test_a_reply_that_breaks_off_inside_tls_is_no_reply(
    adapter: Adapter, most: ssl.TLSVersion, leave: Leave, reply: bytes
) -> None:
    with (
        leaving(most, leave, b"220 hi\r\n", {b"EHLO": reply}) as address,
        pytest.raises(ConnectionLost),
    ):
        await adapter.connect_smtp(*address, **OPTIONS)


@pytest.mark.parametrize("leave", [CUT[0], TOLD])
async def test_a_message_whose_reply_breaks_off_inside_tls_is_in_doubt(
    adapter: Adapter, most: ssl.TLSVersion, leave: Leave
) -> None:
    answers = {
        **HELLO,
        b"MAIL": b"250 ok\r\n",
        b"RCPT": b"250 ok\r\n",
        b"DATA": b"354 go\r\n",
        b".": b"250 o",
    }
    with leaving(most, leave, b"220 hi\r\n", answers) as address:
        client = await adapter.connect_smtp(*address, **OPTIONS)
        result = await client.send_mail("a@b", "c@d", b"one line\r\n")
        client.close()
    assert result.outcome is smtp.Outcome.IN_DOUBT


# The end of a session


@pytest.mark.parametrize("leave", [CUT[0], TOLD])
async def test_a_server_may_end_a_session_without_close_notify(
    adapter: Adapter, most: ssl.TLSVersion, leave: Leave
) -> None:
    answers = {**HELLO, b"QUIT": b"221 bye\r\n"}
    with leaving(most, leave, b"220 hi\r\n", answers) as address:
        client = await adapter.connect_smtp(*address, **OPTIONS)
        reply = await client.quit()
    assert str(reply) == "221 bye"
