"""LOGIN: the name and the password, each for itself.  draft-murchison-sasl-login-00."""

from typing import Final

from ._credentials import Password
from ._exchange import Client, Server, ask_client, receive, text_of
from ._mechanism import ClientContext, ClientFirst, Mechanism, ServerContext, Stored
from ._password import check_password


def login_client(credentials: Password, context: ClientContext) -> Client:
    """Say the name, then the password, whatever the challenges say."""
    yield from receive(None)
    yield from receive(credentials.user.encode())
    yield credentials.password.encode()


def login_server(context: ServerContext, initial: bytes | None) -> Server:
    """Ask for the name, then the password.

    The name may come as an initial response, as Microsoft's clients send it.
    """
    user = initial
    if user is None:
        user = yield from ask_client(b"Username:")
    password = yield from ask_client(b"Password:")
    return (yield from check_password(text_of(user), text_of(password)))


LOGIN: Final = Mechanism(
    name="LOGIN",
    client=login_client,
    server=login_server,
    credentials=Password,
    needs=Stored.PASSWORD,
    first=ClientFirst.OPTIONAL,
    reveals_password=True,
)
