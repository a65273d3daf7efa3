"""XCLIENT and XFORWARD: what they carry, and where they may come.

Postfix XCLIENT_README and XFORWARD_README.
"""

from typing import Any

import pytest

from smtp_pop_core import CLIENT, SERVER, LocalProtocolError, smtp
from smtp_pop_core.smtp import (
    Command,
    Reply,
    Source,
    State,
    Unavailable,
    Xclient,
    Xforward,
)
from smtp_talk import codes, feed, ready_server, said_by_server

EXTENSIONS = (
    *smtp.usual(),
    smtp.extensions.Auth(("PLAIN",)),
    smtp.extensions.Xclient(),
    smtp.extensions.Xforward(),
)
UNAVAILABLE = Unavailable.UNAVAILABLE
V6 = "2001:db8::1"


def server(*extensions: smtp.Extension) -> smtp.Connection:
    return ready_server(extensions=extensions or EXTENSIONS)


def client() -> smtp.Connection:
    """Make a client that has heard what the server offers."""
    conn = smtp.Connection(CLIENT)
    conn.receive_data(b"220 mx.example\r\n")
    conn.next_event()
    conn.send(smtp.Ehlo("me.example"))
    conn.receive_data(
        b"250-mx.example\r\n250-PIPELINING\r\n250-XFORWARD NAME ADDR\r\n"
        b"250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
    )
    conn.next_event()
    return conn


# What is written, and read again as the same command.
WRITTEN: list[tuple[Command, bytes]] = [
    (Xclient(name="a_b.example"), b"XCLIENT NAME=a_b.example"),
    (Xclient(addr="192.0.2.1"), b"XCLIENT ADDR=192.0.2.1"),
    (Xclient(addr=V6), b"XCLIENT ADDR=IPV6:2001:db8::1"),
    (Xclient(port=0, destport=65535), b"XCLIENT PORT=0 DESTPORT=65535"),
    (Xclient(proto="ESMTP"), b"XCLIENT PROTO=ESMTP"),
    (Xclient(helo="[192.0.2.1]"), b"XCLIENT HELO=[192.0.2.1]"),
    (Xclient(helo="a+b"), b"XCLIENT HELO=a+2Bb"),
    (Xclient(login="joe@a.example"), b"XCLIENT LOGIN=joe@a.example"),
    (Xclient(login="a b=c"), b"XCLIENT LOGIN=a+20b+3Dc"),
    (Xclient(login="zoë"), b"XCLIENT LOGIN=zo+C3+AB"),
    (Xclient(destaddr=V6), b"XCLIENT DESTADDR=IPV6:2001:db8::1"),
    (
        Xclient(name=Unavailable.TEMPUNAVAIL, addr=UNAVAILABLE, port=UNAVAILABLE),
        b"XCLIENT NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]",
    ),
    (
        Xclient(helo=UNAVAILABLE, login=UNAVAILABLE, destaddr=UNAVAILABLE),
        b"XCLIENT HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE] DESTADDR=[UNAVAILABLE]",
    ),
    (
        Xforward(name="a.example", addr=V6, port=25, proto="ESMTP", helo="b"),
        b"XFORWARD NAME=a.example ADDR=IPV6:2001:db8::1 PORT=25 PROTO=ESMTP HELO=b",
    ),
    (
        Xforward(ident="3CF6B2AAE8", source=Source.LOCAL),
        b"XFORWARD IDENT=3CF6B2AAE8 SOURCE=LOCAL",
    ),
    (Xforward(addr="uucp-host"), b"XFORWARD ADDR=uucp-host"),
    (
        Xforward(proto=UNAVAILABLE, source=UNAVAILABLE),
        b"XFORWARD PROTO=[UNAVAILABLE] SOURCE=[UNAVAILABLE]",
    ),
    (Xforward(name="x" * 255), b"XFORWARD NAME=" + b"x" * 255),
]


