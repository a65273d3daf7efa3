"""Requirements of the standards that no module has to itself.  docs/standards.md."""

import pytest

from driving import Expect, Say, Step, play
from fetching import LOGIN, OK, ask, capable, client, security
from smtp_pop_core import pop3, sasl
from smtp_pop_core.pop3 import State

TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"


@pytest.mark.parametrize("name", ["", "IMPLEMENTATION Shlemazle-Plotz-v302"])
def test_it_does_not_matter_what_a_server_is_called(name: str) -> None:
    """RFC 2449 section 6.9."""
    offered = capable("USER", *filter(None, [name]))
    conn = client()
    insecure = security(allow_insecure=True)
    play(pop3.open(conn, insecure), Say(b"+OK hi\r\n"), *offered, *LOGIN, *offered)
    assert conn.state is State.TRANSACTION


def test_the_name_and_the_password_of_apop_are_prepared() -> None:
    """RFC 6856 section 2.2.  It is the digest of RFC 1939 section 7."""
    conn = client()
    digest = b"c4c9334bac560ecc979e58001b3e22fb"
    steps: list[Step] = [
        Say(f"+OK POP3 server ready {TIMESTAMP}\r\n".encode()),
        *capable("UTF8 USER"),
        *ask("UTF8", "+OK"),
        Expect(b"APOP mrose " + digest + b"\r\n"),
        OK,
        *capable(),
    ]
    credentials = sasl.Password("m\u00adrose", "tan\u00adstaaf")
    insists = security(credentials=credentials, mechanism="APOP")
    play(pop3.open(conn, insists), *steps)
    assert conn.authenticated
