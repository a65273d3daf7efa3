"""Applications over Maildirs: SMTP stores in them, POP3 gives what is there."""

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from smtp_pop_core import Blocks, pop3, sasl, smtp

from .maildir import Maildir, deliver_to, user_folder
from .maildir_maildrop import MaildirMaildrop, MaildirMaildrops

_MOST_HOPS: Final = 100  # RFC 5321 section 6.3
_HEADER: Final = 1_048_576  # octets of a header in which Received fields are counted
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_log: Final = logging.getLogger("smtp_pop_adapters")


def _reply(code: int, status: str, text: str) -> smtp.Reply:
    return smtp.Reply(code, (text,), smtp.EnhancedCode.parse(status))


_NO_USER: Final = _reply(550, "5.1.1", "No such user here")
_NO_SPACE: Final = _reply(452, "4.3.1", "Insufficient system storage")
_LOOP: Final = _reply(554, "5.4.6", "Too many hops, this looks like a loop")


class MaildirUsers:
    """Whose mail is taken, and where it is stored.

    Give it to a server as its application: it makes one for each session.

    A user gets what is sent to the name at any domain; letters of ASCII count without
    their case, and quotes do not count.  Postmaster always exists, with a domain and
    without.  Everybody has a Maildir of that name below the root.

    Args:
        root: The folder of the Maildirs.
        names: The users.
        catch_all: Whether mail for everybody else is taken too, in `catch-all`.
        logins: Who can log in, or None: nobody.  It changes nothing in what is taken.

    Raises:
        ValueError: A name cannot be the local part of an address, or that of a folder.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        names: Iterable[str] = (),
        *,
        catch_all: bool = False,
        logins: sasl.Users | None = None,
    ) -> None:
        self._root = Path(root)
        self._users = {user_folder(self._root, "postmaster")}
        for name in names:
            smtp.Mailbox(name, "localhost")
            self._users.add(user_folder(self._root, name))
        self._others = Maildir(self._root / "catch-all") if catch_all else None
        self._logins = logins

    def __call__(self, peer: smtp.Peer) -> "MaildirApplication":
        """Return the application of one session."""
        return MaildirApplication(peer, self)

    def authenticate(self, question: sasl.Question) -> object:
        """Answer what a login asks."""
        return None if self._logins is None else self._logins.answer(question)

    def maildir(self, recipient: str) -> Maildir | None:
        """Return where mail for a recipient is stored, or None: there is no such user.

        Args:
            recipient: The forward-path, as in `smtp.Rcpt`.
        """
        name = smtp.parse_forward_path(recipient, smtputf8=True).local_part
        try:
            folder = user_folder(self._root, name)
        except ValueError:
            return self._others
        return Maildir(folder) if folder in self._users else self._others


class MaildirApplication(smtp.Application):
    """Stores each message once for each user, for all of them or for none.

    Args:
        peer: Who is at the other end of this session.
        users: Whose mail is taken.
    """

    def __init__(self, peer: smtp.Peer, users: MaildirUsers) -> None:
        super().__init__(peer)
        self._users = users

    def authenticate(self, question: sasl.Question) -> object:
        """Let in those who can log in."""
        return self._users.authenticate(question)

    def rcpt(self, command: smtp.Rcpt) -> smtp.Reply | None:
        """Accept those who have a Maildir."""
        return None if self._users.maildir(command.recipient) else _NO_USER

    def message(self, envelope: smtp.Envelope, content: Blocks) -> smtp.Reply | None:
        """Store the message; it is on disk before the reply."""
        found = map(self._users.maildir, envelope.recipients)
        maildirs = {maildir.path: maildir for maildir in found if maildir is not None}
        try:
            deliver_to(list(maildirs.values()), _without_loop(content))
        except _LoopError:
            return _LOOP
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _log.error("a message was refused for now: %s", error)
            return _NO_SPACE
        return None


class MaildirReaders:
    """Who may fetch mail from the Maildirs.

    Give it to a POP3 server as its application: it makes one for each session.

    Args:
        root: The folder of the Maildirs; everybody has one of that name.
        logins: Who can log in.
    """

    def __init__(self, root: str | os.PathLike[str], logins: sasl.Users) -> None:
        self._maildrops: Final = MaildirMaildrops(root)
        self._logins: Final = logins

    def __call__(self, peer: pop3.Peer) -> "MaildirReading":
        """Return the application of one session."""
        return MaildirReading(peer, self._logins, self._maildrops)


class MaildirReading(pop3.Application):
    """Gives each user the messages of a Maildir.

    Args:
        peer: Who is at the other end of this session.
        logins: Who can log in.
        maildrops: Where the Maildirs are.
    """

    def __init__(
        self, peer: pop3.Peer, logins: sasl.Users, maildrops: MaildirMaildrops
    ) -> None:
        super().__init__(peer)
        self._logins: Final = logins
        self._maildrops: Final = maildrops

    def authenticate(self, question: sasl.Question) -> object:
        """Answer what a login asks."""
        return self._logins.answer(question)

    def open(self, identity: str) -> MaildirMaildrop:
        """Lock the Maildir of a user."""
        return self._maildrops.open(identity)


class _LoopError(Exception):
    """The message has passed too many hosts."""


def _without_loop(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Hand the blocks on, and see from the header that the message is not in a loop.

    Raises:
        _LoopError: It is, or looks so.
    """
    header = bytearray()
    ended = False
    for block in blocks:
        if not ended:
            header += block
            ended = (
                len(header) >= _HEADER
                or header.startswith(b"\r\n")
                or b"\r\n\r\n" in header
            )
            if ended:
                _check_hops(bytes(header))
        yield block
    if not ended:
        _check_hops(bytes(header))


def _check_hops(header: bytes) -> None:
    if smtp.count_hops(header) > _MOST_HOPS:
        raise _LoopError
