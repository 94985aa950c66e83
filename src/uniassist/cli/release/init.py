"""`uniassist release init`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from uniassist.cli.release.options import Env, EnvFile, Json
from uniassist.cli.release.screen import Screen, ending
from uniassist.errors import StartError
from uniassist.release.env import new_file
from uniassist.release.env.check import check_env
from uniassist.release.env.environment import Environment
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.gate.gate import has_mypy
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.revision import git


def run(env: Env = "staging", env_file: EnvFile = None, as_json: Json = False) -> None:
    """Write an env file for services on this host: secrets made, ports free, URLs derived. Then say what is next.

    Needs DATABASE_URL and REDIS_URL; STAGING_PROVIDERS adds providers to the four. Changes nothing but that file,
    ENV.env unless --env-file names another. Exit codes: 0 written, 2 the file is there, or a server's URL is
    missing or can't be used.
    """
    path = env_file or Path(f"{env}.env")
    with ending():
        values = new_file.values_for(env, os.environ)
        try:
            said = check_env(values, env, is_file=True)
        except CheckFailed as error:
            raise Refused(ExitCode.USAGE, str(error)) from None
        new_file.write(path, values)
        environment = Environment.load(env, path)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        screen.say(f"{path}: {said}")
        screen.say("it holds secrets: it is readable for you only, and belongs into no repository")
        screen.say(f"next: {_next(path)}")
        screen.document({"command": "release init", "envFile": str(path), "exitCode": 0})


def _next(path: Path) -> str:
    """The whole runbook of the tag that is checked out; of a new one where it has none.

    What only the gate needs isn't there after `make setup`.
    """
    tag, before = "v1", "" if has_mypy() else "make -s .venv/.installed-test && "
    try:
        root = git.checkout_root(Path.cwd())
        found = git.tag_at_head(root)
        if found is None:
            tag = git.free_tag(root)
            before += f"git tag -a {tag} -m {tag} && "
        else:
            tag = found
    except StartError:
        pass  # preflight says what is wrong with the checkout
    return f"{before}uniassist release run --rev {shlex.quote(tag)} --env-file {shlex.quote(str(path))}"
