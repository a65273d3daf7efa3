"""What a client hears in place of a greeting if it is not served."""

from collections.abc import Mapping
from typing import Final

from .._gate import Refusal
from ._connection import Connection
from ._replies import EnhancedCode, Reply

REFUSALS: Final[Mapping[Refusal, Reply]] = {
    Refusal.BUSY: Reply(
        421, ("Too many sessions, try again later",), EnhancedCode(4, 3, 2)
    ),
    Refusal.ADDRESS: Reply(
        421, ("Too many connections from your address",), EnhancedCode(4, 7, 0)
    ),
    Refusal.LOGINS: Reply(
        421, ("Too many failed logins from your address",), EnhancedCode(4, 7, 0)
    ),
    Refusal.STOPPING: Reply(421, ("Shutting down",), EnhancedCode(4, 3, 2)),
}
"""What a client is told."""


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
    return conn.send(REFUSALS[refusal])
