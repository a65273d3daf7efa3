"""Collecting what is new and, if wanted, deleting what is stored, as one flow."""

from collections import Counter
from collections.abc import Callable

from .._errors import PolicyError
from .._flow import Ask, AsyncBlocks, Blocks, Content, Flow
from .._progress import Progress, Told
from ._client import messages, quit
from ._connection import Connection
from ._plan import Plan, Seen, plan
from ._responses import ERR
from ._results import Collected, Listed
from ._retrieve import delete, drop, retrieve_each


def collect(
    conn: Connection,
    store: Callable[[Listed, Blocks], object] | Callable[[Listed, AsyncBlocks], object],
    *,
    seen: Seen | None = None,
    note: Callable[[str], object] | None = None,
    delete_stored: bool = False,
    progress: Progress | None = None,
) -> Flow[Collected]:
    """Fetch and store what is new, note it, delete what is stored if wanted, and QUIT.

    Whatever ends the session, nothing is deleted that was not stored and noted before.
    Of messages with one id none is noted, and none deleted, before all are stored.

    Args:
        conn: A connection after a login.
        store: Called with each message and its content; when it returns, the message
            is on disk.  If it raises, the connection is closed and nothing is deleted.
        seen: The ids of what was stored before, which are kept up to date; or None:
            everything is new.
        note: Called with the unique id of a message that has been stored; when it
            returns, the id is on disk.  `Seen.line` is what to append to a file.  If it
            raises, the connection is closed and nothing is deleted.
        delete_stored: Whether messages that are stored are deleted.
        progress: Called for each block that has come, with the octets of all messages
            so far, and with what their listed sizes come to.

    Raises:
        PolicyError: Ids are to be compared or noted, and the server does not have them.
            The session goes on.
        Rejected: The server does not list its messages.  The session goes on.
        MessageAborted: The connection was lost in the middle of a message.
        ConnectionLost: It was lost before; nothing is deleted then.
    """
    listed = yield from messages(conn)
    if seen is None and note is not None:
        seen = Seen()
    if seen is None:
        wanted = Plan(listed, ())
    elif any(each.unique_id is None for each in listed):
        raise PolicyError("the server has no unique ids: it does not know UIDL")
    else:
        seen.forget_all_but(listed)
        wanted = plan(listed, seen)
    by_number = {each.number: each for each in listed}
    there = Counter(each.unique_id for each in wanted.fetch)
    unstored = there.copy()
    stored: list[Listed] = []

    def take(number: int, content: Content) -> Flow[None]:
        message = by_number[number]
        yield Ask(store, (message, content))
        yield from drop(content)
        stored.append(message)
        unique_id = message.unique_id
        unstored[unique_id] -= 1
        if seen is None or unique_id is None or unstored[unique_id]:
            return
        while seen.count(unique_id) < there[unique_id]:
            if note is not None:
                yield Ask(note, (unique_id,))
            seen.add(unique_id)

    wanted_numbers = (each.number for each in wanted.fetch)
    told = Told(progress, sum(each.size for each in wanted.fetch))
    answers = yield from retrieve_each(conn, wanted_numbers, take, told=told)
    marked: tuple[Listed, ...] = ()
    if delete_stored:
        noted = [
            each for each in stored if seen is None or not unstored[each.unique_id]
        ]
        marked = (*wanted.stored, *noted)
        refusals = yield from delete(conn, marked)
        marked = tuple(each for each in marked if each.number not in refusals)
        answers |= refusals
    reply = yield from quit(conn)
    gone = reply is not None and reply.cls is not ERR
    return Collected(
        stored=tuple(stored),
        known=wanted.stored,
        refused={by_number[number]: answer for number, answer in answers.items()},
        deleted=marked if gone else (),
        in_doubt=() if gone else marked,
        reply=reply,
    )
