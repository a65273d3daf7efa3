from dataclasses import fields
from typing import Any

import pytest

from smtp_pop_core import CLIENT, NEED_DATA, PAUSED, SERVER, Limits, Timeouts

NUMBERS = [each.name for each in fields(Limits()) if each.name != "timeouts"]
UNBOUNDED = ["content", "messages"]
LEAST = {  # RFC 5321 section 4.5.3.1, RFC 2449 section 4
    "command_line": 512,
    "reply_line": 512,
    "pop3_command_line": 255,
    "proxy_header": 216,
}


def limits_with(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limit_may_be_as_low_as_the_standard_allows(name: str) -> None:
    least = LEAST.get(name, 1)
    assert getattr(limits_with(name, least), name) == least


@pytest.mark.parametrize("name", NUMBERS)
def test_no_limit_is_lower(name: str) -> None:
    least = LEAST.get(name, 1)
    for value in (least - 1, 0, -1):
        with pytest.raises(ValueError, match=f"{name} must be at least {least}"):
            limits_with(name, value)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_some_things_need_no_bound(name: str) -> None:
    assert getattr(limits_with(name, None), name) is None


def test_the_defaults_are_what_the_standard_wants() -> None:
    """RFC 5321 sections 4.5.3.1 and 4.5.3.2."""
    limits = Limits()
    assert limits.command_line == 512
    assert limits.auth_line == 12_288  # RFC 4954 section 4
    assert limits.reply_line >= 512
    assert limits.recipients >= 100
    assert limits.content is not None
    assert limits.content >= 65_536
    assert limits.timeouts == Timeouts(
        *(), greeting=300, mail=300, rcpt=300, data=120, block=180, end=600
    )


@pytest.mark.parametrize("name", [each.name for each in fields(Timeouts())])
@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(name: str, seconds: float) -> None:
    assert getattr(Timeouts(**{name: 0.1}), name) == 0.1
    with pytest.raises(ValueError, match=f"{name} must be above 0 seconds"):
        Timeouts(**{name: seconds})


def test_limits_are_equal_by_value_and_cannot_be_changed() -> None:
    assert Limits(content=5) == Limits(content=5) != Limits()
    with pytest.raises(AttributeError):
        Limits().content = 5  # type: ignore[misc]  # that is the point


def test_roles_and_signals_are_shown_by_their_names() -> None:
    assert [repr(each) for each in (CLIENT, SERVER, NEED_DATA, PAUSED)] == [
        *("CLIENT", "SERVER", "NEED_DATA", "PAUSED")
    ]
