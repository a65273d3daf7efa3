"""The transcript of an SMTP dialogue: which part of which line is a secret."""

import re
from collections.abc import Callable
from typing import Final

from .._expressions import expression
from .._transcript import Transcript
from ._commands import Auth, AuthResponse, BadCommand, EndOfChunk, EndOfMessage
from ._replies import Command

# What a line begins with whose rest is a secret, well formed or not.
_BEFORE_SECRET: Final = expression(rb"[ \t]*AUTH[ \t]?", re.IGNORECASE)


class Trace(Transcript):
    """A transcript that hides what AUTH exchanges.

    That holds also for lines that are no commands and follow an AUTH, however it went:
    a client that does not heed the refusal sends its password there.
    """

    __slots__ = ("_secret_may_follow",)

    def __init__(self, write: Callable[[str], None], *, content: bool = False) -> None:
        super().__init__(write, content=content)
        self._secret_may_follow = False

    def command(self, command: Command, line: bytes) -> None:
        """Show a command."""
        if isinstance(command, (EndOfChunk, EndOfMessage)):
            return  # the count of the content stands for it
        before = _BEFORE_SECRET.match(line)
        visible = None
        match command:
            case Auth(mechanism=mechanism):
                visible = len(f"AUTH {mechanism} ")
            case AuthResponse(data=bytes()):
                visible = 0
            case BadCommand() if before is not None:
                visible = before.end()
            case BadCommand() if self._secret_may_follow:
                visible = 0
        self._secret_may_follow = visible is not None
        self.lines("C", line, visible=visible)

    def reply(self, lines: bytes) -> None:
        """Show lines of a reply."""
        self.lines("S", lines, visible=4 if lines.startswith(b"334") else None)
