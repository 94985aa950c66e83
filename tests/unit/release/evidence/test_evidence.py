from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from markdown_it import MarkdownIt
from tests.release_history import COMMITS, History

from uniassist.release.evidence import evidence, page
from uniassist.release.evidence.evidence import Evidence
from uniassist.release.evidence.subject import resolve
from uniassist.release.evidence.sweep import Sweep
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.incident.incident import close_incident
from uniassist.release.report.masking import Masker


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def gathered(history: History, name: str, **secrets: str) -> Evidence:
    subject = resolve(history.home, history.home, "staging", name)
    return evidence.gather(subject, history.home, history.reports, Sweep([secrets]))


def states(found: Evidence) -> dict[str, str]:
    return {item["title"].split()[0]: item["state"] for item in found.document["items"]}


def test_a_rollout_with_everything_is_complete(history: History) -> None:
    run = history.rolled_out()
    found = gathered(history, run.id)
    assert found.is_complete, found.document["items"]
    assert states(found) == {
        "Gate": "attached",
        "Post-release": "attached",
        "Worker": "attached",
        "Release": "recorded",
        "Incident": "not needed",
    }
    assert {"gate.log", "verify.log", "drill.md", "rollout-journal.jsonl"} <= found.files.keys()
    assert (found.document["released"]["tag"], found.document["rollback"]["tag"]) == ("v2", "v1")
    assert (found.document["startedAt"], found.document["endedAt"]) == (run.started_at, run.ended_at)
    assert found.document["result"] == "done (exit code 0)"


def test_a_rollback_needs_its_own_verification_and_a_closed_note(history: History) -> None:
    history.rolled_out()
    rollback = history.rolled_back()
    by_tag, by_rollback = gathered(history, "v2"), gathered(history, rollback.id)
    assert by_tag.document["name"] == by_rollback.document["name"]
    assert states(by_rollback)["Incident"] == "open"
    assert not by_rollback.is_complete
    assert "after the rollback, v1: verified" in by_rollback.document["items"][1]["said"]
    assert "verify-after-rollback.log" in by_rollback.files

    close_incident(history.home, rollback.id, "a pool of 5", "kim", Masker())

    closed = gathered(history, rollback.id)
    assert closed.is_complete
    assert closed.document["items"][4]["said"] == "root cause: a pool of 5"
    assert closed.document["result"] == "rolled back to v1: rolled back (exit code 20)"


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ("runs/*-gate-*", "Gate"),
        ("runs/*-verify-32.*", "Post-release"),
        ("../../ops/deploy/reports/*", "Worker"),
        ("incidents/*", "Incident"),
    ],
)
def test_what_is_missing_is_named_with_a_command_to_supply_it(history: History, removed: str, missing: str) -> None:
    history.rolled_out()
    rollback = history.rolled_back()
    close_incident(history.home, rollback.id, "a pool of 5", "kim", Masker())
    for path in history.home.glob(removed):
        path.unlink()
    found = gathered(history, "v2")
    assert [name for name, state in states(found).items() if state == "missing"] == [missing]
    assert not found.is_complete
    assert [item["next"] for item in found.document["items"] if item["state"] == "missing"] != [""]


def test_the_literal_commands_are_collected_by_commit(history: History) -> None:
    history.ran("preflight", "v2", 5, "ready")
    history.records.know(COMMITS["v2"], preflight={"tag": "v2", "previousCommit": COMMITS["v1"]})
    history.ran("gate", "v1", 8, "green")
    history.ran("gate", "v2", 10, "red")
    history.ran("gate", "v2", 12, "green")
    history.ran("verify", "v1", 14, "verified")
    history.ran("verify", "v2", 22, "verified", expectedRevision=None)
    history.drilled("v1", 23)
    history.drilled(COMMITS["v2"], 24, "simulate")

    found = gathered(history, "v2")

    assert found.is_complete, found.document["items"]
    assert gathered(history, COMMITS["v2"]).document["items"] == found.document["items"]
    said = [item["said"] for item in found.document["items"]]
    assert said[0].startswith("green, 2026-11-24T07:12")
    assert said[1].startswith("v2: verified, 2026-11-24T07:22")
    assert said[2].startswith("simulate, passed")
    assert said[3] == "release v2, rollback v1"
    assert (found.document["startedAt"][11:16], found.document["endedAt"][11:16]) == ("07:05", "07:25")


def test_a_gate_after_the_rollout_and_a_drill_after_the_rollback_prove_nothing(history: History) -> None:
    history.ran_a("rollout", "v2", 20, "done", history.release("v2"), history.release("v1"))
    history.ran("gate", "v2", 21, "green")
    history.rolled_back()
    history.drilled("v7", 40)
    found = gathered(history, "v2")
    assert (states(found)["Gate"], states(found)["Worker"]) == ("missing", "missing")
    assert "no gate of v2 is recorded here that counts; not taken: " in found.document["items"][0]["said"]
    assert "it was made after the rollout had begun" in found.document["items"][0]["said"]
    assert "it was made when this revision ran no more" in found.document["items"][2]["said"]
    # Only its own code can still be drilled.
    assert found.document["items"][2]["next"] == "git checkout v2 && uniassist drill worker --mode simulate"


