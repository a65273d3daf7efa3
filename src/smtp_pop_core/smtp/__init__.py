"""SMTP as a state machine, client and server.  The only door to its rooms."""

from . import _extensions as extensions
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
from ._extensions import Extension, Extensions, Parameter, Verb, known, usual
from ._grammar import Mailbox, parse_forward_path, parse_mailbox
from ._replies import Command, EnhancedCode, Rejected, Reply, ReplyClass
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
    "Mailbox",
    "parse_mailbox",
    "parse_forward_path",
]
