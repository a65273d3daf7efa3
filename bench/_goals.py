"""What is wanted, as ratios of one run, and what was reached of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ._measure import OURS, Figures, Spread, ratios, spread


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of a piece of work.

    Attributes:
        group: The piece of work.
        bound: The ratio to a peer, or without a peer the figure itself.
        peer: Whom it is compared with, or "".
        at_least: Whether ours is to be so many times as fast; else it may take so many
            times as much at most.
        contender: Which of ours.
        unit: What a figure without a peer is counted in.
        scale: How much one of that unit is.
    """

    group: str
    bound: float
    peer: str = ""
    at_least: bool = True
    contender: str = OURS
    unit: str = ""
    scale: float = 1


def _times(group: str, *bounds: tuple[float, str], by: str = OURS) -> Iterator[Goal]:
    """At least so many times as fast as each of these."""
    for bound, peer in bounds:
        yield Goal(group, bound, peer, contender=by)


def _at_most(group: str, bound: float, peer: str, by: str = OURS) -> Goal:
    return Goal(group, bound, peer, at_least=False, contender=by)


def _figure(group: str, bound: float, unit: str, scale: float = 1) -> Goal:
    return Goal(group, bound, at_least=False, unit=unit, scale=scale)


GROWING: Final = ("octets", "commands", "recipients", "messages", "pipelined commands")

ENGINE: Final = "our Connection"
"""An engine is bytes in, events out; the flows and applications are measured beside."""

GOALS: Final = (
    *_times("SMTP server: session", (3, "twisted"), (15, "aiosmtpd"), by=ENGINE),
    *_times("SMTP server: 1 KB", (3, "twisted"), (12, "aiosmtpd"), by=ENGINE),
    _at_most("SMTP server: 1 KB", 0.5, "h11", ENGINE),
    *_times("SMTP server: 1 MB base64", (20, "twisted"), by=ENGINE),
    *_times("SMTP server: 1 MB text", (8, "twisted"), by=ENGINE),
    *_times(
        "SMTP client: 1 KB",
        (1.7, "smtplib"),
        (2.5, "smtpproto"),
        (3.5, "aiosmtplib"),
        by=ENGINE,
    ),
    *_times("SMTP client: 1 MB base64", (6, "twisted"), by=ENGINE),
    *_times("SMTP client: 1 MB text", (2, "twisted"), by=ENGINE),
    *_times("content received: base64", (0.6, "find")),
    *_times("content received: text", (0.3, "find")),
    *_times("content received: every line a dot", (0.12, "find")),
    *_times("content received: `..CRLF` only", (0.17, "find")),
    *_times("content received: base64, 1,460-octet reads", (0.3, "find")),
    *_times("content received: text, 1,460-octet reads", (0.2, "find")),
    *_times("content sent: base64", (20, "re.sub")),
    *_times("content sent: text", (6, "re.sub")),
    *_times("content sent: text with LF", (7, "re.sub")),
    *_times("content sent: text, mixed", (3, "re.sub")),
    *_times("POP3 server: STAT", (10, "twisted"), by=ENGINE),
    *_times("POP3 server: LIST 1,000", (1.8, "twisted"), by=ENGINE),
    *_times("POP3 server: UIDL 1,000", (2.3, "twisted"), by=ENGINE),
    *_times("POP3 server: RETR 1 KB", (3, "twisted"), by=ENGINE),
    *_times("POP3 server: RETR 1 MB", (2, "twisted"), by=ENGINE),
    *_times("POP3 client: LIST 1,000", (1, "poplib"), by=ENGINE),
    *_times("POP3 client: UIDL 1,000", (1, "poplib"), by=ENGINE),
    *_times("POP3 client: RETR 1 KB", (2, "poplib"), by=ENGINE),
    *_times("POP3 client: RETR 1 MB", (12, "poplib"), by=ENGINE),
    *_times(
        "server behind smtp-source: 1 KB, one session",
        (0.5, "smtp-sink"),
        (2.2, "aiosmtpd"),
        by="our asyncio",
    ),
    *_times(
        "server behind smtp-source: 10 MB",
        (2, "smtp-sink"),
        (14, "aiosmtpd"),
        by="our asyncio",
    ),
    *_times(
        "client into smtp-sink: 1 KB, one session",
        (1, "smtp-source"),
        by="our blocking",
    ),
    *(
        goal
        for ours in ("our asyncio", "our trio")
        for goal in _times(
            "client into smtp-sink: 1 KB, one session",
            (2, "aiosmtplib"),
            (3, "smtpproto"),
            by=ours,
        )
    ),
    _at_most("client into smtp-sink: 1 KB, CPU", 0.5, "smtplib", "our blocking"),
    _at_most("client into smtp-sink: 10 MB, CPU", 0.15, "smtplib", "our blocking"),
    _at_most("POP3 from Dovecot: 1 KB, CPU", 0.45, "poplib", "our pipelined"),
    _at_most("POP3 from Dovecot: 1 KB, CPU", 1.2, "poplib", "our lock-step"),
    *_times("POP3 from Dovecot: 25 MB", (0.7, "curl"), by="our blocking"),
    _figure("memory for one 100 MB message", 2, "MB", 1e6),
    _figure("memory for an idle session", 8, "kB", 1e3),
    _at_most("import", 1, "smtplib", "smtp_pop_core.smtp"),
    # the first goal alone is met by importing nothing
    _at_most("import", 1, "smtplib", "what a client needs of it"),
    *(_figure(f"growth with {each}", 1.2, "as exponent") for each in GROWING),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was reached of a goal.

    Attributes:
        goal: What was wanted.
        reached: The ratio or the figure.
    """

    goal: Goal
    reached: Spread

    @property
    def met(self) -> bool:
        """Whether the median is good enough."""
        if self.goal.at_least:
            return self.reached.median >= self.goal.bound
        return self.reached.median <= self.goal.bound


def verdicts(figures: Figures, goals: Sequence[Goal] = GOALS) -> Iterator[Verdict]:
    """Compare figures with the goals; a goal that was not measured is left out."""
    for goal in goals:
        them = figures.get(goal.group, {})
        ours = them.get(goal.contender)
        if not ours:
            continue
        if not goal.peer:
            yield Verdict(goal, spread([each / goal.scale for each in ours]))
        elif goal.peer in them:
            above, below = ours, them[goal.peer]
            if goal.at_least:
                above, below = below, above
            yield Verdict(goal, spread(ratios(above, below)))
