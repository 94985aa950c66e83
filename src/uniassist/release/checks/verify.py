"""The post-release verification: what the runbook asks of a system that was just rolled out, from the outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from uniassist import VERSION
from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck
from uniassist.contracts.timeline import TimelineEvent
from uniassist.release.checks.consumption import Consumption
from uniassist.release.checks.database_identity import database_of
from uniassist.release.checks.health_words import checks_of, in_words
from uniassist.release.checks.outages import LOOK_SECONDS, Suspects
from uniassist.release.checks.service_client import ServiceClient, json_body, new_session, user_input
from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.checks.worker_groups import expect_one_group
from uniassist.release.clock import now
from uniassist.release.env.services import known
from uniassist.release.exit_codes import ExitCode
from uniassist.release.report.checklist import CheckFailed, Skipped, equal, expect, until
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.report.steps import Advice, Steps, wrapped
from uniassist.release.revision.git import Names
from uniassist.web.auth.app_tokens import user_in
from uniassist.web.calling.client import Answer, CallFailed, JsonClient
from uniassist.web.calling.sse import follow

SECTION = "Post-release verification"
SAFE = "roll back, while it is minutes old: docs/runbook.md, Rollback"
PROVIDER = "plan"
STEPS_BESIDE_HEALTH = 6
_OF_THE_GATEWAY = (("ingest", 2), ("timeline", 3), ("event stream", 3), ("worker consumes", 1))
HEALTH_SECONDS = 5.0
STREAM_SECONDS = 5.0
# A watch gives a probe 2 s: what is slower than this is on its way to be a trigger.
SLOW_SECONDS = 1.0
# What the later steps keep of the time left, at least, when the timeline never fills.
_TIMELINE_SHARE = 0.6


@dataclass
class Verification:
    """Ten steps where there are four services. After a failure the others run, but for those that build on it."""

    subject: VerifySubject
    steps: Steps
    client: JsonClient
    revisions: dict[str, str] = field(default_factory=dict)
    _events: list[TimelineEvent] = field(default_factory=list)
    _ack: IngestAck | None = None

    async def run(self) -> None:
        self._ends = time.monotonic() + self.subject.timeout_seconds
        self._gateway = ServiceClient(self.client, self.subject.urls["gateway"])
        self._session = new_session()
        self.suspects = Suspects(self.subject.database_url, self.subject.redis_url)
        self._consumption = Consumption(self._gateway, self.subject.database_url)
        asked = {name: asyncio.ensure_future(self._ask(url)) for name, url in self.subject.urls.items()}
        try:
            await self._steps(asked)
        finally:
            for task in asked.values():
                task.cancel()
            await asyncio.gather(*asked.values(), return_exceptions=True)

    async def _steps(self, asked: Mapping[str, Awaitable[tuple[Answer, float]]]) -> None:
        for name in self.subject.services:
            await self._step(f"{name} health", self._health(name, asked), 1, f"curl -sS {self._url(name)}/health")
        await self._step("revisions", self.same_revision, 1, f"curl -sS {self._url('gateway')}/health")
        doubted = [step.name for step in self.steps.failed]
        if "gateway health" in doubted and "gateway" not in self.revisions:
            for name, number in (*_OF_THE_GATEWAY, ("context path", 4)):
                self.steps.not_run(name, "the gateway doesn't answer", runbook=f"{SECTION} {number}")
            return
        log = "look into the gateway's log for this session"
        if await self._step("ingest", self.ingest, 2, f"uniassist send hello --url {self._gateway.url}"):
            look = f"uniassist timeline {self._session} --url {self._gateway.url}"
            await self._step("timeline", self.timeline, 3, look, share=_TIMELINE_SHARE)
            await self._step("event stream", self.event_stream, 3, f"{look} --follow", share=_TIMELINE_SHARE)
            await self._step("worker consumes", self.worker_consumes, 1, "uniassist outbox stats")
        else:
            for name, number in (("timeline", 3), ("event stream", 3), ("worker consumes", 1)):
                self.steps.not_run(name, f"nothing was accepted; {log}", runbook=f"{SECTION} {number}")
        path = f"{self._gateway.url}/v0/context/users/profile:user-check"
        await self._step("context path", self.context, 4, f"curl -sSi {path}")

    async def _step(
        self, name: str, check: Callable[[], Awaitable[str]], number: int, following: str, share: float = 1.0
    ) -> bool:
        left = (self._ends - time.monotonic()) * share
        self._step_ends = time.monotonic() + left

        async def begun() -> str:
            expect(left > 0, f"not begun within {self.subject.timeout_seconds:g} s (STAGING_VERIFY_TIMEOUT_MS)")
            return await check()

        async def in_time() -> str:
            return await self.suspects.named(begun, max(0.05, left))

        return await self.steps.run(
            name,
            in_time,
            runbook=f"{SECTION} {number}",
            deadline_seconds=max(0.05, left) + 2 * LOOK_SECONDS,
            advice=self.suspects.advice(Advice(following, SAFE)),
        )

    def _left(self) -> float:
        """Of the step's time, with some kept to say what is missing."""
        return max(0.0, self._step_ends - time.monotonic() - 0.5)

    def _url(self, name: str) -> str:
        return self.subject.urls.get(name, f"${known(name).url_variable}")

    async def _ask(self, url: str) -> tuple[Answer, float]:
        """The answer, and how many seconds it took."""
        began = time.monotonic()
        answer = await self.client.request("GET", f"{url}/health", timeout_seconds=HEALTH_SECONDS)
        return answer, time.monotonic() - began

    def _health(
        self, name: str, asked: Mapping[str, Awaitable[tuple[Answer, float]]]
    ) -> Callable[[], Awaitable[str]]:
        async def check() -> str:
            if name not in asked:
                judged = "; the worker is judged by what it consumes" if name == "worker" else ""
                raise Skipped(f"no {known(name).url_variable}{judged}")
            try:
                answer, seconds = await asked[name]
            except CallFailed as error:
                raise CheckFailed(f"{name} doesn't answer: {error}") from None
            body = json_body(answer)
            expect(isinstance(body, dict) and "ok" in body, f"{self._url(name)}/health is no health of ours")
            equal(f"the service at {self._url(name)}", body.get("service"), name)
            revision = str(body.get("revision"))
            self.revisions[name] = revision
            checks = checks_of(body)
            self.suspects.hear(checks)
            failing = in_words(checks)
            expect(body["ok"] and answer.status == 200, f"{name} is not healthy ({answer.status}): {failing}")
            expect(not body.get("degraded"), f"{name} is degraded, not green: {failing}")
            slow = f"; SLOW: /health took {seconds:.1f} s, and a watch waits 2 s" if seconds > SLOW_SECONDS else ""
            return f"revision {revision}{slow}"

        return check

    async def same_revision(self) -> str:
        """Each service as expected; without an expectation, all the same."""
        expect(self.revisions, "no service answered")
        if self.subject.expected:
            wanted = max(self.subject.expected, key=len)
            wrong = [f"{name} is {seen}" for name, seen in self.revisions.items() if not self._is_expected(seen)]
            expect(not wrong, f"{', '.join(wrong)}; expected {wanted}: the old one still runs there?")
            return f"all {len(self.revisions)} are {wanted}"
        seen = set(self.revisions.values())
        each = ", ".join(f"{name} {revision}" for name, revision in self.revisions.items())
        expect(len(seen) == 1, f"the services are of different revisions: {each}")
        return f"all {len(self.revisions)} are {seen.pop()}; none was asked for (--rev)"

    def _is_expected(self, seen: str) -> bool:
        shortened = len(seen) >= 7 and any(name.startswith(seen) for name in self.subject.expected)
        return seen in self.subject.expected or shortened

    def _app_headers(self) -> dict[str, str]:
        token = self.subject.app_token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _named(self) -> dict[str, str]:
        """By which name the token lets it write."""
        token = self.subject.app_token
        user_id = user_in(token, self.subject.app_user_claim) if token is not None else None
        return {"userId": user_id} if user_id is not None else {}

    async def ingest(self) -> str:
        await self._consumption.begin()
        body = user_input(self._session, "帮我安排一个计划", traceId=f"verify-{self._session}", **self._named())
        answer = await self._gateway.post("/v0/ingest", body, self._app_headers())
        if answer.status in (401, 403):
            given = "is set, but was refused" if self.subject.app_token else "is not set"
            raise CheckFailed(f"the gateway wants an app token ({answer.status}); STAGING_APP_TOKEN {given}")
        expect(answer.status == 200, f"POST /v0/ingest answered {answer.status}: {_excerpt(answer)}")
        self._ack = codec.decode(answer.body, IngestAck)
        equal("sessionId of the ack", self._ack.session_id, self._session)
        return f"session {self._session}, runs: {', '.join(run.provider_id for run in self._ack.runs)}"

    async def timeline(self) -> str:
        """Routing, a normal run of the provider, and an interaction that the provider itself gave."""
        assert self._ack is not None, "the ingest was accepted"
        chosen = [run.provider_id for run in self._ack.runs]
        expect(PROVIDER in chosen, f"routing chose {', '.join(chosen) or 'nobody'} and not {PROVIDER}")
        missing, seconds = ["event"], self._left()

        async def is_complete() -> bool:
            nonlocal missing
            self._events = await self._gateway.timeline(self._session, headers=self._app_headers())
            missing = missing_of(self._events)
            return not missing

        try:
            await until("complete", is_complete, seconds)
        except CheckFailed:
            missing_of(self._events)  # its own reason first
            raise CheckFailed(f"within {seconds:.0f} s there was no {', no '.join(missing)}") from None
        return f"{len(self._events)} events: routing, a normal run of {PROVIDER}, its own answer"

    async def event_stream(self) -> str:
        """As an app reads it: followed from the beginning, broken off, resumed by the cursor that it had then."""
        wanted = [event.seq for event in self._events]
        expect(len(wanted) > 1, "there are no events to follow")
        half = len(wanted) // 2
        before = await self._followed(0, half)
        after = await self._followed(before[-1], len(wanted) - half)
        equal("seq on the event stream, resumed once", [*before, *after], wanted)
        return f"{half} events, then {len(wanted) - half} more from cursor {before[-1]} on"

    async def _followed(self, cursor: int, count: int) -> list[int]:
        """The numbers of the next events. A proxy that keeps them back is a failure, as it is for users."""
        seen: list[int] = []
        try:
            async with asyncio.timeout(min(STREAM_SECONDS, max(0.1, self._left()))):
                stream = follow(
                    self._gateway.url, self._session, cursor=cursor, reconnect=False, headers=self._app_headers()
                )
                async for event in stream:
                    seen.append(event.seq)
                    if len(seen) == count:
                        break
        except TimeoutError:
            raise CheckFailed(
                f"the event stream from cursor {cursor} gave {len(seen)} of {count} events: does a proxy between "
                "keep answers back, or end them?"
            ) from None
        return seen

    async def worker_consumes(self) -> str:
        """What was ingested is consumed, and by one group."""
        subject = self.subject
        said = await self._consumption.expect_consumed([event.event_id for event in self._events], self._left())
        if subject.database_url is None or subject.redis_url is None:
            return said
        groups = await expect_one_group(subject.database_url, subject.redis_url, subject.global_key, subject.group)
        return f"{said}; {groups}"

    async def context(self) -> str:
        path = "/v0/context/users/profile:user-check"
        bare = await self._gateway.get(path)
        expect(bare.status == 401, f"without a token it answered {bare.status}, expected 401")
        token = self.subject.context_token
        if token is None:
            raise Skipped("no STAGING_CONTEXT_TOKEN; only that it is refused without one (401)")
        bearer = {"Authorization": f"Bearer {token}"}
        answer = await self._gateway.get(path, bearer | {"x-provider-scopes": "context:read"})
        expect(answer.status != 401, "STAGING_CONTEXT_TOKEN was refused (401): not a token of this system")
        expect(answer.status != 403, "STAGING_CONTEXT_TOKEN has no scope context:read (403)")
        expect(answer.status == 200, f"with the token it answered {answer.status}: {_excerpt(answer)}")
        scopeless = await self._gateway.get(path, bearer)
        expect(scopeless.status == 403, f"without the scope it answered {scopeless.status}, expected 403")
        return "200 with the token, 401 without, 403 without the scope"


