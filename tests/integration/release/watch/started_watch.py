"""A watch as a process of its own, with a shorter cadence and a rollback that only says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.forking import fork
from tests.waiting import eventually

from uniassist.release.watch.directory import WatchDirectory, WatchState

THRESHOLDS = Path(__file__).parents[4] / "ops/deploy/staging/thresholds.toml"
ROLLBACK = "import sys; print('rolling', *sys.argv[1:]); sys.exit(0 if '--dry-run' in sys.argv else {code})"


class StartedWatch:
    """Its process, its log and its directory. `env`: the URLs of what is watched, and whatever else it gets."""

    def __init__(self, folder: Path, on_trigger: str, code: int, env: Mapping[str, str]) -> None:
        self.directory = WatchDirectory(folder / "home", "staging")
        self.log = folder / "watch.log"
        rollback = [sys.executable, "-c", ROLLBACK.format(code=code)]
        options = [str(folder / "home"), on_trigger, str(THRESHOLDS), str(self.log)]
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        with self.log.open("wb") as out:
            self.process = fork(
                "tests.integration.release.watch.quick_watch",
                [*options, *rollback],
                env={**kept, "UNIASSIST_ENV": "staging", **env},
                cwd=folder,
                out=out,
            )

    @property
    def said(self) -> str:
        return " ".join(self.log.read_text().split())

    def state(self) -> WatchState:
        found = self.directory.look().state
        assert found is not None
        return found

    def probed_at(self, service: str) -> float:
        return datetime.fromisoformat(self.state().services[service].at or "").timestamp()

    async def watches(self) -> None:
        """Until every service was seen well."""

        def all_seen() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            state = self.directory.look().state
            return state is not None and [s.state for s in state.services.values()] == ["ok"] * 4

        await eventually(all_seen, "the watch has seen all four")

    async def says(self, text: str, times: int = 1) -> None:
        await eventually(lambda: self.said.count(text) >= times, f"it says {text!r}: {self.said}", 30.0)

    async def ends(self) -> int:
        await eventually(lambda: self.process.poll() is not None, "the watch ends", 60.0)
        return self.process.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
