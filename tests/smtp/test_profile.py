"""What a submission server asks of its clients.  RFC 6409."""

import pytest

from smtp_pop_core import CLIENT, SERVER, smtp
from smtp_pop_core.smtp import Profile, State
from smtp_talk import EXTENSIONS, codes, feed, said_by_server, server_in

EHLO = b"EHLO me.example\r\n"


def server(profile: Profile) -> smtp.Connection:
    return smtp.Connection(SERVER, profile=profile)


def test_a_relay_asks_nothing_more() -> None:
    _, replies = said_by_server(
        server(smtp.RELAY), [EHLO, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"]
    )
    assert codes(replies)[-2:] == [250, 250]


def test_a_submission_server_wants_authentication_first() -> None:
    """Section 4.3."""
    _, replies = said_by_server(
        server(smtp.SUBMISSION),
        [EHLO, b"NOOP\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"],
    )
    assert codes(replies)[-3:] == [250, 530, 503]
    assert replies[-2].enhanced == smtp.EnhancedCode(5, 7, 0)


PATHS = [
    (b"MAIL FROM:<a@b.example>", 250),
    (b"MAIL FROM:<>", 250),
    (b"MAIL FROM:<a@[192.0.2.1]>", 250),
    (b"MAIL FROM:<a@localhost>", 554),
    (b'MAIL FROM:<"a@b.c"@d>', 554),
]


@pytest.mark.parametrize(("line", "code"), PATHS)
def test_the_domain_of_a_sender_is_qualified(line: bytes, code: int) -> None:
    """Section 4.2."""
    profile = Profile(qualified=True)
    _, replies = said_by_server(server(profile), [EHLO, line + b"\r\n"])
    assert replies[-1].code == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:<a@b.example>", 250),
        (b"RCPT TO:<Postmaster>", 250),
        (b"RCPT TO:<a@[IPv6:::1]>", 250),
        (b"RCPT TO:<a@host>", 554),
    ],
)
def test_the_domain_of_a_recipient_is_qualified(line: bytes, code: int) -> None:
    """Section 4.2."""
    connection = server(Profile(qualified=True))
    mail = b"MAIL FROM:<>\r\n"
    _, replies = said_by_server(connection, [EHLO, mail, line + b"\r\n"])
    assert replies[-1].code == code


def test_who_has_authenticated_may_send() -> None:
    extensions = (*smtp.usual(), smtp.extensions.Auth(("PLAIN",)))
    conn = smtp.Connection(SERVER, profile=smtp.SUBMISSION, extensions=extensions)
    said_by_server(conn, [EHLO])
    feed(conn, b"AUTH PLAIN AA==\r\n")
    conn.send(smtp.Reply(235))
    assert feed(conn, b"MAIL FROM:<a@b.example>\r\n") == [smtp.Mail("a@b.example")]


BEFORE_TLS = [
    (b"NOOP", 250),
    (EHLO.strip(), 250),
    (b"HELO me.example", 530),
    (b"MAIL FROM:<a@b.example>", 530),
    (b"VRFY a", 530),
    (b"RSET", 530),
    (b"AUTH PLAIN AGEAYg==", 530),
    (b"RCPT TO:<a@b.example>", 503),
    (b"FROB", 500),
    (b"STARTTLS", 220),
    (b"QUIT", 221),
]


@pytest.mark.parametrize(("line", "code"), BEFORE_TLS)
def test_a_private_server_may_want_tls_first(line: bytes, code: int) -> None:
    """RFC 3207 section 4."""
    conn = server_in(State.READY, profile=Profile(tls=True), extensions=EXTENSIONS)
    _, replies = said_by_server(conn, [line + b"\r\n"])
    assert codes(replies) == [code]


def test_inside_tls_a_server_that_wants_it_asks_nothing_more() -> None:
    conn = server_in(State.TLS, profile=Profile(tls=True), extensions=EXTENSIONS)
    conn.begin_tls()
    _, replies = said_by_server(conn, [EHLO, b"MAIL FROM:<a@b.example>\r\n"])
    assert codes(replies) == [250, 250]


