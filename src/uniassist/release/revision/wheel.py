"""The wheel of a revision, the same to the byte wherever and whenever it is built."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from uniassist.release.report.checklist import CheckFailed, equal
from uniassist.release.revision import backend
from uniassist.release.subprocesses import inherited, run

BUILD_SECONDS = 180.0
# What zip can hold at the earliest; the builder's clock says nothing about the content.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Surroundings:
    """What must make no difference to a build."""

    umask: int
    clock: int  # Unix seconds, as SOURCE_DATE_EPOCH
    timezone: str
    hash_seed: str


HERE = Surroundings(0o022, 1_700_000_000, "UTC", "0")
ELSEWHERE = Surroundings(0o077, 1_500_000_000, "Asia/Shanghai", "4711")


async def build(source: Path, into: Path, surroundings: Surroundings) -> Path:
    """The wheel of `source`, without its dependencies and the network; CheckFailed with the backend's words."""
    env = inherited() | {
        "SOURCE_DATE_EPOCH": str(surroundings.clock),
        "TZ": surroundings.timezone,
        "PYTHONHASHSEED": surroundings.hash_seed,
    }
    env.pop("PYTHONPATH", None)
    command = [sys.executable, "-P", backend.__file__, str(source), str(into)]
    ended = await run(command, env, BUILD_SECONDS, cwd=source, umask=surroundings.umask)
    if ended.code is None:
        raise CheckFailed(f"the wheel was not built within {BUILD_SECONDS:.0f} s")
    wheels = _wheels(into)
    if ended.code != 0 or len(wheels) != 1:
        raise CheckFailed(f"the wheel can't be built: {ended.words[-800:]}")
    return normalised(wheels[0], into / "normalised")


def _wheels(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.whl"))


def normalised(wheel: Path, into: Path) -> Path:
    """The same files in the same wheel, without the builder's clock, umask and directory order."""
    into.mkdir(exist_ok=True)
    target = into / wheel.name
    with zipfile.ZipFile(wheel) as found, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(found.namelist()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, _MODE
            made.writestr(entry, found.read(name))
    return target


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(one: Path, other: Path) -> list[str]:
    """Names of the files in which two wheels differ."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        names = sorted({*first.namelist(), *second.namelist()})
        differing = [name for name in names if _content(first, name) != _content(second, name)]
    # The wheel's own list of hashes follows from the rest.
    return [name for name in differing if not name.endswith(".dist-info/RECORD")] or differing


def _content(wheel: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return wheel.read(name)
    except KeyError:
        return None


async def build_twice(folder: Path) -> str:
    """The hash of the wheel of `folder`/export and of a copy elsewhere; CheckFailed naming what differs."""
    export, again = folder / "export", folder / "somewhere" / "else" / "with-a-longer-name"
    _copy_aged(export, again)
    first = await build(export, _made(folder / "wheel"), HERE)
    second = await build(again, _made(folder / "wheel-again"), ELSEWHERE)
    if first.name != second.name:
        raise CheckFailed(f"two builds of one commit have different names: {first.name}, {second.name}")
    if differing := differences(first, second):
        named = ", ".join(differing[:5]) + (" …" if len(differing) > 5 else "")
        raise CheckFailed(f"two builds of one commit differ in {named}: the wheel is not reproducible")
    equal("hash of the second build", sha256(second), sha256(first))
    return sha256(first)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _copy_aged(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    for path in target.rglob("*"):
        os.utime(path, (ELSEWHERE.clock, ELSEWHERE.clock), follow_symlinks=False)
