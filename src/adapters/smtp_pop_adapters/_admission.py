"""The door of a server: how many are let in, from where, and who makes room for others.

There is no I/O here: the servers of all adapters ask, and carry it out.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, Protocol

from smtp_pop_core import Networks, Refusal

_LOCAL: Final = ("127.0.0.0/8", "::1", "unix")
_WHILE: Final = 600.0  # seconds in which logins fail, and for which nobody is let in
_KNOWN: Final = 10_000  # addresses whose failed logins are kept in mind
_PREFIX: Final = 64  # bits of an address of IPv6 that one site has.  RFC 6177 section 2


class Guest(Protocol):
    """The stream of a session, which may have to go."""

    @property
    def idle_since(self) -> float | None:
        """When it has begun to wait with nothing begun; None: it does not."""
        ...

    def dismiss(self) -> bool:
        """Let the deadline of the wait pass; return whether there was a wait."""
        ...


class Terms:
    """Who is let in.

    Args:
        sessions: How many sessions are served at once.
        sessions_per_address: How many sessions at once may come from one address, or
            from one network of IPv6 with 64 bits; None: as many as there can be.
        failed_logins_per_address: How many logins from there may fail within 600
            seconds, before nobody is let in from there for as long; None: all.
        patience: Seconds that a session may wait for a command, if there is somebody
            who would have to be refused for it.
        exempt: Whom the bounds of an address do not hold for.  None: ourselves.
    """

    def __init__(
        self,
        sessions: int,
        sessions_per_address: int | None = 50,
        failed_logins_per_address: int | None = 20,
        patience: float = 10,
        exempt: Networks | None = None,
    ) -> None:
        for name, most in (
            ("sessions", sessions),
            ("sessions_per_address", sessions_per_address),
            ("failed_logins_per_address", failed_logins_per_address),
        ):
            if most is not None and most < 1:
                raise ValueError(f"{name} must be at least 1")
        if not patience >= 0:
            raise ValueError("patience must be at least 0 seconds")
        self.sessions: Final = sessions
        self.sessions_per_address: Final = sessions_per_address
        self.failed_logins_per_address: Final = failed_logins_per_address
        self.patience: Final = patience
        self.exempt: Final = Networks(_LOCAL) if exempt is None else exempt


class _Failures:
    """Logins from one address that have failed.

    Attributes:
        count: How many.
        end: When they are forgotten.
    """

    __slots__ = ("count", "end")

    def __init__(self, count: int, end: float) -> None:
        self.count = count
        self.end = end


class Seat:
    """The place of one session.  To the session it is its `Gate`.

    Args:
        admission: What it belongs to.
        origin: Where its client is, or None: that is unknown, or does not matter.

    Attributes:
        guest: The stream of the session, once there is one.
    """

    __slots__ = ("_admission", "guest", "origin")

    def __init__(self, admission: "Admission", origin: str | None) -> None:
        self._admission = admission
        self.origin = origin
        self.guest: Guest | None = None

    def enter(self, address: str) -> Refusal | None:
        """Count a client whose address is known only now; None: it is let in."""
        return self._admission.seat_at(self, address)

    def login_failed(self, address: str) -> None:
        """Take note of a login that has failed."""
        self._admission.login_failed(address)

    def retire(self) -> None:
        """Make room for another: the session has ended, but for its last words."""
        self._admission.retire(self)

    def leave(self) -> None:
        """Give the place back."""
        self._admission.leave(self)


class Admission:
    """Lets sessions in, and counts them.  It may be asked from any thread.

    Args:
        terms: Who is let in.  As many sessions again as are served may be about to end.
        now: The clock, in seconds, by which streams say since when they wait.
    """

    def __init__(self, terms: Terms, now: Callable[[], float]) -> None:
        self._terms = terms
        self._now = now
        self._lock = threading.Lock()
        self._open = True
        self._seats: set[Seat] = set()
        self._leaving: set[Seat] = set()
        self._origins: Counter[str] = Counter()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._refused: Counter[Refusal] = Counter()
        self._dismissed = 0
        self._nobody_before: float | None = None  # nobody's patience ends before

    @property
    def sessions(self) -> int:
        """How many sessions are served, without those that are about to leave."""
        return len(self._seats)

    @property
    def refused(self) -> Mapping[Refusal, int]:
        """How many clients were refused, by the reason."""
        return {each: self._refused[each] for each in Refusal}

    @property
    def dismissed(self) -> int:
        """How many sessions were ended to make room for others."""
        return self._dismissed

    def close(self) -> None:
        """Let nobody in from now on."""
        self._open = False

    def let_in(self, address: str | None) -> Seat | Refusal:
        """Give a client who has just come a seat, or say why not.

        Args:
            address: Where it is, as a stream says it; None: a proxy will say so.
        """
        with self._lock:
            seat = Seat(self, None if address is None else self._origin(address))
            refusal = self._refusal(seat.origin)
            if refusal is None and not self._has_room():
                refusal = Refusal.BUSY
            if refusal is not None:
                self._refused[refusal] += 1
                return refusal
            self._seats.add(seat)
            self._hold(seat.origin)
            return seat

    def refuse(self, refusal: Refusal, count: int = 1) -> None:
        """Count clients that were refused without being asked for."""
        with self._lock:
            self._refused[refusal] += count

    def seat_at(self, seat: Seat, address: str) -> Refusal | None:
        """Say where the client of a seat is, and whether it may stay."""
        with self._lock:
            self._let_go(seat)
            origin = self._origin(address)
            refusal = self._refusal(origin)
            if refusal is None:
                seat.origin = origin
                self._hold(origin)
            else:
                self._refused[refusal] += 1
            return refusal

    def login_failed(self, address: str) -> None:
        """Take note of a login that has failed."""
        with self._lock:
            origin = self._origin(address)
            most = self._terms.failed_logins_per_address
            if origin is None or most is None:
                return
            now = self._now()
            failures = self._failures.get(origin)
            if failures is None or failures.end <= now:
                self._failures.pop(origin, None)
                failures = self._failures[origin] = _Failures(0, now + _WHILE)
                if len(self._failures) > _KNOWN:
                    self._failures.popitem(last=False)
            failures.count += 1
            if failures.count == most:
                failures.end = now + _WHILE

    def retire(self, seat: Seat) -> None:
        """Make room for another."""
        with self._lock:
            if seat in self._seats:
                self._seats.discard(seat)
                self._leaving.add(seat)

    def leave(self, seat: Seat) -> None:
        """Take a seat back."""
        with self._lock:
            self._seats.discard(seat)
            self._leaving.discard(seat)
            self._let_go(seat)

    def _origin(self, address: str) -> str | None:
        """Return the network that is bounded as one, None if it is not bounded."""
        if address in self._terms.exempt:
            return None
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return "unix"
        if isinstance(ip, IPv6Address):
            if ip.ipv4_mapped is not None:
                return str(ip.ipv4_mapped)
            return str(IPv6Network((int(ip), _PREFIX), strict=False))
        return str(ip)

    def _refusal(self, origin: str | None) -> Refusal | None:
        if not self._open:
            return Refusal.STOPPING
        if origin is None:
            return None
        failures, many = self._failures.get(origin), self._terms
        if (
            failures is not None
            and many.failed_logins_per_address is not None
            and failures.count >= many.failed_logins_per_address
            and self._now() < failures.end
        ):
            return Refusal.LOGINS
        most = many.sessions_per_address
        if most is not None and self._origins[origin] >= most:
            return Refusal.ADDRESS
        return None

    def _hold(self, origin: str | None) -> None:
        if origin is not None:
            self._origins[origin] += 1

    def _let_go(self, seat: Seat) -> None:
        """Count a seat no more where its client is."""
        origin, seat.origin = seat.origin, None
        if origin is not None:
            self._origins[origin] -= 1
            if not self._origins[origin]:
                del self._origins[origin]

    def _has_room(self) -> bool:
        most = self._terms.sessions
        if len(self._seats) + len(self._leaving) >= 2 * most:
            return False
        return len(self._seats) < most or self._makes_room()

    def _makes_room(self) -> bool:
        """End the session that has waited longest, if that was too long."""
        now, patience = self._now(), self._terms.patience
        if self._nobody_before is not None and now < self._nobody_before:
            return False
        waiting = sorted(self._waiting(), key=lambda each: each[0])
        for since, seat in waiting:
            if since + patience > now:
                self._nobody_before = since + patience
                return False
            if seat.guest is not None and seat.guest.dismiss():
                self._seats.discard(seat)
                self._leaving.add(seat)
                self._dismissed += 1
                return True
        if not waiting:
            self._nobody_before = now + patience
        return False

    def _waiting(self) -> list[tuple[float, Seat]]:
        return [
            (since, seat)
            for seat in self._seats
            if seat.guest is not None and (since := seat.guest.idle_since) is not None
        ]


class Troubles:
    """Reports errors that come again and again, each kind once.

    Args:
        report: Called with an error.
    """

    def __init__(self, report: Callable[[Exception], None]) -> None:
        self._report = report
        self._known: set[tuple[type, int | None]] = set()

    def meet(self, error: Exception) -> None:
        """Report an error, if none of its kind has come since things went well."""
        kind = type(error), getattr(error, "errno", None)
        if kind not in self._known:
            self._known.add(kind)
            self._report(error)

    def over(self) -> None:
        """Take note that things go well again."""
        self._known.clear()
