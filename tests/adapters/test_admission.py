"""Who is let in to a server, by a clock that the tests turn."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from smtp_pop_adapters._admission import Admission, Seat, Terms, Troubles
from smtp_pop_core import Networks, Refusal

STRANGER: Final = "192.0.2.1"
NOBODY: Final = Networks()


class Clock:
    """Shows the time that it was set to."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


class Guest:
    """A session that waits, or does not; it notes that it was asked to go."""

    def __init__(self, since: float | None, *, waits: bool = True) -> None:
        self.idle_since = since
        self.waits = waits
        self.asked = False

    def dismiss(self) -> bool:
        self.asked = self.waits
        return self.waits


def admission(clock: Clock | None = None, **terms: Any) -> Admission:
    return Admission(Terms(**{"sessions": 10, **terms}), clock or Clock())


def seated(
    door: Admission, address: str = STRANGER, guest: Guest | None = None
) -> Seat:
    """Let a client in that has to be let in."""
    seat = door.let_in(address)
    assert isinstance(seat, Seat)
    seat.guest = guest
    return seat


def counted(refused: Mapping[Refusal, int]) -> dict[Refusal, int]:
    return {why: count for why, count in refused.items() if count}


# How many


def test_as_many_are_let_in_as_can_be_served() -> None:
    door = admission(sessions=2)
    first, _ = seated(door), seated(door)
    assert door.let_in(STRANGER) is Refusal.BUSY
    assert door.sessions == 2
    first.leave()
    assert door.sessions == 1
    seated(door)
    assert counted(door.refused) == {Refusal.BUSY: 1}


def test_who_only_says_its_last_words_makes_room() -> None:
    door = admission(sessions=1)
    seated(door).retire()
    assert door.sessions == 0
    seated(door)


def test_no_more_are_about_to_leave_than_can_be_served() -> None:
    door = admission(sessions=1)
    first = seated(door)
    first.retire()
    second = seated(door)
    second.retire()
    assert door.let_in(STRANGER) is Refusal.BUSY
    first.leave()
    seated(door)


def test_a_seat_can_be_given_back_when_it_is_retired() -> None:
    door = admission(sessions=1)
    seat = seated(door)
    seat.leave()
    seat.retire()
    seated(door)


def test_nobody_is_let_in_where_it_is_closed() -> None:
    door = admission()
    door.close()
    assert door.let_in(STRANGER) is Refusal.STOPPING
    door.refuse(Refusal.STOPPING, 2)
    assert counted(door.refused) == {Refusal.STOPPING: 3}


# From one address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:db8:0:0:ffff::2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("/run/one", ""),
    ],
)
def test_what_is_one_site_is_bounded_together(one: str, other: str) -> None:
    door = admission(sessions_per_address=1, exempt=NOBODY)
    seat = seated(door, one)
    assert door.let_in(other) is Refusal.ADDRESS
    seat.leave()
    seated(door, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("192.0.2.1", "2001:db8::192.0.2.1"),
        ("192.0.2.1", ""),
    ],
)
def test_what_is_not_one_site_is_not(one: str, other: str) -> None:
    door = admission(sessions_per_address=1, exempt=NOBODY)
    seated(door, one)
    seated(door, other)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "", "/run/one"])
def test_the_host_itself_is_not_bounded(address: str) -> None:
    door = admission(sessions_per_address=1, failed_logins_per_address=1)
    seated(door, address).login_failed(address)
    seated(door, address)


def test_without_a_bound_all_may_come_from_one_address() -> None:
    door = admission(sessions_per_address=None, failed_logins_per_address=None)
    for _ in range(10):
        seated(door).login_failed(STRANGER)


def test_who_is_let_in_at_last_is_counted_where_the_proxy_says() -> None:
    door = admission(sessions_per_address=1, exempt=NOBODY)
    first, second = door.let_in(None), door.let_in(None)
    assert isinstance(first, Seat)
    assert isinstance(second, Seat)
    assert first.enter("192.0.2.1") is None
    assert second.enter("192.0.2.1") is Refusal.ADDRESS
    assert second.enter("192.0.2.2") is None
    first.leave()
    second.leave()
    seated(door, "192.0.2.1")
    seated(door, "192.0.2.2")
    assert counted(door.refused) == {Refusal.ADDRESS: 1}


# Failed logins


