"""ANONYMOUS: no proof, and perhaps a trace for the log.  RFC 4505."""

from typing import Final

from ._credentials import Anonymous
from ._exchange import (
    Client,
    ExchangeError,
    Server,
    Success,
    ask_identity,
    first_response,
    text_of,
)
from ._mechanism import ClientContext, Mechanism, ServerContext, Stored
from ._prepare import is_trace
from ._questions import VerifyAnonymous


def anonymous_client(credentials: Anonymous, context: ClientContext) -> Client:
    """Say what the credentials hold for the log."""
    yield credentials.trace.encode()


def anonymous_server(context: ServerContext, initial: bytes | None) -> Server:
    """Ask the application whether it lets anonymous users in."""
    trace = text_of((yield from first_response(initial)))
    if not is_trace(trace):
        raise ExchangeError("the trace is not an e-mail address or a short text")
    identity = yield from ask_identity(VerifyAnonymous(trace))
    return Success(identity, "")


ANONYMOUS: Final = Mechanism(
    name="ANONYMOUS",
    client=anonymous_client,
    server=anonymous_server,
    credentials=Anonymous,
    needs=Stored.ANONYMOUS,
)
