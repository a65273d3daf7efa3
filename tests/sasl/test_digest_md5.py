from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sasl_talk import CLIENT, CRYPTO
from smtp_pop_core import sasl
from smtp_pop_core.sasl import DIGEST_MD5, ClientExchange, ExchangeError, Password
from smtp_pop_core.sasl._digest_md5 import Answer

CHALLENGE = b'realm="r",nonce="n",qop="auth",charset=utf-8,algorithm=md5-sess'


def start(
    user: str = "chris", password: str = "secret", authzid: str = ""
) -> ClientExchange:
    return DIGEST_MD5.begin(Password(user, password, authzid), CLIENT)


def refused(challenge: bytes) -> str:
    with pytest.raises(ExchangeError) as caught:
        start().respond(challenge)
    return str(caught.value)


def answer_of(case: dict[str, str]) -> Answer:
    keys = ("username", "realm", "password", "cnonce", "digest_uri", "qop")
    fields: dict[str, Any] = {key: case[key] for key in keys}
    authzid, nonce = case.get("authzid", ""), case["nonce"].encode()
    return Answer(**fields, authzid=authzid, nonce=nonce)


@pytest.mark.parametrize(
    "case", CRYPTO["digest_md5"], ids=lambda case: case["source"] + case["username"]
)
def test_the_digests_are_those_of_the_standard(case: dict[str, str]) -> None:
    answer = answer_of(case)
    assert answer.digest("AUTHENTICATE").decode() == case["response"]
    assert answer.digest("").decode() == case["rspauth"]


@pytest.mark.parametrize(
    "case",
    [case for case in CRYPTO["digest_md5"] if case["qop"] == "auth"],
    ids=lambda case: case["source"] + case["username"],
)
def test_a_client_answers_and_wants_a_proof(case: dict[str, str]) -> None:
    service, _, host = case["digest_uri"].partition("/")
    context = sasl.ClientContext(nonce=case["cnonce"], service=service, host=host)
    name, password, authzid = case["username"], case["password"], case.get("authzid")
    exchange = DIGEST_MD5.begin(Password(name, password, authzid or ""), context)
    challenge = (
        f'realm="{case["realm"]}",nonce="{case["nonce"]}",qop="auth",'
        f"algorithm=md5-sess,charset=utf-8"
    )
    response = exchange.respond(challenge.encode()).decode()
    assert f"response={case['response']}" in response.split(",")
    assert "nc=00000001" in response.split(",")
    assert f'digest-uri="{case["digest_uri"]}"' in response.split(",")
    assert exchange.respond(b"rspauth=" + case["rspauth"].encode()) == b""
    assert exchange.complete


def test_a_response_has_its_directives_once_and_no_others() -> None:
    response = start("a\\b", authzid='x"y').respond(CHALLENGE)
    digest = response.partition(b"response=")[2].partition(b",")[0].decode()
    assert response.decode() == (
        r'username="a\\b",realm="r",nonce="n",cnonce="clientnonce",'
        r'digest-uri="smtp/mx.example",authzid="x\"y",'
        f"nc=00000001,qop=auth,response={digest},charset=utf-8"
    )


def test_without_a_charset_it_is_iso_8859_1() -> None:
    challenge = b'realm="\xfc",nonce="n",algorithm=md5-sess'
    response = start("\u00e9").respond(challenge)
    assert response.startswith(b'username="\xe9",realm="\xfc",nonce="n"')
    assert b"charset" not in response
    with pytest.raises(ExchangeError, match="only ISO 8859-1"):
        start("\u03c3").respond(challenge)
    with pytest.raises(ExchangeError, match="only ISO 8859-1"):
        start(password="\u03c3").respond(challenge)
    with pytest.raises(ExchangeError, match="a name to act as"):
        start(authzid="x").respond(challenge)


def test_what_does_not_fit_iso_8859_1_is_hashed_as_utf_8() -> None:
    response = start("\u03c3").respond(CHALLENGE)
    assert response.startswith('username="\u03c3"'.encode())


