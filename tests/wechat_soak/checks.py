"""What must be true at the end, looked up on the phones, in the database, and among the platform's calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.wechat_soak.system import System
from uniassist.adapter_wechat import phrases
from uniassist.wechat_simulator.account import Shown
from uniassist.wechat_simulator.api import SEND

_EXAMPLES = 10
_TOLD = ("busy", "moved_by_loss")
_INBOUND = """
SELECT substr(user_id, 4) AS openid, payload #>> '{input,text}' AS text, count(*) AS times
FROM timeline_events WHERE kind = 'inbound' AND session_id LIKE 'wx-session:%' GROUP BY 1, 2
"""
_REPLIES = """
SELECT substr(e.user_id, 4) AS openid, e.event_id, r.position, r.state,
       coalesce(e.payload #>> '{event,text}', e.payload #>> '{event,message}') AS text,
       EXISTS (SELECT FROM timeline_events d WHERE d.session_id = e.session_id AND d.kind = 'delivery_event'
               AND d.payload #> '{event,eventIds}' ? e.event_id) AS reported
FROM timeline_events e LEFT JOIN wechat_replies r USING (event_id)
WHERE e.kind = 'interaction' AND e.session_id LIKE 'wx-session:%' ORDER BY 1, r.position
"""


@dataclass
class Findings:
    """Each must be 0; `states`, `busy` and `moved_by_loss` are only told. `examples` are the first few.

    `moved_by_loss`: replies whose answer got lost on its way, and was shown by a later push of the same message,
    after what came later. Nobody but the network can put them in order again.
    """

    inputs_missing: int = 0
    inputs_twice: int = 0
    replies_missing: int = 0
    shown_twice: int = 0
    sent_but_not_shown: int = 0
    kept_but_shown: int = 0
    out_of_order: int = 0
    not_reported: int = 0
    still_under_way: int = 0
    notices: int = 0
    after_the_window: int = 0
    states: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    moved_by_loss: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(self.counts().values())

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int) and name not in _TOLD}

    def found(self, what: str, example: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{what}: {example}")


async def judge(system: System, written: dict[str, list[str]], repeated: dict[str, list[str]]) -> Findings:
    """`written`: the texts of each openid; `repeated`: what they were shown by a push that was not the first."""
    findings = Findings()
    await _judge_inputs(system, written, findings)
    await _judge_replies(system, repeated, findings)
    for openid in written:
        for shown in system.wechat.screen(openid):
            if shown.via == "notice":
                findings.found("notices", openid)
    for call in system.wechat.calls(SEND):
        if call.code == 45015:
            findings.found("after_the_window", str(call.body["touser"]))
    return findings


async def _judge_inputs(system: System, written: dict[str, list[str]], findings: Findings) -> None:
    taken = {(row["openid"], row["text"]): row["times"] for row in await system.pool.fetch(_INBOUND)}
    for (openid, text), times in taken.items():
        if times > 1:
            findings.found("inputs_twice", f"{openid} {text}")
    for openid, texts in written.items():
        refused = system.wechat.texts(openid).count(phrases.say("busy", "zh"))
        findings.busy += refused
        missing = [text for text in texts if (openid, text) not in taken]
        for text in missing[refused:]:
            findings.found("inputs_missing", f"{openid} {text}")


async def _judge_replies(system: System, repeated: dict[str, list[str]], findings: Findings) -> None:
    rows = await system.pool.fetch(_REPLIES, timeout=120)
    by_person: dict[str, list[tuple[str, str | None, str, bool]]] = {}
    for row in rows:
        findings.states[row["state"] or "no row"] += 1
        text, state = row["text"] or "", row["state"]
        by_person.setdefault(row["openid"], []).append((text, state, row["event_id"], row["reported"]))
    for openid, replies in by_person.items():
        screen = system.wechat.screen(openid)
        _judge_person(openid, replies, screen, findings)
        _judge_order(openid, replies, screen, "\n".join(repeated.get(openid, ())), findings)


def _judge_person(
    openid: str,
    replies: Sequence[tuple[str, str | None, str, bool]],
    screen: Sequence[Shown],
    findings: Findings,
) -> None:
    said = "\n".join(shown.text for shown in screen)
    for text, state, event_id, reported in replies:
        name = f"{openid} {text} ({state}, {event_id})"
        if state is None:
            findings.found("replies_missing", name)
            continue
        if state in ("waiting", "sending"):
            findings.found("still_under_way", name)
        if not reported and state not in ("waiting", "sending"):
            findings.found("not_reported", name)
        if "（" not in text:
            continue  # others say the same: only the soak's own provider says nothing twice
        times = said.count(text)
        if times > 1:
            findings.found("shown_twice", name)
        if state == "sent" and times == 0:
            findings.found("sent_but_not_shown", name)
        if state in ("parked", "refused") and times:
            findings.found("kept_but_shown", name)


def _judge_order(
    openid: str,
    replies: Sequence[tuple[str, str | None, str, bool]],
    screen: Sequence[Shown],
    repeated: str,
    findings: Findings,
) -> None:
    """A reply that came late by loss is set aside: others keep their order among themselves."""
    said = "\n".join(shown.text for shown in screen)
    last = last_of_all = -1
    for text, state, event_id, _ in replies:
        if "（" not in text or text not in said:
            continue
        place = said.index(text)
        if text in repeated:
            findings.moved_by_loss += place < last_of_all
        elif place < last:
            findings.found("out_of_order", f"{openid} {text} ({state}, {event_id})")
        else:
            last = place
        last_of_all = max(last_of_all, place)
