"""A text and a person's reminders in; what is said, and what changes, out. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from uniassist.contracts.language import Language
from uniassist.provider_reminder import showing
from uniassist.provider_reminder.asked import (
    Asked,
    Cancel,
    Change,
    Done,
    List,
    Make,
    Snooze,
    Which,
    asked_in,
    which_in,
)
from uniassist.provider_reminder.changing import Changed, changed, named_part, snoozed
from uniassist.provider_reminder.matter import asking, matter_of
from uniassist.provider_reminder.phrases import say
from uniassist.provider_reminder.talk import MOST_LISTED, MOST_MISSES, Talk
from uniassist.provider_reminder.targets import meant
from uniassist.provider_reminder.when import (
    Again,
    Draft,
    Lacking,
    Once,
    Past,
    When,
    completed,
    found_in,
    said_plainly,
)
from uniassist.store.reminders import MOST_OF_A_PERSON, Reminder
from uniassist.times import Moment, Period, read, rest


@dataclass(frozen=True)
class Decision:
    """`talk`: what is expected to be gone on with; None: nothing is. `passes`: the text isn't for us."""

    said: str
    talk: Talk | None = None
    changes: Sequence[Reminder] = ()
    passes: bool = False


@dataclass(frozen=True)
class Person:
    """`now`: with their zone. `waiting`: soonest first. `lately`: what was said within a day, latest first."""

    now: dt.datetime
    language: Language
    waiting: Sequence[Reminder]
    lately: Sequence[Reminder]


def decide(text: str, run_id: str, person: Person, talk: Talk, *, is_reply: bool) -> Decision:
    """`talk`: what the reply goes on with; nothing where the text is none."""
    asked = asked_in(text, is_reply=is_reply)
    if is_reply and talk.asks and asking(text) is None:
        answer = _answered(text, run_id, person, talk, asked)
        if answer is not None:
            return answer
    match asked:
        case Make():
            return _make(text, run_id, person, talk)
        case List():
            return _list(person)
        case Cancel(which):
            return _cancel(text, which, person, talk)
        case Change(which, sign):
            return _change(text, which, sign, person, talk)
        case Snooze(which):
            return _snooze(text, which, person, talk)
        case Done():
            return Decision(say("done", person.language))
    return _not_read(person, talk)


def _not_read(person: Person, talk: Talk) -> Decision:
    misses = talk.misses + 1
    goes_on = replace(talk, misses=misses) if misses < MOST_MISSES else None
    return Decision(say("not_read", person.language), goes_on, passes=True)


def _answered(text: str, run_id: str, person: Person, talk: Talk, asked: Asked | None) -> Decision | None:
    """The answer to what was asked back; None where it is none."""
    if talk.asks == "which":
        pending = asked_in(talk.verb, is_reply=True)
        if not isinstance(pending, Cancel | Change | Snooze) or asked is not None:
            return None  # nothing was pending, or they ask for something of their own
        which = which_in(text)
        if not (which.numbers or which.is_all or meant(which, person.waiting, (), person.now, new_time=False)):
            return None
        match pending:
            case Cancel():
                return _cancel(text, which, person, talk)
            case Change(_, sign):
                return _change(talk.verb, which, sign, person, talk)
            case Snooze():
                return _snooze(talk.verb, which, person, talk)
    if isinstance(asked, List | Cancel):
        return None
    when = completed(talk.draft, text, person.now)
    if when is None:
        return None
    if talk.verb == "change":
        found = next((each for each in person.waiting if each.reminder_id in talk.ids[:1]), None)
        return _told_change(found, changed(found, when, person.now), person, talk) if found is not None else None
    return _made([when], talk.matter, run_id, person)


def _make(text: str, run_id: str, person: Person, talk: Talk) -> Decision:
    plain = said_plainly(text)
    words = asking(plain)
    base = _base(person, talk)
    found = found_in(plain, person.now, near=words.start() if words is not None else None, base=base)
    used = sorted(found.used, key=lambda each: each.begin) if found is not None else []
    matter = matter_of(rest(plain, used))
    if found is None:
        if words is None and not matter:
            return Decision(say("not_read", person.language), Talk())
        return _ask("ask_when", person, Talk(asks="time", matter=matter), matter=matter)
    made = _made([found.when, *found.also], matter, run_id, person)
    guessed = next((each.what for each in used if isinstance(each.what, Moment) and each.what.is_guessed), None)
    if made.changes and guessed is not None and _may_be_other_half(plain, guessed, person):
        note = say("assumed_half", person.language, when=showing.moment(guessed.at, person.now, person.language))
        return replace(made, said=f"{made.said}{'' if person.language == 'zh' else ' '}{note}")
    return made