@pytest.mark.parametrize(
    ("challenge", "part"),
    [
        (b'nonce="n",algorithm=md5-sess', b'username="chris",nonce="n",'),
        (b'realm="",nonce="n",algorithm=md5-sess', b'username="chris",realm="",'),
        (b'realm="a",realm="b",nonce="n",algorithm=md5-sess', b'realm="a",'),
        (
            b'realm="a",realm="mx.example",nonce="n",algorithm=md5-sess',
            b'realm="mx.example",',
        ),
        (rb'realm="a\"b",foo=bar,nonce="n",algorithm=md5-sess', rb'realm="a\"b",'),
        (rb'realm="a\\",nonce="n,m",algorithm=MD5-SESS', rb'realm="a\\",nonce="n,m"'),
        (b'nonce="n",qop="auth,foo",algorithm=md5-sess', b"qop=auth,"),
        (b'nonce="n",qop="auth-int, auth",algorithm=md5-sess', b"qop=auth,"),
        (b'NONCE="n" , ,Algorithm = "md5-sess" ,\r\n x=y,', b'nonce="n",'),
        (b'nonce="n",stale=true,maxbuf=9,cipher="3des",algorithm=md5-sess', b"nc="),
        (b"nonce=n,algorithm=md5-sess", b'nonce="n",'),
    ],
)
def test_a_challenge_is_a_list_of_directives(challenge: bytes, part: bytes) -> None:
    """RFC 2831 section 2.1.1."""
    assert part in start().respond(challenge)


@pytest.mark.parametrize(
    ("challenge", "part"),
    [
        (b"", "without a nonce"),
        (b"algorithm=md5-sess", "without a nonce"),
        (b'nonce="n"', "not md5-sess"),
        (b'nonce="n",algorithm=md5', "not md5-sess"),
        (CHALLENGE + b',nonce="m"', "nonce is given twice"),
        (CHALLENGE + b",algorithm=md5-sess", "algorithm is given twice"),
        (CHALLENGE + b',qop="auth"', "qop is given twice"),
        (CHALLENGE + b",charset=utf-8", "charset is given twice"),
        (CHALLENGE + b",stale=true,stale=true", "stale is given twice"),
        (CHALLENGE + b",maxbuf=1,MAXBUF=1", "maxbuf is given twice"),
        (b'nonce="n",algorithm=md5-sess,qop="auth-conf"', "another qop"),
        (b'nonce="n",algorithm=md5-sess,charset=utf-7', "the charset is not utf-8"),
        (b'nonce="n",algorithm=md5-sess,charset=""', "the charset is not utf-8"),
        (CHALLENGE + b',realm="\xff"', "a realm is not UTF-8"),
        (b'nonce="n', "not a list"),
        (b'nonce="n"x,algorithm=md5-sess', "not a list"),
        (b"nonce", "not a list"),
        (b"=n", "not a list"),
        (b"nonce=,algorithm=md5-sess", "not a list"),
        (b'nonce="n\\"', "not a list"),
        (b" " * 2_048, "2048 octets or more"),
    ],
)
def test_other_challenges_are_refused(challenge: bytes, part: str) -> None:
    assert part in refused(challenge)


def test_a_response_has_a_longest_length() -> None:
    """RFC 2831 section 2.1.2."""
    with pytest.raises(ExchangeError, match="4096 octets or more"):
        start("u" * 4_000).respond(CHALLENGE)


@pytest.mark.parametrize(
    "proof",
    [
        *(b"", b"rspauth=", b"rspauth=" + b"0" * 32, b"x=y", b"rspauth"),
        b"rspauth=\xff",
    ],
)
def test_a_wrong_proof_is_not_believed(proof: bytes) -> None:
    exchange = start()
    exchange.respond(CHALLENGE)
    with pytest.raises(ExchangeError):
        exchange.respond(proof)
    assert not exchange.complete


def test_a_proof_that_is_given_twice_is_not_believed() -> None:
    exchange = start()
    exchange.respond(CHALLENGE)
    with pytest.raises(ExchangeError, match="does not know the password"):
        exchange.respond(b"rspauth=0,rspauth=0")


@pytest.mark.parametrize("challenges", [[], [CHALLENGE]])
def test_success_without_a_proof_is_none(challenges: list[bytes]) -> None:
    exchange = start()
    for challenge in challenges:
        exchange.respond(challenge)
    assert not exchange.complete


@pytest.mark.parametrize(
    "context",
    [
        sasl.ClientContext(nonce="n", service="smtp"),
        sasl.ClientContext(nonce="n", host="mx.example"),
    ],
)
def test_the_server_has_a_name(context: sasl.ClientContext) -> None:
    with pytest.raises(ValueError, match="the service and the host"):
        DIGEST_MD5.begin(Password("u", "p"), context)


@given(st.text(min_size=1), st.text(min_size=1), st.booleans())
def test_a_response_is_as_good_as_its_challenge(
    user: str, password: str, utf8: bool
) -> None:
    challenge = b'nonce="n",algorithm=md5-sess' + utf8 * b",charset=utf-8"
    try:
        exchange = start(user, password)
        response = exchange.respond(challenge)
    except (ValueError, ExchangeError):
        return
    encoded = user.encode("utf-8" if utf8 else "latin-1")
    quoted = encoded.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    assert response.startswith(b'username="' + quoted + b'",nonce="n"')
