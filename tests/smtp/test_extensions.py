"""Extensions from outside: made with public names only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from cutting import every_cut
from smtp_pop_core import CLIENT, SERVER, Limits, LocalProtocolError, smtp
from smtp_pop_core.smtp import (
    Connection,
    Extension,
    Parameter,
    Reply,
    ReplyClass,
    State,
    Verb,
)
from smtp_talk import codes, drain, feed, said_by_server


@dataclass(frozen=True, slots=True)
class Renamed(smtp.Command):
    """X-RENAME: say that the session is somebody else's from here on."""

    name: str

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isalpha()):
            raise ValueError(f"not a name: {self.name!r}")


def read_colour(value: str | None) -> str:
    if value not in ("RED", "BLUE"):
        raise ValueError(f"not a colour: {value!r}")
    return value


def read_flag(value: str | None) -> None:
    if value is not None:
        raise ValueError("a flag has no value")


@dataclass(frozen=True, slots=True)
class XRename(Extension):
    """Attributes: colours: what the server's EHLO response lists."""

    keyword = "X-RENAME"
    mail: ClassVar = {
        "X-COLOUR": Parameter(read_colour),
        "X-FLAG": Parameter(read_flag),
    }
    rcpt: ClassVar = {"X-COLOUR": Parameter(read_colour)}
    verbs: ClassVar = (
        Verb("X-RENAME", Renamed, Renamed, lambda command: str(command.name)),
    )
    rows: ClassVar = {State.READY: {Renamed: {ReplyClass.POSITIVE: State.GREETED}}}
    mail_octets: ClassVar[int] = 100
    rcpt_octets: ClassVar[int] = 50

    colours: tuple[str, ...] = ()

    def arguments(self) -> str:
        return " ".join(self.colours)

    def read(self, arguments: str) -> "XRename":
        if "GREEN" in arguments:
            raise ValueError("there is no green")
        return XRename(tuple(arguments.split()))


class InsideTls(Extension):
    keyword = "X-SECRET"

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        return tls and not authenticated


class WithoutParts(Extension):
    keyword = "X-NOTHING"


OFFERED = XRename(("RED", "BLUE"))


def talk(conn: Connection, *lines: bytes) -> list[int]:
    """Say lines to a server, at every cut; return the codes of its replies."""
    _, replies = said_by_server(conn, lines)
    return codes(replies)


def server(*extensions: Extension) -> Connection:
    conn = Connection(SERVER, domain="mx.example", extensions=extensions)
    assert talk(conn, b"EHLO me.example\r\n") == [220, 250]
    return conn


def client(offer: bytes, *extensions: Extension) -> Connection:
    conn = Connection(CLIENT, extensions=extensions)
    feed(conn, b"220 x\r\n")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250-mx.example\r\n250-PIPELINING\r\n250 " + offer + b"\r\n")
    return conn


def test_a_server_offers_it_with_its_arguments() -> None:
    conn = server(OFFERED, WithoutParts())
    assert conn.last_reply == Reply(
        250, ("mx.example", "X-RENAME RED BLUE", "X-NOTHING")
    )
    assert conn.extensions["X-RENAME"] == OFFERED
    assert conn.extensions.find(WithoutParts) is not None


def test_a_client_reads_its_arguments() -> None:
    conn = client(b"x-rename  RED   BLUE", XRename())
    assert conn.extensions["X-RENAME"] == OFFERED
    assert conn.extensions.find(XRename) == OFFERED


def test_an_offer_that_it_calls_malformed_is_passed_over() -> None:
    assert "X-RENAME" not in client(b"X-RENAME GREEN", XRename()).extensions


def test_the_base_of_extensions_takes_any_arguments() -> None:
    assert "X-NOTHING" in client(b"X-NOTHING a b", WithoutParts()).extensions


