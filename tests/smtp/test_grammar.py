import string
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._errors import ParseError
from smtp_pop_core.smtp._grammar import (
    Mailbox,
    is_forward_path,
    is_reverse_path,
    parse_forward_path,
    parse_integer,
    parse_mailbox,
    split_forward_path,
    split_parameters,
    split_reverse_path,
)

DATA = Path(__file__).parents[1] / "data"
ADDRESSES = tomllib.loads((DATA / "addresses.toml").read_text("utf-8"))["address"]
VALID = [each for each in ADDRESSES if each["valid"]]
INVALID = [each for each in ADDRESSES if not each["valid"]]
ATTACKS = {
    attack["id"]: attack
    for attack in tomllib.loads((DATA / "security.toml").read_text("utf-8"))["attack"]
}

Split: TypeAlias = Callable[..., tuple[str, str]]
IsPath: TypeAlias = Callable[..., bool]

# What a local part may hold, quoted or not.
CHARACTERS = st.characters(
    codec="utf-8",
    exclude_categories=["Cc"],
    exclude_characters="\u2028\u2029",
)
LOCAL_PARTS = st.one_of(
    st.text(CHARACTERS),
    st.text(st.sampled_from(string.ascii_letters + string.punctuation + " .é")),
    st.sampled_from(["postmaster", "Postmaster", "", " ", '"', "\\", '\\"', ".", "a."]),
)
DOMAINS = st.sampled_from(
    [
        "example.com",
        "EXAMPLE.com",
        "a-b.c",
        "1.2",
        "é.example",
        "É.Example",
        "[192.0.2.1]",
        "[IPv6:2001:DB8::1]",
        "[ipv6:2001:db8::1]",
    ]
)
MAILBOXES = st.builds(Mailbox, LOCAL_PARTS, DOMAINS)

# Text that is an address now and then, or almost.
PIECES = [
    *'aB.@"\\<> ,:-[]=\r\n\0\x7f\x85é\u017f\u2028',
    *("a@b", "a@é", "@d", "b.c", "@r:", '" "', '"a>b"@c', "[192.0.2.1]", "postmaster"),
]
SCRAPS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)

TEXTS = st.one_of(SCRAPS, st.sampled_from([each["input"] for each in ADDRESSES]))


def outside_quotes(text: str) -> str:
    """The text without the inside of its quoted strings."""
    kept = ""
    quoted = False
    characters = iter(text)
    for each in characters:
        if each == '"':
            quoted = not quoted
        elif not quoted:
            kept += each
        elif each == "\\":
            next(characters, None)
    return kept


def is_harmless(text: str) -> bool:
    """Whether text ends no line, no argument and no path."""
    line_ends = set("\r\n\0\v\f\x85\u2028\u2029")
    return not set(text) & line_ends and not set(outside_quotes(text)) & set(" <>")


def result(split: Split, text: str, *, utf8: bool) -> tuple[str, str] | None:
    """What split returns, or None if it refuses."""
    try:
        return split(text, utf8=utf8)
    except ParseError:
        return None


# The table of addresses


@pytest.mark.parametrize("case", VALID, ids=[each["reason"] for each in VALID])
def test_an_address_is_read(case: dict[str, Any]) -> None:
    mailbox = parse_mailbox(case["input"], smtputf8=case["smtputf8"])
    assert (mailbox.local_part, mailbox.domain) == (case["local"], case["domain"])


@pytest.mark.parametrize("case", VALID, ids=[each["reason"] for each in VALID])
def test_an_address_stands_in_a_path(case: dict[str, Any]) -> None:
    text, utf8 = case["input"], case["smtputf8"]
    assert is_reverse_path(text, utf8=utf8)
    assert is_forward_path(text, utf8=utf8)
    assert split_reverse_path(f"<{text}>", utf8=utf8) == (text, "")
    assert split_forward_path(f"<{text}> A=b", utf8=utf8) == (text, " A=b")


