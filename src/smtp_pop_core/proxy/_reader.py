"""Octets in, a Header out."""

from .._errors import (
    ConnectionLost,
    LocalProtocolError,
    ParseError,
    RemoteProtocolError,
)
from ._codec import decode_header, least_missing, measure
from ._header import Header


class HeaderReader:
    """Reads the header with which a connection begins, of either version.

    Nothing is sent and nothing else is read before it is there.  Give it a deadline of
    3 seconds or more.

    Args:
        limit: The most octets that version 2 may have behind its first 16, up to the
            65,535 that it can say.  Over it: RemoteProtocolError, before they come.
            Version 1 has 107 octets with its CRLF at most.

    Raises:
        ValueError: The limit is below the 216 octets of two Unix sockets.
    """

    __slots__ = ("_data", "_ended", "_limit", "_size")

    def __init__(self, *, limit: int = 65_535) -> None:
        if limit < 216:
            raise ValueError("limit must be at least 216")
        self._data = bytearray()
        self._ended = False
        self._limit = limit
        self._size: int | None = None  # of the header, once that is known

    def feed(self, data: bytes) -> Header | None:
        """Take what has arrived.

        Args:
            data: The octets; b"" is end of file.

        Returns:
            The header, once it is whole; before, None.

        Raises:
            RemoteProtocolError: It is not a header, or not a sound one.  Close the
                connection without a word.
            ConnectionLost: The peer ended before its header did.
            LocalProtocolError: The header was given, or refused.  What belongs to the
                conversation does not belong here.
        """
        if self._ended:
            raise LocalProtocolError("the header has been read")
        if not data:
            self._ended = True
            raise ConnectionLost("the connection ended before its header did")
        self._data += data
        try:
            header = self._take()
        except ParseError as error:
            self._ended = True
            line = bytes(self._data[:512])
            raise RemoteProtocolError(str(error), line=line) from error
        self._ended = header is not None
        return header

    @property
    def wanted(self) -> int:
        """How many octets can be read now, so that all of them are the header's.

        1 or more until it is whole, then 0.  Who never reads more at once leaves all
        that is behind the header unread: a ClientHello of TLS, for one.
        """
        if self._ended:
            return 0
        if self._size is None:
            return least_missing(self._data)
        return self._size - len(self._data)

    @property
    def trailing_data(self) -> bytes:
        """What has arrived behind the header, or instead of one."""
        return bytes(self._data)

    def _take(self) -> Header | None:
        self._size = size = measure(self._data, self._limit)
        if size is None or len(self._data) < size:
            return None
        header = decode_header(bytes(self._data[:size]))
        del self._data[:size]
        return header
