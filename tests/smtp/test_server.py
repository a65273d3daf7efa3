"""Serving: what the application is asked, and what the client is told."""

from collections.abc import Sequence

import pytest

from cutting import every_cut
from driving import Close, Driver, Expect, Peer, Say
from serving import (
    ENVELOPE,
    GO,
    GREETING,
    HELLO,
    QUIT,
    RECIPIENT_OK,
    SENDER_OK,
    Served,
    Taking,
    told,
)
from smtp_pop_core import SERVER, AsyncBlocks, Blocks, Limits, smtp
from smtp_pop_core.smtp import Ending, Reply

NO_STORE = Expect(b"550 5.3.2 This server does not take messages\r\n")
EHLO_REPLY = (
    b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n"
    b"250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
    b"250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250-LIMITS RCPTMAX=1000\r\n"
    b"250 HELP\r\n"
)


class Plain(smtp.Application):
    """Writes every method."""

    def connect(self) -> Reply | None:
        told.append("connect")
        return None

    def mail(self, command: smtp.Mail) -> Reply | None:
        told.append(command)
        return None

    def rcpt(self, command: smtp.Rcpt) -> Reply | None:
        told.append(command)
        return None

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        told.append((envelope.sender, envelope.recipients, content.read()))
        return None

    def verify(self, command: smtp.Vrfy) -> Reply | None:
        told.append(command)
        return None

    def close(self, reason: Ending) -> None:
        told.append(reason)


class Asynchronous(smtp.AsyncApplication):
    """The same in async code."""

    async def connect(self) -> Reply | None:
        told.append("connect")
        return None

    async def mail(self, command: smtp.Mail) -> Reply | None:
        told.append(command)
        return None

    async def rcpt(self, command: smtp.Rcpt) -> Reply | None:
        told.append(command)
        return None

    async def message(
        self, envelope: smtp.Envelope, content: AsyncBlocks
    ) -> Reply | None:
        told.append((envelope.sender, envelope.recipients, await content.read()))
        return None

    async def verify(self, command: smtp.Vrfy) -> Reply | None:
        told.append(command)
        return None

    async def close(self, reason: Ending) -> None:
        told.append(reason)


KINDS = [Plain, Asynchronous]
WHOLE = (
    b"EHLO me.example\r\nVRFY joe\r\n" + ENVELOPE + b"hello\r\n.\r\nNOOP\r\nQUIT\r\n"
)
ANSWERS = (
    b"220 mx.example ESMTP\r\n"
    + EHLO_REPLY
    + b"252 2.5.0 Cannot verify, but will accept and try\r\n"
    + SENDER_OK
    + RECIPIENT_OK
    + GO
    + b"250 2.0.0 Message accepted\r\n250 2.0.0 OK\r\n"
    + b"221 2.0.0 mx.example closing\r\n"
)


# What is asked.


