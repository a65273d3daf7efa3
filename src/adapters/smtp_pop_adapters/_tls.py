"""TLS of the adapters: contexts, and what a handshake has come to."""

import os
import secrets
import ssl
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from smtp_pop_core import Negotiated, Tls, sasl

_NONCE: Final = 24  # octets of randomness
_Trusted: TypeAlias = tuple[tuple[str, int, int, int], ...]


def nonce() -> str:
    """Return a fresh random text for a login."""
    return secrets.token_urlsafe(_NONCE)


def timestamp(domain: str) -> str:
    """Return a fresh time-stamp for APOP.

    Some clients take none with an address literal in it.
    """
    host = "localhost" if domain.startswith("[") else domain
    return f"<{secrets.token_hex(_NONCE)}@{host}>"


def client_context(policy: Tls) -> ssl.SSLContext:
    """Return a new context for a client that has not brought one.

    The server's certificate is checked, but for OPPORTUNISTIC: the only other answer to
    a wrong one would be to go on without TLS, which is worse.
    """
    context = ssl.create_default_context()
    if policy is Tls.OPPORTUNISTIC:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def shared_context(policy: Tls) -> ssl.SSLContext:
    """Return the same, but one for all clients, which nobody may change.

    To read the certificates that the system trusts takes 25 ms, a hundred times what
    all else of a connection takes.  They are read again when their files have changed.
    """
    if sys.platform == "win32":  # they are in no file
        return client_context(policy)
    return _shared_context(policy, _trusted())


@lru_cache(maxsize=len(Tls))
def _shared_context(policy: Tls, trusted: _Trusted) -> ssl.SSLContext:
    """Return the context for a state of the files."""
    return client_context(policy)


def _trusted() -> _Trusted:
    """Return what tells a state of the files from others."""
    paths = ssl.get_default_verify_paths()
    found = [each for each in (paths.cafile, paths.capath) if each]
    states = [(each, os.stat(each)) for each in found]
    return tuple(
        (each, state.st_ino, state.st_size, state.st_mtime_ns) for each, state in states
    )


def first_certificate(pem: str) -> bytes:
    """Return in DER the first certificate of a PEM file, which is the server's own.

    Raises:
        ValueError: There is none.
    """
    _, begin, rest = pem.partition(ssl.PEM_HEADER)
    body, end, _ = rest.partition(ssl.PEM_FOOTER)
    if not (begin and end):
        raise ValueError("there is no certificate")
    return ssl.PEM_cert_to_DER_cert(begin + body + end)


def negotiated(
    tls: ssl.SSLSocket | ssl.SSLObject, certificate: bytes | None
) -> Negotiated:
    """Say what a handshake has come to.

    Args:
        tls: The connection.
        certificate: For a server, its own certificate in DER, or None.
    """
    cipher = tls.cipher()
    peer = tls.getpeercert(binary_form=True)
    return Negotiated(
        version=tls.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate=peer,
        bindings=_bindings(tls, certificate if tls.server_side else peer),
    )


def _bindings(
    tls: ssl.SSLSocket | ssl.SSLObject, of_server: bytes | None
) -> Mapping[str, bytes]:
    """The channel bindings that there are.

    Above TLS 1.2 `ssl` has a value for tls-unique too, which has no meaning there.
    """
    found = {}
    if tls.version() in ("TLSv1", "TLSv1.1", "TLSv1.2"):
        found["tls-unique"] = tls.get_channel_binding("tls-unique")
    if of_server is not None:
        found["tls-server-end-point"] = sasl.tls_server_end_point(of_server)
    return {name: data for name, data in found.items() if data}
