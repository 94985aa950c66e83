"""The kit of providers: a good one passes, and each of many faults is named by the rule that it breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.integration.release.checks.provider_kit.bad_provider import (
    DEADLINE_SECONDS,
    IDLE_SECONDS,
    LATE_TEXT,
    TOKEN,
    BadProvider,
    bad_provider,
)
from typer.testing import CliRunner

from uniassist.cli.main import build_app
from uniassist.release.checks.conformance.provider.asking import Subject
from uniassist.release.checks.conformance.provider.kit import check_provider
from uniassist.release.checks.conformance.provider.late import Listener
from uniassist.release.checks.conformance.provider.rules import RULES
from uniassist.release.report.checklist import Checklist

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

# What is seeded, and the only rule that the kit finds broken.
FAULTS = {
    "manifest-missing": "manifest",
    "manifest-not-json": "manifest",
    "manifest-lacks-version": "manifest",
    "manifest-mistyped": "manifest",
    "manifest-changes": "manifest stays",
    "auth-claimed": "manifest's auth is true",
    "auth-denied": "manifest's auth is true",
    "token-wrong-code": "token",
    "events-undeclared": "manifest's events are true",
    "streams-undeclared": "JSON where it is asked for",
    "streams-always": "JSON where it is asked for",
    "no-ack": "invoke",
    "event-misshaped": "invoke",
    "event-unknown": "invoke",
    "content-type": "invoke",
    "too-large": "invoke",
    "run-id": "invoke's ids",
    "provider-id": "invoke's ids",
    "unknown-action-404": "interact",
    "interact-run-id": "interact's id",
    "foreign-extension": "its own extensions",
    "too-many-events": "as many events as are taken",
    "repeat-differs": "a repeated run",
    "repeat-differs-at-once": "a run twice at once",
    "reply-refused": "a reply",
    "bad-taken": "bad invokes",
    "bad-500": "bad invokes",
    "bad-code": "bad invokes",
    "problem-type": "problems",
    "problem-lacks-title": "problems",
    "names-no-field": "problems",
    "utf8-taken": "bad text",
    "nul-taken": "bad text",
    "surrogates-taken": "bad text",
    "unknown-members-refused": "unknown members",
    "null-refused": "unknown members",
    "odd-id-mangled": "odd ids",
    "hostile-500": "hostile text",
    "large-refused": "large calls",
    "oversize-taken": "oversize calls",
    "stream-not-json": "a stream",
    "stream-no-frames": "a stream",
    "stream-unknown-frame": "a stream",
    "stream-misshaped-event": "a stream",
    "stream-no-end": "a stream's end",
    "stream-two-ends": "a stream's end",
    "stream-goes-on": "a stream's end",
    "stream-late-delta": "a stream's messages",
    "stream-many-messages": "a stream's messages",
    "stream-long-message": "a stream's messages",
    "stream-silent": "a stream's silence",
    "stream-repeat-differs": "a repeated stream",
    "stream-dies-after-cancel": "a cancelled stream",
    "slow": "deadlines",
    "slower-than-said": "deadlines",
    "health-fails": "health",
    "metrics-json": "metrics",
    "erases-once": "erasure",
    "erase-says-no": "erasure",
    "late-never": "late events",
    "late-misshaped": "late events",
    "late-provider": "late events",
    "late-run": "late events",
    "late-no-token": "late events' token",
    "late-once": "late events again",
    "late-no-ids": "late events again",
    "late-other-ids": "late events again",
    "late-no-end": "an open run's end",
}
# Findings of what never came.
UNHEARD = {"deadlines", "late events", "late events again", "an open run's end"}
# What breaks both calls alike.
BOTH = {"bad-taken", "bad-500", "bad-code"}


@pytest.fixture(scope="module")
def provider() -> Iterator[BadProvider]:
    with bad_provider() as running:
        yield running


async def checked(provider: BadProvider, fault: str) -> Checklist:
    checklist = Checklist("conformance", print)
    token = TOKEN if fault in ("guarded", "token-wrong-code", "auth-denied") else None
    subject = Subject(
        f"{provider.url}/{fault}",
        token=token,
        late_text=LATE_TEXT,
        deadline_seconds=DEADLINE_SECONDS,
        idle_seconds=IDLE_SECONDS,
    )
    if not fault.startswith("late"):
        await check_provider(checklist, subject)
        return checklist
    async with Listener(0) as listener:
        provider.events_url = f"http://127.0.0.1:{listener.port}"
        await check_provider(checklist, subject, listener=listener)
    return checklist


@pytest.mark.parametrize(
    ("name", "skipped"),
    [
        ("good", {"token", "health", "metrics", "erasure", "late events"}),
        ("guarded", {"health", "metrics", "erasure", "late events"}),
        ("late", {"token", "health", "metrics", "erasure"}),
    ],
)
async def test_a_good_provider_passes_and_what_it_has_not_is_said(
    provider: BadProvider, name: str, skipped: set[str]
) -> None:
    checklist = await checked(provider, name)
    assert checklist.failed == []
    late = {rule.name for rule in RULES[-3:]} if "late events" in skipped else set()
    assert {each.name for each in checklist.outcomes if each.result == "skipped"} == skipped | late
    assert {rule.name for rule in RULES if rule.optional} >= skipped | late


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_by_the_rule_that_it_breaks(provider: BadProvider, fault: str) -> None:
    checklist = await checked(provider, fault)
    expected = {FAULTS[fault]} | ({"bad interacts"} if fault in BOTH else set())
    assert {each.name for each in checklist.failed} == expected
    texts = {rule.name: rule.text for rule in RULES}
    for found in checklist.failed:
        assert found.contract == texts[found.name]
        assert found.detail
        assert found.received or found.name in UNHEARD


def test_every_rule_has_a_fault() -> None:
    assert {rule.name for rule in RULES} - set(FAULTS.values()) == {"bad interacts"}  # named with bad invokes


def test_the_command_says_the_line_and_what_was_received(provider: BadProvider) -> None:
    command = [
        sys.executable,
        "-m",
        "uniassist.cli.main",
        "conformance",
        "--provider-url",
        f"{provider.url}/run-id",
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    [found] = [each for each in json.loads(done.stdout)["checks"] if each["result"] == "failed"]
    assert found["name"] == "provider: invoke's ids"
    assert found["detail"].startswith("runId: expected 'run-check-sample-")
    assert '"runId": "another"' in found["received"]
    assert f"contract: {found['contract']}\n         received: 200, application/json" in done.stderr


def test_a_token_that_is_not_there_is_said() -> None:
    arguments = ["conformance", "--provider-url", "http://127.0.0.1:1", "--token-env", "NO_SUCH_TOKEN"]
    done = CliRunner().invoke(build_app("conformance"), arguments)
    assert (done.exit_code, "--token-env: NO_SUCH_TOKEN is not set" in done.output) == (1, True)
