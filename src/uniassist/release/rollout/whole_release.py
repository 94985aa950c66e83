"""The runbook from its first line to its last: preflight, gate, rollout, verify, watch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uniassist.release.exit_codes import ExitCode
from uniassist.release.gate.gate import run_gate
from uniassist.release.gate.preflight import run_preflight
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.lock import locked
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.steps import wrapped
from uniassist.release.rollback.rollback import Verify
from uniassist.release.rollout.rollout import roll_out
from uniassist.release.walk.site import Site
from uniassist.release.walk.verified import ServerAtFault, make_good


def release(site: Site, here: Path, rev: str, verify: Verify, watch: Callable[[str], ExitCode]) -> ExitCode:
    """Stops at the first that isn't well, and ends with its code.

    here: in the checkout.
    verify: of a release that is kept here.
    watch: gets the time at which the rollout began. It is called without the lock, since its rollback takes it.
    """
    for stage in (run_preflight, run_gate):
        document = stage(site.environment, here, rev, site.records, site.reporter.anew())
        if document["exitCode"] != ExitCode.DONE:
            return ExitCode(document["exitCode"])
    code, run = roll_out(site, here, rev, lambda _question: None)  # it was asked before all this
    if code is not ExitCode.DONE:
        return code
    if not _verified(site, site.home.kept.get(run.target), verify):
        return ExitCode.VERIFY
    return watch(run.started_at)


def _verified(site: Site, rolled_out: Release, verify: Verify) -> bool:
    site.reporter.began("verifying…")
    try:
        said = site.conduct(verify(rolled_out))
    except CheckFailed as error:
        site.reporter.say(f"{rolled_out.tag} is NOT verified:")
        for line in str(error).splitlines():
            for part in wrapped(line):
                site.reporter.say(part)
        at_fault = isinstance(error, ServerAtFault)
        site.reporter.say("next: uniassist doctor" if at_fault else "next: uniassist release rollback")
        return False
    with locked(site.home.lock, f"notes that {rolled_out.tag} is verified"):
        make_good(site.home, site.driver, rolled_out, site.reporter.say)
    site.reporter.say(f"{rolled_out.tag} is verified; {said}")
    return True
