"""What the gateway answers by itself: builtin chat, and what goes on when a provider can't."""

from __future__ import annotations

from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.interaction import AssistantMessage, ExtensionPayload, InteractionEvent, ProviderExtension
from uniassist.gateway.phrases import say
from uniassist.gateway.providers import Catalogue


def chat(message: UnifiedUserInput, catalogue: Catalogue) -> AssistantMessage:
    """Says who can be reached, with one of their own keywords as the example."""
    providers = "、".join(provider.provider_id for provider in catalogue.providers)
    first = catalogue.providers[0]
    answer = say("builtin", message.locale, providers=providers, example=" ".join(first.keywords[:2]))
    if message.attachments and not message.text:
        answer = f"{say('builtin_attachment', message.locale)}{answer}"
    return AssistantMessage(text=answer)


def unavailable(provider_id: str, locale: str | None) -> list[InteractionEvent]:
    """The user is told, and the builtin flow goes on: for `plan`, the data collection form."""
    events: list[InteractionEvent] = [AssistantMessage(text=say("unavailable", locale, provider=provider_id))]
    if provider_id == "plan":
        events.append(_plan_form(locale))
    return events


def _plan_form(locale: str | None) -> ProviderExtension:
    return ProviderExtension(
        extension_kind="data_collection_request",
        payload=ExtensionPayload(
            provider_id="plan",
            task_id="plan-fallback",
            data_schema={
                "type": "object",
                "title": say("form_title", locale),
                "properties": {
                    "goal": {"type": "string", "title": say("form_goal", locale), "minLength": 1},
                    "dueDate": {"type": "string", "format": "date", "title": say("form_due", locale)},
                },
                "required": ["goal"],
            },
            ui_schema={"ui:order": ["goal", "dueDate"]},
            status="pending",
        ),
    )
