"""The kit, put together: every rule in its order, each finding with the rule's words and what was received."""

from __future__ import annotations

from contextlib import AsyncExitStack

from uniassist.errors import UniAssistError
from uniassist.release.checks.conformance.provider.answers import AnswerChecks
from uniassist.release.checks.conformance.provider.around import AroundChecks
from uniassist.release.checks.conformance.provider.asking import AnsweredAsStream, Asking, Subject
from uniassist.release.checks.conformance.provider.late import LateChecks, Listener
from uniassist.release.checks.conformance.provider.refusals import RefusalChecks
from uniassist.release.checks.conformance.provider.rules import JSON_RULE, RULES, Rule
from uniassist.release.checks.conformance.provider.streams import StreamChecks
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.report.checklist import CheckFailed, Checklist, Skipped
from uniassist.web.calling.client import CallFailed, JsonClient

CHECK_SECONDS = 120.0  # beyond the deadlines of all calls of one check; each has its own
_ANSWER_BYTES = 1024 * 1024


async def check_provider(
    checklist: Checklist, subject: Subject, *, prefix: str = "", listener: Listener | None = None
) -> None:
    """Every rule, also after one is broken; what can't be looked at without that one is skipped.

    `prefix`: of the checks' names. `listener`: one that listens already, in the place of `subject.events_port`.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(JsonClient(answer_limit_bytes=_ANSWER_BYTES))
        if listener is None and subject.events_port is not None:
            listener = await stack.enter_async_context(Listener(subject.events_port))
        asking = Asking(client, subject)
        answers = AnswerChecks(asking)
        checks: dict[str, Check] = (
            answers.all()
            | RefusalChecks(asking).all()
            | StreamChecks(asking, answers).all()
            | AroundChecks(asking).all()
            | LateChecks(asking, listener).all()
        )
        assert checks.keys() == {rule.name for rule in RULES}
        broken: set[str] = set()
        for rule in RULES:
            check = _by(rule, checks[rule.name], asking, broken)
            if not await checklist.run(f"{prefix}{rule.name}", check, deadline_seconds=CHECK_SECONDS):
                broken.add(rule.name)


def _by(rule: Rule, check: Check, asking: Asking, broken: set[str]) -> Check:
    async def checked() -> str | None:
        if missing := [need for need in rule.needs if need in broken]:
            broken.add(rule.name)
            raise Skipped(f"can't be told without {', '.join(missing)}")
        asking.received = ""
        try:
            return await check()
        except AnsweredAsStream as failed:  # one rule's finding, where any call may meet it
            if rule.name != JSON_RULE:
                raise Skipped("can't be told of a stream, where JSON was asked for") from None
            raise CheckFailed(str(failed), contract=rule.text, received=asking.received) from None
        except (CheckFailed, CallFailed) as failed:
            raise CheckFailed(str(failed), contract=rule.text, received=asking.received) from None
        except UniAssistError as error:
            raise CheckFailed(error.detail, contract=rule.text, received=asking.received) from None
        except TimeoutError:
            raise CheckFailed("no answer", contract=rule.text, received=asking.received) from None

    return checked
