"""What an application decides beside mail: EXPN, other commands, LMTP's recipients."""

from collections.abc import Sequence
from typing import Any

import pytest

from driving import Driver, Expect, Peer, Say, Shake, play
from serving import Served
from smtp_pop_core import (
    CLIENT,
    SERVER,
    Blocks,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
    smtp,
)
from smtp_pop_core.smtp import Reply
from smtp_talk import feed, pair_in, ready_server

GREETING = Expect(b"220 mx.example ESMTP\r\n")
HELO = [GREETING, Say(b"HELO me.example\r\n"), Expect(b"250 mx.example\r\n")]
QUIT = [Say(b"QUIT\r\n"), Expect(b"221 2.0.0 mx.example closing\r\n")]


class Deciding(smtp.Application):
    """Expands a list, and helps."""

    def expand(self, command: smtp.Expn) -> Reply | None:
        if command.string == "list":
            return Reply(250, ("a@b.example", "c@d.example"))
        return super().expand(command)

    def command(self, command: smtp.Command) -> Reply | None:
        if command == smtp.Help("expn"):
            return Reply(214, ("ask for a list",))
        return super().command(command)


def test_lists_and_other_commands_are_decided() -> None:
    served = Served(
        Deciding,
        *HELO,
        Say(b"EXPN list\r\n"),
        Expect(b"250-2.0.0 a@b.example\r\n250 2.0.0 c@d.example\r\n"),
        Say(b"EXPN x\r\n"),
        Expect(b"252 2.5.0 Cannot expand, but will accept and try\r\n"),
        Say(b"HELP expn\r\n"),
        Expect(b"214 2.0.0 ask for a list\r\n"),
        Say(b"HELP\r\nNOOP\r\n"),
        Expect(
            b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET VRFY EXPN HELP NOOP QUIT\r\n"
            b"250 2.0.0 OK\r\n"
        ),
        *QUIT,
    )
    assert served.ending is smtp.Ending.QUIT


class AsyncDeciding(smtp.AsyncApplication):
    """The defaults, in async code."""

    async def expand(self, command: smtp.Expn) -> Reply | None:
        return await super().expand(command)

    async def command(self, command: smtp.Command) -> Reply | None:
        return await super().command(command)