@pytest.mark.parametrize(("command", "line"), WRITTEN)
def test_what_a_client_writes_is_what_a_server_reads(
    command: Command, line: bytes
) -> None:
    wire = client().send(command)
    assert wire == line + b"\r\n"
    assert feed(server(), wire) == [command]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"xclient addr=ipv6:2001:db8::1", Xclient(addr=V6)),
        (b"XClient Name=[unavailable]", Xclient(name=UNAVAILABLE)),
        (b"XCLIENT NAME=[TempUnavail]", Xclient(name=Unavailable.TEMPUNAVAIL)),
        (b"XCLIENT PROTO=smtp", Xclient(proto="SMTP")),
        (b"XCLIENT  NAME=a   PORT=025 ", Xclient(name="a", port=25)),
        (b"XCLIENT LOGIN=a=b", Xclient(login="a=b")),
        (b"XCLIENT LOGIN=joe+x@a.example", Xclient(login="joe+x@a.example")),
        (b"XCLIENT LOGIN=a+2bc", Xclient(login="a+2bc")),
        (b"XCLIENT LOGIN=a+2Bc", Xclient(login="a+c")),
        (b"XFORWARD source=remote", Xforward(source=Source.REMOTE)),
        (b"XFORWARD ADDR=2001:db8::1", Xforward(addr=V6)),
        (b"XFORWARD NAME=a PROTO=ESMTP ", Xforward(name="a", proto="ESMTP")),
    ],
)
def test_a_server_is_liberal_in_what_it_reads(line: bytes, command: Command) -> None:
    assert feed(server(), line + b"\r\n") == [command]


