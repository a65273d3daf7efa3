"""PLAIN: the password as it is.  RFC 4616."""

from typing import Final

from ._credentials import Password
from ._exchange import Client, ExchangeError, Server, first_response, text_of
from ._mechanism import ClientContext, Mechanism, ServerContext, Stored
from ._password import check_password


def plain_client(credentials: Password, context: ClientContext) -> Client:
    """Say everything in one message.  What it holds is prepared by the server."""
    parts = credentials.authzid, credentials.user, credentials.password
    yield "\0".join(parts).encode()


def plain_server(context: ServerContext, initial: bytes | None) -> Server:
    """Read everything from one message."""
    message = text_of((yield from first_response(initial)))
    parts = message.split("\0", 3)
    if len(parts) != 3:
        raise ExchangeError("PLAIN is a message of three parts")
    authzid, user, password = parts
    if not user or not password:
        raise ExchangeError("the name or the password is empty")
    return (yield from check_password(user, password, authzid))


PLAIN: Final = Mechanism(
    name="PLAIN",
    client=plain_client,
    server=plain_server,
    credentials=Password,
    needs=Stored.PASSWORD,
    reveals_password=True,
    has_authzid=True,
)
