"""The catalogue of attacks on POP3, as far as a Connection alone can be attacked.

The tables below name the entries; a test checks that none is forgotten.
"""

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from cutting import every_cut
from pop3_talk import (
    CAPABILITIES,
    CONTENT,
    asking,
    classes,
    client_in,
    drain,
    feed,
    joined,
    outcome_of,
    pair_in,
    said_by_server,
    server_in,
)
from smtp_pop_core import (
    CLIENT,
    PAUSED,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    pop3,
)
from smtp_pop_core.pop3 import ERR, OK, Connection, Event, Response, State

CATALOGUE: Final = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "security.toml").read_text("utf-8")
)
ATTACKS: Final[dict[str, dict[str, Any]]] = {
    each["id"]: each for each in CATALOGUE["attack"]
}

# Where to start, and the classes of the responses that a sound server gives.
SERVERS: Final[dict[str, tuple[State, str]]] = {
    "SEC-STLS-CMDINJ-a": (State.AUTHORIZATION, "o"),
    "SEC-STLS-CMDINJ-b": (State.AUTHORIZATION, "o"),
    "SEC-POP-NUM-a": (State.TRANSACTION, "e"),
    "SEC-POP-NUM-b": (State.TRANSACTION, "e"),
    "SEC-POP-NUM-c": (State.TRANSACTION, "e"),
    "SEC-POP-NUM-d": (State.TRANSACTION, "e"),
    "SEC-DOS-POP-g": (State.TRANSACTION, "o"),
    "SEC-OCTET-h": (State.AUTHORIZATION, "e"),
}

# What a client has asked, what it reads, and whether the peer is in the wrong.
CLIENTS: Final[dict[str, tuple[list[pop3.Command], list[Event], bool]]] = {
    "SEC-DOS-POP-b": ([pop3.Uidl(), pop3.Noop()], [], True),
    "SEC-DOS-POP-d": ([pop3.Stat()], [], True),
    "SEC-DOS-POP-e": (
        [pop3.List()],
        [Response(OK, data=pop3.Sizes({1: 10**20 - 1}))],
        False,
    ),
    "SEC-DOS-POP-f": ([pop3.List()], [], True),
    "SEC-POP-DOT-b": (
        [pop3.Retr(1)],
        [Response(OK), MessageData(b".b\r\n"), pop3.EndOfMessage()],
        False,
    ),
    "SEC-POP-DOT-c": (
        [pop3.Retr(1)],
        [Response(OK), MessageData(b"a\n.\nb\r\n"), pop3.EndOfMessage()],
        False,
    ),
    "SEC-POP-DOT-d": ([pop3.Retr(1)], [Response(OK), pop3.EndOfMessage()], False),
    "SEC-POP-DOT-e": (
        [pop3.Retr(1), pop3.Dele(1)],
        [
            Response(OK),
            MessageData(b"x\r\n+OK deleted\r\n"),
            pop3.EndOfMessage(),
            Response(ERR, "no"),
        ],
        False,
    ),
    "SEC-POP-NUM-f": ([pop3.List()], [], True),
    "SEC-POP-UNSOL-a": ([], [], True),
}

# What the caller passes must be refused when the value is made.
ARGUMENTS: Final[dict[str, Callable[[str], object]]] = {
    "SEC-CRLF-API-u": pop3.User,
    "SEC-CRLF-API-v": pop3.Pass,
    "SEC-CRLF-API-y": pop3.Lang,
    "SEC-CRLF-API-z": lambda text: Response(OK, text),
    "SEC-CRLF-API-aa": lambda text: pop3.UniqueIds({1: text}),
}

# Each of these has a test of its own below.
INJECTED_RESPONSES: Final = ["SEC-STLS-RESPINJ-a", "SEC-STLS-RESPINJ-b"]
BY_NAME: Final = {
    *("SEC-STLS-STRIP-b", "SEC-STLS-STRIP-c", "SEC-CRLF-API-x", "SEC-DOS-POP-a"),
    *("SEC-POP-APOP-a", "SEC-POP-APOP-b"),
}

ELSEWHERE: Final = {"SEC-POP-LOCK-a": "the server flow and its maildrops"}


def reads_of(name: str) -> list[bytes]:
    """The reads of an attack, as octets."""
    attack = ATTACKS[name]
    pad = str(attack.get("pad_octet", "")) * int(attack.get("pad_count", 0))
    return [send.replace("{PAD}", pad).encode("latin-1") for send in attack["send"]]


