"""CRAM-MD5: proof of a password that is stored in clear.  RFC 2195.

It is weak: who listens can try passwords, and the server proves nothing.
"""

import hmac
from typing import Final

from .._expressions import expression
from ._credentials import Password
from ._exchange import (
    Client,
    Denied,
    ExchangeError,
    Server,
    Success,
    ask_client,
    receive,
    refuse_initial,
    text_of,
)
from ._mechanism import ClientContext, ClientFirst, Mechanism, ServerContext, Stored
from ._password import find_password, prepare_or_deny
from ._prepare import prepare

_DIGEST: Final = expression("[0-9a-f]{32}")
_ATOMS: Final = expression("[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")


def cram_md5_client(credentials: Password, context: ClientContext) -> Client:
    """Answer the challenge.

    Raises:
        ValueError: The name or password cannot be prepared with SASLprep.
    """
    return _client(prepare(credentials.user), prepare(credentials.password))


def _client(user: str, password: str) -> Client:
    challenge = yield from receive(None)
    yield f"{user} {_digest(password, challenge)}".encode()


def cram_md5_server(context: ServerContext, initial: bytes | None) -> Server:
    """Send a challenge that looks like a msg-id, and check the answer.

    Raises:
        ValueError: The nonce cannot stand in a msg-id.
    """
    if not _ATOMS.fullmatch(context.nonce):
        raise ValueError("the nonce cannot stand in a msg-id")
    return _server(f"<{context.nonce}@{context.host}>".encode(), initial)


def _server(challenge: bytes, initial: bytes | None) -> Server:
    refuse_initial(initial)
    response = text_of((yield from ask_client(challenge)))
    name, _, digest = response.rpartition(" ")
    if not name or not _DIGEST.fullmatch(digest):
        raise ExchangeError("the response of CRAM-MD5 is a name and a digest")
    user = prepare_or_deny(name)
    password = yield from find_password(user)
    right = _digest(password or "?", challenge)
    same = hmac.compare_digest(right.encode(), digest.encode())
    if password is None or not same:
        raise Denied
    return Success(user, user)


def _digest(password: str, challenge: bytes) -> str:
    return hmac.digest(password.encode(), challenge, "md5").hex()


CRAM_MD5: Final = Mechanism(
    name="CRAM-MD5",
    client=cram_md5_client,
    server=cram_md5_server,
    credentials=Password,
    needs=Stored.CLEAR,
    first=ClientFirst.NO,
    obsolete=True,
)
