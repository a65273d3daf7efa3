"""The messages of the measurements: the same octets for everybody."""

import base64
import random
from collections.abc import Iterator
from functools import cache
from typing import Final

READ: Final = 65_536
# Short: who makes messages from objects pays for each field.
_HEAD: Final = b"Subject: a measurement\r\n\r\n"
_WORDS: Final = (
    b"the mail of a day is read line by line and nobody counts what it weighs "
    b"until a server has to hold all of it at once. Then. Well, e.g. 1.5 MB"
).split()


@cache
def text(octets: int) -> bytes:
    """Return prose with CRLF of this size; some lines begin with a dot."""
    drawn = random.Random(1)
    lines = [_HEAD]
    size = len(_HEAD)
    while size < octets:
        words = drawn.choices(_WORDS, k=drawn.randrange(1, 16))
        dot = b"." if drawn.random() < 0.01 else b""
        lines.append(dot + b" ".join(words) + b"\r\n")
        size += len(lines[-1])
    return _cut(b"".join(lines), octets)


@cache
def encoded(octets: int) -> bytes:
    """Return base64 in lines of 76 characters, of this size: no dot but in the head."""
    source = random.Random(2).randbytes(octets)
    lines = base64.encodebytes(source).replace(b"\n", b"\r\n")
    return _cut(_HEAD + lines, octets)


@cache
def dotted(octets: int) -> bytes:
    """Return lines of which every one begins with a dot."""
    line = b"." + b"x" * 70 + b"\r\n"
    return _cut(line * (octets // len(line) + 1), octets)


@cache
def dots_only(octets: int) -> bytes:
    """Return lines that are one dot each."""
    return _cut(b".\r\n" * (octets // 3 + 1), octets)


@cache
def mixed(octets: int) -> bytes:
    """Return prose of which every other line ends with LF only."""
    lines = text(2 * octets).split(b"\r\n")
    both = (
        line + (b"\n" if number % 2 else b"\r\n") for number, line in enumerate(lines)
    )
    return _cut(b"".join(both), octets)


def _cut(content: bytes, octets: int) -> bytes:
    """Return the first octets, the last two being CRLF."""
    body = content[: octets - 2]
    if body.endswith(b"\r"):
        body = body[:-1] + b"x"
    return body + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """Return content as it travels, with its end."""
    dot = b"." if content.startswith(b".") else b""
    return dot + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def pieces(data: bytes, size: int = READ) -> Iterator[bytes]:
    """Cut octets into reads."""
    return (data[at : at + size] for at in range(0, len(data), size))
