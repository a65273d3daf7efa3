"""EXTERNAL: who the client is was proved outside, by its certificate.  RFC 4422."""

from typing import Final

from ._credentials import External
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
from ._password import prepare_optional
from ._questions import VerifyExternal


def external_client(credentials: External, context: ClientContext) -> Client:
    """Say as whom to act, or nothing."""
    yield credentials.authzid.encode()


def external_server(context: ServerContext, initial: bytes | None) -> Server:
    """Ask the application who this is."""
    authzid = text_of((yield from first_response(initial)))
    if "\0" in authzid:
        raise ExchangeError("a name holds NUL")
    authzid = prepare_optional(authzid)
    identity = yield from ask_identity(VerifyExternal(authzid))
    return Success(identity, authzid)


EXTERNAL: Final = Mechanism(
    name="EXTERNAL",
    client=external_client,
    server=external_server,
    credentials=External,
    needs=Stored.EXTERNAL,
    require_tls=True,
    has_authzid=True,
)
