"""What became of a message: for the whole, and for each recipient."""

from dataclasses import dataclass
from enum import Enum

from .._errors import ConnectionLost
from ._commands import Rcpt
from ._replies import Command, Rejected, Reply


class Outcome(Enum):
    """What became of a message."""

    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly accepted"  # for some recipients
    REFUSED = "refused"
    IN_DOUBT = "in doubt"  # the connection was lost before the last reply


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of a message for one recipient.

    Attributes:
        address: As it was given.
        outcome: ACCEPTED, REFUSED or IN_DOUBT.
        reply: The reply that decided it, or None where it is in doubt.  In a 251 and
            551 the text holds another address, which is never used by itself.
    """

    address: str
    outcome: Outcome
    reply: Reply | None

    @property
    def temporary(self) -> bool:
        """Whether the server refused it for now.

        Deviation: 552 to RCPT is permanent by its digit; RFC 5321 section 4.5.3.1.10
        says that a client takes it for "too many recipients", and so for temporary,
        which we do unless the enhanced code speaks of the mailbox.
        """
        reply = self.reply
        if reply is None or self.outcome is not Outcome.REFUSED:
            return False
        if reply.code == 552 and isinstance(reply.command, Rcpt):
            return reply.enhanced is None or reply.enhanced.subject == 5
        return reply.temporary


@dataclass(frozen=True, slots=True)
class MailResult:
    """What became of a message.

    It has no truth value: ask for `outcome`, or call `check`.

    Attributes:
        outcome: For the whole.
        recipients: For each recipient, in the order given.
        reply: The reply that decided the outcome: to the content if it was sent, else
            the last refusal; None if in doubt.
    """

    outcome: Outcome
    recipients: tuple[RecipientResult, ...]
    reply: Reply | None

    def __bool__(self) -> bool:
        raise TypeError("a MailResult has no truth value: ask for its outcome")

    @property
    def accepted(self) -> list[str]:
        """The addresses that the server has taken the message for."""
        return self._addresses(Outcome.ACCEPTED)

    @property
    def refused(self) -> list[str]:
        """The addresses that it was refused for, for now or for good."""
        return self._addresses(Outcome.REFUSED)

    @property
    def in_doubt(self) -> list[str]:
        """The addresses that it may have been accepted for or not."""
        return self._addresses(Outcome.IN_DOUBT)

    @property
    def retry(self) -> list[str]:
        """The addresses that it was refused for now: try them again later."""
        return [each.address for each in self.recipients if each.temporary]

    def _addresses(self, outcome: Outcome) -> list[str]:
        return [each.address for each in self.recipients if each.outcome is outcome]

    def check(self) -> None:
        """Raise unless the message was accepted for all recipients.

        Raises:
            Rejected: It was refused, at least for one.
            ConnectionLost: It is in doubt.
        """
        for each in self.recipients:
            if each.outcome is Outcome.REFUSED and each.reply is not None:
                raise Rejected(each.reply.command or Command(), each.reply)
        if self.outcome is Outcome.IN_DOUBT:
            raise ConnectionLost("the connection was lost before the last reply")
