"""A judge with the release's own cadence, for tests of single rules."""

from __future__ import annotations

from datetime import date

from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.samples import Cadence
from uniassist.release.watch.triggers.thresholds import Threshold


def judge(names: frozenset[str]) -> Judge:
    agreed = Threshold(1.0, 300.0, "the tests", date(2026, 11, 24), "none")
    rates = {"dead_letters": RateTrigger("dead_letter", agreed, 0.0), "attempts": RateTrigger("retry", agreed, 0.0)}
    return Judge(["gateway", "worker"], Cadence(), 0.0, names=names, **rates)
