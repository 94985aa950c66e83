"""What the gateway answers by itself: builtin chat, and what goes on when a provider can't."""

from __future__ import annotations

from uniassist.contracts.courtesies import Courtesy, courtesy
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.interaction import AssistantMessage, ExtensionPayload, InteractionEvent, ProviderExtension
from uniassist.gateway.providers.catalogue import Catalogue
from uniassist.gateway.turns.phrases import say

# What is said to nobody in particular, and is no reply to whoever has the floor.
TO_NOBODY: frozenset[Courtesy | None] = frozenset(("greeting", "who", "thanks", "goodbye", "leave"))


def chat(
    message: UnifiedUserInput,
    catalogue: Catalogue,
    locale: str | None,
    *,
    is_introduced: bool,
    talks_to: str | None = None,
) -> AssistantMessage:
    """The builtin chat's answer: who is there to help, with an example.

    In full once in a session, and again to a person who greets or asks who is there. Of an attachment without words
    it says what became of it.
    `talks_to`: the name of the provider that waits for a reply.
    """
    if message.attachments and not (message.text or "").strip():
        then = say("in_words", locale) if talks_to is None else say("goes_on", locale, provider=talks_to)
        kind = say(message.attachments[0].type, locale)
        return AssistantMessage(text=say("attachment_kept", locale, kind=kind, then=then))
    return AssistantMessage(text=_answer(message, catalogue, locale, is_introduced=is_introduced))


def not_connected(provider: str, catalogue: Catalogue, locale: str | None, *, is_all: bool) -> AssistantMessage:
    """Said of a provider that routes and isn't there.

    `is_all`: nobody else answers, so it is said who could.
    """
    said = say("not_connected", locale, provider=provider, offer=offer(catalogue, locale) if is_all else "")
    return AssistantMessage(text=said.rstrip())


def offer(catalogue: Catalogue, locale: str | None) -> str:
    """Who is there to help, with an example; empty where nobody is."""
    connected = [provider for provider in catalogue.providers if provider.base_url is not None]
    if not connected:
        return ""
    names = say("between", locale).join(provider.name(locale) for provider in connected)
    return say("offer", locale, providers=names, example=connected[0].example(locale))


def unavailable(provider_id: str, name: str, locale: str | None) -> list[InteractionEvent]:
    """The user is told, and the builtin flow goes on: for `plan`, the data collection form."""
    events: list[InteractionEvent] = [AssistantMessage(text=say("unavailable", locale, provider=name))]
    if provider_id == "plan":
        events.append(_plan_form(locale))
    return events


def _answer(message: UnifiedUserInput, catalogue: Catalogue, locale: str | None, *, is_introduced: bool) -> str:
    kind = courtesy(message.text or "")
    if kind == "thanks":
        return say("thanked", locale)
    if kind == "goodbye":
        return say("goodbye", locale)
    if kind in ("assent", "noted", "leave") and is_introduced:
        return say("dismissed", locale)
    connected = [provider for provider in catalogue.providers if provider.base_url is not None]
    if not connected:
        return say("nobody_connected", locale)
    if is_introduced and kind not in ("greeting", "who"):
        return say("not_understood", locale, offer=offer(catalogue, locale))
    return say(
        "introduction",
        locale,
        providers=say("between", locale).join(provider.name(locale) for provider in connected),
        example=connected[0].example(locale),
    )


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
