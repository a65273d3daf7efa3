from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sasl_talk import BINDINGS, CLIENT, CRYPTO, KEY, SERVER, begin, play, talk
from smtp_pop_core import sasl
from smtp_pop_core.sasl import (
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    Authorize,
    Challenge,
    ClientExchange,
    Denied,
    ExchangeError,
    FindScramKeys,
    Password,
    ScramKeys,
    Success,
)

MECHANISMS = {
    each.name: each for each in sasl.STANDARD if each.name.startswith("SCRAM-")
}
HASHES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
IDS = [f"{case['mechanism']} {case['client_first']}" for case in CRYPTO["scram"]]
VECTORS = pytest.mark.parametrize("case", CRYPTO["scram"], ids=IDS)

PENCIL = Password("user", "pencil")
KEYS = ScramKeys.derive("pencil", "SHA-256", b"salt", 4096)
FIRST = b"r=clientnonceservernonce,s=c2FsdA==,i=4096"
BOUND = sasl.ClientContext(nonce="clientnonce", bindings=BINDINGS)
BOUND_SERVER = sasl.ServerContext(
    nonce="servernonce",
    fake_salt_key=KEY,
    bindings=BINDINGS,
    offered=frozenset(MECHANISMS),
)


def bindings_of(case: dict[str, Any]) -> dict[str, bytes]:
    """Give what is at hand for the flag of a case: with "y", another type."""
    flag, _, _ = case["gs2_header"].partition(",")
    data = bytes.fromhex(case["cbind_hex"])
    return {"y": BINDINGS, "n": {}}.get(flag, {flag.removeprefix("p="): data})


def credentials_of(case: dict[str, Any]) -> Password:
    authzid = case["gs2_header"].split(",")[1].removeprefix("a=")
    return Password(case["username"], case["password"], authzid)


def keys_of(case: dict[str, Any]) -> ScramKeys:
    return ScramKeys(
        HASHES[case["hash"]],
        b64decode(case["salt_b64"]),
        case["iterations"],
        b64decode(case["stored_key_b64"]),
        b64decode(case["server_key_b64"]),
    )


@VECTORS
def test_a_client_speaks_as_the_vectors_do(case: dict[str, Any]) -> None:
    context = sasl.ClientContext(nonce=case["client_nonce"], bindings=bindings_of(case))
    exchange = MECHANISMS[case["mechanism"]].begin(credentials_of(case), context)
    assert exchange.initial == case["client_first"].encode()
    assert exchange.respond(case["server_first"].encode()) == (
        case["client_final"].encode()
    )
    assert exchange.respond(case["server_final"].encode()) == b""
    assert exchange.complete


@VECTORS
def test_a_server_speaks_as_the_vectors_do(case: dict[str, Any]) -> None:
    context = sasl.ServerContext(
        nonce=case["server_nonce"], fake_salt_key=KEY, bindings=bindings_of(case)
    )
    side = begin(MECHANISMS[case["mechanism"]], context=context)
    name, hash = case["username"], HASHES[case["hash"]]
    assert next(side) == Challenge(b"")
    assert side.send(case["client_first"].encode()) == FindScramKeys(name, hash)
    assert side.send(keys_of(case)) == Challenge(case["server_first"].encode())
    request = side.send(case["client_final"].encode())
    if authzid := credentials_of(case).authzid:
        assert request == Authorize(name, authzid)
        request = side.send(authzid)
    assert request == Challenge(case["server_final"].encode())
    with pytest.raises(StopIteration) as end:
        side.send(b"")
    assert end.value.value == Success(authzid or name, name)


@pytest.mark.parametrize(
    "case",
    [case for case in CRYPTO["scram_invalid"] if case["receiver"] == "server"],
    ids=lambda case: case["reason"],
)
@pytest.mark.parametrize("context", [SERVER, BOUND_SERVER])
def test_a_server_refuses_what_is_malformed(
    case: dict[str, str], context: sasl.ServerContext
) -> None:
    with pytest.raises(ExchangeError):
        play(begin(SCRAM_SHA_256, case["message"].encode(), context))


