"""A mechanism of your own: GSSAPI, with which Kerberos logs in.  RFC 4752.

Give `mechanisms=[GSSAPI, *sasl.STANDARD]`, and with the package gssapi as credentials

    Kerberos(lambda name: gssapi.SecurityContext(
        gssapi.Name(name, gssapi.NameType.hostbased_service), usage="initiate"))
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from smtp_pop_core import sasl


class Wrapped(Protocol):
    """What became of a message."""

    message: bytes


class SecurityContext(Protocol):
    """As much of gssapi.SecurityContext as is needed."""

    complete: bool

    def step(self, token: bytes | None = None) -> bytes | None:
        """Take the peer's token, and return the next one."""

    def wrap(self, message: bytes, encrypt: bool) -> Wrapped:
        """Protect a message."""

    def unwrap(self, message: bytes) -> Wrapped:
        """Check a message."""


@dataclass(frozen=True, slots=True)
class Kerberos(sasl.Credentials):
    """A ticket, which the GSSAPI library finds by itself."""

    open: Callable[[str], SecurityContext] = field(repr=False)
    authzid: str = ""


def gssapi(credentials: Kerberos, context: sasl.ClientContext) -> sasl.Client:
    security = credentials.open(f"{context.service}@{context.host}")
    challenge = yield security.step() or b""
    while not security.complete:
        challenge = yield security.step(challenge) or b""
    if not (security.unwrap(challenge).message or b"\0")[0] & 1:
        raise sasl.ExchangeError("the server wants more than TLS protects")
    answer = b"\1\0\0\0" + credentials.authzid.encode()
    yield security.wrap(answer, False).message


GSSAPI = sasl.Mechanism(
    name="GSSAPI", client=gssapi, credentials=Kerberos, has_authzid=True
)
