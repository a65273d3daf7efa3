"""TLS for adapters that read and write octets themselves."""

import contextlib
import ssl
from typing import Final

from smtp_pop_core import Negotiated

from ._tls import negotiated

_CHUNK: Final = 65_536  # octets of one read


class Tls:
    """One side of TLS: octets of the wire in and out, and what is inside of them.

    Args:
        context: How TLS is begun.
        server_hostname: For a client, whose certificate is expected, "" where that does
            not matter; None for a server.

    Raises:
        ValueError: The context cannot do without a name.
    """

    def __init__(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        if server_hostname == "" and context.check_hostname:  # `ssl` would not check it
            raise ValueError("check_hostname requires server_hostname")
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname or None,
        )

    def feed(self, octets: bytes) -> None:
        """Take note of what has arrived on the wire; b"" is its end."""
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        """Return what has to be sent on the wire now."""
        return self._outgoing.read()

    def shake_hands(self, certificate: bytes | None) -> Negotiated | None:
        """Go on with the handshake, and say what it has come to, None until then.

        Args:
            certificate: For a server, its own certificate in DER, or None.

        Raises:
            ssl.SSLError: There is no agreement, or the certificate is not good.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return None
        return negotiated(self._tls, certificate)

    def open(self, most: int | None = None) -> bytes | None:
        """Return what the peer says next, b"" at its end, None if that is not here.

        Args:
            most: How many octets at most; None: as many as there are.
        """
        try:
            return self._tls.read(_CHUNK if most is None else most)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError:  # the end came without close_notify, or is no TLS
            return b""

    def seal(self, data: memoryview) -> bytes | None:
        """Return the octets to send for data, None if no more can be said."""
        try:
            self._tls.write(data)
        except ssl.SSLError:
            return None
        return self.to_send()

    def end(self) -> bytes:
        """Return what tells the peer that TLS ends; its answer is not awaited."""
        # said already, or there is nothing to be ended
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()
        return self.to_send()
