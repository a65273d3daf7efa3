import pytest

from smtp_pop_core import PolicyError, sasl
from smtp_pop_core.sasl import Mechanism, Stored, choose, offered

PASSWORD = sasl.Password("u", "hunter2")
TOKEN = sasl.Token("u", "hunter2")
BINDINGS = {"tls-exporter": b"x"}
EVERYTHING = tuple(each.name for each in sasl.STANDARD)


def chosen(names: str, credentials: sasl.Credentials = PASSWORD) -> str:
    """Choose inside TLS with a binding at hand."""
    return choose(names.split(), credentials, tls=True, bindings=BINDINGS).name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("LOGIN PLAIN SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("LOGIN PLAIN", "PLAIN"),
        ("LOGIN", "LOGIN"),
        ("scram-sha-1 plain", "SCRAM-SHA-1"),
        ("SCRAM-SHA-1 SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"),
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"),
        ("CRAM-MD5 DIGEST-MD5 PLAIN", "PLAIN"),
        ("NTLM X-UNKNOWN a,b PLAIN", "PLAIN"),
        (" ".join(EVERYTHING), "SCRAM-SHA-512-PLUS"),
    ],
)
def test_the_strongest_that_is_offered_is_chosen(names: str, expected: str) -> None:
    """RFC 4422 section 3.2."""
    assert chosen(names) == expected


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (TOKEN, "OAUTHBEARER"),
        (sasl.External(), "EXTERNAL"),
        (sasl.Anonymous(), "ANONYMOUS"),
    ],
)
def test_credentials_say_what_is_wanted(
    credentials: sasl.Credentials, expected: str
) -> None:
    assert chosen(" ".join(EVERYTHING), credentials) == expected


def test_without_tls_no_secret_is_revealed() -> None:
    """SEC-AUTH-STRIP-b."""
    with pytest.raises(PolicyError, match="PLAIN: it would reveal a secret"):
        choose(["PLAIN", "LOGIN"], PASSWORD, tls=False)
    with pytest.raises(PolicyError, match="XOAUTH2: it would reveal a secret"):
        choose(["XOAUTH2"], TOKEN, tls=False)
    with pytest.raises(PolicyError, match="EXTERNAL: it needs TLS"):
        choose(EVERYTHING, sasl.External(), tls=False)
    assert choose(EVERYTHING, PASSWORD, tls=False).name == "SCRAM-SHA-512"


@pytest.mark.parametrize(
    ("credentials", "expected"), [(PASSWORD, "PLAIN"), (TOKEN, "XOAUTH2")]
)
def test_a_user_may_insist(credentials: sasl.Credentials, expected: str) -> None:
    names = ["XOAUTH2", "LOGIN", "PLAIN"]
    chosen = choose(names, credentials, tls=False, allow_insecure=True)
    assert chosen.name == expected


@pytest.mark.parametrize(
    ("name", "credentials"),
    [("EXTERNAL", sasl.External()), ("SCRAM-SHA-1-PLUS", PASSWORD)],
)
def test_what_rests_on_tls_needs_it_all_the_same(
    name: str, credentials: sasl.Credentials
) -> None:
    with pytest.raises(PolicyError, match="it needs TLS"):
        choose([name], credentials, tls=False, allow_insecure=True, bindings=BINDINGS)


@pytest.mark.parametrize("bindings", [{}, {"unknown": b"x"}])
def test_without_a_binding_nothing_is_bound(bindings: dict[str, bytes]) -> None:
    names = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    assert choose(names, PASSWORD, tls=True, bindings=bindings).name == names[1]
    with pytest.raises(PolicyError, match="there is no channel to bind to"):
        choose(names[:1], PASSWORD, tls=True, bindings=bindings)


@pytest.mark.parametrize(
    ("mechanism", "names", "expected"),
    [
        ("PLAIN", ["SCRAM-SHA-256", "PLAIN"], "PLAIN"),
        ("plain", ["PLAIN"], "PLAIN"),
        ("CRAM-MD5", ["CRAM-MD5", "PLAIN"], "CRAM-MD5"),
        ("DIGEST-MD5", ["DIGEST-MD5", "PLAIN"], "DIGEST-MD5"),
        (["LOGIN", "PLAIN"], ["PLAIN", "LOGIN"], "LOGIN"),
        (("SCRAM-SHA-256", "CRAM-MD5"), ["PLAIN", "CRAM-MD5"], "CRAM-MD5"),
    ],
)
def test_a_name_or_an_order_of_names_is_kept_to(
    mechanism: str | list[str], names: list[str], expected: str
) -> None:
    assert choose(names, PASSWORD, mechanism=mechanism, tls=True).name == expected


@pytest.mark.parametrize(
    ("mechanism", "names"),
    [
        ("SCRAM-SHA-256", ["LOGIN", "PLAIN"]),
        (["SCRAM-SHA-256", "SCRAM-SHA-1"], ["LOGIN", "PLAIN", "SCRAM-SHA-512"]),
        ([], ["PLAIN"]),
    ],
)
def test_nothing_else_is_fallen_back_to(
    mechanism: str | list[str], names: list[str]
) -> None:
    """SEC-AUTH-STRIP-c."""
    with pytest.raises(PolicyError):
        choose(names, PASSWORD, mechanism=mechanism, tls=True)


