"""The names of mechanisms: all that the commands of a protocol need to know of SASL."""

from typing import Final

from .._expressions import expression

_NAME: Final = expression(r"[A-Z0-9_-]{1,20}")  # RFC 4422 section 3.1


def is_mechanism_name(text: str) -> bool:
    """Whether a text can be the name of a mechanism.  RFC 4422 section 3.1."""
    return _NAME.fullmatch(text) is not None
