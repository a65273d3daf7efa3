"""A server over a maildrop in memory, against a model that is plain."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from cutting import pieces
from pop3_serving import USERS, Talk, connection
from smtp_pop_core import Limits, Stopping, pop3, sasl
from smtp_pop_core.pop3 import Ending

LINES: Final = ("Subject: x", "", "a", ".", "..", ".b", "+OK", "c" * 40)
LIMITS: Final = Limits(block=64, failed_logins=1_000)
LOSSES: Final[list[tuple[bytes | Exception, Ending]]] = [
    (b"", Ending.LOST),
    (TimeoutError(), Ending.TIMEOUT),
    (Stopping(), Ending.STOPPING),
]

seen: Final[Counter[str]] = Counter()

SITUATIONS: Final = {
    "a login",
    "a login with the wrong password",
    "a login to a maildrop in use",
    "a command out of order",
    "STAT",
    "STAT with marks",
    "LIST",
    "LIST with marks",
    "LIST of nothing",
    "LIST of one",
    "UIDL",
    "UIDL of one",
    "RETR",
    "RETR of nothing",
    "TOP",
    "TOP of all",
    "DELE",
    "RSET",
    "RSET with marks",
    "NOOP",
    "a number that is marked",
    "a number that is absent",
    "QUIT before the login",
    "QUIT without marks",
    "QUIT with marks",
    "QUIT with marks that stay",
    "a message that arrives in a session",
    "a loss",
    "a loss with marks",
    "a group",
}


class Store:
    """The messages of one user by their id, with a lock."""

    def __init__(self) -> None:
        self.messages: dict[str, list[str]] = {}
        self.locked = False
        self.stuck: set[str] = set()  # what cannot be removed
        self.delivered = 0


class Drop(pop3.Maildrop):
    """A store as a maildrop; lines end with LF, or the last with nothing."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.locked = True
        self.ids = list(store.messages)
        self.contents = ["\n".join(lines).encode() for lines in store.messages.values()]
        self.messages = [
            pop3.Message(pop3.size_of(content), unique_id)
            for content, unique_id in zip(self.contents, self.ids, strict=True)
        ]

    def read(self, number: int) -> Iterable[bytes]:
        content = self.contents[number - 1]
        return (content[at : at + 7] for at in range(0, len(content), 7))

    def commit(self, deleted: Collection[int]) -> Collection[int]:
        kept = {each for each in deleted if self.ids[each - 1] in self.store.stuck}
        for number in {*deleted} - kept:
            del self.store.messages[self.ids[number - 1]]
        return kept

    def close(self) -> None:
        assert self.store.locked
        self.store.locked = False


def serving(store: Store) -> pop3.ApplicationFactory:
    class Serving(pop3.Application):
        def authenticate(self, question: sasl.Question) -> object:
            return USERS.answer(question)

        def open(self, identity: str) -> pop3.Maildrop:
            if store.locked:
                raise pop3.MaildropInUse
            return Drop(store)

    return Serving


