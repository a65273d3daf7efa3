"""A server behind a proxy that tells it where clients and messages come from.

Postfix XCLIENT_README and XFORWARD_README.
"""

from collections.abc import Iterable
from typing import Any, Final

import pytest

from driving import Close, Expect, Say, Shake, Step, Stop, cut_short, octets_said
from serving import ENVELOPE, GO, Served
from smtp_logins import logins
from smtp_pop_core import Blocks, Limits, Negotiated, Note, Refusal, sasl, smtp
from smtp_pop_core.smtp import Ending, Forwarded, Reply, Source, Xclient

EXTENSIONS: Final = (smtp.extensions.Xclient(), smtp.extensions.Xforward())
PROXY: Final = "192.0.2.1"  # where Served says that the client is
GREETING: Final = b"220 mx.example ESMTP\r\n"
OFFER: Final = (
    b"250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
    b"250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
)
SENDER_OK: Final = b"250 Sender OK\r\n"
AUTH: Final = b"250 AUTH PLAIN LOGIN\r\n"
DENIED: Final = b"503 Access denied\r\n"
NOT_TRUSTED: Final = b"550 Not authorized\r\n"
OK: Final = b"250 OK\r\n"

seen: Final[list[object]] = []
"""What applications have noted, in its order."""


class Noting(smtp.Application):
    """Takes note of who is there, when it begins, is asked, and ends."""

    def __init__(self, peer: smtp.Peer) -> None:
        super().__init__(peer)
        seen.append((peer.address, peer.port))

    def mail(self, command: smtp.Mail) -> Reply | None:
        peer = self.peer
        seen.append((peer.address, peer.port, peer.name, peer.helo, peer.identity))
        return None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        seen.append(self.peer.forwarded)
        return None

    def close(self, reason: Ending) -> None:
        seen.append(reason)


class AsyncNoting(smtp.AsyncApplication):
    """The same in async code."""

    def __init__(self, peer: smtp.Peer) -> None:
        super().__init__(peer)
        seen.append((peer.address, peer.port))

    async def close(self, reason: Ending) -> None:
        seen.append(reason)


def served(
    *steps: Step,
    application: smtp.ApplicationFactory = Noting,
    trusted: str = PROXY,
    extensions: Iterable[smtp.Extension] = EXTENSIONS,
    **options: Any,
) -> Served:
    seen.clear()
    return Served(
        application,
        *[Expect(GREETING), *steps],
        extensions=extensions,
        trusted=trusted,
        **options,
    )


def ask(line: bytes, *answers: bytes) -> list[Step]:
    """Say lines, and expect answers."""
    return [Say(line), Expect(b"".join(answers))]


HELLO: Final = ask(b"EHLO me.example\r\n", b"250-mx.example\r\n", OFFER)
HELO: Final = ask(b"HELO me.example\r\n", b"250 mx.example\r\n")
MAIL: Final = ask(b"MAIL FROM:<>\r\n", SENDER_OK)
TRANSACTION: Final = [
    *ask(ENVELOPE, SENDER_OK, b"250 Recipient OK\r\n", GO),
    *ask(b"hello\r\n.\r\n", b"250 Message accepted\r\n"),
]
BYE: Final = ask(b"QUIT\r\n", b"221 mx.example closing\r\n")


# Another client.


