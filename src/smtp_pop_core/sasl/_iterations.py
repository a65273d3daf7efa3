"""How often the hash of SCRAM is applied to a password."""

from typing import Final

DEFAULT_ITERATIONS: Final = 15_000
"""RFC 7677 section 4."""

LEAST_ITERATIONS: Final = 4_096
"""With fewer, who listens can try passwords too fast.  RFC 5802 section 5.1."""

MOST_ITERATIONS: Final = 600_000
"""So much work a client lets a server ask for."""
