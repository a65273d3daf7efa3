"""Clients and servers on blocking sockets; a server has a thread for each session.

There is no protocol here: a driver carries out what the flows of the core ask for.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from smtp_pop_core import (
    CLIENT,
    SERVER,
    Flow,
    Limits,
    Logins,
    Security,
    Tls,
    pop3,
    sasl,
    smtp,
)

from ._clients import Pop3Client, SmtpClient
from ._driver import Driver
from ._sockets import Stream, connect, end_of, listen, own_address
from ._threads import Server
from ._tls import client_context, nonce, timestamp

__all__ = [
    "connect_smtp",
    "connect_pop3",
    "serve_smtp",
    "serve_pop3",
    "SmtpClient",
    "Pop3Client",
    "Server",
    "Driver",
    "Stream",
]

_TOLERANCES: Final = smtp.Tolerances(space_after_colon=True)
_POP3_TOLERANCES: Final = pop3.Tolerances(utf8_login=True)


def connect_smtp(
    host: str = "localhost",
    port: int = 25,
    *,
    sock: socket.socket | None = None,
    tls: Tls | str | None = None,
    context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    auth: sasl.Credentials | None = None,
    mechanism: str | Sequence[str] | None = None,
    allow_insecure_auth: bool = False,
    domain: str | None = None,
    limits: Limits | None = None,
    extensions: Iterable[smtp.Extension] | None = None,
    lmtp: bool = False,
    trace: Callable[[str], None] | None = None,
    timeout: float = 30,
) -> SmtpClient:
    """Connect to an SMTP server, hear its greeting, say EHLO, begin TLS and log in.

    Args:
        host: Its name or address; or the path of a Unix socket, which holds a "/".
        port: Its port; for a Unix socket it does not matter.
        sock: An open socket in place of host and port; it is owned from now on.
        tls: When TLS is used: "require", "opportunistic", "implicit" or "none".  None:
            "require" with `auth`, else "none".
        context: How TLS is begun.  None: certificates are checked against those that
            the system trusts, but for "opportunistic", where they are not.
        server_hostname: The name that the certificate has to have.  None: the host.
        auth: What to log in with, or None.
        mechanism: The name of the only mechanism that may be used, or names in the
            order of preference.  None: the strongest that is offered.
        allow_insecure_auth: Whether a password may be shown to those who read along.
        domain: Our own name for EHLO.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What can be used if the server offers it.  None: all that is known.
        lmtp: Whether the server speaks LMTP.  RFC 2033.
        trace: Called with each line of the dialogue, secrets replaced.
        timeout: Seconds to wait for the connection itself.

    Raises:
        OSError: There is no connection to be had, or no TLS (ssl.SSLError).
        Rejected: The server does not want us.
        AuthenticationFailed: The login was refused.
        PolicyError: The server does not offer what we insist on.
        RemoteProtocolError: It does not speak SMTP.
        ConnectionLost: It went away.
        TimeoutError: It was too slow.
    """
    security = Security(
        tls=tls,
        server_hostname=_hostname(server_hostname, host),
        port=port,
        credentials=auth,
        mechanism=mechanism,
        allow_insecure=allow_insecure_auth,
        nonce=nonce,
    )
    stream = Stream(sock or connect(host, port, timeout))
    try:
        own = smtp.own_domain(socket.gethostname(), own_address(stream.sock))
        conn = smtp.Connection(
            CLIENT,
            domain=domain or own,
            limits=limits or Limits(),
            extensions=extensions,
            lmtp=lmtp,
            tls=security.policy is Tls.IMPLICIT,
            trace=trace,
        )
        client = SmtpClient(stream, conn, context or _context(security))
        try:
            client.run(smtp.open(conn, security))
        except smtp.Rejected:
            client.quit()
            raise
    except BaseException:
        stream.close()
        raise
    return client


def connect_pop3(
    host: str = "localhost",
    port: int = 110,
    *,
    sock: socket.socket | None = None,
    tls: Tls | str | None = None,
    context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    auth: sasl.Credentials | None = None,
    mechanism: str | Sequence[str] | None = None,
    allow_insecure_auth: bool = False,
    utf8: bool = False,
    limits: Limits | None = None,
    capabilities: Iterable[pop3.Capability] | None = None,
    tolerances: pop3.Tolerances | None = None,
    trace: Callable[[str], None] | None = None,
    timeout: float = 30,
) -> Pop3Client:
    """Connect to a POP3 server, hear its greeting, begin TLS and log in.

    Args:
        host: Its name or address; or the path of a Unix socket, which holds a "/".
        port: Its port; for a Unix socket it does not matter.
        sock: An open socket in place of host and port; it is owned from now on.
        tls: As for `connect_smtp`.
        context: As for `connect_smtp`.
        server_hostname: The name that the certificate has to have.  None: the host.
        auth: What to log in with, or None: then only what needs no login can be asked.
        mechanism: As for `connect_smtp`; "USER" and "APOP" are names too.
        allow_insecure_auth: Whether a password may be shown to those who read along.
        utf8: Whether to say UTF8 before the login, if it is offered.
        limits: Every bound, deadlines included.
        capabilities: What can be used if the server offers it.  None: all known ones.
        tolerances: What is borne beyond the standard.
        trace: Called with each line of the dialogue, secrets replaced.
        timeout: Seconds to wait for the connection itself.

    Raises:
        OSError: There is no connection to be had, or no TLS (ssl.SSLError).
        Rejected: The server does not want us.
        AuthenticationFailed: The login was refused.
        PolicyError: The server does not offer what we insist on.
        RemoteProtocolError: It does not speak POP3.
        ConnectionLost: It went away.
        TimeoutError: It was too slow.
    """
    security = Security(
        tls=tls,
        server_hostname=_hostname(server_hostname, host),
        port=port,
        credentials=auth,
        mechanism=mechanism,
        allow_insecure=allow_insecure_auth,
        nonce=nonce,
    )
    stream = Stream(sock or connect(host, port, timeout))
    try:
        conn = pop3.Connection(
            CLIENT,
            limits=limits or Limits(),
            capabilities=capabilities,
            tolerances=tolerances or pop3.Tolerances(),
            tls=security.policy is Tls.IMPLICIT,
            trace=trace,
        )
        client = Pop3Client(stream, conn, context or _context(security))
        client.run(pop3.open(conn, security, utf8=utf8))
    except BaseException:
        stream.close()
        raise
    return client


def _hostname(given: str | None, host: str) -> str:
    """The name that a certificate has to have; a Unix socket has none."""
    if given is not None:
        return given
    return "" if "/" in host else host


def _context(security: Security) -> ssl.SSLContext | None:
    return None if security.policy is Tls.NONE else client_context(security.policy)


def serve_smtp(
    application: smtp.ApplicationFactory,
    host: str = "localhost",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    certificate: bytes | None = None,
    logins: Logins | None = None,
    domain: str | None = None,
    limits: Limits | None = None,
    extensions: Iterable[smtp.Extension] | None = None,
    tolerances: smtp.Tolerances = _TOLERANCES,
    profile: smtp.Profile = smtp.RELAY,
    lmtp: bool = False,
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    trace: Callable[[str], None] | None = None,
) -> Server:
    """Serve SMTP in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `smtp.Application`, or any callable that returns an instance.
        host: What to listen on; every address of the name, "" for all there are; or the
            path of a Unix socket, which holds a "/".
        port: The port, or 0 for any that is free.
        sock: A listening socket in place of host and port.  The server closes it.
        tls: How TLS is begun; then STARTTLS is offered.  None: there is no TLS.
        implicit_tls: Whether TLS begins with the first octet, as on port 465.
        certificate: Our own certificate in DER, which `ssl` does not tell: with it
            logins can be bound to the TLS channel.
        logins: What can be checked, for AUTH.  None: there is no AUTH.
        domain: Our own name.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        extensions: What is offered.  None: `smtp.usual()`, and STARTTLS with `tls`.
        tolerances: What is borne beyond the standard.
        profile: What is asked of clients beyond the protocol, as `smtp.SUBMISSION`.
        lmtp: Whether it is LMTP.  RFC 2033.
        sessions: How many sessions are served at once; further ones wait.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain is none, or implicit TLS has no context.
    """
    bounds = limits or Limits()
    if extensions is None:
        extensions = smtp.usual(size=bounds.content)
        if tls is not None:
            extensions = (*extensions, smtp.extensions.StartTls())
    offered = tuple(extensions)

    def connection(own: str) -> smtp.Connection:
        return smtp.Connection(
            SERVER,
            domain=own,
            limits=bounds,
            extensions=offered,
            tolerances=tolerances,
            profile=profile,
            lmtp=lmtp,
            tls=implicit_tls,
            trace=trace,
        )

    def session(sock: socket.socket, address: object) -> Flow[object]:
        own = domain or smtp.own_domain(socket.gethostname(), own_address(sock))
        conn = connection(own)
        return smtp.serve(conn, application, *end_of(address), logins=checked)

    checked = _checked(logins, tls, implicit_tls=implicit_tls)
    connection(domain or "localhost")  # what is wrong with it is said here and now
    return Server(
        [sock] if sock is not None else listen(host, port),
        session,
        sessions=sessions,
        report=report,
        tls=tls,
        certificate=certificate,
    )


def serve_pop3(
    application: pop3.ApplicationFactory,
    host: str = "localhost",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    certificate: bytes | None = None,
    logins: Logins | None = None,
    apop: bool = False,
    domain: str | None = None,
    limits: Limits | None = None,
    capabilities: Iterable[pop3.Capability] | None = None,
    tolerances: pop3.Tolerances = _POP3_TOLERANCES,
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    trace: Callable[[str], None] | None = None,
) -> Server:
    """Serve POP3 in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `pop3.Application`, or any callable that returns an instance.
        host: As for `serve_smtp`.
        port: The port, or 0 for any that is free.
        sock: A listening socket in place of host and port.  The server closes it.
        tls: How TLS is begun; then STLS is offered.  None: there is no TLS.
        implicit_tls: Whether TLS begins with the first octet, as on port 995.
        certificate: As for `serve_smtp`.
        logins: What can be checked.  None: USER with PASS, inside TLS.
        apop: Whether APOP is offered, which needs passwords in clear.
        domain: Our own name.  None: the host's, or its address.
        limits: Every bound, deadlines included.
        capabilities: What is offered.  None: `pop3.usual()`, and STLS with `tls`; USER
            without TLS only if `logins` allows it.
        tolerances: What is borne beyond the standard.
        sessions: How many sessions are served at once; further ones wait.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain is none, or implicit TLS has no context.
    """
    bounds = limits or Limits()
    if capabilities is None:
        needs_tls = logins is None or not logins.allow_insecure
        capabilities = (*pop3.usual(), pop3.capabilities.User(needs_tls=needs_tls))
        if tls is not None:
            capabilities = (*capabilities, pop3.capabilities.Stls())
    offered = tuple(capabilities)

    def connection(own: str) -> pop3.Connection:
        return pop3.Connection(
            SERVER,
            domain=own,
            timestamp=timestamp(own) if apop else "",
            limits=bounds,
            capabilities=offered,
            tolerances=tolerances,
            tls=implicit_tls,
            trace=trace,
        )

    def session(sock: socket.socket, address: object) -> Flow[object]:
        own = domain or smtp.own_domain(socket.gethostname(), own_address(sock))
        conn = connection(own)
        return pop3.serve(conn, application, *end_of(address), logins=checked)

    checked = _checked(logins, tls, implicit_tls=implicit_tls)
    connection(domain or "localhost")  # what is wrong with it is said here and now
    return Server(
        [sock] if sock is not None else listen(host, port),
        session,
        sessions=sessions,
        report=report,
        tls=tls,
        certificate=certificate,
    )


def _checked(
    logins: Logins | None, tls: ssl.SSLContext | None, *, implicit_tls: bool
) -> Logins | None:
    """Return the logins with a source of nonces.

    Raises:
        ValueError: TLS is to begin at once, and there is no context.
    """
    if implicit_tls and tls is None:
        raise ValueError("implicit TLS needs a context")
    return None if logins is None else replace(logins, nonce=nonce)
