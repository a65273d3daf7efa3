"""The envelope and the octets of a message."""

import email
from copy import deepcopy
from email import policy
from email.headerregistry import Address, Group
from email.message import EmailMessage, Message
from typing import Any

import pytest

from cutting import octets
from smtp_pop_core import smtp
from smtp_pop_core.smtp._message import count_hops, needs_utf8

KINDS: list[type[Message]] = [EmailMessage, Message]
POLICIES: list[Any] = [policy.compat32, policy.default, policy.SMTP, policy.SMTPUTF8]


def message(
    *fields: tuple[str, Any], kind: type[Message] = EmailMessage
) -> "Message[Any, Any]":
    """Make a message of these fields."""
    made = kind()
    for name, value in fields:
        made[name] = value
    return made


def parsed(text: str | bytes, rules: Any = policy.default) -> "Message[Any, Any]":
    data = text.encode() if isinstance(text, str) else text
    return email.message_from_bytes(data, policy=rules)


def is_wire(content: bytes) -> bool:
    """Whether every line ends with CRLF, and nothing else."""
    return content.endswith(b"\r\n") and not any(
        octet in b"\r\n" for octet in octets(content.replace(b"\r\n", b""))
    )


# Addresses.

ADDRESSES = [
    ("b@example.com", ["b@example.com"]),
    ("<b@example.com>", ["b@example.com"]),
    ("Bob <b@example.com>", ["b@example.com"]),
    ('"Bob, the one" <b@example.com>', ["b@example.com"]),
    ('"x@example.org" <b@example.com>', ["b@example.com"]),
    ("John Q. Public <b@example.com>", ["b@example.com"]),
    ("b@example.com (Bob, c@example.com)", ["b@example.com"]),
    ("b@example.com, c@example.com", ["b@example.com", "c@example.com"]),
    ("b@example.com,\n c@example.com", ["b@example.com", "c@example.com"]),
    ("b@example.com,,c@example.com", ["b@example.com", "c@example.com"]),
    ('"a, b"@example.com', ['"a, b"@example.com']),
    ('"a\\"b"@example.com', ['"a\\"b"@example.com']),
    ("b@[192.0.2.1]", ["b@[192.0.2.1]"]),
    ("<@relay.example:b@example.com>", ["b@example.com"]),
    ("undisclosed-recipients:;", []),
    ("Undisclosed recipients: ;", []),
    ("", []),
    ("G: b@example.com, Q <c@example.com>;", ["b@example.com", "c@example.com"]),
    ("G: b@example.com;, d@example.com", ["b@example.com", "d@example.com"]),
    ("=?utf-8?q?a=2C_b?= <b@example.com>", ["b@example.com"]),
    ("=?utf-8?q?x=40example=2Eorg=2C?= <b@example.com>", ["b@example.com"]),
    ("=?iso-8859-1?q?caf=E9?= <b@example.com>", ["b@example.com"]),
    ("Jürgen <jürgen@bücher.example>", ["jürgen@bücher.example"]),
]


@pytest.mark.parametrize("rules", POLICIES)
@pytest.mark.parametrize(("field", "addresses"), ADDRESSES)
def test_the_addresses_of_a_field_are_found(
    field: str, addresses: list[str], rules: Any
) -> None:
    found = parsed(f"To: {field}\nCc: z@example.com\n\nhello\n", rules)
    assert smtp.recipients_of(found) == (*addresses, "z@example.com")


@pytest.mark.parametrize(
    "field",
    [
        "b@example.com; c@example.com",
        "b@example.com c@example.com",
        "'b@example.com' <c@example.com>",
        "b@example.com <c@example.com>",
        "a@b@example.com",
        "bob",
        "a b@example.com",
        "<b@example.com",
        "b@example.com, [bad], c@example.com",
        "<>",
    ],
)
@pytest.mark.parametrize("rules", POLICIES)
def test_addresses_that_would_get_lost_are_an_error(field: str, rules: Any) -> None:
    made = parsed(f"From: {field}\nTo: {field}\n\nhello\n", rules)
    with pytest.raises(ValueError, match="cannot tell the addresses in"):
        smtp.recipients_of(made)
    with pytest.raises(ValueError, match="cannot tell the addresses in"):
        smtp.sender_of(made)


