"""Other protocols on our port: by mistake, or because a browser was made to speak.

A page can have a browser send a form to any port, with our commands in its body.  So
whoever begins another protocol is told once, and nothing that follows is read.  Only
what is no command of ours is looked at here, so none can be taken for something else.
"""

from typing import Final

from ._expressions import expression

_METHODS: Final = expression(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI|PROPFIND) "
)
"""What HTTP requests begin with.  RFC 9110 section 9, RFC 9113 section 3.4."""
_REQUEST: Final = expression(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ +[^\0- \x7f]+ +(HTTP|SIP|RTSP|ICAP)/[0-9.]+ *"
)
"""A whole request line: method, target, version.  RFC 9112 section 3."""
_START: Final = expression(rb"\x16\x03|[\x80-\xff][\0-\xff]\x01[\0\x03]|SSH-")
"""A ClientHello of TLS or SSL 3.0, one of SSL 2.0, and SSH: RFC 4253 section 4.2."""


def foreign_start(octets: bytes) -> bytes:
    """Return the octets at the beginning that show TLS or SSH, and no command of ours.

    Their line may never end.

    Args:
        octets: The beginning of a line; four are enough.

    Returns:
        Two or four octets, however many there are; b"" for none, or too few to tell.
    """
    found = _START.match(octets)
    return b"" if found is None else found[0]


def foreign_protocol(line: bytes) -> str:
    """Name the protocol that a line belongs to which is no command of ours.

    Args:
        line: The line without its CRLF, or the beginning of one that is too long.

    Returns:
        "HTTP", "SIP", "RTSP", "ICAP", "SSH" or "TLS"; "" for none of these.
    """
    request = _REQUEST.fullmatch(line)
    if request is not None:
        return request[1].decode("ascii")
    if _METHODS.match(line):
        return "HTTP"
    if not foreign_start(line):
        return ""
    return "SSH" if line.startswith(b"SSH-") else "TLS"