@pytest.mark.parametrize("case", VALID, ids=[each["reason"] for each in VALID])
def test_an_address_within_ascii_is_the_same_with_smtputf8(
    case: dict[str, Any],
) -> None:
    mailbox = Mailbox(case["local"], case["domain"])
    assert parse_mailbox(case["input"], smtputf8=True) == mailbox
    assert mailbox.is_ascii is not case["smtputf8"]


@pytest.mark.parametrize("case", INVALID, ids=[each["reason"] for each in INVALID])
def test_what_is_not_an_address_is_refused(case: dict[str, Any]) -> None:
    text, utf8 = case["input"], case["smtputf8"]
    with pytest.raises(ValueError, match=r"^not a mailbox: ['\"]"):
        parse_mailbox(text, smtputf8=utf8)
    assert not is_reverse_path(text, utf8=utf8)
    assert not is_forward_path(text, utf8=utf8)


@pytest.mark.parametrize("text", ["é@example.com", "a@é.example", '"é"@b'])
def test_an_address_beyond_ascii_needs_smtputf8(text: str) -> None:
    with pytest.raises(ValueError, match="not a mailbox"):
        parse_mailbox(text)
    assert not parse_mailbox(text, smtputf8=True).is_ascii


@pytest.mark.parametrize("text", ["", "<a@b>", "postmaster"])
def test_a_mailbox_is_more_than_what_a_path_may_hold(text: str) -> None:
    with pytest.raises(ValueError, match="not a mailbox"):
        parse_mailbox(text)


@pytest.mark.parametrize("parse", [parse_mailbox, parse_forward_path, parse_integer])
@pytest.mark.parametrize("value", [b"a@b", None, 1])
def test_only_text_is_read(parse: Callable[..., object], value: object) -> None:
    with pytest.raises(
        TypeError, match=f"^text must be str, not {type(value).__name__}$"
    ):
        parse(value)


# Mailbox


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@example.com", "a@EXAMPLE.com"),
        ('"abc"@b', "abc@b"),
        ('"a\\b"@b', "ab@b"),
        ("postmaster@b", "PostMaster@B"),
        ('"POSTMASTER"@b', "postmaster@b"),
        ("a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"),
        ("a@é.Example", "a@é.example"),
    ],
)
def test_mailboxes_are_equal_where_the_rfc_says_so(one: str, other: str) -> None:
    first = parse_mailbox(one, smtputf8=True)
    second = parse_mailbox(other, smtputf8=True)
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@b", "A@b"),
        ("a@b", "a@c"),
        ("a@b", '" a"@b'),
        ("po\u017ftmaster@b", "postmaster@b"),
        ("postmasterx@b", "Postmasterx@b"),
        ("a@é.example", "a@É.example"),
        ("a@stra\u00dfe", "a@strasse"),
        ("a@[192.0.2.1]", "a@[192.0.2.01]"),
    ],
)
def test_all_other_mailboxes_differ(one: str, other: str) -> None:
    first = parse_mailbox(one, smtputf8=True)
    second = parse_mailbox(other, smtputf8=True)
    assert first != second


def test_a_mailbox_is_not_equal_to_its_text() -> None:
    assert Mailbox("a", "b") != "a@b"
    assert Mailbox("postmaster", "") != Mailbox("postmaster", "b")


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        ("abc", "abc@b"),
        ("a.b", "a.b@b"),
        ("!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~@b"),
        ("", '""@b'),
        (" ", '" "@b'),
        (".a", '".a"@b'),
        ("a.", '"a."@b'),
        ("a..b", '"a..b"@b'),
        ("a@b", '"a@b"@b'),
        ("<>[]:;,()", '"<>[]:;,()"@b'),
        ('a"b', '"a\\"b"@b'),
        ("a\\b", '"a\\\\b"@b'),
        ("é", "é@b"),
        ("é é", '"é é"@b'),
    ],
)
def test_an_address_is_written_with_the_least_quoting(
    local_part: str, expected: str
) -> None:
    mailbox = Mailbox(local_part, "b")
    assert str(mailbox) == expected
    assert parse_mailbox(expected, smtputf8=True) == mailbox


