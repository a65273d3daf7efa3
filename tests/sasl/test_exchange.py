from collections.abc import Generator

import pytest

from sasl_talk import CLIENT, begin, play
from smtp_pop_core import Error, sasl
from smtp_pop_core.sasl import ClientExchange, ExchangeError

LONGEST = 9_216


def echo(*, proof: bool = False) -> sasl.Client:
    """Speak first, answer one challenge, and want a proof if asked to."""
    challenge = yield b"first"
    challenge = yield b"<" + challenge + b">"
    if proof:
        if challenge != b"proof":
            raise ExchangeError("no proof")
        yield b""


def test_an_exchange_begins_with_the_initial_response() -> None:
    assert ClientExchange(echo()).initial == b"first"
    assert ClientExchange(endless()).initial is None


def test_it_is_complete_once_the_mechanism_has_ended() -> None:
    exchange = ClientExchange(echo())
    assert exchange.respond(b"a") == b"<a>"
    assert exchange.complete
    assert exchange.complete  # asking twice does no harm
    assert exchange.error is None


@pytest.mark.parametrize("challenges", [[], [b"a"]])
def test_success_before_the_end_is_none(challenges: list[bytes]) -> None:
    """SEC-AUTH-FAKE-a: 235 without a proof of the server."""
    exchange = ClientExchange(echo(proof=True))
    for challenge in challenges:
        exchange.respond(challenge)
    assert not exchange.complete
    assert not exchange.complete
    assert isinstance(exchange.error, ExchangeError)


def test_a_mechanism_that_goes_on_without_a_challenge_is_not_complete() -> None:
    exchange = ClientExchange(endless())
    assert not exchange.complete
    assert str(exchange.error) == "the server said yes before the mechanism was done"


def test_what_the_mechanism_does_without_a_challenge_does_not_count() -> None:
    def trusting() -> sasl.Client:
        challenge = yield None
        yield challenge[:1]

    exchange = ClientExchange(trusting())
    assert not exchange.complete
    assert isinstance(exchange.error, ExchangeError)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_mechanism_that_knows_nothing_has_no_reason_for_a_no(count: int) -> None:
    exchange = sasl.LOGIN.begin(sasl.Password("u", "p"), CLIENT)
    for _ in range(count):
        exchange.respond(b"")
    assert exchange.error is None
    assert not exchange.complete


def test_a_mechanism_may_know_why_the_server_says_no() -> None:
    def told() -> sasl.Client:
        challenge = yield b""
        yield b"I see"
        raise ExchangeError(challenge.decode())

    exchange = ClientExchange(told())
    assert exchange.respond(b"too late") == b"I see"
    assert str(exchange.error) == "too late"
    assert not exchange.complete


def test_with_the_proof_it_is_complete() -> None:
    exchange = ClientExchange(echo(proof=True))
    exchange.respond(b"a")
    assert exchange.respond(b"proof") == b""
    assert exchange.complete


def test_a_challenge_that_the_mechanism_refuses_ends_the_exchange() -> None:
    exchange = ClientExchange(echo(proof=True))
    exchange.respond(b"a")
    with pytest.raises(ExchangeError, match="no proof"):
        exchange.respond(b"another")
    assert str(exchange.error) == "no proof"
    assert not exchange.complete
    with pytest.raises(ExchangeError, match="the exchange is over"):
        exchange.respond(b"proof")


def test_a_challenge_too_many_is_not_answered() -> None:
    """SEC-AUTH-FAKE-c, SEC-AUTH-FAKE-d: nothing is sent a second time."""
    exchange = ClientExchange(echo())
    exchange.respond(b"a")
    with pytest.raises(ExchangeError, match="a challenge too many"):
        exchange.respond(b"b")
    assert not exchange.complete


def endless() -> sasl.Client:
    yield None
    while True:
        yield b""


def test_challenges_without_end_are_not_answered_for_ever() -> None:
    """SEC-AUTH-LOOP-a."""
    exchange = ClientExchange(endless())
    for _ in range(20):
        assert exchange.respond(b"") == b""
    with pytest.raises(ExchangeError, match="more than 20 challenges"):
        exchange.respond(b"")


def test_a_challenge_has_a_longest_length() -> None:
    """SEC-AUTH-BIG-a."""
    exchange = ClientExchange(echo())
    assert len(exchange.respond(bytes(LONGEST))) == LONGEST + 2
    exchange = ClientExchange(echo())
    with pytest.raises(ExchangeError, match="longer than 9216 octets"):
        exchange.respond(bytes(LONGEST + 1))


