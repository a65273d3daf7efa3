from typing import Any

import pytest

import smtp_pop_core
from smtp_pop_core import (
    AuthenticationFailed,
    ConnectionLost,
    Error,
    LocalProtocolError,
    MessageAborted,
    PolicyError,
    ProtocolError,
    Rejected,
    RemoteProtocolError,
    Stopping,
    pop3,
    sasl,
    smtp,
)

TREE = [
    *((ProtocolError, Error), (LocalProtocolError, ProtocolError)),
    *((RemoteProtocolError, ProtocolError), (ConnectionLost, Error)),
    *((Rejected, Error), (smtp.Rejected, Rejected), (MessageAborted, Error)),
    *((PolicyError, Error), (Stopping, Error), (Error, Exception)),
    *((AuthenticationFailed, Rejected), (pop3.Rejected, Rejected)),
    *((pop3.MaildropInUse, Error), (sasl.Denied, Error), (sasl.ExchangeError, Error)),
]


@pytest.mark.parametrize(("error", "base"), TREE)
def test_every_error_has_its_place(error: type, base: type) -> None:
    assert error.__bases__ == (base,)


def test_no_other_error_is_public() -> None:
    public = {getattr(smtp_pop_core, name) for name in smtp_pop_core.__all__}
    errors = {
        each for each in public if isinstance(each, type) and issubclass(each, Error)
    }
    behind_doors = {
        *(smtp.Rejected, pop3.Rejected, pop3.MaildropInUse),
        *(sasl.Denied, sasl.ExchangeError),
    }
    assert errors == {error for error, _ in TREE} - behind_doors


@pytest.mark.parametrize("door", [smtp, pop3])
def test_a_failed_login_is_a_no_of_its_protocol(door: Any) -> None:
    assert door.AuthenticationFailed.__bases__ == (door.Rejected, AuthenticationFailed)


def test_a_broken_line_is_kept_up_to_512_octets() -> None:
    error = RemoteProtocolError("broken", line=b"x" * 600)
    assert error.line == b"x" * 512
    assert str(error) == "broken"
    assert RemoteProtocolError("broken").line == b""


def test_a_lost_connection_says_what_was_heard_last() -> None:
    reply = smtp.Reply(421, ("bye",))
    error = ConnectionLost("lost", last_reply=reply)
    assert error.last_reply is reply
    assert str(error) == "lost"
    assert ConnectionLost("lost").last_reply is None


@pytest.mark.parametrize("temporary", [False, True])
def test_a_no_may_be_a_yes_later(temporary: bool) -> None:
    error = Rejected("no", temporary=temporary)
    assert error.temporary is temporary
    assert str(error) == "no"
