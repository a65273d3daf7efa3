"""POP3 as a state machine, client and server.  The only door to its rooms."""

from typing import TYPE_CHECKING

from .._doors import door

if TYPE_CHECKING:
    from .._serving import Ending
    from . import _capabilities as capabilities
    from ._application import (
        Application,
        ApplicationFactory,
        AsyncApplication,
        AsyncMaildrop,
        Maildrop,
        MaildropInUse,
        Message,
        Peer,
        size_of,
    )
    from ._capabilities import Capabilities, Capability, Verb, known, usual
    from ._client import (
        language,
        languages,
        messages,
        noop,
        quit,
        reset,
        sizes,
        status,
        unique_ids,
        utf8,
    )
    from ._collect import collect
    from ._commands import (
        Apop,
        Auth,
        AuthList,
        AuthResponse,
        BadCommand,
        Capa,
        Connect,
        Dele,
        Lang,
        List,
        Noop,
        Pass,
        Quit,
        Retr,
        Rset,
        Stat,
        Stls,
        Top,
        Uidl,
        User,
        Utf8,
    )
    from ._connection import Connection
    from ._events import EndOfMessage, Event
    from ._exchange import exchange
    from ._open import ask_capabilities, log_in, open
    from ._plan import Plan, Seen, plan
    from ._refuse import refuse
    from ._responses import (
        ERR,
        MORE,
        OK,
        AuthenticationFailed,
        CapabilityLines,
        Challenge,
        Command,
        Data,
        Language,
        Languages,
        Mechanisms,
        Rejected,
        Response,
        ResponseClass,
        ResponseCode,
        Sizes,
        Totals,
        UniqueIds,
    )
    from ._results import Collected, Listed
    from ._retrieve import delete, drop, fetch, retrieve, retrieve_many, top
    from ._server import serve
    from ._state import PIPELINED, TRANSITIONS, Cell, Row, State, Table
    from ._tolerances import Tolerances
else:
    __getattr__, __dir__ = door(
        __name__,
        {
            ".._serving": "Ending",
            "._application": (
                "Application ApplicationFactory AsyncApplication AsyncMaildrop "
                "Maildrop MaildropInUse Message Peer size_of"
            ),
            "._capabilities": "Capabilities Capability Verb known usual",
            "._client": (
                "language languages messages noop quit reset sizes status "
                "unique_ids utf8"
            ),
            "._collect": "collect",
            "._commands": (
                "Apop Auth AuthList AuthResponse BadCommand Capa Connect Dele Lang "
                "List Noop Pass Quit Retr Rset Stat Stls Top Uidl User Utf8"
            ),
            "._connection": "Connection",
            "._events": "EndOfMessage Event",
            "._exchange": "exchange",
            "._open": "ask_capabilities log_in open",
            "._plan": "Plan Seen plan",
            "._refuse": "refuse",
            "._responses": (
                "ERR MORE OK AuthenticationFailed CapabilityLines Challenge Command "
                "Data Language Languages Mechanisms Rejected Response ResponseClass "
                "ResponseCode Sizes Totals UniqueIds"
            ),
            "._results": "Collected Listed",
            "._retrieve": "delete drop fetch retrieve retrieve_many top",
            "._server": "serve",
            "._state": "PIPELINED TRANSITIONS Cell Row State Table",
            "._tolerances": "Tolerances",
        },
        capabilities="._capabilities",
    )

__all__ = [
    "Connection",
    "Event",
    "Tolerances",
    "Command",
    "Connect",
    "User",
    "Pass",
    "Apop",
    "Auth",
    "AuthList",
    "AuthResponse",
    "Stls",
    "Capa",
    "Stat",
    "List",
    "Uidl",
    "Retr",
    "Top",
    "Dele",
    "Rset",
    "Noop",
    "Quit",
    "Utf8",
    "Lang",
    "BadCommand",
    "EndOfMessage",
    "Response",
    "ResponseClass",
    "OK",
    "ERR",
    "MORE",
    "ResponseCode",
    "Data",
    "Totals",
    "Sizes",
    "UniqueIds",
    "CapabilityLines",
    "Language",
    "Languages",
    "Mechanisms",
    "Challenge",
    "Rejected",
    "AuthenticationFailed",
    "State",
    "TRANSITIONS",
    "PIPELINED",
    "Table",
    "Row",
    "Cell",
    "capabilities",
    "Capability",
    "Capabilities",
    "Verb",
    "usual",
    "known",
    "open",
    "ask_capabilities",
    "log_in",
    "status",
    "sizes",
    "unique_ids",
    "messages",
    "Listed",
    "retrieve",
    "top",
    "drop",
    "fetch",
    "retrieve_many",
    "delete",
    "reset",
    "noop",
    "languages",
    "language",
    "utf8",
    "quit",
    "exchange",
    "collect",
    "Collected",
    "plan",
    "Plan",
    "Seen",
    "serve",
    "refuse",
    "Application",
    "AsyncApplication",
    "ApplicationFactory",
    "Maildrop",
    "AsyncMaildrop",
    "MaildropInUse",
    "Message",
    "size_of",
    "Peer",
    "Ending",
]
