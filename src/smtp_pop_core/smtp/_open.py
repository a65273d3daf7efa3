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
            greeting that was a no; after the others the session goes on.
        AuthenticationFailed: The login was refused.  QUIT has been said.
        PolicyError: The server does not offer what the client insists on.  QUIT has
            been said, and nothing secret was sent.
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
    except (PolicyError, AuthenticationFailed):
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
        AuthenticationFailed: The server said no, or has not proved itself.
        PolicyError: Nothing that is offered fits.  Nothing secret was sent.
    """
    credentials = security.credentials
    if credentials is None:
        raise PolicyError("there is nothing to log in with")
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
    initial = prover.initial
    command: Command = Auth(mechanism.name, initial)
    try:
        reply = yield from exchange(conn, command)
    except LocalProtocolError:  # the line would be too long: send it in two
        if initial is None:
            raise
        command = Auth(mechanism.name)
        reply = yield from exchange(conn, command)
        if reply.code == 334:
            command = AuthResponse(initial)
            reply = yield from exchange(conn, command)
    while reply.code // 100 == 3:
        command = AuthResponse(_respond(prover, reply))
        reply = yield from exchange(conn, command)
    if reply.code >= 400:
        raise AuthenticationFailed(command, reply, reason=prover.error)
    if not prover.complete:
        conn.close()
        raise AuthenticationFailed(command, reply, reason=prover.error)


def _respond(prover: sasl.ClientExchange, reply: Reply) -> bytes | None:
    """Return what is said to a challenge, None to cancel."""
    try:
        return prover.respond(decode_base64(reply.text.encode()))
    except (ParseError, sasl.ExchangeError):
        return None
