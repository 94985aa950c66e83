"""A chat written down in Markdown: what the person does, and what their phone then shows."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from uniassist.wechat_simulator.pushes import UNSUPPORTED, Pushed
from uniassist.wechat_simulator.simulator import WechatSimulator

ME, THEY, LATER = "**我**", "**公众号**", "**公众号（稍后）**"
NEXT_DAY = "*（第二天）*"
FIRST_DAY = dt.datetime(2026, 3, 2, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))  # a Monday
_CLICK = re.compile(r"［点击菜单：(.+)］")
_HEARD = re.compile(r"［语音，识别为：(.+)］")


@dataclass
class Chat:
    """One person's chat with an account, at times of their own."""

    wechat: WechatSimulator
    openid: str
    at: dt.datetime = FIRST_DAY
    media: int = 0

    async def does(self, line: str) -> list[str]:
        """What the phone shows of it. A line in brackets is no text."""
        if line == NEXT_DAY:
            self.at += dt.timedelta(hours=25)
            return [NEXT_DAY]
        self.at += dt.timedelta(minutes=1)
        before = len(self.wechat.screen(self.openid))
        pushed = await self._sent(line)
        assert pushed.tries == ["answered"], f"{line}: {pushed.tries}"
        shown = self.wechat.screen(self.openid)[before:]
        return [quoted(ME, line), *(quoted(THEY if each.via == "passive" else LATER, each.text) for each in shown)]

    async def _sent(self, line: str) -> Pushed:
        openid, at = self.openid, int(self.at.timestamp())
        if line == "［关注］":
            return await self.wechat.act(openid, "subscribe", CreateTime=at)
        if line == "［扫码］":
            return await self.wechat.act(openid, "SCAN", CreateTime=at, EventKey="42")
        if (clicked := _CLICK.fullmatch(line)) is not None:
            return await self.wechat.act(openid, "CLICK", CreateTime=at, EventKey=clicked[1])
        if line == "［表情］":
            return await self.wechat.send(openid, "text", CreateTime=at, Content=UNSUPPORTED)
        if line == "［名片］":
            return await self.wechat.send(openid, "card-of-the-future", CreateTime=at)
        if line in ("［图片］", "［语音］") or (heard := _HEARD.fullmatch(line)) is not None:
            self.media += 1
            media_id = f"{openid}-{self.media}"
            self.wechat.keep_medium(media_id, b"\xff\xd8 a medium", "image/jpeg")
            if line in ("［图片］", "［语音］"):
                kind = "image" if line == "［图片］" else "voice"
                return await self.wechat.send(openid, kind, CreateTime=at, MediaId=media_id)
            assert heard is not None
            return await self.wechat.send(
                openid, "voice", CreateTime=at, MediaId=media_id, Recognition=heard[1], Format="amr"
            )
        return await self.wechat.send(openid, "text", CreateTime=at, Content=line)


def quoted(who: str, text: str) -> str:
    lines = [f"> {line}  " if line else ">" for line in text.splitlines()]
    return "\n".join([who, *lines])


def done_in(written: str) -> list[str]:
    """What the person does, in order, as a transcript has it."""
    found: list[str] = []
    for block in written.split("\n\n"):
        if block.strip() == NEXT_DAY:
            found.append(NEXT_DAY)
        if block.startswith(f"{ME}\n"):
            lines = block.removeprefix(f"{ME}\n").splitlines()
            found.append("\n".join(line.removeprefix(">").strip() for line in lines))
    return found
