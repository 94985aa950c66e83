"""A run as Markdown."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import psutil

from tests.chaos.load import SESSIONS
from tests.chaos.run import TURNS_PER_SECOND, Outcome
from tests.chaos.system import WORKERS


def report(outcome: Outcome) -> str:
    faults = {name: count for name, count in sorted(outcome.faults.items()) if "prevented" not in name}
    prevented = sum(outcome.faults.values()) - sum(faults.values())
    asked, found = outcome.asked, outcome.findings
    lines = [
        "# Chaos run",
        "",
        f"{'Passed' if outcome.clean else 'FAILED'}: {sum(faults.values())} faults in {asked.seconds:.0f} s of "
        f"load on {WORKERS} workers, seed {asked.seed}, {datetime.now(UTC):%Y-%m-%d}, {_machine()}"
        f"{f', {asked.busy} busy loops beside it' if asked.busy else ''}. Repeat with "
        f"`python -m tests.chaos --seconds {asked.seconds:.0f} --seed {asked.seed} --pause {asked.pause_seconds:g}"
        f"{f' --busy {asked.busy}' if asked.busy else ''}`.",
        "",
        *_findings(outcome),
        "",
        f"Looked at: {outcome.events} events ({outcome.acknowledged} acknowledged, {outcome.refused} writes "
        f"refused while Postgres was away or took none), {SESSIONS} sessions at about {TURNS_PER_SECOND:.0f} turns "
        f"a second; {found.entries_checked} entries in {found.streams_checked} looks at a session stream, before "
        f"each loss of data and at the end. {found.owed} events were lost before a consumer was given them, and "
        "looked for.",
        "",
        f"After the last fault everything had ended within {outcome.healed_after_seconds:.1f} s. Commit to "
        f"consumed, outages included: p50 {outcome.lags[0] * 1000:.0f} ms, p99 {outcome.lags[1]:.1f} s, "
        f"max {outcome.lags[2]:.1f} s.",
        *_recoveries(outcome),
        "",
        *_table("fault", {name.replace("_", " "): count for name, count in faults.items()}),
        "",
        *_table("poison", outcome.poisons),
    ]
    if prevented:
        lines += ["", f"{prevented} more faults found the server that they needed away already."]
    examples = [*found.examples, *(f"unburied: {poison[:200]}" for poison in outcome.unburied[:20])]
    if examples:
        lines += ["", "First findings:", "", *(f"- {example[:300]}" for example in examples)]
    return "\n".join(lines) + "\n"


def _findings(outcome: Outcome) -> list[str]:
    found = outcome.findings
    return [
        "| what must be 0 | |",
        "|---|---|",
        f"| acknowledged events not consumed at the end | {outcome.lost} |",
        f"| events in processing or delivered at the end | {outcome.stuck} |",
        f"| entries left pending in the consumer group | {outcome.pending} |",
        f"| attempts spent on events that are no poison | {outcome.attempts} |",
        f"| poisons that are no dead letter with its reason | {len(outcome.unburied)} |",
        f"| entries out of their session's order | {found.out_of_order} |",
        f"| events first on the global stream of an epoch behind a successor | {found.overtaken} |",
        f"| events twice on a session stream within an epoch | {found.twice} |",
        f"| entries under another id than `<seq>-0` | {found.wrong_id} |",
        f"| events missing on a session stream though no consumer had them before the loss | {found.skipped} |",
        f"| events on the global stream and not on their session stream | {found.astray} |",
        f"| events confirmed by what was published before their shard was settled | {found.stale} |",
        f"| events confirmed in an epoch before they were published in it | {found.early} |",
        f"| events confirmed in an epoch in which no consumer was given them | {found.unread} |",
        f"| events published in an epoch after its data was lost | {found.undead} |",
        f"| shards settled in an epoch before the one that they were settled in | {found.reverted} |",
    ]


def _recoveries(outcome: Outcome) -> list[str]:
    lines = []
    for server, found in sorted(outcome.recoveries.items()):
        seconds = sorted(first for first in found if first is not None)
        said = (
            f"; after {seconds[len(seconds) // 2]:.1f} s in the middle, {seconds[-1]:.1f} s at most"
            if seconds
            else ""
        )
        lines += [
            "",
            f"{server} demoted and alive, other faults going on: the first confirmation came by way of the new "
            f"primary in {len(seconds)} of {len(found)} cases{said}.",
        ]
    return lines


def _table(what: str, counts: dict[str, int]) -> list[str]:
    return [f"| {what} | times |", "|---|---|", *(f"| {name} | {count} |" for name, count in counts.items())]


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}"
    )
