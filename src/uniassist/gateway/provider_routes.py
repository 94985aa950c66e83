"""What providers call: events that come late, a user's context, the builtin chat's manifest."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import examples
from uniassist.contracts.base import MAX_ID_LENGTH, SCHEMA_VERSION
from uniassist.contracts.provider import (
    Capabilities,
    ProviderEventsRequest,
    ProviderEventsResponse,
    ProviderManifest,
    Security,
    UserContext,
)
from uniassist.errors import InvalidRequest, MissingScope, Unavailable
from uniassist.gateway.callers import PROVIDERS, SCOPES, Callers
from uniassist.gateway.providers import routing
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns import late_events
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.store import context, timeline
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT, traceparent

PROFILE = "profile:"
MAX_PROFILE_REF_LENGTH = len(PROFILE) + MAX_ID_LENGTH

_PROFILE_REF = Parameter(
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
    example=examples.PROFILE_REF,
)
_TAGS = ("provider",)


class ProviderRoutes:
    """One method for each call that providers make."""

    def __init__(
        self,
        *,
        pool: Pool,
        group_commit: GroupCommit,
        callers: Callers,
        registry: ProviderRegistry,
        version: str,
        proven: bool,
    ) -> None:
        """`proven`: apps show tokens, so what came without a token or a signature is nobody's."""
        self._pool = pool
        self._proven = proven
        self._group_commit = group_commit
        self._callers = callers
        self._registry = registry
        self._version = version

    @serves(
        Operation(
            "POST",
            "/v0/events",
            "Events that providers and channels report later",
            ProviderEventsResponse,
            request=ProviderEventsRequest,
            request_example=examples.PROVIDER_EVENTS,
            response_example=examples.PROVIDER_EVENTS_ANSWER,
            parameters=(SCOPES, TRACEPARENT),
            security=PROVIDERS,
            problems=(Unavailable,),
            tags=_TAGS,
            description="Each event is accepted or rejected by itself; needs the scope `events:write`. A provider "
            "writes into sessions that had a run of its own.",
        )
    )
    async def events(self, request: Request) -> Response:
        whose = self._callers.check_scope(request, "events:write", unnamed="granted")
        asked = await requests.read_shape(request, ProviderEventsRequest)
        if whose is not None and asked.provider_id != whose:
            raise MissingScope(f"providerId: expected {whose}, whose token this is")
        return json_response(
            await late_events.accept(
                asked,
                submit=self._group_commit.submit,
                sessions=_StoredSessions(self._pool, self._proven),
                is_shared=whose is None,
                names=self._registry.catalogue.name,
                traceparent=traceparent(request),
            )
        )

    @serves(
        Operation(
            "GET",
            "/v0/context/users/{profileRef}",
            "What is known of a user",
            UserContext,
            response_example=examples.USER_CONTEXT,
            parameters=(_PROFILE_REF, SCOPES),
            security=PROVIDERS,
            problems=(Unavailable,),
            tags=_TAGS,
            description="Needs the scope `context:read`, also named in x-provider-scopes.",
        )
    )
    async def user_context(self, request: Request) -> Response:
        self._callers.check_scope(request, "context:read", unnamed="refused")
        profile_ref = requests.path_field(request, _PROFILE_REF.name, max_length=MAX_PROFILE_REF_LENGTH)
        user_id = profile_ref.removeprefix(PROFILE)
        if user_id in ("", profile_ref):
            raise InvalidRequest(f"{_PROFILE_REF.name}: expected {PROFILE}<userId>")
        return json_response(await context.read(self._pool, profile_ref, user_id, proven=self._proven))

    @serves(
        Operation(
            "GET",
            "/.well-known/uniassist/manifest.json",
            "The builtin chat's manifest",
            ProviderManifest,
            response_example=examples.MANIFEST,
            tags=_TAGS,
        )
    )
    async def manifest(self, _request: Request) -> Response:
        return json_response(
            ProviderManifest(
                schema_version=SCHEMA_VERSION,
                provider_id=routing.BUILTIN,
                name="UniAssist",
                version=self._version,
                description="Answers what concerns no specialist, and says which specialists there are.",
                capabilities=Capabilities(
                    inputs=["text"], interaction_events=["assistant_message"], streaming=False
                ),
                security=Security(auth="none", required_scopes=[]),
            )
        )


@dataclass(frozen=True)
class _StoredSessions:
    pool: Pool
    proven: bool

    async def latest(self, user_id: str, provider_id: str) -> str | None:
        return await timeline.latest_session(self.pool, user_id, provider_id, proven=self.proven)

    async def is_served(self, session_id: str, provider_id: str) -> bool:
        return await timeline.is_served(self.pool, session_id, provider_id)
