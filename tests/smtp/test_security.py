"""The catalogue of attacks, as far as a Connection alone can be attacked.

The tables below name the entries; a test checks that none is forgotten.
"""

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from cutting import every_cut, octets
from smtp_pop_core import (
    CLIENT,
    NEED_DATA,
    PAUSED,
    SERVER,
    ConnectionClosed,
    Limits,
    LocalProtocolError,
    MessageData,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Connection, Event, Reply, State
from smtp_talk import (
    EXTENSIONS,
    client_in,
    codes,
    drain,
    feed,
    joined,
    pair_in,
    said_by_server,
    server_in,
    talk,
)

CATALOGUE = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "security.toml").read_text("utf-8")
)
EOD: Final[list[dict[str, Any]]] = CATALOGUE["eod"]
ATTACKS: Final[dict[str, dict[str, Any]]] = {
    each["id"]: each for each in CATALOGUE["attack"]
}

# Where to start, and the codes of the replies that a sound server gives.
SERVERS: Final[dict[str, tuple[State, list[int]]]] = {
    "SEC-STARTTLS-CMDINJ-b": (State.READY, [220]),
    "SEC-STARTTLS-CMDINJ-c": (State.READY, [220]),
    "SEC-STARTTLS-CMDINJ-d": (State.READY, [220]),
    "SEC-STARTTLS-CMDINJ-e": (State.READY, [220]),
    "SEC-AUTH-BIG-c": (State.AUTH, [500]),
    "SEC-AUTH-B64-a": (State.AUTH, [501]),
    "SEC-AUTH-B64-b": (State.AUTH, [501]),
    "SEC-DOS-LINE-b": (State.READY, [500, 250]),
    "SEC-DOS-LINE-c": (State.READY, [500, 500]),
    "SEC-DOS-LINE-d": (State.DATA, []),
    "SEC-DOS-LINE-e": (State.READY, [500]),
    "SEC-DOS-LINE-g": (State.READY, [250]),
    "SEC-PIPE-DESYNC-e": (State.READY, [250, 503, 500, 500, 221]),
    "SEC-PIPE-DESYNC-f": (State.CONNECTING, [220, 250]),
    "SEC-CROSS-HTTP-a": (State.GREETED, [421]),
    "SEC-CROSS-TLS-a": (State.GREETED, [421]),
    "SEC-OCTET-b": (State.READY, [501]),
    "SEC-OCTET-c": (State.READY, [500]),
    "SEC-OCTET-d": (State.READY, [500]),
    "SEC-OCTET-e": (State.READY, [501]),
    "SEC-OCTET-g": (State.READY, [501]),
    "SEC-ADDR-b": (State.READY, [250]),
    "SEC-ADDR-c": (State.MAIL, [250]),
    "SEC-ADDR-d": (State.MAIL, [250]),
    "SEC-ADDR-e": (State.MAIL, [250]),
    "SEC-ADDR-g": (State.MAIL, [501]),
    "SEC-ADDR-h": (State.MAIL, [250]),
    "SEC-ADDR-i": (State.MAIL, [250]),
    "SEC-ADDR-j": (State.READY, [250]),
    "SEC-INFO-VRFY-a": (State.READY, [252]),
    "SEC-PROXY-SPOOF-a": (State.GREETED, [500]),
    "SEC-XCLIENT-SPOOF-a": (State.READY, [500]),
}

