"""Logging in over SMTP in tests: who is known, and what is said on the wire."""

from base64 import b64encode
from functools import cache
from typing import Any, Final

from driving import Expect, Say, Step
from serving import told
from smtp_pop_core import Logins, Negotiated, sasl, smtp

USER: Final = "tim"
PASSWORD: Final = "tanstaaftanstaaf"  # RFC 2195 and RFC 4616 have the same
TOKEN: Final = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg"
TIM: Final = sasl.Password(USER, PASSWORD)
BINDINGS: Final = {"tls-exporter": bytes(range(32))}
BOUND: Final = Negotiated("TLSv1.3", "TLS_AES_256_GCM_SHA384", b"DER", BINDINGS)
"""What a handshake has come to with a certificate of the client, and bindings."""

PLAIN: Final = b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
WELCOME: Final = b"235 2.7.0 Authentication succeeded\r\n"
DENIED: Final = b"535 5.7.8 Authentication failed\r\n"


def b64(data: bytes | str) -> bytes:
    """Encode as a line of an exchange, without its CRLF."""
    return b64encode(data.encode() if isinstance(data, str) else data)


def challenged(challenge: bytes | str) -> Say:
    """Say a challenge."""
    return Say(b"334 " + b64(challenge) + b"\r\n")


def responds(response: bytes | str) -> Expect:
    """Expect a response."""
    return Expect(b64(response) + b"\r\n")


def logins(**options: Any) -> Logins:
    """Give what a server can check, and takes no time over."""
    given: dict[str, Any] = {
        "stored": set(sasl.Stored),
        "fake_salt_key": b"key",
        "nonce": lambda: "servernonce",
        "delay": 0,
    }
    return Logins(**given | options)


@cache
def keys(hash: str, password: str = PASSWORD) -> sasl.ScramKeys:
    return sasl.ScramKeys.derive(password, hash, b"saltsaltsalt", 4_096)


def recognise(question: sasl.Question) -> object:
    """Answer as somebody who knows tim, and him alone."""
    told.append(question)
    match question:
        case sasl.VerifyPassword(user, password, authzid):
            return authzid or user if (user, password) == (USER, PASSWORD) else None
        case sasl.FindPassword(user):
            return PASSWORD if user == USER else None
        case sasl.FindScramKeys(user, hash):
            return keys(hash) if user == USER else None
        case sasl.VerifyToken(_, token):
            return USER if token == TOKEN else None
        case sasl.VerifyExternal(authzid):
            return USER if authzid in ("", USER) else None
        case sasl.VerifyAnonymous():
            return "anonymous"
        case sasl.Authorize(_, authzid):
            return authzid
    return None


class Knowing(smtp.Application):
    """Knows tim, and notes what it was asked and who sends."""

    def authenticate(self, question: sasl.Question) -> object:
        return recognise(question)

    def mail(self, command: smtp.Mail) -> smtp.Reply | None:
        told.append(self.peer.identity)
        return None


class AsyncKnowing(smtp.AsyncApplication):
    """The same in async code."""

    async def authenticate(self, question: sasl.Question) -> object:
        return recognise(question)

    async def mail(self, command: smtp.Mail) -> smtp.Reply | None:
        told.append(self.peer.identity)
        return None


CANCELLED: Final[list[Step]] = [Expect(b"*\r\n"), Say(b"501 5.7.0 as you like\r\n")]
