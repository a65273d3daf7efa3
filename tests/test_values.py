"""A value is a dataclass of the standard library in all that can be seen of it."""

import copy
import dataclasses
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from typing import Any, ClassVar, Final, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core import _values, pop3, smtp
from smtp_pop_core._values import field_names, unchecked


class Base:
    __slots__ = ()


Shapes = Mapping[str, type[Any]]


def shapes(dataclass: Any, field: Any) -> Shapes:
    """Write the same classes with either decorator."""

    @dataclass(frozen=True, slots=True)
    class Nothing:
        """No field at all."""

    @dataclass(frozen=True, slots=True)
    class Apple(Base):
        """Every kind of field."""

        kind: ClassVar[str] = "fruit"
        size: ClassVar = 3

        weight: int
        name: str = "Boskop"
        spots: list[int] = field(default_factory=list, compare=False, kw_only=True)
        price: int = field(default=3, repr=False, kw_only=True)
        sold: bool = field(default=False, init=False, compare=False)
        other: "Apple | None" = None

        def __post_init__(self) -> None:
            if self.weight < 0:
                raise ValueError("an apple falls")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Pear:
        """Only by keyword."""

        weight: int
        name: str = ""

    @dataclass(frozen=True, slots=True)
    class Elstar(Apple):
        """A field more, and another default."""

        name: str = "Elstar"
        crates: int = 0

    @dataclass(frozen=True, slots=True, order=True)
    class Version:
        """In order."""

        major: int
        minor: int = 0

    @dataclass(frozen=True, slots=True)
    class Word:
        """With methods of its own."""

        text: str

        def __repr__(self) -> str:
            return f"<{self.text}>"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Word) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return hash(self.text.lower())

    made = (Nothing, Apple, Pear, Elstar, Version, Word)
    return {each.__name__: each for each in made}


OURS: Final = shapes(_values.dataclass, _values.field)
THEIRS: Final = shapes(dataclasses.dataclass, dataclasses.field)

# by its class, what a value is made of
MADE: Final[list[tuple[str, tuple[Any, ...], dict[str, Any]]]] = [
    ("Nothing", (), {}),
    ("Apple", (5,), {}),
    ("Apple", (5, "Elstar"), {"price": 4, "spots": [1]}),
    ("Apple", (5,), {"other": None, "name": "x"}),
    ("Pear", (), {"weight": 5}),
    ("Elstar", (5,), {"crates": 2}),
    ("Version", (1, 2), {}),
    ("Version", (2,), {}),
    ("Word", ("Hello",), {}),
]


