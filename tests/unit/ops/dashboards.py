"""What the dashboards ask Prometheus, as it would be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "ops/observability"


def dashboards() -> dict[str, dict[str, Any]]:
    return {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))
    }


def expressions() -> dict[str, str]:
    """By where each stands. Grafana's own interval is filled in."""
    return {
        f"{name}: {panel['title']}, {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for name, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
