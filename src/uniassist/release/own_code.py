"""A release's own executable: its migrations are run by its own code, not by the tool's."""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from uniassist.release.checklist import CheckFailed
from uniassist.release.drivers.driver import Driver, Release
from uniassist.release.kept import env_of, wheel_of
from uniassist.release.throwaway import inherited

MIGRATE_SECONDS = 1800.0


@runtime_checkable
class HasCommand(Protocol):
    """A driver that prepared the release on this host."""

    def command(self, release: Release) -> Sequence[str]:
        """Its `uniassist`, as the start of a command line."""
        ...


async def migrate(driver: Driver, release: Release, *options: str) -> str:
    """The release's `db migrate` on its own database; CheckFailed with its words."""
    command, more = _command(driver, release)
    process = await asyncio.create_subprocess_exec(
        *command,
        *("db", "migrate", "--json", *options),
        env=_base(more) | env_of(release),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is ours to answer
    )
    try:
        async with asyncio.timeout(MIGRATE_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        raise CheckFailed(f"the migrations were not done within {MIGRATE_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise CheckFailed(f"the migrations failed: {err.decode('utf-8', 'replace').strip()[-800:]}")
    return _said(out)


def _said(out: bytes) -> str:
    try:
        found = json.loads(out)
        ran, current = found["ran"], found["current"]
    except (ValueError, KeyError, TypeError):
        raise CheckFailed(f"db migrate of the release said nothing known: {out[:200]!r}") from None
    return f"ran {', '.join(ran)}; the schema is at {current}" if ran else f"none; the schema is at {current}"


def _base(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in inherited().items() if name != "PYTHONPATH"}
    return kept | more


def _command(driver: Driver, release: Release) -> tuple[Sequence[str], dict[str, str]]:
    """Where the services run elsewhere: the release's code, with the dependencies of this tool."""
    if isinstance(driver, HasCommand):
        return driver.command(release), {}
    unpacked: Path = release.folder / "unpacked"
    with zipfile.ZipFile(wheel_of(release)) as wheel:
        wheel.extractall(unpacked)
    return [sys.executable, "-m", "uniassist.cli.main"], {"PYTHONPATH": str(unpacked)}
