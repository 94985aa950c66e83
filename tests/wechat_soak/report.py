"""A run as Markdown."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

from tests.wechat_soak.run import Outcome

_MEANS = {
    "inputs_missing": "messages that never reached the gateway, though the person wasn't asked to send again",
    "inputs_twice": "messages that reached the gateway twice",
    "replies_missing": "replies on the timeline that the adapter never took up",
    "shown_twice": "replies shown twice",
    "sent_but_not_shown": "replies reported as sent that no phone shows",
    "kept_but_shown": "replies reported as parked or refused that a phone shows",
    "out_of_order": "replies shown before one that came before them",
    "not_reported": "replies without a `delivery_event` on their timeline",
    "still_under_way": "replies still under way at the end",
    "notices": "times that a phone showed the account as out of service",
    "after_the_window": "customer-service messages tried after their window",
}


def report(outcome: Outcome) -> str:
    plan, findings = outcome.plan, outcome.findings
    answers = sorted(outcome.answers) or [0.0]
    late = min(plan.late_people, plan.people)
    lines = [
        "# WeChat soak",
        "",
        f"{'Passed' if outcome.clean else 'FAILED'}: "
        f"{plan.people:,} people, {outcome.done['messages']:,} messages, "
        f"{outcome.done['pushes']:,} pushes in {outcome.seconds:.0f} s, {plan.at_once} people at once, seed "
        f"{plan.seed}, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}. Gateway, worker, "
        "provider-plan and two adapters as processes on one machine with the simulated platform (safe mode), a "
        f"provider that takes up to 7 s, Postgres and Redis. Repeat with `python -m tests.wechat_soak --people "
        f"{plan.people} --messages {plan.messages} --seed {plan.seed}`.",
        "",
        "| what must be 0 | |",
        "|---|---|",
        *(f"| {_MEANS[name]} | {count} |" for name, count in findings.counts().items()),
        f"| of {late} answers that came two days late, those not parked | {late - outcome.late_parked} |",
        "",
        f"Replies: {', '.join(f'{count:,} {state}' for state, count in findings.states.most_common())}. "
        f"People asked to send again: {findings.busy}. Shown by a repeated push after what came later, since the "
        f"first answer got lost: {findings.moved_by_loss}. Pushes answered at the first try: p50 "
        f"{answers[len(answers) // 2]:.2f} s, p99 {answers[int(len(answers) * 0.99)]:.2f} s (slow answers are "
        f"waited for up to 4.5 s). At rest {outcome.rested_after_seconds:.0f} s after the last message.",
        "",
        "| what happened | times |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in sorted(outcome.done.items())),
    ]
    if outcome.complaints:
        lines += ["", "Error lines in the adapters' logs:", ""]
        lines += [f"- {count} × {what}" for what, count in outcome.complaints.most_common()]
    if findings.examples:
        lines += ["", "First findings:", "", *(f"- {example}" for example in findings.examples)]
    return "\n".join(lines) + "\n"
