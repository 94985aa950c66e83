"""The drill's evidence: Markdown for a person, JSON for scripts, the latest of each and a copy that stays."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

from uniassist.errors import SettingsError
from uniassist.release.clock import stamp


def check_writable(path: Path) -> None:
    """Before anything is injected: evidence that can't be kept would be noticed too late."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.parent / f".{path.name}.{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"WORKER_DRILL_OUTPUT_PATH: can't write to {path.parent}: {error.strerror}") from None


def write(path: Path, document: dict[str, Any]) -> Path:
    """Writes `path`, its JSON beside it, and both under a name that no later run uses; returns that one."""
    markdown, as_json = render(document), json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    stem = path.stem.removesuffix("-latest")
    kept = path.with_name(f"{stem}-{stamp()}-{document['mode']}-{os.getpid()}{path.suffix or '.md'}")
    for target, text in ((kept, markdown), (kept.with_suffix(".json"), as_json)):
        _write(target, text)
        target.chmod(0o444)
    for target, text in ((path, markdown), (path.with_suffix(".json"), as_json)):
        _write(target, text)
    return kept


def render(document: dict[str, Any]) -> str:
    """Mode in the first line; reads well raw in 80 columns, too."""
    lines = [
        f"# Worker reliability drill, mode {document['mode']}: {document['result']}",
        "",
        f"- started: {document['startedAt']}",
        f"- ended: {document['endedAt']} (after {document['seconds']:.1f} s)",
        f"- result: {document['result']} (exit code {document['exitCode']})",
        f"- tool: uniassist {document['toolVersion']}",
        f"- revision: {document['toolRevision']}",
    ]
    if document["run"]:
        lines += [
            f"- run: `{document['run']}`, its session; its events are `…-1` and so on",
            f"- Postgres: `{document['databaseUrl']}`",
            f"- Redis: `{document['redisUrl']}`",
            f"- stream: `{document['globalKey']}`",
            f"- group: `{document['group']}`",
        ]
    lines += ["", "## Steps", ""]
    for step in document["steps"]:
        lines += _step(step)
    if document["interruptedDuring"]:
        lines.append(f"Interrupted during: {document['interruptedDuring']}")
    if not document["steps"]:
        lines.append("None was finished.")
    lines += ["", "## Output of the replay command", ""]
    if document["commandOutput"]:
        lines += ["```text", "\n\n".join(document["commandOutput"]), "```"]
    else:
        lines.append("It was not run.")
    lines += ["", "## Cleaning up", "", *textwrap.wrap(document["cleanUp"], 80)]
    return "\n".join(lines) + "\n"


def _step(step: dict[str, Any]) -> list[str]:
    head = f"{step['number']}. **{step['name']}**: {step['result']}"
    if step["result"] in ("ok", "failed"):
        head += f" after {step['seconds']:.2f} s, started {step['startedAt']}"
    detail = textwrap.wrap(
        step.get("detail", ""), 80, initial_indent="   ", subsequent_indent="   ", break_long_words=False
    )
    return [head, *detail]


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a reader of the latest report never sees a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
