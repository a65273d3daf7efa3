import pytest

from smtp_pop_core.pop3._grammar import (
    are_unique_ids,
    find_timestamp,
    is_language,
    is_timestamp,
    is_unique_id,
)

UNIQUE_IDS = ["!", "~", "a", "QhdPYR:00WBw1Ph7x7", "x" * 70, "1", "<a@b>", "."]
NO_UNIQUE_IDS = [
    *("", " ", "a b", " a", "a ", "a\t", "\x7f", "a\x7f", "\0", "a\r", "a\n", "a\r\n"),
    "a\ud800",
]
ODD_IDS = ["x" * 71, "x" * 5_000, "é", "\u0661", "a\x80", "\u3000"]


@pytest.mark.parametrize("text", UNIQUE_IDS)
def test_a_unique_id_is_1_to_70_printable_characters(text: str) -> None:
    """RFC 1939 section 7."""
    assert is_unique_id(text)
    assert is_unique_id(text, any_id=True)


@pytest.mark.parametrize("text", NO_UNIQUE_IDS)
def test_spaces_and_controls_are_in_no_unique_id(text: str) -> None:
    assert not is_unique_id(text)
    assert not is_unique_id(text, any_id=True)


@pytest.mark.parametrize("text", ODD_IDS)
def test_other_unique_ids_are_there_by_option(text: str) -> None:
    assert not is_unique_id(text)
    assert is_unique_id(text, any_id=True)


ID_LISTS = [
    # unique ids, whether all are good, and whether any words are
    ([], True, True),
    (["a"], True, True),
    (["a", "a", "~" * 70], True, True),
    (["a", "é"], False, True),
    (["x" * 71, "b"], False, True),
    (["a", ""], False, False),
    (["", "a"], False, False),
    (["a\nb", "c"], False, False),
    (["a", "b c"], False, False),
]


@pytest.mark.parametrize(("texts", "strict", "lenient"), ID_LISTS)
def test_unique_ids_are_looked_at_together_as_one_by_one(
    texts: list[str], strict: bool, lenient: bool
) -> None:
    assert are_unique_ids(texts) is all(map(is_unique_id, texts)) is strict
    each = [is_unique_id(text, any_id=True) for text in texts]
    assert are_unique_ids(texts, any_id=True) is all(each) is lenient


def test_only_texts_are_looked_at_together() -> None:
    with pytest.raises(TypeError):
        are_unique_ids(["a", b"b"])  # type: ignore[list-item]  # that is the point


TIMESTAMPS = [
    "<1896.697170952@dbc.mtview.ca.us>",  # RFC 1939 section 7
    *("<a@b>", "<1.2@[192.0.2.1]>", '<"a"@b>', "<!@~>"),
]
NO_TIMESTAMPS = [
    *("", "<>", "<a>", "<@>", "<@b>", "<a@>", "a@b", "<a@b", "a@b>", "<<a@b>>"),
    *("<a@b@c>", "<a b@c>", "<a@b >", "< a@b>", "<a@b> ", " <a@b>", "<a@b>x"),
    *("<a@b\x01>", "<a\0@b>", "<é@b>", "<a@b\xff>", "<a@b\r\n>", "<a@b>\n", "<a\t@b>"),
]


@pytest.mark.parametrize("text", TIMESTAMPS)
def test_a_timestamp_is_a_message_id_in_angle_brackets(text: str) -> None:
    """RFC 1939 section 7."""
    assert is_timestamp(text)
    assert find_timestamp(text) == text


@pytest.mark.parametrize("text", NO_TIMESTAMPS)
def test_nothing_else_is_a_timestamp(text: str) -> None:
    """CVE-2007-1558: what is odd may serve to find out the password."""
    assert not is_timestamp(text)


GREETINGS = [
    ("POP3 server ready <1896.697170952@dbc.mtview.ca.us>", TIMESTAMPS[0]),
    ("<a@b> ready", "<a@b>"),
    ("x<a@b>y", "<a@b>"),
    ("<a@b><c@d>", "<a@b>"),
    ("<> <a@b>", ""),  # the first thing in brackets is none
    ("<ab> <a@b>", ""),
    ("<é@b> <a@b>", ""),
    ("< <a@b>", "<a@b>"),
    ("> <a@b> <", "<a@b>"),
    ("<a@b", ""),
    ("a@b>", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "timestamp"), GREETINGS)
def test_the_first_thing_in_angle_brackets_is_the_timestamp_or_nothing(
    text: str, timestamp: str
) -> None:
    assert find_timestamp(text) == timestamp


def test_a_long_greeting_takes_no_long_time() -> None:
    for text in ("<" * 100_000, "<a" * 50_000, "<a@" + "@" * 100_000 + ">"):
        assert find_timestamp(text) == ""


LANGUAGES = ["*", "de", "i-default", "zh-Hant-TW", "x" * 8, "en-" + "1" * 8]
NO_LANGUAGES = [
    *("", " ", "-", "de-", "-de", "d e", "de_DE", "x" * 9, "en-" + "1" * 9, "1"),
    *("**", "*-de", "de-*", "dé", "\u0661", "de\n", "de\r\n", "de\0", "d\u017f"),
    "-".join(["abcdefgh"] * 12),
]


@pytest.mark.parametrize("text", LANGUAGES)
def test_a_language_has_a_tag(text: str) -> None:
    """RFC 6856 section 3.1."""
    assert is_language(text)


@pytest.mark.parametrize("text", NO_LANGUAGES)
def test_nothing_else_is_the_tag_of_a_language(text: str) -> None:
    assert not is_language(text)


@pytest.mark.parametrize("function", [is_unique_id, is_timestamp, is_language])
@pytest.mark.parametrize("value", [b"a", None, 1])
def test_only_text_is_looked_at(function: object, value: object) -> None:
    assert callable(function)
    with pytest.raises(TypeError):
        function(value)
