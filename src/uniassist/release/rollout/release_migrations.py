"""A release's own executable: its migrations are run by its own code, not by the tool's."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from uniassist.release.drivers.driver import Driver
from uniassist.release.drivers.installation import wheel_of
from uniassist.release.records.kept_releases import Release, env_of
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.subprocesses import inherited, run, uniassist

MIGRATE_SECONDS = 1800.0


async def migrate(driver: Driver, release: Release, *options: str) -> str:
    """The release's `db migrate` on its own database; CheckFailed with its words."""
    command, more = _command(driver, release)
    env = _base(more) | env_of(release)
    ended = await run([*command, "db", "migrate", "--json", *options], env, MIGRATE_SECONDS)
    if ended.code is None:
        raise CheckFailed(f"the migrations were not done within {MIGRATE_SECONDS:.0f} s")
    if ended.code != 0:
        raise CheckFailed(f"the migrations failed: {ended.err.strip()[-800:]}")
    return _said(ended.out)


def _said(out: str) -> str:
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
    """Its command line, and variables for it.

    Where releases run elsewhere: the release's code, with the dependencies of this tool.
    """
    own = driver.command(release)
    if own is not None:
        return own, {}
    unpacked: Path = release.folder / "unpacked"
    with zipfile.ZipFile(wheel_of(release)) as wheel:
        wheel.extractall(unpacked)
    return uniassist(), {"PYTHONPATH": str(unpacked)}
