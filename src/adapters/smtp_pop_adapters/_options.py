"""What the adapters share that is no I/O: their options, and what is made of them."""

from __future__ import annotations  # what is only named is not loaded

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, TypedDict, TypeVar

from smtp_pop_core import (
    CLIENT,
    SERVER,
    Flow,
    Gate,
    Limits,
    Logins,
    Networks,
    Refusal,
    Security,
    Tls,
    pop3,
    sasl,
    smtp,
)

from ._admission import Terms
from ._tls import nonce, shared_context, timestamp

_Trace: TypeAlias = Callable[[str], None] | None
C = TypeVar("C", "smtp.Connection", "pop3.Connection")

_LIMITS: Final = Limits()


class _ClientOptions(TypedDict, total=False):
    tls: Tls | str | None
    context: ssl.SSLContext | None
    server_hostname: str | None
    auth: sasl.Credentials | None
    mechanism: str | Sequence[str] | None
    allow_insecure_auth: bool
    limits: Limits | None
    trace: Callable[[str], None] | None


class SmtpClientOptions(_ClientOptions, total=False):
    """The options of `connect_smtp`."""

    domain: str | None
    extensions: Iterable[smtp.Extension] | None
    lmtp: bool


class Pop3ClientOptions(_ClientOptions, total=False):
    """The options of `connect_pop3`."""

    utf8: bool
    capabilities: Iterable[pop3.Capability] | None
    tolerances: pop3.Tolerances | None


class _ServerOptions(TypedDict, total=False):
    tls: ssl.SSLContext | None
    implicit_tls: bool
    certificate: bytes | None
    logins: Logins | None
    domain: str | None
    limits: Limits | None
    proxy_protocol: Iterable[str | IPv4Network | IPv6Network] | None
    sessions_per_address: int | None
    failed_logins_per_address: int | None
    patience: float
    exempt: Iterable[str | IPv4Network | IPv6Network]
    trace: Callable[[str], None] | None


class SmtpServerOptions(_ServerOptions, total=False):
    """The options of `serve_smtp`."""

    extensions: Iterable[smtp.Extension] | None
    tolerances: smtp.Tolerances
    profile: smtp.Profile
    content_in_flight: int | None
    lmtp: bool
    xclient: Iterable[str | IPv4Network | IPv6Network] | None


class Pop3ServerOptions(_ServerOptions, total=False):
    """The options of `serve_pop3`."""

    apop: bool
    capabilities: Iterable[pop3.Capability] | None
    tolerances: pop3.Tolerances


class Start(Generic[C]):
    """A client that has not begun.

    Attributes:
        connection: Its connection.
        opening: The flow that begins: hello, TLS, login.
        tls: How TLS is begun, or None.
    """

    def __init__(
        self, connection: C, opening: Flow[object], tls: ssl.SSLContext | None
    ) -> None:
        self.connection: Final[C] = connection
        self.opening: Final = opening
        self.tls: Final = tls


class Service:
    """What a server does with those who connect.

    Attributes:
        session: Called with our own address, where a client comes from, address and
            port, what names the session in the log, and the door of the server; gives
            the flow that serves it.
        tls: How TLS is begun, or None.
        certificate: Our own certificate in DER, or None.
        terms: Who is let in.
        refusals: What others are told, b"" for nothing.
        speakers: Networks of those who say where a client is.
    """

    def __init__(
        self,
        session: Callable[[str, tuple[str, int], str, Gate], Flow[object]],
        tls: ssl.SSLContext | None,
        certificate: bytes | None,
        terms: Terms,
        refusals: Mapping[Refusal, bytes] = MappingProxyType({}),
        speakers: Sequence[Networks] = (),
    ) -> None:
        self.session: Final = session
        self.tls: Final = tls
        self.certificate: Final = certificate
        self.terms: Final = terms
        self.refusals: Final = refusals
        self.speakers: Final = speakers

    def refusal(self, why: Refusal) -> bytes:
        """Return what a client is told that is not served."""
        return self.refusals.get(why, b"")

    def origin(self, peer: tuple[str, int]) -> str | None:
        """Return the address of a client; None if others speak for it."""
        address, _ = peer
        spoken = any(address in networks for networks in self.speakers)
        return None if spoken else address


