"""Serving a scripted client in tests: what it says, and what a server answers."""

from collections.abc import Iterable
from typing import Any, Final

from driving import Driver, Expect, Peer, Say, Step
from smtp_pop_core import SERVER, Blocks, Gate, Limits, Logins, Networks, smtp
from smtp_pop_core.smtp import Ending, Reply

told: Final[list[object]] = []
"""What an application has noted, in its order; forgotten when another is served."""

GREETING: Final = Expect(b"220 mx.example ESMTP\r\n")
HELLO: Final[list[Step]] = [
    GREETING,
    Say(b"HELO me.example\r\n"),
    Expect(b"250 mx.example\r\n"),
]
ENVELOPE: Final = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
SENDER_OK: Final = b"250 2.1.0 Sender OK\r\n"
RECIPIENT_OK: Final = b"250 2.1.5 Recipient OK\r\n"
GO: Final = b"354 End data with <CR><LF>.<CR><LF>\r\n"
ACCEPTED: Final = Expect(b"250 2.0.0 Message accepted\r\n")
FAILED: Final = Expect(b"451 4.3.0 Local error in processing\r\n")
BEGUN: Final[list[Step]] = [
    *HELLO,
    Say(ENVELOPE),
    Expect(SENDER_OK + RECIPIENT_OK + GO),
]
QUIT: Final[list[Step]] = [
    Say(b"QUIT\r\n"),
    Expect(b"221 2.0.0 mx.example closing\r\n"),
]


STEPS: Final[dict[str, list[Step]]] = {
    "mail": [*HELLO, Say(b"MAIL FROM:<>\r\n"), FAILED],
    "verify": [*HELLO, Say(b"VRFY x\r\n"), FAILED],
    "rcpt": [
        *HELLO,
        Say(b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\n"),
        Expect(SENDER_OK + FAILED.data),
    ],
    "message": [*BEGUN, Say(b"hello\r\n.\r\n"), FAILED],
    "connect": [Expect(b"451 Local error in processing\r\n")],
}
"""What leads to the call of each method that fails."""


class Taking(smtp.Application):
    """Takes messages, and notes why the session has ended."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        told.append(content.read())
        return None

    def close(self, reason: Ending) -> None:
        told.append(reason)


def answering(method: str, answer: object) -> smtp.ApplicationFactory:
    """Make an application of one method that returns or raises what is given."""

    def plain(self: smtp.Application, *_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made: Any = type("Answering", (smtp.Application,), {method: plain})
    factory: smtp.ApplicationFactory = made
    return factory


def awaiting(method: str, answer: object) -> smtp.ApplicationFactory:
    """Make the same in async code."""

    async def asynchronous(self: smtp.AsyncApplication, *_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made: Any = type("Awaiting", (smtp.AsyncApplication,), {method: asynchronous})
    factory: smtp.ApplicationFactory = made
    return factory


class Served:
    """A session from its beginning to its end.

    Attributes:
        peer: The client.
        driver: What ran the server.
        conn: The connection of the server.
        ending: Why the session has ended.
    """

    def __init__(
        self,
        application: smtp.ApplicationFactory,
        *steps: Step,
        limits: Limits | None = None,
        extensions: Iterable[smtp.Extension] | None = None,
        logins: Logins | None = None,
        tls: bool = False,
        session: str = "",
        trusted: str = "",
        gate: Gate | None = None,
        in_flight: smtp.InFlight | None = None,
        **options: Any,
    ) -> None:
        told.clear()
        self.peer = Peer(*steps)
        self.driver = Driver(self.peer)
        self.conn = smtp.Connection(
            SERVER,
            domain="mx.example",
            limits=limits or Limits(),
            extensions=extensions,
            tls=tls,
            **options,
        )
        self.ending = self.driver.run(
            smtp.serve(
                self.conn,
                application,
                "192.0.2.1",
                2525,
                logins=logins,
                session=session,
                in_flight=in_flight,
                gate=gate,
                trusted=Networks([trusted] if trusted else []),
            )
        )
        self.peer.finish()
