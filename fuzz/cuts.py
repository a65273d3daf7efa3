"""Inputs of the fuzzer: what they choose, and how their octets arrive.

The first octet of an input chooses what happens, the next two choose the cut, and the
rest is what the peer says.
"""

from dataclasses import dataclass
from typing import Final

LONGEST: Final = 2_048  # octets of an input; it is read several times
_HEAD: Final = 3


@dataclass(frozen=True, slots=True)
class Input:
    """One input, taken apart.

    Attributes:
        choice: 0 to 255.
        body: What the peer says.
        cuts: The ways in which it arrives: at once, octet by octet, and in pieces.
    """

    choice: int
    body: bytes
    cuts: tuple[tuple[bytes, ...], ...]


def take_apart(data: bytes) -> Input:
    """Return what an input means.  One that is too short has an empty body."""
    head, body = data[:_HEAD].ljust(_HEAD, b"\0"), data[_HEAD:LONGEST]
    return Input(
        head[0],
        body,
        ((body,) if body else (), pieces(body, (1,)), pieces(body, tuple(head[1:]))),
    )


def pieces(data: bytes, sizes: tuple[int, ...]) -> tuple[bytes, ...]:
    """Cut data into pieces of these sizes, over and over.  A size of 0 counts as 1."""
    cut: list[bytes] = []
    at = 0
    while at < len(data):
        size = max(1, sizes[len(cut) % len(sizes)])
        cut.append(data[at : at + size])
        at += size
    return tuple(cut)
