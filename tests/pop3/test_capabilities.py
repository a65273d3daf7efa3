"""Capabilities: those that are here, and one from outside, made with public names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from cutting import every_cut
from pop3_talk import (
    CAPABILITIES,
    MAILDROP,
    asking,
    classes,
    client_in,
    feed,
    feed_all,
    said_by_server,
    server_in,
    talk,
)
from smtp_pop_core import CLIENT, SERVER, LocalProtocolError, pop3
from smtp_pop_core.pop3 import (
    OK,
    Capabilities,
    Capability,
    CapabilityLines,
    Connection,
    Response,
    State,
    Verb,
    capabilities,
)
from smtp_pop_core.pop3._capabilities import read_offers, write_offers

# Those that are here


LINES: list[tuple[Capability, str]] = [
    (capabilities.Top(), "TOP"),
    (capabilities.Uidl(), "UIDL"),
    (capabilities.User(), "USER"),
    (capabilities.Sasl(("PLAIN", "KERBEROS_V4")), "SASL PLAIN KERBEROS_V4"),
    (capabilities.Sasl(), "SASL"),
    (capabilities.RespCodes(), "RESP-CODES"),
    (capabilities.AuthRespCode(), "AUTH-RESP-CODE"),
    (capabilities.LoginDelay(900), "LOGIN-DELAY 900"),
    (capabilities.LoginDelay(900, per_user=True), "LOGIN-DELAY 900 USER"),
    (capabilities.LoginDelay(), "LOGIN-DELAY 0"),
    (capabilities.Pipelining(), "PIPELINING"),
    (capabilities.Expire(60), "EXPIRE 60"),
    (capabilities.Expire(5, per_user=True), "EXPIRE 5 USER"),
    (capabilities.Expire(0), "EXPIRE 0"),
    (capabilities.Expire(), "EXPIRE NEVER"),
    (capabilities.Expire(per_user=True), "EXPIRE NEVER USER"),
    (capabilities.Implementation(), "IMPLEMENTATION smtp-pop-core"),
    (
        capabilities.Implementation("Shlemazle-Plotz v302"),
        "IMPLEMENTATION Shlemazle-Plotz v302",
    ),
    (capabilities.Stls(), "STLS"),
    (capabilities.Utf8(), "UTF8"),
    (capabilities.Utf8(user=True), "UTF8 USER"),
    (capabilities.Lang(), "LANG"),
    (capabilities.Unknown("X-FOO"), "X-FOO"),
    (capabilities.Unknown("X-FOO", "a b"), "X-FOO a b"),
]


def known(*extra: Capability) -> dict[str, Capability]:
    return {each.tag: each for each in (*pop3.known(), *extra)}


def lines_of(*lines: str) -> CapabilityLines:
    parted = (line.partition(" ") for line in lines)
    return CapabilityLines(tuple((tag, rest) for tag, _, rest in parted))


@pytest.mark.parametrize(("capability", "line"), LINES)
def test_a_capability_is_written_and_read_back(
    capability: Capability, line: str
) -> None:
    """RFC 2449 section 6, RFC 2595, RFC 3206, RFC 5034, RFC 6856."""
    assert write_offers({capability.tag: capability}) == lines_of(line)
    assert read_offers(lines_of(line), known()) == {capability.tag: capability}


READ: list[tuple[str, Capability]] = [
    ("SASL plain Login", capabilities.Sasl(("PLAIN", "LOGIN"))),
    ("SASL PLAIN A*B", capabilities.Sasl(("PLAIN",))),  # no name of a mechanism
    ("EXPIRE never", capabilities.Expire()),
    ("EXPIRE 5 user", capabilities.Expire(5, per_user=True)),
    ("EXPIRE 5 X", capabilities.Expire(5)),
    ("LOGIN-DELAY 007 USER X", capabilities.LoginDelay(7, per_user=True)),
    ("UTF8 user", capabilities.Utf8(user=True)),
    ("UTF8 X USER", capabilities.Utf8(user=True)),
    ("TOP x", capabilities.Top()),
    ("STLS x", capabilities.Stls()),
    ("USER x", capabilities.User()),
]


@pytest.mark.parametrize(("line", "capability"), READ)
def test_what_a_server_says_beyond_the_standard_is_borne(
    line: str, capability: Capability
) -> None:
    assert read_offers(lines_of(line), known()) == {capability.tag: capability}


@pytest.mark.parametrize(
    "line",
    [
        *("EXPIRE", "EXPIRE x", "EXPIRE -1", "EXPIRE 1_0", "EXPIRE USER", "EXPIRE 1.5"),
        *("LOGIN-DELAY", "LOGIN-DELAY x", "LOGIN-DELAY -1", "LOGIN-DELAY NEVER"),
        *("LOGIN-DELAY 1" + "0" * 20, "IMPLEMENTATION"),
    ],
)
def test_a_capability_that_is_malformed_is_passed_over(line: str) -> None:
    assert read_offers(lines_of("TOP", line, "UIDL"), known()) == {
        "TOP": capabilities.Top(),
        "UIDL": capabilities.Uidl(),
    }


def test_of_a_tag_that_comes_twice_the_first_counts() -> None:
    lines = lines_of("EXPIRE x", "EXPIRE 5", "EXPIRE 6")
    assert read_offers(lines, known()) == {"EXPIRE": capabilities.Expire(5)}


@pytest.mark.parametrize("value", [-1, 10**20])
def test_numbers_have_up_to_20_digits(value: int) -> None:
    for kind in (capabilities.Expire, capabilities.LoginDelay):
        kind(10**20 - 1)
        with pytest.raises(ValueError, match="must be 0 to"):
            kind(value)


@pytest.mark.parametrize("name", ["", " ", "a ", "a  b", "é", "a\r\n"])
def test_an_implementation_has_a_name_of_words(name: str) -> None:
    with pytest.raises(ValueError, match="not a word"):
        capabilities.Implementation(name)


@pytest.mark.parametrize("name", ["", "plain", "A B", "A\r\n"])
def test_mechanisms_have_names(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        capabilities.Sasl(("PLAIN", name))


def test_capabilities_are_found_by_tag_and_by_class() -> None:
    offers = read_offers(lines_of("TOP", "EXPIRE 5"), known())
    assert offers.find(capabilities.Expire) == capabilities.Expire(5)
    assert offers.find(capabilities.Stls) is None
    assert list(offers) == ["TOP", "EXPIRE"]
    assert len(offers) == 2
    assert offers["TOP"] == capabilities.Top()
    assert repr(offers) == "Capabilities([Top(), Expire(days=5, per_user=False)])"
    assert Capabilities({}) == {}


def test_usual_capabilities_have_no_set_up() -> None:
    usual = [each.tag for each in pop3.usual()]
    assert usual == [
        *("TOP", "UIDL", "USER", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"),
        *("UTF8", "IMPLEMENTATION"),
    ]
    assert {each.tag for each in pop3.known()} == {
        *(*usual, "LOGIN-DELAY", "EXPIRE", "SASL", "STLS", "LANG")
    }


# What a server offers, and when


def offered(server: Connection) -> list[str]:
    """Say what CAPA lists, and see that the connection says the same."""
    _, [response] = said_by_server(server, [b"CAPA\r\n"])
    assert isinstance(response.data, CapabilityLines)
    tags = [tag for tag, _ in response.data.lines]
    assert list(server.capabilities) == tags
    return tags


def test_what_holds_before_the_login_holds_behind_it_but_for_stls() -> None:
    """RFC 2449 section 5, RFC 2595 section 4."""
    before = offered(server_in(State.AUTHORIZATION))
    assert before == [each.tag for each in CAPABILITIES]
    before.remove("STLS")
    assert offered(server_in(State.TRANSACTION)) == before


@pytest.mark.parametrize("tls", [False, True])
def test_stls_is_offered_where_it_is_permitted(tls: bool) -> None:
    """RFC 2595 section 4, RFC 8314 section 3.1."""
    server = Connection(SERVER, capabilities=CAPABILITIES, tls=tls)
    said_by_server(server, [])
    assert ("STLS" in offered(server)) is not tls
    _, responses = said_by_server(server, [b"STLS\r\n"])
    assert classes(responses) == ("e" if tls else "o")


def test_inside_tls_stls_is_not_offered_again() -> None:
    """POP3-2595-4-i."""
    server = server_in(State.TLS)
    server.begin_tls()
    assert "STLS" not in offered(server)
    _, responses = said_by_server(server, [b"STLS\r\n"])
    assert classes(responses) == "e"


@pytest.mark.parametrize("tls", [False, True])
def test_user_may_be_for_tls_alone(tls: bool) -> None:
    """RFC 2449 section 6.2: what cannot be used now is not announced."""
    server = Connection(
        SERVER, capabilities=[capabilities.User(needs_tls=True)], tls=tls
    )
    said_by_server(server, [])
    assert offered(server) == ["USER"] * tls
    _, responses = said_by_server(server, [b"USER alice\r\n"])
    assert classes(responses) == ("o" if tls else "e")


def test_user_may_come_once_tls_has_begun() -> None:
    offers = [capabilities.User(needs_tls=True), capabilities.Stls()]
    server = Connection(SERVER, capabilities=offers)
    _, responses = said_by_server(server, [b"USER alice\r\n", b"STLS\r\n"])
    server.begin_tls()
    _, inside = said_by_server(server, [b"USER alice\r\n"])
    assert classes([*responses, *inside]) == "oeoo"


@pytest.mark.parametrize(
    ("tag", "line", "state"),
    [
        ("TOP", b"TOP 1 0\r\n", State.TRANSACTION),
        ("UIDL", b"UIDL\r\n", State.TRANSACTION),
        ("UTF8", b"UTF8\r\n", State.AUTHORIZATION),
        ("LANG", b"LANG en\r\n", State.AUTHORIZATION),
        ("STLS", b"STLS\r\n", State.AUTHORIZATION),
        ("SASL", b"AUTH LOGIN\r\n", State.AUTHORIZATION),
    ],
)
def test_what_is_announced_works_and_what_is_not_does_not(
    tag: str, line: bytes, state: State
) -> None:
    """RFC 2449 sections 6.1 to 6.8."""
    without = [each for each in CAPABILITIES if each.tag != tag]
    _, responses = said_by_server(server_in(state), [line])
    assert classes(responses) in ("o", "m")
    server = server_in(state, capabilities=without)
    [command], [response] = said_by_server(server, [line])
    assert isinstance(command, pop3.BadCommand)
    assert str(response) == "-ERR Command not implemented"


def test_without_user_there_is_no_plain_login() -> None:
    offers = [each for each in CAPABILITIES if each.tag != "USER"]
    server = server_in(State.AUTHORIZATION, capabilities=offers)
    _, responses = said_by_server(server, [b"USER alice\r\nPASS secret\r\n"])
    assert classes(responses) == "ee"


def test_mechanisms_can_change_during_a_session() -> None:
    """RFC 5034 section 3: the offer may be another one inside TLS."""
    server = Connection(SERVER, capabilities=[capabilities.Stls()])
    said_by_server(server, [])
    assert server.mechanisms == ()
    assert offered(server) == ["STLS"]
    server.offer_mechanisms(["SCRAM-SHA-256", "PLAIN"])
    assert list(server.mechanisms) == ["SCRAM-SHA-256", "PLAIN"]
    assert offered(server) == ["STLS", "SASL"]
    server.offer_mechanisms([])
    assert len(server.mechanisms) == 0
    assert offered(server) == ["STLS"]
    _, responses = said_by_server(server, [b"AUTH PLAIN\r\n"])
    assert classes(responses) == "e"


def test_mechanisms_without_a_name_change_nothing() -> None:
    server = server_in(State.AUTHORIZATION)
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        server.offer_mechanisms(["PLAIN", "not one"])
    assert server.mechanisms == ("LOGIN",)


@pytest.mark.parametrize("names", [(), ("LOGIN", "X-Y")])
def test_auth_without_an_argument_lists_the_mechanisms(names: tuple[str, ...]) -> None:
    server = server_in(State.AUTHORIZATION)
    server.offer_mechanisms(names)
    [command], [response] = said_by_server(server, [b"AUTH\r\n"])
    assert command == pop3.AuthList()
    assert response.data == pop3.Mechanisms(names)


# What a client may use


def test_a_client_knows_what_it_asked_for() -> None:
    client = client_in(State.AUTHORIZATION)
    assert list(client.capabilities) == [each.tag for each in CAPABILITIES]
    assert client.mechanisms == ("LOGIN",)


def test_a_client_that_has_not_asked_may_use_what_rfc_1939_has() -> None:
    """RFC 2449 section 7: no capability is needed, and STLS and AUTH may be tried."""
    client = Connection(CLIENT)
    feed(client, b"+OK\r\n")
    assert client.mechanisms == ()
    tried = [pop3.User("a"), pop3.Stls(), pop3.Auth("PLAIN"), pop3.AuthList()]
    for command in tried:
        client.send(command)
        feed(client, b"-ERR\r\n")
    for not_tried in (pop3.Utf8(), pop3.Lang(), pop3.Apop("a", "0" * 32)):
        with pytest.raises(LocalProtocolError):
            client.send(not_tried)


def test_a_client_may_use_what_rfc_1939_has_whatever_is_offered() -> None:
    client = client_in(State.TRANSACTION, offered=[capabilities.User()])
    for command in (pop3.Top(1, 0), pop3.Uidl()):
        client.send(command)
        feed(client, b"-ERR\r\n")
    client = client_in(State.AUTHORIZATION, offered=[capabilities.Expire()])
    client.send(pop3.User("alice"))
    feed(client, b"-ERR\r\n")
    for other in (pop3.Auth("PLAIN"), pop3.Stls(), pop3.Utf8(), pop3.Lang("de")):
        with pytest.raises(LocalProtocolError, match="was not offered"):
            client.send(other)


def test_a_refused_capa_leaves_what_was_known() -> None:
    """POP3-2449-5-d."""
    client = asking(pop3.Capa())
    before = dict(client.capabilities)
    feed(client, b"-ERR unknown\r\n")
    assert dict(client.capabilities) == before


def test_a_later_answer_takes_the_place_of_the_earlier() -> None:
    client = asking(pop3.Capa())
    feed(client, b"+OK\r\nTOP\r\n.\r\n")
    assert list(client.capabilities) == ["TOP"]
    client.send(pop3.Stat())
    with pytest.raises(LocalProtocolError, match="PIPELINING was not offered"):
        client.send(pop3.Stat())


def test_pipelining_holds_as_soon_as_it_was_read() -> None:
    client = client_in(State.AUTHORIZATION, offered=[])
    client.send(pop3.Capa())
    with pytest.raises(LocalProtocolError):
        client.send(pop3.Capa())
    feed(client, b"+OK\r\nPIPELINING\r\n.\r\n")
    client.send(pop3.Capa())
    client.send(pop3.User("alice"))


def test_a_client_that_knows_nothing_still_keeps_what_was_offered() -> None:
    client = client_in(State.AUTHORIZATION, capabilities=[])
    assert client.capabilities["STLS"] == capabilities.Unknown("STLS")
    assert client.mechanisms == ()


# One from outside


@dataclass(frozen=True, slots=True)
class Noted(pop3.Command):
    """XNOT: leave a note with a message, and log out."""

    number: int
    note: str

    def __post_init__(self) -> None:
        if not (self.note.isascii() and self.note.isalpha()):
            raise ValueError(f"not a note: {self.note!r}")


def read_note(arguments: str) -> Noted:
    number, _, note = arguments.partition(" ")
    return Noted(int(number), note)


def write_note(command: Noted) -> str:
    return f"{command.number} {command.note}"


@dataclass(frozen=True, slots=True)
class XNote(Capability):
    """Attributes: colours: what the response to CAPA lists."""

    tag = "X-NOTE"
    verbs: ClassVar = (Verb("XNOT", Noted, read_note, write_note),)
    rows: ClassVar = {State.TRANSACTION: {Noted: {OK: State.AUTHORIZATION}}}

    colours: tuple[str, ...] = ()

    def arguments(self) -> str:
        return " ".join(self.colours)

    def read(self, arguments: str) -> "XNote":
        if "GREEN" in arguments:
            raise ValueError("there is no green")
        return XNote(tuple(arguments.split()))


class WithoutParts(Capability):
    tag = "X-NOTHING"


OFFERED = XNote(("RED", "BLUE"))
NOTE = Noted(1, "hello")
PIPELINING = capabilities.Pipelining()


def server_with(*offers: Capability, state: State = State.TRANSACTION) -> Connection:
    return server_in(state, capabilities=[capabilities.User(), *offers])


def client_with(
    *known_here: Capability, offers: Iterable[Capability] = (OFFERED, PIPELINING)
) -> Connection:
    every = [capabilities.User(), *offers]
    return client_in(State.TRANSACTION, offered=every, capabilities=known_here)


def test_a_server_offers_it_with_its_arguments() -> None:
    server = server_with(OFFERED, WithoutParts(), state=State.AUTHORIZATION)
    assert server.capabilities["X-NOTE"] == OFFERED
    _, [response] = said_by_server(server, [b"CAPA\r\n"])
    assert response.data == lines_of("USER", "X-NOTE RED BLUE", "X-NOTHING")


def test_a_client_reads_its_arguments() -> None:
    client = client_with(XNote(), WithoutParts(), offers=(OFFERED, WithoutParts()))
    assert client.capabilities.find(XNote) == OFFERED
    assert client.capabilities.find(WithoutParts) is not None


def test_an_offer_that_it_calls_malformed_is_passed_over() -> None:
    green = capabilities.Unknown("X-NOTE", "GREEN")
    assert "X-NOTE" not in client_with(XNote(), offers=(green,)).capabilities


def test_the_base_of_capabilities_takes_any_arguments() -> None:
    known_here = {"X-NOTHING": WithoutParts()}
    assert "X-NOTHING" in read_offers(lines_of("X-NOTHING a b"), known_here)


def test_what_a_client_writes_with_it_a_server_reads() -> None:
    wire = client_with(XNote()).send(NOTE)
    assert wire == b"XNOT 1 hello\r\n"
    for cut in every_cut(wire):
        assert feed_all(server_with(OFFERED), cut) == [NOTE]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"XNOT 1 hello\r\n", "Command not implemented"),  # the application must know
        (b"xnot 1 hello\r\n", "Command not implemented"),
        (b"XNOT\r\n", "Syntax error in arguments"),
        (b"XNOT \r\n", "An argument is missing"),
        (b"XNOT 1 2\r\n", "Syntax error in arguments"),
        (b"XNOT x y\r\n", "Syntax error in arguments"),
        (b"XNOT 1 h\xc3\xa9\r\n", "Only ASCII is allowed here"),
    ],
)
def test_its_command_is_checked(line: bytes, expected: str) -> None:
    for cut in every_cut(line):
        _, [response] = said_by_server(server_with(OFFERED), cut)
        assert str(response) == f"-ERR {expected}"


def test_its_command_is_answered_as_the_application_says() -> None:
    answers = {**MAILDROP, NOTE: Response(OK, "noted")}
    server = server_with(OFFERED)
    _, responses = said_by_server(server, [b"XNOT 1 hello\r\n"], answers)
    assert responses == [Response(OK, "noted")]
    assert server.state is State.AUTHORIZATION


def test_a_connection_without_it_does_not_know_it() -> None:
    [command], [response] = said_by_server(server_with(), [b"XNOT 1 hello\r\n"])
    assert isinstance(command, pop3.BadCommand)
    assert str(response) == "-ERR Command not recognized"


def test_its_command_is_out_of_order_where_it_has_no_row() -> None:
    server = server_with(OFFERED, state=State.AUTHORIZATION)
    _, [response] = said_by_server(server, [b"XNOT 1 hello\r\n"])
    assert str(response) == "-ERR Not now"


@pytest.mark.parametrize(
    "make",
    [
        lambda: client_with(XNote(), offers=(PIPELINING,)),  # not offered
        client_with,  # not known here
        lambda: client_in(State.AUTHORIZATION, capabilities=[XNote()]),
    ],
)
def test_a_client_does_not_write_what_cannot_be_said(
    make: Callable[[], Connection],
) -> None:
    client = make()
    with pytest.raises(LocalProtocolError):
        client.send(NOTE)
    assert client.unanswered == ()


def test_its_command_is_the_last_of_a_group() -> None:
    client = client_with(XNote())
    client.send(pop3.Stat())
    client.send(NOTE)
    with pytest.raises(LocalProtocolError, match="Noted must be answered first"):
        client.send(pop3.Capa())


def test_its_row_moves_both_sides() -> None:
    sender, receiver = client_with(XNote()), server_with(OFFERED)
    talk(sender, receiver, NOTE, Response(OK))
    for side in (sender, receiver):
        assert side.state is State.AUTHORIZATION


def test_what_reads_its_command_need_not_be_hashable() -> None:
    class Reading:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, arguments: str) -> Noted:
            return read_note(arguments)

    class XNoted(Capability):
        tag = "X-NOTE"
        verbs: ClassVar = (Verb("XNOT", Noted, Reading(), write_note),)
        rows: ClassVar = XNote.rows

    server = server_with(XNoted())
    server.receive_data(b"XNOT 1 hello\r\n")
    assert server.next_event() == NOTE
