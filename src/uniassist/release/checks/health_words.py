"""A service's health in its own words: what isn't ok, and of Postgres and Redis what is wrong with them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

# Health's word for a check that says no more than that it fails.
PLAIN = "failing"


def failing(checks: Mapping[str, str]) -> dict[str, str]:
    """The checks that aren't ok."""
    return {name: state for name, state in checks.items() if state != "ok"}


def in_words(checks: Mapping[str, str]) -> str:
    """`redis: full (maxmemory), gateway`: each that isn't ok, with what is wrong where the health says it.

    Empty where all are ok.
    """
    return ", ".join(name if state == PLAIN else f"{name}: {state}" for name, state in failing(checks).items())


def checks_of(body: object) -> dict[str, str]:
    """The checks of a health's body; none where it has no such thing."""
    named = body.get("checks") if isinstance(body, dict) else None
    return {str(name): str(state) for name, state in named.items()} if isinstance(named, dict) else {}