@pytest.mark.parametrize(
    "local_part",
    ["a\r\nb", "a\nb", "\0", "\t", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"],
)
def test_a_local_part_that_cannot_be_written_is_refused(local_part: str) -> None:
    with pytest.raises(ValueError, match=r"^not a local part: '"):
        Mailbox(local_part, "b")


@pytest.mark.parametrize(
    "domain",
    ["", "a.", "a b", "a\n", "-a", "a>", "[1.2.3]", "[x:y]", "\ud800", "a\u3002b"],
)
def test_a_domain_that_cannot_be_written_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match=r"^not a domain or an address literal: '"):
        Mailbox("a", domain)


def test_only_postmaster_needs_no_domain() -> None:
    assert str(Mailbox("Postmaster", "")) == "Postmaster"
    with pytest.raises(ValueError, match="not a domain or an address literal: ''"):
        Mailbox("po\u017ftmaster", "")


@pytest.mark.parametrize(
    ("local_part", "domain", "name"),
    [(b"a", "b", "local_part"), ("a", b"b", "domain"), ("a", None, "domain")],
)
def test_the_fields_of_a_mailbox_are_text(
    local_part: Any, domain: Any, name: str
) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be str, not "):
        Mailbox(local_part, domain)


@given(MAILBOXES)
def test_what_is_written_is_read_back(mailbox: Mailbox) -> None:
    text = str(mailbox)
    again = parse_mailbox(text, smtputf8=not mailbox.is_ascii)
    assert (again.local_part, again.domain) == (mailbox.local_part, mailbox.domain)
    assert parse_forward_path(text, smtputf8=True) == mailbox
    assert split_forward_path(f"<{text}>", utf8=True) == (text, "")


@given(MAILBOXES)
def test_no_shorter_address_is_the_same_mailbox(mailbox: Mailbox) -> None:
    written = str(mailbox)
    shorter = [written[:at] + written[at + 1 :] for at in range(len(written))]
    shorter += [mailbox.local_part + "@" + mailbox.domain] * written.startswith('"')
    readable = [each for each in shorter if is_reverse_path(each, utf8=True)]
    assert mailbox not in [parse_mailbox(each, smtputf8=True) for each in readable]


@given(MAILBOXES, MAILBOXES)
def test_equal_mailboxes_have_equal_hashes(one: Mailbox, other: Mailbox) -> None:
    swapped = Mailbox(one.local_part, one.domain.swapcase())
    assert (one == other) is (other == one)
    assert (one == other) <= (hash(one) == hash(other))
    assert (one == swapped) <= (hash(one) == hash(swapped))


# Paths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a@b>", ("a@b", "")),
        ("<>", ("", "")),
        ("<> SIZE=1", ("", " SIZE=1")),
        ("<a@b> SIZE=1 <", ("a@b", " SIZE=1 <")),
        ("<a@b>>", ("a@b", ">")),
        ("<@r:a@b>", ("a@b", "")),
        ("<@r,@s.t:a@b>x", ("a@b", "x")),
        ('<"a>b"@c> X', ('"a>b"@c', " X")),
        ('<"a\\">"@c> X', ('"a\\">"@c', " X")),
        ("<Postmaster@b>", ("Postmaster@b", "")),
        ("<a@[192.0.2.1]>", ("a@[192.0.2.1]", "")),
    ],
)
def test_a_reverse_path_ends_at_its_bracket(
    text: str, expected: tuple[str, str]
) -> None:
    assert split_reverse_path(text) == expected
    assert split_reverse_path(text, utf8=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a@b>", ("a@b", "")),
        ("<Postmaster>", ("Postmaster", "")),
        ("<pOSTMASTER> X", ("pOSTMASTER", " X")),
        ("<postmaster@b>", ("postmaster@b", "")),
        ("<@r:a@b> X", ("a@b", " X")),
        ("<@r,@s.t:a@b>,<c@d>", ("a@b", ",<c@d>")),
        ('<"<>"@c><', ('"<>"@c', "<")),
    ],
)
def test_a_forward_path_ends_at_its_bracket(
    text: str, expected: tuple[str, str]
) -> None:
    assert split_forward_path(text) == expected
    assert split_forward_path(text, utf8=True) == expected


