"""Real peers from Debian's packages, as plain processes on free loopback ports."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

PACKAGES = {
    "curl": "curl",
    "dovecot": "dovecot-core",
    "fetchmail": "fetchmail",
    "getmail": "getmail6",
    "haproxy": "haproxy",
    "lmtp": "dovecot-lmtpd",
    "mpop": "mpop",
    "msmtp": "msmtp",
    "nginx": "nginx-light",
    "pop3": "dovecot-pop3d",
    "postfix": "postfix",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "submission": "dovecot-submissiond",
    "swaks": "swaks",
}
_MORE = "/usr/sbin:/usr/local/sbin:/usr/lib/dovecot"
_POLICY = Path("/usr/sbin/policy-rc.d")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Keep the packages from starting what they bring."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def install(packages: Sequence[str]) -> str | None:
    """Install packages; return what stands in the way, or None."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    if os.geteuid() != 0:
        return "only root can install packages"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_services():
        for command in (["update", "-qq"], ["install", "-y", "-qq", *packages]):
            done = subprocess.run(
                ["apt-get", *command, "--no-install-recommends"],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                return f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}"
    return None


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:{_MORE}")


@pytest.fixture(scope="session")
def programs() -> dict[str, str]:
    """The real peers, by name; they are installed if they can be."""
    missing = {PACKAGES[name] for name in PACKAGES if find(name) is None}
    obstacle = install(sorted(missing)) if missing else None
    if obstacle is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(obstacle)
        pytest.skip(obstacle)
    return {name: str(find(name)) for name in PACKAGES}
