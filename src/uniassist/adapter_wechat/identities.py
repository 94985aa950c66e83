"""How the gateway knows a person and their messages, made from the platform's ids. Pure."""

from __future__ import annotations

import hashlib

from uniassist.contracts.inputs import WECHAT_SESSION, WECHAT_USER


def trace_id(openid: str, message_id: str) -> str:
    """The same for each push of one message."""
    digest = hashlib.sha256(f"{openid}\n{message_id}".encode()).hexdigest()
    return f"wx-{digest[:32]}"


def user_id(openid: str) -> str:
    return f"{WECHAT_USER}{openid}"


def session_id(openid: str) -> str:
    """Always the same; the gateway knows which session goes on after it."""
    return f"{WECHAT_SESSION}{openid}"
