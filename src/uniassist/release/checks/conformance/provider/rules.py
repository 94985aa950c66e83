"""What is asked of a provider, rule by rule, in the words that findings quote and `docs/providers.md` lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """`needs`: rules without which this one can't be looked at. `optional`: only of who has that part at all."""

    name: str
    text: str
    needs: tuple[str, ...] = ()
    optional: bool = False


JSON_RULE = "JSON where it is asked for"
RULES: tuple[Rule, ...] = (
    Rule(
        "manifest",
        "GET /.well-known/uniassist/manifest.json answers 200 with a ProviderManifest {schemaVersion, providerId, "
        "name, version, description, capabilities{inputs, interactionEvents, streaming}, navigation?, "
        "sla{ackWithinMs, maxSyncResponseMs}?, security{auth, requiredScopes}}.",
    ),
    Rule("manifest stays", "The manifest says the same each time it is read.", ("manifest",)),
    Rule(
        "manifest's auth is true",
        "security.auth is `none` where anybody may call, and `bearer` where a token is asked for.",
        ("manifest",),
    ),
    Rule(
        "token",
        "Where a token is asked for, a call without it, or with another, is 401 with code INVALID_PROVIDER_TOKEN.",
        ("manifest", "manifest's auth is true"),
        optional=True,
    ),
    Rule(
        "invoke",
        "POST /v0/invoke {schemaVersion, input, context, run{runId, providerId, attempt, idempotencyKey}} answers "
        "200, application/json, {schemaVersion, runId, providerId, ack, immediateEvents?, expectsReply?, "
        "staysOpen?}, each event in its shape.",
        ("manifest",),
    ),
    Rule("invoke's ids", "The answer's runId and providerId are those of the call, to the character.", ("invoke",)),
    Rule(
        "interact",
        "POST /v0/interact {schemaVersion, interaction, context, run{runId, attempt, idempotencyKey}} answers 200, "
        "application/json, {schemaVersion, runId, events, expectsReply?}; an actionId that nobody knows as well.",
        ("manifest",),
    ),
    Rule("interact's id", "The answer's runId is that of the call, to the character.", ("interact",)),
    Rule(
        "manifest's events are true",
        "Every event is of a type that capabilities.interactionEvents names.",
        ("invoke", "interact"),
    ),
    Rule(
        "its own extensions",
        "A data_collection_request names its own provider in payload.providerId.",
        ("invoke", "interact"),
    ),
    Rule("as many events as are taken", "An answer in one piece has at most 100 events.", ("invoke",)),
    Rule(
        JSON_RULE,
        "A call that doesn't accept text/event-stream is answered as JSON; with capabilities.streaming false, "
        "every call is.",
        ("manifest",),
    ),
    Rule(
        "a repeated run",
        "The same run with a higher attempt gets the same answer: providers deduplicate by runId.",
        ("invoke",),
    ),
    Rule(
        "a run twice at once",
        "Two attempts of a run at the same time get the same answer.",
        ("invoke", "a repeated run"),
    ),
    Rule(
        "a reply",
        "A text that continues a run, with the hint that the run noted, is answered as any other.",
        ("invoke",),
    ),
    Rule(
        "bad invokes",
        "An invoke that isn't JSON, lacks a member or has one of another type is 400 with code "
        "INVALID_INVOKE_REQUEST.",
        ("invoke",),
    ),
    Rule(
        "bad interacts",
        "An interact that isn't JSON, lacks a member or has one of another type is 400 with code "
        "INVALID_INTERACT_REQUEST.",
        ("interact",),
    ),
    Rule(
        "problems",
        "A refusal is application/problem+json with schemaVersion, type, title, status, code and detail; detail "
        "names the member at fault.",
        ("bad invokes",),
    ),
    Rule("bad text", "Invalid UTF-8, lone surrogates and U+0000 anywhere are 400.", ("bad invokes",)),
    Rule("unknown members", "Members that aren't known are ignored; a null is read as absent.", ("invoke",)),
    Rule("odd ids", "Ids are any text of 1 to 256 characters, and come back as they were.", ("invoke's ids",)),
    Rule(
        "hostile text", "Whatever a person writes is answered 200, in the shape of any answer.", ("invoke's ids",)
    ),
    Rule(
        "large calls",
        "A person's body may have 1 MiB, and a call carries it: such a call is answered.",
        ("invoke",),
    ),
    Rule(
        "oversize calls",
        "A call of more than 1 MiB and 64 KiB is refused with 413, or hung up on; the next is answered.",
        ("invoke",),
    ),
    Rule(
        "a stream",
        "Where capabilities.streaming is true, a call that accepts text/event-stream may be answered with it: "
        "frames of type delta, event and end, each in its shape.",
        ("invoke",),
        optional=True,
    ),
    Rule("a stream's end", "The last frame is of type end, and no other is.", ("a stream",), optional=True),
    Rule(
        "a stream's messages",
        "No delta of a message comes after its event; at most 8 messages are unfinished at a time, and none is "
        "longer than 100,000 characters.",
        ("a stream",),
        optional=True,
    ),
    Rule(
        "a stream's silence",
        "A stream isn't silent for longer than idle_timeout_ms, 30 seconds by default; comments are signs of life.",
        ("a stream",),
        optional=True,
    ),
    Rule(
        "a repeated stream",
        "The same run with a higher attempt says the same events in the same order.",
        ("a stream", "a stream's end", "a repeated run"),
        optional=True,
    ),
    Rule(
        "a cancelled stream",
        "When a stream's connection closes early, the next attempt of its run is answered to its end.",
        ("a stream", "a stream's end"),
        optional=True,
    ),
    Rule(
        "deadlines",
        "A call is answered, or its stream begun, within sla.maxSyncResponseMs of the manifest, and "
        "GATEWAY_PROVIDER_TIMEOUT_MS, 8 seconds by default.",
        ("invoke",),
    ),
    Rule("health", "GET /health, where it is served, answers 200 and ok: true.", optional=True),
    Rule("metrics", "GET /metrics, where it is served, is Prometheus text.", optional=True),
    Rule(
        "erasure",
        "POST /v0/erase, where it is served, answers {schemaVersion, accepted: true}, the same when told again.",
        optional=True,
    ),
    Rule(
        "late events",
        "What comes late is POST /v0/events {schemaVersion, providerId, events, timestampMs}, each item in its "
        "shape and of a run that it was asked for.",
        ("invoke",),
        optional=True,
    ),
    Rule(
        "late events' token",
        "Late events come with Authorization: Bearer <token>.",
        ("late events",),
        optional=True,
    ),
    Rule(
        "late events again",
        "Late events that weren't answered with 200 come again, each with the eventId that it had.",
        ("late events",),
        optional=True,
    ),
    Rule(
        "an open run's end",
        "A run that stays open is ended by a late event of kind run.",
        ("late events", "late events again"),
        optional=True,
    ),
)