def test_obsolete_mechanisms_have_to_be_named() -> None:
    with pytest.raises(PolicyError, match="the server offers CRAM-MD5 DIGEST-MD5"):
        choose(["CRAM-MD5", "DIGEST-MD5"], PASSWORD, tls=True)


@pytest.mark.parametrize(
    "mechanism", ["", "PLAIN\r\nQUIT", "X" * 21, "GSSAPI", "pla\u0131n"]
)
def test_a_name_that_is_not_known_is_a_mistake(mechanism: str) -> None:
    """SEC-CRLF-API-n."""
    with pytest.raises(ValueError, match="not the name of a mechanism that is known"):
        choose(EVERYTHING, PASSWORD, mechanism=mechanism, tls=True)


def test_who_wants_to_act_as_another_needs_a_mechanism_that_can_say_so() -> None:
    password = sasl.Password("u", "p", "other")
    assert choose(["LOGIN", "PLAIN"], password, tls=True).name == "PLAIN"
    with pytest.raises(PolicyError, match="LOGIN: it cannot say as whom to act"):
        choose(["LOGIN"], password, tls=True)
    token = sasl.Token("u", "t", "other")
    assert choose(["XOAUTH2", "OAUTHBEARER"], token, tls=True).name == "OAUTHBEARER"


def test_the_message_says_what_was_offered_and_wanted_and_why() -> None:
    with pytest.raises(PolicyError) as caught:
        choose(
            ["login", "PLAIN", "\x1b[2J", "X" * 21],
            PASSWORD,
            mechanism=["SCRAM-SHA-256", "PLAIN", "XOAUTH2"],
            tls=False,
        )
    assert str(caught.value) == (
        "no mechanism fits Password: the server offers LOGIN PLAIN; "
        "SCRAM-SHA-256: not offered; "
        "PLAIN: it would reveal a secret without TLS; "
        "XOAUTH2: it takes Token"
    )


def test_the_message_is_short() -> None:
    with pytest.raises(PolicyError) as caught:
        choose([f"X{number}" for number in range(1_000)], PASSWORD, tls=True)
    assert len(str(caught.value)) < 200
    with pytest.raises(PolicyError, match="the server offers none"):
        choose([], PASSWORD, tls=True)


def test_a_mechanism_without_a_clients_side_is_not_chosen() -> None:
    nothing = Mechanism(name="X", credentials=sasl.Password)
    with pytest.raises(PolicyError, match="X: it has no client's side"):
        choose(["X"], PASSWORD, mechanisms=[nothing], tls=True)


# What a server offers


def names(*stored: Stored, tls: bool = True, insist: bool = False) -> str:
    return " ".join(offered(stored=stored, tls=tls, allow_insecure=insist))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([], ""),
        ([Stored.PASSWORD], "PLAIN LOGIN"),
        ([Stored.CLEAR], "CRAM-MD5"),
        ([Stored.SCRAM_SHA_1], "SCRAM-SHA-1"),
        ([Stored.SCRAM_SHA_256], "SCRAM-SHA-256"),
        ([Stored.SCRAM_SHA_512], "SCRAM-SHA-512"),
        ([Stored.TOKEN], "OAUTHBEARER XOAUTH2"),
        ([Stored.EXTERNAL], "EXTERNAL"),
        ([Stored.ANONYMOUS], "ANONYMOUS"),
    ],
)
def test_what_can_be_checked_is_offered(stored: list[Stored], expected: str) -> None:
    assert names(*stored) == expected


def test_without_tls_nothing_is_offered_that_reveals_a_secret() -> None:
    """RFC 4616 section 4, SEC-AUTH-PLAIN-a."""
    assert names(*Stored, tls=False) == (
        "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 ANONYMOUS"
    )
    assert names(*Stored, tls=False, insist=True) == (
        "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 "
        "OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN ANONYMOUS"
    )


def test_with_a_binding_both_names_are_offered() -> None:
    """RFC 5802 section 6."""
    both = offered(stored=[Stored.SCRAM_SHA_256], tls=True, bindings=BINDINGS)
    assert both == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    only = offered(
        [sasl.SCRAM_SHA_256_PLUS], stored=list(Stored), tls=True, bindings=BINDINGS
    )
    assert only == ("SCRAM-SHA-256-PLUS",)
    assert offered([sasl.SCRAM_SHA_256_PLUS], stored=list(Stored), tls=True) == ()


def test_login_is_not_offered_alone() -> None:
    with pytest.raises(ValueError, match="LOGIN is offered only beside PLAIN"):
        offered([sasl.LOGIN], stored=list(Stored), tls=True)


def test_digest_md5_is_not_offered() -> None:
    assert offered([sasl.DIGEST_MD5], stored=list(Stored), tls=True) == ()
