"""The transcript of a POP3 dialogue: which part of which line is a secret."""

import re
from collections.abc import Callable
from typing import Final

from .._expressions import expression
from .._transcript import Transcript
from ._commands import Apop, Auth, AuthResponse, BadCommand, Pass, User
from ._responses import Command

# What a line begins with whose rest is a secret, well formed or not.
_BEFORE_SECRET: Final = expression(rb"[ \t]*(?:PASS|AUTH|APOP) ?", re.IGNORECASE)
_STATUS: Final = expression(rb"(?:\+OK|-ERR)(?: |\r\n|\Z)")


class Trace(Transcript):
    """A transcript that hides passwords, digests and what AUTH exchanges.

    That holds also for lines that are no commands and follow USER or AUTH, however it
    went: a client that does not heed the refusal sends its password there.
    """

    __slots__ = ("_secret_may_follow",)

    def __init__(self, write: Callable[[str], None], *, content: bool = False) -> None:
        super().__init__(write, content=content)
        self._secret_may_follow = False

    def command(self, command: Command, line: bytes) -> None:
        """Show a command."""
        before = _BEFORE_SECRET.match(line)
        visible = None
        match command:
            case Pass():
                visible = len("PASS ")
            case Apop(name=name):
                visible = len(f"APOP {name} ".encode())
            case Auth(mechanism=mechanism):
                visible = len(f"AUTH {mechanism} ")
            case AuthResponse(data=bytes()):
                visible = 0
            case BadCommand() if before is not None:
                visible = before.end()
            case BadCommand() if self._secret_may_follow:
                visible = 0
        self._secret_may_follow = isinstance(command, User) or (
            visible is not None and not isinstance(command, (Pass, Apop))
        )
        self.lines("C", line, visible=visible)

    def response(self, lines: bytes) -> None:
        """Show lines of a response."""
        challenge = lines.startswith(b"+") and not lines.startswith(b"+OK")
        if self._secret_may_follow:  # what is no status line is a challenge gone wrong
            challenge = not _STATUS.match(lines)
        begins = len(lines) - len(lines.removeprefix(b"+").removeprefix(b" "))
        self.lines("S", lines, visible=begins if challenge else None)

    def listing(self, lines: bytes) -> None:
        """Show the lines of a listing, and its end."""
        self.lines("S", lines + b".\r\n")
