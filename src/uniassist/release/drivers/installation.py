"""A release made ready to run on this host, in its folder, before anything is stopped.

Dependencies are installed once for each content of requirements.txt, under the home; a release's own virtual
environment holds its wheel and a pointer to them. So a new revision with the same lock costs a second or two, and
a kept release starts without network. `prepared.json` comes last: without it, whatever lies there is built anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import msgspec

from uniassist.devstack.state import write_private
from uniassist.release import subprocesses
from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.drivers.state_files import base_python, read_as
from uniassist.release.records.kept_releases import Release
from uniassist.release.revision.wheel import sha256
from uniassist.release.subprocesses import inherited

INSTALL_SECONDS = 600.0
VENV_SECONDS = 120.0


class Prepared(msgspec.Struct, rename="camel", frozen=True):
    """What was made ready, so that a change since then shows. Hashes are of the files in the release's folder."""

    wheel_sha256: str
    requirements_sha256: str
    env_sha256: str
    dependencies: str


class Installation:
    """`home` is shared by all releases; one at a time installs, also after a tool was killed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._dependencies = home / "dependencies"

    def ready(self, release: Release) -> Path | None:
        """The Python that runs the release; None while it isn't whole. DriverFailed when its files were changed."""
        found = self._wanted(release)
        prepared = read_as(release.folder / "prepared.json", Prepared)
        if prepared is None:
            return None
        if prepared.env_sha256 != found.env_sha256:
            raise DriverFailed(f"{release.folder / 'env'} was changed after it was prepared: release it anew")
        same = (prepared.wheel_sha256, prepared.requirements_sha256) == (
            release.wheel_sha256,
            found.requirements_sha256,
        )
        # Whichever Python the tool has by now: what was prepared with another one still runs with that.
        whole = same and _python(release).exists() and _exists(prepared.dependencies)
        return _python(release) if whole else None

    async def prepare(self, release: Release) -> str:
        """What was done."""
        if self.ready(release):
            return "prepared before"
        began = time.monotonic()
        wanted = self._wanted(release)
        async with self._alone() as lock:
            new = not _exists(wanted.dependencies)
            if new:
                await self._install_dependencies(release, Path(wanted.dependencies), lock)
            await self._install_wheel(release, Path(wanted.dependencies), lock)
            write_private(release.folder / "prepared.json", msgspec.json.format(msgspec.json.encode(wanted)))
        kept = "dependencies installed" if new else "dependencies kept from before"
        return f"{kept}, virtual environment built in {time.monotonic() - began:.1f} s"

    def prune(self, kept: Iterable[Release]) -> list[str]:
        """Removes dependencies that none of the `kept` needs; their names."""
        prepared = (read_as(release.folder / "prepared.json", Prepared) for release in kept)
        needed = {found.dependencies for found in prepared if found is not None}
        unneeded = [path for path in self._dependencies.glob("*") if path.is_dir() and str(path) not in needed]
        for path in unneeded:
            shutil.rmtree(path, ignore_errors=True)
        return sorted(path.name for path in unneeded)

    def _wanted(self, release: Release) -> Prepared:
        try:
            requirements = (release.folder / "requirements.txt").read_bytes()
            env = (release.folder / "env").read_bytes()
        except OSError as error:
            raise DriverFailed(f"{release.id}: {error.filename} can't be read: {error.strerror}") from None
        digest = hashlib.sha256(requirements).hexdigest()
        return Prepared(
            wheel_sha256=release.wheel_sha256,
            requirements_sha256=digest,
            env_sha256=hashlib.sha256(env).hexdigest(),
            # What is compiled for one Python doesn't run on the next.
            dependencies=str(self._dependencies / f"{digest}-{sys.implementation.cache_tag}"),
        )

    async def _install_dependencies(self, release: Release, target: Path, lock: int) -> None:
        for left in self._dependencies.glob(".new-*"):  # of a tool that was killed
            shutil.rmtree(left, ignore_errors=True)
        new = self._dependencies / f".new-{os.getpid()}-{time.monotonic_ns()}"
        wanted = release.folder / "requirements.txt"
        try:
            if wanted.read_bytes().strip():
                await _pip(
                    *(sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps"),
                    *("--only-binary=:all:", "--target", str(new), "-r", str(wanted)),
                    lock=lock,
                    what="its dependencies can't be installed",
                )
            new.mkdir(exist_ok=True)  # nothing was asked for
            new.rename(target)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    async def _install_wheel(self, release: Release, dependencies: Path, lock: int) -> None:
        wheel = wheel_of(release)
        venv = release.folder / "venv"
        (release.folder / "prepared.json").unlink(missing_ok=True)
        if venv.exists():
            await asyncio.to_thread(shutil.rmtree, venv)
        command = [base_python(), "-I", "-m", "venv", "--without-pip", str(venv)]
        ended = await subprocesses.run(command, inherited_for_pip(), VENV_SECONDS, pass_fds=(lock,))
        if ended.code != 0:
            raise DriverFailed(f"{release.id}: no virtual environment: {ended.words or f'ended with {ended.code}'}")
        await _pip(
            # As `pip --python` does it, without the start of a pip that only starts the other.
            *(str(_python(release)), _runner(), "install", "--no-deps", "--no-index", "--force-reinstall"),
            str(wheel),
            lock=lock,
            what="its wheel can't be installed",
        )
        packages = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        (packages / "uniassist-dependencies.pth").write_text(f"{dependencies}\n", "utf-8")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[int]:
        """The lock's descriptor goes to whatever installs, so that it outlives a tool that is killed meanwhile."""
        self._dependencies.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._home / "install.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await _taken(lock, self._home / "install.lock")
            yield lock
        finally:
            os.close(lock)


def wheel_of(release: Release) -> Path:
    """The release's one wheel, with the hash that was gated; DriverFailed otherwise."""
    wheels = sorted(release.folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DriverFailed(f"{release.folder}: expected one wheel, found {len(wheels)}")
    if (found := sha256(wheels[0])) != release.wheel_sha256:
        raise DriverFailed(f"{wheels[0]}: expected sha256 {release.wheel_sha256}, got {found}")
    return wheels[0]


def inherited_for_pip() -> dict[str, str]:
    """What a package index may need; no setting of ours, and no Python path."""
    kept = inherited() | {name: value for name, value in os.environ.items() if _is_for_pip(name)}
    kept.pop("PYTHONPATH", None)
    return kept


def _is_for_pip(name: str) -> bool:
    return name.startswith("PIP_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def _runner() -> str:
    """Runs our own pip under any Python."""
    found = find_spec("pip")
    if found is None or found.origin is None:
        raise DriverFailed(f"pip isn't installed for {sys.executable}")
    return str(Path(found.origin).parent / "__pip-runner__.py")


async def _pip(*command: str, lock: int, what: str) -> None:
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_QUIET": "1"}
    env = inherited_for_pip() | settings
    ended = await subprocesses.run(command, env, INSTALL_SECONDS, pass_fds=(lock,))
    if ended.code is None:
        raise DriverFailed(f"{what}: not done within {INSTALL_SECONDS:.0f} s")
    if ended.code != 0:
        raise DriverFailed(f"{what}: {ended.words[-800:]}")


async def _taken(lock: int, path: Path) -> None:
    end = time.monotonic() + INSTALL_SECONDS
    while True:  # ends: taken, or at the deadline
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise DriverFailed(f"{path} is held: another tool, or a pip of one, still installs") from None
            await asyncio.sleep(0.1)  # flock waits for ever or not at all
        else:
            return


def _exists(folder: str) -> bool:
    return Path(folder).is_dir()


def _python(release: Release) -> Path:
    return release.folder / "venv" / "bin" / "python"
