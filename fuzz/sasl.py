"""Both sides of each mechanism, fed with what the input says, or with what it spoils.

A side raises what its documentation says, and nothing else.  Nobody is let in who has
not shown the password, and SCRAM ends in a no if anything was changed on the way.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from fuzz.cuts import LONGEST
from smtp_pop_core import PolicyError, sasl
from smtp_pop_core._base64 import decode_base64, encode_base64
from smtp_pop_core.sasl import Denied, ExchangeError

_SEPARATOR: Final = b"\x1e"  # between the messages of an input
_MOST: Final = 4  # challenges of a server in one exchange
_PASSWORD: Final = "pencil"
_TOKEN: Final = "token.of/user=="
_SALT: Final = b"salt of the user"
_ITERATIONS: Final = 4_096
_HASHES: Final = ("SHA-1", "SHA-256", "SHA-512")
_KEYS: Final = {
    hash: sasl.ScramKeys.derive(_PASSWORD, hash, _SALT, _ITERATIONS) for hash in _HASHES
}
_GOOD: Final[dict[type[sasl.Credentials], tuple[sasl.Credentials, ...]]] = {
    sasl.Password: (
        sasl.Password("user", _PASSWORD),
        sasl.Password("user", _PASSWORD, "other"),
    ),
    sasl.Token: (sasl.Token("user", _TOKEN),),
    sasl.External: (sasl.External(), sasl.External("other")),
    sasl.Anonymous: (sasl.Anonymous(), sasl.Anonymous("trace")),
}
_BAD: Final[dict[type[sasl.Credentials], sasl.Credentials]] = {
    sasl.Password: sasl.Password("user", "crayon"),
    sasl.Token: sasl.Token("user", "x"),
    sasl.External: sasl.External("x"),
}
_BINDINGS: Final = {"tls-exporter": bytes(32), "tls-server-end-point": b"hash"}
_OFFERED: Final = frozenset(each.name for each in sasl.STANDARD)
_CLIENT: Final = sasl.ClientContext(
    nonce="client",
    service="pop",
    host="pop.example",
    port=110,
    bindings=_BINDINGS,
    offered=_OFFERED,
    most_iterations=_ITERATIONS,
)
_SERVER: Final = sasl.ServerContext(
    nonce="server",
    fake_salt_key=b"key",
    host="pop.example",
    bindings=_BINDINGS,
    offered=_OFFERED,
    iterations=_ITERATIONS,
)
_MUTUAL: Final = ("SCRAM-", "DIGEST-")  # where the server has to prove itself
_IDENTITIES: Final = {"user", "other", "anonymous"}


def one_input(data: bytes) -> None:
    first, second, third = data[:3].ljust(3, b"\0")
    CHECKS[first % len(CHECKS)](data[3:LONGEST], second, third)


def _client(body: bytes, which: int, how: int) -> None:
    """A client is given challenges; then the server says yes."""
    mechanism = _mechanism(which)
    credentials = _GOOD[mechanism.credentials]
    exchange = mechanism.begin(credentials[how % len(credentials)], _CLIENT)
    for challenge in body.split(_SEPARATOR):
        try:
            response = exchange.respond(challenge)
        except ExchangeError:
            assert exchange.error is not None
            assert not exchange.complete
            return
        assert isinstance(response, bytes)
    complete = exchange.complete
    assert complete == (exchange.error is None)
    assert not (complete and mechanism.name.startswith(_MUTUAL))


def _mechanism(which: int) -> sasl.Mechanism:
    return sasl.STANDARD[which % len(sasl.STANDARD)]


def _server(body: bytes, which: int, how: int) -> None:
    """A server is given an initial response or none, and responses."""
    mechanism = _mechanism(which)
    if mechanism.server is None:
        return
    messages = iter(body.split(_SEPARATOR))
    side = mechanism.server(_SERVER, next(messages) if how & 1 else None)
    _let_in(_Server(side).respond, messages)


def _let_in(
    respond: Callable[[bytes | None], bytes | sasl.Success], messages: Iterator[bytes]
) -> None:
    said: bytes | sasl.Success = b""
    with suppress(ExchangeError, Denied):
        said = respond(None)
        for message in messages:
            if isinstance(said, sasl.Success):
                return
            said = respond(message)


class _Server:
    """The server's side of an exchange, with an application that knows one user."""

    def __init__(self, side: sasl.Server) -> None:
        self._side = side
        self._challenges = 0

    def respond(self, message: bytes | None) -> bytes | sasl.Success:
        """Take a response, None for the first step; return a challenge, or success."""
        reply: object = message
        while True:
            try:
                request = self._side.send(reply)
            except StopIteration as end:
                success = end.value
                assert isinstance(success, sasl.Success)
                assert success.identity in _IDENTITIES
                return success
            if isinstance(request, sasl.Challenge):
                self._challenges += 1
                assert self._challenges <= _MOST
                return request.data
            reply = _answer(request)


