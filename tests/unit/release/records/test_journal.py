from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.errors import StartError
from uniassist.release.records import journal
from uniassist.release.records.journal import Journal, JournalEntry, Kind
from uniassist.release.records.runs import RunKind, Runs, progress_of
from uniassist.release.report.masking import Masker

KINDS: tuple[Kind, ...] = ("intent", "effect", "observation", "note", "end")
STEPS = ("prepare", "gateway", "worker")


def test_entries_are_numbered_and_read_back(tmp_path: Path) -> None:
    written = Journal(tmp_path / "run", Masker(["secret-value"]))
    written.append("intent", "gateway", service="gateway", text="gateway v1 → v2", found={"verb": "deploy"})
    written.append("effect", "gateway", service="gateway", found={"failed": "it said secret-value"})
    assert "secret-value" not in written.path.read_text()
    assert journal.read(written.path) == written.entries
    assert [entry.seq for entry in Journal(tmp_path / "run", Masker(["secret-value"])).entries] == [1, 2]
    assert written.path.stat().st_mode & 0o077 == 0


@given(st.integers(0, 400))
def test_a_journal_cut_off_anywhere_is_read_up_to_its_last_whole_line(cut: int) -> None:
    lines = [
        msgspec.json.encode(JournalEntry("2026-11-24T07:00:00.000Z", n, "note", "run", text="é" * n)) + b"\n"
        for n in range(1, 5)
    ]
    content = b"".join(lines)[:cut]
    whole = content.count(b"\n")
    assert [entry.seq for entry in journal.parse(content)] == list(range(1, whole + 1))


def test_what_a_killed_writer_left_half_written_is_gone_with_the_next_entry(tmp_path: Path) -> None:
    first = Journal(tmp_path, Masker())
    first.append("intent", "gateway")
    with first.path.open("ab") as out:
        out.write(b'{"at":"2026-11-24T07:0')
    Journal(tmp_path, Masker()).append("note", "run", text="resumed")
    assert [(entry.seq, entry.kind) for entry in journal.read(first.path)] == [(1, "intent"), (2, "note")]


@pytest.mark.parametrize("damage", [b"{}\n", b'{"at":"","seq":7,"kind":"note","step":""}\n', b"\xff\n"])
def test_any_other_damage_is_an_error(damage: bytes) -> None:
    with pytest.raises(StartError, match="line 1"):
        journal.parse(damage, "j")


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(STEPS), st.booleans()), max_size=30))
def test_a_step_is_in_one_state_at_most_and_only_an_observation_makes_it_done(
    said: list[tuple[Kind, str, bool]],
) -> None:
    entries = [
        JournalEntry("", n, kind, step, found={"failed": "no"} if fails else {"result": "done"})
        for n, (kind, step, fails) in enumerate(said, start=1)
    ]
    progress = progress_of(entries)
    states = [progress.done, set(progress.doubtful), set(progress.failed)]
    assert sum(len(state) for state in states) == len(set().union(*states))
    for step in progress.done:
        own = [e for e in entries if e.step == step and e.kind in ("intent", "effect", "observation")]
        assert any(e.kind == "observation" and "failed" not in e.found for e in own)
    for step in progress.doubtful:
        assert any(e.kind == "intent" and e.step == step for e in entries)


def test_a_run_is_under_way_until_its_end_and_again_when_it_is_resumed() -> None:
    def condition(*said: tuple[Kind, str]) -> str:
        entries = [JournalEntry("", 0, kind, "x", found={"result": result}) for kind, result in said]
        return progress_of(entries).condition

    assert condition() == "under way"
    assert condition(("intent", "")) == "under way"
    assert condition(("intent", ""), ("end", "stopped")) == "stopped"
    assert condition(("end", "stopped"), ("note", "")) == "stopped"
    assert condition(("end", "stopped"), ("intent", "")) == "under way"
    assert condition(("end", "stopped"), ("end", "aborted")) == "finished"
    assert condition(("end", "done")) == "finished"


def test_runs_are_found_by_environment_in_the_order_of_their_beginning(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    facts = {"driver": "local", "target": "v2-12345678", "who": "me", "why": "because"}
    wanted: list[tuple[RunKind, str]] = [("rollout", "staging"), ("rollback", "staging"), ("rollout", "prod")]
    begun = [runs.begin(kind, "release/2", environment=environment, **facts) for kind, environment in wanted]
    assert runs.all("staging") == begun[:2]
    assert runs.last("prod") == begun[2]
    assert len({run.id for run in begun}) == 3
    assert all("/" not in run.id for run in begun)
    with pytest.raises(StartError, match="no such run"):
        runs.read("v9")
