"""What clients do alike: many messages, bounds of time, progress, and loops."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from email.message import EmailMessage
from typing import Any, Final

import pytest

from adapting import Adapter
from asynchronous import ADAPTERS, KITS
from loopback import scripted
from maildrops import ALICE, OPEN_LOGINS, Store
from smtp_pop_core import ConnectionLost, Flow, pop3, smtp

SOON: Final = 0.05  # seconds, where time itself is tested


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
        adapter.serve("smtp", catcher) as server,
        adapter.connect("smtp", *server.addresses[0]) as client,
    ):
        yield client


@contextlib.asynccontextmanager
async def fetching(adapter: Adapter, *contents: bytes) -> AsyncIterator[Any]:
    """Give a client of a server that has these messages."""
    async with (
        adapter.serve("pop3", Store(*contents), logins=OPEN_LOGINS) as server,
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


async def test_one_connection_sends_many_messages_also_after_a_refused_one(
    adapter: Adapter,
) -> None:
    catcher = Catcher()
    async with sending(adapter, catcher) as client:
        results = [
            await client.send_mail("a@b", name, f"{name}\r\n".encode())
            for name in ["one@d", "no@d", "two@d", "three@d"]
        ]
        assert not client.closed
    assert client.closed
    accepted, refused = smtp.Outcome.ACCEPTED, smtp.Outcome.REFUSED
    outcomes = [each.outcome for each in results]
    assert outcomes == [accepted, refused, accepted, accepted]
    assert catcher.contents == [b"one@d\r\n", b"two@d\r\n", b"three@d\r\n"]


async def test_noop_finds_out_that_an_idle_connection_is_gone(adapter: Adapter) -> None:
    with scripted(*GREETING) as (address, _):
        async with adapter.connect("smtp", *address) as client:
            assert not client.closed
            with pytest.raises(ConnectionLost):
                await client.noop()
            assert client.closed


async def test_a_pop3_client_says_that_its_connection_is_gone(adapter: Adapter) -> None:
    with scripted(*LOGGED_IN) as (address, _):
        async with adapter.connect("pop3", *address, **INSECURE) as client:
            assert not client.closed
            with pytest.raises(ConnectionLost):
                await client.noop()
            assert client.closed


# So many seconds for several calls


async def test_calls_have_so_many_seconds_together(adapter: Adapter) -> None:
    async with sending(adapter, Catcher()) as client:
        with client.within(30):
            await client.noop()
            with client.within(0), pytest.raises(TimeoutError):
                await client.noop()
        assert client.closed


async def test_a_message_whose_end_was_sent_in_time_is_in_doubt(
    adapter: Adapter,
) -> None:
    """The server says nothing to it, and the caller's time ends."""
    answers = [*GREETING, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"", b""]
    with scripted(*answers) as (address, heard), contextlib.ExitStack() as stack:
        async with adapter.connect("smtp", *address) as client:
            pieces = iter([b"hello\r\n"])

            def piece() -> Flow[bytes]:
                yield from ()
                for each in pieces:
                    return each
                stack.enter_context(client.within(SOON))
                return b""

            result = await client.send_mail("a@b", "c@d", piece)
            assert result.outcome is smtp.Outcome.IN_DOUBT
            assert client.closed
        assert heard.result()[-3:] == [b"hello\r\n", b".\r\n", b""]


async def test_a_pop3_client_has_so_many_seconds_too(adapter: Adapter) -> None:
    async with fetching(adapter, b"one\r\n") as client:
        with client.within(30):
            assert await client.fetch(1) == b"one\r\n"
        with client.within(0), pytest.raises(TimeoutError):
            await client.fetch(1)
        assert client.closed


# How far it is


LONG: Final = b"a line of content\r\n" * 20_000  # several blocks


def telling(told: list[tuple[int, int | None]], *, asynchronous: bool) -> Any:
    """Give a function, plain or async, that keeps what it is told."""

    def plain(octets: int, total: int | None) -> None:
        told.append((octets, total))

    async def other(octets: int, total: int | None) -> None:
        told.append((octets, total))

    return other if asynchronous else plain


TELLING: Final = [
    *[pytest.param(each, False, id=each.name) for each in ADAPTERS],
    *[pytest.param(each, True, id=f"{each.name}-async") for each in KITS],
]


