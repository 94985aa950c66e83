"""The results as a table and a plot that people look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def table(results: dict[str, Any]) -> str:
    lines = [
        "# Last results",
        "",
        f"Machine: {results.get('machine', '?')}; Postgres (fsync on), Redis, the services and the load share it.",
        "Run with `make bench` (short form) or `python -m bench`. Times in seconds or milliseconds as named.",
        "",
        "| figure | measured | at least | aim | when, form |",
        "|---|---|---|---|---|",
    ]
    for name, rows in _ROWS.items():
        found = results.get(name)
        if found is None:
            continue
        for what, value, least, aim in rows(found):
            lines.append(f"| {what} | {value} | {least} | {aim} | {found['at']}, {found['form']} |")
    return "\n".join([*lines, "", "![drain](drain.svg)", ""])


def _drain(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    against = f"× PgQueuer ({r['pgqueuer_per_second']:,}/s), medians of {len(r['rounds'])} rounds"
    rows = [
        (
            f"drain {r['events']:,} events of 512 B, pending → consumed, one worker",
            f"**{r['per_second']:,}/s** = {r['ratio_to_pgqueuer']} {against}; "
            f"procrastinate {r['procrastinate_per_second']:,}/s; "
            f"pgbench row by row {r['pgbench_updates_per_second']:,}/s",
            "1.1 ×",
            "1.5 ×",
        )
    ]
    if "bare_per_second" in r:
        measured = f"**{r['bare_per_second']:,}/s** = {r['bare_ratio_to_pgqueuer']} {against}"
        rows.append(("the same of bare rows with a payload of 512 B", measured, "1.1 ×", "1.5 ×"))
    return rows


def _latency(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            "commit → consumed, idle, p50 / p99",
            f"{r['idle_p50_ms']} / {r['idle_p99_ms']} ms",
            "10 / 40 ms",
            "4 / 12 ms",
        ),
        (
            f"200 events/s for {r['steady_seconds']} s, commit → consumed p50 / p99",
            f"{r['steady_p50_ms']} / {r['steady_p99_ms']} ms",
            "p99 30 ms",
            "p99 15 ms",
        ),
    ]


def _recovery(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        ("worker SIGKILLed under load → all consumed", f"{r['killed_to_consumed_seconds']} s", "10 s", "3 s"),
        (
            f"FLUSHALL with {r['flushed_events']:,} unconsumed",
            f"{r['lost']} lost, noticed in {r['noticed_seconds']} s, drained in {r['flush_to_consumed_seconds']} s",
            "0 lost, 2 s",
            "15 s",
        ),
    ]


def _idle(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            "idle worker: CPU / Postgres queries",
            f"{r['cpu_percent']} % / {r['queries_per_second']} per s",
            "1 % / 2 per s",
            "0.3 % / 1 per s",
        )
    ]


def _ingest(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [
        (
            f"ingest, {point['connections']} connections, builtin chat",
            f"{point['per_second']:,}/s, p50 {point['p50_ms']} ms, p99 {point['p99_ms']} ms; "
            f"{point['ratio_to_pgbench']} of pgbench ({point['pgbench_per_second']:,}/s)",
            "3,000/s and 0.33 at 64" if point["connections"] == 64 else "",
            "0.5" if point["connections"] == 64 else "",
        )
        for point in r["points"]
    ]
    paced = r["paced"]
    rows.append(
        (f"ingest at {paced['rate']}/s, p50 / p99", f"{paced['p50_ms']} / {paced['p99_ms']} ms", "p99 40 ms", "")
    )
    return rows


def _sse(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{r['connections']:,} event streams held, memory each",
            f"{r['kib_each']} KiB",
            "10,000 held",
            "40 KiB",
        ),
        (
            f"commit → client over them, {r['events_per_second']:,} events/s, p50 / p99",
            f"{r['p50_ms']} / {r['p99_ms']} ms, {r['missing']} missing",
            "p99 150 ms",
            "",
        ),
    ]


def _routed(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            "routed to a live provider-plan, end to end, 64 connections",
            f"{r['routed_per_second']:,} runs/s finished, {r['routed_failed']} failed, "
            f"ack p99 {r['routed_p99_ms']} ms",
            "1,000/s",
            "",
        ),
        (
            "others' p99 at 300/s: alone / beside a provider that answers / beside one that hangs instead",
            f"{r['alone_p99_ms']} / {r['beside_answering_p99_ms']} / {r['beside_hung_p99_ms']} ms, each over "
            f"{len(r['hung_slices']['hangs'])} × {r['hung_slice_seconds']} s in turn; hanging to answering "
            f"{r['hung_to_answering']} (of the median slices: {r['hung_to_answering_median_slice']})",
            "+10 %",
            "",
        ),
        (
            f"ingest with {' / '.join(f'{int(events):,}' for events in r['grown_per_second'])} events stored, "
            "64 connections",
            f"{' / '.join(f'{rate:,}' for rate in r['grown_per_second'].values())} per s = "
            f"{' / '.join(str(share) for share in r['grown_to_empty'].values())} of the empty store's",
            "0.85",
            "",
        ),
    ]


def _many(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{r['gateways']} gateways, {r['workers']} workers, {r['events_per_second']:,} events/s taken by the "
            f"first: CPU of a gateway without followers; with {r['followers']} "
            f"({r['followed_per_second']} events/s of theirs)",
            f"{r['idle_cpu_percent']} % of a core; {r['following_cpu_percent']} %; "
            f"the first {r['taking_cpu_percent']} %",
            "",
            "without followers 1 %",
        )
    ]


def _cost(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for kind in ("chat", "routed"):
        now, before = r["cpu_ms"][f"{kind} now"], r["cpu_ms"].get(f"{kind} {r['before']}")
        parts = ", ".join(f"{name} {now[name]:.2f}" for name in now if name not in ("all", "per_second", "busiest"))
        beside = f" = {r['ratio_to_before'][kind]} × {r['before']} ({before['all']:.2f} ms)" if before else ""
        rows.append(
            (f"CPU for an input, {kind}, 64 connections", f"{now['all']:.2f} ms{beside}: {parts}", "", "0.65 ×")
        )
    bare = r["cpu_ms"]["pgbench"]["all"]
    rows.append(("CPU of Postgres for the same writes by pgbench", f"{bare:.2f} ms", "", ""))
    return rows


def _libraries(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    def listed(found: dict[str, float]) -> str:
        return "; ".join(f"{name} {value}" for name, value in found.items())

    drivers = {
        name: f"{each['client']} + {each['postgres']} (a batch takes {each['wall'] / 1000:.1f} ms)"
        for name, each in r["driver_us"].items()
    }
    return [
        ("the least that a request costs an HTTP server, µs of CPU", listed(r["server_us"]), "", ""),
        (
            "a turn's look and writing, alone and of 16, µs of CPU: driver + Postgres",
            "; ".join(f"{name}: {value}" for name, value in drivers.items()),
            "",
            "",
        ),
        ("JSON of an input, µs of CPU", listed(r["json_us"]), "", ""),
    ]


def _processes(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for arm in r["arms"]:
        now, of = arm["cpu_ms"], arm["processes"]
        pace = f"{arm['rate']}/s" if arm["rate"] else "as many as there can be"
        shared = f", {now['busiest']:.0%} of it the busiest's" if of > 1 else ""
        rows.append(
            (
                f"CPU for an input, chat, gateway of {of}, {arm['connections']} connections, {pace}",
                f"{now['all']:.2f} ms, the gateway's {now['gateway']:.2f} ms{shared}",
                "",
                "",
            )
        )
    return rows


def _streamed(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{r['messages']} messages streamed at once to {r['readers']:,} readers, {r['words_per_second']:,} "
            "words/s: age of the newest word as it is shown, p50 / p99",
            f"{r['age_p50_ms']} / {r['age_p99_ms']} ms, {r['frames']:,} frames, {r['missing']} readers without "
            f"the whole message; gateway at {r['gateway_cpu_percent']} % of a core, "
            f"{r['kib_each_streaming']} KiB a reader",
            "",
            "",
        ),
        (
            "ack beside them at 50/s, p50 / p99 (before they began)",
            f"{r['ack_p50_ms']} / {r['ack_p99_ms']} ms ({r['quiet_ack_p50_ms']} / {r['quiet_ack_p99_ms']} ms)",
            "",
            "",
        ),
    ]


def _apart(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{r['messages']} messages streamed by one gateway to {r['readers']:,} readers at another: age of "
            "the newest word as it is shown, p50 / p99",
            f"{r['age_p50_ms']} / {r['age_p99_ms']} ms, {r['missing']} readers without the whole message; of a "
            f"core writer {r['writer_cpu']} %, readers' {r['reader_cpu']} %, a third gateway {r['idle_cpu']} %, "
            f"Redis {r['redis_cpu']} %; Redis sent {r['redis_sent_mib']} MiB",
            "",
            "",
        )
    ]


def _fronts(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"asked in words by {way}, {r['rate']}/s: gateway's CPU each, whole answer p50 / p99",
            f"{cost['cpu_ms']} ms, {cost['p50_ms']} / {cost['p99_ms']} ms",
            "",
            "",
        )
        for way, cost in r["cost"].items()
    ]


def _agui(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{r['readers']:,} AG-UI readers held, memory each (after {r['events']:,} events)",
            f"{r['kib_each']} KiB ({r['kib_each_after']} KiB); {r['idle_cpu_percent']} % of a core while nothing "
            "happens",
            "5,000 held",
            "",
        ),
        (
            f"said → AG-UI reader, {r['events_per_second']:,} events/s in all, p50 / p99",
            f"{r['age_p50_ms']} / {r['age_p99_ms']} ms, {r['missing']} missing, {r['finished']:,} saw the end; "
            f"{r['cpu_ms_each_event']} ms of CPU for each",
            "0 missing",
            "",
        ),
    ]


def _wechat(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"adapter-wechat, an instant gateway, {r['connections']} connections: pushes answered with a reply",
            f"{r['per_second']:,}/s, p99 {r['full_p99_ms']} ms; {r['ratio_to_bare']} of a bare server that says "
            f"success ({r['bare_per_second']:,}/s)",
            "500/s",
            "1,500/s",
        ),
        *(
            [
                (
                    "CPU for such a push: adapter + Postgres + Redis",
                    f"{r['measured_cpu_ms']:.2f} ms: "
                    + ", ".join(f"{name.replace('_', ' ')} {spent:.2f}" for name, spent in r["cpu_ms"].items()),
                    "",
                    "",
                )
            ]
            if "cpu_ms" in r
            else []
        ),
        (
            f"adapter-wechat at {r['steady_rate']} pushes/s, p50 / p99",
            f"{r['steady_p50_ms']} / {r['steady_p99_ms']} ms, {r['steady_answered_per_second']}/s answered",
            "p99 200 ms",
            "",
        ),
    ]


def _hostile(r: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    answered = ", ".join(f"{what} × {times}" for what, times in r["answers"].items())
    return [
        (
            f"others' ingest at {r['rate']}/s, p99: alone / beside {r['hostile_rate']} hostile requests a second",
            f"{r['alone_p99_ms']} / {r['beside_p99_ms']} ms, ratio **{r['ratio']}** (of the median slices: "
            f"{r['median_slice_ratio']}), each over {len(r['slices']['alone'])} × {r['slice_seconds']} s in turn; "
            f"they were answered: {answered}",
            "1.5 ×",
            "",
        )
    ]


_ROWS = {
    "drain": _drain,
    "latency": _latency,
    "recovery": _recovery,
    "idle": _idle,
    "ingest": _ingest,
    "routed": _routed,
    "cost": _cost,
    "libraries": _libraries,
    "processes": _processes,
    "many": _many,
    "sse": _sse,
    "streamed": _streamed,
    "apart": _apart,
    "fronts": _fronts,
    "agui": _agui,
    "wechat": _wechat,
    "hostile": _hostile,
}


def plot(results: dict[str, Any], path: Path) -> None:
    found = results.get("drain")
    if found is None:
        return
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6))
    names = ["uniassist, both streams\nand confirmed", "PgQueuer, no-op jobs", "procrastinate, no-op jobs"]
    rates = [found["per_second"], found["pgqueuer_per_second"], found["procrastinate_per_second"]]
    bars = axes.barh(names, rates, color=["#2f6f4f", "#9aa5b1", "#9aa5b1"])
    axes.bar_label(bars, [f"{rate:,}/s" for rate in rates], padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, max(rates) * 1.2)
    axes.set_xlabel("events a second, one worker, same machine and minutes")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