@pytest.mark.parametrize("rules", POLICIES)
def test_an_address_in_another_charset_is_an_error(rules: Any) -> None:
    made = parsed(b'From: \xe9@example.com\nTo: "caf\xe9" <b@example.com>\n\n', rules)
    assert smtp.recipients_of(made) == ("b@example.com",)
    with pytest.raises(ValueError, match="cannot tell the addresses in"):
        smtp.sender_of(made)


def test_addresses_may_be_given_as_objects() -> None:
    bob = Address("Bob", "b b", "example.com")
    group = Group("G", (Address("", "c", "example.com"),))
    made = message(("From", Address("", "a", "example.com")), ("To", [bob, group]))
    assert smtp.sender_of(made) == "a@example.com"
    assert smtp.recipients_of(made) == ('"b b"@example.com', "c@example.com")


def test_an_address_object_that_is_empty_is_none() -> None:
    made = message(("To", [Address(), Address("", "b", "example.com")]))
    assert smtp.recipients_of(made) == ("b@example.com",)


# The envelope.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ([("From", "a@example.com")], "a@example.com"),
        ([("From", "A <a@example.com>, b@example.com")], "a@example.com"),
        ([("From", "a@example.com"), ("Sender", "s@example.com")], "s@example.com"),
        ([("from", "a@example.com"), ("SENDER", "")], "a@example.com"),
        ([("From", "a@example.com"), ("Reply-To", "r@example.com")], "a@example.com"),
    ],
)
def test_the_sender_comes_from_sender_or_from(
    fields: list[tuple[str, Any]], sender: str, kind: type[Message]
) -> None:
    assert smtp.sender_of(message(*fields, kind=kind)) == sender


def test_the_recipients_are_those_of_to_cc_and_bcc_each_once() -> None:
    made = message(
        ("Bcc", "d@example.com, b@example.com"),
        ("Cc", "c@example.com"),
        ("To", "b@example.com"),
        ("Reply-To", "r@example.com"),
    )
    expected = ("b@example.com", "c@example.com", "d@example.com")
    assert smtp.recipients_of(made) == expected


def test_a_field_may_come_twice_in_what_others_wrote() -> None:
    made = parsed("To: b@example.com\nTo: c@example.com\n\n")
    assert smtp.recipients_of(made) == ("b@example.com", "c@example.com")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields", [[], [("Subject", "x")], [("To", "undisclosed-recipients:;")]]
)
def test_a_message_without_addresses_has_no_envelope(
    fields: list[tuple[str, Any]], kind: type[Message]
) -> None:
    made = message(*fields, kind=kind)
    with pytest.raises(ValueError, match="the message names no sender"):
        smtp.sender_of(made)
    with pytest.raises(ValueError, match="the message names no recipient"):
        smtp.recipients_of(made)


RESENT = [
    # one block
    (
        "Resent-From: r@example.com\nResent-To: s@example.com\n",
        "r@example.com",
        ("s@example.com",),
    ),
    (
        "Resent-Sender: q@example.com\nResent-From: r@example.com\n"
        "Resent-Cc: s@example.com\nResent-Bcc: t@example.com\n",
        "q@example.com",
        ("s@example.com", "t@example.com"),
    ),
    # two blocks, the first of which is that of the last time
    (
        "Resent-From: r@example.com\nResent-To: s@example.com\n"
        "Resent-From: u@example.com\nResent-To: v@example.com\n",
        "r@example.com",
        ("s@example.com",),
    ),
    (
        "Received: x\nResent-To: s@example.com\nResent-From: r@example.com\n"
        "Received: y\nResent-Sender: u@example.com\nResent-Bcc: v@example.com\n",
        "r@example.com",
        ("s@example.com",),
    ),
    # a third has no say either
    (
        "Resent-From: r@example.com\nResent-To: s@example.com\n"
        "Resent-From: u@example.com\nResent-Cc: v@example.com\nX: y\n"
        "Resent-From: w@example.com\nResent-Cc: x@example.com\n",
        "r@example.com",
        ("s@example.com",),
    ),
]


