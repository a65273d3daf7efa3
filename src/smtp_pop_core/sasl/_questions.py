"""What a server's side asks of the application: values, so that a driver can wait.

A question is answered with what its docstring says, or with None.  None never says
why: an unknown user and a wrong password look the same to the peer.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the application.  Its subclasses are what is asked.

    A mechanism of your own may ask questions of your own: derive them from this.
    """


@dataclass(frozen=True, slots=True)
class VerifyPassword(Question):
    """Whose is this password?  PLAIN, LOGIN, and POP3's USER and PASS.

    The answer is the identity, a str, or None.  Take as long for an unknown user as for
    a wrong password.

    Attributes:
        user: The name, prepared with SASLprep.
        password: The password, prepared with SASLprep.
        authzid: As whom the user wants to act, prepared with SASLprep, or "" for as
            itself.  Where the user may not, the answer is None; else it is the identity
            to act as.
    """

    user: str
    password: str = field(repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class FindPassword(Question):
    """What is the password of this user, in clear?  CRAM-MD5, and POP3's APOP.

    The answer is the password, a str, or None.

    Attributes:
        user: The name, prepared with SASLprep.
    """

    user: str


@dataclass(frozen=True, slots=True)
class FindScramKeys(Question):
    """What are the SCRAM keys of this user?

    The answer is `ScramKeys` for that hash, or None.

    Attributes:
        user: The name, prepared with SASLprep.
        hash: "SHA-1", "SHA-256" or "SHA-512".
    """

    user: str
    hash: str


@dataclass(frozen=True, slots=True)
class VerifyToken(Question):
    """Whose is this token?  OAUTHBEARER and XOAUTH2.

    The answer is the identity, a str, or None.

    Attributes:
        user: The name that was given beside the token, prepared with SASLprep, or "".
            It proves nothing: let it pass only if the token is for this user.
        token: The token.
    """

    user: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifyExternal(Question):
    """Who is this, by its certificate or another proof outside the protocol?  EXTERNAL.

    The answer is the identity, a str, or None.

    Attributes:
        authzid: As whom the client wants to act, prepared with SASLprep, or "": as the
            proof says.
    """

    authzid: str


@dataclass(frozen=True, slots=True)
class VerifyAnonymous(Question):
    """May somebody in without saying who it is?  ANONYMOUS.

    The answer is the identity, a str, or None.

    Attributes:
        trace: What the client says about itself, for the log only, or "".
    """

    trace: str


@dataclass(frozen=True, slots=True)
class Authorize(Question):
    """May this user, who has proved who it is, act as another?

    It is asked only if somebody else than the user was named.  The answer is the
    identity to act as, a str, or None.

    Attributes:
        user: The name, prepared with SASLprep.
        authzid: As whom the user wants to act, prepared with SASLprep.
    """

    user: str
    authzid: str
