"""What clients do alike: each test runs on blocking sockets, in asyncio and in trio."""

import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, TypeVar

import pytest

from loopback import scripted
from maildrops import ALICE, OPEN_LOGINS, Store
from smtp_pop_adapters._cli._adapters import ADAPTERS, Adapter, adapter_of, settled
from smtp_pop_core import ConnectionLost, smtp

T = TypeVar("T")

HOST: Final = "127.0.0.1"
SOON: Final = 0.05  # seconds, where time itself is tested


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return adapter_of(request.param)


@pytest.fixture(autouse=True, scope="module")
def every_socket_is_closed() -> Iterator[None]:
    """A socket that was left open is a ResourceWarning, which is an error."""
    yield
    gc.collect()


class Catcher(smtp.Application):
    """Keeps what it gets; it is its own factory."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def __call__(self, peer: smtp.Peer) -> "Catcher":
        return self

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        return smtp.Reply(550, ("no",)) if command.recipient == "no@d" else None

    def message(self, envelope: smtp.Envelope, content: Any) -> None:
        self.contents.append(content.read())


@contextlib.asynccontextmanager
async def sending(adapter: Adapter, catcher: Catcher) -> AsyncIterator[Any]:
    """Give a client of a server that keeps what it gets."""
    async with (
        adapter.serve("smtp", catcher, HOST) as server,
        adapter.connect("smtp", *server.addresses[0]) as client,
    ):
        yield client


@contextlib.asynccontextmanager
async def fetching(adapter: Adapter, *contents: bytes) -> AsyncIterator[Any]:
    """Give a client of a server that has these messages."""
    async with (
        adapter.serve("pop3", Store(*contents), HOST, logins=OPEN_LOGINS) as server,
        adapter.connect("pop3", *server.addresses[0], auth=ALICE, tls="none") as client,
    ):
        yield client


INSECURE: Final[dict[str, Any]] = {
    "auth": ALICE,
    "tls": "none",
    "mechanism": "USER",
    "allow_insecure_auth": True,
}
LOGGED_IN: Final = (
    b"+OK hello\r\n",
    b"+OK\r\nUSER\r\n.\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\nUSER\r\n.\r\n",
)
GREETING: Final = (b"220 mx.example\r\n", b"250 mx.example\r\n")


# One connection for many messages


def test_one_connection_sends_many_messages_also_after_a_refused_one(
    adapter: Adapter,
) -> None:
    catcher = Catcher()

    async def go() -> list[smtp.Outcome]:
        async with sending(adapter, catcher) as client:
            results = [
                await settled(client.send_mail("a@b", name, f"{name}\r\n".encode()))
                for name in ["one@d", "no@d", "two@d", "three@d"]
            ]
            assert not client.closed
        assert client.closed
        return [each.outcome for each in results]

    accepted, refused = smtp.Outcome.ACCEPTED, smtp.Outcome.REFUSED
    assert adapter.run(go) == [accepted, refused, accepted, accepted]
    assert catcher.contents == [b"one@d\r\n", b"two@d\r\n", b"three@d\r\n"]


def test_noop_finds_out_that_an_idle_connection_is_gone(adapter: Adapter) -> None:
    async def go() -> None:
        with scripted(*GREETING) as (address, _):
            async with adapter.connect("smtp", *address) as client:
                assert not client.closed
                with pytest.raises(ConnectionLost):
                    await settled(client.noop())
                assert client.closed

    adapter.run(go)


def test_a_pop3_client_says_that_its_connection_is_gone(adapter: Adapter) -> None:
    async def go() -> None:
        with scripted(*LOGGED_IN) as (address, _):
            async with adapter.connect("pop3", *address, **INSECURE) as client:
                assert not client.closed
                with pytest.raises(ConnectionLost):
                    await settled(client.noop())
                assert client.closed

    adapter.run(go)


# So many seconds for several calls


def test_calls_have_so_many_seconds_together(adapter: Adapter) -> None:
    async def go() -> None:
        async with sending(adapter, Catcher()) as client:
            with client.within(30):
                await settled(client.noop())
                with client.within(0), pytest.raises(TimeoutError):
                    await settled(client.noop())
            assert client.closed

    adapter.run(go)


def test_a_message_whose_end_was_sent_in_time_is_in_doubt(adapter: Adapter) -> None:
    """The server says nothing to it, and the caller's time ends."""
    answers = [*GREETING, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"", b""]

    async def go() -> None:
        with scripted(*answers) as (address, heard), contextlib.ExitStack() as stack:
            async with adapter.connect("smtp", *address) as client:

                def content() -> Iterator[bytes]:
                    yield b"hello\r\n"
                    stack.enter_context(client.within(SOON))

                result = await settled(client.send_mail("a@b", "c@d", content()))
                assert result.outcome is smtp.Outcome.IN_DOUBT
                assert client.closed
            assert heard.result()[-3:] == [b"hello\r\n", b".\r\n", b""]

    adapter.run(go)


def test_a_pop3_client_has_so_many_seconds_too(adapter: Adapter) -> None:
    async def go() -> None:
        async with fetching(adapter, b"one\r\n") as client:
            with client.within(30):
                assert await settled(client.fetch(1)) == b"one\r\n"
            with client.within(0), pytest.raises(TimeoutError):
                await settled(client.fetch(1))
            assert client.closed

    adapter.run(go)
