"""Values: frozen dataclasses with slots, which cost little until they are used.

`dataclass` and `field` are those of the standard library: to a type checker, to users
and to the functions of `dataclasses`.  But there each class has six methods compiled
when it is made, which takes 0.5 ms, and whoever sends one message would wait for a
hundred classes and use twenty.  Here a class takes 20 us, and a method is written when
somebody asks for it.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from reprlib import recursive_repr
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, ParamSpec, TypeVar

__all__ = ["dataclass", "field", "field_names", "unchecked"]

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: Final = object()


class _Made:
    """In a signature: the default is made anew each time."""

    def __repr__(self) -> str:
        return "<factory>"


_MADE: Final = _Made()


class _Field:
    """A field: its type, and what `dataclasses.field` is given."""

    __slots__ = ("compare", "default", "init", "kind", "kw_only", "make", "repr")

    def __init__(
        self,
        *,
        default: object = _NOTHING,
        default_factory: Callable[[], object] | None = None,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
        kw_only: bool = False,
    ) -> None:
        self.kind: object = None
        self.default = default
        self.make = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare
        self.kw_only = kw_only


class _Written:
    """A part of a class that is written when somebody asks for it."""

    __slots__ = ("_kind", "_name", "_write")

    def __init__(self, write: Callable[[type], object]) -> None:
        self._write = write

    def __set_name__(self, kind: type, name: str) -> None:
        self._kind = kind
        self._name = name

    def __get__(self, value: object, kind: type) -> object:
        part = self._write(self._kind)
        setattr(self._kind, self._name, part)  # from now on it is there
        if not isinstance(part, FunctionType):
            return part
        part.__qualname__ = f"{self._kind.__qualname__}.{self._name}"
        return part.__get__(value, kind)


def _fields(kind: type) -> Mapping[str, _Field]:
    fields: Mapping[str, _Field] = getattr(kind, "__value_fields__", {})
    return fields


def field_names(value: object) -> tuple[str, ...]:
    """Return the names of the fields of a value."""
    return tuple(_fields(type(value)))


# Each class has its own of these.


def _compiled(
    kind: type, head: str, body: Iterable[str], known: Mapping[str, object]
) -> FunctionType:
    """Compile a method.

    Args:
        kind: The class, whose module has the names in annotations that are text.
        head: Name and parameters.
        body: Its lines.
        known: What they refer to.
    """
    lines = [
        f"def write({', '.join(known)}):",
        f" def {head}:",
        *(f"  {line}" for line in body),
        f" return {head.partition('(')[0]}",
    ]
    made: dict[str, Callable[..., FunctionType]] = {}
    exec("\n".join(lines), vars(sys.modules[kind.__module__]), made)
    return made["write"](**known)


def _initializer(
    kind: type, setting: str, last: str, known: Mapping[str, object], bar: str = "*"
) -> FunctionType:
    """Write `__init__`.

    Args:
        kind: The class.
        setting: How a field is set: a line in which {0} is its name and {1} its value.
        last: The last line.
        known: What these refer to.
        bar: What stands before the parameters that are given by keyword only.
    """
    names = {**known, "_made": _MADE}
    positional = ["self"]
    by_keyword: list[str] = []
    body = []
    for name, each in _fields(kind).items():
        parameter = value = name
        if each.make is not None:
            names[f"_make_{name}"] = each.make
            parameter = f"{name}=_made"
            value = f"_make_{name}() if {name} is _made else {name}"
        elif each.default is not _NOTHING:
            names[f"_default_{name}"] = each.default
            parameter = f"{name}=_default_{name}"
        if each.init:
            (by_keyword if each.kw_only else positional).append(parameter)
        else:
            value = f"_default_{name}"
        body.append(setting.format(name, value))
    if by_keyword and bar:
        positional.append(bar)
    head = f"__init__({', '.join([*positional, *by_keyword])})"
    return _compiled(kind, head, [*body, last], names)


def _init(kind: type) -> FunctionType:
    setters = {f"_set_{name}": getattr(kind, name).__set__ for name in _fields(kind)}
    last = "self.__post_init__()" if hasattr(kind, "__post_init__") else "return"
    init = _initializer(kind, "_set_{0}(self, {1})", last, setters)
    given = {name: each.kind for name, each in _fields(kind).items() if each.init}
    init.__annotations__ = {**given, "return": None}
    return init


def _compared(kind: type, value: str) -> str:
    names = [name for name, each in _fields(kind).items() if each.compare]
    return f"({''.join(f'{value}.{name},' for name in names)})"


def _hash(kind: type) -> FunctionType:
    return _compiled(
        kind, "__hash__(self)", [f"return hash({_compared(kind, 'self')})"], {}
    )


def _comparison(name: str, sign: str) -> Callable[[type], FunctionType]:
    def write(kind: type) -> FunctionType:
        body = [
            "if other.__class__ is self.__class__:",
            f" return {_compared(kind, 'self')} {sign} {_compared(kind, 'other')}",
            "return NotImplemented",
        ]
        return _compiled(kind, f"{name}(self, other)", body, {})

    return write


def _like(kind: type) -> Any:
    """Make what a class looks like, for the functions of `dataclasses`."""
    from dataclasses import MISSING, field, make_dataclass

    fields = []
    for name, each in _fields(kind).items():
        default: Any = MISSING if each.default is _NOTHING else each.default
        described = field(
            default=default,
            default_factory=each.make or MISSING,
            init=each.init,
            repr=each.repr,
            compare=each.compare,
            kw_only=each.kw_only,
        )
        fields.append((name, each.kind, described))
    order = "__lt__" in vars(kind)
    return make_dataclass(kind.__name__, fields, order=order, frozen=True, slots=True)


_WRITTEN: Final[Mapping[str, Callable[[type], object]]] = {
    "__init__": _init,
    "__eq__": _comparison("__eq__", "=="),
    "__hash__": _hash,
    "__dataclass_fields__": lambda kind: _like(kind).__dataclass_fields__,
    "__dataclass_params__": lambda kind: _like(kind).__dataclass_params__,
}
_ORDER: Final = {
    "__lt__": _comparison("__lt__", "<"),
    "__le__": _comparison("__le__", "<="),
    "__gt__": _comparison("__gt__", ">"),
    "__ge__": _comparison("__ge__", ">="),
}


# All share these.


@recursive_repr()
def _repr(self: object) -> str:
    shown = [name for name, each in _fields(type(self)).items() if each.repr]
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{type(self).__qualname__}({fields})"


def _check_change(self: object, change: str, name: str) -> None:
    """Let only what a class derived from a value has added be changed."""
    kind = type(self)
    if "__value_fields__" in vars(kind) or name in _fields(kind):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot {change} field {name!r}")


def _setattr(self: object, name: str, value: object) -> None:
    _check_change(self, "assign to", name)
    object.__setattr__(self, name, value)


def _delattr(self: object, name: str) -> None:
    _check_change(self, "delete", name)
    object.__delattr__(self, name)


def _getstate(self: object) -> list[object]:
    return [getattr(self, name) for name in field_names(self)]


def _setstate(self: object, state: Iterable[object]) -> None:
    for name, value in zip(field_names(self), state, strict=True):
        object.__setattr__(self, name, value)


def _replace(self: T, /, **changes: object) -> T:
    from dataclasses import replace

    return replace(self, **changes)  # type: ignore[type-var]  # it looks like one


_SHARED: Final = {
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
    "__replace__": _replace,  # what copy.replace calls, from Python 3.13 on
}


def _dataclass(
    *,
    frozen: Literal[True],
    slots: Literal[True],
    kw_only: bool = False,
    order: bool = False,
) -> Callable[[type], type]:
    """Do as `dataclasses.dataclass` does.  What the body of a class has, it keeps."""

    def make(plain: type) -> type:
        inherited = _fields(plain)
        fields = dict(inherited)
        body = dict(vars(plain))
        for name, kind in plain.__annotations__.items():
            if getattr(kind, "__origin__", kind) is ClassVar:
                continue
            default = body.pop(name, _NOTHING)
            each = default if isinstance(default, _Field) else _Field(default=default)
            each.kind = kind
            each.kw_only |= kw_only
            fields[name] = each
        del body["__dict__"], body["__weakref__"]
        written = {**_WRITTEN, **_ORDER} if order else _WRITTEN
        positional = [
            name for name, each in fields.items() if each.init and not each.kw_only
        ]
        return type(plain)(
            plain.__name__,
            plain.__bases__,
            {
                **_SHARED,
                **{name: _Written(write) for name, write in written.items()},
                **body,
                "__qualname__": plain.__qualname__,
                "__slots__": tuple(name for name in fields if name not in inherited),
                "__match_args__": tuple(positional),
                "__value_fields__": fields,
            },
        )

    return make


if TYPE_CHECKING:
    from dataclasses import dataclass, field
else:
    dataclass, field = _dataclass, _Field


def unchecked(kind: Callable[P, T]) -> Callable[P, T]:
    """Return what makes values of a class, and checks no field.

    It is for what a reader has checked by the same expressions.  A response, of five
    fields, takes 1.2 us to make, and so 0.2: a frozen value sets each field by a call.
    A twin that is not frozen has the same slots; it takes the fields, and then becomes
    one of the kind.

    Args:
        kind: The class.  What its `__post_init__` sets is not set.
    """
    cls: type = kind  # type: ignore[assignment]  # to know its arguments, a Callable

    def init(twin: type) -> FunctionType:
        # Without a bar it is quicker to call: no default is looked up by its name.
        last = "self.__class__ = _kind"
        return _initializer(cls, "self.{0} = {1}", last, {"_kind": cls}, bar="")

    body = {"__slots__": tuple(_fields(cls)), "__init__": _Written(init)}
    twin: Any = type(f"Unchecked{cls.__name__}", cls.__bases__, body)
    made: Callable[P, T] = twin
    return made
