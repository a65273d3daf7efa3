"""The beginning of a client's conversation: greeting, EHLO, TLS and login.

What the client insists on is checked before anything is sent that is a secret, and no
answer of the server lowers it.
"""

from typing import Final

from .. import sasl  # types in quotes: a login opens its rooms
from .._abnf import is_domain_or_literal
from .._base64 import decode_base64
from .._errors import LocalProtocolError, ParseError, PolicyError
from .._flow import Flow, Negotiated
from .._proving import Login, shake_hands
from .._security import Security, Tls
from ._client import insist, quit, required
from ._commands import Auth, AuthResponse, Connect, Ehlo, Helo, Lhlo, StartTls
from ._connection import Connection
from ._exchange import exchange, receive
from ._extensions import Extensions
from ._extensions import Xclient as XclientOffer
from ._forwarding import Xclient
from ._replies import AuthenticationFailed, Command, Rejected, Reply
from ._state import State

_NO_EHLO: Final = frozenset({500, 502, 504, 550})  # RFC 5321 section 3.2
_NO_SECURITY: Final = Security()


def open(conn: Connection, security: Security = _NO_SECURITY) -> Flow[Extensions]:
    """Wait for the greeting, say EHLO, begin TLS and log in.

    It is HELO to a server that does not know EHLO, and LHLO in LMTP.  After TLS it is
    said again.

    Args:
        conn: A new connection; for `Tls.IMPLICIT` with `tls=True`.
        security: What the client insists on.  By default there is neither TLS nor a
            login.

    Returns:
        What the server offers, by keyword.

    Raises:
        Rejected: The greeting, EHLO or HELO was refused.  QUIT has been said after a
            greeting that was a no; after the others the session goes on.  Or STARTTLS
            was, by 421.
        AuthenticationFailed: The login was refused, or the server has not proved
            itself.  QUIT has been said.
        PolicyError: The server does not offer what the client insists on.  QUIT has
            been said, and nothing secret was sent.
        ValueError: The credentials cannot be used with the mechanism.  The same.
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
    if greeting.code >= 400:
        yield from quit(conn)
        raise Rejected(Connect(), greeting)
    yield from _say_hello(conn, conn.domain)
    try:
        if policy in (Tls.REQUIRE, Tls.OPPORTUNISTIC):
            negotiated = yield from _start_tls(conn, security)
        if security.credentials is not None:
            yield from log_in(conn, security, negotiated)
    except (PolicyError, AuthenticationFailed, ValueError):
        yield from quit(conn)
        raise
    return conn.extensions


def xclient(conn: Connection, command: Xclient) -> Flow[Extensions]:
    """Speak for another client from now on, and say EHLO for it.

    Once the address is said, the server mostly does not let us speak for anybody else.
    What is too long for a line is said in several.

    Args:
        conn: A connection with no open transaction.
        command: What is known of the client.  Its `helo` is what EHLO says; if there is
            none, or it is no name that may stand there, EHLO says our own.

    Returns:
        What the server offers now; nobody has logged in, unless by `login`.

    Raises:
        PolicyError: The server does not offer it, or not all of its attributes.
            Nothing was sent.
        Rejected: The server does not take it, does not want the client, or has refused
            EHLO.
    """
    offer = required(conn, XclientOffer, command)
    helo = command.helo
    named = isinstance(helo, str) and is_domain_or_literal(helo)
    for part in offer.parts(command, conn.limits.command_line):
        yield from insist(conn, part)
        yield from _say_hello(conn, str(helo) if named else conn.domain)
    return conn.extensions


def _say_hello(conn: Connection, domain: str) -> Flow[None]:
    if conn.lmtp:
        yield from insist(conn, Lhlo(domain))
        return
    reply = yield from exchange(conn, Ehlo(domain))
    if reply.code in _NO_EHLO:
        yield from insist(conn, Helo(domain))
    elif reply.code >= 400:
        raise Rejected(Ehlo(domain), reply)


def _start_tls(conn: Connection, security: Security) -> Flow[Negotiated | None]:
    required = security.policy is Tls.REQUIRE
    if "STARTTLS" not in conn.extensions:
        if required:
            raise PolicyError("TLS is required, and the server does not offer STARTTLS")
        return None
    reply = yield from exchange(conn, StartTls())
    if reply.code >= 400:
        if required:
            raise PolicyError(f"TLS is required, and the server said {reply}")
        if conn.closed:
            raise Rejected(StartTls(), reply)
        return None
    conn.begin_tls()
    negotiated = yield from shake_hands(conn, security)
    yield from _say_hello(conn, conn.domain)
    return negotiated


def log_in(
    conn: Connection, security: Security, negotiated: Negotiated | None = None
) -> Flow[None]:
    """Log in with AUTH and the strongest mechanism that fits.  RFC 4954 section 4.

    Nothing weaker is tried after a no.

    Raises:
        AuthenticationFailed: The server said no, or has not proved itself; if it said
            yes all the same, the state is CLOSED.
        PolicyError: Nothing that is offered fits, or there is no TLS where it is
            required.  Nothing secret was sent.
        ValueError: The credentials cannot be used with the mechanism.  The same.
    """
    credentials = security.shown(tls=conn.tls)
    mechanism = security.choose(
        conn.mechanisms,
        credentials,
        mechanism=security.mechanism,
        tls=conn.tls,
        negotiated=negotiated,
    )
    login = _Login(conn, mechanism)
    yield from login.carry_out(security, credentials, "smtp", negotiated)


class _Login(Login[Command, Reply]):
    """One login with AUTH of SMTP."""

    def __init__(self, conn: Connection, mechanism: "sasl.Mechanism") -> None:
        super().__init__(conn, mechanism)
        self._conn: Final = conn

    def auth(self, initial: bytes | None) -> Command:
        return Auth(self._mechanism.name, initial)

    def response(self, data: bytes | None) -> Command:
        return AuthResponse(data)

    def exchange(self, command: Command) -> Flow[Reply]:
        return exchange(self._conn, command)

    def goes_on(self, answer: Reply) -> bool:
        return answer.code // 100 == 3

    def challenge(self, answer: Reply) -> bytes | None:
        try:
            return decode_base64(answer.text.encode())
        except ParseError:
            return None

    def refused(self, answer: Reply) -> bool:
        return answer.code >= 400

    def failure(
        self, command: Command, answer: Reply, reason: Exception | None
    ) -> AuthenticationFailed:
        return AuthenticationFailed(command, answer, reason=reason)