# What the caller passes must be refused when the value is made.
ARGUMENTS: Final[dict[str, Callable[[str], object]]] = {
    "SEC-CRLF-API-a": smtp.Mail,
    "SEC-CRLF-API-b": smtp.Mail,
    "SEC-CRLF-API-d": smtp.Mail,
    "SEC-CRLF-API-e": smtp.Rcpt,
    "SEC-CRLF-API-f": smtp.Rcpt,
    "SEC-CRLF-API-g": smtp.Rcpt,
    "SEC-CRLF-API-i": smtp.Ehlo,
    "SEC-CRLF-API-j": lambda text: smtp.Mail("", extra=(("ENVID", text[6:]),)),
    "SEC-CRLF-API-k": lambda text: smtp.Mail("", extra=(("X-SIZE", text[5:]),)),
    "SEC-CRLF-API-l": smtp.Vrfy,
    "SEC-CRLF-API-n": smtp.Auth,
    "SEC-CRLF-API-s": lambda text: Reply(550, (text,)),
    "SEC-CRLF-API-t": lambda text: Connection(SERVER, domain=text),
}
SENDERS: Final = [f"SEC-CRLF-UNI-{letter}" for letter in "abcdfghi"]
CUT_DOWN: Final = ["SEC-CRLF-UNI-h", "SEC-CRLF-UNI-i"]  # harmless with SMTPUTF8

# Each of these has a test of its own below.
INJECTED_RESPONSES: Final = [f"SEC-STARTTLS-RESPINJ-{letter}" for letter in "abc"]
NO_HANDSHAKE: Final = [f"SEC-STARTTLS-STRIP-{letter}" for letter in "cdefh"]
BY_NAME: Final = {
    *("SEC-STARTTLS-STATE-a", "SEC-STARTTLS-STATE-b", "SEC-STARTTLS-STATE-c"),
    *("SEC-DOS-REPLY-a", "SEC-DOS-REPLY-b", "SEC-DOS-REPLY-c", "SEC-DOS-REPLY-e"),
    *("SEC-DOS-RCPT-a", "SEC-DOS-CMD-a", "SEC-DOS-CMD-b"),
    *("SEC-PIPE-DESYNC-a", "SEC-PIPE-DESYNC-b", "SEC-PIPE-DESYNC-c"),
    *("SEC-OCTET-i", "SEC-OCTET-j"),
}

# Not for a Connection of SMTP alone to withstand.
ELSEWHERE: Final = {
    "SEC-STARTTLS-STRIP-a": "a flow that requires TLS",
    "SEC-DOS-SLOW-b": "the server flow and its deadlines",
    "SEC-DOS-SLOW-c": "the client flow and its deadlines",
    "SEC-CRLF-API-o": "mechanisms",
    "SEC-CRLF-API-p": "XCLIENT",
    "SEC-CRLF-API-q": "trace fields",
    "SEC-LOOP-a": "trace fields",
    "SEC-BOUNCE-a": "an application",
    "SEC-PROXY-SPOOF-b": "the PROXY protocol",
    "SEC-PROXY-SPOOF-c": "the PROXY protocol",
    "SEC-XCLIENT-SPOOF-b": "XCLIENT",
    "SEC-XCLIENT-SPOOF-c": "XCLIENT",
}
ELSEWHERE_PREFIXES: Final = (
    "SEC-BDAT",
    *(f"SEC-AUTH-{theme}" for theme in ("STRIP", "FAKE", "LOOP", "PLAIN", "TIMING")),
    *("SEC-AUTH-SCRAM", "SEC-AUTH-OAUTH", "SEC-AUTH-BIG-a"),
)


def reads_of(name: str) -> list[bytes]:
    """The reads of an attack, as octets."""
    attack = ATTACKS[name]
    pad = str(attack.get("pad_octet", "")) * int(attack.get("pad_count", 0))
    return [
        send.replace("{PAD}", pad).encode("latin-1") for send in attack.get("send", [])
    ]


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


def test_every_attack_on_smtp_is_looked_at_here_or_elsewhere() -> None:
    wanted = {
        name for name, each in ATTACKS.items() if not each["role"].startswith("pop3")
    }
    here = [
        *(*SERVERS, *ARGUMENTS, *SENDERS, *INJECTED_RESPONSES, *NO_HANDSHAKE),
        *(*BY_NAME, *ELSEWHERE),
    ]
    by_prefix = {name for name in wanted if name.startswith(ELSEWHERE_PREFIXES)}
    assert len(here) == len(set(here))
    assert set(here) | by_prefix == wanted
    assert not set(here) & by_prefix


