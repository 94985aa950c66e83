"""A plan in words, in the person's language: numbered steps by phases, checkpoints, what is kept free."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.model import Item, Plan, Step

_WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "zh": tuple(f"周{each}" for each in "一二三四五六日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORDS: dict[str, dict[Language, str]] = {
    "title": {"zh": "“{goal}”的计划：{first} 至 {last}", "en": "Plan for “{goal}”: {first} to {last}"},
    "assumed": {
        "zh": "你没说以后的日期，先按{day}排；说“改到10月1日”就能改。",
        "en": "You gave no date that is still to come, so I took {day}; say “move it to March 5” to change it.",
    },
    "time": {"zh": "共约{total}，最忙的一周约{most}。", "en": "About {total} in all, {most} in the busiest week."},
    "done_part": {"zh": "已完成 {done}/{all} 步。", "en": "{done} of {all} steps done."},
    "phase": {"zh": "【{title}】", "en": "{title}"},
    "step": {"zh": "{mark}{number}. {title}（{when}{effort}）", "en": "{mark}{number}. {title} ({when}{effort})"},
    "done": {"zh": "✓ ", "en": "✓ "},
    "times": {"zh": "，{times}次，每次{each}", "en": ", {times} times, {each} each"},
    "once": {"zh": "，约{each}", "en": ", about {each}"},
    "check": {"zh": "→ {day}停下来看：{check}", "en": "→ {day}, stop and look: {check}"},
    "slack": {"zh": "留空：{days}什么都不排，落下的在这里补。", "en": "Kept free: {days}, for whatever slipped."},
    "tight": {
        "zh": "时间偏紧：比通常需要的少了四成以上。可以推迟，或者说“太紧了”。",
        "en": "This is tight: over 40% less time than it usually takes. You can move it, or say “too tight”.",
    },
    "left_out": {"zh": "排不下、先不做的：{items}", "en": "No room for: {items}"},
    "notes": {"zh": "记着你说的：{notes}", "en": "What you said, kept in mind: {notes}"},
    "today": {"zh": "今天", "en": "today"},
    "late": {"zh": "已过期", "en": "late"},
    "next": {"zh": "接下来：{steps}", "en": "Next: {steps}"},
    "all_done": {"zh": "所有步骤都完成了。", "en": "All steps are done."},
    "between": {"zh": "；", "en": "; "},
}


def in_words(plan: Plan, today: dt.date) -> str:
    """All of the plan, one line for each step."""
    language = plan.language
    lines = [_head(plan)]
    if plan.goal.is_due_assumed:
        lines.append(_say("assumed", language, day=day_in_words(plan.goal.due, language)))
    lines.append(_effort(plan))
    if plan.is_tight:
        lines.append(_say("tight", language))
    for at, phase in enumerate(plan.phases):
        steps = [each for each in plan.steps if each.item.phase == at]
        if not steps:
            continue
        lines += ["", _say("phase", language, title=phase.title)]
        lines += _steps(plan, steps, today)
        checked = plan.checkpoint(at)
        if checked is not None and any(each.done_on is None for each in steps):
            lines.append(_say("check", language, day=day_in_words(checked, language), check=phase.check or ""))
    lines += ["", *_tail(plan)]
    return "\n".join(lines).strip()


def next_in_words(plan: Plan, today: dt.date, *, most: int = 3) -> str:
    """What is to be done now: what is late or has begun, else what begins first."""
    if not plan.open:
        return _say("all_done", plan.language)
    begun = [each for each in plan.open if each.first <= today] or list(plan.open[:1])
    steps = "\n".join(_steps(plan, begun[:most], today))
    return _say("next", plan.language, steps="\n" + steps)


def steps_in_words(plan: Plan, steps: Sequence[Step], today: dt.date) -> str:
    """A line for each of some steps of the plan, with their numbers."""
    return "\n".join(_steps(plan, steps, today))


def day_in_words(day: dt.date, language: Language) -> str:
    weekday = _WEEKDAYS[language][day.weekday()]
    return (
        f"{day.month}月{day.day}日{weekday}"
        if language == "zh"
        else f"{weekday} {day.day} {_MONTHS[day.month - 1]}"
    )


def minutes_in_words(minutes: int, language: Language) -> str:
    """ "1.5小时", "40 min"; halves of an hour from an hour on."""
    if minutes < 60:
        return f"{minutes}分钟" if language == "zh" else f"{minutes} min"
    hours = round(minutes / 30) / 2
    return f"{hours:g}小时" if language == "zh" else f"{hours:g} h"


def _head(plan: Plan) -> str:
    goal, language = plan.goal, plan.language
    first = min(each.first for each in plan.steps)
    years = (
        ""
        if first.year == goal.ends.year
        else (f"{goal.ends.year}年" if language == "zh" else f" {goal.ends.year}")
    )
    last = day_in_words(goal.ends, language)
    last = years + last if language == "zh" else last + years
    return _say("title", language, goal=goal.text, first=day_in_words(first, language), last=last)


def _effort(plan: Plan) -> str:
    language = plan.language
    total = minutes_in_words(sum(each.total_minutes for each in plan.steps), language)
    said = _say("time", language, total=total, most=minutes_in_words(plan.busiest_week(), language))
    done = len(plan.steps) - len(plan.open)
    if done:
        said += ("" if language == "zh" else " ") + _say("done_part", language, done=done, all=len(plan.steps))
    return said


def _steps(plan: Plan, steps: Sequence[Step], today: dt.date) -> list[str]:
    """Days of an event that are alike become one line."""
    lines = []
    at = 0
    while at < len(steps):
        end = at + 1
        while end < len(steps) and _are_alike(steps[at], steps[end]):
            end += 1
        lines.append(_line(plan, steps[at], steps[end - 1], today))
        at = end
    return lines


def _are_alike(one: Step, other: Step) -> bool:
    same_item = one.item.on_day is not None and one.item.title == other.item.title
    return same_item and (one.done_on is None) == (other.done_on is None)


def _line(plan: Plan, step: Step, last: Step, today: dt.date) -> str:
    language = plan.language
    number = str(plan.number(step)) if step is last else f"{plan.number(step)}–{plan.number(last)}"
    mark = _say("done", language) if step.done_on is not None else ""
    if step.done_on is not None:
        when, effort = day_in_words(step.done_on, language), ""
    else:
        when, effort = _days(step.first, last.last, today, language), _spent(step, language)
    return _say("step", language, mark=mark, number=number, title=step.item.title, when=when, effort=effort)


def _days(first: dt.date, last: dt.date, today: dt.date, language: Language) -> str:
    if last < today:
        return (
            f"{day_in_words(last, language)}，{_say('late', language)}"
            if language == "zh"
            else f"{day_in_words(last, language)}, late"
        )
    begins = _say("today", language) if first == today else day_in_words(first, language)
    return begins if first == last else f"{begins}–{day_in_words(last, language)}"


def _spent(step: Step, language: Language) -> str:
    if step.minutes == 0:
        return ""
    each = minutes_in_words(step.minutes, language)
    return _say("times" if step.times > 1 else "once", language, times=step.times, each=each)


def _tail(plan: Plan) -> list[str]:
    language = plan.language
    lines = []
    if plan.slack:
        first, last = plan.slack[0], plan.slack[-1]
        days = day_in_words(first, language)
        lines.append(
            _say("slack", language, days=days if first == last else f"{days}–{day_in_words(last, language)}")
        )
    if plan.left_out:
        lines.append(_say("left_out", language, items=_joined(plan.left_out, language)))
    if plan.goal.notes:
        lines.append(_say("notes", language, notes=_say("between", language).join(plan.goal.notes)))
    return lines


def _joined(items: Sequence[Item], language: Language) -> str:
    return _say("between", language).join(each.title for each in items)


def _say(key: str, language: Language, **values: object) -> str:
    return _WORDS[key][language].format(**values)
