"""Proxies and filters in front of the servers of the three adapters, on loopback."""

import gc
import queue
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from asynchronous import HOST, KITS, Kit
from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import Blocks, Flow, PolicyError, smtp
from smtp_pop_core.smtp import Forwarded, Unavailable, Xclient, Xforward

met: Final[queue.SimpleQueue[object]] = queue.SimpleQueue()
"""What applications have been told of their clients and messages."""

CLIENT: Final = Xclient(
    name="a.example", addr="2001:db8::1", port=99, helo="b.example", login="joe"
)
MESSAGE: Final = Xforward(name="c.example", addr=Unavailable.UNAVAILABLE, ident="A1")
MET: Final = [
    (HOST, "", "me.example", "", Forwarded(name="c.example", ident="A1")),
    ("2001:db8::1", "a.example", "b.example", "joe", None),
]
TRUSTED: Final = ["127.0.0.0/8"]
OTHERS: Final = ["192.0.2.0/24", "unix"]


class Asking(smtp.Application):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        peer = self.peer
        met.put((peer.address, peer.name, peer.helo, peer.identity, peer.forwarded))


@pytest.fixture(autouse=True, scope="module")
def every_socket_is_closed() -> Iterator[None]:
    """A socket that was left open is a ResourceWarning, which is an error."""
    yield
    gc.collect()


def test_a_blocking_client_speaks_for_another() -> None:
    with (
        serve_smtp(Asking, HOST, xclient=TRUSTED) as server,
        connect_smtp(*server.addresses[0], domain="me.example") as client,
    ):
        assert client.xforward(MESSAGE).code == 250
        client.send_mail("", "a@a.example", b"x").check()
        assert "XCLIENT" not in client.xclient(CLIENT)
        client.send_mail("", "a@a.example", b"x").check()
        assert [met.get() for _ in MET] == MET


@pytest.mark.parametrize("kit", KITS)
def test_an_async_client_speaks_for_another(kit: Kit) -> None:
    async def run() -> None:
        async with kit.serve_smtp(Asking, xclient=TRUSTED) as server:
            host, port = server.addresses[0]
            async with kit.connect_smtp(host, port, domain="me.example") as client:
                assert (await client.xforward(MESSAGE)).code == 250
                (await client.send_mail("", "a@a.example", b"x")).check()
                assert "XCLIENT" not in await client.xclient(CLIENT)
                (await client.send_mail("", "a@a.example", b"x")).check()
        assert [met.get() for _ in MET] == MET

    kit.run(run)


@pytest.mark.parametrize("networks", [None, [], OTHERS])
def test_a_client_that_is_not_trusted_is_not_offered_it(
    networks: list[str] | None,
) -> None:
    with (
        serve_smtp(Asking, HOST, xclient=networks) as server,
        connect_smtp(*server.addresses[0]) as client,
    ):
        assert not {"XCLIENT", "XFORWARD"} & client.extensions.keys()
        with pytest.raises(PolicyError, match="does not offer XCLIENT"):
            client.xclient(CLIENT)


@pytest.mark.parametrize(("networks", "code"), [(None, 500), (OTHERS, 550)])
def test_and_may_not_use_it(networks: list[str] | None, code: int) -> None:
    with (
        serve_smtp(Asking, HOST, xclient=networks) as server,
        connect_smtp(*server.addresses[0]) as client,
        pytest.raises(smtp.Rejected, match=str(code)),
    ):
        client.run(saying(client.connection))


def saying(conn: smtp.Connection) -> Flow[None]:
    reply = yield from smtp.exchange(conn, CLIENT)
    raise smtp.Rejected(CLIENT, reply)


def test_what_is_offered_may_be_less() -> None:
    name = smtp.extensions.Xclient(("NAME",))
    with (
        serve_smtp(Asking, HOST, xclient=TRUSTED, extensions=[name]) as server,
        connect_smtp(*server.addresses[0]) as client,
    ):
        assert client.extensions["XCLIENT"] == name
        assert "XFORWARD" in client.extensions


def test_what_is_no_network_is_found_before_a_server_listens() -> None:
    with pytest.raises(ValueError, match="'localhost' does not appear"):
        serve_smtp(Asking, HOST, xclient=["localhost"])


@pytest.mark.parametrize(
    ("networks", "code"), [(["192.0.2.0/24"], 220), (["127.0.0.0/8"], 550)]
)
def test_behind_a_balancer_the_address_in_its_header_counts(
    networks: list[str], code: int
) -> None:
    said = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\nXCLIENT NAME=a\r\nQUIT\r\n"
    with (
        serve_smtp(Asking, HOST, proxy_protocol=TRUSTED, xclient=networks) as server,
        socket.create_connection(server.addresses[0], 30) as sock,
        sock.makefile("rb") as replies,
    ):
        sock.sendall(said)
        _, answer, _ = replies
        assert answer.startswith(b"%d " % code)


def test_a_bound_of_sessions_from_one_address_is_for_the_clients_of_a_proxy() -> None:
    with (
        serve_smtp(Asking, HOST, xclient=TRUSTED, sessions_per_address=1) as server,
        connect_smtp(*server.addresses[0]) as first,
        connect_smtp(*server.addresses[0]) as second,
    ):
        first.xclient(Xclient(addr="192.0.2.7"))
        with pytest.raises(smtp.Rejected, match="Too many connections"):
            second.xclient(Xclient(addr="192.0.2.7"))