# The end of data


def smuggling(case: dict[str, Any]) -> bytes:
    return (
        b"first"
        + str(case["sequence"]).encode("latin-1")
        + b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n"
        b"second\r\n.\r\n"
    )


def has_bare(data: bytes) -> bool:
    return bool({*b"\r\n"} & {*data.replace(b"\r\n", b"")})


FALSE_ENDS = [case for case in EOD if not case["true_end"]]
TRUE_ENDS = [case for case in EOD if case["true_end"]]


@pytest.mark.parametrize("case", FALSE_ENDS, ids=lambda case: case["id"])
def test_what_is_no_end_of_data_ends_nothing(case: dict[str, Any]) -> None:
    """SMTP smuggling: one message, one reply, and no command within."""
    wire = smuggling(case)
    content = wire.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n")
    code = 550 if has_bare(wire) else 250
    for cut in every_cut(wire):
        server = server_in(State.DATA)
        events, replies = said_by_server(server, cut)
        assert events == [MessageData(content), smtp.EndOfMessage()]
        assert codes(replies) == [code]
        assert server.state is State.READY
        assert server.trailing_data == b""


@pytest.mark.parametrize("case", TRUE_ENDS, ids=lambda case: case["id"])
def test_what_stands_behind_the_end_of_data_are_commands(case: dict[str, Any]) -> None:
    wire = smuggling(case)
    end = wire.index(b"\r\n.\r\n") + 2
    verdict = 550 if has_bare(wire[:end]) else 250
    for cut in every_cut(wire):
        server = server_in(State.DATA)
        events, replies = said_by_server(server, cut)
        assert events[:2] == [MessageData(wire[:end]), smtp.EndOfMessage()]
        assert replies[0].code == verdict
        assert len(replies) > 4


@pytest.mark.parametrize("bare_allowed", [False, True])
@pytest.mark.parametrize("case", FALSE_ENDS, ids=lambda case: case["id"])
def test_no_tolerance_makes_another_end_of_data(
    case: dict[str, Any], bare_allowed: bool
) -> None:
    tolerances = smtp.Tolerances(bare_line_ends=bare_allowed, space_after_colon=True)
    server = server_in(State.DATA, tolerances=tolerances)
    events, [reply] = said_by_server(server, octets(smuggling(case)))
    assert len(events) == 2
    assert reply.code == (250 if bare_allowed or not has_bare(smuggling(case)) else 550)


@pytest.mark.parametrize("lf_ends_lines", [False, True])
@pytest.mark.parametrize("case", EOD, ids=lambda case: case["id"])
def test_a_client_sends_one_end_of_data_or_nothing(
    case: dict[str, Any], lf_ends_lines: bool
) -> None:
    content = b"first" + str(case["sequence"]).encode("latin-1") + b"second\r\n"
    bare = content.replace(b"\r\n", b"")
    refused = b"\r" in bare or (b"\n" in bare and not lf_ends_lines)
    outcomes = set()
    for cut in every_cut(content):
        client = client_in(State.DATA)
        try:
            wire = b"".join(
                client.send(MessageData(piece, lf_ends_lines=lf_ends_lines))
                for piece in cut
            )
            outcomes.add(wire + client.send(smtp.EndOfMessage()))
        except LocalProtocolError:
            outcomes.add(b"")
            assert client.state is State.DATA
    [wire] = outcomes
    assert (wire == b"") is refused
    assert wire.count(b"\r\n.\r\n") == (not refused)
    assert refused or wire.endswith(b"second\r\n.\r\n")
    assert not has_bare(wire)


# Servers


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_withstands(name: str) -> None:
    state, expected = SERVERS[name]
    outcomes = []
    for cut in cuts_of(name):
        server = server_in(state)
        events, replies = said_by_server(server, cut)
        assert codes(replies) == expected
        assert len(server.trailing_data) <= server.limits.auth_line
        outcomes.append((events, replies, server.state))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("letter", "bcde")