@pytest.mark.parametrize(
    ("drill", "why"),
    [
        ({"database": "7/5/other"}, "it was made on another database"),
        ({"running": {"worker": "v1"}}, "the worker was v1"),
        ({"startedAt": "2026-11-24T07:19:00.000Z"}, "it was made before this revision was rolled out"),
        # By its number it came after the rollback, whatever the clock said.
        ({"order": 1000}, "it was made when this revision ran no more"),
    ],
)
def test_a_drill_of_something_else_is_not_taken_and_it_says_why(
    history: History, drill: dict[str, Any], why: str
) -> None:
    target, previous = history.release("v2"), history.release("v1")
    history.ran_a("rollout", "v2", 20, "done", target, previous, database="7/5/ours")
    history.rolled_back()
    history.drilled("v2", 24, **drill)
    item = gathered(history, "v2").document["items"][2]
    assert (item["state"], why in item["said"]) == ("missing", True), item["said"]

    history.drilled("v2", 25, database="7/5/ours", running={"worker": "v2"})
    assert gathered(history, "v2").document["items"][2]["state"] == "attached"


def test_a_verification_of_another_database_and_a_gate_of_another_env_set_are_not_taken(history: History) -> None:
    history.ran("gate", "v2", 10, "green", envDigest="b" * 64)
    target, previous = history.release("v2"), history.release("v1")
    history.ran_a("rollout", "v2", 20, "done", target, previous, database="7/5/ours")
    history.ran("verify", "v2", 22, "verified", database="7/5/other")
    gate, verification, *_ = gathered(history, "v2").document["items"]
    assert (gate["state"], "it was made with another env set" in gate["said"]) == ("missing", True)
    assert (verification["state"], "on another database" in verification["said"]) == ("missing", True)


def test_the_order_is_that_of_the_journals_and_not_of_a_clock_that_was_set_back(history: History) -> None:
    """The second rollout of a tag began an hour earlier, by the clock of then."""
    first = history.ran_a("rollout", "v2", 50, "done", history.release("v2"), history.release("v1"))
    second = history.ran_a("rollout", "v2", 10, "done", history.release("v2"), history.release("v1"))
    assert (first.number or 0) < (second.number or 0)
    assert gathered(history, "v2").document["name"] == second.id


def test_nothing_recorded_is_refused_with_the_runs_that_there_are(history: History) -> None:
    run = history.rolled_out()
    with pytest.raises(UsageRefused, match=run.id):
        gathered(history, "v9")


PLANTED = "planted/secret+0123456789"


def test_planted_secrets_are_taken_out_and_said(history: History) -> None:
    encoded = base64.b64encode(f"kim:{PLANTED}".encode()).decode()
    history.rolled_out()
    history.ran("gate", "v2", 11, "green", log=f"{PLANTED}\n{quote(PLANTED, safe='')}\n  {encoded}\nkept")
    history.rolled_back(log=f"{PLANTED[:9]}\n      {PLANTED[9:]}")

    found = gathered(history, "v2", STAGING_CONTEXT_TOKEN=PLANTED)

    assert found.files["gate.log"].splitlines()[:2] == ["***", "***"]
    assert found.files["gate.log"].splitlines()[3] == "kept"
    everything = "\n".join(found.files.values())
    for part in (PLANTED, quote(PLANTED, safe=""), encoded[8:-4], PLANTED[9:]):
        assert part not in everything
    assert {"gate.log", "incident.md", "incident.json"} <= found.document["redacted"].keys()
    assert "taken out of gate.log" in found.files["evidence.md"]


def test_nothing_is_written_when_a_secret_is_left(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    history.rolled_out()
    monkeypatch.setattr(page, "render", lambda _document: PLANTED)
    sweep = Sweep([{"STAGING_CONTEXT_TOKEN": PLANTED}])
    monkeypatch.setattr(sweep, "redact", lambda text: (text, []))
    monkeypatch.setattr(sweep, "found_in", Sweep([{"STAGING_CONTEXT_TOKEN": PLANTED}]).found_in)
    with pytest.raises(Refused, match=r"evidence\.md: still holds the value of STAGING_CONTEXT_TOKEN") as refused:
        evidence.gather(resolve(history.home, history.home, "staging", "v2"), history.home, history.reports, sweep)
    assert refused.value.code is ExitCode.INCONCLUSIVE


def test_the_page_renders_with_its_tables_and_links_to_files_that_are_there(history: History) -> None:
    history.rolled_out()
    history.rolled_back()
    found = gathered(history, "v2")
    page = MarkdownIt("commonmark").enable("table").render(found.files["evidence.md"])
    assert page.startswith("<h1>Release evidence: v2 to staging</h1>")
    assert page.count("<table>") == 4
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert links
    assert set(links) <= found.files.keys()
    assert "<strong>incomplete</strong>: Incident note open" in page
    note = MarkdownIt("commonmark").enable("table").render(found.files["incident.md"])
    assert (note.count("<h1>"), note.count("<table>")) == (1, 3)


def test_a_bundle_is_behind_once_something_newer_is_recorded(history: History) -> None:
    history.rolled_out()

    def behind(document: dict[str, Any]) -> list[str]:
        subject = resolve(history.home, history.home, "staging", "v2")
        return evidence.behind(document, subject, history.home, history.reports)

    built = json.loads(gathered(history, "v2").files["evidence.json"])
    assert behind(built) == []
    history.ran("verify", "v2", 26, "failed")
    assert behind(built) == ["verify.json", "verify.log"]
    rollback = history.rolled_back()
    assert "incident.md" in behind(built)
    rebuilt = json.loads(gathered(history, "v2").files["evidence.json"])
    close_incident(history.home, rollback.id, "a pool of 5", "kim", Masker())
    assert behind(rebuilt) == ["incident.json", "incident.md"]
