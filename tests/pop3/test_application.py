"""What a server author derives from, and what a maildrop says about its messages."""

from inspect import iscoroutinefunction, signature
from typing import Any

import pytest

from driving import finished
from pop3_serving import connection
from smtp_pop_core import pop3, sasl
from smtp_pop_core.pop3 import Ending, Message

ASKED: list[tuple[str, tuple[object, ...]]] = [
    ("connect", ()),
    ("authenticate", (sasl.VerifyPassword("joe", "secret"),)),
    ("command", (pop3.Lang("de"),)),
    ("close", (Ending.QUIT,)),
]


def peer() -> pop3.Peer:
    return pop3.Peer(connection(), "192.0.2.1", 1100)


# Applications and maildrops.


@pytest.mark.parametrize(("name", "arguments"), ASKED)
def test_the_default_of_a_decision_is_none(
    name: str, arguments: tuple[object, ...]
) -> None:
    assert getattr(pop3.Application(peer()), name)(*arguments) is None
    asked = getattr(pop3.AsyncApplication(peer()), name)(*arguments)
    assert finished(asked) is None


def test_the_default_of_a_maildrop_is_an_empty_one() -> None:
    plain = pop3.Application(peer()).open("joe")
    assert isinstance(plain, pop3.Maildrop)
    other = finished(pop3.AsyncApplication(peer()).open("joe"))
    assert isinstance(other, pop3.AsyncMaildrop)
    assert (plain.messages, other.messages) == ((), ())
    assert (list(plain.read(1)), other.read(1)) == ([], ())


def test_a_maildrop_that_does_not_say_how_removes_nothing() -> None:
    """So the client hears that its messages are still there."""
    assert pop3.Maildrop().commit(frozenset({1, 3})) == {1, 3}
    assert finished(pop3.AsyncMaildrop().commit(frozenset({1, 3}))) == {1, 3}
    closed: Any = pop3.Maildrop()
    assert closed.close() is None


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        (pop3.Application, pop3.AsyncApplication),
        (pop3.Maildrop, pop3.AsyncMaildrop),
    ],
)
def test_both_kinds_have_the_same_methods(
    plain: type[object], other: type[object]
) -> None:
    names = {name for name in vars(plain) if not name.startswith("__")}
    assert names == {name for name in vars(other) if not name.startswith("__")}
    methods = names - {"messages"}
    for name in methods:
        assert list(signature(vars(plain)[name]).parameters) == list(
            signature(vars(other)[name]).parameters
        )
    waits = {name for name in methods if iscoroutinefunction(vars(other)[name])}
    assert methods - waits <= {"read"}


# The other end.


def test_a_peer_knows_where_it_comes_from() -> None:
    asked = peer()
    assert (asked.address, asked.port) == ("192.0.2.1", 1100)
    assert (asked.identity, asked.tls, asked.security, asked.utf8) == (
        *("", False),
        *(None, False),
    )
    assert dict(asked.capabilities) == {}
    assert pop3.Peer(connection(tls=True)).tls
    assert pop3.Peer(connection()).address == ""


@pytest.mark.parametrize(
    "name", ["identity", "tls", "security", "utf8", "capabilities"]
)
def test_what_a_peer_is_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(peer(), name, "other")


# Messages.


@pytest.mark.parametrize("unique_id", ["!", "~", "x" * 70, "whqtswO00WBw418f9t5JxYwZ"])
@pytest.mark.parametrize("size", [0, 1, 10**20 - 1])
def test_a_message_has_a_size_and_an_id(size: int, unique_id: str) -> None:
    message = Message(size, unique_id)
    assert (message.size, message.unique_id, message.utf8) == (size, unique_id, False)
    assert Message(size, unique_id, utf8=True) != message


@pytest.mark.parametrize(
    "unique_id",
    ["", "x" * 71, "a b", "a\r\n2 b", "a\n", "a\x7f", "\0", "é", "\u2028", "a\tb"],
)
def test_what_cannot_be_written_is_no_unique_id(unique_id: str) -> None:
    """RFC 1939 section 7.  SEC-CRLF-API-aa."""
    with pytest.raises(ValueError, match="unique id"):
        Message(1, unique_id)


@pytest.mark.parametrize("unique_id", [None, 1, b"a"])
def test_a_unique_id_is_text(unique_id: Any) -> None:
    with pytest.raises(TypeError):
        Message(1, unique_id)


@pytest.mark.parametrize(
    ("size", "error"),
    [
        *((-1, ValueError), (10**20, ValueError)),
        *((1.0, TypeError), ("1", TypeError), (True, TypeError), (None, TypeError)),
    ],
)
def test_a_size_is_a_number_that_can_be_written(
    size: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Message(size, "a")


@pytest.mark.parametrize(
    ("content", "size"),
    [
        *((b"", 0), (b"a", 3), (b"a\n", 3), (b"a\r\n", 3), (b"\n", 2), (b".", 3)),
        *((b"a\nb\r\nc", 9), (b".\n..\n", 7), (b"\0\xff", 4)),
    ],
)
def test_a_size_is_that_of_what_is_sent(content: bytes, size: int) -> None:
    """RFC 1939 section 11: every line ends with CRLF, and no dot is doubled."""
    assert pop3.size_of(content) == size


def test_a_maildrop_in_use_is_an_error_of_this_library() -> None:
    with pytest.raises(pop3.MaildropInUse, match="by somebody"):
        raise pop3.MaildropInUse("by somebody")