@pytest.mark.parametrize("kind", [Noting, AsyncNoting])
def test_the_session_begins_anew_with_an_application_for_the_new_client(
    kind: smtp.ApplicationFactory,
) -> None:
    anew = ask(b"XCLIENT ADDR=198.51.100.7 PORT=4711\r\n", GREETING)
    served(*HELLO, *anew, *BYE, application=kind)
    assert seen == [
        ("192.0.2.1", 2525),
        ("198.51.100.7", 4711),
        Ending.RESTARTED,
        Ending.QUIT,
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"NAME=a.b"], ("192.0.2.1", 2525, "a.b", "me.example", "")),
        ([b"ADDR=192.0.2.9"], ("192.0.2.9", 0, "", "me.example", "")),
        ([b"ADDR=IPV6:::1 PORT=1"], ("::1", 1, "", "me.example", "")),
        ([b"PORT=1"], ("192.0.2.1", 1, "", "me.example", "")),
        ([b"LOGIN=joe"], ("192.0.2.1", 2525, "", "me.example", "joe")),
        (
            [b"NAME=a.b LOGIN=joe", b"ADDR=192.0.2.9 HELO=c"],
            ("192.0.2.9", 0, "a.b", "me.example", ""),
        ),
        (
            [b"NAME=a.b", b"NAME=[TEMPUNAVAIL] PORT=[UNAVAILABLE]"],
            ("192.0.2.1", 0, "", "me.example", ""),
        ),
        (
            [b"LOGIN=joe", b"LOGIN=[UNAVAILABLE]"],
            ("192.0.2.1", 2525, "", "me.example", ""),
        ),
    ],
)
def test_the_peer_is_who_the_proxy_says(lines: list[bytes], expected: object) -> None:
    said = [ask(b"XCLIENT " + line + b"\r\n", GREETING) for line in lines]
    anew = [step for steps in said for step in steps]
    served(*HELLO, *anew, *HELO, *MAIL, *BYE, trusted="0.0.0.0/0,::/0")
    assert expected in seen


def test_what_xclient_says_is_in_force_at_the_greeting() -> None:
    class Watching(smtp.Application):
        def connect(self) -> None:
            seen.append((self.peer.helo, self.peer.protocol, self.peer.xclient))

    served(
        *ask(b"XCLIENT NAME=a DESTADDR=192.0.2.8 DESTPORT=25 HELO=b\r\n", GREETING),
        *ask(b"XCLIENT DESTPORT=26 PROTO=SMTP\r\n", GREETING),
        *BYE,
        application=Watching,
    )
    both = Xclient(name="a", destaddr="192.0.2.8", destport=26, proto="SMTP")
    assert seen == [
        ("", "", None),
        ("b", "", Xclient(name="a", destaddr="192.0.2.8", destport=25, helo="b")),
        ("", "SMTP", both),
    ]


@pytest.mark.parametrize(
    ("hello", "lmtp", "expected"),
    [
        (b"EHLO me.example\r\n", False, "ESMTP"),
        (b"HELO me.example\r\n", False, "SMTP"),
        (b"LHLO me.example\r\n", True, "LMTP"),
    ],
)
def test_the_peer_says_which_protocol_is_spoken(
    hello: bytes, lmtp: bool, expected: str
) -> None:
    class Asking(smtp.Application):
        def connect(self) -> None:
            seen.append(self.peer.protocol)

        def mail(self, command: smtp.Mail) -> None:
            seen.append(self.peer.protocol)

    seen.clear()
    greeting = GREETING.replace(b"ESMTP", b"LMTP") if lmtp else GREETING
    steps = [Expect(greeting), *ask(hello, b"250 mx.example\r\n"), *MAIL, *BYE]
    Served(Asking, *steps, extensions=[], lmtp=lmtp)
    assert seen == ["", expected]


class Choosy(Noting):
    """Wants nobody from a certain network."""

    def connect(self) -> Reply | None:
        refused = self.peer.address.startswith("198.51.100.")
        return Reply(554, ("Not you",)) if refused else None


def test_a_client_that_is_not_wanted_is_refused_as_if_it_had_come_itself() -> None:
    """And nothing that a proxy has sent ahead counts as its own."""
    ahead = b"XCLIENT ADDR=198.51.100.7\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nEHLO a\r\n"
    out_of_order = b"503 Bad sequence of commands\r\n"
    served(
        *HELLO,
        *[Say(ahead), Expect(b"554 Not you\r\n")],
        *[Expect(DENIED + out_of_order), Expect(DENIED)],
        *BYE,
        application=Choosy,
    )
    assert seen == [
        *[("192.0.2.1", 2525), ("198.51.100.7", 0)],
        *[Ending.RESTARTED, Ending.QUIT],
    ]


