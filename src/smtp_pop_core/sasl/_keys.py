"""What a server stores of a password, so that it need not keep the password.

`ScramKeys` let a user in by SCRAM with one hash, and by a password in clear.
`PasswordHash` is scrypt: stronger against who steals it, and only good for a password
in clear.  Both are one line of text, by `str()` and `parse()`.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from .._base64 import decode_base64, encode_base64
from .._expressions import expression
from ._iterations import DEFAULT_ITERATIONS, LEAST_ITERATIONS
from ._prepare import prepare

HASHES: Final = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
"""The hashes of SCRAM, and their names in hashlib."""

FAKE_SALT_LENGTH: Final = 16
"""Octets."""

_SALT: Final = range(1, 1_025)  # octets
_BASE64: Final = "[A-Za-z0-9+/]+={0,2}"
_SCRAM: Final = expression(
    rf"SCRAM-(SHA-[0-9]{{1,3}})\$([1-9][0-9]{{0,6}}):({_BASE64})"
    rf"\$({_BASE64}):({_BASE64})"
)
_SCRYPT: Final = expression(
    r"\$scrypt\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)"
    r"\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})"
)
_SCRYPT_MEMORY: Final = 2**28  # octets
_SCRYPT_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server stores for SCRAM.  RFC 5802 section 3.

    Attributes:
        hash: "SHA-1", "SHA-256" or "SHA-512".
        salt: Random octets, 1 to 1,024; 16 do.
        iterations: How often the hash was applied, 4,096 to 9,999,999.
        stored_key: Lets the server recognise the client.
        server_key: Lets the server prove itself.

    Raises:
        ValueError: A field is out of bounds.
    """

    hash: str
    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_derivation(self.hash, self.salt, self.iterations)
        size = hashlib.new(HASHES[self.hash]).digest_size
        if not len(self.stored_key) == len(self.server_key) == size:
            raise ValueError(f"keys for {self.hash} are {size} octets long")

    @classmethod
    def derive(
        cls,
        password: str,
        hash: str,
        salt: bytes,
        iterations: int = DEFAULT_ITERATIONS,
    ) -> "ScramKeys":
        """Make the keys of a password.

        Raises:
            ValueError: The password cannot be prepared with SASLprep, or another
                argument is out of bounds.
        """
        _check_derivation(hash, salt, iterations)
        return cls._derive(prepare(password, stored=True), hash, salt, iterations)

    @classmethod
    def _derive(
        cls, password: str, hash: str, salt: bytes, iterations: int
    ) -> "ScramKeys":
        salted = salted_password(password, hash, salt, iterations)
        return cls(
            hash,
            salt,
            iterations,
            stored_key=digest(hash, mac(hash, salted, b"Client Key")),
            server_key=mac(hash, salted, b"Server Key"),
        )

    @classmethod
    def parse(cls, text: str) -> "ScramKeys":
        """Read what `str()` has written.

        Raises:
            ValueError: It is something else.
        """
        match = _SCRAM.fullmatch(text)
        if match is None or match[1] not in HASHES:
            raise ValueError("not SCRAM keys")
        salt, stored_key, server_key = (
            decode_base64(match[group].encode()) for group in (3, 4, 5)
        )
        return cls(match[1], salt, int(match[2]), stored_key, server_key)

    def __str__(self) -> str:
        """Write the keys as PostgreSQL does: they are a secret."""
        salt, stored_key, server_key = (
            encode_base64(each).decode()
            for each in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-{self.hash}${self.iterations}:{salt}${stored_key}:{server_key}"

    def verify(self, password: str) -> bool:
        """Whether this is the password."""
        try:
            prepared = prepare(password)
        except ValueError:
            return False
        keys = self._derive(prepared, self.hash, self.salt, self.iterations)
        return hmac.compare_digest(keys.stored_key, self.stored_key)


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A password through scrypt.  RFC 7914.

    Attributes:
        salt: Random octets, 1 to 1,024; 16 do.
        key: What came out, 32 octets.
        ln: The binary logarithm of its cost N.
        r: Its block size.
        p: Its parallelization.

    Raises:
        ValueError: A field is out of bounds, or they ask for more than 256 MiB.
    """

    salt: bytes
    key: bytes = field(repr=False)
    ln: int = field(default=15, kw_only=True)
    r: int = field(default=8, kw_only=True)
    p: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_scrypt(self.salt, self.ln, self.r, self.p)
        if len(self.key) != _SCRYPT_LENGTH:
            raise ValueError(f"a key of scrypt is {_SCRYPT_LENGTH} octets long")

    @classmethod
    def derive(
        cls, password: str, salt: bytes, *, ln: int = 15, r: int = 8, p: int = 1
    ) -> "PasswordHash":
        """Make the hash of a password.

        Raises:
            ValueError: The password cannot be prepared with SASLprep, or another
                argument is out of bounds.
        """
        _check_scrypt(salt, ln, r, p)
        prepared = prepare(password, stored=True)
        return cls(salt, _scrypt(prepared, salt, ln, r, p), ln=ln, r=r, p=p)

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read what `str()` has written.

        Raises:
            ValueError: It is something else.
        """
        match = _SCRYPT.fullmatch(text)
        if match is None:
            raise ValueError("not a password hash")
        ln, r, p = (int(match[group]) for group in (1, 2, 3))
        salt, key = (_decode_unpadded(match[group]) for group in (4, 5))
        return cls(salt, key, ln=ln, r=r, p=p)

    def __str__(self) -> str:
        """Write it as passlib does, base64 without padding: it is a secret."""
        salt, key = (
            encode_base64(each).decode().rstrip("=") for each in (self.salt, self.key)
        )
        return f"$scrypt$ln={self.ln},r={self.r},p={self.p}${salt}${key}"

    def verify(self, password: str) -> bool:
        """Whether this is the password."""
        try:
            prepared = prepare(password)
        except ValueError:
            return False
        key = _scrypt(prepared, self.salt, self.ln, self.r, self.p)
        return hmac.compare_digest(key, self.key)


def parse_stored(text: str) -> ScramKeys | PasswordHash:
    """Read SCRAM keys or a password hash from one line of text.

    Raises:
        ValueError: It is neither.
    """
    if text.startswith("SCRAM-"):
        return ScramKeys.parse(text)
    return PasswordHash.parse(text)


def hash_password(password: str, salt: bytes) -> str:
    """Return the text to store for a password, by scrypt.

    Args:
        password: As it was typed.
        salt: 16 fresh random octets.

    Raises:
        ValueError: The password cannot be prepared with SASLprep.
    """
    return str(PasswordHash.derive(password, salt))


def verify_password(stored: str, password: str) -> bool:
    """Whether a password is the one that a text, of either kind, was made from.

    Raises:
        ValueError: The text is of neither kind.
    """
    return parse_stored(stored).verify(password)


def fake_keys(
    key: bytes,
    user: str,
    hash: str,
    *,
    size: int = FAKE_SALT_LENGTH,
    iterations: int = DEFAULT_ITERATIONS,
) -> ScramKeys:
    """Make keys that nobody has, the same for a name each time.  RFC 5802 section 5.1.

    Args:
        key: A secret of the server.
        user: The name, prepared.
        hash: That of the mechanism.
        size: Octets of the salt, as those of real users have.
        iterations: As those of real users have.
    """

    def made(what: str, length: int) -> bytes:
        message = f"{what} {hash} {user}".encode()
        return hashlib.pbkdf2_hmac("sha512", key, message, 1, length)

    length = hashlib.new(HASHES[hash]).digest_size
    return ScramKeys(
        hash,
        made("salt", size),
        iterations,
        stored_key=made("stored", length),
        server_key=made("server", length),
    )


def salted_password(password: str, hash: str, salt: bytes, iterations: int) -> bytes:
    """Hi() of RFC 5802 section 2.2.  The password has been prepared."""
    return hashlib.pbkdf2_hmac(HASHES[hash], password.encode(), salt, iterations)


def mac(hash: str, key: bytes, message: bytes) -> bytes:
    """HMAC() of RFC 5802 section 2.2."""
    return hmac.digest(key, message, HASHES[hash])


def digest(hash: str, data: bytes) -> bytes:
    """H() of RFC 5802 section 2.2."""
    return hashlib.new(HASHES[hash], data).digest()


def _check_derivation(hash: str, salt: bytes, iterations: int) -> None:
    if hash not in HASHES:
        raise ValueError(f"not a hash of SCRAM: {hash!r}")
    if len(salt) not in _SALT:
        raise ValueError(f"a salt of {len(salt)} octets is out of bounds")
    if not LEAST_ITERATIONS <= iterations < 10**7:
        raise ValueError(f"iterations out of bounds: {iterations!r}")


def _check_scrypt(salt: bytes, ln: int, r: int, p: int) -> None:
    if len(salt) not in _SALT:
        raise ValueError(f"a salt of {len(salt)} octets is out of bounds")
    if not (1 <= ln < 25 and 1 <= r < 100 and 1 <= p < 100):
        raise ValueError(f"out of bounds: ln={ln!r}, r={r!r}, p={p!r}")
    if _memory(ln, r, p) > _SCRYPT_MEMORY:
        raise ValueError(f"more than 256 MiB: ln={ln!r}, r={r!r}, p={p!r}")


def _scrypt(password: str, salt: bytes, ln: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=1 << ln,
        r=r,
        p=p,
        maxmem=_memory(ln, r, p),
        dklen=_SCRYPT_LENGTH,
    )


def _memory(ln: int, r: int, p: int) -> int:
    return 128 * r * ((1 << ln) + p + 2)


def _decode_unpadded(text: str) -> bytes:
    return decode_base64((text + "=" * (-len(text) % 4)).encode())
