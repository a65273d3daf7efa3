"""The extensions that one side has, and what follows from them.

A repertoire does not change: connections that have the same extensions share it, and
what EHLO says is worked out once: it costs as much as the rest of a session.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from .._limits import Limits
from .._roles import SERVER, Role
from ._codec import Tables, tables_with
from ._extensions import Extension, Extensions, Size, Verb, known, usual
from ._extensions import Limits as LimitsOffer
from ._replies import Command
from ._reply_codec import read_offers, write_offers
from ._state import Table

_LONG: Final = 1_024  # characters of an EHLO response that is not remembered


class Offers(NamedTuple):
    """What a server offers in one state of a session.

    Attributes:
        lines: The EHLO response behind its first line.
        extensions: What a client reads in them.
    """

    lines: tuple[str, ...]
    extensions: Extensions


class Repertoire:
    """The extensions of one side.

    Args:
        extensions: They, each keyword once.

    Attributes:
        by_keyword: The extensions by their keyword.
        rows: The rows that they add to the table, without those that are empty.
        needs: The keyword without which a command cannot come, by its class.
        enhanced: Whether replies have enhanced status codes.
    """

    __slots__ = (
        "_offers",
        "_tables",
        "_verbs",
        "by_keyword",
        "enhanced",
        "needs",
        "rows",
    )

    def __init__(self, extensions: Iterable[Extension]) -> None:
        self.by_keyword: Final[Mapping[str, Extension]] = {
            each.keyword: each for each in extensions
        }
        everything = self.by_keyword.values()
        self._verbs: Final[Sequence[Verb]] = [
            verb for each in everything for verb in each.verbs
        ]
        self._tables: Final[dict[bool, Tables]] = {}
        self.rows: Final[tuple[Table, ...]] = tuple(
            each.rows for each in everything if each.rows
        )
        self.needs: Final[Mapping[type[Command], str]] = {
            verb.command: each.keyword
            for each in everything
            for verb in each.verbs
            if not verb.anytime
        }
        self.enhanced: Final = "ENHANCEDSTATUSCODES" in self.by_keyword
        self._offers: Final[dict[tuple[bool, bool], Offers]] = {}

    def tables(self, *, lmtp: bool) -> Tables:
        """Return how commands are read and written, with those of the extensions."""
        tables = self._tables.get(lmtp)
        if tables is None:
            tables = self._tables[lmtp] = tables_with(self._verbs, lmtp=lmtp)
        return tables

    def offers(self, *, tls: bool, authenticated: bool) -> Offers:
        """Return what a server offers in this state of the session."""
        offers = self._offers.get((tls, authenticated))
        if offers is None:
            held = self._held(self.by_keyword, tls=tls, authenticated=authenticated)
            lines = write_offers("", held).lines[1:]
            offers = Offers(
                lines, self._read(lines, tls=tls, authenticated=authenticated)
            )
            self._offers[tls, authenticated] = offers
        return offers

    def heard(
        self, lines: tuple[str, ...], *, tls: bool, authenticated: bool
    ) -> Extensions:
        """Return what a client can use of an EHLO response in this state.

        Args:
            lines: Its lines behind the first.
            tls: Whether TLS is active.
            authenticated: Whether somebody has logged in.
        """
        if sum(map(len, lines)) > _LONG:
            return self._read(lines, tls=tls, authenticated=authenticated)
        return self._read_again(lines, tls=tls, authenticated=authenticated)

    def _read(
        self, lines: tuple[str, ...], *, tls: bool, authenticated: bool
    ) -> Extensions:
        read = read_offers(lines, self.by_keyword)
        return self._held(read, tls=tls, authenticated=authenticated)

    # A server says the same to each session: 1 in place of 9 us.
    _read_again = lru_cache(maxsize=64)(_read)

    @staticmethod
    def _held(
        offers: Mapping[str, Extension], *, tls: bool, authenticated: bool
    ) -> Extensions:
        """Return those that hold in this state of the session."""
        return Extensions(
            {
                keyword: each
                for keyword, each in offers.items()
                if each.holds(tls=tls, authenticated=authenticated)
            }
        )

    @lru_cache(maxsize=64)  # noqa: B019  # bounded, and all sessions do the same
    def having(self, extension: Extension) -> "Repertoire":
        """Return one that has this extension too, or in the place of its like."""
        return Repertoire({**self.by_keyword, extension.keyword: extension}.values())

    def lacking(self, keyword: str) -> "Repertoire":
        """Return one without an extension."""
        return Repertoire(
            each for each in self.by_keyword.values() if each.keyword != keyword
        )


def repertoire_of(
    role: Role, extensions: Iterable[Extension] | None, limits: Limits
) -> Repertoire:
    """Return the repertoire of a new connection.

    Args:
        role: CLIENT or SERVER.
        extensions: Its extensions, or None for those that the library has for the role.
        limits: A server offers no more than they allow.
    """
    bounds = limits.content, limits.messages, limits.recipients
    if extensions is None:
        return _standard(role, *bounds)
    extensions = tuple(extensions)
    try:
        return _shared(role, extensions, *bounds)
    except TypeError:  # one of them cannot be hashed
        return _bounded(role, extensions, *bounds)


@lru_cache(maxsize=32)
def _standard(
    role: Role, content: int | None, messages: int | None, recipients: int
) -> Repertoire:
    extensions = usual(size=content) if role is SERVER else known()
    return _bounded(role, extensions, content, messages, recipients)


def _bounded(
    role: Role,
    extensions: Iterable[Extension],
    content: int | None,
    messages: int | None,
    recipients: int,
) -> Repertoire:
    by_keyword = {each.keyword: each for each in extensions}
    if "CHUNKING" not in by_keyword:
        by_keyword.pop("BINARYMIME", None)  # RFC 3030 section 3
    size = by_keyword.get("SIZE")
    own = size.limit or None if isinstance(size, Size) else None
    if size is not None and (own is not None or content is not None):
        by_keyword["SIZE"] = Size(_smaller(own, content))
    offer = by_keyword.get("LIMITS")
    if role is SERVER and isinstance(offer, LimitsOffer):
        by_keyword["LIMITS"] = LimitsOffer(
            _smaller(offer.mailmax, _sayable(messages)),
            _smaller(offer.rcptmax, _sayable(recipients)),
            offer.rcptdomainmax,
        )
    return Repertoire(by_keyword.values())


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _sayable(bound: int | None) -> int | None:
    """The bound, or None where LIMITS has no number for it."""
    return bound if bound is not None and bound <= 999_999 else None


_shared: Final = lru_cache(maxsize=32)(_bounded)
