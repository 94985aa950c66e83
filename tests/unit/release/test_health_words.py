"""Health's own words are carried as they are; of a server in the table of outages they say what mends it."""

from __future__ import annotations

import pytest

from uniassist.errors import Server
from uniassist.release.checks.health_words import checks_of, in_words
from uniassist.release.checks.outages import TABLE, Suspects, of_words
from uniassist.release.report.steps import Advice

ROLL_BACK = Advice("uniassist release rollback", "roll back")


def test_what_is_wrong_is_said_where_health_says_it() -> None:
    checks = {"postgres": "ok", "redis": "full (maxmemory)", "gateway": "failing"}
    assert in_words(checks) == "redis: full (maxmemory), gateway"
    assert in_words({"postgres": "ok"}) == ""


@pytest.mark.parametrize("body", [None, [], {}, {"checks": "all"}, {"checks": None}])
def test_a_body_without_checks_has_none(body: object) -> None:
    assert checks_of(body) == {}


@pytest.mark.parametrize("reason", ["", " (a reason, with two parts)"])
@pytest.mark.parametrize(("server", "state"), [(server, kind.state) for server, kind in TABLE])
def test_words_of_each_row_are_found_again(server: Server, state: str, reason: str) -> None:
    found = of_words(server, f"{state}{reason}")
    assert found is not None
    assert (found.fault.server, found.fault.without_server) == (server, f"{state}{reason}")


@pytest.mark.parametrize("words", ["ok", "failing", "fuller", "full-time (x)", ""])
def test_other_words_are_no_outage(words: str) -> None:
    assert of_words("redis", words) is None


@pytest.mark.parametrize(
    ("redis_url", "checks", "next_"),
    [
        (None, {"redis": "full (maxmemory)"}, "uniassist doctor"),
        (None, {"redis": "read-only (a replica)"}, "uniassist doctor"),
        # A wrong URL in the new env set looks the same from its services: that one a rollback may mend.
        (None, {"redis": "away (connection refused)"}, "uniassist release rollback"),
        (None, {"redis": "refused (wrong user or password)"}, "uniassist release rollback"),
        # It can be tried, and that decides.
        ("redis://127.0.0.1:1/0", {"redis": "full (maxmemory)"}, "uniassist release rollback"),
    ],
)
def test_what_services_say_of_a_server_counts_where_it_cannot_be_tried(
    redis_url: str | None, checks: dict[str, str], next_: str
) -> None:
    suspects = Suspects(None, redis_url)
    suspects.hear(checks)
    suspects.found = suspects.heard
    assert suspects.advice(ROLL_BACK)().next == next_
