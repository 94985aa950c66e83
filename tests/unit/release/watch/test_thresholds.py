from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.errors import SettingsError
from uniassist.release.watch.triggers import thresholds

ROOT = Path(__file__).parents[4]
GOOD = """\
[dead_letter]
per_minute = 1
window_minutes = 5
agreed_by = "ops"
agreed_on = 2026-11-24
reason = "none are made by a healthy release"
[retry]
per_minute = 30.5
window_minutes = 5
agreed_by = "ops"
agreed_on = 2026-11-24
reason = "an outage costs none"
"""


def test_the_repository_s_own_file_is_right() -> None:
    found = thresholds.read(ROOT / "ops/deploy/staging/thresholds.toml")
    assert set(found) == {"dead_letter", "retry"}


def test_values_who_agreed_and_when(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(GOOD)
    found = thresholds.read(path)["retry"]
    assert (found.per_minute, found.window_seconds, found.agreed_by) == (30.5, 300.0, "ops")
    assert str(found.agreed_on) == "2026-11-24"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("per_minute = 1\n", "", "[dead_letter] per_minute: missing"),
        ("per_minute = 1\n", "per_minut = 1\nper_minute = 1\n", "[dead_letter] per_minut: unknown"),
        ("per_minute = 1\n", "per_minute = -1\n", "per_minute: expected a number from 0"),
        ("per_minute = 1\n", "per_minute = true\n", "per_minute: expected a number"),
        ("per_minute = 1\n", "per_minute = nan\n", "per_minute: expected a number"),
        ("per_minute = 1\n", "per_minute = '1'\n", "per_minute: expected a number"),
        ("window_minutes = 5\n", "window_minutes = 0\n", "window_minutes: expected a number from 0.5"),
        ('agreed_by = "ops"\n', 'agreed_by = " "\n', "agreed_by: expected some text"),
        ("agreed_on = 2026-11-24\n", 'agreed_on = "today"\n', "agreed_on: expected a date"),
        ("[retry]", "[retries]", "retries: unknown"),
        ("[retry]", "[retry", "expected TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, named: str) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(SettingsError) as error:
        thresholds.read(path)
    assert named in str(error.value)
    assert "thresholds.toml" in str(error.value)


def test_a_missing_file_is_no_default(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        thresholds.read(tmp_path / "none.toml")
