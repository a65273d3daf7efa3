"""SCRAM: each side proves that it knows the password, or its keys.  RFC 5802, RFC 7677.

With -PLUS the proofs hold for this TLS channel only.  On failure the last message of a
server may be left out, and is: clients then get the reply of the protocol at once.
"""

import hmac
from typing import Final

from .._base64 import decode_base64, encode_base64
from .._expressions import expression
from ._credentials import Password
from ._exchange import (
    Client,
    Denied,
    ExchangeError,
    Server,
    Success,
    ask_client,
    ask_identity,
    ask_secret,
    first_response,
    receive,
    text_of,
)
from ._gs2 import SASLNAME, escape, unescape
from ._keys import ScramKeys, digest, fake_keys, mac, salted_password
from ._mechanism import (
    BINDING_TYPES,
    ClientContext,
    Mechanism,
    ServerContext,
    Stored,
)
from ._password import prepare_optional, prepare_or_deny
from ._prepare import prepare
from ._questions import Authorize, FindScramKeys

# RFC 5802 section 7.  Extensions are ignored; "m" is a mandatory one, which nobody
# knows, and attributes that have their place are no extensions.
_EXTENSIONS: Final = r"(?:,[A-Zbdf-hj-loqt-z]=[^\0,]+)*"
_NONCE: Final = r"[!-+\--~]+"
_BASE64: Final = "[A-Za-z0-9+/=]+"

_CLIENT_FIRST: Final = expression(
    rf"((n|y|p=([A-Za-z0-9.\-]+)),(?:a=({SASLNAME}))?,)"
    rf"(n=({SASLNAME}),r=({_NONCE}){_EXTENSIONS})"
)
_SERVER_FIRST: Final = expression(
    rf"r=({_NONCE}),s=({_BASE64}),i=([1-9][0-9]{{0,9}}){_EXTENSIONS}"
)
_CLIENT_FINAL: Final = expression(
    rf"(c=({_BASE64}),r=({_NONCE}){_EXTENSIONS}),p=({_BASE64})"
)
_SERVER_FINAL: Final = expression(
    rf"(?:v=({_BASE64})|e=([ -+\--<>-~]{{1,100}})){_EXTENSIONS}"
)


def scram_client(
    hash: str, credentials: Password, context: ClientContext, *, binding: bool
) -> Client:
    """Prove that the user knows the password, and that the server does.

    Raises:
        ValueError: The name or password cannot be prepared with SASLprep, or there is
            nothing to bind to.
    """
    user, password = prepare(credentials.user), prepare(credentials.password)
    flag, data = _bind_client(context, binding=binding)
    authzid = f"a={escape(credentials.authzid)}" if credentials.authzid else ""
    header = f"{flag},{authzid},"
    bare = f"n={escape(user)},r={context.nonce}"
    return _client(hash, password, context, (header, bare, data))


def _client(
    hash: str, password: str, context: ClientContext, first: tuple[str, str, bytes]
) -> Client:
    header, bare, data = first
    server_first = text_of((yield from receive((header + bare).encode())))
    nonce, salt, iterations = _read_server_first(server_first, context)
    salted = salted_password(password, hash, salt, iterations)
    client_key = mac(hash, salted, b"Client Key")
    stored_key = digest(hash, client_key)
    final = f"c={_base64(header.encode() + data)},r={nonce}"
    exchanged = f"{bare},{server_first},{final}".encode()
    proof = _xor(client_key, mac(hash, stored_key, exchanged))
    message = f"{final},p={_base64(proof)}".encode()
    match = _SERVER_FINAL.fullmatch(text_of((yield from receive(message))))
    if match is None:
        raise ExchangeError("not the last message of a SCRAM server")
    if match[2] is not None:
        yield b""  # the server's own reply is still to come
        raise ExchangeError(f"the server says {match[2]}")
    signature = mac(hash, mac(hash, salted, b"Server Key"), exchanged)
    if not hmac.compare_digest(_octets(match[1]), signature):
        raise ExchangeError("the server does not know the password")
    yield b""


def _bind_client(context: ClientContext, *, binding: bool) -> tuple[str, bytes]:
    """Return the flag of the header, and the data that the channel is known by."""
    at_hand = [each for each in BINDING_TYPES if each in context.bindings]
    if binding:
        if not at_hand:
            raise ValueError("there is no channel to bind to")
        return f"p={at_hand[0]}", context.bindings[at_hand[0]]
    # "y": I could, and you could not.  A server that can has found a downgrade.  With
    # -PLUS on offer it would be a lie.  RFC 5802 section 6.
    return "y" if at_hand and not _offers_plus(context.offered) else "n", b""


def _read_server_first(message: str, context: ClientContext) -> tuple[str, bytes, int]:
    match = _SERVER_FIRST.fullmatch(message)
    if match is None:
        raise ExchangeError("not the first message of a SCRAM server")
    nonce, salt, iterations = match[1], _octets(match[2]), int(match[3])
    if not nonce.startswith(context.nonce) or nonce == context.nonce:
        raise ExchangeError("the server's nonce does not continue ours")
    if not context.least_iterations <= iterations <= context.most_iterations:
        raise ExchangeError(f"{iterations} iterations are out of bounds")
    return nonce, salt, iterations


