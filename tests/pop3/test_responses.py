from collections.abc import Callable
from typing import Any

import pytest

from smtp_pop_core import AuthenticationFailed, Rejected, pop3
from smtp_pop_core.pop3 import ERR, MORE, OK, Response, ResponseCode

UNWRITABLE = ["\r\n", "\r", "\n", "\0", "\ud800", "\udfff"]
MOST = 10**20 - 1


@pytest.mark.parametrize("octet", UNWRITABLE)
@pytest.mark.parametrize("text", ["a{}b", "{}a", "a{}", "{}"])
@pytest.mark.parametrize("cls", [OK, ERR])
def test_text_holds_nothing_that_ends_a_line(
    cls: pop3.ResponseClass, text: str, octet: str
) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Response(cls, text.format(octet))


@pytest.mark.parametrize("text", ["", " ", "é", "\x1b[2J", "\u2028", "[IN-USE]", "."])
def test_text_may_hold_anything_else(text: str) -> None:
    assert Response(OK, text).text == text


CODES = ["IN-USE", "SYS/TEMP", "SYS/TEMP/DISK", "A", "!", "X[Y", "-.\\^_`{|}~", "1/2/3"]
NO_CODES = [
    *("", "in-use", "In-Use", "A]", "A B", " A", "A ", "/", "A/", "/A", "A//B", "[A]"),
    *("É", "A\x7f", "A\0", "A\r\n", "\u017f", "\u212a"),
]


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_levels_in_upper_case(code: str) -> None:
    """RFC 2449 section 3."""
    assert Response(ERR, code=code).code == code


@pytest.mark.parametrize("code", NO_CODES)
def test_nothing_else_is_a_code(code: str) -> None:
    with pytest.raises(ValueError, match="not a response code"):
        Response(ERR, code=code)


ABOUT = [
    ("IN-USE", ResponseCode.IN_USE, True),
    ("LOGIN-DELAY", ResponseCode.LOGIN_DELAY, True),
    ("SYS/TEMP", ResponseCode.SYS_TEMP, True),
    ("SYS/TEMP/FOO", ResponseCode.SYS_TEMP, True),  # RFC 2449 section 8
    ("SYS/PERM", ResponseCode.SYS_PERM, False),
    ("SYS/PERM/A/B", ResponseCode.SYS_PERM, False),
    ("AUTH", ResponseCode.AUTH, False),
    ("UTF8", ResponseCode.UTF8, False),
    ("SYS", None, False),
    ("SYS/FOO", None, False),
    ("SYS/TEMPORARY", None, False),
    ("IN-USE2", None, False),
    ("X/IN-USE", None, False),
    (None, None, False),
]


@pytest.mark.parametrize(("code", "about", "temporary"), ABOUT)
def test_a_code_says_what_a_no_is_about(
    code: str | None, about: ResponseCode | None, temporary: bool
) -> None:
    """RFC 2449 section 8, RFC 3206 section 4."""
    response = Response(ERR, "no", code)
    assert response.about is about
    assert response.temporary is temporary


@pytest.mark.parametrize("code", [None, *ResponseCode])
def test_a_yes_is_never_temporary(code: str | None) -> None:
    assert not Response(OK, code=code).temporary


STRINGS = [
    (Response(OK), "+OK"),
    (Response(OK, "done"), "+OK done"),
    (Response(ERR, "busy", "IN-USE"), "-ERR [IN-USE] busy"),
    (Response(ERR, code="AUTH"), "-ERR [AUTH]"),
    (Response(MORE, data=pop3.Challenge(b"x")), "+"),
    (Response(OK, data=pop3.Totals(1, 2)), "+OK"),
    (Response(ERR, "\x1b[2J\x85\u2028\t"), r"-ERR \x1b[2J\x85\u2028\t"),
]


@pytest.mark.parametrize(("response", "text"), STRINGS)
def test_a_response_as_a_string_is_one_safe_line(response: Response, text: str) -> None:
    assert str(response) == text