def _answer(question: sasl.Question) -> object:
    match question:
        case sasl.VerifyPassword("user", "pencil", authzid) if authzid in ("", "other"):
            return authzid or "user"
        case sasl.FindPassword("user"):
            return _PASSWORD
        case sasl.FindScramKeys("user", hash):
            return _KEYS[hash]
        case sasl.VerifyToken(user, "token.of/user==") if user in ("", "user", "other"):
            return user or "user"
        case sasl.VerifyExternal(authzid) if authzid in ("", "other"):
            return authzid or "user"
        case sasl.VerifyAnonymous():
            return "anonymous"
        case sasl.Authorize("user", "other"):
            return "other"
        case _:
            return None


def _both(body: bytes, which: int, how: int) -> None:
    """Both sides talk, and somebody in between changes one message.

    Args:
        body: What it puts there.
        which: The mechanism, and in its upper half the credentials.
        how: Which message, where in it, and how much of it goes.
    """
    mechanism = _mechanism(which % 16)
    kind = mechanism.credentials
    if mechanism.server is None:
        return
    good = which < 128 or kind not in _BAD
    some = _GOOD[kind][which // 16 % len(_GOOD[kind])] if good else _BAD[kind]
    exchange = mechanism.begin(some, _CLIENT)
    middle = _Middle(body, how)
    initial = exchange.initial
    if initial is not None:
        initial = middle.carry(initial)
    server = _Server(mechanism.server(_SERVER, initial))
    try:
        said = server.respond(None)
        while not isinstance(said, sasl.Success):
            response = exchange.respond(middle.carry(said))
            said = server.respond(middle.carry(response))
    except Denied:
        assert middle.changed or not good
        return
    except ExchangeError:
        assert middle.changed
        return
    assert exchange.complete
    assert middle.changed or good
    if mechanism.name.startswith("SCRAM-"):
        # Behind the proof of the server stand extensions that nobody knows.
        assert middle.which == 3 or not middle.changed


class _Middle:
    """Carries messages, and changes one of them.

    Attributes:
        which: The number of that message, from 0.
        changed: Whether it was there to be changed.
    """

    def __init__(self, body: bytes, how: int) -> None:
        self._body = body
        self.which = how % 4
        self._count = 0
        self._at = how // 4 % 32
        self._drop = how // 128
        self.changed = False

    def carry(self, message: bytes) -> bytes:
        """Return a message as it arrives."""
        self._count += 1
        if self._count != self.which + 1:
            return message
        end = self._at + self._drop * len(self._body)
        changed = message[: self._at] + self._body + message[end:]
        self.changed = changed != message
        return changed


def _prepare(body: bytes, which: int, how: int) -> None:
    """SASLprep leaves what it has prepared as it is."""
    text = body.decode("utf-8", "replace")
    stored = bool(how & 1)
    try:
        prepared = sasl.saslprep(text, stored=stored)
    except ValueError:
        return
    assert sasl.saslprep(prepared, stored=stored) == prepared


def _stored(body: bytes, which: int, how: int) -> None:
    """What a server keeps is read as it was written."""
    try:
        stored = sasl.parse_stored(body.decode("latin-1"))
    except ValueError:
        return
    assert sasl.parse_stored(str(stored)) == stored
    assert str(stored) == body.decode("latin-1")


def _certificate(body: bytes, which: int, how: int) -> None:
    """Whatever is no certificate has no binding."""
    binding = sasl.tls_server_end_point(body)
    assert binding is None or len(binding) in (28, 32, 48, 64)


def _base64(body: bytes, which: int, how: int) -> None:
    """There is one spelling, which the standard library reads as well."""
    assert decode_base64(encode_base64(body)) == body
    try:
        data = decode_base64(body)
    except ValueError:
        return
    assert encode_base64(data) == body
    assert base64.b64decode(body, validate=True) == data


def _choose(body: bytes, which: int, how: int) -> None:
    """A client takes what was offered, and only what fits."""
    names = body.decode("latin-1").split()
    tls = bool(how & 1)
    some = list(_GOOD.values())[which % len(_GOOD)][0]
    try:
        chosen = sasl.choose(names, some, tls=tls, bindings=_BINDINGS)
    except PolicyError as error:
        said = str(error)
        assert said.isprintable()
        return
    assert chosen.name in {name.upper() for name in names}
    assert tls or not (chosen.reveals_password or chosen.require_tls)
    assert not chosen.obsolete


CHECKS: Final[tuple[Callable[[bytes, int, int], None], ...]] = (
    _client,
    _server,
    _both,
    _prepare,
    _stored,
    _certificate,
    _base64,
    _choose,
)
