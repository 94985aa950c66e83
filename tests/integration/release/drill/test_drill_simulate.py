from __future__ import annotations

from pathlib import Path

from tests.integration.release.commands import Command


def test_a_simulated_drill_needs_nothing_and_runs_all_steps(command: Command, tmp_path: Path) -> None:
    ended = command("drill", "worker", WORKER_DRILL_MODE="simulate")

    assert ended.code == 0, ended.said
    assert sum("ok in" in line for line in ended.out.splitlines()) == 4
    assert max(len(line) for line in ended.out.splitlines()) <= 80
    report = (tmp_path / "ops/deploy/reports/staging-worker-drill-latest.md").read_text()
    assert report.startswith("# Worker reliability drill, mode simulate: passed\n")