def test_the_defaults_are_the_same_in_async_code() -> None:
    served = Served(
        AsyncDeciding,
        *HELO,
        Say(b"EXPN x\r\n"),
        Expect(b"252 2.5.0 Cannot expand, but will accept and try\r\n"),
        Say(b"HELP\r\n"),
        Expect(b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET VRFY EXPN HELP NOOP QUIT\r\n"),
        *QUIT,
    )
    assert served.driver.reports == []


def test_a_handshake_that_fails_ends_the_session() -> None:
    extensions = (smtp.extensions.StartTls(),)
    served = Served(
        Deciding,
        GREETING,
        Say(b"EHLO me.example\r\n"),
        Expect(b"250-mx.example\r\n250 STARTTLS\r\n"),
        Say(b"STARTTLS\r\n"),
        Expect(b"220 Ready to start TLS\r\n"),
        Shake(OSError("no shared cipher")),
        extensions=extensions,
    )
    assert served.ending is smtp.Ending.LOST


def serve_lmtp(answer: object, said: bytes) -> list[Exception]:
    """Serve a message for two recipients, and return what was reported."""

    def message(self: smtp.Application, envelope: object, content: Blocks) -> object:
        return answer

    factory: Any = type("Answering", (smtp.Application,), {"message": message})
    conn = smtp.Connection(SERVER, domain="mx.example", extensions=(), lmtp=True)
    peer = Peer(
        Expect(b"220 mx.example LMTP\r\n"),
        Say(b"LHLO me.example\r\n"),
        Expect(b"250 mx.example\r\n"),
        Say(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        Expect(
            b"250 Sender OK\r\n250 Recipient OK\r\n250 Recipient OK\r\n"
            b"354 End data with <CR><LF>.<CR><LF>\r\n"
        ),
        Say(b"x\r\n.\r\nQUIT\r\n"),
        Expect(said + b"221 mx.example closing\r\n"),
    )
    driver = Driver(peer)
    driver.run(smtp.serve(conn, factory))
    peer.finish()
    return driver.reports


ANSWERS: list[tuple[object, bytes, int]] = [
    (None, b"250 Message accepted\r\n" * 2, 0),
    (Reply(250, ("kept",)), b"250 kept\r\n" * 2, 0),
    ((Reply(250, ("kept",)), Reply(452, ("full",))), b"250 kept\r\n452 full\r\n", 0),
    ([Reply(550, ("no",)), Reply(250, ("yes",))], b"550 no\r\n250 yes\r\n", 0),
    ([Reply(250)], b"451 Local error in processing\r\n" * 2, 1),
    ("250 OK", b"451 Local error in processing\r\n" * 2, 1),
]


@pytest.mark.parametrize(("answer", "said", "mistakes"), ANSWERS)
def test_each_recipient_of_lmtp_has_a_reply(
    answer: object, said: bytes, mistakes: int
) -> None:
    """RFC 2033 section 4.2."""
    assert len(serve_lmtp(answer, said)) == mistakes


class Several(smtp.Application):
    """Answers for each recipient, which SMTP does not have."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> Sequence[Reply]:
        return [Reply(250)]


def test_smtp_has_one_reply_for_all() -> None:
    served = Served(
        Several,
        *HELO,
        Say(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\n"),
        Expect(
            b"250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
            b"354 End data with <CR><LF>.<CR><LF>\r\n"
            b"451 4.3.0 Local error in processing\r\n"
        ),
        *QUIT,
    )
    assert [type(each) for each in served.driver.reports] == [TypeError]


ASKED = [
    (b"VRFY a\r\n", 250, False),
    (b"VRFY a SMTPUTF8\r\n", 250, True),
    (b"EXPN a\r\n", 250, False),
    (b"EXPN a SMTPUTF8\r\n", 250, True),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 251, False),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 551, False),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 550, True),
    (b"MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<a@b>\r\n", 251, True),
    (b"HELP\r\n", 214, True),
]


@pytest.mark.parametrize(("line", "code", "allowed"), ASKED)
def test_addresses_with_utf8_are_said_only_to_who_asked(
    line: bytes, code: int, allowed: bool
) -> None:
    """RFC 6531 section 3.7.4."""
    server = ready_server()
    [*_] = feed(server, line)
    if line.startswith(b"MAIL"):
        server.send(Reply(250))
        server.next_event()
    reply = Reply(code, ("<é@b.example>",))
    sends = True
    try:
        server.send(reply)
    except LocalProtocolError:
        sends = False
    assert sends is allowed


def offering(*offers: str) -> smtp.Connection:
    conn = smtp.Connection(CLIENT, domain="me.example")
    lines = ["mx.example", *offers]
    hello = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
    play(
        smtp.open(conn),
        Say(b"220 mx.example\r\n"),
        Expect(b"EHLO me.example\r\n"),
        Say(hello.encode()),
    )
    return conn


NEEDS = [
    ((), smtp.Mail("é@b", smtputf8=True), b"x", "SMTPUTF8"),
    ((), smtp.Mail("a@b"), "Subject: é\n\n".encode(), "SMTPUTF8"),
    ((), smtp.Mail("a@b"), b"\n\xe9", "8BITMIME"),
    (("BINARYMIME",), smtp.Mail("a@b", body=smtp.Body.BINARYMIME), b"x", "CHUNKING"),
    (("CHUNKING",), smtp.Mail("a@b", body=smtp.Body.BINARYMIME), b"x", "BINARYMIME"),
    (("8BITMIME",), smtp.Mail("a@b", body=smtp.Body.SEVEN_BIT), b"\xe9", "BODY=7BIT"),
]


@pytest.mark.parametrize(("offers", "mail", "content", "missing"), NEEDS)
def test_what_the_server_lacks_is_said_before_sending(
    offers: tuple[str, ...], mail: smtp.Mail, content: bytes, missing: str
) -> None:
    conn = offering(*offers)
    with pytest.raises(PolicyError, match=missing):
        play(smtp.send_mail(conn, mail, ["c@d"], content))
    assert conn.state is smtp.State.READY


def test_seven_bit_content_may_be_declared() -> None:
    conn = offering("8BITMIME")
    mail = smtp.Mail("a@b", body=smtp.Body.SEVEN_BIT)
    result = play(
        smtp.send_mail(conn, mail, ["c@d"], b"x"),
        Expect(b"MAIL FROM:<a@b> BODY=7BIT\r\n"),
        Say(b"550 no\r\n"),
    )
    assert result.outcome is smtp.Outcome.REFUSED


def test_only_220_lets_tls_begin() -> None:
    """RFC 3207 section 4."""
    client, _ = pair_in(smtp.State.READY)
    client.send(smtp.StartTls())
    client.receive_data(b"250 2.0.0 fine\r\n")
    with pytest.raises(RemoteProtocolError):
        client.next_event()
    assert client.state is smtp.State.CLOSED


def test_lmtp_has_no_ehlo_and_smtp_no_lhlo() -> None:
    """RFC 2033 section 4.1."""
    local = smtp.Connection(CLIENT, lmtp=True)
    remote = smtp.Connection(CLIENT)
    for conn, hello in ((local, smtp.Ehlo("a")), (remote, smtp.Lhlo("a"))):
        feed(conn, b"220 mx.example\r\n")
        with pytest.raises(LocalProtocolError, match="is not a command here"):
            conn.send(hello)