def smtp_client(
    host: str, port: int, own_address: str, options: SmtpClientOptions
) -> Start[smtp.Connection]:
    """Make a client of SMTP.

    Raises:
        ValueError: An option is none.
        TypeError: There is no option of that name.
    """
    _check_names(options, SmtpClientOptions)
    security = _security(host, port, options)
    conn = smtp.Connection(
        CLIENT,
        domain=options.get("domain") or _own_name(own_address),
        limits=options.get("limits") or _LIMITS,
        extensions=options.get("extensions"),
        lmtp=options.get("lmtp", False),
        tls=security.policy is Tls.IMPLICIT,
        trace=options.get("trace"),
    )

    def opening() -> Flow[None]:
        try:
            yield from smtp.open(conn, security)
        except smtp.Rejected:
            yield from smtp.quit(conn)
            raise

    return Start(conn, opening(), _context(security, options))


def pop3_client(
    host: str, port: int, options: Pop3ClientOptions
) -> Start[pop3.Connection]:
    """Make a client of POP3.

    Raises:
        ValueError: An option is none.
        TypeError: There is no option of that name.
    """
    _check_names(options, Pop3ClientOptions)
    security = _security(host, port, options)
    conn = pop3.Connection(
        CLIENT,
        limits=options.get("limits") or _LIMITS,
        capabilities=options.get("capabilities"),
        tolerances=options.get("tolerances") or pop3.Tolerances(),
        tls=security.policy is Tls.IMPLICIT,
        trace=options.get("trace"),
    )
    opening = pop3.open(conn, security, utf8=options.get("utf8", False))
    return Start(conn, opening, _context(security, options))


def _security(host: str, port: int, options: _ClientOptions) -> Security:
    hostname = options.get("server_hostname")
    if hostname is None:  # a Unix socket has none
        hostname = "" if "/" in host else host
    return Security(
        tls=options.get("tls"),
        server_hostname=hostname,
        port=port,
        credentials=options.get("auth"),
        mechanism=options.get("mechanism"),
        allow_insecure=options.get("allow_insecure_auth", False),
        nonce=nonce,
    )


def _context(security: Security, options: _ClientOptions) -> ssl.SSLContext | None:
    if security.policy is Tls.NONE:
        return None
    return options.get("context") or shared_context(security.policy)


def smtp_service(
    application: smtp.ApplicationFactory, options: SmtpServerOptions, sessions: int
) -> Service:
    """Make a server of SMTP.

    Args:
        application: What decides.
        options: All others.
        sessions: How many are served at once.

    Raises:
        ValueError: The domain, a network or a number is none, or implicit TLS has no
            context.
        TypeError: There is no option of that name.
    """
    _check_names(options, SmtpServerOptions)
    limits = options.get("limits") or _LIMITS
    tls, implicit = _check_tls(options)
    logins = _logins(options)
    proxies = Networks(options.get("proxy_protocol"))
    extensions = options.get("extensions")
    if extensions is None:
        extensions = smtp.usual(size=limits.content)
        if tls is not None:
            extensions = (*extensions, smtp.extensions.StartTls())
    offered = tuple(extensions)
    bound = options.get("content_in_flight")
    if bound is not None and limits.content is not None and bound < limits.content:
        raise ValueError("content_in_flight is below what one message may have")
    in_flight = None if bound is None else smtp.InFlight(bound)
    trusted = Networks(options.get("xclient"))
    if options.get("xclient") is not None:
        given = {each.keyword for each in offered}
        forwarding = (smtp.extensions.Xclient(), smtp.extensions.Xforward())
        offered += tuple(each for each in forwarding if each.keyword not in given)

    tolerances = options.get("tolerances") or smtp.Tolerances(space_after_colon=True)
    trace = options.get("trace")
    serve = smtp.serve  # its rooms are opened now, and not by the first client

    def connection(domain: str, trace: _Trace = None) -> smtp.Connection:
        return smtp.Connection(
            SERVER,
            domain=domain,
            limits=limits,
            extensions=offered,
            tolerances=tolerances,
            profile=options.get("profile", smtp.RELAY),
            lmtp=options.get("lmtp", False),
            tls=implicit,
            trace=trace,
        )

    def session(
        own_address: str, peer: tuple[str, int], name: str, gate: Gate
    ) -> Flow[object]:
        conn = connection(options.get("domain") or _own_name(own_address), trace)
        proxied = peer[0] in proxies
        return serve(
            conn,
            application,
            *peer,
            logins=logins,
            proxied=proxied,
            trusted=trusted,
            gate=gate,
            session=name,
            in_flight=in_flight,
        )

    domain = options.get("domain") or _own_name("")
    return Service(
        session,
        tls,
        options.get("certificate"),
        _terms(sessions, options),
        {each: smtp.refuse(connection(domain), each) for each in Refusal},
        (proxies, trusted),
    )


