import pytest

from sasl_talk import CLIENT, begin, nobody, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import ANONYMOUS, EXTERNAL, Denied, ExchangeError


@pytest.mark.parametrize("authzid", ["", "fred@example.com", "\u00fc"])
def test_external_says_as_whom_to_act(authzid: str) -> None:
    exchange = EXTERNAL.begin(sasl.External(authzid), CLIENT)
    assert exchange.initial == authzid.encode()
    assert exchange.complete
    assert play(begin(EXTERNAL, exchange.initial)) == sasl.VerifyExternal(authzid)


def test_external_is_whoever_the_application_says() -> None:
    success, _ = talk(EXTERNAL, sasl.External(), lambda _: "CN=u")
    assert success == sasl.Success("CN=u", "")
    with pytest.raises(Denied):
        talk(EXTERNAL, sasl.External("u"), nobody)


def test_a_name_in_external_holds_no_nul() -> None:
    with pytest.raises(ExchangeError, match="NUL"):
        play(begin(EXTERNAL, b"a\0b"))


def test_the_name_to_act_as_is_prepared() -> None:
    """RFC 4954 section 4, RFC 5034 section 4."""
    question = play(begin(EXTERNAL, "\u2168".encode()))
    assert question == sasl.VerifyExternal("IX")
    for name in ("\u00ad", "\7"):
        with pytest.raises(Denied):
            play(begin(EXTERNAL, name.encode()))


@pytest.mark.parametrize("trace", ["", "sirhc", "a@b.example"])
def test_anonymous_leaves_a_trace(trace: str) -> None:
    exchange = ANONYMOUS.begin(sasl.Anonymous(trace), CLIENT)
    assert exchange.initial == trace.encode()
    assert exchange.complete
    assert play(begin(ANONYMOUS, exchange.initial)) == sasl.VerifyAnonymous(trace)


@pytest.mark.parametrize("trace", [b"x" * 256, b"a\7", b"a@b@c", b"\0"])
def test_anonymous_leaves_no_other_trace(trace: bytes) -> None:
    """RFC 4505 section 2."""
    with pytest.raises(ExchangeError, match="the trace"):
        play(begin(ANONYMOUS, trace))


def test_anonymous_is_let_in_or_not() -> None:
    success, _ = talk(ANONYMOUS, sasl.Anonymous("x"), lambda _: "guest")
    assert success == sasl.Success("guest", "")
    with pytest.raises(Denied):
        talk(ANONYMOUS, sasl.Anonymous("x"), nobody)
