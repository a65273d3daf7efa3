"""What a session asks of the server it belongs to, which knows of all the others."""

from enum import Enum
from typing import Protocol


class Refusal(Enum):
    """Why a server does not serve a client that has just come."""

    BUSY = "busy"  # it serves as many as it can
    ADDRESS = "address"  # it serves as many as it wants to from this address
    LOGINS = "logins"  # too many logins from this address have failed
    STOPPING = "stopping"  # it shuts down


class Gate(Protocol):
    """The door of a server, as one session sees it."""

    def enter(self, address: str) -> Refusal | None:
        """Count a client whose address is known only now; None: it is let in.

        It takes the place of the proxy in front, or of the client that was here before.

        Args:
            address: Where the client is, as the proxy says it.
        """
        ...

    def login_failed(self, address: str) -> None:
        """Take note of a login that has failed.

        Args:
            address: Where the client is.
        """
        ...
