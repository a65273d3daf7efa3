"""What an extension is: the registry's unit, for those here and for a user's own.

A Connection is given extensions; nothing is global.  A server offers them, a client
uses those that the server offers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from .._replies import Command
from .._state import Table

E = TypeVar("E", bound="Extension")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of MAIL or RCPT.  RFC 5321 section 4.1.1.11.

    Attributes:
        read: Checks the value, None where there is none, and returns what the field
            holds.  ValueError: the value is malformed, 501.
        field: The field of Mail or Rcpt that holds it, or None: it is kept as text in
            `extra`, and `read` only checks it.
        write: Gives the value, or None for a keyword alone, from what the field holds.
    """

    read: Callable[[str | None], object]
    field: str | None = None
    write: Callable[[Any], str | None] = str


@dataclass(frozen=True, slots=True)
class Verb:
    """A command of an extension.

    Attributes:
        name: The verb, in upper case.
        command: Its class, a frozen dataclass derived from Command.
        read: Makes the command from what follows the verb, "" where nothing does.
            ValueError: it is malformed, 501.
        write: Gives what follows the verb, "" for nothing.
        anytime: Whether the command may come before EHLO has named the extension.
    """

    name: str
    command: type[Command]
    read: Callable[[str], Command]
    write: Callable[[Any], str]
    anytime: bool = False


class Extension:
    """A service extension.  RFC 5321 section 2.2.

    Derive from it to make one of your own.

    Attributes:
        keyword: What EHLO calls it, in upper case.
        mail: The parameters that it adds to MAIL, by keyword in upper case.
        rcpt: The parameters that it adds to RCPT.
        verbs: The commands that it adds.
        rows: The rows that it adds to the table of a connection.
        mail_octets: How much longer a MAIL line may be.
        rcpt_octets: How much longer a RCPT line may be.
    """

    __slots__ = ()

    keyword: str
    mail: ClassVar[Mapping[str, Parameter]] = {}
    rcpt: ClassVar[Mapping[str, Parameter]] = {}
    verbs: ClassVar[tuple[Verb, ...]] = ()
    rows: ClassVar[Table] = {}
    mail_octets: ClassVar[int] = 0
    rcpt_octets: ClassVar[int] = 0

    def arguments(self) -> str:
        """What follows the keyword in the server's EHLO response, "" for nothing."""
        return ""

    def read(self, arguments: str) -> "Extension":
        """Return the extension as a server offers it.

        Args:
            arguments: What follows the keyword, words parted by single spaces.

        Raises:
            ValueError: It is malformed; the offer is ignored.
        """
        return self

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """Whether a server offers it in this state of the session."""
        return True


@dataclass(frozen=True, slots=True)
class Unknown(Extension):
    """An extension that the server offers and this connection does not know.

    Attributes:
        keyword: In upper case.
        text: What follows it.
    """

    keyword: str
    text: str = ""

    def arguments(self) -> str:
        """What follows the keyword."""
        return self.text


class Extensions(Mapping[str, Extension]):
    """Extensions by their keyword, in the order of the EHLO response.

    Attributes:
        keywords: The keywords alone.
        mail: The parameters that they add to MAIL, by keyword.
        rcpt: The parameters that they add to RCPT.
        mail_fields: Those that a field of Mail holds, with their keyword, by the field.
        rcpt_fields: The same of Rcpt.
        mail_octets: How much longer a MAIL line may be.
        rcpt_octets: How much longer a RCPT line may be.
    """

    __slots__ = (
        "_found",
        "_offers",
        "keywords",
        "mail",
        "mail_fields",
        "mail_octets",
        "rcpt",
        "rcpt_fields",
        "rcpt_octets",
    )

    def __init__(self, offers: Mapping[str, Extension]) -> None:
        self._offers = offers
        self._found: dict[type[Extension], Extension | None] = {}
        self.keywords: Final = frozenset(offers)
        self.mail: Final[dict[str, Parameter]] = {}
        self.rcpt: Final[dict[str, Parameter]] = {}
        self.mail_octets = self.rcpt_octets = 0
        for each in offers.values():
            self.mail.update(each.mail)
            self.rcpt.update(each.rcpt)
            self.mail_octets += each.mail_octets
            self.rcpt_octets += each.rcpt_octets
        self.mail_fields: Final = _by_field(self.mail)
        self.rcpt_fields: Final = _by_field(self.rcpt)

    def __getitem__(self, keyword: str) -> Extension:
        return self._offers[keyword]

    def __contains__(self, keyword: object) -> bool:
        return keyword in self.keywords

    def __iter__(self) -> Iterator[str]:
        return iter(self._offers)

    def __len__(self) -> int:
        return len(self._offers)

    def __repr__(self) -> str:
        return f"Extensions({list(self._offers.values())!r})"

    def find(self, kind: type[E]) -> E | None:
        """Return the extension of that class, or None if it is not among them."""
        if kind not in self._found:  # every message asks for the same
            alike = (each for each in self._offers.values() if isinstance(each, kind))
            self._found[kind] = next(alike, None)
        return self._found[kind]  # type: ignore[return-value]  # it is of its kind


def _by_field(
    parameters: Mapping[str, Parameter],
) -> Mapping[str, tuple[str, Parameter]]:
    return {
        each.field: (keyword, each)
        for keyword, each in parameters.items()
        if each.field is not None
    }


NO_EXTENSIONS: Final = Extensions({})
