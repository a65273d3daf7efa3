"""Logging in over SMTP in tests: who is known, and what is said on the wire."""

import tomllib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from driving import NEGOTIATED, Expect, Say, Shake, Step, play
from serving import GREETING, Served, told
from smtp_pop_core import (
    CLIENT,
    Limits,
    Logins,
    Negotiated,
    Security,
    sasl,
    smtp,
)

CRYPTO: Final[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "data" / "crypto.toml").read_text("utf-8")
)

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


# A client, and what its server says.


BYE: Final[list[Step]] = [Expect(b"QUIT\r\n"), Say(b"221 bye\r\n")]
OK: Final = Say(b"235 2.7.0 ok\r\n")
SAYS_NO: Final = Say(b"535 5.7.8 no\r\n")
CANCELLED: Final[list[Step]] = [Expect(b"*\r\n"), Say(b"501 5.7.0 as you like\r\n")]


class Login:
    """A client inside TLS from the first octet on.

    Args:
        credentials: What it has to show.
        offer: The mechanisms of its server.
        steps: The script, from the response to EHLO on.
        negotiated: What the handshake comes to.
        limits: Those of the connection.
        options: Those of Security.

    Attributes:
        lines: The transcript.
    """

    def __init__(
        self,
        credentials: sasl.Credentials,
        offer: str,
        *steps: Step,
        negotiated: Negotiated = NEGOTIATED,
        limits: Limits | None = None,
        **options: Any,
    ) -> None:
        self.lines: list[str] = []
        self.conn = smtp.Connection(
            CLIENT,
            domain="me.example",
            limits=limits or Limits(),
            tls=True,
            trace=self.lines.append,
        )
        given: dict[str, Any] = {"tls": "implicit", "nonce": lambda: "clientnonce"}
        self.security = Security(credentials=credentials, **given | options)
        self.steps: list[Step] = [
            Shake(negotiated),
            Say(b"220 mx.example\r\n"),
            Expect(b"EHLO me.example\r\n"),
            Say(
                f"250-mx.example\r\n250-ENHANCEDSTATUSCODES\r\n250 {offer}\r\n".encode()
            ),
            *steps,
        ]

    def run(self) -> None:
        """Open the connection and log in, or raise what stands against it."""
        play(smtp.open(self.conn, self.security), *self.steps)

    def fails(self) -> smtp.AuthenticationFailed:
        """Let the login fail, and return how."""
        with pytest.raises(smtp.AuthenticationFailed) as caught:
            self.run()
        return caught.value


def scram(name: str) -> dict[str, Any]:
    """The vector with the nonces of the RFC, or the first that was computed."""
    vectors: list[dict[str, Any]] = CRYPTO["scram"]
    return next(each for each in vectors if each["mechanism"] == name)


def says_scram(name: str) -> list[Step]:
    vector = scram(name)
    return [
        Expect(f"AUTH {name} ".encode() + b64(vector["client_first"]) + b"\r\n"),
        challenged(vector["server_first"]),
        responds(vector["client_final"]),
        challenged(vector["server_final"]),
        Expect(b"\r\n"),  # not "=": that is for the AUTH line alone
    ]


PENCIL: Final = sasl.Password("user", "pencil")


def secrets_of(text: str) -> list[str]:
    """Give the secrets that a text holds, plain or as they travel."""
    message = f"\0{USER}\0{PASSWORD}"
    bearer = f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01"
    secrets = [PASSWORD, TOKEN, "pencil", "sEcReT"]
    travelling = [*secrets, message, bearer, scram("SCRAM-SHA-256")["client_final"]]
    secrets += [b64(each).decode().rstrip("=") for each in travelling]
    return [each for each in secrets if each in text]


# A server, and what its client says.


CODES: Final = (smtp.extensions.EnhancedStatusCodes(),)
ALL: Final = (
    b"SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN "
    b"ANONYMOUS"
)


def hello(mechanisms: bytes) -> list[Step]:
    offer = b"250-mx.example\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH %b\r\n" % mechanisms
    return [GREETING, Say(b"EHLO me.example\r\n"), Expect(offer)]


def serve_login(
    *steps: Step,
    application: smtp.ApplicationFactory = Knowing,
    mechanisms: bytes = ALL,
    negotiated: Negotiated = NEGOTIATED,
    **options: Any,
) -> Served:
    """Serve a client inside TLS that has said EHLO."""
    given: dict[str, Any] = {"extensions": CODES, "logins": logins(), "tls": True}
    begun = [Shake(negotiated), *hello(mechanisms)]
    return Served(application, *begun, *steps, **given | options)


def line(name: str, initial: bytes | str) -> Say:
    return Say(f"AUTH {name} ".encode() + b64(initial) + b"\r\n")


def response(data: bytes | str) -> Say:
    return Say(b64(data) + b"\r\n")


def challenge(data: bytes | str) -> Expect:
    return Expect(b"334 " + b64(data) + b"\r\n")


YES: Final = Expect(WELCOME)
NO: Final = Expect(DENIED)
