"""`uniassist release verify`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.options import DryRun, Env, EnvFile, Json, Rev, StateDir, records_in
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.checks.verify import rehearse
from uniassist.release.env.environment import Environment
from uniassist.release.revision import git
from uniassist.release.walk.deployed_subject import subject_by_url
from uniassist.release.walk.site import Site
from uniassist.release.walk.verified import verify_by_url


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """After a rollout: is everything healthy, of the expected revision, and does a message go all the way?

    At STAGING_GATEWAY_BASE_URL, STAGING_PROVIDER_PLAN_BASE_URL and STAGING_ADAPTER_WECHAT_BASE_URL; without them
    at the addresses of what was rolled out here. Writes one session. Exit codes: 0 all is well, 2 a variable is
    missing, 13 something is wrong.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        names = git.names_of(Path.cwd(), rev)
        # It asks by URL, whoever runs the services; only the local driver prepares anything that could be removed.
        site = Site.open(environment, screen, records_in(state_dir), "local", None)
        subject = subject_by_url(environment, site.home, names)
        if dry_run:
            rehearse(subject, screen)
            return
        document = verify_by_url(site, subject, names)
        screen.document(document)
    raise ended_with(document["exitCode"])
