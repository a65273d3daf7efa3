"""What a kind of service asks of its clients beyond the protocol, by name."""

from dataclasses import dataclass
from typing import Final

from ._commands import Ehlo, Lhlo, Mail, Noop, Quit, Rcpt, StartTls
from ._defaults import (
    NEEDS_TLS,
    UNAUTHENTICATED,
    UNQUALIFIED_RECIPIENT,
    UNQUALIFIED_SENDER,
)
from ._grammar import domain_of
from ._replies import Command, Reply

_BEFORE_TLS: Final = frozenset({Ehlo, Lhlo, Noop, Quit, StartTls})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a server asks of its clients.

    Attributes:
        tls: Nothing but EHLO, STARTTLS, NOOP and QUIT before TLS, else 530 5.7.0.
            RFC 3207 section 4 forbids it where anybody may bring mail, on port 25.
        authenticated: MAIL only after AUTH, else 530 5.7.0.  RFC 6409 section 4.3.
        qualified: The domains of an envelope are fully qualified, else 554 with 5.1.8
            for a sender and 5.1.2 for a recipient.  RFC 6409 section 4.2.
        greeting_delay: Seconds before the greeting, 0 or more.  Those who only send
            what they have to say do not wait so long.  RFC 5321 section 4.5.3.2.1 lets
            clients wait for 5 minutes.
        refuse_early: 554 in place of the greeting to a client that speaks before it,
            against RFC 5321 section 3.1.  Without it `Peer.early` says so.

    Raises:
        ValueError: The delay is below 0.
    """

    tls: bool = False
    authenticated: bool = False
    qualified: bool = False
    greeting_delay: float = 0
    refuse_early: bool = False

    def __post_init__(self) -> None:
        if not self.greeting_delay >= 0:
            raise ValueError("greeting_delay must be at least 0 seconds")

    def refusal(
        self, command: Command, *, tls: bool, authenticated: bool
    ) -> Reply | None:
        """Return the reply to a command that the profile forbids, else None."""
        if self.tls and not tls and type(command) not in _BEFORE_TLS:
            return NEEDS_TLS
        match command:
            case Mail() if self.authenticated and not authenticated:
                return UNAUTHENTICATED
            case Mail(sender=sender) if self.qualified and not _is_qualified(sender):
                return UNQUALIFIED_SENDER
            case Rcpt(recipient=path) if self.qualified and not _is_qualified(path):
                return UNQUALIFIED_RECIPIENT
        return None


def _is_qualified(path: str) -> bool:
    """Whether the domain has several labels; "" and postmaster have none to ask for."""
    domain = domain_of(path)
    return not domain or "." in domain or domain.startswith("[")


RELAY: Final = Profile()
"""A server that takes mail for its domains, as on port 25: nothing more is asked."""

SUBMISSION: Final = Profile(authenticated=True, qualified=True)
"""A server that takes the first step of a message, as on port 587.  RFC 6409."""