def steps_of(subject: VerifySubject) -> int:
    return len(subject.services) + STEPS_BESIDE_HEALTH


async def verify(
    subject: VerifySubject, names: Names, environment: str, reporter: ReleaseReporter
) -> dict[str, Any]:
    """The steps, told as they go. The document is the run's evidence, with its exit code: 0 or 13."""
    steps, started_at = Steps(steps_of(subject), reporter.say, reporter.began), now()
    async with JsonClient() as client:
        verification = Verification(subject, steps, client)
        await verification.run()
    database = await database_of(subject.database_url)
    wrong = ", ".join(step.name for step in steps.failed)
    reporter.say("verified" if steps.ok else f"NOT verified: {wrong}")
    outages = [outage.line() for outage in verification.suspects.found]
    for line in outages:
        for part in wrapped(line):
            reporter.say(part)
    return {
        "command": "release verify",
        "environment": environment,
        "result": "verified" if steps.ok else "failed",
        "exitCode": int(ExitCode.DONE if steps.ok else ExitCode.VERIFY),
        "startedAt": started_at,
        "endedAt": now(),
        "expectedRevision": names.tag,
        "revisions": verification.revisions,
        "database": database,
        "outages": outages,
        "held": verification.suspects.holds,
        "steps": steps.document(),
        "toolVersion": VERSION,
    }


