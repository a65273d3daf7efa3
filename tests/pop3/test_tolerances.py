import pytest

from cutting import every_cut
from pop3_talk import asking, classes, feed, feed_all, outcome_of, said_by_server
from smtp_pop_core import (
    CLIENT,
    SERVER,
    ConnectionClosed,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    pop3,
)
from smtp_pop_core.pop3 import (
    OK,
    Connection,
    EndOfMessage,
    Event,
    Response,
    State,
    Tolerances,
)

LENIENT = Tolerances(lf_line_ends=True)


def test_nothing_is_borne_that_was_not_named() -> None:
    assert Tolerances() == Tolerances(
        lf_line_ends=False, any_unique_id=False, utf8_login=False
    )


# lf_line_ends

ANSWERS = (
    b"+OK 2 320\r\n+OK\r\n1 120\r\n2 200\r\n.\r\n+OK\r\n..a\r\n\r\nb\r\n.\r\n"
    b"-ERR no\r\n"
)
COMMANDS = (pop3.Stat(), pop3.List(), pop3.Retr(1), pop3.Noop())
EVENTS: list[Event] = [
    Response(OK, data=pop3.Totals(2, 320)),
    Response(OK, data=pop3.Sizes({1: 120, 2: 200})),
    *(Response(OK), MessageData(b".a\r\n\r\nb\r\n"), EndOfMessage()),
    Response(pop3.ERR, "no"),
]


@pytest.mark.parametrize(
    "wire",
    [
        ANSWERS,
        ANSWERS.replace(b"\r\n", b"\n"),
        ANSWERS.replace(b"\r\n", b"\n", 5),
        ANSWERS[:40] + ANSWERS[40:].replace(b"\r\n", b"\n"),
    ],
)
def test_a_client_may_take_lf_for_a_line_end_however_it_is_cut(wire: bytes) -> None:
    for cut in every_cut(wire):
        client = asking(*COMMANDS, tolerances=LENIENT)
        events = feed_all(client, cut)
        assert events == EVENTS
        assert not any(each.bare for each in events if isinstance(each, EndOfMessage))
        assert client.state is State.TRANSACTION


def test_crlf_is_one_line_end_also_where_it_is_cut() -> None:
    for cut in every_cut(b"+OK\r\na\r\n\r\n.\r\n"):
        client = asking(pop3.Retr(1), tolerances=LENIENT)
        assert feed_all(client, cut) == [
            *(Response(OK), MessageData(b"a\r\n\r\n"), EndOfMessage())
        ]


def test_a_bare_cr_ends_nothing_all_the_same() -> None:
    for cut in every_cut(b"+OK\na\r.\rb\n.\n"):
        events = feed_all(asking(pop3.Retr(1), tolerances=LENIENT), cut)
        assert events[:2] == [Response(OK), MessageData(b"a\r.\rb\r\n")]
        assert isinstance(events[2], EndOfMessage)
        assert events[2].bare
    for cut in every_cut(b"+OK a\rb\n"):
        client = asking(pop3.Noop(), tolerances=LENIENT)
        assert outcome_of(client, cut) == ([], True)


def test_without_the_option_a_client_waits_for_crlf() -> None:
    client = Connection(CLIENT)
    assert feed(client, b"+OK\n") == []
    assert feed(client, b"") == [ConnectionClosed()]
    client = Connection(CLIENT)
    with pytest.raises(RemoteProtocolError, match="not a line of a response"):
        feed(client, b"+OK ready\n+OK\r\n")


def test_a_server_never_takes_lf_for_a_line_end() -> None:
    """POP3-1939-3-d: the option is for clients."""
    server = Connection(SERVER, tolerances=LENIENT)
    _, responses = said_by_server(server, [b"CAPA\nCAPA\r\n"])
    assert classes(responses) == "oe"


def test_a_greeting_with_lf_has_its_timestamp() -> None:
    for cut in every_cut(b"+OK <a@b>\n"):
        client = Connection(CLIENT, tolerances=LENIENT)
        assert feed_all(client, cut) == [Response(OK, "<a@b>")]
        assert client.timestamp == "<a@b>"


@pytest.mark.parametrize("wire", [b"+OK go\n+OK\n", b"+OK go\r\n\n"])
def test_octets_before_a_handshake_are_seen_as_well(wire: bytes) -> None:
    for cut in every_cut(wire):
        client = asking(pop3.Stls(), state=State.AUTHORIZATION, tolerances=LENIENT)
        assert feed_all(client, cut) == [Response(OK, "go")]
        with pytest.raises(RemoteProtocolError):
            client.begin_tls()


# utf8_login


@pytest.mark.parametrize(("borne", "expected"), [(False, "oee"), (True, "ooe")])
def test_a_server_may_read_utf8_in_a_login_before_it_was_said(
    borne: bool, expected: str
) -> None:
    for cut in every_cut(b"USER \xc3\xa9\r\nPASS \xc3\xbc\r\n"):
        server = Connection(SERVER, tolerances=Tolerances(utf8_login=borne))
        events, responses = said_by_server(server, cut)
        assert classes(responses) == expected
        assert (events[1:] == [pop3.User("é"), pop3.Pass("ü")]) is borne
        assert not server.utf8


def test_a_client_sends_no_utf8_before_it_was_said_whatever_is_borne() -> None:
    client = Connection(CLIENT, tolerances=Tolerances(utf8_login=True))
    feed(client, b"+OK\r\n")
    with pytest.raises(LocalProtocolError, match="needs UTF8 with USER"):
        client.send(pop3.User("é"))


def test_other_arguments_are_ascii_all_the_same() -> None:
    server = Connection(SERVER, tolerances=Tolerances(utf8_login=True))
    _, responses = said_by_server(server, [b"AUTH \xc3\xa9\r\nUSER \xc0\xaf\r\n"])
    assert classes(responses) == "oee"