def cuts_of(name: str) -> Iterator[tuple[bytes, ...]]:
    """The reads as they are, and the same octets cut otherwise."""
    reads = reads_of(name)
    wire = b"".join(reads)
    yield tuple(reads)
    if len(wire) > 300:
        step = max(100, len(wire) // 100)
        yield tuple(wire[at : at + step] for at in range(0, len(wire), step))
        yield wire[:299], wire[299:300], wire[300:]
    else:
        yield from every_cut(wire)


def test_every_attack_on_pop3_is_looked_at_here_or_elsewhere() -> None:
    wanted = {name for name, each in ATTACKS.items() if each["role"].startswith("pop3")}
    here = [
        *(*SERVERS, *CLIENTS, *ARGUMENTS, *INJECTED_RESPONSES, *BY_NAME, *ELSEWHERE)
    ]
    assert len(here) == len(set(here))
    assert set(here) == wanted


# Servers


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_withstands(name: str) -> None:
    state, expected = SERVERS[name]
    outcomes = []
    for cut in cuts_of(name):
        server = server_in(state)
        events, responses = said_by_server(server, cut)
        assert classes(responses) == expected
        outcomes.append((events, responses, server.state, server.trailing_data))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("letter", "ab")
def test_nothing_that_was_said_before_tls_is_read_inside_it(letter: str) -> None:
    """SEC-STLS-CMDINJ: also if it arrives before the response was sent."""
    for cut in cuts_of(f"SEC-STLS-CMDINJ-{letter}"):
        server = server_in(State.AUTHORIZATION)
        said_by_server(server, cut)
        assert server.next_event() is PAUSED
        with pytest.raises(RemoteProtocolError):
            server.begin_tls()
        assert drain(server) == [ConnectionClosed()]
        assert server.state is State.CLOSED
        assert not server.tls


def test_a_name_that_was_said_before_tls_is_forgotten() -> None:
    """SEC-STLS-CMDINJ-b, POP3-2595-4-h."""
    server = server_in(State.USER)
    _, responses = said_by_server(server, [b"STLS\r\n"])
    server.begin_tls()
    _, [response] = said_by_server(server, [b"PASS secret\r\n"])
    assert classes([*responses, response]) == "oe"
    assert server.state is State.AUTHORIZATION


def test_a_number_beyond_32_bits_does_not_wrap_around() -> None:
    """SEC-POP-NUM-d."""
    [command], _ = said_by_server(
        server_in(State.TRANSACTION), reads_of("SEC-POP-NUM-d")
    )
    assert command == pop3.Dele(2**32 + 1)


def test_a_huge_count_of_lines_is_only_a_number() -> None:
    """SEC-DOS-POP-g."""
    server = server_in(State.TRANSACTION)
    [command], _ = said_by_server(server, reads_of("SEC-DOS-POP-g"))
    assert command == pop3.Top(1, 10**20 - 1)
    assert server.content_octets == len(CONTENT)


# Clients


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_withstands(name: str) -> None:
    commands, expected, broken = CLIENTS[name]
    for cut in cuts_of(name):
        client = asking(*commands)
        assert outcome_of(client, cut) == (expected, broken)
        assert (client.state is State.CLOSED) is broken
        assert not client.in_content


def test_an_unknown_response_is_no_answer_to_the_next_command() -> None:
    """SEC-POP-UNSOL-a."""
    client = client_in(State.TRANSACTION)
    outcome_of(client, reads_of("SEC-POP-UNSOL-a"))
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Dele(1))


def test_an_overlong_unique_id_may_be_borne_and_leaves_the_client_in_step() -> None:
    """SEC-DOS-POP-b."""
    tolerances = pop3.Tolerances(any_unique_id=True)
    for cut in cuts_of("SEC-DOS-POP-b"):
        client = asking(pop3.Uidl(), pop3.Noop(), tolerances=tolerances)
        ids = pop3.UniqueIds({1: "x" * 5_000})
        assert outcome_of(client, (*cut, b"+OK next\r\n")) == (
            [Response(OK, data=ids), Response(OK, "next")],
            False,
        )


