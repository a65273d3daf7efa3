"""The responses that the standards prescribe, and those of a sound server."""

from collections.abc import Mapping
from typing import Final

from ._commands import (
    Apop,
    Auth,
    AuthResponse,
    BadCommand,
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
from ._responses import ERR, OK, Command, Response, ResponseCode

TOO_LONG: Final = Response(ERR, "Line too long")
OUT_OF_ORDER: Final = Response(ERR, "Not now")
NEEDS_TLS: Final = Response(ERR, "TLS has to begin first")
NOT_OFFERED: Final = Response(ERR, "Command not implemented")
TOO_MANY_ERRORS: Final = Response(ERR, "Too many bad commands")
FOREIGN: Final = Response(ERR, "Another protocol is spoken here")
TOO_MANY_IDLE: Final = Response(ERR, "Too many commands without a message")
TOO_MANY_REFUSED: Final = Response(ERR, "Too many refused commands")
NO_SUCH_MESSAGE: Final = Response(ERR, "No such message")
DENIED: Final = Response(ERR, "Login failed", ResponseCode.AUTH)

_DEFAULTS: Final[Mapping[type[Command], Response]] = {
    User: Response(OK, "Password please"),
    Pass: DENIED,
    Apop: DENIED,
    Auth: Response(ERR, "Mechanism not supported"),
    AuthResponse: Response(ERR, "Authentication cancelled"),
    Stls: Response(OK, "Begin TLS"),
    Stat: NO_SUCH_MESSAGE,
    List: NO_SUCH_MESSAGE,
    Uidl: NO_SUCH_MESSAGE,
    Retr: NO_SUCH_MESSAGE,
    Top: NO_SUCH_MESSAGE,
    Dele: NO_SUCH_MESSAGE,
    Rset: Response(OK, "No message is marked as deleted"),
    Noop: Response(OK),
    Quit: Response(OK, "Goodbye"),
    Utf8: Response(OK, "UTF-8 it is"),
    Lang: Response(ERR, "No such language"),
}


def default_response(command: Command, domain: str, timestamp: str) -> Response:
    """Return what a sound server says to a command that it need not look up.

    Args:
        command: The command; to CAPA and AUTH without an argument the connection knows
            the answer.
        domain: The server's name.
        timestamp: For APOP, or "".
    """
    match command:
        case Connect():
            return Response(OK, f"{domain} POP3 {timestamp}".rstrip(" "))
        case BadCommand(response=response):
            return response
        case _:
            return _DEFAULTS.get(type(command), NOT_OFFERED)
