"""What the gateway answers by itself: builtin chat, and what goes on when a provider can't."""

from __future__ import annotations

import unicodedata

from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.interaction import AssistantMessage, ExtensionPayload, InteractionEvent, ProviderExtension
from uniassist.gateway.phrases import say
from uniassist.gateway.providers import Catalogue

# What needs no specialist, as a whole message without its punctuation.
_GREETINGS = frozenset(
    [
        "你好",
        "您好",
        "你好啊",
        "嗨",
        "在吗",
        "在不在",
        "早",
        "早上好",
        "下午好",
        "晚上好",
        "hi",
        "hello",
        "hey",
        "你是谁",
        "你能做什么",
        "你会什么",
        "怎么用",
        "帮助",
        "help",
    ]
)
_THANKS = frozenset(
    ["谢谢", "谢谢你", "谢谢您", "谢谢啦", "谢了", "多谢", "感谢", "辛苦了", "thanks", "thankyou", "thx"]
)
_DISMISSALS = frozenset(
    [
        "好",
        "好的",
        "好吧",
        "嗯",
        "嗯嗯",
        "行",
        "可以",
        "知道了",
        "明白了",
        "收到",
        "算了",
        "算了没事了",
        "没事",
        "没事了",
        "不用了",
        "再见",
        "拜拜",
        "ok",
        "okay",
        "bye",
        "goodbye",
    ]
)
_LONGEST_COURTESY = 30


def chat(message: UnifiedUserInput, catalogue: Catalogue, *, is_introduced: bool) -> AssistantMessage:
    """Says who is there to help, with an example; in full once in a session, and to who greets or asks."""
    answer = _answer(message, catalogue, is_introduced=is_introduced)
    if message.attachments and not message.text:
        answer = f"{say('builtin_attachment', message.locale)}{answer}"
    return AssistantMessage(text=answer)


def unavailable(provider_id: str, name: str, locale: str | None) -> list[InteractionEvent]:
    """The user is told, and the builtin flow goes on: for `plan`, the data collection form."""
    events: list[InteractionEvent] = [AssistantMessage(text=say("unavailable", locale, provider=name))]
    if provider_id == "plan":
        events.append(_plan_form(locale))
    return events


def _answer(message: UnifiedUserInput, catalogue: Catalogue, *, is_introduced: bool) -> str:
    locale, words = message.locale, _words(message.text or "")
    if words in _THANKS:
        return say("thanked", locale)
    if words in _DISMISSALS and is_introduced:
        return say("dismissed", locale)
    connected = [provider for provider in catalogue.providers if provider.base_url is not None]
    if not connected:
        return say("nobody_connected", locale)
    return say(
        "not_understood" if is_introduced and words not in _GREETINGS else "introduction",
        locale,
        providers=say("between", locale).join(provider.name(locale) for provider in connected),
        example=connected[0].example(locale),
    )


def _words(text: str) -> str:
    """Letters and digits only, as the courtesies above are written."""
    if len(text) > _LONGEST_COURTESY:
        return ""
    return "".join(each for each in unicodedata.normalize("NFKC", text).casefold() if each.isalnum())


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
