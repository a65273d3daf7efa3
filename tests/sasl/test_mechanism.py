import pickle
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from sasl_talk import CLIENT, begin, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import (
    Challenge,
    Client,
    ClientContext,
    ClientFirst,
    ExchangeError,
    Mechanism,
    Server,
    ServerContext,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "gssapi.py"


@pytest.mark.parametrize(
    "name", ["", "plain", "PL AIN", "PLAIN\r\nQUIT", "X" * 21, "\u00c4", "A.B"]
)
def test_the_name_of_a_mechanism_has_a_form(name: str) -> None:
    """RFC 4422 section 3.1, SEC-CRLF-API-n."""
    assert not sasl.is_mechanism_name(name)
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        Mechanism(name=name)


@pytest.mark.parametrize("name", ["A", "SCRAM-SHA-256-PLUS", "X_9-Z", "X" * 20])
def test_names_of_that_form_are_taken(name: str) -> None:
    assert Mechanism(name=name).name == name


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [
        (sasl.PLAIN, sasl.Token("u", "t")),
        (sasl.XOAUTH2, sasl.Password("u", "p")),
        (sasl.EXTERNAL, sasl.Anonymous()),
        (Mechanism(name="X"), sasl.Anonymous()),
    ],
)
def test_a_mechanism_takes_its_own_kind_of_credentials(
    mechanism: Mechanism, credentials: sasl.Credentials
) -> None:
    with pytest.raises(TypeError, match="has no client's side that takes"):
        mechanism.begin(credentials, CLIENT)


@pytest.mark.parametrize("nonce", ["", "a,b", "a b", "a\n", "\u00e4", "a\0"])
def test_a_nonce_is_printable(nonce: str) -> None:
    with pytest.raises(ValueError, match="a nonce is printable"):
        ClientContext(nonce=nonce)
    with pytest.raises(ValueError, match="a nonce is printable"):
        ServerContext(nonce=nonce, fake_salt_key=b"k")


def test_a_server_has_a_key_and_enough_iterations() -> None:
    with pytest.raises(ValueError, match="the key of fake salts is empty"):
        ServerContext(nonce="n", fake_salt_key=b"")
    with pytest.raises(ValueError, match="fewer than 4096 iterations"):
        ServerContext(nonce="n", fake_salt_key=b"k", iterations=4_095)


def test_a_mechanism_says_whether_the_client_speaks_first() -> None:
    for mechanism in sasl.STANDARD:
        credentials = {
            sasl.Password: sasl.Password("u", "p"),
            sasl.Token: sasl.Token("u", "t"),
            sasl.External: sasl.External(),
            sasl.Anonymous: sasl.Anonymous(),
        }[mechanism.credentials]
        context = ClientContext(
            nonce="n", service="smtp", host="h", bindings={"tls-unique": b"b"}
        )
        initial = mechanism.begin(credentials, context).initial
        assert (initial is not None) is (mechanism.first is ClientFirst.REQUIRED)


# A mechanism of one's own, both sides


class Pin(sasl.Credentials):
    pass


class VerifyPin(sasl.Question):
    pass


def pin_client(credentials: Pin, context: ClientContext) -> Client:
    challenge = yield None
    yield challenge[::-1]


def pin_server(context: ServerContext, initial: bytes | None) -> Server:
    response = yield Challenge(context.nonce.encode())
    if response != context.nonce[::-1].encode():
        raise sasl.Denied
    identity = yield VerifyPin()
    return sasl.Success(str(identity), "")


PIN = Mechanism(
    name="X-PIN",
    client=pin_client,
    server=pin_server,
    credentials=Pin,
    first=ClientFirst.NO,
)


def test_a_mechanism_of_ones_own_is_put_in_a_list() -> None:
    mechanisms = [PIN, *sasl.STANDARD]
    names = sasl.offered(mechanisms, stored=(), tls=False)
    assert names == ("X-PIN",)
    mechanism = sasl.choose(names, Pin(), mechanisms=mechanisms, tls=False)
    success, exchange = talk(mechanism, Pin(), lambda _: "me")
    assert success == sasl.Success("me", "")
    assert exchange.complete
    with pytest.raises(sasl.Denied):
        play(begin(PIN), b"wrong")


def test_the_mechanisms_that_are_known_are_a_sequence() -> None:
    first, *_, last = sasl.STANDARD
    assert (first.name, last.name) == ("EXTERNAL", "ANONYMOUS")
    assert sasl.STANDARD[0] is first
    assert sasl.STANDARD[-1:] == (last,)
    assert len(sasl.STANDARD) == 14
    assert sasl.PLAIN in sasl.STANDARD
    assert repr(sasl.STANDARD) == "STANDARD"


def test_there_is_only_one_sequence_of_those_that_are_known() -> None:
    assert pickle.loads(pickle.dumps(sasl.STANDARD)) is sasl.STANDARD


# The example


class FakeWrapped:
    def __init__(self, message: bytes) -> None:
        self.message = message


class FakeSecurityContext:
    """As python-gssapi has it: it wants as many tokens as it is told."""

    def __init__(self, service: str, tokens: int, last: bytes | None) -> None:
        self.service = service
        self.tokens = tokens
        self.last = last
        self.complete = False

    def step(self, token: bytes | None = None) -> bytes | None:
        if token is None:
            return b"first of " + self.service.encode()
        assert token == b"token"
        self.tokens -= 1
        self.complete = self.tokens == 0
        return self.last if self.complete else b"next"

    def wrap(self, message: bytes, encrypt: bool) -> FakeWrapped:
        return FakeWrapped(b"wrapped " + message)

    def unwrap(self, message: bytes) -> FakeWrapped:
        return FakeWrapped(message.removeprefix(b"wrapped "))


def gssapi(tokens: int = 1, last: bytes | None = None) -> sasl.ClientExchange:
    names = runpy.run_path(str(EXAMPLE))
    kerberos: Callable[..., sasl.Credentials] = names["Kerberos"]
    mechanism = names["GSSAPI"]
    assert isinstance(mechanism, Mechanism)
    return mechanism.begin(
        kerberos(lambda name: FakeSecurityContext(name, tokens, last), authzid="me"),
        CLIENT,
    )


@pytest.mark.parametrize(("last", "response"), [(None, b""), (b"last", b"last")])
def test_gssapi_steps_until_the_context_is_there(
    last: bytes | None, response: bytes
) -> None:
    exchange = gssapi(2, last)
    assert exchange.initial == b"first of smtp@mx.example"
    assert exchange.respond(b"token") == b"next"
    assert exchange.respond(b"token") == response
    assert exchange.respond(b"wrapped \1\0\0\0") == b"wrapped \1\0\0\0me"
    assert exchange.complete


@pytest.mark.parametrize("count", [0, 1])
def test_gssapi_is_not_complete_before_it_has_ended(count: int) -> None:
    exchange = gssapi()
    for _ in range(count):
        exchange.respond(b"token")
    assert not exchange.complete


@pytest.mark.parametrize("layers", [b"\4\0\0\0", b""])
def test_gssapi_wants_no_layer_of_its_own(layers: bytes) -> None:
    exchange = gssapi()
    exchange.respond(b"token")
    with pytest.raises(ExchangeError, match="more than TLS protects"):
        exchange.respond(b"wrapped " + layers)
