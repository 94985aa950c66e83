from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from uniassist.release.env.environment import EnvSet
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.records import Records
from uniassist.release.revision.migrations import Migration
from uniassist.release.rollout import candidate
from uniassist.release.rollout.candidate import ReleaseCandidate

RELEASE = Release("v2-bbbbbbbb", "v2", "c2", "w" * 64, "b" * 64, Path("/nowhere"))
GREEN = {"wheelSha256": "w" * 64, "envDigest": "b" * 64}


def made(*pending: Migration) -> ReleaseCandidate:
    return ReleaseCandidate(RELEASE, EnvSet({}, {}, "b" * 64), Path("/nowhere"), pending)


def test_a_green_gate_counts_for_commit_wheel_and_env_set(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.know("c2", gate=GREEN)
    candidate.refuse_without_gate(made(), records)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (None, "no green gate for v2"),
        ({**GREEN, "wheelSha256": "x"}, "green for another wheel of v2"),
        ({**GREEN, "envDigest": "x"}, "green for v2 with another env set"),
    ],
)
def test_no_other_gate_does(tmp_path: Path, gate: dict[str, Any] | None, said: str) -> None:
    records = Records(tmp_path)
    records.know("another", gate=GREEN)
    if gate is not None:
        records.know("c2", gate=gate)
    with pytest.raises(Refused, match=said) as refused:
        candidate.refuse_without_gate(made(), records)
    assert refused.value.code == ExitCode.GATE
    assert "next: uniassist release gate --rev v2" in str(refused.value)


def test_a_gate_that_was_red_afterwards_is_green_no_more(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.know("c2", gate=GREEN, preflight=GREEN)
    records.forget("c2", "gate")
    with pytest.raises(Refused, match="no green gate"):
        candidate.refuse_without_gate(made(), records)
    assert records.of_commit("c2") == {"preflight": GREEN}


def test_a_contracting_migration_is_a_command_of_its_own() -> None:
    candidate.refuse_contraction(made(Migration("3", "2", "expand", "0003_more", "CREATE TABLE x ()")))
    with pytest.raises(Refused, match="0004_less contracts") as refused:
        candidate.refuse_contraction(made(Migration("4", "3", "contract", "0004_less", "DROP TABLE x")))
    assert "next: uniassist release contract --rev v2" in str(refused.value)
