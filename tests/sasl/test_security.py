"""Whatever octets come in: documented errors, and no secret in what is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sasl_talk import BINDINGS, KEY, begin, play, talk
from smtp_pop_core import PolicyError, sasl
from smtp_pop_core.sasl import Denied, ExchangeError, Password

SECRET = "hunter2"
CREDENTIALS: dict[type[sasl.Credentials], sasl.Credentials] = {
    sasl.Password: Password("u", SECRET),
    sasl.Token: sasl.Token("u", SECRET),
    sasl.External: sasl.External(),
    sasl.Anonymous: sasl.Anonymous(),
}
USERS = sasl.Users({"u": SECRET}, key=KEY)
CLIENT = sasl.ClientContext(
    nonce="c", service="smtp", host="h", bindings=BINDINGS, most_iterations=5_000
)
SERVER = sasl.ServerContext(nonce="s", fake_salt_key=KEY, bindings=BINDINGS)

MECHANISMS = pytest.mark.parametrize(
    "mechanism", sasl.STANDARD, ids=lambda mechanism: mechanism.name
)
PIECES = [
    *(
        b"n,,",
        b"y,,",
        b"p=tls-exporter,,",
        b"n=u",
        b",r=cs",
        b",s=c2FsdA==",
        b",i=4096",
    ),
    *(b",p=YQ==", b"c=biws", b"v=YQ==", b"e=x", b"user=u", b"\1", b"auth=Bearer t"),
    *(b"a=u", b",", b"=", b"\0", b" ", b"u", b'"', b"\\", b"\xff", b"0" * 32, b"\1\1"),
    *(b'nonce="n"', b"algorithm=md5-sess", b"rspauth=", b"qop=", b'{"status":"x"}'),
]
OCTETS = st.binary() | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@MECHANISMS
@settings(max_examples=60)
@given(challenges=st.lists(OCTETS, max_size=4))
def test_a_client_bears_any_challenge(
    mechanism: sasl.Mechanism, challenges: list[bytes]
) -> None:
    exchange = mechanism.begin(CREDENTIALS[mechanism.credentials], CLIENT)
    said = [repr(exchange).encode()]
    try:
        said.extend(exchange.respond(challenge) for challenge in challenges)
    except ExchangeError as error:
        said.append(repr(error).encode())
    assert isinstance(exchange.complete, bool)
    said += [repr(exchange).encode(), repr(exchange.error).encode()]
    if not mechanism.reveals_password:
        assert all(SECRET.encode() not in each for each in said)


@MECHANISMS
@settings(max_examples=60)
@given(initial=st.none() | OCTETS, responses=st.lists(OCTETS, max_size=4))
def test_a_server_bears_any_response(
    mechanism: sasl.Mechanism, initial: bytes | None, responses: list[bytes]
) -> None:
    if mechanism.server is None:
        return
    side = mechanism.server(SERVER, initial)
    reply: object = None
    try:
        while True:
            request = side.send(reply)
            assert SECRET not in repr(request)
            if isinstance(request, sasl.Question):
                reply = USERS.answer(request)
            elif responses:
                reply = responses.pop()
            else:
                side.close()
                break
    except (ExchangeError, Denied) as error:
        said = repr(error)
        assert SECRET not in said
    except StopIteration:
        raise AssertionError("somebody guessed the password") from None


class Tamper:
    """Changes one octet of one message; those without octets do not count."""

    def __init__(self, message: int, place: int, change: int) -> None:
        self.left = message
        self.place = place
        self.change = change

    def __call__(self, message: bytes) -> bytes:
        self.left -= bool(message)
        if self.left != -1 or not message:
            return message
        changed = bytearray(message)
        changed[self.place % len(message)] ^= self.change
        return bytes(changed)


BOUND = sasl.ClientContext(nonce="c", bindings=BINDINGS)


@pytest.mark.parametrize(
    ("mechanism", "messages"),
    [
        (sasl.SCRAM_SHA_1, 4),
        (sasl.SCRAM_SHA_256, 4),
        (sasl.SCRAM_SHA_256_PLUS, 4),
        (sasl.CRAM_MD5, 2),
        (sasl.PLAIN, 1),
    ],
)
@settings(max_examples=30)
@given(data=st.data())
def test_a_message_that_was_changed_lets_nobody_in(
    mechanism: sasl.Mechanism, messages: int, data: st.DataObject
) -> None:
    tamper = Tamper(
        data.draw(st.integers(0, messages - 1)),
        data.draw(st.integers(0, 200)),
        data.draw(st.integers(1, 255)),
    )
    with pytest.raises((ExchangeError, Denied)):
        talk(
            mechanism,
            CREDENTIALS[Password],
            USERS.answer,
            client=BOUND,
            server=SERVER,
            carry=tamper,
        )
    assert tamper.left < 0


def test_no_secret_is_in_what_a_failing_exchange_says() -> None:
    said = []
    for mechanism in sasl.STANDARD:
        exchange = mechanism.begin(CREDENTIALS[mechanism.credentials], CLIENT)
        for challenge in (b"", SECRET.encode(), b"x" * 10_000):
            try:
                exchange.respond(challenge)
            except ExchangeError as error:
                said += [repr(error), str(error)]
        said += [repr(exchange), repr(exchange.error)]
    for name in ("NONE", "PLAIN"):
        with pytest.raises(PolicyError) as caught:
            sasl.choose([name], CREDENTIALS[Password], tls=False)
        said.append(str(caught.value))
    assert len(said) > 20
    assert not [each for each in said if SECRET in each]


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (sasl.SCRAM_SHA_256, b"n,,n=u,r=c"),
        (sasl.CRAM_MD5, b"u " + b"0" * 32),
        (sasl.PLAIN, b"\0u\0p"),
    ],
)
def test_no_secret_is_in_a_mistake_of_the_application(
    mechanism: sasl.Mechanism, message: bytes
) -> None:
    with pytest.raises(TypeError, match="was answered with list") as caught:
        play(begin(mechanism), message, [SECRET])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "octets",
    [
        *(b"n," * 4_000, b"n,,n=" + b"=2C" * 3_000, b"n,,n=u,r=" + b"x" * 9_000),
        *(b"n,,n=u,r=x" + b",y=z" * 2_200, b"n,,\1" + b"a=\1" * 3_000),
        *(b"\0" * 9_000, b" " * 9_000, b"user=" * 1_800, b"n,a=" + b"=3D" * 3_000),
    ],
)
@MECHANISMS
def test_a_long_message_takes_linear_time(
    mechanism: sasl.Mechanism, octets: bytes
) -> None:
    exchange = mechanism.begin(CREDENTIALS[mechanism.credentials], CLIENT)
    try:
        exchange.respond(octets)
    except ExchangeError:
        assert not exchange.complete
    if mechanism.server is None:
        return
    side = mechanism.server(SERVER, None)
    next(side)
    try:
        side.send(octets)
    except (ExchangeError, Denied):
        assert next(side, None) is None
