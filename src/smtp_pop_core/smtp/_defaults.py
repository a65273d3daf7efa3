"""The replies that the standards prescribe, and those of a sound server."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from ._commands import (
    Auth,
    AuthResponse,
    BadCommand,
    Connect,
    Data,
    EndOfChunk,
    EndOfMessage,
    Etrn,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from ._forwarding import Xclient, Xforward
from ._replies import Command, EnhancedCode, Reply


def _reply(code: int, status: str, *lines: str) -> Reply:
    return Reply(code, lines, EnhancedCode.parse(status))


TOO_LONG: Final = _reply(500, "5.5.2", "Line too long")
AUTH_TOO_LONG: Final = _reply(500, "5.5.6", "Authentication line too long")
OUT_OF_ORDER: Final = _reply(503, "5.5.1", "Bad sequence of commands")
NOT_OFFERED: Final = _reply(502, "5.5.1", "Command not implemented")
TOO_MANY_RECIPIENTS: Final = _reply(452, "4.5.3", "Too many recipients")
TOO_MANY_MESSAGES: Final = _reply(421, "4.7.0", "Too many messages in one session")
TOO_MANY_ERRORS: Final = _reply(421, "4.7.0", "Too many bad commands")
FOREIGN: Final = _reply(421, "4.7.0", "Another protocol is spoken here")
EARLY: Final = Reply(554, ("The greeting comes first",), EnhancedCode(5, 5, 1))
TOO_MANY_IDLE: Final = _reply(421, "4.7.0", "Too many commands without a message")
TOO_MANY_REFUSED: Final = _reply(421, "4.7.0", "Too many refused commands")
NEEDS_TLS: Final = _reply(530, "5.7.0", "Must issue a STARTTLS command first")
UNAUTHENTICATED: Final = _reply(530, "5.7.0", "Authentication required")
UNQUALIFIED_SENDER: Final = _reply(554, "5.1.8", "The sender's domain is not full")
UNQUALIFIED_RECIPIENT: Final = _reply(554, "5.1.2", "The domain is not full")
NEEDS_UTF8: Final = _reply(553, "5.6.7", "A non-ASCII recipient needs SMTPUTF8")
TOO_LARGE: Final = _reply(552, "5.3.4", "Message too large")
BARE: Final = _reply(550, "5.6.0", "Bare CR or LF in the message")
EIGHT_BIT: Final = _reply(554, "5.6.3", "8-bit content needs BODY=8BITMIME")
_CHUNK_ACCEPTED: Final = _reply(250, "2.0.0", "Chunk accepted")
_MESSAGE_ACCEPTED: Final = _reply(250, "2.0.0", "Message accepted")

DEFAULTS: Final[Mapping[type, Reply]] = {
    Mail: _reply(250, "2.1.0", "Sender OK"),
    Rcpt: _reply(250, "2.1.5", "Recipient OK"),
    Data: Reply(354, ("End data with <CR><LF>.<CR><LF>",)),
    Rset: _reply(250, "2.0.0", "OK"),
    Noop: _reply(250, "2.0.0", "OK"),
    Vrfy: _reply(252, "2.5.0", "Cannot verify, but will accept and try"),
    Expn: _reply(252, "2.5.0", "Cannot expand, but will accept and try"),
    Help: _reply(
        214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET VRFY EXPN HELP NOOP QUIT"
    ),
    Etrn: _reply(459, "4.7.1", "Not allowed"),
    StartTls: _reply(220, "2.0.0", "Ready to start TLS"),
    Auth: _reply(504, "5.5.4", "Mechanism not supported"),
    AuthResponse: _reply(501, "5.7.0", "Authentication cancelled"),
    Xclient: _reply(550, "5.7.0", "Not authorized"),
    Xforward: _reply(250, "2.0.0", "OK"),
}
"""What is always the same."""


@lru_cache(maxsize=32)  # of the names that a server has: one, or a few
def _greeting(domain: str, protocol: str) -> Reply:
    return Reply(220, (f"{domain} {protocol}",))


@lru_cache(maxsize=32)
def _closing(domain: str) -> Reply:
    return _reply(221, "2.0.0", f"{domain} closing")


def default_reply(command: Command, domain: str, *, lmtp: bool = False) -> Reply:
    """Return what a sound server says to a command other than EHLO and LHLO.

    Args:
        command: The command.
        domain: The server's name.
        lmtp: Whether the server speaks LMTP.
    """
    reply = DEFAULTS.get(type(command))
    if reply is not None:
        return reply
    match command:
        case EndOfMessage(refusal=refusal):
            return refusal or _MESSAGE_ACCEPTED
        case EndOfChunk(refusal=refusal):
            return refusal or _CHUNK_ACCEPTED
        case BadCommand(reply=reply):
            return reply
        case Connect():
            return _greeting(domain, "LMTP" if lmtp else "ESMTP")
        case Helo():
            return Reply(250, (domain,))
        case Quit():
            return _closing(domain)
        case _:
            return NOT_OFFERED
