"""One worked conversation in the contract's types: what OpenAPI shows, and what a first call can be copied from.

A person asks for a plan, `plan` shows a form and gets it back; a day later it reminds the person.
"""

from __future__ import annotations

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import (
    Candidate,
    IngestAck,
    InteractAck,
    RoutingDecision,
    RunCancellation,
    RunCancelled,
    RunRef,
    StreamRef,
    StreamTicket,
    StreamTicketRequest,
    UnifiedUserInput,
    UserInteraction,
)
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    DomainEvent,
    ExtensionPayload,
    ProviderExtension,
    Related,
)
from uniassist.contracts.provider import (
    Capabilities,
    ContextPackage,
    ContextSession,
    ContextUser,
    ErasureRequest,
    ErasureResponse,
    InteractRequest,
    InteractResponse,
    InteractRun,
    InvokeRequest,
    InvokeResponse,
    InvokeRun,
    LateDomainEvent,
    ProviderEventsRequest,
    ProviderEventsResponse,
    ProviderManifest,
    Security,
    Sla,
    UserContext,
)
from uniassist.contracts.timeline import InboundPayload, SseFrame, TimelineEvent, TimelinePage

SESSION_ID, USER_ID, RUN_ID, PROVIDER_ID = "session-1", "user-1", "run-1", "plan"
PROFILE_REF = f"profile:{USER_ID}"
_TRACE_ID = "trace-1"
_AT_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z

INPUT = UnifiedUserInput(
    schema_version=SCHEMA_VERSION,
    trace_id=_TRACE_ID,
    user_id=USER_ID,
    session_id=SESSION_ID,
    source="app",
    timestamp_ms=_AT_MS,
    text="帮我制定一个计划",
    locale="zh-CN",
    timezone="Asia/Shanghai",
)
INGEST_ACK = IngestAck(
    schema_version=SCHEMA_VERSION,
    trace_id=_TRACE_ID,
    session_id=SESSION_ID,
    user_id=USER_ID,
    routing=RoutingDecision(
        schema_version=SCHEMA_VERSION,
        trace_id=_TRACE_ID,
        session_id=SESSION_ID,
        candidates=[
            Candidate(
                provider_id=PROVIDER_ID,
                score=0.63,
                reason="keywords: 计划",
                requires_clarification=False,
                suggested_mode="async",
            )
        ],
        requires_user_confirmation=False,
        fallback="none",
        timestamp_ms=_AT_MS,
    ),
    runs=[RunRef(provider_id=PROVIDER_ID, run_id=RUN_ID, mode="async")],
    ack_events=[Ack(message="收到，正在交给“计划”处理。")],
    stream=StreamRef(type="sse", href=f"/v0/stream?sessionId={SESSION_ID}&cursor=0", cursor=0),
    timestamp_ms=_AT_MS,
)

INTERACTION = UserInteraction(
    schema_version=SCHEMA_VERSION,
    trace_id="trace-2",
    session_id=SESSION_ID,
    user_id=USER_ID,
    provider_id=PROVIDER_ID,
    run_id=RUN_ID,
    action_id=f"switch_provider:{PROVIDER_ID}",
    timestamp_ms=_AT_MS + 60_000,
)
INTERACT_ACK = InteractAck(accepted=True)

CANCELLATION = RunCancellation(
    schema_version=SCHEMA_VERSION,
    trace_id="trace-3",
    session_id=SESSION_ID,
    user_id=USER_ID,
    timestamp_ms=_AT_MS + 120_000,
)
RUN_CANCELLED = RunCancelled(accepted=True, run_id=RUN_ID, status="cancelled")

_INBOUND = TimelineEvent(
    schema_version=SCHEMA_VERSION,
    event_id="event-1",
    trace_id=_TRACE_ID,
    session_id=SESSION_ID,
    user_id=USER_ID,
    seq=1,
    timestamp_ms=_AT_MS,
    kind="inbound",
    payload=InboundPayload(input=INPUT),
)
TIMELINE_PAGE = TimelinePage(schema_version=SCHEMA_VERSION, events=[_INBOUND], next_cursor=1)
SSE_FRAME = SseFrame(schema_version=SCHEMA_VERSION, type="timeline_event", event=_INBOUND)

