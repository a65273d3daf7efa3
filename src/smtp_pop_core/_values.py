"""Values made without their checks, for readers that have made the same checks."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def unchecked(kind: Callable[P, T]) -> Callable[P, T]:
    """Return what makes values of a frozen dataclass with slots, and checks no field.

    It is for what a reader has checked by the same expressions.  A response, of five
    fields, takes 1.5 us to make, and so 0.2: a frozen value sets each field by a call.
    A twin that is not frozen has the same slots; it takes the fields, and then becomes
    one of the kind.  It is written here, because `dataclasses` takes 0.5 ms for it.

    Args:
        kind: The class.  What its `__post_init__` sets is not set, and no default of it
            is made anew each time.
    """
    cls: type = kind  # type: ignore[assignment]  # to know its arguments, a Callable
    known: dict[str, object] = {"_class": cls}  # no field can be called class
    parameters = ["self"]
    for each in fields(cls):
        parameters.append(each.name)
        if each.default is not MISSING:
            known[f"_{each.name}"] = each.default
            parameters[-1] += f"=_{each.name}"
    lines = [
        f"def init({', '.join(parameters)}):",
        *(f" self.{each.name} = {each.name}" for each in fields(cls)),
        " self.__class__ = _class",
    ]
    exec("\n".join(lines), known)
    slots = tuple(each.name for each in fields(cls))
    body = {"__slots__": slots, "__init__": known["init"]}
    return type(f"Unchecked{cls.__name__}", cls.__bases__, body)
