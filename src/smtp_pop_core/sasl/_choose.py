"""Which mechanism: a client's choice, and a server's offer.  Strength goes first.

Nothing that a peer says makes a weaker mechanism acceptable than the user allows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from .._errors import PolicyError
from ._credentials import Credentials
from ._mechanism import BINDING_TYPES, Mechanism, Stored
from ._names import is_mechanism_name
from ._standard import STANDARD

_NO_BINDINGS: Final[Mapping[str, bytes]] = {}
_NAMES_SHOWN: Final = 20


def choose(
    offered: Iterable[str],
    credentials: Credentials,
    *,
    mechanism: str | Sequence[str] | None = None,
    mechanisms: Sequence[Mechanism] = STANDARD,
    tls: bool,
    allow_insecure: bool = False,
    bindings: Mapping[str, bytes] = _NO_BINDINGS,
) -> Mechanism:
    """Choose a client's mechanism: the strongest that is offered and fits.

    Args:
        offered: What the server offers, said inside TLS if there is TLS.
        credentials: What the client has to show.
        mechanism: The name of the only one that may be used, or names in the order of
            preference.  None: any that is not obsolete, the strongest first.
        mechanisms: Those that are known, the strongest first.
        tls: Whether the connection is encrypted.
        allow_insecure: Whether the user insists that the password or token may be
            revealed to who reads along.
        bindings: The channel bindings at hand: a type, and its data.

    Raises:
        PolicyError: None fits.  The message says what was offered, what was wanted, and
            why it does not fit.
        ValueError: A name in `mechanism` is not that of one that is known.
    """
    names = {_fold(name) for name in offered}
    wanted = _wanted(mechanism, mechanisms)
    reasons = []
    for each in wanted:
        reason = (
            _unfit_for(each, credentials)
            or _unsafe(each, tls=tls, allow_insecure=allow_insecure, bindings=bindings)
            or ("" if each.name in names else "not offered")
        )
        if not reason:
            return each
        if each.name in names or mechanism is not None:
            reasons.append(f"{each.name}: {reason}")
    shown = sorted(filter(is_mechanism_name, names))[:_NAMES_SHOWN]
    raise PolicyError(
        f"no mechanism fits {type(credentials).__name__}: "
        f"the server offers {' '.join(shown) or 'none'}"
        + "".join(f"; {reason}" for reason in reasons)
    )


def offered(
    mechanisms: Iterable[Mechanism] = STANDARD,
    *,
    stored: Collection[Stored],
    tls: bool,
    allow_insecure: bool = False,
    bindings: Mapping[str, bytes] = _NO_BINDINGS,
) -> tuple[str, ...]:
    """Return the names that a server offers now, in the order of the mechanisms.

    Args:
        mechanisms: Those that it would offer.
        stored: What the application can check.  EXTERNAL belongs there only while there
            is a client certificate.
        tls: Whether the connection is encrypted.
        allow_insecure: Whether passwords and tokens may come without TLS.
        bindings: The channel bindings at hand: a type, and its data.

    Raises:
        ValueError: LOGIN is among the mechanisms and PLAIN is not.
    """
    known = list(mechanisms)
    names = {each.name for each in known}
    if "LOGIN" in names and "PLAIN" not in names:  # draft-murchison-sasl-login-00
        raise ValueError("LOGIN is offered only beside PLAIN")
    return tuple(
        each.name
        for each in known
        if each.server is not None
        and (each.needs is None or each.needs in stored)
        and not _unsafe(each, tls=tls, allow_insecure=allow_insecure, bindings=bindings)
    )


def _wanted(
    mechanism: str | Sequence[str] | None, mechanisms: Sequence[Mechanism]
) -> Iterator[Mechanism]:
    if mechanism is None:
        return (each for each in mechanisms if not each.obsolete)
    known = {each.name: each for each in mechanisms}
    wanted = [mechanism] if isinstance(mechanism, str) else mechanism
    for name in wanted:
        if _fold(name) not in known:
            raise ValueError(f"not the name of a mechanism that is known: {name!r}")
    return (known[_fold(name)] for name in wanted)


def _unfit_for(mechanism: Mechanism, credentials: Credentials) -> str:
    """Say why credentials cannot be used with a mechanism, or "" if they can."""
    if mechanism.client is None:
        return "it has no client's side"
    if not isinstance(credentials, mechanism.credentials):
        return f"it takes {mechanism.credentials.__name__}"
    if getattr(credentials, "authzid", "") and not mechanism.has_authzid:
        return "it cannot say as whom to act"
    return ""


def _unsafe(
    mechanism: Mechanism,
    *,
    tls: bool,
    allow_insecure: bool,
    bindings: Mapping[str, bytes],
) -> str:
    """Say why a mechanism cannot be used on a connection, or "" if it can."""
    if mechanism.require_tls and not tls:
        return "it needs TLS"
    if mechanism.reveals_password and not (tls or allow_insecure):
        return "it would reveal a secret without TLS"
    if mechanism.binding and not any(each in bindings for each in BINDING_TYPES):
        return "there is no channel to bind to"
    return ""


def _fold(name: str) -> str:
    """Fold case in ASCII only."""
    return name.upper() if name.isascii() else name
