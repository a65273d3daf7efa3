"""A client whose server breaks the protocol, falls silent or goes away."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Peer,
    Say,
    Shake,
    Silence,
    Step,
    Stop,
    Wait,
    cut_short,
    octets_said,
)
from fetching import GREETING, LOGIN, ask, capable, client, security
from smtp_pop_core import (
    Blocks,
    ConnectionLost,
    Error,
    Flow,
    Negotiated,
    PolicyError,
    RemoteProtocolError,
    Stopping,
    pop3,
)
from smtp_pop_core.pop3 import Listed, Seen, State
from smtp_pop_core.testing import pop3_octets

PLAIN: Final = ask("AUTH PLAIN AGFsaWNlAGh1bnRlcjI=", "+OK in")
UP_TO_TLS: Final[list[Step]] = [
    *[GREETING, *capable("STLS", "USER"), *ask("STLS", "+OK begin")],
    *[Shake(), *capable("USER", "UIDL")],
]
OPENING: Final[list[Step]] = [*UP_TO_TLS, *LOGIN, *capable("USER", "UIDL")]
AUTHENTICATING: Final[list[Step]] = [
    *[*UP_TO_TLS[:-2], *capable("SASL PLAIN"), *PLAIN, *capable("UIDL")]
]
USER_AT: Final = octets_said([*UP_TO_TLS, *LOGIN[:2]])
AUTH_AT: Final = octets_said([*UP_TO_TLS[:-2], *capable("SASL PLAIN")])
EVERY_OCTET = pytest.mark.parametrize(
    ("steps", "secret_at", "octets"),
    [
        pytest.param(steps, at, octets, id=f"{len(steps)}-{octets}")
        for steps, at in ((OPENING, USER_AT), (AUTHENTICATING, AUTH_AT))
        for octets in range(octets_said(steps))
    ],
)
SAYING: Final = [index for index, step in enumerate(OPENING) if isinstance(step, Say)]


AFTER_A_NO: Final = [
    pop3.Rejected,  # the greeting
    ConnectionLost,  # CAPA: the client goes on
    PolicyError,  # STLS
    ConnectionLost,  # CAPA: the client goes on
    pop3.AuthenticationFailed,  # USER
    pop3.AuthenticationFailed,  # PASS
]


def shows_secret(written: list[bytes]) -> bool:
    """Whether the password was written, plainly or in base64."""
    return any(
        secret in b"".join(written) for secret in (b"hunter2", b"AGFsaWNlAGh1bnRlcjI=")
    )


@pytest.mark.parametrize(
    ("then", "error"),
    [(Close(), ConnectionLost), (Silence(), TimeoutError), (Stop(), Stopping)],
)
@EVERY_OCTET
def test_an_opening_that_breaks_off_shows_nothing_too_early(
    steps: list[Step], secret_at: int, octets: int, then: Step, error: type[Exception]
) -> None:
    conn, peer = client(), Peer(*cut_short(steps, octets, then))
    with pytest.raises(error):
        Driver(peer).run(pop3.open(conn, security(None)))
    assert shows_secret(peer.writes) is (octets >= secret_at)
    assert peer.now == (300 if error is TimeoutError else 0)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    "garbage",
    [b"hm\r\n", b"\r\n", b"+OKAY\r\n", b"+\r\n", b"250 ok\r\n", b"+OK a\nb\r\n"],
)
@pytest.mark.parametrize("at", SAYING)
def test_garbage_in_place_of_a_response_is_the_end(at: int, garbage: bytes) -> None:
    conn, peer = client(), Peer(*OPENING[:at], Say(garbage), *OPENING[at + 1 :])
    with pytest.raises(RemoteProtocolError):
        Driver(peer).run(pop3.open(conn, security(None)))
    assert shows_secret(peer.writes) is (octets_said(OPENING[:at]) >= USER_AT)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"-ERR\r\n", b"+ \r\n", b"x\r\n"])
@pytest.mark.parametrize("at", SAYING[:-1])
def test_a_response_too_many_is_the_end(at: int, extra: bytes) -> None:
    """Whether it comes with the one before, or before its own command."""
    step = OPENING[at]
    assert isinstance(step, Say)
    said = Say(step.data + extra)
    conn, peer = client(), Peer(*OPENING[:at], said, *OPENING[at + 1 :])
    with pytest.raises((RemoteProtocolError, ConnectionLost)):
        Driver(peer).run(pop3.open(conn, security(None)))
    assert shows_secret(peer.writes) is (octets_said(OPENING[:at]) >= USER_AT)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(("at", "error"), [*zip(SAYING[:-1], AFTER_A_NO, strict=True)])
def test_a_no_in_place_of_a_yes_leads_to_nothing(
    at: int, error: type[Exception]
) -> None:
    conn, peer = client(), Peer(*OPENING[:at], Say(b"-ERR no\r\n"), Close())
    with pytest.raises(error):
        Driver(peer).run(pop3.open(conn, security(None)))
    assert shows_secret(peer.writes) is (octets_said(OPENING[:at]) >= USER_AT)
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("at", SAYING)
def test_single_octets_push_no_deadline_back(at: int) -> None:
    drip = [step for _ in range(99) for step in (Wait(40), Say(b"x"))]
    conn, peer = client(), Peer(*OPENING[:at], Say(b"+OK "), *drip)
    with pytest.raises(TimeoutError):
        Driver(peer).run(pop3.open(conn, security(None)))
    assert peer.now == 300
    assert conn.state is State.CLOSED


# Whatever a server says.


class Babble:
    """A server that says what it wants to, whatever it is asked.

    Attributes:
        writes: What it was asked.
        shaken: What it had been asked when TLS began, or None: it has not.
    """

    def __init__(self, said: list[bytes]) -> None:
        self.writes: list[bytes] = []
        self.shaken: list[bytes] | None = None
        self._said = said

    def read(self) -> bytes:
        if not self._said:
            raise TimeoutError
        return self._said.pop(0)

    def write(self, data: bytes, *, heed: bool) -> bool:
        self.writes.append(data)
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        self.shaken = list(self.writes)
        return NEGOTIATED


class Session:
    """All that a client does, with what it has stored and noted."""

    def __init__(self) -> None:
        self.conn = client()
        self.stored: list[int] = []
        self.seen = Seen("b")

    def store(self, message: Listed, content: Blocks) -> None:
        content.read()
        self.stored.append(message.number)

    def run(self) -> Flow[pop3.Collected]:
        yield from pop3.open(self.conn, security(None), utf8=True)
        return (
            yield from pop3.collect(
                self.conn, self.store, seen=self.seen, delete_stored=True
            )
        )


COLLECTING: Final[list[Step]] = [
    *ask("LIST", "+OK", "1 3", "2 3", "3 3", "."),
    *ask("UIDL", "+OK", "1 a", "2 b", "3 c", "."),
    *[*ask("RETR 1", "+OK", "1", "."), *ask("RETR 3", "+OK", "3", ".")],
    *[*ask("DELE 2", "+OK"), *ask("DELE 1", "+OK"), *ask("DELE 3", "+OK")],
    *ask("QUIT", "+OK"),
]
RIGHT: Final = [step.data for step in (*OPENING, *COLLECTING) if isinstance(step, Say)]


def test_the_right_answers_lead_to_the_end() -> None:
    session, server = Session(), Babble(list(RIGHT))
    assert len(Driver(server).run(session.run()).deleted) == 3
    assert session.stored == [1, 3]
    assert server.writes[-1] == b"QUIT\r\n"


def end(session: Session, server: Babble) -> Exception | None:
    """Run a session to its end, and give the error of its end."""
    try:
        Driver(server).run(session.run())
    except (Error, TimeoutError) as error:
        return error
    return None


def marked(server: Babble) -> set[int]:
    """Give the numbers of the messages that a server was to remove."""
    lines = b"".join(server.writes).splitlines()
    return {int(line[5:]) for line in lines if line.startswith(b"DELE ")}


@settings(max_examples=200, deadline=None)
@given(
    at=st.integers(0, len(RIGHT) - 1),
    cut=st.integers(0, 60),
    octets=pop3_octets() | st.just(b"-ERR\r\n"),
)
def test_whatever_a_server_says_ends_in_a_documented_way(
    at: int, cut: int, octets: bytes
) -> None:
    wrong = RIGHT[at][:cut] + octets
    server = Babble([*RIGHT[:at], *[wrong] * bool(wrong), *RIGHT[at + 1 :]])
    session = Session()
    error = end(session, server)
    goes_on = isinstance(error, (pop3.Rejected, PolicyError))
    assert session.conn.state in {State.CLOSED, *[State.TRANSACTION] * goes_on}
    without_tls = server.writes if server.shaken is None else server.shaken
    assert not shows_secret(without_tls)
    assert marked(server) <= {*session.stored, 2}
