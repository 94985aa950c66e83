"""What the gateway says to a person: one catalogue, Chinese and English, chosen by `locale`."""

from __future__ import annotations

from uniassist.contracts.language import Language, language

_CATALOGUE: dict[str, dict[Language, str]] = {
    "handed_over": {
        "zh": "收到，正在交给 {providers} 处理。",
        "en": "Got it. Handing this over to {providers}.",
    },
    "new_session": {
        "zh": "距离上次对话已超过 24 小时，已为你开始新的会话。",
        "en": "It has been more than 24 hours, so a new session was started.",
    },
    "new_session_asked": {"zh": "已开始新的会话。", "en": "A new session was started."},
    "switch_title": {"zh": "建议切换到 {provider}", "en": "Switch to {provider}?"},
    "switch_body": {
        "zh": "最近的消息更像是 {provider} 的内容。",
        "en": "Your recent messages look like a matter for {provider}.",
    },
    "switch_action": {"zh": "切换到 {provider}", "en": "Switch to {provider}"},
    "switched": {
        "zh": "已切换到 {provider} 专项，接下来的消息会优先交给它。",
        "en": "Switched to {provider}: your next messages go there first.",
    },
    "drift_title": {"zh": "检测到话题变化", "en": "The topic has changed (话题变化)"},
    "drift_body": {
        "zh": "这看起来是一个新话题，要开始新的会话吗？",
        "en": "This looks like a new topic. Start a new session?",
    },
    "drift_action": {"zh": "开始新会话", "en": "Start a new session"},
    "confirm_question": {
        "zh": "这条消息可能涉及多个专项，你想先处理哪个？",
        "en": "Which of these did you mean first?",
    },
    "not_connected": {"zh": "{provider} 尚未接入，暂时无法处理。", "en": "{provider} is not connected yet."},
    "unavailable": {
        "zh": "{provider} 暂时不可用，先由我继续为你处理。",
        "en": "{provider} is unavailable right now; I will go on with you meanwhile.",
    },
    "builtin": {
        "zh": "我是 UniAssist。我可以帮你对接：{providers}。请告诉我你想做什么，例如“{example}”。",
        "en": "I am UniAssist. I can bring you to: {providers}. Tell me what you need, for example “{example}”.",
    },
    "builtin_attachment": {"zh": "已收到你发送的内容。", "en": "Your attachment has arrived."},
    "form_title": {"zh": "请补充计划信息", "en": "Please tell me about your plan"},
    "form_goal": {"zh": "目标", "en": "Goal"},
    "form_due": {"zh": "期望完成日期", "en": "Due date"},
}


def say(key: str, locale: str | None, **values: str) -> str:
    """The phrase in the person's language; values are put in as plain text."""
    return _CATALOGUE[key][language(locale)].format(**values)
