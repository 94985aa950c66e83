"""The real services: a watch to its quiet end, a drill beside it, and that alerts name what is really exported."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import promql_parser
import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.release.commands import Command
from tests.processes import CONTEXT_TOKEN, ServiceProcess

from uniassist.release.drill import PREFIX
from uniassist.release.watch import outbox
from uniassist.web.client import JsonClient

ROOT = Path(__file__).parents[3]
THRESHOLDS = str(ROOT / "ops/deploy/staging/thresholds.toml")
# Made by Prometheus itself.
_BUILT_IN = {"up"}
_ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def test_a_good_release_is_watched_to_a_quiet_end(
    command: Command, staging: dict[str, str], running: dict[str, ServiceProcess], tmp_path: Path
) -> None:
    redis_url = running["worker"].env["REDIS_URL"]
    arguments = ("release", "watch", "--for", "3s", "--on-trigger", "hold", "--rev", "v42", "--json")

    ended = command(*arguments, "--thresholds", THRESHOLDS, REDIS_URL=redis_url, **staging)

    assert ended.code == 0, ended.said
    state = json.loads(ended.out)
    assert state["ended"] == "quiet: no trigger fired"
    assert state["roundsOk"] == 1
    assert {name: seen["state"] for name, seen in state["services"].items()} == dict.fromkeys(running, "ok")
    assert "checks ok: conformance ok, smoke ok, verify ok" in " ".join(ended.err.split())
    assert CONTEXT_TOKEN not in ended.said
    records = list((tmp_path / ".uniassist/release/runs").glob("*-watch-*.json"))
    assert [json.loads(record.read_text())["exitCode"] for record in records] == [0]


def test_a_token_that_the_system_does_not_take_is_named_and_nothing_is_watched(
    command: Command, staging: dict[str, str], running: dict[str, ServiceProcess], tmp_path: Path
) -> None:
    wrong = staging | {"STAGING_CONTEXT_TOKEN": "not-of-this-system-0123456789"}
    ended = command("release", "watch", "--for", "3s", "--rev", "v42", "--thresholds", THRESHOLDS, **wrong)
    assert (ended.code, "STAGING_CONTEXT_TOKEN" in ended.err) == (2, True), ended.said
    assert not list((tmp_path / ".uniassist/release").glob("runs/*-watch-*.json"))


async def test_rows_of_a_drill_are_not_counted_where_the_database_is_at_hand(
    running: dict[str, ServiceProcess], database: str
) -> None:
    before = await outbox.from_database(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for name in (f"{PREFIX}1", "smoke-1", "someone-s-1"):
            connection.execute(
                "INSERT INTO outbox_events (event_id, session_id, payload, status, attempts) "
                "VALUES (%s, 'troubled', '{}', 'dead_letter', 12)",
                (name,),
            )
        try:
            after = await outbox.from_database(database)
            async with JsonClient() as client:
                by_gateway = await outbox.from_gateway(client, running["gateway"].url)
        finally:
            connection.execute("DELETE FROM outbox_events WHERE session_id = 'troubled'")
    assert before is not None
    assert after is not None
    assert (after.dead_letters - before.dead_letters, after.attempts - before.attempts) == (1, 12)
    assert by_gateway is not None


def test_alerts_name_what_the_services_export(running: dict[str, ServiceProcess]) -> None:
    exported: dict[str, set[str]] = {}
    for service, process in running.items():
        with urllib.request.urlopen(f"{process.url}/metrics", timeout=10) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for ending in _ENDINGS.get(family.type, ("",)):
                    exported.setdefault(family.name + ending, set()).add(service)

    rules = [
        rule
        for group in yaml.safe_load((ROOT / "ops/observability/alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert rules
    for rule in rules:
        named = _metrics_of(str(promql_parser.parse(rule["expr"])))
        assert named, rule["alert"]
        assert named <= exported.keys() | _BUILT_IN, f"{rule['alert']} names {named - exported.keys()}"
    assert exported["uniassist_health"] == set(running)
    assert exported["process_start_time_seconds"] == set(running)


def _metrics_of(expression: str) -> set[str]:
    """Names that stand where a selector's name stands."""
    without_labels = re.sub(r"\{[^}]*\}", "{}", expression)
    names = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?=\{|\[|\s*[)<>=/,]|$|\s)", without_labels)
    return {name for name in names if name == "up" or name.startswith(("uniassist_", "process_"))}


@pytest.mark.parametrize("expression", ["sum(rate(uniassist_x_total[5m])) > 0", 'uniassist_x_total{a="b"}'])
def test_the_metrics_of_an_expression_are_found(expression: str) -> None:
    assert _metrics_of(str(promql_parser.parse(expression))) == {"uniassist_x_total"}
