"""What a person's first message already says of the plan. Only a suggestion: the form shows it for correction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from uniassist.contracts.courtesies import courtesy
from uniassist.contracts.dates import day_of, find_date, read_date
from uniassist.contracts.scripts import simplified
from uniassist.provider_plan import going_on
from uniassist.provider_plan.planner.hours import time_words
from uniassist.times import now_in

_READ_CHARACTERS = 2000
_MAX_GOAL = 200
_SHORT_GOAL = 40
_MAX_CONSTRAINTS = 500
_MAX_TIME = 200
_MAX_KNOWN = 2000  # as the form takes
_CLAUSE_END = re.compile(r"[，,。;；!！?？\n]+")

_STATED_GOAL = re.compile(
    r"^(?:我的|my )?(?:目标|计划|日程|安排|goal|plan|schedule|itinerary)"
    r"\s*(?:是|为|is|[:：])\s*(?P<goal>.+)$"
    r"|^(?:an? |my |the )?(?:schedule|itinerary|timetable) (?:for|of|to) (?P<goal2>.+)$"
    r"|^(?:(?:i have|set|i've set)\s+)?(?:me\s+)?(?:an? |my )?goal (?:of|to) (?P<goal3>.+)$",
    re.IGNORECASE,
)
# "计划太紧了" speaks of a plan that there is, "计划提前退休" of one to be made.
_OF_A_PLAN = (
    r"的|里|太[紧赶累满松慢忙]|怎么样|改[到成]"
    r"|(?:推迟|提前|延[后期]|往[前后])[一二两三四五六七八九十半\d]+个?[天日周月星礼]"
)
_ASKED_GOAL = re.compile(
    r"^(?:请|麻烦)?你?(?:帮我|给我|替我)?(?:我想要?|我要)?(?:做|制定|制订|安排|规划|计划"
    r"|排(?![队除名球骨练查])|拟(?!人)|列(?![车出]))"
    rf"(?:一下|一个(?!半?月|星期|礼拜|小时|人|学期)|一份|个|下(?!周|个|星期|礼拜|月|次|半|午|学期))?(?P<goal>(?!{_OF_A_PLAN}).+)$"
)
_POLITE_EN = (
    r"(?:please\s+)?(?:(?:can|could) you\s+|i(?:'d| would) like to\s+|i want to\s+)?(?:please\s+)?(?:help me\s+)?"
)
_A_PLAN_EN = (
    r"(?:make|create|draw up|write|set up|give me|need|want|draft|prepare|work out)\s+(?:me\s+)?"
    r"(?:a|an|my|another)\s+(?:\w+\s+)?(?:plan|schedule|itinerary|timetable)"
)
_ASKED_GOAL_EN = re.compile(
    rf"^{_POLITE_EN}(?:to\s+|i\s+)?(?:{_A_PLAN_EN}|plan|organi[sz]e|arrange|schedule|map)\s+(?:to\s+|for\s+|of\s+|out\s+)?"
    r"(?P<goal>.+)$",
    re.IGNORECASE,
)
_CHANGED_GOAL = re.compile(r"^(?:那就?|还是)?(?:把?目标)?(?:换成|改成|改为|换到|改去)(?P<goal>.+)$")
_CHANGED_GOAL_EN = re.compile(
    r"^(?:please\s+)?(?:make it|change it to|change the goal to|let's do)\s+(?P<goal>.+?)(?:\s+instead)?$",
    re.IGNORECASE,
)
_PLEASE = re.compile(r",?\s+please$", re.IGNORECASE)
_A_PLAN_OF = re.compile(r"的(?:[计計][划劃]|[规規][划劃]|安排|日程表?|行程表?|[时時][间間]表)$")
_EMPTY_GOAL = re.compile(
    r"^(?:的|我|my|a|the|\s)*"
    r"(?:计划|安排|规划|日程表?|行程表?|时间表|目标|方案|plan|schedule|itinerary|timetable)?(?:吧|呢)?$"
)
_CONSTRAINT = re.compile(
    r"^(?:预算|限制|约束|要求|条件|前提|不能|不要|只能|最多|至少|budget|constraints?|at most|no more than|only)",
    re.IGNORECASE,
)

_BETWEEN = re.compile(r"；|; ")
_BUDGET = re.compile(r"预算|budget", re.IGNORECASE)
_REPLIED_CONSTRAINT = re.compile(
    r"(?:太|有点|过于|不够|别太)(?:紧|赶|贵|累|远|久|长|满|多|少|松|便宜|轻松)|放松|轻松(?:一)?点|宽松"
    r"|\btoo (?:tight|expensive|tiring|far|long|short|much|many|busy|full|late|early)\b"
    r"|\b(?:cheaper|slower|easier)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"[?？]|[吗呢]$|怎么样|怎么办|多少钱|什么|^(?:怎么|为啥|哪|谁)|^(?:what|how|why|where|who|when|can|could|do|does|is|are)\b",
    re.IGNORECASE,
)


def read_reply(
    text: str, *, at_ms: int, timezone: str | None, wants_goal: bool, before: str = ""
) -> dict[str, str]:
    """As `suggest`, for a reply: it may change what was said, complain of it, or name the goal that is asked for.

    `wants_goal`: no goal is known yet, so that a few words which are nothing else are the goal. `before`: the goal
    that is known, of which another place or length may be said.
    """
    clauses, asks = _clauses(text), _QUESTION.search(simplified(text.strip())) is not None
    found = suggest(text, at_ms=at_ms, timezone=timezone) if not asks else {}
    if not asks and "dueDate" not in found:
        found |= _bare_day(clauses, at_ms, timezone)
    goal = _goal(clauses, (_CHANGED_GOAL, _CHANGED_GOAL_EN))
    if goal is not None and "dueDate" not in found:
        found.setdefault("goal", goal)
    if before and not asks:
        found = _of_trip(found, before, clauses)
    complaints = [each for each in clauses if _REPLIED_CONSTRAINT.search(simplified(each))] if not asks else []
    if complaints:
        found.setdefault("constraints", _joined(complaints)[:_MAX_CONSTRAINTS])
    if found or asks or not wants_goal or len(clauses) != 1 or courtesy(text) is not None:
        return found
    bare = text.strip()
    is_goal = 2 <= len(bare) <= _SHORT_GOAL and bare.strip("0123456789 ") != ""
    return {"goal": bare} if is_goal else {}


def _of_trip(found: dict[str, str], before: str, clauses: Sequence[str]) -> dict[str, str]:
    """What was read; where the goal that goes on is a trip, another place in it, so many days."""
    stay, said = going_on.stay_in(clauses), found.get("goal")
    if (stay is None and said is None) or not going_on.lasts_days(before):
        return found
    goal = (
        going_on.elsewhere(before, said) if said is not None and (stay is None or said not in stay[0]) else before
    )
    if stay is None:
        return found | {"goal": goal} if said is not None else found
    limits = [each for each in _BETWEEN.split(found.get("constraints", "")) if each and each != stay[0]]
    others = {name: value for name, value in found.items() if name != "constraints"}
    others |= {"constraints": _joined(limits)} if limits else {}
    return others | {"goal": going_on.for_days(goal, stay[1])}


def merged(known: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """What is known once `said` is said. Constraints add up; a budget takes the place of the one before."""
    both = {**known, **said}
    if "constraints" in known and "constraints" in said:
        new = _BETWEEN.split(said["constraints"])
        has_budget = any(_BUDGET.match(simplified(each)) for each in new)
        old = [each for each in _BETWEEN.split(known["constraints"]) if each not in new]
        kept = [each for each in old if not (has_budget and _BUDGET.match(simplified(each)))]
        both["constraints"] = _joined([*kept, *new])[-_MAX_KNOWN:]
    return both


def suggest(text: str, *, at_ms: int, timezone: str | None) -> dict[str, str]:
    """Field name → value for what `text` says, seen at `at_ms` in the person's `timezone` (else Beijing's)."""
    text = text[:_READ_CHARACTERS]
    clauses = _clauses(text)
    today = day_of(at_ms, timezone)
    due = find_date(text, today) if today is not None else None
    time = _time_available(clauses, at_ms, timezone)
    others = [each for each in clauses if time is None or time not in each]
    limits = _joined([each for each in others if _CONSTRAINT.match(simplified(each))])
    found = {
        "goal": _goal(clauses, (_STATED_GOAL, _ASKED_GOAL, _ASKED_GOAL_EN)),
        "dueDate": due.isoformat() if due is not None else None,
        "timeAvailable": time[:_MAX_TIME] if time is not None else None,
        "constraints": limits[:_MAX_CONSTRAINTS],
    }
    return {name: value for name, value in found.items() if value}


def _time_available(clauses: Sequence[str], at_ms: int, timezone: str | None) -> str | None:
    """ "每天一小时", "only on weekends": how much time there is for it."""
    now = now_in(at_ms, timezone)
    found = (time_words(clause, now) for clause in clauses) if now is not None else ()
    return next((words for words in found if words is not None), None)


def _bare_day(clauses: Sequence[str], at_ms: int, timezone: str | None) -> dict[str, str]:
    """A clause that is a day and nothing else: "周五", "15号"."""
    today = day_of(at_ms, timezone)
    days = (read_date(clause, today) for clause in clauses) if today is not None else ()
    return next(({"dueDate": day.isoformat()} for day in days if day is not None), {})


def _joined(clauses: Sequence[str]) -> str:
    return ("; " if all(each.isascii() for each in clauses) else "；").join(clauses)


def _clauses(text: str) -> list[str]:
    return [clause.strip() for clause in _CLAUSE_END.split(text[:_READ_CHARACTERS]) if clause.strip()]


def _goal(clauses: Sequence[str], forms: Sequence[re.Pattern[str]]) -> str | None:
    for form in forms:
        for clause in clauses:
            match = form.match(simplified(clause))  # as long as the clause: what is kept is what was written
            found = next((name for name, each in match.groupdict().items() if each), None) if match else None
            goal = clause[match.start(found) : match.end(found)].strip(" .") if match and found else ""
            goal = _A_PLAN_OF.sub("", _PLEASE.sub("", goal.rstrip("吧呗")))
            if len(goal) > 1 and _EMPTY_GOAL.fullmatch(simplified(goal)) is None:
                return goal[:_MAX_GOAL].strip()
    return None
