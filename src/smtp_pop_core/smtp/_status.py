"""The registry of enhanced status codes.  RFC 3463, RFC 5248 and those that add to it.

X.7.20 and above stand as secondary listings of the registry give them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ._replies import EnhancedCode


@dataclass(frozen=True, slots=True)
class Status:
    """What an enhanced status code says, whatever its class.

    Attributes:
        meaning: In a few words.
        codes: The reply codes that it is registered with; () where any may go with it.
        source: Where it was defined.
    """

    meaning: str
    codes: tuple[int, ...]
    source: str


# (subject, detail): what it says.
STATUSES: Final[Mapping[tuple[int, int], Status]] = {
    (0, 0): Status("other or undefined", (), "RFC 3463"),
    (1, 0): Status("other address status", (), "RFC 3463"),
    (1, 1): Status("no such mailbox", (451, 550), "RFC 3463"),
    (1, 2): Status("no such destination system", (), "RFC 3463"),
    (1, 3): Status("bad destination address syntax", (501,), "RFC 3463"),
    (1, 4): Status("destination ambiguous", (), "RFC 3463"),
    (1, 5): Status("destination valid", (250,), "RFC 3463"),
    (1, 6): Status("mailbox moved, no forwarding", (), "RFC 3463"),
    (1, 7): Status("bad sender address syntax", (), "RFC 3463"),
    (1, 8): Status("bad sender system", (451, 501), "RFC 3463"),
    (1, 9): Status("relayed to non-compliant mailer", (), "RFC 3886"),
    (1, 10): Status("recipient domain has null MX", (556,), "RFC 7505"),
    (2, 0): Status("other mailbox status", (), "RFC 3463"),
    (2, 1): Status("mailbox disabled", (), "RFC 3463"),
    (2, 2): Status("mailbox full", (552,), "RFC 3463"),
    (2, 3): Status("message over mailbox limit", (552,), "RFC 3463"),
    (2, 4): Status("list expansion problem", (450, 452), "RFC 3463"),
    (3, 0): Status(
        "other mail system status", (221, 250, 421, 451, 550, 554), "RFC 3463"
    ),
    (3, 1): Status("mail system full", (452,), "RFC 3463"),
    (3, 2): Status("system not accepting messages", (453,), "RFC 3463"),
    (3, 3): Status("feature not available on system", (), "RFC 3463"),
    (3, 4): Status("message too big for system", (552, 554), "RFC 3463"),
    (3, 5): Status("system misconfigured", (), "RFC 3463"),
    (3, 6): Status("requested priority was changed", (250,), "RFC 6710"),
    (4, 0): Status("other network status", (), "RFC 3463"),
    (4, 1): Status("no answer from host", (451,), "RFC 3463"),
    (4, 2): Status("bad connection", (421,), "RFC 3463"),
    (4, 3): Status("directory failure", (451, 550), "RFC 3463"),
    (4, 4): Status("unable to route", (), "RFC 3463"),
    (4, 5): Status("congestion", (451,), "RFC 3463"),
    (4, 6): Status("routing loop", (), "RFC 3463"),
    (4, 7): Status("delivery time expired", (), "RFC 3463"),
    (5, 0): Status(
        "other protocol status",
        (220, 250, 251, 252, 253, 451, 452, 454, 458, 459, 501, 502, 503, 554),
        "RFC 3463",
    ),
    (5, 1): Status(
        "invalid command", (430, 500, 501, 503, 530, 550, 554, 555), "RFC 3463"
    ),
    (5, 2): Status("syntax error", (500, 501, 502, 550, 555), "RFC 3463"),
    (5, 3): Status("too many recipients", (451,), "RFC 3463"),
    (5, 4): Status(
        "invalid arguments", (451, 501, 502, 503, 504, 550, 555), "RFC 3463"
    ),
    (5, 5): Status("wrong protocol version", (), "RFC 3463"),
    (5, 6): Status("authentication line too long", (500,), "RFC 4954"),
    (6, 0): Status("other content status", (), "RFC 3463"),
    (6, 1): Status("media not supported", (), "RFC 3463"),
    (6, 2): Status("conversion needed but prohibited", (), "RFC 3463"),
    (6, 3): Status("conversion needed but unsupported", (554,), "RFC 3463"),
    (6, 4): Status("converted with loss", (250,), "RFC 3463"),
    (6, 5): Status("conversion failed", (), "RFC 3463"),
    (6, 6): Status("content not available", (554,), "RFC 4468"),
    (6, 7): Status("non-ASCII address not permitted", (550, 553), "RFC 6531"),
    (6, 8): Status("UTF-8 reply needed but not permitted", (252, 550, 553), "RFC 6531"),
    (6, 9): Status("UTF-8 header cannot go to a recipient", (550, 554), "RFC 6531"),
    (6, 10): Status("deprecated duplicate of X.6.8", (), "RFC 6531"),
    (7, 0): Status(
        "other security status",
        (220, 235, 450, 454, 500, 501, 503, 504, 530, 535, 550),
        "RFC 3463",
    ),
    (7, 1): Status(
        "not authorised, refused", (451, 454, 502, 503, 533, 550, 551), "RFC 3463"
    ),
    (7, 2): Status("list expansion prohibited", (550,), "RFC 3463"),
    (7, 3): Status("security conversion impossible", (), "RFC 3463"),
    (7, 4): Status("security feature unsupported", (504,), "RFC 3463"),
    (7, 5): Status("cryptographic failure", (), "RFC 3463"),
    (7, 6): Status("algorithm unsupported", (), "RFC 3463"),
    (7, 7): Status("integrity failure", (), "RFC 3463"),
    (7, 8): Status("credentials invalid", (535, 554), "RFC 4954"),
    (7, 9): Status("mechanism too weak", (534,), "RFC 4954"),
    (7, 10): Status("encryption needed", (523,), "RFC 5248"),
    (7, 11): Status("encryption required for mechanism", (524, 538), "RFC 4954"),
    (7, 12): Status("password transition needed", (422, 432), "RFC 4954"),
    (7, 13): Status("account disabled", (525,), "RFC 5248"),
    (7, 14): Status("trust relationship required", (535, 554), "RFC 5248"),
    (7, 15): Status("priority too low", (450, 550), "RFC 6710"),
    (7, 16): Status("too big for priority", (552,), "RFC 6710"),
    (7, 17): Status("mailbox owner changed", (550,), "RFC 7293"),
    (7, 18): Status("domain owner changed", (550,), "RFC 7293"),
    (7, 19): Status("RRVS test cannot be completed", (550,), "RFC 7293"),
    (7, 20): Status("no passing DKIM signature", (550,), "RFC 7372"),
    (7, 21): Status("no acceptable DKIM signature", (550,), "RFC 7372"),
    (7, 22): Status("no author-matched DKIM signature", (550,), "RFC 7372"),
    (7, 23): Status("SPF failed", (550,), "RFC 7372"),
    (7, 24): Status("SPF error", (451, 550), "RFC 7372"),
    (7, 25): Status("reverse DNS failed", (550,), "RFC 7372"),
    (7, 26): Status("several authentication checks failed", (550,), "RFC 7372"),
    (7, 27): Status("sender domain has null MX", (550,), "RFC 7505"),
    (7, 28): Status("mail flood detected", (), "registry"),
    (7, 29): Status("ARC validation failure", (550,), "RFC 8617"),
    (7, 30): Status("REQUIRETLS support required", (550,), "RFC 8689"),
}


def status_of(code: EnhancedCode) -> Status | None:
    """Return what is registered for a code, or None if nothing is.

    Its class and subject say something all the same.  RFC 3463 section 2.
    """
    return STATUSES.get((code.subject, code.detail))
