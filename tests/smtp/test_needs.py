"""What a message needs of the server, before anything is sent."""

from typing import Any

import pytest

from driving import opened
from smtp_pop_core import PolicyError
from smtp_pop_core.smtp import Body, Mail, Notify, Rcpt, Ret
from smtp_pop_core.smtp._needs import Needs, has_utf8_header, within_limits

EVERYTHING = (
    *("PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME"),
    *("DSN", "LIMITS MAILMAX=2"),
)
RCPT = Rcpt("b@example.com")


def declared(
    offers: tuple[str, ...],
    mail: Mail,
    *,
    size: int | None = 10,
    eight_bit: bool | None = False,
    utf8_header: bool = False,
    chunking: bool = False,
) -> Needs:
    needs = Needs(opened(*offers), mail, [RCPT])
    needs.declare(
        size=size, eight_bit=eight_bit, utf8_header=utf8_header, chunking=chunking
    )
    return needs


NEEDY: list[tuple[Mail, Rcpt, str]] = [
    (Mail("ü@example.com", smtputf8=True), RCPT, "SMTPUTF8"),
    (Mail("a@example.com", smtputf8=True), RCPT, "SMTPUTF8"),
    (Mail("a@example.com"), Rcpt("ü@example.com"), "SMTPUTF8"),
    (Mail("", ret=Ret.HDRS), RCPT, "DSN"),
    (Mail("", envid="x"), RCPT, "DSN"),
    (Mail(""), Rcpt("b@example.com", notify=(Notify.DELAY,)), "DSN"),
    (Mail(""), Rcpt("b@example.com", orcpt=("rfc822", "b@c")), "DSN"),
    (Mail("", body=Body.BINARYMIME), RCPT, "BINARYMIME"),
    (Mail("", body=Body.BINARYMIME), RCPT, "CHUNKING"),
]


@pytest.mark.parametrize(("mail", "rcpt", "keyword"), NEEDY)
def test_what_is_needed_must_be_offered(mail: Mail, rcpt: Rcpt, keyword: str) -> None:
    Needs(opened(*EVERYTHING), mail, [RCPT, rcpt])
    others = [offer for offer in EVERYTHING if not offer.startswith(keyword)]
    with pytest.raises(PolicyError, match=f"does not offer {keyword}"):
        Needs(opened(*others), mail, [RCPT, rcpt])


def test_a_plain_message_needs_nothing() -> None:
    needs = declared((), Mail("a@example.com"))
    assert needs.mail == Mail("a@example.com")
    assert (needs.chunked, needs.seven_bit) == (False, True)


@pytest.mark.parametrize(
    ("offers", "mail", "found", "expected"),
    [
        (("SIZE",), Mail(""), {}, Mail("", size=10)),
        (("SIZE",), Mail(""), {"size": None}, Mail("")),
        (("SIZE 10",), Mail(""), {}, Mail("", size=10)),
        (("SIZE 0",), Mail(""), {"size": 10**9}, Mail("", size=10**9)),
        (("SIZE 10",), Mail("", size=3), {}, Mail("", size=3)),
        ((), Mail(""), {}, Mail("")),
        (("8BITMIME",), Mail(""), {}, Mail("")),
        (
            ("8BITMIME",),
            Mail(""),
            {"eight_bit": True},
            Mail("", body=Body.EIGHT_BIT_MIME),
        ),
        (
            ("8BITMIME",),
            Mail(""),
            {"eight_bit": None},
            Mail("", body=Body.EIGHT_BIT_MIME),
        ),
        (
            ("8BITMIME",),
            Mail("", body=Body.SEVEN_BIT),
            {"eight_bit": None},
            Mail("", body=Body.SEVEN_BIT),
        ),
        (("SMTPUTF8",), Mail(""), {"utf8_header": True}, Mail("", smtputf8=True)),
        (
            ("BINARYMIME", "CHUNKING"),
            Mail("", body=Body.BINARYMIME),
            {"eight_bit": None},
            Mail("", body=Body.BINARYMIME),
        ),
    ],
)
def test_mail_says_what_the_content_is(
    offers: tuple[str, ...], mail: Mail, found: dict[str, Any], expected: Mail
) -> None:
    assert declared(offers, mail, **found).mail == expected


