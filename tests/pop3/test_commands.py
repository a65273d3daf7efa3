from collections.abc import Callable
from typing import Any

import pytest

from smtp_pop_core import pop3
from smtp_pop_core.pop3 import ERR, Response

# What ends a line or an argument, or steers what reads it.
HARMFUL = [
    *("\r\n", "\r", "\n", "\0", " ", "\t", "\v", "\f", "\x1b", "\x1c", "\x1e", "\x7f"),
    *("\x80", "\x85", "\x9f", "\xa0", "\u2028", "\u2029", "\ud800", "\udcff"),
]
DIGEST = "c4c9334bac560ecc979e58001b3e22fb"  # RFC 1939 section 7

NAMES: list[Callable[[Any], pop3.Command]] = [
    pop3.User,
    lambda name: pop3.Apop(name, DIGEST),
]


@pytest.mark.parametrize("name", ["a", "mrose", "a@b.example", "é", "\U0001f600", "~"])
@pytest.mark.parametrize("make", NAMES)
def test_a_name_is_one_word(make: Callable[[Any], pop3.Command], name: str) -> None:
    assert make(name) == make(name)


@pytest.mark.parametrize("name", ["", *HARMFUL, *(f"a{each}b" for each in HARMFUL)])
@pytest.mark.parametrize("make", NAMES)
def test_nothing_else_is_a_name(make: Callable[[Any], pop3.Command], name: str) -> None:
    with pytest.raises(ValueError, match="not a name for a command line"):
        make(name)


@pytest.mark.parametrize("password", [" ", "a b c", " a ", "é", "\t", "\x7f", "\x85"])
def test_a_password_may_hold_spaces(password: str) -> None:
    """RFC 1939 section 7."""
    assert pop3.Pass(password).password == password


@pytest.mark.parametrize("octet", ["\r\n", "\r", "\n", "\0", "\ud800"])
def test_a_password_is_in_one_line_and_not_in_the_error(octet: str) -> None:
    for password in ("", f"hunter2{octet}", f"{octet}hunter2", f"hun{octet}ter2"):
        with pytest.raises(ValueError, match="not a password") as caught:
            pop3.Pass(password)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "digest",
    [
        *("", DIGEST[1:], f"{DIGEST}0", DIGEST.upper(), f" {DIGEST}", f"{DIGEST}\n"),
        *(f"g{DIGEST[1:]}", f"\u0661{DIGEST[1:]}", f"é{DIGEST[1:]}"),
    ],
)
def test_a_digest_is_32_hexadecimal_digits_in_lower_case(digest: str) -> None:
    """RFC 1939 section 7."""
    assert pop3.Apop("mrose", DIGEST).digest == DIGEST
    with pytest.raises(ValueError, match="not a digest of 32") as caught:
        pop3.Apop("mrose", digest)
    assert digest == "" or digest not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", "plain", "A B", "A" * 21, "É", "A=", *(f"A{each}" for each in HARMFUL)],
)
def test_a_mechanism_has_a_name_in_upper_case(name: str) -> None:
    """RFC 4422 section 3.1."""
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        pop3.Auth(name)


NUMBERS: list[Callable[[Any], pop3.Command]] = [
    *(pop3.List, pop3.Uidl, pop3.Retr, pop3.Dele),
    lambda number: pop3.Top(number, 0),
]


@pytest.mark.parametrize("make", NUMBERS)
def test_messages_are_counted_from_1(make: Callable[[Any], pop3.Command]) -> None:
    make(1)
    make(10**20 - 1)
    for number in (0, -1, 10**20):
        with pytest.raises(ValueError, match="number must be 1 to"):
            make(number)


def test_lines_are_counted_from_0() -> None:
    assert pop3.Top(1, 0).lines == 0
    assert pop3.Top(1, 10**20 - 1).lines == 10**20 - 1
    for lines in (-1, 10**20):
        with pytest.raises(ValueError, match="lines must be 0 to"):
            pop3.Top(1, lines)


@pytest.mark.parametrize("number", ["1", 1.0, True, b"1"])
@pytest.mark.parametrize("make", [*NUMBERS, lambda lines: pop3.Top(1, lines)])
def test_a_number_is_an_int(
    make: Callable[[Any], pop3.Command], number: object
) -> None:
    with pytest.raises(TypeError):
        make(number)


@pytest.mark.parametrize("kind", [pop3.List, pop3.Uidl, pop3.Lang])
def test_without_an_argument_everything_is_asked_for(
    kind: Callable[[], pop3.Command],
) -> None:
    assert "None" in repr(kind())


@pytest.mark.parametrize("tag", ["", "de_DE", *(f"de{each}" for each in HARMFUL)])
def test_a_language_has_a_tag(tag: str) -> None:
    """RFC 6856 section 3.1."""
    assert pop3.Lang("*").tag == "*"
    with pytest.raises(ValueError, match="not the tag of a language"):
        pop3.Lang(tag)


WRONG_TYPES: list[Callable[[], Any]] = [
    lambda: pop3.User(b"a"),  # type: ignore[arg-type]  # that is the point
    lambda: pop3.User(None),  # type: ignore[arg-type]
    lambda: pop3.Pass(b"a"),  # type: ignore[arg-type]
    lambda: pop3.Apop("a", b"0" * 32),  # type: ignore[arg-type]
    lambda: pop3.Apop(1, "0" * 32),  # type: ignore[arg-type]
    lambda: pop3.Auth(b"PLAIN"),  # type: ignore[arg-type]
    lambda: pop3.Auth("PLAIN", "x"),  # type: ignore[arg-type]
    lambda: pop3.Auth("PLAIN", bytearray()),  # type: ignore[arg-type]
    lambda: pop3.AuthResponse("x"),  # type: ignore[arg-type]
    lambda: pop3.Retr(None),  # type: ignore[arg-type]
    lambda: pop3.Lang(b"de"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", WRONG_TYPES)
def test_a_field_of_a_wrong_type_is_refused_at_once(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    "command",
    [
        pop3.Pass("hunter2"),
        pop3.Auth("PLAIN", b"hunter2"),
        pop3.AuthResponse(b"hunter2"),
        pop3.BadCommand(b"PASS hunter2", Response(ERR)),
    ],
)
def test_a_secret_is_not_in_a_repr(command: pop3.Command) -> None:
    assert "hunter2" not in f"{command!r}{command}"


def test_a_digest_is_not_in_a_repr() -> None:
    assert DIGEST not in repr(pop3.Apop("mrose", DIGEST))


def test_commands_are_equal_by_their_fields() -> None:
    assert pop3.Pass("a") == pop3.Pass("a") != pop3.Pass("b")
    assert hash(pop3.Pass("a")) == hash(pop3.Pass("a"))
    assert pop3.Auth("PLAIN", b"") != pop3.Auth("PLAIN")
    assert pop3.AuthResponse(b"") != pop3.AuthResponse(None)
    assert len({pop3.Stat(), pop3.Noop(), pop3.Stat()}) == 2


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        pop3.Retr(1).number = 2  # type: ignore[misc]  # that is the point