@pytest.mark.parametrize("rules", POLICIES)
@pytest.mark.parametrize(("block", "sender", "recipients"), RESENT)
def test_what_was_sent_again_has_the_envelope_of_the_last_time(
    block: str, sender: str, recipients: tuple[str, ...], rules: Any
) -> None:
    """RFC 5322 section 3.6.6."""
    made = parsed(block + "From: a@example.com\nTo: b@example.com\n\nhello\n", rules)
    assert smtp.sender_of(made) == sender
    assert smtp.recipients_of(made) == recipients


def test_the_original_addresses_do_not_stand_in_for_those_of_the_last_time() -> None:
    made = parsed("Resent-Date: x\nFrom: a@example.com\nTo: b@example.com\n\n")
    with pytest.raises(ValueError, match="the message names no recipient"):
        smtp.recipients_of(made)


# The octets.


def rich() -> EmailMessage:
    """Make a message of all that can be nested."""
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner["Bcc"] = "kept@example.com"
    inner.set_content("жж\n", cte="8bit")
    made = EmailMessage()
    made["From"] = "a@example.com"
    made["To"] = "b@example.com"
    made["Bcc"] = "hidden@example.com"
    made["Resent-Bcc"] = "hidden too@example.com"
    made["Subject"] = "Grüße"
    made.set_content("plain é\n.\nlast\n", cte="8bit")
    made.add_alternative("<p>é</p>\n", subtype="html", cte="8bit")
    made.add_attachment(b"\xff\xfe\r", maintype="application", subtype="octet-stream")
    made.add_attachment(inner)
    made.add_attachment("in latin é\n", charset="iso-8859-1", cte="8bit")
    return made


def contents(made: "Message[Any, Any]") -> list[object]:
    return [
        part.get_payload(decode=True) for part in made.walk() if not part.is_multipart()
    ]


def fields_of(made: "Message[Any, Any]") -> list[object]:
    return [part.items() for part in made.walk()]


@pytest.mark.parametrize(
    ("eight_bit", "utf8"), [(False, False), (True, False), (True, True)]
)
def test_the_message_itself_is_not_changed(eight_bit: bool, utf8: bool) -> None:
    made = rich()
    before, copy = fields_of(made), deepcopy(made)
    smtp.octets_of(made, eight_bit=eight_bit, utf8=utf8)
    assert fields_of(made) == before
    assert contents(made) == contents(copy)


@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_octets_are_those_of_the_same_message(eight_bit: bool) -> None:
    content = smtp.octets_of(rich(), eight_bit=eight_bit)
    assert is_wire(content)
    assert content.isascii() is not eight_bit
    expected = [
        part.replace(b"\n", b"\r\n") if isinstance(part, bytes) else part
        for part in contents(rich())
    ]
    expected[2] = b"\xff\xfe\r"
    assert contents(parsed(content)) == expected


def test_who_is_in_bcc_is_not_told() -> None:
    content = smtp.octets_of(rich())
    assert b"hidden" not in content
    assert b"kept@example.com" in content  # it is content here


@pytest.mark.parametrize("kind", KINDS)
def test_bcc_is_removed_whatever_its_case(kind: type[Message]) -> None:
    made = kind()
    made["BCC"] = "x@example.com"
    made["resent-bcc"] = "y@example.com"
    made["To"] = "b@example.com"
    assert smtp.octets_of(made) == b"To: b@example.com\r\n\r\n"
    assert made["Bcc"] == "x@example.com"