COMMANDS = [
    smtp.Mail("a@b.example", extra=(("X-COLOUR", "RED"),)),
    smtp.Mail("a@b.example", extra=(("X-FLAG", None), ("X-COLOUR", "BLUE"))),
    Renamed("somebody"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_client_writes_with_it_a_server_reads(command: smtp.Command) -> None:
    wire = client(b"X-RENAME RED BLUE", XRename()).send(command)
    for cut in every_cut(wire):
        conn = server(OFFERED)
        [read] = [event for piece in cut for event in feed(conn, piece)]
        assert read == command


def test_a_recipient_has_its_parameters_as_well() -> None:
    sender = client(b"X-RENAME RED", XRename())
    receiver = server(OFFERED)
    rcpt = smtp.Rcpt("c@d.example", extra=(("X-COLOUR", "RED"),))
    for command in (smtp.Mail("a@b.example"), rcpt):
        receiver.receive_data(sender.send(command))
        [read] = drain(receiver)
        assert read == command
        feed(sender, receiver.send(Reply(250)))
    assert sender.state is receiver.state is State.RCPT


LINES = [
    (b"MAIL FROM:<> X-COLOUR=RED\r\n", 250),
    (b"mail from:<> x-colour=RED x-flag\r\n", 250),
    (b"MAIL FROM:<> X-COLOUR=GREEN\r\n", 501),
    (b"MAIL FROM:<> X-COLOUR\r\n", 501),
    (b"MAIL FROM:<> X-FLAG=1\r\n", 501),
    (b"MAIL FROM:<> X-FLAG X-FLAG\r\n", 501),
    (b"MAIL FROM:<> SIZE=1\r\n", 555),  # not on this connection
    (b"RCPT TO:<a@b> X-FLAG\r\n", 503),
    (b"X-RENAME somebody\r\n", 502),  # our default: the application must know it
    (b"X-RENAME 1\r\n", 501),
    (b"X-RENAME\r\n", 501),
]


@pytest.mark.parametrize(("line", "code"), LINES)
def test_its_parameters_and_commands_are_checked(line: bytes, code: int) -> None:
    for cut in every_cut(line):
        assert talk(server(OFFERED), *cut) == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:<> X-COLOUR=RED\r\n", 555),
        (b"X-RENAME somebody\r\n", 500),
    ],
)
def test_a_connection_without_it_does_not_know_it(line: bytes, code: int) -> None:
    with_it, without = server(OFFERED), server()
    assert talk(with_it, line) != talk(without, line) == [code]


def test_it_holds_only_after_ehlo_has_offered_it() -> None:
    conn = Connection(SERVER, extensions=[OFFERED])
    lines = [b"HELO me.example\r\n", b"X-RENAME a\r\n", b"MAIL FROM:<> X-FLAG\r\n"]
    assert talk(conn, *lines) == [220, 250, 502, 555]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_client_does_not_write_what_was_not_offered(command: smtp.Command) -> None:
    for conn in (client(b"HELP", XRename()), client(b"X-RENAME RED")):
        with pytest.raises(LocalProtocolError):
            conn.send(command)
        assert conn.state is State.READY
        assert conn.unanswered == ()


@pytest.mark.parametrize(
    "extra", [("X-COLOUR", "GREEN"), ("X-COLOUR", None), ("X-FLAG", "1")]
)
def test_a_client_does_not_write_a_parameter_that_is_malformed(
    extra: tuple[str, str | None],
) -> None:
    conn = client(b"X-RENAME RED", XRename())
    with pytest.raises(LocalProtocolError, match="malformed"):
        conn.send(smtp.Mail("", extra=(extra,)))
    conn.send(smtp.Mail(""))


def test_its_row_moves_both_sides() -> None:
    """As XCLIENT does: a new greeting, and EHLO must be said again."""
    sender, receiver = client(b"X-RENAME RED", XRename()), server(OFFERED)
    feed(receiver, sender.send(Renamed("somebody")))
    feed(sender, receiver.send(Reply(220)))
    assert sender.state is receiver.state is State.GREETED
    assert talk(receiver, b"MAIL FROM:<>\r\n") == [503]
    with pytest.raises(LocalProtocolError):
        sender.send(smtp.Mail(""))
    sender.send(smtp.Ehlo("me.example"))


