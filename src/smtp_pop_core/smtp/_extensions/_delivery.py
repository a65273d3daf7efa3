"""Extensions about delivery: DSN and ETRN."""

from dataclasses import dataclass
from typing import ClassVar

from ..._abnf import (
    decode_unitext,
    decode_xtext,
    encode_unitext,
    encode_xtext,
    upper,
)
from .._commands import Etrn as EtrnCommand
from .._commands import Notify, Ret
from ._extension import Extension, Parameter, Verb


def _read_ret(value: str | None) -> Ret:
    return Ret(upper(value or ""))


def _write_ret(ret: Ret) -> str:
    return ret.value


def _read_envid(value: str | None) -> str:
    return decode_xtext(value or "")


def _read_notify(value: str | None) -> tuple[Notify, ...]:
    return tuple(Notify(word) for word in upper(value or "").split(","))


def _write_notify(notify: tuple[Notify, ...]) -> str:
    return ",".join(word.value for word in notify)


def _read_orcpt(value: str | None) -> tuple[str, str]:
    address_type, separator, address = (value or "").partition(";")
    if not separator:
        raise ValueError("the type of the address is missing")
    if upper(address_type) == "UTF-8":
        return address_type, decode_unitext(address)
    return address_type, decode_xtext(address)


def _write_orcpt(orcpt: tuple[str, str]) -> str:
    address_type, address = orcpt
    if upper(address_type) == "UTF-8":
        return f"{address_type};{encode_unitext(address)}"
    return f"{address_type};{encode_xtext(address)}"


@dataclass(frozen=True, slots=True)
class Dsn(Extension):
    """DSN: the client says when it wants to be notified, and of what.  RFC 3461."""

    keyword = "DSN"
    mail: ClassVar = {
        "RET": Parameter(_read_ret, "ret", _write_ret),
        "ENVID": Parameter(_read_envid, "envid", encode_xtext),
    }
    rcpt: ClassVar = {
        "NOTIFY": Parameter(_read_notify, "notify", _write_notify),
        "ORCPT": Parameter(_read_orcpt, "orcpt", _write_orcpt),
    }
    mail_octets: ClassVar[int] = 107 + 9  # RFC 3885 section 3.1, and " RET=FULL"
    rcpt_octets: ClassVar[int] = 507 + 29  # the same, and NOTIFY with all its words


def _write_node(command: EtrnCommand) -> str:
    return command.node


@dataclass(frozen=True, slots=True)
class Etrn(Extension):
    """ETRN: a client can ask for its queue to be run.  RFC 1985."""

    keyword = "ETRN"
    verbs: ClassVar = (Verb("ETRN", EtrnCommand, EtrnCommand, _write_node),)
