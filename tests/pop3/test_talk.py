"""A client flow and a server flow, face to face."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversing import converse
from smtp_pop_core import (
    CLIENT,
    SERVER,
    AsyncBlocks,
    Blocks,
    Flow,
    Limits,
    Logins,
    Negotiated,
    Security,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import Connection, Ending, Listed, State

KEY: Final = b"a key of the server"
USERS: Final = sasl.Users({"alice": "hunter2", "jörg": "pässword"}, key=KEY)
BOUND: Final = Negotiated(
    "TLSv1.3", "x", b"a certificate", {"tls-exporter": bytes(range(32))}
)
ALICE: Final = sasl.Password("alice", "hunter2")
CREDENTIALS: Final[dict[type[sasl.Credentials], sasl.Credentials]] = {
    sasl.Password: ALICE,
    sasl.Token: sasl.Token("alice", "hunter2"),
    sasl.External: sasl.External(),
    sasl.Anonymous: sasl.Anonymous("somebody"),
}
NAMES: Final = [each.name for each in sasl.STANDARD if each.server is not None]


@dataclass
class Box:
    """A maildrop that stays between sessions.

    Attributes:
        contents: The messages.
        endings: How the sessions have ended.
    """

    contents: list[bytes] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def plain(self, peer: pop3.Peer) -> pop3.Application:
        box = self

        class Drop(pop3.Maildrop):
            messages = box.described()

            def read(self, number: int) -> Iterable[bytes]:
                return [box.contents[number - 1]]

            def commit(self, deleted: Collection[int]) -> Collection[int]:
                return box.commit(deleted)

        class Plain(pop3.Application):
            def authenticate(self, question: sasl.Question) -> object:
                return answer(question)

            def open(self, identity: str) -> pop3.Maildrop:
                return Drop()

            def close(self, reason: Ending) -> None:
                box.endings.append(reason)

        return Plain(peer)

    def asynchronous(self, peer: pop3.Peer) -> pop3.AsyncApplication:
        box = self

        class Drop(pop3.AsyncMaildrop):
            messages = box.described()

            def read(self, number: int) -> Iterable[bytes]:
                return [box.contents[number - 1]]

            async def commit(self, deleted: Collection[int]) -> Collection[int]:
                return box.commit(deleted)

        class Asynchronous(pop3.AsyncApplication):
            async def authenticate(self, question: sasl.Question) -> object:
                return answer(question)

            async def open(self, identity: str) -> pop3.AsyncMaildrop:
                return Drop()

            async def close(self, reason: Ending) -> None:
                box.endings.append(reason)

        return Asynchronous(peer)

    def described(self) -> Sequence[pop3.Message]:
        return [
            pop3.Message(pop3.size_of(content), f"id{number}")
            for number, content in enumerate(self.contents)
        ]

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        self.contents = [
            content
            for number, content in enumerate(self.contents, 1)
            if number not in deleted
        ]
        return ()


def answer(question: sasl.Question) -> object:
    """Let in who has shown something."""
    match question:
        case sasl.VerifyToken(user, "hunter2") | sasl.VerifyPassword(user, "hunter2"):
            return user
        case sasl.VerifyExternal() | sasl.VerifyAnonymous():
            return "somebody"
        case _:
            return USERS.answer(question)


def nonces() -> Any:
    """Give a source of nonces."""
    numbers = count()
    return lambda: f"nonce-{next(numbers):018}"


def secured(tls: str, **options: Any) -> Security:
    usual: dict[str, Any] = {"credentials": ALICE, "server_hostname": "pop.example"}
    return Security(tls=tls, nonce=nonces(), **usual | options)


def talk(
    flow_of: Any,
    application: pop3.ApplicationFactory,
    *,
    sizes: Sequence[int] = (65_536,),
    tls: bool = False,
    client_limits: Limits | None = None,
) -> tuple[Any, Ending]:
    """Let a client talk to a server that offers everything."""
    capabilities = [*pop3.usual(), pop3.capabilities.Stls()]
    server = Connection(
        SERVER,
        domain="pop.example",
        timestamp="<1.2@pop.example>",
        capabilities=capabilities,
        tls=tls,
    )
    logins = Logins(
        stored=set(sasl.Stored),
        fake_salt_key=KEY,
        nonce=nonces(),
        iterations=sasl.LEAST_ITERATIONS,
        delay=0,
    )
    client = Connection(CLIENT, tls=tls, limits=client_limits or Limits())
    result, ending, reports = converse(
        flow_of(client),
        pop3.serve(server, application, logins=logins),
        sizes,
        negotiated=BOUND,
    )
    assert reports == []
    assert client.state is State.CLOSED
    return result, ending


def looking(conn: Connection, security: Security) -> Flow[tuple[pop3.Totals, bool]]:
    """Log in, look how much there is, and quit."""
    yield from pop3.open(conn, security)
    totals = yield from pop3.status(conn)
    tls = conn.tls
    yield from pop3.quit(conn)
    return totals, tls


KINDS = pytest.mark.parametrize("kind", ["plain", "asynchronous"])


@KINDS
@pytest.mark.parametrize("tls", ["require", "implicit"])
@pytest.mark.parametrize("name", [*NAMES, "USER"])
def test_every_mechanism_leads_to_a_maildrop(name: str, tls: str, kind: str) -> None:
    kinds = {each.name: each.credentials for each in sasl.STANDARD}
    credentials = CREDENTIALS[kinds.get(name, sasl.Password)]
    security = secured(tls, mechanism=name, credentials=credentials)
    box = Box([b"a\r\n", b"b"])
    result = talk(
        lambda conn: looking(conn, security),
        getattr(box, kind),
        sizes=(1, 2, 3),
        tls=tls == "implicit",
    )
    assert result == ((pop3.Totals(2, 6), True), Ending.QUIT)
    assert box.endings == [Ending.QUIT]


@pytest.mark.parametrize("tls", [False, True])
def test_apop_leads_to_a_maildrop(tls: bool) -> None:
    security = secured(["none", "implicit"][tls], mechanism="APOP")
    (totals, _), _ = talk(
        lambda conn: looking(conn, security), Box([b"a"]).plain, tls=tls
    )
    assert totals == pop3.Totals(1, 3)


@pytest.mark.parametrize("name", ["USER", "APOP", "PLAIN", "SCRAM-SHA-256", "LOGIN"])
def test_a_name_and_a_password_may_be_beyond_ascii(name: str) -> None:
    credentials = sasl.Password("jörg", "pässword")
    security = secured("implicit", mechanism=name, credentials=credentials)
    (totals, _), _ = talk(lambda conn: looking(conn, security), Box().plain, tls=True)
    assert totals == pop3.Totals(0, 0)


def refused(conn: Connection, security: Security) -> Flow[pop3.AuthenticationFailed]:
    """Log in in vain."""
    try:
        yield from pop3.open(conn, security)
    except pop3.AuthenticationFailed as error:
        return error
    raise AssertionError("somebody was let in")


@KINDS
@pytest.mark.parametrize(
    "name", ["USER", "APOP", "CRAM-MD5", "PLAIN", "LOGIN", "SCRAM-SHA-256-PLUS"]
)
def test_a_wrong_password_does_not(name: str, kind: str) -> None:
    credentials = sasl.Password("alice", "hunter3")
    security = secured("implicit", mechanism=name, credentials=credentials)
    box = Box()
    error, ending = talk(
        lambda conn: refused(conn, security), getattr(box, kind), tls=True
    )
    assert error.response.about is pop3.ResponseCode.AUTH
    assert not error.temporary
    assert ending is Ending.QUIT


# Messages.


def taking(conn: Connection, numbers: Sequence[int]) -> Flow[dict[int, list[bytes]]]:
    """Take messages in every way."""
    got: dict[int, list[bytes]] = {number: [] for number in numbers}

    def read(number: int, content: Blocks) -> None:
        got[number].append(content.read())

    async def iterate(number: int, content: AsyncBlocks) -> None:
        got[number].append(b"".join([block async for block in content]))

    yield from pop3.open(conn, secured("require", mechanism="PLAIN"))
    assert not (yield from pop3.retrieve_many(conn, numbers, read))
    assert not (yield from pop3.retrieve_many(conn, numbers, iterate))
    for number in numbers:
        got[number].append((yield from pop3.fetch(conn, number)))
        content = yield from pop3.top(conn, number, 10**6)
        got[number].append((yield from content.read()))
    yield from pop3.quit(conn)
    return got


LINES = st.lists(
    st.sampled_from([b"", b".", b"..", b"text", b".dot", b"\xe9", b"+OK", b"-ERR"]),
    max_size=9,
).map(b"\r\n".join)


def on_the_wire(content: bytes) -> bytes:
    """Give a content as it is fetched: its last line ends as the others."""
    return content if content[-2:] in (b"", b"\r\n") else content + b"\r\n"


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(LINES, max_size=4),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    pipelined=st.integers(1, 3),
    kind=st.sampled_from(["plain", "asynchronous"]),
)
def test_messages_come_as_they_are(
    contents: list[bytes], sizes: list[int], pipelined: int, kind: str
) -> None:
    box = Box(contents)
    numbers = range(1, len(contents) + 1)
    got, ending = talk(
        lambda conn: taking(conn, numbers),
        getattr(box, kind),
        sizes=sizes,
        client_limits=Limits(pipelined_commands=pipelined, block=7),
    )
    expected = map(on_the_wire, contents)
    assert got == {
        number: [content] * 4 for number, content in zip(numbers, expected, strict=True)
    }
    assert ending is Ending.QUIT
    assert box.contents == contents


def leaving(conn: Connection, *, seen: pop3.Seen, delete: bool) -> Flow[pop3.Collected]:
    yield from pop3.open(conn, secured("require", mechanism="PLAIN"))

    def store(message: Listed, content: Blocks) -> None:
        content.read()

    return (yield from pop3.collect(conn, store, seen=seen, delete_stored=delete))


@KINDS
def test_messages_are_left_on_the_server_and_removed_later(kind: str) -> None:
    box, seen = Box([b"a", b"b\r\n.", b""]), pop3.Seen()
    results = [
        talk(partial(leaving, seen=seen, delete=delete), getattr(box, kind))[0]
        for delete in (False, False, True)
    ]
    assert [len(result.stored) for result in results] == [3, 0, 0]
    assert [len(result.known) for result in results] == [0, 3, 3]
    assert [len(result.deleted) for result in results] == [0, 0, 3]
    assert box.contents == []
    assert seen == pop3.Seen(["id0", "id1", "id2"])


def marking(conn: Connection) -> Flow[None]:
    """Mark messages, and go away without QUIT."""
    yield from pop3.open(conn, secured("require", mechanism="PLAIN"))
    assert not (yield from pop3.delete(conn, [1, 2]))
    conn.close()


def thinking_again(conn: Connection) -> Flow[dict[int, pop3.Response]]:
    """Mark a message twice, take the marks back, and quit."""
    yield from pop3.open(conn, secured("require", mechanism="PLAIN"))
    refused = yield from pop3.delete(conn, [1, 1])
    yield from pop3.noop(conn)
    yield from pop3.reset(conn)
    yield from pop3.quit(conn)
    return refused


@KINDS
def test_nothing_is_removed_without_quit_or_after_reset(kind: str) -> None:
    box = Box([b"a", b"b"])
    assert talk(marking, getattr(box, kind)) == (None, Ending.LOST)
    refused, ending = talk(thinking_again, getattr(box, kind))
    assert list(refused) == [1]
    assert ending is Ending.QUIT
    assert box.contents == [b"a", b"b"]
