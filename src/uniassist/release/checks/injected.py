"""Events that the tooling injects on purpose: their ids say so, and no trigger takes them for the real thing."""

from __future__ import annotations

DRILL_PREFIX = "uniassist-drill-"
SMOKE_PREFIX = "smoke-"
