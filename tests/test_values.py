"""Values that are made quickly, with their checks or without, are the same values."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from smtp_pop_core._values import quick, unchecked


class Base:
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Apple(Base):
    weight: int
    name: str = "Boskop"
    spots: tuple[int, ...] = field(default=(), compare=False, kw_only=True)
    price: int = field(default=3, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("an apple falls")


apple = unchecked(Apple)


def test_what_is_made_is_one_of_the_kind() -> None:
    made = apple(5, name="Elstar", price=4)
    assert type(made) is Apple
    assert isinstance(made, Base)
    assert made == Apple(5, "Elstar", price=4)
    assert repr(made) == repr(Apple(5, "Elstar", price=4))


def test_fields_have_their_defaults() -> None:
    made = apple(5)
    assert (made.name, made.spots, made.price) == ("Boskop", (), 3)


def test_what_is_made_cannot_be_changed() -> None:
    made = apple(5)
    with pytest.raises(FrozenInstanceError):
        made.weight = 6  # type: ignore[misc]  # that is what is tested


def test_what_is_made_has_no_room_for_more() -> None:
    assert not hasattr(apple(5), "__dict__")


def test_nothing_is_checked() -> None:
    assert apple(-1).weight == -1


def test_a_field_without_a_default_has_to_be_given() -> None:
    with pytest.raises(TypeError):
        apple()  # type: ignore[call-arg]  # that is what is tested


# What is made quickly is checked


@quick
@dataclass(frozen=True, slots=True)
class Pear(Base):
    weight: int
    name: str = "Williams"
    price: int = field(default=3, repr=False, kw_only=True)
    worms: tuple[int, ...] = field(default=(), init=False, compare=False)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("a pear falls")


@quick
@dataclass(frozen=True, slots=True)
class Plum:
    weight: int
    name: str = "Victoria"


def test_what_is_made_quickly_has_its_fields_and_their_defaults() -> None:
    pear, other = Pear(5), Pear(6, "Conference", price=4)
    assert (pear.weight, pear.name, pear.price, pear.worms) == (5, "Williams", 3, ())
    assert repr(other) == "Pear(weight=6, name='Conference', worms=())"
    assert repr(Plum(7)) == "Plum(weight=7, name='Victoria')"
    assert other.price == 4
    assert not hasattr(pear, "__dict__")


def test_what_is_made_quickly_is_checked() -> None:
    with pytest.raises(ValueError, match="a pear falls"):
        Pear(-1)
    with pytest.raises(FrozenInstanceError):
        Pear(5).weight = 6  # type: ignore[misc]  # that is what is tested


def test_what_is_made_quickly_takes_what_the_dataclass_would_take() -> None:
    assert str(inspect.signature(Pear)) == (
        "(weight: int, name: str = 'Williams', *, price: int = 3) -> None"
    )
    for wrong in ({}, {"weight": 1, "worms": (2,)}, {"weight": 1, "size": 2}):
        with pytest.raises(TypeError):
            Pear(**wrong)
    with pytest.raises(TypeError):
        Pear(1, "a", 2)  # type: ignore[call-arg]  # the price has to be named


def test_what_is_made_quickly_can_be_copied_and_changed_on_the_way() -> None:
    pear = Pear(5, price=4)
    assert replace(pear, weight=6) == Pear(6, price=4)
    assert copy.deepcopy(pear) == pickle.loads(pickle.dumps(pear)) == pear
    with pytest.raises(ValueError, match="a pear falls"):
        replace(pear, weight=-1)