def test_nothing_that_was_said_before_tls_is_read_inside_it(letter: str) -> None:
    """SEC-STARTTLS-CMDINJ: also if it arrives before the reply was sent."""
    for cut in cuts_of(f"SEC-STARTTLS-CMDINJ-{letter}"):
        server = server_in(State.READY)
        said_by_server(server, cut)
        assert server.next_event() is PAUSED
        with pytest.raises(RemoteProtocolError):
            server.begin_tls()
        assert drain(server) == [ConnectionClosed()]
        assert server.state is State.CLOSED


def test_authentication_and_transactions_do_not_survive_the_start_of_tls() -> None:
    """SEC-STARTTLS-STATE-c."""
    client, server = pair_in(State.AUTH)
    talk(client, server, smtp.AuthResponse(b"x"), 235)
    assert server.authenticated
    talk(client, server, smtp.StartTls(), 220)
    client.begin_tls()
    server.begin_tls()
    [read] = reads_of("SEC-STARTTLS-STATE-c")
    _, replies = said_by_server(server, [read.removeprefix(b"(after handshake) ")])
    assert codes(replies) == [503]
    for side in (client, server):
        assert not side.authenticated
        assert not side.extensions
        assert side.state is State.GREETED


def test_recipients_above_the_limit_are_refused_and_those_before_it_kept() -> None:
    """SEC-DOS-RCPT-a."""
    server = server_in(State.MAIL, limits=Limits(recipients=100))
    _, replies = said_by_server(server, reads_of("SEC-DOS-RCPT-a") * 150)
    assert codes(replies) == [250] * 100 + [452] * 50
    assert str(replies[-1].enhanced) == "4.5.3"
    assert server.recipients == 100
    _, [reply] = said_by_server(server, [b"DATA\r\n"])
    assert reply.code == 354


def test_errors_without_end_end_the_session() -> None:
    """SEC-DOS-CMD-a."""
    server = server_in(State.READY, limits=Limits(bad_commands=20))
    events, replies = said_by_server(server, reads_of("SEC-DOS-CMD-a") * 100)
    assert codes(replies) == [500] * 20 + [421]
    assert events[-1] == ConnectionClosed()
    assert server.state is State.CLOSED


def test_a_flood_of_commands_waits_for_its_replies() -> None:
    """SEC-DOS-CMD-b."""
    server = server_in(State.READY, limits=Limits(idle_commands=10_000))
    [read] = reads_of("SEC-DOS-CMD-b")
    server.receive_data(read * 2_000)
    for left in range(1_999, -1, -1):
        assert server.next_event() == smtp.Noop()
        assert server.next_event() is PAUSED
        assert len(server.trailing_data) == len(read) * left
        server.send(Reply(250))
    assert server.next_event() is NEED_DATA


def test_quoted_parameters_are_none() -> None:
    """SEC-ADDR-b."""
    [command], _ = said_by_server(server_in(State.READY), reads_of("SEC-ADDR-b"))
    assert command == smtp.Mail('"a> SIZE=1 "@example.com')


@pytest.mark.parametrize(
    ("letter", "local_part", "domain"),
    [
        ("c", "victim", "evil.example"),
        ("d", "victim%evil.example", "example.com"),
        ("e", "evil.example!victim", "example.com"),
    ],
)
def test_the_domain_is_what_stands_behind_the_last_at_sign(
    letter: str, local_part: str, domain: str
) -> None:
    """SEC-ADDR-c, d, e: a decision to relay looks at this domain."""
    reads = reads_of(f"SEC-ADDR-{letter}")
    [command], _ = said_by_server(server_in(State.MAIL), reads)
    assert isinstance(command, smtp.Rcpt)
    mailbox = smtp.parse_mailbox(command.recipient)
    assert (mailbox.local_part, mailbox.domain) == (local_part, domain)


def test_content_without_line_ends_is_streamed() -> None:
    """SEC-DOS-LINE-d."""
    server = server_in(State.DATA)
    [read] = reads_of("SEC-DOS-LINE-d")
    assert joined(feed(server, read)) == [MessageData(read)]
    assert server.trailing_data == b""


