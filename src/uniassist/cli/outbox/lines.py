"""What the outbox commands say, as plain text and as documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BACKLOG = ("pending", "processing", "failed", "delivered")


def age(seconds: float) -> str:
    """Two digits or three of the largest fitting unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{max(0.0, seconds):.1f} s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their content, the last one as it comes."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def stats_document(
    states: Sequence[Mapping[str, Any]],
    workers: Sequence[Mapping[str, Any]],
    control: Mapping[str, Any],
) -> dict[str, Any]:
    """`--json` of stats; `paused` is null while delivery runs."""
    waiting = [row["oldest_seconds"] for row in states if row["status"] in BACKLOG]
    paused = {"since": control["paused_at"], "by": control["paused_by"], "reason": control["reason"]}
    return {
        "states": [
            {
                "status": row["status"],
                "events": row["events"],
                "oldest": row["oldest"],
                "oldestSeconds": round(row["oldest_seconds"], 3),
            }
            for row in states
        ],
        "oldestUnconsumedSeconds": round(max(waiting), 3) if waiting else None,
        "consumedPerSecond": round(sum(row["consumed_per_second"] for row in workers), 1),
        "workers": [
            {
                "worker": row["worker"],
                "shards": row["shards"],
                "consumedPerSecond": round(row["consumed_per_second"], 1),
            }
            for row in workers
        ],
        "paused": paused if control["paused_at"] is not None else None,
    }


def lines_of_stats(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{row['status']:<12} {row['events']:>10}  oldest {age(row['oldestSeconds'])}" for row in found["states"]
    ] or ["no events"]
    oldest = found["oldestUnconsumedSeconds"]
    lines.append(
        f"consumed {found['consumedPerSecond']}/s over the last minute; "
        + ("nothing waits" if oldest is None else f"the oldest that waits is {age(oldest)} old")
    )
    lines += [
        f"worker {row['worker']}: {row['shards']} shards, {row['consumedPerSecond']}/s" for row in found["workers"]
    ] or ["no worker is alive"]
    return lines + paused_lines(found["paused"])


def paused_lines(paused: Mapping[str, Any] | None) -> list[str]:
    if paused is None:
        return []
    reason = f": {paused['reason']}" if paused["reason"] else ""
    return [f"PAUSED since {paused['since']:%Y-%m-%d %H:%M:%S} UTC by {paused['by']}{reason}"]


def lines_of_event(found: Mapping[str, Any]) -> list[str]:
    """What has a value, then the replays."""
    lines = [
        f"{name:<16}  {value}" for name, value in found.items() if name != "replays" and value not in (None, "")
    ]
    for replay in found["replays"]:
        note = f": {replay['note']}" if replay["note"] else ""
        lines.append(
            f"replayed          {replay['created_at']} from {replay['previous_status']} after "
            f"{replay['previous_attempts']} attempts, token {replay['replay_token']}{note}"
        )
    return lines
