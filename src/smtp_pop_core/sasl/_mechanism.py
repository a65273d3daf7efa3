"""What is known about a mechanism, and what its two sides are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from .._expressions import expression
from ._credentials import Credentials
from ._exchange import Client, ClientExchange, Server
from ._iterations import DEFAULT_ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS
from ._names import is_mechanism_name

BINDING_TYPES: Final = ("tls-exporter", "tls-unique", "tls-server-end-point")
"""Channel bindings that are known, the best first.  RFC 9266, RFC 5929."""

_NONCE: Final = expression(r"[!-+\--~]+")  # RFC 5802 section 7: printable


class ClientFirst(Enum):
    """Whether a client speaks first."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NO = "no"


class Stored(Enum):
    """What an application must have stored, or be able to check, for a mechanism.

    Attributes:
        PASSWORD: It can check a password.  PLAIN, LOGIN.
        CLEAR: It has the password in clear.  CRAM-MD5, APOP.
        SCRAM_SHA_1: It has SCRAM keys for this hash, or the password in clear.
        SCRAM_SHA_256: The same.
        SCRAM_SHA_512: The same.
        TOKEN: It can check a token.  OAUTHBEARER, XOAUTH2.
        EXTERNAL: There is a client certificate, and it knows whose.  EXTERNAL.
        ANONYMOUS: It lets anonymous users in.  ANONYMOUS.
    """

    PASSWORD = "password"
    CLEAR = "clear"
    SCRAM_SHA_1 = "SHA-1"
    SCRAM_SHA_256 = "SHA-256"
    SCRAM_SHA_512 = "SHA-512"
    TOKEN = "token"
    EXTERNAL = "external"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientContext:
    """What a client's side of a mechanism is given beside the credentials.

    Attributes:
        nonce: A fresh random text for this exchange, of 18 octets of randomness or
            more: printable ASCII without spaces and commas.
        service: "smtp" or "pop".
        host: The name of the server, as the user knows it; "" if it has none.
        port: The port of the server, or 0.
        bindings: The channel bindings at hand: a type, and its data.
        offered: The names of the mechanisms that the server offers, in upper case.
        least_iterations: Fewer iterations of SCRAM end the exchange.
        most_iterations: More iterations of SCRAM end the exchange, before any work.

    Raises:
        ValueError: It is no such nonce.
    """

    nonce: str = field(repr=False)
    service: str = ""
    host: str = ""
    port: int = 0
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    offered: frozenset[str] = frozenset()
    least_iterations: int = LEAST_ITERATIONS
    most_iterations: int = MOST_ITERATIONS

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerContext:
    """What a server's side of a mechanism is given.

    Attributes:
        nonce: A fresh random text for this exchange, of 18 octets of randomness or
            more: printable ASCII without spaces and commas.
        fake_salt_key: A secret of the server that stays the same for years.  With it
            unknown users are told a salt that stays the same, as that of users does.
        host: The server's own name.
        bindings: The channel bindings at hand: a type, and its data.
        offered: The names of the mechanisms that were offered.
        iterations: Iterations that unknown users are told: take those of the stored
            keys.

    Raises:
        ValueError: It is no such nonce, the key is empty, or there are too few
            iterations.
    """

    nonce: str = field(repr=False)
    fake_salt_key: bytes = field(repr=False)
    host: str = "localhost"
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    offered: frozenset[str] = frozenset()
    iterations: int = DEFAULT_ITERATIONS

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)
        if not self.fake_salt_key:
            raise ValueError("the key of fake salts is empty")
        if self.iterations < LEAST_ITERATIONS:
            raise ValueError(f"fewer than {LEAST_ITERATIONS} iterations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """A mechanism: what is known about it, and its two sides.

    There is no registry: lists of mechanisms are handed to `choose` and `offered`, and
    `STANDARD` is one.  To add your own, write a generator for each side that you need,
    and put the mechanism in a list::

        def gssapi(credentials: Kerberos, context: ClientContext) -> Client:
            security = credentials.security_context(context)
            challenge = yield security.step()
            while not security.complete:
                challenge = yield security.step(challenge) or b""

        GSSAPI = Mechanism(name="GSSAPI", client=gssapi, credentials=Kerberos)
        mechanisms = [GSSAPI, *STANDARD]

    A client yields its initial response, or None if the server speaks first; then it is
    sent each challenge and yields the response.  It returns after the last of them,
    once the server has proved itself, and raises `ExchangeError` on a challenge that is
    wrong.  A server yields `Challenge` and is sent the response, or yields a `Question`
    and is sent the application's answer.  It returns `Success`, or raises `Denied` or
    `ExchangeError`.

    Attributes:
        name: As registered, in upper case.
        client: Takes credentials of the kind below and a `ClientContext`, and gives the
            client's side; a ValueError says that these credentials cannot be used.
            None: there is none.
        server: Takes a `ServerContext` and the initial response or None, and gives the
            server's side.  None: there is none.
        credentials: The kind that the client takes.
        needs: What the server must be able to check, or None: this is not asked.
        first: Whether the client speaks first.
        reveals_password: Whether who reads along learns the password or token.  Then it
            needs TLS, unless the user insists.
        require_tls: Whether it makes no sense without TLS, whatever the user says.
        has_authzid: Whether it can say as whom the user wants to act.
        binding: Whether it binds to the TLS channel.
        obsolete: Whether a client uses it only when it was named.

    Raises:
        ValueError: It is no such name.
    """

    name: str
    client: Callable[..., Client] | None = None
    server: Callable[[ServerContext, bytes | None], Server] | None = None
    credentials: type[Credentials] = Credentials
    needs: Stored | None = None
    first: ClientFirst = ClientFirst.REQUIRED
    reveals_password: bool = False
    require_tls: bool = False
    has_authzid: bool = False
    binding: bool = False
    obsolete: bool = False

    def __post_init__(self) -> None:
        if not is_mechanism_name(self.name):
            raise ValueError(f"not the name of a mechanism: {self.name!r}")

    def begin(self, credentials: Credentials, context: ClientContext) -> ClientExchange:
        """Begin an exchange as a client.

        Raises:
            ValueError: These credentials cannot be used with the mechanism.
            TypeError: They are of another kind, or it has no client's side.
        """
        if self.client is None or not isinstance(credentials, self.credentials):
            kind = type(credentials).__name__
            raise TypeError(f"{self.name} has no client's side that takes {kind}")
        return ClientExchange(self.client(credentials, context))


def _check_nonce(nonce: str) -> None:
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is printable ASCII without spaces and commas")