@pytest.mark.parametrize("pieces", [1, 7, 1_000])
def test_a_listing_without_end_is_bounded(pieces: int) -> None:
    """SEC-DOS-POP-a."""
    status, *_, line = reads_of("SEC-DOS-POP-a")
    client = asking(pop3.List(), limits=Limits(listing=1_000))
    events, broken = outcome_of(client, (status, *[line * pieces] * (1_000 // pieces)))
    assert (events, broken) == ([], True)
    assert client.state is State.CLOSED
    assert client.trailing_data == b""


@pytest.mark.parametrize("name", INJECTED_RESPONSES)
def test_no_response_that_came_before_tls_is_read_inside_it(name: str) -> None:
    """NO STARTTLS, USENIX Security 2021."""
    for cut in cuts_of(name):
        client = asking(pop3.Stls(), state=State.AUTHORIZATION)
        assert outcome_of(client, cut) == ([Response(OK, "go")], False)
        assert client.next_event() is PAUSED
        with pytest.raises(RemoteProtocolError):
            client.begin_tls()
        assert client.state is State.CLOSED
        assert not client.tls


def test_without_a_yes_no_handshake_begins() -> None:
    """SEC-STLS-STRIP-b."""
    for cut in cuts_of("SEC-STLS-STRIP-b"):
        client = asking(pop3.Stls(), state=State.AUTHORIZATION)
        assert outcome_of(client, cut) == ([Response(ERR, "no")], False)
        with pytest.raises(LocalProtocolError):
            client.begin_tls()
        assert not client.tls


def test_a_server_without_capa_may_know_stls_all_the_same() -> None:
    """SEC-STLS-STRIP-c."""
    for cut in cuts_of("SEC-STLS-STRIP-c"):
        client = Connection(CLIENT)
        feed(client, b"+OK\r\n")
        client.send(pop3.Capa())
        outcome_of(client, cut)
        assert not client.capabilities
        assert client.send(pop3.Stls()) == b"STLS\r\n"


def test_stls_that_was_not_offered_is_not_sent() -> None:
    """POP3-2595-4-l."""
    offered = [each for each in CAPABILITIES if each.tag != "STLS"]
    client = client_in(State.AUTHORIZATION, offered=offered)
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Stls())


def test_a_crafted_timestamp_is_not_used() -> None:
    """SEC-POP-APOP-a, CVE-2007-1558."""
    for cut in cuts_of("SEC-POP-APOP-a"):
        client = Connection(CLIENT)
        outcome_of(client, cut)
        assert client.timestamp == ""
        with pytest.raises(LocalProtocolError):
            client.send(pop3.Apop("alice", "0" * 32))


def test_a_timestamp_from_before_tls_is_not_used_inside_it() -> None:
    """SEC-POP-APOP-b: who reads along may have put it there."""
    for cut in cuts_of("SEC-POP-APOP-b"):
        client = Connection(CLIENT)
        outcome_of(client, cut)
        assert client.timestamp == "<1.2@mail.example.com>"
        client.send(pop3.Stls())
        feed(client, b"+OK\r\n")
        client.begin_tls()
        assert client.timestamp == ""
        with pytest.raises(LocalProtocolError):
            client.send(pop3.Apop("alice", "0" * 32))


def test_a_login_before_tls_keeps_tls_away() -> None:
    """POP3-2595-4-c."""
    client, server = pair_in(State.TRANSACTION)
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Stls())
    _, responses = said_by_server(server, [b"STLS\r\n"])
    assert classes(responses) == "e"


# What a caller passes


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_value_that_would_be_more_than_one_is_not_made(name: str) -> None:
    with pytest.raises(ValueError, match=r"^not |cannot "):
        ARGUMENTS[name](ATTACKS[name]["argument"])


@pytest.mark.parametrize(
    "kind", [pop3.Retr, pop3.Dele, pop3.List, pop3.Uidl, lambda n: pop3.Top(n, 0)]
)
def test_only_a_number_names_a_message(kind: Callable[[Any], object]) -> None:
    """SEC-CRLF-API-x."""
    with pytest.raises(TypeError):
        kind(ATTACKS["SEC-CRLF-API-x"]["argument"])


def test_what_looks_like_a_response_within_content_is_content() -> None:
    """SEC-POP-DOT-e, also where the content has a dot of its own in front."""
    server = server_in(State.TRANSACTION)
    feed(server, b"RETR 1\r\n")
    content = b"x\r\n.\r\n+OK deleted\r\n"
    wire = b"".join(
        server.send(event)
        for event in (Response(OK), MessageData(content), pop3.EndOfMessage())
    )
    for cut in every_cut(wire):
        client = asking(pop3.Retr(1), pop3.Dele(1))
        events = [event for piece in cut for event in feed(client, piece)]
        assert joined(events) == [
            *(Response(OK), MessageData(content), pop3.EndOfMessage())
        ]
        assert client.unanswered == (pop3.Dele(1),)
