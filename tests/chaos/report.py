"""A run as Markdown."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

from tests.chaos.run import SESSIONS, TURNS_PER_SECOND, WORKERS, Outcome


def report(outcome: Outcome) -> str:
    faults = {name: count for name, count in sorted(outcome.faults.items()) if "prevented" not in name}
    prevented = sum(outcome.faults.values()) - sum(faults.values())
    found = outcome.findings
    lines = [
        "# Chaos run",
        "",
        f"{'Passed' if outcome.clean else 'FAILED'}: {sum(faults.values())} faults in {outcome.seconds:.0f} s of "
        f"load on {WORKERS} workers, seed {outcome.seed}, {datetime.now(UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}. Repeat with "
        f"`python -m tests.chaos --seconds {outcome.seconds:.0f} --seed {outcome.seed} "
        f"--pause {outcome.pause_seconds:g}`.",
        "",
        "| what must be 0 | |",
        "|---|---|",
        f"| acknowledged events not consumed at the end | {outcome.lost} |",
        f"| events in processing or delivered at the end | {outcome.stuck} |",
        f"| entries left pending in the consumer group | {outcome.pending} |",
        f"| attempts spent, though only servers failed | {outcome.attempts} |",
        f"| entries out of their session's order | {found.out_of_order} |",
        f"| events twice on a session stream within an epoch | {found.twice} |",
        f"| entries under another id than `<seq>-0` | {found.wrong_id} |",
        f"| events missing on a session stream though no consumer had them before the loss | {found.skipped} |",
        "",
        f"Looked at: {outcome.events} events ({outcome.acknowledged} acknowledged, {outcome.refused} writes "
        f"refused while Postgres was away), {SESSIONS} sessions at about {TURNS_PER_SECOND:.0f} turns a second; "
        f"{found.entries_checked} entries in {found.streams_checked} looks at a session stream, before each loss "
        f"of data and at the end. {found.owed} events were lost before a consumer was given them, and looked for.",
        "",
        f"After the last fault everything was consumed within {outcome.healed_after_seconds:.1f} s. Commit to "
        f"consumed, outages included: p50 {outcome.lags[0] * 1000:.0f} ms, p99 {outcome.lags[1]:.1f} s, "
        f"max {outcome.lags[2]:.1f} s.",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {count} |" for name, count in faults.items()),
    ]
    if prevented:
        lines += ["", f"{prevented} more found the server that they needed away already."]
    if found.examples:
        lines += ["", "First findings:", "", *(f"- {example}" for example in found.examples)]
    return "\n".join(lines) + "\n"