@pytest.mark.parametrize(
    "case",
    [case for case in CRYPTO["scram_invalid"] if case["receiver"] == "client"],
    ids=lambda case: case["reason"],
)
def test_a_client_refuses_what_is_malformed(case: dict[str, str]) -> None:
    exchange = SCRAM_SHA_256.begin(PENCIL, CLIENT)
    with pytest.raises(ExchangeError):
        exchange.respond(case["message"].encode())
    assert not exchange.complete


# The client


def answered() -> ClientExchange:
    """Give a client that has sent its proof."""
    exchange = SCRAM_SHA_256.begin(PENCIL, CLIENT)
    exchange.respond(FIRST)
    return exchange


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"r=clientnonceserver,s=c2FsdA==,i=4096,", b"R=clientnonces,s=YQ==,i=9"),
        *(FIRST + b",m=x", FIRST + b",r=x", FIRST + b",x=", FIRST + b",xx=y"),
        *(FIRST + b"\n", FIRST + b",x=\0", b"e=other-error", FIRST + b",x=\xff"),
        *(b"r=clientnonceserver,s=YR==,i=4096", b"r=clientnonce,x,s=YQ==,i=4096"),
        *(b"r=clientnonceserver,s=c2FsdA==,i=+1", b"r=x y,s=c2FsdA==,i=4096"),
        "r=clientnonceserver,s=c2FsdA==,i=\u0664096".encode(),
        b"r=clientnonceserver,s=c2FsdA==,i=" + b"9" * 5_000,
    ],
)
def test_a_first_message_of_a_server_has_one_form(message: bytes) -> None:
    with pytest.raises(ExchangeError):
        SCRAM_SHA_256.begin(PENCIL, CLIENT).respond(message)


def test_extensions_are_ignored() -> None:
    exchange = SCRAM_SHA_256.begin(PENCIL, CLIENT)
    assert exchange.respond(FIRST + b",x=1,D=\xc3\xa4=,y=z").startswith(b"c=biws,")


@pytest.mark.parametrize(
    ("count", "least", "most"),
    [(4_095, 4_096, 600_000), (600_001, 4_096, 600_000), (2**31, 4_096, 600_000)],
)
def test_iterations_have_bounds(count: int, least: int, most: int) -> None:
    """SEC-AUTH-SCRAM-a, SEC-AUTH-SCRAM-b: it is looked at before any work is done."""
    context = sasl.ClientContext(
        nonce="clientnonce", least_iterations=least, most_iterations=most
    )
    exchange = SCRAM_SHA_256.begin(PENCIL, context)
    with pytest.raises(ExchangeError, match=f"{count} iterations are out of bounds"):
        exchange.respond(f"r=clientnonces,s=c2FsdA==,i={count}".encode())


def test_the_bounds_can_be_moved() -> None:
    context = sasl.ClientContext(nonce="clientnonce", least_iterations=1)
    exchange = SCRAM_SHA_256.begin(PENCIL, context)
    assert exchange.respond(b"r=clientnonces,s=c2FsdA==,i=1").startswith(b"c=biws,")


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"v=", b"v=YQ==", b"v=" + b64encode(bytes(32)), b"v=@@", b"V=YQ=="),
        *(b"e=", b"e=\x1b[2J", b"x=y", b"v=YQ==,m=x", b"v=YR==", b"e=a=b"),
    ],
)
def test_a_server_that_proves_nothing_is_not_believed(message: bytes) -> None:
    exchange = answered()
    with pytest.raises(ExchangeError):
        exchange.respond(message)
    assert not exchange.complete


def test_a_server_with_another_password_is_not_believed() -> None:
    with pytest.raises(ExchangeError, match="the server does not know the password"):
        answered().respond(b"v=" + b64encode(b"x" * 32))


