"""What a server author derives from."""

from inspect import iscoroutinefunction, signature

import pytest

from driving import finished
from smtp_pop_core import SERVER, smtp
from smtp_pop_core.smtp import Ending, Reply

ENVELOPE = smtp.Envelope(smtp.Mail("a@example.com"), (smtp.Rcpt("b@example.com"),))
ASKED: list[tuple[str, tuple[object, ...]]] = [
    ("connect", ()),
    ("mail", (smtp.Mail("a@example.com"),)),
    ("rcpt", (smtp.Rcpt("b@example.com"),)),
    ("verify", (smtp.Vrfy("joe"),)),
    ("close", (Ending.QUIT,)),
]


def peer() -> smtp.Peer:
    return smtp.Peer(smtp.Connection(SERVER), "192.0.2.1", 2525)


@pytest.mark.parametrize(("name", "arguments"), ASKED)
def test_the_default_of_a_decision_is_none(
    name: str, arguments: tuple[object, ...]
) -> None:
    assert getattr(smtp.Application(peer()), name)(*arguments) is None
    asked = getattr(smtp.AsyncApplication(peer()), name)(*arguments)
    assert finished(asked) is None


def test_a_message_is_refused_unless_a_class_takes_it() -> None:
    message = getattr(smtp.Application(peer()), "message")  # noqa: B009 - no content
    assert message(ENVELOPE, None).code == 550
    message = getattr(smtp.AsyncApplication(peer()), "message")  # noqa: B009
    reply = finished(message(ENVELOPE, None))
    assert reply == Reply(
        550, ("This server does not take messages",), smtp.EnhancedCode(5, 3, 2)
    )


def test_both_kinds_have_the_same_methods() -> None:
    plain, other = vars(smtp.Application), vars(smtp.AsyncApplication)
    methods = {name for name in plain if not name.startswith("__")}
    assert methods == {name for name in other if not name.startswith("__")}
    for name in methods:
        assert list(signature(plain[name]).parameters) == list(
            signature(other[name]).parameters
        )
        assert iscoroutinefunction(other[name])


def test_a_peer_knows_where_it_comes_from() -> None:
    asked = peer()
    assert (asked.address, asked.port) == ("192.0.2.1", 2525)
    assert (asked.helo, asked.tls, dict(asked.extensions)) == ("", False, {})
    assert smtp.Peer(smtp.Connection(SERVER, tls=True)).tls
    assert smtp.Peer(smtp.Connection(SERVER)).address == ""


@pytest.mark.parametrize("name", ["helo", "tls", "extensions"])
def test_what_a_peer_is_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(peer(), name, "other")
