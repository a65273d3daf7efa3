"""Who has handed a message in, as MAIL says.  RFC 4954 section 5."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from driving import opened, play
from smtp_pop_core import PolicyError, smtp
from smtp_pop_core.smtp import Mail, State
from smtp_talk import client_in, codes, feed, ready_server, said_by_server

DATA = Path(__file__).parents[1] / "data"
LINES = [
    case
    for case in tomllib.loads((DATA / "commands.toml").read_text("utf-8"))["command"]
    if case["offers"] == ["AUTH"]
]

WORDS = [
    ("AUTH=<>", ""),
    ("auth=a@b.example", "a@b.example"),
    ("AUTH=e+3Dmc2@example.com", "e=mc2@example.com"),
    ('AUTH="a+20b"@c.example', '"a b"@c.example'),
    ("AUTH=a@[192.0.2.1]", "a@[192.0.2.1]"),
    ("AUTH=+C3+BC@b.example", "\xc3\xbc@b.example"),
]

BAD_WORDS = [
    *("AUTH", "AUTH=", "AUTH=foo", "AUTH=a@", "AUTH=@b", "AUTH=+3C+3E", "AUTH=a@b@c"),
    *("AUTH=<a@b>", "AUTH=a=b@c", "AUTH=a+3d@b", "AUTH=a+3", "AUTH=a+0D+0A@b"),
    *("AUTH=a+20b@c", "AUTH=a@b AUTH=a@b", "AUTH=" + "x" * 493 + "@b"),
]


@pytest.mark.parametrize("case", LINES, ids=lambda case: case["reason"])
def test_the_lines_of_the_catalogue_are_answered_so(case: dict[str, Any]) -> None:
    _, replies = said_by_server(ready_server(), [case["wire"].encode()])
    assert codes(replies) == case["expect"]


@pytest.mark.parametrize(("words", "auth"), WORDS)
def test_who_handed_a_message_in_is_an_address_or_not_known(
    words: str, auth: str
) -> None:
    """Whoever is asked, also before a login: the application knows whom to trust."""
    server = ready_server()
    line = f"MAIL FROM:<a@b> {words}\r\n".encode()
    assert feed(server, line) == [Mail("a@b", auth=auth)]
    assert not server.authenticated


@pytest.mark.parametrize("words", BAD_WORDS)
def test_anything_else_is_malformed(words: str) -> None:
    line = f"MAIL FROM:<a@b> {words}\r\n".encode()
    _, replies = said_by_server(ready_server(), [line])
    assert codes(replies) == [501]


@pytest.mark.parametrize(("words", "auth"), WORDS)
def test_what_is_written_is_read_back(words: str, auth: str) -> None:
    mail = Mail("a@b", auth=auth)
    wire = client_in(State.READY).send(mail)
    assert wire == f"MAIL FROM:<a@b> {words}\r\n".replace("auth", "AUTH").encode()
    assert feed(ready_server(), wire) == [mail]


@pytest.mark.parametrize("auth", ["foo", "a@b\r\nRSET", "a b@c", "x" * 493 + "@b"])
def test_what_cannot_be_written_cannot_be_made(auth: str) -> None:
    with pytest.raises(ValueError, match=r"not |longer than"):
        Mail("a@b", auth=auth)


@pytest.mark.parametrize("auth", ["", "a@b.example"])
def test_it_is_not_said_to_a_server_that_does_not_offer_auth(auth: str) -> None:
    conn = opened("SIZE")
    mail = Mail("a@b.example", auth=auth)
    with pytest.raises(PolicyError, match="does not offer AUTH, which is needed"):
        play(smtp.send_mail(conn, mail, ["c@d.example"], b"x"))
    assert conn.state is State.READY


@pytest.mark.parametrize(("over", "code"), [(0, 250), (1, 500)])
def test_a_line_has_room_for_it(over: int, code: int) -> None:
    """Section 3: 500 octets more."""
    offered = (smtp.extensions.Auth(("LOGIN",)),)
    address = "x" * 200 + "@example.com"
    head, tail = "MAIL FROM:<", f"@b> AUTH={address}\r\n"
    pad = "a" * (512 + 500 + over - len(head) - len(tail))
    server = ready_server(extensions=offered)
    _, replies = said_by_server(server, [f"{head}{pad}{tail}".encode()])
    assert codes(replies) == [code]
