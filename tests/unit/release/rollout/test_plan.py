from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from uniassist.release.clock import minutes
from uniassist.release.drivers.driver import Observed, State
from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.records.kept_releases import Release
from uniassist.release.rollback.budget import SECONDS, Budget
from uniassist.release.rollout import plan
from uniassist.release.walk import observation

V2 = Release("v2-bbbbbbbb", "v2", "c2", "w2", "b" * 64, Path("/nowhere"))
_STATES: tuple[State, ...] = ("running", "stopped", "unknown")
_REVISIONS = st.one_of(st.none(), st.sampled_from(["v1", "v2"]))
_DIGESTS = st.one_of(st.none(), st.sampled_from(["a" * 64, "b" * 64]))


@st.composite
def _seen(draw: st.DrawFn) -> dict[str, Observed]:
    return {
        service: Observed(
            service,
            draw(st.sampled_from(_STATES)),
            draw(_REVISIONS),
            draw(_DIGESTS),
            draw(st.sampled_from(["1", "2"])),
            draw(st.sampled_from([None, True, False])),
            draw(st.booleans()),
        )
        for service in ROLLOUT_ORDER
    }


@given(_seen())
def test_a_plan_changes_just_what_doesn_t_run_the_target(seen: dict[str, Observed]) -> None:
    made = plan.make(V2, seen, [], [])
    for change in made.changes:
        assert (change.why == "") == observation.runs(seen[change.service], V2)
    standing = observation.standing(seen, V2)
    untouched = sum(change.why == "" for change in made.changes)
    assert (standing == "all-new", standing == "all-old") == (untouched == 4, untouched == 0)


@given(_seen(), _seen())
def test_a_plan_is_stale_exactly_when_what_it_relies_on_was_changed(
    before: dict[str, Observed], after: dict[str, Observed]
) -> None:
    def relies_on(seen: dict[str, Observed]) -> list[object]:
        return [(s.service, s.revision, s.env_digest, s.state, s.stranger) for s in seen.values()]

    stale = plan.staleness(plan.make(V2, before, [], []), plan.make(V2, after, [], []))
    # What is shown of a service that doesn't answer may differ, too.
    if relies_on(before) != relies_on(after):
        assert stale
    elif [s.ok for s in before.values()] == [s.ok for s in after.values()]:
        assert stale == []


def test_a_plan_is_kept_and_names_what_made_it_stale(tmp_path: Path) -> None:
    seen = {service: Observed(service, "running", "v1", "a" * 64, "1", True) for service in ROLLOUT_ORDER}
    made = plan.make(V2, seen, ["0003_more"], ["A"])
    path = tmp_path / "plan.json"
    assert plan.read(path) is None
    plan.write(path, made)
    assert plan.read(path) == made
    seen["gateway"] = Observed("gateway", "running", "v9", "a" * 64, "1", True)
    fresh = plan.make(V2, seen, [], ["A"])
    assert plan.staleness(made, fresh) == ["gateway was v1, and is v9", "other migrations are pending"]
    assert "gateway         v1 → v2  (another revision)" in made.lines()


def test_names_of_changed_variables_and_no_values() -> None:
    assert plan.differing_names({"A": "1", "B": "1", "C": "1"}, {"B": "2", "C": "1", "D": "secret"}) == [
        "A",
        "B",
        "D",
    ]
    assert plan.differing_names(None, {"A": "1"}) == []


def test_the_budget_counts_from_the_first_failed_probe_and_an_overrun_is_only_said() -> None:
    now = 1000.0
    budget = Budget(1000.0 - 78.0, lambda: now, ["stop worker", "gateway", "verify"])
    assert budget.line() == "budget 13:42 left, forecast 0:21"
    now += 10.0
    budget.ended("stop worker")
    assert budget.line() == "budget 13:32 left, forecast 0:32"
    now += SECONDS
    assert budget.line().startswith("budget OVERRUN by 1:28, forecast ")
    assert minutes(59.9) == "0:59"
