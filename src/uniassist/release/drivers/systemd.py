"""systemd as the runner: one unit for each service, enabled and asked by `systemctl`. Units survive a reboot.

    SystemdUnits(home: Path, *, units: Path = Path("/etc/systemd/system"))

The service runs as the owner of `home`. Its instance is systemd's own invocation id, which is new with each start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from uniassist.devstack.state import write_private
from uniassist.release import subprocesses
from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.drivers.runner import KeptProcess, ServiceOrder
from uniassist.release.drivers.state_files import read_as

BOOTED = Path("/run/systemd/system")
ASK_SECONDS = 0.8
MARGIN_SECONDS = 10.0
_SHOWN = ("ActiveState", "SubState", "MainPID", "InvocationID", "NRestarts", "Result")
_DOWN = ("inactive", "failed")


class SystemdUnits:
    def __init__(self, home: Path, *, units: Path = Path("/etc/systemd/system")) -> None:
        self._home = home
        self._units = units

    async def look(self, service: str) -> KeptProcess:
        order = read_as(self._folder(service) / "order.json", ServiceOrder)
        shown = await self._show(service)
        state = shown.get("ActiveState", "")
        if state in _DOWN:
            return KeptProcess(False, order, detail="" if state == "inactive" else f"failed: {shown.get('Result')}")
        pid = int(shown.get("MainPID") or 0) or None
        restarts = shown.get("NRestarts", "0")
        detail = f"{state} ({shown.get('SubState')})" if pid is None else ""
        if restarts != "0":
            detail = f"{detail}; started again {restarts} times".removeprefix("; ")
        return KeptProcess(True, order, pid, shown.get("InvocationID") or None, detail=detail)

    async def start(self, order: ServiceOrder, env: Mapping[str, str]) -> None:
        folder = self._folder(order.service)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / "env", env_file(env).encode())
        write_private(folder / "order.json", msgspec.json.format(msgspec.json.encode(order)))
        name = unit_name(order.service)
        write_private(self._units / name, unit(order, folder / "env", self._home.owner()).encode())
        for arguments in (("daemon-reload",), ("enable", name), ("restart", name)):
            await self._systemctl(*arguments, deadline_seconds=order.drain_seconds + MARGIN_SECONDS)

    async def stop(self, service: str) -> None:
        order = read_as(self._folder(service) / "order.json", ServiceOrder)
        if order is None:
            return
        await self._systemctl(
            "disable", "--now", unit_name(service), deadline_seconds=order.drain_seconds + MARGIN_SECONDS
        )
        shown = await self._show(service)
        if shown.get("ActiveState") not in _DOWN:
            raise DriverFailed(
                f"{service}: still {shown.get('ActiveState')}: systemctl status {unit_name(service)}"
            )

    def log(self, service: str) -> str:
        return f"journalctl -u {unit_name(service)}"

    async def last_lines(self, service: str) -> str:
        command = ["journalctl", "--unit", unit_name(service), "--lines", "8", "--output", "cat", "--no-pager"]
        try:
            return (await subprocesses.run(command, os.environ, ASK_SECONDS)).out.strip()
        except OSError:
            return ""

    def _folder(self, service: str) -> Path:
        return self._home / "services" / service

    async def _show(self, service: str) -> dict[str, str]:
        out = await self._systemctl(
            "show", unit_name(service), f"--property={','.join(_SHOWN)}", deadline_seconds=ASK_SECONDS
        )
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    async def _systemctl(self, *arguments: str, deadline_seconds: float) -> str:
        try:
            ended = await subprocesses.run(["systemctl", *arguments], os.environ, deadline_seconds)
        except OSError as error:
            raise DriverFailed(f"systemctl: {error.strerror}") from None
        if ended.code != 0:
            how = f"not done within {deadline_seconds:.0f} s" if ended.code is None else ended.words
            raise DriverFailed(f"systemctl {' '.join(arguments)}: {how}")
        return ended.out


def unit_name(service: str) -> str:
    return f"uniassist-{service}.service"


def unit(order: ServiceOrder, env: Path, user: str) -> str:
    """systemd.service(5); the pauses between restarts grow from systemd 254 on, before that they stay short."""
    command = " ".join(_quoted(word) for word in order.command)
    return f"""\
# Written by `uniassist release`; the next release writes it anew.
[Unit]
Description=UniAssist {order.service} {order.release_id.replace("%", "%%")}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory={order.working_directory.replace("%", "%%")}
EnvironmentFile={str(env).replace("%", "%%")}
ExecStart=/bin/sh -c 'UNIASSIST_INSTANCE="$$INVOCATION_ID" exec "$$@"' sh {command}
Restart=always
RestartSec=500ms
RestartSteps=5
RestartMaxDelaySec=10s
KillMode=mixed
TimeoutStopSec={order.drain_seconds:g}s

[Install]
WantedBy=multi-user.target
"""


def env_file(env: Mapping[str, str]) -> str:
    """systemd.exec(5), EnvironmentFile: inside double quotes a backslash keeps the next character."""
    return "".join(f'{name}="{_escaped(value)}"\n' for name, value in sorted(env.items()))


def _escaped(value: str) -> str:
    for special in ("\\", '"', "$", "`"):
        value = value.replace(special, f"\\{special}")
    return value


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
