import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._abnf import (
    ATOM,
    ATOM_UTF8,
    DOT_STRING,
    DOT_STRING_UTF8,
    ESMTP_KEYWORD,
    ESMTP_VALUE,
    ESMTP_VALUE_UTF8,
    LOCAL_PART,
    LOCAL_PART_UTF8,
    MAILBOX,
    MAILBOX_UTF8,
    QUOTED_STRING,
    QUOTED_STRING_UTF8,
    is_address_literal,
    is_domain,
    is_domain_or_literal,
    is_esmtp_keyword,
    is_esmtp_value,
    number,
    require_str,
    upper,
)
from smtp_pop_core._errors import ParseError

DATA = Path(__file__).parent / "data"
INTEGERS = tomllib.loads((DATA / "integers.toml").read_text("utf-8"))["case"]
ATTACKS = {
    attack["id"]: attack
    for attack in tomllib.loads((DATA / "security.toml").read_text("utf-8"))["attack"]
}

ASCII = [chr(code) for code in range(128)]
ATEXT = set(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~"
)
# What text beyond ASCII is not used where SMTPUTF8 is in force.
NEVER = {*map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"}
SPACES = {
    "\u00a0",
    "\u1680",
    *map(chr, range(0x2000, 0x200B)),
    "\u202f",
    "\u205f",
    "\u3000",
}
FULL_STOPS = {"\u3002", "\uff0e", "\uff61"}
# All in which a class of these expressions begins or ends.
BEYOND_ASCII = [
    chr(code)
    for code in (
        *range(0x80, 0x3100),
        *range(0xD700, 0xD800),
        *range(0xE000, 0xE100),
        *range(0xFE00, 0x10100),
        0x10FFFF,
    )
]
SURROGATES = [chr(code) for code in range(0xD800, 0xE000)]


def matches(expression: str, text: str) -> bool:
    return re.fullmatch(expression, text) is not None


def matching(expression: str, characters: list[str]) -> set[str]:
    compiled = re.compile(expression)
    return {each for each in characters if compiled.fullmatch(each)}


def is_number(text: str) -> bool:
    try:
        number(text)
    except ParseError:
        return False
    return True


# Classes of characters


@pytest.mark.parametrize("expression", [ATOM, ATOM_UTF8, DOT_STRING, DOT_STRING_UTF8])
def test_an_atom_holds_atext_and_no_other_ascii(expression: str) -> None:
    assert matching(expression, ASCII) == ATEXT


@pytest.mark.parametrize("quoted", [QUOTED_STRING, QUOTED_STRING_UTF8])
def test_a_quoted_string_holds_printable_ascii(quoted: str) -> None:
    held = {each for each in ASCII if matches(quoted, f'"{each}"')}
    assert held == set(map(chr, range(32, 127))) - {'"', "\\"}


@pytest.mark.parametrize("quoted", [QUOTED_STRING, QUOTED_STRING_UTF8])
def test_a_quoted_pair_holds_printable_ascii(quoted: str) -> None:
    held = {each for each in [*ASCII, "é"] if matches(quoted, f'"\\{each}"')}
    assert held == set(map(chr, range(32, 127)))


@pytest.mark.parametrize("expression", [ESMTP_VALUE, ESMTP_VALUE_UTF8])
def test_a_value_holds_visible_ascii_but_no_equals_sign(expression: str) -> None:
    assert matching(expression, ASCII) == set(map(chr, range(33, 127))) - {"="}


def test_a_keyword_holds_letters_and_digits() -> None:
    letters = {each for each in ASCII if each.isalnum()}
    assert matching(ESMTP_KEYWORD, [*ASCII, *BEYOND_ASCII]) == letters


@pytest.mark.parametrize("utf8", [False, True])
def test_a_domain_holds_letters_and_digits(utf8: bool) -> None:
    held = {each for each in ASCII if is_domain(each, utf8=utf8)}
    assert held == {each for each in ASCII if each.isalnum()}


@pytest.mark.parametrize("expression", [ATOM, QUOTED_STRING, LOCAL_PART, ESMTP_VALUE])
def test_nothing_beyond_ascii_is_used_without_smtputf8(expression: str) -> None:
    assert matching(expression, BEYOND_ASCII) == set()


@pytest.mark.parametrize("expression", [ATOM_UTF8, LOCAL_PART_UTF8, ESMTP_VALUE_UTF8])
def test_smtputf8_adds_all_but_controls_and_line_ends(expression: str) -> None:
    assert matching(expression, BEYOND_ASCII) == set(BEYOND_ASCII) - NEVER


def test_smtputf8_adds_the_same_to_quoted_strings() -> None:
    quoted = {f'"{each}"' for each in BEYOND_ASCII}
    allowed = {f'"{each}"' for each in set(BEYOND_ASCII) - NEVER}
    assert matching(QUOTED_STRING_UTF8, sorted(quoted)) == allowed


def test_a_u_label_holds_no_white_space_and_no_full_stop() -> None:
    held = {each for each in BEYOND_ASCII if is_domain(each, utf8=True)}
    assert held == set(BEYOND_ASCII) - NEVER - SPACES - FULL_STOPS


def test_a_domain_holds_nothing_beyond_ascii_without_smtputf8() -> None:
    assert not any(map(is_domain, BEYOND_ASCII))


@pytest.mark.parametrize(
    "template", ["{}@b", '"{}"@b', '"\\{}"@b', "a@{}", "a@b{}.c", "a@[{}]"]
)
def test_surrogates_are_never_used(template: str) -> None:
    mailboxes = [template.format(each) for each in SURROGATES]
    assert matching(MAILBOX_UTF8, mailboxes) == set()


# Local parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        ("a.b.c", True),
        ('""', True),
        ('"a b"', True),
        ('"\\""', True),
        ('"\\\\"', True),
        ("", False),
        (".a", False),
        ("a.", False),
        ("a..b", False),
        ("a\n", False),
        ('"', False),
        ('"\\"', False),
        ('"""', False),
        ('"a"b', False),
        ('"a"\n', False),
    ],
)
def test_local_parts(text: str, expected: bool) -> None:
    assert matches(LOCAL_PART, text) is expected
    assert matches(LOCAL_PART_UTF8, text) is expected


