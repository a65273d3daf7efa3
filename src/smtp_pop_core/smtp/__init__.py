"""SMTP as a state machine, client and server.  The only door to its rooms."""

from . import _extensions as extensions
from ._application import (
    Application,
    ApplicationFactory,
    AsyncApplication,
    Ending,
    Envelope,
    Peer,
)
from ._client import expand, help, noop, open, quit, reset, verify
from ._commands import (
    Auth,
    AuthResponse,
    BadCommand,
    Body,
    Connect,
    Data,
    Ehlo,
    EndOfMessage,
    Expn,
    Extra,
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
from ._connection import Connection
from ._events import Event
from ._exchange import exchange
from ._extensions import Extension, Extensions, Parameter, Verb, known, usual
from ._grammar import Mailbox, own_domain, parse_forward_path, parse_mailbox
from ._message import count_hops, octets_of, recipients_of, sender_of
from ._replies import Command, EnhancedCode, Rejected, Reply, ReplyClass
from ._results import MailResult, Outcome, RecipientResult
from ._send import send_mail, send_message
from ._server import serve
from ._state import PIPELINED, TRANSITIONS, Cell, Row, State, Table
from ._tolerances import Tolerances

__all__ = [
    "Connection",
    "Event",
    "Tolerances",
    "Command",
    "Connect",
    "Ehlo",
    "Helo",
    "Mail",
    "Body",
    "Extra",
    "Rcpt",
    "Data",
    "EndOfMessage",
    "Rset",
    "Vrfy",
    "Expn",
    "Help",
    "Noop",
    "Quit",
    "StartTls",
    "Auth",
    "AuthResponse",
    "BadCommand",
    "Reply",
    "ReplyClass",
    "EnhancedCode",
    "Rejected",
    "State",
    "TRANSITIONS",
    "PIPELINED",
    "Table",
    "Row",
    "Cell",
    "extensions",
    "Extension",
    "Extensions",
    "Parameter",
    "Verb",
    "usual",
    "known",
    "open",
    "send_mail",
    "send_message",
    "sender_of",
    "recipients_of",
    "octets_of",
    "count_hops",
    "MailResult",
    "RecipientResult",
    "Outcome",
    "verify",
    "expand",
    "help",
    "noop",
    "reset",
    "quit",
    "exchange",
    "serve",
    "Application",
    "AsyncApplication",
    "ApplicationFactory",
    "Peer",
    "Envelope",
    "Ending",
    "Mailbox",
    "parse_mailbox",
    "parse_forward_path",
    "own_domain",
]
