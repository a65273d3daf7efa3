"""The beginning of a session behind a proxy: a header says where the client is.

Nothing is said before it, and nothing instead of it.
"""

from collections.abc import Callable
from typing import Any

from . import proxy  # types in quotes: its rooms are opened by a header
from ._endpoint import Endpoint
from ._errors import ConnectionLost, RemoteProtocolError, Stopping
from ._flow import Ask, Deadline, Flow, Note, Read
from ._gate import Gate, Refusal
from ._serving import Ending, Visitor


def enter(
    gate: Gate | None, visitor: Visitor, refuse: Callable[[Refusal], bytes]
) -> Flow[bytes | None]:
    """Ask the server whether it serves the client that a header speaks of.

    Args:
        gate: The door of the server, or None: it serves all.
        visitor: The client; a proxy that speaks for itself is always served.
        refuse: Refuses it.

    Returns:
        What it is told because it is not served, or None.
    """
    header = visitor.proxy
    if gate is None or header is None or header.source is None:
        return None
    refusal: Refusal | None = yield Ask(gate.enter, (visitor.address,), quick=True)
    return None if refusal is None else refuse(refusal)


def take_header(conn: Endpoint[Any], visitor: Visitor) -> Flow[Ending | None]:
    """Read the PROXY header, and let the visitor be where it says.

    If there is no sound header in time, the connection is closed without a word.

    Args:
        conn: A new connection in the role of the server.
        visitor: The proxy, in whose place the client comes.

    Returns:
        Why the session has ended; None: it goes on.
    """
    try:
        header = yield from _read_header(conn)
    except TimeoutError:
        ending = Ending.TIMEOUT
    except Stopping:
        ending = Ending.STOPPING
    except RemoteProtocolError:
        ending = Ending.REFUSED
    except ConnectionLost:  # a proxy may do so to see whether we are there
        ending = Ending.LOST
    else:
        visitor.proxy = header
        if header.source is not None:
            visitor.address, visitor.port = _place(header.source)
        return None
    conn.close()
    fields = {"address": visitor.address, "port": visitor.port}
    yield Note("no_proxy_header", {**fields, "reason": ending.value})
    return ending


def _read_header(conn: Endpoint[Any]) -> "Flow[proxy.Header]":
    reader = proxy.HeaderReader(limit=conn.limits.proxy_header)
    header = None
    yield Deadline(conn.limits.timeouts.proxy, idle=True)
    while header is None:
        header = reader.feed((yield Read(reader.wanted)))
    if reader.trailing_data:  # it would be lost
        raise AssertionError("a Read has given more than it was asked for")
    return header


def _place(source: "proxy.Address") -> tuple[str, int]:
    """Return the address and port of an end of a connection, as an adapter does."""
    if isinstance(source, proxy.Inet):
        return source.host, source.port
    path = source.path.decode("utf-8", "surrogateescape")
    # else the name of a file could pass for an IP address
    named = path and "/" not in path and not path.startswith("\0")
    return f"./{path}" if named else path, 0
