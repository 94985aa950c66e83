"""Who can help, as choices that a person taps instead of writing."""

from __future__ import annotations

import msgspec

from uniassist.contracts.courtesies import courtesy
from uniassist.contracts.interaction import AssistantMessage, Choice
from uniassist.gateway.providers.catalogue import Catalogue, Provider

# The action of a choice: the provider is asked what it gives as its example, as if the person had said that.
ASK = "ask:"
MAX_CHOICES = 10
_OFFERED_TO = (None, "greeting", "who")  # not to who thanks, agrees or leaves


def with_choices(answer: AssistantMessage, text: str, catalogue: Catalogue, locale: str | None) -> AssistantMessage:
    """The builtin chat's answer to `text`, with whom it can offer."""
    offered = catalogue.specialists[:MAX_CHOICES] if courtesy(text) in _OFFERED_TO else ()
    choices = [Choice(key=f"{ASK}{each.provider_id}", label=each.name(locale)) for each in offered]
    return msgspec.structs.replace(answer, choices=choices) if choices else answer


def chosen(action_id: str, catalogue: Catalogue) -> Provider | None:
    """Whom an action of these asks. None: it is no such action, or nobody's who is connected."""
    if not action_id.startswith(ASK):
        return None
    provider_id = action_id.removeprefix(ASK)
    return next((each for each in catalogue.specialists if each.provider_id == provider_id), None)
