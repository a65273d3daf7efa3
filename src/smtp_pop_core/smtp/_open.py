"""The beginning of a client's conversation: greeting, EHLO, TLS and login.

What the client insists on is checked before anything is sent that is a secret, and no
answer of the server lowers it.
"""

from typing import Final

from .. import sasl
from .._base64 import decode_base64
from .._errors import LocalProtocolError, ParseError, PolicyError
from .._flow import Ask, Deadline, Flow, Handshake, Negotiated
from .._security import Security, Tls
from ._client import insist, quit
from ._commands import Auth, AuthResponse, Connect, Ehlo, Helo, Lhlo, StartTls
from ._connection import Connection
from ._exchange import exchange, receive
from ._extensions import Extensions
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
        negotiated = yield from _shake_hands(conn, security)
    greeting = yield from receive(conn, conn.limits.timeouts.greeting)
    if greeting.code >= 400:
        yield from quit(conn)
        raise Rejected(Connect(), greeting)
    yield from _say_hello(conn)
    try:
        if policy in (Tls.REQUIRE, Tls.OPPORTUNISTIC):
            negotiated = yield from _start_tls(conn, security)
        if security.credentials is not None:
            yield from log_in(conn, security, negotiated)
    except (PolicyError, AuthenticationFailed, ValueError):
        yield from quit(conn)
        raise
    return conn.extensions


def _say_hello(conn: Connection) -> Flow[None]:
    if conn.lmtp:
        yield from insist(conn, Lhlo(conn.domain))
        return
    reply = yield from exchange(conn, Ehlo(conn.domain))
    if reply.code in _NO_EHLO:
        yield from insist(conn, Helo(conn.domain))
    elif reply.code >= 400:
        raise Rejected(Ehlo(conn.domain), reply)


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
    negotiated = yield from _shake_hands(conn, security)
    yield from _say_hello(conn)
    return negotiated


def _shake_hands(conn: Connection, security: Security) -> Flow[Negotiated]:
    try:
        yield Deadline(conn.limits.timeouts.greeting)
        negotiated: Negotiated = yield Handshake(security.server_hostname)
    except BaseException:
        conn.close()
        raise
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
    credentials = security.credentials
    if credentials is None:
        raise PolicyError("there is nothing to log in with")
    if security.policy in (Tls.REQUIRE, Tls.IMPLICIT) and not conn.tls:
        raise PolicyError("TLS is required, and there is none")
    mechanism = sasl.choose(
        conn.mechanisms,
        credentials,
        mechanism=security.mechanism,
        mechanisms=security.mechanisms,
        tls=security.hides(tls=conn.tls),
        allow_insecure=security.allow_insecure,
        bindings={} if negotiated is None else negotiated.bindings,
    )
    nonce: str = yield Ask(security.nonce)
    context = security.context(nonce, "smtp", conn.mechanisms, negotiated)
    prover = mechanism.begin(credentials, context)
    yield from _authenticate(conn, mechanism.name, prover)


def _authenticate(
    conn: Connection, mechanism: str, prover: sasl.ClientExchange
) -> Flow[None]:
    """Carry out an exchange.

    Raises:
        AuthenticationFailed: As in `log_in`.
    """
    unsaid = prover.initial
    command: Command = Auth(mechanism, unsaid)
    try:
        reply = yield from exchange(conn, command)
        unsaid = None
    except LocalProtocolError:  # the line would be too long: send it in two
        command = Auth(mechanism)
        reply = yield from exchange(conn, command)
    reason: Exception | None = None
    while reply.code // 100 == 3 and reason is None:
        try:
            command = AuthResponse(_respond(prover, reply, unsaid))
            unsaid = None
            reply = yield from exchange(conn, command)
        except (sasl.ExchangeError, LocalProtocolError) as error:
            reason = error
        except BaseException:
            conn.close()
            raise
    if reason is not None:
        command = AuthResponse(None)
        reply = yield from exchange(conn, command)
    if reply.code < 400:
        if unsaid is not None and reason is None:
            reason = sasl.ExchangeError("the server said yes before it was asked")
        if reason is None and prover.complete:
            return
        conn.close()
    raise AuthenticationFailed(command, reply, reason=reason or prover.error)


def _respond(prover: sasl.ClientExchange, reply: Reply, unsaid: bytes | None) -> bytes:
    """Return what is said to a challenge: the initial response if it is unsaid.

    Raises:
        ExchangeError: The challenge is malformed, or wrong.
    """
    try:
        challenge = decode_base64(reply.text.encode())
    except ParseError:
        raise sasl.ExchangeError("a challenge is not base64") from None
    return prover.respond(challenge) if unsaid is None else unsaid
