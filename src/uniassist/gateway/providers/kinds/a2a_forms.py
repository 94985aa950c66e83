"""What A2A agents ask with a JSON Schema, as a form; and what is sent to them: words, files, values. Pure.

The protocol has no form. Agents put a schema among the data of an `input-required`: as it is, or under a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from a2a.types.a2a_pb2 import Part
from google.protobuf import json_format, struct_pb2

from uniassist.contracts.base import JsonObject
from uniassist.contracts.inputs import UserInteraction
from uniassist.contracts.interaction import ExtensionPayload, ProviderExtension
from uniassist.contracts.provider import InteractRequest, InvokeRequest

SUBMIT = "submit_data_collection"
MAX_FIELDS = 50
_SCHEMA_NAMES = ("form", "schema", "dataSchema", "data_schema")
_VALUE_NAMES = ("form_data", "values")


def form_in(parts: Sequence[Part], provider_id: str, task_id: str) -> tuple[ProviderExtension | None, list[Part]]:
    """The first form among the parts, and the others."""
    for number, part in enumerate(parts):
        if not part.HasField("data"):
            continue
        data = whole(json_format.MessageToDict(part.data))
        schema = _schema(data)
        if schema is not None:
            payload = ExtensionPayload(
                provider_id=provider_id, task_id=task_id, data_schema=schema, ui_schema={}, status="pending"
            )
            form = ProviderExtension(extension_kind="data_collection_request", payload=payload)
            return form, [*parts[:number], *parts[number + 1 :]]
    return None, list(parts)


def parts_of(request: InvokeRequest | InteractRequest) -> list[Part]:
    """The person's words and files; of an interaction, what they filled in or chose."""
    if isinstance(request, InteractRequest):
        return [Part(data=_value(_chosen(request.interaction)))]
    parts = [Part(text=request.input.text)] if request.input.text else []
    for each in request.input.attachments or []:
        if each.url is not None:
            parts.append(Part(url=each.url, media_type=each.mime or "", filename=each.name or ""))
    return parts or [Part(text="(an attachment)")]


def whole(value: Any) -> Any:
    """Its numbers as integers where they are: `Struct` knows only floats."""
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _schema(data: object) -> JsonObject | None:
    """Of an object with fields; what is known of them already as their defaults."""
    if not isinstance(data, dict):
        return None
    inner = data.get("payload")  # our own event, of a gateway that is the agent
    places = [data, *(data.get(name) for name in _SCHEMA_NAMES)]
    places.append(inner.get("dataSchema") if isinstance(inner, dict) else None)
    for found in places:
        if not isinstance(found, dict) or found.get("type") != "object":
            continue
        fields = found.get("properties")
        if isinstance(fields, dict) and 0 < len(fields) <= MAX_FIELDS:
            values = [data.get(name) for name in _VALUE_NAMES]
            known: JsonObject = next((each for each in values if isinstance(each, dict)), {})
            return {**found, "properties": _with_defaults(fields, known)}
    return None


def _with_defaults(fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {**field, "default": known[name]} if isinstance(field, dict) and known.get(name) else field
        for name, field in fields.items()
    }


def _chosen(interaction: UserInteraction) -> JsonObject:
    payload = interaction.payload
    if interaction.action_id == SUBMIT and isinstance(payload, dict) and isinstance(payload.get("values"), dict):
        return dict(payload["values"])
    chosen: JsonObject = {"actionId": interaction.action_id}
    return chosen if payload is None else {**chosen, "payload": payload}


def _value(data: JsonObject) -> struct_pb2.Value:
    value = struct_pb2.Value()
    json_format.ParseDict(data, value)
    return value
