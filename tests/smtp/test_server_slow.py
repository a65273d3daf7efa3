"""Applications that take long, and that fail: `close` is called once, whatever is."""

from typing import Any, Final

import pytest

from driving import Close, Driver, Expect, Peer, Say, Silence, Step
from serving import (
    ACCEPTED,
    BEGUN,
    HELLO,
    QUIT,
    RECIPIENT_OK,
    SENDER_OK,
    STEPS,
    Served,
    told,
)
from smtp_pop_core import SERVER, Blocks, smtp
from smtp_pop_core.smtp import Ending, Reply

HOURS: Final = 100_000.0  # seconds, more than any deadline has


def test_an_application_may_take_longer_than_any_deadline_of_the_peer() -> None:
    """The peer is not to blame for what it has to wait for."""
    steps = [
        *[*HELLO, Say(b"VRFY joe\r\n"), Expect(b"252 2.0.0 Maybe\r\n")],
        *[Say(b"MAIL FROM:<a@example.com>\r\n"), Expect(SENDER_OK)],
        *[Say(b"RCPT TO:<b@example.com>\r\n"), Expect(RECIPIENT_OK)],
        *[Say(b"DATA\r\n"), Expect(b"354 End data with <CR><LF>.<CR><LF>\r\n")],
        *[Say(b"hello\r\n"), Say(b"again\r\n.\r\n"), ACCEPTED, *QUIT],
    ]
    peer = Peer(*steps)

    class Slow(smtp.Application):
        def __init__(self, it: smtp.Peer) -> None:
            super().__init__(it)
            peer.now += HOURS

        def connect(self) -> None:
            peer.now += HOURS

        def verify(self, command: smtp.Vrfy) -> Reply:
            peer.now += HOURS
            return Reply(252, ("Maybe",))

        def mail(self, command: smtp.Mail) -> None:
            peer.now += HOURS

        def rcpt(self, command: smtp.Rcpt) -> None:
            peer.now += HOURS

        def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
            for _ in content:
                peer.now += HOURS
            peer.now += HOURS

        def close(self, reason: Ending) -> None:
            peer.now += HOURS

    conn = smtp.Connection(SERVER, domain="mx.example")
    assert Driver(peer).run(smtp.serve(conn, Slow)) is Ending.QUIT
    peer.finish()
    assert peer.now >= 7 * HOURS


def failing(method: str, error: Exception) -> smtp.ApplicationFactory:
    """Make an application that fails in one method, and notes its end."""

    def fail(self: smtp.Application, *_: object) -> object:
        raise error

    def close(self: smtp.Application, reason: Ending) -> None:
        told.append(reason)

    made: Any = type("Failing", (smtp.Application,), {"close": close, method: fail})
    factory: smtp.ApplicationFactory = made
    return factory


ENDINGS: Final[list[tuple[list[Step], Ending]]] = [
    (QUIT, Ending.QUIT),
    ([Close()], Ending.LOST),
    ([Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")], Ending.TIMEOUT),
]


@pytest.mark.parametrize(("then", "ending"), ENDINGS)
@pytest.mark.parametrize("method", ["mail", "verify", "rcpt", "message"])
def test_close_is_called_once_whatever_has_failed_before(
    method: str, then: list[Step], ending: Ending
) -> None:
    made = failing(method, ValueError("a mistake"))
    served = Served(made, *STEPS[method], *then)
    assert told == [ending]
    assert len(served.driver.reports) == 1


@pytest.mark.parametrize(
    "octets", [b"", b"hello\r\n", b"hello\r\n.\r\n", b"hello\r\n.\r\nQUIT\r\n"]
)
def test_close_is_called_once_wherever_the_connection_is_lost(octets: bytes) -> None:
    said = [Say(octets)] if octets else []
    peer = Peer(*BEGUN, *said, Close())
    told.clear()
    conn = smtp.Connection(SERVER, domain="mx.example")
    driver = Driver(peer)
    driver.run(smtp.serve(conn, failing("message", ValueError("a mistake"))))
    assert len(told) == 1
    assert driver.asked.count("close") == 1


def test_a_close_that_fails_is_not_called_again() -> None:
    served = Served(failing("close", ValueError("a mistake")), *HELLO, *QUIT)
    assert served.driver.asked.count("fail") == 1
    assert len(served.driver.reports) == 1
