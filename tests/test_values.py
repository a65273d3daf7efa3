"""Values that are made without their checks are the same values."""

from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from smtp_pop_core._values import unchecked


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
