"""SASLprep: one spelling for names and passwords that can be typed in several.

RFC 4013, with the tables of Unicode 3.2 that it asks for.  A text may be a password:
no message of an exception here says anything about it.
"""

import stringprep
from typing import Final
from unicodedata import ucd_3_2_0

# RFC 4013 section 2.3.
_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)

# RFC 4505 section 3.
_PROHIBITED_IN_TRACE: Final = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, stored: bool = False) -> str:
    """Prepare a name or password for comparison.  RFC 4013.

    Args:
        text: As it was typed.
        stored: Whether it is to be kept.  Then it must not hold characters that Unicode
            3.2 does not know: how they compare may change.  RFC 4013 section 2.5.

    Returns:
        The prepared text.  It may be "", which never stands for a user or a password.

    Raises:
        ValueError: It holds characters that are prohibited, or mixes directions.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in text
        if not stringprep.in_table_b1(each)  # first: U+200B is in both tables
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(is_in(each) for is_in in _PROHIBITED for each in prepared):
        raise ValueError("a character is prohibited by SASLprep")
    if not _has_one_direction(prepared):
        raise ValueError("directions are mixed, which SASLprep prohibits")
    if stored and any(map(stringprep.in_table_a1, prepared)):
        raise ValueError("a character is not in Unicode 3.2, as SASLprep wants")
    return prepared


def prepare(text: str, *, stored: bool = False) -> str:
    """Prepare a text that must not be empty.

    Raises:
        ValueError: It cannot be prepared, or nothing is left of it.
    """
    prepared = saslprep(text, stored=stored)
    if not prepared:
        raise ValueError("nothing is left after SASLprep")
    return prepared


def is_trace(text: str) -> bool:
    """Whether a text is "", an e-mail address or a token of 255 characters at most.

    RFC 4505 section 2, with the profile of section 3.
    """
    local, at, domain = text.partition("@")
    return (
        len(text) <= 255
        and (not at or bool(local and domain and "@" not in domain))
        and not any(is_in(each) for is_in in _PROHIBITED_IN_TRACE for each in text)
        and _has_one_direction(text)
    )


def _has_one_direction(text: str) -> bool:
    """Whether the rules for text from right to left hold.  RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    return (
        stringprep.in_table_d1(text[0])
        and stringprep.in_table_d1(text[-1])
        and not any(map(stringprep.in_table_d2, text))
    )
