"""SASL: who somebody is, and how it is proved.  The only door to its rooms.

It knows neither SMTP nor POP3: octets in, octets out.  Random numbers and channel
bindings are arguments, and what a server has stored is asked for.
"""

from typing import TYPE_CHECKING

from .._doors import door

if TYPE_CHECKING:
    from ._anonymous import ANONYMOUS
    from ._certificate import tls_server_end_point
    from ._choose import choose, offered
    from ._cram_md5 import CRAM_MD5
    from ._credentials import Anonymous, Credentials, External, Password, Token
    from ._digest_md5 import DIGEST_MD5
    from ._exchange import (
        Challenge,
        Client,
        ClientExchange,
        Denied,
        ExchangeError,
        Server,
        Success,
    )
    from ._external import EXTERNAL
    from ._iterations import DEFAULT_ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS
    from ._keys import (
        PasswordHash,
        ScramKeys,
        hash_password,
        parse_stored,
        verify_password,
    )
    from ._login import LOGIN
    from ._mechanism import (
        BINDING_TYPES,
        ClientContext,
        ClientFirst,
        Mechanism,
        ServerContext,
        Stored,
    )
    from ._names import is_mechanism_name
    from ._oauth import OAUTHBEARER, XOAUTH2
    from ._password import apop_digest, check_apop, check_password
    from ._plain import PLAIN
    from ._prepare import saslprep
    from ._questions import (
        Authorize,
        FindPassword,
        FindScramKeys,
        Question,
        VerifyAnonymous,
        VerifyExternal,
        VerifyPassword,
        VerifyToken,
    )
    from ._scram import (
        SCRAM_SHA_1,
        SCRAM_SHA_1_PLUS,
        SCRAM_SHA_256,
        SCRAM_SHA_256_PLUS,
        SCRAM_SHA_512,
        SCRAM_SHA_512_PLUS,
    )
    from ._standard import STANDARD
    from ._users import Secret, Users
else:
    __getattr__, __dir__ = door(
        __name__,
        {
            "._anonymous": "ANONYMOUS",
            "._certificate": "tls_server_end_point",
            "._choose": "choose offered",
            "._cram_md5": "CRAM_MD5",
            "._credentials": "Anonymous Credentials External Password Token",
            "._digest_md5": "DIGEST_MD5",
            "._exchange": (
                "Challenge Client ClientExchange Denied ExchangeError Server Success"
            ),
            "._external": "EXTERNAL",
            "._iterations": "DEFAULT_ITERATIONS LEAST_ITERATIONS MOST_ITERATIONS",
            "._keys": (
                "PasswordHash ScramKeys hash_password parse_stored verify_password"
            ),
            "._login": "LOGIN",
            "._mechanism": (
                "BINDING_TYPES ClientContext ClientFirst Mechanism ServerContext Stored"
            ),
            "._names": "is_mechanism_name",
            "._oauth": "OAUTHBEARER XOAUTH2",
            "._password": "apop_digest check_apop check_password",
            "._plain": "PLAIN",
            "._prepare": "saslprep",
            "._questions": (
                "Authorize FindPassword FindScramKeys Question VerifyAnonymous "
                "VerifyExternal VerifyPassword VerifyToken"
            ),
            "._scram": (
                "SCRAM_SHA_1 SCRAM_SHA_1_PLUS SCRAM_SHA_256 SCRAM_SHA_256_PLUS "
                "SCRAM_SHA_512 SCRAM_SHA_512_PLUS"
            ),
            "._standard": "STANDARD",
            "._users": "Secret Users",
        },
    )

__all__ = [
    "Credentials",
    "Password",
    "Token",
    "External",
    "Anonymous",
    "choose",
    "offered",
    "STANDARD",
    "Mechanism",
    "ClientFirst",
    "Stored",
    "ClientContext",
    "ServerContext",
    "BINDING_TYPES",
    "tls_server_end_point",
    "is_mechanism_name",
    "Client",
    "ClientExchange",
    "Server",
    "Challenge",
    "Success",
    "ExchangeError",
    "Denied",
    "Question",
    "VerifyPassword",
    "FindPassword",
    "FindScramKeys",
    "VerifyToken",
    "VerifyExternal",
    "VerifyAnonymous",
    "Authorize",
    "Users",
    "Secret",
    "ScramKeys",
    "PasswordHash",
    "parse_stored",
    "hash_password",
    "verify_password",
    "DEFAULT_ITERATIONS",
    "LEAST_ITERATIONS",
    "MOST_ITERATIONS",
    "check_password",
    "check_apop",
    "apop_digest",
    "saslprep",
    "EXTERNAL",
    "SCRAM_SHA_512_PLUS",
    "SCRAM_SHA_256_PLUS",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_512",
    "SCRAM_SHA_256",
    "SCRAM_SHA_1",
    "OAUTHBEARER",
    "XOAUTH2",
    "DIGEST_MD5",
    "CRAM_MD5",
    "PLAIN",
    "LOGIN",
    "ANONYMOUS",
]