@pytest.mark.parametrize(
    ("offers", "mail", "found", "message"),
    [
        (("SIZE 9",), Mail(""), {}, "10 octets are more than the server's 9"),
        ((), Mail(""), {"eight_bit": True}, "does not offer 8BITMIME"),
        (("8BITMIME",), Mail(""), {"utf8_header": True}, "does not offer SMTPUTF8"),
        (
            ("8BITMIME",),
            Mail("", body=Body.SEVEN_BIT),
            {"eight_bit": True},
            "do not go with BODY=7BIT",
        ),
    ],
)
def test_what_the_server_does_not_take_is_not_sent(
    offers: tuple[str, ...], mail: Mail, found: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        declared(offers, mail, **found)


@pytest.mark.parametrize(
    ("offers", "mail", "eight_bit", "seven_bit"),
    [
        ((), Mail(""), None, True),
        (("8BITMIME",), Mail(""), None, False),
        (("8BITMIME",), Mail("", body=Body.SEVEN_BIT), None, True),
        (("BINARYMIME", "CHUNKING"), Mail("", body=Body.BINARYMIME), None, False),
    ],
)
def test_octets_above_127_are_looked_for_where_they_must_not_be(
    offers: tuple[str, ...], mail: Mail, eight_bit: bool | None, seven_bit: bool
) -> None:
    assert declared(offers, mail, eight_bit=eight_bit).seven_bit is seven_bit


@pytest.mark.parametrize(
    ("offers", "body", "chunking", "chunked"),
    [
        (("CHUNKING",), None, True, True),
        (("CHUNKING",), None, False, False),
        ((), None, True, False),
        (("CHUNKING", "BINARYMIME"), Body.BINARYMIME, False, True),
        (("CHUNKING", "BINARYMIME"), Body.SEVEN_BIT, False, False),
    ],
)
def test_chunks_are_sent_if_they_are_offered_and_wanted(
    offers: tuple[str, ...], body: Body | None, chunking: bool, chunked: bool
) -> None:
    assert declared(offers, Mail("", body=body), chunking=chunking).chunked is chunked


@pytest.mark.parametrize(
    ("content", "utf8"),
    [
        (b"Subject: \xc3\xbc\n\nx", True),
        (b"Subject: \xc3\xbc\r\n\r\nx", True),
        (b"Subject: \xc3\xbc", True),
        (b"Subject: \xfc\n\nx", False),  # an older charset
        (b"Subject: x\n\n\xc3\xbc", False),
        (b"Subject: x\r\n\r\n\xc3\xbc\n\n", False),
        (b"\n\n\xc3\xbc", False),
        (b"", False),
    ],
)
def test_utf8_counts_in_the_header(content: bytes, utf8: bool) -> None:
    assert has_utf8_header(content) is utf8


@pytest.mark.parametrize(
    ("offer", "names", "beyond"),
    [
        ("HELP", "a@x b@y c@z", []),
        ("LIMITS", "a@x b@y c@z", []),
        ("LIMITS MAILMAX=1", "a@x b@y c@z", []),
        ("LIMITS RCPTMAX=2", "a@x b@y c@z d@x", [2, 3]),
        ("LIMITS RCPTDOMAINMAX=1", "a@x b@y c@X d@z", [1, 3]),
        ("LIMITS RCPTMAX=2 RCPTDOMAINMAX=1", "a@x b@y c@x d@x", [1, 3]),
        ("LIMITS RCPTDOMAINMAX=1", "a@[192.0.2.1] b@[192.0.2.2]", [1]),
    ],
)
def test_there_is_room_for_as_many_as_the_server_says(
    offer: str, names: str, beyond: list[int]
) -> None:
    found = within_limits(opened(offer), [Rcpt(name) for name in names.split()])
    assert list(found) == beyond
    assert {reply.code for reply in found.values()} <= {452}


def test_who_sends_no_more_messages_is_told_before_the_first_word() -> None:
    conn = opened("LIMITS MAILMAX=1")
    Needs(conn, Mail(""), [RCPT])
    conn.send(Mail(""))
    with pytest.raises(PolicyError, match="no more messages in this session"):
        Needs(conn, Mail(""), [RCPT])