NOT_A_PATH = [
    "",
    " <a@b>",
    "a@b",
    "a@b>",
    "<a@b",
    "<<a@b>>",
    "< >",
    "<a>",
    "<a@b >",
    "< a@b>",
    "<a@b\n>",
    "<us\0er@b>",
    "<a@b\0.c>",
    "<@r>",
    "<@r:>",
    "<@r a@b>",
    "<@r,:a@b>",
    "<@r,s:a@b>",
    "<@r-:a@b>",
    "<@[192.0.2.1]:a@b>",
    "<:a@b>",
    "<@r:@s:a@b>",
    "<@r:postmaster>",
    '<"postmaster">',
    "<po\u017ftmaster>",
    '<"a@b>',
    '<"a>"b@c>',
    "<a@b@c>",
]


@pytest.mark.parametrize("text", [*NOT_A_PATH, "<postmaster>"])
@pytest.mark.parametrize("utf8", [False, True])
def test_not_a_reverse_path(text: str, utf8: bool) -> None:
    with pytest.raises(ParseError, match=r"^not a reverse-path: ['\"]"):
        split_reverse_path(text, utf8=utf8)


@pytest.mark.parametrize("text", [*NOT_A_PATH, "<>"])
@pytest.mark.parametrize("utf8", [False, True])
def test_not_a_forward_path(text: str, utf8: bool) -> None:
    with pytest.raises(ParseError, match=r"^not a forward-path: ['\"]"):
        split_forward_path(text, utf8=utf8)


@pytest.mark.parametrize("text", ["<é@b>", "<a@é>", '<"é"@b>', "<@é:a@b>"])
@pytest.mark.parametrize("split", [split_reverse_path, split_forward_path])
def test_a_path_beyond_ascii_needs_smtputf8(split: Split, text: str) -> None:
    assert result(split, text, utf8=False) is None
    assert result(split, text, utf8=True) is not None


def test_a_bounce_has_no_sender_and_postmaster_no_domain() -> None:
    assert is_reverse_path("")
    assert not is_reverse_path("postmaster")
    assert not is_forward_path("")
    assert is_forward_path("postMASTER")
    assert not is_forward_path("po\u017ftmaster", utf8=True)


@pytest.mark.parametrize("text", ["@r:a@b", "<a@b>", "a@b>", "a@b ", "a"])
@pytest.mark.parametrize("is_path", [is_reverse_path, is_forward_path])
def test_an_address_has_no_bracket_and_no_source_route(
    is_path: IsPath, text: str
) -> None:
    assert not is_path(text)
    assert not is_path(text, utf8=True)


def test_a_forward_path_is_a_mailbox_or_postmaster_alone() -> None:
    assert parse_forward_path("a@B") == Mailbox("a", "b")
    assert parse_forward_path("PostMaster").local_part == "PostMaster"
    assert parse_forward_path("PostMaster") == Mailbox("postmaster", "")
    assert parse_forward_path("é@b", smtputf8=True) == Mailbox("é", "b")


@pytest.mark.parametrize("text", ["", "a", "<postmaster>", "é@b"])
def test_nothing_else_is_a_forward_path(text: str) -> None:
    with pytest.raises(ValueError, match="not a mailbox"):
        parse_forward_path(text)


@given(TEXTS, st.booleans())
def test_a_path_is_taken_off_where_its_address_may_be_sent(
    text: str, utf8: bool
) -> None:
    path = f"<{text}>"
    reverse = result(split_reverse_path, path, utf8=utf8) == (text, "")
    forward = result(split_forward_path, path, utf8=utf8) == (text, "")
    assert reverse is is_reverse_path(text, utf8=utf8)
    assert forward is is_forward_path(text, utf8=utf8)


