"""SMTP and POP3 as pure state machines: what both protocols share.

Each protocol is behind a door of its own: `from smtp_pop_core import pop3, smtp`.
"""

from typing import TYPE_CHECKING

from ._doors import door

if TYPE_CHECKING:
    from ._errors import (
        Answer,
        AuthenticationFailed,
        ConnectionLost,
        Error,
        LocalProtocolError,
        MessageAborted,
        PolicyError,
        ProtocolError,
        Rejected,
        RemoteProtocolError,
        Stopping,
    )
    from ._events import ConnectionClosed, MessageData
    from ._flow import (
        Ask,
        AsyncBlocks,
        Blocks,
        Content,
        Deadline,
        Flow,
        Handshake,
        Negotiated,
        Note,
        On,
        Read,
        Report,
        Request,
        Sleep,
        Write,
        on,
        read,
    )
    from ._gate import Gate, Refusal
    from ._limits import Limits, Timeouts
    from ._networks import Networks
    from ._progress import Progress
    from ._roles import CLIENT, NEED_DATA, PAUSED, SERVER, Role, Signal
    from ._security import Logins, Security, Tls
    from ._source import Sendable
else:
    __getattr__, __dir__ = door(
        __name__,
        {
            "._errors": (
                "Answer AuthenticationFailed ConnectionLost Error "
                "LocalProtocolError MessageAborted PolicyError ProtocolError "
                "Rejected RemoteProtocolError Stopping"
            ),
            "._events": "ConnectionClosed MessageData",
            "._flow": (
                "Ask AsyncBlocks Blocks Content Deadline Flow Handshake Negotiated "
                "Note On Read Report Request Sleep Write on read"
            ),
            "._gate": "Gate Refusal",
            "._limits": "Limits Timeouts",
            "._networks": "Networks",
            "._progress": "Progress",
            "._roles": "CLIENT NEED_DATA PAUSED SERVER Role Signal",
            "._security": "Logins Security Tls",
            "._source": "Sendable",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "CLIENT",
    "SERVER",
    "Role",
    "NEED_DATA",
    "PAUSED",
    "Signal",
    "MessageData",
    "ConnectionClosed",
    "Limits",
    "Timeouts",
    "Networks",
    "Gate",
    "Refusal",
    "Flow",
    "Request",
    "Progress",
    "Read",
    "Write",
    "Handshake",
    "Negotiated",
    "Deadline",
    "Sleep",
    "Ask",
    "Report",
    "Note",
    "On",
    "read",
    "on",
    "Content",
    "Blocks",
    "AsyncBlocks",
    "Sendable",
    "Tls",
    "Security",
    "Logins",
    "Error",
    "ProtocolError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "ConnectionLost",
    "Rejected",
    "AuthenticationFailed",
    "Answer",
    "MessageAborted",
    "PolicyError",
    "Stopping",
]
