"""What the gateway says to a person: one catalogue, Chinese and English, chosen by `locale`."""

from __future__ import annotations

from uniassist.contracts.language import Language, language

_CATALOGUE: dict[str, dict[Language, str]] = {
    "handed_over": {
        "zh": "收到，正在交给“{providers}”处理。",
        "en": "Got it. Handing this over to {providers}.",
    },
    "new_session": {
        "zh": "距离上次对话已超过 24 小时，已为你开始新的会话。",
        "en": "It has been more than 24 hours, so a new session was started.",
    },
    "new_session_asked": {"zh": "已开始新的会话。", "en": "A new session was started."},
    "switch_title": {"zh": "建议切换到 {provider}", "en": "Switch to {provider}?"},
    "switch_body": {
        "zh": "最近的消息更像是“{name}”的内容。",
        "en": "Your recent messages look like a matter for {name}.",
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
    "not_connected": {
        "zh": "“{provider}”尚未接入，暂时无法处理。{offer}",
        "en": "{provider} is not connected yet. {offer}",
    },
    "offer": {
        "zh": "目前我能帮你的有：{providers}，例如可以说“{example}”。",
        "en": "I can help you with: {providers}; for example, say “{example}”.",
    },
    "unavailable": {
        "zh": "“{provider}”暂时不可用，先由我继续为你处理。",
        "en": "{provider} is unavailable right now; I will go on with you meanwhile.",
    },
    "run_failed": {"zh": "“{provider}”没能完成这件事。", "en": "{provider} could not finish this."},
    "overdue": {
        "zh": "“{provider}”没有按时完成，已停止等待。",
        "en": "{provider} did not finish in time, so the wait for it is over.",
    },
    "introduction": {
        "zh": "你好，我是 UniAssist。目前我能帮你的有：{providers}。直接告诉我你想做什么，例如“{example}”。",
        "en": "Hello, I am UniAssist. I can help you with: {providers}. Tell me what you need, like “{example}”.",
    },
    "not_understood": {
        "zh": "这个我还帮不上忙。{offer}",
        "en": "I can't help with that yet. {offer}",
    },
    "nobody_connected": {
        "zh": "我是 UniAssist。目前还没有接入任何专项，暂时帮不上忙。",
        "en": "I am UniAssist. Nobody is connected yet who could help you.",
    },
    "floor_left": {
        "zh": "好的，已结束与“{provider}”的对话。有需要随时找我。",
        "en": "All right, that ends it with {provider}. I am here when you need me.",
    },
    "between": {"zh": "、", "en": ", "},
    "goodbye": {"zh": "再见，有需要随时找我。", "en": "Goodbye. I am here when you need me."},
    "thanked": {"zh": "不客气，有需要随时告诉我。", "en": "You are welcome."},
    "dismissed": {"zh": "好的，有需要随时找我。", "en": "All right. I am here when you need me."},
    "image": {"zh": "图片", "en": "picture"},
    "audio": {"zh": "语音", "en": "voice message"},
    "file": {"zh": "文件", "en": "file"},
    "attachment_kept": {
        "zh": "{kind}收到了，已保存在这次对话里，不过我目前只能读懂文字。{then}",
        "en": "Your {kind} has arrived and is kept with this conversation, but I can only read text so far. {then}",
    },
    "in_words": {
        "zh": "想做什么，请用文字告诉我。",
        "en": "Please tell me in words what you would like to do.",
    },
    "goes_on": {
        "zh": "“{provider}”还在等你的回复，请接着用文字告诉我。",
        "en": "{provider} is still waiting for your reply: please go on in words.",
    },
    "form_title": {"zh": "请补充计划信息", "en": "Please tell me about your plan"},
    "form_goal": {"zh": "目标", "en": "Goal"},
    "form_due": {"zh": "期望完成日期", "en": "Due date"},
}


def say(key: str, locale: str | None, **values: str) -> str:
    """The phrase in the person's language; values are put in as plain text."""
    return _CATALOGUE[key][language(locale)].format(**values)