def pop3_service(
    application: pop3.ApplicationFactory, options: Pop3ServerOptions, sessions: int
) -> Service:
    """Make a server of POP3.

    Args:
        application: What decides.
        options: All others.
        sessions: How many are served at once.

    Raises:
        ValueError: The domain, a network or a number is none, or implicit TLS has no
            context.
        TypeError: There is no option of that name.
    """
    _check_names(options, Pop3ServerOptions)
    limits = options.get("limits") or _LIMITS
    tls, implicit = _check_tls(options)
    logins = _logins(options)
    proxies = Networks(options.get("proxy_protocol"))
    capabilities = options.get("capabilities")
    if capabilities is None:
        needs_tls = logins is None or not logins.allow_insecure
        capabilities = (*pop3.usual(), pop3.capabilities.User(needs_tls=needs_tls))
        if tls is not None:
            capabilities = (*capabilities, pop3.capabilities.Stls())
    offered = tuple(capabilities)

    tolerances = options.get("tolerances") or pop3.Tolerances(utf8_login=True)
    trace = options.get("trace")
    serve = pop3.serve  # its rooms are opened now, and not by the first client

    def connection(domain: str, trace: _Trace = None) -> pop3.Connection:
        return pop3.Connection(
            SERVER,
            domain=domain,
            timestamp=timestamp(domain) if options.get("apop") else "",
            limits=limits,
            capabilities=offered,
            tolerances=tolerances,
            tls=implicit,
            trace=trace,
        )

    def session(
        own_address: str, peer: tuple[str, int], name: str, gate: Gate
    ) -> Flow[object]:
        conn = connection(options.get("domain") or _own_name(own_address), trace)
        proxied = peer[0] in proxies
        return serve(
            conn,
            application,
            *peer,
            logins=logins,
            proxied=proxied,
            gate=gate,
            session=name,
        )

    domain = options.get("domain") or _own_name("")
    return Service(
        session,
        tls,
        options.get("certificate"),
        _terms(sessions, options),
        {each: pop3.refuse(connection(domain), each) for each in Refusal},
        (proxies,),
    )


def _check_names(options: Mapping[str, object], known: type) -> None:
    """Refuse a name that is misspelled: it may have been for more security.

    Raises:
        TypeError: There is no option of that name.
    """
    names = vars(known)["__optional_keys__"]  # all are
    for name in options:
        if name not in names:
            raise TypeError(f"there is no option {name!r}")


def _own_name(own_address: str) -> str:
    return smtp.own_domain(socket.gethostname(), own_address)


def _check_tls(options: _ServerOptions) -> tuple[ssl.SSLContext | None, bool]:
    tls, implicit = options.get("tls"), options.get("implicit_tls", False)
    if implicit and tls is None:
        raise ValueError("implicit TLS needs a context")
    return tls, implicit


def _terms(sessions: int, options: _ServerOptions) -> Terms:
    names = ("sessions_per_address", "failed_logins_per_address", "patience")
    given: dict[str, Any] = {**options}
    chosen = {name: given[name] for name in names if name in given}
    if "exempt" in given:
        chosen["exempt"] = Networks(given["exempt"])
    return Terms(sessions, **chosen)


def _logins(options: _ServerOptions) -> Logins | None:
    from dataclasses import replace  # it takes 10 ms, and is for servers

    logins = options.get("logins")
    return None if logins is None else replace(logins, nonce=nonce)
