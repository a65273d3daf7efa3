"""Responses, what they bring, and the empty base of commands.

A response is made once and cannot be made wrong: its text holds no line break, its
numbers are numbers, and its unique ids can be written.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

from .._abnf import require_str, upper
from .._errors import AuthenticationFailed as _AuthenticationFailed
from .._errors import Rejected as _Rejected
from .._expressions import expression
from .._transcript import printable
from .._values import unchecked
from ._grammar import are_unique_ids, is_language, is_unique_id


class Command:
    """Whatever has a response."""

    __slots__ = ()


class ResponseClass(IntEnum):
    """The status indicator of a response.  RFC 1939 section 3, RFC 5034 section 4."""

    OK = 0  # +OK
    ERR = 1  # -ERR
    MORE = 2  # + and a challenge


OK: Final = ResponseClass.OK
ERR: Final = ResponseClass.ERR
MORE: Final = ResponseClass.MORE


class ResponseCode(StrEnum):
    """The response codes that are registered.  RFC 2449 section 8, RFC 3206, RFC 6856.

    Members are text: `response.code == ResponseCode.IN_USE`.
    """

    IN_USE = "IN-USE"  # the credentials are good, but another session has the maildrop
    LOGIN_DELAY = "LOGIN-DELAY"  # too soon after the last login
    SYS_TEMP = "SYS/TEMP"  # trouble of the server that will pass
    SYS_PERM = "SYS/PERM"  # trouble that a person has to mend
    AUTH = "AUTH"  # the credentials are at fault
    UTF8 = "UTF8"  # the message needs UTF8


_TEMPORARY: Final = frozenset(
    {ResponseCode.IN_USE, ResponseCode.LOGIN_DELAY, ResponseCode.SYS_TEMP}
)
_UNWRITABLE: Final = expression("[\r\n\0\ud800-\udfff]")
# resp-code = "[" resp-level *("/" resp-level) "]"              RFC 2449 section 3
# resp-level = 1*(%x21-2E / %x30-5C / %x5E-7E)
CODE: Final = expression(r"[!-.0-\\^-~]+(?:/[!-.0-\\^-~]+)*")
LARGEST: Final = 10**20 - 1  # 20 digits


@dataclass(frozen=True, slots=True)
class Totals:
    """What STAT says.  RFC 1939 section 5.

    Attributes:
        messages: How many there are that are not marked as deleted.
        octets: Their size.
    """

    messages: int
    octets: int

    def __post_init__(self) -> None:
        check_number("messages", self.messages)
        check_number("octets", self.octets)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What LIST says: the size in octets of each message, by its number.

    Attributes:
        by_number: For one message or for all that are not marked as deleted.
    """

    by_number: Mapping[int, int]

    @classmethod
    def checked(cls, by_number: Mapping[int, int]) -> "Sizes":
        """Take what is known to be sound, as a reader does: that halves the time."""
        sizes = object.__new__(cls)
        object.__setattr__(sizes, "by_number", by_number)
        return sizes

    def __post_init__(self) -> None:
        check_numbers("number", self.by_number, least=1)
        check_numbers("size", self.by_number.values())


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """What UIDL says: the unique id of each message, by its number.

    Attributes:
        by_number: For one message or for all that are not marked as deleted.  Nothing
            keeps a server from giving one id to two messages; RFC 1939 section 7 allows
            it for copies.
        standard: Whether each is known to be as the standard has them; else a server
            looks before it sends them.  Not part of equality.
    """

    by_number: Mapping[int, str]
    standard: bool = field(default=False, init=False, compare=False, repr=False)

    @classmethod
    def checked(cls, by_number: Mapping[int, str], *, standard: bool) -> "UniqueIds":
        """Take what is known to be sound, as a reader does: that halves the time."""
        ids = object.__new__(cls)
        object.__setattr__(ids, "by_number", by_number)
        object.__setattr__(ids, "standard", standard)
        return ids

    def __post_init__(self) -> None:
        check_numbers("number", self.by_number, least=1)
        ids = self.by_number.values()
        if not are_unique_ids(ids, any_id=True):
            bad = [each for each in ids if not is_unique_id(each, any_id=True)]
            raise ValueError(f"not a unique id: {bad[0]!r}")


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the server's texts.  RFC 6856 section 3.

    Attributes:
        tag: As "de" or "zh-Hant".
        description: What it is called, in that language.
    """

    tag: str
    description: str = ""

    def __post_init__(self) -> None:
        if not is_language(self.tag):
            raise ValueError(f"not the tag of a language: {self.tag!r}")
        check_text(self.description)


@dataclass(frozen=True, slots=True)
class Languages:
    """What LANG says: the language that was chosen, or all that there are."""

    items: tuple[Language, ...]


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """What AUTH without an argument says: the names of the mechanisms."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            check_word(name)


