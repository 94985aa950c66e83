"""The campaigns' results as pages that people read: release-faults.md, rollbacks.md and rollbacks.svg."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uniassist.release.report.markdown import code, plain, table

LIMIT_SECONDS = 60.0
_WIDTH, _HEIGHT, _LEFT, _BELOW = 720, 300, 50, 40


def write(found: Mapping[str, Any], into: Path) -> None:
    """Whatever of them was run."""
    if "faults" in found:
        page = faults_page(found["faults"], found.get("run"))
        (into / "release-faults.md").write_text(_anywhere(page), "utf-8")
    if "rollbacks" in found:
        (into / "rollbacks.md").write_text(rollbacks_page(found["rollbacks"]), "utf-8")
        times = [rolled["trigger_to_verified"] for rolled in found["rollbacks"]["rollbacks"]]
        (into / "rollbacks.svg").write_text(plot(times), "utf-8")


def _anywhere(page: str) -> str:
    """Without the folders of the machine that it ran on."""
    return re.sub(r"(?:/[\w.-]+)+/(?=[\w.-]+)", "…/", page)


def faults_page(faults: Mapping[str, Mapping[str, Any]], run: Mapping[str, Any] | None) -> str:
    ok = sum(fault["ok"] for fault in faults.values())
    lines = [
        "# A second revision made to fail",
        "",
        "Two tagged revisions of this project, embedded servers, the local driver, inputs through the gateway all",
        "the while (`make release-campaign`). v1 runs and is verified; v2, or what it needs, is made to fail. What",
        "preflight and gate would have refused is approved for those that are about what comes after.",
        "",
        f"**{ok} of {len(faults)} as specified.**",
        "",
        *_run(run),
        *table(
            (
                "fault",
                "what was done",
                "noticed by (exit code)",
                "in its words",
                "state, as said and as seen",
                "then",
            ),
            [_row(fault) for fault in faults.values()],
        ),
        "",
    ]
    loads = {case["load"]["acknowledged"]: case["load"]["lost"] for case in faults.values() if "load" in case}
    for acknowledged, lost in loads.items():
        lines += [
            f"Load beside them: {acknowledged:,} inputs acknowledged; lost: {lost['inputs']} inputs, "
            f"{lost['events']} events, {lost['gaps']} gaps.",
            "",
        ]
    wrong = [(name, fault["wrong"]) for name, fault in faults.items() if not fault["ok"]]
    if wrong:
        lines += ["## Not as specified", ""]
        lines += [f"- {plain(name)}: {plain(' '.join(what)[:600])}" for name, what in wrong]
        lines.append("")
    return "\n".join(lines)


def _run(run: Mapping[str, Any] | None) -> list[str]:
    if run is None:
        return []
    lost = run["lost"]
    return [
        f"`release run` from v1 to v2 under load: exit code {run['code']} after {run['seconds']} s, "
        f"{run['acknowledged']:,} inputs acknowledged meanwhile, {run['refused']} refused while a service was "
        f"replaced (longest time without one accepted {run['longestGapSeconds']} s); "
        f"lost: {lost['inputs']} inputs, {lost['events']} events, {lost['gaps']} gaps. "
        f"Evidence built ({run['evidence']}) and checked ({run['evidenceChecked']}).",
        "",
    ]


def _row(fault: Mapping[str, Any]) -> tuple[str, ...]:
    mark = "" if fault["ok"] else " **(not as specified)**"
    return (
        plain(fault["name"]) + mark,
        plain(fault["done"]),
        "<br>".join(plain(noticed) for noticed in fault["noticed"]),
        "<br>".join(code(said) for said in fault["said"][:2]),
        fault["state"],
        plain(fault["after"]),
    )


def rollbacks_page(found: Mapping[str, Any]) -> str:
    rolled: Sequence[Mapping[str, Any]] = found["rollbacks"]
    times = sorted(one["trigger_to_verified"] for one in rolled)
    lost = found["lost"] or {"inputs": "?", "events": "?", "gaps": "?"}
    good = sum(one["ok"] and one["trigger_to_verified"] <= LIMIT_SECONDS for one in rolled)
    lines = [
        "# Rollbacks in a row, by trigger, under load",
        "",
        "v2 rolled out over v1, watched; dead letters above the threshold; rolled back by the watch, and verified",
        "(`make release-campaign`). Times are those of the incident notes. Where the state directory's disk",
        "was full to its last byte there is no note: then from the dead letters to the end of the watch.",
        "",
        f"**{good} of {len(rolled)} back on v1, verified, within {LIMIT_SECONDS:.0f} s of the trigger**; "
        f"median {times[len(times) // 2]} s, longest {times[-1]} s. "
        f"{found['acknowledged']:,} inputs acknowledged meanwhile, {found['refused']} refused; "
        f"lost: {lost['inputs']} inputs, {lost['events']} events, {lost['gaps']} gaps.",
        "",
        "![seconds from the trigger to the verified rollback](rollbacks.svg)",
        "",
        *table(
            (
                "rollback",
                "first failed probe → trigger, s",
                "trigger → verified, s",
                "exit code",
                "back on v1",
                "state disk",
            ),
            [
                (
                    str(one["number"]),
                    "not recorded"
                    if one["first_failed_to_trigger"] is None
                    else str(one["first_failed_to_trigger"]),
                    str(one["trigger_to_verified"]),
                    str(one["code"]),
                    "yes" if one["is_back"] else "**no**",
                    "full" if one.get("disk_full") else "",
                )
                for one in rolled
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def plot(times: Sequence[float]) -> str:
    """A bar for each, against the limit."""
    top = max([LIMIT_SECONDS * 1.1, *times])
    step = (_WIDTH - _LEFT - 10) / max(1, len(times))

    def y(seconds: float) -> float:
        return _HEIGHT - _BELOW - seconds / top * (_HEIGHT - _BELOW - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="14">seconds from the trigger to the verified rollback</text>',
    ]
    for mark in (0, 15, 30, 45, 60):
        parts.append(f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.0f}" text-anchor="end">{mark}</text>')
        ends = f'x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y(mark):.0f}" y2="{y(mark):.0f}"'
        parts.append(f'<line {ends} stroke="#ddd"/>')
    for index, seconds in enumerate(times):
        x = _LEFT + index * step + step * 0.15
        colour = "#2a7" if seconds <= LIMIT_SECONDS else "#c33"
        parts.append(
            f'<rect x="{x:.1f}" y="{y(seconds):.1f}" width="{step * 0.7:.1f}" '
            f'height="{y(0) - y(seconds):.1f}" fill="{colour}"/>'
        )
        middle = x + step * 0.35
        parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{index + 1}</text>')
    limit = y(LIMIT_SECONDS)
    parts.append(
        f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{limit:.0f}" y2="{limit:.0f}" '
        'stroke="#c33" stroke-dasharray="5"/>'
    )
    parts.append(
        f'<text x="{_WIDTH - 12}" y="{limit - 4:.0f}" text-anchor="end" fill="#c33">limit 60 s</text></svg>'
    )
    return "\n".join(parts) + "\n"