def test_its_command_is_out_of_order_where_it_has_no_row() -> None:
    conn = server(OFFERED)
    assert talk(conn, b"MAIL FROM:<>\r\n", b"X-RENAME a\r\n") == [250, 503]


def test_its_command_is_the_last_of_a_group() -> None:
    """RFC 2920 section 3.1."""
    conn = client(b"X-RENAME", XRename())
    conn.send(Renamed("a"))
    with pytest.raises(LocalProtocolError):
        conn.send(smtp.Ehlo("me.example"))


@pytest.mark.parametrize(
    ("command", "longest"),
    [
        (lambda text: smtp.Mail(text + "@b"), 512 + 100),
        (lambda text: smtp.Rcpt(text + "@b"), 512 + 50),
    ],
)
def test_its_parameters_make_room_in_a_line(
    command: Callable[[str], smtp.Command], longest: int
) -> None:
    conn = client(b"X-RENAME", XRename())
    conn.send(smtp.Mail(""))
    feed(conn, b"250 x\r\n")
    if isinstance(command("a"), smtp.Mail):
        conn.send(smtp.Rset())
        feed(conn, b"250 x\r\n")
    shortest = len(conn.send(command("a")))
    feed(conn, b"550 x\r\n")
    assert len(conn.send(command("a" * (longest - shortest + 1)))) == longest
    feed(conn, b"550 x\r\n")
    with pytest.raises(LocalProtocolError, match="longer than a line"):
        conn.send(command("a" * (longest - shortest + 2)))


@pytest.mark.parametrize(("tls", "offered"), [(False, False), (True, True)])
def test_it_says_itself_when_it_holds(tls: bool, offered: bool) -> None:
    conn = Connection(SERVER, extensions=[InsideTls()], tls=tls)
    assert talk(conn, b"EHLO me.example\r\n") == [220, 250]
    assert ("X-SECRET" in conn.extensions) is offered


# Those that are here


def test_usual_extensions_have_no_set_up() -> None:
    keywords = [each.keyword for each in smtp.usual(size=5)]
    assert keywords == [
        *("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"),
        *("CHUNKING", "BINARYMIME", "DSN", "LIMITS", "HELP"),
    ]
    assert {"STARTTLS", "AUTH", *keywords} <= {each.keyword for each in smtp.known()}


@pytest.mark.parametrize(
    ("content", "size", "offer"),
    [
        (100, 50, "SIZE 50"),
        (50, 100, "SIZE 50"),
        (50, None, "SIZE 50"),
        (50, 0, "SIZE 50"),
        (None, 50, "SIZE 50"),
        (None, 0, "SIZE 0"),
        (None, None, "SIZE"),
    ],
)
def test_the_smaller_of_both_limits_is_offered(
    content: int | None, size: int | None, offer: str
) -> None:
    """RFC 1870 section 3."""
    limits = Limits(content=content)
    extensions = [smtp.extensions.Size(size)]
    conn = Connection(SERVER, extensions=extensions, limits=limits)
    talk(conn, b"EHLO me.example\r\n")
    assert conn.last_reply == Reply(250, ("localhost", offer))


def test_without_the_extension_the_limit_holds_all_the_same() -> None:
    limits = Limits(content=3)
    conn = Connection(SERVER, extensions=[], limits=limits)
    talk(conn, b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")
    assert talk(conn, b"ab\r\n.\r\n") == [552]
    assert not conn.extensions


def test_starttls_is_not_offered_inside_tls() -> None:
    """RFC 3207 section 4.2."""
    conn = Connection(SERVER, extensions=[smtp.extensions.StartTls()], tls=True)
    assert talk(conn, b"EHLO a\r\n", b"STARTTLS\r\n") == [220, 250, 503]
    assert "STARTTLS" not in conn.extensions