BAD_LINES = [
    *(b"XCLIENT", b"XCLIENT FOO", b"XCLIENT NAME=", b"XCLIENT FOO=x", b"XCLIENT =x"),
    *(b"XCLIENT ADDR=[192.0.2.1]", b"XCLIENT ADDR=2001:db8::1", b"XCLIENT ADDR=a.b"),
    *(b"XCLIENT ADDR=IPV6:192.0.2.1", b"XCLIENT ADDR=IPV6:fe80::1%1"),
    *(b"XCLIENT ADDR=192.0.2.256", b"XCLIENT ADDR=192.0.2", b"XCLIENT DESTADDR=x"),
    *(b"XCLIENT PORT=65536", b"XCLIENT PORT=-1", b"XCLIENT PORT=x"),
    *(b"XCLIENT DESTPORT=65536", b"XCLIENT PORT=[TEMPUNAVAIL]"),
    *(b"XCLIENT PROTO=HTTP", b"XCLIENT PROTO=[UNAVAILABLE]"),
    *(b"XCLIENT NAME=a NAME=b", b"XCLIENT NAME=a name=a", b"XCLIENT NAME=a FOO=b"),
    *(b"XCLIENT NAME=a+0D+0Ab", b"XCLIENT NAME=a+20b", b"XCLIENT NAME=,"),
    *(
        b"XCLIENT HELO=a+40b",
        b"XCLIENT LOGIN=+FF",
        b"XCLIENT LOGIN=a+0Ab",
    ),
    *(b"XCLIENT LOGIN=" + b"x" * 256, b"XCLIENT NAME=" + b"x" * 256),
    *(b"XCLIENT NAME=\xc3\xa9", b"XCLIENT IDENT=x", b"XCLIENT SOURCE=LOCAL"),
    *(b"XFORWARD", b"XFORWARD NAME", b"XFORWARD LOGIN=x", b"XFORWARD SOURCE=X"),
    *(b"XFORWARD NAME=a+0D+0Ab", b"XFORWARD NAME=" + b"x" * 256),
    *(b"XFORWARD NAME=+C3+A9", b"XFORWARD NAME=+22", b"XFORWARD HELO=<a>"),
    *(b"XFORWARD PROTO=" + b"x" * 65, b"XFORWARD ADDR=IPV6:a", b"XFORWARD PORT=65536"),
    *(b"XFORWARD SOURCE=[TEMPUNAVAIL]", b"XFORWARD IDENT=", b"XFORWARD PORT=000025"),
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_what_is_malformed_is_501(line: bytes) -> None:
    _, replies = said_by_server(server(), [line + b"\r\n"])
    assert codes(replies) == [501]


UNWRITABLE: list[dict[str, Any]] = [
    *({}, {"name": ""}, {"name": "a b"}, {"name": "a\r\nQUIT"}, {"name": "é"}),
    *({"name": "x" * 256}, {"name": "[unavailable]"}, {"helo": "a@b"}, {"helo": "a\0"}),
    *({"helo": Unavailable.TEMPUNAVAIL}, {"addr": "x"}, {"addr": "[192.0.2.1]"}),
    *({"addr": f"IPV6:{V6}"}, {"addr": "fe80::1%eth0"}, {"addr": ""}, {"port": -1}),
    *({"addr": Unavailable.TEMPUNAVAIL}, {"port": 65536}, {"proto": "HTTP"}),
    *({"proto": "esmtp"}, {"login": ""}, {"login": "a\n"}, {"login": "é" * 128}),
    *({"login": "[TEMPUNAVAIL]"}, {"login": "\ud800"}, {"destaddr": "x"}),
    *({"destport": 65536}, {"proto": UNAVAILABLE}),
]


@pytest.mark.parametrize("fields", UNWRITABLE)
def test_what_cannot_be_written_for_a_client_is_not_made(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Xclient(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        *({}, {"name": "a,b"}, {"addr": "ipv6:x"}, {"addr": "a b"}, {"port": 65536}),
        *({"proto": "x" * 65}, {"helo": "(a)"}, {"ident": "<a@b>"}, {"ident": ""}),
        *({"source": "LOCAL"}, {"source": Unavailable.TEMPUNAVAIL}),
    ],
)
def test_what_cannot_be_written_of_a_message_is_not_made(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Xforward(**fields)


@pytest.mark.parametrize(
    "fields", [{"name": b"a"}, {"addr": 1}, {"port": "25"}, {"port": True}]
)
def test_what_is_of_another_type_is_a_type_error(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"must be (str|int), not"):
        Xclient(**fields)


def test_a_command_says_what_it_carries() -> None:
    assert Xclient(port=UNAVAILABLE, name="a").given == ("NAME", "PORT")


# Where they may come, and what is forgotten.

SCRIPTS = [
    ([b"XCLIENT NAME=a"], [550]),  # a server that decides nothing
    ([b"MAIL FROM:<>", b"XCLIENT NAME=a"], [250, 503]),
    ([b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"XCLIENT NAME=a"], [250, 250, 503]),
    ([b"MAIL FROM:<>", b"RSET", b"XCLIENT NAME=a"], [250, 250, 550]),
    ([b"XFORWARD NAME=a", b"XFORWARD HELO=b", b"MAIL FROM:<>"], [250, 250, 250]),
    ([b"MAIL FROM:<>", b"XFORWARD NAME=a"], [250, 503]),
    ([b"HELO a", b"XCLIENT NAME=a", b"XFORWARD NAME=a"], [250, 550, 250]),
]


@pytest.mark.parametrize(("lines", "expected"), SCRIPTS)
def test_they_may_come_outside_a_transaction(
    lines: list[bytes], expected: list[int]
) -> None:
    wire = b"".join(line + b"\r\n" for line in lines)
    _, replies = said_by_server(server(), [wire])
    assert codes(replies) == expected


def test_before_ehlo_a_client_may_be_told_and_a_message_not() -> None:
    conn = smtp.Connection(SERVER, extensions=EXTENSIONS)
    _, replies = said_by_server(conn, [b"XCLIENT NAME=a\r\nXFORWARD NAME=a\r\n"])
    assert codes(replies) == [220, 550, 503]


GREETING = Reply(220, ("mx.example ESMTP",))


def told(login: str | None = None) -> tuple[smtp.Connection, smtp.Connection]:
    """Let a client say XCLIENT to a server that takes it."""
    asking, asked = client(), server()
    command = Xclient(addr="192.0.2.7", login=login)
    asked.receive_data(asking.send(command))
    assert asked.next_event() == command
    wire = asked.send(GREETING)
    assert wire == b"220 mx.example ESMTP\r\n"  # a greeting has no enhanced code
    asking.receive_data(wire)
    assert asking.next_event() == GREETING
    return asking, asked


def test_a_yes_leads_back_to_the_greeting_on_both_sides() -> None:
    for conn in told():
        assert conn.state is State.GREETED
        assert not conn.extensions
        assert not conn.authenticated


def test_after_a_yes_hello_has_to_be_said_again() -> None:
    asking, asked = told()
    with pytest.raises(LocalProtocolError, match="out of order"):
        asking.send(smtp.Mail(""))
    _, replies = said_by_server(asked, [b"MAIL FROM:<>\r\nEHLO a\r\nMAIL FROM:<>\r\n"])
    assert codes(replies) == [503, 250, 250]


def test_who_has_logged_in_at_the_proxy_has_authenticated() -> None:
    asking, asked = told(login="joe")
    assert asking.authenticated
    assert asked.authenticated
    _, replies = said_by_server(asked, [b"EHLO a\r\nAUTH PLAIN\r\n"])
    assert codes(replies) == [250, 503]


@pytest.mark.parametrize("code", [451, 501, 503, 550, 554])
def test_a_no_changes_nothing(code: int) -> None:
    conn = client()
    before = conn.extensions
    conn.send(Xclient(name="a"))
    conn.receive_data(b"%d no\r\n" % code)
    conn.next_event()
    assert conn.state is State.READY
    assert conn.extensions == before


def test_a_421_closes() -> None:
    conn = client()
    conn.send(Xclient(name="a"))
    conn.receive_data(b"421 too busy\r\n")
    conn.next_event()
    assert conn.closed


def test_a_message_may_be_told_of_in_a_group_of_commands() -> None:
    conn = client()
    wire = conn.send(Xforward(name="a")) + conn.send(smtp.Mail(""))
    assert wire == b"XFORWARD NAME=a\r\nMAIL FROM:<>\r\n"


def test_a_client_that_is_told_of_ends_a_group_of_commands() -> None:
    conn = client()
    conn.send(smtp.Rset())
    conn.send(Xclient(name="a"))
    with pytest.raises(LocalProtocolError, match="Xclient must be answered first"):
        conn.send(smtp.Ehlo("me.example"))


# Who may use them.


def offered(conn: smtp.Connection) -> set[str]:
    reply = conn.default_reply(smtp.Ehlo("me.example"))
    return {line.split()[0] for line in reply.lines[1:]} & {"XCLIENT", "XFORWARD"}


def test_ehlo_names_the_attributes() -> None:
    reply = server().default_reply(smtp.Ehlo("me.example"))
    assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in reply.lines
    assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in reply.lines


def test_who_is_not_trusted_sees_neither_and_may_use_neither() -> None:
    conn = server()
    conn.trust(False)
    assert not offered(conn)
    lines = b"XCLIENT NAME=a\r\nXFORWARD NAME=a\r\nXCLIENT FOO\r\n"
    events, replies = said_by_server(conn, [lines])
    assert codes(replies) == [550, 550, 501]
    assert replies[0].enhanced == smtp.EnhancedCode(5, 7, 0)
    assert {type(event) for event in events} == {smtp.BadCommand}


def test_trust_can_be_given_again() -> None:
    conn = server()
    conn.trust(False)
    conn.trust(True)
    assert offered(conn) == {"XCLIENT", "XFORWARD"}


def test_trust_means_nothing_where_there_is_neither() -> None:
    conn = ready_server()
    conn.trust(True)
    _, replies = said_by_server(conn, [b"XCLIENT NAME=a\r\nXFORWARD NAME=a\r\n"])
    assert not offered(conn)
    assert codes(replies) == [500, 500]


def test_an_attribute_that_is_not_offered_is_501() -> None:
    conn = server(
        smtp.extensions.Xclient(("NAME", "ADDR")), smtp.extensions.Xforward(("NAME",))
    )
    lines = b"XCLIENT LOGIN=joe\r\nXFORWARD HELO=a\r\nXFORWARD NAME=a\r\n"
    _, replies = said_by_server(conn, [lines])
    assert codes(replies) == [501, 501, 250]


def test_a_client_knows_which_attributes_are_offered() -> None:
    offer = client().extensions.find(smtp.extensions.Xforward)
    assert offer == smtp.extensions.Xforward(("NAME", "ADDR"))


@pytest.mark.parametrize("name", ["name", "A B", ""])
def test_what_is_no_name_of_an_attribute_is_not_offered(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an attribute"):
        smtp.extensions.Xclient((name,))


def test_inside_tls_it_stays_and_starttls_is_not_offered_again() -> None:
    extensions = (*EXTENSIONS, smtp.extensions.StartTls())
    conn = smtp.Connection(SERVER, extensions=extensions, tls=True)
    said_by_server(conn, [b"EHLO a\r\n"])
    feed(conn, b"XCLIENT NAME=a\r\n")
    conn.send(GREETING)
    assert conn.tls
    reply = conn.default_reply(smtp.Ehlo("a"))
    assert "STARTTLS" not in reply.lines