@given(TEXTS, SCRAPS, st.booleans())
@pytest.mark.parametrize(
    ("split", "is_path"),
    [(split_reverse_path, is_reverse_path), (split_forward_path, is_forward_path)],
)
def test_what_is_taken_off_may_be_sent(
    split: Split, is_path: IsPath, text: str, rest: str, utf8: bool
) -> None:
    path = f"<{text}>{rest}"
    found = result(split, path, utf8=utf8)
    assert found is None or is_path(found[0], utf8=utf8)
    assert found is None or path.endswith(">".join(found))


@given(st.one_of(TEXTS, MAILBOXES.map(str)))
def test_no_address_ends_a_line_or_a_path(text: str) -> None:
    assert not is_forward_path(text, utf8=True) or is_harmless(text)


@given(MAILBOXES.map(str), st.sampled_from(PIECES), st.integers(0, 20))
def test_no_address_ends_a_line_or_a_path_with_a_piece_put_in(
    address: str, piece: str, at: int
) -> None:
    text = address[:at] + piece + address[at:]
    assert not is_forward_path(text, utf8=True) or is_harmless(text)


# Parameters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ", ()),
        ("   ", ()),
        (" SIZE=1", (("SIZE", "1"),)),
        (" SIZE=1  ", (("SIZE", "1"),)),
        (" size=0", (("SIZE", "0"),)),
        (" BODY=8BITMIME SMTPUTF8", (("BODY", "8BITMIME"), ("SMTPUTF8", None))),
        (" AUTH=<> Ret=hdrs", (("AUTH", "<>"), ("RET", "hdrs"))),
        (" 8-=~", (("8-", "~"),)),
    ],
)
def test_parameters_are_read(
    text: str, expected: tuple[tuple[str, str | None], ...]
) -> None:
    assert split_parameters(text) == expected
    assert split_parameters(text, utf8=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        " =1",
        " -A=1",
        " A_B=1",
        " SIZE=",
        " SIZE==1",
        " ENVID=a=b",
        " A  B",
        "  A",
        " A\tB",
        "\tA",
        " A\n",
        " A=\0",
        " A=b\r\nRSET",
        " <c@d>",
        " \u017fIZE=1",
        " A=\x85",
        " A=\u2028",
    ],
)
@pytest.mark.parametrize("utf8", [False, True])
def test_a_malformed_parameter_is_refused(text: str, utf8: bool) -> None:
    with pytest.raises(ParseError, match=r"^(not a parameter|no space after the path)"):
        split_parameters(text, utf8=utf8)


@pytest.mark.parametrize("text", ["SIZE=1", ",<b@c>", ">", "A B", "\r\n", "\n A"])
def test_a_space_follows_the_path(text: str) -> None:
    with pytest.raises(ParseError, match=r"^no space after the path: '"):
        split_parameters(text)


@pytest.mark.parametrize("text", [" SIZE=1 SIZE=2", " A B a", " RET=FULL ret=FULL"])
def test_a_parameter_is_given_once(text: str) -> None:
    with pytest.raises(ParseError, match=r"^parameter given twice: '[A-Z]+'$"):
        split_parameters(text)


def test_a_value_beyond_ascii_needs_smtputf8() -> None:
    assert split_parameters(" A=é", utf8=True) == (("A", "é"),)
    with pytest.raises(ParseError, match=r"^not a parameter: 'A=é'$"):
        split_parameters(" A=é")


@given(
    st.dictionaries(
        st.from_regex("[A-Z0-9][A-Z0-9-]{0,5}", fullmatch=True),
        st.none() | st.from_regex("[!-<>-~]{1,9}", fullmatch=True),
    )
)
def test_parameters_are_read_as_they_were_written(
    parameters: dict[str, str | None],
) -> None:
    words = [
        keyword if value is None else f"{keyword}={value}"
        for keyword, value in parameters.items()
    ]
    text = "".join(f" {word}" for word in words)
    assert split_parameters(text) == tuple(parameters.items())


def test_an_integer_is_read_by_its_public_name() -> None:
    assert parse_integer("007") == 7


# The table of attacks

