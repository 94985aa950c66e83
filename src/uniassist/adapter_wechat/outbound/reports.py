"""Tells the gateway what became of replies, as `delivery_event`s. The gateway takes each report once for its id."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.identities import user_id
from uniassist.adapter_wechat.metrics import ChannelMetrics
from uniassist.contracts.provider import ChannelDelivery, LateDeliveryEvent
from uniassist.lifecycle import Loop
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store
from uniassist.store.wechat.people import Report
from uniassist.web.calling.client import BadStatus

log = structlog.get_logger()

_BATCH = 100
_PAUSE_SECONDS = 1.0
# Statuses that are about the request's content. Any other, of a wrong token, say, is no reason to give reports up.
_ABOUT_CONTENT = frozenset({400, 413, 422})


class Reporter:
    """Tells reports in the order in which they arose, and counts the replies that are open."""

    def __init__(self, pool: Pool, gateway: GatewayClient, metrics: ChannelMetrics) -> None:
        self._pool = pool
        self._gateway = gateway
        self._metrics = metrics
        self.loop = Loop("wechat-report", self._run_once)

    async def _run_once(self) -> float:
        found = await store.reports(self._pool, _BATCH)
        if found:
            await self._tell(found)
        backlog = await store.backlog(self._pool)
        for state in ("waiting", "sending", "parked"):
            self._metrics.replies.labels(state).set(backlog.get(state, 0))
        return 0.0 if len(found) == _BATCH else _PAUSE_SECONDS

    async def _tell(self, found: Sequence[Report]) -> None:
        try:
            answer = await self._gateway.report([_event(report) for report in found])
        except BadStatus as error:
            if error.status not in _ABOUT_CONTENT:
                raise
            if len(found) > 1:
                for report in found:  # one that can't be told holds up no other
                    await self._tell([report])
                return
            _drop(found[0], str(error))
        else:
            for refused in answer.errors or []:
                _drop(found[refused.index], refused.message)
        # others may have told the same: each counts those that it forgot itself
        forgotten = await store.forget_reports(self._pool, [report.id for report in found])
        parked = (report for report in found if report.id in forgotten and report.outcome == "parked")
        self._metrics.parked.inc(sum(len(report.event_ids) for report in parked))


def _drop(report: Report, reason: str) -> None:
    """Give a report up that would be refused each time, because its session is gone, say."""
    log.warning("the gateway refused a report", sessionId=report.session_id, reason=reason)


def _event(report: Report) -> LateDeliveryEvent:
    return LateDeliveryEvent(
        event_id=f"wechat-report-{report.id}",
        trace_id=report.trace_id,
        session_id=report.session_id,
        user_id=user_id(report.openid),
        run_id=report.run_id,
        event=ChannelDelivery(
            channel="wechat", event_ids=report.event_ids, outcome=report.outcome, detail=report.detail
        ),
        timestamp_ms=report.timestamp_ms,
    )
