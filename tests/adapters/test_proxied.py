"""Servers of the three adapters behind a proxy, on loopback."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from adapting import HOST
from certificates import NAME, client_context, server_context
from cutting import octets
from door import Door, Serving
from loopback import Raw
from smtp_pop_core import Limits, Timeouts, pop3, smtp
from smtp_pop_core.proxy import (
    Authority,
    Command,
    Header,
    Inet,
    Transport,
    Unix,
    write_header,
)

T = TypeVar("T")

LINE: Final = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"
SOURCE: Final = Inet("2001:db8::1", 56_324)
FULL: Final = write_header(
    Header(Transport.TCP6, SOURCE, Inet("::1", 25), tlvs=(Authority("mx.example"),))
)
LOCAL: Final = write_header(Header(command=Command.LOCAL))
TRUSTED: Final = {"proxy_protocol": ["127.0.0.0/8"]}
SOON: Final = 0.01  # seconds, where time itself is tested

met: Final[list[smtp.Peer | pop3.Peer]] = []
"""Whom applications were made for; forgotten when another server is started."""


class Receiver(smtp.Application):
    def __init__(self, peer: smtp.Peer) -> None:
        super().__init__(peer)
        met.append(peer)


class Reader(pop3.Application):
    def __init__(self, peer: pop3.Peer) -> None:
        super().__init__(peer)
        met.append(peer)


GREETINGS: Final = {
    "smtp": b"220 mx.example ESMTP\r\n",
    "pop3": b"+OK mx.example POP3\r\n",
}
GOODBYES: Final = {
    "smtp": b"221 2.0.0 mx.example closing\r\n",
    "pop3": b"+OK Goodbye\r\n",
}
SESSIONS: Final = {name: GREETINGS[name] + GOODBYES[name] for name in GREETINGS}


def visit(
    serving: Serving, protocol: str, client: Callable[[Any], T], **options: Any
) -> T:
    """Serve while a client is called with the address; return what it returns."""
    met.clear()
    answers: list[T] = []

    def meet(door: Door) -> None:
        answers.append(client(door.server.addresses[0]))

    application: Any = {"smtp": Receiver, "pop3": Reader}[protocol]
    serving(protocol, meet, application=application, **options)
    return answers[0]


def saying(*pieces: bytes) -> Callable[[tuple[str, int]], bytes]:
    """Give a client that says this, and returns all that it hears."""

    def talk(address: tuple[str, int]) -> bytes:
        with socket.create_connection(address, 30) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                sock.sendall(piece)
            with sock.makefile("rb") as file:
                return file.read()

    return talk


def saying_inside_tls(header: bytes, said: bytes) -> Callable[[tuple[str, int]], bytes]:
    """Give one that sends the header and its ClientHello in one segment."""

    def talk(address: tuple[str, int]) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
        with socket.create_connection(address, 30) as sock:
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            sock.sendall(header + outgoing.read())
            heard = _advance(tls.do_handshake, sock, incoming)
            assert heard is None
            tls.write(said)
            sock.sendall(outgoing.read())
            pieces = []
            while piece := _advance(lambda: tls.read(65_536), sock, incoming):
                pieces.append(piece)
            return b"".join(pieces)

    return talk


def _advance(step: Callable[[], T], sock: socket.socket, incoming: ssl.MemoryBIO) -> T:
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            incoming.write(sock.recv(65_536))


# Who is believed


@pytest.mark.parametrize(
    ("header", "place"),
    [(LINE, ("192.0.2.1", 56_324)), (FULL, ("2001:db8::1", 56_324))],
)
@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_the_client_is_where_its_proxy_says(
    serving: Serving, protocol: str, header: bytes, place: tuple[str, int]
) -> None:
    heard = visit(serving, protocol, saying(header + b"QUIT\r\n"), **TRUSTED)
    assert heard == SESSIONS[protocol]
    assert [(peer.address, peer.port) for peer in met] == [place]


@pytest.mark.parametrize("header", [LINE, FULL])
@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_tls_begins_behind_the_header(
    serving: Serving, protocol: str, header: bytes
) -> None:
    """SMTP-PROXY-2.2-m: header and ClientHello in one segment."""
    talk = saying_inside_tls(header, b"QUIT\r\n")
    tls = {"tls": server_context(), "implicit_tls": True}
    assert visit(serving, protocol, talk, **tls, **TRUSTED) == SESSIONS[protocol]
    assert [peer.tls for peer in met] == [True]
    assert met[0].address in ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize("header", [LINE, FULL])
def test_a_header_may_come_in_single_octets(serving: Serving, header: bytes) -> None:
    heard = visit(serving, "smtp", saying(*octets(header + b"QUIT\r\n")), **TRUSTED)
    assert heard == SESSIONS["smtp"]
    assert [peer.proxy is None for peer in met] == [False]


def test_a_proxy_that_speaks_for_itself_is_the_client(serving: Serving) -> None:
    heard = visit(serving, "smtp", saying(LOCAL + b"QUIT\r\n"), **TRUSTED)
    assert heard == SESSIONS["smtp"]
    assert [peer.address for peer in met] == [HOST]


@pytest.mark.parametrize("first", [b"EHLO x\r\n", b"\x16\x03\x01", b"PROXY UNKNOWN\n"])
@pytest.mark.parametrize("tls", [{}, {"tls": server_context(), "implicit_tls": True}])
def test_a_proxy_that_sends_no_header_hears_nothing(
    serving: Serving, first: bytes, tls: dict[str, Any]
) -> None:
    """SMTP-PROXY-2-b."""
    assert visit(serving, "smtp", saying(first), **tls, **TRUSTED) == b""
    assert met == []


def test_a_proxy_that_is_silent_is_not_waited_for(serving: Serving) -> None:
    limits = Limits(timeouts=Timeouts(proxy=SOON))
    assert visit(serving, "smtp", saying(), limits=limits, **TRUSTED) == b""
    assert met == []


@pytest.mark.parametrize("networks", [None, [], ["10.0.0.0/8", "::/0", "unix"]])
def test_a_header_of_others_is_a_bad_command(
    serving: Serving, networks: list[str] | None
) -> None:
    """SEC-PROXY-SPOOF-a."""
    heard = visit(serving, "smtp", saying(LINE + b"QUIT\r\n"), proxy_protocol=networks)
    assert heard == (
        GREETINGS["smtp"] + b"500 5.5.1 Command not recognized\r\n" + GOODBYES["smtp"]
    )
    assert [(peer.address, peer.proxy) for peer in met] == [(HOST, None)]


def test_a_socket_for_both_families_knows_its_proxies(serving: Serving) -> None:
    """An address of IPv4 is "::ffff:127.0.0.1" there."""
    listener = socket.create_server(
        ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
    )
    port = listener.getsockname()[1]
    heard = visit(
        serving,
        "smtp",
        lambda _: saying(LINE + b"QUIT\r\n")((HOST, port)),
        sock=listener,
        **TRUSTED,
    )
    assert heard == SESSIONS["smtp"]
    assert [peer.address for peer in met] == ["192.0.2.1"]


def test_unix_sockets_are_trusted_by_a_word(serving: Serving, tmp_path: Path) -> None:
    path = str(tmp_path / "smtp")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    ends = Unix(b"/run/client"), Unix(b"/run/smtp")
    header = write_header(Header(Transport.UNIX_STREAM, *ends))

    def talk(_: object) -> list[str]:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        sock.sendall(header)
        raw = Raw(sock)
        said = [raw.hear(), raw.say("QUIT")]
        raw.close()
        return said

    heard = visit(serving, "smtp", talk, sock=listener, proxy_protocol=["unix"])
    assert heard == ["220 mx.example ESMTP", "221 2.0.0 mx.example closing"]
    assert [(peer.address, peer.port) for peer in met] == [("/run/client", 0)]


@pytest.mark.parametrize("network", ["localhost", "127.0.0.1/8", "fe80::1%eth0", ""])
@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_what_is_no_network_is_found_before_a_server_listens(
    serving: Serving, protocol: str, network: str
) -> None:
    with pytest.raises(ValueError, match=r"network|address|bits"):
        visit(serving, protocol, saying(), proxy_protocol=[network])
