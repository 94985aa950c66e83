"""One watch from its proof to its end: says, alerts, keeps its state, and acts on a trigger."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Sequence

from uniassist.release.clock import length, utc
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import to_the_end
from uniassist.release.records.trigger import Fired, FirstFailed
from uniassist.release.report.steps import WIDTH, wrapped
from uniassist.release.watch import alarm, outbox_metrics, proof
from uniassist.release.watch.directory import ServiceSeen, WatchDirectory, WatchState
from uniassist.release.watch.order import WatchOrder
from uniassist.release.watch.sources import RunningSystem
from uniassist.release.watch.triggers import rates
from uniassist.release.watch.triggers.how_far import how_far
from uniassist.release.watch.triggers.judge import Judge, states
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.samples import Notice, Trigger
from uniassist.release.watch.watching import WatchEnd, Watching
from uniassist.web.calling.client import JsonClient

BUDGET_SECONDS = 15 * 60.0
_EXCERPT_LINES = 40
_ALERTS_KEPT = 20
_ALERTS_AT_ONCE = 8
_PREFIXES = {"alert": "ALERT: ", "warning": "WARNING: ", "news": ""}
_ENDED = {
    ExitCode.DONE: "quiet: no trigger fired",
    ExitCode.ROLLED_BACK: "rolled back and verified",
    ExitCode.ROLLBACK_INCOMPLETE: "rollback incomplete",
    ExitCode.TRIGGER_HELD: "a trigger fired and is held",
    ExitCode.INCONCLUSIVE: "inconclusive",
}


class WatchSession:
    """One watch. Its owner holds the directory's lock.

    say: gets its lines, unmasked.
    """

    def __init__(self, order: WatchOrder, directory: WatchDirectory, log: str, say: Callable[[str], None]) -> None:
        self._order = order
        self._directory = directory
        self._out = say
        self._lines: deque[str] = deque(maxlen=_EXCERPT_LINES)
        self._state_is_lost = False
        self._alerting: set[asyncio.Task[None]] = set()
        began = time.time()
        self.state = WatchState(
            pid=os.getpid(),
            since=utc(began),
            until=utc(began + order.for_seconds),
            heartbeat=utc(began),
            revision=order.revision,
            on_trigger=order.on_trigger,
            log=log,
        )

    async def run(self) -> ExitCode:
        """The exit code; the state says how it ended, whatever ended it."""
        self._write_state()
        try:
            code = await self._run()
        except asyncio.CancelledError:
            self._end("stopped by a person", ExitCode.INTERRUPTED)
            raise
        except BaseException as error:
            self._end(f"broken: {type(error).__name__}", ExitCode.BUG)
            raise
        self._end(_ENDED[code], code)
        return code

    async def _run(self) -> ExitCode:
        order = self._order
        self._introduce()
        await self._prove()
        async with JsonClient() as client:
            system = RunningSystem(
                client,
                order.cadence,
                order.urls,
                order.checks,
                database_url=order.database_url,
                redis_url=order.redis_url,
            )
            judge = await self._judge()
            watching = Watching(system, judge, order.cadence, say=self._notice, tick=lambda: self._beat(judge))
            ended = await watching.run(order.for_seconds)
            self._beat(judge)
        code = await self._conclude(ended, judge)
        await self._finish_alerts()
        return code

    def _introduce(self) -> None:
        order, long = self._order, length(self._order.for_seconds)
        self._say(f"watching {order.revision}, {order.environment}, for {long}; on a trigger: {order.on_trigger}")
        for service, url in order.urls.items():
            self._say(f"  {service}  {url}/health every {order.cadence.probe_seconds:g} s")
        if "worker" not in order.urls:
            self._say("  worker  no STAGING_WORKER_BASE_URL: judged by what it consumes, in the checks")
        self._say(f"  checks  conformance, smoke, verify by URL, every {order.cadence.round_seconds:g} s")
        if order.checks.smoke is None:
            self._say(f"  smoke  skipped: {order.checks.no_smoke}")
        for name, threshold in order.thresholds.items():
            agreed = f"agreed by {threshold.agreed_by} on {threshold.agreed_on}"
            self._say(f"  {name}  {threshold.per_minute:g} a minute over baseline; {agreed}")

    async def _prove(self) -> None:
        """The alarm fires, the operator's command works, a rollback could be made. Only the first must be."""
        trigger = await proof.prove()
        seconds = trigger.at - trigger.first_failed_at
        self._say(f"proof: a synthetic failure fired the health trigger, after its {seconds:.2f} s and not before")
        if self._order.alert_command is not None:
            wrong = await alarm.alert(self._order.alert_command, self._document("test", trigger.reason))
            self._say(
                f"ALERT: the alert command {wrong}" if wrong else "proof: the alert command took a test alert"
            )
        if self._order.on_trigger == "rollback" and self._order.is_first:
            self._say("a first release: there is nothing to roll back to; on a trigger a person is needed")
        elif self._order.on_trigger == "rollback":
            command = [*self._order.rollback, *alarm.rollback_arguments(trigger.reason, utc(time.time()))]
            if wrong := await alarm.try_rollback(command):
                self._notice(Notice(self._now(), "alert", f"no rollback can be made from here: {wrong}"))

    async def _judge(self) -> Judge:
        order, now = self._order, asyncio.get_running_loop().time()
        known = None
        if order.database_url is not None and order.rolled_out_at is not None:
            known = await outbox_metrics.hour_before(order.database_url, order.rolled_out_at)
        if known is None:
            self._say("baseline: of the watch's first two minutes; the hour before the rollout is not known")
        else:
            self._say(
                f"baseline, of the hour before the rollout: dead_letter {known[0]:g}, retry {known[1]:g} a minute"
            )
        tells_drills_apart = order.database_url is not None
        allowed = (0, 0) if tells_drills_apart else (rates.DRILL_DEAD_LETTERS, rates.DRILL_ATTEMPTS)
        given = known or (None, None)
        return Judge(
            list(order.urls),
            order.cadence,
            now,
            dead_letters=RateTrigger("dead_letter", order.thresholds["dead_letter"], given[0], allowed[0]),
            attempts=RateTrigger("retry", order.thresholds["retry"], given[1], allowed[1]),
            names=order.names,
        )

    async def _conclude(self, ended: WatchEnd, judge: Judge) -> ExitCode:
        if ended.trigger is not None:
            return await self._act(ended.trigger, judge.drifted)
        if ended.unknown or judge.drifted:
            self._say(
                f"the watch is over, INCONCLUSIVE: {'; '.join([*ended.unknown, *filter(None, [judge.drifted])])}"
            )
            return ExitCode.INCONCLUSIVE
        self._say(f"the watch is over: no trigger fired, {judge.rounds.ok} rounds of checks ok")
        return ExitCode.DONE

    async def _act(self, trigger: Trigger, drifted: str | None) -> ExitCode:
        fired = self._fired(trigger)
        self.state.fired = fired
        try:
            self._directory.write_trigger(fired)
        except OSError as error:
            self._say(f"WARNING: the incident note will lack what fired: it can't be written ({error.strerror})")
        self._write_state()
        self._notice(Notice(trigger.at, "alert", f"TRIGGER ({trigger.kind}): {trigger.reason}"))
        for line in trigger.evidence[-5:]:
            self._indented(line)
        command = [*self._order.rollback, *alarm.rollback_arguments(fired.reason, fired.first_failed.at)]
        if drifted is not None or self._order.on_trigger == "hold":
            self._say(f"held: {drifted or '--on-trigger hold'}")
            self._indented("next: uniassist release rollback")
            self._indented("safe: uniassist release status")
            return ExitCode.TRIGGER_HELD
        self._say("rolling back")
        return await to_the_end(self._roll_back, command, trigger)

    async def _roll_back(self, command: Sequence[str], trigger: Trigger) -> ExitCode:
        beating = asyncio.ensure_future(self._beat_alone())
        try:
            code = await alarm.run_rollback(command, self._out)
        finally:
            beating.cancel()
        since_trigger, since_probe = self._now() - trigger.at, self._now() - trigger.first_failed_at
        late = f"; over the {BUDGET_SECONDS / 60:.0f} min" if since_probe > BUDGET_SECONDS else ""
        took = f"{since_trigger:.0f} s after the trigger, {since_probe:.0f} s after the first failure{late}"
        if code in (ExitCode.DONE, ExitCode.ROLLED_BACK):
            self._say(f"rolled back and verified {took}")
            return ExitCode.ROLLED_BACK
        self._notice(Notice(self._now(), "alert", f"the rollback ended with {code}, {took}: a person is needed"))
        return ExitCode.ROLLBACK_INCOMPLETE

    def _fired(self, trigger: Trigger) -> Fired:
        url = self._order.urls.get(trigger.subject)
        asked = (
            f"{url}/health" if url else {"checks": "conformance, smoke, verify by URL"}.get(trigger.kind, "outbox")
        )
        found = trigger.evidence[0] if trigger.evidence else trigger.reason
        first = FirstFailed(self._utc(trigger.first_failed_at), trigger.subject, asked, found)
        return Fired(
            trigger.kind,
            trigger.subject,
            trigger.reason,
            self._utc(trigger.at),
            first,
            trigger.evidence,
            tuple(self._lines),
        )

    def _notice(self, notice: Notice) -> None:
        self._say(f"{_PREFIXES[notice.level]}{notice.text}", at=notice.at)
        if notice.level != "alert":
            return
        self.state.alerts = [*self.state.alerts, f"{self._utc(notice.at)} {notice.text}"][-_ALERTS_KEPT:]
        if self._order.alert_command is not None and len(self._alerting) < _ALERTS_AT_ONCE:
            task = asyncio.ensure_future(self._alert(self._order.alert_command, notice.text))
            self._alerting.add(task)
            task.add_done_callback(self._alerting.discard)

    async def _alert(self, command: str, text: str) -> None:
        if wrong := await alarm.alert(command, self._document("alert", text)):
            self._say(f"WARNING: the alert command {wrong}")

    async def _finish_alerts(self) -> None:
        await asyncio.gather(*self._alerting)  # each has its own deadline

    def _document(self, kind: str, text: str) -> dict[str, object]:
        order = self._order
        said = {"kind": kind, "text": text, "environment": order.environment, "revision": order.revision}
        return {**said, "at": utc(time.time())}

    def _say(self, text: str, at: float | None = None) -> None:
        moment = self._utc(at) if at is not None else utc(time.time())
        line = f"{moment[11:19]}Z  {text}"
        self._lines.append(line)
        if len(line) <= WIDTH:
            self._out(line)
            return
        first, *rest = wrapped(line)
        for part in (first.strip(), *rest):
            self._out(part)

    def _indented(self, text: str) -> None:
        for line in wrapped(text):
            self._lines.append(line)
            self._out(line)

    def _beat(self, judge: Judge) -> None:
        state = self.state
        said = states(judge)
        for service, health in judge.health.items():
            last = health.last
            state.services[service] = ServiceSeen(
                said[service],
                last.detail if last is not None else "",
                last.revision if last is not None else None,
                round(health.counted_seconds, 1),
                self._utc(last.at) if last is not None else None,
            )
        state.triggers = how_far(judge, self._order.cadence)
        state.held = [*judge.unknown, *filter(None, [judge.drifted])]
        state.rounds_ok = judge.rounds.ok
        state.last_round = judge.rounds.last.verdict if judge.rounds.last is not None else ""
        self._write_state()

    async def _beat_alone(self) -> None:
        while True:  # ends: cancelled with the rollback's end
            self._write_state()
            await asyncio.sleep(self._order.cadence.heartbeat_seconds)

    def _write_state(self) -> None:
        self.state.heartbeat = utc(time.time())
        try:
            self._directory.write(self.state)
        except OSError as error:
            if not self._state_is_lost:
                self._state_is_lost = True
                self._say(f"WARNING: the watch's state can't be written ({error.strerror}); it watches on")

    def _end(self, how: str, code: ExitCode) -> None:
        self.state.ended, self.state.ended_at, self.state.exit_code = how, utc(time.time()), int(code)
        self._write_state()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _utc(self, at: float) -> str:
        """A time of the loop's clock as the wall's."""
        return utc(time.time() - (self._now() - at))
