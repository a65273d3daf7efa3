"""Proxies and filters in front of the servers of the three adapters, on loopback."""

import queue
import socket
from typing import Any, Final

import pytest

from adapting import HOST, Adapter
from loopback import read_all
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


async def test_a_client_speaks_for_another(adapter: Adapter) -> None:
    async with (
        adapter.serve_smtp(Asking, xclient=TRUSTED) as server,
        adapter.connect_smtp(*server.addresses[0], domain="me.example") as client,
    ):
        assert (await client.xforward(MESSAGE)).code == 250
        (await client.send_mail("", "a@a.example", b"x")).check()
        assert "XCLIENT" not in await client.xclient(CLIENT)
        (await client.send_mail("", "a@a.example", b"x")).check()
    assert [met.get() for _ in MET] == MET


@pytest.mark.parametrize("networks", [None, [], OTHERS])
async def test_a_client_that_is_not_trusted_is_not_offered_it(
    adapter: Adapter, networks: list[str] | None
) -> None:
    async with (
        adapter.serve_smtp(Asking, xclient=networks) as server,
        adapter.connect_smtp(*server.addresses[0]) as client,
    ):
        assert not {"XCLIENT", "XFORWARD"} & client.extensions.keys()
        with pytest.raises(PolicyError, match="does not offer XCLIENT"):
            await client.xclient(CLIENT)


@pytest.mark.parametrize(("networks", "code"), [(None, 500), (OTHERS, 550)])
async def test_and_may_not_use_it(
    adapter: Adapter, networks: list[str] | None, code: int
) -> None:
    async with (
        adapter.serve_smtp(Asking, xclient=networks) as server,
        adapter.connect_smtp(*server.addresses[0]) as client,
    ):
        with pytest.raises(smtp.Rejected, match=str(code)):
            await client.run(saying(client.connection))


def saying(conn: smtp.Connection) -> Flow[None]:
    reply = yield from smtp.exchange(conn, CLIENT)
    raise smtp.Rejected(CLIENT, reply)


async def test_what_is_offered_may_be_less(adapter: Adapter) -> None:
    name = smtp.extensions.Xclient(("NAME",))
    async with (
        adapter.serve_smtp(Asking, xclient=TRUSTED, extensions=[name]) as server,
        adapter.connect_smtp(*server.addresses[0]) as client,
    ):
        assert client.extensions["XCLIENT"] == name
        assert "XFORWARD" in client.extensions


async def test_what_is_no_network_is_found_before_a_server_listens(
    adapter: Adapter,
) -> None:
    with pytest.raises(ValueError, match="'localhost' does not appear"):
        async with adapter.serve_smtp(Asking, xclient=["localhost"]):
            pass


@pytest.mark.parametrize(
    ("networks", "code"), [(["192.0.2.0/24"], 220), (["127.0.0.0/8"], 550)]
)
async def test_behind_a_balancer_the_address_in_its_header_counts(
    adapter: Adapter, networks: list[str], code: int
) -> None:
    said = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\nXCLIENT NAME=a\r\nQUIT\r\n"

    def talk(address: tuple[str, int]) -> list[bytes]:
        with socket.create_connection(address, 30) as sock:
            sock.sendall(said)
            return read_all(sock).splitlines()

    options: dict[str, Any] = {"proxy_protocol": TRUSTED, "xclient": networks}
    async with adapter.serve_smtp(Asking, **options) as server:
        _, answer, _ = await adapter.thread(lambda: talk(server.addresses[0]))
    assert answer.startswith(b"%d " % code)


async def test_a_bound_of_sessions_from_one_address_is_for_the_clients_of_a_proxy(
    adapter: Adapter,
) -> None:
    async with (
        adapter.serve_smtp(Asking, xclient=TRUSTED, sessions_per_address=1) as server,
        adapter.connect_smtp(*server.addresses[0]) as first,
        adapter.connect_smtp(*server.addresses[0]) as second,
    ):
        await first.xclient(Xclient(addr="192.0.2.7"))
        with pytest.raises(smtp.Rejected, match="Too many connections"):
            await second.xclient(Xclient(addr="192.0.2.7"))
