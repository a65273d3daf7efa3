import pytest

from smtp_pop_core import SERVER, smtp
from smtp_pop_core.smtp import Connection, EnhancedCode, Reply, State
from smtp_pop_core.smtp._defaults import default_reply
from smtp_talk import feed, ready_server, server_in

REFUSAL = Reply(552, ("Too large",), EnhancedCode(5, 3, 4))


class Frob(smtp.Command):
    """A command that nobody knows."""


CASES = [
    # RFC 5321 section 4.3.2
    (smtp.Connect(), "220 mx.example ESMTP"),
    (smtp.Helo("a.example"), "250 mx.example"),
    (smtp.Mail(""), "250 2.1.0 Sender OK"),
    (smtp.Rcpt("a@b"), "250 2.1.5 Recipient OK"),
    (smtp.Data(), "354 End data with <CR><LF>.<CR><LF>"),
    (smtp.EndOfMessage(), "250 2.0.0 Message accepted"),
    (smtp.EndOfMessage(REFUSAL), "552 5.3.4 Too large"),
    (smtp.Rset(), "250 2.0.0 OK"),
    (smtp.Noop("x"), "250 2.0.0 OK"),
    (smtp.Vrfy("x"), "252 2.5.0 Cannot verify, but will accept and try"),
    (smtp.Expn("x"), "252 2.5.0 Cannot expand, but will accept and try"),
    (smtp.Quit(), "221 2.0.0 mx.example closing"),
    (smtp.StartTls(), "220 2.0.0 Ready to start TLS"),
    (smtp.Auth("PLAIN"), "504 5.5.4 Mechanism not supported"),
    (smtp.AuthResponse(None), "501 5.7.0 Authentication cancelled"),
    (smtp.BadCommand(b"FROB", REFUSAL), "552 5.3.4 Too large"),
    (Frob(), "502 5.5.1 Command not implemented"),
]


@pytest.mark.parametrize(("command", "said"), CASES)
def test_a_sound_server_says(command: smtp.Command, said: str) -> None:
    assert str(default_reply(command, "mx.example")) == said
    server = Connection(SERVER, domain="mx.example")
    assert str(server.default_reply(command)) == said


def test_help_names_the_commands() -> None:
    """RFC 5321 section 4.1.1.8."""
    [text] = default_reply(smtp.Help(), "x").lines
    assert text.split() == [
        *("EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "VRFY", "EXPN", "HELP"),
        *("NOOP", "QUIT"),
    ]


EVERYTHING = [
    (State.CONNECTING, [b"N"]),
    (State.READY, [b"EHLO a", b"HELO a", b"MAIL FROM:<>", b"RSET", b"NOOP", b"HELP"]),
    (State.READY, [b"VRFY x", b"EXPN x", b"QUIT", b"STARTTLS", b"AUTH LOGIN"]),
    (State.READY, [b"FROB", b"DATA"]),
    (State.MAIL, [b"RCPT TO:<a@b>"]),
    (State.RCPT, [b"DATA"]),
    (State.DATA, [b".", b"\r\r\n."]),
    (State.AUTH, [b"", b"*", b"?"]),
]


@pytest.mark.parametrize(
    ("state", "said"), [(state, said) for state, lines in EVERYTHING for said in lines]
)
def test_what_is_said_can_be_sent(state: State, said: bytes) -> None:
    server = server_in(state)
    server.receive_data(said + b"\r\n")
    command = server.next_event()
    while not isinstance(command, smtp.Command):
        command = server.next_event()
    wire = server.send(server.default_reply(command))
    assert wire.endswith(b"\r\n")
    assert server.last_reply == server.default_reply(command)


def test_ehlo_is_answered_with_what_holds_now() -> None:
    server = ready_server(domain="mx.example")
    [ehlo] = feed(server, b"EHLO a.example\r\n")
    assert server.default_reply(ehlo).lines == (
        *("mx.example", "PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8"),
        *("ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "DSN"),
        *("LIMITS RCPTMAX=1000", "HELP", "STARTTLS", "AUTH LOGIN"),
    )
