import pytest

from cutting import every_cut
from pop3_talk import (
    CAPABILITIES,
    TIMESTAMP,
    asking,
    classes,
    client_in,
    feed,
    feed_all,
    pair_in,
    said_by_server,
    server_in,
    talk,
)
from smtp_pop_core import CLIENT, LocalProtocolError, pop3
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, Response, State

# AUTH


EXCHANGES = [
    # what a client says, the classes of the answers, the state
    (b"AUTH LOGIN\r\n*\r\n", "me", State.AUTHORIZATION),
    (b"AUTH LOGIN\r\nAA==\r\n", "me", State.AUTHORIZATION),
    (b"AUTH LOGIN\r\n\r\n", "me", State.AUTHORIZATION),
    (b"AUTH LOGIN\r\n=\r\n", "me", State.AUTHORIZATION),
    (b"AUTH LOGIN\r\nAB CD\r\n", "me", State.AUTHORIZATION),
    (b"AUTH LOGIN\r\nQUIT\r\nQUIT\r\n", "meo", State.CLOSED),  # QUIT is base64
    (b"AUTH LOGIN\r\n*\r\nUSER a\r\nPASS secret\r\n", "meoo", State.TRANSACTION),
    (b"AUTH FROB\r\nCAPA\r\n", "eo", State.AUTHORIZATION),
    (b"AUTH LOGIN AA\r\nCAPA\r\n", "eo", State.AUTHORIZATION),
    (b"AUTH\r\nAUTH LOGIN\r\n", "om", State.AUTH),
    (b"USER a\r\nAUTH LOGIN\r\n*\r\nPASS secret\r\n", "omee", State.AUTHORIZATION),
]


@pytest.mark.parametrize(("said", "expected", "state"), EXCHANGES)
def test_an_exchange_ends_with_an_answer(
    said: bytes, expected: str, state: State
) -> None:
    """RFC 5034 section 4."""
    for cut in every_cut(said):
        server = server_in(State.AUTHORIZATION)
        _, responses = said_by_server(server, cut)
        assert classes(responses) == expected
        assert server.state is state


@pytest.mark.parametrize(
    ("initial", "wire"),
    [
        (None, b"AUTH LOGIN\r\n"),
        (b"", b"AUTH LOGIN =\r\n"),
        (b"\0", b"AUTH LOGIN AA==\r\n"),
        (b"\0" * 180, b"AUTH LOGIN " + b"A" * 240 + b"\r\n"),
    ],
)
def test_an_initial_response_is_sent_with_the_name(
    initial: bytes | None, wire: bytes
) -> None:
    client, server = pair_in(State.AUTHORIZATION)
    command = pop3.Auth("LOGIN", initial)
    assert client.send(command) == wire
    assert feed(server, wire) == [command]


def test_an_initial_response_that_is_too_long_is_sent_later() -> None:
    """RFC 5034 section 4: no line over 255 octets; the exchange has longer ones."""
    client, server = pair_in(State.AUTHORIZATION)
    with pytest.raises(LocalProtocolError, match="longer than a line may be"):
        client.send(pop3.Auth("LOGIN", b"x" * 181))
    talk(client, server, pop3.Auth("LOGIN"), Response(MORE, data=pop3.Challenge(b"")))
    assert len(client.send(pop3.AuthResponse(b"x" * 9_000))) > 12_000


def test_both_sides_go_through_an_exchange() -> None:
    client, server = pair_in(State.AUTHORIZATION)
    talk(client, server, pop3.Auth("LOGIN"), Response(MORE, data=pop3.Challenge(b"a")))
    talk(
        client, server, pop3.AuthResponse(b""), Response(MORE, data=pop3.Challenge(b""))
    )
    for side in (client, server):
        assert side.state is State.AUTH
        assert not side.authenticated
    talk(client, server, pop3.AuthResponse(b"b"), Response(OK))
    for side in (client, server):
        assert side.authenticated
        assert side.last_answer == Response(OK)


# APOP


def test_apop_needs_a_timestamp_in_the_greeting() -> None:
    """RFC 1939 section 7."""
    apop = pop3.Apop("mrose", "c4c9334bac560ecc979e58001b3e22fb")
    client = client_in(State.AUTHORIZATION, timestamp=TIMESTAMP)
    assert client.timestamp == TIMESTAMP
    wire = client.send(apop)
    for timestamp, command in ((TIMESTAMP, pop3.Apop), ("", pop3.BadCommand)):
        server = server_in(State.AUTHORIZATION, timestamp=timestamp)
        [event], responses = said_by_server(server, [wire], {apop: Response(OK)})
        assert isinstance(event, command)
        assert classes(responses) == ("o" if timestamp else "e")
        assert server.authenticated is bool(timestamp)


