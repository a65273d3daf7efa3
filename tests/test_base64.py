from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._base64 import decode_base64, encode_base64
from smtp_pop_core._errors import ParseError

BAD = [
    *(b"A", b"AA", b"AAA", b"AA=", b"A===", b"AAAAA", b"====", b"=", b"=AAA"),
    *(b"AA==AA==", b"AA== ", b" AA==", b"AA\n==", b"A A=", b"AA==\r\n", b"AA\r=="),
    *(b"AA-_", b"A*==", b"AA==\0", b"\xff\xff\xff\xff", "AA\u00aa=".encode()),
    *(b"AB==", b"AAB="),  # bits left over that are not zero
]


@given(st.binary())
def test_what_is_written_is_read_back(data: bytes) -> None:
    text = encode_base64(data)
    assert text == b64encode(data)
    assert decode_base64(text) == data


@pytest.mark.parametrize("text", BAD)
def test_there_is_one_right_spelling(text: bytes) -> None:
    with pytest.raises(ParseError, match="not base64"):
        decode_base64(text)


@given(st.binary() | st.text("AB+/= \r\n", max_size=12).map(str.encode))
def test_what_can_be_read_is_written_the_same(text: bytes) -> None:
    try:
        data = decode_base64(text)
    except ParseError:
        return
    assert encode_base64(data) == text


def test_no_octets_are_no_text() -> None:
    assert encode_base64(b"") == b""
    assert decode_base64(b"") == b""
