"""The gateway's operations: its routes and its OpenAPI, from one list."""

from __future__ import annotations

from uniassist.contracts.inputs import (
    IngestAck,
    InteractAck,
    RunCancellation,
    RunCancelled,
    UnifiedUserInput,
    UserInteraction,
)
from uniassist.contracts.provider import (
    ProviderEventsRequest,
    ProviderEventsResponse,
    ProviderManifest,
    UserContext,
)
from uniassist.contracts.timeline import TimelinePage
from uniassist.errors import (
    IdempotencyMismatch,
    InvalidAppToken,
    InvalidProviderToken,
    InvalidSignature,
    MissingScope,
    NotFound,
    RateLimited,
    SessionNotFound,
    Unavailable,
)
from uniassist.gateway.overview import MetricsDocument, Overview
from uniassist.gateway.routes import MAX_KEY_LENGTH, MAX_PROFILE_REF_LENGTH, PROFILE, Routes
from uniassist.web import signing
from uniassist.web.openapi import Content, Operation, Parameter

_SESSION = Parameter("sessionId", "query", "The session.", required=True)
_CURSOR = Parameter(
    "cursor", "query", "Events with a seq above it.", schema={"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
)
_SIGNED = (
    Parameter(signing.SIGNATURE_HEADER, "header", "Hex HMAC-SHA256 of timestamp.nonce.body."),
    Parameter(signing.TIMESTAMP_HEADER, "header", "Unix milliseconds, at most 5 minutes off."),
    Parameter(signing.NONCE_HEADER, "header", "Used once."),
)
_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same key with the same body gets the same answer, once written.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
)
_SCOPES = Parameter(
    "x-provider-scopes",
    "header",
    "Comma or space separated; narrows what the token grants.",
    schema={"type": "string"},
)
_PROFILE = Parameter(
    "profileRef",
    "path",
    f"{PROFILE}<userId>, percent-encoded.",
    required=True,
    schema={
        "type": "string",
        "pattern": f"^{PROFILE}",
        "minLength": len(PROFILE) + 1,
        "maxLength": MAX_PROFILE_REF_LENGTH,
    },
)
_LAST_EVENT_ID = Parameter("Last-Event-ID", "header", "Beats cursor.", schema={"type": "string"})


def operations(routes: Routes, overview: Overview) -> list[Operation]:
    return [
        Operation(
            "POST",
            "/v0/ingest",
            routes.ingest,
            "Accept an input: durable before the answer",
            IngestAck,
            request=UnifiedUserInput,
            parameters=(*_SIGNED, _KEY),
            problems=(
                InvalidSignature,
                InvalidAppToken,
                SessionNotFound,
                IdempotencyMismatch,
                RateLimited,
                Unavailable,
            ),
            tags=("client",),
        ),
        Operation(
            "POST",
            "/v0/interact",
            routes.interact,
            "A user's answer to what was shown",
            InteractAck,
            request=UserInteraction,
            parameters=_SIGNED,
            problems=(InvalidSignature, InvalidAppToken, SessionNotFound, RateLimited, Unavailable),
            tags=("client",),
        ),
        Operation(
            "POST",
            "/v0/runs/{runId}/cancel",
            routes.cancel,
            "Cancel a run that is under way",
            RunCancelled,
            request=RunCancellation,
            parameters=(Parameter("runId", "path", "The run.", required=True), *_SIGNED),
            problems=(InvalidSignature, InvalidAppToken, NotFound, SessionNotFound, RateLimited, Unavailable),
            tags=("client",),
        ),
        Operation(
            "GET",
            "/v0/stream",
            routes.stream,
            "Follow a session as server-sent events",
            Content("text/event-stream", description="Frames with id: seq and data: a timeline event"),
            parameters=(_SESSION, _CURSOR, _LAST_EVENT_ID, *_SIGNED),
            problems=(InvalidAppToken, InvalidSignature),
            tags=("client",),
        ),
        Operation(
            "GET",
            "/v0/timeline",
            routes.timeline,
            "A session's events in seq order, at most 1000",
            TimelinePage,
            parameters=(_SESSION, _CURSOR, *_SIGNED),
            problems=(InvalidAppToken, InvalidSignature, Unavailable),
            tags=("client",),
        ),
        Operation(
            "POST",
            "/v0/events",
            routes.events,
            "Events that providers and channels report later",
            ProviderEventsResponse,
            request=ProviderEventsRequest,
            parameters=(_SCOPES,),
            problems=(InvalidProviderToken, MissingScope, Unavailable),
            tags=("provider",),
            bearer=True,
        ),
        Operation(
            "GET",
            "/v0/context/users/{profileRef}",
            routes.user_context,
            "What is known of a user",
            UserContext,
            parameters=(_PROFILE, _SCOPES),
            problems=(InvalidProviderToken, MissingScope, Unavailable),
            tags=("provider",),
            bearer=True,
        ),
        Operation(
            "GET",
            "/.well-known/uniassist/manifest.json",
            routes.manifest,
            "The builtin chat's manifest",
            ProviderManifest,
            tags=("provider",),
        ),
        Operation(
            "GET",
            "/v0/metrics",
            overview.read,
            "Counters and the outbox's state as JSON",
            MetricsDocument,
            problems=(Unavailable,),
            tags=("operations",),
        ),
    ]
