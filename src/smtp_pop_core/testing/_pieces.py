"""Octets as a network brings them."""

from itertools import pairwise

from hypothesis import strategies as st


def pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Draw a list of pieces that join to data.

    No piece is empty, so that none of them says that the peer has ended; of b"" there
    are no pieces.
    """
    if not data:
        return st.just([])
    return st.sets(st.integers(1, len(data))).map(
        lambda cuts: [
            data[begin:end] for begin, end in pairwise(sorted({0, *cuts, len(data)}))
        ]
    )
