"""The transcript of a POP3 dialogue: which part of which line is a secret."""

from collections.abc import Callable

from .._transcript import Transcript
from ._commands import Apop, Auth, AuthResponse, BadCommand, Pass
from ._responses import Command

# What a line begins with that holds a secret, and how many octets of it may be shown.
_SECRET_VERBS = {b"PASS": 5, b"AUTH": 5, b"APOP": 5}


class Trace(Transcript):
    """A transcript that hides passwords, digests and what AUTH exchanges.

    That holds also for lines that are no commands and follow an AUTH, however it went:
    a client that does not heed the refusal sends its password there.
    """

    __slots__ = ("_secret_may_follow",)

    def __init__(self, write: Callable[[str], None], *, content: bool = False) -> None:
        super().__init__(write, content=content)
        self._secret_may_follow = False

    def command(self, command: Command, line: bytes) -> None:
        """Show a command."""
        begins = _SECRET_VERBS.get(line.lstrip()[:4].upper())
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
            case BadCommand() if begins is not None:
                visible = begins + len(line) - len(line.lstrip())
            case BadCommand() if self._secret_may_follow:
                visible = 0
        self._secret_may_follow = visible is not None and not isinstance(
            command, (Pass, Apop)
        )
        self.lines("C", line, visible=visible)

    def response(self, lines: bytes) -> None:
        """Show lines of a response."""
        challenge = lines.startswith(b"+") and not lines.startswith(b"+OK")
        self.lines("S", lines, visible=2 if challenge else None)

    def listing(self, lines: bytes) -> None:
        """Show the lines of a listing, and its end."""
        self.lines("S", lines + b".\r\n")
