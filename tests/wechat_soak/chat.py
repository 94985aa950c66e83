"""`python -m tests.wechat_soak.chat`: a person's chat with the whole system, as on their phone, in Markdown."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.wechat_soak.system import System, started
from uniassist.wechat_simulator.by_hand import lines_of

OPENID = "o-wang"
_WHO = {"me": "我", "passive": "公众号", "service": "公众号（稍后）", "notice": "系统"}

# What the person does, in order; a pair is a message other than text.
LINES: tuple[str | tuple[str, str], ...] = (
    "你好",
    "你能做什么？",
    "帮我制定一个三个月学会游泳的计划",
    "2",
    "2 2026年3月1日",
    "4",
    "3 每周只有周末有空，膝盖有旧伤",
    "4",
    "谢谢！",
    ("image", "photo-1"),
    ("voice", "voice-1"),
    "明天下午三点提醒我交报告",
    "再帮我安排一下下周的项目汇报，要和三个部门对齐时间，先列出需要谁参加，然后定下每天要完成的事情，"
    "最后给我一个可以直接发给同事的版本",
    "1 下周项目汇报",
    "１ 下周三项目汇报\n２：2026/3/11\n3、需要三个部门参加",
    "9",
    "4",
    "今天天气怎么样",
    "算了，没事了",
)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="uniassist-wechat-chat-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postgres runs as another user when we are root
        async with started(directory, 1, providers=None) as system:
            await _chat(system)
            person = system.wechat.account.people[OPENID]
            print("\n\n".join(_shown(line["who"], line["text"]) for line in lines_of(person)))


async def _chat(system: System) -> None:
    await system.wechat.act(OPENID, "subscribe")
    for line in LINES:
        if isinstance(line, str):
            await system.wechat.say(OPENID, line)
        else:
            kind, media_id = line
            await system.wechat.send_medium(OPENID, kind, media_id, b"\xff\xd8 jpeg", "image/jpeg")


def _shown(who: str, text: str) -> str:
    quoted = "\n".join(f"> {line}  " if line else ">" for line in text.splitlines())
    return f"**{_WHO[who]}**\n{quoted}"


if __name__ == "__main__":
    asyncio.run(main())
