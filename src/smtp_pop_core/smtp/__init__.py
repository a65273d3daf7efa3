"""SMTP as a state machine, client and server.  The only door to its rooms."""

from typing import TYPE_CHECKING

from .._doors import door

if TYPE_CHECKING:
    from .._serving import Ending
    from . import _extensions as extensions
    from ._advice import Reason, Retry, advise
    from ._application import (
        Application,
        ApplicationFactory,
        AsyncApplication,
        Envelope,
        Forwarded,
        Peer,
    )
    from ._client import etrn, expand, help, noop, quit, reset, verify, xforward
    from ._commands import (
        Auth,
        AuthResponse,
        BadCommand,
        Bdat,
        BdatLast,
        Body,
        Connect,
        Data,
        Ehlo,
        EndOfChunk,
        EndOfMessage,
        Etrn,
        Expn,
        Extra,
        Helo,
        Help,
        Lhlo,
        Mail,
        Noop,
        Notify,
        Quit,
        Rcpt,
        Ret,
        Rset,
        StartTls,
        Vrfy,
    )
    from ._connection import Connection
    from ._events import Event
    from ._exchange import exchange
    from ._extensions import Extension, Extensions, Parameter, Verb, known, usual
    from ._forwarding import Source, Unavailable, Xclient, Xforward
    from ._grammar import Mailbox, own_domain, parse_forward_path, parse_mailbox
    from ._in_flight import InFlight
    from ._message import completed, count_hops, octets_of, recipients_of, sender_of
    from ._open import log_in, open, xclient
    from ._profile import RELAY, SUBMISSION, Profile
    from ._refuse import refuse
    from ._replies import (
        AuthenticationFailed,
        Command,
        EnhancedCode,
        InDoubt,
        Member,
        Rejected,
        Reply,
        ReplyClass,
        Subject,
    )
    from ._results import MailResult, Outcome, RecipientResult
    from ._send import send_mail, send_message
    from ._server import serve
    from ._state import PIPELINED, TRANSITIONS, Cell, Row, State, Table
    from ._status import STATUSES, Status, status_of
    from ._tolerances import Tolerances
else:
    __getattr__, __dir__ = door(
        __name__,
        {
            ".._serving": "Ending",
            "._advice": "Reason Retry advise",
            "._application": (
                "Application ApplicationFactory AsyncApplication Envelope Forwarded "
                "Peer"
            ),
            "._client": "etrn expand help noop quit reset verify xforward",
            "._commands": (
                "Auth AuthResponse BadCommand Bdat BdatLast Body Connect Data Ehlo "
                "EndOfChunk EndOfMessage Etrn Expn Extra Helo Help Lhlo Mail Noop "
                "Notify Quit Rcpt Ret Rset StartTls Vrfy"
            ),
            "._connection": "Connection",
            "._events": "Event",
            "._exchange": "exchange",
            "._extensions": "Extension Extensions Parameter Verb known usual",
            "._forwarding": "Source Unavailable Xclient Xforward",
            "._grammar": "Mailbox own_domain parse_forward_path parse_mailbox",
            "._in_flight": "InFlight",
            "._message": "completed count_hops octets_of recipients_of sender_of",
            "._open": "log_in open xclient",
            "._profile": "RELAY SUBMISSION Profile",
            "._refuse": "refuse",
            "._replies": (
                "AuthenticationFailed Command EnhancedCode InDoubt Member Rejected "
                "Reply ReplyClass Subject"
            ),
            "._results": "MailResult Outcome RecipientResult",
            "._send": "send_mail send_message",
            "._server": "serve",
            "._state": "PIPELINED TRANSITIONS Cell Row State Table",
            "._status": "STATUSES Status status_of",
            "._tolerances": "Tolerances",
        },
        extensions="._extensions",
    )

__all__ = [
    "Connection",
    "Event",
    "Tolerances",
    "Profile",
    "RELAY",
    "SUBMISSION",
    "Command",
    "Connect",
    "Ehlo",
    "Helo",
    "Lhlo",
    "Mail",
    "Body",
    "Ret",
    "Extra",
    "Rcpt",
    "Notify",
    "Data",
    "Bdat",
    "BdatLast",
    "EndOfChunk",
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
    "Etrn",
    "Xclient",
    "Xforward",
    "Unavailable",
    "Source",
    "BadCommand",
    "Reply",
    "ReplyClass",
    "Member",
    "EnhancedCode",
    "Subject",
    "Status",
    "STATUSES",
    "status_of",
    "Rejected",
    "AuthenticationFailed",
    "InDoubt",
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
    "log_in",
    "send_mail",
    "send_message",
    "sender_of",
    "recipients_of",
    "octets_of",
    "completed",
    "count_hops",
    "MailResult",
    "RecipientResult",
    "Outcome",
    "Retry",
    "Reason",
    "advise",
    "verify",
    "expand",
    "help",
    "etrn",
    "xclient",
    "xforward",
    "noop",
    "reset",
    "quit",
    "exchange",
    "serve",
    "refuse",
    "Application",
    "AsyncApplication",
    "ApplicationFactory",
    "Peer",
    "Forwarded",
    "Envelope",
    "Ending",
    "InFlight",
    "Mailbox",
    "parse_mailbox",
    "parse_forward_path",
    "own_domain",
]
