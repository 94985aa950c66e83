"""What the channel itself says. Chinese only: the platform is, and a push doesn't tell a person's language."""

from __future__ import annotations

from collections.abc import Sequence

GREETING = "你好，欢迎关注！直接发文字告诉我你想做什么，例如“帮我制定一个学习计划”。"
BUSY = "系统繁忙，暂时无法处理这条消息，请稍后再发一次。"
STILL_WORKING = "还在为你处理，稍后发送任意消息即可查看结果。"
EXPIRED = "这个选项已经失效了，请直接发文字告诉我你想做什么。"
MORE = "（还有内容未显示，发送任意消息继续查看）"

CHOOSE = "回复数字即可选择。"
SUBMIT = "提交"
NOTED = "好的，已记下："
REQUIRED = "（必填）"
EXAMPLES = {"text": "内容", "date": "2026-03-01", "number": "1.5", "integer": "3"}

_KINDS = {
    "image": "图片",
    "voice": "语音",
    "video": "视频",
    "shortvideo": "小视频",
    "location": "位置",
    "link": "链接",
}


def not_text(kind: str) -> str:
    """For a message that was taken down, but that nobody here can read yet."""
    return f"已收到你发来的{_KINDS.get(kind, '内容')}。目前我只能读懂文字，请用文字告诉我你想做什么。"


def how_to_fill(example: str | None, submit: int) -> str:
    """`example` None: everything is filled in."""
    if example is None:
        return f"要修改请回复“序号 内容”，确认无误请回复 {submit}。"
    return f"请回复“序号 内容”填写，例如“{example}”；填好后回复 {submit}。"


def how_to_fill_one(example: str, label: str) -> str:
    return f"请把序号和内容一起回复，例如“{example}”，即可填写“{label}”。"


def still_missing(labels: Sequence[str]) -> str:
    return f"还需要填写：{'、'.join(labels)}。"


def not_an_option(label: str, options: str) -> str:
    return f"“{label}”请从这些选项中选择：{options}。"
