"""Every bound of the library, with its unit."""

from dataclasses import dataclass, field, fields
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.  RFC 5321 section 4.5.3.2, RFC 1939 section 3.

    Each is for one step and not for the whole conversation, and single octets do not
    push it back.

    Attributes:
        greeting: A client waits for the greeting.
        mail: A client waits for the reply to MAIL.
        rcpt: A client waits for the reply to RCPT.
        data: A client waits for the reply to DATA.
        block: Either side: for one block of content, `Limits.block` octets.
        end: A client waits for the reply to the end of the content, or to the QUIT with
            which POP3 removes messages.
        other: A client waits for the reply to any other command.
        command: A server waits for the next command.
        autologout: A POP3 server waits for the next command.  RFC 1939 section 3 wants
            600 at least.
        write: A server waits until the peer has taken its replies.
        proxy: A server waits for the whole PROXY header, where one comes first.  Its
            section 2 wants 3 at least.
    """

    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    end: float = 600
    other: float = 300
    command: float = 300
    autologout: float = 600
    write: float = 180
    proxy: float = 10

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise ValueError(f"{each.name} must be above 0 seconds")


_LEAST: Final = {
    "command_line": 512,
    "reply_line": 512,
    "pop3_command_line": 255,
    "proxy_header": 216,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What either side bears before it says no.

    Attributes:
        command_line: Octets of a command line with its CRLF; extensions add to it for
            MAIL and RCPT.  Over it: 500.  RFC 5321 section 4.5.3.1.4.
        pop3_command_line: The same for POP3.  Over it: -ERR.  RFC 2449 section 4.
        auth_line: Octets of a line of an authentication exchange.  RFC 4954 section 4.
        reply_line: Octets of a line of a reply or response with its CRLF that a client
            accepts.  Over it: RemoteProtocolError.  RFC 5321 section 4.5.3.1.5 and
            RFC 1939 section 3 want 512 at least.
        reply_lines: Lines of a reply that a client accepts.
        listing: Octets of a listing of LIST, UIDL or CAPA that a client accepts.  Over
            it: RemoteProtocolError.
        content: Octets of a message's content, or None for no bound.  A server reads
            what is longer to its end and answers 552; a POP3 client streams any length
            and has this bound only where it returns a message in one piece.
        recipients: Accepted recipients of a message.  Over it: 452 4.5.3, and those
            accepted stay.  RFC 5321 section 4.5.3.1.8 wants 100 at least.
        bad_commands: Commands of a session that are unknown, malformed or too long.
            Over it: 421, or -ERR and the end.  Commands out of order do not count: a
            client that pipelines sends them after a refusal.
        idle_commands: Commands of a session, since the content of its last message,
            that serve no message: NOOP, RSET, VRFY, EHLO and all others but MAIL, RCPT,
            DATA, BDAT, AUTH, XFORWARD and QUIT; XCLIENT begins the count anew.  Over
            it: 421.  In POP3 it is -ERR and the end, for all but QUIT, PASS, APOP,
            AUTH, and those that name a message; RETR, TOP and DELE begin it anew.
        refused_commands: Commands of a session, since the content of its last message,
            that had a no, also those out of order.  Over it: 421, or -ERR and the end.
            A client that pipelines meets as many at once as it names recipients.
        failed_logins: Logins of a session that fail.  With the last of them the server
            ends the session.
        messages: Messages of a session, or None for no bound.  Over it: 421.
        block: Octets of content that are read, handed on and written in one go.
        pipelined_commands: Commands that a client sends before it reads their replies.
        pipelined_octets: The same in octets, so that two peers never wait in a write
            for each other.  RFC 2920 section 3.1.
        proxy_header: Octets of a PROXY header of version 2 behind its first 16, where
            one comes first.  Over it: the connection is closed.  A header that two Unix
            sockets fit in has 216.
        timeouts: How long to wait.
    """

    command_line: int = 512
    pop3_command_line: int = 255
    auth_line: int = 12_288
    reply_line: int = 4_096
    reply_lines: int = 1_000
    listing: int = 20_000_000
    content: int | None = 50_000_000
    recipients: int = 1_000
    bad_commands: int = 20
    idle_commands: int = 100
    refused_commands: int = 10_000
    failed_logins: int = 5
    messages: int | None = None
    block: int = 65_536
    pipelined_commands: int = 100
    pipelined_octets: int = 8_192
    proxy_header: int = 65_535
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = _LEAST.get(each.name, 1)
            if isinstance(value, int) and value < least:
                raise ValueError(f"{each.name} must be at least {least}")
