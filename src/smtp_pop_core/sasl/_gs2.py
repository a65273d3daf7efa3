"""Names as GS2 writes them: a comma as =2C, an equals sign as =3D.  RFC 5801."""

from typing import Final

# saslname = 1*( value-safe-char / "=2C" / "=3D" )              RFC 5802 section 7
SASLNAME: Final = r"(?:[^\0,=]|=2C|=3D)+"


def escape(name: str) -> str:
    """Write a name so that it may stand between commas."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape(name: str) -> str:
    """Read a name that matches SASLNAME."""
    return name.replace("=2C", ",").replace("=3D", "=")
