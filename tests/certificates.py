"""Certificates for tests, of an authority that nobody else trusts."""

import ssl
from typing import Final

import trustme

NAME: Final = "mx.example"  # whom the server's certificate names

AUTHORITY: Final = trustme.CA()
SERVER: Final = AUTHORITY.issue_cert(NAME)
CLIENT: Final = AUTHORITY.issue_cert("alice@example.com")


def der(certificate: trustme.LeafCert) -> bytes:
    """Return a certificate as TLS carries it."""
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())


def server_context(
    certificate: trustme.LeafCert = SERVER,
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    verify: ssl.VerifyMode = ssl.CERT_NONE,
) -> ssl.SSLContext:
    """Return the context of a server.

    Args:
        certificate: What it shows.
        most: The highest version of TLS that it speaks.
        verify: Whether it asks for the client's certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    context.verify_mode = verify
    certificate.configure_cert(context)
    AUTHORITY.configure_trust(context)
    return context


def client_context(
    certificate: trustme.LeafCert | None = None,
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLContext:
    """Return the context of a client, which trusts the authority.

    Args:
        certificate: What it shows if it is asked to.
        most: The highest version of TLS that it speaks.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = most
    AUTHORITY.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context
