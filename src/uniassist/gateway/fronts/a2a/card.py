"""The gateway's agent card: one skill for each connected provider. Pure."""

from __future__ import annotations

from uniassist.gateway.fronts.a2a.shapes import (
    VERSION,
    AgentCard,
    Capabilities,
    Interface,
    Skill,
)
from uniassist.gateway.providers.catalogue import Catalogue, Provider

MAX_TAGS = 20


def card(catalogue: Catalogue, url: str, version: str, *, asks_for_token: bool) -> AgentCard:
    """`url`: where it is served, by either binding, as the asker reaches it. `version`: ours."""
    connected = [each for each in catalogue.providers if each.base_url is not None]
    return AgentCard(
        name="UniAssist",
        description="One entrance to many specialist assistants.",
        version=version,
        supported_interfaces=[
            Interface(url=url, protocol_binding=binding, protocol_version=VERSION)
            for binding in ("JSONRPC", "HTTP+JSON")
        ],
        capabilities=Capabilities(streaming=True, push_notifications=False),
        default_input_modes=["text/plain"],
        default_output_modes=["text/markdown", "application/json"],
        skills=[_skill(each) for each in connected],
        security_schemes=(
            {"appToken": {"httpAuthSecurityScheme": {"scheme": "Bearer", "bearerFormat": "JWT"}}}
            if asks_for_token
            else None
        ),
        security_requirements=[{"schemes": {"appToken": {"list": []}}}] if asks_for_token else None,
    )


def _skill(provider: Provider) -> Skill:
    name = provider.name("en")
    return Skill(
        id=provider.provider_id,
        name=name,
        description=provider.description or name,
        tags=list(provider.keywords[:MAX_TAGS]) or [provider.provider_id],
        examples=[provider.example("en")],
    )