# Clients


def outcome_of(client: Connection, cut: tuple[bytes, ...]) -> tuple[list[Event], bool]:
    """What a client reads, and whether it ends with an error of the peer."""
    events: list[Event] = []
    for piece in cut:
        client.receive_data(piece)
        try:
            while (event := client.next_event()) not in (NEED_DATA, PAUSED):
                assert not isinstance(event, type(NEED_DATA))
                events.append(event)
        except RemoteProtocolError:
            return events, True
    return joined(events), False


@pytest.mark.parametrize("name", INJECTED_RESPONSES)
def test_no_reply_that_came_before_tls_is_read_inside_it(name: str) -> None:
    """NO STARTTLS, USENIX Security 2021."""
    for cut in cuts_of(name):
        client = client_in(State.READY)
        client.send(smtp.StartTls())
        assert outcome_of(client, cut) == ([Reply(220, ("go",))], False)
        assert client.next_event() is PAUSED
        with pytest.raises(RemoteProtocolError):
            client.begin_tls()
        assert client.state is State.CLOSED
        assert not client.tls


@pytest.mark.parametrize("name", NO_HANDSHAKE)
def test_without_220_no_handshake_begins(name: str) -> None:
    for cut in cuts_of(name):
        client = client_in(State.READY)
        client.send(smtp.StartTls())
        _, broken = outcome_of(client, cut)
        assert broken is (name == "SEC-STARTTLS-STRIP-h")
        with pytest.raises(LocalProtocolError):
            client.begin_tls()
        assert not client.tls


def test_starttls_that_was_not_offered_is_not_sent() -> None:
    """SEC-STARTTLS-STRIP-a, as far as a Connection goes."""
    client = client_in(State.GREETED)
    client.send(smtp.Ehlo("me.example"))
    feed(client, *reads_of("SEC-STARTTLS-STRIP-a"))
    with pytest.raises(LocalProtocolError):
        client.send(smtp.StartTls())


def test_a_server_that_speaks_first_inside_tls_is_not_heard() -> None:
    """SEC-STARTTLS-STATE-a."""
    for cut in cuts_of("SEC-STARTTLS-STATE-a"):
        client = client_in(State.TLS)
        client.begin_tls()
        assert outcome_of(client, cut) == ([], True)
        assert not client.extensions


def test_starttls_offered_inside_tls_is_ignored() -> None:
    """SEC-STARTTLS-STATE-b."""
    for cut in cuts_of("SEC-STARTTLS-STATE-b"):
        client = client_in(State.TLS)
        client.begin_tls()
        client.send(smtp.Ehlo("me.example"))
        outcome_of(client, cut)
        assert client.state is State.READY
        assert not client.extensions
        with pytest.raises(LocalProtocolError):
            client.send(smtp.StartTls())


def test_a_reply_without_a_line_end_is_bounded() -> None:
    """SEC-DOS-REPLY-a."""
    for cut in cuts_of("SEC-DOS-REPLY-a"):
        client = client_in(State.READY)
        assert outcome_of(client, cut) == ([], True)
        assert len(client.trailing_data) <= client.limits.reply_line


@pytest.mark.parametrize("letter", "bc")
def test_a_reply_without_a_last_line_is_bounded(letter: str) -> None:
    """SEC-DOS-REPLY-b, c."""
    client = Connection(CLIENT)
    if letter == "b":
        feed(client, b"220 x\r\n")
        client.send(smtp.Ehlo("me.example"))
    before = client.last_reply
    endless = tuple(reads_of(f"SEC-DOS-REPLY-{letter}") * 100)
    assert outcome_of(client, endless) == ([], True)
    assert client.state is State.CLOSED
    assert client.last_reply is before


