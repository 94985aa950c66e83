"""The real services: a watch to its quiet end, a drill beside it, and that alerts name what is really exported."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import promql_parser
import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.release.commands import Command
from tests.processes import CONTEXT_TOKEN, ServiceProcess
from tests.unit.ops import dashboards

from uniassist.devstack.supervisor import answers
from uniassist.release.checks.injected import DRILL_PREFIX
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Parts
from uniassist.release.watch import outbox_metrics
from uniassist.settings.variables import PLAN_TOKEN
from uniassist.web.calling.client import JsonClient

ROOT = Path(__file__).parents[4]
THRESHOLDS = str(ROOT / "ops/deploy/staging/thresholds.toml")
# Made by Prometheus itself.
_BUILT_IN = {"up"}
_ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def test_a_good_release_is_watched_to_a_quiet_end(
    command: Command, staging: dict[str, str], running: dict[str, ServiceProcess], tmp_path: Path
) -> None:
    """Its provider takes nobody without a token of its own, as in every env set that can be released."""
    redis_url = running["worker"].env["REDIS_URL"]
    arguments = ("release", "watch", "--for", "3s", "--on-trigger", "hold", "--rev", "v42", "--json")
    token = {PLAN_TOKEN: "only-the-plan-provider-takes-it"}
    provider = ServiceProcess("provider-plan", tmp_path / "provider.log", {**running["provider-plan"].env, **token})
    env = {**staging, **token, "REDIS_URL": redis_url, "STAGING_PROVIDER_PLAN_BASE_URL": provider.url}
    try:
        provider.env["PORT"] = str(provider.port)
        provider.start()
        ended = command(*arguments, "--thresholds", THRESHOLDS, **env)
    finally:
        provider.stop()

    assert ended.code == 0, ended.said
    state = json.loads(ended.out)
    assert state["ended"] == "quiet: no trigger fired"
    assert state["roundsOk"] == 1
    assert {name: seen["state"] for name, seen in state["services"].items()} == dict.fromkeys(running, "ok")
    assert "checks ok: conformance ok, smoke ok, verify ok" in " ".join(ended.err.split())
    assert (CONTEXT_TOKEN in ended.said, token[PLAN_TOKEN] in ended.said) == (False, False)
    records = list((tmp_path / ".uniassist/release/runs").glob("*-watch-*.json"))
    assert [json.loads(record.read_text())["exitCode"] for record in records] == [0]


def test_a_first_release_is_watched_and_said_to_have_nothing_to_go_back_to(
    command: Command, staging: dict[str, str], running: dict[str, ServiceProcess], tmp_path: Path
) -> None:
    """No alert: it is so at every first release, and nothing is wrong."""
    home = Home(tmp_path / ".uniassist" / "release", "staging")
    wheel = tmp_path / "uniassist-1-py3-none-any.whl"
    wheel.touch()
    env = {**staging, "REDIS_URL": running["worker"].env["REDIS_URL"], "UNIASSIST_STREAM_GROUP": "ua-delivery"}
    release = home.kept.keep(Parts("v42", "v42", wheel, wheel, env, {}, "d" * 64))
    home.change(lambda known: known.aiming_at(release.id))

    ended = command("release", "watch", "--for", "1s", "--rev", "v42", "--thresholds", THRESHOLDS, **staging)

    assert (ended.code, "ALERT" in ended.said) == (0, False), ended.said
    assert "a first release: there is nothing to roll back to" in " ".join(ended.said.split())


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
    before = await outbox_metrics.from_database(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for name in (f"{DRILL_PREFIX}1", "smoke-1", "someone-s-1"):
            connection.execute(
                "INSERT INTO outbox_events (event_id, session_id, payload, status, attempts) "
                "VALUES (%s, 'troubled', '{}', 'dead_letter', 12)",
                (name,),
            )
        try:
            after = await outbox_metrics.from_database(database)
            async with JsonClient() as client:
                by_gateway = await outbox_metrics.from_gateway(client, running["gateway"].url)
        finally:
            connection.execute("DELETE FROM outbox_events WHERE session_id = 'troubled'")
    assert before is not None
    assert after is not None
    assert (after.dead_letters - before.dead_letters, after.attempts - before.attempts) == (1, 12)
    assert by_gateway is not None


@pytest.fixture
def reminder(running: dict[str, ServiceProcess], tmp_path: Path) -> Iterator[ServiceProcess]:
    env = {**running["provider-plan"].env, "GATEWAY_URL": running["gateway"].url}
    process = ServiceProcess("provider-reminder", tmp_path / "reminder.log", env)
    process.env["PORT"] = str(process.port)
    try:
        process.start()
        process.process.wait_ready(partial(answers, f"{process.url}/health"))
        yield process
    finally:
        process.stop()


def test_alerts_name_what_the_services_export(running: dict[str, ServiceProcess], reminder: ServiceProcess) -> None:
    running = {**running, "provider-reminder": reminder}
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
    for where, expression in dashboards.expressions().items():
        named = _metrics_of(str(promql_parser.parse(expression)))
        assert named, where
        assert named <= exported.keys() | _BUILT_IN, f"{where} names {named - exported.keys()}"
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