def test_the_command_is_not_part_of_equality_or_repr() -> None:
    response = Response(OK, "x", command=pop3.User("alice"))
    assert response == Response(OK, "x")
    assert hash(response) == hash(Response(OK, "x"))
    assert "alice" not in repr(response)


@pytest.mark.parametrize("data", [None, b"", b"hunter2"])
def test_a_challenge_is_not_in_a_repr(data: bytes | None) -> None:
    response = Response(MORE, data=pop3.Challenge(data))
    assert "hunter2" not in f"{response!r}{response}"
    assert response == Response(MORE, data=pop3.Challenge(data))
    assert response != Response(MORE, data=pop3.Challenge(b"x"))


@pytest.mark.parametrize("cls", [OK, ERR])
def test_only_a_challenge_brings_a_challenge(cls: pop3.ResponseClass) -> None:
    with pytest.raises(ValueError, match="a challenge goes with MORE"):
        Response(cls, data=pop3.Challenge(b""))


@pytest.mark.parametrize("data", [None, pop3.Totals(1, 2), pop3.Mechanisms(())])
def test_a_challenge_brings_nothing_else(data: pop3.Data | None) -> None:
    with pytest.raises(ValueError, match="MORE with a challenge"):
        Response(MORE, data=data)


@pytest.mark.parametrize(("text", "code"), [("a", None), ("", "X")])
def test_a_challenge_has_neither_text_nor_code(text: str, code: str | None) -> None:
    with pytest.raises(ValueError, match="neither text nor code"):
        Response(MORE, text, code, pop3.Challenge(b""))


# What a response brings


NUMBERS: list[Callable[[Any], object]] = [
    lambda number: pop3.Totals(number, 0),
    lambda number: pop3.Totals(0, number),
    lambda number: pop3.Sizes({1: number}),
]
MESSAGES: list[Callable[[Any], object]] = [
    lambda number: pop3.Sizes({number: 0}),
    lambda number: pop3.UniqueIds({number: "a"}),
]


@pytest.mark.parametrize("make", [*NUMBERS, *MESSAGES])
def test_numbers_have_up_to_20_digits(make: Callable[[Any], object]) -> None:
    make(1)
    make(MOST)
    for number in (-1, MOST + 1):
        with pytest.raises(ValueError, match=r"must be [01] to 10\*\*20 - 1"):
            make(number)


def test_messages_are_counted_from_1() -> None:
    """RFC 1939 section 4."""
    for make in NUMBERS:
        make(0)
    for make in MESSAGES:
        with pytest.raises(ValueError, match="must be 1 to"):
            make(0)


@pytest.mark.parametrize("number", ["1", 1.0, True, None, b"1"])
@pytest.mark.parametrize("make", [*NUMBERS, *MESSAGES])
def test_a_number_is_an_int(make: Callable[[Any], object], number: object) -> None:
    with pytest.raises(TypeError):
        make(number)


@pytest.mark.parametrize("unique_id", ["", "a b", "a\r\n2 b", "a\t", "\x7f", "\0"])
def test_a_unique_id_is_one_word(unique_id: str) -> None:
    for ids in ({1: unique_id}, {1: "a", 2: unique_id, 3: "b"}):
        with pytest.raises(ValueError, match="not a unique id") as caught:
            pop3.UniqueIds(ids)
        assert repr(unique_id) in str(caught.value)


def test_two_messages_may_have_one_unique_id() -> None:
    """POP3-1939-7-h: RFC 1939 section 7 allows it for copies."""
    assert pop3.UniqueIds({1: "a", 2: "a"}).by_number == {1: "a", 2: "a"}


@pytest.mark.parametrize("tag", ["", "d e", "de\r\n", "é", "de_DE"])
def test_a_language_has_a_tag(tag: str) -> None:
    with pytest.raises(ValueError, match="not the tag of a language"):
        pop3.Language(tag)


