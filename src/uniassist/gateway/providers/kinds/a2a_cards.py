"""Agent cards: fetched, checked, and kept for a while; and the clients that are made of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.errors import A2AClientTimeoutError, AgentCardResolutionError
from a2a.types.a2a_pb2 import AgentCard, AgentInterface
from a2a.utils.errors import A2AError
from google.protobuf import json_format

from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a import Options
from uniassist.gateway.providers.kinds.a2a_http import HttpClient, failure_of
from uniassist.web.calling.client import BadAnswer, CallFailed, TimedOut

CARD_SECONDS = 5.0  # to fetch it
KEPT_SECONDS = 300.0
BINDINGS = ("JSONRPC", "HTTP+JSON")
# What the SDK raises beside its own errors, of an answer with other members than it expects, or nested too deep.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, json_format.Error)


@dataclass(frozen=True)
class Agent:
    """An agent that can be called.

    `interface`: where, and how.
    `headers`: with each call.
    `until`: when its card is fetched anew; the loop's time.
    """

    card: AgentCard
    interface: AgentInterface
    client: Client
    headers: Mapping[str, str]
    until: float

    @property
    def streams(self) -> bool:
        return bool(self.card.capabilities.streaming)


class Cards:
    """By provider and what its entry says."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._agents: dict[tuple[str, str | None, str | None, str | None], Agent] = {}

    async def of(self, provider: Provider, *, anew: bool = False) -> Agent:
        """CallFailed, where there is none or it can't be called. `anew`: whatever is kept."""
        key = (provider.provider_id, provider.base_url, provider.token, _endpoint(provider))
        kept = self._agents.get(key)
        now = asyncio.get_running_loop().time()
        if kept is not None and not anew and now < kept.until:
            return kept
        try:
            agent = self._agent(provider, await self._fetched(provider), now + KEPT_SECONDS)
        except CallFailed:
            if kept is not None and not anew:  # it says nothing now, and may still answer
                return kept
            raise
        self._agents[key] = agent
        return agent

    async def _fetched(self, provider: Provider) -> AgentCard:
        assert provider.base_url is not None, "only connected providers are called"
        try:
            async with asyncio.timeout(CARD_SECONDS):
                return await A2ACardResolver(self._http, provider.base_url).get_agent_card()
        except TimeoutError:
            raise TimedOut(f"no agent card within {CARD_SECONDS:g} seconds") from None
        except A2AError as error:
            raise called(error, "agent card") from None
        except UNREADABLE as error:  # of a card that is no object, say
            raise BadAnswer(f"agent card: {type(error).__name__}") from None

    def _agent(self, provider: Provider, card: AgentCard, until: float) -> Agent:
        interface = _interface(provider, card)
        if required := [each.uri for each in card.capabilities.extensions if each.required]:
            raise BadAnswer(f"its card requires extensions that we don't speak: {', '.join(required)}")
        headers = _credentials(provider, card)
        chosen = AgentCard()
        chosen.CopyFrom(card)
        del chosen.supported_interfaces[:]
        chosen.supported_interfaces.append(interface)
        config = ClientConfig(httpx_client=self._http, supported_protocol_bindings=[interface.protocol_binding])
        return Agent(card, interface, ClientFactory(config).create(chosen), headers, until)


def called(error: A2AError, what: str) -> CallFailed:
    """What the SDK raised, as our own: by the error that it comes of, or the protocol's code."""
    cause = error.__cause__
    if isinstance(error, A2AClientTimeoutError):
        return TimedOut(f"{what}: no answer in time")
    if (failure := failure_of(cause, what)) is not None:
        return failure
    if isinstance(cause, json.JSONDecodeError) or isinstance(error, AgentCardResolutionError):
        return BadAnswer(f"{what}: expected what the protocol says")
    return BadAnswer(f"{what}: {type(error).__name__}")


def _interface(provider: Provider, card: AgentCard) -> AgentInterface:
    """Where it is called, and how: the first that we speak, at the place that base_url names."""
    spoken = [each for each in card.supported_interfaces if each.protocol_binding in BINDINGS]
    if not spoken:
        offered = ", ".join(each.protocol_binding for each in card.supported_interfaces) or "nothing"
        raise BadAnswer(f"its card offers {offered}; expected one of {', '.join(BINDINGS)}")
    if (endpoint := _endpoint(provider)) is not None:
        moved = AgentInterface()
        moved.CopyFrom(spoken[0])
        moved.url = endpoint
        return moved
    # Its messages and our credentials go where the providers file says, and nowhere that a card sends them to.
    here = _origin(provider.base_url or "")
    found: AgentInterface | None = next((each for each in spoken if _origin(each.url) == here), None)
    if found is None:
        raise BadAnswer(
            f"its card names {spoken[0].url[:200]!r}, which isn't at base_url; expected that, or an endpoint"
        )
    return found


def _credentials(provider: Provider, card: AgentCard) -> dict[str, str]:
    """In the header that its card names, else as a bearer token."""
    if provider.token is None:
        if card.security_requirements and any(each.schemes for each in card.security_requirements):
            raise BadAnswer("its card asks for credentials; expected api_key_env in its entry")
        return {}
    schemes = [card.security_schemes[name] for name in card.security_schemes]
    by_key = [each.api_key_security_scheme for each in schemes if each.HasField("api_key_security_scheme")]
    in_header = next((each for each in by_key if each.location == "header"), None)
    if in_header is not None and len(by_key) == len(schemes):
        return {in_header.name: provider.token}
    return {"Authorization": f"Bearer {provider.token}"}


def _endpoint(provider: Provider) -> str | None:
    return provider.options.endpoint if isinstance(provider.options, Options) else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