def test_a_mechanism_answers_with_octets() -> None:
    def wrong() -> sasl.Client:
        while True:
            yield None

    with pytest.raises(TypeError, match="with None"):
        ClientExchange(wrong()).respond(b"")


@pytest.mark.parametrize(
    "mechanism", [each for each in sasl.STANDARD if each.server is not None]
)
def test_a_response_has_a_longest_length(mechanism: sasl.Mechanism) -> None:
    context = sasl.ServerContext(
        nonce="n", fake_salt_key=b"k", bindings={"tls-unique": b"b"}
    )
    server = begin(mechanism, context=context)
    assert isinstance(play(server), sasl.Challenge)
    with pytest.raises((ExchangeError, sasl.Denied)):
        server.send(bytes(LONGEST + 1))


@pytest.mark.parametrize(
    "mechanism",
    [
        each
        for each in sasl.STANDARD
        if each.server is not None and each.first is sasl.ClientFirst.REQUIRED
    ],
)
def test_an_initial_response_has_a_longest_length(mechanism: sasl.Mechanism) -> None:
    with pytest.raises(ExchangeError, match="longer than 9216 octets"):
        play(begin(mechanism, bytes(LONGEST + 1)))


@pytest.mark.parametrize(
    "mechanism",
    [
        each
        for each in sasl.STANDARD
        if each.server is not None and each.first is sasl.ClientFirst.REQUIRED
    ],
)
def test_a_server_asks_for_the_response_that_did_not_come(
    mechanism: sasl.Mechanism,
) -> None:
    """RFC 4422 section 3.4."""
    assert play(begin(mechanism)) == sasl.Challenge(b"")


def test_a_response_is_octets() -> None:
    with pytest.raises(TypeError, match="must be bytes, not str"):
        play(begin(sasl.PLAIN), "\0u\0p")


WRONG: list[tuple[sasl.Mechanism, list[object], str]] = [
    (sasl.PLAIN, [b"\0u\0p", 1], "VerifyPassword was answered with int"),
    (sasl.PLAIN, [b"\0u\0p", True], "VerifyPassword was answered with bool"),
    (sasl.PLAIN, [b"\0u\0p", ""], "VerifyPassword was answered with str"),
    (sasl.LOGIN, [b"u", b"p", b"u"], "VerifyPassword was answered with bytes"),
    (sasl.CRAM_MD5, [b"u " + b"0" * 32, b"p"], "FindPassword was answered with bytes"),
    (sasl.SCRAM_SHA_1, [b"n,,n=u,r=a", "p"], "FindScramKeys was answered with str"),
    (sasl.EXTERNAL, [b"", ()], "VerifyExternal was answered with tuple"),
    (sasl.ANONYMOUS, [b"", ()], "VerifyAnonymous was answered with tuple"),
    (
        sasl.XOAUTH2,
        [b"user=u\1auth=Bearer t\1\1", False],
        "VerifyToken was answered with bool",
    ),
]


@pytest.mark.parametrize(("mechanism", "replies", "part"), WRONG)
def test_an_answer_that_answers_nothing_is_a_mistake_of_the_application(
    mechanism: sasl.Mechanism, replies: list[object], part: str
) -> None:
    with pytest.raises(TypeError, match=part):
        play(begin(mechanism), *replies)


@pytest.mark.parametrize(
    "mechanism",
    [
        each
        for each in sasl.STANDARD
        if each.server is not None and each is not sasl.LOGIN
    ],
)
def test_a_message_is_utf_8(mechanism: sasl.Mechanism) -> None:
    with pytest.raises(ExchangeError, match="not UTF-8"):
        play(begin(mechanism), b"\xff")


def test_both_endings_are_errors_of_the_library() -> None:
    assert issubclass(ExchangeError, Error)
    assert issubclass(sasl.Denied, Error)
    assert str(sasl.Denied()) == "the credentials were not accepted"


def test_a_cancelled_exchange_is_closed() -> None:
    server = begin(sasl.PLAIN)
    next(server)
    server.close()
    assert isinstance(server, Generator)
    assert next(server, None) is None


def test_no_secret_is_in_the_repr_of_an_exchange() -> None:
    exchange = sasl.PLAIN.begin(sasl.Password("u", "pencil"), CLIENT)
    assert "pencil" not in repr(exchange)