SENDERS = [
    attack["argument"]
    for attack in ATTACKS.values()
    if attack.get("api") in ("mail(sender)", "rcpt(recipient)")
]
FOLDED = ["a\u010ab@example.com", "a\u560ab@example.com"]


@pytest.mark.parametrize("address", [each for each in SENDERS if each not in FOLDED])
def test_an_address_cannot_hold_a_second_command(address: str) -> None:
    assert not is_reverse_path(address, utf8=True)
    assert not is_forward_path(address, utf8=True)
    with pytest.raises(ValueError, match="not a mailbox"):
        parse_mailbox(address, smtputf8=True)


@pytest.mark.parametrize("address", FOLDED)
def test_a_character_whose_low_octet_is_a_line_feed_needs_smtputf8(
    address: str,
) -> None:
    assert address in SENDERS
    assert not is_reverse_path(address)
    assert is_reverse_path(address, utf8=True)


def sent(identifier: str) -> str:
    """What an attack sends after FROM: or TO:."""
    attack = ATTACKS[identifier]
    (line,) = attack["send"]
    padding = attack.get("pad_octet", "") * attack.get("pad_count", 0)
    _, _, path = line.removesuffix("\r\n").partition(":")
    return str(path.replace("{PAD}", padding))


def test_a_quoted_tail_is_not_a_parameter() -> None:
    address, rest = split_reverse_path(sent("SEC-ADDR-b"))
    assert (address, rest) == ('"a> SIZE=1 "@example.com', "")


def test_a_source_route_does_not_hide_the_domain() -> None:
    address, rest = split_forward_path(sent("SEC-ADDR-c"))
    assert (address, rest) == ("victim@evil.example", "")


@pytest.mark.parametrize(
    ("identifier", "local_part"),
    [("SEC-ADDR-d", "victim%evil.example"), ("SEC-ADDR-e", "evil.example!victim")],
)
def test_a_local_part_is_opaque(identifier: str, local_part: str) -> None:
    address, _ = split_forward_path(sent(identifier))
    assert parse_mailbox(address) == Mailbox(local_part, "example.com")


def test_an_address_has_one_at_sign() -> None:
    with pytest.raises(ParseError, match="not a forward-path"):
        split_forward_path(sent("SEC-ADDR-g"))


@pytest.mark.parametrize("identifier", ["SEC-ADDR-h", "SEC-ADDR-i"])
def test_a_huge_address_is_accepted(identifier: str) -> None:
    path = sent(identifier)
    assert split_forward_path(path) == (path[1:-1], "")


def test_every_attack_by_address_is_in_a_test() -> None:
    attacks = {each for each in ATTACKS if each.startswith("SEC-ADDR-")}
    assert attacks == {f"SEC-ADDR-{letter}" for letter in "bcdeghij"}


# Time

LONG = 100_000


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize(
    "unit", ["@a,", "@a.a,", "@a-a,", "a", "a.", '"', '\\"', "@", ",", "<", "<a@b"]
)
@pytest.mark.parametrize("after", ["", ":a@b", ">"])
def test_a_long_path_is_refused_in_linear_time(
    unit: str, after: str, utf8: bool
) -> None:
    """Going back over 100,000 characters in more ways than one would never end."""
    text = "<" + unit * (LONG // len(unit)) + after
    assert result(split_forward_path, text, utf8=utf8) is None


@pytest.mark.parametrize("utf8", [False, True])
def test_a_long_source_route_is_accepted_in_linear_time(utf8: bool) -> None:
    text = "<" + "@a-a.a," * (LONG // 7) + "@a:b@c> X"
    assert split_forward_path(text, utf8=utf8) == ("b@c", " X")


def test_many_spaces_take_linear_time() -> None:
    assert split_parameters(" " * LONG) == ()


@pytest.mark.parametrize("unit", [" ", " A", " A=b", "A=", "-="])
def test_long_parameters_are_refused_in_linear_time(unit: str) -> None:
    with pytest.raises(ParseError):
        split_parameters(" A" + unit * (LONG // len(unit)) + " A")
