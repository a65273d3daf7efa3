"""What was sent in a load, and what has to be found of it."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

_ID: Final = re.compile(rb"Message-ID: <([0-9]+)\.([0-9]+)@load\.example>\n")


class Fate(Enum):
    """What a client was told about a message."""

    ACKNOWLEDGED = "acknowledged"  # 250: it has to be there
    REFUSED = "refused"  # another reply, or it was not sent whole: it may not be there
    IN_DOUBT = "in doubt"  # no reply to the last octet: it may be there


def content(number: int, octets: int) -> bytes:
    """Return a message that nobody else sends, of about so many octets."""
    head = f"Message-ID: <{number}.{octets}@load.example>\r\nSubject: load\r\n\r\n"
    line = hashlib.sha256(head.encode()).hexdigest() + "\r\n"
    return (head + line * max(1, (octets - len(head)) // len(line))).encode()


class Ledger:
    """Every message with its number, and what the client was told."""

    def __init__(self) -> None:
        self._fates: dict[int, Fate] = {}

    def begin(self) -> int:
        """Return the number of a new message, which is refused until more is known."""
        number = len(self._fates)
        self._fates[number] = Fate.REFUSED
        return number

    def note(self, number: int, fate: Fate) -> None:
        """Note what the client was told."""
        self._fates[number] = fate

    def count(self, fate: Fate) -> int:
        """Return how many messages have this fate."""
        return sum(each is fate for each in self._fates.values())

    def __str__(self) -> str:
        counts = Counter(self._fates.values())
        return ", ".join(f"{counts[fate]} {fate.value}" for fate in Fate)

    def complaints(self, maildir: Path) -> Iterator[str]:
        """Say what should not be in a Maildir, and what is missing there."""
        found: Counter[int] = Counter()
        for path in maildir.glob("new/*"):
            stored = path.read_bytes()
            match = _ID.match(stored)
            if match is None:
                yield f"{path.name}: not one of ours"
                continue
            number, octets = map(int, match.groups())
            if stored != content(number, octets).replace(b"\r\n", b"\n"):
                yield f"{path.name}: message {number} is torn"
            found[number] += 1
        for number in sorted(found):
            fate = self._fates.get(number)
            if fate is None or fate is Fate.REFUSED:
                yield f"message {number} was not acknowledged, and is there"
            if found[number] > 1:
                yield f"message {number} is there {found[number]} times"
        for number, fate in self._fates.items():
            if fate is Fate.ACKNOWLEDGED and number not in found:
                yield f"message {number} was acknowledged, and is missing"
