"""The incident note as a page: for a ticket, or for whoever asks next morning what happened."""

from __future__ import annotations

from datetime import datetime

from uniassist.release.incident.incident import Changed, Excerpt, Incident, IncidentFacts, Revision
from uniassist.release.report.markdown import block, code, plain, table

BUDGET_SECONDS = 15 * 60
_SAID = {"under way": "under way, or cut off", "verified": "rolled back and verified", "incomplete": "INCOMPLETE"}


def render(noted: Incident) -> str:
    """The whole note. That it is open stands in its first line."""
    facts = noted.facts
    state = "open, no root cause yet" if noted.is_open else "closed"
    lines = [
        f"# Incident {plain(facts.run)}: {state}",
        "",
        *table(("", ""), _head(noted)),
        "",
        *_cause(noted),
        *_left(facts),
        "## Durations",
        "",
        *table(("from", "to", "seconds"), [(a, b, said) for a, b, said in durations(facts)]),
        "",
        "## Variables that differ",
        "",
        *_variables(facts.changed),
        "",
        "## Commits that were rolled back",
        "",
        *_commits(facts),
        "",
        "## Logs",
        "",
        *_logs(facts.logs),
        "## Timeline",
        "",
    ]
    moments = [(moment.at, moment.kind, plain(moment.said)) for moment in facts.timeline]
    lines += table(("at (UTC)", "", "what"), moments) if moments else ["The journal has nothing of it."]
    return "\n".join(lines) + "\n"


def durations(facts: IncidentFacts) -> list[tuple[str, str, str]]:
    """First failed probe → trigger → verified, in seconds; what overran the budget says so."""
    failed = facts.first_failed.at if facts.first_failed else None
    return [
        ("first failed probe", "trigger", _between(failed, facts.triggered_at)),
        ("trigger", "verified", _between(facts.triggered_at, facts.verified_at)),
        ("first failed probe", "verified", _between(failed, facts.verified_at)),
    ]


def _between(start: str | None, end: str | None) -> str:
    if start is None or end is None:
        return "not known"
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    over = f", over the budget of {BUDGET_SECONDS} s" if seconds > BUDGET_SECONDS else ""
    return f"{seconds:.1f}{over}"


def _head(noted: Incident) -> list[tuple[str, str]]:
    facts, probe = noted.facts, noted.facts.first_failed
    first = (
        f"{probe.at}, {plain(probe.service)} at {code(probe.asked)}: {plain(probe.found)}"
        if probe
        else "none: a person asked for it"
    )
    return [
        ("environment", plain(facts.environment)),
        ("rolled back", _revision(facts.released)),
        ("to", _revision(facts.target)),
        ("result", _SAID[facts.outcome]),
        ("first failing probe", first),
        ("trigger", f"{facts.triggered_at}, {plain(facts.trigger)}"),
        ("verified", facts.verified_at or "never"),
        ("note opened", noted.opened_at),
    ]


def _revision(revision: Revision) -> str:
    commit = f", commit {code(revision.commit)}" if revision.commit else ", commit not known"
    return f"{code(revision.tag)}{commit}"


def _cause(noted: Incident) -> list[str]:
    lines = ["## Root cause", ""]
    if noted.is_open:
        command = f'uniassist release incident close {noted.facts.run} --cause "…"'
        return [*lines, "Not known yet. Whoever finds it closes the incident:", "", *block([command]), ""]
    *earlier, last = noted.causes
    lines += [f"{plain(last.text)} ({plain(last.by)}, {last.at})", ""]
    for cause in reversed(earlier):
        lines += [f"Before that: {plain(cause.text)} ({plain(cause.by)}, {cause.at})", ""]
    return lines


def _left(facts: IncidentFacts) -> list[str]:
    if not facts.left:
        return []
    return ["## What the rollback couldn't do", "", *(f"- {plain(item)}" for item in facts.left), ""]


def _variables(changed: Changed | None) -> list[str]:
    if changed is None:
        return ["Not looked for."]
    kinds = (("added", changed.added), ("removed", changed.removed), ("changed", changed.changed))
    named = [f"- {kind}: {', '.join(map(code, names))}" for kind, names in kinds if names]
    return named or ["None."]


def _commits(facts: IncidentFacts) -> list[str]:
    if facts.commits is None:
        return ["Not looked for."]
    lines = block(facts.commits.lines) if facts.commits.lines else []
    said = [plain(facts.commits.said)] if facts.commits.said else []
    return [*lines, *said]


def _logs(excerpts: tuple[Excerpt, ...]) -> list[str]:
    if not excerpts:
        return ["None were kept.", ""]
    lines: list[str] = []
    for each in excerpts:
        lines += [f"{plain(each.service)}, the end of {code(each.source)}:", "", *block(each.lines), ""]
    return lines
