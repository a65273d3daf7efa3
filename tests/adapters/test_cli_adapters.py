"""The three adapters behind one face."""

import sys

import click
import pytest

from smtp_pop_adapters._cli._adapters import ADAPTERS, adapter_of
from smtp_pop_core import smtp


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_goes_wrong_beside_a_server_is_raised_as_it_is(name: str) -> None:
    adapter = adapter_of(name)

    async def fail() -> None:
        async with adapter.serve("smtp", smtp.Application, "127.0.0.1"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        adapter.run(fail)


def test_without_trio_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(click.ClickException, match=r"smtp-pop-core\[trio\]"):
        adapter_of("trio")
