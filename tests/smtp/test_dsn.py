"""Delivery status notifications: what is wanted of them.  RFC 3461."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driving import Expect, Say, opened, play
from smtp_pop_core import CLIENT, LocalProtocolError, PolicyError, smtp
from smtp_pop_core.smtp import Mail, Notify, Rcpt, Ret, State
from smtp_talk import codes, feed, pair_in, ready_server, said_by_server, server_in

DATA = Path(__file__).parents[1] / "data"
LINES = [
    case
    for case in tomllib.loads((DATA / "commands.toml").read_text("utf-8"))["command"]
    if "DSN" in case["offers"]
]

MAILS = [
    ("RET=FULL", Mail("a@b", ret=Ret.FULL)),
    ("ret=hdrs ENVID=QQ+2B1", Mail("a@b", ret=Ret.HDRS, envid="QQ+1")),
    ("ENVID=a+20b+3Dc", Mail("a@b", envid="a b=c")),
    (f"ENVID={'x' * 100}", Mail("a@b", envid="x" * 100)),
]

RCPTS = [
    ("NOTIFY=NEVER", Rcpt("a@b", notify=(Notify.NEVER,))),
    ("NOTIFY=success,DELAY", Rcpt("a@b", notify=(Notify.SUCCESS, Notify.DELAY))),
    ("ORCPT=rfc822;a+2Bb@c", Rcpt("a@b", orcpt=("rfc822", "a+b@c"))),
    # RFC 6533 section 3
    ("ORCPT=utf-8;\\x{FC}nal@c", Rcpt("a@b", orcpt=("utf-8", "ünal@c"))),
    # a relay put UTF-8 there
    ("ORCPT=rfc822;+C3+BC@c", Rcpt("a@b", orcpt=("rfc822", "\xc3\xbc@c"))),
]

BAD_MAILS = [
    *("RET", "RET=", "RET=ALL", "RET=FULL RET=HDRS", "ENVID", "ENVID=", "ENVID=a=b"),
    *("ENVID=a+2b", "ENVID=a+2", "ENVID=+00", "ENVID=+0D+0A", "ENVID=" + "x" * 101),
]

BAD_RCPTS = [
    *("NOTIFY", "NOTIFY=", "NOTIFY=NEVER,FAILURE", "NOTIFY=SUCCESS,,DELAY"),
    *("NOTIFY=SUCCESS,SUCCESS", "NOTIFY=X", "NOTIFY=SUCCESS NOTIFY=DELAY"),
    *("ORCPT", "ORCPT=a@b", "ORCPT=;a@b", "ORCPT=rfc822;", "ORCPT=rfc822;a+2b"),
    *("ORCPT=a@b;c", "ORCPT=rfc822;+0D+0A", "ORCPT=rfc822;" + "x" * 494),
    *(
        "ORCPT=utf-8;",
        "ORCPT=utf-8;\\x{0D}",
        "ORCPT=utf-8;\\x{D800}",
        "ORCPT=utf-8;a\\b",
    ),
    *("ORCPT=utf-8;\\x{110000}", "ORCPT=utf-8;" + "x" * 495),
]


@pytest.mark.parametrize(("words", "mail"), MAILS)
def test_mail_says_what_comes_back(words: str, mail: Mail) -> None:
    server = ready_server()
    assert feed(server, f"MAIL FROM:<a@b> {words}\r\n".encode()) == [mail]


@pytest.mark.parametrize(("words", "rcpt"), RCPTS)
def test_rcpt_says_when_a_notice_is_wanted(words: str, rcpt: Rcpt) -> None:
    server = ready_server()
    said_by_server(server, [b"MAIL FROM:<>\r\n"])
    assert feed(server, f"RCPT TO:<a@b> {words}\r\n".encode()) == [rcpt]


@pytest.mark.parametrize("words", BAD_MAILS)
def test_what_is_malformed_in_mail_is_501(words: str) -> None:
    """Section 5.1."""
    line = f"MAIL FROM:<a@b> {words}\r\n".encode()
    _, replies = said_by_server(ready_server(), [line])
    assert codes(replies) == [501]


@pytest.mark.parametrize("words", BAD_RCPTS)
def test_what_is_malformed_in_rcpt_is_501(words: str) -> None:
    """Section 5.1."""
    lines = f"MAIL FROM:<>\r\nRCPT TO:<a@b> {words}\r\n".encode()
    _, replies = said_by_server(ready_server(), [lines])
    assert codes(replies) == [250, 501]


def test_parameters_that_were_not_offered_are_555() -> None:
    server = ready_server(extensions=())
    lines = (
        b"MAIL FROM:<a@b> RET=FULL\r\nMAIL FROM:<>\r\nRCPT TO:<a@b> NOTIFY=NEVER\r\n"
    )
    _, replies = said_by_server(server, [lines])
    assert codes(replies) == [555, 250, 555]


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
ANY = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\\"), min_size=1
)


@given(
    ret=st.none() | st.sampled_from(Ret),
    envid=st.none() | TEXT.map(lambda text: text[:30]),
    notify=st.lists(
        st.sampled_from([Notify.SUCCESS, Notify.FAILURE, Notify.DELAY]), unique=True
    ),
    orcpt=st.none()
    | st.tuples(st.just("rfc822"), TEXT.map(lambda text: text[:90]))
    | st.tuples(st.just("UTF-8"), ANY.map(lambda text: text[:30])),
)
def test_what_is_written_is_read_back(
    ret: Ret | None,
    envid: str | None,
    notify: list[Notify],
    orcpt: tuple[str, str] | None,
) -> None:
    client, server = pair_in(smtp.State.READY)
    mail = Mail("a@b", ret=ret, envid=envid)
    assert feed(server, client.send(mail)) == [mail]
    client.receive_data(server.send(smtp.Reply(250)))
    client.next_event()
    rcpt = Rcpt("a@b", notify=tuple(notify), orcpt=orcpt)
    assert feed(server, client.send(rcpt)) == [rcpt]


CANNOT_BE = [
    lambda: Mail("a@b", envid=""),
    lambda: Mail("a@b", envid="a\r\nQUIT"),
    lambda: Mail("a@b", envid="é\u20ac"),
    lambda: Mail("a@b", envid="+" * 34),
    lambda: Rcpt("a@b", notify=(Notify.NEVER, Notify.DELAY)),
    lambda: Rcpt("a@b", notify=(Notify.DELAY, Notify.DELAY)),
    lambda: Rcpt("a@b", orcpt=("rfc 822", "a@b")),
    lambda: Rcpt("a@b", orcpt=("rfc822", "")),
    lambda: Rcpt("a@b", orcpt=("utf-8", "a\r\nb")),
    lambda: Rcpt("a@b", orcpt=("utf-8", "\u20ac" * 80)),
]


@pytest.mark.parametrize("make", CANNOT_BE)
def test_what_cannot_be_written_cannot_be_made(make: type[smtp.Command]) -> None:
    with pytest.raises(ValueError, match=r"not |longer than|do not go together"):
        make()


@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        (Mail("a@b", ret=Ret.FULL), Rcpt("a@b")),
        (Mail("a@b", envid="x"), Rcpt("a@b")),
        (Mail("a@b"), Rcpt("a@b", notify=(Notify.NEVER,))),
        (Mail("a@b"), Rcpt("a@b", orcpt=("rfc822", "a@b"))),
    ],
)
def test_a_client_says_before_sending_that_it_is_not_offered(
    mail: Mail, rcpt: Rcpt
) -> None:
    conn = smtp.Connection(CLIENT, domain="me.example")
    play(
        smtp.open(conn),
        Say(b"220 mx.example\r\n"),
        Expect(b"EHLO me.example\r\n"),
        Say(b"250 mx.example\r\n"),
    )
    with pytest.raises(PolicyError, match="does not offer DSN"):
        play(smtp.send_mail(conn, mail, [rcpt], b"x"))
    assert conn.state is smtp.State.READY


@pytest.mark.parametrize("case", LINES, ids=lambda case: case["wire"].strip())
def test_a_line_of_the_catalogue_has_its_reply(case: dict[str, Any]) -> None:
    state = {"greeted": State.READY, "mail": State.MAIL}[case["state"]]
    offered = [each for each in smtp.usual() if each.keyword in case["offers"]]
    conn = server_in(state, extensions=offered)
    _, replies = said_by_server(conn, [case["wire"].encode("latin-1")])
    assert replies[-1].code in case["expect"]


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.READY, b"MAIL FROM:<a@b> NOTIFY=NEVER\r\n"),
        (State.READY, b"MAIL FROM:<a@b> ORCPT=rfc822;a@b\r\n"),
        (State.MAIL, b"RCPT TO:<a@b> RET=FULL\r\n"),
        (State.MAIL, b"RCPT TO:<a@b> ENVID=x\r\n"),
    ],
)
def test_a_parameter_belongs_to_its_command(state: State, line: bytes) -> None:
    _, replies = said_by_server(server_in(state), [line])
    assert codes(replies) == [555]


WRONG: list[tuple[Any, dict[str, Any]]] = [
    (Mail, {"ret": "FULL"}),
    (Mail, {"envid": b"x"}),
    (Mail, {"envid": 1}),
    (Rcpt, {"notify": ("NEVER",)}),
    (Rcpt, {"notify": "NEVER"}),
    (Rcpt, {"notify": Notify.NEVER}),
    (Rcpt, {"orcpt": ("rfc822", b"x")}),
    (Rcpt, {"orcpt": ("utf-8", b"x")}),
    (Rcpt, {"orcpt": (b"rfc822", "x")}),
]


@pytest.mark.parametrize(("kind", "fields"), WRONG)
def test_a_field_has_its_type(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kind("a@b", **fields)


@pytest.mark.parametrize("keyword", ["RET", "ENVID", "NOTIFY", "ORCPT"])
@pytest.mark.parametrize("kind", [Mail, Rcpt])
def test_what_has_a_field_is_not_an_extra(kind: Any, keyword: str) -> None:
    """Nothing is said twice: section 4.5."""
    with pytest.raises(ValueError, match="not the keyword of an extra parameter"):
        kind("a@b", extra=((keyword, "x"),))


@pytest.mark.parametrize("address_type", ["", "rfc.822", "a;b", "\xe9", "a\n", "(a)"])
def test_the_type_of_an_address_is_an_atom(address_type: str) -> None:
    with pytest.raises(ValueError, match="not the type of an address"):
        Rcpt("a@b", orcpt=(address_type, "a@b"))


def written(rcpt: Rcpt) -> bytes:
    """Give a RCPT as it is sent to a server that offers DSN."""
    conn = opened("DSN")
    conn.send(Mail("a@b"))
    feed(conn, b"250 ok\r\n")
    return conn.send(rcpt)


@pytest.mark.parametrize(
    ("text", "fits"), [("a", 100), ("~", 100), ("+", 33), (" ", 33), ("\xff", 33)]
)
def test_an_envid_has_up_to_100_characters_as_xtext(text: str, fits: int) -> None:
    """Section 4.4."""
    mail = Mail("a@b", envid=text * fits)
    assert feed(ready_server(), opened("DSN").send(mail)) == [mail]
    with pytest.raises(ValueError, match="longer than 100 characters"):
        Mail("a@b", envid=text * (fits + 1))


@pytest.mark.parametrize(
    ("address_type", "text", "fits"),
    [
        *[("rfc822", "a", 493), ("rfc822", "=", 164), ("x", "a", 498)],
        *[("a" * 498, "a", 1), ("utf-8", "a", 494), ("utf-8", "\xfc", 82)],
    ],
)
def test_an_orcpt_has_up_to_500_characters(
    address_type: str, text: str, fits: int
) -> None:
    """Section 4.2."""
    rcpt = Rcpt("a@b", orcpt=(address_type, text * fits))
    assert written(rcpt).isascii()
    assert feed(server_in(State.MAIL), written(rcpt)) == [rcpt]
    with pytest.raises(ValueError, match=r"as xtext|not an original recipient"):
        Rcpt("a@b", orcpt=(address_type, text * (fits + 1)))


@pytest.mark.parametrize("address_type", ["a" * 499, "a" * 600])
def test_a_long_type_leaves_no_room_for_an_address(address_type: str) -> None:
    with pytest.raises(ValueError, match="characters as xtext"):
        Rcpt("a@b", orcpt=(address_type, "a"))


@pytest.mark.parametrize(
    ("state", "begin", "parameters", "room"),
    [
        (State.READY, "MAIL FROM:<", f" RET=FULL ENVID={'e' * 100}", 512 + 116),
        (
            State.MAIL,
            "RCPT TO:<",
            f" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=x;{'o' * 498}",
            512 + 536,
        ),
    ],
)
def test_a_line_may_be_longer_by_the_parameters(
    state: State, begin: str, parameters: str, room: int
) -> None:
    """RFC 3885 section 3.1 has 107 and 507 octets; the other two come on top."""
    left = room - len(begin) - len("@b>") - len(parameters) - 2
    for length, code in ((left, 250), (left + 1, 500)):
        conn = server_in(state, extensions=[smtp.extensions.Dsn()])
        line = f"{begin}{'a' * length}@b>{parameters}\r\n".encode()
        assert codes(said_by_server(conn, [line])[1]) == [code]


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (r"UTF-8;\x{20AC}\x{1F600}@b", "\u20ac\U0001f600@b"),
        (r"utf-8;a\x{2B}\x{3D}\x{5C}\x{20}b", "a+=\\ b"),
        ("utf-8;j\xfcrgen@b", "j\xfcrgen@b"),
    ],
)
def test_an_original_recipient_may_be_beyond_ascii(value: str, address: str) -> None:
    """RFC 6533 section 3."""
    line = f"RCPT TO:<a@b> ORCPT={value}\r\n".encode()
    rcpt = Rcpt("a@b", orcpt=(value[:5], address))
    assert feed(server_in(State.MAIL), line) == [rcpt]


@pytest.mark.parametrize(
    "value",
    [
        *(r"utf-8;\x{}", r"utf-8;\x{A}", r"utf-8;\x{fc}", r"utf-8;\x{FC"),
        *(r"utf-8;\xFC", r"utf-8;\y{FC}", r"utf-8;a+20b", r"utf-8;\x{2028}"),
        *(r"utf-8;\x{00FFFFFF}", "utf-8;\u2028", r"utf-8;\x{10FFFD}"),
        "utf-8;" + r"\x{1F600}" * 56,
    ],
)
def test_a_malformed_address_beyond_ascii_is_501(value: str) -> None:
    line = f"RCPT TO:<a@b> ORCPT={value}\r\n".encode()
    assert codes(said_by_server(server_in(State.MAIL), [line])[1]) == [501]


def test_raw_utf8_needs_smtputf8() -> None:
    conn = server_in(State.MAIL, extensions=[smtp.extensions.Dsn()])
    line = "RCPT TO:<a@b> ORCPT=utf-8;\xfc@b\r\n".encode()
    assert codes(said_by_server(conn, [line])[1]) == [501]


def test_send_mail_says_what_it_was_given() -> None:
    mail = Mail("a@b", ret=Ret.HDRS, envid="x y")
    rcpt = Rcpt("a@b", notify=(Notify.SUCCESS, Notify.FAILURE), orcpt=("rfc822", "c@d"))
    result = play(
        smtp.send_mail(opened("DSN", "PIPELINING"), mail, [rcpt], b"hello\r\n"),
        Expect(
            b"MAIL FROM:<a@b> RET=HDRS ENVID=x+20y\r\n"
            b"RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@d\r\nDATA\r\n"
        ),
        Say(b"250 ok\r\n250 ok\r\n354 go\r\n"),
        *[Expect(b"hello\r\n.\r\n"), Say(b"250 done\r\n")],
    )
    assert result.outcome is smtp.Outcome.ACCEPTED


def test_nothing_is_added_that_was_not_given() -> None:
    """Section 5.2.1."""
    assert opened("DSN").send(Mail("a@b")) == b"MAIL FROM:<a@b>\r\n"
    assert written(Rcpt("c@d")) == b"RCPT TO:<c@d>\r\n"


def test_a_connection_does_not_write_what_was_not_offered() -> None:
    """Section 5.2.2."""
    conn = opened("SIZE")
    for mail in (Mail("a@b", ret=Ret.FULL), Mail("a@b", envid="x")):
        with pytest.raises(LocalProtocolError, match="no extension that was offered"):
            conn.send(mail)
    conn.send(Mail("a@b"))
    feed(conn, b"250 ok\r\n")
    for rcpt in (Rcpt("a@b", notify=(Notify.NEVER,)), Rcpt("a@b", orcpt=("x", "y"))):
        with pytest.raises(LocalProtocolError, match="no extension that was offered"):
            conn.send(rcpt)
    assert conn.state is State.MAIL
