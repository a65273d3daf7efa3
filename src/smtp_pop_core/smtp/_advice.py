"""What to do with a message that was refused: whether, when and where to send it again.

Servers say it by their reply code, by their enhanced code and in words.  Codes decide
whether there is hope; words only for how long to wait.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .._errors import ConnectionLost, RemoteProtocolError
from .._expressions import expression
from ._commands import Connect, Ehlo, Helo, Lhlo, Rcpt
from ._replies import EnhancedCode, InDoubt, Rejected, Reply, Subject

_USUAL: Final = 30 * 60  # seconds.  RFC 5321 section 4.5.4.1
_GREYLISTED: Final = 5 * 60  # what most who greylist ask for; RFC 6647
_SHORTEST: Final = 60  # of the times that servers name
_LONGEST: Final = 3 * 60 * 60  # "every two or three hours".  RFC 5321 section 4.5.4.1


class Reason(Enum):
    """Why a message may be accepted later."""

    GREYLISTED = "greylisted"  # the server takes what comes a second time.  RFC 6647
    BUSY = "busy"  # there is too much, of ours or of others
    RECIPIENTS = "too many recipients"  # for one message; the others come with the next
    UNAVAILABLE = "unavailable"  # the server ends, or there is no connection to it
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Retry:
    """When and where to send a message again.

    Attributes:
        after: How many seconds to wait first; 0: at once, in another transaction, if
            the server took others in this one.
        reason: Why it may be accepted then.
        other_host: Whether another host of the domain, its next MX, may take it, and
            can be tried without waiting.
    """

    after: int
    reason: Reason
    other_host: bool

    @property
    def later(self) -> "Retry":
        """The same, but not at once."""
        return Retry(self.after or _USUAL, self.reason, self.other_host)


# Words of servers.  Each of these is searched in time linear in the text.
_GREY: Final = expression(r"gr[ea]y[- ]?list", re.IGNORECASE)
_MUCH: Final = expression(
    r"\btoo (?:many|much|fast|quick|often|frequent)|\brate\b|rate[- ]?limit|throttl"
    r"|\bbusy\b|\boverload|\bslow down",
    re.IGNORECASE,
)
_MANY_RECIPIENTS: Final = expression(r"too many (?:\w+ )?recipients", re.IGNORECASE)
_AGAIN: Final = expression(
    r"\b(?:try|retry|come|resend|send)\b.{0,40}?\b(?:again|later|back|soon|shortly)\b"
    r"|\bretry\b",
    re.IGNORECASE,
)
_TIME: Final = expression(
    r"(?:\bagain|\bretry|\blater|\bback|\bwait|\bdefer[a-z]{0,3}"
    r"|gr[ea]y[- ]?list[a-z]{0,3})\b[^0-9]{0,40}"
    r"(?:([0-9]{1,2}):([0-9]{2}):([0-9]{2})\b"
    r"|([0-9]{1,6}) ?(s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?)\b)",
    re.IGNORECASE,
)
_UNITS: Final = {"s": 1, "m": 60, "h": 60 * 60}
_IN_TEXT: Final = expression(r"4\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")

# (subject, detail) of those who greylist, where they do not call it so.
_GREYLISTS: Final = frozenset({(2, 0), (7, 0), (7, 1)})
# The same of those who have too much: congestion, flood.
_BUSY: Final = frozenset({(4, 5), (7, 28)})
_NOT_ACCEPTING: Final = (3, 2)
_TOO_MANY: Final = (5, 3)


def is_temporary(reply: Reply) -> bool:
    """Whether the same may succeed later.

    Deviation: 552 to RCPT is permanent by its digit; RFC 5321 section 4.5.3.1.10 says
    that a client takes it for "too many recipients", and so for temporary, which we do
    unless the enhanced code speaks of the mailbox.
    """
    if reply.code == 552 and isinstance(reply.command, Rcpt):
        return reply.enhanced is None or reply.enhanced.subject == 5
    return reply.temporary


def advise(answer: Reply | Exception) -> Retry | None:
    """Say when and where to try again what came to this.

    Args:
        answer: A reply; or what connecting, a command or `send_mail` has raised.

    Returns:
        None: not at all.  It was accepted, or refused for good; it is in doubt, and to
        send it again may deliver it twice; or the error is our own.
    """
    match answer:
        case Reply():
            return _of_reply(answer) if is_temporary(answer) else None
        case Rejected():
            return advise(answer.reply)
        case InDoubt():
            return None
        case ConnectionLost(last_reply=Reply(code=421) as reply):
            return _of_reply(reply)
        case ConnectionLost() | RemoteProtocolError() | OSError():
            return Retry(_USUAL, Reason.UNAVAILABLE, other_host=True)
        case _:
            return None


def _of_reply(reply: Reply) -> Retry:
    reason = _reason(reply)
    if reason is Reason.RECIPIENTS:
        return Retry(0, reason, other_host=False)
    usual = _GREYLISTED if reason is Reason.GREYLISTED else _USUAL
    after = _time_in(reply.text) or usual
    elsewhere = reason is not Reason.GREYLISTED and _is_of_this_host(reply)
    return Retry(after, reason, other_host=elsewhere)


def _reason(reply: Reply) -> Reason:
    text = reply.text
    enhanced = _enhanced(reply)
    status = None if enhanced is None else (enhanced.subject, enhanced.detail)
    asks_again = bool(_AGAIN.search(text) or _TIME.search(text))
    if _GREY.search(text):
        return Reason.GREYLISTED
    if reply.code == 552 or status == _TOO_MANY:
        return Reason.RECIPIENTS
    if reply.code == 452 and _MANY_RECIPIENTS.search(text):
        return Reason.RECIPIENTS
    if status in _BUSY or _MUCH.search(text):
        return Reason.BUSY
    if reply.code == 421 or status == _NOT_ACCEPTING:
        return Reason.UNAVAILABLE
    if reply.code in (450, 451) and status in _GREYLISTS and asks_again:
        return Reason.GREYLISTED
    return Reason.OTHER


def _is_of_this_host(reply: Reply) -> bool:
    """Whether the host is to blame, and not a mailbox, the sender or the message."""
    if reply.code == 421 or isinstance(reply.command, Connect | Ehlo | Helo | Lhlo):
        return True
    enhanced = _enhanced(reply)
    about = reply.about if enhanced is None else enhanced.about
    return about in (Subject.SYSTEM, Subject.NETWORK)


def _enhanced(reply: Reply) -> EnhancedCode | None:
    """The enhanced code; also one that was not offered, and so stands in the text."""
    if reply.enhanced is None and (found := _IN_TEXT.match(reply.lines[0])):
        return EnhancedCode(*map(int, found[0].split(".")))
    return reply.enhanced


def _time_in(text: str) -> int | None:
    """The seconds that a text says to wait, within bounds, or None."""
    found = _TIME.search(text)
    if found is None:
        return None
    hours, minutes, seconds, count, unit = found.groups()
    if count is None:
        named = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    else:
        named = int(count) * _UNITS[unit[0].lower()]
    return min(max(named, _SHORTEST), _LONGEST)
