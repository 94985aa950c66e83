"""What the `reminder` specialist says: one catalogue, Chinese and English."""

from __future__ import annotations

from uniassist.contracts.language import Language

_CATALOGUE: dict[str, dict[Language, str]] = {
    "made": {
        "zh": "好的，{when} 提醒你{matter}。",
        "en": "All right, I will remind you {when}{matter}.",
    },
    "made_note": {
        "zh": "要改可以说“改到十点”，不要了说“取消这个提醒”。",
        "en": "Say “make it 10” or “cancel this reminder”.",
    },
    "matter": {"zh": "：{matter}", "en": ": {matter}"},
    "assumed_half": {
        "zh": "按{when}记的，不对的话请说上午还是晚上。",
        "en": "I took it as {when}; say am or pm if that is wrong.",
    },
    "ask_time": {"zh": "{day}几点提醒你{matter}？", "en": "At what time {day} shall I remind you{matter}?"},
    "ask_time_event": {
        "zh": "{day}几点开始？我好提前{ahead}提醒你{matter}。",
        "en": "When does it begin {day}? Then I can remind you {ahead} before{matter}.",
    },
    "ask_when": {
        "zh": "什么时候提醒你{matter}？可以说“明天九点”“每周一早上八点”“20分钟后”。",
        "en": "When shall I remind you{matter}? Say “tomorrow at 9”, “every Monday at 8” or “in 20 minutes”.",
    },
    "ask_date": {
        "zh": "是哪一天的事？告诉我日期，我提前{ahead}提醒你{matter}。",
        "en": "What day is it? Tell me the date, and I will remind you {ahead} before{matter}.",
    },
    "past": {
        "zh": "{when}已经过去了。改到什么时候提醒你{matter}？",
        "en": "That is over: {when}. When shall I remind you instead{matter}?",
    },
    "too_often": {
        "zh": "最多每小时提醒一次。换个间隔，例如“每小时”或“每天九点”？",
        "en": "Once an hour is as often as I can. Another interval, such as “every hour” or “every day at 9”?",
    },
    "too_many": {
        "zh": "已经有 {count} 个提醒了，先取消几个吧：说“我的提醒”可以查看。",
        "en": "There are {count} reminders already. Please cancel some first: say “my reminders” to see them.",
    },
    "list": {"zh": "你有 {count} 个提醒：\n{lines}", "en": "You have {count}:\n{lines}"},
    "list_line": {"zh": "{number}. {when}{matter}", "en": "{number}. {when}{matter}"},
    "list_more": {"zh": "……还有 {count} 个", "en": "… and {count} more"},
    "list_note": {
        "zh": "可以说“取消第二个”“第一个改到十点”。",
        "en": "Say “cancel the second one” or “move the first one to 10:00”.",
    },
    "none": {
        "zh": "现在没有提醒。可以说“明天九点提醒我交报告”。",
        "en": "There are no reminders. Say “remind me tomorrow at 9 to call mum”.",
    },
    "which": {"zh": "是哪一个？说编号就行：\n{lines}", "en": "Which one? Say its number:\n{lines}"},
    "unknown": {
        "zh": "没有找到这个提醒。现在有：\n{lines}",
        "en": "I found no such reminder. There are:\n{lines}",
    },
    "cancelled": {"zh": "已取消：{matters}。", "en": "Cancelled: {matters}."},
    "changed": {"zh": "改好了：{when} 提醒你{matter}。", "en": "Changed: I will remind you {when}{matter}."},
    "changed_once": {
        "zh": "这一次改到{when} 提醒你{matter}，之后照旧（{rule}）。",
        "en": "This once I will remind you {when}{matter}; afterwards as before ({rule}).",
    },
    "renamed": {"zh": "改好了：{when} 提醒你{matter}。", "en": "Changed: I will remind you {when}{matter}."},
    "change_to_what": {
        "zh": "改到什么时候？例如“改到明天十点”“推迟半小时”。",
        "en": "To when? For example “move it to tomorrow at 10” or “half an hour later”.",
    },
    "snoozed": {"zh": "好的，{when} 再提醒你{matter}。", "en": "All right, again {when}{matter}."},
    "nothing_to_snooze": {
        "zh": "最近没有响过的提醒。要新建可以说“10分钟后提醒我关火”。",
        "en": "Nothing was due lately. For a new one say “remind me in 10 minutes to turn off the stove”.",
    },
    "done": {"zh": "好的，辛苦了。", "en": "Well done."},
    "not_read": {
        "zh": "这句我没读懂。可以说“明天九点提醒我交报告”“我的提醒”“改到十点”“取消第二个”“10分钟后再提醒”。",
        "en": "I could not read that. You can say “remind me tomorrow at 9 to call mum”, “my reminders”, "
        "“make it 10”, “cancel the second one”, “snooze 10 minutes”.",
    },
    "no_clock": {
        "zh": "消息的时间读不出来，请再发一次。",
        "en": "The message's own time can't be read; please send it again.",
    },
    "title": {"zh": "提醒：{matter}", "en": "Reminder: {matter}"},
    "title_bare": {"zh": "提醒：时间到了", "en": "Reminder: it is time"},
    "late": {"zh": "原定 {when}，因故晚到了。", "en": "This was due {when} and comes late."},
    "missed": {
        "zh": "这期间错过了 {count} 次（从 {when} 起），合为这一次。",
        "en": "{count} were missed since {when}; this one stands for all of them.",
    },
}


def say(key: str, language: Language, **words: object) -> str:
    """KeyError for a key that isn't in the catalogue, or a word that its sentence lacks."""
    return _CATALOGUE[key][language].format(**words)