def _may_be_other_half(text: str, guessed: Moment, person: Person) -> bool:
    """Whether it was moved to the afternoon: "九点" at ten is nine in the evening."""
    halves = [each for each in read(text, person.now) if isinstance(each.what, Period)]
    return guessed.at.hour >= 12 and not halves


def _base(person: Person, talk: Talk) -> dt.datetime | None:
    """When what was talked of last is due."""
    found = next((each for each in person.waiting if each.reminder_id in talk.ids[:1]), None)
    return found.due_at if found is not None and len(talk.ids) == 1 else None


def _made(whens: Sequence[When], matter: str, run_id: str, person: Person) -> Decision:
    first = whens[0]
    match first:
        case Lacking("too_often", _):
            return Decision(say("too_often", person.language), Talk(asks="time", matter=matter))
        case Lacking(what, draft):
            return _lacking(what, draft, matter, person)
        case Past(at, draft):
            said = showing.moment(at, person.now, person.language)
            return _ask("past", person, Talk(asks="time", matter=matter, draft=draft), matter=matter, when=said)
    if len(person.waiting) + len(whens) > MOST_OF_A_PERSON:
        return Decision(say("too_many", person.language, count=len(person.waiting)), Talk())
    made = [_reminder(each, matter, run_id, at, person) for at, each in enumerate(whens)]
    between = "、" if person.language == "zh" else " and "
    said = say(
        "made",
        person.language,
        when=between.join(_when(each, person) for each in made),
        matter=showing.of_matter(matter, person.language),
    )
    note = say("made_note", person.language)
    ids = [each.reminder_id for each in made]
    return Decision(f"{said}{'' if person.language == 'zh' else ' '}{note}", Talk(ids=ids), made)


def _when(reminder: Reminder, person: Person) -> str:
    """With the next time of what recurs, which shows whether it is the one that was meant."""
    said = showing.when(reminder, person.now, person.language)
    if reminder.rule is None or reminder.due_at is None:
        return said
    first = showing.moment(reminder.due_at, person.now, person.language)
    return f"{said}（下一次：{first}）" if person.language == "zh" else f"{said} (next: {first})"


def _reminder(when: When, matter: str, run_id: str, at: int, person: Person) -> Reminder:
    """Named by its run, so that a run that is asked again makes no other."""
    digest = hashlib.sha256(f"{run_id}\0{at}".encode()).hexdigest()[:24]
    again = when if isinstance(when, Again) else None
    assert isinstance(when, Once | Again)
    return Reminder(
        reminder_id=f"rem-{digest}",
        matter=matter,
        language=person.language,
        due_at=when.at,
        rule=again.rule if again is not None else None,
        anchor=again.anchor if again is not None else None,
    )


def _lacking(what: str, draft: Draft, matter: str, person: Person, talk: Talk | None = None) -> Decision:
    talk = replace(talk or Talk(), asks=what, matter=matter, draft=draft)
    ahead = showing.length(draft.ahead, person.language) if draft.ahead is not None else ""
    if what == "date":
        key = "ask_date" if draft.ahead is not None else "ask_when"
        return _ask(key, person, talk, matter=matter, ahead=ahead)
    if draft.rule is not None:
        day = showing.rule(draft.rule, None, person.language)
    elif draft.day is not None:
        day = showing.day(draft.day, person.now.date(), person.language)
    else:
        return _ask("ask_when", person, talk, matter=matter)
    key = "ask_time_event" if draft.ahead is not None else "ask_time"
    return _ask(key, person, talk, matter=matter, day=day, ahead=ahead)


def _ask(key: str, person: Person, talk: Talk, *, matter: str, **words: str) -> Decision:
    matter = showing.of_matter(matter, person.language)
    return Decision(say(key, person.language, matter=matter, **words), talk)


