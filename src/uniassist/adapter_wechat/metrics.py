"""The channel's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ChannelMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.sends = Counter(
            "uniassist_wechat_sends", "Customer-service messages by verdict.", ("verdict",), registry=registry
        )
        self.parked = Counter(
            "uniassist_wechat_parked", "Replies parked until the person writes.", registry=registry
        )
        self.replies = Gauge(
            "uniassist_wechat_open_replies", "Replies not at their end, by state.", ("state",), registry=registry
        )
        self.media = Counter(
            "uniassist_wechat_media", "Media by what became of them.", ("outcome",), registry=registry
        )
