"""Collecting over several sessions, each of which may end at any step.

Whatever ends a session, the server never removes a message that is not on disk, and
nothing is fetched twice but what had been stored and not noted.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from driving import NEGOTIATED, Driver, Unforeseen
from fetching import INSECURE
from smtp_pop_core import (
    CLIENT,
    SERVER,
    Ask,
    Blocks,
    Error,
    Flow,
    Limits,
    Negotiated,
    Read,
    Report,
    Request,
    Write,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import Connection, Ending, Listed, Seen

NEVER: Final = 10**9  # steps or octets

visited: Final[Counter[str]] = Counter()
"""What the sessions have come to."""


class Death(BaseException):
    """The process is gone.  No flow can catch it."""


class Fate:
    """Lets so many steps be done, and then raises.

    Attributes:
        left: How many steps.
    """

    def __init__(self, error: type[BaseException] = Death) -> None:
        self.left = NEVER
        self._error = error

    def step(self) -> None:
        if self.left <= 0:
            self.left = NEVER
            raise self._error
        self.left -= 1


class Wire:
    """A connection to a server, which breaks when so many octets have crossed it.

    Attributes:
        left: How many octets.
    """

    def __init__(self, server: Flow[Ending]) -> None:
        self.left = NEVER
        self._server = server
        self._up = bytearray()
        self._down = bytearray()
        self._broken = False
        self._request: Request | None = next(server)
        self._go_on()

    def read(self) -> bytes:
        data = self._cross(bytes(self._down))
        self._down.clear()
        return data

    def write(self, data: bytes, *, heed: bool) -> bool:
        self._up += self._cross(data)
        self._go_on()
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        return NEGOTIATED

    def hang_up(self) -> None:
        """Let the server hear what was written, and then the end."""
        self._broken = True
        self._go_on()
        assert self._request is None

    def _cross(self, data: bytes) -> bytes:
        crossed = data[: self.left]
        self.left -= len(crossed)
        self._broken = self._broken or len(crossed) < len(data)
        return crossed

    def _go_on(self) -> None:
        """Let the server go on until it has nothing to read."""
        while self._request is not None:
            answer: object = None
            match self._request:
                case Read():
                    if not (self._up or self._broken):
                        return
                    answer = bytes(self._up)
                    self._up.clear()
                case Write(data):
                    self._down += data
                    answer = False
                case Ask(function, arguments):
                    answer = function(*arguments)
                case Report(error):
                    raise Unforeseen(f"the server has failed: {error!r}")
            try:
                self._request = self._server.send(answer)
            except StopIteration:
                self._request = None
                self._broken = True


class Mortal(Driver):
    """Carries out the requests of a process that may end before each of them."""

    def __init__(self, wire: Wire, fate: Fate) -> None:
        super().__init__(wire)
        self._fate = fate

    def carry_out(self, request: Request, label: str) -> object:
        self._fate.step()
        return super().carry_out(request, label)


@dataclass(frozen=True)
class Mail:
    """A message; no two have one content."""

    unique_id: str
    content: bytes


class Drop(pop3.Maildrop):
    """The maildrop of a session."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._mails = tuple(world.mails)
        self.messages = tuple(
            pop3.Message(pop3.size_of(mail.content), mail.unique_id)
            for mail in self._mails
        )

    def read(self, number: int) -> Iterable[bytes]:
        return [self._mails[number - 1].content]

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        numbers = sorted(deleted)
        kept = numbers[: self._world.stubborn]
        self._world.remove([self._mails[each - 1] for each in numbers[len(kept) :]])
        return kept