@pytest.mark.parametrize("rules", POLICIES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_every_line_ends_with_crlf(end: bytes, rules: Any) -> None:
    lines = [b"From: a@example.com", b"To: b@example.com,", b" c@example.com", b""]
    lines += [b"From here", b".", b"", b"last"]
    made = parsed(end.join(lines) + end, rules)
    assert smtp.octets_of(made) == b"\r\n".join(lines) + b"\r\n"


def test_a_header_has_encoded_words_unless_utf8_is_asked_for() -> None:
    made = message(("Subject", "Grüße"))
    assert smtp.octets_of(made) == b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"
    assert smtp.octets_of(made, utf8=True) == "Subject: Grüße\r\n\r\n".encode()


@pytest.mark.parametrize("rules", POLICIES)
def test_a_body_that_names_no_encoding_is_sent_in_7_bits(rules: Any) -> None:
    made = parsed("From: a@example.com\n\nжж = 1\n", rules)
    content = smtp.octets_of(made, eight_bit=False)
    again = parsed(content)
    assert content.isascii()
    assert is_wire(content)
    assert again["Content-Transfer-Encoding"] == "quoted-printable"
    assert again["MIME-Version"] == "1.0"
    assert again.get_payload(decode=True) == "жж = 1\r\n".encode()


def test_the_encoding_of_what_holds_parts_is_7bit() -> None:
    made = parsed(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n"
        "Content-Transfer-Encoding: 8bit\n\n--x\n\nжж\n--x--\n"
    )
    content = smtp.octets_of(made, eight_bit=False)
    assert b"Content-Transfer-Encoding: 7bit\r\n" in content
    assert b"Content-Transfer-Encoding: 8bit" not in content
    assert contents(parsed(content)) == ["жж".encode()]


def test_what_is_encoded_already_stays_so() -> None:
    made = parsed(
        "Content-Type: multipart/mixed; boundary=x\n\n"
        "--x\nContent-Transfer-Encoding: base64\n\nw6k=\n"
        "--x\n\nplain = ascii\n--x\n\nжж\n--x--\n"
    )
    content = smtp.octets_of(made, eight_bit=False)
    assert b"\r\n\r\nw6k=\r\n" in content
    assert b"\r\n\r\nplain = ascii\r\n" in content
    expected = ["é".encode(), b"plain = ascii", "жж".encode()]
    assert contents(parsed(content)) == expected


@pytest.mark.parametrize("field", ["Subject: жж", "X: \udce9"])
def test_a_raw_header_cannot_be_sent_in_7_bits(field: str) -> None:
    data = f"{field}\n\nжж\n".encode("utf-8", "surrogateescape")
    with pytest.raises(ValueError, match="cannot be written in 7 bits"):
        smtp.octets_of(parsed(data, policy.compat32), eight_bit=False)


def test_a_payload_that_has_no_octets_cannot_be_sent() -> None:
    made = Message()
    made.set_payload("жж")
    with pytest.raises(ValueError, match="ascii"):
        smtp.octets_of(made)


# Hops.


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        (b"", 0),
        (b"Received: x\r\nReceived: y\r\n\r\nReceived: z\r\n", 2),
        (b"RECEIVED : x\nreceived: y\nSubject: Received: z\n", 2),
        (b"\nReceived: x\n", 0),
        (b"\r\nReceived: x\r\n", 0),
        (b"X-Received: x\r\n Received: y\r\nReceived-SPF: z\r\n", 0),
        (b"Received: x\r\n" * 101, 101),
    ],
)
def test_each_server_on_the_way_is_a_hop(header: bytes, hops: int) -> None:
    """RFC 5321 section 6.3."""
    assert count_hops(header) == hops


# SMTPUTF8.


@pytest.mark.parametrize(
    ("field", "needed"),
    [
        ("To: b@example.com", False),
        ("To: Jürgen <b@example.com>", False),
        ("Subject: жж", False),
        ("To: jürgen@example.com", True),
        ("Reply-To: b@bücher.example", True),
        ("Resent-Cc: jürgen@example.com", True),
        ("bcc: jürgen@example.com", True),
        ("To: b@example.com; c@example.com", False),
    ],
)
@pytest.mark.parametrize("rules", POLICIES)
def test_only_addresses_need_utf8(field: str, needed: bool, rules: Any) -> None:
    assert needs_utf8(parsed(f"{field}\n\n", rules)) is needed


@pytest.mark.parametrize("rules", POLICIES)
def test_a_header_in_utf8_is_written_as_it_was_read(rules: Any) -> None:
    text = "From: jürgen@example.com\r\nSubject: жж\r\n\r\nhello\r\n"
    assert smtp.octets_of(parsed(text, rules), utf8=True) == text.encode()
