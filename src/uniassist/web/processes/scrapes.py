"""`/metrics` of a service of several processes: whichever is scraped shows those of all, each with its number."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from uniassist.web.processes.place import Place

log = structlog.get_logger()

DEADLINE_SECONDS = 1.0
_LONGEST_BYTES = 16 * 1024 * 1024
_LABEL = "process"


class _Sample(msgspec.Struct, array_like=True, frozen=True):
    name: str
    labels: dict[str, str]
    value: float


class _Family(msgspec.Struct, array_like=True, frozen=True):
    name: str
    meaning: str
    kind: str
    samples: list[_Sample]


class Scrapes:
    """`own`: of this process. `common`: of the whole service, the same whichever process shows it.

    `async with` lets the others ask for this one's.
    """

    def __init__(self, place: Place, own: CollectorRegistry, common: CollectorRegistry | None = None) -> None:
        self._place = place
        self._own = own
        self._common = common if common is not None else CollectorRegistry()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Scrapes:
        if self._place.scraped is not None:
            self._server = await asyncio.start_server(self._answer, sock=self._place.scraped)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def text(self) -> bytes:
        """In Prometheus's format. A process that doesn't answer is shown as not up, without its figures."""
        if self._place.of == 1:
            return generate_latest(self._own) + generate_latest(self._common)
        found: dict[int, list[_Family]] = {self._place.number: _taken(self._own)}
        others = self._place.others
        answers = await asyncio.gather(*(self._ask(number) for number in others))
        found |= {number: answer for number, answer in zip(others, answers, strict=True) if answer is not None}
        together = CollectorRegistry()
        together.register(_Shown([*_labelled(found), *self._of_processes(found)]))
        return generate_latest(together) + generate_latest(self._common)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.msgpack.encode(_taken(self._own)))
            writer.write_eof()
            await writer.drain()
        writer.close()

    async def _ask(self, number: int) -> list[_Family] | None:
        if not self._place.is_up(number):
            return None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                port = self._place.ports[number - 1]
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_BYTES)
                try:
                    return msgspec.msgpack.decode(await reader.read(), type=list[_Family])
                finally:
                    writer.close()
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("no metrics of another process", number=number, error=repr(error))
            return None

    def _of_processes(self, found: dict[int, list[_Family]]) -> Iterator[Metric]:
        up = GaugeMetricFamily("uniassist_process_up", "1 for a process whose figures are here", labels=[_LABEL])
        restarts = CounterMetricFamily(
            "uniassist_process_restarts", "Processes that were started in this one's place", labels=[_LABEL]
        )
        for number in range(1, self._place.of + 1):
            up.add_metric([str(number)], float(number in found))
            restarts.add_metric([str(number)], self._place.restarts(number))
        yield from (up, restarts)


class _Shown(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _taken(registry: CollectorRegistry) -> list[_Family]:
    return [
        _Family(
            each.name,
            each.documentation,
            each.type,
            [_Sample(sample.name, dict(sample.labels), float(sample.value)) for sample in each.samples],
        )
        for each in registry.collect()
    ]


def _labelled(found: dict[int, list[_Family]]) -> Iterable[Metric]:
    """The families of all processes, each once, every sample with its process's number."""
    merged: dict[str, Metric] = {}
    for number, families in sorted(found.items()):
        for family in families:
            metric = merged.setdefault(family.name, Metric(family.name, family.meaning, family.kind))
            metric.samples += [
                Sample(each.name, {**each.labels, _LABEL: str(number)}, each.value) for each in family.samples
            ]
    return merged.values()
