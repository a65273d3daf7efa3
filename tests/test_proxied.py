"""Servers behind a proxy: the header, and the session of the client it speaks of."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given

from cutting import every_cut, octets
from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Shake,
    Silence,
    Step,
    Stop,
    Wait,
)
from proxy_headers import (
    DESTINATION,
    HOSTILE,
    IPV6,
    SIGNATURE,
    SOURCE,
    outcome,
    version_2,
)
from smtp_pop_core import SERVER, Flow, Limits, Note, Timeouts, pop3, smtp
from smtp_pop_core.proxy import (
    Authority,
    Command,
    Header,
    Ssl,
    SslClient,
    Transport,
    Unix,
    write_header,
)
from smtp_pop_core.smtp import Ending

PROXY: Final = ("127.0.0.1", 40_001)
LINE: Final = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"

met: Final[list[smtp.Peer | pop3.Peer]] = []
"""Whom an application was made for; forgotten when another session is served."""


class Receiver(smtp.Application):
    def __init__(self, peer: smtp.Peer) -> None:
        super().__init__(peer)
        met.append(peer)


class Reader(pop3.Application):
    def __init__(self, peer: pop3.Peer) -> None:
        super().__init__(peer)
        met.append(peer)


@dataclass(frozen=True)
class Kind:
    """One of the two protocols, and a session of it."""

    protocol: str
    greeting: bytes
    asked: bytes
    answered: bytes
    unknown: bytes

    def session(self) -> list[Step]:
        return [
            Expect(self.greeting),
            Say(self.asked),
            Expect(self.answered),
        ]


SMTP: Final = Kind(
    "smtp",
    b"220 mx.example ESMTP\r\n",
    b"HELO me\r\nQUIT\r\n",
    b"250 mx.example\r\n221 2.0.0 mx.example closing\r\n",
    b"500 5.5.1 Command not recognized\r\n",
)
POP3: Final = Kind(
    "pop3",
    b"+OK mx.example POP3\r\n",
    b"QUIT\r\n",
    b"+OK Goodbye\r\n",
    b"-ERR Command not recognized\r\n",
)
both: Final = pytest.mark.parametrize("kind", [SMTP, POP3], ids=["smtp", "pop3"])


class Served:
    """A session behind a proxy from its beginning to its end."""

    def __init__(
        self,
        kind: Kind,
        *steps: Step,
        limits: Limits | None = None,
        proxied: bool = True,
        tls: bool = False,
    ) -> None:
        met.clear()
        self.peer = Peer(*steps)
        self.driver = Driver(self.peer)
        options: Any = {"domain": "mx.example", "limits": limits or Limits()}
        self.conn: smtp.Connection | pop3.Connection
        flow: Flow[Ending]
        if kind is SMTP:
            self.conn = smtp.Connection(SERVER, tls=tls, **options)
            flow = smtp.serve(self.conn, Receiver, *PROXY, proxied=proxied)
        else:
            self.conn = pop3.Connection(SERVER, tls=tls, **options)
            flow = pop3.serve(self.conn, Reader, *PROXY, proxied=proxied)
        self.ending = self.driver.run(flow)
        self.peer.finish()

    def ended_without_a_word(self) -> bool:
        return self.conn.closed and not (
            self.peer.writes or met or self.driver.asked or self.driver.reports
        )


def said(*pieces: bytes) -> list[Step]:
    return [Say(each) for each in pieces]


# Who the client is

FULL: Final = Header(
    Transport.TCP4,
    SOURCE,
    DESTINATION,
    tlvs=(Authority("mx.example"), Ssl(SslClient.SSL, 0, version="TLSv1.3")),
)
HEADERS: Final = [
    # the octets, where the client is
    (LINE, ("192.0.2.1", 56_324)),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 25\r\n", ("2001:db8::1", 1)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", ("::ffff:192.0.2.1", 1)),
    (write_header(FULL), ("192.0.2.1", 56_324)),
    (version_2(0x21, 0x12, write_header(FULL)[16:]), ("192.0.2.1", 56_324)),
    (version_2(0x21, 0x21, IPV6), ("2001:db8::1", 56_324)),
    # the proxy speaks for itself, or cannot say
    (b"PROXY UNKNOWN\r\n", PROXY),
    (b"PROXY UNKNOWN TCP4 192.0.2.1 198.51.100.7 1 25\r\n", PROXY),
    (version_2(0x20, 0), PROXY),
    (version_2(0x20, 0x11, bytes(12)), PROXY),
    (version_2(0x21, 0), PROXY),
    (version_2(0x21, 0x10, b"behind"), PROXY),
]


@pytest.mark.parametrize(("wire", "place"), HEADERS)
@both
def test_the_client_is_where_the_header_says(
    kind: Kind, wire: bytes, place: tuple[str, int]
) -> None:
    """SMTP-PROXY-2-a, SMTP-PROXY-2-f, SMTP-PROXY-2.1-d, SMTP-PROXY-2.2-d and -k."""
    served = Served(kind, Say(wire), *kind.session())
    assert served.ending is Ending.QUIT
    assert [(peer.address, peer.port) for peer in met] == [place]


TABLE: Final = tomllib.loads(
    (Path(__file__).parent / "data" / "proxy.toml").read_text("utf-8")
)["header"]


def of_the_table(**fields: object) -> pytest.MarkDecorator:
    """Parametrize over the octets of its entries whose fields are these."""
    wires = [
        bytes.fromhex(each["hex"]) if "hex" in each else each["wire"].encode()
        for each in TABLE
        if fields.items() <= each.items()
    ]
    assert wires
    return pytest.mark.parametrize("wire", wires)


@of_the_table(valid=True)
@both
def test_each_good_header_of_the_table_begins_a_session(
    kind: Kind, wire: bytes
) -> None:
    assert Served(kind, Say(wire), *kind.session()).ending is Ending.QUIT


@of_the_table(valid=False)
@both
def test_each_bad_header_of_the_table_ends_the_connection(
    kind: Kind, wire: bytes
) -> None:
    served = Served(kind, Say(wire))
    assert served.ending is Ending.REFUSED
    assert served.ended_without_a_word()


@of_the_table(incomplete=True)
@both
def test_each_half_header_of_the_table_is_waited_for(kind: Kind, wire: bytes) -> None:
    served = Served(kind, Say(wire), Silence())
    assert served.ending is Ending.TIMEOUT
    assert served.ended_without_a_word()


def unix(path: bytes) -> bytes:
    return write_header(Header(Transport.UNIX_STREAM, Unix(path), Unix(b"/run/mx")))


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"/run/client", "/run/client"),
        (b"run/client", "run/client"),
        (b"/\xff", "/\udcff"),
        ("/run/caf\u00e9".encode(), "/run/caf\u00e9"),
        (b"\0client", "\0client"),
        (b"", ""),
        (b"client", "./client"),
        (b"127.0.0.1", "./127.0.0.1"),  # the name of a file is no IP address
        (b"::1", "./::1"),
    ],
)
@both
def test_a_client_on_a_unix_socket_has_a_path_and_no_port(
    kind: Kind, path: bytes, address: str
) -> None:
    Served(kind, Say(unix(path)), *kind.session())
    assert [(peer.address, peer.port) for peer in met] == [(address, 0)]


@both
def test_an_application_sees_all_that_the_proxy_says(kind: Kind) -> None:
    Served(kind, Say(write_header(FULL)), *kind.session())
    assert [peer.proxy for peer in met] == [FULL]
    Served(kind, Say(version_2(0x20, 0)), *kind.session())
    assert [peer.proxy for peer in met] == [Header(command=Command.LOCAL)]


@both
def test_without_a_proxy_there_is_no_header(kind: Kind) -> None:
    Served(kind, *kind.session(), proxied=False)
    assert [(peer.address, peer.port, peer.proxy) for peer in met] == [(*PROXY, None)]


# What is before and behind the header


@pytest.mark.parametrize("wire", [LINE, version_2(0x21, 0x21, IPV6)])
@both
def test_a_session_is_the_same_however_its_octets_come(kind: Kind, wire: bytes) -> None:
    """SEC-PROXY-SPOOF-c: commands in one read with the header are not lost."""
    expected = Expect(kind.greeting + kind.answered)
    for cut in every_cut(wire + kind.asked):
        assert Served(kind, *said(*cut), expected).ending is Ending.QUIT


@both
def test_nothing_is_said_before_the_header_is_whole(kind: Kind) -> None:
    """SMTP-PROXY-2-a."""
    for wire in (LINE, version_2(0x21, 0x21, IPV6)):
        for end in range(len(wire)):
            served = Served(kind, *said(*octets(wire[:end])), Close())
            assert served.ending is Ending.LOST
            assert served.ended_without_a_word()


@both
def test_the_handshake_comes_behind_the_header(kind: Kind) -> None:
    """SMTP-PROXY-2.2-m."""
    served = Served(kind, Say(LINE), Shake(), *kind.session(), tls=True)
    assert served.ending is Ending.QUIT
    assert [peer.security for peer in met] == [NEGOTIATED]
    assert [peer.address for peer in met] == ["192.0.2.1"]


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(
    "wire",
    [
        *(b"EHLO x\r\n", b"\x16\x03\x01", b"PROXY UNKNOWN\n", b"\r\n\r\n\n"),
        b"PROXY TCP4 192.0.2.1 198.51.100.7 056324 25\r\n",
        b"PROXY UNKNOWN ".ljust(107, b"x"),
        *(SIGNATURE + b"\x22", SIGNATURE + b"\x21\x41"),
        version_2(0x21, 0x11, bytes(11)),
    ],
)
@both
def test_what_is_no_header_ends_the_connection_without_a_word(
    kind: Kind, wire: bytes, tls: bool
) -> None:
    """SMTP-PROXY-2-b and SMTP-PROXY-2.1-g."""
    for cut in every_cut(wire):
        served = Served(kind, *said(*cut), tls=tls)
        assert served.ending is Ending.REFUSED
        assert served.ended_without_a_word()


@given(HOSTILE)
def test_hostile_octets_are_a_header_or_the_end(wire: bytes) -> None:
    header, behind, complaint = outcome((wire,))
    for cut in ((wire,), octets(wire)):
        served = Served(SMTP, *said(*cut), Close())
        assert [peer.proxy for peer in met] == [header] * (header is not None)
        assert served.ending is (Ending.REFUSED if complaint else Ending.LOST)
        assert behind in (b"", wire[len(wire) - len(behind) :])


@both
def test_a_second_header_is_a_bad_command(kind: Kind) -> None:
    """SEC-PROXY-SPOOF-b."""
    served = Served(
        kind,
        Say(LINE + b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n"),
        Expect(kind.greeting + kind.unknown),
        Close(),
    )
    assert served.ending is Ending.LOST
    assert [peer.address for peer in met] == ["192.0.2.1"]


@both
def test_a_header_of_somebody_who_is_no_proxy_is_a_bad_command(kind: Kind) -> None:
    """SMTP-PROXY-2-c and SEC-PROXY-SPOOF-a."""
    served = Served(
        kind,
        Expect(kind.greeting),
        Say(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n"),
        Expect(kind.unknown),
        Close(),
        proxied=False,
    )
    assert served.ending is Ending.LOST
    assert [(peer.address, peer.port) for peer in met] == [PROXY]


# What the operator is told


@both
def test_the_operator_is_told_of_the_client_and_of_the_proxy(kind: Kind) -> None:
    connected, *_ = Served(kind, Say(LINE), *kind.session()).driver.notes
    place = {"address": "192.0.2.1", "port": 56_324, "proxy": "127.0.0.1"}
    assert connected == Note("connected", place)


@pytest.mark.parametrize(
    ("step", "reason"),
    [(Say(b"GET / HTTP/1.1\r\n"), "refused"), (Silence(), "timeout")],
)
@both
def test_the_operator_is_told_where_no_header_came(
    kind: Kind, step: Step, reason: str
) -> None:
    served = Served(kind, step)
    fields = {"address": PROXY[0], "port": PROXY[1], "reason": reason}
    assert served.driver.notes == [Note("no_proxy_header", fields)]


# Time and bounds


def in_turn(pieces: Iterable[bytes], seconds: float) -> list[Step]:
    return [step for each in pieces for step in (Say(each), Wait(seconds))]


@both
def test_a_header_that_does_not_come_is_not_waited_for(kind: Kind) -> None:
    """SMTP-PROXY-2-d."""
    served = Served(kind, Silence())
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == 10
    assert served.ended_without_a_word()


@both
def test_single_octets_do_not_push_the_deadline_back(kind: Kind) -> None:
    limits = Limits(timeouts=Timeouts(proxy=3))
    steps = in_turn(octets(LINE)[:31], 0.1)
    served = Served(kind, *steps[:60], Silence(), limits=limits)
    assert served.ending is Ending.TIMEOUT
    assert served.peer.now == pytest.approx(3)
    assert served.ended_without_a_word()


@both
def test_a_header_may_come_late_and_slowly(kind: Kind) -> None:
    steps = in_turn(octets(LINE), 0.2)
    assert Served(kind, *steps, *kind.session()).ending is Ending.QUIT


@both
def test_a_server_that_stops_does_not_wait_for_a_header(kind: Kind) -> None:
    served = Served(kind, Say(LINE[:20]), Stop())
    assert served.ending is Ending.STOPPING
    assert served.ended_without_a_word()


@both
def test_a_header_has_a_bound(kind: Kind) -> None:
    """SMTP-PROXY-2.2-l."""
    limits = Limits(proxy_header=216)
    longest = version_2(0x20, 0, bytes(216))
    served = Served(kind, Say(longest), *kind.session(), limits=limits)
    assert served.ending is Ending.QUIT
    served = Served(kind, Say(version_2(0x20, 0, bytes(217))[:16]), limits=limits)
    assert served.ending is Ending.REFUSED
    assert served.ended_without_a_word()
    longest = version_2(0x20, 0, bytes(65_535))
    assert Served(kind, Say(longest), *kind.session()).ending is Ending.QUIT


def test_a_driver_that_reads_too_much_is_found_out() -> None:
    """Else the octets behind the header would be lost."""
    flow = smtp.serve(smtp.Connection(SERVER), Receiver, *PROXY, proxied=True)
    next(flow)  # the deadline
    next(flow)
    with pytest.raises(AssertionError, match="more than it was asked for"):
        flow.send(LINE + b"EHLO x\r\n")
