"""The evidence as one page for a ticket: what was released, the checklist, what is missing, and the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uniassist.release.report.markdown import block, code, link, plain, table

_MARKS = {
    "attached": "attached",
    "recorded": "recorded",
    "missing": "**missing**",
    "open": "**open**",
    "not needed": "not needed",
}


def render(document: dict[str, Any]) -> str:
    """Of evidence.json's content."""
    lines = [
        f"# Release evidence: {plain(document['released']['tag'])} to {plain(document['environment'])}",
        "",
        *table(("", ""), _head(document)),
        "",
        "## Checklist",
        "",
        *table(("item", "state", "what it says", "files"), [_row(item) for item in document["items"]]),
        "",
        *_missing([item for item in document["items"] if item["next"]]),
        *_timeline(document["timeline"]),
        "## Files",
        "",
        *table(("file", "recorded as"), [(link(name), code(said)) for name, said in document["sources"].items()]),
        "",
        *_secrets(document),
        "",
        "`sha256sum -c SHA256SUMS` checks them anywhere; "
        f"{code('uniassist release evidence check ' + document['name'])} also whether anything newer is recorded.",
    ]
    return "\n".join(lines) + "\n"


def _head(document: dict[str, Any]) -> list[tuple[str, str]]:
    unfinished = ", ".join(
        f"{plain(item['title'])} {item['state']}"
        for item in document["items"]
        if item["state"] in ("missing", "open")
    )
    back = document["rollback"]
    return [
        ("evidence", "complete" if document["complete"] else f"**incomplete**: {unfinished}"),
        ("result", plain(document["result"])),
        ("release revision", _revision(document["released"])),
        ("rollback revision", _revision(back) if back else "none recorded"),
        ("environment", plain(document["environment"])),
        ("started", document["startedAt"] or "not known"),
        ("ended", document["endedAt"] or "not yet"),
        ("run", code(document["name"])),
        ("evidence built", f"{document['builtAt']} by uniassist {plain(document['toolVersion'])}"),
    ]


def _revision(revision: dict[str, Any]) -> str:
    parts = [code(revision["tag"])]
    parts += [f"commit {code(revision['commit'])}"] if revision.get("commit") else ["commit not known"]
    parts += [f"env set {code(revision['envDigest'][:8])}"] if revision.get("envDigest") else []
    return ", ".join(parts)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return plain(item["title"]), _MARKS[item["state"]], plain(item["said"]), ", ".join(map(link, item["files"]))


def _missing(items: Sequence[dict[str, Any]]) -> list[str]:
    if not items:
        return []
    lines = ["## What is missing", ""]
    for item in items:
        lines += [f"{plain(item['title'])}: {plain(item['said'])}.", "", *block([item["next"]]), ""]
    return lines


def _timeline(moments: Sequence[dict[str, str]]) -> list[str]:
    if not moments:
        return []
    rows = [(moment["at"], moment["run"], moment["kind"], plain(moment["said"])) for moment in moments]
    return ["## Timeline", "", *table(("at (UTC)", "run", "", "what"), rows), ""]


def _secrets(document: dict[str, Any]) -> list[str]:
    redacted = [
        f"{plain(name)} ({', '.join(map(code, variables))})" for name, variables in document["redacted"].items()
    ]
    names = ", ".join(map(code, document["sweptFor"]))
    if not names:
        return ["No secret variable had a value here: give `--env-file` to have its values looked for."]
    said = f"Looked for the values of {names}, raw, URL-encoded, in base64 and cut into lines: "
    return [said + (f"taken out of {', '.join(redacted)}." if redacted else "none was there.")]
