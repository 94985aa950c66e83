"""A whole evidence bundle, made where every source holds every secret of the environment, holds none."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.release.commands import Command
from tests.planted import PLANTED, planted
from tests.release_history import History

from uniassist.settings.variables import VARIABLES


def quoted(env: dict[str, str]) -> str:
    return "".join(f"{name}='{value}'\n" for name, value in env.items())


def test_no_file_and_no_line_of_a_bundle_has_a_secret_of_any_variable(command: Command, tmp_path: Path) -> None:
    env = planted()
    secret = {name for name, variable in VARIABLES.items() if variable.secret or variable.kind == "url"}
    assert secret - {"OTEL_EXPORTER_OTLP_HEADERS"} <= {name for name, value in env.items() if PLANTED in value}
    everything = quoted(env)
    history = History(tmp_path)
    history.release("v1", **env)
    history.ran("gate", "v2", 10, "green", log=everything, remarks=everything)
    history.ran_a("rollout", "v2", 20, "done", history.release("v2", **env), history.release("v1", **env))
    history.ran("verify", "v2", 22, "verified", log=everything, checks=[{"said": everything}])
    history.drilled("v2", 24, steps=[{"title": "drain", "said": everything}])
    for report in history.reports.glob("*.md"):
        report.write_text(report.read_text("utf-8") + everything, "utf-8")
    rollback = history.rolled_back(log=everything)
    (tmp_path / "staging.env").write_text(everything, "utf-8")
    given = ("--env-file", "staging.env")

    said = []
    closed = command("release", "incident", "close", rollback.id, "--cause", f"it was {everything}", *given)
    for arguments in (("build", "v2", "--dry-run"), ("build", "v2", "--json"), ("build", "v2"), ("check", "v2")):
        said.append(command("release", "evidence", *arguments, *given))
    assert (closed.code, [ended.code for ended in said]) == (0, [0] * 4), [ended.said for ended in (closed, *said)]
    folder = Path(json.loads(said[1].out)["folder"])
    files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(files) > 6
    shown = {path.name: path.read_text("utf-8") for path in files}
    shown |= {f"output {number}": ended.said for number, ended in enumerate((closed, *said))}
    found = {name: [line for line in text.splitlines() if PLANTED in line] for name, text in shown.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert any("***" in text for text in shown.values())