class Model:
    """What a session has to say, worked out line by line from RFC 1939."""

    def __init__(self, messages: dict[str, list[str]]) -> None:
        self.mail = messages  # what there is, by id, whatever a server does
        self.open = False
        self.named = False
        self.ended = False
        self.snapshot: list[tuple[str, list[str]]] = []
        self.marks: set[int] = set()
        self.stuck: set[str] = set()

    def answer(self, line: str) -> str:
        verb, *words = line.split(" ")
        if verb == "QUIT":
            return self.quit()
        if (verb in ("USER", "PASS")) is self.open or (verb == "PASS") > self.named:
            seen["a command out of order"] += 1
            self.named = False
            return "-ERR Not now\r\n"
        self.named = verb == "USER"
        if words and words[0].isdigit():
            return self.about(verb, *map(int, words))
        answers: dict[str, Callable[[], str]] = {
            "USER": lambda: "+OK Password please\r\n",
            "PASS": lambda: self.log_in(words[0]),
            "STAT": self.stat,
            "LIST": lambda: self.listing("LIST", self.size),
            "UIDL": lambda: self.listing("UIDL", self.unique_id),
            "RSET": self.reset,
            "NOOP": lambda: self.see("NOOP", "+OK\r\n"),
        }
        return answers[verb]()

    def see(self, situation: str, answer: str) -> str:
        seen[situation] += 1
        return answer

    def log_in(self, password: str) -> str:
        if password != "secret":
            wrong = "-ERR [AUTH] Login failed\r\n"
            return self.see("a login with the wrong password", wrong)
        self.open = True
        self.snapshot = list(self.mail.items())
        octets = sum(map(self.size, self.left))
        answer = f"+OK {len(self.snapshot)} messages, {octets} octets\r\n"
        return self.see("a login", answer)

    @property
    def left(self) -> list[int]:
        return [
            number
            for number in range(1, len(self.snapshot) + 1)
            if number not in self.marks
        ]

    def lines(self, number: int) -> list[str]:
        """The lines of a message; a text that ends with LF has no line behind it."""
        lines = self.snapshot[number - 1][1]
        return lines[:-1] if lines and not lines[-1] else lines

    def size(self, number: int) -> int:
        return sum(len(line) + 2 for line in self.lines(number))

    def unique_id(self, number: int) -> str:
        return self.snapshot[number - 1][0]

    def stat(self) -> str:
        octets = sum(map(self.size, self.left))
        answer = f"+OK {len(self.left)} {octets}\r\n"
        return self.see("STAT with marks" if self.marks else "STAT", answer)

    def listing(self, name: str, of: Callable[[int], object]) -> str:
        seen[name] += 1
        seen["LIST of nothing"] += not self.left
        seen["LIST with marks"] += bool(self.marks)
        lines = "".join(f"{number} {of(number)}\r\n" for number in self.left)
        return f"+OK {len(self.left)} messages\r\n{lines}.\r\n"

    def reset(self) -> str:
        seen["RSET with marks" if self.marks else "RSET"] += 1
        self.marks.clear()
        return "+OK No message is marked as deleted\r\n"

    def about(self, verb: str, number: int, lines: int = 0) -> str:
        if number not in self.left:
            marked = number in self.marks
            seen[f"a number that is {'marked' if marked else 'absent'}"] += 1
            return "-ERR No such message\r\n"
        match verb:
            case "LIST":
                answer = f"+OK {number} {self.size(number)}\r\n"
                return self.see("LIST of one", answer)
            case "UIDL":
                answer = f"+OK {number} {self.unique_id(number)}\r\n"
                return self.see("UIDL of one", answer)
            case "DELE":
                self.marks.add(number)
                return self.see("DELE", "+OK Marked as deleted\r\n")
        whole = self.lines(number)
        seen["RETR of nothing"] += not whole
        sent = whole
        if verb == "TOP":
            header = whole.index("") + 1 if "" in whole else len(whole)
            sent = whole[: header + lines]
            seen["TOP of all" if sent == whole else "TOP"] += 1
        seen["RETR"] += verb == "RETR"
        body = "".join(
            f".{line}\r\n" if line.startswith(".") else f"{line}\r\n" for line in sent
        )
        return f"+OK {self.size(number)} octets\r\n{body}.\r\n"

    def quit(self) -> str:
        self.ended = True
        if not self.open:
            return self.see("QUIT before the login", "+OK Goodbye\r\n")
        ids = {self.unique_id(number) for number in self.marks}
        for each in ids - self.stuck:
            del self.mail[each]
        kept = len(ids & self.stuck)
        if kept:
            answer = f"-ERR [SYS/TEMP] {kept} messages were not removed\r\n"
            return self.see("QUIT with marks that stay", answer)
        return self.see(f"QUIT with{'' if ids else 'out'} marks", "+OK Goodbye\r\n")


