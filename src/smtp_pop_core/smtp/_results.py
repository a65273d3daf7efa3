"""What became of a message: for the whole, and for each recipient."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .._values import quick
from ._replies import Command, InDoubt, Rejected, Reply

if TYPE_CHECKING:
    from ._advice import Retry


class Outcome(Enum):
    """What became of a message."""

    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly accepted"  # for some recipients
    REFUSED = "refused"
    IN_DOUBT = "in doubt"  # the connection was lost before the last reply


@quick
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
        """Whether the server refused it for now, 552 to RCPT included.

        RFC 5321 section 4.5.3.1.10.
        """
        from ._advice import is_temporary  # few are refused

        return (
            self.reply is not None
            and self.outcome is Outcome.REFUSED
            and is_temporary(self.reply)
        )

    @property
    def advice(self) -> "Retry | None":
        """When and where to send it again, or None: not at all.

        So it is where it was accepted, refused for good, or in doubt.
        """
        from ._advice import advise

        return advise(self.reply) if self.temporary and self.reply else None


@quick
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

    @property
    def failed(self) -> list[str]:
        """The addresses that it was refused for for good: tell the sender."""
        return [
            each.address
            for each in self.recipients
            if each.outcome is Outcome.REFUSED and not each.temporary
        ]

    @property
    def advice(self) -> "Retry | None":
        """When and where to send it again to the first of those in `retry`.

        Each recipient has its own.  None: there is none to be tried again.  A server
        that takes no recipient at all is never asked again at once.
        """
        found = [each.advice for each in self.recipients if each.advice is not None]
        if not self.accepted:
            found = [each.later for each in found]
        return min(found, key=lambda each: each.after, default=None)

    def _addresses(self, outcome: Outcome) -> list[str]:
        return [each.address for each in self.recipients if each.outcome is outcome]

    def check(self) -> None:
        """Raise unless the message was accepted for all recipients.

        Raises:
            Rejected: It was refused, at least for one.
            InDoubt: It is in doubt.
        """
        for each in self.recipients:
            if each.outcome is Outcome.REFUSED and each.reply is not None:
                raise Rejected(each.reply.command or Command(), each.reply)
        if self.outcome is Outcome.IN_DOUBT:
            raise InDoubt("the connection was lost before the last reply")