_CONTEXT = ContextPackage(
    schema_version=SCHEMA_VERSION,
    user=ContextUser(user_id=USER_ID, locale="zh-CN", timezone="Asia/Shanghai"),
    profile_ref=PROFILE_REF,
    session=ContextSession(session_id=SESSION_ID, recent_events_cursor=3),
    permissions=["context:read"],
)
_FORM = ProviderExtension(
    extension_kind="data_collection_request",
    payload=ExtensionPayload(
        provider_id=PROVIDER_ID,
        task_id="plan-1",
        data_schema={"type": "object", "properties": {"goal": {"type": "string"}}, "required": ["goal"]},
        ui_schema={"ui:order": ["goal"]},
        status="pending",
    ),
)
INVOKE_REQUEST = InvokeRequest(
    schema_version=SCHEMA_VERSION,
    input=INPUT,
    context=_CONTEXT,
    run=InvokeRun(run_id=RUN_ID, provider_id=PROVIDER_ID, attempt=1, idempotency_key=f"{_TRACE_ID}:{PROVIDER_ID}"),
)
INVOKE_RESPONSE = InvokeResponse(
    schema_version=SCHEMA_VERSION,
    run_id=RUN_ID,
    provider_id=PROVIDER_ID,
    ack=Ack(message="好的，我来帮你制定计划。"),
    immediate_events=[_FORM],
)
INTERACT_REQUEST = InteractRequest(
    schema_version=SCHEMA_VERSION,
    interaction=UserInteraction(
        schema_version=SCHEMA_VERSION,
        trace_id="trace-4",
        session_id=SESSION_ID,
        user_id=USER_ID,
        provider_id=PROVIDER_ID,
        run_id=RUN_ID,
        action_id="submit_data_collection",
        payload={"values": {"goal": "三个月内学会游泳"}},
        timestamp_ms=_AT_MS + 180_000,
    ),
    context=_CONTEXT,
    run=InteractRun(run_id=RUN_ID, attempt=1, idempotency_key=f"{RUN_ID}:7"),
)
INTERACT_RESPONSE = InteractResponse(
    schema_version=SCHEMA_VERSION,
    run_id=RUN_ID,
    events=[AssistantMessage(text="计划已确认。\n“三个月内学会游泳”的计划：……")],
)

PROVIDER_EVENTS = ProviderEventsRequest(
    schema_version=SCHEMA_VERSION,
    provider_id=PROVIDER_ID,
    events=[
        LateDomainEvent(
            event_id="reminder-1",
            event=DomainEvent(
                schema_version=SCHEMA_VERSION,
                session_id=SESSION_ID,
                user_id=USER_ID,
                provider_id=PROVIDER_ID,
                event_type="reminder",
                title="今天该游泳了",
                severity="info",
                related=Related(run_id=RUN_ID),
                timestamp_ms=_AT_MS + 86_400_000,
            ),
        )
    ],
    timestamp_ms=_AT_MS + 86_400_000,
)
PROVIDER_EVENTS_ANSWER = ProviderEventsResponse(schema_version=SCHEMA_VERSION, accepted=1, rejected=0)

USER_CONTEXT = UserContext(
    profile={"userId": USER_ID},
    preferences={"locale": "zh-CN", "timezone": "Asia/Shanghai"},
    consents={},
    updated_at=_AT_MS,
)
ERASURE = ErasureRequest(schema_version=SCHEMA_VERSION, user_id=USER_ID, subjects=[USER_ID], timestamp_ms=_AT_MS)
ERASED = ErasureResponse(schema_version=SCHEMA_VERSION, accepted=True)

MANIFEST = ProviderManifest(
    schema_version=SCHEMA_VERSION,
    provider_id=PROVIDER_ID,
    name="Plan",
    version="0.1.0",
    description="Collects what a plan needs and confirms it.",
    capabilities=Capabilities(
        inputs=["text"], interaction_events=["ack", "assistant_message", "provider_extension"], streaming=False
    ),
    sla=Sla(ack_within_ms=1000, max_sync_response_ms=3000),
    security=Security(auth="none", required_scopes=[]),
)

STREAM_TICKET_REQUEST = StreamTicketRequest(session_id=SESSION_ID)
STREAM_TICKET = StreamTicket(ticket="c2VhbGVkIGFuZCB3cml0dGVu", expires_at=1_772_323_260_000)