class Served(RuleBasedStateMachine):
    """Sessions one after the other over one store."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.model = Model({})
        self.talk = self.connect()

    def connect(self) -> Talk:
        self.model = Model(self.model.mail)
        self.model.stuck = self.store.stuck
        talk = Talk(serving(self.store), conn=connection(limits=LIMITS))
        assert talk.greeting == b"+OK pop.example POP3\r\n"
        return talk

    @rule(data=st.data(), random=st.randoms(use_true_random=True))
    def step(self, data: st.DataObject, random: Random) -> None:
        """Do one of what can be done, chosen by weight.

        It is one rule because hypothesis leaves out some rules in each run.
        """
        weights: dict[Callable[[st.DataObject, Random], None], float] = {
            self.say: 20,
            self.deliver: 4,
            self.lose: 1 if self.model.open else 0.1,
            self.come_twice: 1,
            self.get_stuck: 1,
        }
        (act,) = random.choices([*weights], [*weights.values()])
        act(data, random)

    def say(self, data: st.DataObject, random: Random) -> None:
        """Say some commands in one go, cut anywhere."""
        lines: list[str] = []
        expected = ""
        for _ in range(random.choice([1, 1, 2, 5])):
            line = self.command(random)
            lines.append(line)
            expected += self.model.answer(line)
            if self.model.ended:
                break
        seen["a group"] += len(lines) > 1
        said = "".join(f"{line}\r\n" for line in lines).encode()
        heard = b"".join(self.talk.hear(each) for each in data.draw(pieces(said)))
        assert heard.decode() == expected
        self.end(Ending.QUIT)

    def command(self, random: Random) -> str:
        numbers = range(1, len(self.model.snapshot) + 2)
        number, lines = random.choice(numbers), random.choice([0, 0, 1, 2, 9])
        inside = {
            "STAT": 2,
            "LIST": 2,
            "UIDL": 2,
            f"LIST {number}": 2,
            f"UIDL {number}": 2,
            f"RETR {number}": 4,
            f"TOP {number} {lines}": 4,
            f"DELE {number}": 5,
            "RSET": 1,
            "NOOP": 1,
            "QUIT": 1,
            "USER joe": 0.3,
        }
        outside = {"USER joe": 8, "PASS secret": 1, "STAT": 0.5, "QUIT": 0.2}
        named = {"PASS secret": 9, "PASS wrong": 1, "QUIT": 0.1, "RETR 1": 0.2}
        weights = inside if self.model.open else named if self.model.named else outside
        (line,) = random.choices([*weights], [*weights.values()])
        return line

    def deliver(self, data: st.DataObject, random: Random) -> None:
        """Let a message arrive: a session that is open does not see it."""
        seen["a message that arrives in a session"] += self.model.open
        self.store.delivered += 1
        unique_id = f"id-{self.store.delivered}"
        lines = data.draw(st.lists(st.sampled_from(LINES), max_size=6))
        self.store.messages[unique_id] = lines
        self.model.mail[unique_id] = lines

    def get_stuck(self, data: st.DataObject, random: Random) -> None:
        """Let the store be unable to remove one message, or able to remove all."""
        self.store.stuck.clear()
        self.store.stuck.update(random.choices([*self.store.messages, "none"]))

    def come_twice(self, data: st.DataObject, random: Random) -> None:
        """Let another session try to log in."""
        other = Talk(serving(self.store), conn=connection())
        heard = other.log_in()
        assert heard.startswith(b"-ERR [IN-USE]" if self.model.open else b"+OK")
        seen["a login to a maildrop in use"] += self.model.open
        assert other.hear(b"QUIT\r\n") == b"+OK Goodbye\r\n"

    def lose(self, data: st.DataObject, random: Random) -> None:
        """Let the connection end without QUIT."""
        seen["a loss with marks" if self.model.marks else "a loss"] += 1
        then, ending = random.choice(LOSSES)
        half = random.choice([[], [b"QUIT"], [b"QUIT\r"], [b"DELE 1"]])
        assert self.talk.hear(*half, then) == b""
        self.model.ended = True
        self.end(ending)

    def end(self, ending: Ending) -> None:
        if self.model.ended:
            assert self.talk.ending is ending
            self.talk = self.connect()

    @invariant()
    def what_there_is_is_as_it_should_be(self) -> None:
        assert self.store.messages == self.model.mail
        assert self.store.locked is self.model.open
        assert self.talk.ending is None
        assert self.talk.driver.reports == []


def test_a_session_is_as_the_model_says() -> None:
    seen.clear()
    for examples in (10, 30, 90):
        if set(+seen) != SITUATIONS:
            run_state_machine_as_test(
                Served,
                settings=settings(
                    derandomize=True,
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate],
                    max_examples=examples,
                    stateful_step_count=100,
                ),
            )
    assert set(+seen) == SITUATIONS
