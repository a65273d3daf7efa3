"""The dialogue as text, for people: secrets replaced, content counted."""

from collections.abc import Callable
from typing import Final

from ._expressions import expression

_CONTROLS: Final = expression("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SECRET: Final = "(secret)"


def printable(text: str) -> str:
    r"""Escape what would steer a terminal: controls and line separators, as "\x1b"."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class Transcript:
    """Writes each line of a dialogue, with who said it.

    Args:
        write: Called with a line such as "C: EHLO me.example", without a line end.
        content: Whether the content of messages is shown as well.
    """

    __slots__ = ("_content", "_counted", "_speaker", "_write")

    def __init__(self, write: Callable[[str], None], *, content: bool = False) -> None:
        self._write = write
        self._content = content
        self._counted = 0
        self._speaker = ""

    def lines(self, speaker: str, lines: bytes, *, visible: int | None = None) -> None:
        """Show one or several lines.

        Args:
            speaker: "C" or "S".
            lines: As on the wire; the last CRLF may be missing.
            visible: How many octets of each may be shown, or None for all.  What comes
                behind them is a secret.
        """
        self.end_content()
        for line in lines.removesuffix(b"\r\n").split(b"\r\n"):
            shown = line if visible is None else line[:visible]
            hidden = _SECRET if len(shown) < len(line) else ""
            self._write(f"{speaker}: {_text(shown)}{hidden}")

    def content(self, speaker: str, data: bytes, octets: int) -> None:
        """Count a block of content, or show it.

        Args:
            speaker: "C" or "S".
            data: The block as it was given.
            octets: How many octets the receiver counts for it.
        """
        self._speaker = speaker
        self._counted += octets
        if self._content and data:
            for line in data.removesuffix(b"\r\n").split(b"\r\n"):
                self._write(f"{speaker}| {_text(line)}")

    def end_content(self) -> None:
        """Say how much content there was since the last line."""
        if self._counted:
            count, self._counted = self._counted, 0
            self._write(f"{self._speaker}: ({count} octets of content)")


def _text(line: bytes) -> str:
    return printable(line.decode(errors="backslashreplace"))
