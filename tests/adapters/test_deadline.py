"""The deadline of a stream, on a clock that is set by hand."""

import pytest

from smtp_pop_adapters._deadline import Deadline


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_bound_there_is_no_end(clock: Clock) -> None:
    deadline = Deadline(clock)
    assert deadline.left() is None
    deadline.set(3)
    deadline.set(None)
    deadline.check()
    assert deadline.left() is None
    assert deadline.until is None


@pytest.mark.parametrize("passed", [3, 4])
def test_what_a_flow_says_ends(clock: Clock, passed: float) -> None:
    deadline = Deadline(clock)
    deadline.set(3)
    assert deadline.left() == 3
    assert deadline.until == clock.now + 3
    deadline.check()
    clock.now += passed
    with pytest.raises(TimeoutError):
        deadline.left()
    with pytest.raises(TimeoutError):
        deadline.check()


@pytest.mark.parametrize(
    ("flows", "callers", "left"),
    [(None, 5, 5), (9, 5, 5), (2, 5, 2), (0.5, 5, 0.5)],
)
def test_the_earlier_end_counts(
    clock: Clock, flows: float | None, callers: float, left: float
) -> None:
    deadline = Deadline(clock)
    with deadline.within(callers):
        deadline.set(flows)
        assert deadline.left() == left
    assert deadline.left() == flows


@pytest.mark.parametrize(("outer", "inner", "left"), [(9, 5, 5), (5, 9, 5)])
def test_of_two_contexts_the_smaller_counts(
    clock: Clock, outer: float, inner: float, left: float
) -> None:
    deadline = Deadline(clock)
    with deadline.within(outer):
        with deadline.within(inner):
            assert deadline.left() == left
        assert deadline.left() == outer


def test_a_flow_does_not_push_the_end_of_a_context_back(clock: Clock) -> None:
    deadline = Deadline(clock)
    with deadline.within(5):
        for _ in range(2):
            deadline.set(3)
            clock.now += 2.5
        with pytest.raises(TimeoutError):
            deadline.left()
    assert deadline.left() == 0.5


def test_a_context_that_is_left_by_an_exception_bounds_nothing(clock: Clock) -> None:
    deadline = Deadline(clock)
    with pytest.raises(ZeroDivisionError), deadline.within(5):
        raise ZeroDivisionError
    assert deadline.left() is None