def test_a_client_has_no_timestamp_of_its_own() -> None:
    assert Connection(CLIENT, timestamp=TIMESTAMP).timestamp == ""


# UTF8 and LANG


def test_utf8_lets_names_and_texts_be_utf8_on_both_sides() -> None:
    """RFC 6856 section 2."""
    client, server = pair_in(State.AUTHORIZATION)
    talk(client, server, pop3.Utf8())
    assert client.utf8
    assert server.utf8
    talk(client, server, pop3.User("é"), Response(OK, "für é"))
    assert client.last_response == Response(OK, "für é")
    talk(client, server, pop3.Pass("ü \u4e2d"), Response(OK))
    assert client.authenticated
    assert server.authenticated


def test_a_refused_utf8_changes_nothing() -> None:
    client, server = pair_in(State.AUTHORIZATION)
    talk(client, server, pop3.Utf8(), Response(ERR))
    assert not client.utf8
    assert not server.utf8
    with pytest.raises(LocalProtocolError, match="needs UTF8 with USER"):
        client.send(pop3.User("é"))
    _, responses = said_by_server(server, [b"USER \xc3\xa9\r\n"])
    assert classes(responses) == "e"


def test_utf8_without_user_is_not_for_names() -> None:
    """POP3-6856-2.2-a."""
    offered = [
        *(each for each in CAPABILITIES if each.tag != "UTF8"),
        pop3.capabilities.Utf8(),
    ]
    client = client_in(State.AUTHORIZATION, offered=offered)
    server = server_in(State.AUTHORIZATION, capabilities=offered)
    talk(client, server, pop3.Utf8())
    with pytest.raises(LocalProtocolError, match="needs UTF8 with USER"):
        client.send(pop3.User("é"))
    _, responses = said_by_server(server, [b"USER \xc3\xa9\r\n"])
    assert classes(responses) == "e"
    server.receive_data(b"CAPA x\r\n")
    assert isinstance(server.next_event(), pop3.BadCommand)
    assert server.send(Response(ERR, "é")) == b"-ERR \xc3\xa9\r\n"


def test_a_user_of_a_capability_that_is_not_ours_is_no_utf8() -> None:
    client = client_in(State.AUTHORIZATION, capabilities=[])
    client.send(pop3.Utf8())
    feed(client, b"+OK\r\n")
    assert client.utf8
    with pytest.raises(LocalProtocolError, match="needs UTF8 with USER"):
        client.send(pop3.User("é"))


@pytest.mark.parametrize("answer", [OK, ERR])
def test_texts_beyond_ascii_need_utf8_or_a_language(answer: pop3.ResponseClass) -> None:
    """RFC 6856 sections 2.1 and 3.1."""
    server = server_in(State.TRANSACTION)
    feed(server, b"NOOP\r\n")
    with pytest.raises(LocalProtocolError, match="only ASCII"):
        server.send(Response(answer, "é"))
    server.send(Response(OK))
    feed(server, b"LANG fr\r\n")
    french = pop3.Languages((pop3.Language("fr", "français"),))
    assert server.send(Response(OK, data=french)) == "+OK fr français\r\n".encode()
    feed(server, b"NOOP\r\n")
    assert server.send(Response(answer, "é")).endswith(" é\r\n".encode())


def test_a_list_of_languages_may_be_in_them() -> None:
    server = server_in(State.AUTHORIZATION)
    feed(server, b"LANG\r\n")
    items = pop3.Languages((pop3.Language("fr", "français"), pop3.Language("en")))
    wire = server.send(Response(OK, data=items))
    assert wire == "+OK\r\nfr français\r\nen\r\n.\r\n".encode()
    for cut in every_cut(wire):
        client = asking(pop3.Lang(), state=State.AUTHORIZATION)
        assert feed_all(client, cut) == [Response(OK, data=items)]


def test_a_refused_language_leaves_the_old_one() -> None:
    """POP3-6856-3.2-a."""
    server = server_in(State.TRANSACTION)
    french = pop3.Languages((pop3.Language("fr"),))
    for response in (Response(ERR), Response(OK, data=french), Response(ERR)):
        feed(server, b"LANG fr\r\n")
        server.send(response)
    feed(server, b"NOOP\r\n")
    assert server.send(Response(OK, "é")) == "+OK é\r\n".encode()


def test_a_language_that_was_refused_lets_nothing_beyond_ascii_pass() -> None:
    server = server_in(State.TRANSACTION)
    feed(server, b"LANG fr\r\n")
    server.send(Response(ERR))
    feed(server, b"NOOP\r\n")
    with pytest.raises(LocalProtocolError, match="only ASCII"):
        server.send(Response(OK, "é"))