COMPLETED = [
    (b"Subject: x\r\n\r\ny", b"Date: D\r\nMessage-ID: <m>\r\nSubject: x\r\n\r\ny"),
    (b"date: z\r\n\r\n", b"Message-ID: <m>\r\ndate: z\r\n\r\n"),
    (b"MESSAGE-ID: z\r\n\r\n", b"Date: D\r\nMESSAGE-ID: z\r\n\r\n"),
    (b"Date: z\r\nMessage-ID: z\r\n\r\n", b"Date: z\r\nMessage-ID: z\r\n\r\n"),
    (b"\r\nDate: body", b"Date: D\r\nMessage-ID: <m>\r\n\r\nDate: body"),
    (  # an empty header, and a body that looks like one
        b"\r\nDate: z\r\nMessage-ID: z\r\n\r\n",
        b"Date: D\r\nMessage-ID: <m>\r\n\r\nDate: z\r\nMessage-ID: z\r\n\r\n",
    ),
    (  # the value of another field, folded
        b"Subject: x\r\n Date: z\r\n\tMessage-ID: z\r\n\r\n",
        b"Date: D\r\nMessage-ID: <m>\r\n"
        b"Subject: x\r\n Date: z\r\n\tMessage-ID: z\r\n\r\n",
    ),
    # RFC 5322 section 4.5 has a space before the colon.
    (b"Date : z\r\nMessage-ID\t: z\r\n", b"Date : z\r\nMessage-ID\t: z\r\n"),
    (b"", b"Date: D\r\nMessage-ID: <m>\r\n"),
]


@pytest.mark.parametrize(("content", "completed"), COMPLETED)
def test_fields_that_are_missing_may_be_added(content: bytes, completed: bytes) -> None:
    """Section 8."""
    assert smtp.completed(content, date="D", message_id="<m>") == completed


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "é", "a\nb"])
def test_what_is_added_stays_on_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="not the value of a header field"):
        smtp.completed(b"\r\n", date=value, message_id="<m>")


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "\xe9", "\x7f"])
def test_the_other_field_stays_on_its_line_too(value: str) -> None:
    with pytest.raises(ValueError, match="not the value of a header field"):
        smtp.completed(b"\r\n", date="D", message_id=value)


def test_who_is_not_authenticated_gets_nowhere_by_pipelining() -> None:
    conn = server(smtp.SUBMISSION)
    lines = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nNOOP\r\n"
    _, replies = said_by_server(conn, [EHLO, lines])
    assert codes(replies)[2:] == [530, 503, 503, 250]
    assert conn.state is smtp.State.READY


def test_what_a_profile_refuses_is_no_mistake_that_is_counted() -> None:
    _, replies = said_by_server(
        server(smtp.SUBMISSION), [EHLO, b"MAIL FROM:<>\r\n" * 50]
    )
    assert set(codes(replies)[2:]) == {530}


def test_the_codes_say_which_domain_is_not_full() -> None:
    lines = b"MAIL FROM:<a@sales>\r\nMAIL FROM:<>\r\nRCPT TO:<a@sales>\r\n"
    _, replies = said_by_server(server(Profile(qualified=True)), [EHLO, lines])
    assert [str(reply.enhanced) for reply in replies[2:]] == ["5.1.8", "2.1.0", "5.1.2"]


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@sales\r\n", b"MAIL TO:<a@b>\r\n"])
def test_the_syntax_is_looked_at_first(line: bytes) -> None:
    """Section 5.1."""
    _, replies = said_by_server(server(smtp.SUBMISSION), [EHLO, line])
    assert codes(replies)[-1] == 501


def test_an_application_is_not_asked_about_what_its_profile_refuses() -> None:
    conn = server(smtp.SUBMISSION)
    said_by_server(conn, [EHLO])
    [event] = feed(conn, b"MAIL FROM:<a@b.example>\r\n")
    assert isinstance(event, smtp.BadCommand)
    assert event.line == b"MAIL FROM:<a@b.example>"
    assert conn.default_reply(event) == event.reply


@pytest.mark.parametrize("command", [smtp.Noop(), smtp.Vrfy("a@b"), smtp.Data()])
def test_a_profile_is_about_the_envelope(command: smtp.Command) -> None:
    assert smtp.SUBMISSION.refusal(command, tls=False, authenticated=False) is None


def test_a_client_is_not_bound_by_a_profile() -> None:
    conn = smtp.Connection(CLIENT, profile=smtp.SUBMISSION)
    feed(conn, b"220 mx.example\r\n")
    conn.send(smtp.Ehlo("me.example"))
    feed(conn, b"250 mx.example\r\n")
    assert conn.send(smtp.Mail("a@sales")) == b"MAIL FROM:<a@sales>\r\n"
