"""Base64 as the authentication exchanges of both protocols need it: strict."""

from binascii import Error, a2b_base64, b2a_base64

from ._errors import ParseError


def decode_base64(text: bytes) -> bytes:
    """Read base64 without stray characters, bad padding or a second spelling.

    Raises:
        ParseError: It is not exactly what `encode_base64` writes.
    """
    try:
        data = a2b_base64(text, strict_mode=True)
    except Error as error:
        raise ParseError("not base64") from error
    if encode_base64(data) != text:  # bits that padding leaves over are not zero
        raise ParseError("not base64 in its one right spelling")
    return data


def encode_base64(data: bytes) -> bytes:
    """Write base64 in one line."""
    return b2a_base64(data, newline=False)
