import pytest

import smtp_pop_core
from smtp_pop_core import (
    ConnectionLost,
    Error,
    LocalProtocolError,
    MessageAborted,
    PolicyError,
    ProtocolError,
    Rejected,
    RemoteProtocolError,
    Stopping,
    smtp,
)

TREE = [
    *((ProtocolError, Error), (LocalProtocolError, ProtocolError)),
    *((RemoteProtocolError, ProtocolError), (ConnectionLost, Error)),
    *((Rejected, Error), (smtp.Rejected, Rejected), (MessageAborted, Error)),
    *((PolicyError, Error), (Stopping, Error), (Error, Exception)),
]


@pytest.mark.parametrize(("error", "base"), TREE)
def test_every_error_has_its_place(error: type, base: type) -> None:
    assert error.__bases__ == (base,)


def test_no_other_error_is_public() -> None:
    public = {getattr(smtp_pop_core, name) for name in smtp_pop_core.__all__}
    errors = {
        each for each in public if isinstance(each, type) and issubclass(each, Error)
    }
    assert errors == {error for error, _ in TREE if error is not smtp.Rejected}


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
