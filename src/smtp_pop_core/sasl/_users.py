"""Users with their passwords, or with what was made of them, in memory."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ._keys import HASHES, PasswordHash, ScramKeys, fake_keys
from ._mechanism import Stored
from ._prepare import prepare
from ._questions import FindPassword, FindScramKeys, Question, VerifyPassword

Secret: TypeAlias = str | ScramKeys | PasswordHash
"""What is stored of a user: the password in clear, as a str, or what was made of it."""

_SCRAM: Final = {hash: Stored(hash) for hash in HASHES}


@dataclass(frozen=True, slots=True)
class _Clear:
    password: str = field(repr=False)

    def verify(self, password: str) -> bool:
        return hmac.compare_digest(self.password.encode(), password.encode())


class Users:
    """Answers the questions of a server from memory.

    Names and passwords are prepared with SASLprep and then compared octet for octet:
    case matters, and several spellings of one character do not.

    An unknown user costs as much as a wrong password and looks the same, as long as the
    secrets of one kind cost the same among themselves.

    Args:
        users: The name of each user, and its secret.
        key: A secret of the server that stays the same for years.  Salts that are made
            up stay the same with it.

    Raises:
        ValueError: A name or password cannot be prepared, or two names become one.
    """

    __slots__ = ("_examples", "_key", "_secrets")

    def __init__(self, users: Mapping[str, Secret], *, key: bytes) -> None:
        if not key:
            raise ValueError("the key of the salts is empty")
        self._key = key
        self._secrets = {
            prepare(name, stored=True): _Clear(prepare(secret, stored=True))
            if isinstance(secret, str)
            else secret
            for name, secret in users.items()
        }
        if len(self._secrets) < len(users):
            raise ValueError("two names are one after SASLprep")
        # One secret of each kind, to work on for those who have none of the kind.
        self._examples = {type(each): each for each in self._secrets.values()}

    def __len__(self) -> int:
        return len(self._secrets)

    @property
    def key(self) -> bytes:
        """The secret of the server that salts are made up with."""
        return self._key

    @property
    def stored(self) -> frozenset[Stored]:
        """What can be checked for every user: it says which mechanisms to offer."""
        kinds = [_stored(each) for each in self._secrets.values()]
        return frozenset.intersection(*kinds) if kinds else frozenset()

    def answer(self, question: Question) -> str | ScramKeys | None:
        """Answer a question.  Nobody may act as somebody else.

        Tokens, certificates and anonymous users are not known here: None.
        """
        match question:
            case VerifyPassword(user, password, authzid):
                known = self._verify(user, password)
                return user if known and not authzid else None
            case FindPassword(user):
                secret = self._secrets.get(user)
                return secret.password if isinstance(secret, _Clear) else None
            case FindScramKeys(user, hash):
                return self._find_scram_keys(user, hash)
        return None

    def _verify(self, user: str, password: str) -> bool:
        own = self._secrets.get(user)
        known = False
        for kind, example in self._examples.items():
            secret = own if own is not None and type(own) is kind else example
            if secret.verify(password):
                known |= secret is own
        return known

    def _find_scram_keys(self, user: str, hash: str) -> ScramKeys:
        """Return the keys of a user, or keys that nobody has."""
        own = self._secrets.get(user)
        keys = self._fake_keys(user, hash)
        if _Clear in self._examples:
            password = own.password if isinstance(own, _Clear) else "?"
            derived = ScramKeys.derive(password, hash, keys.salt, keys.iterations)
            if isinstance(own, _Clear):
                return derived
        if isinstance(own, ScramKeys) and own.hash == hash:
            return own
        return keys

    def _fake_keys(self, user: str, hash: str) -> ScramKeys:
        example = self._examples.get(ScramKeys)
        if not isinstance(example, ScramKeys):
            return fake_keys(self._key, user, hash)
        size, iterations = len(example.salt), example.iterations
        return fake_keys(self._key, user, hash, size=size, iterations=iterations)


def _stored(secret: _Clear | ScramKeys | PasswordHash) -> frozenset[Stored]:
    if isinstance(secret, _Clear):
        return frozenset({Stored.PASSWORD, Stored.CLEAR, *_SCRAM.values()})
    if isinstance(secret, ScramKeys):
        return frozenset({Stored.PASSWORD, _SCRAM[secret.hash]})
    return frozenset({Stored.PASSWORD})
