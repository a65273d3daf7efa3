"""DIGEST-MD5, the client's side.  RFC 2831, which RFC 6331 has made historic."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .._expressions import expression
from ._credentials import Password
from ._exchange import Client, ExchangeError, receive
from ._mechanism import ClientContext, ClientFirst, Mechanism

_CHALLENGE_LENGTH: Final = 2_048  # octets.  RFC 2831 section 2.1.1
_RESPONSE_LENGTH: Final = 4_096  # octets.  RFC 2831 section 2.1.2

# digest-challenge = 1#( directive )             a list may have empty elements and LWS
# directive        = token "=" ( token / quoted-string )              RFC 2831 section 7
_TOKEN: Final = rb"[!#$%&'*+\-.0-9A-Z^_`a-z|~]++"
_LWS: Final = rb"[ \t\r\n]*+"
_DIRECTIVE: Final = expression(
    _LWS
    + rb"(?:(%b)%b=%b(?:(%b)|" % (_TOKEN, _LWS, _LWS, _TOKEN)
    + rb'"([^"\\]*+(?:\\[\0-\x7f][^"\\]*+)*)")%b)?(?:,|\Z)' % _LWS
)
_QUOTED_PAIR: Final = expression(rb"\\(.)", re.DOTALL)
_COUNT: Final = "00000001"  # each exchange has a nonce of its own
_ONCE: Final = ("nonce", "algorithm", "qop", "stale", "maxbuf", "charset")


def digest_md5_client(credentials: Password, context: ClientContext) -> Client:
    """Answer the challenge, and check that the server knows the password too.

    Raises:
        ValueError: The context does not name the service and the host.
    """
    if not context.service or not context.host:
        raise ValueError("DIGEST-MD5 needs the names of the service and the host")
    return _client(credentials, context)


def _client(credentials: Password, context: ClientContext) -> Client:
    challenge = yield from receive(None)
    if len(challenge) >= _CHALLENGE_LENGTH:
        raise ExchangeError(f"a challenge of {_CHALLENGE_LENGTH} octets or more")
    answer = _answer(_directives(challenge), credentials, context)
    response = answer.response()
    if len(response) >= _RESPONSE_LENGTH:
        raise ExchangeError(f"a response of {_RESPONSE_LENGTH} octets or more")
    proofs = _directives((yield from receive(response))).get("rspauth", [])
    if len(proofs) != 1 or not hmac.compare_digest(proofs[0], answer.digest("")):
        raise ExchangeError("the server does not know the password")
    yield b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a response is made of.  RFC 2831 section 2.1.2.

    Attributes:
        realm: One of those offered, or None: none was.
        utf8: Whether the server has said that it knows UTF-8.  Else it is ISO 8859-1.
    """

    username: str
    realm: str | None
    password: str = field(repr=False)
    nonce: bytes
    cnonce: str
    digest_uri: str
    qop: str = "auth"
    authzid: str = ""
    utf8: bool = True

    def digest(self, method: str) -> bytes:
        """Return the response to a challenge, or, for the method "", its rspauth."""
        secret = (self.username, self.realm or "", self.password)
        a1 = hashlib.md5(b":".join(map(self._hashed, secret))).digest()
        a1 = b":".join([a1, self.nonce, self.cnonce.encode()])
        if self.authzid:
            a1 += b":" + self.authzid.encode()
        a2 = f"{method}:{self.digest_uri}"
        if self.qop != "auth":
            a2 += f":{'0' * 32}"
        middle = f"{_COUNT}:{self.cnonce}:{self.qop}".encode()
        parts = _hex(a1), self.nonce, middle, _hex(a2.encode())
        return _hex(b":".join(parts))

    def response(self) -> bytes:
        """Return the octets that are sent."""
        quoted = [("username", self._encoded(self.username))]
        if self.realm is not None:
            quoted.append(("realm", self._encoded(self.realm)))
        quoted += [("nonce", self.nonce), ("cnonce", self.cnonce.encode())]
        quoted.append(("digest-uri", self.digest_uri.encode()))
        if self.authzid:
            quoted.append(("authzid", self.authzid.encode()))
        directives = [
            *(f"{name}=".encode() + _quote(value) for name, value in quoted),
            f"nc={_COUNT},qop={self.qop}".encode(),
            b"response=" + self.digest("AUTHENTICATE"),
        ]
        if self.utf8:
            directives.append(b"charset=utf-8")
        return b",".join(directives)

    def _hashed(self, text: str) -> bytes:
        """Encode for the hash: in ISO 8859-1 whatever fits."""
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            return self._encoded(text)

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode("utf-8" if self.utf8 else "latin-1")
        except UnicodeEncodeError:
            raise ExchangeError("the server knows only ISO 8859-1") from None


def _answer(
    asked: Mapping[str, list[bytes]], credentials: Password, context: ClientContext
) -> Answer:
    """Check what a challenge asks for, and take it up.  RFC 2831 section 2.1.1."""
    for name in _ONCE:
        if len(asked.get(name, [])) > 1:
            raise ExchangeError(f"{name} is given twice")
    if "nonce" not in asked:
        raise ExchangeError("a challenge without a nonce")
    if _token(asked, "algorithm", "") != "md5-sess":
        raise ExchangeError("the algorithm is not md5-sess")
    if "auth" not in _token(asked, "qop", "auth").replace(" ", "").split(","):
        raise ExchangeError("the server wants another qop than auth")
    utf8 = "charset" in asked
    if utf8 and _token(asked, "charset", "") != "utf-8":
        raise ExchangeError("the charset is not utf-8")
    if credentials.authzid and not utf8:
        raise ExchangeError("a name to act as needs a server that knows UTF-8")
    return Answer(
        username=credentials.user,
        realm=_realm(asked.get("realm", []), context.host, utf8=utf8),
        password=credentials.password,
        nonce=asked["nonce"][0],
        cnonce=context.nonce,
        digest_uri=f"{context.service}/{context.host}",
        authzid=credentials.authzid,
        utf8=utf8,
    )


def _token(asked: Mapping[str, list[bytes]], name: str, default: str) -> str:
    values = asked.get(name)
    return values[0].decode("latin-1").lower() if values else default


def _realm(realms: list[bytes], host: str, *, utf8: bool) -> str | None:
    """Choose the realm that is called like the server, else the first."""
    try:
        names = [each.decode("utf-8" if utf8 else "latin-1") for each in realms]
    except UnicodeDecodeError:
        raise ExchangeError("a realm is not UTF-8") from None
    return host if host in names else next(iter(names), None)


def _directives(message: bytes) -> Mapping[str, list[bytes]]:
    """Read a list of directives: the names in lower case, and their values."""
    found: dict[str, list[bytes]] = {}
    position = 0
    while position < len(message):
        match = _DIRECTIVE.match(message, position)
        if match is None:
            raise ExchangeError("not a list of directives")
        name, token, quoted = match.groups()
        if name is not None:
            value = token if quoted is None else _QUOTED_PAIR.sub(rb"\1", quoted)
            found.setdefault(name.decode().lower(), []).append(value)
        position = match.end()
    return found


def _quote(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def _hex(data: bytes) -> bytes:
    return hashlib.md5(data).hexdigest().encode()


DIGEST_MD5: Final = Mechanism(
    name="DIGEST-MD5",
    client=digest_md5_client,
    credentials=Password,
    first=ClientFirst.NO,
    has_authzid=True,
    obsolete=True,
)
