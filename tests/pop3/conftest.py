"""What holds for all tests of POP3."""

from collections.abc import Iterator

import pytest

from pop3_serving import leave_all


@pytest.fixture(autouse=True)
def _no_session_is_left_open() -> Iterator[None]:
    """Else it would end, and say so, in the middle of another test."""
    yield
    leave_all()
