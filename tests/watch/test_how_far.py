"""How far the watch's triggers are, as whoever looks at it reads."""

from __future__ import annotations

from tests.watch.judges import judge
from uniassist.release.watch.triggers.how_far import how_far
from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.samples import Attempt, Cadence, OutboxMetrics, Probe, Round


def seen(judged: Judge) -> dict[str, tuple[str, float, float]]:
    return {each.subject: (each.state, each.value, each.limit) for each in how_far(judged, Cadence())}


def test_each_says_how_far_it_is_and_an_outage_holds_them_all() -> None:
    judged = judge(frozenset())
    assert seen(judged) == {
        "gateway": ("quiet", 0.0, 180.0),
        "worker": ("quiet", 0.0, 180.0),
        "checks": ("quiet", 0.0, 2.0),
        "dead_letter": ("quiet", 0.0, 5.0),
        "retry": ("quiet", 0.0, 5.0),
    }
    for second in range(0, 61, 5):
        judged.probed("gateway", Probe(float(second), "failed", "503"))
    judged.checked(Round(10.0, 20.0, "failed", "smoke failed"))
    judged.counted(OutboxMetrics(30.0, 2, 0))
    judged.counted(OutboxMetrics(60.0, 5, 0))
    found = seen(judged)
    assert found["gateway"] == ("rising", 60.0, 180.0)
    assert found["worker"][0] == "quiet"
    assert found["checks"] == ("rising", 1.0, 2.0)
    assert found["dead_letter"] == ("rising", 3.0, 5.0)
    for second in (61, 66):
        judged.attempted("redis", Attempt(float(second), False, "refused", "away", certain=True))
    assert {state for state, _, _ in seen(judged).values()} == {"held"}
