"""The page of a search."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from tests.fuzz.search import Found
from tests.fuzz.targets import TARGETS


def written(found: Sequence[Found], *, seed: int) -> str:
    """Markdown: a row for each target, and each finding below."""
    rows = [
        f"| {each.target} | {each.executions:,} | {each.seconds:.0f} | {_bound(each.target)} | {each.dearest:.2f} "
        f"| {len(each.findings)} |"
        for each in found
    ]
    findings = [f"- {each.target}: {finding}" for each in found for finding in each.findings]
    return "\n".join(
        [
            "# Fuzzing",
            "",
            f"{'Findings, see below' if findings else 'Nothing found'}, {dt.datetime.now(dt.UTC):%Y-%m-%d}. "
            f"Repeat with `python -m tests.fuzz --seconds 600 --target all --seed {seed}`. Each input is read as "
            "the service reads it; a finding is an exception that isn't documented, a rule broken, or more CPU "
            "than the bound, each of eight times.",
            "",
            "| target | inputs | seconds | bound: fixed + a × bytes | dearest input, of its bound | findings |",
            "|---|---|---|---|---|---|",
            *rows,
            *(["", *findings] if findings else []),
            "",
        ]
    )


def _bound(target: str) -> str:
    bound, most = TARGETS[target].bound, TARGETS[target].most_bytes
    return f"{bound.fixed * 1000:.0f} ms + {bound.per_byte * 1e6:g} µs × N, N ≤ {most // 1024} KiB"