def test_a_second_reply_to_one_command_is_no_answer_to_the_next() -> None:
    """SEC-DOS-REPLY-e."""
    for cut in cuts_of("SEC-DOS-REPLY-e"):
        client = client_in(State.READY)
        client.send(smtp.Mail("a@b.example"))
        events, broken = outcome_of(client, cut)
        assert events == [Reply(250, ("ok",))]
        assert broken


def asking(*commands: smtp.Command) -> Connection:
    """Give a client that has sent a group of commands."""
    client = client_in(State.READY)
    for command in commands:
        client.send(command)
    return client


GROUP = (smtp.Mail("a@b.example"), smtp.Rcpt("c@d.example"), smtp.Data())


def test_data_accepted_without_recipients_is_ended_with_an_empty_message() -> None:
    """SEC-PIPE-DESYNC-a."""
    for cut in cuts_of("SEC-PIPE-DESYNC-a"):
        client = asking(*GROUP[:2], *GROUP[1:])
        events, broken = outcome_of(client, cut)
        assert len(events) == 4
        assert not broken
        assert client.recipients == 0
        assert client.send(smtp.EndOfMessage()) == b".\r\n"


def test_content_waits_for_the_reply_to_data() -> None:
    """SEC-PIPE-DESYNC-b."""
    for cut in cuts_of("SEC-PIPE-DESYNC-b"):
        client = asking(*GROUP)
        assert len(outcome_of(client, cut)[0]) == 2
        assert client.unanswered == (smtp.Data(),)
        for event in (MessageData(b"x"), smtp.EndOfMessage()):
            with pytest.raises(LocalProtocolError):
                client.send(event)


def test_354_is_no_answer_to_mail() -> None:
    """SEC-PIPE-DESYNC-c."""
    for cut in cuts_of("SEC-PIPE-DESYNC-c"):
        client = asking(*GROUP)
        assert outcome_of(client, cut) == ([], True)
        with pytest.raises(LocalProtocolError):
            client.send(MessageData(b"x"))


def test_nul_in_a_reply_cuts_nothing_off() -> None:
    """SEC-OCTET-i."""
    for cut in cuts_of("SEC-OCTET-i"):
        assert outcome_of(asking(smtp.Noop()), cut) == ([], True)


def test_the_text_of_a_reply_is_shown_without_controls() -> None:
    """SEC-OCTET-j."""
    for cut in cuts_of("SEC-OCTET-j"):
        [reply], _ = outcome_of(asking(smtp.Noop()), cut)
        assert isinstance(reply, Reply)
        assert str(reply).isprintable()
        assert repr(reply).isprintable()


# What a caller passes


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_value_that_would_be_more_than_one_is_not_made(name: str) -> None:
    with pytest.raises(ValueError, match=r"^not |cannot "):
        ARGUMENTS[name](ATTACKS[name]["argument"])


@pytest.mark.parametrize("name", SENDERS)
def test_look_alikes_of_line_ends_need_smtputf8_or_are_never_sent(name: str) -> None:
    sender = ATTACKS[name]["argument"]
    with pytest.raises(ValueError, match="not a reverse-path"):
        smtp.Mail(sender)


@pytest.mark.parametrize("name", [name for name in SENDERS if name not in CUT_DOWN])
def test_controls_are_refused_with_smtputf8_as_well(name: str) -> None:
    with pytest.raises(ValueError, match="not a reverse-path"):
        smtp.Mail(ATTACKS[name]["argument"], smtputf8=True)


@pytest.mark.parametrize("name", CUT_DOWN)
def test_no_character_is_cut_down_to_a_line_feed(name: str) -> None:
    sender = ATTACKS[name]["argument"]
    wire = client_in(State.READY).send(smtp.Mail(sender, smtputf8=True))
    assert wire == f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode()
    assert wire.count(b"\n") == 1


def test_only_what_was_offered_is_looked_up_among_the_attacks() -> None:
    """XCLIENT and PROXY are unknown commands, unless they are set up."""
    assert {"XCLIENT", "PROXY"}.isdisjoint(each.keyword for each in EXTENSIONS)
