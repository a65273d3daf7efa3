"""Clients and servers on blocking sockets; a server has a thread for each session.

There is no protocol here: a driver carries out what the flows of the core ask for.
"""

from __future__ import annotations  # what is only named is not loaded

import socket
from collections.abc import Callable, Iterable
from typing import Unpack

from smtp_pop_core import pop3, smtp

from ._clients import Pop3Client, SmtpClient
from ._driver import Driver
from ._options import (
    Pop3ClientOptions,
    Pop3ServerOptions,
    SmtpClientOptions,
    SmtpServerOptions,
    pop3_client,
    pop3_service,
    smtp_client,
    smtp_service,
)
from ._sockets import Stream, connect, given_or_new, own_address
from ._threads import Server

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


def connect_smtp(
    host: str = "localhost",
    port: int = 25,
    *,
    sock: socket.socket | None = None,
    timeout: float = 30,
    **options: Unpack[SmtpClientOptions],
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
    stream = Stream(sock or connect(host, port, timeout))
    try:
        start = smtp_client(host, port, own_address(stream.sock), options)
        client = SmtpClient(stream, start.connection, start.tls)
        client.run(start.opening)
    except BaseException:
        stream.close()
        raise
    return client


def connect_pop3(
    host: str = "localhost",
    port: int = 110,
    *,
    sock: socket.socket | None = None,
    timeout: float = 30,
    **options: Unpack[Pop3ClientOptions],
) -> Pop3Client:
    """Connect to a POP3 server, hear its greeting, begin TLS and log in.

    Args:
        host: As for `connect_smtp`.
        port: As for `connect_smtp`.
        sock: As for `connect_smtp`.
        timeout: As for `connect_smtp`.
        tls, context, server_hostname: As for `connect_smtp`.
        auth: What to log in with, or None: then only what needs no login can be asked.
        mechanism: As for `connect_smtp`; "USER" and "APOP" are names too.
        allow_insecure_auth: Whether a password may be shown to those who read along.
        utf8: Whether to say UTF8 before the login, if it is offered.
        limits: Every bound, deadlines included.
        capabilities: What can be used if the server offers it.  None: all known ones.
        tolerances: What is borne beyond the standard.
        trace: Called with each line of the dialogue, secrets replaced.

    Raises:
        OSError: There is no connection to be had, or no TLS (ssl.SSLError).
        Rejected: The server does not want us.
        AuthenticationFailed: The login was refused.
        PolicyError: The server does not offer what we insist on.
        RemoteProtocolError: It does not speak POP3.
        ConnectionLost: It went away.
        TimeoutError: It was too slow.
    """
    stream = Stream(sock or connect(host, port, timeout))
    try:
        start = pop3_client(host, port, options)
        client = Pop3Client(stream, start.connection, start.tls)
        client.run(start.opening)
    except BaseException:
        stream.close()
        raise
    return client


def serve_smtp(
    application: smtp.ApplicationFactory,
    host: str = "localhost",
    port: int = 0,
    *,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    **options: Unpack[SmtpServerOptions],
) -> Server:
    """Serve SMTP in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `smtp.Application`, or any callable that returns an instance.
        host: What to listen on; every address of the name, "" for all there are; or the
            path of a Unix socket, which holds a "/".
        port: The port, or 0 for any that is free.
        sock: A listening socket, or several, in place of host and port.  The server
            closes them.
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
        content_in_flight: Octets of content that all sessions together hold at once,
            as `smtp.InFlight` says; None: as many as come.
        lmtp: Whether it is LMTP.  RFC 2033.
        proxy_protocol: Networks of the proxies in front, as "127.0.0.0/8", and "unix"
            for Unix sockets: who connects from there has to begin with a PROXY header,
            which says where the client is.  None: nobody is believed.
        xclient: Networks of the proxies and filters that may use XCLIENT and XFORWARD,
            written like those of `proxy_protocol`; the others are not offered it.
            None: there is neither.
        sessions: How many sessions are served at once.  Others hear 421 and are closed,
            unless one can make room that has begun nothing, and waits for longer than
            `patience`.
        sessions_per_address: How many of them may come from one address, or one network
            of IPv6 with 64 bits; None: all.
        failed_logins_per_address: How many logins from there may fail within 600
            seconds, before nobody is let in from there for as long; None: all.
        patience: Seconds; by default 10.
        exempt: Networks that these bounds of an address do not hold for, and "unix" for
            Unix sockets; by default those, and the host itself.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain, a network or a number is none, or implicit TLS has no
            context.
    """
    service = smtp_service(application, options, sessions)
    listeners, files = given_or_new(sock, host, port)
    return Server(listeners, service, files=files, report=report)


def serve_pop3(
    application: pop3.ApplicationFactory,
    host: str = "localhost",
    port: int = 0,
    *,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    sessions: int = 200,
    report: Callable[[Exception], None] | None = None,
    **options: Unpack[Pop3ServerOptions],
) -> Server:
    """Serve POP3 in threads, until `stop` or the end of the context.

    Args:
        application: Called with a Peer for each session: a class derived from
            `pop3.Application`, or any callable that returns an instance.
        host: As for `serve_smtp`.
        port: As for `serve_smtp`.
        sock: As for `serve_smtp`.
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
        proxy_protocol: As for `serve_smtp`.
        sessions: As for `serve_smtp`; others hear -ERR.
        sessions_per_address, failed_logins_per_address: As for `serve_smtp`.
        patience, exempt: As for `serve_smtp`.
        report: Called with the mistakes of the application.  None: they are logged.
        trace: Called with each line of each dialogue, secrets replaced.

    Raises:
        OSError: The address cannot be had.
        ValueError: The domain, a network or a number is none, or implicit TLS has no
            context.
    """
    service = pop3_service(application, options, sessions)
    listeners, files = given_or_new(sock, host, port)
    return Server(listeners, service, files=files, report=report)
