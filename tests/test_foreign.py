"""Other protocols on our ports: they are told from ours, and nothing of ours is hit."""

from typing import Any, Final

import pytest

from cutting import every_cut
from smtp_pop_core import NEED_DATA, SERVER, ConnectionClosed, Limits, pop3, smtp
from smtp_pop_core._foreign import foreign_protocol, foreign_start

HELLO_OF_TLS: Final = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
HELLO_OF_SSL_2: Final = b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(32)

LINES: Final = [
    (b"GET / HTTP/1.1", "HTTP"),
    (b"GET /index.html HTTP/1.0", "HTTP"),
    (b"GET /", "HTTP"),  # HTTP/0.9
    (b"POST /form?a=b HTTP/1.1", "HTTP"),
    (b"HEAD http://mx.example:25/ HTTP/1.1", "HTTP"),
    (b"PUT / HTTP/1.1", "HTTP"),
    (b"OPTIONS * HTTP/1.1", "HTTP"),
    (b"CONNECT mx.example:25 HTTP/1.1", "HTTP"),
    (b"PRI * HTTP/2.0", "HTTP"),
    (b"PROPFIND /dav HTTP/1.1", "HTTP"),
    (b"FROBNICATE /x HTTP/1.1", "HTTP"),
    (b"M-SEARCH * HTTP/1.1", "HTTP"),
    (b"GET /\xc3\xa4 HTTP/1.1", "HTTP"),
    (b"GET /" + b"x" * 59, "HTTP"),  # the beginning of a longer one
    (b"OPTIONS sip:nm SIP/2.0", "SIP"),
    (b"REGISTER sip:mx.example SIP/2.0", "SIP"),
    (b"DESCRIBE rtsp://mx.example/ RTSP/1.0", "RTSP"),
    (b"SSH-2.0-OpenSSH_9.6", "SSH"),
    (b"SSH-1.99-x", "SSH"),
    (HELLO_OF_TLS, "TLS"),
    (HELLO_OF_SSL_2, "TLS"),
]
OURS: Final = [
    *(b"", b"GET", b"get / HTTP", b"HELO GET / HTTP", b"Host: mx.example", b"\0"),
    *(b"PROXY UNKNOWN", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25"),
    *(b"GETTING / HTTP", b"GET/ HTTP/1.1", b"SSHD", b"ssh-2.0"),
    *(b"\x16", b"\x16\x01", b"\x80\x2e\x01", b"\x80\x2e\x02\x03", b"\0\0"),
]
VERBS: Final = [
    *("EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "BURL", "RSET", "NOOP"),
    *("QUIT", "VRFY", "EXPN", "HELP", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"),
    *("STARTTLS", "AUTH", "XCLIENT", "XFORWARD", "XEXCH50", "X-ANYTHING", "VERB"),
    *("USER", "PASS", "APOP", "STLS", "CAPA", "STAT", "LIST", "UIDL", "RETR", "TOP"),
    *("DELE", "UTF8", "LANG", "LAST", "RPOP", "XTND"),
]
"""Commands of both protocols, as RFCs and servers have them."""


@pytest.mark.parametrize(("line", "protocol"), LINES)
def test_other_protocols_are_known_by_their_first_line(
    line: bytes, protocol: str
) -> None:
    assert foreign_protocol(line) == protocol


@pytest.mark.parametrize("line", OURS)
def test_what_only_looks_similar_is_left_alone(line: bytes) -> None:
    assert foreign_protocol(line) == ""


@pytest.mark.parametrize(
    ("octets", "start"),
    [
        (HELLO_OF_TLS, b"\x16\x03"),
        (b"\x16\x03", b"\x16\x03"),
        (HELLO_OF_SSL_2, b"\x80\x2e\x01\x03"),
        (b"\x80\r\x01\0", b"\x80\r\x01\0"),
        (b"\xff\n\x01\0", b"\xff\n\x01\0"),
        (b"SSH-2.0-x\n", b"SSH-"),
        (b"\x16", b""),
        (b"\x80\x2e\x01", b""),
        (b"SSH", b""),
        (b"GET / HTTP/1.1", b""),  # it has an end
    ],
)
def test_what_may_never_have_a_line_end_is_known_by_its_first_octets(
    octets: bytes, start: bytes
) -> None:
    assert foreign_start(octets) == start


@pytest.mark.parametrize(
    "line",
    [
        b"a" * 1_000_000,
        b"a " * 500_000,
        b"a" + b" " * 1_000_000 + b"\0",
        b"a b HTTP/" + b"1" * 1_000_000 + b"\0",
        b"a b HTTP/1" + b" " * 1_000_000 + b"\0",
        b"a" + b" b" * 500_000 + b" HTTP/1\0",
    ],
)
def test_a_long_line_costs_what_its_octets_cost(line: bytes) -> None:
    """A test of time without a clock: what is not linear here never ends."""
    assert foreign_protocol(line) == ""


# Servers


def greeted(kind: str, limits: Limits | None = None) -> Any:
    """Give the connection of a server that has greeted."""
    conn: Any
    if kind == "smtp":
        conn = smtp.Connection(SERVER, limits=limits or Limits())
        conn.next_event()
        conn.send(smtp.Reply(220))
    else:
        conn = pop3.Connection(SERVER, limits=limits or Limits())
        conn.next_event()
        conn.send(conn.default_response(pop3.Connect()))
    return conn


def answer(conn: Any, event: Any) -> None:
    """Say what a sound server says."""
    if isinstance(conn, smtp.Connection):
        conn.send(conn.default_reply(event))
    else:
        conn.send(conn.default_response(event))


BODY: Final = b"\r\nHost: x\r\n\r\nHELO x\r\nMAIL FROM:<>\r\nUSER joe\r\nPASS x\r\n"
kinds: Final = pytest.mark.parametrize("kind", ["smtp", "pop3"])


@pytest.mark.parametrize("line", [line for line, _ in LINES])
@kinds
def test_the_session_ends_at_once_however_it_is_cut(kind: str, line: bytes) -> None:
    """SEC-CROSS-HTTP-a, SEC-CROSS-TLS-a: nothing that follows is a command."""
    found = []
    for cut in every_cut(line + BODY[:30]):
        conn = greeted(kind)
        events = []
        for piece in cut:
            conn.receive_data(piece)
            while (event := conn.next_event()) is not NEED_DATA:
                events.append(event)
                if event != ConnectionClosed():
                    answer(conn, event)
        found.append(events)
        assert conn.closed
    assert all(each == found[0] for each in found)
    bad, end = found[0]
    assert isinstance(bad, smtp.BadCommand | pop3.BadCommand)
    assert line.startswith(bad.line)
    assert end == ConnectionClosed()


@pytest.mark.parametrize("octets", [600, 20_000])  # of a command, and of AUTH
@kinds
def test_a_request_that_is_longer_than_a_line_may_be_is_one_as_well(
    kind: str, octets: int
) -> None:
    conn = greeted(kind)
    conn.receive_data(b"POST /" + b"x" * octets + b" HTTP/1.1" + BODY)
    answer(conn, conn.next_event())
    assert conn.closed


@pytest.mark.parametrize("octets", [600, 20_000])
@kinds
def test_other_lines_that_are_too_long_end_nothing(kind: str, octets: int) -> None:
    conn = greeted(kind)
    conn.receive_data(b"x" * octets + BODY)
    answer(conn, conn.next_event())
    assert not conn.closed


@pytest.mark.parametrize("line", [b"VRFY", b"NOOP", b"HELP", b"EXPN"])
def test_a_command_of_ours_with_such_arguments_is_one(line: bytes) -> None:
    conn = greeted("smtp")
    conn.receive_data(b"HELO me.example\r\n")
    answer(conn, conn.next_event())
    conn.receive_data(line + b" / HTTP/1.1\r\n")
    assert not isinstance(conn.next_event(), smtp.BadCommand)


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_command_of_an_extension_is_never_taken_for_another_protocol(
    verb: str,
) -> None:
    class Get(smtp.Extension):
        keyword = verb
        verbs = (smtp.Verb(verb, smtp.Noop, smtp.Noop, lambda command: "x"),)

    conn = smtp.Connection(SERVER, extensions=[Get()])
    answer(conn, conn.next_event())
    conn.receive_data(b"EHLO me.example\r\n")
    answer(conn, conn.next_event())
    conn.receive_data(verb.encode() + b" / HTTP/1.1\r\n")
    assert conn.next_event() == smtp.Noop("/ HTTP/1.1")


@pytest.mark.parametrize("verb", VERBS)
def test_no_command_of_ours_begins_as_another_protocol(verb: str) -> None:
    for line in (verb, verb.lower(), f"{verb} <x> y=z"):
        for end in range(len(line) + 1):
            assert foreign_protocol(line[:end].encode()) == ""


@kinds
def test_in_the_exchange_of_a_login_a_line_is_a_response(kind: str) -> None:
    """Base64 that cannot be decoded ends the exchange, and not the session."""
    conn = greeted(kind)
    conn.offer_mechanisms(["PLAIN"])
    conn.receive_data({"smtp": b"EHLO x\r\n", "pop3": b"CAPA\r\n"}[kind])
    answer(conn, conn.next_event())
    conn.receive_data(b"AUTH PLAIN\r\n")
    conn.next_event()
    go_on = pop3.Response(pop3.MORE, data=pop3.Challenge(b""))
    conn.send({"smtp": smtp.Reply(334, ("",)), "pop3": go_on}[kind])
    conn.receive_data(b"GET / HTTP/1.1\r\n")
    answer(conn, conn.next_event())
    assert not conn.closed
    assert conn.state in (smtp.State.READY, pop3.State.AUTHORIZATION)