def test_nobody_logs_in_who_is_not_wanted() -> None:
    extensions = (*EXTENSIONS, smtp.extensions.Auth(("PLAIN",)))
    served(
        *ask(b"XCLIENT ADDR=198.51.100.7\r\n", b"554 Not you\r\n"),
        *ask(b"EHLO me.example\r\n", DENIED),
        *BYE,
        application=Choosy,
        extensions=extensions,
    )


def test_after_one_client_that_is_not_wanted_another_may_be() -> None:
    served(
        *HELLO,
        *ask(b"XCLIENT ADDR=198.51.100.7\r\n", b"554 Not you\r\n"),
        *ask(b"XCLIENT ADDR=203.0.113.1\r\n", GREETING),
        *[*HELLO, *MAIL, *BYE],
        application=Choosy,
        trusted="0.0.0.0/0",
    )
    assert ("203.0.113.1", 0, "", "me.example", "") in seen


def test_an_application_may_end_the_session_at_the_greeting() -> None:
    class Busy(smtp.Application):
        def connect(self) -> Reply | None:
            return Reply(421, ("Busy",)) if self.peer.xclient else None

    got = served(*ask(b"XCLIENT NAME=a\r\n", b"421 Busy\r\n"), application=Busy)
    assert got.ending is Ending.REFUSED


def test_without_an_application_for_the_new_client_the_session_ends() -> None:
    def once(peer: smtp.Peer) -> smtp.Application:
        if peer.xclient:
            raise ValueError("no more")
        return Noting(peer)

    got = served(
        *ask(b"XCLIENT NAME=a\r\n", b"421 Not available now\r\n"), application=once
    )
    assert got.ending is Ending.REFUSED
    assert [str(each) for each in got.driver.reports] == ["no more"]
    assert seen == [("192.0.2.1", 2525), Ending.REFUSED]


def test_a_mistake_at_the_greeting_is_451_and_nothing_is_taken() -> None:
    class Failing(smtp.Application):
        def connect(self) -> Reply | None:
            if self.peer.xclient:
                raise ValueError("oops")
            return None

    got = served(
        *ask(b"XCLIENT NAME=a\r\n", b"451 Local error in processing\r\n"),
        *ask(b"EHLO a\r\n", DENIED),
        Close(),
        application=Failing,
    )
    assert got.ending is Ending.LOST
    assert [str(each) for each in got.driver.reports] == ["oops"]


ANEW: Final[list[Step]] = [
    *[*HELLO, *ask(b"XFORWARD NAME=a\r\n", OK)],
    *ask(b"XCLIENT NAME=a\r\n", GREETING),
    *[*HELLO, *MAIL],
]


@pytest.mark.parametrize("octets", range(octets_said(ANEW)))
def test_a_lost_connection_ends_it_wherever_that_is(octets: int) -> None:
    got = served(*cut_short(ANEW, octets, Close()))
    assert got.ending is Ending.LOST
    assert got.driver.reports == []
    assert seen[-1] is Ending.LOST


def test_a_server_that_stops_says_so_after_a_new_client_as_well() -> None:
    stopping = [Stop(), Expect(b"421 Shutting down\r\n")]
    got = served(*ask(b"XCLIENT NAME=a\r\n", GREETING), *stopping)
    assert got.ending is Ending.STOPPING


