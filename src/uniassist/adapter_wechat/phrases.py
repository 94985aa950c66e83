"""What the channel itself says. Chinese only: the platform is, and a push doesn't tell a person's language."""

from __future__ import annotations

GREETING = "你好，欢迎关注！直接发文字告诉我你想做什么，例如：“帮我制定一个学习计划”。"
BUSY = "系统繁忙，暂时无法处理这条消息，请稍后再发一次。"

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
