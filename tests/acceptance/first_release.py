"""`release run` from v1 to v2 as an operator types it, gate and all, under load; then its evidence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.acceptance.base import based
from tests.acceptance.load import lost


def campaign(folder: Path, say: Callable[[str], None], watched: str = "1m") -> dict[str, Any]:
    """What became of it; `lost` of the load that went on through all of it."""
    with based(folder, per_second=20.0) as base:
        site = base.site
        ran = base.release("run", "--rev", "v2", "--yes", "--for", watched)
        for line in ran.lines:
            say(f"    {line}")
        revisions = site.revisions()
        drill = site.uniassist("drill", "worker", "--mode", "live", env_file=base.good)
        evidence = base.release("evidence", "build", "v2", "--json")
        checked = base.release("evidence", "check", "v2")
        base.load.stop()
        missing = asyncio.run(lost(base.load, site.postgres.url))
        items = json.loads(evidence.lines[-1]).get("items", []) if evidence.lines else []
        found = {
            "code": ran.code,
            "seconds": round(ran.seconds, 1),
            "revisions": revisions,
            "drill": drill.code,
            "evidence": evidence.code,
            "evidenceChecked": checked.code,
            "items": {item["title"]: item["state"] for item in items},
            "acknowledged": len(base.load.acknowledged),
            "refused": base.load.refused,
            "longestGapSeconds": round(base.load.longest_gap_seconds, 1),
            "lost": asdict(missing),
        }
    say(str(found))
    return found
