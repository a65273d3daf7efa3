from collections.abc import Callable
from typing import Any

import pytest

from smtp_pop_core import smtp
from smtp_pop_core.smtp import Body
from smtp_pop_core.smtp._commands import mail_from, rcpt_to

# What ends a line, a path or an argument, or steers what reads it.
HARMFUL = [
    *("\r\n", "\r", "\n", "\0", "\v", "\f", "\x1b", "\x1c", "\x1e", "\x7f"),
    *("\x80", "\x85", "\x9f", "\u2028", "\u2029", "\ud800", "\udcff"),
]

NO_DOMAINS = [
    *("", " ", "a b", " a", "a ", ".", ".a", "a.", "a..b", "-a", "a-", "a_b", "a@b"),
    *("é.example", "[192.0.2.1", "192.0.2.1]", "[192.0.2.256]", "[2001:db8::1]"),
    *("[FOO:bar]", "[]", "<a>", "a\t"),
]
NO_ADDRESSES = [
    *(" ", "a", "a@", "@b", "a b@c", "a@b c", "a@b@c", "<a@b>", "a@b>", "<a@b", "a@b "),
    *("a.@b", ".a@b", "a..b@c", '"a@b', 'a"b"@c', "a@[1.2.3]", "@r:a@b", "a@b,c@d"),
    *("a@-b", "a@b_c", "(c)a@b", "a\\@b"),
]
NO_TEXTS = [" ", " a", "a ", "\t", "a\t", "é"]


@pytest.mark.parametrize("domain", ["a", "me.example", "192.0.2.1", "[192.0.2.1]"])
@pytest.mark.parametrize("kind", [smtp.Ehlo, smtp.Helo])
def test_a_domain_or_a_literal_can_be_said(
    kind: Callable[[str], smtp.Ehlo | smtp.Helo], domain: str
) -> None:
    assert kind(domain).domain == domain


@pytest.mark.parametrize("domain", [*NO_DOMAINS, *(f"a{each}b" for each in HARMFUL)])
@pytest.mark.parametrize("kind", [smtp.Ehlo, smtp.Helo])
def test_nothing_but_a_domain_or_a_literal_can_be_said(
    kind: Callable[[str], smtp.Command], domain: str
) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        kind(domain)


@pytest.mark.parametrize(
    "address", [*NO_ADDRESSES, *(f"a{each}b@c" for each in HARMFUL)]
)
@pytest.mark.parametrize("smtputf8", [False, True])
def test_a_sender_is_an_address_or_nothing(address: str, smtputf8: bool) -> None:
    assert not smtp.Mail("", smtputf8=smtputf8).sender
    with pytest.raises(ValueError, match="not a reverse-path"):
        smtp.Mail(address, smtputf8=smtputf8)


@pytest.mark.parametrize(
    "address",
    [
        *("", "a@b.example", "é@b.example", "a@é.example", "postmaster", '"a b"@c'),
        *NO_ADDRESSES,
        *(f"a{each}b@c" for each in HARMFUL),
    ],
)
def test_what_a_flow_makes_of_an_address_is_what_a_caller_would_make(
    address: str,
) -> None:
    utf8 = not address.isascii()
    assert made(mail_from, address) == made(smtp.Mail, address, smtputf8=utf8)
    assert made(rcpt_to, address) == made(smtp.Rcpt, address)


def made(
    make: Callable[..., smtp.Command], *arguments: object, **fields: object
) -> smtp.Command | str:
    try:
        return make(*arguments, **fields)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    "address", ["", *NO_ADDRESSES, *(f"a{each}b@c" for each in HARMFUL)]
)
def test_a_recipient_is_an_address(address: str) -> None:
    with pytest.raises(ValueError, match="not a forward-path"):
        smtp.Rcpt(address)


def test_postmaster_alone_is_a_recipient_and_no_sender() -> None:
    """RFC 5321 section 4.1.1.3."""
    assert smtp.Rcpt("Postmaster").recipient == "Postmaster"
    with pytest.raises(ValueError, match="not a reverse-path"):
        smtp.Mail("postmaster")


def test_a_non_ascii_sender_needs_smtputf8() -> None:
    with pytest.raises(ValueError, match="not a reverse-path"):
        smtp.Mail("é@b.example")
    assert smtp.Mail("é@b.example", smtputf8=True).sender == "é@b.example"


@pytest.mark.parametrize("size", [0, 1, 10**20 - 1])
def test_a_size_has_up_to_20_digits(size: int) -> None:
    """RFC 1870 section 3."""
    assert smtp.Mail("", size=size).size == size


@pytest.mark.parametrize("size", [-1, 10**20])
def test_no_other_size_can_be_declared(size: int) -> None:
    with pytest.raises(ValueError, match="not a size"):
        smtp.Mail("", size=size)


NO_KEYWORDS = [
    *("", "a", "A B", "-A", "A_B", "A=B", "É", "\u017fIZE", "A\r\n", "A\0", "\u212a"),
    *("SIZE", "BODY", "SMTPUTF8"),  # they have a field
]
NO_VALUES = ["", " ", "a b", "a=b", *HARMFUL]


