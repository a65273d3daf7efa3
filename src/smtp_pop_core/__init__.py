"""SMTP and POP3 as pure state machines: what both protocols share.

Each protocol is behind a door of its own: `from smtp_pop_core import pop3, smtp`.
"""

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
