from dataclasses import dataclass

import pytest

from smtp_pop_core import CLIENT, SERVER, Limits, Role, smtp
from smtp_pop_core.smtp import Extension, extensions, usual
from smtp_pop_core.smtp._repertoire import Repertoire, repertoire_of


@dataclass
class Unhashable(Extension):
    """An extension that can be changed, and so has no hash."""

    keyword = "X-UNHASHABLE"

    text: str = ""

    def arguments(self) -> str:
        return self.text


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("given", [None, usual()])
def test_connections_with_the_same_extensions_share_a_repertoire(
    role: Role, given: tuple[Extension, ...] | None
) -> None:
    first = repertoire_of(role, given, Limits())
    assert repertoire_of(role, given and list(given), Limits()) is first


def test_another_limit_makes_another_repertoire() -> None:
    small = repertoire_of(SERVER, None, Limits(content=5))
    assert small is not repertoire_of(SERVER, None, Limits(content=6))
    assert small.by_keyword["SIZE"] == extensions.Size(5)


def test_an_extension_without_a_hash_is_offered() -> None:
    mine = Unhashable("a")
    repertoire = repertoire_of(SERVER, [mine], Limits())
    assert repertoire.by_keyword == {"X-UNHASHABLE": mine}
    assert repertoire_of(SERVER, [mine], Limits()) is not repertoire


@pytest.mark.parametrize(
    ("given", "content", "offered"),
    [
        (None, None, None),
        (0, None, 0),
        (7, None, 7),
        (None, 5, 5),
        (0, 5, 5),
        (7, 5, 5),
        (3, 5, 3),
    ],
)
def test_the_smaller_size_is_offered(
    given: int | None, content: int | None, offered: int | None
) -> None:
    limits = Limits(content=content)
    repertoire = repertoire_of(SERVER, [extensions.Size(given)], limits)
    assert repertoire.by_keyword["SIZE"] == extensions.Size(offered)


def test_what_is_offered_depends_on_the_session_and_is_worked_out_once() -> None:
    repertoire = Repertoire([extensions.StartTls(), extensions.Help()])
    clear = repertoire.offers(tls=False, authenticated=False)
    assert clear.lines == ("STARTTLS", "HELP")
    assert list(clear.extensions) == ["STARTTLS", "HELP"]
    assert repertoire.offers(tls=True, authenticated=False).lines == ("HELP",)
    assert repertoire.offers(tls=False, authenticated=False) is clear


def test_a_repertoire_stays_as_it_is_when_another_is_made_of_it() -> None:
    repertoire = Repertoire([extensions.Help()])
    more = repertoire.having(extensions.Auth(("PLAIN",)))
    assert list(more.by_keyword) == ["HELP", "AUTH"]
    assert list(more.lacking("HELP").by_keyword) == ["AUTH"]
    assert list(repertoire.by_keyword) == ["HELP"]


def test_a_server_may_say_that_it_offers_less_than_it_has() -> None:
    conn = smtp.Connection(SERVER)
    conn.next_event()
    conn.send(smtp.Reply(220))
    conn.receive_data(b"EHLO me.example\r\n")
    conn.next_event()
    conn.send(smtp.Reply(250, ("mx.example", "SIZE 5", "HELP")))
    assert dict(conn.extensions) == {
        "SIZE": extensions.Size(5),
        "HELP": extensions.Help(),
    }


CLIENT_SIDE = Repertoire(smtp.known())
"""Another one for each test would hear everything for the first time."""


@pytest.mark.parametrize("padding", [0, 2_000])
def test_what_was_heard_once_is_what_is_heard_again(padding: int) -> None:
    lines = "SIZE 5", "STARTTLS", f"X-A {'x' * padding}"
    clear = [CLIENT_SIDE.heard(lines, tls=False, authenticated=False) for _ in range(2)]
    within = [CLIENT_SIDE.heard(lines, tls=True, authenticated=False) for _ in range(2)]
    assert [list(each) for each in clear] == [["SIZE", "STARTTLS", "X-A"]] * 2
    assert [list(each) for each in within] == [["SIZE", "X-A"]] * 2
    assert dict(clear[0]) == dict(clear[1])


def test_only_a_response_that_is_short_is_remembered() -> None:
    short, long = ("X-A",), (f"X-A {'x' * 1_100}",)
    for lines, same in ((short, True), (long, False)):
        first, again = (
            CLIENT_SIDE.heard(lines, tls=False, authenticated=False) for _ in range(2)
        )
        assert (first is again) is same
