"""OpenTelemetry spans, for a process whose environment names an exporter; else nothing of the SDK is imported.

Spans of different processes belong together by `traceparent` (W3C Trace Context): it comes with a request, is kept
with the rows and stream entries that the request causes, and goes on to providers. Where it is sent, how often and
how much is the SDK's to read from the standard variables (OTEL_EXPORTER_OTLP_…, OTEL_TRACES_SAMPLER, OTEL_BSP_…).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from uniassist.errors import StartError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Attributes: TypeAlias = Mapping[str, str | int]

FLUSH_SECONDS = 2.0


@dataclass
class Span:
    """Something under way. `traceparent` is what its children name: rows, entries, calls."""

    traceparent: str | None

    def end(self, *, error: str | None = None, attributes: Attributes | None = None) -> None:
        """`error` None: it went well."""


class Spans:
    """Records nothing: each span hands its parent on."""

    recording: ClassVar[bool] = False

    def begin(self, _name: str, _kind: Kind, parent: str | None, _attributes: Attributes | None = None) -> Span:
        return Span(parent)

    def note(
        self, name: str, kind: Kind, parents: Iterable[str | None], *, began_ns: int, attributes: Attributes
    ) -> None:
        """A step of a batch that just ended: one span for each trace that had a part in it."""

    async def stop(self) -> None:
        """Send what is recorded, within FLUSH_SECONDS: a collector that is away holds up no service."""


NO_SPANS = Spans()


def start(*, service: str, version: str, is_configured: bool) -> Spans:
    """Call once, at a process's start. StartError: an exporter is configured, and the extra `otel` is missing."""
    if is_configured and (find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None):
        raise StartError(
            "an exporter of spans is configured, and OpenTelemetry isn't installed: "
            "pip install 'uniassist[otel]', or set OTEL_SDK_DISABLED=true"
        )
    return _Recorded(service, version) if is_configured else NO_SPANS


@dataclass
class _OpenSpan(Span):
    open: trace.Span

    def end(self, *, error: str | None = None, attributes: Attributes | None = None) -> None:
        from opentelemetry.trace import Status, StatusCode

        if attributes:
            self.open.set_attributes(attributes)
        if error is not None:
            self.open.set_status(Status(StatusCode.ERROR, error))
        self.open.end()


class _Recorded(Spans):
    recording: ClassVar[bool] = True

    def __init__(self, service: str, version: str) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = _provider(service, version)
        self._tracer = self._provider.get_tracer("uniassist", version)
        self._context = TraceContextTextMapPropagator()
        self._kinds = {kind.name.lower(): kind for kind in SpanKind}

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Attributes | None = None) -> Span:
        return self._begin(name, kind, parent, attributes)

    def _begin(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        attributes: Attributes | None,
        began_ns: int | None = None,
    ) -> _OpenSpan:
        context = self._context.extract({"traceparent": parent} if parent else {})
        span = self._tracer.start_span(name, context, self._kinds[kind], attributes=attributes, start_time=began_ns)
        made = span.get_span_context()
        own = f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"
        return _OpenSpan(own, span)

    def note(
        self, name: str, kind: Kind, parents: Iterable[str | None], *, began_ns: int, attributes: Attributes
    ) -> None:
        # A row that names no trace belongs to none: a span of its own would only be noise.
        for parent, count in Counter(parents).items():
            if parent is not None:
                counted = {**attributes, "uniassist.count": count}
                self._begin(name, kind, parent, counted, began_ns).end()

    async def stop(self) -> None:
        # Not the loop's executor: that is waited for at the end, and a collector that hangs would be, too.
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(stopped.set)

        threading.Thread(target=flush, name="flush-spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), FLUSH_SECONDS)


def _provider(service: str, version: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource({"service.namespace": "uniassist", "service.name": service, "service.version": version})
    provider = TracerProvider(
        resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
