"""systemd's units: their text, and the calls, against a stand-in for systemctl since none runs where tests do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.release.drivers.places import SERVICE, Place, tiny_program

from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.drivers.runner import ServiceOrder
from uniassist.release.drivers.systemd import SystemdUnits, env_file, unit
from uniassist.release.env.file import read_env_file

# Remembers calls and what is active; a restart makes a new invocation.
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
test ! -e "$FAKE/refuses" || { echo "Access denied" >&2; exit 1; }
case $1 in
  restart) echo active > "$FAKE/state"; echo x >> "$FAKE/starts" ;;
  disable) test -e "$FAKE/stuck" || echo inactive > "$FAKE/state" ;;
  show)
    state=$(cat "$FAKE/state" 2> /dev/null || echo inactive)
    echo "ActiveState=$state"; echo "SubState=running"; echo "NRestarts=0"; echo "Result=success"
    echo "MainPID=$$"; echo "InvocationID=run$(wc -l < "$FAKE/starts" | tr -d ' ')" ;;
esac
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "starts").touch()
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE", str(folder))
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("local", tmp_path / "place")


def driver(place: Place, fake: Path) -> LocalDriver:
    units = SystemdUnits(place.home, units=fake)
    return LocalDriver(place.home, urls={SERVICE: place.url}, runner=units, program=tiny_program)


def calls(fake: Path) -> list[str]:
    return [line for line in (fake / "calls").read_text().splitlines() if not line.startswith("show")]


async def test_a_release_becomes_a_unit_that_is_enabled_once_and_stopped_for_good(place: Place, fake: Path) -> None:
    subject, release = driver(place, fake), place.release("v1", LAMP="bright")
    for _ in range(2):
        await subject.deploy(SERVICE, release)
    name = "uniassist-gateway.service"
    assert calls(fake) == ["daemon-reload", f"enable {name}", f"restart {name}"]
    assert f"Description=UniAssist gateway {release.id}\n" in (fake / name).read_text()
    kept = place.home / "services" / SERVICE / "env"
    assert read_env_file(kept)["LAMP"] == "bright"
    assert kept.stat().st_mode & 0o777 == 0o600
    seen = await subject.observe(SERVICE)
    assert (seen.state, seen.ok) == ("running", None)
    await subject.stop(SERVICE, "v2")
    assert (await subject.observe(SERVICE)).state == "running"
    await subject.stop(SERVICE)
    assert (await subject.observe(SERVICE)).state == "stopped"
    assert calls(fake)[-1] == f"disable --now {name}"


async def test_a_unit_that_doesnt_stop_is_a_failure(place: Place, fake: Path) -> None:
    subject = driver(place, fake)
    await subject.deploy(SERVICE, place.release("v1"))
    (fake / "stuck").touch()
    with pytest.raises(DriverFailed, match="gateway: still active"):
        await subject.stop(SERVICE)


async def test_a_systemctl_that_refuses_is_said_and_observed_as_unknown(place: Place, fake: Path) -> None:
    (fake / "refuses").touch()
    with pytest.raises(DriverFailed, match="Access denied"):
        await driver(place, fake).deploy(SERVICE, place.release("v1"))
    place_seen = await driver(place, fake).observe(SERVICE)
    assert (place_seen.state, "Access denied" in place_seen.detail) == ("unknown", True)


def test_a_unit_is_text_in_which_nothing_of_the_release_has_another_meaning() -> None:
    command = ["/srv/100%/venv/bin/python", "-m", "uniassist.cli.main", 'odd "$HOME"']
    address = ("127.0.0.1", 8787)
    order = ServiceOrder("1", "gateway", "v1-0", "v1", "d", "w", command, "/srv/100%/work", 20.0, address)
    lines = unit(order, Path("/srv/env"), "uniassist").splitlines()
    for line in (
        "User=uniassist",
        "WorkingDirectory=/srv/100%%/work",
        "EnvironmentFile=/srv/env",
        """ExecStart=/bin/sh -c 'UNIASSIST_INSTANCE="$$INVOCATION_ID" exec "$$@"' sh """
        '"/srv/100%%/venv/bin/python" "-m" "uniassist.cli.main" "odd \\"$$HOME\\""',
        "Restart=always",
        "StartLimitIntervalSec=0",
        "KillMode=mixed",
        "TimeoutStopSec=20s",
        "WantedBy=multi-user.target",
    ):
        assert line in lines


def test_any_value_survives_the_env_file(tmp_path: Path) -> None:
    values = {"A": "two\nlines", "B": """ "quoted" 'both' """, "C": r"\$HOME `x` \\", "D": "中文", "E": ""}
    (tmp_path / "env").write_text(env_file(values))
    assert read_env_file(tmp_path / "env") == values
