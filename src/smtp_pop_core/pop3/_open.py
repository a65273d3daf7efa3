"""The beginning of a client's conversation: greeting, capabilities, TLS and login.

What the client insists on is checked before anything is sent that is a secret, and no
answer of the server lowers it.
"""

from typing import Final

from .. import sasl  # types in quotes: a login opens its rooms
from .._abnf import upper
from .._errors import LocalProtocolError, PolicyError
from .._flow import Flow, Negotiated
from .._proving import Login, shake_hands
from .._security import Security, Tls
from ._capabilities import Capabilities
from ._capabilities import Utf8 as Utf8Offer
from ._client import quit
from ._commands import Apop, Auth, AuthResponse, Capa, Connect, Pass, Stls, User, Utf8
from ._connection import Connection
from ._exchange import exchange, insist, receive
from ._responses import (
    ERR,
    MORE,
    AuthenticationFailed,
    Challenge,
    Command,
    Rejected,
    Response,
)
from ._state import State

_USER: Final = "USER"
_APOP: Final = "APOP"
_NO_SECURITY: Final = Security()


def open(
    conn: Connection, security: Security = _NO_SECURITY, *, utf8: bool = False
) -> Flow[Capabilities]:
    """Hear the greeting, ask for the capabilities, begin TLS and log in.

    A server that does not know CAPA is served all the same.  Capabilities are asked for
    again after TLS and after the login.

    Args:
        conn: A new connection; for `Tls.IMPLICIT` with `tls=True`.
        security: What the client insists on.  By default there is neither TLS nor a
            login.
        utf8: Whether to say, before the login, that UTF-8 is understood in all that is
            sent, if the server offers UTF8.

    Returns:
        What the server offers, by tag; empty if it does not say.

    Raises:
        Rejected: The greeting was a no, or UTF8 was refused.  QUIT has been said after
            the latter.
        AuthenticationFailed: The login was refused, or the server has not proved
            itself.  QUIT has been said.
        PolicyError: The server does not offer what the client insists on.  QUIT has
            been said, and nothing secret was sent.
        ValueError: The credentials cannot be used so, or a mechanism is not known.  The
            same.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended.  The state is CLOSED.
        LocalProtocolError: The greeting has been heard already, or the connection does
            not fit to the policy.
    """
    if conn.state is not State.CONNECTING:
        raise LocalProtocolError(f"no greeting is due in {conn.state!r}")
    policy = security.policy
    if conn.tls is not (policy is Tls.IMPLICIT):
        raise LocalProtocolError("a connection has TLS from the start, or has not")
    negotiated = None
    if policy is Tls.IMPLICIT:
        negotiated = yield from shake_hands(conn, security)
    greeting = yield from receive(conn, conn.limits.timeouts.greeting)
    if greeting.cls is ERR:
        raise Rejected(Connect(), greeting)
    try:
        yield from ask_capabilities(conn)
        if policy in (Tls.REQUIRE, Tls.OPPORTUNISTIC):
            negotiated = yield from _start_tls(conn, security)
        if utf8 and "UTF8" in conn.capabilities:
            yield from insist(conn, Utf8())
        if security.credentials is not None:
            yield from log_in(conn, security, negotiated)
            yield from ask_capabilities(conn)
    except (PolicyError, Rejected, ValueError):
        yield from quit(conn)
        raise
    except BaseException:
        conn.close()
        raise
    return conn.capabilities


def ask_capabilities(conn: Connection) -> Flow[Capabilities]:
    """Ask what the server can do.

    Returns:
        Its capabilities by tag.  If it does not know CAPA, what it has said before.
    """
    yield from exchange(conn, Capa())
    return conn.capabilities


def _start_tls(conn: Connection, security: Security) -> Flow[Negotiated | None]:
    required = security.policy is Tls.REQUIRE
    says_nothing = not conn.capabilities  # it may know STLS all the same
    if "STLS" not in conn.capabilities and not (required and says_nothing):
        if required:
            raise PolicyError("TLS is required, and the server does not offer STLS")
        return None
    response = yield from exchange(conn, Stls())
    if response.cls is ERR:
        if required:
            raise PolicyError(f"TLS is required, and the server said {response}")
        return None
    conn.begin_tls()
    negotiated = yield from shake_hands(conn, security)
    yield from ask_capabilities(conn)
    return negotiated