@pytest.mark.parametrize("keyword", NO_KEYWORDS)
@pytest.mark.parametrize("kind", [smtp.Mail, smtp.Rcpt])
def test_the_keyword_of_an_extra_parameter_is_in_upper_case_and_has_no_field(
    kind: Callable[..., smtp.Command], keyword: str
) -> None:
    with pytest.raises(ValueError, match="keyword"):
        kind("a@b", extra=((keyword, "x"),))


@pytest.mark.parametrize("value", NO_VALUES)
@pytest.mark.parametrize("kind", [smtp.Mail, smtp.Rcpt])
def test_the_value_of_a_parameter_is_one_word(
    kind: Callable[..., smtp.Command], value: str
) -> None:
    with pytest.raises(ValueError, match="not the value of a parameter"):
        kind("a@b", extra=(("X", value),))


@pytest.mark.parametrize("kind", [smtp.Mail, smtp.Rcpt])
def test_a_parameter_is_given_once(kind: Callable[..., smtp.Command]) -> None:
    with pytest.raises(ValueError, match="given twice"):
        kind("a@b", extra=(("X", "1"), ("X", None)))


@pytest.mark.parametrize("text", ["", *NO_TEXTS, *(f"a{each}b" for each in HARMFUL)])
@pytest.mark.parametrize("kind", [smtp.Vrfy, smtp.Expn])
def test_a_string_holds_printable_ascii_and_spaces_inside(
    kind: Callable[[str], smtp.Command], text: str
) -> None:
    with pytest.raises(ValueError, match="not a string"):
        kind(text)


@pytest.mark.parametrize(
    "text", ["", " ", "a ", " é", "é\xa0", *(f"é{each}b" for each in HARMFUL)]
)
@pytest.mark.parametrize("kind", [smtp.Vrfy, smtp.Expn])
def test_a_string_with_smtputf8_holds_no_controls_either(
    kind: Callable[..., smtp.Command], text: str
) -> None:
    with pytest.raises(ValueError, match="not a string"):
        kind(text, smtputf8=True)


@pytest.mark.parametrize("kind", [smtp.Vrfy, smtp.Expn])
@pytest.mark.parametrize("text", ["a SMTPUTF8", "a b smtputf8"])
@pytest.mark.parametrize("smtputf8", [False, True])
def test_a_string_cannot_end_like_the_parameter(
    kind: Callable[..., smtp.Command], text: str, smtputf8: bool
) -> None:
    with pytest.raises(ValueError, match="cannot end like a parameter"):
        kind(text, smtputf8=smtputf8)


@pytest.mark.parametrize("text", [*NO_TEXTS, *(f"a{each}b" for each in HARMFUL)])
@pytest.mark.parametrize("kind", [smtp.Help, smtp.Noop])
def test_a_text_holds_printable_ascii_and_spaces_inside(
    kind: Callable[[str], smtp.Command], text: str
) -> None:
    with pytest.raises(ValueError, match="not a text"):
        kind(text)


@pytest.mark.parametrize(
    "name",
    ["", "plain", "A B", "A" * 21, "É", "A=", *(f"A{each}" for each in HARMFUL)],
)
def test_a_mechanism_has_a_name_in_upper_case(name: str) -> None:
    """RFC 4422 section 3.1."""
    with pytest.raises(ValueError, match="not the name of a mechanism"):
        smtp.Auth(name)


WRONG_TYPES: list[Callable[[], Any]] = [
    lambda: smtp.Ehlo(b"a"),  # type: ignore[arg-type]  # that is the point
    lambda: smtp.Mail(b"a@b"),  # type: ignore[arg-type]
    lambda: smtp.Mail(None),  # type: ignore[arg-type]
    lambda: smtp.Mail("", size="5"),  # type: ignore[arg-type]
    lambda: smtp.Mail("", size=1.0),  # type: ignore[arg-type]
    lambda: smtp.Mail("", size=True),
    lambda: smtp.Mail("", body="8BITMIME"),  # type: ignore[arg-type]
    lambda: smtp.Rcpt(b"a@b"),  # type: ignore[arg-type]
    lambda: smtp.Auth("PLAIN", "x"),  # type: ignore[arg-type]
    lambda: smtp.Auth(b"PLAIN"),  # type: ignore[arg-type]
    lambda: smtp.AuthResponse("x"),  # type: ignore[arg-type]
    lambda: smtp.Noop(5),  # type: ignore[arg-type]
    lambda: smtp.Help(None),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", WRONG_TYPES)
def test_a_field_of_a_wrong_type_is_refused_at_once(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    "command",
    [
        smtp.Auth("PLAIN", b"hunter2"),
        smtp.AuthResponse(b"hunter2"),
        smtp.BadCommand(b"hunter2", smtp.Reply(500)),
    ],
)
def test_a_secret_is_not_in_a_repr(command: smtp.Command) -> None:
    assert "hunter2" not in repr(command)


def test_commands_are_equal_by_their_fields() -> None:
    one = smtp.Mail("a@b", size=5, body=Body.EIGHT_BIT_MIME, extra=(("X", None),))
    same = smtp.Mail("a@b", size=5, body=Body.EIGHT_BIT_MIME, extra=(("X", None),))
    assert one == same
    assert hash(one) == hash(same)
    assert one != smtp.Mail("a@b")


def test_a_refusal_is_not_part_of_equality() -> None:
    assert smtp.EndOfMessage(smtp.Reply(552)) == smtp.EndOfMessage()


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        smtp.Noop().text = "x"  # type: ignore[misc]  # that is the point