def test_an_error_of_the_server_means_failure_whatever_follows() -> None:
    exchange = answered()
    assert exchange.respond(b"e=invalid-proof,x=y") == b""
    assert not exchange.complete
    assert str(exchange.error) == "the server says invalid-proof"
    exchange = answered()
    exchange.respond(b"e=other-error")
    with pytest.raises(ExchangeError, match="the server says other-error"):
        exchange.respond(b"v=YQ==")


@pytest.mark.parametrize("challenges", [[], [FIRST]])
def test_success_before_the_proof_of_the_server_is_none(
    challenges: list[bytes],
) -> None:
    """SEC-AUTH-FAKE-a."""
    exchange = SCRAM_SHA_256.begin(PENCIL, CLIENT)
    for challenge in challenges:
        exchange.respond(challenge)
    assert not exchange.complete
    assert str(exchange.error) == "the server said yes before the mechanism was done"


@pytest.mark.parametrize(
    ("bindings", "offered", "flag"),
    [
        ({}, {"SCRAM-SHA-256"}, b"n,,"),
        ({}, {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, b"n,,"),
        ({"unknown": b"x"}, {"SCRAM-SHA-256"}, b"n,,"),
        (BINDINGS, {"SCRAM-SHA-256"}, b"y,,"),
        (BINDINGS, {"SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"}, b"n,,"),
    ],
)
def test_a_client_that_could_bind_says_so(
    bindings: dict[str, bytes], offered: set[str], flag: bytes
) -> None:
    """RFC 5802 section 6.  "y" beside an offer of -PLUS would look like an attack."""
    context = sasl.ClientContext(
        nonce="clientnonce", bindings=bindings, offered=frozenset(offered)
    )
    exchange = SCRAM_SHA_256.begin(PENCIL, context)
    assert exchange.initial == flag + b"n=user,r=clientnonce"


def test_the_best_binding_is_taken() -> None:
    bindings = {"tls-server-end-point": b"1", "tls-unique": b"2", "tls-exporter": b"3"}
    for kind in ("tls-exporter", "tls-unique", "tls-server-end-point"):
        context = sasl.ClientContext(nonce="n", bindings=bindings)
        exchange = SCRAM_SHA_256_PLUS.begin(PENCIL, context)
        assert exchange.initial == f"p={kind},,n=user,r=n".encode()
        del bindings[kind]
    with pytest.raises(ValueError, match="no channel to bind to"):
        SCRAM_SHA_256_PLUS.begin(
            PENCIL, sasl.ClientContext(nonce="n", bindings=bindings)
        )


@pytest.mark.parametrize(
    "credentials",
    [Password("\u0627x", "p"), Password("u", "a\7"), Password("u", "\xad")],
)
def test_what_cannot_be_prepared_cannot_be_used(credentials: Password) -> None:
    with pytest.raises(ValueError, match="SASLprep"):
        SCRAM_SHA_256.begin(credentials, CLIENT)


# The server


def proved(
    context: sasl.ServerContext = SERVER,
    *,
    header: bytes = b"n,,",
    password: str = "pencil",
    keys: object = KEYS,
) -> tuple[sasl.Server, bytes]:
    """Give a server that waits for the proof, and the right one."""
    side = begin(SCRAM_SHA_256, header + b"n=user,r=clientnonce", context)
    next(side)
    request = side.send(keys)
    assert isinstance(request, Challenge)
    client = SCRAM_SHA_256.begin(Password("user", password), CLIENT)
    return side, client.respond(request.data)


def test_a_right_proof_is_answered_with_one() -> None:
    side, proof = proved()
    request = side.send(proof)
    assert isinstance(request, Challenge)
    assert request.data.startswith(b"v=")
    with pytest.raises(ExchangeError, match="a response too many"):
        side.send(b"x")


@pytest.mark.parametrize("password", ["pencils", "Pencil", "p"])
def test_a_wrong_password_is_denied(password: str) -> None:
    side, proof = proved(password=password)
    with pytest.raises(Denied):
        side.send(proof)


def test_an_unknown_user_looks_like_a_wrong_password() -> None:
    """RFC 5802 section 5.1, SEC-AUTH-TIMING-a."""
    side, proof = proved(keys=None)
    with pytest.raises(Denied):
        side.send(proof)


def first_of(name: str, context: sasl.ServerContext = SERVER) -> bytes:
    """Return the first message of a server to a user it does not know."""
    request = play(begin(SCRAM_SHA_256, f"n,,n={name},r=c".encode(), context), None)
    assert isinstance(request, Challenge)
    return request.data


def test_the_salt_of_an_unknown_user_is_always_the_same() -> None:
    again = sasl.ServerContext(nonce="servernonce", fake_salt_key=KEY)
    other = sasl.ServerContext(nonce="servernonce", fake_salt_key=b"another")
    more = sasl.ServerContext(nonce="servernonce", fake_salt_key=KEY, iterations=20_000)
    assert first_of("a") == first_of("a", again)
    assert first_of("a") != first_of("b")
    assert first_of("a") != first_of("a", other)
    assert first_of("a").endswith(b",i=15000")
    assert first_of("a", more) == first_of("a").replace(b"15000", b"20000")
    assert len(b64decode(first_of("a").split(b",")[1][2:])) == 16


def test_a_name_is_looked_for_as_prepared_and_hashed_as_it_came() -> None:
    side = begin(SCRAM_SHA_256, "n,,n=\u2168=2C=3D,r=clientnonce".encode())
    assert next(side) == FindScramKeys("IX,=", "SHA-256")
    with pytest.raises(Denied):
        play(begin(SCRAM_SHA_256, b"n,,n=\7,r=c"))
    with pytest.raises(Denied):
        play(begin(SCRAM_SHA_256, "n,,n=\u00ad,r=c".encode()))


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (b"r=clientnonce", b"r=clientnoncx", "the nonce was changed"),
        (b"servernonce,", b"servernonce1,", "the nonce was changed"),
        (b"c=biws", b"c=eSws", "channel-bindings-dont-match"),
        (b"c=biws", b"c=biw", "not base64"),
        (b"c=biws", b"c=bixhPW90aGVyLA==", "channel-bindings-dont-match"),
        (b"c=biws,", b"", "not the last message"),
        (b"c=biws,", b"c=,", "not the last message"),
        (b",p=", b",m=x,p=", "not the last message"),
        (b",p=", b",p=,p=", "not the last message"),
        (b",p=", b"\0,p=", "not the last message"),
        (b",p=", b",p=AAAA", "the wrong length"),
        (b",p=", b",p==", "not base64"),
    ],
)
def test_a_proof_that_was_tampered_with_is_refused(
    old: bytes, new: bytes, part: str
) -> None:
    side, proof = proved()
    assert old in proof
    with pytest.raises(ExchangeError, match=part):
        side.send(proof.replace(old, new))


