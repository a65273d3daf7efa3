"""Requirements of the standards that no module has to itself.  docs/standards.md."""

import pytest

from driving import play
from fetching import GREETING, LOGIN, capable, client, security
from smtp_pop_core import pop3
from smtp_pop_core.pop3 import State


@pytest.mark.parametrize("name", ["", "IMPLEMENTATION Shlemazle-Plotz-v302"])
def test_it_does_not_matter_what_a_server_is_called(name: str) -> None:
    """RFC 2449 section 6.9."""
    offered = capable("USER", *filter(None, [name]))
    conn = client()
    insecure = security(allow_insecure=True)
    play(pop3.open(conn, insecure), GREETING, *offered, *LOGIN, *offered)
    assert conn.state is State.TRANSACTION


@pytest.mark.parametrize("unique_id", ["!", "~" * 70])
def test_a_store_names_its_messages(unique_id: str) -> None:
    """RFC 1939 section 7."""
    assert pop3.Message(1, unique_id).unique_id == unique_id


@pytest.mark.parametrize("unique_id", ["", "x" * 71, "a b", "\x7f", "\xe9", "a\r\n"])
def test_a_store_can_give_no_other_names(unique_id: str) -> None:
    with pytest.raises(ValueError, match="not a unique id"):
        pop3.Message(1, unique_id)
