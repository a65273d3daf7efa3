"""Doors that open a room only when somebody asks for what is in it.

All rooms together make more than a hundred frozen dataclasses, which takes three
times as long as to import smtplib; a client needs half of them, a constant none.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TypeAlias

Door: TypeAlias = tuple[Callable[[str], object], Callable[[], list[str]]]


def door(package: str, rooms: Mapping[str, str], **folders: str) -> Door:
    """Return `__getattr__` and `__dir__` of a package.  PEP 562.

    Args:
        package: Its name.
        rooms: By the name of a module of it, the names that come from there.
        folders: Modules that stand behind the door as they are, under another name.
    """
    room_of = {name: room for room, names in rooms.items() for name in names.split()}

    def get(name: str) -> object:
        if name in folders:
            value: object = import_module(folders[name], package)
        elif name in room_of:
            value = getattr(import_module(room_of[name], package), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # from now on it is there
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *room_of, *folders})

    return get, names
