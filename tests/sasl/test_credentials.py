import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core import sasl

BAD_NAMES = ["a\0b", "a\rb", "a\nb", "u\1v", "u\x7f", "u\x85", "\ud800"]


@pytest.mark.parametrize("name", ["", *BAD_NAMES])
def test_the_name_of_a_user_holds_no_control_characters(name: str) -> None:
    """SEC-CRLF-API-o: NUL splits the message of PLAIN."""
    with pytest.raises(ValueError, match=r"the user is empty|control character"):
        sasl.Password(name, "p")
    with pytest.raises(ValueError, match=r"the user is empty|control character"):
        sasl.Token(name, "t")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_neither_does_the_name_to_act_as(name: str) -> None:
    """RFC 4422 section 3.4.1."""
    with pytest.raises(ValueError, match="authzid holds a control character"):
        sasl.Password("u", "p", name)
    with pytest.raises(ValueError, match="authzid holds a control character"):
        sasl.Token("u", "t", name)
    with pytest.raises(ValueError, match="authzid holds a control character"):
        sasl.External(name)


@pytest.mark.parametrize("password", ["", "hunter2\0", "hunter2\r", "a\nb", "\udfff"])
def test_a_password_that_cannot_be_sent_is_not_shown(password: str) -> None:
    with pytest.raises(ValueError, match="a password cannot be empty") as caught:
        sasl.Password("u", password)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "hunter2 x", "hunter2\1", "hunter2\u00e9"])
def test_a_token_is_printable(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        sasl.Token("u", token)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "trace", ["@", "a@", "@b", "a@b@c", "x" * 256, "a\7", "\ue000", "\u0627x"]
)
def test_a_trace_is_an_address_or_a_short_text(trace: str) -> None:
    with pytest.raises(ValueError, match="not an e-mail address"):
        sasl.Anonymous(trace)


@pytest.mark.parametrize("trace", ["", "sirhc", "a@b.example", "x" * 255, "\u00fc x"])
def test_such_a_trace_is_kept(trace: str) -> None:
    assert sasl.Anonymous(trace).trace == trace


def test_values_are_text() -> None:
    with pytest.raises(TypeError, match="user must be str, not bytes"):
        sasl.Password(b"u", "p")  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="password must be str, not bytes"):
        sasl.Password("u", b"p")  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="authzid must be str, not NoneType"):
        sasl.Password("u", "p", None)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="token must be str, not bytes"):
        sasl.Token("u", b"t")  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="authzid must be str, not int"):
        sasl.External(1)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="trace must be str, not NoneType"):
        sasl.Anonymous(None)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    "holder",
    [
        sasl.Password("u", "hunter2"),
        sasl.Token("u", "hunter2"),
        sasl.VerifyPassword("u", "hunter2"),
        sasl.VerifyToken("u", "hunter2"),
        sasl.ScramKeys("SHA-1", b"salt", 4096, b"hunter2" * 2 + b"......", b"." * 20),
        sasl.PasswordHash(b"salt", b"hunter2" * 4 + b"...."),
        sasl.ServerContext(nonce="hunter2", fake_salt_key=b"hunter2"),
        sasl.ClientContext(nonce="hunter2", bindings={"tls-unique": b"hunter2"}),
        sasl.Users({"u": "hunter2"}, key=b"hunter2"),
    ],
)
def test_no_secret_is_in_a_repr(holder: object) -> None:
    assert "hunter2" not in repr(holder)


@given(st.text(), st.text(), st.text())
def test_whatever_is_accepted_can_be_sent(user: str, secret: str, other: str) -> None:
    try:
        credentials = sasl.Password(user, secret, other)
    except ValueError:
        return
    for each in (credentials.user, credentials.password, credentials.authzid):
        assert each.encode().find(b"\0") < 0
