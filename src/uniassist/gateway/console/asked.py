"""What a provider was asked and what it said, put together of what is stored: no body is kept for it.

The timeline has all of a request but what `uncertain` names: the message or the interaction, the context that the
run began with, and the run's own ids. While the answer is owed the call's row has the request itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from uniassist.contracts.base import SCHEMA_VERSION, JsonObject
from uniassist.gateway.console.shapes import LifeAsked, ms
from uniassist.gateway.providers.routing import BUILTIN
from uniassist.gateway.turns.interact import NEW_SESSION, SWITCH
from uniassist.store.server.pool import Record

_CONTINUES, _HANDED = "continues ", ("handed over by ", "passed on by ")


def asked(events: Sequence[Record], contexts: Mapping[str, JsonObject], calls: Sequence[Record]) -> list[LifeAsked]:
    """The calls of one trace. `contexts`: what each run began with. `calls`: the rows that are still owed."""
    seen = [_Seen(row) for row in events]
    asks = [each for each in seen if _is_ask(each, seen)]
    found = list[LifeAsked]()
    for ask in asks:
        later = [each for each in asks if each.run_id == ask.run_id and each.seq > ask.seq]
        until = later[0].seq if later else None
        answer = list(_answer(ask, seen, until))
        owed = [row for row in calls if row["run_id"] == ask.run_id] if until is None else []
        request, uncertain = _request(ask, seen, contexts)
        if owed:
            request, uncertain = _document(owed[-1]["request"]), []
        said = [each for each in answer if each.kind == "interaction"]
        found.append(
            LifeAsked(
                run_id=ask.run_id,
                provider_id=ask.provider_id,
                kind="invoke" if ask.kind == "provider_run" else "interact",
                event_id=ask.event_id,
                asked_at=ask.at,
                status=_status(answer, is_owed=bool(owed)),
                request=request,
                uncertain=uncertain,
                says=[each.payload.get("event") for each in said],
                first_at=said[0].at if said else None,
                answered_at=answer[-1].at if answer and not owed else None,
                attempt=owed[-1]["attempt"] if owed else None,
            )
        )
    return found


class _Seen:
    """An event of the life. `payload`: empty where it was too long to be read whole."""

    def __init__(self, row: Record) -> None:
        document = None if row["cut"] else json.loads(row["payload"])
        self.payload: dict[str, Any] = document if isinstance(document, dict) else {}
        self.event_id: str = row["event_id"]
        self.run_id: str = row["run_id"] or ""
        self.provider_id: str = row["provider_id"] or ""
        self.kind: str = row["kind"]
        self.seq: int = row["seq"]
        self.at: int = ms(row["committed_at"]) or 0


def _is_ask(event: _Seen, seen: Sequence[_Seen]) -> bool:
    if not event.run_id or event.provider_id in ("", BUILTIN):
        return False
    if event.kind == "provider_run":
        return bool(event.payload.get("status") == "pending")
    if event.kind != "user_interaction" or str(event.payload.get("actionId")).startswith((SWITCH, NEW_SESSION)):
        return False
    after = [each for each in seen if each.seq > event.seq]
    # A tap on one of the chat's choices asks another provider, and one of a provider that isn't connected nobody.
    return not any(each.kind == "routing_decision" for each in after) and (
        not after or after[0].payload.get("source") != "system"
    )


def _answer(ask: _Seen, seen: Sequence[_Seen], until: int | None) -> Iterator[_Seen]:
    """Up to where the run is no longer pending, or is asked again."""
    for each in seen:
        if each.run_id != ask.run_id or each.seq <= ask.seq or (until is not None and each.seq >= until):
            continue
        if each.kind in ("interaction", "provider_run"):
            yield each
        if each.kind == "provider_run":
            return


def _status(answer: Sequence[_Seen], *, is_owed: bool) -> Literal["owed", "answered", "failed", "cancelled"]:
    if is_owed:
        return "owed"
    if any(each.payload.get("source") == "fallback" for each in answer):
        return "failed"
    ends = [each.payload.get("status") for each in answer if each.kind == "provider_run"]
    return "cancelled" if "cancelled" in ends else "failed" if "failed" in ends else "answered"


def _request(ask: _Seen, seen: Sequence[_Seen], contexts: Mapping[str, JsonObject]) -> tuple[JsonObject, list[str]]:
    if ask.kind == "provider_run":
        return _invoke(ask, seen)
    context = _at(contexts.get(ask.run_id, {}), ask.seq)
    run = {"runId": ask.run_id, "attempt": 1, "idempotencyKey": f"{ask.run_id}:{ask.seq}"}
    request = {"schemaVersion": SCHEMA_VERSION, "interaction": ask.payload, "context": context, "run": run}
    return request, ["run.attempt", "context.user.locale", "context.user.timezone"]


def _invoke(ask: _Seen, seen: Sequence[_Seen]) -> tuple[JsonObject, list[str]]:
    reason = _reason(ask, seen)
    inbound = next((each for each in seen if each.kind == "inbound"), None)
    handed = reason.startswith(_HANDED)
    uncertain = ["run.attempt"]
    context = ask.payload.get("context") or {}
    run = {
        "runId": ask.run_id,
        "providerId": ask.provider_id,
        "attempt": 1,
        "idempotencyKey": ask.payload.get("idempotency_key"),
    }
    if reason.startswith(_CONTINUES):
        run["continues"] = reason.removeprefix(_CONTINUES)
        uncertain.append("run.hint")
    request: JsonObject = {"schemaVersion": SCHEMA_VERSION}
    if inbound is not None:
        request["input"] = inbound.payload.get("input")
    if inbound is None or handed:
        uncertain.append("input" if inbound is None else "input.text")
    return request | {"context": context if handed else _at(context, ask.seq), "run": run}, uncertain


def _reason(ask: _Seen, seen: Sequence[_Seen]) -> str:
    """Why the provider was chosen, as the last decision before says."""
    for each in reversed([each for each in seen if each.kind == "routing_decision" and each.seq < ask.seq]):
        for candidate in each.payload.get("candidates") or []:
            if candidate.get("providerId") == ask.provider_id:
                return str(candidate.get("reason") or "")
    return ""


def _at(context: JsonObject, seq: int) -> JsonObject:
    """The context with the cursor at the time of asking."""
    return {**context, "session": {**(context.get("session") or {}), "recentEventsCursor": seq}}


def _document(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # cut
