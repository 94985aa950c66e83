"""JSON Schemas (2020-12) of the wire types: `python -m uniassist.contracts.schemas [--check]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from uniassist.contracts import inputs, interaction, provider, streaming, timeline

SHAPES: tuple[type, ...] = (
    inputs.UnifiedUserInput,
    inputs.IngestAck,
    inputs.RoutingDecision,
    inputs.UserInteraction,
    inputs.InteractAck,
    inputs.StreamTicketRequest,
    inputs.StreamTicket,
    timeline.TimelineEvent,
    timeline.TimelinePage,
    timeline.SseFrame,
    timeline.Envelope,
    timeline.InboundPayload,
    timeline.ProviderRunPayload,
    timeline.InteractionPayload,
    timeline.DomainEventPayload,
    interaction.ProviderExtension,
    interaction.DomainEvent,
    provider.ContextPackage,
    provider.InvokeRequest,
    provider.InvokeResponse,
    provider.InteractRequest,
    provider.InteractResponse,
    provider.ErasureRequest,
    provider.ErasureResponse,
    provider.ProviderManifest,
    provider.LateInteraction,
    provider.LateDomainEvent,
    provider.LateRunEnd,
    provider.LateDeliveryEvent,
    provider.ProviderEventsRequest,
    provider.ProviderEventsResponse,
    provider.UserContext,
    streaming.StreamDelta,
    streaming.StreamEvent,
    streaming.StreamEnd,
    streaming.DeltaFrame,
)
FILE = Path(__file__).with_name("v0.schema.json")


def components(ref_template: str = "#/$defs/{name}") -> dict[str, Any]:
    """Every shape by name, references as `ref_template` says."""
    _, found = msgspec.json.schema_components(SHAPES, ref_template=ref_template)
    found["ProviderExtension"]["allOf"] = [
        {
            "if": {"properties": {"extensionKind": {"const": kind}}},
            "then": {"properties": {"payload": {"required": [_camel(name) for name in names]}}},
        }
        for kind, names in interaction.REQUIRED_BY_KIND.items()
    ]
    return {name: found[name] for name in sorted(found)}


def render() -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "UniAssist v0 contract",
        "$defs": components(),
    }
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        if FILE.exists() and FILE.read_text("utf-8") == render():
            return 0
        sys.stderr.write(f"{FILE.name} is not what the types say: run `make schemas`\n")
        return 1
    FILE.write_text(render(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
