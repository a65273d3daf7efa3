"""What a reply is about, and the registry of enhanced status codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core import CLIENT, SERVER, LocalProtocolError, smtp
from smtp_pop_core.smtp import EnhancedCode, Reply, State, Subject
from smtp_talk import feed, server_in, talk

REGISTERED = [
    # code, with which reply codes
    ("5.1.1", (451, 550)),
    ("5.1.10", (556,)),
    ("4.5.3", (451,)),
    ("5.6.7", (550, 553)),
    ("5.7.8", (535, 554)),
    ("5.7.30", (550,)),
    ("2.0.0", ()),
]


@pytest.mark.parametrize(("text", "codes"), REGISTERED)
def test_a_registered_code_says_with_what_it_goes(
    text: str, codes: tuple[int, ...]
) -> None:
    status = smtp.status_of(EnhancedCode.parse(text))
    assert status is not None
    assert status.codes == codes
    assert status.meaning
    assert status.source


def test_a_code_that_is_not_registered_says_its_subject_all_the_same() -> None:
    """RFC 3463 section 2."""
    code = EnhancedCode(5, 7, 999)
    assert smtp.status_of(code) is None
    assert code.about is Subject.POLICY
    assert EnhancedCode(5, 99, 1).about is Subject.UNDEFINED


def test_the_registry_knows_every_subject() -> None:
    assert {subject for subject, _ in smtp.STATUSES} == set(range(8))
    assert len(smtp.STATUSES) == 81
    codes = {code for status in smtp.STATUSES.values() for code in status.codes}
    assert min(codes) >= 200
    assert max(codes) <= 599


ABOUT = [
    (Reply(550, ("x",), EnhancedCode(5, 7, 1)), Subject.POLICY),
    (Reply(550), Subject.MAILBOX),
    (Reply(450), Subject.MAILBOX),
    (Reply(452), Subject.SYSTEM),
    (Reply(421), Subject.SYSTEM),
    (Reply(530), Subject.POLICY),
    (Reply(551), Subject.ADDRESS),
    (Reply(500), Subject.PROTOCOL),
    (Reply(504), Subject.PROTOCOL),
    (Reply(554), Subject.UNDEFINED),
    (Reply(558), Subject.UNDEFINED),
    (Reply(250), Subject.UNDEFINED),
]


@pytest.mark.parametrize(("reply", "about"), ABOUT)
def test_any_reply_says_what_it_is_about(reply: Reply, about: Subject) -> None:
    assert reply.about is about


PATHS = [
    (Reply(251, ("User not local; will forward to <a@b.example>",)), "a@b.example"),
    (Reply(551, ("User not local", 'try <"a>b"@c.example>')), '"a>b"@c.example'),
    (Reply(551, ("User not local",)), None),
    (Reply(551, ("try <",)), None),
    (Reply(551, (r'try <"a\"b"@c.example>',)), r'"a\"b"@c.example'),
    (Reply(551, (r'<"\">\""@c.example>',)), r'"\">\""@c.example'),
    (Reply(551, (r'<"a\\"@c.example> "x>"',)), r'"a\\"@c.example'),
    (Reply(551, ("<j\xfcrgen@c.example>",)), "j\xfcrgen@c.example"),
    (Reply(251, ("a < b, try <c@d>",)), "c@d"),
    (Reply(251, ('a <" b, try <c@d>',)), "c@d"),
    (Reply(251, ("try <c@d> or <e@f>",)), "c@d"),
    (Reply(251, ("<>",)), None),
    (Reply(251, ('<"c@d>',)), None),
    (Reply(250, ("forwarded to <a@b.example>",)), None),
]


@pytest.mark.parametrize(("reply", "path"), PATHS)
def test_a_forward_path_is_a_value(reply: Reply, path: str | None) -> None:
    """RFC 5321 section 3.4: it is never used by itself."""
    assert reply.forward_path == path


@pytest.mark.parametrize(
    "text", ["<" * 50_000, '<"' * 50_000, '<"a' + "\\" * 99_999, "<" + "a" * 100_000]
)
def test_a_long_text_is_searched_in_linear_time(text: str) -> None:
    assert Reply(551, (text,)).forward_path is None


@given(st.text(st.sampled_from('<>"\\a@b ')))
def test_a_forward_path_stood_in_brackets(text: str) -> None:
    path = Reply(551, (text,)).forward_path
    assert path is None or f"<{path}>" in text


@pytest.mark.parametrize(
    ("code", "about"),
    [
        *[(code, Subject.PROTOCOL) for code in (501, 502, 503, 455, 555)],
        *[(code, Subject.SYSTEM) for code in (211, 214, 220, 221, 451, 458, 521)],
        *[(code, Subject.MAILBOX) for code in (450, 550, 552)],
        *[(code, Subject.ADDRESS) for code in (251, 252, 551, 553, 556)],
        *[(code, Subject.POLICY) for code in (235, 432, 454, 459, 534, 535, 538)],
        *[(code, Subject.UNDEFINED) for code in (253, 334, 354, 599)],
    ],
)
def test_a_code_alone_says_what_a_reply_is_about(code: int, about: Subject) -> None:
    assert Reply(code).about is about


# Subject and detail, the reply codes that go with them, and where that stands.
REGISTRY = """
0.0 - 3463
1.0 - 3463
1.1 451,550 3463
1.2 - 3463
1.3 501 3463
1.4 - 3463
1.5 250 3463
1.6 - 3463
1.7 - 3463
1.8 451,501 3463
1.9 - 3886
1.10 556 7505
2.0 - 3463
2.1 - 3463
2.2 552 3463
2.3 552 3463
2.4 450,452 3463
3.0 221,250,421,451,550,554 3463
3.1 452 3463
3.2 453 3463
3.3 - 3463
3.4 552,554 3463
3.5 - 3463
3.6 250 6710
4.0 - 3463
4.1 451 3463
4.2 421 3463
4.3 451,550 3463
4.4 - 3463
4.5 451 3463
4.6 - 3463
4.7 - 3463
5.0 220,250,251,252,253,451,452,454,458,459,501,502,503,554 3463
5.1 430,500,501,503,530,550,554,555 3463
5.2 500,501,502,550,555 3463
5.3 451 3463
5.4 451,501,502,503,504,550,555 3463
5.5 - 3463
5.6 500 4954
6.0 - 3463
6.1 - 3463
6.2 - 3463
6.3 554 3463
6.4 250 3463
6.5 - 3463
6.6 554 4468
6.7 550,553 6531
6.8 252,550,553 6531
6.9 550,554 6531
6.10 - 6531
7.0 220,235,450,454,500,501,503,504,530,535,550 3463
7.1 451,454,502,503,533,550,551 3463
7.2 550 3463
7.3 - 3463
7.4 504 3463
7.5 - 3463
7.6 - 3463
7.7 - 3463
7.8 535,554 4954
7.9 534 4954
7.10 523 5248
7.11 524,538 4954
7.12 422,432 4954
7.13 525 5248
7.14 535,554 5248
7.15 450,550 6710
7.16 552 6710
7.17 550 7293
7.18 550 7293
7.19 550 7293
7.20 550 7372
7.21 550 7372
7.22 550 7372
7.23 550 7372
7.24 451,550 7372
7.25 550 7372
7.26 550 7372
7.27 550 7505
7.28 - registry
7.29 550 8617
7.30 550 8689
"""
ROWS = [line.split() for line in REGISTRY.strip().split("\n")]


@pytest.mark.parametrize(("code", "replies", "source"), ROWS)
@pytest.mark.parametrize("status_class", [2, 4, 5])
def test_what_the_registry_has_is_known_in_every_class(
    status_class: int, code: str, replies: str, source: str
) -> None:
    status = smtp.status_of(EnhancedCode.parse(f"{status_class}.{code}"))
    assert status is not None
    assert ",".join(map(str, status.codes)) == replies.strip("-")
    assert status.source.removeprefix("RFC ") == source


def test_nothing_else_is_known() -> None:
    known = {f"{subject}.{detail}" for subject, detail in smtp.STATUSES}
    assert known == {code for code, *_ in ROWS}


# Replies beyond ASCII.  RFC 6531 section 3.7.4.


@pytest.mark.parametrize("kind", [smtp.Vrfy, smtp.Expn])
def test_a_name_beyond_ascii_is_told_to_those_who_asked_for_it(
    kind: type[smtp.Vrfy | smtp.Expn],
) -> None:
    conn = server_in(State.READY)
    verb = kind.__name__.upper().encode()
    answer = Reply(250, ("J\xfcrgen <j@b.example>",))
    assert feed(conn, verb + b" j\r\n") == [kind("j")]
    with pytest.raises(LocalProtocolError, match="only ASCII"):
        conn.send(answer)
    conn.send(Reply(252))
    assert feed(conn, verb + b" j SMTPUTF8\r\n") == [kind("j", smtputf8=True)]
    assert conn.send(answer) == "250 2.0.0 J\xfcrgen <j@b.example>\r\n".encode()


def asked_about_recipient(*, smtputf8: bool) -> smtp.Connection:
    """Give a server that has got RCPT in a transaction with or without SMTPUTF8."""
    client, server = smtp.Connection(CLIENT), smtp.Connection(SERVER)
    talk(client, server, smtp.Connect(), 220)
    talk(client, server, smtp.Ehlo("me.example"), 250)
    talk(client, server, smtp.Mail("a@b.example", smtputf8=smtputf8), 250)
    feed(server, client.send(smtp.Rcpt("c@d.example")))
    return server


@pytest.mark.parametrize("code", [251, 551])
def test_another_address_beyond_ascii_needs_smtputf8_in_mail(code: int) -> None:
    reply = Reply(code, ("<\xfc@d.example>",))
    with pytest.raises(LocalProtocolError, match="only ASCII"):
        asked_about_recipient(smtputf8=False).send(reply)
    assert "\xfc".encode() in asked_about_recipient(smtputf8=True).send(reply)


@pytest.mark.parametrize("line", [b"NOOP", b"HELP", b"FROB", b"RCPT TO:<c@d>"])
def test_the_text_of_other_replies_may_be_in_any_language(line: bytes) -> None:
    conn = server_in(State.MAIL)
    feed(conn, line + b"\r\n")
    assert "\xfc".encode() in conn.send(Reply(550, ("nicht daf\xfcr",)))
