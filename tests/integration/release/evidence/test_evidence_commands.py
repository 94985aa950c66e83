"""The evidence commands as an operator types them, on a history of releases."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from tests.integration.release.commands import Command, Ended
from tests.release_history import History

TOKEN = "planted+context/token-0123456789"
KEY = "planted-key-of-the-release-that-is-kept"


def planted(secret: str) -> str:
    """Every form of it, and cut into lines."""
    encoded = base64.b64encode(secret.encode()).decode()
    cut = f"{secret[:11]}\n    {secret[11:]}"
    return "\n".join((secret, quote(secret, safe=""), encoded, f"{encoded[:20]}\n  {encoded[20:]}", cut))


def traces(folder: Path, secret: str) -> list[str]:
    """Files that hold half of it or more, in any form."""
    encoded = base64.b64encode(secret.encode()).decode()
    parts = [half for form in (secret, quote(secret, safe=""), encoded) for half in (form[:10], form[-12:-2])]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [f"{path.name}: {part}" for path in files for part in parts if part in path.read_text("utf-8")]


def test_from_a_rollback_to_a_bundle_that_is_complete_and_checked(command: Command, tmp_path: Path) -> None:
    history = History(tmp_path)
    history.release("v2", UNIASSIST_ADAPTER_SECRET=KEY)
    history.rolled_out()
    history.ran("gate", "v2", 12, "green", log=planted(TOKEN) + planted(KEY))
    rollback = history.rolled_back(log=planted(KEY))
    (tmp_path / "staging.env").write_text(f"STAGING_CONTEXT_TOKEN='{TOKEN}'\n")

    def evidence(verb: str) -> Ended:
        return command("release", "evidence", verb, "v2", "--env-file", "staging.env", "--json")

    early = evidence("check")
    dry = command("release", "evidence", "build", "v2", "--dry-run")
    assert (early.code, "no evidence was built yet" in early.err) == (2, True), early.said
    assert (dry.code, (history.home / "evidence").exists()) == (0, False), dry.said

    built, checked = evidence("build"), evidence("check")
    assert (built.code, checked.code) == (41, 41), built.said + checked.said
    assert f"next: uniassist release incident close {rollback.id}" in checked.err

    listed = command("release", "incident", "show")
    cause = f"the pool was 5, not 50 {TOKEN}"
    closed = command("release", "incident", "close", rollback.id, "--cause", cause, "--env-file", "staging.env")
    behind = evidence("check")
    assert listed.out == f"OPEN    {rollback.id}  v2 → v1\n"
    assert (closed.code, closed.out.splitlines()[0].endswith("v2 → v1: the pool was 5, not 50 ***")) == (0, True)
    assert (behind.code, "incident.json, incident.md" in behind.err) == (32, True), behind.said

    again, whole = evidence("build"), evidence("check")
    assert (again.code, whole.code) == (0, 0), again.said + whole.said
    folder = Path(json.loads(again.out)["folder"])
    assert json.loads(again.out)["seal"] == json.loads(whole.out)["seal"]
    assert json.loads(again.out)["redacted"]["gate.log"] == ["STAGING_CONTEXT_TOKEN", "UNIASSIST_ADAPTER_SECRET"]
    assert traces(folder, TOKEN) + traces(folder, KEY) == []

    (folder / "verify.log").write_text("verified, really\n")
    changed = evidence("check")
    assert (changed.code, "CHANGED  verify.log: changed" in changed.err) == (32, True), changed.said


def test_unknown_names_and_empty_causes_end_with_2(command: Command, tmp_path: Path) -> None:
    rollback = History(tmp_path).rolled_back()
    for arguments, said in (
        (("evidence", "build", "v9"), "v9: no run"),
        (("incident", "show", "v9"), rollback.id),
        (("incident", "close", rollback.id, "--cause", "…"), "--cause: expected the root cause"),
    ):
        ended = command("release", *arguments)
        assert (ended.code, said in ended.err) == (2, True), ended.said
    shown = command("release", "incident", "show", rollback.id)
    assert (shown.code, "no root cause yet" in shown.out.splitlines()[0]) == (0, True)