def test_an_extension_that_came_on_the_way_is_found() -> None:
    side, proof = proved()
    with pytest.raises(Denied):
        side.send(proof.replace(b",p=", b",x=y,p="))


def test_a_proof_that_breaks_off_is_refused() -> None:
    _, whole = proved()
    for end in range(len(whole)):
        side, proof = proved()
        with pytest.raises(ExchangeError):
            side.send(proof[:end])


def test_keys_for_another_hash_are_a_mistake_of_the_application() -> None:
    keys = ScramKeys.derive("pencil", "SHA-1", b"salt", 4096)
    with pytest.raises(
        TypeError, match="keys for SHA-1 were given in place of SHA-256"
    ):
        proved(keys=keys)


@pytest.mark.parametrize(
    ("mechanism", "header", "part"),
    [
        (SCRAM_SHA_256, b"y,,", "server-does-support-channel-binding"),
        (SCRAM_SHA_256, b"p=tls-exporter,,", "goes with -PLUS"),
        (SCRAM_SHA_256_PLUS, b"n,,", "goes with -PLUS"),
        (SCRAM_SHA_256_PLUS, b"y,,", "server-does-support-channel-binding"),
        (SCRAM_SHA_256_PLUS, b"p=foo,,", "unsupported-channel-binding-type"),
        (SCRAM_SHA_256_PLUS, b"p=tls-unique,,", "unsupported-channel-binding-type"),
    ],
)
def test_a_downgrade_is_found(
    mechanism: sasl.Mechanism, header: bytes, part: str
) -> None:
    """RFC 5802 section 6."""
    with pytest.raises(ExchangeError, match=part):
        play(begin(mechanism, header + b"n=user,r=c", BOUND_SERVER))


