from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum

import pytest

from smtp_pop_core._table import Cell, places, with_first, with_last, without_first


class Here(Enum):
    A = "a"
    B = "b"


class Answer(IntEnum):
    YES = 1
    NO = 3


class Ask:
    """A command with an answer."""


class Tell:
    """Another one."""


Row = Mapping[type, Cell[Answer, Here]]


def row_of(*rows: Row) -> dict[type, tuple[Here | None, ...]]:
    """Lay rows of A over each other, and say where each answer leads."""
    found = places(Here, [{Here.A: row} for row in rows], Answer, (Answer.NO,))
    return {
        kind: tuple(None if place is None else place.state for place in moves.by_class)
        for kind, moves in found[Here.A].moves.items()
    }


CELLS: list[tuple[Cell[Answer, Here], tuple[Here | None, ...]]] = [
    # a cell, and where it leads by the number of the answer's class
    ({Answer.YES: Here.B}, (None, Here.B, None, Here.A)),
    ({Answer.YES: None}, (None, Here.A, None, Here.A)),  # None is to stay
    ({Answer.YES: Here.B, Answer.NO: Here.B}, (None, Here.B, None, Here.B)),
    ({Answer.NO: Here.B}, (None, None, None, Here.B)),
    ({}, (None, None, None, Here.A)),  # a no moves nothing, a yes must not come
    (Here.B, ()),  # no answer at all
]


@pytest.mark.parametrize(("cell", "there"), CELLS)
def test_a_cell_says_where_each_answer_leads(
    cell: Cell[Answer, Here], there: tuple[Here | None, ...]
) -> None:
    assert row_of({Ask: cell}) == {Ask: there}


@pytest.mark.parametrize(
    ("cell", "success", "answers"),
    [
        ({Answer.YES: Here.B}, Here.B, 1),
        ({Answer.YES: None, Answer.NO: Here.B}, Here.A, 1),
        ({Answer.NO: Here.B}, Here.A, 1),
        (Here.B, Here.B, 0),
    ],
)
def test_success_is_no_failure(
    cell: Cell[Answer, Here], success: Here, answers: int
) -> None:
    found = places(Here, [{Here.A: {Ask: cell}}], Answer, (Answer.NO,))
    moves = found[Here.A].moves[Ask]
    assert moves.success is found[success]
    assert moves.answers == answers


def test_the_last_of_several_tables_counts() -> None:
    first: Row = {Ask: {Answer.YES: Here.B}, Tell: {Answer.YES: None}}
    assert row_of(first, {Ask: {Answer.YES: None}}) == row_of(
        {Ask: {Answer.YES: None}, Tell: {Answer.YES: None}}
    )


def test_a_state_without_a_row_has_no_moves() -> None:
    found = places(Here, [{Here.A: {Ask: Here.B}}], Answer, ())
    assert found[Here.B].moves == {}
    assert {state: place.state for state, place in found.items()} == {
        Here.A: Here.A,
        Here.B: Here.B,
    }


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_a_queue_gives_the_oldest_first(count: int) -> None:
    queue: Sequence[int] = ()
    for number in range(count):
        queue = with_last(queue, number)
    taken = []
    while queue:
        taken.append(queue[0])
        queue = without_first(queue)
    assert taken == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_oldest_of_a_queue_can_be_replaced(count: int) -> None:
    queue: Sequence[int] = ()
    for number in range(count):
        queue = with_last(queue, number)
    assert list(with_first(queue, 7)) == [7, *range(1, count)]


def test_a_queue_that_was_long_can_grow_again() -> None:
    queue = without_first(with_last(with_last((), 1), 2))
    assert list(with_last(queue, 3)) == [2, 3]
