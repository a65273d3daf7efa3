"""A header of the PROXY protocol is read, and the octets behind it are left alone.

The same octets give the same header or the same refusal, however they are cut, and also
to who reads no more of them than is wanted.  A header can be written, and reads equal.
"""

from dataclasses import dataclass
from typing import Final

from fuzz.cuts import take_apart
from smtp_pop_core import ConnectionLost, RemoteProtocolError
from smtp_pop_core.proxy import Header, HeaderReader, write_header

_LEAST: Final = 216  # the lowest limit that there is
_MOST: Final = 65_535


@dataclass(frozen=True, slots=True)
class _Read:
    """What has come of the octets.

    Attributes:
        header: The header, or None.
        refusal: Why there is none; "" if it is not whole.
        behind: What is left behind the header; b"" without one.
    """

    header: Header | None
    refusal: str
    behind: bytes


def one_input(data: bytes) -> None:
    given = take_apart(data)
    limit = _LEAST if given.choice & 1 else _MOST
    first, *others = [_read(limit, cut) for cut in given.cuts]
    for other in [*others, _read_what_is_wanted(limit, given.body)]:
        assert other == first, f"cut otherwise: {other} and not {first}"
    if first.header is not None:
        wire = write_header(first.header)
        assert HeaderReader().feed(wire) == first.header


def _read(limit: int, cut: tuple[bytes, ...]) -> _Read:
    reader = HeaderReader(limit=limit)
    for at, piece in enumerate(cut):
        try:
            header = reader.feed(piece)
        except RemoteProtocolError as error:
            return _Read(None, str(error), b"")
        if header is not None:
            behind = reader.trailing_data + b"".join(cut[at + 1 :])
            return _Read(header, "", behind)
    return _end(reader, b"".join(cut))


def _read_what_is_wanted(limit: int, body: bytes) -> _Read:
    reader = HeaderReader(limit=limit)
    at = 0
    while at < len(body):
        wanted = reader.wanted
        assert wanted >= 1
        try:
            header = reader.feed(body[at : at + wanted])
        except RemoteProtocolError as error:
            return _Read(None, str(error), b"")
        at += wanted
        if header is not None:
            assert not reader.trailing_data
            assert reader.wanted == 0
            return _Read(header, "", body[at:])
    return _end(reader, body)


def _end(reader: HeaderReader, taken: bytes) -> _Read:
    """See that the end of the peer in its header is the end of it."""
    assert reader.trailing_data == taken
    try:
        reader.feed(b"")
    except ConnectionLost:
        return _Read(None, "", b"")
    raise AssertionError("there is a header that has not come")
