"""The triggers against an oracle that works another way, on generated traces and whole simulated windows."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watch import oracle
from tests.watch.campaign import campaign
from tests.watch.judges import judge
from tests.watch.simulated import Span, World, watch
from tests.watch.virtual_time import run
from uniassist.release.watch.triggers.outages import DependencyOutage
from uniassist.release.watch.triggers.rates import DRILL_DEAD_LETTERS, OWN_BASELINE_SECONDS, RateTrigger
from uniassist.release.watch.triggers.rounds import Rounds
from uniassist.release.watch.triggers.samples import (
    Attempt,
    Cadence,
    Notice,
    OutboxMetrics,
    Probe,
    Round,
    Trigger,
    Verdict,
)
from uniassist.release.watch.triggers.service_health import ServiceHealth
from uniassist.release.watch.triggers.thresholds import Threshold

AGREED = Threshold(1.0, 300.0, "the tests", date(2026, 11, 24), "none")
# Mostly failures, in runs long enough to matter.
_STEPS = st.lists(
    st.tuples(
        st.sampled_from((5.0, 5.0, 5.0, 5.0, 3.2, 6.9, 10.0, 16.9, 17.1, 40.0)),
        st.sampled_from(("failed",) * 30 + ("ok", "unknown")),
        st.sampled_from((False,) * 12 + (True,)),
    ),
    max_size=140,
)


@given(_STEPS)
def test_health_fires_when_the_oracle_says(steps: list[tuple[float, Verdict, bool]]) -> None:
    health, at = ServiceHealth("gateway", Cadence()), 0.0
    probes: list[Probe] = []
    fired: Trigger | None = None
    for seconds, verdict, excused in steps:
        at += seconds
        probes.append(Probe(at, verdict, "refused"))
        found = health.see(probes[-1], excused=excused)
        fired = fired or next((each for each in found if isinstance(each, Trigger)), None)

    expected = oracle.health(probes, [excused for _, _, excused in steps])

    found_at = (fired.at, fired.first_failed_at) if fired else None
    assert found_at == ((expected.at, expected.first_failed_at) if expected else None)


@given(st.lists(st.tuples(st.floats(1, 120), st.integers(0, 9)), max_size=60))
def test_rate_fires_when_the_oracle_says(steps: list[tuple[float, int]]) -> None:
    """Counts that rise and fall, as rows that are replayed and pruned make them."""
    rate, at = RateTrigger("dead_letter", AGREED, 0.0), 0.0
    seen: list[OutboxMetrics] = []
    fired: float | None = None
    for seconds, count in steps:
        at += seconds
        seen.append(OutboxMetrics(at, count, 0))
        if rate.see(at, count) and fired is None:
            fired = at

    assert fired == oracle.rate(seen, per_minute=1.0, window_seconds=300.0)


@given(st.lists(st.sampled_from(("ok", "failed", "unknown")), max_size=12))
def test_rounds_fire_when_the_oracle_says(verdicts: list[Verdict]) -> None:
    machine, seen = Rounds(), [Round(at, at + 1, verdict) for at, verdict in enumerate(verdicts)]
    fired = [each for one in seen for each in machine.see(one) if isinstance(each, Trigger)]

    expected = oracle.rounds(seen)

    assert (
        (fired[0].at, fired[0].first_failed_at) == (expected.at, expected.first_failed_at)
        if expected
        else not fired
    )


def test_simulated_windows_in_short() -> None:
    outcome = campaign(healthy=12, faulty=12, seed=1000)
    assert outcome.false == []
    assert outcome.missed == []
    assert outcome.delays
    assert min(outcome.delays) >= 180.0
    assert max(outcome.delays) <= 187.0


def test_a_failure_under_way_at_the_end_is_watched_until_it_is_decided() -> None:
    world = World(1, down={"worker": [Span(880.0, 10_000.0)]})
    seen = run(watch(world))
    assert seen.ended.trigger is not None
    assert seen.ended.trigger.subject == "worker"


def test_an_outage_at_the_end_leaves_it_undecided() -> None:
    seen = run(watch(World(1, away={"postgres": [Span(300.0, 10_000.0)]})))
    assert seen.ended.trigger is None
    assert "postgres is away" in seen.ended.unknown
    assert any("postgres is away" in notice.text for notice in seen.notices if notice.level == "alert")


def test_no_data_alerts_once_and_holds() -> None:
    seen = run(watch(World(1, blind=[Span(100.0, 10_000.0)])))
    assert seen.ended.trigger is None
    said = [notice.text for notice in seen.notices if notice.level == "alert"]
    assert sum(text.startswith("gateway: no data") for text in said) == 1
    assert "gateway: no data" in seen.ended.unknown


def test_flapping_is_a_warning_of_its_own_and_said_once() -> None:
    world = World(1, down={"gateway": [Span(100.0 + 20 * turn, 10.0) for turn in range(30)]})
    seen = run(watch(world))
    assert seen.ended.trigger is None
    assert sum("gateway is flapping" in notice.text for notice in seen.notices) == 1


def test_a_service_of_another_revision_holds_what_follows() -> None:
    watched = judge(frozenset({"v42"}))
    assert watched.probed("gateway", Probe(1.0, "ok", revision="v42")) == []
    found = watched.probed("gateway", Probe(6.0, "ok", revision="v43"))
    assert [notice.level for notice in found if isinstance(notice, Notice)] == ["alert"]
    assert watched.drifted == "gateway now runs v43, not v42"


def _outage(*attempts: bool | None, said: tuple[str, ...]) -> bool:
    outage, at = DependencyOutage("postgres", 17.0), 0.0
    for ok in attempts:
        at += 5.0
        outage.attempted(Attempt(at, ok))
    outage.look(at, [Probe(at, "failed", checks={"postgres": state}) for state in said])
    return outage.since is not None


@pytest.mark.parametrize(
    ("attempts", "said", "is_outage"),
    [
        ((False, False), ("failing", "failing"), True),
        ((False, False), (), True),  # all services are gone with it
        ((False,), ("failing", "failing"), False),  # one lost packet
        ((True, True), ("failing", "failing", "failing"), False),  # their own fault: a wrong URL, say
        ((False, False), ("failing", "ok"), False),  # only we can't reach it
        ((None, None), ("failing", "failing"), True),  # no URL to try
        ((None,), ("failing",), False),
        ((None,), ("failing", "ok"), False),
    ],
)
def test_what_is_an_outage(attempts: tuple[bool | None, ...], said: tuple[str, ...], is_outage: bool) -> None:
    assert _outage(*attempts, said=said) is is_outage


def test_without_a_database_one_drill_after_another_stays_within_its_allowance() -> None:
    rate = RateTrigger(
        "dead_letter", Threshold(0.0, 300.0, "the tests", date(2026, 11, 24), "none"), 0.0, DRILL_DEAD_LETTERS
    )
    for turn in range(100):
        assert rate.see(turn * 5.0, 40 + (turn % 2) * DRILL_DEAD_LETTERS) == []
    assert rate.see(501.0, 40 + DRILL_DEAD_LETTERS + 1)


def test_an_own_baseline_never_counts_for_more_than_the_threshold() -> None:
    rate = RateTrigger("dead_letter", AGREED, None)
    fired = [at for at in range(0, 600, 15) if rate.see(float(at), at)]  # sixty a minute from the first second
    assert fired
    assert fired[0] <= 15
    calm = RateTrigger("dead_letter", AGREED, None)
    for at in range(0, 600, 60):
        assert calm.see(float(at), at // 120) == []
    assert calm.baseline == pytest.approx(0.5)
    assert OWN_BASELINE_SECONDS == 120.0


def test_a_rate_that_is_bad_from_its_first_second_is_no_baseline() -> None:
    """2.4 a minute: measured over its own first two minutes, it would allow itself."""
    rate = RateTrigger("dead_letter", AGREED, None)
    assert any(rate.see(float(at), at // 25) for at in range(0, 900, 5))


def test_a_gap_starts_the_three_minutes_over() -> None:
    """The watch itself stood still for ten minutes: nobody saw that the service failed all along."""
    health = ServiceHealth("gateway", Cadence())
    assert health.see(Probe(0.0, "failed", "refused")) == []
    assert not any(isinstance(found, Trigger) for found in health.see(Probe(600.0, "failed", "refused")))
    assert health.failing_since == 600.0


def test_a_round_during_an_outage_does_not_count() -> None:
    machine = Rounds()
    for began in (0.0, 300.0, 600.0):
        assert not any(isinstance(f, Trigger) for f in machine.see(Round(began, began + 9, "failed"), excused=True))
    assert not machine.is_failing
