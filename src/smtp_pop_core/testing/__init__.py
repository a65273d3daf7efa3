"""Strategies of hypothesis for the tests of those who use this library.

They draw values that can be written, and octets that mostly cannot be read.  Installed
by `pip install "smtp-pop-core[testing]"`; nothing else of the library needs them.
"""

try:
    import hypothesis as _  # noqa: F401  its absence is told by name
except ImportError as error:
    raise ImportError(
        "smtp_pop_core.testing needs hypothesis: install smtp-pop-core[testing]"
    ) from error

from ._contents import contents
from ._pieces import pieces
from ._pop3_strategies import (
    apop_timestamps,
    pop3_capabilities,
    pop3_commands,
    pop3_octets,
    pop3_responses,
    unique_ids,
)
from ._smtp_strategies import (
    address_literals,
    domains,
    mailboxes,
    smtp_commands,
    smtp_octets,
    smtp_replies,
)

__all__ = [
    "pieces",
    "contents",
    "domains",
    "address_literals",
    "mailboxes",
    "smtp_commands",
    "smtp_replies",
    "smtp_octets",
    "unique_ids",
    "apop_timestamps",
    "pop3_capabilities",
    "pop3_commands",
    "pop3_responses",
    "pop3_octets",
]
