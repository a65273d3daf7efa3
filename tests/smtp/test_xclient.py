"""A client that speaks for another, or tells where a message came from.

Postfix XCLIENT_README and XFORWARD_README.
"""

import pytest

from conversing import converse
from driving import Close, Expect, Say, Step, cut_short, octets_said, play
from smtp_pop_core import (
    CLIENT,
    SERVER,
    ConnectionLost,
    Flow,
    LocalProtocolError,
    Networks,
    PolicyError,
    smtp,
)
from smtp_pop_core.smtp import Source, State, Unavailable, Xclient, Xforward

OFFER = (
    b"250-mx.example\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
    b"250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
)
EHLO = Expect(b"EHLO me.example\r\n")
GREETING = Say(b"220 mx.example\r\n")
OK = Say(b"250 OK\r\n")


def opened(offer: bytes = OFFER, *, lmtp: bool = False) -> smtp.Connection:
    conn = smtp.Connection(CLIENT, domain="me.example", lmtp=lmtp)
    hello = Expect(EHLO.data.replace(b"EHLO", b"LHLO")) if lmtp else EHLO
    play(smtp.open(conn), GREETING, hello, Say(offer))
    return conn


def test_a_client_speaks_for_another_and_says_hello_again() -> None:
    conn = opened()
    offered = play(
        smtp.xclient(conn, Xclient(name="a.example", addr="2001:db8::1")),
        Expect(b"XCLIENT NAME=a.example ADDR=IPV6:2001:db8::1\r\n"),
        *[GREETING, EHLO, Say(b"250-mx.example\r\n250 PIPELINING\r\n")],
    )
    assert list(offered) == ["PIPELINING"]
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("helo", "said"),
    [
        ("spike.example", b"spike.example"),
        ("[192.0.2.7]", b"[192.0.2.7]"),
        ("a_b", b"me.example"),
        (Unavailable.UNAVAILABLE, b"me.example"),
    ],
)
def test_hello_names_the_client_for_whom_it_is(
    helo: str | Unavailable, said: bytes
) -> None:
    text = helo if isinstance(helo, str) else helo.value
    play(
        smtp.xclient(opened(), Xclient(helo=helo)),
        Expect(b"XCLIENT HELO=" + text.encode() + b"\r\n"),
        *[GREETING, Expect(b"EHLO " + said + b"\r\n"), OK],
    )


def test_a_server_without_ehlo_hears_helo() -> None:
    play(
        smtp.xclient(opened(), Xclient(port=1)),
        *[Expect(b"XCLIENT PORT=1\r\n"), GREETING, EHLO, Say(b"502 no\r\n")],
        *[Expect(b"HELO me.example\r\n"), OK],
    )


def test_in_lmtp_hello_is_lhlo() -> None:
    play(
        smtp.xclient(opened(lmtp=True), Xclient(port=1)),
        *[Expect(b"XCLIENT PORT=1\r\n"), GREETING],
        *[Expect(b"LHLO me.example\r\n"), OK],
    )


@pytest.mark.parametrize("code", [501, 503, 550, 554, 451])
def test_a_no_is_rejected_and_the_session_goes_on(code: int) -> None:
    conn = opened()
    command = Xclient(name="a")
    no = Say(b"%d no\r\n" % code)
    with pytest.raises(smtp.Rejected, match=str(code)) as caught:
        play(smtp.xclient(conn, command), Expect(b"XCLIENT NAME=a\r\n"), no)
    assert caught.value.command == command
    assert conn.state is State.READY


def test_a_no_to_hello_is_rejected() -> None:
    steps: list[Step] = [Expect(b"XCLIENT NAME=a\r\n"), GREETING, EHLO]
    with pytest.raises(smtp.Rejected, match="Ehlo: 503"):
        play(smtp.xclient(opened(), Xclient(name="a")), *steps, Say(b"503 no\r\n"))


NOT_OFFERED = [
    (b"250 mx.example\r\n", "the server does not offer XCLIENT$"),
    (
        b"250-mx.example\r\n250 XCLIENT NAME PROTO\r\n",
        "the server does not offer XCLIENT with ADDR, LOGIN$",
    ),
]


@pytest.mark.parametrize(("offer", "reason"), NOT_OFFERED)
def test_nothing_is_said_that_is_not_offered(offer: bytes, reason: str) -> None:
    conn = opened(offer)
    command = Xclient(name="a", addr="192.0.2.1", login="joe")
    with pytest.raises(PolicyError, match=reason):
        play(smtp.xclient(conn, command))
    assert conn.state is State.READY


LONG = "x" * 255


