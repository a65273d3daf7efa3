"""Every bound of the library, with its unit."""

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.  RFC 5321 section 4.5.3.2.

    Each is for one step and not for the whole conversation, and single octets do not
    push it back.

    Attributes:
        greeting: A client waits for the greeting.
        mail: A client waits for the reply to MAIL.
        rcpt: A client waits for the reply to RCPT.
        data: A client waits for the reply to DATA.
        block: Either side: for one block of content, `Limits.block` octets.
        end: A client waits for the reply to the end of the content.
        other: A client waits for the reply to any other command.
        command: A server waits for the next command.
        write: A server waits until the peer has taken its replies.
    """

    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    end: float = 600
    other: float = 300
    command: float = 300
    write: float = 180

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise ValueError(f"{each.name} must be above 0 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What either side bears before it says no.

    Attributes:
        command_line: Octets of a command line with its CRLF; extensions add to it for
            MAIL and RCPT.  Over it: 500.  RFC 5321 section 4.5.3.1.4.
        auth_line: Octets of a line of an authentication exchange.  RFC 4954 section 4.
        reply_line: Octets of a line of a reply with its CRLF that a client
            accepts.  Over it: RemoteProtocolError.  RFC 5321 section 4.5.3.1.5 wants
            512 at least.
        reply_lines: Lines of a reply that a client accepts.
        content: Octets of a message's content as the application gets it, or None for
            no bound.  Over it the content is read to its end and answered 552.
        recipients: Accepted recipients of a message.  Over it: 452 4.5.3, and those
            accepted stay.  RFC 5321 section 4.5.3.1.8 wants 100 at least.
        bad_commands: Commands of a session that are unknown, malformed or too long.
            Over it: 421.  Commands out of order do not count: a client that pipelines
            sends them after a refusal.
        messages: Messages of a session, or None for no bound.  Over it: 421.
        block: Octets of content that are read, handed on and written in one go.
        pipelined_commands: Commands that a client sends before it reads their replies.
        pipelined_octets: The same in octets, so that two peers never wait in a write
            for each other.  RFC 2920 section 3.1.
        timeouts: How long to wait.
    """

    command_line: int = 512
    auth_line: int = 12_288
    reply_line: int = 4_096
    reply_lines: int = 1_000
    content: int | None = 50_000_000
    recipients: int = 1_000
    bad_commands: int = 20
    messages: int | None = None
    block: int = 65_536
    pipelined_commands: int = 100
    pipelined_octets: int = 8_192
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 512 if each.name in ("command_line", "reply_line") else 1
            if isinstance(value, int) and value < least:
                raise ValueError(f"{each.name} must be at least {least}")
