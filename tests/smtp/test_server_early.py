"""Clients that speak before their turn, which the greeting gives.  RFC 5321 3.1."""

from typing import Any, Final

import pytest

from driving import Close, Deaf, Expect, Say, Shake, Step, Stop, Wait
from serving import GREETING, HELLO, QUIT, Served, Taking, told
from smtp_pop_core import SERVER, Note, smtp
from smtp_pop_core.smtp import Ending, Profile

EARLY: Final = Note("early_talker")
HURRIED: Final[list[Step]] = [
    Say(b"HELO me.example\r\n"),
    Expect(b"220 mx.example ESMTP\r\n250 mx.example\r\n"),
]
REFUSING: Final = Profile(refuse_early=True)
REFUSED: Final = Expect(b"554 The greeting comes first\r\n")


class Noticing(Taking):
    """Notes whether its client has spoken before its turn."""

    def connect(self) -> None:
        told.append(self.peer.early)


def test_who_waits_for_the_greeting_is_not_early() -> None:
    served = Served(Noticing, *HELLO, *QUIT)
    assert told == [False, Ending.QUIT]
    assert EARLY not in served.driver.notes


def test_who_does_not_is_early_and_nothing_that_was_said_is_lost() -> None:
    """SEC-PIPE-DESYNC-f."""
    served = Served(Noticing, *HURRIED, *QUIT)
    assert told == [True, Ending.QUIT]
    assert served.driver.notes[1] == EARLY


def test_one_octet_is_enough() -> None:
    Served(Noticing, Say(b"H"), GREETING, Say(b"ELO me.example\r\n"), *HELLO[2:], *QUIT)
    assert told == [True, Ending.QUIT]


def test_who_leaves_before_the_greeting_has_not_spoken() -> None:
    """Somebody who looks whether the port is open, for one."""
    served = Served(Noticing, Close())
    assert told == [False, Ending.LOST]
    assert EARLY not in served.driver.notes


def test_inside_tls_the_client_is_not_looked_at() -> None:
    served = Served(Noticing, Shake(), *HURRIED, *QUIT, tls=True)
    assert told == [False, Ending.QUIT]
    assert EARLY not in served.driver.notes


# The profile


def test_a_profile_may_refuse_them() -> None:
    served = Served(
        Noticing,
        *[Say(b"HELO me.example\r\nMAIL FROM:<>\r\n"), REFUSED],
        Expect(b"503 5.5.1 Bad sequence of commands\r\n" * 2),
        *QUIT,
        profile=REFUSING,
    )
    assert told == [Ending.QUIT]  # the application is not asked
    assert served.ending is Ending.QUIT
    assert served.driver.notes[-1].fields["refused"] == {"CONNECT": 1}


def test_who_waits_is_not_refused() -> None:
    served = Served(Noticing, *HELLO, *QUIT, profile=REFUSING)
    assert served.ending is Ending.QUIT


def test_a_greeting_can_be_delayed() -> None:
    served = Served(
        Noticing,
        *[Wait(5), GREETING, *HELLO[1:], *QUIT],
        profile=Profile(greeting_delay=6),
    )
    assert served.peer.now == 6
    assert told == [False, Ending.QUIT]


@pytest.mark.parametrize(("seconds", "early"), [(5.9, True), (6.1, False)])
def test_who_speaks_while_the_greeting_is_delayed_is_early(
    seconds: float, early: bool
) -> None:
    heard = HURRIED[1:] if early else [GREETING, Expect(b"250 mx.example\r\n")]
    Served(
        Noticing,
        *[Wait(seconds), HURRIED[0], *heard, *QUIT],
        profile=Profile(greeting_delay=6),
    )
    assert told == [early, Ending.QUIT]


def test_a_delay_is_over_when_the_server_stops() -> None:
    served = Served(
        Noticing,
        *[
            Stop(),
            Expect(b"421 Shutting down\r\n"),
        ],
        profile=Profile(greeting_delay=6),
    )
    assert served.ending is Ending.STOPPING


@pytest.mark.parametrize("seconds", [-1, -0.1, float("nan")])
def test_no_delay_is_below_zero(seconds: float) -> None:
    with pytest.raises(ValueError, match="at least 0 seconds"):
        Profile(greeting_delay=seconds)


def test_a_delay_does_not_use_up_the_time_of_what_follows() -> None:
    profile: Any = Profile(greeting_delay=10_000)
    served = Served(Noticing, *HURRIED, *QUIT, profile=profile)
    assert served.ending is Ending.QUIT


def test_a_deaf_client_can_be_early_as_well() -> None:
    served = Served(Noticing, Say(b"HELO"), Deaf())
    assert served.ending is Ending.TIMEOUT
    assert told == [True, Ending.TIMEOUT]


def test_a_connection_tells_its_profile() -> None:
    conn = smtp.Connection(SERVER, profile=REFUSING)
    assert conn.profile is REFUSING