def scram_server(
    hash: str, context: ServerContext, initial: bytes | None, *, binding: bool
) -> Server:
    """Check the client's proof, and give one."""
    match = _CLIENT_FIRST.fullmatch(text_of((yield from first_response(initial))))
    if match is None:
        raise ExchangeError("not the first message of a SCRAM client")
    header, flag, kind, authzid, bare, name, client_nonce = match.groups()
    data = _bind_server(context, flag, kind, binding=binding)
    user = prepare_or_deny(unescape(name))
    key, iterations = context.fake_salt_key, context.iterations
    fake = fake_keys(key, user, hash, iterations=iterations)  # for known users too
    stored = yield from ask_secret(FindScramKeys(user, hash), ScramKeys)
    if stored is not None and stored.hash != hash:
        raise TypeError(f"keys for {stored.hash} were given in place of {hash}")
    keys = stored or fake

    nonce = client_nonce + context.nonce
    server_first = f"r={nonce},s={_base64(keys.salt)},i={keys.iterations}"
    response = yield from ask_client(server_first.encode())
    match = _CLIENT_FINAL.fullmatch(text_of(response))
    if match is None:
        raise ExchangeError("not the last message of a SCRAM client")
    if match[3] != nonce:
        raise ExchangeError("the nonce was changed")
    if not hmac.compare_digest(_octets(match[2]), header.encode() + data):
        raise ExchangeError("channel-bindings-dont-match")
    exchanged = f"{bare},{server_first},{match[1]}".encode()
    client_key = _xor(_octets(match[4]), mac(hash, keys.stored_key, exchanged))
    same = hmac.compare_digest(digest(hash, client_key), keys.stored_key)
    if stored is None or not same:
        raise Denied

    identity = user
    other = prepare_optional(unescape(authzid or ""))
    if other not in ("", user):
        identity = yield from ask_identity(Authorize(user, other))
    signature = mac(hash, keys.server_key, exchanged)
    if (yield from ask_client(f"v={_base64(signature)}".encode())):
        raise ExchangeError("a response too many")
    return Success(identity, user)


def _bind_server(
    context: ServerContext, flag: str, kind: str | None, *, binding: bool
) -> bytes:
    """Check the flag, and return the data that the channel is known by.

    Raises:
        ExchangeError: Binding was offered and not used, or used and not offered.
    """
    if flag == "y" and _offers_plus(context.offered):
        raise ExchangeError("server-does-support-channel-binding")
    if binding is not (kind is not None):
        raise ExchangeError("channel binding goes with -PLUS, and only with it")
    if kind is None:
        return b""
    if kind not in BINDING_TYPES or kind not in context.bindings:
        raise ExchangeError("unsupported-channel-binding-type")
    return context.bindings[kind]


def _offers_plus(names: frozenset[str]) -> bool:
    return any(each.startswith("SCRAM-") and each.endswith("-PLUS") for each in names)


def _xor(left: bytes, right: bytes) -> bytes:
    if len(left) != len(right):
        raise ExchangeError("a proof has the wrong length")
    return bytes(one ^ other for one, other in zip(left, right, strict=True))


def _base64(data: bytes) -> str:
    return encode_base64(data).decode()


def _octets(text: str) -> bytes:
    try:
        return decode_base64(text.encode())
    except ValueError:
        raise ExchangeError("a value is not base64") from None


def _scram(hash: str, stored: Stored, *, binding: bool) -> Mechanism:
    def client(credentials: Password, context: ClientContext) -> Client:
        return scram_client(hash, credentials, context, binding=binding)

    def server(context: ServerContext, initial: bytes | None) -> Server:
        return scram_server(hash, context, initial, binding=binding)

    return Mechanism(
        name=f"SCRAM-{hash}-PLUS" if binding else f"SCRAM-{hash}",
        client=client,
        server=server,
        credentials=Password,
        needs=stored,
        has_authzid=True,
        binding=binding,
        require_tls=binding,
    )


SCRAM_SHA_1: Final = _scram("SHA-1", Stored.SCRAM_SHA_1, binding=False)
SCRAM_SHA_256: Final = _scram("SHA-256", Stored.SCRAM_SHA_256, binding=False)
SCRAM_SHA_512: Final = _scram("SHA-512", Stored.SCRAM_SHA_512, binding=False)
SCRAM_SHA_1_PLUS: Final = _scram("SHA-1", Stored.SCRAM_SHA_1, binding=True)
SCRAM_SHA_256_PLUS: Final = _scram("SHA-256", Stored.SCRAM_SHA_256, binding=True)
SCRAM_SHA_512_PLUS: Final = _scram("SHA-512", Stored.SCRAM_SHA_512, binding=True)