@pytest.mark.parametrize(("adapter", "asynchronous"), TELLING)
async def test_it_is_told_how_far_a_message_is(
    adapter: Adapter, asynchronous: bool
) -> None:
    catcher = Catcher()
    told: list[tuple[int, int | None]] = []
    progress = telling(told, asynchronous=asynchronous)

    async with sending(adapter, catcher) as client:
        (await client.send_mail("a@b", "c@d", LONG, progress=progress)).check()
        message = EmailMessage()
        message["From"], message["To"] = "a@b", "c@d"
        (await client.send_message(message, progress=progress)).check()
    size = len(catcher.contents[1])
    assert told[-2:] == [(len(LONG), len(LONG)), (size, size)]
    assert len(told) > 3


@pytest.mark.parametrize(("adapter", "asynchronous"), TELLING)
async def test_it_is_told_how_much_has_come(
    adapter: Adapter, asynchronous: bool
) -> None:
    told: list[tuple[int, int | None]] = []
    progress = telling(told, asynchronous=asynchronous)
    got: list[bytes] = []
    whole = (len(LONG), len(LONG))

    async with fetching(adapter, LONG) as client:
        [message] = await client.messages()
        assert await client.fetch(message, progress=progress) == LONG
        assert told[-1] == whole
        told.clear()
        async for _, content in each_of(client, progress=progress):
            assert content == LONG
        assert told[-1] == whole
        told.clear()

        await client.collect(
            lambda _, blocks: got.append(blocks.read()), progress=progress
        )
        assert told[-1] == whole
    assert got == [LONG]


async def test_a_message_is_not_ended_where_telling_raises(adapter: Adapter) -> None:
    catcher = Catcher()

    def progress(octets: int, total: int | None) -> None:
        if octets == total:
            raise ZeroDivisionError

    async with sending(adapter, catcher) as client:
        with pytest.raises(ZeroDivisionError):
            await client.send_mail("a@b", "c@d", LONG, progress=progress)
        assert client.closed
    assert catcher.contents == []


# Messages one after the other


async def each_of(
    client: Any, *arguments: Any, read: bool = True, **options: Any
) -> AsyncGenerator[tuple[pop3.Listed, bytes], None]:
    """Give the messages that a client gives, each read to its end, or not at all."""
    async for message, blocks in client.retrieve_each(*arguments, **options):
        yield message, (await blocks.read() if read else b"")


THREE: Final = (b"one\r\n", LONG, b"three\r\n")


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [(None, [1, 2, 3]), (slice(2), [1, 2]), (slice(0), []), (slice(2, 0, -1), [3, 2])],
)
async def test_messages_are_given_one_after_the_other(
    adapter: Adapter, wanted: slice | None, numbers: list[int], read: bool
) -> None:
    async with fetching(adapter, *THREE) as client:
        listed = await client.messages()
        chosen = None if wanted is None else listed[wanted]
        got = [each async for each in each_of(client, chosen, read=read)]
        expected = [
            (listed[number - 1], THREE[number - 1] if read else b"")
            for number in numbers
        ]
        assert got == expected
        assert (await client.status()).messages == 3
    assert client.closed


async def test_the_loop_can_be_left_at_any_time(adapter: Adapter) -> None:
    """The rest of a message is dropped before anything else is asked for."""
    async with fetching(adapter, LONG, b"two\r\n") as client:
        for _ in range(2):
            async with contextlib.aclosing(each_of(client, read=False)) as loop:
                message, _ = await anext(loop)
            assert message.number == 1
        assert await client.fetch(2) == b"two\r\n"
        async with contextlib.aclosing(each_of(client, read=False)) as loop:
            await anext(loop)
        # and so it is before QUIT


async def test_messages_can_be_deleted_in_the_loop(adapter: Adapter) -> None:
    store = Store(*THREE)
    async with (
        adapter.serve("pop3", store, logins=OPEN_LOGINS) as server,
        adapter.connect("pop3", *server.addresses[0], auth=ALICE, tls="none") as client,
    ):
        async for message, _ in each_of(client, read=False):
            await client.delete(message)
    assert store.removed == [{1, 2, 3}]


async def test_a_message_that_is_refused_ends_the_loop(adapter: Adapter) -> None:
    async with fetching(adapter, *THREE) as client:
        listed = first, second, _ = await client.messages()
        await client.delete(second)
        loop = each_of(client, listed)
        assert await anext(loop) == (first, THREE[0])
        with pytest.raises(pop3.Rejected):
            await anext(loop)
        await client.reset()


async def test_after_a_timeout_there_is_nothing_to_be_dropped(adapter: Adapter) -> None:
    with scripted(*LOGGED_IN, b"+OK\r\nhalf of a ") as (address, _):
        async with adapter.connect("pop3", *address, **INSECURE) as client:
            listed = [pop3.Listed(1, 100)]
            with client.within(SOON), pytest.raises(TimeoutError):
                await anext(each_of(client, listed))
            assert client.closed