def _list(person: Person) -> Decision:
    if not person.waiting:
        return Decision(say("none", person.language), Talk())
    shown = person.waiting[:MOST_LISTED]
    said = say(
        "list",
        person.language,
        count=len(person.waiting),
        lines=showing.lines(shown, person.now, person.language),
    )
    if len(person.waiting) > len(shown):
        said += "\n" + say("list_more", person.language, count=len(person.waiting) - len(shown))
    note = say("list_note", person.language)
    return Decision(f"{said}\n{note}", Talk(ids=[each.reminder_id for each in shown]))


def _cancel(text: str, which: Which, person: Person, talk: Talk) -> Decision:
    found = meant(which, person.waiting, talk.ids, person.now, new_time=False)
    if not found or (len(found) > 1 and not which.is_all and len(which.numbers) < 2):
        return _which_one(text, found, person)
    names = [_name(each, person) for each in found]
    between = "、" if person.language == "zh" else "; "
    gone = {each.reminder_id for each in found}
    left = [each for each in talk.ids if each not in gone or len(talk.ids) > 1]
    return Decision(
        say("cancelled", person.language, matters=between.join(names)),
        Talk(ids=left),
        [replace(each, due_at=None) for each in found],
    )


def _name(reminder: Reminder, person: Person) -> str:
    said = showing.when(reminder, person.now, person.language)
    return f"{said}{showing.of_matter(reminder.matter, person.language)}"


def _which_one(text: str, found: Sequence[Reminder], person: Person) -> Decision:
    if not person.waiting:
        return Decision(say("none", person.language), Talk())
    shown = (found or person.waiting)[:MOST_LISTED]
    key = "which" if found else "unknown"
    said = say(key, person.language, lines=showing.lines(shown, person.now, person.language))
    return Decision(said, Talk(ids=[each.reminder_id for each in shown], asks="which", verb=text))


def _change(text: str, which: Which, sign: int, person: Person, talk: Talk) -> Decision:
    named = replace(which, words=named_part(which.words))
    found = meant(named, person.waiting, talk.ids, person.now, new_time=True)
    if len(found) != 1:
        return _which_one(text, found, person)
    target = found[0]
    return _told_change(target, changed(target, text, person.now, sign=sign), person, talk)


def _told_change(target: Reminder, new: Changed, person: Person, talk: Talk) -> Decision:
    language = person.language
    ids = list(talk.ids) if target.reminder_id in talk.ids else [target.reminder_id]
    again = Talk(ids=[target.reminder_id], asks="time", verb="change", matter=target.matter)
    match new.lacks:
        case Lacking(what, draft) if what == "time" and (draft.day or draft.rule):
            return _lacking(what, draft, target.matter, person, again)
        case Past(at):
            said = showing.moment(at, person.now, language)
            return _ask("past", person, again, matter=target.matter, when=said)
        case Lacking():
            return Decision(say("change_to_what", language), again)
    reminder = new.reminder
    assert reminder is not None
    matter = showing.of_matter(reminder.matter, language)
    if new.is_once and reminder.rule is not None and reminder.due_at is not None:
        usual = showing.when(reminder, person.now, language)
        this = showing.moment(reminder.due_at, person.now, language)
        said = say("changed_once", language, when=this, matter=matter, rule=usual)
    else:
        said = say("changed", language, when=_when(reminder, person), matter=matter)
    return Decision(said, Talk(ids=ids), [reminder])


def _snooze(text: str, which: Which, person: Person, talk: Talk) -> Decision:
    """What was said last, or the one that is named among what was said lately."""
    if not person.lately:
        return Decision(say("nothing_to_snooze", person.language), Talk())
    named = meant(replace(which, numbers=()), person.lately, (), person.now, new_time=True)
    target = named[0] if named else person.lately[0]
    new = snoozed(target, text, person.now)
    if isinstance(new, Past):
        said = showing.moment(new.at, person.now, person.language)
        return _ask("past", person, Talk(asks="time", matter=target.matter), matter=target.matter, when=said)
    assert new.due_at is not None
    said = say(
        "snoozed",
        person.language,
        when=showing.moment(new.due_at, person.now, person.language),
        matter=showing.of_matter(new.matter, person.language),
    )
    return Decision(said, Talk(ids=[new.reminder_id]), [new])
