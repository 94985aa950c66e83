"""What the channel says by itself: of a menu in the language of its words, all else in the person's."""

from __future__ import annotations

from collections.abc import Sequence

from uniassist.contracts.language import Language

_KINDS: dict[str, dict[Language, str]] = {
    "image": {"zh": "图片", "en": "picture"},
    "voice": {"zh": "语音", "en": "voice message"},
    "video": {"zh": "视频", "en": "video"},
    "shortvideo": {"zh": "小视频", "en": "video"},
    "location": {"zh": "位置", "en": "location"},
    "link": {"zh": "链接", "en": "link"},
    "sticker": {"zh": "表情", "en": "sticker"},
}

_CATALOGUE: dict[str, dict[Language, str]] = {
    "greeting": {
        "zh": "你好，欢迎关注！直接发文字告诉我你想做什么，例如“帮我制定一个学习计划”。",
        "en": "Welcome! Just write what you would like to do, like “make me a plan to learn to swim”.",
    },
    "scanned": {
        "zh": "欢迎回来！直接发文字告诉我你想做什么，例如“帮我制定一个学习计划”。",
        "en": "Welcome back! Just write what you would like to do, like “make me a plan to learn to swim”.",
    },
    "busy": {
        "zh": "系统繁忙，暂时无法处理这条消息，请稍后再发一次。",
        "en": "We are very busy and could not take this message. Please send it again in a moment.",
    },
    "still_working": {
        "zh": "还在为你处理，稍后发送任意消息即可查看结果。",
        "en": "Still working on it. Send any message in a moment to see the answer.",
    },
    "expired": {
        "zh": "这个选项已经失效了，请直接发文字告诉我你想做什么。",
        "en": "That choice is no longer offered. Please write what you would like to do.",
    },
    "more": {
        "zh": "（还有内容未显示，发送任意消息继续查看）",
        "en": "(There is more; send any message to read on.)",
    },
    "kept": {
        "zh": "{kind}收到了，已保存在这次对话里，不过我目前只能读懂文字。",
        "en": "Your {kind} has arrived and is kept with this conversation, but I can only read text so far.",
    },
    "not_heard": {
        "zh": "语音收到了，已保存在这次对话里，不过没能听出文字。",
        "en": "Your voice message has arrived and is kept with this conversation, but I could not make out a word.",
    },
    "sticker": {"zh": "表情收到了。", "en": "Got your sticker."},
    "unknown_kind": {
        "zh": "消息收到了，不过我还不认识这种类型。",
        "en": "Your message has arrived, but I do not know this kind yet.",
    },
    "in_words": {"zh": "想做什么，请用文字告诉我。", "en": "Please tell me in words what you would like to do."},
    "choose": {"zh": "回复数字即可选择。", "en": "Reply with a number to choose."},
    "submit": {"zh": "提交", "en": "Submit"},
    "form": {"zh": "表单", "en": "The form"},
    "noted": {"zh": "好的，已记下：", "en": "Noted:"},
    "required": {"zh": "（必填）", "en": " (required)"},
    "options": {"zh": "（{options}）", "en": " ({options})"},
    "filled": {"zh": "：", "en": ": "},
    "text": {"zh": "内容", "en": "your words"},
    "date": {"zh": "2026-03-01", "en": "2026-03-01"},
    "number": {"zh": "1.5", "en": "1.5"},
    "integer": {"zh": "3", "en": "3"},
    "to_change": {
        "zh": "要修改请回复“序号 内容”，确认无误请回复 {submit}。",
        "en": "To change something reply with its number and the words; if all is right, reply {submit}.",
    },
    "to_fill": {
        "zh": "请回复“序号 内容”填写，例如“{example}”；填好后回复 {submit}。",
        "en": "Reply with a number and your words, like “{example}”; when it is done, reply {submit}.",
    },
    "to_fill_one": {
        "zh": "请把序号和内容一起回复，例如“{example}”，即可填写“{label}”。",
        "en": "Reply with the number and the words together, like “{example}”, to fill in “{label}”.",
    },
    "missing": {"zh": "还需要填写：{labels}。", "en": "Still needed: {labels}."},
    "between": {"zh": "、", "en": ", "},
    "between_sentences": {"zh": "", "en": " "},
    "between_limits": {"zh": "；", "en": "; "},
    "no_such_number": {"zh": "没有 {number} 这一项。", "en": "There is no number {number}."},
    "not_an_option": {
        "zh": "“{label}”请从这些选项中选择：{options}。",
        "en": "“{label}” must be one of these: {options}.",
    },
    "not_a_date": {
        "zh": "“{label}”需要是一个日期，例如 2026-03-01 或“下周五”。",
        "en": "“{label}” must be a date, such as 2026-03-01 or “next Friday”.",
    },
    "not_a_number": {"zh": "“{label}”需要是一个数字，例如 1.5。", "en": "“{label}” must be a number, such as 1.5."},
    "not_an_integer": {
        "zh": "“{label}”需要是一个整数，例如 3。",
        "en": "“{label}” must be a whole number, such as 3.",
    },
    "too_long": {"zh": "“{label}”最多 {limit} 个字。", "en": "“{label}” takes at most {limit} characters."},
    "which": {"zh": "请告诉我选哪一个：", "en": "Which one do you mean?"},
    "still_open": {
        "zh": "“{title}”还没提交：",
        "en": "“{title}” is still open:",
    },
    "question_open": {"zh": "还在等你选择：", "en": "This is still waiting for your choice:"},
    "or_cancel": {"zh": "不填了请回复“取消”。", "en": "Reply “cancel” to close it."},
    "closed": {"zh": "好的，“{title}”已关闭。", "en": "All right, “{title}” is closed."},
    "question_closed": {"zh": "好的，不选了。", "en": "All right, never mind."},
    "overtaken": {
        "zh": "（之前的“{title}”还没提交，回复“返回”可以继续填写。）",
        "en": "(“{title}” is not submitted yet; reply “back” to go on with it.)",
    },
    "back": {"zh": "回到“{title}”：", "en": "Back to “{title}”:"},
}


def say(key: str, language: Language, **values: str) -> str:
    """A phrase; values are put in as plain text."""
    return _CATALOGUE[key][language].format(**values)


def welcome(key: str, language: Language, *, is_stranger: bool) -> str:
    """The first words to somebody: in both languages where nothing tells yet which is theirs."""
    spoken: tuple[Language, ...] = ("zh", "en") if is_stranger else (language,)
    return "\n".join(say(key, each) for each in spoken)


def listed(labels: Sequence[str], language: Language) -> str:
    return _CATALOGUE["between"][language].join(labels)


def not_text(kind: str, language: Language, still_open: str) -> str:
    """For a message that was taken down, but that nobody here can read yet.

    kind: the platform's type of it. still_open: what waits for an answer, as it is said; empty where nothing does.
    """
    match kind:
        case "voice":
            taken = say("not_heard", language)
        case "sticker":
            taken = say("sticker", language)
        case _ if kind in _KINDS:
            taken = say("kept", language, kind=_KINDS[kind][language])
        case _:
            taken = say("unknown_kind", language)
    if not still_open:
        return say("between_sentences", language).join((taken, say("in_words", language)))
    return f"{taken}\n\n{still_open}"
