"""`uniassist release plan | rollout`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from uniassist.cli.release_context import Because, Context, HealthyWithin, Yes, ask, refuse_without_consent
from uniassist.cli.release_driver import DriverFile, DriverName
from uniassist.cli.release_environment import (
    DryRun,
    Env,
    EnvFile,
    Environment,
    Json,
    Rev,
    StateDir,
    ended_with,
    ending,
)
from uniassist.release import candidate, observation, own_code, plan, unfinished
from uniassist.release.candidate import Candidate
from uniassist.release.drivers.driver import Release
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.kept import env_of
from uniassist.release.lock import locked, who
from uniassist.release.observation import Seen
from uniassist.release.plan import Plan
from uniassist.release.rollout import STEPS, Rollout
from uniassist.release.runs import Run
from uniassist.release.steps import wrapped
from uniassist.release.walk import HEALTHY_SECONDS


@dataclass(frozen=True)
class Intended:
    """What would be rolled out, and what was seen when it was decided."""

    candidate: Candidate
    seen: Seen
    plan: Plan


def run_plan(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    as_json: Json = False,
) -> None:
    """What a rollout would change for each service, from what is observed now. Changes nothing.

    The plan is kept: a rollout of the same revision is refused (32) when the environment has changed since.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file)
        found = intended(context, rev)
        plan.write(context.home.plan, found.plan)
        tell(context, found)
        context.screen.say(f"next: uniassist release rollout --rev {found.plan.tag}")
        context.screen.document({"command": "release plan", "plan": plan.builtins(found.plan)})


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    because: Because = "",
    healthy_within: HealthyWithin = HEALTHY_SECONDS,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Expanding migrations, then provider-plan, adapter-wechat, gateway, worker, each healthy before the next.

    Needs a tag that preflight found ready and the gate found green with this env set. Stops at the first failure.
    Exit codes: 0 done, 2 consent missing, 10 not ready, 11 no green gate, 12 a step stopped, 30 locked, 31 an
    unfinished run is there, 32 the plan is stale or something drifted, 130 interrupted.
    """
    with ending():
        refuse_without_consent(yes, dry_run)
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file, because, healthy_within)
        if dry_run:
            found = intended(context, rev)
            refuse(context, found)
            tell(context, found)
            return
        code, ran = roll_out(context, rev, yes)
        if code is ExitCode.DONE:
            context.screen.say(f"{ran.target_tag} is rolled out, and not verified yet")
            context.screen.say(f"next: uniassist release verify --rev {ran.target_tag}")
        context.ended("release rollout", ran, code)
    raise ended_with(code)


def roll_out(context: Context, rev: str | None, yes: bool) -> tuple[ExitCode, Run]:
    """Under the lock, from the first look to the last."""
    with locked(context.home.lock, context.because or f"rollout of {rev}"):
        found = intended(context, rev)
        refuse(context, found)
        tell(context, found)
        ask(f"Roll out {found.plan.tag} to {context.environment.name}?", yes)
        context.screen.began("building…")
        release = candidate.build(found.candidate, context.home)
        if (made := plan.read(context.home.plan)) is not None and made.tag == release.tag:
            context.home.plan.unlink()  # it is carried out
        ran = _begin(context, release)
        code = conduct(context, ran, release)
    return code, ran


def conduct(context: Context, ran: Run, release: Release) -> ExitCode:
    """Begin it, or go on with it."""
    context.screen.say(f"rollout of {release.tag} to {context.environment.name}, {ran.id}")
    walk = context.walk(ran, STEPS)
    if walk.journal.entries:
        walk.note(f"resumed by {who()}")
    work = Rollout(walk, release, lambda: own_code.migrate(context.driver, release))
    return context.conduct(work.run())


def intended(context: Context, rev: str | None) -> Intended:
    """What git, the records and the observation say now."""
    if rev is None:
        raise UsageRefused("--rev: which tag?")
    found = candidate.find(Path.cwd(), rev, context.environment.env_set, context.records, context.home)
    seen = asyncio.run(observation.observe_all(context.driver))
    current = context.home.kept.find(context.home.deployed().current or "nothing")
    names = plan.differing_names(env_of(current) if current else None, found.env.deployed)
    migrations = [step.name for step in found.pending]
    return Intended(found, seen, plan.make(found.release, seen, migrations, names))


def refuse(context: Context, found: Intended) -> None:
    """Refused with 10, 11, 31 or 32, in the order in which an operator would mend it."""
    home = context.home
    unfinished.refuse_rollout(home)
    candidate.refuse_without_gate(found.candidate, context.records)
    candidate.refuse_contraction(found.candidate)
    if drifted := observation.drift(found.seen, home.deployed(), home.kept):
        text = "\n      ".join(drifted)
        current = home.kept.find(home.deployed().current or "nothing")
        back = (
            f"next: uniassist release rollback --to {current.tag}" if current else "next: uniassist release status"
        )
        raise Refused(
            ExitCode.STALE,
            f"somebody else changed it:\n      {text}\n      {back}\n      safe: ask who did, and why",
        )
    made = plan.read(home.plan)
    if made is not None and made.tag == found.plan.tag and (stale := plan.staleness(made, found.plan)):
        text = "\n      ".join(stale)
        again = f"next: uniassist release plan --rev {made.tag}"
        raise Refused(ExitCode.STALE, f"the plan of {made.made_at} is stale:\n      {text}\n      {again}")


def tell(context: Context, found: Intended) -> None:
    say = context.screen.say
    say(f"{found.plan.tag} (commit {found.plan.commit[:12]}, env {found.plan.env_digest[:8]}), seen now:")
    for line in found.plan.lines():
        for part in wrapped(f"  {line}"):
            say(part)


def _begin(context: Context, release: Release) -> Run:
    known = context.home.deployed()
    previous = context.home.kept.find(known.rollback_target(release.id) or "nothing")
    return context.home.runs.begin(
        "rollout",
        release.tag,
        environment=context.environment.name,
        driver=context.driver.name,
        target=release.id,
        who=who(),
        why=context.environment.mask(context.because),
        previous=previous.id if previous else None,
        previous_tag=previous.tag if previous else None,
    )
