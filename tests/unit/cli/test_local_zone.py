"""The machine's time zone by its name, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.cli.local_zone import local_zone


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Asia/Shanghai", "Asia/Shanghai"),
        ("UTC", "UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", None),
        ("Europe", None),
        ("../etc/passwd", None),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("/etc/localtime", None),
    ],
)
def test_the_shells_zone(said: str, name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", said)
    assert local_zone() == name


@pytest.mark.parametrize(("leads_to", "name"), [("zoneinfo/Europe/Berlin", "Europe/Berlin"), ("elsewhere", None)])
def test_the_machines_zone(
    leads_to: str, name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    localtime = tmp_path / "localtime"
    localtime.symlink_to(tmp_path / leads_to)
    assert local_zone(localtime) == name


def test_a_machine_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert local_zone(tmp_path / "none") is None
