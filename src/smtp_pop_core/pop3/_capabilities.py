"""Capabilities: a registry for those here and for a user's own.  RFC 2449.

A Connection is given capabilities; nothing is global.  A server offers those that hold
in the state of the session, a client uses those that the server offers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from .._abnf import number, upper
from ..sasl import is_mechanism_name
from ._responses import CapabilityLines, Command, check_number, check_word
from ._state import Table

C = TypeVar("C", bound="Capability")


@dataclass(frozen=True, slots=True)
class Verb:
    """A command of a capability.

    Attributes:
        name: The verb, in upper case.
        command: Its class, a frozen dataclass derived from Command.
        read: Makes the command from what follows the verb, "" where nothing does.
            ValueError: it is malformed, -ERR.
        write: Gives what follows the verb, "" for nothing.
    """

    name: str
    command: type[Command]
    read: Callable[[str], Command]
    write: Callable[[Any], str]


class Capability:
    """What a server can do beyond RFC 1939.  RFC 2449 section 5.

    Derive from it to make one of your own.

    Attributes:
        tag: What CAPA calls it, in upper case.
        verbs: The commands that it adds; each has a response of one line.
        rows: The rows that it adds to the table of a connection.  What it adds to USER
            has to lead to AUTHORIZATION also by ERR, as all else there does.
    """

    __slots__ = ()

    tag: str
    verbs: ClassVar[tuple[Verb, ...]] = ()
    rows: ClassVar[Table] = {}

    def arguments(self) -> str:
        """What follows the tag in the response to CAPA, "" for nothing."""
        return ""

    def read(self, arguments: str) -> "Capability":
        """Return the capability as a server offers it.

        Args:
            arguments: What follows the tag, words parted by single spaces.

        Raises:
            ValueError: It is malformed; the offer is ignored.
        """
        return self

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """Whether a server offers it in this state of the session."""
        return True


@dataclass(frozen=True, slots=True)
class Unknown(Capability):
    """A capability that the server offers and this connection does not know.

    Attributes:
        tag: In upper case.
        text: What follows it.
    """

    tag: str
    text: str = ""

    def arguments(self) -> str:
        """What follows the tag."""
        return self.text


@dataclass(frozen=True, slots=True)
class Top(Capability):
    """TOP: the server has the command.  RFC 2449 section 6.1."""

    tag = "TOP"


@dataclass(frozen=True, slots=True)
class Uidl(Capability):
    """UIDL: the server has the command.  RFC 2449 section 6.8."""

    tag = "UIDL"


@dataclass(frozen=True, slots=True)
class User(Capability):
    """USER: the server takes USER and PASS.  RFC 2449 section 6.2.

    Attributes:
        needs_tls: Whether it does so only inside TLS.
    """

    tag = "USER"

    needs_tls: bool = field(default=False, compare=False)

    def read(self, arguments: str) -> "User":
        """Return the capability; what holds now, holds."""
        return User()

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """It is offered where a password may be shown."""
        return tls or not self.needs_tls


@dataclass(frozen=True, slots=True)
class Sasl(Capability):
    """SASL: the client can authenticate with AUTH.  RFC 5034.

    Attributes:
        mechanisms: The names of the mechanisms, in upper case.

    Raises:
        ValueError: A name is none.
    """

    tag = "SASL"

    mechanisms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.mechanisms:
            if not is_mechanism_name(name):
                raise ValueError(f"not the name of a mechanism: {name!r}")

    def arguments(self) -> str:
        """The mechanisms."""
        return " ".join(self.mechanisms)

    def read(self, arguments: str) -> "Sasl":
        """Return the capability with the mechanisms that the server has."""
        words = upper(arguments).split()
        return Sasl(tuple(word for word in words if is_mechanism_name(word)))


@dataclass(frozen=True, slots=True)
class RespCodes(Capability):
    """RESP-CODES: what stands in brackets is a code.  RFC 2449 section 6.4."""

    tag = "RESP-CODES"


@dataclass(frozen=True, slots=True)
class AuthRespCode(Capability):
    """AUTH-RESP-CODE: only the code AUTH means bad credentials.  RFC 3206 section 5."""

    tag = "AUTH-RESP-CODE"


@dataclass(frozen=True, slots=True)
class LoginDelay(Capability):
    """LOGIN-DELAY: how long to wait between logins.  RFC 2449 section 6.5.

    Attributes:
        seconds: At least so many; before a login the most that any user has to wait.
        per_user: Whether it may be less for some; asked again after the login.

    Raises:
        ValueError: It is no such number.
    """

    tag = "LOGIN-DELAY"

    seconds: int = 0
    per_user: bool = False

    def __post_init__(self) -> None:
        check_number("seconds", self.seconds)

    def arguments(self) -> str:
        """The seconds, and USER."""
        return f"{self.seconds}{' USER' if self.per_user else ''}"

    def read(self, arguments: str) -> "LoginDelay":
        """Return the capability with the delay of the server."""
        value, per_user = _per_user(arguments)
        return LoginDelay(number(value), per_user)


@dataclass(frozen=True, slots=True)
class Pipelining(Capability):
    """PIPELINING: commands need not wait for responses.  RFC 2449 section 6.6."""

    tag = "PIPELINING"


@dataclass(frozen=True, slots=True)
class Expire(Capability):
    """EXPIRE: how long the server keeps messages.  RFC 2449 section 6.7.

    Attributes:
        days: At least so many; 0: what was retrieved may be gone with QUIT; None: for
            ever, NEVER.  Before a login the least that any user has.
        per_user: Whether it may be more for some; asked again after the login.

    Raises:
        ValueError: It is no such number.
    """

    tag = "EXPIRE"

    days: int | None = None
    per_user: bool = False

    def __post_init__(self) -> None:
        if self.days is not None:
            check_number("days", self.days)

    def arguments(self) -> str:
        """The days, or NEVER, and USER."""
        days = "NEVER" if self.days is None else str(self.days)
        return f"{days}{' USER' if self.per_user else ''}"

    def read(self, arguments: str) -> "Expire":
        """Return the capability with the days of the server."""
        value, per_user = _per_user(arguments)
        days = None if upper(value) == "NEVER" else number(value)
        return Expire(days, per_user)


@dataclass(frozen=True, slots=True)
class Implementation(Capability):
    """IMPLEMENTATION: what the server is called.  RFC 2449 section 6.9.

    For people only: nothing must depend on it.

    Attributes:
        name: Words of printable ASCII, at least one.

    Raises:
        ValueError: It is no such name.
    """

    tag = "IMPLEMENTATION"

    name: str = "smtp-pop-core"

    def __post_init__(self) -> None:
        for word in self.name.split(" "):
            check_word(word)

    def arguments(self) -> str:
        """The name."""
        return self.name

    def read(self, arguments: str) -> "Implementation":
        """Return the capability with the name of the server."""
        return Implementation(arguments)


@dataclass(frozen=True, slots=True)
class Stls(Capability):
    """STLS: TLS can begin on this connection.  RFC 2595 section 4."""

    tag = "STLS"

    def holds(self, *, tls: bool, authenticated: bool) -> bool:
        """It is offered before a login, and not inside TLS."""
        return not (tls or authenticated)


@dataclass(frozen=True, slots=True)
class Utf8(Capability):
    """UTF8: the client can ask for messages with UTF-8 in them.  RFC 6856 section 2.

    Attributes:
        user: Whether names and passwords may be UTF-8 as well.
    """

    tag = "UTF8"

    user: bool = False

    def arguments(self) -> str:
        """USER, or nothing."""
        return "USER" if self.user else ""

    def read(self, arguments: str) -> "Utf8":
        """Return the capability as the server has it."""
        return Utf8("USER" in upper(arguments).split())


@dataclass(frozen=True, slots=True)
class Lang(Capability):
    """LANG: the texts of the server come in several languages.  RFC 6856 section 3."""

    tag = "LANG"


def _per_user(arguments: str) -> tuple[str, bool]:
    """Take apart a value and an optional USER; what else follows is ignored."""
    value, _, rest = arguments.partition(" ")
    return value, "USER" in upper(rest).split()


class Capabilities(Mapping[str, Capability]):
    """Capabilities by their tag, in the order of the response to CAPA."""

    __slots__ = ("_offers",)

    def __init__(self, offers: Mapping[str, Capability]) -> None:
        self._offers = offers

    def __getitem__(self, tag: str) -> Capability:
        return self._offers[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._offers)

    def __len__(self) -> int:
        return len(self._offers)

    def __repr__(self) -> str:
        return f"Capabilities({list(self._offers.values())!r})"

    def find(self, kind: type[C]) -> C | None:
        """Return the capability of that class, or None if it is not among them."""
        for offer in self._offers.values():
            if isinstance(offer, kind):
                return offer
        return None


def read_offers(
    lines: CapabilityLines, known: Mapping[str, Capability]
) -> Capabilities:
    """Read the capabilities from the response to CAPA.  RFC 2449 section 5.

    A line whose arguments are malformed is passed over; of a tag that comes twice the
    first counts.
    """
    offers: dict[str, Capability] = {}
    for tag, arguments in lines.lines:
        try:
            offer = (
                known[tag].read(arguments) if tag in known else Unknown(tag, arguments)
            )
        except ValueError:
            continue
        offers.setdefault(tag, offer)
    return Capabilities(offers)


def write_offers(offers: Mapping[str, Capability]) -> CapabilityLines:
    """Write the lines of the response to CAPA."""
    return CapabilityLines(
        tuple((tag, each.arguments()) for tag, each in offers.items())
    )


def usual() -> tuple[Capability, ...]:
    """Return what a sound server offers without further set-up."""
    return (
        Top(),
        Uidl(),
        User(),
        RespCodes(),
        AuthRespCode(),
        Pipelining(),
        Utf8(user=True),
        Implementation(),
    )


def known() -> tuple[Capability, ...]:
    """Return all capabilities that a client can make use of."""
    return (*usual(), LoginDelay(), Expire(), Sasl(), Stls(), Lang())
