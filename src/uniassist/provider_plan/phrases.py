"""What the `plan` specialist says: one catalogue, Chinese and English, chosen by `locale`."""

from __future__ import annotations

from uniassist.contracts.language import Language, language

_CATALOGUE: dict[str, dict[Language, str]] = {
    "ack": {"zh": "好的，我来帮你制定计划。", "en": "All right, let us make a plan."},
    "ack_prefilled": {
        "zh": "好的，我来帮你制定计划。已经替你填上：{fields}，请核对并补充其余内容。",
        "en": "All right, let us make a plan. Already filled in: {fields}. Please check it and add the rest.",
    },
    "form_title": {"zh": "请补充计划信息", "en": "Please tell me about your plan"},
    "goal": {"zh": "目标", "en": "Goal"},
    "goal_hint": {"zh": "例如：三个月内学会游泳", "en": "For example: learn to swim in three months"},
    "dueDate": {"zh": "期望完成日期", "en": "Due date"},
    "constraints": {"zh": "限制条件", "en": "Constraints"},
    "constraints_hint": {"zh": "例如：预算、可用时间", "en": "For example: budget, hours a week"},
    "submit": {"zh": "提交", "en": "Submit"},
    "between_names": {"zh": "、", "en": ", "},
    "between_sentences": {"zh": "", "en": " "},
    "again": {
        "zh": "还差一点：{problems}请修改后再提交一次。",
        "en": "Almost there: {problems} Please correct it and submit again.",
    },
    "problem_required": {"zh": "“{field}”需要填写。", "en": "“{field}” is required."},
    "problem_text": {"zh": "“{field}”需要是文字。", "en": "“{field}” must be text."},
    "problem_date": {
        "zh": "“{field}”需要是 2026-03-01 这样的日期。",
        "en": "“{field}” must be a date such as 2026-03-01.",
    },
    "problem_long": {
        "zh": "“{field}”最多 {limit} 个字符。",
        "en": "“{field}” takes at most {limit} characters.",
    },
    "problem_values": {"zh": "没有读到表单内容。", "en": "The form's values could not be read."},
    "progress": {"zh": "信息已收齐", "en": "Everything is here"},
    "summary": {"zh": "计划已确认。\n{lines}", "en": "The plan is confirmed.\n{lines}"},
    "summary_line": {"zh": "{field}：{value}", "en": "{field}: {value}"},
    "unknown_action": {
        "zh": "这个操作我还不支持。你可以填写“{title}”表单并提交，或者直接告诉我你的新计划。",
        "en": "I can't do that. You can fill in and submit “{title}”, or tell me about a new plan.",
    },
}


def say(key: str, locale: str | None, **values: str) -> str:
    """The phrase in the person's language; values are put in as plain text."""
    return _CATALOGUE[key][language(locale)].format(**values)
