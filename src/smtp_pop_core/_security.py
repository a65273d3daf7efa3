"""TLS and login as values: what a client insists on, and what a server can check.

They are looked at before anything is sent, and nothing that a peer says lowers them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from . import sasl  # types in quotes: a login opens its rooms
from ._errors import PolicyError
from ._flow import Negotiated


class Tls(StrEnum):
    """When a client uses TLS.  Members are text: `"require"` serves as well."""

    REQUIRE = "require"  # STARTTLS or STLS comes first, or nothing is sent but QUIT
    OPPORTUNISTIC = "opportunistic"  # where it is offered, with whoever is there
    IMPLICIT = "implicit"  # from the first octet on, as on ports 465 and 995
    NONE = "none"  # never: who reads along reads all


def no_nonce() -> str:
    """Stand for a source of randomness where nobody has given one."""
    raise PolicyError("a login needs a source of nonces")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a client insists on before it shows anything.

    Attributes:
        tls: When TLS is used, or None: REQUIRE with credentials, else NONE.
        server_hostname: The name of the server, which its certificate has to have.
        port: Its port, for mechanisms that sign it; or 0.
        credentials: What the client has to show, or None: it does not log in.
        mechanism: The name of the only mechanism that may be used, or names in the
            order of preference.  None: the strongest that is offered.
        mechanisms: Those that are known, the strongest first.
        allow_insecure: Whether a password may be shown to those who read along.
        nonce: Gives a fresh random text, printable and without commas, of 18 octets of
            randomness or more.  Adapters have one.

    Raises:
        ValueError: There is no such policy.
    """

    tls: Tls | str | None = None
    server_hostname: str = ""
    port: int = 0
    credentials: "sasl.Credentials | None" = None
    mechanism: str | Sequence[str] | None = None
    mechanisms: "Sequence[sasl.Mechanism]" = sasl.STANDARD
    allow_insecure: bool = False
    nonce: Callable[[], str] = field(default=no_nonce, repr=False)

    def __post_init__(self) -> None:
        if self.tls is not None:
            Tls(self.tls)

    @property
    def policy(self) -> Tls:
        """When TLS is used."""
        if self.tls is not None:
            return Tls(self.tls)
        return Tls.NONE if self.credentials is None else Tls.REQUIRE

    def hides(self, *, tls: bool) -> bool:
        """Whether nobody can read along: there is TLS, and with the right server.

        Without a certificate that was asked for, as with OPPORTUNISTIC, there may be
        somebody in between.
        """
        return tls and self.policy is not Tls.OPPORTUNISTIC

    def shown(self, *, tls: bool) -> "sasl.Credentials":
        """Return what is shown, now that the connection has TLS or has not.

        Raises:
            PolicyError: There is nothing, or no TLS where it is required.
        """
        if self.credentials is None:
            raise PolicyError("there is nothing to log in with")
        if self.policy in (Tls.REQUIRE, Tls.IMPLICIT) and not tls:
            raise PolicyError("TLS is required, and there is none")
        return self.credentials

    def choose(
        self,
        offered: Collection[str],
        credentials: "sasl.Credentials",
        *,
        mechanism: str | Sequence[str] | None,
        tls: bool,
        negotiated: Negotiated | None,
    ) -> "sasl.Mechanism":
        """Choose a mechanism, as `sasl.choose` does.

        Raises:
            PolicyError: None fits.
            ValueError: A name is not that of one that is known.
        """
        return sasl.choose(
            offered,
            credentials,
            mechanism=mechanism,
            mechanisms=self.mechanisms,
            tls=self.hides(tls=tls),
            allow_insecure=self.allow_insecure,
            bindings=_bindings(negotiated),
        )

    def context(
        self,
        nonce: str,
        service: str,
        offered: Collection[str],
        negotiated: Negotiated | None,
    ) -> "sasl.ClientContext":
        """Return what a mechanism is given beside the credentials."""
        return sasl.ClientContext(
            nonce=nonce,
            service=service,
            host=self.server_hostname,
            port=self.port,
            bindings=_bindings(negotiated),
            offered=frozenset(offered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """What a server can check, and how.

    Attributes:
        stored: What the application has to compare with, or can verify.
        fake_salt_key: A secret of the server that stays the same for years: with it
            unknown users look like known ones.
        nonce: As in `Security`.
        mechanisms: Those that may be offered, the strongest first.
        allow_insecure: Whether passwords may come without TLS.
        delay: Seconds that a no to a login takes.
        iterations: Iterations of SCRAM that unknown users are told.

    Raises:
        ValueError: The key is empty, the delay is below 0, there are fewer iterations
            than `sasl.LEAST_ITERATIONS`, or LOGIN is among the mechanisms and PLAIN is
            not.
    """

    stored: "Collection[sasl.Stored]"
    fake_salt_key: bytes = field(repr=False)
    nonce: Callable[[], str] = field(default=no_nonce, repr=False)
    mechanisms: "Sequence[sasl.Mechanism]" = sasl.STANDARD
    allow_insecure: bool = False
    delay: float = 3
    iterations: int = sasl.DEFAULT_ITERATIONS

    def __post_init__(self) -> None:
        if not self.fake_salt_key:
            raise ValueError("the key of fake salts is empty")
        if not self.delay >= 0:
            raise ValueError(f"not a delay: {self.delay!r}")
        if self.iterations < sasl.LEAST_ITERATIONS:
            raise ValueError(f"fewer than {sasl.LEAST_ITERATIONS} iterations")
        self.offered(tls=True, negotiated=None)

    @classmethod
    def of(
        cls, users: "sasl.Users", *, allow_insecure: bool = False, delay: float = 3
    ) -> Self:
        """Return what can be checked where `Users.answer` answers the questions.

        Args:
            users: The users.
            allow_insecure: Whether passwords may come without TLS.
            delay: Seconds that a no to a login takes.
        """
        return cls(
            stored=users.stored,
            fake_salt_key=users.key,
            allow_insecure=allow_insecure,
            delay=delay,
        )

    def offered(self, *, tls: bool, negotiated: Negotiated | None) -> tuple[str, ...]:
        """Return the names of the mechanisms that are offered now.

        EXTERNAL is only offered to those who have shown a certificate.
        """
        stored = set(self.stored)
        if negotiated is None or negotiated.certificate is None:
            stored.discard(sasl.Stored.EXTERNAL)
        return sasl.offered(
            self.mechanisms,
            stored=stored,
            tls=tls,
            allow_insecure=self.allow_insecure,
            bindings=_bindings(negotiated),
        )

    def begin(
        self, name: str, context: "sasl.ServerContext", initial: bytes | None
    ) -> "sasl.Server":
        """Begin the server's side of a mechanism that has been offered."""
        for each in self.mechanisms:
            if each.name == name and each.server is not None:
                return each.server(context, initial)
        raise AssertionError(f"{name} was offered")

    def context(
        self,
        nonce: str,
        host: str,
        offered: Collection[str],
        negotiated: Negotiated | None,
    ) -> "sasl.ServerContext":
        """Return what a mechanism is given."""
        return sasl.ServerContext(
            nonce=nonce,
            fake_salt_key=self.fake_salt_key,
            host=host,
            bindings=_bindings(negotiated),
            offered=frozenset(offered),
            iterations=self.iterations,
        )


def _bindings(negotiated: Negotiated | None) -> Mapping[str, bytes]:
    """The channel bindings at hand."""
    return {} if negotiated is None else negotiated.bindings
