"""A home of releases as rollouts and the literal commands leave it: what evidence is collected from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from uniassist.release.durable_files import write_whole
from uniassist.release.incident.incident import Excerpt, FailedProbe, IncidentFacts, Moment, Revision, open_incident
from uniassist.release.records.journal import Journal
from uniassist.release.records.kept_releases import KeptReleases, Parts
from uniassist.release.records.records import Records
from uniassist.release.records.runs import Run, Runs
from uniassist.release.report.masking import Masker

COMMITS = {"v1": "1" * 40, "v2": "2" * 40}


def at(minute: int) -> str:
    return f"2026-11-24T07:{minute:02}:00.000Z"


class History:
    """`home` of the records and runs, `reports` of drills. Minutes are those of one morning."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / ".uniassist" / "release"
        self.reports = folder / "ops" / "deploy" / "reports"
        self.records = Records(self.home)
        self.runs = Runs(self.home)
        for tag, commit in COMMITS.items():
            self.records.pin(tag, commit)

    def release(self, tag: str, **env: str) -> str:
        """Kept, under an env set."""
        wheel = self.home.parent / "uniassist.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        wheel.write_bytes(b"wheel")
        wanted = self.home.parent / "requirements.txt"
        wanted.write_text("")
        digest = hashlib.sha256(json.dumps(env).encode()).hexdigest()
        return KeptReleases(self.home).keep(Parts(tag, COMMITS[tag], wheel, wanted, env, {}, digest)).id

    def ran(
        self, command: str, tag: str, minute: int, result: str, log: str = "as it was shown", **more: Any
    ) -> None:
        """A gate, verify or preflight, recorded as its command records it."""
        document: dict[str, Any] = {
            "command": f"release {command}",
            "environment": "staging",
            "result": result,
            "startedAt": at(minute),
            "endedAt": at(minute + 1),
        }
        if command == "verify":
            document |= {"expectedRevision": tag, "revisions": {"gateway": tag}}
        else:
            document |= {"revision": tag, "commit": COMMITS[tag]}
        stem = self.home / "runs" / f"20261124T07{minute:02}00Z-{command}-{minute}"
        write_whole(stem.with_suffix(".log"), log + "\n")
        write_whole(stem.with_suffix(".json"), json.dumps(document | more))

    def drilled(self, tag: str, minute: int, mode: str = "live", **more: Any) -> None:
        document = {
            "mode": mode,
            "result": "passed",
            "startedAt": at(minute),
            "endedAt": at(minute + 1),
            "toolRevision": tag,
            "steps": [],
        }
        stem = self.reports / f"staging-worker-drill-20261124T07{minute:02}00Z-{mode}-1"
        write_whole(stem.with_suffix(".json"), json.dumps(document | more))
        write_whole(stem.with_suffix(".md"), f"# Worker reliability drill, mode {mode}: passed\n")

    def ran_a(
        self, kind: Any, tag: str, minute: int, result: str, target: str, previous: str | None, **more: Any
    ) -> Run:
        """A rollout or a rollback, from its intent to its end. `target` and `previous` are ids of releases."""
        run = self.runs.begin(
            kind,
            tag,
            environment="staging",
            driver="local",
            target=target,
            previous=previous,
            previous_tag=previous and previous.split("-", maxsplit=1)[0],
            who="someone",
            why="a test",
        )
        journal = Journal(self.runs.folder(run.id), Masker())
        journal.append("intent", "gateway", service="gateway", text=f"gateway → {tag}")
        journal.append("effect", "gateway", service="gateway", text="told to")
        journal.append("observation", "gateway", service="gateway", text=f"gateway is {tag}")
        code = {"done": 0, "rolled back": 20}[result]
        journal.append("end", "end", text=result, found={"exitCode": code, "result": result})
        ended = {"startedAt": at(minute), "endedAt": at(minute + 1), "exitCode": code, **more}
        path = self.runs.folder(run.id) / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | ended))
        return self.runs.read(run.id)

    def rolled_out(self) -> Run:
        """v2 over v1, with everything that the checklist asks for."""
        self.ran("gate", "v2", 10, "green")
        rollout = self.ran_a("rollout", "v2", 20, "done", self.release("v2"), self.release("v1"))
        self.ran("verify", "v2", 22, "verified")
        self.drilled("v2", 24)
        return rollout

    def rolled_back(self, log: str = "it failed") -> Run:
        """v2 back to v1, and the note of it."""
        rollback = self.ran_a("rollback", "v1", 30, "rolled back", self.release("v1"), self.release("v2"))
        self.ran("verify", "v1", 32, "verified")
        open_incident(self.home, facts(rollback.id, log), Masker())
        return rollback


def facts(run: str, log: str = "it failed") -> IncidentFacts:
    return IncidentFacts(
        run=run,
        environment="staging",
        released=Revision("v2", COMMITS["v2"]),
        target=Revision("v1", COMMITS["v1"]),
        trigger="health of gateway failed for 3 minutes",
        triggered_at=at(30),
        outcome="verified",
        first_failed=FailedProbe(at(27), "gateway", "http://gateway/health", "no answer within 2 s"),
        verified_at=at(31),
        logs=(Excerpt("gateway", "gateway.log", (log,)),),
        timeline=(Moment(at(30), "intent", "stop the worker | v2"),),
    )
