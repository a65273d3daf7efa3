"""Exchanges in memory: both sides, or one side against what a test says."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from smtp_pop_core import sasl

Answer = Callable[[sasl.Question], object]

CRYPTO: Final = tomllib.loads(
    (Path(__file__).parent / "data" / "crypto.toml").read_text("utf-8")
)
KEY: Final = b"a key of the server"
BINDINGS: Final = {"tls-exporter": bytes(range(32))}

CLIENT: Final = sasl.ClientContext(
    nonce="clientnonce", service="smtp", host="mx.example"
)
SERVER: Final = sasl.ServerContext(
    nonce="servernonce", fake_salt_key=KEY, host="mx.example"
)


def talk(
    mechanism: sasl.Mechanism,
    credentials: sasl.Credentials,
    answer: Answer,
    *,
    client: sasl.ClientContext = CLIENT,
    server: sasl.ServerContext = SERVER,
    carry: Callable[[bytes], bytes] = bytes,
) -> tuple[sasl.Success, sasl.ClientExchange]:
    """Let both sides talk until the server says yes, or one of them raises.

    What `carry` makes of a message is what arrives.
    """
    exchange = mechanism.begin(credentials, client)
    assert mechanism.server is not None
    initial = exchange.initial
    side = mechanism.server(server, None if initial is None else carry(initial))
    reply: object = None
    while True:
        try:
            request = side.send(reply)
        except StopIteration as end:
            success = end.value
            assert isinstance(success, sasl.Success)
            return success, exchange
        if isinstance(request, sasl.Challenge):
            reply = carry(exchange.respond(carry(request.data)))
        else:
            reply = answer(request)


def begin(
    mechanism: sasl.Mechanism,
    initial: bytes | None = None,
    context: sasl.ServerContext = SERVER,
) -> sasl.Server:
    """Begin the server's side."""
    assert mechanism.server is not None
    return mechanism.server(context, initial)


def play(
    side: sasl.Server, *replies: object
) -> sasl.Challenge | sasl.Question | sasl.Success:
    """Give a server's side its replies, and return what it says in the end."""
    try:
        request = next(side)
        for reply in replies:
            request = side.send(reply)
    except StopIteration as end:
        success = end.value
        assert isinstance(success, sasl.Success)
        return success
    return request


def nobody(question: sasl.Question) -> None:
    """Answer as an application that knows nobody."""
