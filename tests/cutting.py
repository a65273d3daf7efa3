"""Ways of cutting octets into pieces.  No piece is empty; no octets, no piece."""

from collections.abc import Iterator

from hypothesis import strategies as st


def octets(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 1] for at in range(len(data)))


def every_cut(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """Give the whole, then single octets, then every way of cutting it in two."""
    yield (data,) if data else ()
    yield octets(data)
    for at in range(1, len(data)):
        yield data[:at], data[at:]


def pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Draw a list of pieces that join to data."""
    if len(data) < 2:
        return st.just(list(octets(data)))
    cuts = st.sets(st.integers(1, len(data) - 1)).map(sorted)
    return cuts.map(
        lambda at: [
            data[begin:end]
            for begin, end in zip([0, *at], [*at, len(data)], strict=True)
        ]
    )
