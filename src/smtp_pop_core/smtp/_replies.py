"""Replies, and the empty base of commands.

A reply is made once and cannot be made wrong: its code is legal, its text holds no line
break, and its enhanced status code belongs to the class of its code.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from .._errors import AuthenticationFailed as _AuthenticationFailed
from .._errors import ConnectionLost, ParseError
from .._errors import Rejected as _Rejected
from .._expressions import expression
from .._transcript import printable
from ._grammar import Mailbox, parse_mailbox


class Command:
    """Whatever has a reply."""

    __slots__ = ()


class ReplyClass(IntEnum):
    """The first digit of a reply code.  RFC 5321 section 4.2.1."""

    POSITIVE = 2
    INTERMEDIATE = 3
    TRANSIENT = 4
    PERMANENT = 5


class Subject(IntEnum):
    """What a reply is about: the second digit of an enhanced code.  RFC 3463."""

    UNDEFINED = 0
    ADDRESS = 1
    MAILBOX = 2
    SYSTEM = 3
    NETWORK = 4
    PROTOCOL = 5
    CONTENT = 6
    POLICY = 7  # and security


# What a reply code is about where there is no enhanced code.  RFC 5321 section 4.2.3.
_ABOUT: Final = {
    211: Subject.SYSTEM,
    214: Subject.SYSTEM,
    220: Subject.SYSTEM,
    221: Subject.SYSTEM,
    235: Subject.POLICY,
    251: Subject.ADDRESS,
    252: Subject.ADDRESS,
    421: Subject.SYSTEM,
    432: Subject.POLICY,
    450: Subject.MAILBOX,
    451: Subject.SYSTEM,
    452: Subject.SYSTEM,
    454: Subject.POLICY,
    455: Subject.PROTOCOL,
    458: Subject.SYSTEM,
    459: Subject.POLICY,
    521: Subject.SYSTEM,
    530: Subject.POLICY,
    534: Subject.POLICY,
    535: Subject.POLICY,
    538: Subject.POLICY,
    550: Subject.MAILBOX,
    551: Subject.ADDRESS,
    552: Subject.MAILBOX,
    553: Subject.ADDRESS,
    555: Subject.PROTOCOL,
    556: Subject.ADDRESS,
}

_ENHANCED: Final = expression(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")


@dataclass(frozen=True, slots=True, order=True)
class EnhancedCode:
    """An enhanced mail system status code.  RFC 3463 section 2.

    Attributes:
        status_class: 2, 4 or 5: success, failure for now, failure for good.
        subject: What the status is about, 0 to 999: 1 the address, 2 the mailbox, 3 the
            mail system, 4 the network, 5 the protocol, 6 the content, 7 policy.
        detail: The condition itself, 0 to 999.
    """

    status_class: int
    subject: int
    detail: int

    def __post_init__(self) -> None:
        if not (
            self.status_class in (2, 4, 5)
            and 0 <= self.subject <= 999
            and 0 <= self.detail <= 999
        ):
            raise ValueError(f"not an enhanced status code: {self}")

    def __str__(self) -> str:
        return f"{self.status_class}.{self.subject}.{self.detail}"

    @property
    def about(self) -> Subject:
        """What the status is about; UNDEFINED if the subject is unknown."""
        return Subject(self.subject) if self.subject <= 7 else Subject.UNDEFINED

    @classmethod
    def parse(cls, text: str) -> "EnhancedCode":
        """Read a code as "5.1.1".

        Raises:
            ValueError: It is none: another class, a leading zero, more than 3 digits.
        """
        found = _ENHANCED.fullmatch(text)
        if found is None:
            raise ParseError(f"not an enhanced status code: {text!r}")
        return cls(*map(int, found.groups()))


@dataclass(frozen=True, slots=True)
class Member:
    """A mailbox as VRFY and EXPN are answered with it.  RFC 5321 section 3.5.1.

    Attributes:
        mailbox: Its address.
        name: The name of its user, as written, or "" where none is given.
    """

    mailbox: Mailbox
    name: str = ""


_PATH: Final = expression(r'<((?:[^"<>]++|"[^"\\]*+(?:\\.[^"\\]*+)*")+)>')
_UNWRITABLE: Final = expression("[\r\n\0\ud800-\udfff]")


_CHALLENGE: Final = 334  # RFC 4954 section 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server says to a command.  RFC 5321 section 4.2.

    Attributes:
        code: 200 to 599.
        lines: The text, a line each, at least one; "" where there is no text.  It comes
            from the peer and may hold anything but CR, LF and NUL: `str(reply)` is safe
            for a terminal, this is not.
        enhanced: The enhanced status code, or None.  A server writes it if it offers
            ENHANCEDSTATUSCODES, a client takes it from the text if it was offered.
        command: What it answers, or None where nobody asked (421).  Given by the
            reader; not part of equality.

    Raises:
        ValueError: The reply cannot be written.
    """

    code: int
    lines: tuple[str, ...] = ("",)
    enhanced: EnhancedCode | None = None
    command: Command | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"not a reply code: {self.code!r}")
        if type(self.lines) is not tuple or not self.lines:
            raise ValueError(f"not a tuple of lines of text: {self.lines!r}")
        for line in self.lines:
            if _UNWRITABLE.search(line):
                raise ValueError(f"a line of a reply cannot hold this: {line!r}")
        if self.enhanced and self.enhanced.status_class != self.code // 100:
            raise ValueError(f"{self.enhanced} does not go with {self.code}")

    def __hash__(self) -> int:
        return hash(self.lines)  # that of all fields takes 0.5 µs

    @property
    def cls(self) -> ReplyClass:
        """The class of the code, by which a client acts."""
        return ReplyClass(self.code // 100)

    @property
    def temporary(self) -> bool:
        """Whether it is a no for now: 4xx."""
        return self.code // 100 == 4

    @property
    def about(self) -> Subject:
        """What it is about: by its enhanced code, else by its code."""
        if self.enhanced is not None:
            return self.enhanced.about
        if self.code // 10 % 10 == 0:
            return Subject.PROTOCOL
        return _ABOUT.get(self.code, Subject.UNDEFINED)

    @property
    def forward_path(self) -> str | None:
        """The address in a 251 or 551, which is never used by itself; else None.

        RFC 5321 section 3.4.  It comes from the peer: `parse_mailbox` checks it.
        """
        if self.code not in (251, 551):
            return None
        found = _PATH.search(self.text)
        return None if found is None else found[1]

    @property
    def members(self) -> tuple[Member, ...]:
        """The mailboxes in a 250 or 251 to VRFY or EXPN, a line each.

        In a 553 those among which a name does not decide.  Lines that hold no address
        are left out.  A 252 has none: the server does not
        vouch for what it says then.  All of it comes from the peer.
        """
        if self.code == 251:
            lines: tuple[str, ...] = (f"<{self.forward_path}>",)
        else:
            lines = self.lines if self.code in (250, 553) else ()
        return tuple(filter(None, map(_member, lines)))

    @property
    def text(self) -> str:
        r"""The lines joined with "\n".  It comes from the peer: see `lines`."""
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        lines = ("(secret)",) if self.code == _CHALLENGE else self.lines
        return f"Reply(code={self.code}, lines={lines!r}, enhanced={self.enhanced!r})"

    def __str__(self) -> str:
        """The reply on one line, controls escaped, a challenge hidden."""
        if self.code == _CHALLENGE:
            return f"{self.code} (secret)"
        words = [str(self.code), *map(str, filter(None, [self.enhanced])), *self.lines]
        return printable(" ".join(words)).rstrip(" ")


def _member(line: str) -> Member | None:
    """The mailbox in a line as "Joe <joe@example.com>" or "joe@example.com"."""
    word, _, rest = line.partition(" ")
    line = (rest if _ENHANCED.fullmatch(word) else line).strip(" ")
    if not line.endswith(">"):
        line = f"<{line}>"
    name, _, path = line.partition("<")
    try:
        return Member(parse_mailbox(path[:-1], smtputf8=True), name.rstrip(" "))
    except ParseError:
        return None


class Rejected(_Rejected):
    """The server said no.  The command had no effect; the session goes on.

    Attributes:
        command: What was asked.
        reply: The answer: a 4xx or 5xx reply.
        temporary: Whether the same command may succeed later.
    """

    def __init__(self, command: Command, reply: Reply) -> None:
        name = type(command).__name__
        super().__init__(f"{name}: {reply}", temporary=reply.temporary)
        self.command = command
        self.reply = reply


class InDoubt(ConnectionLost):
    """The connection was lost when the message was sent, and before its last reply.

    It may have been accepted.  To send it again may deliver it twice.
    """


class AuthenticationFailed(Rejected, _AuthenticationFailed):
    """The login was refused, or the server has not proved itself.

    Attributes:
        command: What was asked last.
        reply: The answer: 4xx or 5xx, or 2xx or 3xx from a server that has not proved
            itself.
        temporary: Whether the same credentials may do later.
        reason: What was wrong with what the server has shown, or None.
    """

    def __init__(
        self, command: Command, reply: Reply, *, reason: Exception | None = None
    ) -> None:
        super().__init__(command, reply)
        self.reason = reason
        if reason is not None:
            self.args = (f"{self.args[0]}: {reason}",)
