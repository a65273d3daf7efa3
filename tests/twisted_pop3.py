"""A POP3 server of Twisted's, as a program: prints its port, and serves until killed.

    python twisted_pop3.py FOLDER

Alice has a message for each file of the folder, in the order of their names; Bob has
10,000 small ones.  The password of both is "secret".
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.mail.pop3 import POP3, IMailbox, IServerFactory, Mailbox
from zope.interface import implementer

MANY: Final = 10_000


class Messages(Mailbox):
    """Messages in memory; those that were deleted are gone in the next session."""

    def __init__(self, contents: list[bytes]) -> None:
        self.kept = {b"id-%d" % number: each for number, each in enumerate(contents, 1)}
        self.deleted: set[bytes] = set()
        self.begin()

    def begin(self) -> None:
        self.ids = list(self.kept)

    def listMessages(self, i: int | None = None) -> Any:  # noqa: N802
        if i is None:
            return [self.size(each) for each in self.ids]
        return self.size(self.ids[i])

    def size(self, unique_id: bytes) -> int:
        content = b"" if unique_id in self.deleted else self.kept[unique_id]
        return len(content) + content.count(b"\n")

    def getMessage(self, i: int) -> Any:  # noqa: N802
        return BytesIO(self.kept[self.ids[i]])

    def getUidl(self, i: int) -> bytes:  # noqa: N802
        return self.ids[i]

    def deleteMessage(self, i: int) -> None:  # noqa: N802
        self.deleted.add(self.ids[i])

    def undeleteMessages(self) -> None:  # noqa: N802
        self.deleted.clear()

    def sync(self) -> None:
        for unique_id in self.deleted:
            del self.kept[unique_id]


@implementer(IRealm)
class Realm:
    """Opens the maildrops."""

    def __init__(self, folder: Path) -> None:
        contents = [each.read_bytes() for each in sorted(folder.iterdir())]
        many = [b"%d\n" % number for number in range(1, MANY + 1)]
        self.maildrops = {b"alice": Messages(contents), b"bob": Messages(many)}

    def requestAvatar(self, *arguments: Any) -> Any:  # noqa: N802
        maildrop = self.maildrops[arguments[0]]
        maildrop.begin()
        return IMailbox, maildrop, maildrop.undeleteMessages


class Prompt(POP3):
    """Sends what it has at once; else each message takes a delayed acknowledgement."""

    def connectionMade(self) -> None:  # noqa: N802
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        super().connectionMade()  # type: ignore[no-untyped-call]  # it is as it is


@implementer(IServerFactory)
class Factory(ServerFactory):
    """Serves each session."""

    noisy = False
    challengers = {b"CRAM-MD5": CramMD5Credentials}  # noqa: RUF012

    def __init__(self, portal: Any) -> None:
        self.portal = portal

    def cap_IMPLEMENTATION(self) -> bytes:  # noqa: N802
        return b"Twisted"

    def cap_EXPIRE(self) -> int:  # noqa: N802
        return 60

    def cap_LOGIN_DELAY(self) -> int:  # noqa: N802
        return 120

    def perUserExpiration(self) -> bool:  # noqa: N802
        return False

    def perUserLoginDelay(self) -> bool:  # noqa: N802
        return False

    def buildProtocol(self, addr: object) -> Any:  # noqa: N802
        protocol: Any = Prompt()
        protocol.factory = self
        protocol.portal = self.portal
        return protocol


def main() -> None:
    # Any: the interfaces of zope are not typed
    users: Any = InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret", bob=b"secret")
    realm: Any = Realm(Path(sys.argv[1]))
    loop: Any = reactor
    portal = Portal(realm, [users])
    port = loop.listenTCP(0, Factory(portal), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    loop.run()


if __name__ == "__main__":
    main()