def test_what_is_too_long_for_a_line_is_said_in_two_the_address_last() -> None:
    command = Xclient(name=LONG, addr="192.0.2.1", helo=LONG, destport=25)
    play(
        smtp.xclient(opened(), command),
        Expect(f"XCLIENT NAME={LONG} DESTPORT=25\r\n".encode()),
        *[GREETING, Expect(f"EHLO {LONG}\r\n".encode()), Say(OFFER)],
        Expect(f"XCLIENT ADDR=192.0.2.1 HELO={LONG}\r\n".encode()),
        *[GREETING, Expect(f"EHLO {LONG}\r\n".encode()), OK],
    )


def test_what_fits_no_line_is_not_sent() -> None:
    command = Xclient(login="é" * 127)
    with pytest.raises(LocalProtocolError, match="longer than a line"):
        play(smtp.xclient(opened(), command))


ANEW: list[Step] = [
    *[Expect(b"XCLIENT NAME=a\r\n"), GREETING, EHLO, Say(b"250 mx.example\r\n")]
]


@pytest.mark.parametrize("octets", range(octets_said(ANEW)))
def test_a_lost_connection_ends_it_wherever_that_is(octets: int) -> None:
    conn = opened()
    with pytest.raises(ConnectionLost):
        play(smtp.xclient(conn, Xclient(name="a")), *cut_short(ANEW, octets, Close()))
    assert conn.closed


def test_a_filter_tells_where_a_message_came_from() -> None:
    reply = play(
        smtp.xforward(opened(), Xforward(ident="A1", source=Source.REMOTE)),
        *[Expect(b"XFORWARD IDENT=A1 SOURCE=REMOTE\r\n"), OK],
    )
    assert reply.code == 250


def test_what_is_too_long_is_told_in_several_lines() -> None:
    command = Xforward(name=LONG, addr="192.0.2.1", port=25, helo=LONG, ident=LONG)
    play(
        smtp.xforward(opened(), command),
        *[Expect(f"XFORWARD NAME={LONG} ADDR=192.0.2.1 PORT=25\r\n".encode()), OK],
        *[Expect(f"XFORWARD HELO={LONG}\r\n".encode()), OK],
        *[Expect(f"XFORWARD IDENT={LONG}\r\n".encode()), OK],
    )


def test_a_no_to_what_is_told_is_rejected() -> None:
    conn = opened()
    steps: list[Step] = [Expect(b"XFORWARD NAME=a\r\n"), Say(b"550 5.7.0 no\r\n")]
    with pytest.raises(smtp.Rejected, match="550"):
        play(smtp.xforward(conn, Xforward(name="a")), *steps)
    assert conn.state is State.READY


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (b"250 mx.example\r\n", "the server does not offer XFORWARD$"),
        (
            b"250-mx.example\r\n250 XFORWARD NAME\r\n",
            "the server does not offer XFORWARD with IDENT$",
        ),
    ],
)
def test_nothing_is_told_that_is_not_offered(offer: bytes, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        play(smtp.xforward(opened(offer), Xforward(name="a", ident="b")))


@pytest.mark.parametrize("size", [1, 65_536])
def test_client_and_server_agree_on_who_is_there(size: int) -> None:
    told: list[object] = []

    class Asking(smtp.Application):
        def mail(self, command: smtp.Mail) -> None:
            peer = self.peer
            told.append((peer.address, peer.port, peer.name, peer.helo, peer.identity))
            told.append(peer.forwarded)

    def talk(conn: smtp.Connection) -> Flow[None]:
        yield from smtp.open(conn)
        yield from smtp.xforward(conn, Xforward(name="z", source=Source.LOCAL))
        yield from smtp.exchange(conn, smtp.Mail(""))
        yield from smtp.reset(conn)
        command = Xclient(
            name=LONG, addr="2001:db8::1", port=99, helo="c.example", login="zoë b"
        )
        yield from smtp.xclient(conn, command)
        yield from smtp.exchange(conn, smtp.Mail(""))
        yield from smtp.quit(conn)

    server = smtp.Connection(
        SERVER,
        extensions=(smtp.extensions.Xclient(), smtp.extensions.Xforward()),
    )
    trusted = Networks("192.0.2.1")
    converse(
        talk(smtp.Connection(CLIENT, domain="me.example")),
        smtp.serve(server, Asking, "192.0.2.1", 25, trusted=trusted),
        [size],
    )
    assert told == [
        ("192.0.2.1", 25, "", "me.example", ""),
        smtp.Forwarded(name="z", source=Source.LOCAL),
        ("2001:db8::1", 99, LONG, "c.example", "zoë b"),
        None,
    ]
