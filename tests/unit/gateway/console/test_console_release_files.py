"""The release tool's records as the console reads them: those that the tool itself writes."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from uniassist.gateway.console import release_files
from uniassist.gateway.console.release_files import LARGEST, next_command, progress
from uniassist.release.incident.incident import IncidentFacts, Revision, open_incident
from uniassist.release.records import deployed
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.journal import Journal, JournalEntry, Kind
from uniassist.release.records.runs import Runs, progress_of
from uniassist.release.report.masking import Masker

KINDS: tuple[Kind, ...] = ("intent", "effect", "observation", "note", "end")
RESULTS = ("done", "stopped", "rolled back", "aborted")


def begin(home: Path, tag: str, why: str = "why") -> Journal:
    runs = Runs(home)
    run = runs.begin(
        "rollout", tag, environment="staging", driver="local", target=tag, target_tag=tag, who="o", why=why
    )
    return Journal(runs.folder(run.id), Masker())


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(["a", "b"]), st.booleans(), st.sampled_from(RESULTS)),
        max_size=20,
    )
)
def test_a_journal_says_here_what_it_says_to_the_tool(said: list[tuple[Kind, str, bool, str]]) -> None:
    entries, seen = list[JournalEntry](), list[dict[str, object]]()
    for number, (kind, step, failed, result) in enumerate(said, 1):
        found: dict[str, object] = {"result": result} if kind == "end" else {"failed": "why"} if failed else {}
        entries.append(JournalEntry("2026-11-30T07:00:00.000Z", number, kind, step, found=found))
        seen.append({"kind": kind, "step": step, "found": found})
    ours, theirs = progress(seen), progress_of(entries)
    assert (ours["condition"], ours["result"], ours["failed"]) == (
        theirs.condition,
        theirs.result,
        theirs.failed,
    )


def test_what_the_tool_wrote_is_read_newest_first_and_damage_is_named(tmp_path: Path) -> None:
    begin(tmp_path, "v41").append("end", "rollout", found={"result": "done", "exitCode": 0})
    last = begin(tmp_path, "v42")
    last.append("intent", "gateway", service="gateway", text="gateway v41 → v42")
    (tmp_path / "runs" / "20261130T070000Z-gate-1.json").write_text("{torn", "utf-8")
    (tmp_path / "runs" / "20261130T070100Z-gate-1.json").write_text(" " * (LARGEST + 1), "utf-8")
    own = tmp_path / "environments" / "staging"
    own.mkdir(parents=True)
    deployed.write(own / "deployed.json", Deployed().given("gateway", "v41").aiming_at("v41").proved("v41"))
    facts = IncidentFacts(
        "run-1", "staging", Revision("v42"), Revision("v41"), "health: gateway", "2026-11-30T07:00:00Z"
    )
    open_incident(tmp_path, facts, Masker())
    found = release_files.read(tmp_path)
    assert [incident["facts"]["released"]["tag"] for incident in found.incidents] == ["v42"]
    assert [run["targetTag"] for run in found.runs] == ["v42", "v41"]
    assert [run["condition"] for run in found.runs] == ["under way", "finished"]
    assert found.runs[0]["journal"][0]["text"] == "gateway v41 → v42"
    assert found.environments[0]["deployed"]["services"] == {"gateway": "v41"}
    assert sorted(problem.split(" ")[0] for problem in found.problems) == [
        "20261130T070000Z-gate-1.json",
        "20261130T070100Z-gate-1.json",
    ]
    assert next_command(found) == ("uniassist release resume", "uniassist release rollback")


def test_a_torn_last_line_of_a_journal_is_one_that_isn_t_there_yet(tmp_path: Path) -> None:
    journal = begin(tmp_path, "v42")
    journal.append("intent", "gateway")
    with journal.path.open("ab") as out:
        out.write(b'{"at":"2026')
    found = release_files.read(tmp_path)
    assert [entry["kind"] for entry in found.runs[0]["journal"]] == ["intent"]
    assert found.problems == []


def test_a_directory_that_isn_t_there_is_said_and_nothing_else() -> None:
    found = release_files.read(Path("/nowhere/at/all"))
    assert (found.runs, found.problems) == ([], ["all: no such directory here"])
    assert next_command(found)[0] == "uniassist release preflight"


def test_drills_and_bundles_are_read_too_and_a_bundle_s_files_are_its_own_only(tmp_path: Path) -> None:
    home, reports = tmp_path / "home", tmp_path / "reports"
    bundle = home / "evidence" / "run-1"
    bundle.mkdir(parents=True)
    reports.mkdir()
    (bundle / "evidence.json").write_text('{"name": "run-1", "items": []}', "utf-8")
    (bundle / "SHA256SUMS").write_text("", "utf-8")
    (bundle / "evidence.md").write_text("# it", "utf-8")
    (bundle / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("no", "utf-8")
    for name in ("drill-1.json", "drill-latest.json"):
        document = '{"mode": "live", "startedAt": "1", "endedAt": "2", "result": "passed"}'
        (reports / name).write_text(document, "utf-8")
    (reports / "else.json").write_text("{}", "utf-8")
    found = release_files.read(home, reports)
    assert [(each["command"], each["file"]) for each in found.reports] == [("drill worker", "drill-1.json")]
    assert [(each["folder"], each["seal"][:8]) for each in found.evidence] == [("run-1", "e3b0c442")]
    assert release_files.evidence_file(home, "run-1", "evidence.md") == "# it"
    (bundle / "inner").mkdir()
    os.mkfifo(bundle / "pipe")  # reading it would hold a thread until somebody writes
    for folder, name in (
        ("run-1", "../../../secret"),
        ("..", "secret"),
        ("run-1", "link"),
        ("run-1", "none"),
        ("run-1", "inner"),
        ("run-1", "pipe"),
        ("run-1", "长" * 256),
        ("长" * 256, "evidence.md"),
    ):
        assert release_files.evidence_file(home, folder, name) is None
    assert release_files.read(home, tmp_path / "nowhere").problems == []
