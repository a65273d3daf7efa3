"""What the tests of the adapters have in common.

An async test is run by the `adapter` that it asks for, or by the `kit`.
"""

import functools
import gc
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from adapting import Adapter
from asynchronous import ADAPTERS, KITS, Kit
from door import Serving


def name_of(adapter: Adapter) -> str:
    return adapter.name


@pytest.fixture(params=ADAPTERS, ids=name_of)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter."""
    it: Adapter = request.param
    return it


@pytest.fixture(params=KITS, ids=name_of)
def kit(request: pytest.FixtureRequest) -> Kit:
    """Each adapter whose functions are awaited."""
    it: Kit = request.param
    return it


@pytest.fixture
def serving(adapter: Adapter) -> Serving:
    """Runs a server of each adapter."""
    return Serving(adapter)


@pytest.fixture(autouse=True, scope="module")
def every_socket_is_closed() -> Iterator[None]:
    """A socket that was left open is a ResourceWarning, which is an error."""
    yield
    gc.collect()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is an async function."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    given: dict[str, Any] = pyfuncitem.funcargs
    names = inspect.signature(test).parameters
    adapter: Adapter = given["adapter" if "adapter" in given else "kit"]
    adapter.run(functools.partial(test, **{name: given[name] for name in names}))
    return True
