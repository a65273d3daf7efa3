"""LIMITS: what a server bounds, said beforehand.  RFC 9422."""

from dataclasses import dataclass, fields
from typing import Final

from ..._expressions import expression
from ._extension import Extension

# limit-name = 1*(ALPHA / DIGIT / "-" / "_"), limit-value = 1*VCHAR without ";"
_LIMIT: Final = expression(r"([A-Za-z0-9_-]+)(?:=([!-:<-~]+))?")
_VALUE: Final = expression("[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Limits(Extension):
    """LIMITS: how much a server takes.  Each 1 to 999,999, or None.

    Attributes:
        mailmax: MAIL commands of a session, those that fail included.
        rcptmax: RCPT commands of a transaction, those that fail included.
        rcptdomainmax: Different domains of the recipients of a session.
    """

    keyword = "LIMITS"

    mailmax: int | None = None
    rcptmax: int | None = None
    rcptdomainmax: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 1 <= value <= 999_999:
                raise ValueError(f"not a limit: {field.name}={value!r}")

    def arguments(self) -> str:
        """The limits that there are."""
        return " ".join(
            f"{field.name.upper()}={value}"
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        )

    def read(self, arguments: str) -> "Limits":
        """Return the limits of the server without those unknown or malformed."""
        found = {}
        for word in arguments.split():
            limit = _LIMIT.fullmatch(word)
            if limit is None:
                raise ValueError(f"not a limit: {word!r}")
            name, value = limit[1].lower(), limit[2] or ""
            if name in _NAMES and name not in found and _VALUE.fullmatch(value):
                found[name] = int(value)
        return Limits(**found)


_NAMES: Final = frozenset(field.name for field in fields(Limits))
