"""Unique ids, time-stamps and language tags: regular expressions beside their ABNF."""

from collections.abc import Collection
from typing import Final

from .._abnf import require_str
from .._expressions import expression

# unique-id = 1*70(%x21-7E)                                     RFC 1939 section 7
UNIQUE_ID: Final = "[!-~]{1,70}"
# Tolerances.any_unique_id: neither spaces nor controls, and of any length.
ANY_UNIQUE_ID: Final = "[^\0- \x7f\ud800-\udfff]++"

# timestamp = "<" msg-id of RFC 822 ">"                         RFC 1939 section 7
# Plain ASCII without spaces, and an at sign in it: what is odd may be made to find out
# a password by collisions of MD5 (CVE-2007-1558).
_TIMESTAMP: Final = expression(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_FIRST_ANGLE: Final = expression("<[^<>]*>")

# lang-tag = a language range of RFC 5646, or "*"               RFC 6856 section 3.1
_LANGUAGE: Final = expression(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*")
_MOST_OF_TAG: Final = 100

_UNIQUE_ID: Final = expression(UNIQUE_ID)
_ANY_UNIQUE_ID: Final = expression(ANY_UNIQUE_ID)
_UNIQUE_IDS: Final = expression(r"(?:[!-~]{1,70}+\n)*+")
_ANY_UNIQUE_IDS: Final = expression(rf"(?:{ANY_UNIQUE_ID}\n)*+")


def is_unique_id(text: str, *, any_id: bool = False) -> bool:
    """Whether text is a unique id.

    Args:
        text: The id.
        any_id: Whether every word will do, of any length and any characters.
    """
    require_str("unique_id", text)
    return (_ANY_UNIQUE_ID if any_id else _UNIQUE_ID).fullmatch(text) is not None


def are_unique_ids(texts: Collection[str], *, any_id: bool = False) -> bool:
    """Whether all texts are unique ids: as `is_unique_id`, but in one go.

    Raises:
        TypeError: One of them is not a str.
    """
    together = "\n".join([*texts, ""])  # no id can hold the line end
    pattern = _ANY_UNIQUE_IDS if any_id else _UNIQUE_IDS
    found = pattern.fullmatch(together)
    return found is not None and together.count("\n") == len(texts)


def is_timestamp(text: str) -> bool:
    """Whether text is a time-stamp for APOP, with its angle brackets."""
    require_str("timestamp", text)
    return _TIMESTAMP.fullmatch(text) is not None


def find_timestamp(text: str) -> str:
    """Return the time-stamp in a greeting, "" where there is none that can be used.

    It is the first thing in angle brackets; if that is no msg-id, there is none.
    """
    found = _FIRST_ANGLE.search(text)
    return found[0] if found is not None and is_timestamp(found[0]) else ""


def is_language(text: str) -> bool:
    """Whether text is the tag of a language, or "*"."""
    require_str("tag", text)
    return len(text) <= _MOST_OF_TAG and _LANGUAGE.fullmatch(text) is not None
