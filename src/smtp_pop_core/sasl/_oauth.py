"""OAUTHBEARER, RFC 7628, and XOAUTH2, which Google made before it: a token.

Failure is said twice: by a challenge that says why, and, once that was answered, by the
protocol.
"""

from typing import Final

from .._expressions import expression
from ._credentials import Token
from ._exchange import (
    Client,
    Denied,
    ExchangeError,
    Server,
    Success,
    ask_client,
    ask_identity,
    first_response,
    text_of,
)
from ._gs2 import SASLNAME, escape, unescape
from ._mechanism import ClientContext, Mechanism, ServerContext, Stored
from ._password import prepare_optional
from ._questions import VerifyToken

# b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
#                                                               RFC 6750 section 2.1
_B64TOKEN: Final = r"[A-Za-z0-9\-._~+/]+=*"
_TOKEN: Final = expression(_B64TOKEN)

# client-resp = gs2-header kvsep *kvpair kvsep                  RFC 7628 section 3.1
# kvpair      = key "=" value kvsep
_OAUTHBEARER: Final = expression(
    rf"[ny],(?:a=({SASLNAME}))?,\x01"
    "((?:[A-Za-z]+=[^\0\x01]*\x01)*)\x01"
)
_BEARER: Final = expression(rf"(?i:bearer) +({_B64TOKEN})")
_XOAUTH2: Final = expression("user=([^\0\x01]+)\x01auth=(?i:bearer) ([!-~]+)\x01\x01")

_STATUS: Final = expression(rb'"status"[ \t\r\n]*:[ \t\r\n]*"([ !#-\[\]-~]{1,100})"')


def oauthbearer_client(credentials: Token, context: ClientContext) -> Client:
    """Send the token.

    Raises:
        ValueError: The token is not of the form that RFC 6750 asks for.
    """
    if not _TOKEN.fullmatch(credentials.token):
        raise ValueError("the token is not a Bearer token, RFC 6750 section 2.1")
    name = credentials.authzid or credentials.user
    host = f"host={context.host}\x01" if context.host else ""
    port = f"port={context.port}\x01" if context.port else ""
    message = (
        f"n,a={escape(name)},\x01{host}{port}auth=Bearer {credentials.token}\x01\x01"
    )
    return _client(message, b"\x01")


def xoauth2_client(credentials: Token, context: ClientContext) -> Client:
    """Send the token."""
    message = f"user={credentials.user}\x01auth=Bearer {credentials.token}\x01\x01"
    return _client(message, b"")


def _client(message: str, answer: bytes) -> Client:
    refusal: bytes | None = yield message.encode()
    if refusal is not None:
        yield answer
        status = _STATUS.search(refusal)
        why = status[1].decode() if status else "it does not say why"
        raise ExchangeError(f"the server refused the token: {why}")


def oauthbearer_server(context: ServerContext, initial: bytes | None) -> Server:
    """Check the token, and say why where it fails."""
    message = text_of((yield from first_response(initial)))
    match = _OAUTHBEARER.fullmatch(message)
    if match is None:
        raise ExchangeError("not a message of OAUTHBEARER")
    pairs = [pair.partition("=") for pair in match[2].split("\x01")[:-1]]
    bearers = [_BEARER.fullmatch(value) for key, _, value in pairs if key == "auth"]
    if len(bearers) != 1 or bearers[0] is None:
        raise ExchangeError("OAUTHBEARER needs one auth, with a Bearer token")
    user, token = unescape(match[1] or ""), bearers[0][1]
    return (yield from _server(user, token, b'{"status":"invalid_token"}'))


def xoauth2_server(context: ServerContext, initial: bytes | None) -> Server:
    """Check the token, and say why where it fails."""
    message = text_of((yield from first_response(initial)))
    match = _XOAUTH2.fullmatch(message)
    if match is None:
        raise ExchangeError("not a message of XOAUTH2")
    refusal = b'{"status":"401","schemes":"bearer","scope":""}'
    return (yield from _server(match[1], match[2], refusal))


def _server(user: str, token: str, refusal: bytes) -> Server:
    try:
        user = prepare_optional(user)
        identity = yield from ask_identity(VerifyToken(user, token))
    except Denied:
        yield from ask_client(refusal)  # whatever the answer is
        raise
    return Success(identity, user)


OAUTHBEARER: Final = Mechanism(
    name="OAUTHBEARER",
    client=oauthbearer_client,
    server=oauthbearer_server,
    credentials=Token,
    needs=Stored.TOKEN,
    reveals_password=True,
    has_authzid=True,
)

XOAUTH2: Final = Mechanism(
    name="XOAUTH2",
    client=xoauth2_client,
    server=xoauth2_server,
    credentials=Token,
    needs=Stored.TOKEN,
    reveals_password=True,
)
