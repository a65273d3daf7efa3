"""The mechanisms that are known.  Their rooms are opened when somebody looks at them.

A client that does not log in, and a server that lets nobody in, need none of them, nor
the hashes that they compute.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    from ._mechanism import Mechanism


@cache
def _standard() -> "tuple[Mechanism, ...]":
    from ._anonymous import ANONYMOUS
    from ._cram_md5 import CRAM_MD5
    from ._digest_md5 import DIGEST_MD5
    from ._external import EXTERNAL
    from ._login import LOGIN
    from ._oauth import OAUTHBEARER, XOAUTH2
    from ._plain import PLAIN
    from ._scram import (
        SCRAM_SHA_1,
        SCRAM_SHA_1_PLUS,
        SCRAM_SHA_256,
        SCRAM_SHA_256_PLUS,
        SCRAM_SHA_512,
        SCRAM_SHA_512_PLUS,
    )

    return (
        EXTERNAL,
        SCRAM_SHA_512_PLUS,
        SCRAM_SHA_256_PLUS,
        SCRAM_SHA_1_PLUS,
        SCRAM_SHA_512,
        SCRAM_SHA_256,
        SCRAM_SHA_1,
        OAUTHBEARER,
        XOAUTH2,
        DIGEST_MD5,
        CRAM_MD5,
        PLAIN,
        LOGIN,
        ANONYMOUS,
    )


class _Standard(Sequence["Mechanism"]):
    __slots__ = ()

    @overload
    def __getitem__(self, index: int) -> "Mechanism": ...

    @overload
    def __getitem__(self, index: slice) -> "tuple[Mechanism, ...]": ...

    def __getitem__(self, index: int | slice) -> "Mechanism | tuple[Mechanism, ...]":
        return _standard()[index]

    def __len__(self) -> int:
        return len(_standard())

    def __repr__(self) -> str:
        return "STANDARD"

    def __reduce__(self) -> str:
        return "STANDARD"  # its name in this module: there is only one


STANDARD: Final[Sequence["Mechanism"]] = _Standard()
"""The mechanisms that are known, the strongest first."""