@dataclass
class World:
    """A server with one maildrop, and a disk.

    Attributes:
        mails: What is on the server.
        padding: Octets that make messages longer.
        pipelining: Whether the server offers it.
        stubborn: How many of the messages that are to be removed are not.
        disk: What was stored, in its order.
        file: The file of unique ids.
        steps: How many steps the last session has taken.
        octets: How many octets have crossed the wire in it.
        arrived: How many messages there have been.
        excused: What may be fetched once more, because it had not been noted.
        retired: Ids that the server does not give again.
        shared: Ids that several messages had at one time.
    """

    mails: list[Mail] = field(default_factory=list)
    padding: int = 0
    pipelining: bool = True
    stubborn: int = 0
    disk: list[bytes] = field(default_factory=list)
    file: bytes = b""
    steps: int = 0
    octets: int = 0
    arrived: int = 0
    excused: Counter[bytes] = field(default_factory=Counter)
    retired: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)

    def arrive(self, *unique_ids: str) -> None:
        """Let messages arrive on the server."""
        for unique_id in unique_ids:
            if unique_id in {mail.unique_id for mail in self.mails}:
                self.shared.add(unique_id)
            self.arrived += 1
            content = b".%d%b\r\n" % (self.arrived, b"x" * self.padding)
            self.mails.append(Mail(unique_id, content))

    def remove(self, mails: Iterable[Mail]) -> None:
        """Remove messages by the will of the client."""
        seen = Seen.parse(self.file)
        for mail in mails:
            visited["removed"] += 1
            assert mail.content in self.disk
            assert mail.unique_id in seen
            self.lose(mail)

    def lose(self, mail: Mail) -> None:
        """Remove a message."""
        self.mails.remove(mail)
        self.retired.add(mail.unique_id)

    def application(self, peer: pop3.Peer) -> pop3.Application:
        """Begin a session of the server."""
        world = self

        class Opening(pop3.Application):
            def authenticate(self, question: sasl.Question) -> str:
                return "alice"

            def open(self, identity: str) -> pop3.Maildrop:
                return Drop(world)

        return Opening(peer)

    def collect(
        self,
        *,
        steps: int = NEVER,
        octets: int = NEVER,
        delete: bool = True,
        error: type[BaseException] = Death,
    ) -> pop3.Collected | None:
        """Collect once, unless the process or the connection ends before."""
        fate = Fate(error)
        seen = Seen.parse(self.file)
        self.file = bytes(seen)  # put in its place in one step
        by_content = {mail.content: mail for mail in self.mails}
        stored: list[Mail] = []

        def store(message: Listed, content: Blocks) -> None:
            block = content.read()
            fate.step()
            self.disk.append(block)
            stored.append(by_content[block])
            fate.step()

        def note(unique_id: str) -> None:
            for octet in Seen.line(unique_id):
                fate.step()
                self.file += bytes([octet])
            fate.step()

        offers = [*pop3.usual()]
        if not self.pipelining:
            offers = [each for each in offers if each.tag != "PIPELINING"]
        server = Connection(SERVER, capabilities=offers)
        client = Connection(CLIENT, limits=Limits(pipelined_commands=2))
        wire = Wire(pop3.serve(server, self.application))
        driver = Mortal(wire, fate)
        driver.run(pop3.open(client, INSECURE))
        fate.left, wire.left = steps, octets
        flow = pop3.collect(client, store, seen=seen, note=note, delete_stored=delete)
        result = None
        try:
            result = driver.run(flow)
            self.file = bytes(seen)
        except (error, Error) as end:
            visited[type(end).__name__] += 1
        self.steps, self.octets = steps - fate.left, octets - wire.left
        assert client.closed
        wire.hang_up()
        self._excuse(stored)
        return result

    def _excuse(self, stored: list[Mail]) -> None:
        """Take note of what was stored and is not noted."""
        noted = Seen.parse(self.file)
        for mail in stored:
            if mail.unique_id not in noted and mail in self.mails:
                visited["stored and not noted"] += 1
                self.excused[mail.content] += 1

    def check(self) -> None:
        """See that nothing is taken for stored that is not, or stored too often."""
        listed = [Listed(n, 1, mail.unique_id) for n, mail in enumerate(self.mails)]
        for each in pop3.plan(listed, Seen.parse(self.file)).stored:
            assert self.mails[each.number].content in self.disk
        times = Counter(self.disk)
        for mail in self.mails:
            if mail.unique_id not in self.shared:
                assert times[mail.content] <= 1 + self.excused[mail.content]


def begun(*, pipelining: bool) -> World:
    """Give a world with two messages that were stored, new ones, and twins."""
    world = World(pipelining=pipelining)
    world.arrive("a", "b", "twin", "c", "twin", "twin")
    world.disk = [world.mails[1].content, world.mails[2].content]
    world.file = bytes(Seen(["b", "twin"]))
    return world


def finish(world: World) -> None:
    """See that the next session makes everything good."""
    world.check()
    result = world.collect()
    assert result is not None
    result.check()
    world.check()
    assert world.mails == []
    assert set(world.disk) == {b".%d\r\n" % each for each in range(1, 7)}


