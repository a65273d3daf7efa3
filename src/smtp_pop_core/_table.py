"""State tables: a row for each state, in it a cell for each command that may come.

A cell says where each class of answer leads.  Both protocols write their table so, and
this turns it into direct references, because to look a state up costs more than to hold
its place.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum, IntEnum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound=Enum)
C = TypeVar("C", bound=IntEnum)

Cell: TypeAlias = Mapping[C, S | None] | S
"""By the class of the answer the next state, None to stay; or, for a command that has
no answer, the next state."""


class Place(Generic[S]):
    """One state of one table.

    Attributes:
        state: The state.
        apart: Whether something else than a command or its answer comes next.
        moves: The cell of each command that may come.
    """

    __slots__ = ("apart", "moves", "state")

    def __init__(self, state: S, *, apart: bool) -> None:
        self.state = state
        self.apart = apart
        self.moves: dict[type, Moves[S]] = {}


class Moves(Generic[S]):
    """One cell.

    Attributes:
        by_class: Where each class of answer leads; None where it must not come.
        answers: 0 for a command that has no answer, else 1.
        success: Where the command leads if it succeeds.
    """

    __slots__ = ("answers", "by_class", "success")

    def __init__(
        self,
        cell: Cell[C, S],
        here: Place[S],
        there: Mapping[S, Place[S]],
        classes: type[C],
        failures: Collection[C],
    ) -> None:
        if isinstance(cell, Enum):
            self.by_class: tuple[Place[S] | None, ...] = ()
            self.answers = 0
            self.success = there[cell]
            return
        moves: dict[int, Place[S]] = {int(cls): here for cls in failures}
        good: list[Place[S]] = []
        for cls, state in cell.items():
            moves[int(cls)] = place = here if state is None else there[state]
            if cls not in failures:
                good.append(place)
        self.answers = 1
        self.by_class = tuple(map(moves.get, range(max(classes) + 1)))
        self.success = good[0] if good else here


def places(
    states: Iterable[S],
    tables: Iterable[Mapping[S, Mapping[type, Cell[C, S]]]],
    classes: type[C],
    failures: Collection[C],
    apart: Collection[S] = (),
) -> Mapping[S, Place[S]]:
    """Turn tables into places.

    Args:
        states: All states.
        tables: They are laid over each other; the last one counts.
        classes: The classes of answers.
        failures: Those that move nothing where a cell does not name
            them.  All others that it does not name must not come.
        apart: The states in which something else than a command or its answer comes
            next.
    """
    found = {state: Place(state, apart=state in apart) for state in states}
    for state, here in found.items():
        row: dict[type, Cell[C, S]] = {}
        for table in tables:
            row.update(table.get(state, {}))
        for kind, cell in row.items():
            here.moves[kind] = Moves(cell, here, found, classes, failures)
    return found


# A queue is a tuple as long as it has one entry or none: an empty deque takes 760
# octets.  What is returned takes the place of the queue that was given.


def with_last(queue: Sequence[T], last: T) -> Sequence[T]:
    """Return a queue with one more behind the others."""
    if not queue:
        return (last,)
    queue = queue if isinstance(queue, deque) else deque(queue)
    queue.append(last)
    return queue


def without_first(queue: Sequence[T]) -> Sequence[T]:
    """Return a queue without the oldest."""
    if isinstance(queue, deque) and len(queue) > 1:
        queue.popleft()
        return queue
    return ()


def with_first(queue: Sequence[T], first: T) -> Sequence[T]:
    """Return a queue with another in place of the oldest."""
    if isinstance(queue, deque):
        queue[0] = first
        return queue
    return (first,)
