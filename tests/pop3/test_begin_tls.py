import pytest

from cutting import every_cut
from pop3_talk import (
    CAPABILITIES,
    TIMESTAMP,
    classes,
    client_in,
    feed,
    pair_in,
    said_by_server,
    server_in,
    snapshot,
    talk,
)
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    LocalProtocolError,
    RemoteProtocolError,
    pop3,
)
from smtp_pop_core.pop3 import ERR, OK, Connection, Response, State

APOP = pop3.Apop("mrose", "c4c9334bac560ecc979e58001b3e22fb")


def test_both_sides_forget_what_was_said_without_tls() -> None:
    """RFC 2595 section 4."""
    for conn in pair_in(State.TLS):
        conn.begin_tls()
        assert conn.tls
        assert conn.state is State.AUTHORIZATION
        assert not conn.capabilities
        assert not conn.authenticated
        assert conn.idle
        assert conn.next_event() is NEED_DATA


@pytest.mark.parametrize("state", [state for state in State if state is not State.TLS])
def test_begin_tls_needs_a_yes_to_stls(state: State) -> None:
    for conn in pair_in(state):
        before = snapshot(conn)
        assert not conn.handshake_due
        with pytest.raises(LocalProtocolError, match="no handshake is due"):
            conn.begin_tls()
        assert snapshot(conn) == before


def test_a_refused_stls_leaves_both_sides_where_they_were() -> None:
    client, server = pair_in(State.AUTHORIZATION)
    talk(client, server, pop3.Stls(), Response(ERR, "no"))
    for conn in (client, server):
        assert conn.state is State.AUTHORIZATION
        assert not conn.tls
        assert "STLS" in conn.capabilities
    client.send(pop3.Stls())


def test_a_refused_stls_makes_a_name_forgotten() -> None:
    client, server = pair_in(State.USER)
    talk(client, server, pop3.Stls(), Response(ERR, "no"))
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Pass("secret"))
    _, responses = said_by_server(server, [b"PASS secret\r\n"])
    assert classes(responses) == "e"


@pytest.mark.parametrize("pending", [b"\r\n", b"C", b"CAPA\r\n", b"\x16\x03\x01"])
def test_a_server_heeds_nothing_that_came_behind_stls(pending: bytes) -> None:
    """CVE-2011-0411: it would be read inside TLS."""
    for cut in every_cut(b"STLS\r\n" + pending):
        server = server_in(State.AUTHORIZATION)
        events, responses = said_by_server(server, cut)
        assert events == [pop3.Stls()]
        assert classes(responses) == "o"
        assert server.next_event() is PAUSED
        with pytest.raises(RemoteProtocolError, match="octets before the handshake"):
            server.begin_tls()
        assert server.closed
        assert not server.tls
        assert server.next_event() == ConnectionClosed()


@pytest.mark.parametrize("pending", [b"\r\n", b"+", b"+OK\r\n", b"-ERR no\r\n"])
def test_a_client_heeds_nothing_that_came_behind_the_yes(pending: bytes) -> None:
    """CVE-2021-33515: also no -ERR that nobody asked for."""
    client = client_in(State.TLS)
    client.receive_data(pending)
    assert client.next_event() is PAUSED
    with pytest.raises(RemoteProtocolError, match="octets before the handshake"):
        client.begin_tls()
    assert client.closed
    assert client.next_event() == ConnectionClosed()


def test_nothing_follows_stls_before_the_handshake() -> None:
    """POP3-2595-4-e."""
    client, server = pair_in(State.AUTHORIZATION)
    wire = client.send(pop3.Stls())
    for command in (pop3.Capa(), pop3.Quit(), pop3.User("alice")):
        with pytest.raises(LocalProtocolError):
            client.send(command)
    feed(server, wire)
    feed(client, server.send(Response(OK)))
    for command in (pop3.Capa(), pop3.Quit(), pop3.User("alice")):
        with pytest.raises(LocalProtocolError):
            client.send(command)
    with pytest.raises(LocalProtocolError):
        server.send(Response(OK))


def test_a_session_goes_on_inside_tls() -> None:
    client, server = pair_in(State.TLS)
    client.begin_tls()
    server.begin_tls()
    for command in (pop3.Capa(), pop3.User("alice")):
        talk(client, server, command)
    talk(client, server, pop3.Pass("secret"), Response(OK))
    for conn in (client, server):
        assert conn.authenticated
        assert "STLS" not in conn.capabilities


def test_capabilities_need_not_be_asked_for_inside_tls() -> None:
    client, server = pair_in(State.TLS)
    client.begin_tls()
    server.begin_tls()
    with pytest.raises(LocalProtocolError, match="UTF8 was not offered"):
        client.send(pop3.Utf8())
    talk(client, server, pop3.User("alice"))
    assert client.state is State.USER
    assert server.state is State.USER


def test_tls_begins_once() -> None:
    """RFC 2595 section 4."""
    client, server = pair_in(State.TLS)
    client.begin_tls()
    server.begin_tls()
    with pytest.raises(LocalProtocolError, match="STLS comes once"):
        client.send(pop3.Stls())
    _, responses = said_by_server(server, [b"STLS\r\n"])
    assert classes(responses) == "e"


def test_stls_does_not_follow_utf8() -> None:
    """RFC 6856 section 2.1."""
    client, server = pair_in(State.AUTHORIZATION)
    talk(client, server, pop3.Utf8())
    with pytest.raises(LocalProtocolError, match="STLS comes once, and before UTF8"):
        client.send(pop3.Stls())
    _, responses = said_by_server(server, [b"STLS\r\n"])
    assert classes(responses) == "e"


def test_a_server_keeps_its_timestamp_and_a_client_forgets_it() -> None:
    """RFC 1939 section 7: the server says no other; somebody may have put it there."""
    server = server_in(State.TLS, timestamp=TIMESTAMP)
    server.begin_tls()
    assert server.timestamp == TIMESTAMP
    [command], _ = said_by_server(
        server, [b"APOP mrose " + APOP.digest.encode() + b"\r\n"]
    )
    assert command == APOP
    client = client_in(State.TLS, timestamp=TIMESTAMP)
    assert client.timestamp == TIMESTAMP
    client.begin_tls()
    assert client.timestamp == ""
    with pytest.raises(LocalProtocolError, match="APOP was not offered"):
        client.send(APOP)


def test_a_language_is_forgotten() -> None:
    client, server = pair_in(State.AUTHORIZATION)
    german = pop3.Languages((pop3.Language("de"),))
    talk(client, server, pop3.Lang("de"), Response(OK, data=german))
    talk(client, server, pop3.Stls(), Response(OK, "ja, gern: ä"))
    server.begin_tls()
    feed(server, b"CAPA\r\n")
    with pytest.raises(LocalProtocolError, match="only ASCII"):
        server.send(Response(ERR, "ä"))


def test_a_connection_can_begin_inside_tls() -> None:
    """RFC 8314 section 3.1: in AUTHORIZATION, also with a client certificate."""
    client = Connection(CLIENT, tls=True)
    server = Connection(SERVER, capabilities=CAPABILITIES, tls=True)
    for command in (pop3.Connect(), pop3.Capa()):
        talk(client, server, command)
    for conn in (client, server):
        assert conn.tls
        assert conn.state is State.AUTHORIZATION
        assert "STLS" not in conn.capabilities
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Stat())
    _, responses = said_by_server(server, [b"STAT\r\nSTLS\r\n"])
    assert classes(responses) == "ee"