@dataclass(frozen=True, slots=True)
class CapabilityLines:
    """What CAPA says, a line each: the tag in upper case, and what follows it.

    `Connection.capabilities` has them typed.
    """

    lines: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        for tag, arguments in self.lines:
            check_word(tag)
            if tag != upper(tag):
                raise ValueError(f"not a tag in upper case: {tag!r}")
            for word in arguments.split(" ") if arguments else ():
                check_word(word)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks in an authentication exchange.  RFC 5034 section 4.

    Attributes:
        data: Decoded; b"" for an empty challenge; None where what came was no base64,
            which a client answers with a cancel.  It is not in the repr.
    """

    data: bytes | None = field(repr=False)

    def __post_init__(self) -> None:
        if self.data is not None and type(self.data) is not bytes:
            raise TypeError(f"data must be bytes, not {type(self.data).__name__}")


Data: TypeAlias = (
    Totals | Sizes | UniqueIds | Languages | Mechanisms | CapabilityLines | Challenge
)
"""What a response brings beside its text."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server says to a command.  RFC 1939 section 3.

    Attributes:
        cls: OK, ERR or MORE.
        text: What it says to people, "" for nothing.  It comes from the peer and may
            hold anything but CR, LF and NUL: `str(response)` is safe for a terminal,
            this is not.
        code: The response code in upper case, as "IN-USE" or "SYS/TEMP/DISK", or None.
            A server writes it if it offers RESP-CODES.  RFC 2449 section 8.
        data: What it brings, or None.
        command: What it answers, or None where nobody asked.  Given by the reader; not
            part of equality.

    Raises:
        ValueError: The response cannot be written.
    """

    cls: ResponseClass
    text: str = ""
    code: str | None = None
    data: Data | None = None
    command: Command | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        cls, code = self.cls, self.code
        if not isinstance(cls, ResponseClass):
            raise TypeError(f"cls must be a ResponseClass, not {cls!r}")
        check_text(self.text)
        if code is not None and (code != upper(code) or not CODE.fullmatch(code)):
            raise ValueError(f"not a response code in upper case: {code!r}")
        if isinstance(self.data, Challenge) is not (cls is MORE):
            raise ValueError("a challenge goes with MORE, and MORE with a challenge")
        if cls is MORE and (self.text or code is not None):
            raise ValueError("a challenge has neither text nor code")

    @property
    def about(self) -> ResponseCode | None:
        """The registered code that it has or that its code begins with, or None.

        RFC 2449 section 8: what is unknown behind a level that is known is ignored.
        """
        if self.code is None:
            return None
        for known in ResponseCode:
            if self.code == known or self.code.startswith(f"{known}/"):
                return known
        return None

    @property
    def temporary(self) -> bool:
        """Whether it is a no for now: IN-USE, LOGIN-DELAY or SYS/TEMP."""
        return self.cls is ERR and self.about in _TEMPORARY

    def __str__(self) -> str:
        """The response on one line, controls escaped."""
        words = [STATUS[self.cls]]
        if self.code is not None:
            words.append(f"[{self.code}]")
        return printable(" ".join([*words, self.text])).rstrip(" ")


STATUS: Final = ("+OK", "-ERR", "+")

# For what a reader has checked, and for what is made of nothing but what was checked.
checked_totals: Final = unchecked(Totals)
checked_response: Final = unchecked(Response)


class Rejected(_Rejected):
    """The server said no.  The command had no effect; the session goes on.

    Attributes:
        command: What was asked.
        response: The answer, -ERR.
        temporary: Whether the same command may succeed later.
    """

    def __init__(self, command: Command, response: Response) -> None:
        name = type(command).__name__
        super().__init__(f"{name}: {response}", temporary=response.temporary)
        self.command = command
        self.response = response


class AuthenticationFailed(Rejected, _AuthenticationFailed):
    """The login was refused, or the server has not proved itself.

    Attributes:
        command: What was asked last.
        response: The answer: -ERR, or +OK from a server that has not proved itself.
        temporary: Whether the same credentials may do later: the maildrop is in use,
            or the server has trouble.
        reason: What was wrong with what the server has shown, or None.
    """

    def __init__(
        self,
        command: Command,
        response: Response,
        *,
        reason: Exception | None = None,
    ) -> None:
        super().__init__(command, response)
        self.reason = reason
        if reason is not None:
            self.args = (f"{self.args[0]}: {reason}",)


def check_number(name: str, value: int, *, least: int = 0) -> None:
    """Refuse what is no number that 20 digits can write."""
    if type(value) is not int:
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not least <= value <= LARGEST:
        raise ValueError(f"{name} must be {least} to 10**20 - 1, not {value!r}")


def check_numbers(name: str, values: Collection[int], *, least: int = 0) -> None:
    """Refuse what holds something else than numbers that 20 digits can write.

    A listing may be long: a look at each of them costs ten times as much.
    """
    if not set(map(type, values)) <= {int}:
        raise TypeError(f"each {name} must be int")
    if values and not least <= min(values) <= max(values) <= LARGEST:
        raise ValueError(f"each {name} must be {least} to 10**20 - 1")


def check_text(text: str) -> None:
    """Refuse what would be more than one line, or cannot be written."""
    if type(text) is str and text.isprintable():
        return  # most of them
    require_str("text", text)
    if _UNWRITABLE.search(text):
        raise ValueError(f"a line of a response cannot hold this: {text!r}")


_WORD: Final = expression("[!-~]+")


def check_word(word: str) -> None:
    """Refuse what is no word of printable ASCII."""
    require_str("word", word)
    if not _WORD.fullmatch(word):
        raise ValueError(f"not a word of printable ASCII: {word!r}")
