"""What people say beside the matter: greetings, thanks, yes, never mind. Whole messages only, however decorated.

One reading for all services, so that what is a courtesy to one is no answer to another.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, cast

from uniassist.contracts.scripts import simplified

Courtesy = Literal["greeting", "who", "thanks", "assent", "noted", "goodbye", "leave"]

LONGEST = 40  # characters; what is longer has something to say
_ENDINGS = "啰的吧啊呀哦哈啦呢了嘛吖噢哒滴喽咯哟呗"

_THANKS_ZH = (
    r"(?:好|好的|嗯+|收到|知道了|明白了?|行|ok)?(?:真的?是?|非常|太|十分|万分|实在|特别)?"
    r"(?:谢|感谢|多谢|感激|感恩|辛苦|麻烦(?:你|您)?了|有劳|3q)+(?:不尽)?"
    rf"(?:你们?|您|大家|老师|亲|小助手|助手|帮忙|的?帮助|[{_ENDINGS}])*"
)
_THANKS_EN = (
    r"(?:ok|okay|great|cool|perfect|awesome|nice|wonderful|excellent|good|lovely)?(?:job|work)?(?:so)?(?:many)?"
    r"(?:thanks|thankyou|thanku|thankss+|thx|thanx|tks|ty|tysm|cheers|muchappreciated|iappreciateit|muchobliged)"
    r"(?:alot|lots|somuch|verymuch|again|abunch|aton|tons|amillion|indeed|inadvance|kindly|though"
    r"|for(?:your|the|all|everything|that|this)(?:your|the)?(?:help|time|info)?"
    r"|mate|man|all|guys|everyone|you|uniassist|bot)*"
)
_GREETING_ZH = (
    r"(?:(?:你|您|你们|大家)好(?:吗)?|嗨+|嘿+|哈[喽啰罗咯]+|早+|早上好|早安|上午好|中午好|下午好|晚上好|在吗|在么|在不在"
    rf"|有人(?:在)?吗|(?:hi|hello|hey)(?=[{_ENDINGS}]|$))(?:朋友|小助手|助手|机器人|uniassist|[{_ENDINGS}])*"
)
_GREETING_EN = (
    r"(?:hi+|hello+|hey+|heya|hiya|howdy|yo|greetings|good(?:morning|afternoon|evening|day)|morning)"
    r"(?:there|all|everyone|again|uniassist|bot|guys|mate|friend|folks|you|hi|hello|hey"
    r"|good(?:morning|afternoon|evening|day)|(?:are)?youthere|anyone(?:there|here)?|howareyou(?:doing|today)*)*"
)
_WHO = (
    r"(?:请问)?(?:你|您)(?:是谁|叫什么(?:名字)?|是(?:什么|干什么的|做什么的)|(?:都)?(?:能|会|可以)(?:帮我)?(?:做|干)?(?:些)?(?:什么|啥))"
    r"|怎么用|怎么使用|如何使用|帮助|使用说明|help|helpme|whoareyou|whatareyou|whatcan(?:you|i)do(?:here|forme)?"
    r"|whatdoyoudo|howdo(?:es)?(?:this|it|you|i)(?:use)?(?:this|it)?work|howdoiuse(?:this|it|you)"
    r"|howcanyouhelp(?:me)?"
)
_ASSENT = (
    r"确认|确定|好+|好的+|行+|可以|是|是的|对+|对的|嗯+|没问题|没错|同意|成|提交|确认提交|就这样|就这么办|ok+|okay|okey|okk|k"
    r"|yes|yep|yeah|yup|y|sure|ofcourse|confirm|confirmed|iconfirm|submit|submitit|fine|alright|goahead|soundsgood"
    r"|looksgood|correct|thatsright|thatscorrect|right|doit|agreed|absolutely"
)
_NOTED = (
    r"知道|明白|瞭解|懂|收到|了解|没事|没什么|不用|不用谢|不需要|不客气|先这样|哈+|呵+|哦+|噢+"
    r"|gotit|isee|understood|noted|nothanks|noproblem|nothing|nope|nevermindthanks|great|cool|nice|perfect|wow|lol|haha+"
)
_GOODBYE = (
    r"再见|拜+|拜拜+|回见|回头见|明天见|下次见|下次聊|晚安|886?|bye+|byebye|goodbye|goodnight|seeyou|seeya|cya|farewell"
    r"|(?:bye)?seeyou(?:later|soon|tomorrow|around)?|takecare|ttyl"
)
_LEAVE = (
    r"取消|取消吧|我要取消|取消填写|取消表单|算了吧?|不填|不想填|先不填|不弄|不做|退出|关闭|关掉|放弃|停|停止|不要"
    r"|cancel|cancelit|cancelthis|cancelthat|pleasecancel|nevermind|neverminditthen|forgetit|forgetaboutit|quit|exit"
    r"|stop|stopit|abort|dropit"
)


# What fits several is the first of them.
_PATTERNS: dict[Courtesy, str] = {
    "leave": _LEAVE,
    "thanks": f"{_THANKS_ZH}|{_THANKS_EN}",
    "who": _WHO,
    "assent": _ASSENT,
    "goodbye": _GOODBYE,
    "noted": _NOTED,
    "greeting": f"{_GREETING_EN}|{_GREETING_ZH}",
}
_KINDS = tuple(_PATTERNS)
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
# What no courtesy begins with is none, nor are its beginnings. Asked of the beginning of a text, "$" is anywhere.
_BEGINS = re.compile(_ANY.pattern.replace("|$)", "|)"))
_SAYS_MORE: tuple[Courtesy, ...] = ("leave", "who", "thanks", "goodbye", "assent", "greeting", "noted")
_NEITHER = {"对了", "好了吗", "行吗", "可以吗", "是吗", "好吗", "对吗"}  # a change of subject, and questions
_POLITE = re.compile(r"^(?:请|麻烦|那就?|please)|(?:谢谢你?|多谢|thanks|thankyou|please)$")
_THUMBS = {"👍", "👌", "🆗", "✅"}


def courtesy(text: str) -> Courtesy | None:
    """What a whole message is, if it is nothing but a courtesy: "谢谢啊", "Thanks a lot!", "好的，再见"."""
    return None if len(text) > LONGEST else _read(text)


@lru_cache(maxsize=256)  # asked several times of each message
def _read(text: str) -> Courtesy | None:
    spoken = words(text)
    if not spoken:
        thumb = "".join(each for each in text if each.isprintable() and not each.isspace())
        return "assent" if thumb[:1] in _THUMBS and len(set(thumb)) <= 3 else None
    return _single(spoken) or _pair(spoken) or _single(_POLITE.sub("", spoken))


def words(text: str) -> str:
    """Letters and digits only, compatibility forms folded, lower case, traditional Chinese as simplified."""
    folded = simplified(unicodedata.normalize("NFKC", text).casefold())
    return "".join(each for each in folded if each.isalnum())


def _pair(spoken: str) -> Courtesy | None:
    """Two courtesies in a row: the one that says more. "好的，再见" is a goodbye, "算了，没事了" leaves."""
    if _BEGINS.match(spoken) is None:
        return None
    for at in range(1, len(spoken)):
        first = _single(spoken[:at])
        second = _single(spoken[at:]) if first is not None else None
        if first is not None and second is not None:
            return first if _SAYS_MORE.index(first) < _SAYS_MORE.index(second) else second
    return None


def _single(spoken: str) -> Courtesy | None:
    if spoken in _NEITHER:
        return None
    found = [kind for kind in (_kind(spoken), _kind(spoken.rstrip(_ENDINGS))) if kind is not None]
    return min(found, key=_KINDS.index, default=None)


def _kind(spoken: str) -> Courtesy | None:
    found = _ANY.fullmatch(spoken)
    return cast(Courtesy, found.lastgroup) if found is not None else None