@pytest.mark.parametrize("kind", KINDS)
def test_an_application_is_asked_what_it_decides(
    kind: smtp.ApplicationFactory,
) -> None:
    served = Served(kind, Say(WHOLE), Expect(ANSWERS))
    assert served.ending is Ending.QUIT
    assert served.driver.reports == []
    assert told == [
        "connect",
        smtp.Vrfy("joe"),
        smtp.Mail("a@example.com"),
        smtp.Rcpt("b@example.com"),
        ("a@example.com", ("b@example.com",), b"hello\r\n"),
        Ending.QUIT,
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_may_be_cut_at_any_octet(kind: smtp.ApplicationFactory) -> None:
    for cut in every_cut(WHOLE):
        served = Served(kind, *map(Say, cut), Expect(ANSWERS))
        assert served.ending is Ending.QUIT
        assert told[-2:] == [
            ("a@example.com", ("b@example.com",), b"hello\r\n"),
            Ending.QUIT,
        ]


@pytest.mark.parametrize("kind", [smtp.Application, smtp.AsyncApplication])
def test_an_application_that_decides_nothing_is_asked_nothing(
    kind: smtp.ApplicationFactory,
) -> None:
    answers = ANSWERS.replace(b"250 2.0.0 Message accepted\r\n", NO_STORE.data)
    served = Served(kind, Say(WHOLE), Expect(answers))
    assert served.driver.asked == [kind.__name__]  # type: ignore[attr-defined]
    assert served.ending is Ending.QUIT


def test_the_methods_of_an_application_have_defaults() -> None:
    """A class may call those of its base."""

    class Polite(smtp.Application):
        def connect(self) -> Reply | None:
            return super().connect()

        def mail(self, command: smtp.Mail) -> Reply | None:
            return super().mail(command)

        def rcpt(self, command: smtp.Rcpt) -> Reply | None:
            return super().rcpt(command)

        def message(
            self, envelope: smtp.Envelope, content: Blocks
        ) -> Reply | Sequence[Reply] | None:
            return super().message(envelope, content)

        def verify(self, command: smtp.Vrfy) -> Reply | None:
            return super().verify(command)

        def close(self, reason: Ending) -> None:
            super().close(reason)

    class AsyncPolite(smtp.AsyncApplication):
        async def connect(self) -> Reply | None:
            return await super().connect()

        async def mail(self, command: smtp.Mail) -> Reply | None:
            return await super().mail(command)

        async def rcpt(self, command: smtp.Rcpt) -> Reply | None:
            return await super().rcpt(command)

        async def message(
            self, envelope: smtp.Envelope, content: AsyncBlocks
        ) -> Reply | Sequence[Reply] | None:
            return await super().message(envelope, content)

        async def verify(self, command: smtp.Vrfy) -> Reply | None:
            return await super().verify(command)

        async def close(self, reason: Ending) -> None:
            await super().close(reason)

    answers = ANSWERS.replace(b"250 2.0.0 Message accepted\r\n", NO_STORE.data)
    kinds: list[smtp.ApplicationFactory] = [Polite, AsyncPolite]
    for kind in kinds:
        served = Served(kind, Say(WHOLE), Expect(answers))
        assert len(served.driver.asked) == 7
        assert served.driver.reports == []


class Deciding(smtp.Application):
    """Decides on everything otherwise than by default."""

    def connect(self) -> Reply | None:
        return Reply(220, ("mx.example at your service",))

    def mail(self, command: smtp.Mail) -> Reply | None:
        return Reply(250, (f"hello {command.sender}",))

    def rcpt(self, command: smtp.Rcpt) -> Reply | None:
        known = command.recipient == "b@example.com"
        return Reply(251 if known else 550, ("known" if known else "unknown",))

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Reply | None:
        return Reply(452, ("full", "very full"), smtp.EnhancedCode(4, 2, 2))

    def verify(self, command: smtp.Vrfy) -> Reply | None:
        return Reply(250, ("Joe <joe@example.com>",))


def test_what_an_application_decides_is_told() -> None:
    served = Served(
        Deciding,
        Expect(b"220 mx.example at your service\r\n"),
        Say(b"HELO me.example\r\nVRFY joe\r\nMAIL FROM:<a@example.com>\r\n"),
        Expect(b"250 mx.example\r\n250 2.0.0 Joe <joe@example.com>\r\n"),
        Say(b"RCPT TO:<x@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"),
        Expect(b"250 2.0.0 hello a@example.com\r\n550 5.0.0 unknown\r\n"),
        Expect(b"251 2.0.0 known\r\n" + GO),
        Say(b"hello\r\n.\r\n"),
        Expect(b"452-4.2.2 full\r\n452 4.2.2 very full\r\n"),
        *QUIT,
    )
    assert served.driver.reports == []


def test_only_accepted_recipients_are_in_the_envelope_of_this_message() -> None:
    class Choosing(Plain):
        def rcpt(self, command: smtp.Rcpt) -> Reply | None:
            return Reply(550) if command.recipient.startswith("x") else None

    def said(*names: str) -> bytes:
        lines = [f"RCPT TO:<{name}@example.com>\r\n".encode() for name in names]
        return b"MAIL FROM:<>\r\n" + b"".join(lines) + b"DATA\r\n.\r\n"

    conversation = b"HELO me\r\n" + said("x", "b", "c") + b"MAIL FROM:<a@b.example>\r\n"
    conversation += b"RCPT TO:<lost@example.com>\r\nRSET\r\n" + said("b", "x")
    peer = Peer(Say(conversation), Close())
    conn = smtp.Connection(SERVER)
    assert Driver(peer).run(smtp.serve(conn, Choosing)) is Ending.LOST
    assert [each for each in told if isinstance(each, tuple)] == [
        ("", ("b@example.com", "c@example.com"), b""),
        ("", ("b@example.com",), b""),
    ]


def test_a_peer_is_kept_up_to_date() -> None:
    class Looking(smtp.Application):
        def connect(self) -> Reply | None:
            self.look()
            return None

        def mail(self, command: smtp.Mail) -> Reply | None:
            self.look()
            return None

        def look(self) -> None:
            peer = self.peer
            told.append((peer.helo, peer.tls, list(peer.extensions)[:2]))
            assert (peer.address, peer.port) == ("192.0.2.1", 2525)

    mail = b"MAIL FROM:<>\r\n"
    Served(
        Looking,
        GREETING,
        Say(b"EHLO one.example\r\n" + mail),
        Expect(EHLO_REPLY + SENDER_OK),
        Say(b"HELO [192.0.2.9]\r\n" + mail + b"EHLO two example\r\n"),
        Expect(b"250 mx.example\r\n" + SENDER_OK),
        Expect(b"501 5.5.4 Syntax error in arguments\r\n"),
        *QUIT,
    )
    assert told == [
        ("", False, []),
        ("one.example", False, ["PIPELINING", "SIZE"]),
        ("[192.0.2.9]", False, []),
    ]


def test_an_envelope_names_sender_and_recipients() -> None:
    rcpts = (smtp.Rcpt("b@example.com"), smtp.Rcpt("c@example.com"))
    envelope = smtp.Envelope(smtp.Mail("a@example.com"), rcpts)
    assert envelope.sender == "a@example.com"
    assert envelope.recipients == ("b@example.com", "c@example.com")


# What is written when.


def test_the_replies_to_a_group_are_one_write() -> None:
    """RFC 2920 section 3.2."""
    group = b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\n"
    served = Served(
        Taking,
        *HELLO,
        Say(group),
        Expect(b"250 2.0.0 OK\r\n" + SENDER_OK + RECIPIENT_OK),
        Say(
            b"RCPT TO:<c@example.com>\r\nDATA\r\nhello\r\n.\r\nRSET\r\nNOOP\r\nRSET\r\n"
        ),
        Expect(RECIPIENT_OK + GO),
        Expect(b"250 2.0.0 Message accepted\r\n" + b"250 2.0.0 OK\r\n" * 3),
        *QUIT,
    )
    assert served.peer.writes[2:] == [
        b"250 2.0.0 OK\r\n" + SENDER_OK + RECIPIENT_OK,
        RECIPIENT_OK + GO,
        b"250 2.0.0 Message accepted\r\n",
        b"250 2.0.0 OK\r\n" * 2,
        b"250 2.0.0 OK\r\n",
        b"221 2.0.0 mx.example closing\r\n",
    ]


@pytest.mark.parametrize(
    "last",
    [b"NOOP", b"VRFY x", b"EXPN x", b"HELP", b"EHLO x", b"HELO x", b"DATA", b"WHAT"],
)
def test_what_may_only_be_last_in_a_group_is_answered_at_once(last: bytes) -> None:
    peer = Peer(*HELLO, Say(last + b"\r\nRSET\r\n"))
    conn = smtp.Connection(SERVER, domain="mx.example")
    Driver(peer).run(smtp.serve(conn, smtp.Application))
    answer, *others = peer.writes[2:]
    assert not answer.endswith(b"250 2.0.0 OK\r\n250 2.0.0 OK\r\n")
    assert others == [b"250 2.0.0 OK\r\n", b"421 4.4.2 Timeout, closing\r\n"]


def test_the_replies_that_are_gathered_are_bounded() -> None:
    served = Served(
        Taking,
        *HELLO,
        Say(b"RSET\r\n" * 100),
        Expect(b"250 2.0.0 OK\r\n" * 100),
        *QUIT,
        limits=Limits(block=200, idle_commands=1_000),
    )
    assert max(map(len, served.peer.writes)) < 220


# The name of a host.


@pytest.mark.parametrize(
    ("hostname", "address", "domain"),
    [
        ("mx.example", "192.0.2.1", "mx.example"),
        ("mx.example", "", "mx.example"),
        ("a-b.c-d.example", "", "a-b.c-d.example"),
        ("host", "192.0.2.1", "[192.0.2.1]"),
        ("my_host.example", "192.0.2.1", "[192.0.2.1]"),
        ("-x.example", "192.0.2.1", "[192.0.2.1]"),
        ("mx.example.", "192.0.2.1", "[192.0.2.1]"),
        ("mx.example\r\nQUIT", "192.0.2.1", "[192.0.2.1]"),
        ("bücher.example", "192.0.2.1", "[192.0.2.1]"),
        ("", "192.0.2.1", "[192.0.2.1]"),
        ("localhost", "127.0.0.1", "[127.0.0.1]"),
        ("host", "2001:db8::1", "[IPv6:2001:db8::1]"),
        ("host", "fe80::1%eth0", "[IPv6:fe80::1]"),
        ("host", "::1", "[IPv6:::1]"),
        ("host", "", "localhost"),
        ("host", "not an address", "localhost"),
        ("host", "/run/socket", "localhost"),
        ("", "", "localhost"),
    ],
)
def test_a_host_calls_itself_by_the_best_name_it_has(
    hostname: str, address: str, domain: str
) -> None:
    assert smtp.own_domain(hostname, address) == domain
    assert smtp.Connection(SERVER, domain=domain).domain == domain