def test_a_client_that_another_follows_on_a_seat_is_counted_no_more() -> None:
    door = admission(sessions_per_address=1)
    seat = seated(door, "192.0.2.9")
    assert seat.enter(STRANGER) is None
    assert seat.enter(STRANGER) is None
    seated(door, "192.0.2.9").leave()
    assert door.let_in(STRANGER) is Refusal.ADDRESS
    assert seat.enter("192.0.2.2") is None
    other = seated(door)
    assert seat.enter(STRANGER) is Refusal.ADDRESS
    other.leave()
    seat.leave()
    seated(door)


def test_after_too_many_failed_logins_nobody_is_let_in_for_a_while() -> None:
    clock = Clock()
    door = admission(clock, failed_logins_per_address=3)
    seat = seated(door)
    seat.login_failed(STRANGER)
    seat.login_failed(STRANGER)
    seated(door)
    clock.time += 599
    seat.login_failed(STRANGER)
    assert door.let_in(STRANGER) is Refusal.LOGINS
    seated(door, "192.0.2.2")
    clock.time += 599
    assert door.let_in(STRANGER) is Refusal.LOGINS
    clock.time += 1
    seated(door)


def test_failed_logins_are_forgotten_after_a_while() -> None:
    clock = Clock()
    door = admission(clock, failed_logins_per_address=2)
    seat = seated(door)
    seat.login_failed(STRANGER)
    clock.time += 600
    seat.login_failed(STRANGER)
    seated(door)


def test_the_failed_logins_of_10_000_addresses_are_kept_in_mind() -> None:
    door = admission(failed_logins_per_address=1)
    seat = seated(door)
    for number in range(10_001):
        seat.login_failed(f"10.0.{number >> 8}.{number & 255}")
    seated(door, "10.0.0.0")
    assert door.let_in("10.0.0.1") is Refusal.LOGINS


# Who makes room


def test_who_has_waited_longest_makes_room() -> None:
    clock = Clock()
    door = admission(clock, sessions=3, patience=10)
    guests = [Guest(985), Guest(980), Guest(None)]
    for each in guests:
        seated(door, guest=each)
    seated(door)
    assert [each.asked for each in guests] == [False, True, False]
    assert (door.sessions, door.dismissed) == (3, 1)


def test_nobody_makes_room_before_the_patience_ends() -> None:
    clock = Clock()
    door = admission(clock, sessions=1, patience=10)
    guest = Guest(995)
    seated(door, guest=guest)
    assert door.let_in(STRANGER) is Refusal.BUSY
    clock.time = 1_004.9
    assert door.let_in(STRANGER) is Refusal.BUSY
    clock.time = 1_005
    seated(door)
    assert guest.asked


def test_who_begins_to_wait_makes_room_in_its_time() -> None:
    clock = Clock()
    door = admission(clock, sessions=1, patience=10)
    guest = Guest(None)
    seated(door, guest=guest)
    assert door.let_in(STRANGER) is Refusal.BUSY
    guest.idle_since = 1_001
    clock.time = 1_011
    seated(door)
    assert guest.asked


def test_who_does_not_wait_any_more_does_not_make_room() -> None:
    door = admission(sessions=2, patience=0)
    busy, idle = Guest(980, waits=False), Guest(990)
    seated(door, guest=busy)
    seated(door, guest=idle)
    seated(door)
    assert (busy.asked, idle.asked) == (False, True)
    assert door.let_in(STRANGER) is Refusal.BUSY


def test_nobody_makes_room_for_who_would_not_be_served_all_the_same() -> None:
    door = admission(sessions=1, sessions_per_address=1, patience=0)
    guest = Guest(0)
    seated(door, guest=guest)
    assert door.let_in(STRANGER) is Refusal.ADDRESS
    assert not guest.asked


# Its terms


@pytest.mark.parametrize(
    "terms",
    [
        {"sessions": 0},
        {"sessions_per_address": 0},
        {"failed_logins_per_address": -1},
        {"patience": -1},
        {"patience": float("nan")},
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(terms))} must be at least "):
        Terms(**{"sessions": 1, **terms})


# Troubles


def test_a_trouble_of_each_kind_is_reported_once_until_it_is_over() -> None:
    reported: list[Exception] = []
    troubles = Troubles(reported.append)
    mine, ours, threads = OSError(24, "mine"), OSError(23, "all"), RuntimeError("no")
    for each in (mine, OSError(24, "again"), ours, mine, threads, RuntimeError("no")):
        troubles.meet(each)
    assert reported == [mine, ours, threads]
    troubles.over()
    troubles.meet(mine)
    assert reported[3:] == [mine]
