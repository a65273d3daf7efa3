"""The envelope and the octets of an `email.message.EmailMessage`; the hops of any.

RFC 5322 section 3.6.6 for messages that were sent again, RFC 6409 section 8 for what a
client may do to them.  The message itself is never changed.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .._expressions import expression

if TYPE_CHECKING:
    from email.message import Message

_RESENT: Final = "resent-"
_FOLD: Final = expression(r"[\r\n]+(?=[ \t])")
_ADDRESS_FIELDS: Final = ("from", "sender", "reply-to", "to", "cc", "bcc")
_ENCODED: Final = ("base64", "quoted-printable")
_EMPTY_LINE: Final = expression(rb"(?:\A|\n)\r?\n")
_RECEIVED: Final = expression(rb"^Received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CONCEALED: Final = ("Bcc", "Resent-Bcc")  # RFC 5322 section 3.6.3


def sender_of(message: "Message") -> str:
    """Return the address that a message says it comes from.

    That is Sender, else the first address of From; of a message that was sent again,
    the same of the last time.

    Raises:
        ValueError: There is none, or one that cannot be read for certain.
    """
    fields = _fields(message)
    for name in ("sender", "from"):
        addresses = _addresses(fields.get(name, []))
        if addresses:
            return addresses[0]
    raise ValueError("the message names no sender")


def recipients_of(message: "Message") -> tuple[str, ...]:
    """Return the addresses of To, Cc and Bcc, each once, groups opened.

    Of a message that was sent again: those of the last time, Resent-To and so on.

    Raises:
        ValueError: There is none, or one that cannot be read for certain.
    """
    fields = _fields(message)
    found = [
        address
        for name in ("to", "cc", "bcc")
        for address in _addresses(fields.get(name, []))
    ]
    if not found:
        raise ValueError("the message names no recipient")
    return tuple(dict.fromkeys(found))


def needs_utf8(message: "Message") -> bool:
    """Whether an address in the header has characters beyond ASCII.  RFC 6532."""
    return not all(
        address.isascii()
        for name, value in message.raw_items()
        if name.lower().removeprefix(_RESENT) in _ADDRESS_FIELDS
        for address in _read(value)[0]
    )


def count_hops(header: bytes) -> int:
    """Count the Received fields: every server on the way has put one in front.

    More than 100 are a loop.  RFC 5321 section 6.3.

    Args:
        header: A message, or the beginning of one, with CRLF or LF line ends.  What
            stands behind the first empty line is not looked at.
    """
    end = _EMPTY_LINE.search(header)
    return len(_RECEIVED.findall(header, 0, end.start() if end else len(header)))


def octets_of(
    message: "Message", *, eight_bit: bool = True, utf8: bool = False
) -> bytes:
    """Return the message as it is sent: with CRLF, and without Bcc.

    Args:
        message: The message.
        eight_bit: Whether the body may hold octets above 127.  If not, parts that do
            are encoded anew; the signature of a signed part does not survive that.
        utf8: Whether the header may hold UTF-8.  If not, it has encoded words.

    Raises:
        ValueError: It cannot be written in 7 bits.
    """
    from copy import deepcopy

    outgoing = deepcopy(message)  # to flatten it gives its parts their boundaries
    for name in _CONCEALED:
        del outgoing[name]
    content = _flattened(outgoing, utf8=utf8)
    if eight_bit or content.isascii():
        return content
    for part in outgoing.walk():
        _encode(part)
    content = _flattened(outgoing, utf8=utf8)
    if not content.isascii():
        raise ValueError("the message cannot be written in 7 bits")
    return content


def _flattened(message: "Message", *, utf8: bool) -> bytes:
    from email.generator import BytesGenerator
    from email.policy import SMTP, EmailPolicy, Policy
    from io import BytesIO

    policy: Policy[Any] = message.policy
    if utf8 and not isinstance(policy, EmailPolicy):
        policy = SMTP
    policy = policy.clone(linesep="\r\n", cte_type="8bit")
    if isinstance(policy, EmailPolicy):
        policy = policy.clone(utf8=utf8)
    file = BytesIO()
    BytesGenerator(file, mangle_from_=False, policy=policy).flatten(
        message  # pyright: ignore[reportArgumentType] - its types know EmailMessage only
    )
    return file.getvalue()


def _encode(part: "Message") -> None:
    """Write the octets of one part in 7 bits."""
    from binascii import b2a_qp

    name = "Content-Transfer-Encoding"
    if part.is_multipart():
        if part[name] is not None:
            part.replace_header(name, "7bit")
        return
    data = part.get_payload(decode=True)
    if str(part.get(name, "")).lower() in _ENCODED or not isinstance(data, bytes):
        return
    if data.isascii():
        return
    part.set_payload(b2a_qp(data, istext=True).decode("ascii"))
    del part[name]
    part[name] = "quoted-printable"
    if "MIME-Version" not in part:
        part["MIME-Version"] = "1.0"


def _fields(message: "Message") -> dict[str, list[object]]:
    """The address fields that hold, by name in lower case without "resent-".

    Each time that a message is sent again, a block of Resent-* fields is put before
    what was there: the first block is that of the last time.
    """
    resent: dict[str, list[object]] = {}
    original: dict[str, list[object]] = {}
    first_block = True
    for name, value in message.raw_items():
        name = name.lower()
        if not name.startswith(_RESENT):
            first_block = first_block and not resent
            original.setdefault(name, []).append(value)
        elif first_block:
            name = name.removeprefix(_RESENT)
            if name in resent:
                first_block = False
            else:
                resent[name] = [value]
    return resent or original


def _addresses(values: Iterable[object]) -> list[str]:
    """The addresses in address fields.

    Raises:
        ValueError: They cannot be told for certain; some would get lost.
    """
    found: list[str] = []
    for value in values:
        addresses, certain = _read(value)
        if not certain:
            raise ValueError(f"cannot tell the addresses in {str(value)!r}")
        found.extend(addresses)
    return [address for address in found if address != "<>"]


def _read(value: object) -> tuple[list[str], bool]:
    """Read an address field: its addresses, and whether these are all for certain.

    The words are read before encoded words are decoded, so that an encoded comma does
    not part two addresses.  Octets above 127 are UTF-8, RFC 6532; others than that are
    replaced by U+FFFD.
    """
    from email.errors import InvalidHeaderDefect
    from email.headerregistry import AddressHeader, BaseHeader, HeaderRegistry

    header = value
    if not isinstance(header, AddressHeader):
        octets = str(value).encode("utf-8", "surrogateescape")
        text = _FOLD.sub("", octets.decode("utf-8", "replace"))
        header = HeaderRegistry()("To", text)
    if not isinstance(header, AddressHeader) or not isinstance(header, BaseHeader):
        raise AssertionError("To is an address field")
    addresses = [each.addr_spec for each in header.addresses]
    invalid = any(isinstance(each, InvalidHeaderDefect) for each in header.defects)
    return addresses, not invalid and "\ufffd" not in "".join(addresses)


def completed(content: bytes, *, date: str, message_id: str) -> bytes:
    """Add the fields that a submission server may add.  RFC 6409 section 8.

    Args:
        content: The message, with CRLF.
        date: The value of Date, as `email.utils.format_datetime` writes it.
        message_id: The value of Message-ID, with its angle brackets.

    Returns:
        The message with Date and Message-ID at the top where it had none.

    Raises:
        ValueError: A value cannot stand in a header.
    """
    end = _EMPTY_LINE.search(content)
    header = content[: end.start()] if end else content
    names = {line.partition(b":")[0].rstrip().lower() for line in header.splitlines()}
    added = b""
    for name, value in (("Date", date), ("Message-ID", message_id)):
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"not the value of a header field: {value!r}")
        if name.lower().encode("ascii") not in names:
            added += f"{name}: {value}\r\n".encode("ascii")
    return added + content
