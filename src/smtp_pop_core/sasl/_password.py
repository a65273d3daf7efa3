"""Passwords that come without a mechanism: POP3's USER with PASS, and APOP.

They ask the same questions as the mechanisms.
"""

import hashlib
import hmac
from collections.abc import Generator
from typing import TypeAlias

from ._exchange import Denied, Success, ask_identity, ask_secret
from ._prepare import prepare
from ._questions import FindPassword, Question, VerifyPassword

Check: TypeAlias = Generator[Question, object, Success]
"""A server's side that needs no challenge."""


def check_password(user: str, password: str, authzid: str = "") -> Check:
    """Check a name and a password that a client has sent in clear.

    Raises:
        Denied: They are wrong, or cannot be prepared with SASLprep.
    """
    user, password = prepare_or_deny(user), prepare_or_deny(password)
    authzid = prepare_optional(authzid)
    if authzid == user:
        authzid = ""
    question = VerifyPassword(user, password, authzid)
    return Success((yield from ask_identity(question)), user)


def apop_digest(timestamp: str, password: str) -> str:
    """Return the digest of APOP: 32 lower-case hexadecimal digits.  RFC 1939.

    Args:
        timestamp: From the greeting, with its angle brackets.
        password: As it was typed.

    Raises:
        ValueError: The password cannot be prepared with SASLprep.
    """
    return hashlib.md5((timestamp + prepare(password)).encode()).hexdigest()


def check_apop(timestamp: str, user: str, digest: str) -> Check:
    """Check the digest that a client has sent with APOP.

    Raises:
        Denied: It is wrong.
    """
    user = prepare_or_deny(user)
    password = yield from find_password(user)
    right = apop_digest(timestamp, password or "?").encode()
    same = hmac.compare_digest(right, digest.encode())
    if password is None or not same:
        raise Denied
    return Success(user, user)


def find_password(user: str) -> Generator[Question, object, str | None]:
    """Ask for a password in clear and prepare it; None if there is none."""
    password = yield from ask_secret(FindPassword(user), str)
    try:
        return None if password is None else prepare(password)
    except ValueError:
        return None  # no client could send it


def prepare_or_deny(text: str) -> str:
    """Prepare a name or password of a client.

    Raises:
        Denied: It cannot be prepared.  RFC 4616 section 2.
    """
    try:
        return prepare(text)
    except ValueError:
        raise Denied from None


def prepare_optional(name: str) -> str:
    """Prepare the name that a client wants to act as, "" where it has given none.

    Raises:
        Denied: It cannot be prepared, or nothing is left.  RFC 4954 section 4.
    """
    return prepare_or_deny(name) if name else ""
