"""What every part of the campaign begins with: v1 runs, is verified, and is under load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.load import Load
from tests.acceptance.site import Ended, Site
from tests.full_disk import disk


@dataclass(frozen=True)
class Base:
    """`good`: the env file of both revisions."""

    site: Site
    load: Load
    good: Path

    def release(self, *arguments: str, env_file: Path | None = None, prefix: tuple[str, ...] = ()) -> Ended:
        return self.site.uniassist("release", *arguments, env_file=env_file or self.good, prefix=prefix)

    def roll_out(self, tag: str, env_file: Path | None = None) -> Ended:
        """Approved before, whatever the gate would have said."""
        self.site.approve(tag, env_file or self.good)
        return self.release("rollout", "--rev", tag, "--yes", env_file=env_file)

    def roll_back(self) -> Ended:
        return self.release("rollback", "--yes")


@contextmanager
def based(folder: Path, per_second: float = 5.0, disk_megabytes: int | None = None) -> Iterator[Base]:
    """AssertionError with the command's words when v1 can't be had.

    disk_megabytes: the state directory is a disk of its own, so large.
    """
    site = Site(folder)
    mounted = ExitStack()
    try:
        site.start()
        if disk_megabytes is not None:
            mounted.enter_context(disk(site.home, disk_megabytes))
        load = Load(site.url("gateway"), per_second)
        base = Base(site, load, folder / "good.env")
        ready = base.release("preflight", "--rev", "v1")
        assert ready.code == 0, ready.lines
        first = base.roll_out("v1")
        assert first.code == 0, first.lines
        verified = base.release("verify", "--rev", "v1")
        assert verified.code == 0, verified.lines
        load.start()
        yield base
    finally:
        site.stop_services()
        mounted.close()
        site.stop()