def rehearse(subject: VerifySubject, reporter: ReleaseReporter) -> None:
    """What would be asked."""
    for name, url in subject.urls.items():
        reporter.say(f"would ask {url}/health of {name}")
    reporter.say(f"would send one message to {subject.urls['gateway']}, follow it along the timeline")
    reporter.say("  and through the worker, and try the context path")


def missing_of(events: list[TimelineEvent]) -> list[str]:
    """What the timeline still lacks. CheckFailed once it can't come any more: the provider failed."""
    runs = [event.payload for event in events if event.kind == "provider_run" and event.provider_id == PROVIDER]
    answers = [event.payload for event in events if event.kind == "interaction" and event.provider_id == PROVIDER]
    if any(run.get("status") == "failed" for run in runs) or any(a.get("source") == "fallback" for a in answers):
        raise CheckFailed(
            f"the gateway couldn't use {PROVIDER} and answered by itself (a fallback): provider-plan may be green, "
            "but the gateway's UNIASSIST_PLAN_PROVIDER_BASE_URL leads elsewhere, or it fails when invoked"
        )
    if runs and all(run.get("routing_mode") != "normal" for run in runs):
        raise CheckFailed(f"the run of {PROVIDER} is a fallback's (routing_mode), expected normal")
    found = {
        "routing_decision": any(event.kind == "routing_decision" for event in events),
        f"provider_run of {PROVIDER} with routing_mode normal": bool(runs),
        f"interaction whose source is {PROVIDER} itself": any(a.get("source") == "provider" for a in answers),
    }
    return [what for what, is_there in found.items() if not is_there]


def _excerpt(answer: Answer) -> str:
    return answer.body[:200].decode("utf-8", "replace")