# Domains and address literals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        ("example.com", True),
        ("a-b.c--d", True),
        ("1.2.3.4", True),
        ("xn--nxasmq6b.example", True),
        ("b" * 64, True),  # the line is the bound
        ("b." * 200 + "b", True),
        ("", False),
        (".", False),
        ("a.", False),
        (".a", False),
        ("a..b", False),
        ("-a", False),
        ("a-", False),
        ("a-.b", False),
        ("a.-b", False),
        ("-", False),
        ("a_b", False),
        ("a b", False),
        ("a\n", False),
        ("host evil", False),
        ("mx\r\n250 x", False),
        ("[192.0.2.1]", False),
    ],
)
def test_domains(text: str, expected: bool) -> None:
    assert is_domain(text) is expected
    assert is_domain(text, utf8=True) is expected


@pytest.mark.parametrize("text", ["é.example", "a-é.b", "éa.é-é", "παράδειγμα.例え"])
def test_domains_beyond_ascii_need_smtputf8(text: str) -> None:
    assert is_domain(text, utf8=True)
    assert not is_domain(text)


@pytest.mark.parametrize("text", ["é-.example", "-é", "é..é", "é.", "a\uff0eb", "a b"])
def test_u_labels_keep_the_rules_of_labels(text: str) -> None:
    assert not is_domain(text, utf8=True)


@pytest.mark.parametrize("snum", [*range(256), "00", "000", "09", "099", "199", "001"])
def test_a_number_of_an_ipv4_address(snum: int | str) -> None:
    assert is_address_literal(f"[192.0.2.{snum}]")


@pytest.mark.parametrize(
    "snum",
    [256, 260, 299, 300, 999, 1000, "0000", "", "-1", "+1", "1 ", "0x1", "\u0661"],
)
def test_not_a_number_of_an_ipv4_address(snum: int | str) -> None:
    assert not is_address_literal(f"[{snum}.0.2.1]")
    assert not is_address_literal(f"[192.0.2.{snum}]")


@pytest.mark.parametrize("left", range(9))
@pytest.mark.parametrize("right", range(9))
def test_a_double_colon_stands_for_two_groups_or_more(left: int, right: int) -> None:
    groups = ["dB8"] * left, ["1"] * right
    address = "::".join(map(":".join, groups))
    assert is_address_literal(f"[IPv6:{address}]") is (left + right <= 6)


@pytest.mark.parametrize("left", range(7))
@pytest.mark.parametrize("right", range(7))
def test_a_dotted_quad_stands_for_two_groups(left: int, right: int) -> None:
    groups = ["dB8"] * left, ["1"] * right + ["192.0.2.1"]
    address = "::".join(map(":".join, groups))
    assert is_address_literal(f"[IPv6:{address}]") is (left + right <= 4)