@pytest.mark.parametrize("octet", UNWRITABLE)
def test_the_description_of_a_language_is_one_line(octet: str) -> None:
    assert pop3.Language("de", "Deutsch é").description == "Deutsch é"
    with pytest.raises(ValueError, match="cannot hold"):
        pop3.Language("de", f"a{octet}b")


WORDS: list[Callable[[Any], object]] = [
    lambda word: pop3.Mechanisms((word,)),
    lambda word: pop3.CapabilityLines(((word, ""),)),
    lambda word: pop3.CapabilityLines((("A", word),)),
    lambda word: pop3.CapabilityLines((("A", f"B {word}"),)),
]


@pytest.mark.parametrize("word", [" ", "A B ", "É", "A\r\n", "\0", "A\t", "\x7f"])
@pytest.mark.parametrize("make", WORDS)
def test_names_and_arguments_are_words_of_printable_ascii(
    make: Callable[[Any], object], word: str
) -> None:
    make("A")
    with pytest.raises(ValueError, match="not a word"):
        make(word)


def test_the_tag_of_a_capability_is_in_upper_case() -> None:
    with pytest.raises(ValueError, match="not a tag in upper case"):
        pop3.CapabilityLines((("top", ""),))
    lines = (("X-A", "b  c"),)
    with pytest.raises(ValueError, match="not a word"):
        pop3.CapabilityLines(lines)  # parted by single spaces


WRONG_TYPES: list[Callable[[], Any]] = [
    lambda: Response(0),  # type: ignore[arg-type]  # that is the point
    lambda: Response("OK"),  # type: ignore[arg-type]
    lambda: Response(OK, b"x"),  # type: ignore[arg-type]
    lambda: Response(OK, None),  # type: ignore[arg-type]
    lambda: Response(ERR, code=b"AUTH"),  # type: ignore[arg-type]
    lambda: pop3.Challenge("x"),  # type: ignore[arg-type]
    lambda: pop3.Challenge(bytearray()),  # type: ignore[arg-type]
    lambda: pop3.UniqueIds({1: b"a"}),  # type: ignore[dict-item]
    lambda: pop3.Language(b"de"),  # type: ignore[arg-type]
    lambda: pop3.Language("de", None),  # type: ignore[arg-type]
    lambda: pop3.Mechanisms((b"PLAIN",)),  # type: ignore[arg-type]
    lambda: pop3.CapabilityLines(((None, ""),)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", WRONG_TYPES)
def test_a_field_of_a_wrong_type_is_refused_at_once(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


def test_a_response_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Response(OK).text = "x"  # type: ignore[misc]  # that is the point


# A no as an exception


@pytest.mark.parametrize(("code", "temporary"), [("IN-USE", True), ("AUTH", False)])
def test_a_rejection_says_what_was_asked_and_the_answer(
    code: str, temporary: bool
) -> None:
    command, response = pop3.Dele(1), Response(ERR, "no\x1b", code)
    error = pop3.Rejected(command, response)
    assert isinstance(error, Rejected)
    assert str(error) == rf"Dele: -ERR [{code}] no\x1b"
    assert error.command is command
    assert error.response is response
    assert error.temporary is temporary


def test_a_failed_login_shows_no_secret_and_says_why() -> None:
    reason = ValueError("the proof is wrong")
    error = pop3.AuthenticationFailed(
        pop3.Pass("hunter2"), Response(ERR, "no", "AUTH"), reason=reason
    )
    assert isinstance(error, AuthenticationFailed)
    assert isinstance(error, pop3.Rejected)
    assert str(error) == "Pass: -ERR [AUTH] no: the proof is wrong"
    assert "hunter2" not in repr(error)
    assert error.reason is reason
    plain = pop3.AuthenticationFailed(pop3.Auth("PLAIN"), Response(ERR))
    assert (str(plain), plain.reason) == ("Auth: -ERR", None)
