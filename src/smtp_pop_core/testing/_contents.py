"""What a message holds, as it travels in either protocol."""

from hypothesis import strategies as st


def contents() -> st.SearchStrategy[bytes]:
    """Draw contents of messages, with many dots; they can be sent as they are.

    Lines end with CRLF, the last perhaps without; there is no bare CR or LF.
    """
    line = st.lists(
        st.sampled_from([b".", b"..", b"a", b" "])
        | st.binary(max_size=9).map(lambda data: data.translate(None, b"\r\n")),
        max_size=4,
    ).map(b"".join)
    return st.lists(line, max_size=9).map(b"\r\n".join)
