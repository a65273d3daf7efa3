"""What a client hears in place of a greeting if it is not served."""

from collections.abc import Mapping
from typing import Final

from .._gate import Refusal
from ._connection import Connection
from ._responses import ERR, Response, ResponseCode

_TEXTS: Final[Mapping[Refusal, str]] = {
    Refusal.BUSY: "Too many sessions, try again later",
    Refusal.ADDRESS: "Too many connections from your address",
    Refusal.LOGINS: "Too many failed logins from your address",
    Refusal.STOPPING: "Shutting down",
}


def refuse(conn: Connection, refusal: Refusal) -> bytes:
    """Refuse a client that has just come; the state is CLOSED.

    Args:
        conn: A new connection in the role of the server.
        refusal: Why.

    Returns:
        What it has to be told; b"" if TLS comes first, where nothing can be said.
    """
    if conn.tls:
        conn.close()
        return b""
    return conn.send(Response(ERR, _TEXTS[refusal], ResponseCode.SYS_TEMP))