def log_in(
    conn: Connection, security: Security, negotiated: Negotiated | None = None
) -> Flow[None]:
    """Log in with USER and PASS, APOP or AUTH, whichever is right.

    AUTH with the strongest mechanism that fits comes first; USER and PASS serve where
    none does and the password may be shown.  APOP is used only if it was named.
    Nothing weaker is tried after a no.

    Raises:
        AuthenticationFailed: The server said no, or has not proved itself; if it said
            yes all the same, the state is CLOSED.
        Rejected: The server refused UTF8, which the name or the password needs.
        PolicyError: Nothing that is offered fits, or there is no TLS where it is
            required.  Nothing secret was sent.
        ValueError: The credentials cannot be used so, or a mechanism is not known.  The
            same.
    """
    credentials = security.shown(tls=conn.tls)
    name, mechanism = _choose(conn, security, credentials, negotiated)
    if mechanism is not None:
        login = _Login(conn, mechanism)
        yield from login.carry_out(security, credentials, "pop", negotiated)
        return
    if not isinstance(credentials, sasl.Password):
        raise AssertionError(f"chosen for {credentials!r}")
    commands = _plain_commands(conn, name, credentials)
    yield from _prepare_utf8(conn, credentials)
    for command in commands:
        response = yield from exchange(conn, command)
        if response.cls is ERR:
            raise AuthenticationFailed(command, response)


def _plain_commands(
    conn: Connection, name: str, credentials: "sasl.Password"
) -> list[Command]:
    """Return what logs in without a mechanism.

    Raises:
        ValueError: It cannot be written.
    """
    user, password = credentials.user, credentials.password
    commands: list[Command]
    if name == _APOP:
        user = sasl.saslprep(user)  # RFC 6856 section 2.2
        digest = sasl.apop_digest(conn.timestamp, password)
        arguments = [f"{user} {digest}"]
        commands = [Apop(user, digest)]
    else:
        arguments = [user, password]
        commands = [User(user), Pass(password)]
    longest = max(len(f"PASS {each}\r\n".encode()) for each in arguments)
    if longest > conn.limits.pop3_command_line:
        raise ValueError("the name or the password is longer than a line may be")
    return commands


def _prepare_utf8(conn: Connection, credentials: "sasl.Password") -> Flow[None]:
    """Say UTF8 where the name or password needs it.  RFC 6856 section 2.2.

    Raises:
        PolicyError: The server does not take UTF-8 there.
    """
    if (credentials.user + credentials.password).isascii():
        return
    offer = conn.capabilities.find(Utf8Offer)
    if offer is None or not offer.user:
        raise PolicyError("the server does not offer UTF8 with USER, which is needed")
    if not conn.utf8:
        yield from insist(conn, Utf8())


def _choose(
    conn: Connection,
    security: Security,
    credentials: "sasl.Credentials",
    negotiated: Negotiated | None,
) -> "tuple[str, sasl.Mechanism | None]":
    """Return the name of what is used, and its mechanism if it is one of AUTH.

    Raises:
        PolicyError: Nothing fits.
    """
    given = security.mechanism
    attempts: list[str | None] = [None, _USER]
    if given is not None:
        named = [given] if isinstance(given, str) else given
        attempts = [upper(name) for name in named]
    reasons = [] if attempts else ["no mechanism is named"]
    for name in attempts:
        try:
            if name in (_USER, _APOP):
                _check_plain(conn, security, credentials, name)
                return name, None
            mechanism = security.choose(
                conn.mechanisms,
                credentials,
                mechanism=name,
                tls=conn.tls,
                negotiated=negotiated,
            )
        except PolicyError as error:
            reasons.append(str(error))
        else:
            return mechanism.name, mechanism
    raise PolicyError("; ".join(reasons))


def _check_plain(
    conn: Connection, security: Security, credentials: "sasl.Credentials", name: str
) -> None:
    """Check that USER and PASS, or APOP, can be used.

    Raises:
        PolicyError: They cannot.
    """
    if not isinstance(credentials, sasl.Password):
        raise PolicyError(f"{name} takes a Password")
    if credentials.authzid:
        raise PolicyError(f"{name} cannot say as whom to act")
    if name == _APOP:
        if not conn.timestamp:
            raise PolicyError("the greeting has no time-stamp that can be trusted")
    elif not (security.hides(tls=conn.tls) or security.allow_insecure):
        raise PolicyError("USER and PASS would reveal a secret without TLS")
    elif conn.capabilities and "USER" not in conn.capabilities:
        raise PolicyError("the server does not offer USER")


class _Login(Login[Command, Response]):
    """One login with AUTH of POP3."""

    def __init__(self, conn: Connection, mechanism: "sasl.Mechanism") -> None:
        super().__init__(conn, mechanism)
        self._conn: Final = conn

    def auth(self, initial: bytes | None) -> Command:
        return Auth(self._mechanism.name, initial)

    def response(self, data: bytes | None) -> Command:
        return AuthResponse(data)

    def exchange(self, command: Command) -> Flow[Response]:
        return exchange(self._conn, command)

    def goes_on(self, answer: Response) -> bool:
        return answer.cls is MORE

    def challenge(self, answer: Response) -> bytes | None:
        return answer.data.data if isinstance(answer.data, Challenge) else None

    def refused(self, answer: Response) -> bool:
        return answer.cls is ERR

    def failure(
        self, command: Command, answer: Response, reason: Exception | None
    ) -> AuthenticationFailed:
        return AuthenticationFailed(command, answer, reason=reason)