@pytest.mark.parametrize("count", range(10))
def test_an_ipv6_address_in_full_has_eight_groups(count: int) -> None:
    groups = ["0"] * count
    assert is_address_literal(f"[IPv6:{':'.join(groups)}]") is (count == 8)
    assert is_address_literal(f"[IPv6:{':'.join([*groups, '1.2.3.4'])}]") is (
        count == 6
    )


@pytest.mark.parametrize("tag", ["IPv6", "ipv6", "IPV6", "iPv6"])
def test_the_tag_of_an_ipv6_address_is_in_any_case(tag: str) -> None:
    assert is_address_literal(f"[{tag}:2001:db8::1]")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[",
        "192.0.2.1",
        "[192.0.2.1",
        "192.0.2.1]",
        "[192.0.2.1]\n",
        "[192.0.2]",
        "[192.0.2.1.1]",
        "[ 192.0.2.1]",
        "[IPv6:]",
        "[IPv6::]",
        "[IPv6:::::]",
        "[IPv6:1::2::3]",
        "[IPv6:1:::2]",
        "[IPv6::1:2:3:4:5:6:7]",
        "[IPv6:1:2:3:4:5:6:7:]",
        "[IPv6:12345::]",
        "[IPv6:g::]",
        "[IPv6:::192.0.2.256]",
        "[IPv6:192.0.2.1::]",
        "[IPv6:fe80::1%eth0]",
        "[IPv6 ::1]",
    ],
)
@pytest.mark.parametrize("any_tag", [False, True])
def test_not_an_address_literal(text: str, any_tag: bool) -> None:
    assert not is_address_literal(text, any_tag=any_tag)


@pytest.mark.parametrize("text", ["[2001:db8::1]", "[x-1:y]", "[-a:!Z^~]", "[IPv66:a]"])
def test_a_tag_that_is_not_registered_is_taken_only_if_asked_for(text: str) -> None:
    assert not is_address_literal(text)
    assert not is_domain_or_literal(text)
    assert is_address_literal(text, any_tag=True)
    assert is_domain_or_literal(text, any_tag=True)


@pytest.mark.parametrize("text", ["[:a]", "[a-:b]", "[a_b:c]", "[a:]", "[é:b]"])
def test_not_a_tagged_literal(text: str) -> None:
    assert not is_address_literal(text, any_tag=True)


@pytest.mark.parametrize("content", ["[", "\\", "]", " ", "\x7f", "é", "a\n"])
def test_not_the_content_of_a_tagged_literal(content: str) -> None:
    assert not is_address_literal(f"[x:{content}]", any_tag=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mx.example.com", True),
        ("[192.0.2.1]", True),
        ("[IPv6:::1]", True),
        ("", False),
        ("-", False),
        ("host evil", False),
        ("[192.0.2.1]x", False),
    ],
)
def test_what_stands_after_ehlo(text: str, expected: bool) -> None:
    assert is_domain_or_literal(text) is expected


def test_what_stands_after_ehlo_with_smtputf8() -> None:
    assert is_domain_or_literal("é.example", utf8=True)
    assert is_domain_or_literal("[192.0.2.1]", utf8=True)
    assert not is_domain_or_literal("é.example")


@pytest.mark.parametrize("identifier", ["SEC-CRLF-API-i", "SEC-CRLF-API-t"])
def test_a_name_cannot_hold_a_second_line_or_word(identifier: str) -> None:
    assert not is_domain_or_literal(ATTACKS[identifier]["argument"], utf8=True)


def test_a_name_may_have_many_dots() -> None:
    (line,) = ATTACKS["SEC-ADDR-j"]["send"]
    assert is_domain_or_literal(line.removeprefix("EHLO ").removesuffix("\r\n"))


# Parameters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SIZE", True),
        ("size", True),
        ("8BITMIME", True),
        ("MT-PRIORITY", True),
        ("A-", True),
        ("", False),
        ("-A", False),
        ("A_B", False),
        ("A B", False),
        ("A=", False),
        ("A\n", False),
        ("\u017fIZE", False),
    ],
)
def test_keywords(text: str, expected: bool) -> None:
    assert is_esmtp_keyword(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", True),
        ("<>", True),
        ("rfc822;a+2Bb@c", True),
        ("", False),
        ("a=b", False),
        ("1 BODY=8BITMIME", False),
        ("a\r\nRSET", False),
        ("a\0", False),
        ("a\n", False),
        ("a\x7f", False),
    ],
)
def test_values(text: str, expected: bool) -> None:
    assert is_esmtp_value(text) is expected
    assert is_esmtp_value(text, utf8=True) is expected


def test_a_value_beyond_ascii_needs_smtputf8() -> None:
    assert is_esmtp_value("utf-8;é@b", utf8=True)
    assert not is_esmtp_value("utf-8;é@b")


# Numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (case["input"], case.get("value", 10**20 - 1))
        for case in INTEGERS
        if case["valid"]
    ],
)
def test_a_number_is_read(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("case", [case for case in INTEGERS if not case["valid"]])
def test_what_is_not_a_number_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(ParseError):
        number(case["input"])


@pytest.mark.parametrize(
    "text", ["1_000", "1\0", "1\r\n", "\u0661", "\u00b2", "\uff11"]
)
def test_a_number_has_no_other_characters(text: str) -> None:
    with pytest.raises(ParseError, match="not a number: '"):
        number(text)


def test_a_number_has_no_more_digits_than_allowed() -> None:
    assert number("9" * 20) == 10**20 - 1
    assert number("000", 3) == 0
    with pytest.raises(ParseError, match="number is longer than 20 digits"):
        number("0" * 21)
    with pytest.raises(ParseError, match="number is longer than 3 digits"):
        number("0000", 3)


@given(st.integers(0, 10**20 - 1))
def test_every_number_is_read_back(value: int) -> None:
    assert number(str(value)) == value


@given(st.text("0129 +-_.\n\u0661\u00b2\uff11", max_size=25))
def test_a_number_is_one_to_twenty_ascii_digits(text: str) -> None:
    assert is_number(text) is matches("[0-9]{1,20}", text)


@pytest.mark.parametrize("value", [b"1", 1, None, ["1"]])
def test_a_number_is_read_from_text_only(value: object) -> None:
    with pytest.raises(TypeError, match=f"must be str, not {type(value).__name__}"):
        number(value)  # type: ignore[arg-type]  # what is tested


def test_text_is_text() -> None:
    require_str("text", "")
    with pytest.raises(TypeError, match=r"^name must be str, not bytes$"):
        require_str("name", b"")


# Case


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Size", "SIZE"),
        ("mt-priority", "MT-PRIORITY"),
        ("straße", "STRAßE"),
        ("éa", "éA"),
        ("\u017fize", "\u017fIZE"),  # long s
        ("\u0131d", "\u0131D"),  # dotless i
        ("\ufb01x", "\ufb01X"),  # ligature
    ],
)
def test_only_ascii_letters_change_case(text: str, expected: str) -> None:
    assert upper(text) == expected


@given(st.text())
def test_folding_changes_nothing_beyond_ascii(text: str) -> None:
    octets = text.encode("utf-8", "surrogatepass")
    assert upper(text).encode("utf-8", "surrogatepass") == octets.upper()


# Time

LONG = 100_000


@pytest.mark.parametrize("expression", [MAILBOX, MAILBOX_UTF8])
@pytest.mark.parametrize(
    ("unit", "before", "after"),
    [
        ("a", "", ""),
        ("a.", "", ""),
        ("a.", "", "@"),
        ('"', "", ""),
        ("\\", '"', ""),
        ("\\\\", '"', ""),
        ('\\"', '"', ""),
        ("a\\a", '"', ""),
        (" ", '"', ""),
        ("-", "a@", ""),
        ("a-", "a@", ""),
        ("a.", "a@", ""),
        ("a-a.", "a@", "_"),
        ("a", "a@", "_"),
        ("1.", "a@[", "]"),
        (":", "a@[IPv6:", "]"),
        ("1:", "a@[IPv6:", "]"),
        ("1::", "a@[IPv6:", "]"),
        ("1", "a@[IPv6:", "]"),
        (":", "a@[IPv6:1", "1]"),
    ],
)
def test_a_long_text_is_refused_in_linear_time(
    expression: str, unit: str, before: str, after: str
) -> None:
    """Going back over 100,000 characters in more ways than one would never end."""
    assert not matches(expression, before + unit * (LONG // len(unit)) + after)


@pytest.mark.parametrize("unit", ["a", "-", "a-", "a:", ":", "IPv6:"])
def test_a_long_literal_is_refused_in_linear_time(unit: str) -> None:
    assert not is_address_literal("[" + unit * (LONG // len(unit)), any_tag=True)


@pytest.mark.parametrize(
    "text",
    [
        "a" * LONG + "@b",
        "a." * LONG + "a@b",
        '"' + "\\\\" * LONG + '"@b',
        '"' + " " * LONG + '"@b',
        "a@" + "b" * LONG,
        "a@" + "b." * LONG + "b",
        "a@b" + "-" * LONG + "b",
    ],
    ids=range(7),
)
def test_a_long_text_is_accepted_in_linear_time(text: str) -> None:
    assert matches(MAILBOX, text)
    assert matches(MAILBOX_UTF8, text)