PIPELINING = pytest.mark.parametrize("pipelining", [False, True])


@PIPELINING
@pytest.mark.parametrize("error", [Death, OSError])
def test_a_process_may_end_at_any_step(
    error: type[BaseException], pipelining: bool
) -> None:
    visited.clear()
    whole = begun(pipelining=pipelining)
    finish(whole)
    for steps in range(whole.steps):
        world = begun(pipelining=pipelining)
        assert world.collect(steps=steps, error=error) is None
        finish(world)
    assert visited[error.__name__] == whole.steps
    assert visited["stored and not noted"]


@PIPELINING
def test_a_connection_may_end_at_any_octet(pipelining: bool) -> None:
    visited.clear()
    whole = begun(pipelining=pipelining)
    finish(whole)
    for octets in range(whole.octets):
        world = begun(pipelining=pipelining)
        result = world.collect(octets=octets)
        assert result is None or (result.in_doubt and not result.deleted)
        finish(world)
    assert visited.keys() >= {"ConnectionLost", "MessageAborted"}
    assert "stored and not noted" not in visited


class Collecting(RuleBasedStateMachine):
    """A server that gets messages, and a client that comes again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(padding=90)

    @property
    def open_ids(self) -> list[str]:
        """The ids that another message may get as well: of none that has gone."""
        return [
            mail.unique_id
            for mail in self.world.mails
            if mail.unique_id not in self.world.retired
        ]

    @property
    def single(self) -> list[Mail]:
        """The messages that have their id for themselves."""
        ids = Counter(mail.unique_id for mail in self.world.mails)
        return [mail for mail in self.world.mails if ids[mail.unique_id] == 1]

    @rule(count=st.integers(1, 3))
    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.world.arrive(f"id{self.world.arrived}")

    @precondition(lambda self: self.open_ids)
    @rule(data=st.data())
    def arrive_with_the_id_of_another(self, data: st.DataObject) -> None:
        visited["twins"] += 1
        self.world.arrive(data.draw(st.sampled_from(self.open_ids)))

    @precondition(lambda self: self.single)
    @rule(data=st.data())
    def go_by_the_hand_of_another(self, data: st.DataObject) -> None:
        visited["gone"] += 1
        self.world.lose(data.draw(st.sampled_from(self.single)))

    @rule(delete=st.booleans(), pipelining=st.booleans(), stubborn=st.integers(0, 2))
    def collect(self, delete: bool, pipelining: bool, stubborn: int) -> None:
        world, before = self.world, list(self.world.mails)
        world.pipelining, world.stubborn = pipelining, stubborn
        result = world.collect(delete=delete)
        assert result is not None
        assert not result.refused
        assert {mail.content for mail in before} <= set(world.disk)
        kept = min(stubborn, len(before)) if delete else len(before)
        assert len(world.mails) == kept
        assert bool(result.in_doubt) is (delete and kept > 0)

    @rule(
        delete=st.booleans(),
        pipelining=st.booleans(),
        steps=st.integers(0, 50),
        error=st.sampled_from([Death, OSError]),
    )
    def crash(
        self, delete: bool, pipelining: bool, steps: int, error: type[BaseException]
    ) -> None:
        self.world.pipelining = pipelining
        self.world.collect(delete=delete, steps=steps, error=error)

    @rule(delete=st.booleans(), pipelining=st.booleans(), octets=st.integers(0, 400))
    def lose_the_connection(self, delete: bool, pipelining: bool, octets: int) -> None:
        self.world.pipelining = pipelining
        self.world.collect(delete=delete, octets=octets)

    @invariant()
    def nothing_is_lost(self) -> None:
        self.world.check()


SITUATIONS: Final = {
    *("removed", "twins", "gone", "stored and not noted"),
    *("Death", "OSError", "ConnectionLost", "MessageAborted"),
}


def test_nothing_is_lost_whatever_happens() -> None:
    visited.clear()
    # What is drawn also depends on which modules were imported before.
    for examples in (40, 120):
        if visited.keys() != SITUATIONS:
            live(examples)
    assert visited.keys() == SITUATIONS


def live(examples: int) -> None:
    """Let worlds live for a while."""
    run_state_machine_as_test(
        Collecting,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            max_examples=examples,
            stateful_step_count=25,
        ),
    )
