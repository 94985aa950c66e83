"""The real thing: a service of ours from its own wheel, with dependencies by hash, kept by the local driver."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.release.drivers.driver import Observed
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.records.kept_releases import Release
from uniassist.release.revision import wheel

ROOT = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists())
SERVICE = "provider-plan"
# What the smallest of our services imports; all of the lock would be a quarter of a gigabyte.
ROOTS = (
    "aiohttp",
    "asyncpg",
    "borax",
    "chinesecalendar",
    "httptools",
    "icalendar",
    "msgspec",
    "opencc",
    "prometheus-client",
    "python-dateutil",
    "starlette",
    "structlog",
    "swagger-ui-py",
    "typer",
    "uvicorn",
    "uvloop",
)


_IGNORED = shutil.ignore_patterns("venv", "prepared.json")


@pytest.mark.slow
async def test_a_real_service_runs_from_its_own_wheel_and_the_next_of_its_lock_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = await _release(tmp_path)
    driver = LocalDriver(tmp_path / "fleet")
    assert "dependencies installed" in await driver.prepare(release)
    try:
        await driver.deploy(SERVICE, release)

        async def answers() -> Observed | None:
            seen = await driver.observe(SERVICE)
            return seen if seen.ok or "starts again" in seen.detail else None

        seen = await eventually(answers, "healthy", 30)
        assert seen.ok, seen.detail
        assert (seen.revision, seen.env_digest, seen.stranger) == ("v1", release.env_digest, False)
        assert seen.instance
    finally:
        await driver.stop(SERVICE)
    assert (await driver.observe(SERVICE)).state == "stopped"
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing-listens-here")
    following = shutil.copytree(release.folder, tmp_path / "releases" / "v2", ignore=_IGNORED)
    said = await driver.prepare(replace(release, id="v2-0", tag="v2", folder=following))
    assert "dependencies kept from before" in said


async def _release(folder: Path) -> Release:
    (folder / "wheel").mkdir()
    kept = folder / "releases" / "v1"
    kept.mkdir(parents=True)
    export = folder / "export"  # a build leaves traces beside its source
    shutil.copytree(ROOT / "src", export / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    shutil.copytree(ROOT / "requirements", export / "requirements")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, export)
    built = await wheel.build(export, folder / "wheel", wheel.HERE)
    copied = kept / built.name
    copied.write_bytes(built.read_bytes())
    lock = (ROOT / "requirements" / "runtime.txt").read_text()
    entries = re.findall(r"^[a-z].*?(?=^[a-z]|\Z)", lock, re.DOTALL | re.MULTILINE)
    needed = _needed(ROOTS)
    (kept / "requirements.txt").write_text("".join(entry for entry in entries if _name(entry) in needed))
    (kept / "env").write_text(f"UNIASSIST_ENV=test\nPROVIDER_PLAN_PORT={free_port()}\n")
    return Release("v1-0", "v1", "c" * 40, wheel.sha256(copied), "d" * 64, kept)


def _needed(roots: Iterable[str]) -> set[str]:
    """The distributions with all that they require, as they are installed here."""
    found, open_names = set[str](), list(roots)
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        with contextlib.suppress(metadata.PackageNotFoundError):  # for another platform
            required = metadata.requires(name) or []
            found.add(name)
            open_names += [_name(line) for line in required if "extra ==" not in line]
    return found


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()