class Door:
    """A gate that lets nobody in from a certain address, and notes who comes."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.failed: list[str] = []

    def enter(self, address: str) -> Refusal | None:
        self.entered.append(address)
        return Refusal.ADDRESS if address == "198.51.100.7" else None

    def login_failed(self, address: str) -> None:
        self.failed.append(address)


def test_the_server_is_asked_whether_it_serves_the_new_client() -> None:
    door = Door()
    got = served(
        *ask(b"XCLIENT NAME=a\r\n", GREETING),
        *ask(b"XCLIENT ADDR=203.0.113.1\r\n", GREETING),
        *ask(b"XCLIENT ADDR=203.0.113.1 PORT=1\r\n", GREETING),
        *ask(
            b"XCLIENT ADDR=198.51.100.7\r\n",
            b"421 Too many connections from your address\r\n",
        ),
        gate=door,
        trusted="0.0.0.0/0",
    )
    assert got.ending is Ending.REFUSED
    assert door.entered == ["203.0.113.1", "198.51.100.7"]
    assert seen[-2:] == [Ending.RESTARTED, Ending.REFUSED]


def test_a_client_is_not_to_blame_for_the_commands_of_another() -> None:
    limits = Limits(idle_commands=3, refused_commands=2)
    noop = ask(b"NOOP\r\n" * 2, OK * 2)
    wrong = ask(b"MAIL FROM:<>\r\n", b"503 Bad sequence of commands\r\n")
    another = ask(b"XCLIENT NAME=a\r\n", GREETING)
    served(*[*noop, *wrong, *another] * 2, *noop, *wrong, *BYE, limits=limits)


def test_what_is_told_of_a_message_is_no_idle_command() -> None:
    said = ask(b"XFORWARD NAME=a\r\n" * 3, OK * 3)
    served(*HELLO, *said, *TRANSACTION, *BYE, limits=Limits(idle_commands=1))


def test_a_client_is_not_to_blame_for_the_logins_of_another() -> None:
    door = Door()
    wrong = ask(b"AUTH PLAIN AGEAYg==\r\n", b"535 Authentication failed\r\n")
    offer = OFFER.replace(b"250 XF", b"250-XF") + AUTH
    served(
        *[*ask(b"EHLO me.example\r\n", b"250-mx.example\r\n", offer), *wrong],
        *ask(b"XCLIENT ADDR=203.0.113.1\r\n", GREETING),
        *[*ask(b"EHLO me.example\r\n", b"250-mx.example\r\n", AUTH), *wrong, *BYE],
        gate=door,
        logins=logins(stored={sasl.Stored.PASSWORD}, allow_insecure=True),
        limits=Limits(failed_logins=2),
    )
    assert door.failed == ["192.0.2.1", "203.0.113.1"]


# Who is trusted.


@pytest.mark.parametrize("trusted", ["", "192.0.2.2", "unix"])
def test_who_is_not_trusted_sees_neither_and_may_use_neither(trusted: str) -> None:
    served(
        *ask(b"EHLO me.example\r\n", b"250 mx.example\r\n"),
        *ask(b"XCLIENT NAME=a\r\n", NOT_TRUSTED),
        *ask(b"XFORWARD NAME=a\r\n", NOT_TRUSTED),
        *BYE,
        trusted=trusted,
    )
    assert seen == [("192.0.2.1", 2525), Ending.QUIT]


@pytest.mark.parametrize("address", [b"198.51.100.7", b"IPV6:::1", b"[UNAVAILABLE]"])
def test_a_client_behind_a_proxy_has_not_the_trust_of_the_proxy(address: bytes) -> None:
    served(
        *ask(b"XCLIENT ADDR=" + address + b"\r\n", GREETING),
        *ask(b"EHLO me.example\r\n", b"250 mx.example\r\n"),
        *ask(b"XCLIENT ADDR=192.0.2.1\r\n", NOT_TRUSTED),
        *ask(b"XFORWARD NAME=a\r\n", NOT_TRUSTED),
        *BYE,
        trusted=f"unix,{PROXY}",
    )


def test_a_proxy_that_does_not_say_where_the_client_is_stays_trusted() -> None:
    served(*ask(b"XCLIENT NAME=a\r\n", GREETING), *HELLO, *BYE)


def test_nobody_can_log_in_with_the_certificate_of_the_proxy() -> None:
    class Secure(smtp.Application):
        def connect(self) -> None:
            seen.append(self.peer.security)

    seen.clear()
    theirs = Negotiated("TLSv1.3", "AES", b"certificate")
    Served(
        Secure,
        *[Shake(theirs), Expect(GREETING)],
        *ask(b"XCLIENT NAME=a\r\n", GREETING),
        *BYE,
        extensions=EXTENSIONS,
        trusted=PROXY,
        tls=True,
    )
    assert seen == [theirs, Negotiated("TLSv1.3", "AES")]


def test_who_has_logged_in_at_the_proxy_may_send_where_that_is_asked() -> None:
    mail = b"MAIL FROM:<a@b.c>\r\n"
    Served(
        Noting,
        *[Expect(GREETING), *HELLO],
        *ask(mail, b"530 Authentication required\r\n"),
        *ask(b"XCLIENT LOGIN=joe\r\n", GREETING),
        *[*HELLO, *ask(mail, SENDER_OK), *BYE],
        extensions=EXTENSIONS,
        trusted=PROXY,
        profile=smtp.SUBMISSION,
    )


# Where a message came from.


def test_a_filter_tells_where_a_message_came_from() -> None:
    served(
        *HELLO,
        *ask(b"XFORWARD NAME=a.example ADDR=IPV6:::1 PORT=25\r\n", OK),
        *ask(b"XFORWARD PROTO=ESMTP HELO=b IDENT=c SOURCE=REMOTE PORT=26\r\n", OK),
        *TRANSACTION,
        *TRANSACTION,
        *ask(b"XFORWARD HELO=d\r\n", OK),
        *TRANSACTION,
        *BYE,
    )
    first, second, third = seen[2], seen[4], seen[6]
    assert first == Forwarded(
        name="a.example",
        address="::1",
        port=26,
        protocol="ESMTP",
        helo="b",
        ident="c",
        source=Source.REMOTE,
    )
    assert second is None
    assert third == Forwarded(helo="d")


def test_who_the_client_is_does_not_change() -> None:
    forwarded = ask(b"XFORWARD NAME=a ADDR=198.51.100.7 HELO=b\r\n", OK)
    served(*HELLO, *forwarded, *MAIL, *BYE)
    assert seen[1] == ("192.0.2.1", 2525, "", "me.example", "")


@pytest.mark.parametrize(
    "between",
    [
        ask(b"RSET\r\n", OK),
        HELLO,
        HELO,
        ask(b"XCLIENT NAME=a\r\n", GREETING) + HELLO,
        ask(b"MAIL FROM:<>\r\nRSET\r\n", SENDER_OK + OK),
    ],
    ids=["RSET", "EHLO", "HELO", "XCLIENT", "a transaction"],
)
def test_it_is_forgotten_with_what_it_was_for(between: list[Step]) -> None:
    said = ask(b"XFORWARD NAME=a\r\n", OK)
    served(*HELLO, *said, *between, *TRANSACTION, *BYE)
    assert None in seen


def test_it_is_forgotten_when_tls_begins() -> None:
    extensions = (*EXTENSIONS, smtp.extensions.StartTls())
    served(
        Say(b"EHLO a\r\n"),
        Expect(
            b"250-mx.example\r\n"
            b"250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
            b"250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n250 STARTTLS\r\n"
        ),
        *ask(b"XFORWARD NAME=a\r\n", OK),
        *ask(b"STARTTLS\r\n", b"220 Ready to start TLS\r\n"),
        Shake(),
        *[*HELLO, *TRANSACTION, *BYE],
        extensions=extensions,
    )
    assert None in seen


def test_what_is_no_longer_known_is_unknown() -> None:
    served(
        *HELLO,
        *ask(b"XFORWARD NAME=a PORT=25 SOURCE=LOCAL IDENT=x\r\n", OK),
        *ask(b"XFORWARD NAME=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n", OK),
        *ask(b"XFORWARD SOURCE=[UNAVAILABLE]\r\n", OK),
        *[*TRANSACTION, *BYE],
    )
    assert Forwarded(ident="x") in seen


def test_the_operator_is_told_of_both() -> None:
    got = served(
        *HELLO,
        *ask(b"XFORWARD NAME=a SOURCE=LOCAL\r\n", OK),
        *ask(b"XCLIENT ADDR=198.51.100.7 NAME=[UNAVAILABLE]\r\n", GREETING),
        *BYE,
    )
    assert [each for each in got.driver.notes if each.event.startswith("x")] == [
        Note("xforward", {"name": "a", "source": "LOCAL"}),
        Note("xclient", {"name": "[UNAVAILABLE]", "addr": "198.51.100.7"}),
    ]
