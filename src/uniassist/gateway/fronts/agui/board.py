"""What an AG-UI client has as state: each run of the request with how it stands, under `/uniassist`. Pure.

It is told by patches below that one member, so that whatever else a client keeps in its state stays there.
"""

from __future__ import annotations

from typing import Any

import msgspec

from uniassist.contracts.interaction import InteractionEvent, ProviderExtension
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.following import run_status
from uniassist.gateway.fronts.traced import asks

ROOT = "/uniassist"


class RunBoard:
    """Takes the request's events in their order."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Any]] = {}

    def take(self, event: TimelineEvent, said: InteractionEvent | None) -> str | None:
        """The run whose entry is another now; None: none."""
        run_id = event.run_id
        if event.kind == "provider_run" and run_id is not None:
            entry = self._runs.setdefault(run_id, {"provider": event.provider_id or ""})
            entry["status"] = run_status(event)
            return run_id
        if run_id is None or run_id not in self._runs:
            return None
        entry = self._runs[run_id]
        if event.kind == "user_interaction":
            return run_id if entry.pop("asks", None) is not None else None
        if said is not None and asks(said):
            entry["asks"] = event.event_id
        elif isinstance(said, ProviderExtension) and said.payload.progress is not None:
            entry["progress"] = msgspec.to_builtins(said.payload.progress)
        elif isinstance(said, ProviderExtension) and said.payload.values is not None:
            entry["result"] = said.payload.values
        else:
            return None
        return run_id

    def whole(self) -> dict[str, Any]:
        """As an event."""
        return _delta(ROOT, {"runs": self._runs})

    def changed(self, run_id: str) -> dict[str, Any]:
        """The entry of a run, as an event."""
        name = run_id.replace("~", "~0").replace("/", "~1")
        return _delta(f"{ROOT}/runs/{name}", self._runs[run_id])


def _delta(path: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "STATE_DELTA", "delta": [{"op": "add", "path": path, "value": value}]}