def both(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[Any, Any]:
    return OURS[name](*arguments, **keywords), THEIRS[name](*arguments, **keywords)


def outcome(function: Callable[[], object]) -> object:
    """Return what comes of it, an exception by its class and its text."""
    try:
        return function()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", OURS)
def test_a_class_looks_like_one_of_the_standard_library(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    for one in ("__match_args__", "__slots__", "__qualname__", "__module__", "__doc__"):
        assert getattr(ours, one) == getattr(theirs, one)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__init__.__annotations__ == theirs.__init__.__annotations__
    assert ours.__init__.__qualname__ == theirs.__init__.__qualname__
    assert ours.__bases__[0].__name__ == theirs.__bases__[0].__name__
    assert dataclasses.is_dataclass(ours)
    assert ours.__weakrefoffset__ == theirs.__weakrefoffset__ == 0


@pytest.mark.parametrize("name", OURS)
def test_the_functions_of_the_standard_library_know_its_fields(name: str) -> None:
    told = (
        *("name", "type", "default", "default_factory", "init", "repr", "hash"),
        *("compare", "kw_only"),
    )
    assert [
        [getattr(each, one) for one in told] for each in dataclasses.fields(OURS[name])
    ] == [
        [getattr(each, one) for one in told]
        for each in dataclasses.fields(THEIRS[name])
    ]


@pytest.mark.parametrize(("name", "arguments", "keywords"), MADE)
def test_a_value_looks_like_one_of_the_standard_library(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    ours, theirs = both(name, arguments, keywords)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert hash(ours) == hash(theirs)
    assert not hasattr(ours, "__dict__")
    assert field_names(ours) == tuple(each.name for each in dataclasses.fields(theirs))


@pytest.mark.parametrize(("name", "arguments", "keywords"), MADE)
def test_a_value_equals_one_that_was_made_of_the_same(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    ours, theirs = both(name, arguments, keywords)
    assert ours == OURS[name](*arguments, **keywords)
    assert ours != theirs
    assert ours != "something else"


@pytest.mark.parametrize(("name", "arguments", "keywords"), MADE)
def test_a_value_is_copied(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    ours, _ = both(name, arguments, keywords)
    for copied in (
        copy.copy(ours),
        copy.deepcopy(ours),
        dataclasses.replace(ours),
        ours.__replace__(),
    ):
        assert type(copied) is type(ours)
        assert copied == ours
        assert repr(copied) == repr(ours)


@pytest.mark.parametrize(
    ("name", "arguments", "keywords"),
    [
        ("Nothing", (1,), {}),
        ("Apple", (), {}),
        ("Apple", (-1,), {}),
        ("Apple", (1,), {"weight": 2}),
        ("Apple", (1,), {"sold": True}),
        ("Apple", (1,), {"colour": "red"}),
        ("Pear", (1,), {}),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    said = outcome(lambda: OURS[name](*arguments, **keywords))
    assert said == outcome(lambda: THEIRS[name](*arguments, **keywords))
    assert isinstance(said, tuple)


CHANGES: Final[list[Callable[[Any], None]]] = [
    lambda value: setattr(value, "weight", 6),
    lambda value: delattr(value, "weight"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_value_cannot_be_changed(change: Callable[[Any], None]) -> None:
    ours, theirs = both("Apple", (5,), {})
    said = outcome(lambda: change(ours))
    assert said == outcome(lambda: change(theirs))
    assert isinstance(said, tuple)
    assert ours.weight == 5


def test_nothing_can_be_added_to_a_value() -> None:
    ours, _ = both("Apple", (5,), {})
    with pytest.raises(FrozenInstanceError):
        ours.colour = "red"
    with pytest.raises(FrozenInstanceError):
        del ours.colour


def test_a_default_that_is_made_is_another_one_each_time() -> None:
    assert OURS["Apple"](5).spots is not OURS["Apple"](5).spots


def test_the_names_in_annotations_are_those_of_the_module() -> None:
    hints = get_type_hints(smtp.Reply.__init__)
    assert hints["enhanced"] == smtp.EnhancedCode | None


@given(st.tuples(st.integers(), st.integers()), st.tuples(st.integers(), st.integers()))
def test_values_are_in_the_order_of_their_fields(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    version = OURS["Version"]
    low, high = version(*one), version(*other)
    assert (low < high, low <= high) == (one < other, one <= other)
    assert (low > high, low >= high) == (one > other, one >= other)
    assert (low == high) == (one == other)


def test_only_what_is_alike_is_in_order() -> None:
    with pytest.raises(TypeError):
        assert OURS["Version"](1) < THEIRS["Version"](1)
    with pytest.raises(TypeError):
        assert OURS["Apple"](1) < OURS["Apple"](2)


@pytest.mark.parametrize(
    "value",
    [
        smtp.Mail("a@b.example", size=3),
        smtp.Reply(250, ("Ok",), smtp.EnhancedCode(2, 0, 0)),
        smtp.extensions.Xclient(("NAME",)),
        pop3.Noop(),
    ],
)
def test_a_value_is_pickled(value: object) -> None:
    loaded = pickle.loads(pickle.dumps(value))
    assert loaded == value
    assert repr(loaded) == repr(value)


def test_a_pattern_takes_a_value_apart() -> None:
    match OURS["Apple"](5, "Elstar", price=4):
        case Apple(weight, name, price=price):
            assert (weight, name, price) == (5, "Elstar", 4)


Apple: Final = OURS["Apple"]


def test_a_dataclass_may_be_derived_from_a_value() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Signed(smtp.Ehlo):
        by: str = "me"

    signed = Signed("me.example", "you")
    assert repr(signed).endswith("Signed(domain='me.example', by='you')")
    assert dataclasses.replace(signed, by="him") == Signed("me.example", "him")
    with pytest.raises(FrozenInstanceError):
        signed.domain = "other"  # type: ignore[misc]  # that is what is tested
    with pytest.raises(ValueError, match="not a domain"):
        Signed("a b")


def test_a_dataclass_that_can_be_changed_may_not() -> None:
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("Loose", (Apple,), {}))


def test_a_class_derived_from_a_value_may_keep_more() -> None:
    class Marked(Apple):  # type: ignore[misc,valid-type]  # its class is not known
        def __init__(self, weight: int) -> None:
            super().__init__(weight)
            self.mark = "x"

    marked = Marked(5)
    marked.mark = "y"
    assert (marked.weight, marked.mark) == (5, "y")
    del marked.mark
    with pytest.raises(FrozenInstanceError):
        marked.weight = 6
    assert not hasattr(marked, "mark")


def test_a_part_of_a_class_is_written_once() -> None:
    fresh = shapes(_values.dataclass, _values.field)["Apple"]
    fresh(5)
    written = vars(fresh)["__init__"]
    assert inspect.isfunction(written)
    fresh(5)
    assert vars(fresh)["__init__"] is written


# Values that are made without their checks are the same values.

apple: Final = unchecked(Apple)


def test_what_is_made_is_one_of_the_kind() -> None:
    made = apple(5, name="Elstar", price=4)
    assert type(made) is Apple
    assert isinstance(made, Base)
    assert made == Apple(5, "Elstar", price=4)
    assert repr(made) == repr(Apple(5, "Elstar", price=4))


def test_fields_have_their_defaults() -> None:
    made = apple(5)
    assert (made.name, made.spots, made.price) == ("Boskop", [], 3)
    assert made.sold is False


def test_a_default_is_made_for_each() -> None:
    assert apple(5).spots is not apple(5).spots


def test_what_is_made_cannot_be_changed() -> None:
    made = apple(5)
    with pytest.raises(FrozenInstanceError):
        made.weight = 6


def test_what_is_made_has_no_room_for_more() -> None:
    assert not hasattr(apple(5), "__dict__")
    assert sys.getsizeof(apple(5)) == sys.getsizeof(Apple(5))


def test_nothing_is_checked() -> None:
    assert apple(-1).weight == -1


def test_a_field_without_a_default_has_to_be_given() -> None:
    with pytest.raises(TypeError):
        apple()