def test_a_client_may_say_that_it_could_bind_if_nothing_was_offered() -> None:
    assert play(begin(SCRAM_SHA_256, b"y,,n=user,r=c")) == (
        FindScramKeys("user", "SHA-256")
    )


def test_a_man_in_the_middle_has_another_channel() -> None:
    other = sasl.ClientContext(nonce="c", bindings={"tls-exporter": b"another"})
    with pytest.raises(ExchangeError, match="channel-bindings-dont-match"):
        talk(
            SCRAM_SHA_256_PLUS,
            PENCIL,
            lambda _: KEYS,
            client=other,
            server=BOUND_SERVER,
        )


def test_who_names_itself_is_not_asked_about() -> None:
    success, exchange = talk(
        SCRAM_SHA_256, Password("user", "pencil", "user"), lambda _: KEYS
    )
    assert success == Success("user", "user")
    assert exchange.complete


@pytest.mark.parametrize("answer", [None, "boss"])
def test_who_names_another_needs_leave(answer: str | None) -> None:
    answers = {FindScramKeys("user", "SHA-256"): KEYS, Authorize("user", "a=,"): answer}
    credentials = Password("user", "pencil", "a=,")
    if answer is None:
        with pytest.raises(Denied):
            talk(SCRAM_SHA_256, credentials, answers.__getitem__)
        return
    success, _ = talk(SCRAM_SHA_256, credentials, answers.__getitem__)
    assert success == Success("boss", "user")


@pytest.mark.parametrize(
    ("other", "asked"), [("user\u00ad", []), ("\u2168", [Authorize("user", "IX")])]
)
def test_the_name_to_act_as_is_prepared(other: str, asked: list[sasl.Question]) -> None:
    """RFC 4954 section 4, RFC 5034 section 4."""
    questions: list[sasl.Question] = []

    def answer(question: sasl.Question) -> object:
        questions.append(question)
        return KEYS if isinstance(question, FindScramKeys) else "boss"

    talk(SCRAM_SHA_256, Password("user", "pencil", other), answer)
    assert questions == [FindScramKeys("user", "SHA-256"), *asked]


@pytest.mark.parametrize("other", ["\u00ad", "\u0221\u0627"])
def test_a_name_to_act_as_that_cannot_be_prepared_is_denied(other: str) -> None:
    with pytest.raises(Denied):
        talk(SCRAM_SHA_256, Password("user", "pencil", other), lambda _: KEYS)


# Both


@pytest.mark.parametrize("name", MECHANISMS)
@settings(max_examples=20)
@given(data=st.data())
def test_who_has_the_password_gets_in(name: str, data: st.DataObject) -> None:
    user, password = data.draw(st.text(min_size=1)), data.draw(st.text(min_size=1))
    mechanism = MECHANISMS[name]
    plus = mechanism.binding
    try:
        credentials = Password(user, password)
        users = sasl.Users({user: password}, key=KEY)
    except ValueError:
        return
    success, exchange = talk(
        mechanism,
        credentials,
        users.answer,
        client=BOUND if plus else CLIENT,
        server=BOUND_SERVER if plus else SERVER,
    )
    assert success.identity == success.user == sasl.saslprep(user)
    assert exchange.complete
    with pytest.raises(Denied):
        talk(
            mechanism,
            Password(user, password * 2),
            users.answer,
            client=BOUND if plus else CLIENT,
            server=BOUND_SERVER if plus else SERVER,
        )
