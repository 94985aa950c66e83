"""The driver by its name, as `--driver` and `--driver-file` give it.

choose(name, *, home, urls, say, mask, addresses=None, file=None, services=…) -> Driver
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uniassist.errors import SettingsError
from uniassist.release.drivers.driver import Driver
from uniassist.release.drivers.embedded import Keepers
from uniassist.release.drivers.exec_driver import ExecDriver
from uniassist.release.drivers.exec_file import read_exec_file
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.drivers.manual import ManualDriver
from uniassist.release.drivers.runner import Runner
from uniassist.release.drivers.systemd import BOOTED, SystemdUnits
from uniassist.release.env.services import ROLLOUT_ORDER

NAMES = ("local", "exec", "manual")


def choose(
    name: str,
    *,
    home: Path,
    urls: Mapping[str, str],
    say: Callable[[str], None],
    mask: Callable[[str], str],
    addresses: Mapping[str, str] | None = None,
    file: Path | None = None,
    services: Sequence[str] = ROLLOUT_ORDER,
) -> Driver:
    """SettingsError that names the option. `home`, `urls`, `say`, `mask` as the drivers' own docs have them."""
    if name not in NAMES:
        raise SettingsError(f"--driver: expected one of {', '.join(NAMES)}, got {name!r}")
    if (name == "exec") != (file is not None):
        wanted = "--driver exec needs it" if file is None else f"--driver {name} reads none"
        raise SettingsError(f"--driver-file: {wanted}")
    if file is not None:
        return ExecDriver(read_exec_file(file), home, urls=urls, mask=mask)
    if name == "manual":
        return ManualDriver(urls, say)
    return LocalDriver(
        home, urls=urls, addresses=addresses, runner=runner(home.absolute()), mask=mask, services=services
    )


def runner(home: Path) -> Runner:
    """systemd's units where it runs and we may write them, our own keepers elsewhere."""
    return SystemdUnits(home) if BOOTED.is_dir() and os.geteuid() == 0 else Keepers(home)
